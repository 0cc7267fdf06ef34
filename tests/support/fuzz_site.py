"""A whole application with a small catalog and some usage, to be asked wrongly and to be mended afterwards."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from support.application import ADMIN, application_in
from support.server import running
from weighbridge.model import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weighbridge.app.build import Application

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
SERVER, PROJECT, ORGANIZATION = "sv_A05EdQ50dvKYQ", "proj_lkg1DekRdvZE5", "org_acme"
CLIENT_ID = "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9"
AT = "2025-12-14T16:00:00Z"
CATALOG: dict[str, Any] = {
    "regions": [
        {"id": "reg_9QDB5qag", "slug": "brazil", "name": "Brazil"},
        {"id": "reg_2", "slug": "miami", "name": "Miami"},
    ],
    "exporters": [{"id": "edge-1", "address": "192.0.2.1", "sampling_rate": 1000}],
    "organizations": [
        {
            "id": ORGANIZATION, "slug": "acme", "name": "Acme Hosting", "monthly_traffic_limit": 10_000_000,
            "projects": [{
                "id": PROJECT, "slug": "incredible-bronze-knife", "price": 500,
                "quotas": [{"region": "brazil", "price": None, "tb": {"granted": 20, "additional": 0}}],
                "servers": [{"id": SERVER, "hostname": "web-1", "region": "brazil"}],
            }],
            "vpn_instances": [{"id": VPN, "name": "hq", "region": "brazil", "peers": [{"id": "alice", "public_key": "k"}]}],
            "apps": [{
                "id": 1, "name": "shop-api", "client_id": CLIENT_ID, "environments": [{"id": 1, "name": "prod"}],
                "consumers": [{"id": 7, "identifier": "alice", "name": "Alice"}],
            }],
            "spaces": [{"id": 123, "name": "Blog"}],
        },
        {"id": "org_other", "slug": "other", "name": "Other", "spaces": [{"id": 124, "name": "Foreign"}]},
    ],
}
SUBJECTS = (f"server/{SERVER}", f"vpn/{VPN}", f"vpn/{VPN}/peer/alice", "app/1", "space/123", "space/124")
"""Of everything in the catalog that can be metered."""


def event(subject: str = SUBJECTS[0], number: object = 0, **data: Any) -> dict[str, Any]:
    """A good event of that subject."""
    amounts = {"bytes_in": 3_000_000_000, "bytes_out": 5_000_000_001, "requests": 7, "duration_s": 300}
    named = {"environment": "prod", "consumer": "alice"} if subject.startswith("app/") else {}
    return {
        "specversion": "1.0", "id": f"e-{number}", "source": "edge-1", "type": "weighbridge.usage", "subject": subject,
        "time": AT, "data": amounts | named | data,
    }


@dataclass
class Site:
    """One running application. `keys` has a key of the admin and one of org_acme with every scope it can have."""

    application: Application
    url: str
    keys: dict[str, str] = field(default_factory=lambda: {"admin": ADMIN})

    def client(self, who: str = "admin") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": self.keys[who]}, timeout=60)

    def mend(self) -> None:
        """Everything of CATALOG is there, and both keys are good, whatever was deleted."""
        with self.client() as admin:
            admin.put("/api/v1/catalog", json=CATALOG).raise_for_status()
            if self._is_good("organization"):
                return
            scopes = [scope.value for scope in Scope if scope is not Scope.ADMIN]
            made = admin.post("/api/v1/keys", json={"organization": ORGANIZATION, "name": "fuzz", "scopes": scopes})
            self.keys["organization"] = made.raise_for_status().json()["key"]

    def _is_good(self, who: str) -> bool:
        if who not in self.keys:
            return False
        with self.client(who) as client:
            return client.get(f"/api/v1/servers/{SERVER}").status_code == 200


@contextmanager
def site_in(folder: Path, **flags: Any) -> Iterator[Site]:
    """A site over `folder`, its usage folded."""
    with application_in(folder, **flags) as application, running(application.app) as url:
        site = Site(application, url)
        site.mend()
        with site.client() as admin:
            receipt = admin.post("/api/v1/events", json=[event(each, n) for n, each in enumerate(SUBJECTS)])
            assert receipt.raise_for_status().json()["accepted"] == len(SUBJECTS)
        application.fold()
        yield site
