"""What a caller may name, and what it then gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.worlds import VPN, World
from weighbridge.domain.errors import InvalidInputError, NotVisibleError
from weighbridge.model import Endpoint, Kind
from weighbridge.reports.selection import Reach, Selection, Span, resolve, select
from weighbridge.reports.usage import total

if TYPE_CHECKING:
    from weighbridge.model import CatalogView


def full() -> World:
    world = World()
    for slug in ("brazil", "chile"):
        world.region(slug)
    for name in ("acme", "bolt"):
        world.organization(name)
    world.project("p1", "acme", slug="web")
    world.project("p2", "acme")
    world.project("p3", "bolt", slug="web")
    world.server("sv_1", (0, "p1", "brazil"), (3000, "p2", "chile"))
    world.server("sv_2", (0, "p1", "brazil"))
    world.server("sv_3", (0, "p3", "brazil"))
    world.server("sv_4", (0, "p1", "brazil"), (6000, "p3", "chile"))
    world.vpn("acme", "brazil", "alice")
    for number, organization in ((1, "acme"), (2, "bolt")):
        world.app(number, organization, Endpoint("get", "/healthz"))
        world.environment(number, number, "prod")
        world.consumer(number, number, "alice")
        world.space(number, organization)
    return world


@pytest.fixture(scope="module")
def view() -> CatalogView:
    return full().view


@pytest.mark.parametrize(("reach", "asked"), [
    (Reach("acme"), {"organization": "bolt"}),
    (Reach("acme"), {"organization": "bolt-slug"}),
    (Reach("acme"), {"organization": "nobody"}),
    (Reach("acme"), {"project": "p3"}),
    (Reach("acme"), {"project": "nobody"}),
    (Reach("acme"), {"region": "atlantis"}),
    (Reach("acme"), {"server": "sv_3"}),
    (Reach("acme"), {"server": "sv_9"}),
    (Reach("acme"), {"project": "p2", "server": "sv_2"}),
    (Reach("bolt"), {"vpn": VPN}),
    (Reach("acme"), {"vpn": "hq"}),
    (Reach("acme"), {"app": 2}),
    (Reach("acme"), {"environment": 2}),
    (Reach("acme"), {"consumer": 2}),
    (Reach("acme"), {"space": 2}),
    (Reach(), {"app": 1, "environment": 2}),
    (Reach(), {"environment": 1, "consumer": 2}),
    (Reach(), {"organization": "acme", "space": 2}),
    (Reach("acme", "p1"), {"project": "p2"}),
    (Reach("acme", "p2"), {"server": "sv_2"}),
    (Reach("acme", "p1"), {"app": 1}),
    (Reach("acme", "p1"), {"space": 1}),
    (Reach("acme", "p1"), {"vpn": VPN}),
    (Reach("acme", "p2"), {"project": "web"}),
])
def test_what_is_unknown_or_foreign_does_not_exist(view: CatalogView, reach: Reach, asked: dict[str, Any]) -> None:
    with pytest.raises(NotVisibleError):
        resolve(view, reach, Selection(**asked))


@pytest.mark.parametrize(("reach", "asked", "expected"), [
    (Reach("acme"), {}, {"organization": "acme"}),
    (Reach("acme", "p1"), {}, {"organization": "acme", "project": "p1"}),
    (Reach("acme"), {"project": "web"}, {"organization": "acme", "project": "p1"}),
    (Reach("bolt"), {"project": "web"}, {"organization": "bolt", "project": "p3"}),
    (Reach("acme", "p1"), {"project": "web"}, {"organization": "acme", "project": "p1"}),
    (Reach(), {"organization": "acme-slug", "project": "web"}, {"organization": "acme", "project": "p1"}),
    (Reach("acme"), {"server": "sv_4"}, {"organization": "acme", "server": "sv_4"}),  # it was ours once
    (Reach("acme"), {"vpn": VPN.upper()}, {"organization": "acme", "vpn": VPN}),
    (Reach("acme"), {"environment": 1}, {"organization": "acme", "environment": 1, "app": 1}),
    (Reach("acme"), {"consumer": 1}, {"organization": "acme", "consumer": 1, "app": 1}),
])
def test_names_become_ids_within_reach(
    view: CatalogView, reach: Reach, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert resolve(view, reach, Selection(**asked)) == Selection(**expected)


def test_a_foreign_environment_does_not_tell_its_app(view: CatalogView) -> None:
    with pytest.raises(NotVisibleError, match="no environment '2'"):
        resolve(view, Reach("acme"), Selection(environment=2))


def test_a_slug_of_two_projects_is_ambiguous_until_one_is_deleted() -> None:
    world = full()
    with pytest.raises(InvalidInputError, match="p1, p3"):
        resolve(world.view, Reach(), Selection(project="web"))
    world.view.projects["p1"] = msgspec.structs.replace(world.view.projects["p1"], deleted_at_s=1)
    assert resolve(world.view, Reach(), Selection(project="web")).project == "p3"
    assert resolve(world.view, Reach("acme"), Selection(project="web")).project == "p1"  # deleted, its usage is not


def test_a_key_of_a_project_sees_servers_while_they_are_in_it() -> None:
    world = full()
    selected = select(world.view, resolve(world.view, Reach("acme", "p1"), Selection()), ("server",))
    assert selected.keys == (("sv_1",), ("sv_2",), ("sv_4",))
    assert selected.members.until_s == (3000, 2**62, 6000)


def test_keys_are_what_is_there_now_or_was_in_the_span() -> None:
    world = full()
    asked = Selection(organization="acme", kinds=frozenset({Kind.SERVER}))
    later = select(world.view, asked, ("project", "region"), Span(9000, 12000, 20000))
    assert later.keys == (("p1", "brazil"), ("p2", "chile"))
    around = select(world.view, asked, ("project", "server"), Span(5700, 12000, 20000))
    assert around.keys == (("p1", "sv_2"), ("p1", "sv_4"), ("p2", "sv_1"))
    assert around.absent == frozenset()


def test_a_thing_that_left_within_a_cut_billing_slot_is_there_but_not_listed() -> None:
    world = full()
    selected = select(world.view, Selection(organization="acme", server="sv_4"), ("server",), Span(6300, 7200, 9000))
    assert selected.keys == (("sv_4",),)
    assert selected.absent == {0}


def test_excluded_endpoints_are_left_out_whatever_their_case() -> None:
    world = full()
    kept = world.series(Kind.APP, "1", environment=1, method="POST", path="/healthz")
    left = world.series(Kind.APP, "1", environment=1, method="GET", path="/healthz")
    plain = world.series(Kind.APP, "1", environment=1)
    for number in (kept, left, plain):
        world.moves(number, 0, 10**number, 0, 0)
    selected = select(world.view, Selection(app=1))
    assert set(selected.members.series) == {kept, plain}
    assert total(world.store, selected.members, 0, 300).bytes_in == 10**kept + 10**plain


def test_environments_and_consumers_without_traffic_are_keys_too() -> None:
    world = full()
    world.environment(11, 1, "test")
    assert select(world.view, Selection(app=1), ("environment",)).keys == ((1,), (11,))
    assert select(world.view, Selection(environment=11, app=1), ("app", "environment")).keys == ((1, 11),)
    assert select(world.view, Selection(app=2), ("consumer",)).keys == ((2,),)
