"""Which files beside a log are the same log, rotated."""

from __future__ import annotations

import os

import pytest

from weighbridge.sources.log.files import look, sibling_names

SIBLINGS = [
    "access.log.1", "access.log.12", "access.log.2.gz", "access.log.3.bz2", "access.log.4.xz", "access.log.5.zst",
    "access.log-20261125", "access.log-20261125.gz", "access.log-2026112514", "access.log-1795000000.gz",
    "access.log.2026-11-25", "access.log-20261125-1795000000", "access.log.old",
    "access.1.log", "access.2.log.gz", "access-20261125.log", "access-20261125.log.gz", "access-2026-11.log",
    "access-2026-11-25T10-00-00.000.log", "access-2026-11-25T10-00-00.000.log.gz",
    "access-2026-11-25T10-00-00.000-size.log.zst", "access.log-2026-11-25T10-00-00.000-time",
]
OTHERS = [
    "access.log", "access-1.log", "access-error.log", "access.log.1.bak", "xaccess.log.1", "access.log.2.error",
    "access.log.1.gz.tmp", "access.logs.1", "access_log", "access.log.swp",
    "access.log.\N{ARABIC-INDIC DIGIT ONE}", "access.log.1\n",
]


@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings(name):
    assert sibling_names("access.log").fullmatch(name)


@pytest.mark.parametrize("name", OTHERS)
def test_other_files(name):
    assert not sibling_names("access.log").fullmatch(name)


@pytest.mark.parametrize(("log", "sibling", "is_one"), [
    ("access_log", "access_log.1", True),
    ("access_log", "access_log-20261125.gz", True),
    ("access_log", "access_1log", False),
    ("a+b.log", "a+b.log.1", True),
    ("a+b.log", "aab.log.1", False),
    (".log", ".log.1", True),
])
def test_names_of_every_kind(log, sibling, is_one):
    assert bool(sibling_names(log).fullmatch(sibling)) is is_one


def names_of(path):
    return [(each.path.name, each.is_live) for each in look(path)]


def test_the_log_comes_first_then_the_newest(tmp_path):
    for at, name in enumerate(("access.log.2.gz", "access.log.1", "access.log", "access.log.3.gz", "other.log.1")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    expected = [("access.log", True), ("access.log.3.gz", False), ("access.log.1", False), ("access.log.2.gz", False)]
    assert names_of(tmp_path / "access.log") == expected


def test_a_link_to_the_file_that_is_written_and_what_lies_beside_that(tmp_path):
    pods, logs = tmp_path / "pods", tmp_path / "logs"
    pods.mkdir()
    logs.mkdir()
    (pods / "0.log").write_text("now")
    (pods / "0.log.20261125-101500").write_text("before")
    (logs / "web.log").symlink_to(pods / "0.log")
    assert names_of(logs / "web.log") == [("web.log", True), ("0.log.20261125-101500", False)]


def test_a_link_beside_its_file_is_that_file(tmp_path):
    (tmp_path / "access.log.20261125").write_text("now")
    (tmp_path / "access.log").symlink_to("access.log.20261125")
    assert names_of(tmp_path / "access.log") == [("access.log", True)]


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "access.log")
    (tmp_path / "access.log.1").mkdir()
    (tmp_path / "access.log.2").symlink_to(tmp_path / "nowhere")
    assert look(tmp_path / "access.log") == []


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "nowhere" / "access.log")


@pytest.mark.parametrize(("name", "plain"), [
    ("a.log.1.gz", "a.log.1"),
    ("a.log.1", None),
    ("a-20261125.log.zst", "a-20261125.log"),
])
def test_what_a_compressed_file_was_called(tmp_path, name, plain):
    (tmp_path / "a.log").touch()
    (tmp_path / name).touch()
    sibling = look(tmp_path / "a.log")[1]
    assert sibling.plain_path == (None if plain is None else tmp_path / plain)
