"""kill -9 of a log's collector about once a second, and of the server, under rotation of every kind: each line once.

`python3 -m bench.logs_crash` runs more.
"""

from __future__ import annotations

import pytest

from support.log_crash import kill_collector

KILLS = 10


@pytest.mark.timeout(300)
def test_every_line_counts_once(tmp_path):
    outcome = kill_collector(tmp_path, KILLS, seed=3)
    assert outcome.found == {name: outcome.written[name] for name in ("requests", "bytes")}, outcome.reported[-3000:]
    assert outcome.written["requests"] == outcome.written["lines"] - outcome.written["bad"] > 10_000
    assert outcome.written["bad"] > 10
    assert outcome.rotations > KILLS // 2
    assert "Traceback" not in outcome.reported
