from __future__ import annotations

import json
from typing import TYPE_CHECKING

from weighbridge.cli.output import write, write_one

if TYPE_CHECKING:
    import pytest

ROWS = [
    {"name": "a", "bytes": 1234567, "share": 0.5, "more": [1, "x"], "gone": None},
    {"name": "b\x1b[31m", "bytes": 2, "share": None, "more": [], "is": True},
]


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    write(ROWS, ("name", "bytes", "share", "more", "gone", "is"), "table")
    assert capsys.readouterr().out.splitlines() == [
        "name           bytes  share  more  gone  is",
        "---------  ---------  -----  ----  ----  ----",
        "a          1,234,567    0.5  1 x",
        "b\\x1b[31m          2                     true",
    ]


def test_a_table_of_nothing_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    write([], ("name", "bytes"), "table")
    assert capsys.readouterr().out.splitlines() == ["name  bytes", "----  -----"]


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    write([{"a": 'x,"y', "b": None}, {"a": 2**70}], ("a", "b"), "csv")
    assert capsys.readouterr().out == 'a,b\n"x,""y",\n1180591620717411303424,\n'


def test_json_and_json_lines_hold_everything(capsys: pytest.CaptureFixture[str]) -> None:
    write(ROWS, ("name",), "json")
    assert json.loads(capsys.readouterr().out) == ROWS
    write(ROWS, ("name",), "jsonl")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


def test_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    write_one({"id": 1, "meta": {"from": "x"}}, "csv")
    assert capsys.readouterr().out == "field,value\nid,1\nmeta.from,x\n"
    write_one({"id": 1}, "json")
    assert json.loads(capsys.readouterr().out) == {"id": 1}
    write_one({"id": 1}, "jsonl")
    assert capsys.readouterr().out == '{"id": 1}\n'
