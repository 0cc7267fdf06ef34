from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from weighbridge.app.config import HIDDEN, MAX_FILE_BYTES, SETTINGS, load, shown
from weighbridge.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

OTHER = {  # for each setting a value that is not its default
    "data": "elsewhere",
    "host": "0.0.0.0",
    "port": "9090",
    "no_host": "true",
    "host_interval_s": "5",
    "admin_key": "s3cret",
    "rate_limits": "off",
    "latitude_calls_per_min": "1",
    "apitally_calls_per_min": "2",
    "storyblok_calls_per_s": "3",
    "altostrat_calls_per_min": "4",
    "log_level": "debug",
    "log_format": "json",
    "retention_days_5m": "35",
    "retention_days_30m": "400",
    "retention_days_1d": "4000",
    "retention_days_flows": "90",
    "duckdb_memory_mb": "512",
    "duckdb_threads": "4",
    "handler_threads": "16",
    "jwt.issuer": "https://login.example.com",
    "jwt.audience": "meter",
    "jwt.algorithms": "HS256,EdDSA",
    "jwt.secret": "hush",
    "jwt.jwks_file": "jwks.json",
    "jwt.organization_claim": "tenant",
    "jwt.leeway_s": "5",
}
LINKED = {  # settings that make sense together only
    "jwt.issuer": {"WEIGHBRIDGE_JWT_SECRET": "hush"},
    "jwt.secret": {"WEIGHBRIDGE_JWT_ISSUER": "https://login.example.com"},
    "jwt.jwks_file": {"WEIGHBRIDGE_JWT_ISSUER": "https://login.example.com"},
}
PLAIN = [setting for setting in SETTINGS if setting.name in OTHER]


def by_name(rows: list[tuple[str, str, str]]) -> dict[str, tuple[str, str]]:
    return {name: (value, source) for name, value, source in rows}


