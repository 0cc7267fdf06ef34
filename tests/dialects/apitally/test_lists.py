"""The neighbours of 5.3 (CONTRACT part 6), rule by rule, read as the vendor's command line reads them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Annotated, TypeVar

import duckdb
import msgspec
import pytest

from support.kit import ADMIN, NOW_S, READER
from support.seed_world import ACME, FOREIGNER, OTHER, PROJECT_READER, SENDER, World
from weighbridge.dialects.apitally import lists
from weighbridge.dialects.apitally.routes import DIALECT
from weighbridge.model import Endpoint, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TEAM, APPS = "/v1/team", "/v1/apps"
CONSUMERS, ENDPOINTS = "/v1/apps/1/consumers", "/v1/apps/1/endpoints"
EPOCH = "1970-01-01T00:00:00Z"
MADE_S = 1_735_787_045  # 2025-01-02T03:04:05Z
MADE = "2025-01-02T03:04:05Z"
SLOT_S = NOW_S - 3600  # 2025-12-14T15:00:00Z
HEADER = "Weighbridge-Organization"

Id = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
"""What fits the columns that the command line keeps ids in."""


class Team(msgspec.Struct, forbid_unknown_fields=True):
    """Fields and types as the command line has them, here and below; what it ignores may not be there either."""

    id: Id
    name: str


class Environment(msgspec.Struct, forbid_unknown_fields=True):
    id: Id
    name: str
    created_at: str
    last_sync_at: str | None


class App(msgspec.Struct, forbid_unknown_fields=True):
    id: Id
    name: str
    framework: str
    client_id: str
    envs: list[Environment]
    created_at: str


class Group(msgspec.Struct, forbid_unknown_fields=True):
    id: Id
    name: str


class Consumer(msgspec.Struct, forbid_unknown_fields=True):
    id: Id
    identifier: str
    name: str
    group: Group | None
    created_at: str
    last_request_at: str


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    id: Id
    method: str
    path: str


T = TypeVar("T", App, Consumer, Listed)


class World53(World):
    """A world that is asked for lists."""

    def page(
        self, kind: type[T], path: str, query: Mapping[str, object] | None = None, secret: str = READER, **headers: str
    ) -> tuple[list[T], str | None]:
        """The objects of one page, and the token of the next."""
        answer = self.get(path, query, secret=secret, headers=headers)
        assert answer.status_code == 200, answer.text
        page = msgspec.json.decode(answer.content)
        assert list(page) == ["data", "has_more", "next_token"]
        assert page["has_more"] is (page["next_token"] is not None)
        return msgspec.convert(page["data"], list[kind], strict=True), page["next_token"]  # type: ignore[valid-type]

    def pages(self, kind: type[T], path: str, query: Mapping[str, object]) -> list[list[int]]:
        """The ids of all pages."""
        found, token = self.page(kind, path, query)
        listed = [[each.id for each in found]]
        while token is not None:
            found, token = self.page(kind, path, {**query, "next_token": token})
            listed.append([each.id for each in found])
        return listed


@pytest.fixture
def world() -> Iterator[World53]:
    with World53(DIALECT) as found:
        found.app_of(1)
        found.app_of(2, OTHER)
        yield found


def is_kept_by_the_command_line(*instants: str | None) -> bool:
    """Whether its database takes the texts for instants."""
    with duckdb.connect() as database:
        database.execute("CREATE TABLE t (instant TIMESTAMPTZ)")
        database.executemany("INSERT INTO t VALUES (?)", [[each] for each in instants])
        return database.execute("SELECT count(instant) FROM t").fetchone() == (sum(each is not None for each in instants),)


# The team


def test_the_team_is_the_keys_organization(world: World53) -> None:
    found = [msgspec.json.decode(world.get(TEAM, secret=secret).content, type=Team)
             for secret in (READER, PROJECT_READER, FOREIGNER)]
    assert [each.name for each in found] == [ACME, ACME, OTHER]
    assert found[0].id == found[1].id != found[2].id


@pytest.mark.parametrize(("named", "team"), [(ACME, ACME), ("other", OTHER), ("nobody", None)])
def test_a_key_that_sees_all_names_the_team(world: World53, named: str, team: str | None) -> None:
    answer = world.get(TEAM, secret=ADMIN, headers={HEADER: named})
    if team is None:
        assert (answer.status_code, answer.json()) == (404, {"detail": "Organization not found"})
    else:
        assert msgspec.json.decode(answer.content, type=Team).name == team


def test_without_a_name_it_is_the_only_one_there_is(world: World53) -> None:
    answer = world.get(TEAM, secret=ADMIN)
    assert answer.status_code == 422
    (fault,) = answer.json()["detail"]
    assert (fault["type"], fault["loc"], fault["input"]) == ("value_error", ["header", HEADER.lower()], None)
    world.organization(OTHER, deleted_at_s=1)
    assert world.get(TEAM, secret=ADMIN).json()["name"] == ACME


# Apps


def test_an_app_as_a_whole(world: World53) -> None:
    world.view.apps_of.clear()
    world.app_of(1, framework="python:starlette", client_id="76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9", created_at_s=MADE_S)
    world.environment(12, 1, created_at_s=MADE_S)
    prod = world.environment(11, 1)
    world.put(world.series(Kind.APP, 1, environment=prod), SLOT_S, 1, 1, 1)
    [app], token = world.page(App, APPS)
    assert app == App(
        1, "app-1", "python:starlette", "76b5cb91-a0a4-4ea0-a894-57d2b9fcb2c9",
        [Environment(11, "env-11", EPOCH, "2025-12-14T15:00:00Z"), Environment(12, "env-12", MADE, None)],
        MADE,
    )
    assert token is None
    assert is_kept_by_the_command_line(MADE, EPOCH, "2025-12-14T15:00:00Z", None)


def test_what_is_not_known_of_an_app(world: World53) -> None:
    assert world.page(App, APPS) == ([App(1, "app-1", "unknown", "", [], EPOCH)], None)


def test_whatever_an_environment_sends_is_a_sync(world: World53) -> None:
    """Zeros, unknown amounts and excluded endpoints, too: the newest of all its series, up to now."""
    world.app_of(3, excluded=(Endpoint("GET", "/healthz"),))
    for number in (31, 32, 33):
        world.environment(number, 3)
    world.put(world.series(Kind.APP, 3, environment=31), SLOT_S, 1, 1, 1)
    world.put(world.series(Kind.APP, 3, environment=31, method="GET", path="/healthz"), SLOT_S + 300, 1, 1, 1)
    world.put(world.series(Kind.APP, 3, environment=31, consumer=7), SLOT_S - 300, 1, 1, 1)
    world.put(world.series(Kind.APP, 3, environment=32), NOW_S, 0, 0, 0)
    world.put(world.series(Kind.APP, 3, environment=32, consumer=7), NOW_S + 300, 1, 1, 1)  # ahead of the clock
    world.put(world.series(Kind.APP, 3), SLOT_S, 1, 1, 1)
    [_, app], _ = world.page(App, APPS)
    assert [each.last_sync_at for each in app.envs] == ["2025-12-14T15:05:00Z", "2025-12-14T16:00:00Z", None]


@pytest.mark.parametrize(
    ("secret", "named", "listed"),
    [
        (READER, None, [1, 4]),
        (READER, ACME, [1, 4]),
        (READER, OTHER, None),
        (FOREIGNER, None, [2, 3]),
        (PROJECT_READER, None, []),
        (ADMIN, None, [1, 2, 3, 4]),
        (ADMIN, "other", [2, 3]),
        (ADMIN, "nobody", None),
    ],
)
def test_which_apps_are_listed(world: World53, secret: str, named: str | None, listed: list[int] | None) -> None:
    world.app_of(4)
    world.app_of(3, OTHER)
    world.app_of(5, deleted_at_s=1)
    headers = {} if named is None else {HEADER: named}
    if listed is None:
        answer = world.get(APPS, secret=secret, headers=headers)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Organization not found"})
    else:
        assert [app.id for app in world.page(App, APPS, secret=secret, **headers)[0]] == listed


def test_apps_come_all_at_once_unless_it_is_said_otherwise(world: World53) -> None:
    for number in range(10, 210):
        world.app_of(number)
    assert [len(page) for page in world.pages(App, APPS, {})] == [201]
    assert [len(page) for page in world.pages(App, APPS, {"limit": 67})] == [67, 67, 67]
    assert [*chain(*world.pages(App, APPS, {"limit": 50}))] == [1, *range(10, 210)]


# Consumers


def test_a_consumer_as_a_whole(world: World53) -> None:
    world.consumer(7, 1, name="Alice", group="Gold", created_at_s=MADE_S)
    world.consumer(8, 1, group="Gold")
    world.consumer(9, 1, group="Silver", created_at_s=MADE_S)
    world.consumer(10, 1)
    world.consumer(70, 2)
    world.put(world.series(Kind.APP, 1, consumer=7), SLOT_S, 1, 1, 1)
    found, token = world.page(Consumer, CONSUMERS)
    gold, silver = found[3].group, found[1].group
    assert gold
    assert silver
    assert gold.id != silver.id
    assert (found, token) == ([
        Consumer(10, "consumer-10", "consumer-10", None, EPOCH, EPOCH),
        Consumer(9, "consumer-9", "consumer-9", Group(silver.id, "Silver"), MADE, MADE),
        Consumer(8, "consumer-8", "consumer-8", Group(gold.id, "Gold"), EPOCH, EPOCH),
        Consumer(7, "consumer-7", "Alice", Group(gold.id, "Gold"), MADE, "2025-12-14T15:00:00Z"),
    ], None)


def test_the_same_group_of_another_app_is_another_group(world: World53) -> None:
    world.consumer(7, 1, group="Gold")
    world.consumer(8, 2, group="Gold")
    [ours], _ = world.page(Consumer, CONSUMERS)
    [theirs], _ = world.page(Consumer, "/v1/apps/2/consumers", secret=FOREIGNER)
    assert ours.group
    assert theirs.group
    assert ours.group.id != theirs.group.id


def test_the_last_request_is_the_newest_slot_in_which_something_moved(world: World53) -> None:
    world.app_of(3, excluded=(Endpoint("GET", "/healthz"),))
    for number in (31, 32, 33, 34, 35):
        world.consumer(number, 3, created_at_s=MADE_S)
    world.put(world.series(Kind.APP, 3, consumer=31), SLOT_S, requests=1)
    world.put(world.series(Kind.APP, 3, consumer=31, environment=1), SLOT_S + 300, bytes_out=1)
    world.put(world.series(Kind.APP, 3, consumer=31, environment=2), SLOT_S + 600, 0, 0, 0)  # a counter that stood still
    world.put(world.series(Kind.APP, 3, consumer=32), SLOT_S, 1)
    world.put(world.series(Kind.APP, 3, consumer=32, method="get", path="/healthz"), SLOT_S + 300, 1, 1, 1)
    world.put(world.series(Kind.APP, 3, consumer=33, method="GET", path="/healthz"), SLOT_S, 1, 1, 1)
    world.put(world.series(Kind.APP, 3, consumer=34), MADE_S - 86_400, 1, 1, 1)  # told of later
    found, _ = world.page(Consumer, "/v1/apps/3/consumers")
    assert {each.id: each.last_request_at for each in found} == {
        35: MADE, 34: "2025-01-01T03:00:00Z", 33: MADE, 32: "2025-12-14T15:00:00Z", 31: "2025-12-14T15:05:00Z"}


@pytest.mark.parametrize(
    ("since", "listed"),
    [
        ("2025-12-14T15:05:00Z", [9, 7]),
        ("2025-12-14T15:09:59.999Z", [9, 7]),  # the slot in which it lies is whole
        ("2025-12-14T15:10:00Z", [9]),
        ("2025-12-14T16:05:00Z", []),
        ("2099-01-01", []),
        ("2025-12-14T15:00:00Z", [9, 8, 7]),
        ("2025-12-14T16:00:00+01:00", [9, 8, 7]),
        ("2025-12-14T15:00:00", [9, 8, 7]),
        ("2025-01-02T03:00:00Z", [10, 9, 8, 7]),  # 10 was entered then
        ("1972-01-01", [10, 9, 8, 7]),
    ],
)
def test_only_who_was_heard_of_since(world: World53, since: str, listed: list[int]) -> None:
    world.consumer(6, 1)
    world.consumer(10, 1, created_at_s=MADE_S)
    world.consumer(11, 1, created_at_s=NOW_S)  # entered now, for what was long ago
    for number, at_s in ((7, SLOT_S + 300), (8, SLOT_S), (9, NOW_S), (11, 86_400)):
        if number != 11:
            world.consumer(number, 1)
        world.put(world.series(Kind.APP, 1, consumer=number), at_s, 1, 1, 1)
    assert world.pages(Consumer, CONSUMERS, {"requests_since": since}) == [listed]
    assert [*chain(*world.pages(Consumer, CONSUMERS, {"requests_since": since, "limit": 1}))] == listed


def test_a_hundred_consumers_a_page(world: World53) -> None:
    for number in range(1, 1002):
        world.consumer(number, 1)
    every = list(range(1001, 0, -1))
    pages = world.pages(Consumer, CONSUMERS, {})
    assert [len(page) for page in pages] == [*[100] * 10, 1]
    assert [*chain(*pages)] == every
    pages = world.pages(Consumer, CONSUMERS, {"limit": 1000})
    assert [len(page) for page in pages] == [1000, 1]
    assert [*chain(*pages)] == every


def test_a_consumer_that_comes_in_between_moves_none(world: World53) -> None:
    for number in range(1, 5):
        world.consumer(number, 1)
    first, token = world.page(Consumer, CONSUMERS, {"limit": 2})
    world.consumer(5, 1)
    del world.view.consumers[3], world.view.consumers[2]  # the one that the token names, and the next
    second, _ = world.page(Consumer, CONSUMERS, {"limit": 2, "next_token": token})
    assert [each.id for each in (*first, *second)] == [4, 3, 1]


# Endpoints


ROUTES = (("GET", "/v1/users/{id}"), ("DELETE", "/v1/users/{id}"), ("POST", "/v1/users"), ("GET", "/healthz"), ("GET", "/"))


@pytest.fixture
def routes(world: World53) -> World53:
    """A world whose app 1 has ROUTES, numbered from 101 on."""
    for number, (method, path) in enumerate(ROUTES, 101):
        world.endpoint(number, 1, method, path)
    world.endpoint(201, 2, "GET", "/foreign")
    return world


def test_endpoints_come_by_path_and_method_excluded_ones_too(routes: World53) -> None:
    routes.view.apps_of.clear()
    routes.app_of(1, excluded=(Endpoint("GET", "/healthz"),))
    assert routes.page(Listed, ENDPOINTS) == ([
        Listed(105, "GET", "/"),
        Listed(104, "GET", "/healthz"),
        Listed(103, "POST", "/v1/users"),
        Listed(102, "DELETE", "/v1/users/{id}"),
        Listed(101, "GET", "/v1/users/{id}"),
    ], None)


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ({"method": "GET"}, [105, 104, 101]),
        ({"method": " post, Delete "}, [103, 102]),
        ({"method": "PATCH"}, []),
        ({"method": ""}, []),
        ({"path": "/v1/users"}, [103]),
        ({"path": "/v1/*"}, [103, 102, 101]),
        ({"path": "*{id}"}, [102, 101]),
        ({"path": "/*u*s*"}, [103, 102, 101]),
        ({"path": "*"}, [105, 104, 103, 102, 101]),
        ({"path": "/V1/users"}, []),
        ({"path": "/v1/user."}, []),
        ({"path": ""}, []),
        ({"path": "*" * 1024}, [105, 104, 103, 102, 101]),
        ({"method": "GET", "path": "/v1/*"}, [101]),
    ],
)
def test_filters_of_endpoints(routes: World53, query: dict[str, str], listed: list[int]) -> None:
    assert routes.pages(Listed, ENDPOINTS, query) == [listed]
    assert [*chain(*routes.pages(Listed, ENDPOINTS, {**query, "limit": 1}))] == listed


def test_endpoints_of_an_environment_are_those_that_were_called_there(routes: World53) -> None:
    prod, dev, foreign = routes.environment(11, 1), routes.environment(12, 1), routes.environment(21, 2)
    routes.series(Kind.APP, 1, environment=prod, method="GET", path="/")
    routes.series(Kind.APP, 1, environment=prod, method="GET", path="/", consumer=7)
    routes.series(Kind.APP, 1, environment=prod, method="POST", path="/v1/users")
    routes.series(Kind.APP, 1, environment=dev)
    routes.series(Kind.APP, 2, environment=foreign, method="GET", path="/")
    listed = {each: routes.pages(Listed, ENDPOINTS, {"app_env_id": each}) for each in (prod, dev, foreign, 99, 10**30)}
    assert listed == {prod: [[105, 103]], dev: [[]], foreign: [[]], 99: [[]], 10**30: [[]]}


def test_as_many_endpoints_as_an_app_can_have_come_at_once(world: World53) -> None:
    world.view.endpoints_of[1] = {Endpoint("GET", f"/{n:05}"): n for n in range(1, lists.MAX_ENDPOINTS + 2)}
    assert [len(page) for page in world.pages(Listed, ENDPOINTS, {})] == [10_000, 1]


# All of them


@pytest.mark.parametrize("path", [TEAM, APPS, CONSUMERS, ENDPOINTS])
@pytest.mark.parametrize(("secret", "status"), [(None, 401), ("wrong", 401), (SENDER, 403)])
def test_who_may_not_ask(world: World53, path: str, secret: str | None, status: int) -> None:
    answer = world.get(path, secret=secret)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]


@pytest.mark.parametrize("path", [CONSUMERS, ENDPOINTS])
@pytest.mark.parametrize("secret", [FOREIGNER, PROJECT_READER])
def test_a_foreign_app_is_not_there(world: World53, path: str, secret: str) -> None:
    answer = world.get(path, secret=secret)
    assert (answer.status_code, answer.json()) == (404, {"detail": "App not found"})
    for number in ("3", "9" * 30):
        assert world.get(path.replace("apps/1", f"apps/{number}"), secret=ADMIN).status_code == 404


@pytest.mark.parametrize("path", [TEAM, APPS, CONSUMERS, ENDPOINTS])
def test_the_command_line_sends_its_key_in_a_header_of_its_own(world: World53, path: str) -> None:
    assert world.get(path, secret=None, headers={"Api-Key": READER}).status_code == 200
    assert world.get(path, method="PUT").json() == {"detail": "Method Not Allowed"}


def test_what_is_below_the_team_is_refused_in_the_vendors_words(world: World53) -> None:
    answer = world.get(f"{TEAM}/members")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("path", "query", "faults"),
    [
        (APPS, {"limit": "0"}, [("limit", "greater_than_equal")]),
        (APPS, {"limit": "1001"}, [("limit", "less_than_equal")]),
        (CONSUMERS, {"limit": "1001"}, [("limit", "less_than_equal")]),
        (CONSUMERS, {"limit": "x", "next_token": "x" * 1025, "requests_since": "soon"},
         [("requests_since", "datetime_from_date_parsing"), ("next_token", "string_too_long"), ("limit", "int_parsing")]),
        (CONSUMERS, {"requests_since": "1969-01-01"}, [("requests_since", "value_error")]),
        (CONSUMERS, {"next_token": ""}, [("next_token", "value_error")]),
        (CONSUMERS, {"next_token": "é€"}, [("next_token", "value_error")]),
        (ENDPOINTS, {"limit": "10001"}, [("limit", "less_than_equal")]),
        (ENDPOINTS, {"app_env_id": "0", "method": "x" * 65, "path": "x" * 1025},
         [("app_env_id", "greater_than_equal"), ("method", "string_too_long"), ("path", "string_too_long")]),
        ("/v1/apps/shop/endpoints", {}, [("app_id", "int_parsing")]),
        ("/v1/apps/0/consumers", {"limit": "-1"}, [("app_id", "greater_than_equal"), ("limit", "greater_than_equal")]),
    ],
)
def test_invalid_parameters(
    world: World53, path: str, query: dict[str, str], faults: list[tuple[str, str]]
) -> None:
    answer = world.get(path, query)
    assert answer.status_code == 422
    assert [(fault["loc"][1], fault["type"]) for fault in answer.json()["detail"]] == faults


def test_a_token_is_bound_to_its_list(world: World53) -> None:
    world.app_of(3)
    for number in range(1, 4):
        world.consumer(number, 1)
        world.endpoint(number, 1, "GET", f"/{number}")
    since = {"requests_since": "1972-01-01", "limit": "1"}
    for number in range(1, 4):
        world.put(world.series(Kind.APP, 1, consumer=number), SLOT_S, 1)
    token = world.page(Consumer, CONSUMERS, since)[1]
    assert token is not None
    bound = since | {"next_token": token}
    assert world.get(CONSUMERS, bound).status_code == 200
    for path, other, secret in (
        (CONSUMERS, {"limit": "2"}, READER),
        (CONSUMERS, {"requests_since": "1972-01-02"}, READER),
        (CONSUMERS, {}, ADMIN),
        ("/v1/apps/3/consumers", {}, READER),
        (ENDPOINTS, {}, READER),
        (APPS, {}, READER),
        ("/v1/apps/1/traffic", {}, READER),
        (CONSUMERS, {"next_token": token.swapcase()}, READER),
    ):
        answer = world.get(path, bound | other, secret=secret)
        assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "next_token"]), path
    traffic = {"start": "2025-05-14", "end": "2025-05-15", "limit": "1"}
    foreign = world.get("/v1/apps/1/traffic", traffic).json()["next_token"]
    assert world.get(CONSUMERS, {"limit": "1", "next_token": foreign}).status_code == 422


def test_each_list_has_a_limit_of_its_own() -> None:
    with World53(DIALECT, rate_limits=True) as world:
        world.app_of(1)
        for path in (TEAM, APPS, CONSUMERS, ENDPOINTS):
            for _ in range(100):
                answer = world.get(path)
                assert answer.status_code == 200
            assert answer.headers["X-RateLimit-Remaining"] == "0"
            assert world.get(path).status_code == 429


@pytest.mark.parametrize("path", [APPS, CONSUMERS])
def test_a_store_at_fault_is_not_told_in_detail(world: World53, path: str) -> None:
    world.consumer(7, 1)
    world.environment(11, 1)
    world.series(Kind.APP, 1, environment=11, consumer=7)
    world.store.close()
    answer = world.get(path)
    assert (answer.status_code, answer.json()) == (503, {"detail": "Service Unavailable"})
