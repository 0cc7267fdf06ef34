"""The table judges rightly and replaces only what lies between its markers."""

from __future__ import annotations

import pytest
from bench.table import BEGIN, END, Check, Row, as_data, as_markdown, ratio, share_at, write_between_markers


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [
        (9.9, False, "short"), (10, False, "pass"), (19.9, False, "pass"), (20, False, "stretch"),
        (20.1, True, "short"), (20, True, "pass"), (10.1, True, "pass"), (10, True, "stretch"), (None, False, "–"),
    ],
)
def test_check(value, at_most, verdict):
    bar, stretch = (20, 10) if at_most else (10, 20)
    assert Check(value, bar, stretch, at_most=at_most).verdict() == verdict


def test_without_a_stretch_there_is_only_a_pass():
    assert Check(9, 1, 1).verdict() == "pass"
    assert Check(0, 1, 1).verdict() == "short"


def test_a_row_is_as_good_as_its_worst_check_and_what_was_not_measured_is_not_judged():
    good, fair, bad, absent = Check(9, 1, 2), Check(1.5, 1, 2), Check(0, 1, 2), Check(None, 1, 2)
    assert Row("p", "m", "b", checks=(good, fair, bad)).verdict() == "short"
    assert Row("p", "m", "b", checks=(good, fair, absent)).verdict() == "pass"
    assert Row("p", "m", "b", checks=(good, absent)).verdict() == "stretch"
    assert Row("p", "m", "b", checks=(absent,)).verdict() == "–"


def test_p99_is_nearest_rank():
    assert share_at(list(range(100, 0, -1)), 0.99) == 99
    assert share_at(list(range(1, 151)), 0.99) == 149
    assert share_at([7.0], 0.99) == 7.0


def test_ratio_without_a_peer_is_none():
    assert ratio(6, 2) == 3
    assert ratio(6, None) is None


def test_markdown_has_a_line_a_row_and_each_note_once():
    rows = [Row("a|b", "1", "2", notes=("same",)), Row("c", "3", "4", notes=("same", "other"))]
    text = as_markdown(rows, ["Heading"])
    assert text.startswith("Heading\n\n| path |")
    assert "| a\\|b | 1 | 2 | – | – | – |" in text
    assert text.count("- same") == 1
    assert [row["path"] for row in as_data(rows)] == ["a|b", "c"]


def test_only_what_lies_between_the_markers_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_markers(page, "new")
    write_between_markers(page, "newer")
    assert page.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


def test_a_page_without_markers_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(ValueError, match="has no lines"):
        write_between_markers(page, "new")
    assert page.read_text() == "nothing\n"
