"""The way of what a log adds up to: spool/delivery.py, and what the server says of single events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from weighbridge.measurement import RejectReason
from weighbridge.spool import delivery
from weighbridge.spool.delivery import LONGEST_ASKED_WAIT_S, LONGEST_WAIT_S, UnansweredError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.measurement import Receipt, Rejection
    from weighbridge.sources.log.place import Place

__all__ = ["LONGEST_ASKED_WAIT_S", "LONGEST_WAIT_S", "Delivery", "UnansweredError", "UnplacedError", "must_be_placed"]

LONGEST_UNPLACED_WAIT_S: Final = 10.0
"""Somebody enters what the catalog lacks, and looks whether it helps."""
REFUSALS_SHOWN: Final = 10
"""Refused events that are shown; all are counted by their code."""
LACKING_SHOWN: Final = 5
"""Subjects that the catalog lacks, in one sentence."""

_log = structlog.get_logger("weighbridge.log")


class UnplacedError(UnansweredError):
    """The catalog lacks what events are about. Entered there, they count: all of them must be sent again."""

    longest_wait_s = LONGEST_UNPLACED_WAIT_S


class Delivery(delivery.Delivery["Receipt"]):
    """Sends a place's outbox; the first refusals are shown."""

    def __init__(self, name: str, place: Place, send: Callable[[bytes], Receipt], monotonic_s: Callable[[], float]) -> None:
        """`send` takes a gzipped JSON array of events; UnansweredError if it must be sent again."""

        def send_and_look(body: bytes) -> Receipt:
            receipt = send(body)
            must_be_placed(receipt)
            self._show(receipt.rejected)
            return receipt

        super().__init__(name, place, send_and_look, monotonic_s)
        self._shown = 0

    def _show(self, rejected: tuple[Rejection, ...]) -> None:
        for each in rejected[: REFUSALS_SHOWN - self._shown]:
            self._shown += 1
            _log.warning("refused", log=self._name, id=each.id, code=each.code, detail=each.detail)


def must_be_placed(receipt: Receipt) -> None:
    """UnplacedError if the catalog lacks what events are about: entered there, they count. All else is for good."""
    lacking = sorted({each.detail for each in receipt.rejected if each.code == RejectReason.UNKNOWN_SUBJECT})
    if lacking:
        more = f" (and {len(lacking) - LACKING_SHOWN} more)" if len(lacking) > LACKING_SHOWN else ""
        raise UnplacedError(f"lines belong to what the catalog lacks: {'; '.join(lacking[:LACKING_SHOWN])}{more}")
