"""What clients report as a whole: once, together, or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.message_bench import ACME, APP, NOW_S, SERVER, MessageBench, at_us, beat, codes, message, total, usage
from weighbridge.domain.errors import DiskFullError
from weighbridge.measurement import USAGE_TYPE, Event, EventData, RejectReason
from weighbridge.metering import accept as accept_module
from weighbridge.metering import intake as intake_module
from weighbridge.metering import messages as messages_module
from weighbridge.metering import subjects as subjects_module
from weighbridge.metering.accept import Batch
from weighbridge.metering.subjects import Sender
from weighbridge.model import Kind


@pytest.fixture
def bench(tmp_path):
    made = MessageBench(tmp_path / "journal")
    yield made
    made.close()


def test_figures_are_kept_with_what_is_known_of_them(bench):
    receipt = bench.send(message(
        usage(0, bytes_in=1, bytes_out=2, requests=3),
        usage(0, bytes_in=None, bytes_out=5),
        usage(0, bytes_in=None, environment="prod", consumer="alice", method="get", path="/x", requests=7),
    ))
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (3, 0, ())
    assert bench.slots(**APP) == {0: (1, 7, 3)}
    assert bench.slots(**APP, environment=1, consumer=1, method="GET", path="/x") == {0: (None, None, 7)}


def test_a_stretch_of_its_own_is_kept(bench):
    bench.send(message(usage(-300, start_us=at_us(-900), bytes_in=5)))
    assert bench.slots(**APP) == {-900: (3, None, None), -600: (2, None, None)}


# Identity.


def test_a_retry_counts_nothing_whatever_came_between(bench):
    first = message(usage(), usage(bytes_in=2))
    assert bench.send(first).accepted == 2
    bench.send(message(usage(), message_id="m-2"))
    for _ in range(2):
        assert (bench.send(first).accepted, bench.send(first).duplicates) == (0, 2)
        bench.reopen()
    assert bench.total(**APP)[0] == 4


def test_the_same_id_with_other_content_is_a_conflict_of_each_figure(bench):
    bench.send(message(usage(), usage(bytes_in=2)))
    receipt = bench.send(message(usage(), usage(bytes_in=3)))
    assert (receipt.accepted, codes(receipt)) == (0, [RejectReason.CONFLICT] * 2)
    assert [refusal.index for refusal in receipt.rejected] == [0, 1]
    bench.reopen()
    assert codes(bench.send(message(usage(bytes_in=9)))) == [RejectReason.CONFLICT]
    assert bench.total(**APP)[0] == 3


@pytest.mark.parametrize("other", [{"owner": "org_other"}, {"source": "probe-2"}, {"message_id": "m-2"}])
def test_ids_are_unique_within_owner_and_source(bench, other):
    first = message(usage())
    second = message(usage(), **other)
    assert bench.send(first).accepted == bench.send(second).accepted == 1
    assert bench.send(second).duplicates == 1


def test_without_an_id_nothing_is_remembered_of_it(bench):
    for _ in range(2):
        assert bench.send(message(usage(), message_id=None)).accepted == 1


def test_messages_and_events_of_one_commit_know_of_each_other(bench):
    """The writer finds all of these at once."""
    answers = []
    event = Event("m-1", "probe", USAGE_TYPE, "app/1", datetime.fromtimestamp(NOW_S, UTC), EventData(bytes_in=50))
    with bench.intake._wake:
        for each in (message(usage()), message(usage()), beat(0, usage()), beat(300, usage(300, bytes_in=10)),
                     Batch([event], ACME), message(usage(bytes_in=99))):
            bench.intake.submit(each, answers.append)
    bench.intake.close()
    assert [(a.accepted, a.duplicates, codes(a)) for a in answers] == [
        (1, 0, []), (0, 1, []), (1, 0, []), (1, 0, []), (0, 0, [RejectReason.CONFLICT]), (0, 0, [RejectReason.CONFLICT])]
    assert bench.slots(**APP) == {0: (1 + 1 + 10, None, None)}


# Whole, or figure by figure.

BAD = [
    (usage(301), RejectReason.IN_FUTURE),
    (usage(subject="app/9"), RejectReason.UNKNOWN_SUBJECT),
    (usage(subject="server/sv_other"), RejectReason.UNKNOWN_SUBJECT),
    (usage(subject="cat/1"), RejectReason.INVALID),
    (usage(-NOW_S), RejectReason.INVALID),
    (usage(start_us=at_us(1), bytes_in=1), RejectReason.INVALID),
    (usage(start_us=at_us(-400 * 86400 - 1), bytes_in=1), RejectReason.INVALID),
    (usage(bytes_in=-1), RejectReason.INVALID),
    (usage(requests=2**62 - 1 + 1), RejectReason.INVALID),
    (usage(environment=""), RejectReason.INVALID),
    (usage(environment="x" * 256), RejectReason.INVALID),
    (usage(consumer="x" * 256), RejectReason.INVALID),
    (usage(consumer="a\ud800"), RejectReason.INVALID),
    (usage(method="x" * 33, path="/"), RejectReason.INVALID),
    (usage(method="GET", path="/" * 1025), RejectReason.INVALID),
    (usage(path="/"), RejectReason.INVALID),
    (total(0, 2**64), RejectReason.INVALID),
    (total(0, 1, start_us=at_us(1)), RejectReason.INVALID),
]


@pytest.mark.parametrize(("bad", "code"), BAD)
def test_the_good_figures_of_a_message_are_kept(bench, bad, code):
    receipt = bench.send(message(usage(), bad, usage(bytes_in=2)))
    assert (receipt.accepted, receipt.duplicates) == (2, 0)
    assert [(refusal.index, refusal.id, refusal.code) for refusal in receipt.rejected] == [(1, "m-1", code)]
    assert bench.total(**APP)[0] == 3


@pytest.mark.parametrize(("bad", "code"), BAD)
def test_one_bad_figure_of_a_whole_message_refuses_all(bench, bad, code):
    receipt = bench.send(message(usage(), bad, is_whole=True))
    assert (receipt.accepted, receipt.duplicates, codes(receipt)) == (0, 0, [code])
    assert bench.total(**APP) == (0, 0, 0)
    assert bench.journal.mark().totals.events == 0
    assert bench.send(message(usage(), is_whole=True)).accepted == 1, "its id is free for a better one"


def test_names_that_are_refused_are_not_entered(bench):
    bench.send(message(usage(consumer="x" * 256), usage(environment="y" * 256), usage(method="GET", path="/" * 1025)))
    view = bench.catalog.view()
    assert (view.consumers, view.environments, view.series_by_key) == ({}, {}, {})


def test_too_many_figures_are_refused_by_name(bench, monkeypatch):
    monkeypatch.setattr(messages_module, "MAX_FIGURES", 3)
    monkeypatch.setattr(intake_module, "EVENTS_QUEUED", 8)
    assert bench.send(message(*[usage()] * 3)).accepted == 3
    for count in (4, 40):
        receipt = bench.send(message(*[usage()] * count, message_id="m-2"))
        assert (receipt.accepted, codes(receipt)) == (0, [RejectReason.TOO_MANY] * count)
    assert bench.total(**APP)[0] == 3


def test_the_largest_message_fits_into_the_queue():
    assert messages_module.MAX_FIGURES + 1 <= intake_module.EVENTS_QUEUED


def test_stretches_that_touch_too_many_slots_are_refused_by_name(bench, monkeypatch):
    monkeypatch.setattr(messages_module, "SLOTS_A_MESSAGE", 10)
    long = usage(0, start_us=at_us(-1200), bytes_in=1)  # five, counted generously
    assert bench.send(message(long, long)).accepted == 2
    receipt = bench.send(message(long, long, usage(), message_id="m-2"))
    assert (receipt.accepted, codes(receipt)) == (0, [RejectReason.TOO_MANY] * 3)
    assert bench.total(**APP)[0] == 2


def test_totals_that_become_too_many_rows_are_refused_by_name(bench, monkeypatch):
    monkeypatch.setattr(messages_module, "ROWS_A_MESSAGE", 100)
    month = total(0, 2**64 - 1, start_us=at_us(-30 * 86400))
    receipt = bench.send(message(month, from_start=True))
    assert (receipt.accepted, codes(receipt)) == (0, [RejectReason.TOO_MANY])
    hour = total(0, 2**64 - 1, start_us=at_us(-3600))
    assert bench.send(message(hour, from_start=True)).accepted == 1
    assert bench.total(**SERVER)[0] == 2**64 - 1


# Names beyond the bounds of an app.


def test_a_consumer_too_many_is_left_out_and_its_bytes_are_counted(bench):
    named = [usage(bytes_in=10**n, environment="prod", consumer=name, method="GET", path="/x")
             for n, name in enumerate(("a", "b", "c", "d"))]
    assert bench.send(message(*named, is_whole=True)).accepted == 4
    assert bench.total(**APP, environment=1, method="GET", path="/x")[0] == 1100
    assert bench.intake.coarser() == {"consumer": 2}
    assert bench.send(message(*named, is_whole=True)).duplicates == 4


def test_an_environment_too_many_is_left_out(bench):
    figures = [usage(environment=name, consumer="a") for name in ("e", "f", "g")]
    assert bench.send(message(*figures, is_whole=True)).accepted == 3
    assert bench.total(**APP)[0] == 1
    assert bench.intake.coarser() == {"everything": 1}


def test_an_endpoint_too_many_is_left_out_though_nothing_coarser_is_known(bench, monkeypatch):
    monkeypatch.setattr(subjects_module, "SERIES_PER_APP", 1)
    for n, path in enumerate(("/a", "/b", "/c")):
        figure = usage(environment="prod", method="GET", path=path, bytes_in=10**n)
        assert bench.send(message(figure, is_whole=True, message_id=path)).accepted == 1
    named = usage(environment="prod", consumer="a", method="GET", path="/d", bytes_in=1000)
    assert bench.send(message(named, usage(environment="test", consumer="a"), is_whole=True)).accepted == 2
    assert bench.total(**APP, environment=1, method="GET", path="/a")[0] == 1
    assert bench.total(**APP, environment=1)[0] == 1110
    assert bench.total(**APP, environment=2)[0] == 1


def test_an_asset_too_many_is_counted_for_its_space(bench, monkeypatch):
    monkeypatch.setattr(subjects_module, "SERIES_PER_SPACE", 1)
    for n, path in enumerate(("/a.jpg", "/b.jpg", "/c.jpg")):
        assert bench.send(message(usage(subject="space/123", path=path, bytes_in=n), message_id=path)).accepted == 1
    assert bench.total(kind=Kind.SPACE, object="123")[0] == 3


def test_events_are_still_refused_there(bench, monkeypatch):
    monkeypatch.setattr(subjects_module, "SERIES_PER_APP", 0)
    data = EventData(bytes_in=1, method="GET", path="/x")
    event = Event("e", "s", USAGE_TYPE, "app/1", datetime.fromtimestamp(NOW_S, UTC), data)
    assert codes(bench.intake.take(Batch([event], ACME))) == [RejectReason.TOO_MANY]


def test_a_sender_reaches_what_is_its_own(bench):
    assert codes(bench.send(message(usage(), sender=Sender("org_other")))) == [RejectReason.UNKNOWN_SUBJECT]
    assert bench.send(message(usage(), sender=Sender(None))).accepted == 1


# The disk.


def test_when_the_disk_is_full_nothing_is_kept_and_the_retry_counts(bench, monkeypatch):
    def full(*_):
        raise DiskFullError("no room")

    sync = beat(0, usage(0, bytes_in=10), usage(0, bytes_in=20))
    readings = message(total(-600, 0), total(0, 7), message_id="r")
    bench.send(beat(-600))
    with monkeypatch.context() as patch:
        patch.setattr(bench.journal, "_commit", full)
        for each in (sync, readings, beat(100)):
            with pytest.raises(DiskFullError):
                bench.send(each)
    assert bench.send(sync).accepted == 2
    assert bench.send(readings).accepted == 2
    assert bench.slots(**APP) == {-600: (15, None, None), -300: (15, None, None)}
    assert bench.total(**SERVER)[0] == 7


def test_long_stretches_are_cut_into_rows_of_one_transaction(bench, monkeypatch):
    monkeypatch.setattr(accept_module, "SLOTS_A_ROW", 100)
    long = message(*[usage(0, start_us=at_us(-10 * 3600), bytes_in=1000 + n) for n in range(10)], is_whole=True)
    with monkeypatch.context() as patch:
        patch.setattr(bench.journal, "_insert", FailsAt(bench.journal._insert, 3))
        with pytest.raises(DiskFullError):
            bench.send(long)
    assert bench.journal.mark().position == 0
    assert bench.send(long).accepted == 10
    assert bench.journal.mark().position > 5
    bench.reopen()
    assert bench.send(long).duplicates == 10
    assert bench.total(**APP)[0] == 10_045
    assert bench.journal.check() == []


class FailsAt:
    """A call that works a few times."""

    def __init__(self, real, times):
        self._real = real
        self._left = times

    def __call__(self, *args):
        self._left -= 1
        if not self._left:
            raise DiskFullError("no room")
        self._real(*args)
