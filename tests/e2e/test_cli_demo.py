"""The demo as a newcomer meets it: make it, serve it, paste its five lines."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from support.process import Server

if TYPE_CHECKING:
    from pathlib import Path


def run(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
    return subprocess.run(
        [sys.executable, "-m", "weighbridge", *args],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**kept, **variables},
        timeout=120,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("demo")
    made = run(folder, "demo", "--data", "data", "--months", "2")
    assert made.returncode == 0, made.stderr
    assert "weighbridge serve --data" in made.stderr
    names = ("Latitude.sh traffic", "Latitude.sh quota", "Apitally", "Storyblok", "Altostrat")
    lines = made.stdout.splitlines()
    curls = {name: shlex.split(lines[lines.index(f"# {name}") + 1]) for name in names}
    with Server(folder / "data") as server:
        yield server, curls
        assert server.stop() == 0
    assert run(folder, "doctor", "--data", "data", WEIGHBRIDGE_PORT="0").returncode == 0


def paste(demo, name: str):
    server, curls = demo
    words = curls[name]
    header = words[words.index("-H") + 1].split(": ", 1)
    address = urlsplit(words[-1])
    answer = httpx.get(f"{server.url}{address.path}?{address.query}", headers=dict([header]))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_latitude_traffic(demo) -> None:
    attributes = paste(demo, "Latitude.sh traffic")["data"]["attributes"]
    assert {region["region_slug"] for region in attributes["regions"]} == {"brazil", "germany", "new-york"}
    for region in attributes["regions"]:
        assert all(day["outbound_gb"] > 0 for day in region["data"])
        assert len(region["data"]) == 30
    assert attributes["total_outbound_95th_percentile_mbps"] > attributes["total_inbound_95th_percentile_mbps"] > 0


def test_latitude_quota(demo) -> None:
    projects = paste(demo, "Latitude.sh quota")["data"]["attributes"]["quota_per_project"]
    assert {project["billing_method"] for project in projects} == {"Normal", "95th percentile"}
    assert any(quota["quota_in_tb"]["total"] for project in projects for quota in project["quota_per_region"])


def test_apitally(demo) -> None:
    answer = paste(demo, "Apitally")
    days = answer["data"][:-1]  # today may just have begun
    assert len(days) in (30, 31)
    assert all(day["requests"] > 10_000 and day["bytes_sent"] > day["bytes_received"] > 10**6 for day in days)
    assert len({day["requests"] for day in days}) == len(days)


def test_storyblok(demo) -> None:
    answer = paste(demo, "Storyblok")
    assert answer["montly_traffic_limit"] == 10_000_000
    assert answer["traffic_used_this_year"] > answer["cumulated_traffic"]["requests_used_last_days"] > 10**6
    assert answer["cumulated_traffic"]["total_traffic_per_time_period"] > 10**9
    assert len(answer["traffic_top_spaces"]) == 11
    assert answer["traffic_top_spaces"]["other_spaces"][0]["total_bytes"] > 10**6


def test_altostrat(demo) -> None:
    answer = paste(demo, "Altostrat")
    assert answer["incoming_bytes"] > 10**6
    assert answer["outgoing_bytes"] > 10**6
