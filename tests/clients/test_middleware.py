"""weighbridge.asgi and weighbridge.wsgi in the real frameworks, each on a real server, seen from a client's side."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import weighbridge
from support.answers import Reply, answering
from support.environments import python_of
from support.metered import Referee
from support.process import free_port
from weighbridge.sources.events.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.answers import Asked
    from weighbridge.reporter.tally import Key

HERE = Path(__file__).parent
APPS = HERE / "middleware_apps"
SOURCE = Path(weighbridge.__file__).parent.parent
FILE = bytes(range(256)) * 400
STREAM = 1_057
STARTED_S, ENDED_S = 60.0, 20.0

pytestmark = pytest.mark.timeout(600)  # the first test makes the environment


@pytest.fixture(scope="session")
def frameworks_python() -> Path:
    """The interpreter of an environment that holds exactly what frameworks.lock says."""
    return python_of("frameworks")


@dataclass
class Framework:
    """How an app is served, and what it calls its routes."""

    module: str
    served_by: str
    item: str
    order: str
    boom_page: bool = True
    more: dict[tuple[str, str], tuple[str, str | None]] = field(default_factory=dict)
    websockets: dict[str, str] = field(default_factory=dict)


FRAMEWORKS = {
    "fastapi": Framework(
        "fastapi_app:app", "uvicorn", "/items/{item_id}", "/shop/orders/{order}",
        boom_page=False,  # a middleware that is added stands within Starlette's page of errors
        more={
            ("GET", "/api/v1/users/alice"): ("alice", "/api/v1/users/{user_id}"),
            ("GET", "/of/acme/orders/12345"): ("12345", "/of/{tenant}/orders/{order}"),
            ("GET", "/static/file.bin"): (FILE.decode("latin-1"), "/static/{path}"),
            ("GET", "/static/none.bin"): ('{"detail":"Not Found"}', "/static/{path}"),
            ("PUT", "/upload"): ('{"detail":"Method Not Allowed"}', "/upload"),
        },
        websockets={"/ws/lobby": "/ws/{room}", "/api/v1/rooms/lobby": "/api/v1/rooms/{room}"},
    ),
    "starlette": Framework(
        "starlette_app:app", "uvicorn", "/items/{item_id:int}", "/shop/orders/{order}",
        more={
            ("GET", "/of/acme/deep/orders/12345"): ("12345", "/of/{tenant}/deep/orders/{order}"),
            ("GET", "/static/file.bin"): (FILE.decode("latin-1"), "/static/{path}"),
            ("GET", "/items/word"): ("Not Found", None),
        },
        websockets={"/ws/lobby": "/ws/{room}"},
    ),
    "litestar": Framework(
        "litestar_app:app", "uvicorn", "/items/{item_id}", "/shop/orders/{order}", websockets={"/ws/lobby": "/ws/{room}"}
    ),
    "flask": Framework(
        "flask_app:app", "waitress", "/items/<int:item_id>", "/shop/orders/<order>",
        more={("GET", "/of/orders/12345"): ("12345", "/of/orders/<order>")},
    ),
    "django on wsgi": Framework(
        "django_app:wsgi", "waitress", "/items/<int:item_id>", "/shop/orders/<order>",
        more={("GET", "/of/acme"): ("acme", "/of/(?P<order>[a-z]+)$")},
    ),
    "django on asgi": Framework(
        "django_app:asgi", "uvicorn", "/items/<int:item_id>", "/shop/orders/<order>",
        more={("GET", "/stream-async"): ("a" * 1_000 + "b" * 50 + "c" * 7, "/stream-async")},
    ),
}


class Judge(Referee):
    """A referee that reads what it gets as the server does, and finds nothing wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def reply(self, asked: Asked) -> Reply:
        decoded = decode(gzip.decompress(asked.body), asked.headers["content-type"])
        assert decoded.refused == ()
        with self._lock:
            return Reply(200, self.take(asked.body))


