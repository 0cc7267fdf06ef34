"""What options say of a log, and what servers say of its sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from weighbridge.cli.failures import CommandError, WrongUsageError
from weighbridge.cli.log_options import log_settings, receipt_of
from weighbridge.sources.log.settings import LogSettings

NOTHING = dict.fromkeys(("log_format", "app", "space", "environment", "consumer", "rules")) | {"endpoints": (), "fields": ()}
LOG = Path("/var/log/access.log")


def test_options_alone():
    given = NOTHING | {
        "log_format": "json", "app": 1, "environment": "prod", "consumer": "$user", "endpoints": ("/a", "/b/{id}"),
        "fields": ("time=ts", "host=request.host", "path=a=b"),
    }
    assert log_settings(LOG, given) == LogSettings(
        path=str(LOG), format="json", app=1, environment="prod", consumer="$user", endpoints=("/a", "/b/{id}"),
        fields={"time": "ts", "host": "request.host", "path": "a=b"},
    )
    assert log_settings(LOG, NOTHING | {"space": 7}) == LogSettings(path=str(LOG), format="combined", space=7)


PLAIN = 'format = "common"\napp = 3\nenvironment = "prod"\n'
WHOLE = f"""
data = "elsewhere"
[[sources.log]]
path = "other.log"
format = "caddy"
space = 1
[[sources.log]]
path = "{LOG}"
{PLAIN}"""


@pytest.mark.parametrize("text", [PLAIN, WHOLE])
@pytest.mark.parametrize(("given", "expected"), [
    ({}, LogSettings(path=str(LOG), format="common", app=3, environment="prod")),
    ({"space": 9}, LogSettings(path=str(LOG), format="common", space=9, environment="prod")),
    ({"environment": "test", "log_format": "combined"},
     LogSettings(path=str(LOG), format="combined", app=3, environment="test")),
])
def test_options_beat_the_file(tmp_path, text, given, expected):
    (tmp_path / "rules.toml").write_text(text)
    assert log_settings(LOG, NOTHING | {"rules": tmp_path / "rules.toml"} | given) == expected


def test_paths_of_a_file_start_at_its_folder(tmp_path):
    (tmp_path / "rules.toml").write_text('[[sources.log]]\npath = "a.log"\nformat = "common"\napp = 1\n')
    assert log_settings(tmp_path / "a.log", NOTHING | {"rules": tmp_path / "rules.toml"}).app == 1
    with pytest.raises(WrongUsageError, match="give it one"):
        log_settings(tmp_path / "b.log", NOTHING | {"rules": tmp_path / "rules.toml"})


def test_codes_that_are_not_known_yet_stay_as_they_are():
    rejected = [{"index": 3, "id": "x", "code": "closed_period", "detail": "kept as an adjustment"}]
    receipt = receipt_of({"accepted": 1, "duplicates": 2, "rejected": rejected})
    assert (receipt.accepted, receipt.duplicates, receipt.rejected[0].code) == (1, 2, "closed_period")


@pytest.mark.parametrize("answer", [{}, {"accepted": 1}, {"accepted": 1, "duplicates": 0, "rejected": ["x"]}, [], "welcome"])
def test_what_is_no_receipt(answer):
    with pytest.raises(CommandError, match="no receipt"):
        receipt_of(answer)
