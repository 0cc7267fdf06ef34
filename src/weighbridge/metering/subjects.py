"""Which series an event belongs to: subject and dimensions to a series key, refused with a named reason.

Names that are met for the first time (environments, consumers, endpoints) are entered into the catalog, up to a bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weighbridge.measurement import MAX_NAME, MAX_PATH, RejectReason
from weighbridge.model import Kind, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from weighbridge.model import Server
    from weighbridge.ports import Catalog

SERIES_PER_APP = 200_000
"""Bound on environments x consumers x endpoints of one app: some 20 MB of memory, far above any real API. Beyond it there
are still series without consumer and endpoint, one for each environment."""

SERIES_PER_SPACE = 200_000
"""Bound on the assets that are told apart in one space."""

MAX_METHOD = 32
"""Longest method, in characters."""

Wanted = tuple[str, str | None, str | None, str | None, str | None]
"""Subject, environment, consumer, method, path."""

_DIMENSIONS = ("environment", "consumer", "method", "path")
_DIMENSIONS_OF = {"app": _DIMENSIONS, "space": ("path",)}
_LONGEST = (MAX_NAME, MAX_NAME, MAX_METHOD, MAX_PATH)
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no name may hold: control characters, and lone surrogates, which no store can keep."""
_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_FORMS = "server/ID, vpn/UUID, vpn/UUID/peer/ID, app/NUMBER or space/NUMBER"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends: the reach of its key. `organization` None: every organization."""

    organization: str | None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event belongs: a series key, and the organization within which its id is unique."""

    key: SeriesKey
    organization: str


class RefusedError(Exception):
    """The event cannot be placed."""

    def __init__(self, code: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def locate(catalog: Catalog, wanted: Wanted, at_s: int, sender: Sender) -> Place:
    """The place of usage at an instant, or RefusedError. May enter an environment or a consumer into the catalog."""
    subject = wanted[0]
    kind, _, rest = subject.partition("/")
    find = _FINDERS.get(kind)
    if find is None or not rest:
        raise RefusedError(RejectReason.INVALID, f"subject {subject!r} is none of {_FORMS}")
    for name, text, most in zip(_DIMENSIONS, wanted[1:], _LONGEST, strict=True):
        if text is None:
            continue
        if name not in _DIMENSIONS_OF.get(kind, ()):
            fitting = " or ".join(f"{each}/…" for each, names in _DIMENSIONS_OF.items() if name in names)
            raise RefusedError(RejectReason.INVALID, f"data.{name} goes with a subject {fitting}, not with this one")
        if not 0 < len(text) <= most:
            raise RefusedError(RejectReason.INVALID, f"data.{name} has {len(text)} characters; 1 to {most} are allowed")
        if UNFIT.search(text):
            raise RefusedError(RejectReason.INVALID, f"data.{name} holds a control character")
    return find(catalog, rest, wanted, at_s, sender)


def _unknown(what: str) -> RefusedError:
    return RefusedError(RejectReason.UNKNOWN_SUBJECT, f"no {what}; enter it into the catalog first")


def _number(text: str, kind: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise RefusedError(RejectReason.INVALID, f"subject {kind}/… wants a number such as {kind}/1, not {text!r}")
    return int(text)


def owner_at(server: Server, at_s: int) -> str:
    """The project that a server stood in at an instant: its usage then is that project's, whoever has it now."""
    found = server.project
    for placement in reversed(server.placements):
        found = placement.project
        if placement.from_s <= at_s:
            break
    return found


def _find_server(catalog: Catalog, rest: str, wanted: Wanted, at_s: int, sender: Sender) -> Place:
    del wanted
    view = catalog.view()
    server = view.servers.get(rest)
    project = None if server is None else view.projects.get(owner_at(server, at_s))
    if server is None or project is None or server.deleted_at_s is not None:
        raise _unknown(f"server {rest!r}")
    if sender.organization not in (None, project.organization) or sender.project not in (None, project.id):
        raise _unknown(f"server {rest!r}")
    return Place(SeriesKey(Kind.SERVER, server.id), project.organization)


def _find_vpn(catalog: Catalog, rest: str, wanted: Wanted, at_s: int, sender: Sender) -> Place:
    del wanted, at_s
    view = catalog.view()
    vpn_id, slash, tail = rest.partition("/")
    vpn = view.vpns.get(vpn_id.lower())
    if vpn is None or vpn.deleted_at_s is not None or not _reaches(sender, vpn.organization):
        raise _unknown(f"VPN instance {vpn_id!r}")
    if not slash:
        return Place(SeriesKey(Kind.VPN, vpn.id), vpn.organization)
    word, _, peer_id = tail.partition("/")
    if word != "peer" or not peer_id:
        raise RefusedError(RejectReason.INVALID, f"after vpn/UUID comes /peer/ID or nothing, not {'/' + tail!r}")
    peer = view.peers.get((vpn.id, peer_id))
    if peer is None or peer.deleted_at_s is not None:
        raise _unknown(f"peer {peer_id!r} of VPN instance {vpn.id}")
    return Place(SeriesKey(Kind.PEER, f"{vpn.id}/{peer.id}"), vpn.organization)


def _find_space(catalog: Catalog, rest: str, wanted: Wanted, at_s: int, sender: Sender) -> Place:
    del at_s
    view = catalog.view()
    space = view.spaces.get(_number(rest, "space"))
    if space is None or space.deleted_at_s is not None or not _reaches(sender, space.organization):
        raise _unknown(f"space {rest}")
    key = SeriesKey(Kind.SPACE, str(space.id), path=wanted[-1])
    known = view.series_of.get((Kind.SPACE, key.object), ())
    if key.path is not None and key not in view.series_by_key and len(known) >= SERIES_PER_SPACE:
        _require(None, f"assets of space {space.id}")
    return Place(key, space.organization)


def _find_app(catalog: Catalog, rest: str, wanted: Wanted, at_s: int, sender: Sender) -> Place:
    del at_s
    view = catalog.view()
    _, environment_name, consumer_name, method, path = wanted
    app = view.apps.get(_number(rest, "app"))
    if app is None or app.deleted_at_s is not None or not _reaches(sender, app.organization):
        raise _unknown(f"app {rest}")
    if (method is None) != (path is None):
        raise RefusedError(RejectReason.INVALID, "data.method and data.path go together")
    environment = consumer = None
    if environment_name is not None:
        environment = catalog.enter_environment(app.id, environment_name)
        _require(environment, f"environments of app {app.id}")
    if consumer_name is not None:
        consumer = catalog.enter_consumer(app.id, consumer_name)
        _require(consumer, f"consumers of app {app.id}")
    key = SeriesKey(Kind.APP, str(app.id), environment, consumer, method and method.upper(), path)
    is_fine = consumer is not None or path is not None  # an environment as a whole always has its series
    if is_fine and key not in view.series_by_key and catalog.series_count(app.id) >= SERIES_PER_APP:
        _require(None, f"endpoints of app {app.id} (send route templates such as /items/{{id}}, not raw paths)")
    return Place(key, app.organization)


def _require(number: int | None, what: str) -> None:
    if number is None:
        raise RefusedError(RejectReason.TOO_MANY, f"too many {what}")


def _reaches(sender: Sender, organization: str) -> bool:
    return sender.project is None and sender.organization in (None, organization)


_FINDERS: dict[str, Callable[[Catalog, str, Wanted, int, Sender], Place]] = {
    "server": _find_server, "vpn": _find_vpn, "app": _find_app, "space": _find_space,
}
