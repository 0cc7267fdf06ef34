"""Real exporters, devices and tunnels on loopback and in network namespaces; Debian's packages, which .ci/run installs."""

from __future__ import annotations

import os
import shutil

NEEDS: dict[str, tuple[str, ...]] = {
    "test_netflow_softflowd.py": ("softflowd", "nfcapd", "nfdump"),
    "test_openvpn.py": ("ip", "openvpn", "openssl"),
    "test_wireguard.py": ("ip", "sysctl", "wg", "wireguard-go"),
    "test_host_interfaces.py": ("ip", "sysctl"),
    "test_sflow_pmacctd.py": ("pmacctd", "sfacctd", "pmacct"),
    "test_snmpd.py": ("ip", "snmpd"),
}
"""Test file → the commands that it runs. `dev.py test` leaves a file out where one is missing, and says so."""


def _missing(name: str) -> str:
    """Which of a file's commands are not there; Debian keeps daemons where users' PATH does not look."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return ", ".join(command for command in NEEDS[name] if shutil.which(command, path=path) is None)


collect_ignore = [name for name in NEEDS if _missing(name)]


def pytest_report_header() -> list[str]:
    """One line for each file that is left out."""
    return [f"network: {name} is left out, for lack of {_missing(name)} (see .ci/run)" for name in collect_ignore]
