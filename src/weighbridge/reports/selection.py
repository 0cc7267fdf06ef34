"""Which series a question is about, and which group each belongs to: attribution, dated by moves (law 20).

A selection names catalog objects; `select` turns it into store members clipped to the time in which they belonged to
what was asked for. Deleted objects keep their usage. Endpoints that an app excludes are left out, also for the past.
The view changes while it is read (model.py), so its dictionaries are copied before they are walked.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

from weighbridge.domain.errors import InvalidInputError, NotVisibleError
from weighbridge.domain.timegrid import ceil, floor
from weighbridge.domain.units import BILLING_SLOT_S
from weighbridge.model import (
    BEGINNING_S,
    END_S,
    App,
    Attribution,
    CatalogView,
    Consumer,
    Endpoint,
    Environment,
    Kind,
    Metering,
    Placement,
    Series,
    SeriesKey,
    Server,
    Space,
    VpnInstance,
)
from weighbridge.ports import Members

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP_KEYS = ("organization", "project", "region", "server", "vpn", "peer", "app", "environment", "consumer", "space")
"""What usage can be grouped by. A column holds the object's id (a region's slug; a peer's own id), null where none."""

GroupKey = tuple[str | int | None, ...]

_Id = TypeVar("_Id", str, int)
_APP_FILTERS = ("app", "environment", "consumer")
_SERVER_FILTERS = ("project", "server")
_APPLESS_FILTERS = (*_SERVER_FILTERS, "region", "vpn", "space")  # what apps do not have: no app fits one of these


@dataclass(frozen=True, slots=True)
class Reach:
    """What the asker may see: one organization (and project), or with both None everything."""

    organization: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for; None means any. Ids, but `region` is a slug."""

    organization: str | None = None
    project: str | None = None
    region: str | None = None
    server: str | None = None
    vpn: str | None = None
    app: int | None = None
    environment: int | None = None
    consumer: int | None = None
    space: int | None = None
    kinds: frozenset[Kind] = field(default_factory=lambda: frozenset(Kind))

    def named(self, *names: str) -> bool:
        """Whether any of these filters is set."""
        return any(getattr(self, name) is not None for name in names)


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a question is about, [start_s, end_s), and when it is asked."""

    start_s: int
    end_s: int
    now_s: int

    def slots(self) -> tuple[int, int]:
        """The stretch of the billing slots that it touches, whole."""
        return floor(self.start_s, BILLING_SLOT_S), ceil(self.end_s, BILLING_SLOT_S)


@dataclass(frozen=True, slots=True)
class Selected:
    """Members whose `groups` are indexes into `keys`. Every key is to be listed, also one without a member.

    But the keys of `absent` only where something moved: with a span, nothing of theirs is there now or was in it.
    """

    members: Members
    keys: tuple[GroupKey, ...]
    polled: Members  # those of `members` that are fed by counters, and so can have gaps
    absent: frozenset[int] = frozenset()


@dataclass(slots=True)  # not frozen: there may be thousands, and freezing doubles the time to make one
class _Thing:
    """A stretch of time in which a metered object had one owner and one place."""

    kind: Kind
    object: str
    labels: dict[str, str | int | None]
    from_s: int = BEGINNING_S
    until_s: int = END_S
    deleted_at_s: int | None = None
    excluded: frozenset[Endpoint] = frozenset()

    @property
    def is_alive(self) -> bool:
        """Whether it is there, and where it was put last."""
        return self.deleted_at_s is None and self.until_s == END_S

    def is_in(self, span: Span | None) -> bool:
        """Whether it is here now, or was at a time in the span; without one, ever."""
        if span is None:
            return True
        until_s = self.until_s if self.deleted_at_s is None else min(self.until_s, self.deleted_at_s)
        is_now = self.from_s <= span.now_s < until_s
        return is_now or max(self.from_s, span.start_s) < min(until_s, span.end_s)


def resolve(view: CatalogView, reach: Reach, asked: Selection) -> Selection:
    """The selection with slugs made ids and narrowed to what the asker may see.

    Raises NotVisibleError for what does not exist or is somebody else's, InvalidInputError for an ambiguous slug.
    """
    organization = _organization(view, reach, asked.organization)
    project = _project(view, organization, reach, asked.project)
    if asked.region is not None and asked.region not in view.regions_by_slug:
        raise NotVisibleError("region", asked.region)
    vpn = None if asked.vpn is None else asked.vpn.lower()
    found = replace(asked, organization=organization, project=project, vpn=vpn, app=_app(view, asked))
    _check_things(view, found, projectless=reach.project is None)
    return found


