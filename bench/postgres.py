"""A PostgreSQL of its own for the time of a benchmark: found, made, started, and gone at the end."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psycopg
from bench.server import free_port

INSTALL = "PostgreSQL is not installed: `apt install postgresql-15` (Debian) gives the peer"
SETTINGS = {
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "1GB",
    "effective_cache_size": "4GB",
    "random_page_cost": "1.1",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}
"""Moderate tuning, each in PostgreSQL's favour here; `fsync` and `synchronous_commit` stay on, their default."""
_TUNED = ", ".join(f"{name}={value}" for name, value in SETTINGS.items())
TUNING = f"PostgreSQL's settings: {_TUNED}; fsync, synchronous_commit and full_page_writes on."
STOP_S = 60


def find_binaries() -> Path | None:
    """The folder with initdb and pg_ctl, the newest version up to 15 before newer ones; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_preference)
    if found:
        return found[0].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _preference(initdb: Path) -> tuple[bool, int]:
    version = int(re.sub(r"\D", "", initdb.parent.parent.name) or 0)
    return version != 15, -version


class Postgres:
    """A running cluster while the `with` lasts."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-bench-pg-"))
        self.version = ""

    def _run(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's programs, which refuse to be root, as its own user."""
        become = ["runuser", "-u", self._user, "--"] if os.geteuid() == 0 else []
        command = [*become, str(self._binaries / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"{program} failed: {done.stderr or done.stdout}"
            raise RuntimeError(msg)

    def __enter__(self) -> Self:
        try:
            if os.geteuid() == 0:
                owner = pwd.getpwnam(self._user)
                os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            data = str(self.folder / "data")
            self._run("initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C")
            place = {"port": str(self.port), "listen_addresses": "''", "unix_socket_directories": str(self.folder)}
            settings = SETTINGS | place
            options = " ".join(f"-c {name}={value}" for name, value in settings.items())
            self._run("pg_ctl", "-D", data, "-l", str(self.folder / "log"), "-w", "-o", options, "start")
            with self.connect() as connection:
                self.version = str(connection.execute("SHOW server_version").fetchone()[0]).split()[0]  # type: ignore[index]
        except BaseException:
            self.__exit__()
            raise
        return self

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection in autocommit: every statement is durable when it is answered."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="bench", dbname="postgres", autocommit=True
        )

    @property
    def pid(self) -> int:
        """Of the postmaster, parent of all others."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def __exit__(self, *_: object) -> None:
        data = self.folder / "data"
        if (data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(data), "-m", "fast", "-w", "-t", str(STOP_S), "stop")
        shutil.rmtree(self.folder, ignore_errors=True)
