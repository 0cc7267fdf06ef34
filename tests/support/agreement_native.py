"""Random questions in our own words, and what the naive referee says the whole body must be (CONTRACT part 4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from support.agreement import AMOUNTS, SLOT_S, added, half_up, mbps, rank_of, wall, windows
from support.agreement_asking import DAY_S, Draw, Question
from support.agreement_world import REGIONS, ZONES, stamp

if TYPE_CHECKING:
    from support.agreement import Sums

GROUPS = ("organization", "project", "region", "server", "vpn", "peer", "app", "environment", "consumer", "space")


class Native(Draw):
    """Asks usage and percentile."""

    def usage(self) -> Question:
        rng = self.rng
        window = rng.choice(["5m", "15m", "30m", "1h", "1d", "1mo", "1y", "total"])
        longest_s = {"5m": 3 * 3600, "15m": 8 * 3600, "30m": DAY_S, "1h": 3 * DAY_S}.get(window, 40 * DAY_S)
        start_us, end_us = self.range_us(max(longest_s, DAY_S))
        end_us = min(end_us, start_us + longest_s * 1_000_000)
        group_by = tuple(dict.fromkeys(rng.choice(GROUPS) for _ in range(rng.choice([0, 0, 1, 1, 2]))))
        zone, key = rng.choice(ZONES), self.key()
        filters = self._filters(key)
        query = {"from": stamp(start_us, rng), "to": stamp(end_us, rng), "window": window, "time_zone": zone}
        query |= {name: str(value) for name, value in filters.items()}
        if group_by:
            query["group_by"] = ",".join(group_by)
        start_s, end_s = (at_us // 1_000_000 // SLOT_S * SLOT_S for at_us in (start_us, end_us))
        filters = {"organization": key, **filters}
        data = self._rows(windows(start_s, end_s, window, zone), zone, group_by, filters)
        slots = self.slots(start_s, end_s, SLOT_S)
        cells = self.referee.cells(start_s, end_s, **filters)
        estimated = any(at_s in self.referee.guessed.get(series, ()) for series, _, at_s, _ in cells)
        meta = self._meta(start_s, end_s, zone) | {"window": window, "coverage": self._coverage(slots, filters)}
        meta["estimated"] = estimated
        return Question("/api/v1/usage", query, 200, {"meta": meta, "data": data}, key)

    def _filters(self, key: str | None) -> dict[str, Any]:
        """One or two filters of things that the key may see."""
        rng, referee = self.rng, self.referee
        servers = [server for server in self.company.servers if self.has_been(server, {"organization": key, "project": None})]
        mine = {
            "organization": [name for name in referee.organizations if key in (None, name)],
            "project": self.projects(key), "region": list(REGIONS), "server": servers,
            "vpn": [vpn for vpn, (owner, _) in referee.vpns.items() if key in (None, owner)],
            "app": [app for app, (owner, _) in referee.apps.items() if key in (None, owner)],
            "space": [space for space, owner in referee.spaces.items() if key in (None, owner)],
        }
        for name in ("environment", "consumer"):
            mine[name] = [number for (app, _), number in referee.names[name].items() if app in mine["app"]]
        name = rng.choice([*mine, "", "", "region"])
        return {name: rng.choice(mine[name])} if name and mine[name] else {}

    def _rows(
        self, listed: list[tuple[int, int]], zone: str, group_by: tuple[str, ...], filters: dict[str, Any]
    ) -> list[dict[str, Any]]:
        if not listed:
            return []
        start_s, end_s = listed[0][0], listed[-1][1]
        place = {at_s: index for index, (from_s, until_s) in enumerate(listed) for at_s in range(from_s, until_s, SLOT_S)}
        cells: dict[tuple[int, tuple[Any, ...]], list[Sums]] = {}
        for _, labels, at_s, sums in self.referee.cells(start_s, end_s, **filters):
            cells.setdefault((place[at_s], tuple(labels.get(name) for name in group_by)), []).append(sums)
        keys = {key for _, key in cells} | self._keys(start_s, end_s, group_by, filters)
        rows = []
        for index, window in enumerate(listed):
            for key in sorted(keys, key=lambda key: [(part is None, part if part is not None else 0) for part in key]):
                sums = added(cells.get((index, key), []))
                rows.append({"start": show(window[0], zone), "end": show(window[1], zone),
                             **dict(zip((*group_by, *AMOUNTS), (*key, *sums), strict=True))})
        return rows

    def _keys(self, start_s: int, end_s: int, group_by: tuple[str, ...], filters: dict[str, Any]) -> set[tuple[Any, ...]]:
        """The groups of what is there now or was in the range, with traffic or without."""
        if not group_by:
            return {()}
        asked = {name: value for name, value in filters.items() if value is not None}

        def keys_of(things: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
            fit = [thing for thing in things if all(thing.get(name) == value for name, value in asked.items())]
            return {tuple(thing.get(name) for name in group_by) for thing in fit}

        things = []
        for server in self.company.servers:
            for from_s, until_s, project, region in self.stretches(server):
                if self.is_in(from_s, until_s, start_s, end_s):
                    things.append({"organization": self.referee.projects[project], "project": project,
                                   "region": region, "server": server})
                    if until_s <= start_s - start_s % 1800 or from_s >= end_s + -end_s % 1800:
                        things[-1]["_later"] = True  # it is there now, and was not then
        for owner, vpn in self.company.of("vpn_instances"):
            labels = {"organization": owner["id"], "region": vpn.get("region"), "vpn": vpn["id"]}
            things += [labels, *(labels | {"peer": peer["id"]} for peer in vpn["peers"])]
        things += [{"organization": owner["id"], "space": space["id"]} for owner, space in self.company.of("spaces")]
        things += self._app_things(group_by, asked)
        # What belongs to no such thing has a row only where usage is known.
        return {key for key in keys_of(things) | keys_of(self._known_things(things)) if None not in key}

    def _app_things(self, group_by: tuple[str, ...], asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Apps, and where nothing else is grouped by their environments or consumers."""
        names = self.referee.names
        found: list[dict[str, Any]] = []
        for owner, app in self.company.of("apps"):
            labels = {"organization": owner["id"], "app": app["id"]}
            filtered = {name: asked[name] for name in ("environment", "consumer") if name in asked}
            own = {name: [number for (of, _), number in names[name].items() if of == app["id"]] for name in names}
            if not all(number in own[name] for name, number in filtered.items()):
                continue
            found.append(labels | filtered | dict.fromkeys(filtered.keys() & set(group_by)))
            for name in ("environment", "consumer"):
                if set(group_by) - {"organization", "app"} == {name}:
                    found += [labels | filtered | {name: number} for number in own[name]]
        return found

    def _known_things(self, things: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What was ever heard of: the same things with all their labels, also those without a value."""
        referee = self.referee
        heard = {series[:2] if series[0] != "peer" else series for series in referee.rows}
        found = [thing for thing in things if (("server", thing.get("server")) in heard and not thing.get("_later"))
                 or (thing.get("peer") is None and ("vpn", thing.get("vpn")) in heard)
                 or ("peer", thing.get("vpn"), thing.get("peer")) in heard or ("space", thing.get("space")) in heard]
        apps = [referee.labels(series, 0) for series in referee.rows if series[0] == "app" and not referee.is_excluded(series)]
        return found + apps

    def _meta(self, start_s: int, end_s: int, zone: str) -> dict[str, Any]:
        at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.now_us)
        return {"from": show(start_s, zone), "to": show(end_s, zone), "time_zone": zone,
                "watermark": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}

    def _coverage(self, slots: range, filters: dict[str, Any]) -> float | None:
        """The share of pairs of polled series and slot in which somebody looked; who pushes does not count."""
        if not slots or not self.referee.polled:
            return 1.0 if slots else None
        expected = seen = 0
        asked = {name: value for name, value in filters.items() if value is not None}
        for series in self.referee.rows:
            if self.referee.is_excluded(series) or series not in self.referee.polled:
                continue
            is_fixed = series[0] != "server"
            labels = self.referee.labels(series, 0)
            if is_fixed and any(labels.get(name) != value for name, value in asked.items()):
                continue
            for at_s in slots:
                fives = [five_s for five_s in range(at_s, at_s + slots.step, SLOT_S) if is_fixed or all(
                    self.referee.labels(series, five_s).get(name) == value for name, value in asked.items())]
                expected += bool(fives)
                seen += any(five_s in self.referee.alive[series] for five_s in fives)
        return seen / expected if expected else 1.0

    def percentile(self) -> Question:
        rng, key = self.rng, self.key()
        start_us, end_us = self.range_us(4 * DAY_S)
        filters = self._filters(key)
        zone, slot, p = rng.choice(ZONES), rng.choice(["30m", "5m"]), rng.choice([1, 50, 90, 95, 99])
        query = {"from": stamp(start_us, rng), "to": stamp(end_us, rng), "time_zone": zone, "slot": slot, "p": str(p)}
        named = {name: str(value) for name, value in filters.items()}
        start_s, end_s = start_us // 1_000_000, end_us // 1_000_000
        filters = {"organization": key, **filters}
        slots = self.slots(start_s, end_s, {"30m": 1800, "5m": 300}[slot])
        coverage = self._coverage(slots, filters)
        body = {"meta": self._meta(start_s, end_s, zone) | {"slot": slot, "p": p} | named}
        for name, values in zip(("in", "out"), self.referee.by_slot(slots, **filters), strict=True):
            value, rank, discarded, index = rank_of(values, p)
            body[name] = {
                "bits_per_second": half_up(Fraction(value * 8, slots.step)), "mbps": mbps(value, slots.step), "rank": rank,
                "slots": len(slots), "discarded": discarded, "coverage": coverage,
                "slot_start": None if index is None else show(slots[index], zone),
            }
        return Question("/api/v1/percentile", query | named, 200, body, key)


def show(at_s: int, zone: str) -> str:
    """As our own answers show instants."""
    text = wall(at_s, zone).isoformat()
    return text.replace("+00:00", "Z") if zone == "UTC" else text
