"""Reports in our own words: JSON rows, CSV, and the names of things."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from weighbridge.domain.timegrid import isoformat, rfc3339, zone
from weighbridge.domain.units import MBPS, round_half_up
from weighbridge.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.domain.quota import Standing
    from weighbridge.model import Allowance, CatalogView
    from weighbridge.reports.percentile import Receipt
    from weighbridge.reports.quota import QuotaStanding
    from weighbridge.reports.reconciliation import Reconciled
    from weighbridge.reports.selection import GroupKey
    from weighbridge.reports.usage import Amounts, Usage

AMOUNTS = ("bytes_in", "bytes_out", "requests")


def moved_of(amounts: Amounts) -> dict[str, int | None]:
    """The three amounts by name; null where one is not known."""
    return {"bytes_in": amounts.bytes_in, "bytes_out": amounts.bytes_out, "requests": amounts.requests}


def row_of(shown: tuple[str, str], group_by: tuple[str, ...], key: GroupKey, amounts: Amounts) -> dict[str, Any]:
    """One row of usage: start, end, the keys, the amounts."""
    row: dict[str, Any] = {"start": shown[0], "end": shown[1]}
    row.update(zip(group_by, key, strict=True))
    row["bytes_in"] = amounts.bytes_in
    row["bytes_out"] = amounts.bytes_out
    row["requests"] = amounts.requests
    return row


def csv_of(found: Usage, group_by: tuple[str, ...], show: Callable[[int], str]) -> bytes:
    """The same rows as CSV (RFC 4180) with a header; an empty field is a null."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("start", "end", *group_by, *AMOUNTS))
    shown = {window.start_s: (show(window.start_s), show(window.end_s)) for window in found.windows}
    for window, key, amounts in found.rows():
        writer.writerow((*shown[window.start_s], *key, amounts.bytes_in, amounts.bytes_out, amounts.requests))
    return text.getvalue().encode()


def wants_csv(accept: str) -> bool:
    """Whether an Accept header prefers text/csv to application/json (RFC 9110 12.5.1); of equals the one it names."""
    csv_preference = _preference(accept, "text/csv")
    return csv_preference[0] > 0 and csv_preference > _preference(accept, "application/json")


def _preference(accept: str, content_type: str) -> tuple[float, int]:
    """(weight, how exactly it is named) of a content type; the most exact entry counts."""
    best = (0, 0.0)
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        exactness = {content_type: 3, content_type.partition("/")[0] + "/*": 2, "*/*": 1}.get(name, 0)
        weights = [_weight(parameter[2:]) for parameter in parameters if parameter.startswith("q=")]
        if exactness > best[0]:
            best = (exactness, weights[0] if weights else 1.0)
    return best[1], best[0]


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def direction_of(receipt: Receipt, show: Callable[[int], str]) -> dict[str, Any]:
    """One direction of a percentile."""
    return {
        "bits_per_second": receipt.bits_per_second,
        "mbps": receipt.mbps,
        "rank": receipt.rank,
        "slots": receipt.slots,
        "discarded": receipt.discarded,
        "slot_start": None if receipt.slot_start_s is None else show(receipt.slot_start_s),
        "coverage": receipt.coverage,
    }


def standing_of(standing: QuotaStanding, view: CatalogView) -> dict[str, Any]:
    """How a project stands in a region."""
    project, quota = standing.project, standing.quota
    own_zone = zone(view.organizations[project.organization].time_zone)
    start, end = (
        rfc3339(at_s) if own_zone.key == "UTC" else isoformat(at_s, own_zone)
        for at_s in (standing.period.start_s, standing.period.end_s)
    )
    return {
        "organization": project.organization,
        "project": project.id,
        "project_slug": project.slug,
        "region": quota.region,
        "billing_method": project.billing_method,
        "start": start,
        "end": end,
        "tb": _allowance(quota.tb),
        "mbps": _allowance(quota.mbps),
        "bytes_in": standing.amounts.bytes_in,
        "bytes_out": standing.amounts.bytes_out,
        "used": standing.volume.used,
        "remaining": standing.volume.remaining,
        "percent": _percent(standing.volume),
        "percentile": {
            "in_mbps": standing.percentile.bytes_in.mbps,
            "out_mbps": standing.percentile.bytes_out.mbps,
            "used_mbps": round_half_up(standing.rate.used * 100, MBPS) / 100,
            "remaining_mbps": round_half_up(standing.rate.remaining * 100, MBPS) / 100,
            "percent": _percent(standing.rate),
        },
        "exceeded": standing.exceeded,
    }


def _allowance(allowance: Allowance) -> dict[str, int]:
    return {
        "granted": allowance.granted,
        "additional": allowance.additional,
        "total": allowance.granted + allowance.additional,
    }


def _percent(standing: Standing) -> float | None:
    return None if standing.used_bp is None else standing.used_bp / 100


def reconciled_of(found: Reconciled) -> dict[str, Any]:
    """What two say of one thing. It has two keys, of which one is null."""
    less_in, less_out = found.difference
    return {
        "server": found.object if found.kind is Kind.SERVER else None,
        "vpn": found.object if found.kind is Kind.VPN else None,
        "billed": found.billed.value,
        "counters": {
            "via": found.via.value, "bytes_in": found.counters.bytes_in, "bytes_out": found.counters.bytes_out,
        },
        "flows": {"bytes_in": found.flows.bytes_in, "bytes_out": found.flows.bytes_out},
        "difference": {"bytes_in": less_in, "bytes_out": less_out, "percent": found.percent},
    }


def name_of(view: CatalogView, kind: str, number: str | int | None) -> str | None:
    """What people call a thing of one of GROUP_KEYS: its name, host name, slug or identifier; None without."""
    dictionaries: dict[str, dict[Any, Any]] = {
        "organization": view.organizations, "project": view.projects, "region": view.regions_by_slug,
        "server": view.servers, "vpn": view.vpns, "app": view.apps, "environment": view.environments,
        "consumer": view.consumers, "space": view.spaces,
    }
    found = dictionaries.get(kind, {}).get(number)
    if found is None:
        return None
    for attribute in ("name", "hostname", "slug", "identifier"):
        name = getattr(found, attribute, None)
        if name:
            return str(name)
    return None
