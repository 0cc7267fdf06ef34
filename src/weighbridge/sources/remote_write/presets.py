"""Counters of well-known programs, so that a table of settings names only whose they are.

Each name was looked up where it is made, in 2026; docs/remote-write.md says what each of them measures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Preset:
    """The metrics of one program; labels that a series must have, and values that it must not have, by label."""

    metric_in: str
    metric_out: str
    metric_requests: str | None = None
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


PRESETS: Final[Mapping[str, Preset]] = {
    # node_exporter, collector/netdev_common.go (seen from version 1.5 running). Loopback is nobody's traffic.
    "node_exporter": Preset(
        "node_network_receive_bytes_total", "node_network_transmit_bytes_total", exclude={"device": ("lo",)}
    ),
    # Envoy, "HTTP connection manager: statistics"; `http.<stat_prefix>.` becomes the label. `admin` is the scrape itself.
    "envoy": Preset(
        "envoy_http_downstream_cx_rx_bytes_total",
        "envoy_http_downstream_cx_tx_bytes_total",
        "envoy_http_downstream_rq_total",
        exclude={"envoy_http_conn_manager_prefix": ("admin",)},
    ),
    # Traefik 3, "Metrics: HTTP service metrics". Entry points and routers count the same requests again: not these.
    "traefik": Preset(
        "traefik_service_requests_bytes_total", "traefik_service_responses_bytes_total", "traefik_service_requests_total"
    ),
    # Caddy 2, modules/caddyhttp/metrics.go and routes.go: counted once for each top-level route (before 2.11.2 once for
    # each of its handlers) that a request passes. A Caddyfile makes one route a site, whose only handler is `subroute`.
    "caddy": Preset(
        "caddy_http_request_size_bytes_sum",
        "caddy_http_response_size_bytes_sum",
        "caddy_http_requests_total",
        match={"handler": ("subroute",)},
    ),
    # ingress-nginx, internal/ingress/metric/collectors/socket.go: histograms of $request_length and $bytes_sent.
    "ingress-nginx": Preset(
        "nginx_ingress_controller_request_size_sum",
        "nginx_ingress_controller_response_size_sum",
        "nginx_ingress_controller_requests",
    ),
}
"""By the name that `preset` takes."""
