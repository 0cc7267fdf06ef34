"""Makes the captures of tests/sources/{hub,otlp}/captures anew, from the apps of this folder: run it from the root.

    PYTHONPATH=tests python tests/clients/capture.py

What names the machine (folders in tracebacks) is replaced by something of the same length.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.api_calls import CALLERS, HABITS, call_all, known_set
from support.api_clients import CLIENTS, OTEL_TWINS, Client, RunningApp
from support.api_sent import body_of, listing
from support.node import FOLDER
from support.recorder import TAKEN, Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.answers import Asked
    from support.api_calls import Caller

SOURCES = FOLDER.parent / "sources"
CLIENT_ID = "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"
WRITE_TOKEN = "apt_" + "aB3d" * 6
LARGEST = 20_000
HEARD_S = 30
TWICE_S = 10
"""A try this long after the first is one of the next interval."""
OLD_NAMES = replace(
    CLIENTS["otel"], variables=lambda url: {**CLIENTS["otel"].variables(url), "OTEL_SEMCONV_STABILITY_OPT_IN": ""}
)
"""As the instrumentation comes, without being told to use the names that are stable."""


def neutral(body: bytes) -> bytes:
    """The body without this machine's folders."""
    for folder, stand_in in ((str(FOLDER), "/srv/shop"), (sys.base_prefix, "/opt/python")):
        assert len(folder) > len(stand_in)
        body = body.replace(folder.encode(), stand_in.encode() + b"-" * (len(folder) - len(stand_in)))
    return body


def call(app: RunningApp, base: int, callers: Sequence[Caller] = CALLERS) -> None:
    for number, caller in enumerate(callers):
        calls = known_set(base + 10 * number, streams=not app.client.name.startswith("otel"))
        list(call_all(app.url, calls, caller, HABITS[app.client.name]))


def app_of(kind: Client, folder: str, hub: Recorder, environment: str = "prod") -> RunningApp:
    return RunningApp(kind, Path(folder), environment, CLIENT_ID if kind.is_hub else WRITE_TOKEN, hub.url)


def kept(hub: Recorder, ending: str) -> list[Asked]:
    return [each.asked for each in hub.heard if each.asked.path.partition("?")[0].endswith(ending)]


def capture_hub(name: str, kind: Client) -> None:
    """The startup, an empty sync, one with traffic, and the request log of the same traffic."""
    with tempfile.TemporaryDirectory() as folder, Recorder() as hub, app_of(kind, folder, hub) as app:
        hub.wait(lambda _: bool(kept(hub, "/startup") and kept(hub, "/sync")), HEARD_S)
        call(app, 500)
        hub.wait(lambda _: bool(kept(hub, "/log")), HEARD_S)
        syncs = kept(hub, "/sync")
    write(SOURCES / "hub", f"{name}_startup.json", kept(hub, "/startup")[0].body)
    write(SOURCES / "hub", f"{name}_sync_empty.json", syncs[0].body)
    write(SOURCES / "hub", f"{name}_sync.json", next(each.body for each in syncs if b"request_count" in each.body))
    log = gzip.decompress(kept(hub, "/log")[0].body)
    write(SOURCES / "hub", f"{name}_log.ndjson.gz", gzip.compress(neutral(log), mtime=0))


def counting(hub: Recorder) -> list[bytes]:
    """The bodies of metrics that count requests, by their order."""
    return [body for body in map(body_of, kept(hub, "/v1/metrics")) if b"http.server" in body]


def capture_otlp(name: str, kind: Client) -> None:
    """What the metrics say after some calls, and at last, after some more; the first logs, where there are any."""
    with tempfile.TemporaryDirectory() as folder, Recorder() as hub, app_of(kind, folder, hub) as app:
        call(app, 500)
        hub.wait(lambda _: bool(counting(hub)), HEARD_S)
        call(app, 600)
        app.stop()
        write_metrics(f"{name}_1", counting(hub)[0])
        write_metrics(f"{name}_2", counting(hub)[-1])
        for asked in kept(hub, "/v1/logs")[:1]:
            write(SOURCES / "otlp", f"{name}_logs.bin", body_of(asked))


def capture_backlog(name: str, kind: Client) -> None:
    """Two collections in one body, since what was before them could not be sent."""
    with tempfile.TemporaryDirectory() as folder, Recorder(lambda _: None) as hub, app_of(kind, folder, hub) as app:
        call(app, 500)
        hub.wait(bool, HEARD_S)
        call(app, 600, CALLERS[2:])
        hub.wait(lambda heard: heard[-1].at_s - heard[0].at_s > TWICE_S, HEARD_S)
        call(app, 700, CALLERS[2:])
        hub.reply = lambda _: TAKEN
        app.stop()
        write_metrics(name, counting(hub)[-1])


def capture_twins(name: str) -> None:
    """Two processes that call themselves the same."""
    with tempfile.TemporaryDirectory() as folder, Recorder() as hub:
        for which in ("a", "b"):
            before = len(counting(hub))
            with app_of(OTEL_TWINS, folder, hub) as app:
                call(app, 500 if which == "a" else 800)
                app.stop()
            write_metrics(f"{name}_{which}", counting(hub)[before:][-1])


def write_metrics(name: str, body: bytes) -> None:
    write(SOURCES / "otlp", f"{name}.bin", body)
    write(SOURCES / "otlp", f"{name}.expected.json", one_point_a_line(listing(neutral(body))).encode())


def one_point_a_line(groups: list[dict[str, Any]]) -> str:
    parts = []
    for group in groups:
        points = ",\n".join(json.dumps(point) for point in group["points"])
        parts.append(f'{json.dumps({**group, "points": []})[:-2]}\n{points}\n]}}')
    return "[\n" + ",\n".join(parts) + "\n]\n"


def write(source: Path, name: str, body: bytes) -> None:
    body = neutral(body)
    assert len(body) <= LARGEST, f"{name} has {len(body)} bytes"
    folder = source / "captures"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body)
    print(f"{len(body):6} {source.name}/captures/{name}")  # noqa: T201  a command


if __name__ == "__main__":
    capture_hub("python", CLIENTS["apitally0"])
    capture_hub("js", CLIENTS["apitally_js"])
    capture_otlp("apitally1", CLIENTS["apitally1"])
    capture_backlog("apitally1_backlog", CLIENTS["apitally1"])
    capture_otlp("otel_cumulative", CLIENTS["otel"])
    capture_otlp("otel_delta", CLIENTS["otel_delta"])
    capture_otlp("otel_old_names", OLD_NAMES)
    capture_twins("otel_twin")
