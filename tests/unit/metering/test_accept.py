"""What becomes of each event: kept, known, or refused with a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.catalog import VPN, MemoryCatalog, acme
from support.clock import HandClock
from weighbridge.domain.errors import BusyError, DiskFullError
from weighbridge.measurement import READING_TYPE, USAGE_TYPE, Event, EventData, Mark, RejectReason
from weighbridge.metering import accept as accept_module
from weighbridge.metering import fold as fold_module
from weighbridge.metering import intake as intake_module
from weighbridge.metering import subjects as subjects_module
from weighbridge.metering.accept import Batch
from weighbridge.metering.columns import few_rows, many_rows
from weighbridge.metering.fold import catch_up
from weighbridge.metering.intake import Intake
from weighbridge.metering.subjects import Sender
from weighbridge.model import END_S, Kind, Placement, SeriesKey
from weighbridge.ports import Members
from weighbridge.storage.journal.store import SqliteJournal
from weighbridge.storage.memory import MemoryStore

NOW = datetime(2025, 12, 14, 16, 0, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
ACME = Sender("org_acme")


def usage(number=1, subject="server/sv_0", time=NOW, source="edge", **data):
    return Event(f"e-{number}", source, USAGE_TYPE, subject, time, EventData(**(data or {"bytes_in": 1})))


def reading(number, total, *, at=NOW, out=None, **data):
    return Event(f"r-{number}", "probe", READING_TYPE, "server/sv_0", at, EventData(
        bytes_in_total=total, bytes_out_total=out, counter="eth0", **data))


class Bench:
    """An intake over a real journal, a store in memory, and a catalog filled by hand."""

    def __init__(self, folder) -> None:
        self.catalog = MemoryCatalog(acme(), environments=2, consumers=2)
        self.journal = SqliteJournal(folder)
        self.store = MemoryStore()
        self.clock = HandClock(NOW_US)
        self.intake = Intake(self.catalog, self.journal, self.clock, Mark())

    def take(self, *events, sender=ACME):
        return self.intake.take(Batch(events, sender))

    def code(self, event, sender=ACME):
        (refusal,) = self.take(event, sender=sender).rejected
        return refusal.code

    def total(self, **key):
        catch_up(self.journal, self.store)
        series = self.catalog.view().series_by_key[SeriesKey(**key)]
        members = Members((series.id,), (0,), (0,), (END_S,))
        sums = self.store.sums(members, 0, NOW_US // 10**6 // 300 * 300 + 86400, 0)
        return sums.bytes_in[0], sums.bytes_out[0], sums.requests[0]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "journal")
    yield made
    made.intake.close()
    made.journal.close()


@pytest.mark.parametrize(("subject", "data", "code"), [
    ("server/nobody", {}, RejectReason.UNKNOWN_SUBJECT),
    ("server/sv_other", {}, RejectReason.UNKNOWN_SUBJECT),
    ("server", {}, RejectReason.INVALID),
    ("server/", {}, RejectReason.INVALID),
    ("cat/1", {}, RejectReason.INVALID),
    ("vpn/nope", {}, RejectReason.UNKNOWN_SUBJECT),
    (f"vpn/{VPN}/peer/bob", {}, RejectReason.UNKNOWN_SUBJECT),
    (f"vpn/{VPN}/pear/alice", {}, RejectReason.INVALID),
    (f"vpn/{VPN}/", {}, RejectReason.INVALID),
    ("app/2", {}, RejectReason.UNKNOWN_SUBJECT),
    ("app/01", {}, RejectReason.INVALID),
    ("app/one", {}, RejectReason.INVALID),
    ("app/1", {"path": "/x"}, RejectReason.INVALID),
    ("app/1", {"consumer": "a\nb"}, RejectReason.INVALID),
    ("app/1", {"environment": "a\0"}, RejectReason.INVALID),
    ("space/9", {}, RejectReason.UNKNOWN_SUBJECT),
    ("space/-1", {}, RejectReason.INVALID),
    ("server/sv_0", {"consumer": "alice"}, RejectReason.INVALID),
    ("server/sv_0", {"path": "/x"}, RejectReason.INVALID),
    ("space/123", {"method": "GET", "path": "/x"}, RejectReason.INVALID),
    ("space/123", {"method": "GET"}, RejectReason.INVALID),
    ("space/123", {"consumer": "alice", "path": "/x"}, RejectReason.INVALID),
    ("space/123", {"environment": "prod", "path": "/x"}, RejectReason.INVALID),
    ("space/123", {"path": "/x\n"}, RejectReason.INVALID),
    ("space/123", {"path": "\0/x"}, RejectReason.INVALID),
    ("space/123", {"path": "/x\x85"}, RejectReason.INVALID),
    ("space/9", {"path": "/x"}, RejectReason.UNKNOWN_SUBJECT),
])
def test_subjects_without_a_place_are_refused(bench, subject, data, code):
    assert bench.code(usage(subject=subject, **data)) == code


def test_upper_case_uuid_is_the_same_instance(bench):
    assert bench.take(usage(1, f"vpn/{VPN.upper()}", bytes_in=2), usage(2, f"vpn/{VPN}", bytes_in=3)).accepted == 2
    assert bench.total(kind=Kind.VPN, object=VPN)[0] == 5


def moved_server(bench, at):
    """sv_0 is org_other's from `at` on."""
    view = bench.catalog.view()
    server = view.servers["sv_0"]
    placements = (*server.placements, Placement(int(at.timestamp()), "proj_o", "miami"))
    view.servers["sv_0"] = msgspec.structs.replace(server, project="proj_o", region="miami", placements=placements)
    view.version += 1


