"""Collects NetFlow and IPFIX: the decoder behind the loop that all flow protocols share, its templates kept on disk."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

import structlog

from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.flows import FlowCollector
from weighbridge.sources.netflow.decode import Decoder
from weighbridge.sources.netflow.kept import read_kept, write_kept

if TYPE_CHECKING:
    from pathlib import Path

    from weighbridge.collected import Stop
    from weighbridge.datagrams.block import Datagrams
    from weighbridge.sources.collector import Surroundings
    from weighbridge.sources.netflow.decode import Decoded
    from weighbridge.sources.netflow.egress import Egress
    from weighbridge.sources.netflow.settings import NetflowSettings

KEEP_EVERY_S: Final = 5.0
"""How often templates that changed are written at the most: what is lost with them the exporter tells again."""
_FILE: Final = "templates.msgpack"

_log = structlog.get_logger("weighbridge.netflow")


def make_collector(tables: tuple[NetflowSettings, ...], surroundings: Surroundings) -> NetflowCollector:
    """What collects at every address of the tables. InvalidInputError: they contradict each other."""
    if len({table.egress for table in tables}) > 1:
        raise InvalidInputError("sources.netflow: egress must be the same in all tables, an exporter may send to any of them")
    return NetflowCollector(tables, surroundings)


class NetflowCollector:
    """Collects NetFlow and IPFIX of all its tables. One exporter may send to several of them."""

    def __init__(self, tables: tuple[NetflowSettings, ...], surroundings: Surroundings) -> None:
        """Templates that were kept are known again."""
        self._decoder = KeptDecoder(surroundings.folder / _FILE, tables[0].egress)
        self._flows = FlowCollector("netflow", tables, self._decoder, surroundings)

    def run(self, stop: Stop) -> None:
        """Collects until it is told to stop. OSError: an address cannot be bound. InvalidInputError: it is none."""
        try:
            self._flows.run(stop)
        finally:
            self._decoder.save()


class KeptDecoder:
    """A decoder whose templates and sampling rates are on disk. One thread decodes, another keeps."""

    def __init__(self, path: Path, egress: Egress = "auto") -> None:
        """It knows what the file says. One that is damaged is passed over, and told."""
        self._path = path
        self._lock = threading.Lock()
        self._decoder = Decoder(egress)
        self._due_s = time.monotonic()
        try:
            read_kept(path.read_bytes(), self._decoder.streams, self._decoder.twins)
        except FileNotFoundError:
            pass  # a first start
        except (OSError, ValueError) as error:
            _log.warning("templates_not_read", file=str(path), reason=str(error))
        self._saved = self._decoder.changes

    def decode(self, block: Datagrams) -> Decoded:
        """What a block says."""
        with self._lock:
            return self._decoder.decode(block)

    def keep(self) -> None:
        """Templates and rates are on disk, if they changed and were not written a moment ago."""
        if time.monotonic() >= self._due_s:
            self.save()

    def save(self) -> None:
        """Templates and rates are on disk. Trouble is logged: the exporters tell them again."""
        with self._lock:
            changes = self._decoder.changes
            if changes == self._saved:
                return
            content = write_kept(self._decoder.streams, self._decoder.twins)
        self._due_s = time.monotonic() + KEEP_EVERY_S
        draft = self._path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            _log.warning("templates_not_kept", file=str(self._path), reason=str(error))
            return
        self._saved = changes
