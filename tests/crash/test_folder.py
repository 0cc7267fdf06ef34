"""What can go wrong with the data folder: each gives a clear error, and nothing that was accepted is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from support.crash import CATALOG
from support.process import ADMIN, Server, free_port

EVENT_BYTES = 1_000


def serve(folder, *wrapper, **options):
    """Runs `weighbridge serve` to its end, which is soon: it must not start."""
    command = [*wrapper, sys.executable, "-m", "weighbridge", "serve", "--data", str(folder), "--port", str(free_port())]
    return subprocess.run([*command, "--no-host"], capture_output=True, text=True, timeout=60, check=False, **options)


def batch(first, count=200):
    return [
        {"specversion": "1.0", "id": f"e-{n}", "source": "s", "type": "weighbridge.usage", "subject": f"server/sv_{n % 4}",
         "time": "2025-06-01T00:00:00Z", "data": {"bytes_in": EVENT_BYTES, "duration_s": 300 * (n % 3)}}
        for n in range(first, first + count)
    ]


def total(client):
    parameters = {"from": "2025-05-01T00:00:00Z", "to": "2025-07-01T00:00:00Z", "window": "total"}
    time.sleep(1.0)  # accepted usage is in every answer within one second
    return client.get("/api/v1/usage", params=parameters).raise_for_status().json()["data"][0]["bytes_in"]


@contextmanager
def ready(folder, **options):
    with Server(folder, **options) as server, server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        yield server, client


def test_a_second_process_on_the_same_folder_is_told_so(tmp_path):
    folder = tmp_path / "data"
    with ready(folder) as (server, client):
        second = serve(folder)
        assert second.returncode == 1
        assert "in use" in second.stderr or "another process" in second.stderr
        assert str(server.process.pid) in second.stderr
        assert client.post("/api/v1/events", json=batch(0)).json()["accepted"] == 200
        assert total(client) == 200 * EVENT_BYTES


def mount_wrapper(script):
    """A command prefix that runs in a mount namespace of its own, as root or as a user who may make one."""
    flags = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    return ["unshare", *flags, "sh", "-c", f'{script} && exec "$@"', "sh"]


def test_a_read_only_folder_is_told_so(tmp_path):
    folder = tmp_path / "data"
    with ready(folder) as (_, client):
        client.post("/api/v1/events", json=batch(0))
    script = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    failed = serve(folder, *mount_wrapper(script))
    assert failed.returncode == 1
    assert any(words in failed.stderr.lower() for words in ("read-only", "not writable", "cannot be written"))
    assert "Traceback" not in failed.stderr
    with ready(folder) as (_, client):
        assert total(client) == 200 * EVENT_BYTES


def test_a_path_that_is_a_file_is_told_so(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    failed = serve(tmp_path / "data")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr


class FullDisk(Server):
    """A server whose folder lies on a small disk of its own."""

    size = "40m"

    def start(self):
        self.folder.mkdir(exist_ok=True)
        self.wrapper = mount_wrapper(f"mount -t tmpfs -o size={self.size} tmpfs {self.folder}")
        return super().start()

    def enlarge(self):
        pid = self.process.pid
        users = [] if os.geteuid() == 0 else ["--user"]
        enter = ["nsenter", "--target", str(pid), *users, "--mount"]
        subprocess.run([*enter, "mount", "-o", "remount,size=400m", str(self.folder)], check=True)


def test_a_full_disk_refuses_and_loses_nothing(tmp_path):
    server = FullDisk(tmp_path / "data")
    with server, server.client() as client:
        client.put("/api/v1/catalog", json=CATALOG).raise_for_status()
        accepted = refused = first = 0
        while refused < 3 and first < 4_000_000:
            answer = client.post("/api/v1/events", json=batch(first, 5000))
            if answer.status_code == 200:
                accepted += answer.json()["accepted"]
                first += 5000
            else:
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.headers["content-type"] == "application/problem+json"
                refused += 1
        assert refused == 3, "the disk never filled"
        assert accepted > 0
        server.enlarge()
        deadline = time.monotonic() + 60
        while (answer := client.post("/api/v1/events", json=batch(first, 5000))).status_code != 200:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)
        accepted += answer.json()["accepted"]
        assert accepted == first + 5000
        while (found := total(client)) != accepted * EVENT_BYTES:
            assert time.monotonic() < deadline, f"{found} of {accepted * EVENT_BYTES}"
        assert client.get("/readyz").status_code == 200


def killed_with_accepted_events(folder):
    with ready(folder) as (server, client):
        for first in range(0, 2000, 200):
            assert client.post("/api/v1/events", json=batch(first)).status_code == 200
        folded = total(client)
        server.kill()
    assert folded == 2000 * EVENT_BYTES


def test_a_torn_write_at_the_end_of_the_journal_is_passed_over(tmp_path):
    folder = tmp_path / "data"
    killed_with_accepted_events(folder)
    wal = folder / "journal" / "journal.sqlite-wal"
    with wal.open("ab") as file:
        file.write(os.urandom(3000))  # a frame that never became whole: nobody was told that it was kept
    with ready(folder) as (_, client):
        assert client.post("/api/v1/events", json=batch(0, 2000)).json()["duplicates"] == 2000
        assert total(client) == 2000 * EVENT_BYTES


@pytest.mark.parametrize("cut", [1, 5000, 100_000_000])
def test_a_truncated_journal_keeps_what_was_folded_and_says_what_is_missing(tmp_path, cut):
    folder = tmp_path / "data"
    killed_with_accepted_events(folder)
    wal = folder / "journal" / "journal.sqlite-wal"
    os.truncate(wal, max(wal.stat().st_size - cut, 0))
    with ready(folder) as (_, client):
        assert total(client) == 2000 * EVENT_BYTES
        fresh = client.post("/api/v1/events", json=batch(2000)).json()
        assert fresh["accepted"] == 200
        assert total(client) == 2200 * EVENT_BYTES


def test_a_second_signal_does_not_wait_and_loses_nothing(tmp_path):
    with ready(tmp_path / "data") as (server, client):
        assert client.post("/api/v1/events", json=batch(0)).json()["accepted"] == 200
        for _ in range(2):
            server.process.send_signal(signal.SIGTERM)
        assert server._end(signal.SIGTERM) in (0, -signal.SIGTERM)
        assert "Traceback" not in server.log.read_text()
    with ready(tmp_path / "data") as (_, client):
        assert total(client) == 200 * EVENT_BYTES


def test_sigterm_ends_it_cleanly(tmp_path):
    with ready(tmp_path / "data") as (server, client):
        client.post("/api/v1/events", json=batch(0))
        assert server._end(signal.SIGTERM) == 0
    with ready(tmp_path / "data") as (_, client):
        assert total(client) == 200 * EVENT_BYTES
        assert client.get("/version", headers={"Authorization": ADMIN}).status_code == 200
