"""`weighbridge collect log`."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from weighbridge.cli.client import client_options, connect
from weighbridge.cli.examples import example
from weighbridge.cli.failures import FAILURE, OK, AuthError, CommandError, WrongUsageError
from weighbridge.cli.log_options import log_options, log_settings, receipt_of
from weighbridge.cli.output import note
from weighbridge.cli.progress import progress_bar
from weighbridge.cli.sending import ATTEMPTS, BusyServerError, send_once
from weighbridge.cli.stopping import stopped_by_signals

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from weighbridge.cli.client import Client
    from weighbridge.measurement import Receipt
    from weighbridge.sources.log.deliver import Delivery
    from weighbridge.sources.log.follow import Begin, Follower
    from weighbridge.sources.log.place import Place
    from weighbridge.sources.log.settings import LogSettings

POLL_S = 1.0
"""How often the log is looked at when nothing is under way."""
WORK_S = 1.0
"""How long lines are read before what they add up to is sent: so that neither waits for the other."""
STATUS_S = 60.0
"""How often a line says how it goes, where there is no terminal."""
PATIENCE_S = 30.0
"""How long --once waits for files that somebody is writing, before it ends without them."""


@click.command("log")
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@log_options("--format", "--log-format")
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder that keeps the place in the log [default: weighbridge/logs in XDG_STATE_HOME, else in ~/.local/state]",
)
@click.option("--once", is_flag=True, help="Read what is there, send it, and end.")
@click.option("--from-start", is_flag=True, help="At the first start, read rotated files too.")
@click.option("--from-end", is_flag=True, help="At the first start, read only what comes from then on.")
@client_options
@click.option("--to", metavar="URL", help="The same as --url.")
@click.pass_context
@example(
    "weighbridge collect log /var/log/nginx/access.log --app 1 --environment prod --consumer '$remote_user'",
    "weighbridge collect log /var/log/caddy/access.log --format caddy --space 123 --once",
)
def command(
    ctx: click.Context,
    /,
    *,
    path: Path,
    state: Path | None,
    once: bool,
    from_start: bool,
    from_end: bool,
    url: str | None,
    to: str | None,
    key: str | None,
    data: str | None,
    **given: Any,  # noqa: ANN401  what log_options collected
) -> None:
    """Follow an access log, through rotation, copytruncate and compression; each line counts once.

    The place in the log is kept on disk with what was not answered yet, so that nothing is lost or counted twice, whatever
    ends this command or the server. At the first start the log is read from its beginning, and rotated files that are
    there already are not read. SIGTERM or Ctrl-C ends it cleanly. With --once the exit code is 1 if a line was bad or a
    sum was refused.
    """
    path = path.absolute()
    settings = log_settings(path, given)
    if from_start and from_end:
        raise WrongUsageError("--from-start and --from-end contradict each other; give one")
    from weighbridge.sources.log.follow import Begin  # noqa: PLC0415  nothing that --help need wait for

    with connect(url or to, key, data) as client:
        if once:
            client.send("GET", "/livez")  # no server: told at once
        begin = Begin(from_start=from_start, from_end=from_end)
        faults = _collect(client, settings, path_of(state, path), begin, once=once)
    ctx.exit(FAILURE if once and faults else OK)


def _collect(client: Client, settings: LogSettings, state: Path, begin: Begin, *, once: bool) -> int:
    """Runs until it is stopped, or with `once` until all is sent; how many faults there were. CommandError as `run`."""
    import structlog  # noqa: PLC0415  nothing that --help need wait for

    from weighbridge.app.clock import SystemClock  # noqa: PLC0415
    from weighbridge.app.logs import set_up_log  # noqa: PLC0415
    from weighbridge.sources.log.decode import CHUNK_BYTES, LogReader  # noqa: PLC0415
    from weighbridge.sources.log.deliver import Delivery  # noqa: PLC0415
    from weighbridge.sources.log.follow import LINGER_S, Follower  # noqa: PLC0415
    from weighbridge.sources.log.place import Place  # noqa: PLC0415

    path = Path(settings.path)
    with ExitStack() as opened:
        tell = opened.enter_context(progress_bar(path.name, note=True))
        set_up_log("info", "text")  # behind the bar, which stands aside for it
        reader = opened.enter_context(closing(LogReader(settings)))
        place = opened.enter_context(closing(Place(state, path)))
        linger_s = 0.0 if once else LINGER_S
        follower = Follower(path, reader, place, SystemClock(), chunk_bytes=CHUNK_BYTES, linger_s=linger_s, begin=begin)
        opened.enter_context(closing(follower))
        delivery = Delivery(path.name, place, partial(_send, client), time.monotonic)
        collector = Collector(follower, delivery, place, tell, once=once)
        before = _faults(place.counts)
        structlog.get_logger("weighbridge.log").info("collecting", log=str(path), to=client.url, place=str(state))
        with stopped_by_signals(collector.stop):
            collector.run()
        note(f"{path}: {_status(place)}")
        return _faults(place.counts) - before


class Collector:
    """Polls and delivers by turns until it is stopped, or with `once` until all is sent."""

    def __init__(
        self, follower: Follower, delivery: Delivery, place: Place, tell: Callable[[int, int, str], None], *, once: bool
    ) -> None:
        self.stop = threading.Event()
        self._follower = follower
        self._delivery = delivery
        self._place = place
        self._tell = tell
        self._once = once
        self._told_s = self._moved_s = time.monotonic()
        self._answered_before = place.counts["accepted"] + place.counts["duplicates"]

    def run(self) -> None:
        """It is over. CommandError: the server wants another key, or with `once` takes no more."""
        from weighbridge.domain.errors import StorageError  # noqa: PLC0415  its module's others are not needed

        while not self.stop.is_set():
            before = self._moved()
            try:
                is_more = self._turn()
            except StorageError as error:
                if self._once:
                    raise
                note(str(error))  # the log waits; what was told to be kept is kept
                is_more = True
            self._fail()
            self._show()
            has_moved = self._moved() != before
            if has_moved:
                self._moved_s = time.monotonic()
            if self._once and self._is_over(is_more=is_more):
                return
            if not has_moved:
                self.stop.wait(POLL_S)

    def _turn(self) -> bool:
        until_s = time.monotonic() + WORK_S

        def enough() -> bool:
            return self.stop.is_set() or time.monotonic() >= until_s

        is_more = self._follower.poll(enough)
        self._delivery.run(self.stop.is_set)
        return is_more

    def _moved(self) -> tuple[int, int]:
        return self._place.counts["lines"], self._place.waiting

    def _is_over(self, *, is_more: bool) -> bool:
        if self._place.waiting:
            return False
        return not is_more or time.monotonic() - self._moved_s > PATIENCE_S

    def _fail(self) -> None:
        """CommandError where trying on makes no sense: a wrong key at the first try; with `once`, what others must mend."""
        from weighbridge.sources.log.deliver import UnplacedError  # noqa: PLC0415  see above

        failure = self._delivery.last_failure
        if failure is None:
            return
        answered = self._place.counts["accepted"] + self._place.counts["duplicates"]
        if isinstance(failure.cause, AuthError) and answered == self._answered_before:
            raise failure.cause
        if self._once and isinstance(failure, UnplacedError):
            raise CommandError(f"{failure}; then the same command goes on where it was") from failure
        if self._once and self._delivery.failures >= ATTEMPTS:
            raise failure.cause or CommandError(str(failure))

    def _show(self) -> None:
        unread = self._follower.unread_bytes()
        self._tell(1, 1 + unread, _status(self._place))
        if time.monotonic() - self._told_s >= STATUS_S:
            self._told_s = time.monotonic()
            import structlog  # noqa: PLC0415  see above

            structlog.get_logger("weighbridge.log").info("log_status", status=_status(self._place), unread_bytes=unread)


def _send(client: Client, body: bytes) -> Receipt:
    from weighbridge.sources.log.deliver import UnansweredError  # noqa: PLC0415  see above

    try:
        return receipt_of(send_once(client, body))
    except BusyServerError as error:
        raise UnansweredError(error.message, wait_s=error.wait_s or 0.0, cause=error) from error
    except CommandError as error:
        raise UnansweredError(error.message, cause=error) from error


def _status(place: Place) -> str:
    counts = place.counts
    told = [f"{counts['lines']:,} lines"]
    told += [f"{counts[name]:,} {name}" for name in ("bad", "unmatched") if counts[name]]
    told += [f"{counts['accepted']:,} sums accepted"]
    told += [f"{amount:,} {name}" for name, amount in sorted(counts.items()) if name.startswith("refused") and amount]
    return ", ".join(told) + (f", {place.waiting:,} bodies wait" if place.waiting else "")


def _faults(counts: Counter[str]) -> int:
    return counts["bad"] + sum(amount for name, amount in counts.items() if name.startswith("refused"))


def path_of(state: Path | None, log: Path) -> Path:
    """The file that keeps the place of a log: in the folder that --state names, else where a user's state is kept."""
    from weighbridge.sources.log.place import path_in  # noqa: PLC0415  see above

    own = os.environ.get("XDG_STATE_HOME")
    default = (Path(own) if own else Path.home() / ".local" / "state") / "weighbridge" / "logs"
    return path_in(state or default, log)
