"""The page on attribution, told by a server: an address is forgotten, found, entered with its date, and counted anew."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx
import pytest
from structlog.testing import capture_logs

from support.application import ADMIN, application_in
from support.clock import HandClock
from support.flows import DAY_S, EVERYONE, NOON, NOON_S, flow, sums_of
from support.server import running
from weighbridge.app.clock import SystemClock
from weighbridge.app.config import load
from weighbridge.app.doctor import examine
from weighbridge.cli import reattribute
from weighbridge.cli.main import run
from weighbridge.collected import Collected, FlowFlag
from weighbridge.metering.desk import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weighbridge.app.build import Application

PAGE = (Path(__file__).parents[2] / "docs/attribution.md").read_text("utf-8")
CATALOG, LATER = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
KNOWN, FORGOTTEN, STRANGER = "198.51.100.10", "198.51.100.20", "203.0.113.9"
LONELY, SENDER = FlowFlag.LONELY, FlowFlag.SENDER
RANGE = {"from": "2025-12-08", "to": "2025-12-16"}


class Site:
    """An application over a folder, a server on it, and the command line on that."""

    def __init__(self, application: Application, url: str, clock: HandClock) -> None:
        self.application, self.url, self.clock = application, url, clock
        self.client = httpx.Client(base_url=url, headers={"Authorization": ADMIN}, timeout=30)
        self._desk = Desk(application._intake, application.flow_desk)

    def apply(self, document: str) -> None:
        self.client.put("/api/v1/catalog", content=document, headers={"Content-Type": "application/yaml"}).raise_for_status()

    def bring(self, *rows: tuple[int, ...], name: str, exporter: str = "192.0.2.1") -> None:
        self._desk.take(Collected("netflow", flows=[sums_of(*rows, exporter=exporter)]), EVERYONE, "", name)
        self.application.fold()

    def ask(self, path: str, **query: Any) -> dict[str, Any]:
        return self.client.get(path, params={**RANGE, **query}).raise_for_status().json()

    def usage(self) -> list[tuple[str, int, int]]:
        """Day, bytes in and out of the server on days on which anything moved."""
        self.application.fold()
        rows = self.ask("/api/v1/usage", window="1d", server="sv_1")["data"]
        return [(row["start"][:10], row["bytes_in"], row["bytes_out"]) for row in rows if row["bytes_in"] or row["bytes_out"]]

    def weighbridge(self, *args: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr of a command, whose clock is the server's."""
        out, err = io.StringIO(), io.StringIO()
        clean = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
        with (
            mock.patch.dict(os.environ, {**clean, "WEIGHBRIDGE_KEY": ADMIN}, clear=True),
            mock.patch.object(reattribute, "SystemClock", return_value=self.clock),
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), capture_logs(),  # the server's, in this process
        ):
            code = run([*args, "--url", self.url])
        return code, out.getvalue(), err.getvalue()


@contextlib.contextmanager
def site_over(folder: Path, clock: HandClock, **flags: str) -> Iterator[Site]:
    with application_in(folder, clock, **flags) as application, running(application.app) as url:
        site = Site(application, url, clock)
        yield site
        site.client.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_over(tmp_path / "data", HandClock((NOON_S + DAY_S) * 1_000_000)) as site:
        yield site


def tell_story(site: Site) -> None:
    """A day before the address was there, and the day on which it came."""
    site.apply(CATALOG)
    site.bring(
        flow(KNOWN, 70, 7, slot=NOON - 288), flow(KNOWN, 80, 8),
        flow(FORGOTTEN, 0, 500, slot=NOON - 288, flags=LONELY | SENDER), flow(STRANGER, 500, 0, slot=NOON - 288, flags=LONELY),
        flow(FORGOTTEN, 0, 1200, flags=LONELY | SENDER, packets=3), flow(STRANGER, 1200, 0, flags=LONELY, packets=3),
        name="a",
    )


