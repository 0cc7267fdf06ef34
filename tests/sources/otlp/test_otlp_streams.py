"""Laws 8 to 15 on exports, through a real intake and journal, with a naive referee."""

from __future__ import annotations

import tempfile
from collections import Counter
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.catalog import MemoryCatalog, acme
from support.clock import HandClock
from support.kit import services_with
from support.otlp import (
    CUMULATIVE,
    DELTA,
    DURATION,
    GET_ITEMS,
    NOW_S,
    RECEIVED,
    SENT,
    encode,
    export,
    joined,
    metric,
    point,
)
from weighbridge.domain.errors import NotAuthenticatedError
from weighbridge.http.route import Call
from weighbridge.measurement import Mark
from weighbridge.metering import messages
from weighbridge.metering.fold import catch_up
from weighbridge.metering.intake import Intake
from weighbridge.model import END_S, WriteToken
from weighbridge.ports import Members
from weighbridge.sources.otlp.answers import answer_export
from weighbridge.sources.otlp.decode import JSON, PROTOBUF
from weighbridge.sources.otlp.routes import post_metrics
from weighbridge.storage.journal.store import SqliteJournal
from weighbridge.storage.memory import MemoryStore

TOKENS = ("apt_" + "aB3d" * 6, "apt_" + "zZ9y" * 6)
"""Both of app 1."""
EVER_S = NOW_S + 10 * 86400


class Site:
    """The route over an intake with a real journal, which can be closed and opened again."""

    def __init__(self, folder, *, consumers=100) -> None:
        self.folder = folder
        view = acme()
        for number, token in enumerate(TOKENS):
            digest = sha256(token.encode()).hexdigest()
            view.write_tokens_by_sha256[digest] = WriteToken(f"wt_{number}", digest, 1)
        self.catalog = MemoryCatalog(view, consumers=consumers)
        self.store = MemoryStore()
        self.clock = HandClock((NOW_S + 86400) * 10**6)
        self._open()

    def _open(self):
        self.journal = SqliteJournal(self.folder)
        self.intake = Intake(self.catalog, self.journal, self.clock, Mark())

    def close(self):
        self.intake.close()
        self.journal.close()

    def restart(self):
        self.close()
        self._open()

    def send(self, told, media_type=PROTOBUF, token=TOKENS[0], **headers):
        """What the answer complains of; empty: all of it was taken."""
        body = told if isinstance(told, bytes) else encode(told, media_type)
        services = services_with(self.catalog.view(), self.clock, intake=self.intake)
        headers = {"authorization": f"Bearer {token}", "content-type": media_type, **headers}
        answer = post_metrics(Call(services, "POST", "/v1/metrics", {}, (), headers, body, None))
        assert (answer.status, answer.content_type) == (200, media_type)
        return "" if answer == answer_export(media_type) else answer.body.decode("utf-8", "replace")

    def sums(self, start_s=0, end_s=EVER_S):
        """Requests, bytes in, bytes out of all series together."""
        numbers = tuple(self.catalog.view().series)
        return self._sums(numbers, start_s, end_s)

    def _sums(self, numbers, start_s=0, end_s=EVER_S):
        catch_up(self.journal, self.store)
        zeros = (0,) * len(numbers)
        found = self.store.sums(Members(numbers, zeros, zeros, (END_S,) * len(numbers)), start_s, end_s, 0)
        return tuple(column[0] if column else None for column in (found.requests, found.bytes_in, found.bytes_out))

    def requests_by(self, dimension):
        """Requests by a dimension of the series."""
        counted = Counter()
        for number, series in self.catalog.view().series.items():
            counted[getattr(series.key, dimension)] += self._sums((number,))[0] or 0
        return {name: count for name, count in counted.items() if count}


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "journal")
    yield made
    made.close()


def total(count, start=-3600, time=0, resource=None, **fields):
    """An export of one cumulative point."""
    told = metric(DURATION, point(start, time, count=str(count), **fields), temporality=CUMULATIVE)
    return export(told, resource=resource)


def delta(count, start=-15, time=0, **fields):
    return export(metric(DURATION, point(start, time, count=str(count), **fields)))


