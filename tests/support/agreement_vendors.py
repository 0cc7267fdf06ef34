"""Random questions in the vendors' words, and what the naive referee says the whole body must be (CONTRACT part 5)."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from support.agreement import SLOT_S, added, half_up, mbps, rank_of, wall, whole, windows
from support.agreement_asking import DAY_S, REFUSED, Draw, Question
from support.agreement_world import ZONES, stamp

if TYPE_CHECKING:
    from support.agreement import Sums


class Vendors(Draw):
    """Asks 5.1 to 5.5."""

    # 5.1

    def traffic(self) -> Question:
        rng, key = self.rng, self.key()
        gte_us, lte_us = self.range_us()
        query = {"filter[date][gte]": stamp(gte_us, rng), "filter[date][lte]": stamp(lte_us, rng)}
        project = rng.choice([None, *self.projects(key)])
        server = rng.choice([None, None, *self.company.servers])
        if project is not None:
            query["filter[project]"] = rng.choice([project, project.replace("proj_", "slug-")])
        if server is not None:
            query["filter[server]"] = server
        filters = {"organization": key, "project": project, "server": server}
        if server is not None and not self.has_been(server, filters):
            return Question("/traffic", query, 404, REFUSED, key)
        return Question("/traffic", query, 200, self._traffic(gte_us, lte_us, filters), key)

    def _traffic(self, gte_us: int, lte_us: int, filters: dict[str, Any]) -> dict[str, Any]:
        start_s = gte_us // 1_000_000 // SLOT_S * SLOT_S
        end_s = -(-lte_us // (SLOT_S * 1_000_000)) * SLOT_S
        regions = self._regions(start_s, end_s, filters)
        days = windows(start_s, end_s, "1d", "UTC")
        slots = self.slots(start_s, end_s, 1800)
        sums = {(region, day): self.referee.total(*day, region=region, **self._servers(filters))
                for region in regions for day in days}
        gbs = [_cumulated([sums[region, day][way] or 0 for region in regions for day in days]) for way in (0, 1)]
        rows = []
        for index, region in enumerate(regions):
            own = slice(index * len(days), (index + 1) * len(days))
            rates = self._rates(slots, region=region, **self._servers(filters))
            listed = [self._day(day, sums[region, day], (gbs[0][own][i], gbs[1][own][i]), lte_us)
                      for i, day in enumerate(days)]
            rows.append({"region_slug": region, "total_inbound_gb": sum(gbs[0][own]),
                         "total_outbound_gb": sum(gbs[1][own]), **rates, "data": listed})
        attributes = {
            "from_date": gte_us // 1_000_000, "to_date": lte_us // 1_000_000,
            "total_inbound_gb": sum(gbs[0]), "total_outbound_gb": sum(gbs[1]),
            **self._rates(slots, **self._servers(filters)), "regions": rows,
        }
        return {"data": {"id": "", "type": "traffic", "attributes": attributes}, "meta": {}}

    def _servers(self, filters: dict[str, Any]) -> dict[str, Any]:
        """The filters, of servers only: nothing else has a project."""
        return filters if filters["project"] or filters["server"] else {**filters, "_kind": "server"}

    def _regions(self, start_s: int, end_s: int, filters: dict[str, Any]) -> list[str]:
        found = set()
        for server in [filters["server"]] if filters["server"] else self.company.servers:
            for from_s, until_s, project, region in self.stretches(server):
                is_mine = (filters["project"] in (None, project)
                           and filters["organization"] in (None, self.referee.projects[project]))
                if is_mine and self.is_in(from_s, until_s, start_s, end_s):
                    found.add(region)
        return sorted(found)

    def _rates(self, slots: range, **filters: Any) -> dict[str, float]:
        inward, outward = self.referee.by_slot(slots, **filters)
        return {"total_inbound_95th_percentile_mbps": mbps(rank_of(inward)[0]),
                "total_outbound_95th_percentile_mbps": mbps(rank_of(outward)[0])}

    def _day(self, day: tuple[int, int], sums: Sums, gbs: tuple[int, int], lte_us: int) -> dict[str, Any]:
        lasted_us = min(day[1] * 1_000_000, lte_us) - day[0] * 1_000_000
        rates = [half_up(Fraction((sums[way] or 0) * 8 * 100, lasted_us)) / 100 for way in (0, 1)]
        return {
            "date": f"{wall(day[0], 'UTC').date()}T00:00:00.000+00:00", "inbound_gb": gbs[0], "outbound_gb": gbs[1],
            "avg_inbound_speed_mbps": rates[0], "avg_outbound_speed_mbps": rates[1],
            "inbound_speed_mbps": rates[0], "outbound_speed_mbps": rates[1],
        }

    # 5.2

    def quota(self) -> Question:
        key = self.key()
        named = self.rng.choice([None, *self.projects(key)])
        query = {} if named is None else {"filter[project]": self.rng.choice([named, named.replace("proj_", "slug-")])}
        listed = [self._quota(project) for owner, project in self.company.of("projects")
                  if key in (None, owner["id"]) and named in (None, project["id"])]
        listed.sort(key=lambda project: project["project_id"])
        body = {"data": {"id": "traffic_quota", "type": "traffic_quota", "attributes": {"quota_per_project": listed}},
                "meta": {}}
        return Question("/traffic/quota", query, 200, body, key)

    def _quota(self, project: dict[str, Any]) -> dict[str, Any]:
        def block(quota: dict[str, Any], name: str) -> dict[str, int]:
            given = quota.get(name, {"granted": 0, "additional": 0})
            return {**given, "total": given["granted"] + given["additional"]}

        regions = [{"region_id": f"reg_{quota['region']}", "region_slug": quota["region"], "price": quota["price"],
                    "quota_in_tb": block(quota, "tb"), "quota_in_mbps": block(quota, "mbps")}
                   for quota in sorted(project["quotas"], key=lambda quota: quota["region"])]
        return {"project_id": project["id"], "project_slug": project["slug"], "price": project["price"],
                "billing_method": project["billing_method"], "quota_per_region": regions}

    # 5.3

    def app_traffic(self) -> Question:
        rng = self.rng
        organization, app = rng.choice(self.company.of("apps"))
        key = self.key()
        interval, zone = rng.choice(["hour", "day"]), rng.choice(ZONES)
        start_us, end_us = self.range_us(5 * DAY_S if interval == "hour" else 25 * DAY_S)
        query = {"interval": interval, "timezone": zone, "limit": rng.choice(["1", "7", "100", "1000"])}
        if query["limit"] == "1":
            end_us = min(end_us, start_us + (9 * 3600 if interval == "hour" else 9 * DAY_S) * 1_000_000)
        is_open = rng.random() < 0.15 and query["limit"] != "1"
        if is_open:
            end_us = self.now_us + SLOT_S * 1_000_000  # what is accepted just now counts
            start_us = self.now_us - (DAY_S if interval == "hour" else 30 * DAY_S) * 1_000_000
        else:
            query |= {"start": self._local(start_us, zone), "end": self._local(end_us, zone)}
        filters: dict[str, Any] = {"app": app["id"]}
        for name, parameter in (("environment", "app_env_id"), ("consumer", "consumer_id")):
            if rng.random() < 0.4:
                filters[name] = rng.choice([*self.referee.names[name].values(), 999_999])
                query[parameter] = str(filters[name])
        path = f"/v1/apps/{app['id']}/traffic"
        if key not in (None, organization["id"]):
            return Question(path, query, 404, REFUSED, key)
        return Question(path, query, 200, self._intervals(start_us, end_us, interval, zone, filters), key)

    def _local(self, at_us: int, zone: str) -> str:
        """An instant with an offset, or without one where that says the same."""
        at = wall(at_us // 1_000_000, zone).replace(microsecond=at_us % 1_000_000)
        bare = at.replace(tzinfo=None)
        is_plain = bare.replace(tzinfo=at.tzinfo).astimezone(UTC) == at.astimezone(UTC) and not at.fold
        return bare.isoformat() if is_plain and self.rng.random() < 0.5 else at.isoformat()

    def _intervals(
        self, start_us: int, end_us: int, interval: str, zone: str, filters: dict[str, Any]
    ) -> list[dict[str, Any]]:
        window = {"hour": "1h", "day": "1d"}[interval]
        at_s, end_s = (at_us // 1_000_000 // SLOT_S * SLOT_S for at_us in (start_us, end_us))
        rows = []
        at_s = whole(at_s, window, zone)[0]
        while at_s < end_s:
            until_s = whole(at_s, window, zone)[1]
            bytes_in, bytes_out, requests = self.referee.total(at_s, min(until_s, end_s), **filters)
            rows.append({
                "period_start": wall(at_s, zone).isoformat(), "period_end": wall(until_s, zone).isoformat(),
                "requests": requests or 0, "bytes_received": bytes_in or 0, "bytes_sent": bytes_out or 0,
            })
            at_s = until_s
        return rows

    # 5.4

    def all_traffic(self) -> Question:
        rng = self.rng
        organization = rng.choice(self.company.document["organizations"])
        key = rng.choice([None, organization["id"]])
        today = wall(self.now_s, "UTC").date()
        first, last = date(today.year, 1, 1), today
        query: dict[str, str] = {}
        base = wall(self.company.start_s, "UTC").date()
        if rng.random() < 0.8:
            first = query_date = base + timedelta(days=rng.randint(-40, 5))
            query["start_date"] = query_date.isoformat()
        if rng.random() < 0.8 or last < first:
            last = first + timedelta(days=rng.choice([0, 1, 10, 80]))
            query["end_date"] = last.isoformat()
        group = rng.choice(["day", "month", "year"])
        if group != "month" or rng.random() < 0.5:
            query["group_by"] = group
        headers = {} if key else {"Weighbridge-Organization": organization["id"]}
        path = "/v1/orgs/me/statistics/" + rng.choice(["all_traffic", ":all_traffic"])
        return Question(path, query, 200, self._statistics(organization, first, last, group), key, headers)

    def _statistics(self, organization: dict[str, Any], first: date, last: date, group: str) -> dict[str, Any]:
        label = {"day": 10, "month": 7, "year": 4}[group]
        unit, limit = organization["traffic_limit_unit"], organization.get("monthly_traffic_limit")
        spaces = sorted(space["id"] for space in organization["spaces"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        groups = list(dict.fromkeys(day.isoformat()[:label] for day in days))
        cells: dict[tuple[str, int], list[Sums]] = {}
        for _, labels, at_s, sums in self.referee.cells(_day_s(first), _day_s(last) + DAY_S, _kind="space",
                                                        organization=organization["id"]):
            cells.setdefault((wall(at_s, "UTC").date().isoformat()[:label], int(str(labels["space"]))), []).append(sums)
        moved = {place: _asked(added(rows)) for place, rows in cells.items()}
        ranked = sorted(spaces, key=lambda space: (-sum(_amount(moved.get((g, space)), unit) for g in groups), space))
        top = [space for space in ranked if any(any(moved.get((g, space), ())) for g in groups)][:10]
        rest = [space for space in spaces if space not in top]
        today = wall(self.now_s, "UTC").date()
        total = _merge([moved[place] for place in moved])
        year = self._since(organization, date(today.year, 1, 1), today)
        week = self._since(organization, today - timedelta(days=6), today)
        return {
            "montly_traffic_limit": limit, "yearly_traffic_limit": None if limit is None else limit * 12,
            "traffic_used_this_year": _amount(year, unit),
            "cumulated_traffic": {
                "requests_used_last_days": week[0] or 0, "total_requests_per_time_period": total[0] or 0,
                "total_traffic_per_time_period": total[1] or 0,
                "traffic": [_row(g, _merge([moved[g, s] for s in spaces if (g, s) in moved])) for g in groups],
            },
            "traffic_top_spaces": {
                **{str(space): [_row(g, moved[g, space]) for g in groups if any(moved.get((g, space), ()))] for space in top},
                "other_spaces": [_row(g, both) for g in groups
                                 if any(both := _merge([moved[g, s] for s in rest if (g, s) in moved]))],
            },
            "traffic": [_row(g, moved[g, space]) | {"date": g, "space_id": space}
                        for g in groups for space in spaces if any(moved.get((g, space), ()))],
        }

    def _since(self, organization: dict[str, Any], first: date, last: date) -> list[int | None]:
        cells = self.referee.cells(_day_s(first), _day_s(last) + DAY_S, _kind="space", organization=organization["id"])
        return _asked(added([sums for *_, sums in cells]))

    # 5.5

    def bandwidth(self) -> Question:
        key = self.key()
        organization, vpn = self.rng.choice(self.company.of("vpn_instances"))
        path = f"/vpn/instances/{self.rng.choice([str.lower, str.upper])(vpn['id'])}/bandwidth"
        if key not in (None, organization["id"]):
            return Question(path, {}, 404, REFUSED, key)
        zone = organization["time_zone"]
        start_s, end_s = self._period(organization)
        filters = {"server": vpn["primary_server"]} if "primary_server" in vpn else {"vpn": vpn["id"]}
        cells = list(self.referee.cells(start_s, end_s, organization=organization["id"], **filters))
        bytes_in, bytes_out, _ = added([sums for *_, sums in cells])
        last_s = max((at_s for _, _, at_s, _ in cells), default=self.now_s)
        body = {"incoming_bytes": bytes_in or 0, "outgoing_bytes": bytes_out or 0,
                "date": wall(last_s, zone).date().isoformat()}
        return Question(path, {}, 200, body, key)

    def _period(self, organization: dict[str, Any]) -> tuple[int, int]:
        """The billing period of now: from the day that begins one to the day that begins the next."""
        zone, billing_day = organization["time_zone"], organization["billing_day"]

        def begins(day: date) -> bool:
            is_last = (day + timedelta(days=1)).day == 1
            return day.day == billing_day or (is_last and day.day < billing_day)

        first = wall(self.now_s, zone).date()
        while not begins(first):
            first -= timedelta(days=1)
        last = first + timedelta(days=1)
        while not begins(last):
            last += timedelta(days=1)
        return _midnight_s(first, zone), _midnight_s(last, zone)


def _day_s(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_S


def _midnight_s(day: date, zone: str) -> int:
    """The first slot that shows the day."""
    at_s = _day_s(day) - DAY_S
    while wall(at_s, zone).date() < day:
        at_s += SLOT_S
    return at_s


def _cumulated(amounts: list[int]) -> list[int]:
    """Part k = round(sum of 1..k) - round(sum of 1..k-1), in GB."""
    edges = [half_up(Fraction(sum(amounts[:k]), 10**9)) for k in range(len(amounts) + 1)]
    return [after - before for before, after in pairwise(edges)]


def _asked(sums: Sums) -> list[int | None]:
    """(requests, bytes in plus out) of a sum."""
    known = [amount for amount in sums[:2] if amount is not None]
    return [sums[2], sum(known) if known else None]


def _merge(moved: list[list[int | None]]) -> list[int | None]:
    """The sum of (requests, bytes), None where nobody knows."""
    columns = [[pair[way] for pair in moved if pair[way] is not None] for way in (0, 1)]
    return [sum(amount or 0 for amount in column) if column else None for column in columns]


def _amount(moved: list[int | None] | None, unit: str) -> int:
    return ((moved[1] if unit == "bytes" else moved[0]) or 0) if moved else 0


def _row(group: str, moved: list[int | None]) -> dict[str, Any]:
    """A group's first day, requests, bytes: null only where requests are known and no bytes are."""
    requests, bytes_ = moved
    first = group + {10: "", 7: "-01", 4: "-01-01"}[len(group)]
    return {"date": first, "api_requests": requests or 0,
            "total_bytes": 0 if bytes_ is None and requests is None else bytes_}
