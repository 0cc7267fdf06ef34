"""The command line against a real server."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest import mock

import duckdb
import httpx
import pytest
import yaml

from support.answers import Asked, Reply, answering
from support.process import ADMIN, Server
from weighbridge.cli.failures import AUTH, FAILURE, OK, QUOTA_EXCEEDED, UNREACHABLE, USAGE
from weighbridge.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

CATALOG = """
regions: [{id: reg_1, slug: brazil, name: Brazil}]
organizations:
  - id: org_acme
    slug: acme
    name: Acme
    projects:
      - id: proj_small
        slug: small
        quotas: [{region: brazil, tb: {granted: 1}}]
        servers: [{id: sv_1, hostname: web-1, region: brazil}, {id: sv_2, hostname: web-2, region: brazil}]
      - id: proj_rate
        slug: rate
        billing_method: 95th percentile
        quotas: [{region: brazil, mbps: {granted: 10}}]
        servers: [{id: sv_3, hostname: web-3, region: brazil}]
    spaces: [{id: 123, name: Blog}]
"""
MIXED = """
{"id":"r-1","subject":"space/123","time":"2025-11-02T00:00:00Z","requests":3,"bytes_out":5}
nonsense
{"id":"r-3","subject":"space/124","time":"2025-11-02T00:00:00Z","requests":3}
{"id":"r-4","subject":"space/123","time":"2999-01-01T00:00:00Z","requests":3}
{"id":"r-1","subject":"space/123","time":"2025-11-02T00:00:00Z","requests":4,"bytes_out":5}
{"specversion":"1.0","id":"r-6","source":"other","type":"weighbridge.usage","subject":"space/123",\
"time":"2025-11-02T00:00:00Z","data":{"requests":1}}
"""
ROWS = 12_000
START_S = 1_761_955_200  # 2025-11-01T00:00:00Z


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("cli") / "data"
    with Server(folder) as running:
        (folder.parent / "catalog.yaml").write_text(CATALOG)
        applied = weighbridge(running.url, folder.parent, "apply", "catalog.yaml")
        assert applied.returncode == OK, applied.stderr
        yield running
        assert running.stop() == 0


def environment(folder: Path, key: str = ADMIN) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "WEIGHBRIDGE_KEY": key}


@dataclass
class Ran:
    returncode: int
    stdout: str
    stderr: str


def weighbridge(url: str, folder: Path, *args: str, key: str = ADMIN) -> Ran:
    """The command in this process: it is the server that is another."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(folder, key), clear=True),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run([*args, *(["--url", url] if url else [])])
    if args[0] == "import" and code in (OK, FAILURE):
        settle(url, key)
    return Ran(code, out.getvalue(), err.getvalue())


def settle(url: str, key: str) -> None:
    """What was accepted before this call is in every answer."""
    sent = datetime.now(UTC)
    query = {"from": "2025-01-01", "to": "2025-01-02"}
    with httpx.Client(headers={"Authorization": key}) as client:
        while (
            datetime.fromisoformat(client.get(f"{url}/api/v1/usage", params=query).json()["meta"]["watermark"]) < sent
        ):
            time.sleep(0.02)


def rows(url: str, folder: Path, *args: str) -> list[dict[str, object]]:
    ran = weighbridge(url, folder, *args, "--format", "json")
    assert ran.returncode == OK, ran.stderr
    return json.loads(ran.stdout)


def make_file(path: Path, subject: str = "server/sv_1", count: int = ROWS, day: int = 0) -> tuple[int, int]:
    """Events of instants within four days; the sums of bytes in and out."""
    with path.open("w") as file:
        file.write("subject,ts,bytes_in,bytes_out,note\n")
        for number in range(count):
            file.write(f"{subject},{iso(START_S + day * 86400 + 29 * number)},{number},{number * 7},x\n")
    return count * (count - 1) // 2, 7 * count * (count - 1) // 2


def iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def totals(url: str, folder: Path, server_id: str) -> tuple[object, object]:
    (row,) = rows(url, folder, "usage", "--from", "2025-11-01", "--window", "total", "--server", server_id)
    return row["bytes_in"], row["bytes_out"]


MAPPED = ("--map", "ts=time", "--skip", "note")


