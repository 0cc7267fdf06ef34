"""From series to readings of counters: which table takes a series, whose traffic it is, and what each sample says.

Receive and transmit of one interface are series of their own. They share a counter, named by their two metrics and all
labels, so that what tells a reset of one tells it of both; samples of the same instant become one reading.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from weighbridge.measurement import MAX_DURATION_S, MAX_TOTAL
from weighbridge.metering.messages import Figure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weighbridge.sources.remote_write.decode import Labels, Sample, Series
    from weighbridge.sources.remote_write.settings import RemoteWriteSettings

_NAME: Final = "__name__"
_LONGEST_US: Final = MAX_DURATION_S * 1_000_000
_AMOUNTS: Final = {"metric_in": "bytes_in", "metric_out": "bytes_out", "metric_requests": "requests"}


class Outcome(StrEnum):
    """What a sample became. All but the first say why it is no reading."""

    READ = "read"                  # part of a reading that was handed on
    NO_MAPPING = "no_mapping"      # no table takes its series
    NO_SUBJECT = "no_subject"      # a label of the subject is absent, empty, or none that an id can be made of
    STALE = "stale"                # the marker that a series has ended
    BAD_LABELS = "bad_labels"      # a label without a name, or twice
    NOT_A_NUMBER = "not_a_number"
    INFINITE = "infinite"
    NEGATIVE = "negative"
    TOO_LARGE = "too_large"        # over 2^64 - 1


REFUSED: Final = frozenset(
    {Outcome.BAD_LABELS, Outcome.NOT_A_NUMBER, Outcome.INFINITE, Outcome.NEGATIVE, Outcome.TOO_LARGE}
)
"""What no counter can say: these samples are not acknowledged as written."""


class Target(NamedTuple):
    """Whose traffic a series is."""

    subject: str
    environment: str | None = None
    consumer: str | None = None
    method: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One table in one role: the amount that the metric's samples are, and the metrics that share a counter with it."""

    table: RemoteWriteSettings
    amount: str  # a field of Figure
    counter: tuple[str, ...]

    def target(self, labels: Mapping[str, str]) -> Target | None:
        """Whose traffic it is; None where the subject cannot be made. What else cannot be made is left out."""
        templates = self.table.templates
        subject = templates["subject"].fill(labels, forbidden="/")
        if subject is None:
            return None
        more = {key: template.fill(labels) for key, template in templates.items() if key != "subject"}
        if "method" in more and None in (more["method"], more["path"]):
            more["method"] = more["path"] = None  # they go together
        return Target(subject, **more)


Rules = dict[str, tuple[Rule, ...]]
"""By metric, in the order of the tables."""


@dataclass(slots=True)
class Mapped:
    """Readings in the order of their instants, and what became of each sample. `passed` are histograms and exemplars."""

    figures: list[Figure] = field(default_factory=list)
    samples: Counter[Outcome] = field(default_factory=Counter)
    histograms: int = 0
    exemplars: int = 0
    missing: set[tuple[str, ...]] = field(default_factory=set)  # labels of subjects that could not be made

    @property
    def acknowledged(self) -> int:
        """Samples that were dealt with, whatever they became, but for those that no counter can say."""
        return sum(count for outcome, count in self.samples.items() if outcome not in REFUSED)


def make_rules(tables: Sequence[RemoteWriteSettings]) -> Rules:
    """The tables by the metrics that they name."""
    rules: Rules = {}
    for table in tables:
        pair = tuple(table.metrics.get(role, "") for role in ("metric_in", "metric_out"))
        for role, name in table.metrics.items():
            rule = Rule(table, _AMOUNTS[role], (name,) if role == "metric_requests" else pair)
            rules[name] = (*rules.get(name, ()), rule)
    return rules


def map_series(series: Iterable[Series], rules: Rules) -> Mapped:
    """What the series of a body say. The first table that takes a series has it, so that no byte counts twice."""
    mapped = Mapped()
    readings = _Readings()
    for each in series:
        mapped.histograms += each.histograms
        mapped.exemplars += each.exemplars
        if each.samples:
            _map_one(each, rules, mapped, readings)
    mapped.figures = readings.figures()
    return mapped


