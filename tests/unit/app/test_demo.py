"""The demo: the same seed makes the same, clocks on the wall shape it, faults show, and the store comes out even."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from weighbridge.app.config import load
from weighbridge.app.demo.company import FAULTS, document, habits
from weighbridge.app.demo.fill import fill
from weighbridge.app.demo.traffic import curve, rows_of
from weighbridge.domain.errors import FolderInUseError, InvalidInputError
from weighbridge.measurement import SlotFlag
from weighbridge.model import Kind
from weighbridge.ports import Members
from weighbridge.storage.catalog.store import SqlCatalog
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.journal.store import SqliteJournal

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86400


def epoch_s(*date: int) -> int:
    return int(dt.datetime(*date, tzinfo=dt.UTC).timestamp())  # type: ignore[misc]


NOW_S = epoch_s(2026, 4, 20, 9, 42)
MARCH = (2026 * 12 + 2, epoch_s(2026, 3, 1), epoch_s(2026, 4, 1))
APRIL = (2026 * 12 + 3, epoch_s(2026, 4, 1), epoch_s(2026, 5, 1))
SPAN = (epoch_s(2026, 1, 20), NOW_S // 300 * 300)
SMOOTH = replace(habits()[0], bursts=0.0, growth=0.0, weekend=1.0, zone="Europe/Berlin")


class StillClock:
    def now_us(self) -> int:
        return NOW_S * 1_000_000


def named(series: str) -> tuple[int, object]:
    return next((number, habit) for number, habit in enumerate(habits(), 1) if habit.key.object == series)


def test_the_same_seed_makes_the_same_and_another_makes_other() -> None:
    first, again, other = (rows_of(SMOOTH, 1, MARCH, SPAN, seed) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first["bytes_out"].sum() != other["bytes_out"].sum()
    assert len(first) == len(other) == 31 * 288


def test_a_span_cuts_a_month_and_changes_nothing_else() -> None:
    whole = rows_of(SMOOTH, 1, MARCH, SPAN, 1)
    cut = rows_of(SMOOTH, 1, MARCH, (SPAN[0], MARCH[1] + 5 * DAY_S), 1)
    assert cut.tobytes() == whole[: 5 * 288].tobytes()


def test_curves_follow_the_clock_on_the_wall_over_a_change_of_time() -> None:
    """In Berlin clocks went forward on 29 March 2026: the quietest hour comes an hour earlier."""
    days = curve(SMOOTH, MARCH[1], 31 * 288).reshape(31, 288)
    winter, summer = days[27], days[29]
    assert np.array_equal(summer[:-12], winter[12:])
    assert np.array_equal(days[0], winter)
    assert winter.argmin() == 3 * 12  # 4 o'clock there
    assert days.mean() == pytest.approx(1, rel=0.02)


def test_the_mean_is_what_the_habit_says() -> None:
    rows = rows_of(SMOOTH, 1, MARCH, SPAN, 1)
    rate_bps = rows["bytes_out"].mean() * 8 / 300
    assert rate_bps == pytest.approx(SMOOTH.out_bps, rel=0.1)


def test_faults_show() -> None:
    for name, fault in FAULTS.items():
        number, habit = next((n, h) for n, h in enumerate(habits(), 1) if h.fault == name)
        rows = np.concatenate([rows_of(habit, number, month, SPAN, 1) for month in (MARCH, APRIL)])
        sound = np.concatenate(
            [rows_of(replace(habit, fault=None), number, month, SPAN, 1) for month in (MARCH, APRIL)]
        )
        from_s = NOW_S // DAY_S * DAY_S - fault.days_ago * DAY_S + int(fault.from_hour * 3600)
        inside = (rows["slot"] >= from_s // 300) & (rows["slot"] < (from_s + int(fault.hours * 3600)) // 300)
        there = (sound["slot"] >= from_s // 300) & (sound["slot"] < (from_s + int(fault.hours * 3600)) // 300)
        assert there.sum() == fault.hours * 12
        if name == "reset":
            assert not inside.any()
            assert len(sound) - len(rows) == there.sum()
            continue
        moved = rows["bytes_out"][inside]
        if name == "silent":
            assert not moved.any()
            assert set(rows["flags"][inside]) == {SlotFlag.MEASURED}
        else:
            assert moved.sum() == sound["bytes_out"][there].sum()
            assert moved.max() - moved.min() <= 1
            assert set(rows["flags"][inside]) == {SlotFlag.ESTIMATED}
        assert rows[~inside].tobytes() == sound[~there].tobytes()


def test_everybody_is_in_the_catalog() -> None:
    organizations = {each["id"]: each for each in document()["organizations"]}
    assert len(organizations) == 4
    servers = [
        server
        for each in organizations.values()
        for project in each.get("projects", ())
        for server in project["servers"]
    ]
    assert {habit.key.object for habit in habits() if habit.key.kind is Kind.SERVER} == {each["id"] for each in servers}
    assert len(servers) == 31
    assert {project["billing_method"] for project in organizations["org_northwind"]["projects"]} == {
        "Normal",
        "95th percentile",
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("demo")
    settings, _ = load({"data": str(folder)}, {}, folder)
    told: list[tuple[int, int]] = []
    made = fill(settings, StillClock(), months=1, on_progress=lambda done, of: told.append((done, of)))
    return settings, made, told


def test_filling(filled) -> None:
    settings, made, told = filled
    assert (made.start_s, made.end_s) == (epoch_s(2026, 3, 20), epoch_s(2026, 4, 20, 9, 40))
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert len(made.curls) == 5
    assert set(made.keys) == {"org_northwind", "org_orbit", "org_pixel", "org_tunnel"}
    assert (settings.data / "admin.key").read_text().strip() == made.admin_key

    catalog = SqlCatalog(settings.data / "catalog.sqlite", StillClock())
    store = DuckDBStore(settings.data / "usage")
    try:
        assert store.check() == []
        view = catalog.view()
        assert len(view.series) == made.series == len(habits())
        for series in view.series.values():
            sums = store.sums(Members((series.id,), (0,), (0,), (2**40,)), made.start_s, made.end_s, 0)
            assert sums.bytes_out[0], series
            assert (sums.requests[0] is None) == (series.key.kind in (Kind.SERVER, Kind.VPN, Kind.PEER))
        assert all(series.polled == (series.key.kind is Kind.SERVER) for series in view.series.values())
    finally:
        store.close()
        catalog.close()


def test_it_does_not_mix_with_what_is_there(filled) -> None:
    settings, _, _ = filled
    with pytest.raises(InvalidInputError, match="holds usage already"):
        fill(settings, StillClock(), months=1)


def test_it_refuses_while_a_server_runs_and_nonsense(tmp_path: Path) -> None:
    settings, _ = load({"data": str(tmp_path)}, {}, tmp_path)
    for months in (0, 121):
        with pytest.raises(InvalidInputError, match="months"):
            fill(settings, StillClock(), months=months)
    journal = SqliteJournal(tmp_path / "journal")
    try:
        with pytest.raises(FolderInUseError):
            fill(settings, StillClock(), months=1)
    finally:
        journal.close()
    assert not (tmp_path / "usage").exists()