def test_delta_points_are_usage_over_their_stretch(site):
    told = export(
        metric(DURATION, point(-600, 0, count="10")), metric(RECEIVED, point(-600, 0, sum=100.0)),
        metric(SENT, point(-600, 0, sum=1001.0)),
    )
    assert site.send(told) == ""
    assert site.sums() == (10, 100, 1001)
    assert site.sums(NOW_S - 600, NOW_S - 300) == (5, 50, 501)


def test_a_delta_without_a_start_is_usage_at_its_instant(site):
    assert site.send(delta(10, None, 0)) == ""
    assert site.sums(NOW_S, NOW_S + 300) == (10, None, None)


@pytest.mark.parametrize("told", [delta(10), total(10)], ids=["delta", "cumulative"])
def test_the_same_body_counts_once_with_one_token_also_after_a_restart(site, told):
    for _ in range(2):
        assert site.send(told) == site.send(told) == ""
        site.restart()
    assert site.sums()[0] == 10


def test_the_same_body_with_another_token_is_another_export(site):
    assert site.send(delta(10)) == site.send(delta(10), token=TOKENS[1]) == ""
    assert site.sums()[0] == 20


def test_the_same_body_with_another_environment_is_the_same(site):
    assert site.send(delta(10)) == site.send(delta(10), **{"apitally-env": "dev"}) == ""
    assert site.sums()[0] == 10


def test_a_token_whose_app_is_gone_lets_nothing_in(site):
    """Deleting an app revokes its tokens; a view that still has one opens nothing all the same."""
    apps = site.catalog.view().apps
    apps[1] = msgspec.structs.replace(apps[1], deleted_at_s=NOW_S)
    with pytest.raises(NotAuthenticatedError):
        site.send(delta(10))
    del apps[1]
    with pytest.raises(NotAuthenticatedError):
        site.send(delta(10))


def test_a_new_stream_counts_whole_since_its_start_and_then_its_deltas(site):
    site.send(total(12, -3600, 0))
    assert site.sums() == (12, None, None)
    assert site.sums(NOW_S - 3600, NOW_S - 3300)[0] == 1, "spread over the hour"
    site.send(total(15, -3600, 60))
    assert (site.sums()[0], site.sums(NOW_S, NOW_S + 300)[0]) == (15, 3)
    site.send(total(15, -3600, 120))
    assert site.sums()[0] == 15


def test_a_restarted_app_counts_from_its_new_start(site):
    for told in (total(12, -3600, 0), total(4, 10, 60), total(6, 10, 120)):
        assert site.send(told) == ""
    assert site.sums()[0] == 12 + 6
    assert site.sums(NOW_S, NOW_S + 300)[0] == 6


def test_a_restart_of_the_server_changes_nothing(site):
    site.send(total(12, -3600, 0))
    site.restart()
    site.send(total(15, -3600, 60))
    assert site.sums()[0] == 15
    site.restart()
    site.send(total(7, 65, 120))
    assert site.sums()[0] == 15 + 7


@pytest.mark.parametrize("resources", [({}, {}), ({"service.instance.id": "a"}, {"service.instance.id": "b"})])
def test_two_instances_never_count_as_one(site, resources):
    """Without an id of theirs nothing but their starts tells them apart: two workers of one server."""
    starts = (-3600, -3599.999) if resources[0] == resources[1] else (-3600, -3600)
    counts = ((10, 3), (12, 3), (12, 9), (40, 11))
    for time, pair in enumerate(counts):
        for start, resource, count in zip(starts, resources, pair, strict=True):
            assert site.send(total(count, start, time, resource)) == ""
    assert site.sums()[0] == 40 + 11


def test_a_decrease_with_the_same_start_counts_nothing_and_begins_anew(site):
    """Law 11: the start does not say that it began again, so what was lost is not invented."""
    for count, time in ((100, 0), (30, 60), (45, 120)):
        assert site.send(total(count, -3600, time)) == ""
    assert site.sums()[0] == 100 + 15


def test_the_same_point_in_another_body_is_a_duplicate(site):
    """Law 13."""
    site.send(total(10))
    assert site.send(joined(total(10), delta(1))) == ""
    assert site.sums()[0] == 11
    assert "another value at the same time" in site.send(joined(total(11), delta(0)))
    assert site.sums()[0] == 11


