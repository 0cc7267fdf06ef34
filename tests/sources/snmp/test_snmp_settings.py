"""Tables of [[sources.snmp]]: what is taken, and what is told of wrong ones."""

from __future__ import annotations

import pytest

from weighbridge.app.config import load
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.snmp.settings import read_secrets, read_settings, split_address

V2 = {"device": "tor-1", "address": "192.0.2.1", "community_env": "TOR1"}
V3 = {"device": "tor-1", "address": "192.0.2.1", "version": "3", "user": "wb", "auth": "sha256", "auth_key_env": "AUTH",
      "privacy": "aes128", "privacy_key_env": "PRIVACY"}


def test_the_contracts_example_is_taken():
    settings = read_settings({
        "device": "tor-1", "address": "192.0.2.1:161", "version": "2c", "community_env": "TOR1_COMMUNITY", "interval_s": 60})
    assert (settings.host, settings.port, settings.interval_s) == ("192.0.2.1", 161, 60)
    assert read_settings(V3).version == "3"


def test_secrets_come_from_variables_and_files(tmp_path):
    (tmp_path / "community").write_text("s3cret\n")
    settings = read_settings({"device": "a", "address": "a", "community_file": "community"}).placed(tmp_path)
    assert read_secrets(settings).community == "s3cret"
    assert read_secrets(read_settings(V2), {"TOR1": "public"}).community == "public"
    secrets = read_secrets(read_settings(V3), {"AUTH": "authpassword", "PRIVACY": "privacypassword"})
    assert (secrets.auth_key, secrets.privacy_key) == (b"authpassword", b"privacypassword")
    assert "authpassword" not in repr(secrets)


@pytest.mark.parametrize(("address", "expected"), [
    ("192.0.2.1", ("192.0.2.1", 161)),
    ("192.0.2.1:1161", ("192.0.2.1", 1161)),
    ("tor-1.example.com", ("tor-1.example.com", 161)),
    ("tor_1:162", ("tor_1", 162)),
    ("2001:db8::1", ("2001:db8::1", 161)),
    ("[2001:db8::1]", ("2001:db8::1", 161)),
    ("[2001:db8::1]:1161", ("2001:db8::1", 1161)),
    ("::1", ("::1", 161)),
])
def test_addresses(address, expected):
    assert split_address(address) == expected


@pytest.mark.parametrize("address", [
    "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:snmp", "a b", "http://192.0.2.1", "[192.0.2.1]:161", "[::1",
    "[::1]161", ":161", "a:1:2", "x" * 254, "-a", "192.0.2.1:\uff11",
])
def test_addresses_that_are_none(address):
    with pytest.raises(InvalidInputError, match="neither host:port nor an IP address"):
        read_settings(V2 | {"address": address})


@pytest.mark.parametrize(("change", "told"), [
    ({"device": None}, "missing required field `device`; write it as in device ="),
    ({"address": 5}, 'write it as in address = "192.0.2.1:161"'),
    ({"version": "1"}, 'version: Invalid enum value \'1\'; write it as in version = "2c" or version = "3"'),
    ({"community_env": None}, "community_env or community_file is missing"),
    ({"community_file": "x"}, "community_env and community_file are both given"),
    ({"community": "public"}, "secrets never stand in this file: give community_env"),
    ({"colour": "red"}, "known there: device, address"),
    ({"adress": "x"}, "did you mean address?"),
    ({"user": "wb"}, 'user goes with version = "3"'),
    ({"engine_id": "8000"}, "engine_id"),
    ({"interval_s": 0}, "write it as in interval_s = 60"),
    ({"timeout_s": 0}, "write it as in timeout_s = 2.0"),
    ({"retries": 11}, "write it as in retries = 2"),
    ({"max_repetitions": 1000}, "write it as in max_repetitions = 25"),
    ({"interfaces": "ge-*"}, 'write it as in interfaces = ["ge-*"'),
    ({"interfaces": [" ge"]}, "interfaces[0] ' ge' must be printable"),
    ({"device": "tor\n1"}, "device 'tor\\n1' must be printable"),
])
def test_wrong_tables_of_version_2c_are_told(change, told):
    table = {key: value for key, value in (V2 | change).items() if value is not None}
    with pytest.raises(InvalidInputError) as caught:
        read_settings(table)
    assert told in str(caught.value)


@pytest.mark.parametrize(("change", "told"), [
    ({"user": None}, "user is missing"),
    ({"auth": "sha"}, "Invalid enum value 'sha'; write it as in auth = \"sha256\" (or md5, sha1"),
    ({"auth_key_env": None}, "auth_key_env or auth_key_file is missing"),
    ({"privacy_key_env": None}, "privacy_key_env or privacy_key_file is missing"),
    ({"auth": None, "auth_key_env": None}, "privacy wants auth too"),
    ({"auth": None}, "auth is missing"),
    ({"privacy": None}, "privacy is missing"),
    ({"privacy": "aes"}, "or des, aes128, aes192, aes256"),
    ({"community_env": "X"}, 'community_env goes with version = "2c"'),
    ({"auth_key": "authpassword"}, "secrets never stand in this file: give auth_key_env"),
    ({"engine_id": "xyz"}, "leave it out: it is asked for"),
])
def test_wrong_tables_of_version_3_are_told(change, told):
    table = {key: value for key, value in (V3 | change).items() if value is not None}
    with pytest.raises(InvalidInputError) as caught:
        read_settings(table)
    assert told in str(caught.value)


@pytest.mark.parametrize(("table", "variables", "told"), [
    (V2, {}, "device tor-1: the variable TOR1 is not set, which community_env names"),
    (V2, {"TOR1": ""}, "the variable TOR1 is not set"),
    (V3, {"AUTH": "authpassword"}, "the variable PRIVACY is not set, which privacy_key_env names"),
    (V3, {"AUTH": "short", "PRIVACY": "privacypassword"}, "the password of auth_key_env is shorter than 8 characters"),
])
def test_variables_that_are_not_set_are_named(table, variables, told):
    with pytest.raises(InvalidInputError) as caught:
        read_secrets(read_settings(table), variables)
    assert told in str(caught.value)


@pytest.mark.parametrize(("content", "told"), [
    (None, "cannot be read (No such file or directory)"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "is no text"),
    (b"x" * 5000, "is larger than 4096 bytes"),
])
def test_files_that_hold_no_secret_are_named(tmp_path, content, told):
    path = tmp_path / "community"
    if content is not None:
        path.write_bytes(content)
    settings = read_settings({"device": "tor-1", "address": "a", "community_file": str(path)})
    with pytest.raises(InvalidInputError) as caught:
        read_secrets(settings)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_thousands_of_devices_stand_in_one_file(tmp_path):
    table = '[[sources.snmp]]\ndevice = "d{0}"\naddress = "192.0.2.1:{0}"\ncommunity_env = "X"\n'
    (tmp_path / "weighbridge.toml").write_text("".join(table.format(number) for number in range(1, 10_001)))
    settings, _ = load({}, {}, tmp_path)
    assert [each.port for each in settings.sources["snmp"]] == list(range(1, 10_001))
