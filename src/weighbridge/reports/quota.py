"""What was bought, and what of it is used in the current billing period: by project and region."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weighbridge.domain.quota import Standing, tb_to_bytes
from weighbridge.domain.quota import total as sum_parts
from weighbridge.domain.units import MBPS
from weighbridge.model import Kind
from weighbridge.reports.percentile import Percentile, receipt, slot_bytes, slot_range
from weighbridge.reports.period import current_period
from weighbridge.reports.selection import Span, select
from weighbridge.reports.usage import NOTHING, Amounts, sum_windows

if TYPE_CHECKING:
    from weighbridge.domain.timegrid import Window
    from weighbridge.model import CatalogView, Organization, Project, Quota
    from weighbridge.ports import UsageStore
    from weighbridge.reports.selection import GroupKey, Selection

BY_PERCENTILE = "95th percentile"
"""The billing method that weighs the rate; every other one weighs the volume."""


@dataclass(frozen=True, slots=True)
class QuotaStanding:
    """How one project stands in one region.

    `volume` is in bytes: what was sent counts, as hosters sell traffic. `rate` is in bits a second: the larger of the
    two directions' 95th percentiles so far counts.
    """

    project: Project
    quota: Quota
    period: Window
    amounts: Amounts
    percentile: Percentile
    volume: Standing
    rate: Standing

    @property
    def counted(self) -> Standing:
        """The one that the project's billing method weighs."""
        return self.rate if self.project.billing_method == BY_PERCENTILE else self.volume

    @property
    def exceeded(self) -> bool:
        """Whether more is used than was bought, of what the billing method weighs."""
        return self.counted.exceeded


def quota(store: UsageStore, view: CatalogView, found: Selection, now_s: int) -> list[QuotaStanding]:
    """One standing for each quota of the projects of a resolved selection, by project id and region slug.

    Deleted projects are left out. A region without a quota has no standing.
    """
    standings: list[QuotaStanding] = []
    organizations = {project.organization: None for project in projects_in_sight(view, found)}
    for organization_id in organizations:
        within = replace(found, organization=organization_id, kinds=frozenset({Kind.SERVER}))
        standings.extend(_of_organization(store, view, within, view.organizations[organization_id], now_s))
    return sorted(standings, key=lambda standing: (standing.project.id, standing.quota.region))


def projects_in_sight(view: CatalogView, found: Selection) -> list[Project]:
    """The living projects of a resolved selection, by id."""
    if found.project is not None:
        chosen = [view.projects[found.project]]
    elif found.organization is not None:
        chosen = [view.projects[name] for name in view.projects_of.get(found.organization, ())]
    else:
        chosen = list(view.projects.values())
    return sorted((project for project in chosen if project.deleted_at_s is None), key=lambda project: project.id)


def _of_organization(
    store: UsageStore, view: CatalogView, found: Selection, organization: Organization, now_s: int
) -> list[QuotaStanding]:
    period = current_period(organization, now_s)
    selected = select(view, found, ("project", "region"), Span(period.start_s, period.end_s, now_s))
    slots = slot_range(period.start_s, period.end_s, now_s)
    sums = sum_windows(store, selected.members, [period])
    columns = slot_bytes(store, selected.members, slots)
    place: dict[GroupKey, int] = {key: index for index, key in enumerate(selected.keys)}
    nothing = ([0] * slots.count, [0] * slots.count)
    standings = []
    for project in projects_in_sight(view, found):
        for bought in project.quotas:
            if found.region not in (None, bought.region):
                continue
            group = place.get((project.id, bought.region), -1)
            in_bytes, out_bytes = columns.get(group, nothing)
            rates = Percentile(receipt(in_bytes, slots, 95, None), receipt(out_bytes, slots, 95, None))
            standings.append(_standing(project, bought, period, sums.get((group, 0), NOTHING), rates))
    return standings


def _standing(project: Project, bought: Quota, period: Window, amounts: Amounts, rates: Percentile) -> QuotaStanding:
    volume = Standing(tb_to_bytes(sum_parts(bought.tb.granted, bought.tb.additional)), amounts.bytes_out or 0)
    rate_bps = max(rates.bytes_in.bits_per_second, rates.bytes_out.bits_per_second)
    rate = Standing(sum_parts(bought.mbps.granted, bought.mbps.additional) * MBPS, rate_bps)
    return QuotaStanding(project, bought, period, amounts, rates, volume, rate)