def test_importing_a_file_twice_counts_once_and_exporting_gives_it_back(server: Server, tmp_path: Path) -> None:
    expected = make_file(tmp_path / "e.csv")
    (first,) = rows(server.url, tmp_path, "import", "e.csv", *MAPPED)
    (again,) = rows(server.url, tmp_path, "import", "events", "e.csv", *MAPPED)
    assert first == {"file": "e.csv", "rows": ROWS, "accepted": ROWS, "duplicates": 0, "rejected": 0}
    assert again == {"file": "e.csv", "rows": ROWS, "accepted": 0, "duplicates": ROWS, "rejected": 0}
    assert list((tmp_path / "state" / "weighbridge" / "imports").iterdir()) == []
    assert totals(server.url, tmp_path, "sv_1") == expected

    asked = ("--from", "2025-11-01", "--to", "2025-11-06", "--window", "5m", "--group-by", "server", "--server", "sv_1")
    for name in ("out.csv", "out.ndjson", "out.parquet"):
        ran = weighbridge(server.url, tmp_path, "export", *asked, "--output", name)
        assert (ran.returncode, ran.stdout) == (OK, ""), ran.stderr
        assert ran.stderr == f"{5 * 288:,} rows in {name}\n"
    with (tmp_path / "out.csv").open() as file:
        exported = list(csv.DictReader(file))
    listed = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    asked_at_once = rows(server.url, tmp_path, "usage", *asked)
    assert listed == asked_at_once
    assert [
        {name: str(value if value is not None else "") for name, value in row.items()} for row in listed
    ] == exported
    columns = 'epoch(start)::BIGINT, epoch("end")::BIGINT, server, bytes_in, bytes_out'
    found = duckdb.sql(f"SELECT {columns} FROM '{tmp_path / 'out.parquet'}'")
    assert found.fetchall() == [
        (START_S + 300 * number, START_S + 300 * number + 300, "sv_1", row["bytes_in"], row["bytes_out"])
        for number, row in enumerate(listed)
    ]
    assert (sum(row["bytes_in"] for row in listed), sum(row["bytes_out"] for row in listed)) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "e.csv",
        "out.csv",
        "out.ndjson",
        "out.parquet",
        "state",
    ]


def test_an_import_that_was_killed_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    """The third batch is accepted, but the importer is killed before it hears of it."""
    expected = make_file(tmp_path / "e.csv", "server/sv_2")
    third_is_in, may_go = threading.Event(), threading.Event()
    batches = 0

    def pass_on(asked: Asked) -> Reply | None:
        nonlocal batches
        with httpx.Client() as client:
            headers = {
                name: asked.headers[name]
                for name in ("authorization", "content-type", "content-encoding")
                if name in asked.headers
            }
            answer = client.request(asked.method, server.url + asked.path, content=asked.body, headers=headers)
        if asked.method == "POST":
            batches += 1
            if batches == 3 and not may_go.is_set():
                third_is_in.set()
                may_go.wait(60)
                return None
        return Reply(answer.status_code, answer.content)

    with answering(pass_on) as url:
        importer = subprocess.Popen(
            [sys.executable, "-m", "weighbridge", "import", "e.csv", *MAPPED, "--url", url],
            cwd=tmp_path,
            env=environment(tmp_path),
            stderr=subprocess.DEVNULL,
        )
        assert third_is_in.wait(60)
        importer.kill()
        assert importer.wait(30) == -signal.SIGKILL
        may_go.set()
        ran = weighbridge(url, tmp_path, "import", "e.csv", *MAPPED, "--format", "json")
    assert ran.returncode == OK
    assert ran.stderr == "e.csv: going on behind row 10,000 (--restart begins anew)\n"
    assert json.loads(ran.stdout) == [
        {"file": "e.csv", "rows": ROWS, "accepted": 10_000, "duplicates": 2_000, "rejected": 0}
    ]
    assert totals(server.url, tmp_path, "sv_2") == expected