@contextmanager
def served(python: Path, framework: Framework, folder: Path, judge: Judge) -> Iterator[str]:
    """The app in a process of its own; when the context ends, the process was asked to end, and has."""
    port = free_port()
    if framework.served_by == "uvicorn":
        command = ["-m", "uvicorn", "--port", str(port), "--log-level", "warning", framework.module]
    else:
        command = ["-m", "waitress", f"--listen=127.0.0.1:{port}", framework.module]
    with answering(judge.reply) as meter_url, (folder / "app.log").open("wb") as log:
        told = {"WEIGHBRIDGE_URL": meter_url, "WEIGHBRIDGE_KEY": "k", "WEIGHBRIDGE_APP": "1", "MADE_FOLDER": str(folder)}
        paths = os.pathsep.join((str(SOURCE), str(APPS)))
        process = subprocess.Popen(
            [python, *command], env=os.environ | told | {"PYTHONPATH": paths}, stdout=log, stderr=log, cwd=folder
        )
        try:
            until_s = time.monotonic() + STARTED_S
            while not is_listening(port):
                assert process.poll() is None, (folder / "app.log").read_text()
                assert time.monotonic() < until_s
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
            # waitress knows no other clean end than an interrupt; uvicorn gets what supervisors send
            process.send_signal(signal.SIGTERM if framework.served_by == "uvicorn" else signal.SIGINT)
            process.wait(ENDED_S)
        finally:
            process.kill()
            process.wait(ENDED_S)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Customer:
    """Asks, and keeps account of what went over the line as it sees it."""

    client: httpx.Client
    account: dict[Key, list[int]] = field(default_factory=dict)

    def ask(self, method: str, path: str, template: str | None, *, sees_body: bool = True, **more: Any) -> httpx.Response:
        with self.client.stream(method, path, **more) as answer:
            received = sum(len(piece) for piece in answer.iter_raw())
        key = ("prod", "alice", None if template is None else method, template)
        sent = more.get("content", b"")
        self.add(key, len(sent) if isinstance(sent, bytes) else 3 * 70_000, received if sees_body else 0)
        return answer

    def add(self, key: Key, bytes_in: int, bytes_out: int) -> None:
        row = self.account.setdefault(key, [0, 0, 0])
        row[:] = [row[0] + bytes_in, row[1] + bytes_out, row[2] + 1]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_byte_under_its_route(frameworks_python: Path, tmp_path: Path, name: str) -> None:
    framework = FRAMEWORKS[name]
    (tmp_path / "file.bin").write_bytes(FILE)
    judge = Judge()
    with served(frameworks_python, framework, tmp_path, judge) as url:
        headers = {"X-Who": "alice", "Accept-Encoding": "identity"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            customer = Customer(client)
            for number in (1, 22, 333):
                customer.ask("GET", f"/items/{number}", framework.item)
            customer.ask("POST", "/upload", "/upload", content=b"x" * 200_000)
            customer.ask("POST", "/upload", "/upload", content=iter([b"y" * 70_000] * 3))
            customer.ask("POST", "/ignored", "/ignored", content=b"z" * 5_000)
            customer.ask("GET", "/stream", "/stream")
            customer.ask("GET", "/file", "/file")
            customer.ask("GET", "/file", "/file", headers={"Range": "bytes=10-19"})
            customer.ask("GET", "/boom", "/boom", sees_body=framework.boom_page, headers={"Connection": "close"})
            customer.ask("GET", "/nowhere", None)
            customer.ask("GET", "/shop/orders/abc", framework.order)
            for (method, path), (text, template) in framework.more.items():
                before = customer.account.get(("prod", "alice", template and method, template), [0, 0, 0])[1]
                customer.ask(method, path, template)
                assert customer.account["prod", "alice", template and method, template][1] - before == len(text)
            if "fastapi" not in name and "litestar" not in name:  # which answer 405
                customer.ask("HEAD", "/file", "/file")
        for path, template in framework.websockets.items():
            room = path.rpartition("/")[2]
            script = [frameworks_python, APPS / "websocket_client.py", f"ws{url.removeprefix('http')}{path}", room, "Grüße"]
            subprocess.run(script, check=True, timeout=60)
            customer.add(("prod", "alice", "GET", template), len("Grüße".encode()), len(room) + len("Grüße".encode()))
    assert judge.sums() == {key: tuple(row) for key, row in customer.account.items()}, (tmp_path / "app.log").read_text()
    assert customer.account["prod", "alice", "GET", "/stream"][1] == STREAM


def test_gzip_within_the_meter_counts_what_goes_over_the_line(frameworks_python: Path, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(FILE)
    judge = Judge()
    with served(frameworks_python, FRAMEWORKS["starlette"], tmp_path, judge) as url:
        customer = Customer(httpx.Client(base_url=url, headers={"X-Who": "alice", "Accept-Encoding": "gzip"}))
        answer = customer.ask("GET", "/file", "/file")
        assert answer.headers["content-encoding"] == "gzip"
        customer.client.close()
    assert judge.sums() == {key: tuple(row) for key, row in customer.account.items()}
    assert 0 < judge.totals()[1] < len(FILE) // 2


def test_workers_that_are_forked_from_a_metered_parent(frameworks_python: Path, tmp_path: Path) -> None:
    """As gunicorn's preload does it: the app is made and used before the fork."""
    script = """
import os, sys
import flask_app
with flask_app.app.test_client() as client:
    client.get("/items/1", headers={"X-Who": "parent"})
children = []
for number in range(3):
    child = os.fork()
    if not child:
        with flask_app.app.test_client() as client:
            for _ in range(number + 1):
                client.get("/items/1", headers={"X-Who": f"child-{number}"})
        sys.exit()
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
"""
    judge = Judge()
    with answering(judge.reply) as meter_url:
        told = {"WEIGHBRIDGE_URL": meter_url, "WEIGHBRIDGE_KEY": "k", "MADE_FOLDER": str(tmp_path)}
        paths = os.pathsep.join((str(SOURCE), str(APPS)))
        subprocess.run([frameworks_python, "-W", "ignore", "-c", script], env=os.environ | told | {"PYTHONPATH": paths},
                       check=True, timeout=60)
    requests = {key[1]: amounts[2] for key, amounts in judge.sums().items()}
    assert requests == {"parent": 1, "child-0": 1, "child-1": 2, "child-2": 3}
