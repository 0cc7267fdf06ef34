"""One question each, over the usage store and the catalog. No HTTP, no vendor's words, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weighbridge.reports.activity import last_requests_s as _last_requests_s
from weighbridge.reports.activity import last_syncs_s as _last_syncs_s
from weighbridge.reports.percentile import percentile as _percentile
from weighbridge.reports.period import period as _period
from weighbridge.reports.quota import quota as _quota
from weighbridge.reports.top import top as _top
from weighbridge.reports.usage import usage as _usage

if TYPE_CHECKING:
    from collections.abc import Callable

REPORTS: dict[str, Callable[..., Any]] = {
    "usage": _usage,
    "percentile": _percentile,
    "quota": _quota,
    "top": _top,
    "period": _period,
    "last_syncs": _last_syncs_s,
    "last_requests": _last_requests_s,
}
"""Every report by its name."""
