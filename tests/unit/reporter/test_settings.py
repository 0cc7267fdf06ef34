"""What the middleware is told, from where, and what cannot be right."""

from __future__ import annotations

import pytest

from weighbridge.reporter.settings import is_text, origin, read_settings

VARIABLES = {
    "WEIGHBRIDGE_URL": "https://meter.example/sub/", "WEIGHBRIDGE_KEY": "secret", "WEIGHBRIDGE_APP": "12",
    "WEIGHBRIDGE_ENVIRONMENT": "staging",
}


def test_variables_are_read_and_arguments_beat_them():
    found = read_settings(VARIABLES)
    assert found is not None
    assert (found.url, found.key, found.subject, found.environment, found.interval_s) == (
        "https://meter.example/sub", "secret", "app/12", "staging", 60)
    told = read_settings(VARIABLES, url="http://127.0.0.1:1", key="k", app_id=3, environment="dev", interval_s=10)
    assert told is not None
    assert (told.url, told.key, told.subject, told.environment, told.interval_s) == (
        "http://127.0.0.1:1", "k", "app/3", "dev", 10)


def test_defaults():
    found = read_settings({}, url="http://a", key="k")
    assert found is not None
    assert (found.subject, found.environment) == ("app/1", "prod")


@pytest.mark.parametrize("variables", [{}, {"WEIGHBRIDGE_URL": ""}, {"WEIGHBRIDGE_KEY": "k"}])
def test_without_a_url_there_is_no_metering(variables):
    assert read_settings(variables) is None


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({"url": "ftp://a", "key": "k"}, "URL"),
        ({"url": "http://", "key": "k"}, "URL"),
        ({"url": "meter.example", "key": "k"}, "URL"),
        ({"url": "http://a:99999", "key": "k"}, "URL"),
        ({"url": "http://a b", "key": "k"}, "URL"),
        ({"url": "http://[::1", "key": "k"}, "URL"),
        ({"url": "http://a"}, "WEIGHBRIDGE_KEY"),
        ({"url": "http://a", "key": "k\r\nX: y"}, "WEIGHBRIDGE_KEY"),
        ({"url": "http://a", "key": "ключ"}, "WEIGHBRIDGE_KEY"),
        ({"url": "http://a", "key": "k", "app_id": "shop"}, "WEIGHBRIDGE_APP"),
        ({"url": "http://a", "key": "k", "app_id": -1}, "WEIGHBRIDGE_APP"),
        ({"url": "http://a", "key": "k", "environment": "a\nb"}, "environment"),
        ({"url": "http://a", "key": "k", "environment": "x" * 256}, "environment"),
        ({"url": "http://a", "key": "k", "interval_s": 0}, "interval_s"),
        ({"url": "http://a", "key": "k", "interval_s": 45}, "interval_s"),
        ({"url": "http://a", "key": "k", "interval_s": 600}, "interval_s"),
    ],
)
def test_what_cannot_be_right_is_told_at_the_start(told, word):
    with pytest.raises(ValueError, match=word):
        read_settings({}, **told)


def test_no_secret_is_shown():
    found = read_settings({}, url="https://user:hush@meter.example/x?token=hush", key="hush")
    assert "hush" not in repr(found)
    assert origin("https://user:hush@meter.example:81/x?token=hush") == "https://meter.example:81"


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [("a", True), ("株式会社\u3000東京", True), ("a\u00a0b", True), ("", False), ("a" * 6, False), ("a\x00", False),
     ("a\x85", False), ("a\ud800", False), ("🚲", True)],
)
def test_texts_are_what_the_server_takes(text, is_fine):
    assert is_text(text, 5 if len(text) > 5 and text.isascii() else 255) is is_fine