def test_usage_from_before_a_move_is_its_old_owners(bench):
    moved_server(bench, NOW - timedelta(hours=1))
    before, after = usage(1, time=NOW - timedelta(hours=2), bytes_in=1), usage(2, bytes_in=2)
    assert [r.index for r in bench.take(before, after).rejected] == [1]
    assert [r.index for r in bench.take(before, after, sender=Sender("org_other")).rejected] == [0]


def test_a_retry_after_a_move_to_another_organization_is_still_the_same_event(bench):
    event = usage(1, time=NOW - timedelta(hours=2), bytes_in=7)
    assert bench.take(event, sender=Sender(None)).accepted == 1
    moved_server(bench, NOW - timedelta(hours=1))
    assert bench.take(event, sender=Sender(None)).duplicates == 1
    assert bench.take(event).duplicates == 1
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 7


def test_a_counter_goes_on_over_a_move(bench):
    bench.take(reading(1, 100, at=later(0)), sender=Sender(None))
    moved_server(bench, later(3))
    bench.take(reading(2, 400, at=later(6)), sender=Sender(None))
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 300


def test_a_projects_key_reaches_its_servers_only(bench):
    sender = Sender("org_acme", "proj_a")
    assert bench.take(usage(), sender=sender).accepted == 1
    assert bench.code(usage(2, "app/1"), sender) == RejectReason.UNKNOWN_SUBJECT
    assert bench.code(usage(3), Sender("org_acme", "proj_z")) == RejectReason.UNKNOWN_SUBJECT


def test_an_admin_reaches_everything_and_ids_stay_within_their_organization(bench):
    receipt = bench.take(usage(1, "server/sv_0"), usage(1, "server/sv_other"), sender=Sender(None))
    assert (receipt.accepted, receipt.duplicates) == (2, 0)


@pytest.mark.parametrize(("time", "data", "code"), [
    (NOW + timedelta(minutes=5, microseconds=1), {"bytes_in": 1}, RejectReason.IN_FUTURE),
    (NOW, {"bytes_in": 1, "duration_s": 301}, RejectReason.IN_FUTURE),
    (datetime(1971, 12, 31, tzinfo=UTC), {"bytes_in": 1}, RejectReason.INVALID),
])
def test_stretches_out_of_bounds_are_refused(bench, time, data, code):
    assert bench.code(usage(time=time, **data)) == code


