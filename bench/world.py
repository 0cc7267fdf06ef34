"""What is metered in a benchmark: a catalog of any size, and its history, given alike to Weighbridge and its peer.

A tenth of the series are the servers of one project in four regions, two tenths servers of its neighbours; a quarter
are spaces; 50 are one app's environments times consumers; four a VPN instance with its peers; the rest other servers.
Series are first seen in random order. Where their numbers come from that, no question finds its series side by side.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from bench.machine import folder_bytes
from bench.store import DAY_S, FINE_DAYS, LOAD_DAYS, traffic

from weighbridge.app.clock import SystemClock
from weighbridge.measurement import UNKNOWN
from weighbridge.model import Kind, SeriesKey
from weighbridge.storage.catalog.store import SqlCatalog
from weighbridge.storage.duckdb.store import DuckDBStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REGIONS = ("amsterdam", "brazil", "chicago", "tokyo")
PROJECT = "proj_big"
APP = 1
ENVIRONMENTS, CONSUMERS = 5, 10
VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
PEERS = ("alice", "bob", "carol")
SPACES_ORGANIZATION = "org_spaces"
FIRST_SPACE = 1001
SLOT_S = 1800

Rows = np.ndarray
"""dtype SLOT_ROW."""


@dataclass
class World:
    """How much there is. `now_s` ends the history, on a 30-minute slot."""

    series: int
    days: int
    now_s: int = field(default_factory=lambda: int(time.time()) // SLOT_S * SLOT_S)
    numbered: list[SeriesKey] = field(default_factory=list)  # series 1 and up, once they are in a catalog

    @property
    def big(self) -> int:
        """Servers of the project that is asked about."""
        return self.series // 10

    @property
    def spaces(self) -> range:
        """Ids of the spaces."""
        return range(FIRST_SPACE, FIRST_SPACE + self.series // 4)

    @property
    def start_s(self) -> int:
        """Where the history begins, on a UTC day."""
        return (self.now_s // DAY_S - self.days) * DAY_S

    @property
    def fine_s(self) -> int:
        """From here on there are 5-minute slots."""
        return max(self.start_s, (self.now_s // DAY_S - FINE_DAYS) * DAY_S)

    def servers(self) -> list[tuple[str, str, str]]:
        """(id, project, region) of all servers."""
        count = self.series - len(self.spaces) - ENVIRONMENTS * CONSUMERS - 1 - len(PEERS)
        return [
            (f"sv_{at:06}", PROJECT if at < self.big else f"proj_{at // max(self.big, 1)}", REGIONS[at % len(REGIONS)])
            for at in range(count)
        ]

    def document(self) -> dict[str, object]:
        """The catalog."""
        projects: dict[str, list[dict[str, object]]] = {}
        for server, project, region in self.servers():
            projects.setdefault(project, []).append({"id": server, "hostname": server, "region": region})
        listed = [
            {"id": project, "slug": project.replace("_", "-"), "billing_method": "95th percentile", "price": 500,
             "quotas": [{"region": region, "price": 100, "tb": {"granted": 20, "additional": 1}} for region in REGIONS],
             "servers": servers}
            for project, servers in projects.items()
        ]
        vpn = {"id": VPN, "name": "hq", "region": REGIONS[0], "peers": [{"id": peer} for peer in PEERS]}
        app = {
            "id": APP, "name": "api",
            "environments": [{"id": at, "name": f"env-{at}"} for at in range(1, ENVIRONMENTS + 1)],
            "consumers": [{"id": at, "identifier": f"consumer-{at}"} for at in range(1, CONSUMERS + 1)],
        }
        return {
            "regions": [{"id": f"reg_{slug}", "slug": slug, "name": slug} for slug in REGIONS],
            "organizations": [
                {"id": "org_hosting", "slug": "hosting", "name": "Hosting", "projects": listed[:3],
                 "vpn_instances": [vpn]},
                {"id": "org_others", "slug": "others", "name": "Others", "projects": listed[3:]},
                {"id": "org_api", "slug": "api", "name": "API", "apps": [app]},
                {"id": SPACES_ORGANIZATION, "slug": "spaces", "name": "Spaces", "monthly_traffic_limit": 10**9,
                 "spaces": [{"id": at, "name": f"space {at}"} for at in self.spaces]},
            ],
        }

    def keys(self) -> list[SeriesKey]:
        """Every series, in the order of their first sight."""
        keys = [SeriesKey(Kind.SERVER, server) for server, _, _ in self.servers()]
        keys += [SeriesKey(Kind.SPACE, str(at)) for at in self.spaces]
        keys += [
            SeriesKey(Kind.APP, str(APP), environment, consumer)
            for environment in range(1, ENVIRONMENTS + 1)
            for consumer in range(1, CONSUMERS + 1)
        ]
        keys += [SeriesKey(Kind.VPN, VPN), *(SeriesKey(Kind.PEER, f"{VPN}/{peer}") for peer in PEERS)]
        order = np.random.default_rng(1).permutation(len(keys))
        return [keys[at] for at in order.tolist()]

    def subjects(self) -> list[str]:
        """Subjects of events, one for each series; an app's with its environment and consumer behind bars."""
        return [_subject(key) for key in self.keys()]

    def history(self) -> Iterator[tuple[int, Rows]]:
        """(length of their slots in seconds, rows) from the newest part on, in whole weeks or six of them."""
        rng = np.random.default_rng(7)
        counts = np.array([False, *(key.kind in (Kind.APP, Kind.SPACE) for key in self.numbered)])
        for first_s, last_s, step_s in ((self.fine_s, self.now_s, 300), (self.start_s, self.fine_s, SLOT_S)):
            span_s = LOAD_DAYS * DAY_S * step_s // 300
            for from_s in range(first_s, last_s, span_s):
                rows = traffic(rng, self.series, from_s, min(from_s + span_s, last_s), step_s)
                rows["requests"] = np.where(counts[rows["series"]], rows["bytes_in"] // 20_000, UNKNOWN)
                yield step_s, rows


def _subject(key: SeriesKey) -> str:
    if key.kind is Kind.APP:
        return f"app/{APP}|env-{key.environment}|consumer-{key.consumer}"
    if key.kind is Kind.PEER:
        return "vpn/" + key.object.replace("/", "/peer/")
    return f"{key.kind.value}/{key.object}"


def enter_catalog(world: World, folder: Path) -> None:
    """A data folder with the catalog and no usage; the world knows its series by number."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = SqlCatalog(folder / "catalog.sqlite", SystemClock())
    catalog.apply(world.document())
    made = catalog.enter_series(world.keys())
    catalog.close()
    made.sort(key=lambda series: series.id)
    if made[-1].id != len(made):
        msg = f"the catalog has {made[-1].id} series, the world {len(made)}"
        raise RuntimeError(msg)
    world.numbered = [series.key for series in made]


@dataclass
class Weight:
    """What the history weighs: bytes for each series and 5-minute slot of the newest part, all tiers; and loading."""

    bytes_per_slot: float = 0.0
    load_s: float = 0.0
    rows: int = 0


def enter_history(world: World, folder: Path, *others: Callable[[int, Rows], None]) -> Weight:
    """The data folder holds the history too. `others` are given the same rows, as they come."""
    store = DuckDBStore(folder / "usage")
    store.retain(300, world.fine_s)
    weight = Weight()
    last_step_s = 300
    for step_s, rows in world.history():
        if step_s != last_step_s:  # the newest part is complete: weigh all tiers of it
            weight.bytes_per_slot = _per_slot(store, world)
            last_step_s = step_s
        before = time.perf_counter()
        store.load(rows)
        weight.load_s += time.perf_counter() - before
        weight.rows += len(rows)
        for other in others:
            other(step_s, rows)
    if last_step_s == 300:
        weight.bytes_per_slot = _per_slot(store, world)
    store.close()
    return weight


def _per_slot(store: DuckDBStore, world: World) -> float:
    store.checkpoint()
    return folder_bytes(store.folder) / (world.series * ((world.now_s - world.fine_s) // 300))
