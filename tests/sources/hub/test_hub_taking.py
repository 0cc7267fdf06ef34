"""What becomes of syncs and starts: counted once, over the right time, for the right app."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hub import CLIENT_ID, FOREIGN_ID, SECOND_ID, HubBench, row, startup, sync, uuid_of
from support.message_bench import NOW_S, at_us
from weighbridge.domain.errors import DiskFullError
from weighbridge.domain.spread import spread
from weighbridge.metering import intake as intake_module
from weighbridge.model import Endpoint, Kind
from weighbridge.storage.catalog.store import SqlCatalog


@pytest.fixture
def hub(tmp_path):
    made = HubBench(tmp_path / "journal", environments=3, consumers=20)
    yield made
    made.finish()


def names(faults):
    return [(fault["type"], tuple(fault["loc"])) for fault in faults.json()["detail"]]


def test_counts_are_in_out_and_requests_of_the_endpoint(hub):
    assert hub.taken(0, row(3, 10, 20, consumer="alice"), row(1, 1, 2, consumer="alice", status_code=404),
                     row(5, path="/items/:id", method="post")) == {"accepted": 3, "duplicates": 0}
    assert hub.endpoint(consumer=1) == {0: (11, 22, 4)}
    assert hub.endpoint(method="POST", path="/items/:id") == {0: (0, 0, 5)}


def test_counts_cover_the_time_since_the_instances_sync_before(hub):
    hub.taken(-900, row(4), message=1)
    hub.taken(-300, row(10), message=2)
    hub.taken(0, row(7), message=3)
    assert hub.requests() == {-900: 4 + 5, -600: 5, -300: 7}


def test_empty_syncs_move_the_time(hub):
    hub.taken(-900, message=1)
    assert hub.taken(-300, message=2) == {"accepted": 0, "duplicates": 0}
    hub.taken(0, row(10), message=3)
    assert hub.requests() == {-300: 10}


def test_a_first_sync_counts_from_its_start(hub):
    hub.start(-600)
    hub.taken(0, row(10))
    assert hub.requests() == {-600: 5, -300: 5}


def test_a_first_sync_without_a_start_counts_at_its_timestamp(hub):
    hub.taken(-1, row(10))
    assert hub.requests() == {-300: 10}


def test_a_first_sync_that_overtakes_its_start_counts_at_its_timestamp_and_the_next_from_the_start(hub):
    hub.taken(-600, row(1), message=1)
    hub.start(-599)
    hub.taken(1, row(10), message=2)
    assert hub.requests() == {-600: 1 + 5, -300: 5}


def test_an_older_sync_counts_at_its_own_timestamp(hub):
    hub.taken(-300, row(1), message=1)
    hub.taken(-900, row(2), message=2)
    hub.taken(0, row(4), message=3)
    assert hub.requests() == {-900: 2, -300: 1 + 4}


def test_a_restarted_app_with_the_same_instance_counts_from_its_new_start(hub):
    hub.start(-3600)
    hub.taken(-3000, row(2), message=1)
    hub.start(-600)
    hub.taken(0, row(10), message=2)
    hub.taken(300, row(3), message=3)
    assert hub.requests() == {-3600: 1, -3300: 1, -600: 5, -300: 5, 0: 3}


def test_two_instances_have_their_own_time(hub):
    hub.start(-900, instance=1)
    hub.start(-300, instance=2)
    hub.taken(0, row(9), message=1, instance=1)
    hub.taken(0, row(1), message=2, instance=2)
    hub.taken(300, row(2), message=3, instance=1)
    assert hub.requests() == {-900: 3, -600: 3, -300: 3 + 1, 0: 2}


def test_a_retry_after_newer_syncs_counts_nothing(hub):
    for number, seconds in enumerate((-900, -600, -300)):
        hub.taken(seconds, row(10), message=number)
    before = hub.requests()
    assert hub.taken(-900, row(10), message=0) == {"accepted": 0, "duplicates": 1}
    hub.taken(0, row(3), message=9)
    assert hub.requests() == before | {-300: 3}


def test_a_retry_after_a_restart_of_the_server_counts_nothing(hub):
    hub.start(-900)
    hub.taken(-600, row(10), message=1)
    hub.reopen()
    assert hub.taken(-600, row(10), message=1) == {"accepted": 0, "duplicates": 1}
    hub.taken(0, row(4), message=2)
    hub.reopen()
    assert hub.taken(0, row(4), message=2)["duplicates"] == 1
    assert hub.requests() == {-900: 10, -600: 2, -300: 2}


@pytest.mark.parametrize("other", [
    {"timestamp": NOW_S - 1}, {"requests": [row(8)]}, {"requests": [row(7), row(1)]}, {"instance_uuid": uuid_of(2)},
])
def test_the_same_message_with_other_content_is_refused(hub, other):
    hub.taken(0, row(7))
    for _ in range(2):
        answer = hub.post("sync", sync(0, row(7), **other))
        assert answer.status_code == 422
        assert names(answer) == [("conflict", ("body", "message_uuid"))]
        assert "accepted before, with other content" in answer.json()["detail"][0]["msg"]
        hub.reopen()
    assert hub.taken(0, row(7))["duplicates"] == 1
    assert hub.requests() == {0: 7}


def test_the_same_message_for_another_environment_is_other_content(hub):
    hub.taken(0, row(7))
    assert hub.post("sync", sync(0, row(7)), env="test").status_code == 422


def test_two_apps_never_meet(hub):
    """The same ids of messages and instances, in one organization or two."""
    for number, client_id in enumerate((CLIENT_ID, SECOND_ID, FOREIGN_ID)):
        for seconds in (-900, 0):
            answer = hub.post("sync", sync(seconds, row(10), message=seconds), client_id)
            assert answer.json() == {"accepted": 1, "duplicates": 0}
        app = (1, 3, 2)[number]
        assert sum(hub.requests(app).values()) == 20
        assert min(hub.requests(app)) == -900


@pytest.mark.parametrize("bad", [{"request_count": -1}, {"response_size_sum": 2**53}, {"request_size_sum": "1"}])
def test_one_bad_row_refuses_the_whole_sync_and_leaves_the_time_where_it_was(hub, bad):
    hub.start(-900)
    answer = hub.post("sync", sync(-300, row(1), row(**bad)))
    assert answer.status_code == 422
    assert names(answer)[0][1] == ("body", "requests", 1, next(iter(bad)))
    assert hub.catalog.view().series_by_key == {}
    hub.taken(0, row(9))
    assert hub.requests() == {-900: 3, -600: 3, -300: 3}


@pytest.mark.parametrize("rows", [[], [row(5)]], ids=["empty", "with counts"])
def test_a_clock_far_ahead_is_refused_and_does_not_make_the_rest_older(hub, rows):
    hub.taken(-600, message=1)
    answer = hub.post("sync", sync(301, *rows, message=2))
    assert (answer.status_code, names(answer)) == (422, [("value_error", ("body", "timestamp"))])
    assert hub.taken(300, row(9), message=3)["accepted"] == 1
    assert hub.requests() == {-600: 3, -300: 3, 0: 3}


def test_a_start_enters_environment_endpoints_and_framework(hub):
    answer = hub.post("startup", startup(("get", "/x"), ("OPTIONS", "/x"), ("GET", "/a\n")), env="qa-1")
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    view = hub.catalog.view()
    assert set(view.environments_of[1]) == {"qa-1"}
    assert set(view.endpoints_of[1]) == {Endpoint("GET", "/x"), Endpoint("OPTIONS", "/x")}
    assert view.apps[1].framework == "python:starlette"
    assert passed_over(hub, "endpoint") == 1


def test_a_start_that_tells_nothing_new_writes_nothing_but_the_time(hub, monkeypatch):
    hub.post("startup", startup(("get", "/x")))
    for name in ("enter_environment", "enter_endpoints", "describe_app"):
        monkeypatch.setattr(hub.catalog, name, None)
    assert hub.post("startup", startup(("GET", "/x"), client=None)).status_code == 202


def test_a_start_without_room_for_its_environment_is_taken(hub):
    for env in ("a", "b", "c", "d"):
        assert hub.post("startup", startup(), env=env).status_code == 202
    assert hub.post("sync", sync(0, row(4)), env="d").json()["accepted"] == 1
    assert hub.requests(environment=None, method=None, path=None) == {0: 4}


def test_consumers_are_described_when_something_of_them_is_new(hub, monkeypatch):
    told = [{"identifier": "alice", "name": "Alice", "group": None}, {"identifier": "auth0|1", "name": None, "group": "staff"}]
    hub.taken(0, row(consumer="alice"), consumers=told)
    found = {each.identifier: (each.name, each.group) for each in hub.catalog.view().consumers.values()}
    assert found == {"alice": ("Alice", None), "auth0|1": (None, "staff")}
    monkeypatch.setattr(hub.catalog, "describe_consumers", None)
    hub.taken(1, consumers=[*told, {"identifier": "alice", "name": None, "group": None}], message=2)
    assert hub.post("sync", sync(2, row(-1), consumers=[{"identifier": "bob", "name": "Bob"}], message=3)).status_code == 422
    assert "bob" not in hub.catalog.view().consumers_of[1]


def test_what_a_retry_says_of_consumers_is_heard(hub, monkeypatch):
    """The counts were kept and the catalog's disk failed: the client sends it again."""
    told = sync(0, row(consumer="alice"), consumers=[{"identifier": "alice", "name": "Alice"}])

    def full(*_):
        raise DiskFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(hub.catalog, "describe_consumers", full)
        answer = hub.post("sync", told)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert hub.post("sync", told).json() == {"accepted": 0, "duplicates": 1}
    assert hub.catalog.view().consumers[1].name == "Alice"
    assert hub.requests(consumer=1) == {0: 1}


