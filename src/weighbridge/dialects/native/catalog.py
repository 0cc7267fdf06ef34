"""The catalog over HTTP: every kind of object by the same few handlers, and the whole of it as one document."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import quote

import msgspec

from weighbridge.dialects.native.asking_query import must_know
from weighbridge.dialects.native.catalog_docs import (
    APPLY_PARAMS,
    DEFAULT_LIMIT,
    DOCUMENT_ANSWER,
    DOCUMENT_BODY,
    FILTER_PARAMS,
    JSON,
    MAX_LIMIT,
    PAGE_PARAMS,
    PLAN,
    RESOURCES,
    Resource,
    page_of,
)
from weighbridge.domain.errors import InvalidInputError
from weighbridge.domain.timegrid import rfc3339
from weighbridge.http.failures import UnreadableBodyError
from weighbridge.http.route import PROBLEM, Answer, Documented, Route
from weighbridge.metering.attribution import show_attribution, show_prefix
from weighbridge.model import BEGINNING_S, END_S, Attribution, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weighbridge.http.route import Call, Principal
    from weighbridge.model import Key

    Handler = Callable[[Call], Answer]

DOCUMENT_LIMIT = 4 * 1024 * 1024
"""Bytes of a catalog file: some 40,000 servers. It is checked as a whole, in memory."""
READ_SCOPE = (Scope.TRAFFIC_READ, Scope.CATALOG_WRITE)
"""What it takes to look: whoever may ask for usage needs the ids to ask with."""
CONFLICT = Documented("It contradicts what is there: an id or a name is taken, or something is in use", PROBLEM.content)


class CatalogAdmin(Protocol):
    """What these routes need of the catalog; `who` sees its own organization (and project) and nothing else.

    Errors: InvalidDocumentError, NotVisibleError, NotPermittedError, ConflictError, StorageError.
    """

    def list_objects(self, kind: str, who: Principal, filters: Mapping[str, str]) -> Sequence[Any]:
        """The living objects of a kind, by id."""

    def get_object(self, kind: str, name: str, who: Principal, *, parent: str | None = None) -> Any:  # noqa: ANN401
        """One living object, a struct of model.py."""

    def create_object(self, kind: str, fields: object, who: Principal, *, parent: str | None = None) -> Any:  # noqa: ANN401
        """A new object, or one that is there again after it was deleted."""

    def change_object(
        self, kind: str, name: str, fields: object, who: Principal, *, parent: str | None = None
    ) -> Any:  # noqa: ANN401
        """The object with the fields that are given; the others stay."""

    def delete_object(self, kind: str, name: str, who: Principal, *, parent: str | None = None) -> None:
        """The object is gone; its usage stays."""

    def apply(self, document: object, *, prune: bool = False, dry_run: bool = False) -> object:
        """The plan of a document, which is in force now unless `dry_run`."""

    def export(self, who: Principal) -> dict[str, object]:
        """The catalog as a document."""

    def create_key(self, fields: object, who: Principal) -> tuple[Key, str]:
        """A new key and its secret."""

    def list_keys(self, who: Principal, organization: str | None = None) -> Sequence[Key]:
        """The keys in force, by id."""

    def get_key(self, key_id: str, who: Principal) -> Key:
        """One key."""

    def revoke_key(self, key_id: str, who: Principal) -> None:
        """The key opens nothing any more."""


def catalog_of(call: Call) -> CatalogAdmin:
    """The catalog that a call reaches."""
    return cast("CatalogAdmin", call.services.catalog)


def read_json(call: Call) -> object:
    """The body as JSON; UnreadableBodyError where it is none."""
    try:
        found: object = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableBodyError(f"the body is no JSON: {str(error)[:200]}") from None
    return found


def answer_json(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer of JSON."""
    return Answer(status, msgspec.json.encode(value), headers=headers)


def answer_page(call: Call, items: Sequence[Any], show: Callable[[Any], object]) -> Answer:
    """A page of `items`, which are ordered by their ids: `limit` of those behind `next_token`."""
    return answer_json(paged(call, items, show))


def paged(call: Call, items: Sequence[Any], show: Callable[[Any], object]) -> dict[str, Any]:
    """The same, to be answered with more beside it."""
    limit, last = _limit(call), _last_id(call)
    if last is not None and items and type(last) is not type(items[0].id):
        raise _wrong_token()
    rest = items if last is None else [item for item in items if item.id > last]
    page, has_more = rest[:limit], len(rest) > limit
    token = _token(call, page[-1].id) if has_more else None
    return {"data": [show(item) for item in page], "has_more": has_more, "next_token": token}