def _app(view: CatalogView, asked: Selection) -> int | None:
    """The app that was asked for, also where only an environment or consumer of it was named."""
    if asked.app is not None:
        return asked.app
    item = view.environments.get(asked.environment) if asked.environment is not None else None
    if item is not None:
        return item.app
    other = view.consumers.get(asked.consumer) if asked.consumer is not None else None
    return None if other is None else other.app


def _organization(view: CatalogView, reach: Reach, name: str | None) -> str | None:
    if name is None:
        return reach.organization
    organization = view.organizations.get(name)
    if organization is None:
        namesakes = [o for o in tuple(view.organizations.values()) if o.slug == name]
        organization = min(namesakes, key=lambda o: o.deleted_at_s is not None, default=None)
    if organization is None or reach.organization not in (None, organization.id):
        raise NotVisibleError("organization", name)
    return organization.id


def _project(view: CatalogView, organization: str | None, reach: Reach, name: str | None) -> str | None:
    if name is None:
        return reach.project
    exact = view.projects.get(name)
    known = [exact] if exact is not None else [p for p in tuple(view.projects.values()) if p.slug == name]
    sight = [p for p in known if organization in (None, p.organization) and reach.project in (None, p.id)]
    found = [p for p in sight if p.deleted_at_s is None] or sight
    if not found:
        raise NotVisibleError("project", name)
    if len(found) > 1:
        ids = ", ".join(p.id for p in found)
        raise InvalidInputError(f"several projects have the slug {name!r}; name one by its id: {ids}", where="project")
    return found[0].id


def _check_things(view: CatalogView, found: Selection, *, projectless: bool) -> None:
    """Raise NotVisibleError unless each named thing is in sight. `projectless`: things outside projects are, too."""

    def sees(thing: VpnInstance | App | Space | None) -> bool:
        return projectless and thing is not None and found.organization in (None, thing.organization)

    checks: list[tuple[str, object, bool]] = [
        ("server", found.server, found.server is not None and _sees_server(view, found)),
        ("vpn", found.vpn, found.vpn is not None and sees(view.vpns.get(found.vpn))),
        ("app", found.app, found.app is not None and sees(view.apps.get(found.app))),
        ("space", found.space, found.space is not None and sees(view.spaces.get(found.space))),
    ]
    dimensions: tuple[tuple[str, dict[int, Environment] | dict[int, Consumer]], ...] = (
        ("environment", view.environments), ("consumer", view.consumers),
    )
    for name, dimension in dimensions:
        wanted = getattr(found, name)
        item = None if wanted is None else dimension.get(wanted)
        known = item is not None and found.app in (None, item.app) and sees(view.apps.get(item.app))
        checks.insert(0, (name, wanted, known))  # before its app, which may be known by it alone
    for name, wanted, known in checks:
        if wanted is not None and not known:
            raise NotVisibleError(name, str(wanted))


def _sees_server(view: CatalogView, found: Selection) -> bool:
    server = view.servers.get(found.server or "")
    if server is None:
        return False
    return any(_placed_within(view, placement, found) for placement in server.placements)


def _placed_within(view: CatalogView, placement: Placement, found: Selection) -> bool:
    project = view.projects.get(placement.project)
    if project is None:
        return False
    return found.organization in (None, project.organization) and found.project in (None, project.id)


def select(
    view: CatalogView,
    found: Selection,
    group_by: tuple[str, ...] = (),
    span: Span | None = None,
    via: Metering | None = None,
) -> Selected:
    """The members of a resolved selection, grouped. Keys are sorted, nulls last.

    A key with a null part is listed only where something moved. With a span, members that cannot have traffic in it
    (nor in the 30-minute slots that it cuts) are left out. Of what several see, a series counts while it is the billed
    one; with `via` those that this one feeds are the members, billed or not, and no others.
    """
    rows: list[tuple[Series, GroupKey, int, int]] = []
    listed: set[GroupKey] = set() if group_by else {()}
    first_s, past_s = (BEGINNING_S, END_S) if span is None else span.slots()
    every = view.series
    for thing in _things(view, found):
        is_in = thing.is_in(span)
        key = tuple([thing.labels.get(name) for name in group_by])
        if is_in and None not in key and (span is not None or thing.is_alive):
            listed.add(key)
        if thing.until_s <= first_s or thing.from_s >= past_s:
            continue
        for number in view.series_of.get((thing.kind, thing.object), ()):
            series = every[number]
            if thing.kind is Kind.APP:  # the only kind whose series have dimensions
                if not _wanted(series, found, thing):
                    continue
                key = _key(series, thing, group_by)
            if series.key.via == via:
                rows.append((series, key, thing.from_s, thing.until_s))
            elif via is None:
                rows += [(series, key, from_s, until_s) for from_s, until_s in _billed(view, thing, series.key.via)]
            if is_in and None not in key:  # what belongs to no such thing is listed only where it moved
                listed.add(key)
    listed.update(_app_dimension_keys(view, found, group_by))
    return _selected(rows, listed)


