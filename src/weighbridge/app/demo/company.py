"""Who is in the demo: four made-up customers as a catalog document, and how the traffic of each thing behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from weighbridge.model import Kind, SeriesKey

HOSTING, API, PUBLISHER, VPN = "org_northwind", "org_orbit", "org_pixel", "org_tunnel"

# slug: name, time zone of its customers
REGIONS = {
    "brazil": ("Brazil", "America/Sao_Paulo"),
    "germany": ("Germany", "Europe/Berlin"),
    "japan": ("Japan", "Asia/Tokyo"),
    "new-york": ("New York", "America/New_York"),
}
VPN_HQ = "d290f1ee-6c54-4b01-90e6-d701748f0851"
VPN_BRANCH = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


@dataclass(frozen=True, slots=True)
class Habit:
    """How the traffic of one series behaves; means are those of the first month.

    `requests_per_s` None: bytes only, `in_bps` and `out_bps` are its rates; otherwise they are bits a request.
    `weekend` scales Saturday and Sunday, `night` is the floor of the daily curve (1: no curve), `growth` is per month,
    `bursts` are expected in a month.
    """

    key: SeriesKey
    zone: str
    in_bps: float
    out_bps: float
    requests_per_s: float | None = None
    weekend: float = 0.75
    night: float = 0.3
    growth: float = 0.03
    bursts: float = 2.0
    fault: str | None = None  # a key of FAULTS

    @property
    def polled(self) -> bool:
        """Whether it is read from counters, so that it can have gaps."""
        return self.key.kind is Kind.SERVER


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong on one day: hours of that day, UTC, and how it shows.

    "survived": nobody read, the counter went on, the total is spread. "reset": nobody read and the counter began anew,
    so nothing is counted. "silent": read all the time, and nothing moved.
    """

    days_ago: int
    from_hour: float
    hours: float
    shows: str


FAULTS = {
    "survived": Fault(days_ago=16, from_hour=10.0, hours=3.0, shows="survived"),
    "reset": Fault(days_ago=9, from_hour=14.25, hours=1.75, shows="reset"),
    "silent": Fault(days_ago=23, from_hour=6.5, hours=0.75, shows="silent"),
}

# slug, billing method, price, {region: (price, TB granted, TB additional, Mbps granted, Mbps additional)}
_PROJECTS: tuple[tuple[str, str, int | None, dict[str, tuple[int | None, int, int, int, int]]], ...] = (
    (
        "incredible-bronze-knife",
        "Normal",
        500,
        {"brazil": (500, 20, 5, 0, 0), "germany": (200, 40, 0, 0, 0), "new-york": (None, 30, 0, 0, 0)},
    ),
    (
        "swift-silver-otter",
        "95th percentile",
        900,
        {"germany": (400, 0, 0, 1000, 250), "japan": (500, 0, 0, 400, 50), "new-york": (450, 0, 0, 250, 0)},
    ),
    ("quiet-copper-fox", "Normal", None, {"japan": (150, 10, 0, 0, 0), "germany": (100, 20, 0, 0, 0)}),
)
# project, region, how many, Mbps out each, role
_SERVERS = (
    ("incredible-bronze-knife", "brazil", 5, 9.0, "web"),
    ("incredible-bronze-knife", "germany", 4, 14.0, "web"),
    ("incredible-bronze-knife", "new-york", 3, 20.0, "api"),
    ("swift-silver-otter", "germany", 6, 45.0, "video"),
    ("swift-silver-otter", "japan", 4, 30.0, "video"),
    ("swift-silver-otter", "new-york", 3, 38.0, "video"),
    ("quiet-copper-fox", "japan", 2, 4.0, "db"),
    ("quiet-copper-fox", "germany", 3, 6.0, "backup"),
)
_ROLES = {  # share of in to out, floor at night, weekend, bursts a month
    "web": (0.12, 0.25, 0.8, 2.0),
    "api": (0.35, 0.3, 0.65, 1.0),
    "video": (0.05, 0.2, 1.25, 4.0),
    "db": (0.9, 0.6, 0.8, 1.0),
    "backup": (6.0, 0.9, 1.0, 20.0),
}
_FAULTY = {"sv_ger_video_2": "survived", "sv_bra_web_3": "reset", "sv_new_api_1": "silent"}