def faults(environ: dict[str, str], cwd: Path, flags: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        load(flags or {}, environ, cwd)
    return str(caught.value).splitlines()


def toml(setting_name: str, text: str) -> str:
    section, _, key = setting_name.rpartition(".")
    value = text if text.isdigit() or text in ("true", "false") else f'"{text}"'
    return f"[{section}]\n{key} = {value}\n" if section else f"{key} = {value}\n"


def test_every_setting_is_tried_here() -> None:
    assert {setting.name for setting in SETTINGS} == {*OTHER, "admin_key_file", "jwt.secret_file"}


def test_defaults(tmp_path: Path) -> None:
    settings, sources = load({}, {}, tmp_path)
    assert settings.data == tmp_path / "weighbridge-data"
    assert (settings.host, settings.port, settings.no_host, settings.admin_key) == ("127.0.0.1", 8080, False, None)
    assert settings.rate_limits == "on"
    assert (settings.retention_days_5m, settings.retention_days_30m, settings.retention_days_1d) == (None, None, None)
    assert (settings.duckdb_memory_mb, settings.duckdb_threads, settings.host_interval_s) == (160, 2, 10)
    assert (settings.jwt.issuer, settings.jwt.secret, settings.jwt.organization_claim, settings.jwt.leeway_s) == (
        None,
        None,
        "org",
        30,
    )
    assert set(sources.values()) == {"default"}


@pytest.mark.parametrize("setting", PLAIN, ids=lambda setting: setting.name)
def test_a_variable_beats_the_default(setting, tmp_path: Path) -> None:
    environ = {setting.variable: OTHER[setting.name], **LINKED.get(setting.name, {})}
    settings, sources = load({}, environ, tmp_path)
    value, source = by_name(shown(settings, sources))[setting.name]
    expected = HIDDEN if setting.is_secret else OTHER[setting.name]
    assert value.removeprefix(f"{tmp_path}/") == expected
    assert source == setting.variable


@pytest.mark.parametrize("setting", [each for each in PLAIN if each.file_key], ids=lambda setting: setting.name)
def test_the_file_beats_the_default_and_a_variable_the_file(setting, tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text(toml(setting.name, OTHER[setting.name]))
    linked = LINKED.get(setting.name, {})
    settings, sources = load({}, linked, tmp_path)
    value, source = by_name(shown(settings, sources))[setting.name]
    assert value.removeprefix(f"{tmp_path}/") == OTHER[setting.name]
    assert source == f"weighbridge.toml: {setting.name}"

    written = setting.default or OTHER[setting.name] + "x"
    settings, sources = load({}, {setting.variable: written, **linked}, tmp_path)
    value, source = by_name(shown(settings, sources))[setting.name]
    assert value.removeprefix(f"{tmp_path}/") == written
    assert source == setting.variable


@pytest.mark.parametrize("setting", [each for each in PLAIN if each.flag], ids=lambda setting: setting.name)
def test_a_flag_beats_everything(setting, tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text(toml(setting.name, setting.default))
    settings, sources = load({setting.name: OTHER[setting.name]}, {setting.variable: setting.default}, tmp_path)
    value, source = by_name(shown(settings, sources))[setting.name]
    assert value.removeprefix(f"{tmp_path}/") == OTHER[setting.name]
    assert source == setting.flag


def test_secrets_and_sections_have_no_flag() -> None:
    assert {setting.name for setting in SETTINGS if setting.flag is None} == {
        "admin_key",
        *(setting.name for setting in SETTINGS if setting.name.startswith("jwt.")),
    }
    assert [setting.flag for setting in SETTINGS if setting.name == "no_host"] == ["--no-host"]
    assert [setting.variable for setting in SETTINGS if setting.name == "no_host"] == ["WEIGHBRIDGE_NO_HOST"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WEIGHBRIDGE_PROT": "1"}, "WEIGHBRIDGE_PROT: there is no such setting; did you mean WEIGHBRIDGE_PORT?"),
        (
            {"WEIGHBRIDGE_JWT_ISUER": "x"},
            "WEIGHBRIDGE_JWT_ISUER: there is no such setting; did you mean WEIGHBRIDGE_JWT_ISSUER?",
        ),
        ({"WEIGHBRIDGE_URLS": "x"}, "WEIGHBRIDGE_URLS: there is no such setting; did you mean WEIGHBRIDGE_URL?"),
        (
            {"WEIGHBRIDGE_ZZZZZZZZZZZZZZ": "x"},
            "WEIGHBRIDGE_ZZZZZZZZZZZZZZ: there is no such setting; docs/configuration.md lists all",
        ),
        (
            {"WEIGHBRIDGE_PORT": "eighty"},
            "WEIGHBRIDGE_PORT: 'eighty' is not a whole number; give a whole number from 0 to 65535, such as 8080",
        ),
        (
            {"WEIGHBRIDGE_PORT": "65536"},
            "WEIGHBRIDGE_PORT: '65536' is out of bounds; give a whole number from 0 to 65535, such as 8080",
        ),
        (
            {"WEIGHBRIDGE_PORT": "9" * 5000},
            f"WEIGHBRIDGE_PORT: '{'9' * 5000}' is out of bounds; give a whole number from 0 to 65535, such as 8080",
        ),
        (
            {"WEIGHBRIDGE_NO_HOST": "maybe"},
            "WEIGHBRIDGE_NO_HOST: 'maybe' is neither yes nor no; give true or false (1 or 0, on or off, yes or no)",
        ),
        (
            {"WEIGHBRIDGE_RATE_LIMITS": "some"},
            "WEIGHBRIDGE_RATE_LIMITS: 'some' is not one of its words; give on or off",
        ),
        (
            {"WEIGHBRIDGE_RETENTION_DAYS_5M": "0"},
            (
                "WEIGHBRIDGE_RETENTION_DAYS_5M: '0' is not a number of days; give a whole number of days from 1 "
                "to 36525, or forever"
            ),
        ),
        (
            {"WEIGHBRIDGE_JWT_ALGORITHMS": "HS256,none"},
            (
                "WEIGHBRIDGE_JWT_ALGORITHMS: 'HS256,none' holds 'none', which is not allowed here; give one or "
                "several of HS256, RS256, ES256, EdDSA, separated by commas"
            ),
        ),
        (
            {"WEIGHBRIDGE_JWT_ISSUER": "https://login.example.com"},
            (
                "WEIGHBRIDGE_JWT_ISSUER: an issuer without keys is believed nothing; set "
                "WEIGHBRIDGE_JWT_SECRET, jwt.secret_file or jwt.jwks_file too"
            ),
        ),
        ({"WEIGHBRIDGE_JWT_SECRET": "hush"}, "WEIGHBRIDGE_JWT_SECRET: keys without an issuer; set jwt.issuer too"),
    ],
)
def test_wrong_variables(environ: dict[str, str], expected: str, tmp_path: Path) -> None:
    assert faults(environ, tmp_path) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prot = 1", "weighbridge.toml: prot: there is no such setting; did you mean port?"),
        (
            'port = "80 80"',
            "weighbridge.toml: port: '80 80' is not a whole number; give a whole number from 0 to 65535, such as 8080",
        ),
        (
            "port = true",
            "weighbridge.toml: port: True is not a whole number; give a whole number from 0 to 65535, such as 8080",
        ),
        ("rate_limits = false", "weighbridge.toml: rate_limits: False is not one of its words; give on or off"),
        ("host = 1", "weighbridge.toml: host: 1 is not a text; give a text, such as 127.0.0.1"),
        ("data = []", "weighbridge.toml: data: [] is not a path; give a path, such as /var/lib/weighbridge"),
        ("[jwt]\nisuer = 'x'", "weighbridge.toml: jwt.isuer: there is no such setting; did you mean jwt.issuer?"),
        ("[jtw]\nissuer = 'x'", "weighbridge.toml: jtw: there is no such setting"),
        ("jwt = 3", "weighbridge.toml: jwt: 3 must be a section; write [jwt] on a line of its own"),
        (
            "admin_key = 'x'",
            (
                "weighbridge.toml: admin_key: secrets do not stand in this file; set the variable "
                "WEIGHBRIDGE_ADMIN_KEY, or put the secret in a file of its own and name that as admin_key_file"
            ),
        ),
        (
            "[jwt]\nsecret = 'hush'",
            (
                "weighbridge.toml: jwt.secret: secrets do not stand in this file; set the variable "
                "WEIGHBRIDGE_JWT_SECRET, or put the secret in a file of its own and name that as jwt.secret_file"
            ),
        ),
    ],
)
def test_wrong_files(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text(text)
    (fault,) = faults({}, tmp_path)
    assert fault.startswith(expected)
    assert "hush" not in fault


def test_everything_wrong_is_told_at_once_and_beaten_values_too(tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text("port = 'a'\nhots = 'b'\n")
    told = faults({"WEIGHBRIDGE_PORT": "c"}, tmp_path, {"port": "80"})
    assert [line.split(":")[0] for line in told] == ["WEIGHBRIDGE_PORT", "weighbridge.toml", "weighbridge.toml"]


def test_a_file_that_is_named_must_be_there_and_be_toml(tmp_path: Path) -> None:
    (fault,) = faults({}, tmp_path, {"config": "absent.toml"})
    assert fault.startswith(f"{tmp_path}/absent.toml: no such file")
    (tmp_path / "broken.toml").write_text("port 80")
    (fault,) = faults({"WEIGHBRIDGE_CONFIG": "broken.toml"}, tmp_path)
    assert fault.startswith(f"{tmp_path}/broken.toml: ")
    assert "line 1" in fault


def test_the_flag_names_the_file_before_the_variable_does(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "mine.toml").write_text("port = 1\ndata = 'here'\n")
    (tmp_path / "other.toml").write_text("port = 2\n")
    settings, _ = load({"config": "etc/mine.toml"}, {"WEIGHBRIDGE_CONFIG": "other.toml"}, tmp_path)
    assert settings.port == 1
    assert settings.data == folder / "here"  # relative to its file
    settings, _ = load({}, {"WEIGHBRIDGE_CONFIG": "other.toml"}, tmp_path)
    assert settings.port == 2


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    settings, sources = load({}, {"WEIGHBRIDGE_PORT": "", "WEIGHBRIDGE_ADMIN_KEY": ""}, tmp_path)
    assert (settings.port, sources["port"], settings.admin_key) == (8080, "default", None)


def test_variables_of_others_and_of_the_client_are_left_alone(tmp_path: Path) -> None:
    environ = {"HOME": "/", "WEIGHBRIDGE_URL": "http://x", "WEIGHBRIDGE_KEY": "k", "WEIGHBRIDGEPORT": "x",
               "WEIGHBRIDGE_APP": "1", "WEIGHBRIDGE_ENVIRONMENT": "prod"}
    assert load({}, environ, tmp_path)[0].port == 8080


def test_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "jwt").write_text("hush\n")
    (tmp_path / "weighbridge.toml").write_text("admin_key_file = 'key'\n[jwt]\nissuer = 'me'\nsecret_file = 'jwt'\n")
    settings, sources = load({}, {}, tmp_path)
    assert (settings.admin_key, settings.jwt.secret) == ("s3cret", "hush")
    assert sources["admin_key"] == f"weighbridge.toml: admin_key_file ({tmp_path}/key)"
    assert "s3cret" not in repr(settings)
    assert "hush" not in repr(settings)
    assert "s3cret" not in str(shown(settings, sources))


def test_two_places_for_one_secret_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    environ = {"WEIGHBRIDGE_ADMIN_KEY_FILE": "key", "WEIGHBRIDGE_ADMIN_KEY": "x"}
    assert faults(environ, tmp_path) == [
        f"WEIGHBRIDGE_ADMIN_KEY_FILE ({tmp_path}/key): WEIGHBRIDGE_ADMIN_KEY is set too; keep one of the two"
    ]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * (MAX_FILE_BYTES + 1)])
def test_secret_files_that_hold_none(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    (fault,) = faults({"WEIGHBRIDGE_ADMIN_KEY_FILE": "key"}, tmp_path)
    assert fault.startswith(f"WEIGHBRIDGE_ADMIN_KEY_FILE ({tmp_path}/key): ")


def test_for_ever_in_every_place(tmp_path: Path) -> None:
    (tmp_path / "weighbridge.toml").write_text("retention_days_5m = 35\nretention_days_1d = 'forever'\n")
    settings, _ = load({"retention_days_5m": "forever"}, {"WEIGHBRIDGE_RETENTION_DAYS_30M": "400"}, tmp_path)
    assert (settings.retention_days_5m, settings.retention_days_30m, settings.retention_days_1d) == (None, 400, None)