def _map_one(series: Series, rules: Rules, mapped: Mapped, readings: _Readings) -> None:
    count = len(series.samples)
    candidates = rules.get(_name_of(series.labels))
    if candidates is None:
        mapped.samples[Outcome.NO_MAPPING] += count
        return
    labels = dict(series.labels)
    if len(labels) < len(series.labels) or "" in labels:
        mapped.samples[Outcome.BAD_LABELS] += count
        return
    rule = next((each for each in candidates if each.table.conditions.hold(labels)), None)
    if rule is None:
        mapped.samples[Outcome.NO_MAPPING] += count
        return
    target = rule.target(labels)
    if target is None:
        mapped.samples[Outcome.NO_SUBJECT] += count
        mapped.missing.add(rule.table.templates["subject"].labels)
        return
    counter = counter_name(rule.counter, labels)
    for sample in series.samples:
        outcome, total = read_total(sample.value)
        mapped.samples[outcome] += 1
        if total is not None:
            readings.add(target, counter, rule, sample, total)


def _name_of(labels: Labels) -> str:
    for name, value in labels:  # sorted, so that it stands at the front
        if name == _NAME:
            return value
    return ""


def counter_name(metrics: tuple[str, ...], labels: Mapping[str, str]) -> str:
    """The name of the counter that series of these metrics with these labels share: 32 hexadecimal digits.

    The order of the labels does not matter, nor does a label that is empty: to Prometheus it is not there.
    """
    told = sorted(pair for pair in labels.items() if pair[0] != _NAME and pair[1])
    return blake2b(msgspec.json.encode((metrics, told)), digest_size=16).hexdigest()


def read_total(value: float | None) -> tuple[Outcome, int | None]:
    """What a sample's value is, and the counter's total: rounded, since bytes are integers and doubles need not be."""
    if value is None:
        return Outcome.STALE, None
    if math.isnan(value):
        return Outcome.NOT_A_NUMBER, None
    if math.isinf(value):
        return Outcome.INFINITE, None
    total = round(value)
    if value < 0:
        return Outcome.NEGATIVE, None
    return (Outcome.READ, total) if total <= MAX_TOTAL else (Outcome.TOO_LARGE, None)


class _Readings:
    """Amounts that were read at the same instant of the same counter, together."""

    def __init__(self) -> None:
        self._open: dict[tuple[Target, str, int, int | None], dict[str, int]] = {}
        self._more: list[Figure] = []  # a second value of the same instant: the intake says what it is

    def add(self, target: Target, counter: str, rule: Rule, sample: Sample, total: int) -> None:
        end_us = sample.at_ms * 1000
        key = (target, counter, end_us, _start_us(rule, sample))
        amounts = self._open.setdefault(key, {})
        if rule.amount in amounts:
            self._more.append(_figure(key, {rule.amount: total}))
        else:
            amounts[rule.amount] = total

    def figures(self) -> list[Figure]:
        made = [_figure(key, amounts) for key, amounts in self._open.items()]
        return sorted([*made, *self._more], key=lambda figure: figure.end_us)


def _start_us(rule: Rule, sample: Sample) -> int | None:
    """When the counter began at zero, where that is told and can be meant.

    A start at the reading's own instant says that the sender does not know; one of 400 days ago lies before any reading
    that could matter.
    """
    start_us = sample.start_ms * 1000
    is_told = rule.table.start_timestamps and sample.start_ms > 0
    return start_us if is_told and 0 < sample.at_ms * 1000 - start_us <= _LONGEST_US else None


def _figure(key: tuple[Target, str, int, int | None], amounts: Mapping[str, int]) -> Figure:
    target, counter, end_us, start_us = key
    return Figure(
        subject=target.subject,
        end_us=end_us,
        start_us=start_us,
        environment=target.environment,
        consumer=target.consumer,
        method=target.method,
        path=target.path,
        counter=counter,
        **amounts,
    )