def test_five_minutes_ahead_is_still_now(bench):
    assert bench.take(usage(1, time=NOW + timedelta(minutes=5)), usage(2, duration_s=300)).accepted == 2


@pytest.mark.parametrize("other", [
    {"bytes_in": 2}, {"bytes_in": 1, "bytes_out": 0}, {"bytes_in": 1, "duration_s": 60},
    {"time": NOW - timedelta(microseconds=1)}, {"subject": "server/sv_1"},
])
def test_the_same_id_with_other_content_is_a_conflict(bench, other):
    assert bench.take(usage()).accepted == 1
    assert bench.code(usage(**{"bytes_in": 1, **other})) == RejectReason.CONFLICT
    assert bench.take(usage()).duplicates == 1
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 1


def test_the_same_id_as_usage_and_reading_is_a_conflict(bench):
    assert bench.take(usage()).accepted == 1
    twin = Event("e-1", "edge", READING_TYPE, "server/sv_0", NOW, EventData(bytes_in_total=1))
    assert bench.code(twin) == RejectReason.CONFLICT


def test_duplicates_within_one_batch_count_once(bench):
    receipt = bench.take(*[usage(n % 3) for n in range(30)])
    assert (receipt.accepted, receipt.duplicates) == (3, 27)


def test_good_events_are_kept_when_others_are_bad(bench):
    receipt = bench.take(usage(1), usage(2, "server/nobody"), usage(3), usage(1, bytes_in=9))
    assert receipt.accepted == 2
    assert [(r.index, r.id, r.code) for r in receipt.rejected] == [
        (1, "e-2", RejectReason.UNKNOWN_SUBJECT), (3, "e-1", RejectReason.CONFLICT)]


def test_a_refused_id_is_free_for_a_better_event(bench):
    assert bench.code(usage(1, "server/nobody")) == RejectReason.UNKNOWN_SUBJECT
    assert bench.code(usage(1, time=NOW + timedelta(hours=1))) == RejectReason.IN_FUTURE
    assert bench.take(usage(1)).accepted == 1


def test_environments_and_consumers_are_made_up_to_a_bound(bench):
    for name in ("a", "b"):
        assert bench.take(usage(name, "app/1", environment=name, consumer=name, bytes_in=1)).accepted == 1
    assert bench.code(usage(3, "app/1", environment="c")) == RejectReason.TOO_MANY
    assert bench.code(usage(3, "app/1", consumer="c")) == RejectReason.TOO_MANY


def test_endpoints_are_told_apart_whatever_the_case_of_the_method(bench):
    bench.take(usage(1, "app/1", method="get", path="/x", bytes_in=1), usage(2, "app/1", method="GET", path="/x", bytes_in=2))
    assert bench.total(kind=Kind.APP, object="1", method="GET", path="/x")[0] == 3


@pytest.mark.parametrize(("subject", "name", "fitting"), [
    ("space/123", "method", "app/…, not"), ("server/sv_0", "path", "app/… or space/…, not"),
])
def test_a_refusal_says_what_the_name_goes_with(bench, subject, name, fitting):
    (refusal,) = bench.take(usage(subject=subject, **{name: "x"})).rejected
    assert refusal.detail == f"data.{name} goes with a subject {fitting} with this one"


def test_a_path_of_a_space_is_an_asset(bench):
    receipt = bench.take(
        usage(1, "space/123", bytes_out=1), usage(2, "space/123", path="/f/logo.svg", bytes_out=10),
        usage(3, "space/123", path="/f/logo.svg", bytes_out=20), usage(4, "space/123", path="/F/logo.svg", bytes_out=100))
    assert (receipt.accepted, receipt.rejected) == (4, ())
    assert bench.total(kind=Kind.SPACE, object="123")[1] == 1
    assert bench.total(kind=Kind.SPACE, object="123", path="/f/logo.svg")[1] == 30
    assert bench.total(kind=Kind.SPACE, object="123", path="/F/logo.svg")[1] == 100