_CONSUMERS = (
    ("alice", "Alice's shop", 3.0),
    ("bob", "Bob & Sons", 1.6),
    ("carol", None, 0.8),
    ("mobile-app", "Mobile app", 5.0),
    ("partner-feed", "Partner feed", 0.5),
    ("unidentified", None, 0.2),
)
# method, path, share of requests, bytes in and out of one request
_ENDPOINTS = (
    ("GET", "/v1/products", 0.5, 420, 9_000),
    ("GET", "/v1/products/{id}", 0.3, 400, 3_500),
    ("POST", "/v1/orders", 0.08, 2_600, 900),
    ("GET", "/healthz", 0.12, 150, 90),
)
_APPS = (
    (1, "shop-api", "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9", "Europe/London", 1.0),
    (2, "payments-api", "0f9619ff-8b86-4d01-b42d-00cf4fc964ff", "America/New_York", 0.4),
)
_ENVIRONMENTS = (("prod", 1.0), ("staging", 0.01))

_SPACES = (
    "Blog",
    "Shop",
    "Docs",
    "Careers",
    "Press",
    "Events",
    "Recipes",
    "Travel",
    "Kids",
    "Archive",
    "Labs",
    "Intranet",
    "Wiki",
    "Sandbox",
)
# instance, name, region, primary server, (peer, Mbps) …
_VPNS: tuple[tuple[str, str, str, str | None, tuple[tuple[str, float], ...]], ...] = (
    (VPN_HQ, "hq", "germany", "sv_tunnel_gw", (("alice", 1.2), ("bruno", 0.7), ("chen", 0.4))),
    (VPN_BRANCH, "branch", "new-york", None, (("dora", 0.9), ("emil", 0.3))),
)


def document() -> dict[str, Any]:
    """The catalog of the demo, as `weighbridge apply` would read it."""
    return {
        "regions": [
            {"id": f"reg_{slug.replace('-', '_')}", "slug": slug, "name": name} for slug, (name, _) in REGIONS.items()
        ],
        "organizations": [_hosting(), _api(), _publisher(), _tunnel()],
    }


def habits() -> list[Habit]:
    """Every series of the demo, in the order in which the catalog numbers them."""
    return [*_server_habits(), *_app_habits(), *_space_habits(), *_vpn_habits()]


def _servers() -> list[tuple[str, str, str, float, str]]:
    """Id, project slug, region, Mbps out, role."""
    return [
        (f"sv_{region[:3]}_{role}_{number}", project, region, mbps * (0.7 + 0.15 * number), role)
        for project, region, count, mbps, role in _SERVERS
        for number in range(1, count + 1)
    ]


def _hosting() -> dict[str, Any]:
    projects = [
        {
            "id": f"proj_{slug.split('-')[1]}",
            "slug": slug,
            "billing_method": method,
            "price": price,
            "quotas": [
                {
                    "region": region,
                    "price": region_price,
                    "tb": {"granted": tb, "additional": tb_more},
                    "mbps": {"granted": mbps, "additional": mbps_more},
                }
                for region, (region_price, tb, tb_more, mbps, mbps_more) in quotas.items()
            ],
            "servers": [
                {"id": server, "hostname": server.removeprefix("sv_").replace("_", "-"), "region": region}
                for server, project, region, _, _ in _servers()
                if project == slug
            ],
        }
        for slug, method, price, quotas in _PROJECTS
    ]
    return {
        "id": HOSTING,
        "slug": "northwind",
        "name": "Northwind Hosting",
        "time_zone": "America/Sao_Paulo",
        "billing_day": 1,
        "projects": projects,
    }