def passed_over(hub, what):
    return hub.services.metrics.registry.get_sample_value("weighbridge_passed_over_total", {"source": "hub", "what": what})


def test_names_that_cannot_be_kept_are_counted_as_passed_over(hub):
    told = sync(0, row(7, path="/" * 1025), row(1, consumer="auth0", method="123", path="GET", status_code=None))
    for _ in range(2):
        assert hub.post("sync", told).status_code == 202
    assert hub.requests(method=None, path=None) == {0: 8}
    assert passed_over(hub, "name") == 2


def test_logs_count_nothing_and_are_not_looked_at(hub):
    for body in (b"\x1f\x8b nonsense", b""):
        answer = hub.post(f"log?uuid={uuid_of(1)}", body)
        assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    assert hub.journal.mark().totals.events == 0
    assert passed_over(hub, "log") == 2


def test_nothing_is_kept_while_the_disk_is_full_and_the_retry_counts(hub, monkeypatch):
    def full(*_):
        raise DiskFullError("no room on /secret/path")

    hub.start(-600)
    with monkeypatch.context() as patch:
        patch.setattr(hub.journal, "_commit", full)
        for what, body in (("sync", sync(0, row(10))), ("sync", sync(0)), ("startup", startup())):
            answer = hub.post(what, body)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "secret" not in answer.text
    assert hub.taken(0, row(10)) == {"accepted": 1, "duplicates": 0}
    assert hub.requests() == {-600: 5, -300: 5}


