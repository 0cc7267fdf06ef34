"""Which machine it is, and which boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from weighbridge.sources.machine import Boot, machine_mark, parse_boot_s, read_boot


def test_the_boot_is_told_by_the_kernel():
    boot = read_boot(Path("/"))
    assert len(boot.id) == 36
    assert boot.at_s is not None
    assert boot.at_s > 1_700_000_000


def test_where_no_kernel_tells_nothing_is_known(tmp_path):
    assert read_boot(tmp_path) == Boot("")


@pytest.mark.parametrize(("text", "at_s"), [("cpu 1 2\nbtime 1795251243\n", 1795251243), ("cpu 1\n", None), ("btime x", None)])
def test_the_time_of_the_boot_is_read(text, at_s):
    assert parse_boot_s(text) == at_s


def test_machines_have_marks_of_their_own(tmp_path):
    here = machine_mark(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("b1946ac92492d2347c6235b4d2611184\n")
    other = machine_mark(tmp_path)
    assert here != other == machine_mark(tmp_path)
    assert len(other) == 8