def _api() -> dict[str, Any]:
    apps = [
        {
            "id": number,
            "name": name,
            "client_id": client_id,
            "environments": [
                {"id": number * 10 + place, "name": environment}
                for place, (environment, _) in enumerate(_ENVIRONMENTS, 1)
            ],
            "consumers": [
                {"id": number * 100 + place, "identifier": identifier} | ({"name": shown} if shown else {})
                for place, (identifier, shown, _) in enumerate(_CONSUMERS, 1)
            ],
            "excluded_endpoints": [{"method": "GET", "path": "/healthz"}],
        }
        for number, name, client_id, _, _ in _APPS
    ]
    return {"id": API, "slug": "orbit", "name": "Orbit APIs", "time_zone": "Europe/London", "apps": apps}


def _publisher() -> dict[str, Any]:
    spaces = [{"id": 1000 + number, "name": name} for number, name in enumerate(_SPACES, 1)]
    return {
        "id": PUBLISHER,
        "slug": "pixel",
        "name": "Pixel & Press",
        "time_zone": "UTC",
        "monthly_traffic_limit": 10_000_000,
        "traffic_limit_unit": "requests",
        "spaces": spaces,
    }


def _tunnel() -> dict[str, Any]:
    instances = [
        {"id": instance, "name": name, "region": region, "peers": [{"id": peer} for peer, _ in peers]}
        | ({"primary_server": primary} if primary else {})
        for instance, name, region, primary, peers in _VPNS
    ]
    gateway = {
        "id": "proj_gateways",
        "slug": "gateways",
        "servers": [{"id": "sv_tunnel_gw", "hostname": "gw-1", "region": "germany"}],
    }
    return {
        "id": VPN,
        "slug": "tunnel",
        "name": "Tunnel & Co",
        "time_zone": "Europe/Berlin",
        "billing_day": 15,
        "projects": [gateway],
        "vpn_instances": instances,
    }


def _server_habits() -> list[Habit]:
    made = []
    for server, _, region, mbps, role in _servers():
        in_share, night, weekend, bursts = _ROLES[role]
        made.append(
            Habit(
                SeriesKey(Kind.SERVER, server),
                REGIONS[region][1],
                mbps * in_share * 1e6,
                mbps * 1e6,
                night=night,
                weekend=weekend,
                bursts=bursts,
                fault=_FAULTY.get(server),
            )
        )
    made.append(Habit(SeriesKey(Kind.SERVER, "sv_tunnel_gw"), "Europe/Berlin", 2.6e6, 2.4e6, night=0.15, weekend=0.4))
    return made


def _app_habits() -> list[Habit]:
    return [
        Habit(
            SeriesKey(Kind.APP, str(app), app * 10 + place, app * 100 + who, method, path),
            zone,
            in_bytes * 8.0,
            out_bytes * 8.0,
            requests_per_s=scale * size * weight * share,
            weekend=0.6,
            night=0.15,
            growth=0.05,
        )
        for app, _, _, zone, scale in _APPS
        for place, (_, size) in enumerate(_ENVIRONMENTS, 1)
        for who, (_, _, weight) in enumerate(_CONSUMERS, 1)
        for method, path, share, in_bytes, out_bytes in _ENDPOINTS
    ]


def _space_habits() -> list[Habit]:
    return [
        Habit(
            SeriesKey(Kind.SPACE, str(1000 + number)),
            "Europe/Paris",
            350 * 8.0,
            28_000 * 8.0,
            requests_per_s=1.1 / number,
            weekend=1.1,
            night=0.2,
            growth=0.02,
        )
        for number in range(1, len(_SPACES) + 1)
    ]


def _vpn_habits() -> list[Habit]:
    made = []
    for instance, _, region, _, peers in _VPNS:
        zone = REGIONS[region][1]
        made.append(Habit(SeriesKey(Kind.VPN, instance), zone, 4e4, 3e4, night=0.8))
        made += [
            Habit(SeriesKey(Kind.PEER, f"{instance}/{peer}"), zone, mbps * 0.3e6, mbps * 1e6, night=0.05, weekend=0.3)
            for peer, mbps in peers
        ]
    return made