def test_an_older_point_is_refused_and_covered_by_the_newer_one(site):
    site.send(total(15, -3600, 60))
    assert "1 data points were not counted: this counter was read at a later time already" in site.send(total(12, -3600, 0))
    site.send(total(16, -3600, 120))
    assert site.sums()[0] == 16


def test_points_of_one_body_are_taken_in_the_order_of_their_times(site):
    told = metric(DURATION, *[point(-3600, t, count=str(100 + t)) for t in (60, 0, 30)], temporality=CUMULATIVE)
    assert site.send(export(told)) == ""
    assert site.sums()[0] == 160


@pytest.mark.parametrize("start", [None, 0], ids=["no start", "start at its first time"])
def test_a_stream_of_unknown_start_bills_nothing_at_first(site, start):
    """Law 8."""
    assert site.send(total(1000, start, 0)) == ""
    assert site.sums() == (0, None, None)
    site.send(total(1003, start, 60))
    site.send(total(1007, start, 120))
    assert site.sums()[0] == 7
    assert site.sums(NOW_S, NOW_S + 300)[0] == 7


def test_a_stream_of_unknown_start_that_decreases_begins_anew(site):
    for count, time in ((1000, 0), (40, 60), (41, 120)):
        site.send(total(count, None, time))
    assert site.sums()[0] == 1


def test_a_start_longer_ago_than_may_be_told_is_a_baseline(site):
    assert site.send(total(10**6, -401 * 86400, 0)) == ""
    assert site.send(total(10**6 + 5, -401 * 86400, 60)) == ""
    assert site.sums()[0] == 5


def test_streams_of_other_attributes_add_up_in_one_series(site):
    for count, code in ((10, 200), (3, 404), (10, 500)):
        site.send(total(count, attributes_={**GET_ITEMS, "http.response.status_code": code}))
    site.send(total(4, time=60, attributes_={**GET_ITEMS, "http.response.status_code": 404}))
    assert site.requests_by("path") == {"/items/{id}": 24}
    assert len(site.catalog.view().series) == 1


def test_a_gap_is_spread_to_the_byte(site):
    """Law 12."""
    for count, time in ((10, 0), (10 + 7, 3 * 300)):
        site.send(total(count, -300, time))
    assert [site.sums(NOW_S + at, NOW_S + at + 300)[0] for at in (0, 300, 600)] == [3, 2, 2]


def test_totals_of_bytes_and_requests_are_counters_apart(site):
    def told(time, count, received, sent):
        return export(*[
            metric(name, point(-3600, time, count=str(count), sum=float(amount)), temporality=CUMULATIVE)
            for name, amount in ((DURATION, 1), (RECEIVED, received), (SENT, sent))
        ])

    site.send(told(0, 12, 0, 2**53))
    site.send(told(60, 13, 5, 2**53 + 2))
    assert site.sums() == (13, 5, 2**53 + 2)


def test_a_counter_that_moves_to_another_series_goes_on(site, tmp_path):
    """A consumer beyond the bound is counted without its name; once there is room, its counter is not new again."""
    small = Site(tmp_path / "small", consumers=0)
    who = {**GET_ITEMS, "apitally.consumer.identifier": "alice"}
    small.send(total(10, attributes_=who))
    assert small.requests_by("consumer") == {None: 10}
    small.catalog._most["consumers"] = 1
    small.catalog.view().version += 1
    small.send(total(13, time=60, attributes_=who))
    assert small.requests_by("consumer") == {None: 10, 1: 3}
    small.close()


def test_new_counters_that_cover_too_many_slots_count_from_now_on(site, monkeypatch):
    """Otherwise every export of theirs would be refused, for ever."""
    monkeypatch.setattr(messages, "SLOTS_A_MESSAGE", 100)
    told = joined(*[total(10, -86400, 0, {"service.instance.id": name}) for name in "ab"], delta(7))
    assert "began too long ago" in site.send(told)
    assert site.sums()[0] == 7
    assert site.send(told) == ""
    assert site.sums()[0] == 7, "and the same body again is a duplicate"
    assert site.send(joined(*[total(12, -86400, 60, {"service.instance.id": name}) for name in "ab"])) == ""
    assert site.sums()[0] == 11