def test_too_much_waiting_is_503(hub, monkeypatch):
    monkeypatch.setattr(intake_module, "EVENTS_QUEUED", 2)
    answer = hub.post("sync", sync(0, row(), row()))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert "nothing of this request was kept" in answer.json()["detail"]
    assert hub.taken(0, row())["accepted"] == 1


def test_an_app_that_is_deleted_on_the_way_is_not_found(hub, monkeypatch):
    app = hub.catalog.view().apps[1]
    real = hub.intake.submit

    def deleted(message, done):
        del hub.catalog.view().apps[1]
        hub.catalog.view().version += 1
        real(message, done)

    with monkeypatch.context() as patch:
        patch.setattr(hub.intake, "submit", deleted)
        answer = hub.post("sync", sync(0, row()))
    assert answer.status_code == 404
    assert "client id" in answer.json()["detail"]
    hub.catalog.view().apps[1] = app


# The law: over any order, retries, restarts of app and server, and two instances.

seconds = st.integers(-12, 2).map(lambda part: part * 150) | st.floats(-3000, 300).map(lambda s: round(s, 3))
counts = st.lists(st.tuples(*[st.integers(0, 2**53 - 1)] * 3), max_size=3)
instances = st.sampled_from([1, 1, 2])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("sync"), seconds, instances, counts),
        st.tuples(st.just("start"), st.integers(-3000, 0), instances, st.just([])),
        st.tuples(st.sampled_from(["retry", "restart"]), st.integers(0, 20), st.just(1), st.just([])),
    ),
    min_size=2,
    max_size=12,
)


