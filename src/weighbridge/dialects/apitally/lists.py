"""What the vendor's command line lists beside the traffic: the team, its apps, and an app's consumers and endpoints."""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING

from weighbridge.dialects.apitally.errors import InvalidParametersError, value_fault
from weighbridge.dialects.apitally.lists_wire import (
    AppItem,
    ConsumerItem,
    EndpointItem,
    EnvironmentItem,
    GroupItem,
    Page,
    Team,
)
from weighbridge.dialects.apitally.pages import read_paging
from weighbridge.dialects.apitally.parameters import Reader
from weighbridge.dialects.apitally.wildcard import matches
from weighbridge.dialects.exact_json import encode
from weighbridge.dialects.made_id import made_id
from weighbridge.dialects.organization import ORGANIZATION_HEADER, named_organization, organization_of
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.timegrid import floor, rfc3339, zone
from weighbridge.domain.units import SLOT_S
from weighbridge.http.route import Answer
from weighbridge.model import Endpoint, Kind
from weighbridge.reports.activity import last_requests_s, last_syncs_s
from weighbridge.reports.selection import Reach, Selection, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from weighbridge.http.route import Call
    from weighbridge.model import App, CatalogView, Consumer

MAX_APPS = 1_000
"""Apps of one page, and as many as are listed unasked: the vendor's list has no pages, so its tools turn none."""
MAX_ENDPOINTS = 10_000
"""Endpoints of one page, and as many as are listed unasked: all that an app can have (see MAX_APPS)."""
MAX_CONSUMERS = 1_000
DEFAULT_CONSUMERS = 100
MAX_METHOD = 64
"""Longest text of methods, in characters: the vendor's bound."""
MAX_PATH = 1024
"""Longest pattern of paths, in characters: as long as a path may be."""
ID_BITS = 31
"""Made-up ids have so many: the vendor's command line keeps ids in columns of 32 bits with a sign."""
UNKNOWN_FRAMEWORK = "unknown"
UNKNOWN_CREATION = "1970-01-01T00:00:00Z"
"""Shown where it was not kept when a thing was made: the vendor's field is never null."""
_US = 1_000_000


def team(call: Call) -> Answer:
    """The organization. Its number says that it is the same one and no more, and few share one of 2^31.

    NotVisibleError: the named one is not in sight. InvalidParametersError: there are several, and none is named.
    """
    view = call.services.catalog.view()
    try:
        organization = organization_of(call, view)
    except InvalidInputError as error:
        fault = value_fault(ORGANIZATION_HEADER.lower(), error.detail, named_organization(call), "header")
        raise InvalidParametersError([fault]) from None
    return Answer(200, encode(Team(made_id(ID_BITS, "team", organization.id), organization.name)))


def apps(call: Call) -> Answer:
    """The apps that the key sees, by id, with their environments."""
    organization = named_organization(call)
    paging = read_paging(call, Reader(call), ("apps", organization), MAX_APPS, MAX_APPS)
    view = call.services.catalog.view()
    found = resolve(view, Reach(call.who.organization), Selection(organization=organization)).organization
    listed = [app for app in _apps(view, found) if app.id > (paging.after or 0)] if call.who.project is None else []
    page, token = paging.cut(listed, lambda app: app.id)
    last_s = last_syncs_s(call.services.store, view, page, _end_s(call))
    return _page([_app_item(view, app, last_s) for app in page], token)