def _billed(view: CatalogView, thing: _Thing, via: str | None) -> Iterator[tuple[int, int]]:
    """The stretches of the thing in which what sees it `via` is billed: by its attributions, its own before the first."""
    attributions = _attributions(view, thing.kind, thing.object)
    borders_s = [BEGINNING_S, *(attribution.from_s for attribution in attributions), END_S]
    billed = [Metering.HOST, *(attribution.billed for attribution in attributions)]
    for by, run in groupby(zip(billed, pairwise(borders_s), strict=True), key=itemgetter(0)):
        stretches_s = [stretch_s for _, stretch_s in run]
        from_s, until_s = max(stretches_s[0][0], thing.from_s), min(stretches_s[-1][1], thing.until_s)
        if by == via and from_s < until_s:
            yield from_s, until_s


def billed_at(view: CatalogView, kind: Kind, name: str, at_s: int) -> Metering:
    """Whose figures of a server, VPN instance or peer are billed at an instant."""
    declared = [each.billed for each in _attributions(view, kind, name) if each.from_s <= at_s]
    return declared[-1] if declared else Metering.HOST


def _attributions(view: CatalogView, kind: Kind, name: str) -> tuple[Attribution, ...]:
    if kind is Kind.SERVER:
        return view.servers[name].attributions
    vpn, _, peer = name.partition("/")
    return view.peers[vpn, peer].attributions if peer else view.vpns[vpn].attributions


def _selected(rows: list[tuple[Series, GroupKey, int, int]], listed: set[GroupKey]) -> Selected:
    ordered = tuple(sorted(listed.union([row[1] for row in rows]), key=_sortable))
    place = {key: index for index, key in enumerate(ordered)}
    entries = [(series.id, place[key], from_s, until_s) for series, key, from_s, until_s in rows]
    polled = [entry for entry, row in zip(entries, rows, strict=True) if row[0].polled]
    absent = frozenset(index for index, key in enumerate(ordered) if key not in listed)
    return Selected(_members(entries), ordered, _members(polled), absent)


def _members(entries: list[tuple[int, int, int, int]]) -> Members:
    if not entries:
        return Members((), (), (), ())
    series, groups, from_s, until_s = zip(*entries, strict=True)
    return Members(series, groups, from_s, until_s)


def _sortable(key: GroupKey) -> tuple[tuple[bool, str | int], ...]:
    return tuple((value is None, 0 if value is None else value) for value in key)


def _key(series: Series, thing: _Thing, group_by: tuple[str, ...]) -> GroupKey:
    own = {"environment": series.key.environment, "consumer": series.key.consumer}
    return tuple(own[name] if name in own else thing.labels.get(name) for name in group_by)


def _wanted(series: Series, found: Selection, thing: _Thing) -> bool:
    key = series.key
    if found.environment not in (None, key.environment) or found.consumer not in (None, key.consumer):
        return False
    return not is_excluded(key, thing.excluded)


def excluded_of(app: App) -> frozenset[Endpoint]:
    """The endpoints that an app excludes, as `is_excluded` compares them."""
    return frozenset(Endpoint(endpoint.method.upper(), endpoint.path) for endpoint in app.excluded_endpoints)


def is_excluded(key: SeriesKey, excluded: frozenset[Endpoint]) -> bool:
    """Whether a series of an app is of an endpoint that it excludes."""
    return bool(excluded) and key.path is not None and Endpoint((key.method or "").upper(), key.path) in excluded