class Referee:
    """The contract in its own words: it keeps every sync of an instance, and looks through all of them each time."""

    def __init__(self):
        self.syncs: dict[int, list[tuple[int, bool]]] = {1: [], 2: []}  # when, and whether it was the newest then
        self.starts: dict[int, list[tuple[int, int]]] = {1: [], 2: []}  # when, and how many newest syncs came before
        self.slots: dict[int, list[int]] = {}

    def start(self, instance, told_us):
        self.starts[instance].append((told_us, sum(newest for _, newest in self.syncs[instance])))

    def sync(self, instance, told_us, rows):
        earlier = [when for when, _ in self.syncs[instance]]
        is_newest = all(when < told_us for when in earlier)
        since_us = told_us
        if is_newest:
            newest_syncs = sum(newest for _, newest in self.syncs[instance])
            newest_start = max(self.starts[instance], default=None)
            if newest_start is not None and newest_start[1] == newest_syncs:
                earlier.append(newest_start[0])
            since_us = max((when for when in earlier if when < told_us), default=told_us)
        for amounts in rows:
            for column, amount in enumerate(amounts):
                for start_s, part in spread(amount, since_us, told_us):
                    self.slots.setdefault(start_s - NOW_S, [0, 0, 0])[column] += part
        self.syncs[instance].append((told_us, is_newest))


@settings(deadline=None, max_examples=100)
@given(plan=steps)
def test_every_distinct_sync_counts_once_over_the_time_that_it_covers(tmp_path_factory, plan):
    hub = HubBench(tmp_path_factory.mktemp("law") / "journal")
    referee, heard = Referee(), []
    try:
        for number, (kind, second, instance, rows) in enumerate(plan):
            if kind == "restart":
                hub.reopen()
            elif kind == "retry":
                if heard:
                    answer = hub.post("sync", heard[second % len(heard)])
                    assert (answer.status_code, answer.json()["accepted"]) == (202, 0)
            elif kind == "start":
                hub.start(second, instance)
                referee.start(instance, at_us(second))
            else:
                told_rows = [row(requests, received, sent) for received, sent, requests in rows]
                told = sync(second, *told_rows, message=number, instance=instance)
                assert hub.post("sync", told).json() == {"accepted": len(rows), "duplicates": 0}
                referee.sync(instance, round(told["timestamp"] * 10**6), rows)
                heard += [told] if rows else []
        assert hub.endpoint() == {start_s: tuple(amounts) for start_s, amounts in referee.slots.items() if any(amounts)}
    finally:
        hub.finish()


def test_the_real_catalog_takes_what_a_client_tells(tmp_path):
    """The catalog in memory above is a stand-in; this is the one that is served."""
    hub = HubBench(tmp_path / "journal")
    catalog = SqlCatalog(tmp_path / "catalog.sqlite", hub.clock)
    app = {"id": 1, "name": "shop-api", "client_id": CLIENT_ID.upper()}
    catalog.apply({"organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "apps": [app]}]})
    hub.catalog = catalog
    hub.reopen()
    assert hub.post("startup", startup(("get", "/x"))).status_code == 202
    alice = {"identifier": "alice", "name": "Alice", "group": "g"}
    assert hub.taken(0, row(3, consumer="alice"), consumers=[alice])["accepted"] == 1
    hub.close()
    catalog.close()
    again = SqlCatalog(tmp_path / "catalog.sqlite", hub.clock)
    view = again.view()
    (consumer,) = view.consumers.values()
    assert (consumer.identifier, consumer.name, consumer.group) == ("alice", "Alice", "g")
    assert list(view.endpoints_of[1]) == [Endpoint("GET", "/x")]
    assert (view.apps[1].framework, view.apps_by_client_id) == ("python:starlette", {CLIENT_ID: 1})
    assert {(key.kind, key.path, key.consumer) for key in view.series_by_key} == {(Kind.APP, "/x", consumer.id)}
    again.close()
    hub.catalog = None