def _limit(call: Call) -> int:
    text = call.one("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise InvalidInputError(f"must be an integer from 1 to {MAX_LIMIT}, not {text[:60]!r}", where="limit")
    return int(text)


def _token(call: Call, last: str | int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([_question(call), last])).decode().rstrip("=")


def _last_id(call: Call) -> str | int | None:
    """The id that a token ends with; InvalidInputError where it is no token of this question."""
    token = call.one("next_token")
    if token is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        question, last = msgspec.json.decode(raw, type=tuple[str, str | int])
    except (ValueError, binascii.Error, msgspec.DecodeError):
        question, last = "", ""
    if question != _question(call):
        raise _wrong_token()
    return last


def _wrong_token() -> InvalidInputError:
    detail = "is no token of this list with these parameters; begin without it"
    return InvalidInputError(detail, where="next_token")


def _question(call: Call) -> str:
    """What a token is good for: this path with these filters."""
    asked = sorted(pair for pair in call.query if pair[0] not in ("limit", "next_token"))
    return sha256(msgspec.json.encode([call.path, asked])).hexdigest()[:16]


def show_object(resource: Resource, item: Any, who: Principal) -> dict[str, Any]:  # noqa: ANN401  a struct of model.py
    """An object as answers show it to `who`."""
    found: dict[str, Any] = msgspec.to_builtins(item)
    found.pop("deleted_at_s", None)
    if resource.kind == "exporter":
        found["networks"] = [show_prefix(prefix) for prefix in item.networks]
    if resource.kind == "server":
        found["placements"] = [
            {"from": _instant(place.from_s), "project": place.project, "region": place.region} for place in item.placements
        ]
    if "attributions" in found:
        last = item.attributions[-1] if item.attributions else Attribution(BEGINNING_S)
        found |= show_attribution(last)
        found["attributions"] = [
            {"from": _instant(max(each.from_s, since_s)), **show_attribution(each)}
            for each, since_s in _attributions_for(item, who)
        ]
    return found


def _instant(at_s: int) -> str | None:
    """RFC 3339; None: the beginning of time."""
    return None if at_s == BEGINNING_S else rfc3339(at_s)


def _attributions_for(item: Any, who: Principal) -> list[tuple[Attribution, int]]:  # noqa: ANN401  Server, VpnInstance, Peer
    """The attributions that `who` may see, and since when.

    A server brings no history from the project that it was in before: that may be another organization's network.
    """
    since_s = BEGINNING_S
    for place in reversed(getattr(item, "placements", ()) if who.organization is not None else ()):
        if place.project != item.project:
            break
        since_s = place.from_s
    ends_s = [each.from_s for each in item.attributions[1:]] + [END_S]
    pairs = zip(item.attributions, ends_s, strict=False)  # nothing declared: but one end
    return [(each, since_s) for each, end_s in pairs if end_s > since_s]


def _parent(resource: Resource, call: Call) -> str | None:
    return call.path_params[resource.prefix_param] if resource.prefix_param else None


def _lister(resource: Resource) -> Handler:
    def list_objects(call: Call) -> Answer:
        """A page of the living objects that the key sees."""
        must_know(call, ("limit", "next_token", *resource.filters))
        filters = {name: value for name in resource.filters if (value := call.one(name)) is not None}
        parent = _parent(resource, call)
        if parent is not None and resource.parent:
            filters[resource.parent] = parent
        items = catalog_of(call).list_objects(resource.kind, call.who, filters)
        return answer_page(call, items, lambda item: show_object(resource, item, call.who))

    return list_objects


def _getter(resource: Resource) -> Handler:
    def get_object(call: Call) -> Answer:
        """One object."""
        must_know(call, ())
        name = call.path_params[resource.param]
        item = catalog_of(call).get_object(resource.kind, name, call.who, parent=_parent(resource, call))
        return answer_json(show_object(resource, item, call.who))

    return get_object


def _creator(resource: Resource) -> Handler:
    def create_object(call: Call) -> Answer:
        """The object is there, durably; `Location` says where."""
        must_know(call, ())
        item = catalog_of(call).create_object(
            resource.kind, read_json(call), call.who, parent=_parent(resource, call)
        )
        where = f"{call.path}/{quote(str(item.id), safe='')}"
        return answer_json(show_object(resource, item, call.who), 201, (("Location", where),))

    return create_object


def _changer(resource: Resource) -> Handler:
    def change_object(call: Call) -> Answer:
        """The given fields are changed, durably."""
        must_know(call, ())
        name = call.path_params[resource.param]
        item = catalog_of(call).change_object(
            resource.kind, name, read_json(call), call.who, parent=_parent(resource, call)
        )
        return answer_json(show_object(resource, item, call.who))

    return change_object


def _deleter(resource: Resource) -> Handler:
    def delete_object(call: Call) -> Answer:
        """The object and what belongs to it are gone; their usage stays."""
        must_know(call, ())
        name = call.path_params[resource.param]
        catalog_of(call).delete_object(resource.kind, name, call.who, parent=_parent(resource, call))
        return Answer(204, b"")

    return delete_object


def _routes(resource: Resource) -> tuple[Route, ...]:
    """The five routes of a kind."""
    write = Scope.ADMIN if resource.is_global else Scope.CATALOG_WRITE
    read = Scope.ADMIN if resource.is_hidden else READ_SCOPE
    article = "an" if resource.noun[0] in "aeiou" else "a"
    path, one = resource.params(is_one=False), resource.params(is_one=True)
    object_ = Documented(f"The {resource.noun}", {JSON: resource.schema()}, resource.example)
    created = Documented(object_.description, object_.content, object_.example, {"Location": "Where it is"})
    page = page_of(resource.schema(), resource.example, f"{resource.section.replace('_', ' ').capitalize()} by id")
    plural = resource.noun + "s"
    filters = tuple(FILTER_PARAMS[name] for name in resource.filters)
    name, sees = resource.kind.replace("_", "-"), resource.sees
    more = f" {resource.description}" if resource.description else ""
    return (
        Route("GET", resource.list_path, f"list-{name}s", f"The {plural} that the key sees", _lister(resource),
              read, (*path, *filters, *PAGE_PARAMS), answers={200: page}, sees=sees),
        Route("POST", resource.list_path, f"create-{name}", f"Make {article} {resource.noun}", _creator(resource),
              write, path, resource.body(is_new=True), answers={201: created, 409: CONFLICT}, sees=sees,
              description=f"An id that was deleted is restored, with its usage, where it belonged before.{more}"),
        Route("GET", resource.path, f"get-{name}", f"Read one {resource.noun}", _getter(resource), read, one,
              answers={200: object_}, sees=sees),
        Route("PATCH", resource.path, f"change-{name}", f"Change fields of {article} {resource.noun}",
              _changer(resource), write, one, resource.body(is_new=False), answers={200: object_, 409: CONFLICT},
              sees=sees, description=resource.description),
        Route("DELETE", resource.path, f"delete-{name}", f"Delete {article} {resource.noun}; its usage stays",
              _deleter(resource), write, one,
              answers={204: Documented("It is gone"), 409: CONFLICT}, sees=sees),
    )


def put_catalog(call: Call) -> Answer:
    """The catalog is as the file declares it, all or nothing; the plan of it."""
    must_know(call, ("dry_run", "prune"))
    plan = catalog_of(call).apply(_document(call), prune=_flag(call, "prune"), dry_run=_flag(call, "dry_run"))
    return answer_json(plan)


def _document(call: Call) -> object:
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == JSON:
        return read_json(call)
    # Imported here: most processes never see a YAML file, and the reader takes a tenth of the start.
    from weighbridge.dialects.native.catalog_yaml import read_yaml  # noqa: PLC0415

    return read_yaml(call.body)


def _flag(call: Call, name: str) -> bool:
    text = call.one(name)
    if text not in (None, "true", "false", "1", "0"):
        raise InvalidInputError(f"must be true or false, not {str(text)[:60]!r}", where=name)
    return text in ("true", "1")


def get_catalog(call: Call) -> Answer:
    """The catalog that the key sees, in the shape of the file."""
    must_know(call, ())
    return answer_json(catalog_of(call).export(call.who))


CATALOG_ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/v1/catalog", "get-catalog", "The whole catalog that the key sees, as a file", get_catalog,
          READ_SCOPE, answers={200: DOCUMENT_ANSWER}),
    Route("PUT", "/api/v1/catalog", "put-catalog", "Bring the catalog to what a file declares", put_catalog,
          Scope.ADMIN, APPLY_PARAMS, DOCUMENT_BODY, DOCUMENT_LIMIT, {200: PLAN},
          description="YAML or JSON. Objects are merged by id: what is not there is made, given fields replace, absent "
                      "ones stay. Nothing is deleted unless `prune` says so; usage never is. All or nothing: if "
                      "anything is wrong, the answer lists all of it, and nothing has changed."),
    *(route for resource in RESOURCES for route in _routes(resource)),
)
"""The whole catalog, and five routes for each kind of object."""