def test_the_page(site: Site) -> None:
    tell_story(site)
    before = [("2025-12-13", 70, 7), ("2025-12-14", 80, 8)]
    assert site.usage() == before
    example = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    asked = site.ask("/api/v1/unattributed", **{"from": "2025-12-14"})
    assert {name: asked[name] for name in ("data", "exporters")} == example
    assert (asked["has_more"], asked["next_token"], asked["meta"]["kept_since"]) == (False, None, "1972-01-01T00:00:00Z")

    site.apply(LATER)
    code, out, err = site.weighbridge("reattribute", "--days", "7")
    assert (code, site.usage()) == (0, before)
    shown = re.findall(r"```\n(subject.*?)```", PAGE, re.DOTALL)[0]
    assert out == shown
    assert "unattributed: 3,400 bytes, then 2,200" in err
    assert "1 corrections would be made; --apply makes them" in err
    code, out, err = site.weighbridge("reattribute", "--days", "7", "--apply")
    assert (code, out) == (0, shown)
    assert "unattributed: 3,400 bytes, then 2,200" in err
    assert "1 corrections were made" in err
    assert site.usage() == [("2025-12-13", 70, 7), ("2025-12-14", 80, 1208)]
    code, out, err = site.weighbridge("reattribute", "--days", "7", "--yes", "--format", "json")
    assert (code, json.loads(out)) == (0, [])
    assert "nothing to correct" in err
    assert site.usage() == [("2025-12-13", 70, 7), ("2025-12-14", 80, 1208)]


def test_it_holds_over_a_restart_and_the_doctor_finds_nothing(tmp_path: Path) -> None:
    clock = HandClock((NOON_S + DAY_S) * 1_000_000)
    with site_over(tmp_path / "data", clock) as site:
        tell_story(site)
        site.apply(LATER)
    with site_over(tmp_path / "data", clock) as site:
        assert len(site.ask("/api/v1/unattributed")["data"]) == 2
        answer = site.client.post("/api/v1/reattribution", json={"days": 30, "dry_run": False}).raise_for_status().json()
        assert answer["data"] == [{"subject": "server/sv_1", "organization": "org_acme", "gained_bytes_in": 0,
                                   "lost_bytes_in": 0, "gained_bytes_out": 1200, "lost_bytes_out": 0}]
        site.bring(flow(KNOWN, 70, 7), name="b")
    settings, _ = load({"data": str(tmp_path / "data"), "port": "0"}, {}, tmp_path)
    checks = {finding.check for finding in examine(settings, SystemClock())}
    assert checks <= {"disk"}
    with site_over(tmp_path / "data", clock) as site:
        assert site.usage() == [("2025-12-13", 70, 7), ("2025-12-14", 150, 1215)]


def test_a_folder_of_flows_that_was_lost_takes_nothing_away(tmp_path: Path) -> None:
    clock = HandClock((NOON_S + DAY_S) * 1_000_000)
    with site_over(tmp_path / "data", clock) as site:
        tell_story(site)
        before = site.usage()
    shutil.rmtree(tmp_path / "data" / "flows")
    with site_over(tmp_path / "data", clock) as site:
        answer = site.client.post("/api/v1/reattribution", json={"days": 30, "dry_run": False}).raise_for_status().json()
        assert (answer["data"], answer["meta"]["kept_since"]) == ([], "2025-12-15T12:00:00Z")
        assert site.usage() == before


def test_the_command_lists_what_is_nobodys(site: Site) -> None:
    tell_story(site)
    asked = ("unattributed", "--from", "2025-12-08", "--to", "2025-12-16")
    code, out, err = site.weighbridge(*asked, "--format", "csv")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "exporter,address,bytes,packets,flows", f"edge-1,{FORGOTTEN},1700,4,2", f"edge-1,{STRANGER},1700,4,2"]
    code, out, err = site.weighbridge(*asked, "--limit", "1", "--format", "csv")
    assert (len(out.splitlines()), err) == (2, "these are the first 1; --limit shows more\n")
    code, out, _ = site.weighbridge(*asked, "--totals", "--format", "csv")
    assert out.splitlines() == ["exporter,bytes,packets,flows", "edge-1,1700,4,2"]
    assert site.weighbridge(*asked, "--exporter", "192.0.2.77", "--format", "csv")[1].splitlines() == [
        "exporter,address,bytes,packets,flows"]
    code, _, err = site.weighbridge(*asked, "--exporter", "edge-9")
    assert (code, "no exporter 'edge-9'" in err) == (1, True)


def test_nothing_is_kept_of_that_time(site: Site) -> None:
    site.apply(CATALOG)
    site.application.flow_desk.retain(NOON_S + 2 * DAY_S)
    code, _, err = site.weighbridge("reattribute", "--days", "1")
    assert code == 0
    assert err == "nothing is kept of that time (all flows are kept since 2025-12-16T00:00:00Z), or it is too young\n"


