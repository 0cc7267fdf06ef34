"""An agent at work: its collector fills the outbox, and another thread brings that to the server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from weighbridge.app.collectors import Collectors
from weighbridge.cli.failures import AuthError, CommandError
from weighbridge.cli.output import note
from weighbridge.cli.sending import BusyServerError, send_once
from weighbridge.domain.errors import StorageError
from weighbridge.metering.flows.interest_wire import UnreadableError, read_interest
from weighbridge.sources.collector import Surroundings
from weighbridge.spool.delivery import Delivery, UnansweredError
from weighbridge.spool.wire import encode, portions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from weighbridge.cli.client import Client
    from weighbridge.collected import Collected
    from weighbridge.metering.flows.interest import Interest
    from weighbridge.ports import Clock
    from weighbridge.spool.outbox import Outbox

POLL_S: Final = 0.5
"""How often the outbox is looked at, and how it goes is drawn."""
STATUS_S: Final = 60.0
"""How often a line says how it goes."""
INTEREST_S: Final = 60.0
"""How often the server is asked which addresses somebody knows."""
LAST_S: Final = 5.0
"""How long an agent that is told to end goes on delivering."""
REQUEST_S: Final = 30.0
"""How long an answer is waited for; what it was for is sent again then."""
BROKEN_WAIT_S: Final = 10.0
"""After a defect in delivering, until it is tried again."""
WORDS_KEPT: Final = 20
"""Kinds of counts that a status line tells."""
PATH: Final = "/api/v1/collected"

_log = structlog.get_logger("weighbridge.agent")


class Agent:
    """Collects and delivers until `stop` is set. `tell`: done, all, and a word."""

    def __init__(
        self,
        name: str,
        tables: tuple[Any, ...],
        client: Client,
        outbox: Outbox,
        *,
        folder: Path,
        clock: Clock,
        tell: Callable[[int, int, str], None],
    ) -> None:
        """InvalidInputError: tables contradict each other."""
        self.stop = threading.Event()
        self._name = name
        self._client = client
        self._outbox = outbox
        self._tell = tell
        self._over = threading.Event()
        self._hurry = threading.Event()
        self._counts: Counter[str] = Counter()
        self._delivered_before = outbox.delivered
        self._asking = Asking(client, folder / "interest.json")
        self._delivery: Delivery[object] = Delivery(name, outbox, partial(send, client), time.monotonic)
        own = folder / "source"
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        surroundings = Surroundings(self._take, clock, own, lambda: self._asking.interest)
        self._collectors = Collectors({name: tables}, lambda _name: surroundings)

    def run(self) -> None:
        """It is over: what was collected is in the outbox, and delivered if the server took it in time."""
        _log.info("collecting", source=self._name, to=self._client.url, spool=str(self._outbox.path))
        deliverer = threading.Thread(target=self._deliver, name="deliver", daemon=True)
        deliverer.start()
        self._collectors.start()
        told_s = time.monotonic()
        while not self.stop.wait(POLL_S):
            self._show()
            if time.monotonic() - told_s >= STATUS_S:
                told_s = time.monotonic()
                _log.info("agent_status", source=self._name, status=self.status())
        self._collectors.stop()
        self._hurry.set()
        deliverer.join(LAST_S)
        self._over.set()

    def status(self) -> str:
        """What was collected, sent and waits, in words."""
        counts = [f"{count:,} {what}" for what, count in sorted(self._counts.items())]
        waiting = f"{self._outbox.waiting:,} bodies wait ({self._outbox.waiting_bytes:,} bytes)"
        return ", ".join([*counts, f"{self._outbox.delivered - self._delivered_before:,} bodies delivered", waiting])

    def _take(self, collected: Collected) -> None:
        """The sink: all of it waits on the disk."""
        self._outbox.put([partial(encode, portion) for portion in portions(collected)])
        self._counts["readings"] += len(collected.readings)
        self._counts["rows of flows"] += sum(len(sums.rows) for sums in collected.flows)
        for (_, what), count in collected.counts.items():
            word = what.replace("_", " ")
            if word in self._counts or len(self._counts) < WORDS_KEPT:
                self._counts[word] += count

    def _deliver(self) -> None:
        """Until it is over; told to hurry, it ends with the next failure, or when nothing waits."""
        while not self._over.is_set():
            is_last = self._hurry.is_set()
            if is_last:
                self._delivery.hurry()
            else:
                self._asking.renew()
            try:
                self._delivery.run(self._enough(is_last=is_last))
            except StorageError as error:
                if self._over.is_set():
                    return  # it took longer than was waited for, and the outbox is closed
                _log.warning("spool_failed", source=self._name, reason=str(error))
            except Exception:  # noqa: BLE001  without this thread the disk would fill, and nobody would know why
                _log.exception("delivery_failed", source=self._name)
                self._hurry.wait(BROKEN_WAIT_S)
            if is_last and (not self._outbox.waiting or self._delivery.wait_s()):
                return
            self._hurry.wait(min(POLL_S, self._delivery.wait_s() or POLL_S))

    def _enough(self, *, is_last: bool) -> Callable[[], bool]:
        return self._over.is_set if is_last else lambda: self._hurry.is_set() or self._asking.is_due()

    def _show(self) -> None:
        delivered = self._outbox.delivered - self._delivered_before
        self._tell(delivered, delivered + self._outbox.waiting, self.status())


class Asking:
    """Which addresses somebody knows, asked of the server now and then, the last answer kept on disk."""

    def __init__(self, client: Client, file: Path) -> None:
        self.interest: Interest | None = None
        self._client = client
        self._file = file
        self._due_s = time.monotonic()
        self._trouble = ""
        with suppress(OSError, UnreadableError):  # until the server has answered all ends of all flows are kept
            self.interest = read_interest(file.read_bytes())

    def is_due(self) -> bool:
        """Whether it is time to ask again."""
        return time.monotonic() >= self._due_s

    def renew(self) -> None:
        """The interest is the server's newest, if it was time to ask and it answered. Trouble is told once."""
        if not self.is_due():
            return
        self._due_s = time.monotonic() + INTEREST_S
        try:
            answer = self._client.send("GET", "/api/v1/interest", timeout=REQUEST_S).content
            self.interest = read_interest(answer)
            draft = self._file.with_suffix(".new")
            draft.write_bytes(answer)
            draft.replace(self._file)
        except (CommandError, UnreadableError, OSError) as error:
            told = error.message if isinstance(error, CommandError) else str(error)
            if told != self._trouble:
                note(f"{told}; what is collected waits on this disk" if isinstance(error, AuthError) else told)
            self._trouble = told
        else:
            self._trouble = ""


def send(client: Client, body: bytes) -> Mapping[str, Any]:
    """The server's answer to a body, once all of it is kept there. UnansweredError: it must be sent again."""
    try:
        answer = send_once(client, body, path=PATH, content_type="application/json", timeout=REQUEST_S)
    except BusyServerError as error:
        raise UnansweredError(error.message, wait_s=error.wait_s or 0.0, cause=error) from error
    except CommandError as error:
        raise UnansweredError(error.message, cause=error) from error
    if not isinstance(answer.get("accepted"), int) or not isinstance(answer.get("duplicates"), int):
        raise UnansweredError(f"{client.url}{PATH} answered with something that is no receipt; is that a Weighbridge server?")
    return answer
