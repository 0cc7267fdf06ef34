"""The way of what waits to the server: in order, each body until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
LONGEST_ASKED_WAIT_S: Final = 60.0
"""What a server may ask for at most."""

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)

_log = structlog.get_logger("weighbridge.spool")


class UnansweredError(Exception):
    """Whether the body was kept is not known, or it was not: it must be sent again. `str()` says what happened.

    `wait_s`: how long the server asks to wait. `cause`: the error as the sender knows it.
    """

    longest_wait_s = LONGEST_WAIT_S

    def __init__(self, detail: str, *, wait_s: float = 0.0, cause: Exception | None = None) -> None:
        super().__init__(detail)
        self.wait_s = wait_s
        self.cause = cause


class Waiting(Protocol[A_contra]):
    """What holds bodies until they are answered. Every method may raise StorageError: then nothing has changed."""

    @property
    def waiting(self) -> int:
        """How many bodies there are."""

    def first(self) -> tuple[int, bytes] | None:
        """Number and body of what has waited longest."""

    def answered(self, number: int, answer: A_contra, /) -> None:
        """The body need not be sent again."""


class Delivery(Generic[A]):
    """Sends what waits, waiting ever longer while that fails. `failures`: how often it did, one after the other."""

    def __init__(
        self, name: str, place: Waiting[A], send: Callable[[bytes], A], monotonic_s: Callable[[], float]
    ) -> None:
        """`name`: of what is sent, for the log. `send`: UnansweredError if the body must be sent again."""
        self.failures = 0
        self.last_failure: UnansweredError | None = None
        self._name = name
        self._place = place
        self._send = send
        self._monotonic_s = monotonic_s
        self._due_s = 0.0

    def run(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Everything that waits was answered, or it must wait on, or `enough` said so.

        StorageError: the place cannot be written to.
        """
        while not enough() and self._monotonic_s() >= self._due_s:
            waiting = self._place.first()
            if waiting is None:
                return
            number, body = waiting
            try:
                answer = self._send(body)
            except UnansweredError as error:
                self._put_off(error)
                return
            self._place.answered(number, answer)
            if self.failures:
                _log.info("delivery_works_again", of=self._name, waiting=self._place.waiting)
                self.failures, self.last_failure = 0, None

    def wait_s(self) -> float:
        """Seconds until another try makes sense; 0 if it does now."""
        return max(self._due_s - self._monotonic_s(), 0.0)

    def hurry(self) -> None:
        """The next run tries at once, however often it failed."""
        self._due_s = 0.0

    def _put_off(self, error: UnansweredError) -> None:
        own_s = min(FIRST_WAIT_S * 2 ** min(self.failures, 10), error.longest_wait_s)
        wait_s = max(own_s, min(error.wait_s, LONGEST_ASKED_WAIT_S))
        self.failures += 1
        self.last_failure = error
        self._due_s = self._monotonic_s() + wait_s
        _log.warning(
            "delivery_waits", of=self._name, reason=str(error), once_more_in_s=round(wait_s, 1), waiting=self._place.waiting
        )
