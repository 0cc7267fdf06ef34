"""Asks WireGuard for its peers' totals, in the kernel or in userspace, and hands them in."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.machine import machine_mark, read_boot
from weighbridge.sources.polled import Rounds, UnreadError, save_state
from weighbridge.sources.wireguard.decode import (
    HIDDEN,
    Device,
    Known,
    Sight,
    follow,
    marked_kept,
    merge_messages,
    parse_transfer,
    readings_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weighbridge.collected import Collector, CounterReading, Stop
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.wireguard.settings import WireguardSettings

TIMEOUT_S: Final = 5.0
"""Most that one run of `wg` takes: it answers within milliseconds, or the daemon behind it hangs."""
OUTPUT_MOST: Final = 16 * 2**20
"""Bytes that `wg` may print: a line of a peer has 87 at the most."""
LOOK_S: Final = 0.05
"""Between two looks at whether `wg` has ended: short beside any interval."""

_HARDLY = frozenset({errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT})
_ROOT = Path("/")
_MODULE = Path("/sys/module/wireguard")  # there too where it is built in, for it has a version
_log = structlog.get_logger("weighbridge.wireguard")


def make_collector(tables: tuple[WireguardSettings, ...], surroundings: Surroundings) -> Collector:
    """The collector of all interfaces. InvalidInputError: one of them is named twice, so its bytes would count twice."""
    names = [table.interface for table in tables]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(f"interface {name} stands in two [[sources.wireguard]]: each byte would count twice")
    return Rounds("wireguard", [Interface(table, surroundings.folder) for table in tables], surroundings)


class Interface:
    """One interface, and what is remembered of it in the folder. `look`: how it is read."""

    def __init__(
        self, settings: WireguardSettings, folder: Path, look: Callable[[WireguardSettings, Stop], Sight] | None = None
    ) -> None:
        self.name = settings.instance
        self.interval_s = settings.interval_s
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._look = look or look_at
        digest = hashlib.sha256(f"{settings.instance} {settings.interface}".encode()).hexdigest()[:16]
        self._state = folder / f"{digest}.json"
        self._known = self._load()

    def read(self, now_us: int, stop: Stop) -> Sequence[CounterReading]:
        """Totals of each peer. UnreadError, OSError: they could not be told, or there is no such interface."""
        sight = self._look(self._settings, stop)
        self._known = follow(self._known, sight, now_us, f"{machine_mark(_ROOT)}/{self._settings.interface}")
        self._save()
        if sight.device is None:
            raise UnreadError(f"there is no interface {self._settings.interface}", "interface_missing")
        return readings_of(self._known, self._settings.instance)

    def mark_kept(self) -> None:
        """What was read last is durable. OSError: that cannot be written down."""
        if self._known is not None:
            self._known = marked_kept(self._known)
            self._save()

    def close(self) -> None:
        """Nothing is held open."""

    def _load(self) -> Known | None:
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=Known)
        except FileNotFoundError:
            return None  # a first start: each counter begins with its next reading
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("wireguard_state_unreadable", file=str(self._state), reason=str(error))
            return None

    def _save(self) -> None:
        """No fsync: what a crash takes of it can only lose the bytes of peers that were made anew in that moment."""
        save_state(self._state, msgspec.json.encode(self._known), is_durable=False)


def look_at(settings: WireguardSettings, stop: Stop) -> Sight:
    """The interface as it is now, by netlink or by `wg`. UnreadError, OSError: that cannot be told."""
    device = read_netlink(settings.interface) or read_tool(settings.command, settings.interface, stop)
    newest_index = max((index for index, _ in socket.if_nameindex()), default=0)
    return Sight(device, read_boot(_ROOT), newest_index)


def read_netlink(interface: str) -> Device | None:
    """The interface as the kernel tells it; None: it has none of that name, or pyroute2 is not installed.

    UnreadError: the kernel refuses, or its answer makes no sense. `wg` may know an interface that the kernel does not.
    """
    if not _MODULE.exists():  # pyroute2 would leave a socket open, and say so in the log at every poll
        return None
    try:
        pyroute2: Any = import_module("pyroute2")
    except ImportError:  # pip install 'weighbridge[wireguard]'
        return None
    try:
        with pyroute2.WireGuard() as link:
            return merge_messages(link.info(interface))
    except pyroute2.NetlinkError as error:
        if error.code in _HARDLY:
            return None
        raise UnreadError(f"the kernel does not tell of {interface}: {error}; it wants CAP_NET_ADMIN") from error


def read_tool(command: str, interface: str, stop: Stop) -> Device | None:
    """The interface as `wg` tells it; None: there is none. UnreadError: `wg` failed, or is not there."""
    before = interface_index(interface)
    output, complaint = run_tool([command, "show", interface, "transfer"], stop)
    if interface_index(interface) != before:
        raise UnreadError("the interface was made anew while it was read")
    if complaint is None:
        return Device(HIDDEN if before is None else before, parse_transfer(output))
    if before is None:
        return None
    raise UnreadError(f"{command} show {interface} transfer: {complaint}")


def interface_index(interface: str) -> int | None:
    """The index of an interface; None: there is none of that name in this network namespace."""
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return None


def run_tool(command: list[str], stop: Stop) -> tuple[bytes, str | None]:
    """What a command prints, and None if it went well, else what it complains of. UnreadError: it cannot run or end."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(  # noqa: S603  the operator's own command, without a shell
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=complaints)
        except OSError as error:
            raise UnreadError(
                f"{command[0]} cannot be run ({error.strerror}): install wireguard-tools, or say with command where it is; "
                f"for interfaces of the kernel {sys.executable} -m pip install pyroute2 does as well"
            ) from error
        try:
            until_s = time.monotonic() + TIMEOUT_S
            while process.poll() is None:
                if time.monotonic() > until_s or os.fstat(output.fileno()).st_size > OUTPUT_MOST:
                    raise UnreadError(f"{' '.join(command)} did not end within {TIMEOUT_S:g} s and {OUTPUT_MOST} bytes")
                if stop.wait(LOOK_S):
                    raise UnreadError("told to stop")
        finally:
            process.kill()
            process.wait()
        return _content(output, OUTPUT_MOST), None if process.returncode == 0 else _words(complaints)


def _content(file: Any, most: int) -> bytes:  # noqa: ANN401  an open file
    file.seek(0)
    return bytes(file.read(most + 1))


def _words(file: Any) -> str:  # noqa: ANN401  an open file
    return " ".join(_content(file, 500).decode("utf-8", "replace").split()) or "it failed"
