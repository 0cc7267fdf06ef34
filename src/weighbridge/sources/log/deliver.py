"""The way of what a place holds to the server: in order, each body until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from weighbridge.measurement import RejectReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.measurement import Receipt, Rejection
    from weighbridge.sources.log.place import Place

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
LONGEST_UNPLACED_WAIT_S: Final = 10.0
"""Somebody enters what the catalog lacks, and looks whether it helps."""
LONGEST_ASKED_WAIT_S: Final = 60.0
"""What a server may ask for at most."""
REFUSALS_SHOWN: Final = 10
"""Refused events that are shown; all are counted by their code."""
LACKING_SHOWN: Final = 5
"""Subjects that the catalog lacks, in one sentence."""

_log = structlog.get_logger("weighbridge.log")


class UnansweredError(Exception):
    """Whether the body was kept is not known, or it was not: it must be sent again. `str()` says what happened.

    `wait_s`: how long the server asks to wait. `cause`: the error as the sender knows it.
    """

    def __init__(self, detail: str, *, wait_s: float = 0.0, cause: Exception | None = None) -> None:
        super().__init__(detail)
        self.wait_s = wait_s
        self.cause = cause


class UnplacedError(UnansweredError):
    """The catalog lacks what events are about. Entered there, they count: all of them must be sent again."""


class Delivery:
    """Sends a place's outbox, waiting ever longer while that fails. `failures`: how often it did, one after the other."""

    def __init__(self, name: str, place: Place, send: Callable[[bytes], Receipt], monotonic_s: Callable[[], float]) -> None:
        """`send` takes a gzipped JSON array of events; UnansweredError if it must be sent again."""
        self.failures = 0
        self.last_failure: UnansweredError | None = None
        self._name = name
        self._place = place
        self._send = send
        self._monotonic_s = monotonic_s
        self._due_s = 0.0
        self._shown = 0

    def run(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Everything in the outbox was answered, or it must wait, or `enough` said so.

        StorageError: the place cannot be written to.
        """
        while not enough() and self._monotonic_s() >= self._due_s:
            waiting = self._place.first()
            if waiting is None:
                return
            sequence, body = waiting
            try:
                receipt = self._send(body)
                must_be_placed(receipt)
            except UnansweredError as error:
                self._put_off(error)
                return
            self._show(receipt.rejected)
            self._place.answered(sequence, receipt)
            if self.failures:
                _log.info("delivery_works_again", log=self._name, waiting=self._place.waiting)
                self.failures, self.last_failure = 0, None

    def wait_s(self) -> float:
        """Seconds until another try makes sense; 0 if it does now."""
        return max(self._due_s - self._monotonic_s(), 0.0)

    def _put_off(self, error: UnansweredError) -> None:
        longest_s = LONGEST_UNPLACED_WAIT_S if isinstance(error, UnplacedError) else LONGEST_WAIT_S
        own_s = min(FIRST_WAIT_S * 2 ** min(self.failures, 10), longest_s)
        wait_s = max(own_s, min(error.wait_s, LONGEST_ASKED_WAIT_S))
        self.failures += 1
        self.last_failure = error
        self._due_s = self._monotonic_s() + wait_s
        _log.warning(
            "delivery_waits", log=self._name, reason=str(error), once_more_in_s=round(wait_s, 1), waiting=self._place.waiting
        )

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
