"""Puts the running parts together: the only place that names concrete classes."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from weighbridge.app.adminkey import find_admin_key
from weighbridge.app.collectors import Collectors, numbered
from weighbridge.app.memory import give_back, settle, unsettle
from weighbridge.app.rates import rates_of
from weighbridge.dialects import DIALECTS
from weighbridge.dialects.altostrat.routes import make_dialect as make_altostrat
from weighbridge.dialects.native.routes import native_dialect
from weighbridge.http.jwt import JwtSettings
from weighbridge.http.metrics import IntakeCounts, SourceCounts
from weighbridge.http.server import HttpSettings, make_app
from weighbridge.http.services import Services
from weighbridge.measurement import MAX_DURATION_S
from weighbridge.metering.desk import Desk
from weighbridge.metering.flows.corrections import Reattribution
from weighbridge.metering.flows.desk import FlowDesk
from weighbridge.metering.flows.interests import Interests
from weighbridge.metering.fold import catch_up
from weighbridge.metering.intake import Intake
from weighbridge.metering.jobs import Job, Jobs
from weighbridge.metering.subjects import Sender
from weighbridge.model import Metering
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.events.routes import ROUTES as EVENT_ROUTES
from weighbridge.sources.host.listen import ROOT
from weighbridge.sources.host.read import is_supported
from weighbridge.sources.host.settings import HostSettings
from weighbridge.sources.hub.routes import HUB
from weighbridge.sources.otlp.routes import OTLP
from weighbridge.sources.remote_write.routes import make_routes as make_write_routes
from weighbridge.storage.catalog.store import SqlCatalog
from weighbridge.storage.duckdb.store import DuckDBStore
from weighbridge.storage.flows.store import SqliteFlowStore
from weighbridge.storage.journal.store import SqliteJournal
from weighbridge.web.pages import WEB_ROUTES

if TYPE_CHECKING:
    from weighbridge.app.config import Settings
    from weighbridge.collected import Sink
    from weighbridge.http.route import Dialect
    from weighbridge.http.server import App
    from weighbridge.ports import Clock

FOLD_EVERY_S = 0.15
"""Accepted usage is in every answer within a second; this leaves room for the fold itself, and gathers small batches."""
CHECKPOINT_EVERY_S = 1.0
FLUSH_EVERY_S = 20.0
"""What is fresh is summed up with every question; 20 s of it at 10,000 events a second cost a question under 2 ms."""
TRIM_EVERY_S = 5.0
COMPACT_EVERY_S = 30.0
RETAIN_EVERY_S = 3600.0
GIVE_BACK_EVERY_S = 60.0
FORGET_EVERY_S = 86_400.0
COUNTERS_KEPT_S = 2 * MAX_DURATION_S
"""How long a counter that is not read any more is remembered. Counters that count whole since they began are refused when
that is as long ago as one measurement may last, so what comes half of this late does not find itself forgotten."""

LOG_LANES = 4
"""Threads that follow logs: DuckDB lets others work while it reads, and a backlog of one log must not stop all."""

LOCAL = "local"
"""Organization, project and region of this machine's own traffic."""
LOCAL_SERVER = "sv_local"

_log = structlog.get_logger("weighbridge")


