"""`weighbridge snmp`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from weighbridge.cli.examples import example
from weighbridge.cli.failures import UnreachableError, WrongUsageError
from weighbridge.cli.output import format_option, write
from weighbridge.cli.settings_options import load_settings

if TYPE_CHECKING:
    from weighbridge.sources.snmp.settings import SnmpSettings
    from weighbridge.sources.snmp.varbinds import Row

COLUMNS = ("name", "alias", "up", "mbps", "bits", "bytes_in", "bytes_out", "index", "note")

@click.group("snmp")
@example("weighbridge snmp walk tor-1")
def command() -> None:
    """Ask devices by SNMP, as the server does."""


@command.command("walk")
@click.argument("device", metavar="[DEVICE]", required=False)
@click.option(
    "--config",
    metavar="FILE",
    help="Settings file [default: weighbridge.toml, if it is there; variable: WEIGHBRIDGE_CONFIG]",
)
@click.option("--address", metavar="HOST[:PORT]", help="A device that is not in the settings.")
@click.option("--community-env", metavar="NAME", help="Variable that holds the community (version 2c).")
@click.option("--community-file", metavar="PATH", help="File that holds the community.")
@click.option("--user", metavar="NAME", help="User of version 3.")
@click.option("--auth", metavar="WORD", help="md5, sha1, sha224, sha256, sha384 or sha512.")
@click.option("--auth-key-env", metavar="NAME", help="Variable that holds the user's password.")
@click.option("--auth-key-file", metavar="PATH", help="File that holds it.")
@click.option("--privacy", metavar="WORD", help="des, aes128, aes192 or aes256.")
@click.option("--privacy-key-env", metavar="NAME", help="Variable that holds the password of the encryption.")
@click.option("--privacy-key-file", metavar="PATH", help="File that holds it.")
@format_option
@example(
    "weighbridge snmp walk tor-1",
    "COMMUNITY=public weighbridge snmp walk --address 192.0.2.1 --community-env COMMUNITY --format csv",
    "weighbridge snmp walk --address 192.0.2.1 --user weigher --auth sha256 --auth-key-file a.key",
)
def walk(*, device: str | None, config: str | None, format_: str, **given: str | None) -> None:
    """List the interfaces of a device: the names to write into the catalog, and what its counters show now.

    DEVICE is one of the settings (`[[sources.snmp]]`); its `interfaces` apply. `up` is ifOperStatus, `bits` the width of the
    counter that is read, `mbps` what the line carries as far as the device tells. Exit code 5 if it does not answer.
    """
    from weighbridge.app.clock import SystemClock  # noqa: PLC0415  nothing that --help need wait for
    from weighbridge.sources.snmp.walk import SilentError  # noqa: PLC0415
    from weighbridge.sources.snmp.walk import walk as walk_device  # noqa: PLC0415

    named = {name: value for name, value in given.items() if value is not None}
    if (device is None) == (given["address"] is None):
        raise WrongUsageError("name a device of the settings, or give --address; one of the two")
    if device is not None and named:
        option = next(iter(named)).replace("_", "-")
        raise WrongUsageError(f"--{option} goes with --address, not with a device of the settings")
    settings = _given(named) if device is None else _configured(device, config)
    try:
        rows = walk_device(settings, SystemClock().now_us)
    except SilentError as error:
        raise UnreachableError(str(error)) from error
    many = Counter(row.name for row in rows)
    write([_shown(row, is_shared=many[row.name] > 1) for row in rows], COLUMNS, format_)


def _given(named: dict[str, str]) -> SnmpSettings:
    from weighbridge.sources.snmp.settings import read_settings  # noqa: PLC0415  see above

    return read_settings({"device": named["address"], "version": "3" if "user" in named else "2c", **named})


def _configured(device: str, config: str | None) -> SnmpSettings:
    """The device of the settings that has this name."""
    settings, _ = load_settings({"config": config})
    found: dict[str, SnmpSettings] = {each.device: each for each in settings.sources.get("snmp", ())}
    if device not in found:
        there = f"there are {', '.join(list(found)[:10])}" if found else "there is no [[sources.snmp]]"
        raise WrongUsageError(f"the settings have no device {device!r}: {there}")
    return found[device]


def _shown(row: Row, *, is_shared: bool) -> dict[str, Any]:
    is_wide = not row.wide.is_absent and (row.wide.moved > 0 or not row.narrow.moved)
    totals = row.wide if is_wide else row.narrow
    return {
        "name": row.name,
        "alias": row.alias,
        "up": row.is_up,
        "mbps": None if row.line_rate_bps is None else row.line_rate_bps // 1_000_000,
        "bits": 64 if is_wide else 32,
        "bytes_in": totals.bytes_in,
        "bytes_out": totals.bytes_out,
        "index": row.index,
        "note": "several have this name: it counts only while one alone is up" if is_shared else "",
    }
