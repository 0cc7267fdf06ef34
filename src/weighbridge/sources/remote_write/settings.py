"""What a `[[sources.remote_write]]` table says: which counters, of which series, and whose traffic they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from weighbridge.measurement import MAX_NAME, MAX_PATH
from weighbridge.metering.subjects import MAX_METHOD
from weighbridge.sources.remote_write.presets import PRESETS, Preset
from weighbridge.sources.remote_write.template import Template, read_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_VALUES: Final = 1_000
"""Values of one label that a table may list: each is looked up, not walked."""

ROLES: Final = ("metric_in", "metric_out", "metric_requests")
"""What a counter can count."""
DIMENSIONS: Final = {"environment": MAX_NAME, "consumer": MAX_NAME, "method": MAX_METHOD, "path": MAX_PATH}
"""Templates that say more than the subject, and how long what they make may be."""

_SUBJECT = re.compile(r"(server|vpn|app|space)/(.+)")
_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_METRIC = re.compile(r"[^\s{}\"'\x00-\x1f\x7f]+")  # any text since Prometheus 3; these say that labels were meant
_GOES_WITH = {"app": tuple(DIMENSIONS), "space": ("path",)}

Metric = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Value = Annotated[str, msgspec.Meta(max_length=MAX_PATH)]
Values = Value | Annotated[tuple[Value, ...], msgspec.Meta(min_length=1, max_length=MAX_VALUES)]


class RemoteWriteSettings(
    msgspec.Struct, frozen=True, kw_only=True, dict=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One table. `match` and `exclude` hold a value, or several, by label; an absent label is empty."""

    subject: str = ""
    preset: str | None = None
    metric_in: Metric | None = None
    metric_out: Metric | None = None
    metric_requests: Metric | None = None
    match: dict[str, Values] = msgspec.field(default_factory=dict)
    exclude: dict[str, Values] = msgspec.field(default_factory=dict)
    environment: str | None = None
    consumer: str | None = None
    method: str | None = None
    path: str | None = None
    start_timestamps: bool = True  # False: a sender that makes them up is not believed

    def __post_init__(self) -> None:
        """ValueError names the key at fault and says what would be right."""
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset {self.preset!r} is none of {', '.join(PRESETS)}")
        _check_metrics(self.metrics)
        _check_labels("match", self.match)
        _check_labels("exclude", self.exclude)
        _check_subject(self.subject)
        _check_dimensions(self.subject, self.templates)

    @cached_property
    def metrics(self) -> Mapping[str, str]:
        """The metric of each role that has one; what the table says comes before what its preset says."""
        preset = None if self.preset is None else PRESETS[self.preset]
        named = {role: getattr(self, role) or getattr(preset, role, None) for role in ROLES}
        return {role: name for role, name in named.items() if name is not None}

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        """The templates that are written, by key. ValueError: one of them is wrong."""
        written = {key: getattr(self, key) for key in DIMENSIONS}
        more = {key: _template(key, text) for key, text in written.items() if text is not None}
        return {"subject": _template("subject", self.subject), **more}

    @cached_property
    def conditions(self) -> Conditions:
        """What a series must be like; what the table says of a label comes before what its preset says."""
        preset = Preset("", "") if self.preset is None else PRESETS[self.preset]
        return Conditions(_as_sets({**preset.match, **self.match}), _as_sets({**preset.exclude, **self.exclude}))


@dataclass(frozen=True, slots=True)
class Conditions:
    """Values that labels must have, and those that they must not have."""

    match: tuple[tuple[str, frozenset[str]], ...]
    exclude: tuple[tuple[str, frozenset[str]], ...]

    def hold(self, labels: Mapping[str, str]) -> bool:
        """Whether a series is meant."""
        return all(labels.get(name, "") in values for name, values in self.match) and not any(
            labels.get(name, "") in values for name, values in self.exclude
        )


def _as_sets(values: Mapping[str, str | tuple[str, ...]]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, frozenset([each] if isinstance(each, str) else each)) for name, each in values.items())


def _check_metrics(metrics: Mapping[str, str]) -> None:
    if not metrics:
        raise ValueError(
            f"metric_in, metric_out or metric_requests must name a counter, or preset one of {', '.join(PRESETS)}"
        )
    for role, name in metrics.items():
        if not _METRIC.fullmatch(name):
            raise ValueError(f"{role} {name!r} is no metric's name; write it without labels, which go to match")
    if len(set(metrics.values())) < len(metrics):
        raise ValueError(f"{' and '.join(metrics)} must be different metrics, or every byte counts twice")


def _check_labels(key: str, wanted: Iterable[str]) -> None:
    for name in wanted:
        if not name or name == "__name__":
            raise ValueError(f"{key} wants names of labels, not {name!r}; the metrics are named by metric_in, metric_out, …")


def _template(key: str, text: str) -> Template:
    try:
        return read_template(text, DIMENSIONS.get(key, MAX_NAME))
    except ValueError as error:
        raise ValueError(f"{key} {error}") from None


def _check_subject(subject: str) -> None:
    form = _SUBJECT.fullmatch(subject)
    if form is None:
        raise ValueError(f"subject {subject!r} must be server/, vpn/, app/ or space/ and an id, as in server/{{instance}}")
    kind, rest = form.groups()
    if kind in _GOES_WITH and "{" not in rest and not _NUMBER.fullmatch(rest):
        raise ValueError(f"subject {subject!r} must name a number, as in {kind}/1 or {kind}/{{{kind}}}")


def _check_dimensions(subject: str, templates: Mapping[str, Template]) -> None:
    kind = subject.partition("/")[0]
    allowed = _GOES_WITH.get(kind, ())
    for key in DIMENSIONS:
        if key in templates and key not in allowed:
            where = "app/… or space/…" if key == "path" else "app/…"
            raise ValueError(f"{key} goes with a subject {where}, not with {subject!r}; leave it out")
    if kind == "app" and ("method" in templates) != ("path" in templates):
        raise ValueError("method and path go together; give both or neither")