@pytest.mark.parametrize(("told", "reason", "points"), [
    (delta(1, 0, 86400 + 301), "5 minutes ahead", 1),
    (total(1, 0, 86400 + 301), "5 minutes ahead", 1),
    (delta(1, 10, 0), "the start lies after the end", 1),
    (total(1, 10, 0), "the start lies after the end", 1),
    (delta(1, -401 * 86400, 0), "400 days", 1),
    (delta(2**63), "an amount is larger than", 1),
    (export(metric(SENT, point(sum=1e300))), "an amount is larger than", 1),
    (export(metric(SENT, point(-1, 0, sum=1e300), temporality=CUMULATIVE)), "bytes_out lies outside", 1),
    (delta(1, attributes_={"apitally.consumer.identifier": "x" * 256}), "consumer has 256 characters", 1),
    (delta(1, attributes_={**GET_ITEMS, "http.route": "/\n"}), "control character", 1),
    (delta(1, attributes_={**GET_ITEMS, "http.request.method": "G" * 33}), "method has 33 characters", 1),
    (export(metric(DURATION, point(1, 0, count="1")), metric(RECEIVED, point(1, 0)), metric(SENT, point(1, 0))), "after", 3),
])
@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_what_the_intake_refuses_is_told_and_the_rest_counts(site, told, reason, points, media_type):
    answered = site.send(joined(told, delta(5)), media_type)
    assert reason in answered
    assert f"{points} data points were not counted" in answered
    assert site.sums()[0] == 5


COUNTS = st.integers(0, 5) | st.integers(0, 10**6)
INSTANCES = st.sampled_from(["", "a", "b"])


@st.composite
def lives(draw):
    """Processes of an app: each begins somewhere and tells its total now and then; two may live at the same time."""
    told = []
    for number in range(draw(st.integers(1, 4))):
        start_ms = draw(st.integers(-7_200_000, 0)) * 10 + number  # no two of one instance begin in the same millisecond
        resource = {"service.instance.id": name} if (name := draw(INSTANCES)) else {}
        count, time_ms = 0, start_ms
        for _ in range(draw(st.integers(1, 5))):
            count += draw(COUNTS)
            time_ms += draw(st.integers(1, 3_600_000))
            told.append((number, count, start_ms / 1000, time_ms / 1000, resource))
    return told


@st.composite
def deliveries(draw):
    """Bodies of such readings, and deltas beside them: in any order, some never, some again, with restarts between."""
    readings = draw(lives())
    deltas = [(None, draw(COUNTS), time - 15, time, {}) for time in draw(st.sets(st.integers(-3600, 3600), max_size=5))]
    everything = draw(st.permutations(readings + deltas))
    cuts = sorted(draw(st.lists(st.integers(0, len(everything)), max_size=6)))
    bodies = [tuple(everything[a:b]) for a, b in zip([0, *cuts], [*cuts, len(everything)], strict=True) if a < b]
    again = draw(st.lists(st.sampled_from([*bodies, *[(reading,) for reading in readings], None]), max_size=8))
    return draw(st.permutations([*bodies, *again]))


def as_export(number, count, start, time, resource):
    temporality = DELTA if number is None else CUMULATIVE
    return export(metric(DURATION, point(start, time, count=str(count)), temporality=temporality), resource=resource)


def naive(delivered):
    """What is right: of each life the newest total that ever came, and every delta once."""
    newest, deltas = {}, {}
    for body in delivered:
        for number, count, _start, time, _resource in body or ():
            if number is None:
                deltas[time] = count
            elif time >= newest.get(number, (float("-inf"), 0))[0]:
                newest[number] = (time, count)
    return sum(count for _, count in newest.values()) + sum(deltas.values())


@settings(max_examples=60, deadline=None)
@given(deliveries(), st.sampled_from([PROTOBUF, JSON]))
def test_every_life_counts_once_whatever_the_order_and_the_restarts(delivered, media_type):
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            for body in delivered:
                if body is None:
                    site.restart()
                    continue
                site.send(joined(*[as_export(*reading) for reading in body]), media_type)
            assert (site.sums()[0] or 0) == naive(delivered)
        finally:
            site.close()
