"""What became of everything that remote write brought: counters for Prometheus, and a line in the log now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import Counter

from weighbridge.measurement import RejectReason
from weighbridge.sources.remote_write.mapping import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from weighbridge.measurement import Receipt
    from weighbridge.metering.messages import Figure
    from weighbridge.sources.remote_write.mapping import Mapped

NOTICE_EVERY_US: Final = 60 * 1_000_000
"""At most one line a minute of each kind: a sender repeats what is wrong with every scrape."""
NAMED: Final = 5
"""Subjects that a line names."""

_log = structlog.get_logger("weighbridge.remote_write")


class Accounts:
    """Counters since the start. One event loop uses it."""

    def __init__(self) -> None:
        self._samples = Counter(
            "weighbridge_remote_write_samples",
            "Samples of remote write, by what they became: a reading, or why they are none",
            ["outcome"],
            registry=None,
        )
        self._readings = Counter(
            "weighbridge_remote_write_readings",
            "Readings that samples of remote write became, by what the intake made of them",
            ["outcome"],
            registry=None,
        )
        for outcome in Outcome:
            self._samples.labels(outcome.value)
        for taken in ("accepted", "duplicate", *(reason.value for reason in RejectReason)):
            self._readings.labels(taken)
        self._registries: list[CollectorRegistry] = []
        self._noticed_us: dict[str, int] = {}

    def register(self, registry: CollectorRegistry) -> None:
        """The counters are told to whoever reads the registry."""
        if not any(each is registry for each in self._registries):
            self._registries.append(registry)
            registry.register(self._samples)
            registry.register(self._readings)

    def enter(self, mapped: Mapped, receipts: Iterable[tuple[list[Figure], Receipt]], now_us: int) -> None:
        """A body has been acknowledged."""
        for outcome, count in mapped.samples.items():
            self._samples.labels(outcome.value).inc(count)
        unknown: set[str] = set()
        for figures, receipt in receipts:
            self._readings.labels("accepted").inc(receipt.accepted)
            self._readings.labels("duplicate").inc(receipt.duplicates)
            for refusal in receipt.rejected:
                self._readings.labels(refusal.code.value).inc()
                if refusal.code is RejectReason.UNKNOWN_SUBJECT:
                    unknown.add(figures[refusal.index].subject)
        self._notice_unknown(unknown, now_us)
        if mapped.missing and self._is_due("no_subject", now_us):
            _log.warning(
                "remote_write_without_subject",
                labels=sorted({label for labels in mapped.missing for label in labels}),
                advice="series lack these labels, or their values make no id: add them at the sender, "
                "or change `subject` in [[sources.remote_write]]",
            )

    def notice_unset(self, now_us: int) -> None:
        """Samples come, and no table says what to do with them."""
        if self._is_due("unset", now_us):
            _log.warning(
                "remote_write_without_tables",
                advice="nothing of it is counted: [[sources.remote_write]] in weighbridge.toml says which counters are whose",
            )

    def _notice_unknown(self, subjects: set[str], now_us: int) -> None:
        if subjects and self._is_due("unknown_subject", now_us):
            _log.warning(
                "remote_write_unknown_subjects",
                subjects=sorted(subjects)[:NAMED],
                count=len(subjects),
                advice="not counted: enter them into the catalog under these ids, within the key's reach, "
                "or change `subject` in [[sources.remote_write]]",
            )

    def _is_due(self, kind: str, now_us: int) -> bool:
        last_us = self._noticed_us.get(kind)
        if last_us is not None and 0 <= now_us - last_us < NOTICE_EVERY_US:
            return False
        self._noticed_us[kind] = now_us
        return True