def _app_dimension_keys(view: CatalogView, found: Selection, group_by: tuple[str, ...]) -> set[GroupKey]:
    """Environments or consumers without traffic, where they are all that is grouped by (beside their owners)."""
    owners = {"organization", "app"}
    dimension = [name for name in group_by if name not in owners]
    if dimension not in (["environment"], ["consumer"]) or Kind.APP not in found.kinds or found.named(*_APPLESS_FILTERS):
        return set()
    children = view.environments_of if dimension == ["environment"] else view.consumers_of
    wanted = found.environment if dimension == ["environment"] else found.consumer
    keys: set[GroupKey] = set()
    for thing in _apps(view, found):
        for number in tuple(children.get(int(thing.object), {}).values()) if thing.is_alive else ():
            if wanted in (None, number):
                labels = thing.labels | {dimension[0]: number}
                keys.add(tuple(labels[name] for name in group_by))
    return keys


def _things(view: CatalogView, found: Selection) -> Iterator[_Thing]:
    if Kind.SERVER in found.kinds and not found.named("vpn", "space", *_APP_FILTERS):
        yield from _servers(view, found)
    if found.named(*_SERVER_FILTERS):
        return
    if Kind.VPN in found.kinds and not found.named("space", *_APP_FILTERS):
        yield from _vpns(view, found)
    if found.region is not None or found.vpn is not None:
        return
    if Kind.APP in found.kinds and found.space is None:
        yield from _apps(view, found)
    if Kind.SPACE in found.kinds and not found.named(*_APP_FILTERS):
        yield from _spaces(view, found)


def stretches(server: Server) -> Iterator[tuple[Placement, int, int]]:
    """A server's placements with the stretch of time that each held: (placement, from_s, until_s)."""
    for index, placement in enumerate(server.placements):
        last = index + 1 == len(server.placements)
        yield placement, placement.from_s, END_S if last else server.placements[index + 1].from_s


def _servers(view: CatalogView, found: Selection) -> Iterator[_Thing]:
    for server in _candidate_servers(view, found):
        for placement, from_s, until_s in stretches(server):
            if not _placed_within(view, placement, found) or found.region not in (None, placement.region):
                continue
            labels: dict[str, str | int | None] = {
                "organization": view.projects[placement.project].organization,
                "project": placement.project,
                "region": placement.region,
                "server": server.id,
            }
            yield _Thing(Kind.SERVER, server.id, labels, from_s, until_s, server.deleted_at_s)


def _candidate_servers(view: CatalogView, found: Selection) -> Iterator[Server]:
    if found.server is not None:
        yield from filter(None, [view.servers.get(found.server)])
        return
    if found.project is None and found.organization is None:
        yield from tuple(view.servers.values())
        return
    projects = (found.project,) if found.project is not None else view.projects_of.get(found.organization or "", ())
    seen: set[str] = set()
    for project in projects:
        for server in view.servers_of.get(project, ()):
            if server not in seen:
                seen.add(server)
                yield view.servers[server]


def _ids_of(children: dict[str, tuple[_Id, ...]], found: Selection) -> list[_Id]:
    if found.organization is not None:
        return list(children.get(found.organization, ()))
    return [child for group in tuple(children.values()) for child in group]


def _vpns(view: CatalogView, found: Selection) -> Iterator[_Thing]:
    for vpn_id in [found.vpn] if found.vpn is not None else _ids_of(view.vpns_of, found):
        vpn = view.vpns[vpn_id]
        if found.region not in (None, vpn.region):
            continue
        labels: dict[str, str | int | None] = {
            "organization": vpn.organization, "region": vpn.region, "vpn": vpn.id,
        }
        yield _Thing(Kind.VPN, vpn.id, labels, deleted_at_s=vpn.deleted_at_s)
        for peer in view.peers_of.get(vpn.id, ()):
            gone_s = view.peers[vpn.id, peer].deleted_at_s
            gone_s = vpn.deleted_at_s if gone_s is None else gone_s
            yield _Thing(Kind.PEER, f"{vpn.id}/{peer}", labels | {"peer": peer}, deleted_at_s=gone_s)


def _apps(view: CatalogView, found: Selection) -> Iterator[_Thing]:
    for app_id in [found.app] if found.app is not None else _ids_of(view.apps_of, found):
        app = view.apps[app_id]
        labels: dict[str, str | int | None] = {"organization": app.organization, "app": app.id}
        yield _Thing(Kind.APP, str(app.id), labels, deleted_at_s=app.deleted_at_s, excluded=excluded_of(app))


def _spaces(view: CatalogView, found: Selection) -> Iterator[_Thing]:
    for space_id in [found.space] if found.space is not None else _ids_of(view.spaces_of, found):
        space = view.spaces[space_id]
        labels: dict[str, str | int | None] = {"organization": space.organization, "space": space.id}
        yield _Thing(Kind.SPACE, str(space.id), labels, deleted_at_s=space.deleted_at_s)
