"""Reads what OpenVPN servers tell of their sessions, from status files or management sockets, and hands it in."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.openvpn.decode import STATUS_MOST, Listing, parse_status
from weighbridge.sources.openvpn.management import Management
from weighbridge.sources.openvpn.sessions import (
    SECOND_US,
    Known,
    follow,
    marked_kept,
    readings_of,
    statistics_reading,
)
from weighbridge.sources.openvpn.settings import read_address
from weighbridge.sources.polled import Rounds, UnreadError, save_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.collected import Collector, CounterReading, Stop
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.openvpn.settings import OpenvpnSettings

QUIET_S: Final = 0.1
"""How long a status file must stay as it is to be taken for whole: OpenVPN writes all of its lines at once, in place."""
LOOKS: Final = 5
"""Looks at a file that changes all the time, before it is left for the next poll."""
STALE_S: Final = 300
"""Age of a status that is worth a word: OpenVPN writes one a minute unless it is told otherwise."""
PASSWORD_MOST: Final = 1024
"""Bytes of a password file."""

_log = structlog.get_logger("weighbridge.openvpn")


class Place(Protocol):
    """Where a server tells its status."""

    is_asked: bool
    """Whether what it says is of the moment when it is asked; a file is of the moment that it names itself."""

    def read(self, stop: Stop) -> bytes:
        """The status, whole. UnreadError, OSError: it cannot be read."""

    def close(self) -> None:
        """Lets go of it."""


def make_collector(tables: tuple[OpenvpnSettings, ...], surroundings: Surroundings) -> Collector:
    """The collector of all servers. InvalidInputError: one of them is named twice, or its password's variable is not set."""
    places = [table.status or table.management for table in tables]
    for table, place in zip(tables, places, strict=True):
        if places.count(place) > 1:
            raise InvalidInputError(f"{place} stands in two [[sources.openvpn]]: each byte would count twice")
        if table.password_env is not None and table.password_env not in os.environ:
            raise InvalidInputError(f"password_env names {table.password_env}, which is not set", where="password_env")
    return Rounds("openvpn", [Server(table, surroundings.folder) for table in tables], surroundings)


class StatusFile:
    """The file that a server writes anew every so many seconds."""

    is_asked = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, stop: Stop) -> bytes:
        """Its content, once it has stayed the same for a moment. UnreadError: it does not, or is too long."""
        before = self._content()
        for _ in range(LOOKS):
            if stop.wait(QUIET_S):
                break
            now = self._content()
            if now == before:
                return now
            before = now
        raise UnreadError(f"{self._path} is being rewritten", "torn")

    def close(self) -> None:
        """Nothing is held open."""

    def _content(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(STATUS_MOST + 1)


class ManagementSocket:
    """The socket where a server can be asked."""

    is_asked = True

    def __init__(self, settings: OpenvpnSettings) -> None:
        self._settings = settings
        self._management = Management(read_address(settings.management or ""), self._password)

    def read(self, stop: Stop) -> bytes:
        """The answer to `status 3`. UnreadError, OSError: there is none."""
        return self._management.ask_status(stop)

    def close(self) -> None:
        """Hangs up."""
        self._management.close()

    def _password(self) -> str | None:
        if self._settings.password_file is not None:
            with Path(self._settings.password_file).open(encoding="utf-8") as file:
                return file.read(PASSWORD_MOST).strip("\r\n")
        return None if self._settings.password_env is None else os.environ.get(self._settings.password_env)


class Server:
    """One server, and what is remembered of it in the folder. `place`: where it tells its status, if not there."""

    def __init__(self, settings: OpenvpnSettings, folder: Path, place: Place | None = None) -> None:
        self.name = settings.instance
        self.interval_s = settings.interval_s
        self.counts: Counter[str] = Counter()
        self._place = place or (StatusFile(Path(settings.status)) if settings.status else ManagementSocket(settings))
        digest = hashlib.sha256(f"{self.name} {settings.status or settings.management}".encode()).hexdigest()[:16]
        self._state = folder / f"{digest}.json"
        self._known = self._load()

    def read(self, now_us: int, stop: Stop) -> Sequence[CounterReading]:
        """Totals of each session that has a name. UnreadError, OSError: they could not be told.

        A status that was read before is no new reading: nothing is in it.
        """
        status = parse_status(self._place.read(stop))
        if not isinstance(status, Listing):
            if status.updated == self._known.updated:
                return []
            self._known = msgspec.structs.replace(self._known, updated=status.updated)
            self._save(is_durable=False)
            return [statistics_reading(self._known, status, now_us, self.name)]
        if status.time_s <= self._known.time_s:
            if now_us - status.time_s * SECOND_US > STALE_S * SECOND_US:
                raise UnreadError(f"the status is still that of {status.time_s} (seconds since 1970): is it down?", "stale")
            return []
        self.counts["lines_unread"] += status.unread
        self.counts["sessions_unnamed"] += sum(session.name is None for session in status.sessions.values())
        at_us = now_us if self._place.is_asked else min(now_us, status.time_s * SECOND_US)
        before_us = self._known.listed_at_us
        self._known, stood = follow(self._known, status, at_us)
        self._save(is_durable=True)  # before it is handed in: what counts whole must not do so under two counters
        return readings_of(self._known, stood, before_us, self.name)

    def mark_kept(self) -> None:
        """What was read last is durable. OSError: that cannot be written down."""
        self._known = marked_kept(self._known)
        self._save(is_durable=False)

    def close(self) -> None:
        """Lets go of the server."""
        self._place.close()

    def _load(self) -> Known:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=Known)
        except FileNotFoundError:
            pass  # a first start: each session counts from its next reading
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("openvpn_state_unreadable", file=str(self._state), reason=str(error))
        return Known(secrets.token_hex(4))

    def _save(self, *, is_durable: bool) -> None:
        save_state(self._state, msgspec.json.encode(self._known), is_durable=is_durable)
