"""A real server with network sources, and what tests of it have in common."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.process import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
"""Debian keeps daemons where users' PATH does not look."""
ORGANIZATION = "org_net"


def wait_until(holds: Callable[[], object], within_s: float) -> None:
    """It holds, or the time is over: then whoever asked finds out itself."""
    until_s = time.monotonic() + within_s
    while not holds() and time.monotonic() < until_s:
        time.sleep(0.05)


class Metered:
    """A server in a process of its own, with these settings, and one organization whose servers traffic is attributed to."""

    def __init__(self, folder: Path, settings: str) -> None:
        config = folder.with_suffix(".toml")
        config.write_text(settings)
        self.server = Server(folder, arguments=("--no-host", "--config", str(config)))
        now = datetime.now(UTC)
        self._from = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._to = (now + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.kill()

    def declare(
        self, addresses: Mapping[str, Sequence[str]], more: Mapping[str, Mapping[str, Any]] | None = None,
        **top: Sequence[Mapping[str, Any]],
    ) -> None:
        """Servers by id with their addresses, and other fields; further top-level lists. Attributed for two hours already."""
        ids = [*addresses, *(set(more or {}) - set(addresses))]
        servers = [
            {
                "id": each, "hostname": each, "region": "lab", "from": self._from,
                **({"addresses": list(addresses[each])} if each in addresses else {}), **(more or {}).get(each, {}),
            }
            for each in ids
        ]
        project = {"id": "proj_net", "slug": "net", "servers": servers}
        organization = {"id": ORGANIZATION, "slug": "net", "name": "Net", "projects": [project]}
        document = {"regions": [{"id": "reg_lab", "slug": "lab", "name": "Lab"}], "organizations": [organization], **top}
        with self.server.client() as client:
            answer = client.put("/api/v1/catalog", json=document)
        assert answer.status_code == 200, answer.text

    def usage(self) -> dict[str, tuple[int | None, int | None]]:
        """What each server received and sent in the last two hours and the next."""
        rows = self._ask("/api/v1/usage", organization=ORGANIZATION, group_by="server")["data"]
        return {row["server"]: (row["bytes_in"], row["bytes_out"]) for row in rows}

    def is_estimated(self, server: str) -> bool:
        """Whether a part of a server's usage is an estimate."""
        return bool(self._ask("/api/v1/usage", server=server)["meta"]["estimated"])

    def get(self, path: str, **query: object) -> Any:
        """The answer to a question over the same time."""
        return self._ask(path, **query)

    def _ask(self, path: str, **query: object) -> Any:
        with self.server.client() as client:
            answer = client.get(path, params={"from": self._from, "to": self._to, "window": "total", **query})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for_udp(self, port: int) -> None:
        """The server listens on this UDP port."""
        tables = [Path("/proc/net/udp"), Path("/proc/net/udp6")]
        wait_until(lambda: any(f":{port:04X} " in table.read_text("ascii") for table in tables if table.exists()), 10)
