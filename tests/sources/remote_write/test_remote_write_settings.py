"""Tables of `[[sources.remote_write]]`: what is wrong is named with what would be right."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from weighbridge.app.config import load, shown
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.remote_write.presets import PRESETS
from weighbridge.sources.remote_write.settings import RemoteWriteSettings

if TYPE_CHECKING:
    from pathlib import Path

GOOD: dict[str, Any] = {"metric_in": "rx", "subject": "server/{instance}"}
CONTRACT = """
[[sources.remote_write]]
metric_in = "node_network_receive_bytes_total"
metric_out = "node_network_transmit_bytes_total"
match = {device = "eth0"}
subject = "server/{instance}"        # labels in braces
"""


def read(**table: Any) -> RemoteWriteSettings:
    return msgspec.convert(table, RemoteWriteSettings)


@pytest.mark.parametrize("table", [
    GOOD,
    GOOD | {"match": {"device": ["eth0", "eth1"]}, "exclude": {"job": ""}},
    {"metric_requests": "http_requests_total", "subject": "app/1", "environment": "{env}", "consumer": "c-{team}"},
    {"preset": "traefik", "subject": "app/{app}", "method": "{method}", "path": "/{service}"},
    {"preset": "caddy", "subject": "space/123", "path": "{host}"},
    {"preset": "envoy", "subject": "vpn/{vpn}/peer/{peer}"},
    GOOD | {"metric_out": "http.server.response.body.size_sum", "start_timestamps": False},
    GOOD | {"subject": "server/{k8s.node.name}"},
])
def test_good_tables(table: dict[str, Any]) -> None:
    assert read(**table).subject == table["subject"]


WRONG = [
    ({}, "metric_in, metric_out or metric_requests must name a counter, or preset one of node_exporter, envoy"),
    ({"metric_in": "rx"}, "subject '' must be server/, vpn/, app/ or space/ and an id, as in server/{instance}"),
    ({"subject": "server/{instance}"}, "must name a counter"),
    ({"subject": "server/{i}", "preset": "nginx"}, "preset 'nginx' is none of node_exporter, envoy, traefik, caddy, ingress"),
    (GOOD | {"metric_in": ""}, r"length >= 1 - at `\$.metric_in`"),
    (GOOD | {"metric_in": 'rx{device="eth0"}'}, "metric_in .* is no metric's name; write it without labels"),
    (GOOD | {"metric_out": "rx"}, "metric_in and metric_out must be different metrics"),
    (GOOD | {"metric_in": 5}, r"Expected `str \| null`, got `int` - at `\$.metric_in`"),
    (GOOD | {"match": {"device": []}}, r"length >= 1 - at `\$.match\[...\]`"),
    (GOOD | {"match": {"device": 5}}, r"got `int` - at `\$.match\[...\]`"),
    (GOOD | {"match": "eth0"}, r"Expected `object`, got `str` - at `\$.match`"),
    (GOOD | {"match": {"__name__": "rx"}}, "match wants names of labels, not '__name__'; the metrics are named by metric_in"),
    (GOOD | {"exclude": {"": "lo"}}, "exclude wants names of labels, not ''"),
    (GOOD | {"subject": "{instance}"}, "subject '{instance}' must be server/"),
    (GOOD | {"subject": "servers/{instance}"}, "subject 'servers/{instance}' must be server/"),
    (GOOD | {"subject": "server/"}, "subject 'server/' must be server/"),
    (GOOD | {"subject": "server/{instance"}, "has a brace without its other half; write labels as {instance}"),
    (GOOD | {"subject": "server/}"}, "has a brace without its other half"),
    (GOOD | {"subject": "server/{}"}, "{} names no label; write it as {instance}"),
    (GOOD | {"subject": "server/{ instance }"}, "{ instance } names no label"),
    (GOOD | {"subject": "server/{__name__}"}, "is the metric's name, not a label"),
    (GOOD | {"subject": "server/\x07{i}"}, "subject holds a control character"),
    (GOOD | {"subject": f"server/{'x' * 250}"}, "subject has 257 characters; 255 are the most"),
    (GOOD | {"subject": "app/shop"}, "subject 'app/shop' must name a number, as in app/1 or app/{app}"),
    (GOOD | {"subject": "space/0"}, "must name a number, as in space/1 or space/{space}"),
    (GOOD | {"environment": "prod"}, "environment goes with a subject app/…, not with 'server/{instance}'; leave it out"),
    (GOOD | {"subject": "space/1", "consumer": "{c}"}, "consumer goes with a subject app/…"),
    (GOOD | {"path": "/{p}"}, "path goes with a subject app/… or space/…"),
    (GOOD | {"subject": "app/1", "path": "/{p}"}, "method and path go together"),
    (GOOD | {"subject": "app/1", "environment": ""}, "environment is empty; leave it out"),
    (GOOD | {"subject": "app/1", "method": "x" * 33, "path": "/"}, "method has 33 characters; 32 are the most"),
    (GOOD | {"metric": "rx"}, "unknown field `metric`"),
]


@pytest.mark.parametrize(("table", "told"), WRONG)
def test_what_is_wrong_is_told(table: dict[str, Any], told: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=told.replace("{", r"\{").replace("}", r"\}")):
        read(**table)


def settings_of(folder: Path, text: str) -> Any:
    (folder / "weighbridge.toml").write_text(text)
    return load({}, {}, folder)


def test_the_contracts_table_is_read_from_the_file_and_shown(tmp_path: Path) -> None:
    settings, places = settings_of(tmp_path, CONTRACT)
    (table,) = settings.sources["remote_write"]
    assert table.metrics == {
        "metric_in": "node_network_receive_bytes_total", "metric_out": "node_network_transmit_bytes_total",
    }
    assert table.conditions.hold({"device": "eth0"})
    assert not table.conditions.hold({"device": "eth1"})
    assert not table.conditions.hold({})
    name, text, place = shown(settings, places)[-1]
    assert (name, place) == ("sources.remote_write", "weighbridge.toml")
    assert msgspec.json.decode(text) == tomllib.loads(CONTRACT)["sources"]["remote_write"][0]


def test_faults_of_the_file_name_the_table_and_the_keys_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        settings_of(tmp_path, CONTRACT + '[[sources.remote_write]]\nmetric = "x"\n[[sources.remote_write]]\nsubject = "y"\n')
    first, second = str(caught.value).splitlines()
    where = "weighbridge.toml: sources.remote_write, table"
    assert first.startswith(f"{where} 2: Object contains unknown field `metric`; known there: subject, preset, metric_in")
    assert second.startswith(f"{where} 3: metric_in, metric_out or metric_requests must name a counter")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_needs_a_subject_only(name: str) -> None:
    table = read(preset=name, subject="server/{instance}")
    preset = PRESETS[name]
    assert table.metrics["metric_in"] == preset.metric_in
    assert table.metrics["metric_out"] == preset.metric_out
    assert table.metrics.get("metric_requests") == preset.metric_requests
    whole = {label: values[0] for label, values in preset.match.items()}
    assert table.conditions.hold(whole)
    for label, values in preset.exclude.items():
        assert not table.conditions.hold(whole | {label: values[0]})


def test_what_the_table_says_comes_before_its_preset() -> None:
    table = read(preset="caddy", subject="app/1", metric_requests="caddy_x", match={"handler": "reverse_proxy"})
    assert table.metrics["metric_requests"] == "caddy_x"
    assert table.conditions.hold({"handler": "reverse_proxy"})
    assert not table.conditions.hold({"handler": "subroute"})
    node = read(preset="node_exporter", subject="server/{instance}", exclude={"device": ["lo", "docker0"]})
    assert [node.conditions.hold({"device": device}) for device in ("eth0", "lo", "docker0")] == [True, False, False]
