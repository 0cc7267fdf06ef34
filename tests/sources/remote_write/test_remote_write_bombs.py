"""Bodies that are made to be heavy: each is read in a process of its own, whose memory is looked at afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

BYTES = 16 * 1024 * 1024
MOST_MB = 300
"""A process that reads any body: half of what a parser takes that builds all of it first."""

READ = """
import sys
from support.remote_write import chunk, sent, varint, write_v1
from weighbridge.domain.errors import WeighbridgeError
from weighbridge.http.body import decode_body
from weighbridge.sources.remote_write.decode import V1, V2
from weighbridge.sources.remote_write.mapping import make_rules
from weighbridge.sources.remote_write.routes import MAX_BODY_BYTES, read_body
from weighbridge.sources.remote_write.settings import RemoteWriteSettings
from support.remote_write import snappy

def pad(piece):
    return piece * ((MAX_BODY_BYTES - 16) // len(piece))

packed = snappy({body})
body = decode_body(packed, "snappy", MAX_BODY_BYTES, ("snappy",))
rules = make_rules([RemoteWriteSettings(preset="node_exporter", subject="server/{{instance}}")])
try:
    mapped = read_body(body, {message}, rules)
    outcome = f"{{len(mapped.figures)}} readings"
except WeighbridgeError as error:
    outcome = type(error).__name__
# Not ru_maxrss: that of a child begins with what its parent held.
peak_kb = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(len(packed), len(body), peak_kb // 1024, outcome)
"""
METRIC = "0a2c 0a08 5f5f6e616d655f5f 1220" + b"node_network_receive_bytes_total".hex()
LABELS = "b''.join(chunk(1, chunk(1, b'%d' % n)) for n in range(a, a + 1000))"
SAMPLES = "b''.join(chunk(2, bytes.fromhex('10') + varint(n + 1)) for n in range(100_000))"
DEVICES = "[sent('node_network_receive_bytes_total', (1, 1), instance='sv', device=str(n)) for n in range(100_000)]"
BOMBS = {
    "empty series": ("V1", "pad(bytes.fromhex('0a00'))", "TooLargeError"),
    "empty labels": ("V1", "chunk(1, pad(bytes.fromhex('0a00')))", "TooLargeError"),
    "empty samples": ("V1", "chunk(1, pad(bytes.fromhex('1200')))", "TooLargeError"),
    "empty exemplars": ("V1", "chunk(1, pad(bytes.fromhex('1a00')))", "TooLargeError"),
    "a million labels": ("V1", f"chunk(1, b''.join({LABELS} for a in range(0, 10**6, 1000)))", "TooLargeError"),
    "a million in a thousand series": ("V1", f"b''.join(chunk(1, {LABELS}) for a in range(0, 10**6, 1000))", "0 readings"),
    "a long label": ("V1", "chunk(1, chunk(1, chunk(1, b'__name__') + chunk(2, bytes(MAX_BODY_BYTES - 64))))", "0 readings"),
    "fields that nobody knows": ("V1", "pad(bytes.fromhex('7801'))", "0 readings"),
    "empty symbols": ("V2", "pad(bytes.fromhex('2200'))", "TooLargeError"),
    "short symbols": ("V2", "pad(bytes.fromhex('22026162'))", "TooLargeError"),
    "references": ("V2", "bytes.fromhex('2200') + chunk(5, chunk(1, bytes(MAX_BODY_BYTES - 64)))", "TooLargeError"),
    "as many readings as there may be": (
        "V1", f"chunk(1, bytes.fromhex('{METRIC} 0a0e 0a08 696e7374616e6365 12027376') + {SAMPLES})", "100000 readings",
    ),
    "as many counters as there may be": ("V1", f"write_v1({DEVICES})", "100000 readings"),
}


@pytest.mark.parametrize(("message", "body", "outcome"), BOMBS.values(), ids=BOMBS)
def test_no_body_takes_more_memory_than_a_server_has(message: str, body: str, outcome: str) -> None:
    code = READ.format(body=body, message=message)
    ended = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"], capture_output=True,
                           text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    packed, size, peak_mb, told = ended.stdout.split(maxsplit=3)
    assert told.strip() == outcome
    assert int(packed) <= int(size) <= BYTES
    assert int(peak_mb) < MOST_MB
