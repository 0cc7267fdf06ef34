"""The outbox: in order, on disk, one process, bounded; no id is ever used twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from weighbridge.domain.errors import BusyError, DamagedStoreError, FolderInUseError
from weighbridge.spool.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "spool")
    yield outbox
    outbox.close()


def body_of(text: str):
    return lambda agent, number: f"{agent} {number} {text}".encode()


def contents(outbox: Outbox) -> list[tuple[int, str]]:
    """All of it, in order, by taking it out."""
    found = []
    while (waiting := outbox.first()) is not None:
        number, body = waiting
        found.append((number, body.decode().split(" ", 2)[2]))
        outbox.answered(number)
    return found


def test_first_in_first_out_and_numbers_go_on(outbox: Outbox) -> None:
    outbox.put([body_of("a")])
    outbox.put([body_of("b"), body_of("c")])
    assert (outbox.waiting, outbox.delivered) == (3, 0)
    assert contents(outbox) == [(1, "a"), (2, "b"), (3, "c")]
    assert (outbox.waiting, outbox.waiting_bytes, outbox.delivered) == (0, 0, 3)
    outbox.put([body_of("d")])
    assert contents(outbox) == [(4, "d")]


def test_what_waits_survives_and_keeps_its_id(tmp_path: Path) -> None:
    first = Outbox(tmp_path)
    first.put([body_of("a"), body_of("b")])
    agent = first.agent
    first.answered(1)
    first.close()
    second = Outbox(tmp_path)
    assert second.agent != agent
    assert (second.waiting, second.delivered) == (1, 1)
    assert second.first() == (2, f"{agent} 2 b".encode())
    second.put([body_of("c")])
    second.answered(2)
    assert second.first() == (3, f"{second.agent} 3 c".encode())
    second.close()


def test_a_folder_from_a_backup_makes_no_id_twice(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "a")
    first.put([body_of("a")])
    first.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    ids = []
    for name in ("a", "b"):
        outbox = Outbox(tmp_path / name)
        outbox.put([body_of("new")])
        outbox.answered(1)
        ids.append(outbox.first()[1])
        outbox.close()
    assert ids[0] != ids[1]


def test_beyond_the_bound_nothing_is_taken_and_nothing_lost(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, max_bytes=200)
    outbox.put([body_of("x" * 50)])
    outbox.put([body_of("y" * 50)])
    with pytest.raises(BusyError, match="as many as may"):
        outbox.put([body_of("z" * 50)])
    assert outbox.waiting == 2
    outbox.answered(1)
    outbox.put([body_of("z" * 50)])
    assert [text[0] for _, text in contents(outbox)] == ["y", "z"]
    outbox.close()


def test_a_body_that_cannot_be_made_leaves_nothing_behind(outbox: Outbox) -> None:
    def fail(_agent: str, _number: int) -> bytes:
        raise ValueError("no body")

    with pytest.raises(ValueError, match="no body"):
        outbox.put([body_of("a"), fail])
    outbox.put([body_of("b")])
    assert contents(outbox) == [(1, "b")]


def test_only_one_process_has_it(tmp_path: Path) -> None:
    held = Outbox(tmp_path)
    script = "import sys; from pathlib import Path; from weighbridge.spool.outbox import Outbox; Outbox(Path(sys.argv[1]))"
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.returncode
    assert f"process {os.getpid()} collects already" in ran.stderr
    with pytest.raises(FolderInUseError):
        Outbox(tmp_path)
    held.close()
    Outbox(tmp_path).close()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(DamagedStoreError, match="what waits there is lost"):
        Outbox(tmp_path)


def test_puts_and_answers_from_several_threads_add_up(outbox: Outbox) -> None:
    taken = []

    def fill() -> None:
        for n in range(60):
            outbox.put([body_of(str(n))])

    fillers = [threading.Thread(target=fill) for _ in range(3)]
    for filler in fillers:
        filler.start()
    while len(taken) < 180:
        taken += [number for number, _ in contents(outbox)]
    for filler in fillers:
        filler.join()
    assert taken == list(range(1, 181))
    assert (outbox.waiting, outbox.waiting_bytes) == (0, 0)
