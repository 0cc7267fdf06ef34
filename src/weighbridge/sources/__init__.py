"""Where traffic comes from. A new source: a folder here (decode.py pure, the rest I/O), and its line below."""

from __future__ import annotations

SOURCES: dict[str, str] = {
    "events": "CloudEvents over HTTP: POST /api/v1/events",
    "hub": "Apitally's clients 0.25: POST /v2/{client_id}/{env}/…",
    "log": "access logs, followed through rotation or read whole",
    "host": "this machine's own interfaces, from the kernel's counters",
    "openvpn": "sessions of OpenVPN servers, from a status file or the management socket",
    "netflow": "NetFlow 5, NetFlow 9 and IPFIX on one UDP port",
    "otlp": "OpenTelemetry over HTTP: POST /v1/metrics, with an app's write token",
    "sflow": "sampled packets and port counters of sFlow 5 agents, over UDP",
    "remote_write": "counters by Prometheus remote write: POST /api/v1/write",
    "wireguard": "peers of WireGuard interfaces, in the kernel or in userspace",
    "snmp": "interface counters of routers, switches and hosts, polled by SNMP",
}
"""Name → what it brings in. app/build.py starts those that are configured; one that is not costs nothing."""

COLLECTORS: dict[str, str] = {
    "host": "weighbridge.sources.host.listen:make_collector",
    "netflow": "weighbridge.sources.netflow.listen:make_collector",
    "openvpn": "weighbridge.sources.openvpn.listen:make_collector",
    "sflow": "weighbridge.sources.sflow.listen:make_collector",
    "snmp": "weighbridge.sources.snmp.listen:make_collector",
    "wireguard": "weighbridge.sources.wireguard.listen:make_collector",
}
"""Name → what makes a source's collector, `module:name` of a MakeCollector (sources/collector.py). It runs inside the
server where the settings have a section of that name, and as `weighbridge collect NAME` on another host."""

SETTINGS: dict[str, str] = {
    "host": "weighbridge.sources.host.settings:HostSettings",
    "log": "weighbridge.sources.log.settings:read_settings",
    "netflow": "weighbridge.sources.netflow.settings:NetflowSettings",
    "openvpn": "weighbridge.sources.openvpn.settings:OpenvpnSettings",
    "remote_write": "weighbridge.sources.remote_write.settings:RemoteWriteSettings",
    "sflow": "weighbridge.sources.sflow.settings:SflowSettings",
    "snmp": "weighbridge.sources.snmp.settings:read_settings",
    "wireguard": "weighbridge.sources.wireguard.settings:WireguardSettings",
}
"""Name of a section [[sources.NAME]] in weighbridge.toml → what reads one of its tables, `module:name`: a msgspec struct, or
a function from the table to one (InvalidInputError where it is wrong). A method `placed(folder)` makes paths absolute."""