def test_pages_and_filters(site: Site) -> None:
    site.apply(CATALOG)
    rows = [flow(f"203.0.113.{number}", number // 2, flags=LONELY | SENDER) for number in range(1, 8)]
    site.bring(*rows, name="a")
    site.bring(*rows[:3], name="b", exporter="192.0.2.2")
    whole = site.ask("/api/v1/unattributed")["data"]
    assert [(each["exporter"], each["address"][10:], each["bytes"]) for each in whole] == [
        ("edge-1", "6", 3), ("edge-1", "7", 3), ("edge-1", "4", 2), ("edge-1", "5", 2), ("192.0.2.2", "2", 1),
        ("192.0.2.2", "3", 1), ("edge-1", "2", 1), ("edge-1", "3", 1), ("192.0.2.2", "1", 0), ("edge-1", "1", 0)]
    paged, token = [], None
    while True:
        page = site.ask("/api/v1/unattributed", limit=3, **({"next_token": token} if token else {}))
        paged += page["data"]
        token = page["next_token"]
        assert page["has_more"] == (token is not None)
        assert page["exporters"] == [{"exporter": "192.0.2.2", "bytes": 2, "packets": 3, "flows": 3},
                                     {"exporter": "edge-1", "bytes": 12, "packets": 7, "flows": 7}]
        if token is None:
            break
        site.bring(flow("203.0.113.200", 10**6, flags=LONELY), name=token)  # what comes meanwhile stands in front of all
        site.application._flows.read(0, 300)
    assert [each for each in paged if each["bytes"] < 10**6] == whole
    first = site.ask("/api/v1/unattributed", limit=3)
    for query in ({"next_token": first["next_token"], "exporter": "edge-1"}, {"next_token": "x"}, {"next_token": "é"}):
        assert site.client.get("/api/v1/unattributed", params={**RANGE, **query}).status_code == 422
    for exporter in ("edge-1", "192.0.2.1"):
        assert {each["exporter"] for each in site.ask("/api/v1/unattributed", exporter=exporter)["data"]} == {"edge-1"}


WRONG: list[tuple[object, str | None]] = [
    ([], None), ({}, "from"), ({"days": 0}, "days"), ({"days": 3661}, "days"), ({"days": True}, "days"),
    ({"days": 1.5}, "days"), ({"days": 1, "from": "2025-12-01"}, "days"), ({"days": 1, "dry_run": "yes"}, "dry_run"),
    ({"from": "2025-12-02", "to": "2025-12-01"}, "from"), ({"from": "soon", "to": "2025-12-01"}, "from"),
    ({"from": "2025-12-02", "to": 5}, "to"), ({"days": 1, "dryrun": True}, "dryrun"),
]


def test_what_cannot_be_worked_out(site: Site) -> None:
    for body, where in WRONG:
        answer = site.client.post("/api/v1/reattribution", json=body)
        assert (body, answer.status_code, answer.json().get("where")) == (body, 422, where)


def test_only_operators_may(site: Site) -> None:
    site.apply(CATALOG)
    scopes = ["traffic:read", "catalog:write", "billing", "ingest", "vpn:view"]
    key = site.client.post("/api/v1/keys", json={"organization": "org_acme", "name": "k", "scopes": scopes}).json()["key"]
    headers = {"Authorization": key}
    assert site.client.get("/api/v1/unattributed", params=RANGE, headers=headers).status_code == 403
    assert site.client.post("/api/v1/reattribution", json={"days": 1}, headers=headers).status_code == 403


def test_jobs_keep_flows_in_few_pieces_for_as_long_as_the_setting_says(tmp_path: Path) -> None:
    clock = HandClock((NOON_S + DAY_S) * 1_000_000)
    with site_over(tmp_path / "data", clock, retention_days_flows="2") as site:
        for number in range(3):
            site.bring(flow(KNOWN, 1), flow(KNOWN, 1, slot=NOON - 2 * 288), name=str(number))
        jobs = {job.what: job.run for job in site.application._table()}
        assert jobs["compact flows"]() == 2
        assert jobs["compact flows"]() == 0
        jobs["retain"]()
        assert site.ask("/api/v1/unattributed")["meta"]["kept_since"] == "2025-12-13T00:00:00Z"