def test_the_path_is_content(bench):
    assert bench.take(usage(1, "space/123", path="/a", bytes_out=1)).accepted == 1
    assert bench.code(usage(1, "space/123", path="/b", bytes_out=1)) == RejectReason.CONFLICT
    assert bench.code(usage(1, "space/123", bytes_out=1)) == RejectReason.CONFLICT
    assert bench.take(usage(1, "space/123", path="/a", bytes_out=1)).duplicates == 1


def test_assets_are_told_apart_up_to_a_bound(bench, monkeypatch):
    monkeypatch.setattr(subjects_module, "SERIES_PER_SPACE", 2)
    assert bench.take(*(usage(path, "space/123", path=path, bytes_out=1) for path in ("/a", "/b"))).accepted == 2
    (refusal,) = bench.take(usage(3, "space/123", path="/c", bytes_out=1)).rejected
    assert (refusal.code, refusal.detail) == (RejectReason.TOO_MANY, "too many assets of space 123")
    assert bench.take(usage(4, "space/123", path="/a", bytes_out=1)).accepted == 1
    assert bench.take(usage(5, "space/123", bytes_out=1)).accepted == 1  # the space itself has room


def test_an_app_itself_has_room_however_many_endpoints_it_has(bench, monkeypatch):
    monkeypatch.setattr(subjects_module, "SERIES_PER_APP", 1)
    assert bench.take(usage(1, "app/1", method="GET", path="/a", bytes_in=1)).accepted == 1
    assert bench.code(usage(2, "app/1", method="GET", path="/b", bytes_in=1)) == RejectReason.TOO_MANY
    assert bench.code(usage(2, "app/1", consumer="alice", bytes_in=1)) == RejectReason.TOO_MANY
    assert bench.take(usage(3, "app/1", bytes_in=1), usage(4, "app/1", environment="prod", bytes_in=1)).accepted == 2


def test_a_changed_catalog_is_noticed(bench):
    assert bench.take(usage(1)).accepted == 1
    view = bench.catalog.view()
    del view.servers["sv_0"]
    view.version += 1
    assert bench.code(usage(2)) == RejectReason.UNKNOWN_SUBJECT


def later(minutes):
    return NOW - timedelta(hours=2) + timedelta(minutes=minutes)


def test_readings_of_one_batch_are_taken_in_the_order_of_their_times(bench):
    receipt = bench.take(reading(3, 700, at=later(10)), reading(1, 100, at=later(0)), reading(2, 150, at=later(5)))
    assert receipt.accepted == 3
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 600


def test_an_older_reading_is_out_of_order(bench):
    bench.take(reading(1, 100, at=later(5)))
    assert bench.code(reading(2, 50, at=later(0))) == RejectReason.OUT_OF_ORDER


def test_the_same_time_and_value_is_a_duplicate_and_another_value_a_conflict(bench):
    bench.take(reading(1, 100))
    assert bench.take(reading(2, 100)).duplicates == 1
    assert bench.code(reading(3, 101)) == RejectReason.CONFLICT


def test_a_retried_reading_is_a_duplicate_even_when_newer_ones_came(bench):
    bench.take(reading(1, 100, at=later(0)), reading(2, 300, at=later(5)))
    assert bench.take(reading(1, 100, at=later(0))).duplicates == 1
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 200


@pytest.mark.parametrize("data", [
    {"bytes_in_total": None}, {"bytes_in_total": -1}, {"bytes_in_total": 2**64},
    {"bytes_in_total": 2**32, "counter_bits": 32}, {"bytes_in_total": 1, "since": NOW + timedelta(seconds=1)},
])
def test_readings_out_of_bounds_are_invalid(bench, data):
    event = Event("r", "probe", READING_TYPE, "server/sv_0", NOW, EventData(**data))
    assert bench.code(event) == RejectReason.INVALID


def test_a_counter_of_two_to_the_64_is_counted_to_the_byte(bench):
    bench.take(reading(1, 0, at=later(0)), reading(2, 2**64 - 1, at=later(17), out=5))
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 2**64 - 1


def test_a_reset_counts_only_what_since_proves(bench):
    bench.take(reading(1, 1000, at=later(0)))
    bench.take(reading(2, 40, at=later(10)))
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 0
    bench.take(reading(3, 30, at=later(20), since=later(15)))
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 30


