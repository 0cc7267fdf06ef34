"""What the worst bodies take: memory is measured in a process of its own, since allocators of parsers hide it from Python."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support import otlp_bombs
from weighbridge.sources.otlp.routes import MAX_BODY_BYTES

PEAK_MB = 250
"""Of the whole process, some 60 MB of it modules and the body; parsed at once, such bodies took up to 930 MB."""


@pytest.mark.parametrize(("signal", "name"), [
    *(("metrics", name) for name in otlp_bombs.BOMBS), *(("logs", name) for name in otlp_bombs.LOG_BOMBS),
])
def test_the_worst_bodies_stay_within_memory_and_end_as_they_should(signal, name, tmp_path):
    media_type, make, outcome = (otlp_bombs.BOMBS | otlp_bombs.LOG_BOMBS)[name]
    body = make()
    assert MAX_BODY_BYTES // 6 < len(body) <= MAX_BODY_BYTES
    (tmp_path / "body").write_bytes(body)
    command = [sys.executable, otlp_bombs.__file__, signal, media_type, str(tmp_path / "body")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout)
    assert told["peak_mb"] <= PEAK_MB
    assert told["outcome"] == outcome