def test_rejected_rows_are_told_kept_and_cost_nothing_else(server: Server, tmp_path: Path) -> None:
    (tmp_path / "e.ndjson").write_text(MIXED)
    ran = weighbridge(server.url, tmp_path, "import", "e.ndjson", "--rejects", "bad.ndjson", "--format", "json")
    assert ran.returncode == FAILURE
    assert json.loads(ran.stdout) == [{"file": "e.ndjson", "rows": 6, "accepted": 2, "duplicates": 0, "rejected": 4}]
    kept = [json.loads(line) for line in (tmp_path / "bad.ndjson").read_text().splitlines()]
    assert [(each["number"], each["code"]) for each in kept] == [
        (2, "invalid"),
        (3, "unknown_subject"),
        (4, "in_future"),
        (5, "conflict"),
    ]
    assert kept[1]["content"]["id"] == "r-3"
    assert "row 3 (line 4) rejected, unknown_subject: " in ran.stderr
    assert "4 rows were rejected; they are in bad.ndjson" in ran.stderr
    (row,) = rows(server.url, tmp_path, "usage", "--from", "2025-11-01", "--window", "total", "--space", "123")
    assert (row["requests"], row["bytes_out"], row["bytes_in"]) == (4, 5, None)


def test_a_wrong_column_stops_everything_before_anything_is_sent(server: Server, tmp_path: Path) -> None:
    make_file(tmp_path / "a.csv", "server/sv_3", 10)
    (tmp_path / "b.csv").write_text("subject,time,byte_in\n")
    ran = weighbridge(server.url, tmp_path, "import", "a.csv", "b.csv", *MAPPED)
    assert ran.returncode == USAGE
    assert "did you mean bytes_in?" in ran.stderr
    assert totals(server.url, tmp_path, "sv_3") == (0, 0)


def test_quotas(server: Server, tmp_path: Path) -> None:
    """What is used counts from the beginning of this month, so events of right now are sent for it."""
    assert weighbridge(server.url, tmp_path, "quota", "check").returncode == OK
    (small,) = rows(server.url, tmp_path, "quota", "show", "--project", "small")
    assert (small["used"], small["exceeded"]) == (0, False)

    (period,) = {row["start"] for row in rows(server.url, tmp_path, "quota")}
    event = {
        "specversion": "1.0",
        "id": "q-1",
        "source": "test",
        "type": "weighbridge.usage",
        "subject": "server/sv_1",
        "time": period,
        "data": {"bytes_in": 0, "bytes_out": 10**12},
    }
    (tmp_path / "now.ndjson").write_text(json.dumps(event))
    assert weighbridge(server.url, tmp_path, "import", "now.ndjson").returncode == OK
    assert weighbridge(server.url, tmp_path, "quota", "check").returncode == OK  # all of it is not more than all of it
    ran = weighbridge(server.url, tmp_path, "quota", "check", "--at", "80", "--project", "small")
    assert (ran.returncode, ran.stderr) == (QUOTA_EXCEEDED, "exceeded: proj_small in brazil, 100.0 %\n")
    assert weighbridge(server.url, tmp_path, "quota", "check", "--at", "80", "--project", "rate").returncode == OK

    event |= {"id": "q-2", "data": {"bytes_in": 0, "bytes_out": 1}}
    (tmp_path / "now.ndjson").write_text(json.dumps(event))
    assert weighbridge(server.url, tmp_path, "import", "now.ndjson").returncode == OK
    assert weighbridge(server.url, tmp_path, "quota", "check").returncode == QUOTA_EXCEEDED
    assert weighbridge(server.url, tmp_path, "quota").returncode == OK
    assert weighbridge(server.url, tmp_path, "quota", "check", "--project", "rate").returncode == OK


def test_keys_and_what_they_may(server: Server, tmp_path: Path) -> None:
    made = rows(
        server.url,
        tmp_path,
        "keys",
        "create",
        "--organization",
        "org_acme",
        "--name",
        "reader",
        "--scope",
        "traffic:read",
        "--expires-at",
        "2999-01-01",
    )
    assert made["expires_at"] == "2999-01-01T00:00:00Z"
    key, usage = made["key"], ("usage", "--from", "1h", "--window", "total")
    assert weighbridge(server.url, tmp_path, *usage, key=key).returncode == OK
    make_file(tmp_path / "e.csv", "server/sv_3", 1)
    denied = weighbridge(server.url, tmp_path, "import", "e.csv", *MAPPED, key=key)
    assert (denied.returncode, denied.stdout) == (AUTH, "")
    assert made["id"] in {each["id"] for each in rows(server.url, tmp_path, "keys", "list")}
    assert weighbridge(server.url, tmp_path, "keys", "revoke", made["id"]).returncode == OK
    ran = weighbridge(server.url, tmp_path, *usage, key=key)
    assert (ran.returncode, ran.stdout) == (AUTH, "")
    assert "--key or WEIGHBRIDGE_KEY" in ran.stderr
    assert made["id"] not in {each["id"] for each in rows(server.url, tmp_path, "keys", "list")}
    assert weighbridge(server.url, tmp_path, "keys", "revoke", made["id"]).returncode == FAILURE


