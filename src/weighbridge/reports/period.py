"""The current billing period of an organization, and what moved in it so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weighbridge.domain.periods import billing_period
from weighbridge.domain.timegrid import zone
from weighbridge.reports.selection import Span, select
from weighbridge.reports.usage import total

if TYPE_CHECKING:
    from weighbridge.domain.timegrid import Window
    from weighbridge.model import CatalogView, Organization
    from weighbridge.ports import UsageStore
    from weighbridge.reports.selection import Selection
    from weighbridge.reports.usage import Amounts


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period and what moved in it, of what was asked for."""

    organization: Organization
    window: Window
    amounts: Amounts


def current_period(organization: Organization, now_s: int) -> Window:
    """The billing period that holds `now_s`, in the organization's time zone, from its billing day."""
    return billing_period(now_s, organization.billing_day, zone(organization.time_zone))


def period(
    store: UsageStore, view: CatalogView, found: Selection, organization: Organization, now_s: int
) -> Period:
    """The organization's current billing period, with the total of a resolved selection within it."""
    window = current_period(organization, now_s)
    within = replace(found, organization=organization.id)
    selected = select(view, within, (), Span(window.start_s, window.end_s, now_s))
    return Period(organization, window, total(store, selected.members, window.start_s, window.end_s))
