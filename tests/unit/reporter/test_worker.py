"""When things are sent, and sent again; the thread, forks and the end of a process."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest

from support.answers import Reply, answering
from support.clock import HandClock
from support.metered import (
    BUSY,
    GARBAGE,
    KEY,
    LARGE,
    LOST,
    REFUSED,
    SETTINGS,
    Line,
    Referee,
    pass_by,
    reporter_on,
    run_until_sent,
)
from weighbridge.reporter.post import LONGEST_WAIT_S, NoAnswerError
from weighbridge.reporter.settings import Settings
from weighbridge.reporter.worker import EXIT_S, SCATTER_S, STEADY_S, Reporter

T = 1_765_728_000  # 2025-12-14T16:00:00Z
ITEMS = ("prod", None, "GET", "/items/{id}")


@pytest.fixture
def clock():
    return HandClock((T + 90) * 1_000_000 + 250_000)


def stretches(referee):
    return [(event["time"], event["data"]["duration_s"]) for event in referee.events()]


def test_an_interval_ends_with_its_minute_and_is_posted_soon_after(clock):
    referee = Referee()
    reporter = reporter_on(Line(referee), clock)
    pass_by(reporter, ITEMS, 3, 5)
    wait_s = reporter.step()
    assert wait_s == pytest.approx(29.75)
    assert not referee.events()
    clock.at_us += int(wait_s * 1_000_000)
    scatter_s = reporter.step()
    assert 0 <= scatter_s < SCATTER_S
    clock.at_us += int(scatter_s * 1_000_000) + 1
    reporter.step()
    assert stretches(referee) == [("2025-12-14T16:01:30Z", 30)]
    assert referee.sums() == {ITEMS: (3, 5, 1)}


@pytest.mark.parametrize("interval_s", [1, 10, 60, 300])
def test_no_interval_crosses_a_slot_of_the_server(clock, interval_s):
    referee = Referee()
    reporter = reporter_on(Line(referee), clock, Settings("http://127.0.0.1:9", "k", "app/1", "prod", interval_s))
    for _ in range(800):
        pass_by(reporter, ITEMS, 1, 1)
        clock.at_us += int(reporter.step() * 1_000_000)
    run_until_sent(reporter, clock)
    for event in referee.events():
        start_s = T + int(event["time"][14:16]) * 60 + int(event["time"][17:19])
        assert start_s // 300 == (start_s + max(event["data"]["duration_s"], 1) - 1) // 300
        assert event["data"]["duration_s"] <= interval_s


def test_a_lost_answer_is_asked_for_again_with_the_same_body(clock):
    referee = Referee()
    line = Line(referee, [LOST, LOST, REFUSED, BUSY, GARBAGE])
    reporter = reporter_on(line, clock)
    pass_by(reporter, ITEMS, 3, 5)
    run_until_sent(reporter, clock)
    assert len(line.bodies) == 6
    assert len(set(line.bodies)) == 1
    assert (referee.bodies, referee.duplicates) == (3, 2)
    assert referee.sums() == {ITEMS: (3, 5, 1)}


def test_waits_grow_while_the_server_is_away_and_end_when_it_is_back(clock, caplog):
    caplog.set_level(logging.INFO)
    referee = Referee()
    line = Line(referee, [REFUSED] * 10)
    reporter = reporter_on(line, clock)
    pass_by(reporter, ITEMS, 3, 5)
    tried_us = []
    clock.at_us += 60_000_000
    while len(line.bodies) < 11:
        before, at_us = len(line.bodies), clock.at_us
        clock.at_us += int(reporter.step() * 1_000_000) + 1
        tried_us += [at_us] * (len(line.bodies) - before)
    waits_s = [round((later - sooner) / 1_000_000) for sooner, later in pairwise(tried_us)]
    assert waits_s == [1, 2, 4, 8, 16, 32, *[LONGEST_WAIT_S] * 4]
    assert referee.sums() == {ITEMS: (3, 5, 1)}
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert "takes usage again" in told[1]


@pytest.mark.parametrize(("asked_s", "expected_s"), [(None, 1.0), (7.0, 7.0), (0.0, 1.0)])
def test_a_busy_server_is_given_the_time_that_it_asks_for(clock, asked_s, expected_s):
    reporter = reporter_on(Line(Referee(), [BUSY], retry_after_s=asked_s), clock)
    pass_by(reporter, ITEMS, 3, 5)
    reporter._flush_now()
    assert reporter.step() == pytest.approx(expected_s, abs=0.001)


def test_a_key_that_is_refused_is_told_once_and_kept_for_until_it_is_mended(clock, caplog):
    referee = Referee()
    line = Line(referee, [KEY] * 30)
    reporter = reporter_on(line, clock)
    for _ in range(30):
        pass_by(reporter, ITEMS, 3, 5)
        clock.at_us += 60_000_000
        reporter.step()
    assert len(caplog.records) == 1
    assert "answers 401" in caplog.text
    assert "give a key" in caplog.text
    run_until_sent(reporter, clock)
    assert referee.sums() == {ITEMS: (90, 150, 30)}
    assert len(set(stretches(referee))) == 30


def test_a_body_that_a_proxy_finds_too_large_goes_in_halves(clock):
    referee = Referee()
    line = Line(referee, [LARGE] * 3)
    reporter = reporter_on(line, clock)
    for number in range(8):
        pass_by(reporter, ("prod", str(number), "GET", "/"), number, 1)
    run_until_sent(reporter, clock)
    assert referee.totals() == (28, 8, 8)
    assert referee.bodies == 4  # 8, 4, 2: too large; then 1, 1, 2, 4


def test_one_event_that_is_too_large_waits_and_loses_nothing(clock):
    referee = Referee()
    reporter = reporter_on(Line(referee, [LARGE] * 5), clock)
    pass_by(reporter, ITEMS, 3, 5)
    run_until_sent(reporter, clock)
    assert referee.totals() == (3, 5, 1)


@pytest.mark.parametrize("code", ["unknown_subject", "in_future"])
def test_what_mends_itself_is_offered_every_minute_and_does_not_spin(clock, code):
    is_mended = False
    referee = Referee(refuse=lambda _event: None if is_mended else code)
    line = Line(referee)
    reporter = reporter_on(line, clock)
    pass_by(reporter, ITEMS, 3, 5)
    reporter._flush_now()
    began_us = clock.at_us
    while clock.at_us < began_us + 600_000_000:
        clock.at_us += max(int(reporter.step() * 1_000_000), 1_000)
    assert 9 <= len(line.bodies) <= 11
    is_mended = True
    run_until_sent(reporter, clock)
    assert referee.sums() == {ITEMS: (3, 5, 1)}
    assert len(stretches(referee)) == 1


def test_too_many_names_still_make_the_right_sum(clock, caplog):
    referee = Referee(refuse=lambda event: "too_many" if "consumer" in event["data"] else None)
    reporter = reporter_on(Line(referee), clock)
    for number in range(50):
        pass_by(reporter, ("prod", str(number), "GET", "/"), 1, 2)
    run_until_sent(reporter, clock)
    assert referee.sums() == {("prod", None, "GET", "/"): (50, 100, 50)}
    assert len(caplog.records) == 1
    assert "too_many (it is too_many); they are offered again" in caplog.text


def test_what_can_be_said_in_no_way_is_told_with_its_amounts(clock, caplog):
    referee = Referee(refuse=lambda _event: "invalid")
    reporter = reporter_on(Line(referee), clock)
    pass_by(reporter, ITEMS, 3, 5)
    run_until_sent(reporter, clock)
    told = "refuses 3 bytes in, 5 out, 1 requests as invalid (it is invalid); they are given up, so far 3 bytes in, 5 out"
    assert told in caplog.text
    pass_by(reporter, ITEMS, 10, 10)
    run_until_sent(reporter, clock)
    assert (reporter._lost.bytes_in, reporter._lost.bytes_out, reporter._lost.requests) == (13, 15, 2)


@pytest.mark.parametrize("step_s", [-86_400, -30, 86_400, 56 * 366 * 86_400])
def test_a_clock_that_is_set_stops_nothing_and_stretches_nothing(clock, step_s):
    referee = Referee()
    reporter = reporter_on(Line(referee), clock)
    pass_by(reporter, ITEMS, 1, 1)
    reporter.step()
    clock.at_us += step_s * 1_000_000
    for _ in range(10):
        pass_by(reporter, ITEMS, 1, 1)
        wait_s = reporter.step()
        assert wait_s <= 60
        clock.at_us += int(wait_s * 1_000_000) + 1
    run_until_sent(reporter, clock)
    assert referee.totals() == (11, 11, 11)
    assert all(duration_s <= STEADY_S for _, duration_s in stretches(referee))
    assert all(event["data"]["duration_s"] >= 0 for event in referee.events())


def test_the_thread_starts_with_the_first_request_and_outlives_every_error(caplog):
    referee = Referee()

    class Broken(Line):
        def __call__(self, body, timeout_s):
            if len(self.bodies) < 2:
                self.bodies.append(body)
                raise MemoryError("no room")
            return super().__call__(body, timeout_s)

    line = Broken(referee)
    reporter = Reporter(SETTINGS, post=line)
    assert reporter._thread is None
    assert reporter.is_flushed(1)
    pass_by(reporter, ITEMS, 3, 5)
    assert reporter._thread is not None
    assert reporter._thread.daemon
    for _ in range(3):
        reporter.await_flush(reporter.ask_flush(), 20)
    assert referee.totals() == (3, 5, 1)
    assert "no room" in caplog.text
    assert reporter._thread.is_alive()


def test_after_an_error_of_our_own_the_server_may_have_the_batch(clock):
    codes = ["unknown_subject", None, None]
    referee = Referee(refuse=lambda _event: codes.pop())
    line = Line(referee)

    def breaks_after_delivery(body, timeout_s):
        reporter._post = line
        line(body, timeout_s)
        raise MemoryError("no room")

    reporter = reporter_on(breaks_after_delivery, clock)
    pass_by(reporter, ITEMS, 3, 5)
    with pytest.raises(MemoryError):
        reporter._flush_now()
    codes[:] = [None, "unknown_subject"]
    run_until_sent(reporter, clock)
    assert referee.sums() == {ITEMS: (3, 5, 1)}


def test_where_no_thread_may_be_started_requests_go_on(monkeypatch, caplog):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    reporter = Reporter(SETTINGS, post=Line(Referee()))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        pass_by(reporter, ITEMS, 3, 5)
    assert "can't start new thread" in caplog.text
    pass_by(reporter, ITEMS, 3, 5)
    reporter.await_flush(reporter.ask_flush(), 20)
    assert reporter._post.referee.totals() == (6, 10, 2)


def test_a_flush_waits_no_longer_than_it_may():
    gate = threading.Event()

    def hang(_body, _timeout_s):
        gate.wait(20)
        raise NoAnswerError("hung")

    reporter = Reporter(SETTINGS, post=hang)
    pass_by(reporter, ITEMS, 3, 5)
    began_s = time.monotonic()
    reporter.await_flush(reporter.ask_flush(), 0.2)
    assert 0.2 <= time.monotonic() - began_s < 5
    gate.set()


def test_a_flush_beside_requests_of_many_threads_loses_nothing():
    referee = Referee()
    reporter = Reporter(SETTINGS, post=Line(referee, [LOST, REFUSED] * 10))

    def work():
        for _ in range(500):
            pass_by(reporter, ITEMS, 1, 2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        reporter.await_flush(reporter.ask_flush(), 20)
    for thread in threads:
        thread.join()
    while not reporter._spool.is_empty() or reporter._post.fates:
        reporter.await_flush(reporter.ask_flush(), 20)
        pass_by(reporter, ITEMS)
    reporter.await_flush(reporter.ask_flush(), 20)
    assert referee.totals()[:2] == (2_000, 4_000)


SCRIPT = """
import os, sys
from weighbridge.reporter.settings import Settings
from weighbridge.reporter.worker import Reporter

