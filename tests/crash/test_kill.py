"""kill -9 while four clients send and retry: no accepted event is lost or doubled. `python3 -m bench.crash` runs more."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.crash import kill_rounds

KILLS = 25


@pytest.mark.timeout(600)
def test_nothing_accepted_is_lost_or_doubled(tmp_path):
    folder = tmp_path / "data"
    outcome = kill_rounds(folder, KILLS, seed=1)
    assert outcome.troubles == []
    assert outcome.events > KILLS
    assert outcome.found == outcome.expected
    doctor = subprocess.run(
        [sys.executable, "-m", "weighbridge", "doctor", "--data", str(folder)], capture_output=True, text=True, check=False
    )
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
