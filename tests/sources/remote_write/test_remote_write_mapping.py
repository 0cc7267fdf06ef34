"""Series to readings: which table, whose traffic, what a value says, and what is no reading."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.remote_write import STALE, sent, write_v2
from weighbridge.sources.remote_write.decode import V2, read_series
from weighbridge.sources.remote_write.mapping import Mapped, Outcome, counter_name, make_rules, map_series, read_total
from weighbridge.sources.remote_write.settings import RemoteWriteSettings
from weighbridge.sources.remote_write.template import read_template

if TYPE_CHECKING:
    from weighbridge.metering.messages import Figure

AT_MS = 1_765_728_000_000
NODE = {"metric_in": "rx", "metric_out": "tx", "subject": "server/{instance}"}


def mapped(series: list[Any], *tables: dict[str, Any]) -> Mapped:
    rules = make_rules([msgspec.convert(table, RemoteWriteSettings) for table in tables or (NODE,)])
    return map_series(read_series(write_v2(series), V2), rules)


def one(found: Mapped) -> Figure:
    (figure,) = found.figures
    return figure


def test_receive_and_transmit_of_an_instant_are_one_reading() -> None:
    figure = one(mapped([
        sent("rx", (7, AT_MS), instance="web-1", device="eth0"), sent("tx", (9, AT_MS), instance="web-1", device="eth0"),
    ]))
    assert (figure.subject, figure.bytes_in, figure.bytes_out, figure.requests) == ("server/web-1", 7, 9, None)
    assert (figure.end_us, figure.start_us) == (AT_MS * 1000, None)
    assert figure.counter == counter_name(("rx", "tx"), {"instance": "web-1", "device": "eth0"})


def test_they_share_a_counter_when_they_come_apart() -> None:
    found = mapped([
        sent("tx", (9, AT_MS + 1), instance="web-1"), sent("rx", (7, AT_MS), instance="web-1"),
        sent("rx", (70, AT_MS + 5), instance="web-1"),
    ])
    assert [(figure.bytes_in, figure.bytes_out) for figure in found.figures] == [(7, None), (None, 9), (70, None)]
    assert len({figure.counter for figure in found.figures}) == 1
    assert [figure.end_us for figure in found.figures] == [AT_MS * 1000, (AT_MS + 1) * 1000, (AT_MS + 5) * 1000]


def test_devices_have_counters_of_their_own() -> None:
    found = mapped([sent("rx", (7, AT_MS), instance="web-1", device=device) for device in ("eth0", "eth1", "")])
    assert len({figure.counter for figure in found.figures}) == 3
    assert {figure.subject for figure in found.figures} == {"server/web-1"}


def test_requests_have_a_counter_of_their_own() -> None:
    table = {"preset": "traefik", "subject": "app/1", "environment": "{env}", "consumer": "{team}"}
    labels = {"env": "prod", "service": "shop@docker"}
    found = mapped([
        sent("traefik_service_requests_bytes_total", (7, AT_MS), **labels),
        sent("traefik_service_requests_total", (3, AT_MS), **labels),
    ], table)
    bytes_in, requests = found.figures
    assert (bytes_in.bytes_in, bytes_in.requests, requests.bytes_in, requests.requests) == (7, None, None, 3)
    assert bytes_in.counter != requests.counter
    assert {(figure.environment, figure.consumer) for figure in found.figures} == {("prod", None)}


@pytest.mark.parametrize(("value", "outcome", "total"), [
    (0.0, Outcome.READ, 0),
    (-0.0, Outcome.READ, 0),
    (12.0, Outcome.READ, 12),
    (12.4, Outcome.READ, 12),
    (12.6, Outcome.READ, 13),
    (float(2**53), Outcome.READ, 2**53),
    (float(2**64 - 2048), Outcome.READ, 2**64 - 2048),
    (float(2**64), Outcome.TOO_LARGE, None),
    (1e300, Outcome.TOO_LARGE, None),
    (-1.0, Outcome.NEGATIVE, None),
    (-0.1, Outcome.NEGATIVE, None),
    (math.nan, Outcome.NOT_A_NUMBER, None),
    (math.inf, Outcome.INFINITE, None),
    (-math.inf, Outcome.INFINITE, None),
    (None, Outcome.STALE, None),
])
def test_what_a_value_says(value: float | None, outcome: Outcome, total: int | None) -> None:
    assert read_total(value) == (outcome, total)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 2.0**60), min_size=2, max_size=8))
def test_what_grows_as_a_double_never_falls_as_an_integer(values: list[float]) -> None:
    totals = [read_total(value)[1] for value in sorted(values)]
    assert totals == sorted(totals, key=lambda total: -1 if total is None else total)


def test_every_sample_is_accounted_for() -> None:
    found = mapped([
        sent("rx", (1, AT_MS), (STALE, AT_MS + 1), (math.nan, AT_MS + 2), (math.inf, 1), (-1, 2), (2.0**64, 3), instance="a"),
        sent("go_goroutines", (1, AT_MS), (2, AT_MS)),
        sent("rx", (1, AT_MS)),
        sent("rx", (1, AT_MS), instance="a/peer/b"),
        sent("rx", (1, AT_MS), **{"instance": "a", "": "x"}),
    ])
    assert {outcome.value: count for outcome, count in found.samples.items()} == {
        "read": 1, "stale": 1, "not_a_number": 1, "infinite": 1, "negative": 1, "too_large": 1, "no_mapping": 2,
        "no_subject": 2, "bad_labels": 1,
    }
    assert found.acknowledged == 6  # all but those that no counter can say
    assert found.missing == {("instance",)}
    assert one(found).bytes_in == 1


def test_a_label_twice_is_refused() -> None:
    each = sent("rx", (1, AT_MS), instance="a")
    twice = type(each)((*each.labels, ("instance", "b")), each.samples)
    assert mapped([twice]).samples == {Outcome.BAD_LABELS: 1}


@pytest.mark.parametrize(("instance", "subject"), [
    ("web-1", "server/web-1"),
    ("web-1.example.com:9100", "server/web-1.example.com:9100"),
    ("é ü", "server/é ü"),  # the catalog has no such id, and says so
    ("", None),
    ("a\nb", None),
    ("a\x00", None),
    ("a\x85", None),
    ("../x", None),
    ("x" * 248, f"server/{'x' * 248}"),
    ("x" * 249, None),
    ("x" * 100_000, None),
])
def test_a_subject_is_made_of_safe_values_only(instance: str, subject: str | None) -> None:
    found = mapped([sent("rx", (1, AT_MS), instance=instance)])
    assert [figure.subject for figure in found.figures] == ([] if subject is None else [subject])
    assert found.samples[Outcome.NO_SUBJECT] == (subject is None)


@pytest.mark.parametrize(("labels", "target"), [
    ({"m": "GET", "p": "/a", "e": "prod", "c": "x"}, ("prod", "c-x", "GET", "/v1/a")),
    ({"m": "GET"}, (None, None, None, None)),
    ({"p": "/a", "e": "prod"}, ("prod", None, None, None)),
    ({"m": "M" * 33, "p": "/a"}, (None, None, None, None)),
    ({"m": "GET", "p": "/a", "e": "e" * 256, "c": "a\tb"}, (None, None, "GET", "/v1/a")),
])
def test_what_cannot_be_said_of_an_app_is_left_out_and_its_bytes_are_not(labels: dict[str, str], target: Any) -> None:
    table = {"metric_in": "rx", "subject": "app/{app}", "environment": "{e}", "consumer": "c-{c}", "method": "{m}",
             "path": "/v1{p}"}
    figure = one(mapped([sent("rx", (1, AT_MS), app="1", **labels)], table))
    assert (figure.environment, figure.consumer, figure.method, figure.path) == target


def test_a_space_has_a_path_alone() -> None:
    table = {"metric_in": "rx", "subject": "space/1", "path": "{asset}"}
    figure = one(mapped([sent("rx", (1, AT_MS), asset="/a.png")], table))
    assert (figure.subject, figure.method, figure.path) == ("space/1", None, "/a.png")


def test_the_first_table_that_takes_a_series_has_it() -> None:
    tables = [
        {"metric_in": "rx", "match": {"device": ["eth0", "eth1"]}, "exclude": {"job": "test"}, "subject": "server/{instance}"},
        {"metric_out": "rx", "subject": "server/uplink"},
    ]
    found = mapped([
        sent("rx", (1, AT_MS), instance="a", device="eth0"), sent("rx", (2, AT_MS), instance="a", device="eth0", job="test"),
        sent("rx", (3, AT_MS), instance="a"),
    ], *tables)
    assert [(figure.subject, figure.bytes_in, figure.bytes_out) for figure in found.figures] == [
        ("server/a", 1, None), ("server/uplink", None, 2), ("server/uplink", None, 3),
    ]


@pytest.mark.parametrize(("start_ms", "taken"), [
    (0, False),
    (-1, False),
    (AT_MS, False),           # of a sender that does not know
    (AT_MS + 1, False),
    (AT_MS - 1, True),
    (AT_MS - 400 * 86_400_000, True),
    (AT_MS - 400 * 86_400_000 - 1, False),
    (-(2**63), False),
])
def test_a_start_is_taken_where_it_can_be_meant(start_ms: int, taken: bool) -> None:
    series = [sent("rx", (1, AT_MS, start_ms), instance="a")]
    assert one(mapped(series)).start_us == (start_ms * 1000 if taken else None)
    assert one(mapped(series, NODE | {"start_timestamps": False})).start_us is None


def test_directions_that_began_at_different_times_stay_apart() -> None:
    found = mapped([
        sent("rx", (1, AT_MS, AT_MS - 10), instance="a"), sent("tx", (2, AT_MS, AT_MS - 11), instance="a"),
    ])
    assert sorted((figure.bytes_in or 0, figure.bytes_out or 0) for figure in found.figures) == [(0, 2), (1, 0)]


def test_a_second_value_of_an_instant_is_left_to_the_intake() -> None:
    found = mapped([sent("rx", (1, AT_MS), (2, AT_MS), instance="a"), sent("tx", (3, AT_MS), instance="a")])
    assert [(figure.bytes_in, figure.bytes_out) for figure in found.figures] == [(1, 3), (2, None)]


pairs = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=4)


@settings(max_examples=200, deadline=None)
@given(pairs, pairs, st.randoms())
def test_a_counter_is_known_by_its_labels_in_any_order(labels: dict[str, str], other: dict[str, str], dice: Any) -> None:
    shuffled = list(labels.items())
    dice.shuffle(shuffled)
    name = counter_name(("rx", "tx"), labels)
    assert len(name) == 32
    assert counter_name(("rx", "tx"), {**dict(shuffled), "__name__": "rx", "absent": ""}) == name
    told = {key: value for key, value in labels.items() if value and key != "__name__"}
    other_told = {key: value for key, value in other.items() if value and key != "__name__"}
    assert (counter_name(("rx", "tx"), other) == name) == (told == other_told)
    assert counter_name(("rx", ""), labels) != name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="{}", exclude_categories=["C"]), max_size=5),
                          st.sampled_from(["a", "b", "c.d"])), max_size=4),
       st.dictionaries(st.sampled_from(["a", "b", "c.d"]), st.text(max_size=6)))
def test_a_template_is_filled_as_it_reads(pieces: list[tuple[str, str]], labels: dict[str, str]) -> None:
    written = "x" + "".join(f"{text}{{{label}}}" for text, label in pieces)
    values = [labels.get(label, "") for _, label in pieces]
    filled = read_template(written, 60).fill(labels)
    expected = "x" + "".join(text + value for (text, _), value in zip(pieces, values, strict=True))
    is_safe = all(value and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in value) for value in values)
    assert filled == (expected if is_safe and len(expected) <= 60 else None)
