"""Whose traffic a request is, whatever an app's own code or a framework's insides do."""

from __future__ import annotations

import logging
import warnings

import pytest

from weighbridge.measurement import MAX_NAME as SERVER_MAX_NAME
from weighbridge.measurement import MAX_PATH as SERVER_MAX_PATH
from weighbridge.reporter import dimensions, settings
from weighbridge.reporter.complaints import Complaints
from weighbridge.reporter.dimensions import Dimensions


def key_of(consumer=None, method="GET", template=lambda: "/items/{id}"):
    return Dimensions("prod", consumer, Complaints()).key({"who": "alice"}, method, template)


def boom(*_):
    raise LookupError("no such luck")


async def later(_scope):
    return "alice"


def test_the_bounds_are_the_servers():
    assert (settings.MAX_NAME, dimensions.MAX_PATH) == (SERVER_MAX_NAME, SERVER_MAX_PATH)


def test_everything_known():
    assert key_of(lambda scope: scope["who"]) == ("prod", "alice", "GET", "/items/{id}")
    assert key_of() == ("prod", None, "GET", "/items/{id}")
    assert key_of(lambda _: 17)[1] == "17"


@pytest.mark.parametrize("nobody", [lambda _: None, lambda _: ""])
def test_nobody_is_nobody_and_nothing_to_complain_of(nobody, caplog):
    assert key_of(nobody)[1] is None
    assert not caplog.records


@pytest.mark.parametrize(
    "consumer",
    [boom, later, lambda _: object(), lambda _: b"alice", lambda _: "x" * 256, lambda _: "a\nb", lambda _: "\ud800"],
)
def test_what_is_no_name_counts_without_a_consumer_and_is_told_once(consumer, caplog):
    caplog.set_level(logging.WARNING)
    named = Dimensions("prod", consumer, Complaints())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as: never awaited
        for _ in range(3):
            assert named.key({}, "GET", lambda: "/") == ("prod", None, "GET", "/")
    assert [record.name for record in caplog.records] == ["weighbridge"]


@pytest.mark.parametrize("template", [boom, lambda: None, lambda: "", lambda: "/x\n", lambda: "/" + "x" * 1024, lambda: 5])
def test_without_a_template_method_and_path_are_left_out(template):
    assert key_of(template=template) == ("prod", None, None, None)


@pytest.mark.parametrize("method", ["BREW", "get", "X" * 40, "M1"])
def test_methods_that_a_client_makes_up_are_no_series(method):
    assert key_of(method=method) == ("prod", None, None, None)
