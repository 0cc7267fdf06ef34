"""The collector that `serve` runs, with a real intake, journal, store and catalog behind it."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from structlog.testing import capture_logs

from support.application import application_in
from weighbridge.app.clock import SystemClock
from weighbridge.domain.errors import BusyError, FolderInUseError, InvalidInputError
from weighbridge.sources.log.listen import LogCollector, make_log_collectors
from weighbridge.sources.log.settings import read_settings

CATALOG = {"organizations": [{"id": "org_acme", "slug": "acme", "name": "Acme", "apps": [
    {"id": 1, "name": "shop", "client_id": "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"}], "spaces": [{"id": 7, "name": "Blog"}]}]}


def line(number: int, user: str = "-", path: str = "/") -> str:
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    return f'192.0.2.1 - {user} [{at}] "GET {path} HTTP/1.1" 200 {number} "-" "test"\n'


@pytest.fixture
def application(tmp_path):
    with application_in(tmp_path / "data") as application:
        application.services.catalog.apply(CATALOG)
        yield application


@pytest.fixture
def make(application, tmp_path):
    opened = []

    def make(take=application.services.intake.take, **settings) -> LogCollector:
        table = {"path": str(tmp_path / "access.log"), "format": "combined", "app": 1, "consumer": "$remote_user"}
        (collector,) = make_log_collectors([read_settings(table | settings)], take, tmp_path / "logs", SystemClock())
        opened.append(collector)
        return collector

    yield make
    for collector in opened:
        collector.close()


def usage(application):
    application.fold()
    totals = application.services.journal.mark().totals
    return totals.requests, totals.bytes_out


def test_what_a_log_says_is_counted(application, make, tmp_path):
    log = tmp_path / "access.log"
    log.write_text("".join(line(number, f"user{number % 3}") for number in range(1000)) + "no line\n")
    collector = make()
    assert collector.poll() == 0
    assert usage(application) == (1000, sum(range(1000)))
    assert {consumer.identifier for consumer in application.services.catalog.view().consumers.values()} == {
        "user0", "user1", "user2"
    }
    counts = collector.counts()
    assert (counts["lines"], counts["bad"], counts["accepted"]) == (1001, 1, 3)


def test_another_life_goes_on_where_the_last_one_was(application, make, tmp_path):
    log = tmp_path / "access.log"
    log.write_text(line(1))
    first = make()
    first.poll()
    with log.open("a") as file:
        file.write(line(2))
    with pytest.raises(FolderInUseError):
        make()
    first.close()
    make().poll()
    assert usage(application) == (2, 3)


def test_a_busy_intake_lets_it_wait(application, make, tmp_path):
    (tmp_path / "access.log").write_text(line(1))

    def take(batch):
        raise BusyError("too much", retry_after_s=3)

    with capture_logs() as told:
        assert make(take).poll() == 1
    assert ("delivery_waits", "too much", 3) in [(e["event"], e.get("reason"), e.get("once_more_in_s")) for e in told]


def test_what_the_catalog_lacks_waits_until_it_is_entered(application, make, tmp_path):
    (tmp_path / "access.log").write_text(line(5))
    collector = make(app=9)
    with capture_logs() as told:
        assert collector.poll() == 1
    assert "no app 9; enter it into the catalog first" in str(told)
    second = {"id": 9, "name": "api", "client_id": "86b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"}
    application.services.catalog.apply({"organizations": [CATALOG["organizations"][0] | {"apps": [second]}]})
    collector._delivery._due_s = 0.0
    assert collector.poll() == 0
    assert usage(application) == (1, 5)


def test_names_that_are_too_long_refuse_their_sum_and_no_other(application, make, tmp_path):
    (tmp_path / "access.log").write_text(line(1, "u" * 300) + line(2, "alice"))
    collector = make()
    assert collector.poll() == 0
    assert usage(application) == (1, 2)
    counts = collector.counts()
    assert counts["bad"] + sum(n for name, n in counts.items() if name.startswith("refused")) == 1


def test_a_body_with_an_event_that_is_none_is_taken_apart(application, make):
    """As an outbox might hold that an older version filled."""
    event = {"specversion": "1.0", "source": "log/x", "type": "weighbridge.usage", "subject": "app/1",
             "time": "2025-11-24T16:00:00Z", "data": {"requests": 1}}
    events = [event | {"id": "1/0"}, event | {"id": "1/1", "data": {"consumer": "u" * 300}}, event | {"id": "1/2"}]
    receipt = make()._send(gzip.compress(json.dumps(events).encode()))
    assert (receipt.accepted, [(each.index, each.code) for each in receipt.rejected]) == (2, [(1, "invalid")])


def test_a_log_may_stand_in_the_settings_once(tmp_path):
    settings = [read_settings({"path": str(tmp_path / "a.log"), "format": "combined", "app": n}) for n in (1, 2)]
    with pytest.raises(InvalidInputError, match="each line would count twice"):
        make_log_collectors(settings, lambda _batch: None, tmp_path / "logs", SystemClock())


def test_headers_of_cloudfront_stay_with_their_files(application, make, tmp_path):
    """Two files under different headers, read by turns."""
    first = "#Version: 1.0\n#Fields: date time sc-bytes cs-method cs-uri-stem\n"
    second = "#Version: 1.0\n#Fields: time cs-method sc-bytes date cs-uri-stem\n"
    at = time.strftime("%Y-%m-%d\t%H:%M:%S", time.gmtime()).split("\t")
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    log.write_text(first)
    collector = make(format="cloudfront", app=1, consumer="edge")
    collector._follower._linger_s = 0
    collector.poll()
    log.rename(old)
    log.write_text(second + f"{at[1]}\tGET\t20\t{at[0]}\t/\n")
    collector.poll()
    with old.open("a") as file:
        file.write(f"{at[0]}\t{at[1]}\t1\tGET\t/\n")
    with log.open("a") as file:
        file.write(f"{at[1]}\tGET\t300\t{at[0]}\t/\n")
    collector.poll()
    assert usage(application) == (3, 321)
    assert collector.counts()["bad"] == 0


def test_one_bad_log_closes_the_others(tmp_path):
    good = read_settings({"path": str(tmp_path / "a.log"), "format": "combined", "app": 1})
    bad = read_settings({"path": str(tmp_path / "b.log"), "format": "$nothing", "app": 1})
    with pytest.raises(InvalidInputError):
        make_log_collectors([good, bad], lambda _batch: None, tmp_path / "logs", SystemClock())
    for collector in make_log_collectors([good], lambda _batch: None, tmp_path / "logs", SystemClock()):
        collector.close()


def test_a_folder_that_fails_is_told_once(make, tmp_path, monkeypatch):
    (tmp_path / "access.log").write_text(line(1))
    collector = make()
    collector._place._connection.close()
    with capture_logs() as told:
        collector.poll()
        collector.poll()
    assert [each["event"] for each in told].count("log_poll_failed") == 1