@pytest.mark.parametrize(
    "args",
    [
        ("usage",),
        ("top",),
        ("percentile", "--server", "sv_1"),
        ("quota",),
        ("quota", "check"),
        ("keys", "list"),
        ("apply", "empty.yaml"),
        ("import", "e.csv", *MAPPED),
        ("export",),
    ],
)
def test_nothing_answers(args: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("{}")
    make_file(tmp_path / "e.csv", count=1)
    ran = weighbridge("http://127.0.0.1:1", tmp_path, *args)
    assert (ran.returncode, ran.stdout) == (UNREACHABLE, "")
    assert "weighbridge serve" in ran.stderr


def test_asking(server: Server, tmp_path: Path) -> None:
    top = weighbridge(server.url, tmp_path, "top", "--from", "2025-11-01", "--to", "2025-12-01", "--limit", "1")
    assert top.stdout.splitlines()[0].split() == ["server", "name", "bytes_in", "bytes_out", "requests"]
    assert top.stdout.splitlines()[-1].split()[0] == "other"
    receipt = rows(server.url, tmp_path, "percentile", "--server", "sv_1", "--from", "2025-11-01", "--to", "2025-11-05")
    assert receipt["out"]["slots"] == 4 * 48
    assert receipt["out"]["rank"] == 192 - 192 // 20
    table = weighbridge(
        server.url,
        tmp_path,
        "percentile",
        "--server",
        "sv_1",
        "--from",
        "2025-11-01",
        "--to",
        "2025-11-05",
        "--format",
        "csv",
    )
    assert [line.split(",")[0] for line in table.stdout.splitlines()] == ["direction", "in", "out"]
    absent = weighbridge(server.url, tmp_path, "usage", "--server", "sv_9")
    assert (absent.returncode, absent.stdout) == (FAILURE, "")
    assert "sv_9" in absent.stderr


def test_applying(server: Server, tmp_path: Path) -> None:
    document = yaml.safe_load(CATALOG)
    document["organizations"][0]["spaces"].append({"id": 125, "name": "Shop"})
    (tmp_path / "more.json").write_text(json.dumps(document))
    plan = rows(server.url, tmp_path, "apply", "more.json", "--dry-run")
    assert [(each["kind"], each["id"]) for each in plan["create"]] == [("space", 125)]
    ran = weighbridge(server.url, tmp_path, "apply", "more.json", "--format", "csv")
    assert ran.stdout == "action,kind,id,fields\ncreate,space,125,\n"
    assert "1 were created, 0 were changed, 0 were deleted" in ran.stderr
    assert rows(server.url, tmp_path, "apply", "more.json")["create"] == []
    (tmp_path / "wrong.yaml").write_text("regoins: []")
    wrong = weighbridge(server.url, tmp_path, "apply", "wrong.yaml")
    assert (wrong.returncode, wrong.stdout) == (FAILURE, "")
    assert "regoins" in wrong.stderr


def test_the_doctor_asks_to_stop_the_server(server: Server, tmp_path: Path) -> None:
    ran = weighbridge("", tmp_path, "doctor", "--data", str(server.folder))
    assert ran.returncode == FAILURE
    assert "stop it first" in ran.stderr
    ran = weighbridge("", tmp_path, "demo", "--data", str(server.folder))
    assert (ran.returncode, ran.stdout) == (FAILURE, "")
    assert "stop it first" in ran.stderr


def test_a_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    ran = weighbridge(
        "", tmp_path, "serve", "--data", str(tmp_path / "d"), "--port", str(server.port), "--no-host", key=""
    )
    assert ran.returncode == FAILURE
    assert f"cannot listen on 127.0.0.1 port {server.port}" in ran.stderr
    assert "Traceback" not in ran.stderr
