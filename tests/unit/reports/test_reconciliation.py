"""What counters and flows say of the same thing, beside a referee that adds up rows by who saw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.worlds import PROJECTS, VPN, World, worlds
from weighbridge.domain.timegrid import Window
from weighbridge.model import Kind, Metering
from weighbridge.reports.reconciliation import Reconciled, reconcile
from weighbridge.reports.selection import Reach, Selection, resolve
from weighbridge.reports.usage import Amounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.worlds import Row

T = 1_765_728_000
SLOTS = 30
NOW_S = T + 86_400


def known(amounts: Amounts) -> tuple[int | None, int | None]:
    return amounts.bytes_in, amounts.bytes_out


def sum_of(rows: Iterable[Row]) -> tuple[int | None, int | None]:
    columns = list(zip(*[row.moved[:2] for row in rows], strict=True))
    inward, outward = ([amount for amount in column if amount is not None] for column in columns)
    return sum(inward) if inward else None, sum(outward) if outward else None


@settings(max_examples=80, deadline=None)
@given(
    worlds(T, SLOTS), st.tuples(st.integers(-2, SLOTS), st.integers(0, SLOTS)),
    st.none() | st.sampled_from(sorted(PROJECTS)), st.none() | st.sampled_from(["acme", "bolt"]),
)
def test_each_side_is_what_its_own_rows_say(
    world: World, bounds: tuple[int, int], project: str | None, organization: str | None
) -> None:
    if project is not None and organization not in (None, PROJECTS[project]):
        return
    start_s, end_s = T + bounds[0] * 300, T + sum(bounds) * 300
    found = resolve(world.view, Reach(), Selection(organization=organization, project=project))
    got = {each.id: each for each in reconcile(world.store, world.view, found, Window(start_s, end_s), NOW_S)}
    seen: dict[str, dict[str | None, list[Row]]] = {}
    for row in world.rows:
        key = world.view.series[row.series].key
        owner = world.owner(row)
        is_asked = (project in (None, owner.get("project"))) and organization in (None, owner["organization"])
        if key.kind in (Kind.SERVER, Kind.VPN, Kind.PEER) and start_s <= row.at_s < end_s and is_asked:
            name = f"server/{key.object}" if key.kind is Kind.SERVER else f"vpn/{VPN}"
            seen.setdefault(name, {}).setdefault(key.via, []).append(row)
    expected = sorted(name for name, by in seen.items() if "flows" in by and ("interfaces" in by or "host" in by))
    assert list(got) == expected
    for name, each in got.items():
        via = "interfaces" if "interfaces" in seen[name] else "host"
        assert (each.via, known(each.counters), known(each.flows)) == (
            via, sum_of(seen[name][via]), sum_of(seen[name]["flows"]))


@pytest.mark.parametrize(("counters", "flows", "difference", "percent"), [
    ((1_000, 3_000), (990, 2_970), (-10, -30), -1.0),
    ((1_000, 3_000), (1_010, 3_000), (10, 0), 0.25),
    ((10_000, 10_000), (10_001, 10_000), (1, 0), 0.01),    # 0.005, half up
    ((10_000, 10_000), (9_999, 10_000), (-1, 0), 0.0),     # -0.005, half up
    ((10_000, 10_000), (9_998, 10_000), (-2, 0), -0.01),
    ((0, 0), (5, 5), (5, 5), None),
    ((None, 1_000), (5, 1_100), (None, 100), 10.0),
    ((None, 1_000), (5, None), (None, None), None),
    ((2**70, 0), (2**71, 0), (2**70, 0), 100.0),
])
def test_the_difference_is_exact_and_its_share_rounded_half_up(
    counters: tuple[int | None, int | None], flows: tuple[int | None, int | None],
    difference: tuple[int | None, int | None], percent: float | None,
) -> None:
    both: list[Any] = [Amounts(*amounts, None, known=True) for amounts in (counters, flows)]
    found = Reconciled(Kind.SERVER, "sv", Metering.INTERFACES, Metering.INTERFACES, *both)
    assert (found.difference, found.percent) == (difference, percent)