ITEMS = ("prod", None, "GET", "/items/{id}")
reporter = Reporter(Settings(sys.argv[1], "k", "app/1", "prod", 60))

def pass_by(bytes_in, reporter=reporter):
    passage = reporter.begin(lambda: ITEMS)
    passage.bytes_in += bytes_in
    passage.end()
"""


@contextmanager
def refereed():
    referee = Referee()
    lock = threading.Lock()

    def reply(asked):
        with lock:
            return Reply(200, referee.take(asked.body))

    with answering(reply) as url:
        yield referee, url


def run(script, url, **more):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCRIPT + script, url], env=environment,
                          capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise KeyError(1)"])
def test_the_end_of_a_process_takes_nothing_along(end):
    with refereed() as (referee, url):
        done = run(f"pass_by(7)\nlong = reporter.begin(lambda: ITEMS)\nlong.bytes_out = 9\nlong.identify()\n{end}", url)
    assert referee.sums() == {ITEMS: (7, 9, 2)}, done.stderr
    assert done.returncode == {"": 0, "sys.exit(3)": 3}.get(end, 1)


def test_the_end_of_a_process_is_not_held_up_by_a_server_that_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began_s = time.monotonic()
        done = run("other = Reporter(Settings(sys.argv[1], 'k', 'app/2', 'prod', 60))\npass_by(7)\npass_by(7, other)",
                   f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began_s < EXIT_S + 8  # starting Python on a busy machine included
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_process_that_never_counted_ends_at_once_and_without_a_thread():
    done = run("import threading; print(threading.active_count())", "http://127.0.0.1:9")
    assert (done.stdout.strip(), done.stderr) == ("1", "")


FORK = """
import threading, time
pass_by(1)
before = reporter.begin(lambda: ITEMS)
before.bytes_in += 10
children = []
for number in range(3):
    child = os.fork()
    if not child:
        pass_by(100)
        before.bytes_in += 5_000   # the parent's request, in a copy of it: the parent's to report
        before.end()
        pass_by(100)
        reporter.await_flush(reporter.ask_flush(), 20)
        sys.exit(0)                # atexit has nothing left to send
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
before.end()
pass_by(1)
"""


def test_a_fork_reports_its_own_and_nothing_of_its_parent():
    with refereed() as (referee, url):
        done = run(FORK, url)
    assert done.returncode == 0, done.stderr
    assert referee.sums() == {ITEMS: (12 + 3 * 200, 0, 3 + 3 * 2)}
    assert len({event["source"] for event in referee.events()}) == 4
    assert referee.duplicates == 0


STARTED = """
import multiprocessing
def work():
    pass_by(100)
if __name__ == "__main__":
    pass_by(1)
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == 0
"""


def test_a_process_that_multiprocessing_started_takes_nothing_along():
    with refereed() as (referee, url):
        done = run(STARTED, url)
    assert done.returncode == 0, done.stderr
    assert referee.sums() == {ITEMS: (101, 0, 2)}


BUSY_FORK = """
import threading
stop = threading.Event()
def work():
    while not stop.is_set():
        pass_by(1)
        counted.append(1)
counted = []
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(20):
    child = os.fork()
    if not child:
        for _ in range(50): pass_by(1_000_000)
        reporter.await_flush(reporter.ask_flush(), 20)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
reporter.await_flush(reporter.ask_flush(), 20)
print(len(counted))
"""


def test_a_fork_in_the_middle_of_everything_neither_hangs_nor_doubles():
    with refereed() as (referee, url):
        done = run(BUSY_FORK, url)
    assert done.returncode == 0, done.stderr
    counted = int(done.stdout)
    assert referee.totals() == (counted + 20 * 50 * 1_000_000, 0, counted + 20 * 50)
