"""A naive referee: it hears every event, spreads it by fractions, and adds up every 5-minute slot by itself.

Nothing of weighbridge is used here. It knows who owned what when; it knows no tiers, no members, no windows and no
batches of the store. What it says of an event and of every sum comes straight from CONTRACT.md and the laws.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.agreement_world import Company, Move

SLOT_S = 300
SLOT_US = 300_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD_US = 300_000_000
AMOUNTS = ("bytes_in", "bytes_out", "requests")
MAX_AMOUNT = 2**53 - 1

Labels = dict[str, "str | int | None"]
Series = tuple["str | int | None", ...]
"""("server", id), ("vpn", id), ("peer", vpn, id), ("space", id, path), ("app", id, environment, consumer, METHOD, path)."""
Sums = list["int | None"]


def instant_us(text: str) -> int:
    """Microseconds since the epoch."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def spread(amount: int | None, start_us: int, end_us: int) -> dict[int, int | None]:
    """{slot start: part} by fractions of time and largest remainder, equal remainders to the earlier slot."""
    last = max(end_us - 1, start_us)
    slots = list(range(start_us // SLOT_US, last // SLOT_US + 1))
    if amount is None or len(slots) == 1:
        return dict.fromkeys([slot * SLOT_S for slot in slots], amount)
    shares = []
    for slot in slots:
        inside_us = min(end_us, (slot + 1) * SLOT_US) - max(start_us, slot * SLOT_US)
        shares.append(Fraction(amount * inside_us, end_us - start_us))
    parts = [int(share) for share in shares]
    order = sorted(range(len(slots)), key=lambda i: (parts[i] - shares[i], i))
    for i in order[: amount - sum(parts)]:
        parts[i] += 1
    return {slot * SLOT_S: part for slot, part in zip(slots, parts, strict=True)}


@lru_cache(maxsize=2_000_000)
def wall(at_s: int, zone: str) -> datetime:
    """What a wall clock of the zone shows."""
    return datetime.fromtimestamp(at_s, ZoneInfo(zone))


@dataclass
class Counter:
    """What is remembered of a cumulative counter; totals are None where a direction is not read."""

    at_us: int
    totals: dict[str, int]


@dataclass
class Verdicts:
    """What the answer to a request must be."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[tuple[int, str, str]] = field(default_factory=list)

    def refuse(self, index: int, event: dict[str, Any], code: str) -> None:
        self.rejected.append((index, event["id"], code))


class Referee:
    """The account of one company."""

    def __init__(self, company: Company) -> None:
        self.company = company
        self.document = company.document
        self.rows: dict[Series, dict[int, Sums]] = {}
        self.alive: dict[Series, set[int]] = {}  # slots in which somebody looked
        self.guessed: dict[Series, set[int]] = {}  # slots of which a part was spread over a gap
        self.polled: set[Series] = set()
        self.known: dict[tuple[str, str, str], Any] = {}
        self.counters: dict[tuple[Any, ...], Counter] = {}
        self.names: dict[str, dict[tuple[int, str], int]] = {"environment": {}, "consumer": {}}  # ids, told by the catalog
        self.projects = {project["id"]: owner["id"] for owner, project in company.of("projects")}
        self.organizations = {owner["id"]: owner for owner in self.document["organizations"]}
        self.vpns = {vpn["id"]: (owner["id"], vpn) for owner, vpn in company.of("vpn_instances")}
        self.apps = {app["id"]: (owner["id"], app) for owner, app in company.of("apps")}
        self.spaces = {space["id"]: owner["id"] for owner, space in company.of("spaces")}
        self.placements: dict[str, list[tuple[int, str, str]]] = {
            server["id"]: [(-(10**12), project["id"], server["region"])]
            for _, project in company.of("projects") for server in project["servers"]
        }

    # What happens

    def hear_move(self, move: Move, now_s: int) -> None:
        """From its slot on the server is there."""
        at_s = now_s if move.from_s is None else move.from_s
        self.placements[move.server].append((at_s - at_s % SLOT_S, move.project, move.region))

    def hear(self, events: list[dict[str, Any]], now_us: int) -> Verdicts:
        """One request: usage in order, then readings in the order of their times."""
        verdicts = Verdicts()
        readings = []
        for index, event in enumerate(events):
            amounts = [event["data"].get(name) for name in AMOUNTS]
            if any(amount is not None and not 0 <= amount <= MAX_AMOUNT for amount in amounts):
                verdicts.refuse(index, event, "invalid")
                continue
            series = self._series(event)
            if series is None:
                verdicts.refuse(index, event, "unknown_subject")
                continue
            self.rows.setdefault(series, {})
            self.alive.setdefault(series, set())
            if event["type"] == "weighbridge.reading":
                readings.append((instant_us(event["time"]), index, event, series))
            else:
                self._hear_usage(verdicts, index, event, series, now_us)
        for at_us, index, event, series in sorted(readings, key=lambda item: item[:2]):
            self.polled.add(series)
            self._hear_reading(verdicts, index, event, series, (at_us, now_us))
        verdicts.rejected.sort()
        return verdicts

    def _series(self, event: dict[str, Any]) -> Series | None:
        kind, _, rest = event["subject"].partition("/")
        data = event["data"]
        if kind == "server":
            return ("server", rest) if rest in self.placements else None
        if kind == "vpn":
            vpn, _, peer = rest.partition("/peer/")
            return ("peer", vpn, peer) if peer else ("vpn", vpn)
        if kind == "space":
            return ("space", int(rest), data.get("path"))
        method = data["method"].upper() if "method" in data else None
        return ("app", int(rest), data.get("environment"), data.get("consumer"), method, data.get("path"))

    def _organization_of(self, series: Series, event: dict[str, Any]) -> str:
        """Within which an event's id is unique: the owner of the subject at the event's own time."""
        return str(self.labels(series, instant_us(event["time"]) // 1_000_000)["organization"])

    def _is_new(self, verdicts: Verdicts, index: int, event: dict[str, Any], series: Series, content: Any) -> bool:
        key = (self._organization_of(series, event), event["source"], event["id"])
        if key not in self.known:
            return True
        if self.known[key] == content:
            verdicts.duplicates += 1
        else:
            verdicts.refuse(index, event, "conflict")
        return False

    def _keep(self, verdicts: Verdicts, event: dict[str, Any], series: Series, content: Any) -> None:
        self.known[self._organization_of(series, event), event["source"], event["id"]] = content
        verdicts.accepted += 1

    def _hear_usage(
        self, verdicts: Verdicts, index: int, event: dict[str, Any], series: Series, now_us: int
    ) -> None:
        start_us = instant_us(event["time"])
        end_us = start_us + (event["data"].get("duration_s") or 0) * 1_000_000
        amounts = [event["data"].get(name) for name in AMOUNTS]
        if end_us > now_us + AHEAD_US:
            verdicts.refuse(index, event, "in_future")
            return
        content = (series, start_us, end_us, amounts)
        if self._is_new(verdicts, index, event, series, content):
            self._keep(verdicts, event, series, content)
            self._add(series, amounts, start_us, end_us)

    def _add(self, series: Series, amounts: Sums, start_us: int, end_us: int, *, looked: bool = True) -> None:
        rows, alive = self.rows[series], self.alive[series]
        for place, amount in enumerate(amounts):
            parts = spread(amount, start_us, end_us)
            for at_s, part in parts.items():
                row = rows.setdefault(at_s, [None, None, None])
                if part is not None:
                    row[place] = (row[place] or 0) + part
        slots = sorted(parts)
        alive.update(slots if looked else [slots[0], slots[-1]])  # law 12: within a counter's gap nobody looked
        self.guessed.setdefault(series, set()).update([] if looked else slots[1:-1])

    def _hear_reading(
        self, verdicts: Verdicts, index: int, event: dict[str, Any], series: Series, times: tuple[int, int]
    ) -> None:
        at_us, now_us = times
        data = event["data"]
        if at_us > now_us + AHEAD_US:
            verdicts.refuse(index, event, "in_future")
            return
        if "since" in data and instant_us(data["since"]) > at_us:
            verdicts.refuse(index, event, "invalid")
            return
        content = (series, at_us, tuple(sorted((name, value) for name, value in data.items() if name != "since")),
                   instant_us(data["since"]) if "since" in data else None)
        if not self._is_new(verdicts, index, event, series, content):
            return
        totals = {name: data[f"{name}_total"] for name in AMOUNTS[:2] if f"{name}_total" in data}
        key = (series, event["source"], data["counter"])
        last = self.counters.get(key)
        if last is not None and at_us < last.at_us:
            verdicts.refuse(index, event, "out_of_order")
        elif last is not None and at_us == last.at_us and totals != last.totals:
            verdicts.refuse(index, event, "conflict")
        elif last is not None and at_us == last.at_us:
            verdicts.duplicates += 1
        else:
            self._keep(verdicts, event, series, content)
            self.counters[key] = Counter(at_us, totals)
            start_us, counted = (at_us, dict.fromkeys(totals, 0)) if last is None else _counted(last, totals, at_us, data)
            amounts = [counted.get(name) for name in AMOUNTS]
            self._add(series, amounts, start_us, at_us, looked=False)

    # Whose it is

    def placement(self, server: str, at_s: int) -> tuple[str, str]:
        """(project, region) of a server at an instant."""
        return [(project, region) for from_s, project, region in self.placements[server] if from_s <= at_s][-1]

    def labels(self, series: Series, at_s: int) -> Labels:
        """Everything that traffic of a series at an instant can be filtered and grouped by."""
        return {"_kind": series[0], **self._owners(series, at_s)}

    def _owners(self, series: Series, at_s: int) -> Labels:
        if series[0] == "server":
            project, region = self.placement(str(series[1]), at_s)
            return {"organization": self.projects[project], "project": project, "region": region, "server": series[1]}
        if series[0] in ("vpn", "peer"):
            organization, vpn = self.vpns[str(series[1])]
            peer = series[2] if series[0] == "peer" else None
            return {"organization": organization, "region": vpn.get("region"), "vpn": series[1], "peer": peer}
        if series[0] == "space":
            return {"organization": self.spaces[int(str(series[1]))], "space": series[1]}
        app, environment, consumer = int(str(series[1])), series[2], series[3]
        return {
            "organization": self.apps[app][0], "app": app,
            "environment": self.names["environment"].get((app, str(environment))),
            "consumer": self.names["consumer"].get((app, str(consumer))),
        }

    def is_excluded(self, series: Series) -> bool:
        """Whether it is traffic of an endpoint that its app excludes."""
        if series[0] != "app":
            return False
        excluded = self.apps[int(str(series[1]))][1]["excluded_endpoints"]
        return any((endpoint["method"], endpoint["path"]) == series[4:] for endpoint in excluded)

    def cells(self, start_s: int, end_s: int, **filters: str | int | None) -> Iterator[tuple[Series, Labels, int, Sums]]:
        """Every slot with usage in the range that was the filters' at that time."""
        asked = {name: value for name, value in filters.items() if value is not None}
        for series, rows in self.rows.items():
            if self.is_excluded(series):
                continue
            fixed = None if series[0] == "server" else self.labels(series, 0)
            for at_s, sums in rows.items():
                if start_s <= at_s < end_s:
                    labels = fixed or self.labels(series, at_s)
                    if all(labels.get(name) == value for name, value in asked.items()):
                        yield series, labels, at_s, sums

    def total(self, start_s: int, end_s: int, **filters: str | int | None) -> Sums:
        """The sum of a range: zeros without usage, None where nobody knows."""
        return added([sums for _, _, _, sums in self.cells(start_s, end_s, **filters)])

    def by_slot(self, slots: range, **filters: str | int | None) -> tuple[list[int], list[int]]:
        """Bytes in and out of each slot of `slots.step` seconds, zeros included."""
        inward, outward = dict.fromkeys(slots, 0), dict.fromkeys(slots, 0)
        for _, _, at_s, (bytes_in, bytes_out, _) in self.cells(slots.start, slots.stop, **filters):
            slot_s = at_s - at_s % slots.step
            inward[slot_s] += bytes_in or 0
            outward[slot_s] += bytes_out or 0
        return list(inward.values()), list(outward.values())


def _counted(last: Counter, totals: dict[str, int], at_us: int, data: dict[str, Any]) -> tuple[int, dict[str, int]]:
    """(since when, how much) a reading counts on top of the last one: laws 8 to 11."""
    since_us = instant_us(data["since"]) if "since" in data else None
    if since_us is not None and last.at_us < since_us < at_us:
        return since_us, totals
    counted = {}
    for name, total in totals.items():
        grown = total - last.totals[name]
        if grown < 0:
            rate_bps, passed_s = data.get("line_rate_bps"), Fraction(at_us - last.at_us, 1_000_000)
            grown += 2**32
            fits = rate_bps and grown * 8 <= rate_bps * passed_s < 2**32 * 8
            if data["counter_bits"] != 32 or not fits:
                return at_us, dict.fromkeys(totals, 0)  # a reset: both directions begin anew, and nothing counts
        counted[name] = grown
    return last.at_us, counted


def added(rows: list[Sums]) -> Sums:
    """The sum of rows: zeros without any, None where none knows."""
    if not rows:
        return [0, 0, 0]
    found: Sums = []
    for column in zip(*rows, strict=True):
        known = [amount for amount in column if amount is not None]
        found.append(sum(known) if known else None)
    return found


def half_up(value: Fraction) -> int:
    """The nearest integer, halves upwards."""
    return int((value + Fraction(1, 2)) // 1)


def rank_of(values: list[int], p: int = 95) -> tuple[int, int, int, int | None]:
    """(value, rank, discarded, index of the earliest slot of that value) by nearest rank, law 3."""
    if not values:
        return 0, 0, 0, None
    rank = len(values) - len(values) * (100 - p) // 100
    value = sorted(values)[rank - 1]
    return value, rank, len(values) - rank, values.index(value)


def mbps(bytes_: int, seconds: int = 1800) -> float:
    """Megabits a second, 2 decimals, half up."""
    return half_up(Fraction(bytes_ * 8 * 100, seconds * 10**6)) / 100


def label_of(window: str, zone: str) -> Callable[[int], tuple[Any, ...]]:
    """What tells the windows of a zone apart: slots with the same label one after another are one window."""
    minutes = {"5m": 5, "15m": 15, "30m": 30, "1h": 60}.get(window)

    def label(at_s: int) -> tuple[Any, ...]:
        if window == "total":
            return ()
        clock = wall(at_s, zone)
        if minutes:
            return (clock.date(), (clock.hour * 60 + clock.minute) // minutes, clock.utcoffset())
        return {"1d": (clock.date(),), "1mo": (clock.year, clock.month), "1y": (clock.year,)}[window]

    return label


def windows(start_s: int, end_s: int, window: str, zone: str) -> list[tuple[int, int]]:
    """The windows of [start_s, end_s), clipped, by walking its slots."""
    label = label_of(window, zone)
    found: list[tuple[int, int]] = []
    last = None
    for at_s in range(start_s, end_s, SLOT_S):
        mine = label(at_s)
        if mine == last:
            found[-1] = (found[-1][0], at_s + SLOT_S)
        else:
            found.append((at_s, at_s + SLOT_S))
        last = mine
    return found


def whole(at_s: int, window: str, zone: str) -> tuple[int, int]:
    """The whole window around a slot, by walking from it to both sides."""
    label = label_of(window, zone)
    mine, start_s, end_s = label(at_s), at_s, at_s + SLOT_S
    while label(start_s - SLOT_S) == mine:
        start_s -= SLOT_S
    while label(end_s) == mine:
        end_s += SLOT_S
    return start_s, end_s
