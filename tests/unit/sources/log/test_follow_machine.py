"""A log that is written, rotated in every way, copied, compressed and deleted while its follower crashes all the time.

The referee is the list of lines that were written: each counts once.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

from backports import zstd
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.clock import HandClock
from support.logs import Keeper, NaiveReader, Seconds, line_of, sums_of
from weighbridge.sources.log.deliver import Delivery
from weighbridge.sources.log.follow import IDLE_S, Follower
from weighbridge.sources.log.place import Place
from weighbridge.sources.log.sight import SETTLE_S

CHUNK = 8192
"""Small, so that most files take several."""
PACKERS = {".gz": gzip.compress, ".zst": zstd.compress}


class CrashError(Exception):
    """kill -9, as far as the follower can tell."""


class CrashingPlace(Place):
    """Dies at a commit, just before or just after."""

    dies_before = dies_after = False

    def enter(self, *args, **options):
        if self.dies_before:
            raise CrashError
        kept = super().enter(*args, **options)
        if self.dies_after:
            raise CrashError
        return kept

    def answered(self, *args):
        if self.dies_before:
            raise CrashError
        super().answered(*args)
        if self.dies_after:
            raise CrashError


class LogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="weighbridge-log-"))
        self.log = self.folder / "access.log"
        self.clock, self.seconds, self.server = HandClock(1_764_000_000_000_000), Seconds(), Keeper()
        self.written: list[int] = []
        self.rest = b""  # what is missing of a line that was written in part
        self.copying: Path | None = None
        self.copied = False
        self.packing: tuple[Path, str] | None = None
        self.writer = self.open_log()
        self.at_log = True  # the writer's file has the log's name
        self.start()

    def open_log(self) -> int:
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    # the follower

    def start(self) -> None:
        self.place = CrashingPlace(self.folder / "state" / "place.sqlite", self.log)
        self.follower = Follower(
            self.log, NaiveReader(), self.place, self.clock, chunk_bytes=CHUNK, monotonic_s=self.seconds, linger_s=0
        )

    def forget(self) -> None:
        self.follower.close()
        self.place.close()

    @rule()
    def crash(self) -> None:
        self.forget()
        self.start()

    @rule(before=st.booleans(), delivers=st.booleans(), how_often=st.integers(0, 2))
    def crash_within(self, *, before: bool, delivers: bool, how_often: int) -> None:
        left = how_often

        def enough() -> bool:
            nonlocal left
            left -= 1
            self.place.dies_before, self.place.dies_after = (before and left < 0), (not before and left < 0)
            return False

        try:
            if delivers:
                self.deliver_by(self.server.take, enough)
            else:
                self.follower.poll(enough)
        except CrashError:
            pass
        self.crash()

    @rule(step_s=st.sampled_from([0.0, SETTLE_S, IDLE_S + 1]))
    def poll(self, step_s: float) -> None:
        self.seconds.now_s += step_s
        self.clock.at_us += int(step_s * 1e6)
        self.follower.poll()

    @rule(chunks=st.integers(0, 3))
    def poll_a_little(self, chunks: int) -> None:
        left = chunks

        def enough() -> bool:
            nonlocal left
            left -= 1
            return left < 0

        self.follower.poll(enough)

    @rule(way=st.sampled_from(["take", "lose_answer", "be_away"]))
    def deliver(self, way: str) -> None:
        self.deliver_by(getattr(self.server, way))

    def deliver_by(self, send, enough=lambda: False) -> None:
        Delivery("access.log", self.place, send, self.seconds).run(enough)

    # the writer

    @rule(count=st.sampled_from([1, 2, 20, 400]), width=st.sampled_from([0, 30, 90]))
    @precondition(lambda self: not self.copied)
    def write(self, count: int, width: int) -> None:
        self.finish_line()
        numbers = range(len(self.written), len(self.written) + count)
        os.write(self.writer, b"".join(line_of(number, width) for number in numbers))
        self.written += numbers

    @rule()
    @precondition(lambda self: not self.copied and not self.copying and not self.rest)
    def write_a_part(self) -> None:
        line = line_of(len(self.written))
        os.write(self.writer, line[:9])
        self.written.append(len(self.written))
        self.rest = line[9:]

    def finish_line(self) -> None:
        os.write(self.writer, self.rest)
        self.rest = b""

    # rotation

    def siblings(self) -> list[Path]:
        """Rotated files, the newest first."""
        found = list(self.folder.glob("access.log.*"))
        return sorted(found, key=lambda path: int(path.name.split(".")[2]))

    def shift(self) -> None:
        for path in reversed(self.siblings()):
            _, _, number, *ending = path.name.split(".")
            path.rename(self.folder / ".".join(["access.log", str(int(number) + 1), *ending]))

    def is_quiet(self) -> bool:
        """Nothing is under way; and rotated files that were there at the first look are not read, so there are none."""
        return self.place.started_us is not None and self.at_log and not self.copying and not self.packing

    @rule()
    @precondition(is_quiet)
    def rename(self) -> None:
        self.shift()
        self.log.rename(self.folder / "access.log.1")
        self.at_log = False

    @rule()
    @precondition(lambda self: not self.at_log)
    def reopen(self) -> None:
        self.finish_line()
        os.close(self.writer)
        self.writer = self.open_log()
        self.at_log = True

    @rule()
    @precondition(lambda self: self.is_quiet() and not self.rest)
    def rename_onto_a_used_inode(self) -> None:
        oldest = [path for path in self.siblings() if path.suffix not in PACKERS][-1:]
        if not oldest:
            return
        self.settle()
        os.truncate(oldest[0], 0)
        oldest[0].rename(self.folder / "free")
        self.rename()
        (self.folder / "free").rename(self.log)
        self.reopen()

    @rule(share=st.floats(0, 1))
    @precondition(lambda self: self.is_quiet() and not self.rest and self.log.stat().st_size)
    def copy_a_part(self, share: float) -> None:
        self.shift()
        content = self.log.read_bytes()
        self.copying = self.folder / "access.log.1"
        self.copying.write_bytes(content[: int(len(content) * share)])

    @rule()
    @precondition(lambda self: self.copying and not self.copied)
    def copy_the_rest(self) -> None:
        have = self.copying.stat().st_size
        with self.copying.open("ab") as copy:
            copy.write(self.log.read_bytes()[have:])
        self.copied = True

    @rule(again=st.booleans())
    @precondition(lambda self: self.copied)
    def truncate(self, *, again: bool) -> None:
        os.truncate(self.log, 0)
        self.copying, self.copied = None, False
        if again:  # and at once there is more than before
            self.write(400, 90)

    @rule(at=st.integers(0, 5), suffix=st.sampled_from(sorted(PACKERS)), share=st.floats(0, 0.99))
    @precondition(is_quiet)
    def pack_a_part(self, at: int, suffix: str, share: float) -> None:
        plain = [path for path in self.siblings() if path.suffix not in PACKERS]
        if plain:
            self.packing = (plain[min(at, len(plain) - 1)], suffix)
            path = self.packing[0]
            content = PACKERS[suffix](path.read_bytes())
            path.with_name(path.name + suffix).write_bytes(content[: int(len(content) * share)])

    @rule()
    @precondition(lambda self: self.packing)
    def pack_the_rest(self) -> None:
        path, suffix = self.packing
        path.with_name(path.name + suffix).write_bytes(PACKERS[suffix](path.read_bytes()))
        path.unlink()
        self.packing = None

    @rule()
    @precondition(lambda self: self.is_quiet() and self.siblings())
    def delete_the_oldest(self) -> None:
        self.settle()
        self.siblings()[-1].unlink()

    def settle(self) -> None:
        """Everything that can be read has been."""
        for step_s in (0.0, SETTLE_S, IDLE_S + 1, SETTLE_S, 0.0):
            self.poll(step_s)

    # the referee

    @invariant()
    def nothing_counts_twice(self) -> None:
        requests, amount = self.server.totals()
        assert requests <= len(self.written)
        assert amount <= sum(self.written)

    def teardown(self) -> None:
        if self.packing:
            self.pack_the_rest()
        if self.copying and not self.copied:
            self.copy_the_rest()
        if self.copied:
            self.truncate(again=False)
        self.finish_line()
        self.settle()
        self.crash()
        self.settle()
        self.deliver_by(self.server.take)
        counts, waiting = dict(self.place.counts), self.place.waiting
        self.forget()
        os.close(self.writer)
        shutil.rmtree(self.folder)
        assert self.server.totals() == sums_of(self.written)
        assert waiting == 0
        assert counts.get("lines", 0) == counts.get("counted", 0) == len(self.written)


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
