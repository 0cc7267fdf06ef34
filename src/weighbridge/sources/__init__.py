"""Where traffic comes from. A new source: a folder here (decode.py pure, the rest I/O), and its line below."""

from __future__ import annotations

SOURCES: dict[str, str] = {
    "events": "CloudEvents over HTTP: POST /api/v1/events",
    "hub": "Apitally's clients 0.25: POST /v2/{client_id}/{env}/…",
    "log": "access logs, followed through rotation or read whole",
    "host": "this machine's own interfaces, from the kernel's counters",
    "otlp": "OpenTelemetry over HTTP: POST /v1/metrics, with an app's write token",
    "remote_write": "counters by Prometheus remote write: POST /api/v1/write",
    "snmp": "interface counters of routers, switches and hosts, polled by SNMP",
}
"""Name → what it brings in. app/build.py starts those that are configured; one that is not costs nothing."""

COLLECTORS: dict[str, str] = {
    "snmp": "weighbridge.sources.snmp.listen:make_collector",
}
"""Name → what makes a source's collector, `module:name` of a MakeCollector (sources/collector.py). It runs inside the
server where the settings have a section of that name, and as `weighbridge collect NAME` on another host."""

SETTINGS: dict[str, str] = {
    "log": "weighbridge.sources.log.settings:read_settings",
    "remote_write": "weighbridge.sources.remote_write.settings:RemoteWriteSettings",
    "snmp": "weighbridge.sources.snmp.settings:read_settings",
}
"""Name of a section [[sources.NAME]] in weighbridge.toml → what reads one of its tables, `module:name`: a msgspec struct, or
a function from the table to one (InvalidInputError where it is wrong). A method `placed(folder)` makes paths absolute."""
