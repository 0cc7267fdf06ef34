"""What became of everything that remote write brought: counters for Prometheus, and a line in the log now and then."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client.core import CounterMetricFamily

from weighbridge.measurement import RejectReason
from weighbridge.sources.remote_write.mapping import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from weighbridge.measurement import Receipt
    from weighbridge.metering.messages import Figure
    from weighbridge.sources.remote_write.mapping import Mapped

NOTICE_EVERY_US: Final = 60 * 1_000_000
"""At most one line a minute of each kind: a sender repeats what is wrong with every scrape."""
NAMED: Final = 5
"""Subjects that a line names."""

_log = structlog.get_logger("weighbridge.remote_write")


class Accounts:
    """Counters since the start; a Prometheus collector. One event loop writes, a scrape may read from another thread."""

    def __init__(self) -> None:
        self._samples = Counter({outcome.value: 0 for outcome in Outcome})
        self._readings = Counter(dict.fromkeys(["accepted", "duplicate", *(reason.value for reason in RejectReason)], 0))
        self._noticed_us: dict[str, int] = {}
        self._is_registered = False

    def register(self, registry: CollectorRegistry) -> None:
        """The counters are told to whoever reads the registry; done with the first request."""
        if not self._is_registered:
            self._is_registered = True
            registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The figures as Prometheus reads them."""
        for name, help_text, counts in (
            ("samples", "Samples of remote write, by what they became: a reading, or why they are none", self._samples),
            ("readings", "Readings that they became, by what the intake made of them", self._readings),
        ):
            family = CounterMetricFamily(f"weighbridge_remote_write_{name}", help_text, labels=["outcome"])
            for outcome, count in list(counts.items()):
                family.add_metric([outcome], count)
            yield family

    def enter(self, mapped: Mapped, receipts: Iterable[tuple[list[Figure], Receipt]], now_us: int) -> None:
        """A body has been acknowledged."""
        self._samples.update({outcome.value: count for outcome, count in mapped.samples.items()})
        unknown: set[str] = set()
        for figures, receipt in receipts:
            self._readings["accepted"] += receipt.accepted
            self._readings["duplicate"] += receipt.duplicates
            self._readings.update(refusal.code.value for refusal in receipt.rejected)
            unknown.update(
                figures[refusal.index].subject
                for refusal in receipt.rejected
                if refusal.code is RejectReason.UNKNOWN_SUBJECT
            )
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