def test_counters_go_on_after_a_restart(bench, tmp_path):
    bench.take(reading(1, 100, at=later(0)))
    bench.intake.close()
    bench.journal.close()
    bench.journal = SqliteJournal(tmp_path / "journal")
    bench.intake = Intake(bench.catalog, bench.journal, bench.clock, Mark())
    bench.take(reading(2, 130, at=later(5)))
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 30


def test_when_the_disk_is_full_nothing_is_kept_and_the_retry_counts(bench, monkeypatch):
    def full(*_):
        raise DiskFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(bench.journal, "_commit", full)
        with pytest.raises(DiskFullError):
            bench.take(usage(1), *[usage(n) for n in range(2, 40)])
        with pytest.raises(DiskFullError):
            bench.take(reading(1, 5))
    assert bench.take(*[usage(n) for n in range(1, 40)]).accepted == 39
    assert bench.take(reading(1, 5)).accepted == 1


def test_long_stretches_by_the_hundred_are_journaled_in_rows_that_fold_can_take(bench, monkeypatch):
    monkeypatch.setattr(accept_module, "SLOTS_A_ROW", 1000)
    first = bench.journal.mark().position
    events = [usage(n, duration_s=86400, time=NOW - timedelta(days=2), bytes_in=7) for n in range(40)]
    readings = [reading(1, 100, at=NOW - timedelta(days=30)), reading(2, 30_000, at=NOW - timedelta(days=1))]
    assert bench.take(*events, *readings).accepted == 42
    assert bench.journal.mark().position > first + 5
    assert bench.total(kind=Kind.SERVER, object="sv_0")[0] == 40 * 7 + 29_900
    assert bench.take(*events, *readings).duplicates == 42


def test_too_much_waiting_is_busy(bench, monkeypatch):
    monkeypatch.setattr(intake_module, "EVENTS_QUEUED", 10)
    with pytest.raises(BusyError):
        bench.take(*[usage(n) for n in range(11)])


def test_catching_up_takes_all_that_is_there_however_small_its_portions(bench, monkeypatch):
    monkeypatch.setattr(accept_module, "SLOTS_A_ROW", 1000)
    monkeypatch.setattr(fold_module, "SLOTS_A_FOLD", 1000)
    bench.take(*[usage(n, duration_s=86400, time=NOW - timedelta(days=2), bytes_in=7) for n in range(40)])
    assert catch_up(bench.journal, bench.store) == bench.journal.mark()


def test_every_outcome_is_counted(bench):
    bench.take(usage(1), usage(2), usage(3, "server/nobody"))
    bench.take(usage(1), usage(4, time=NOW + timedelta(hours=1)))
    assert bench.intake.outcomes() == {"accepted": 2, "duplicate": 1, "unknown_subject": 1, "in_future": 1}


def test_the_watermark_waits_for_the_fold(bench):
    assert bench.intake.watermark_us() == NOW_US
    bench.take(usage())
    bench.clock.at_us += 5_000_000
    assert bench.intake.watermark_us() == NOW_US
    catch_up(bench.journal, bench.store)
    bench.intake.note_folded(bench.store.mark())
    assert bench.intake.watermark_us() == NOW_US + 5_000_000


amounts = st.none() | st.integers(0, 2**53 - 1)


@given(st.lists(st.builds(
    Event,
    id=st.text(min_size=1, max_size=20), source=st.text(min_size=1, max_size=5), type=st.just(USAGE_TYPE),
    subject=st.just("server/sv_0"),
    time=st.datetimes(datetime(1972, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  bounds are naive
    data=st.builds(EventData, bytes_in=amounts, bytes_out=amounts, requests=amounts,
                   duration_s=st.none() | st.integers(0, 400 * 86400)),
), min_size=1, max_size=30))
def test_few_and_many_events_become_the_same_rows(events):
    places = [(number % 7 + 1, "org") for number in range(len(events))]
    assert np.array_equal(few_rows(events, places), many_rows(events, places))
