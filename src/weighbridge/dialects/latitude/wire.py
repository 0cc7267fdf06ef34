"""Latitude.sh's documents: `traffic` from bytes by region and day or slot, `traffic_quota` from quotas.

Nothing here asks a store. GB are decimal; Mbps are 10^6 bits a second, 2 decimals, half up. Keys without a value are
left out (the vendor's TypeScript SDK refuses null); only `price` may be null.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.apportion import apportion
from weighbridge.domain.percentile import nearest_rank
from weighbridge.domain.quota import total
from weighbridge.domain.timegrid import rfc3339
from weighbridge.domain.units import BILLING_SLOT_S, GB, mbps, round_half_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weighbridge.model import Allowance, CatalogView, Project, Quota

SCHEMAS: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("schemas.json").read_text(encoding="utf-8"))
"""JSON Schemas of `traffic`, `traffic_quota` and `errors`: what OpenAPI says, and what tests hold answers against."""


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day that the range touches: `duration_us` is how much of it, from the rounded start up to `lte`."""

    start_s: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of one region, or of all: bytes in each day, and in each 30-minute slot that is over."""

    days: Sequence[int]
    slots: Sequence[int]

    def p95_mbps(self) -> float:
        """The 95th percentile of the slots."""
        return mbps(nearest_rank(self.slots).value, BILLING_SLOT_S)


@dataclass(frozen=True, slots=True)
class RegionTraffic:
    """Both directions of one region."""

    slug: str
    inbound: Direction
    outbound: Direction


def encode_traffic(
    asked_s: tuple[int, int], days: Sequence[Day], regions: Sequence[RegionTraffic],
    all_slots: tuple[Sequence[int], Sequence[int]],
) -> bytes:
    """The document `traffic`. `regions` in the order of their slugs; `all_slots` are the sums over all of them."""
    in_gb = apportion([bytes_ for region in regions for bytes_ in region.inbound.days], GB)
    out_gb = apportion([bytes_ for region in regions for bytes_ in region.outbound.days], GB)
    dates = [f"{rfc3339(day.start_s)[:10]}T00:00:00.000+00:00" for day in days]
    listed = []
    for index, region in enumerate(regions):
        own = slice(index * len(days), (index + 1) * len(days))
        listed.append(_region(region, dates, days, in_gb[own], out_gb[own]))
    attributes = {
        "from_date": asked_s[0],
        "to_date": asked_s[1],
        "total_inbound_gb": sum(in_gb),
        "total_outbound_gb": sum(out_gb),
        "total_inbound_95th_percentile_mbps": Direction((), all_slots[0]).p95_mbps(),
        "total_outbound_95th_percentile_mbps": Direction((), all_slots[1]).p95_mbps(),
        "regions": listed,
    }
    return msgspec.json.encode({"data": {"id": "", "type": "traffic", "attributes": attributes}, "meta": {}})


def _region(
    region: RegionTraffic, dates: list[str], days: Sequence[Day], in_gb: list[int], out_gb: list[int]
) -> dict[str, Any]:
    rows = []
    parts = zip(dates, days, in_gb, out_gb, region.inbound.days, region.outbound.days, strict=True)
    for date, day, inbound_gb, outbound_gb, in_bytes, out_bytes in parts:
        in_mbps, out_mbps = _mean_mbps(in_bytes, day.duration_us), _mean_mbps(out_bytes, day.duration_us)
        rows.append({
            "date": date,
            "inbound_gb": inbound_gb,
            "outbound_gb": outbound_gb,
            "avg_inbound_speed_mbps": in_mbps,
            "avg_outbound_speed_mbps": out_mbps,
            "inbound_speed_mbps": in_mbps,
            "outbound_speed_mbps": out_mbps,
        })
    return {
        "region_slug": region.slug,
        "total_inbound_gb": sum(in_gb),
        "total_outbound_gb": sum(out_gb),
        "total_inbound_95th_percentile_mbps": region.inbound.p95_mbps(),
        "total_outbound_95th_percentile_mbps": region.outbound.p95_mbps(),
        "data": rows,
    }


def _mean_mbps(bytes_: int, duration_us: int) -> float:
    """Bits a microsecond are megabits a second."""
    return round_half_up(bytes_ * 8 * 100, duration_us) / 100


def encode_quota(view: CatalogView, projects: Sequence[Project]) -> bytes:
    """The document `traffic_quota` of these projects, in their order; regions by slug."""
    attributes = {"quota_per_project": [_project(view, project) for project in projects]}
    document = {"id": "traffic_quota", "type": "traffic_quota", "attributes": attributes}
    return msgspec.json.encode({"data": document, "meta": {}})


def _project(view: CatalogView, project: Project) -> dict[str, Any]:
    return {
        "project_id": project.id,
        "project_slug": project.slug,
        "price": project.price,
        "billing_method": project.billing_method,
        "quota_per_region": [
            _quota(view, quota) for quota in sorted(project.quotas, key=lambda quota: quota.region)
        ],
    }


def _quota(view: CatalogView, quota: Quota) -> dict[str, Any]:
    region = view.regions_by_slug.get(quota.region)
    return ({} if region is None else {"region_id": region.id}) | {
        "region_slug": quota.region,
        "price": quota.price,
        "quota_in_tb": _allowance(quota.tb),
        "quota_in_mbps": _allowance(quota.mbps),
    }


def _allowance(allowance: Allowance) -> dict[str, int]:
    return {
        "granted": allowance.granted,
        "additional": allowance.additional,
        "total": total(allowance.granted, allowance.additional),
    }