class Application:
    """Everything that runs, over one data folder. Raises StorageError (domain/errors.py) when the folder is at fault."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._folding = threading.Lock()
        self._opened = ExitStack()
        try:
            self._open()
        except BaseException:
            self._opened.close()
            raise

    def _open(self) -> None:
        folder = self.settings.data
        self._journal = SqliteJournal(folder / "journal")  # first: it locks the folder
        self._opened.callback(self._journal.close)
        self.admin_key = find_admin_key(folder, self.settings.admin_key)
        self._catalog = SqlCatalog(folder / "catalog.sqlite", self._clock)
        self._opened.callback(self._catalog.close)
        self._catalog.admin_key(self.admin_key.secret)
        self._store = DuckDBStore(
            folder / "usage", memory_limit_mb=self.settings.duckdb_memory_mb, threads=self.settings.duckdb_threads
        )
        self._opened.callback(self._store.close)
        mark = self._store.mark()
        self._journal.ensure_after(mark.position, mark.totals)
        self._intake = Intake(self._catalog, self._journal, self._clock, mark)
        self._opened.callback(self._intake.close)
        self._flows = SqliteFlowStore(folder / "flows", self._flows_begin_s)
        self._opened.callback(self._flows.close)
        self.flow_desk = FlowDesk(self._catalog, self._flows, self._clock)
        self._desk = Desk(self._intake, self.flow_desk)
        self._interests = Interests(self._catalog, self._clock)
        self.services = Services(
            catalog=self._catalog,
            store=self._store,
            journal=self._journal,
            intake=self._intake,
            clock=self._clock,
            health=self,
            desk=self._desk,
            interests=self._interests,
            flows=self._flows,
            reattribution=Reattribution(
                self.flow_desk, catalog=self._catalog, flows=self._flows, usage=self._store, intake=self._intake,
                clock=self._clock, fold=self.fold,
            ),
        )
        self.services.metrics.registry.register(IntakeCounts(self._intake))
        self.services.metrics.registry.register(SourceCounts(self._desk))
        self._jobs = Jobs(self._table(), time.monotonic)
        sink = numbered(lambda collected, name: self._desk.take(collected, Sender(None), "", name))
        self._collectors = Collectors(self._collected_tables(), partial(self._surround, sink))
        served = dialects(self.settings)
        self.app: App = make_app(self.services, served, settings=_http_settings(self.settings, served))

    def start(self) -> None:
        """Jobs and collectors run."""
        settle()
        self._jobs.start()
        self._opened.callback(self._jobs.stop)
        self._collectors.start()
        self._opened.callback(self._collectors.stop)

    def stop(self) -> None:
        """Everything accepted is answered, jobs are over, files are closed."""
        self._opened.close()
        unsettle()

    def ready(self) -> tuple[bool, dict[str, str]]:
        """Whether requests can be served, and a word on each part."""
        troubles = self._jobs.troubles() | {f"source {name}": why for name, why in self._collectors.troubles().items()}
        parts = {"journal": "open", "store": "open", "catalog": "open", "fold": "running", **troubles}
        return "fold" not in troubles, parts

    def _table(self) -> list[Job]:
        """What runs by itself."""
        table = [
            Job("fold", "fold", FOLD_EVERY_S, self.fold),
            Job("checkpoint", "fold", CHECKPOINT_EVERY_S, self._journal.checkpoint),
            Job("flush", "upkeep", FLUSH_EVERY_S, self._store.flush),
            Job("trim", "upkeep", TRIM_EVERY_S, lambda: self._journal.trim(self._store.mark().position)),
            Job("compact", "upkeep", COMPACT_EVERY_S, lambda: self._store.compact(self._now_s())),
            Job("retain", "upkeep", RETAIN_EVERY_S, self._retain),
            Job("compact flows", "upkeep", COMPACT_EVERY_S, self.flow_desk.compact),
            Job("give back memory", "upkeep", GIVE_BACK_EVERY_S, give_back),
            Job("forget counters", "upkeep", FORGET_EVERY_S, self._forget_counters),
        ]
        return [*table, *self._log_jobs()]

    def _collected_tables(self) -> dict[str, tuple[Any, ...]]:
        """The tables of sources that bring in by themselves; of this machine too, unless it is off."""
        tables = dict(self.settings.sources)
        if "host" not in tables and self._is_host_metered():
            tables["host"] = (HostSettings(server=LOCAL_SERVER, interval_s=self.settings.host_interval_s),)
        return tables

    def _surround(self, sink: Sink, name: str) -> Surroundings:
        folder = self.settings.data / "collectors" / name
        folder.mkdir(parents=True, exist_ok=True)
        return Surroundings(sink, self._clock, folder, self._interests.of)

    def _log_jobs(self) -> list[Job]:
        """Following the logs that the settings name, a few at a time."""
        logs = self.settings.sources.get("log", ())
        if not logs:
            return []
        from weighbridge.sources.log.listen import POLL_EVERY_S, make_log_collectors  # noqa: PLC0415  costs nothing unused

        folder = self.settings.data / "logs"
        folder.mkdir(exist_ok=True)
        jobs = []
        for number, collector in enumerate(make_log_collectors(logs, self._intake.take, folder, self._clock)):
            self._opened.callback(collector.close)
            jobs.append(Job(f"log {collector.path}", f"logs-{number % LOG_LANES}", POLL_EVERY_S, collector.poll))
        return jobs

    def fold(self) -> None:
        """Everything accepted before the call is in the answers. Two at once would count the same rows twice."""
        with self._folding:
            self._intake.note_folded(catch_up(self._journal, self._store))

    def _flows_begin_s(self) -> int:
        """From when on a new store of flows holds all that was ever taken: now, where some were taken before it was there."""
        fed = any(series.key.via == Metering.FLOWS for series in tuple(self._catalog.view().series.values()))
        return self._now_s() if fed else 0

    def _retain(self) -> None:
        settings = self.settings
        for tier_s, days in (
            (300, settings.retention_days_5m), (1800, settings.retention_days_30m), (86400, settings.retention_days_1d),
        ):
            if days is not None:
                self._store.retain(tier_s, self._now_s() - days * 86400)
        if settings.retention_days_flows is not None:
            self.flow_desk.retain(self._now_s() - settings.retention_days_flows * 86400)

    def _forget_counters(self) -> None:
        self._journal.forget_counters((self._now_s() - COUNTERS_KEPT_S) * 1_000_000)

    def _now_s(self) -> int:
        return self._clock.now_us() // 1_000_000

    def _is_host_metered(self) -> bool:
        """Whether this machine's own traffic is metered; its server is entered at the first start."""
        if self.settings.no_host:
            return False
        if not is_supported(ROOT):
            _log.warning("host_not_metered", reason="this system has no /proc/net/dev; use --no-host to hide this")
            return False
        view = self._catalog.view()
        if LOCAL_SERVER not in view.servers:
            self._catalog.apply(local_catalog(socket.gethostname()))
        server = self._catalog.view().servers[LOCAL_SERVER]
        if server.deleted_at_s is not None:
            _log.info("host_not_metered", reason=f"server {LOCAL_SERVER} was deleted from the catalog")
        return server.deleted_at_s is None