def consumers(call: Call) -> Answer:
    """One page of an app's consumers, the newest first; on demand only those that were heard of since an instant."""
    reader = Reader(call)
    number = reader.path_integer("app_id", 1)
    since_us = reader.instant("requests_since", zone("UTC"))
    listed = ("consumers", call.path_params["app_id"], call.one("requests_since"))
    paging = read_paging(call, reader, listed, DEFAULT_CONSUMERS, MAX_CONSUMERS)
    view = call.services.catalog.view()
    app = _app(call, view, number)
    rest = [each for each in _consumers(view, app) if paging.after is None or each.id < paging.after]
    if since_us is None:
        rest = rest[: paging.limit + 1]
    asked = frozenset(each.id for each in rest)
    last_s = last_requests_s(call.services.store, view, app, asked, _end_s(call)) if asked else {}
    if since_us is not None:
        since_s = floor(since_us // _US, SLOT_S)  # within a slot nobody knows what came first
        rest = [each for each in rest if last_s.get(each.id, each.created_at_s) >= since_s]
    page, token = paging.cut(rest, lambda consumer: consumer.id)
    return _page([_consumer_item(each, last_s) for each in page], token)


def endpoints(call: Call) -> Answer:
    """An app's endpoints by path and method, excluded ones too: the list says what there is, not what counts."""
    reader = Reader(call)
    number = reader.path_integer("app_id", 1)
    environment = reader.integer("app_env_id", 1)
    methods, pattern = reader.text("method", MAX_METHOD), reader.text("path", MAX_PATH)
    listed = ("endpoints", call.path_params["app_id"], call.one("app_env_id"), methods, pattern)
    paging = read_paging(call, reader, listed, MAX_ENDPOINTS, MAX_ENDPOINTS)
    view = call.services.catalog.view()
    app = _app(call, view, number)
    rest = _endpoints(view, app, _filter(view, app, environment, methods, pattern))
    if paging.after is not None:
        rest = list(dropwhile(lambda item: item.id != paging.after, rest))[1:]
    page, token = paging.cut(rest, lambda endpoint: endpoint.id)
    return _page(page, token)


def _page(items: Sequence[AppItem | ConsumerItem | EndpointItem], token: str | None) -> Answer:
    return Answer(200, encode(Page(items, token is not None, token)))


def _end_s(call: Call) -> int:
    """The end of the slot in progress: what was accepted a second ago is in it."""
    return floor(call.services.clock.now_us() // _US, SLOT_S) + SLOT_S


def _app(call: Call, view: CatalogView, number: int) -> App:
    """The app of that number, or NotVisibleError."""
    resolve(view, Reach(call.who.organization, call.who.project), Selection(app=number))
    return view.apps[number]


def _apps(view: CatalogView, organization: str | None) -> list[App]:
    """The living apps of an organization, or of all, by id."""
    numbers: Iterable[int] = tuple(view.apps) if organization is None else view.apps_of.get(organization, ())
    return [view.apps[number] for number in sorted(numbers) if view.apps[number].deleted_at_s is None]


def _app_item(view: CatalogView, app: App, last_s: Mapping[int, int]) -> AppItem:
    numbers = sorted(view.environments_of.get(app.id, {}).values())
    found = [view.environments.get(number) for number in numbers]  # one may have been deleted just now
    envs = [
        EnvironmentItem(each.id, each.name, _made(each.created_at_s), rfc3339(last_s[each.id]) if each.id in last_s else None)
        for each in found if each is not None
    ]
    framework, client_id = app.framework or UNKNOWN_FRAMEWORK, app.client_id or ""
    return AppItem(app.id, app.name, framework, client_id, envs, _made(app.created_at_s))


def _made(at_s: int) -> str:
    """When a thing was entered into the catalog."""
    return rfc3339(at_s) if at_s else UNKNOWN_CREATION


def _consumers(view: CatalogView, app: App) -> list[Consumer]:
    """The consumers of an app, the highest id first."""
    numbers = sorted(view.consumers_of.get(app.id, {}).values(), reverse=True)
    found = [view.consumers.get(number) for number in numbers]
    return [each for each in found if each is not None]


def _consumer_item(consumer: Consumer, last_s: Mapping[int, int]) -> ConsumerItem:
    """A consumer in the vendor's words.

    A group is a name here, so its number is made of it. 10,000 groups of one app, as many as it can have, hold a pair
    with the same number with a probability of 1 in 40; and then their names still tell them apart, which is all that
    the vendor's command line keeps of a group.
    """
    group = None
    if consumer.group is not None:
        group = GroupItem(made_id(ID_BITS, "group", consumer.app, consumer.group), consumer.group)
    made = _made(consumer.created_at_s)
    last = rfc3339(last_s[consumer.id]) if consumer.id in last_s else made
    return ConsumerItem(consumer.id, consumer.identifier, consumer.name or consumer.identifier, group, made, last)


def _endpoints(view: CatalogView, app: App, is_wanted: Callable[[Endpoint], bool]) -> list[EndpointItem]:
    """The endpoints of an app by path and method."""
    known = view.endpoints_of.get(app.id, {})
    found = [EndpointItem(known[each], each.method, each.path) for each in known if is_wanted(each)]
    return sorted(found, key=lambda item: (item.path, item.method))


def _filter(
    view: CatalogView, app: App, environment: int | None, methods: str | None, pattern: str | None
) -> Callable[[Endpoint], bool]:
    """Whether an endpoint is asked for: called in the environment, by one of the methods, of a path like the pattern."""
    called = None if environment is None else _called_in(view, app, environment)
    listed = None if methods is None else {method.strip().upper() for method in methods.split(",")}

    def is_wanted(endpoint: Endpoint) -> bool:
        if called is not None and endpoint not in called:
            return False
        if listed is not None and endpoint.method not in listed:
            return False
        return pattern is None or matches(pattern, endpoint.path)

    return is_wanted


def _called_in(view: CatalogView, app: App, environment: int) -> set[Endpoint]:
    """The endpoints of which an environment has sent traffic; none where it is not one of this app's."""
    keys = [view.series[number].key for number in view.series_of.get((Kind.APP, str(app.id)), ())]
    return {
        Endpoint(key.method, key.path)
        for key in keys
        if key.environment == environment and key.method is not None and key.path is not None
    }