def local_catalog(hostname: str) -> dict[str, object]:
    """The catalog document of this machine itself."""
    server = {"id": LOCAL_SERVER, "hostname": hostname or LOCAL, "region": LOCAL}
    project = {"id": "proj_local", "slug": LOCAL, "servers": [server]}
    organization = {"id": LOCAL, "slug": LOCAL, "name": "This machine", "projects": [project]}
    region = {"id": "reg_local", "slug": LOCAL, "name": "This machine"}
    return {"regions": [region], "organizations": [organization]}


def dialects(settings: Settings) -> list[Dialect]:
    """Every dialect that is served, ours with the routes of the sources."""
    served = dict(DIALECTS)
    write_routes = make_write_routes(settings.sources.get("remote_write", ()))
    served["native"] = native_dialect((*EVENT_ROUTES, *write_routes, *WEB_ROUTES))
    served["altostrat"] = make_altostrat(_jwt(settings))
    served["hub"] = HUB
    served["otlp"] = OTLP
    return list(served.values())


def _jwt(settings: Settings) -> JwtSettings | None:
    """Whose tokens are believed; None: nobody's."""
    jwt = settings.jwt
    if jwt.issuer is None:
        return None
    return JwtSettings(**asdict(jwt))


def _http_settings(settings: Settings, served: list[Dialect]) -> HttpSettings:
    return HttpSettings(
        rate_limits=settings.rate_limits == "on",
        rates=rates_of(settings, served),
        handler_threads=settings.handler_threads,
    )
