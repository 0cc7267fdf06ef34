"""Which interfaces are metered for whom: each frame counts once for each server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.sources.host.choice import Link, below, choose
from weighbridge.sources.host.settings import HostSettings


def device(name: str, master: str | None = None, *lowers: str) -> Link:
    return Link(name, has_device=True, lowers=frozenset(lowers), master=master)


def virtual(name: str, *lowers: str, master: str | None = None, bridge: bool = False) -> Link:
    return Link(name, lowers=frozenset(lowers), master=master, is_bridge=bridge)


def table(*interfaces: str, server: str = "sv_1", **more) -> HostSettings:
    return HostSettings(server=server, interfaces=interfaces, **more)


PLAIN = [device("eth0"), device("eth1"), virtual("wg0"), virtual("lo")]
BOND = [device("eth0", "bond0"), device("eth1", "bond0"), virtual("bond0", "eth0", "eth1"), virtual("bond0.7", "bond0")]
VLAN = [device("eth0"), virtual("eth0.7", "eth0"), virtual("mac0", "eth0")]
BRIDGE = [
    device("eth0", "br0"), virtual("br0", "eth0", "veth1", "veth2", bridge=True), virtual("veth1", master="br0"),
    virtual("veth2", master="br0"), virtual("veth3"),
]
BRIDGED_BOND = [
    device("eth0", "bond0"), device("eth1", "bond0"), virtual("bond0", "eth0", "eth1", master="br0"),
    virtual("br0", "bond0", "veth1", bridge=True), virtual("veth1", master="br0"),
]
SWITCH = [device("eth0"), device("lan1", None, "eth0"), device("lan2", None, "eth0")]
VRF = [device("eth0", "red"), virtual("red", "eth0"), virtual("lo")]
NAMESPACE = [virtual("eth0"), virtual("eth0.7", "eth0"), virtual("lo")]


@pytest.mark.parametrize(("links", "tables", "metered"), [
    (PLAIN, [table()], "eth0 eth1"),
    (PLAIN, [table(exclude=("eth1",))], "eth0"),
    (PLAIN, [table("*")], "eth0 eth1 wg0"),
    (PLAIN, [table("lo")], ""),
    (PLAIN, [table("wg?")], "wg0"),
    (NAMESPACE, [table()], "eth0"),
    (BOND, [table()], "eth0 eth1"),
    (BOND, [table("*")], "eth0 eth1"),
    (BOND, [table("bond0")], "bond0"),
    (BOND, [table("bond*")], "bond0"),
    (BOND, [table("bond0", "eth0")], "bond0"),
    (BOND, [table("bond0", "eth0", "eth1")], "eth0 eth1"),
    (BOND, [table("*", exclude=("eth1",))], "bond0"),
    (BOND, [table("bond0.7")], "bond0.7"),
    (BOND, [table("bond0.7", "eth0", "eth1")], "eth0 eth1"),
    (VLAN, [table("*")], "eth0"),
    (VLAN, [table("eth0.7", "mac0")], "eth0.7 mac0"),
    (BRIDGE, [table()], "eth0"),
    (BRIDGE, [table("*")], "eth0 veth3"),
    (BRIDGE, [table("br0", "eth0")], "eth0"),
    (BRIDGE, [table("br0")], "br0"),
    (BRIDGE, [table("veth*")], "veth1 veth2 veth3"),
    (BRIDGE, [table(), table("veth1", server="sv_2", facing="server")], "eth0 veth1:1"),
    (BRIDGE, [table(), table("veth*", facing="server")], "eth0 veth1:1 veth2:1 veth3:1"),
    (BRIDGED_BOND, [table("*")], "eth0 eth1"),
    (BRIDGED_BOND, [table("bond0", "veth1")], "bond0"),
    (BRIDGED_BOND, [table("*", exclude=("eth1",))], "bond0"),
    (SWITCH, [table()], "eth0"),
    (SWITCH, [table("lan*")], "lan1 lan2"),
    (VRF, [table("*")], "eth0"),
    (VRF, [table("red")], "red"),
    (PLAIN, [table("eth0"), table("eth*", server="sv_2")], "eth0 eth1:1"),
    (BOND, [table("eth*"), table("bond0", server="sv_2")], "eth0 eth1 bond0:1"),
    (BOND, [table("eth0"), table("bond0")], "bond0:1"),
])
def test_each_frame_counts_once(links, tables, metered):
    found, left = choose(tables, links)
    assert found == {name.partition(":")[0]: int(name.partition(":")[2] or 0) for name in metered.split()}
    assert not set(found) & set(left)


def test_what_is_left_out_is_told():
    assert choose([table("*")], BOND)[1] == {
        "bond0": "what goes through it is counted at eth0, eth1", "bond0.7": "what goes through it is counted at eth0, eth1"}
    assert choose([table("bond0", "eth0")], BOND)[1] == {"eth0": "bond0 counts, of which not all members are chosen"}
    assert choose([table("*")], BRIDGE)[1]["veth1"] == "what leaves br0 is counted at eth0"


@st.composite
def machines(draw) -> list[Link]:
    """Interfaces on top of each other; each is a member of one at most, and stands on earlier ones only."""
    names = [f"if{n}" for n in range(draw(st.integers(1, 7)))]
    links: dict[str, Link] = {}
    for at, name in enumerate(names):
        lowers = frozenset(draw(st.sets(st.sampled_from(names[:at]), max_size=3))) if at else frozenset()
        kind = draw(st.sampled_from(["bridge", "bundle", "vlan"])) if lowers else "device"
        if kind in ("bridge", "bundle"):
            lowers = frozenset(lower for lower in lowers if links[lower].master is None)
            for lower in lowers:
                links[lower] = Link(lower, links[lower].has_device, links[lower].lowers, name, links[lower].is_bridge)
        links[name] = Link(name, not lowers and draw(st.booleans()), lowers, None, kind == "bridge")
    return list(links.values())


PATTERNS = st.lists(st.sampled_from([*(f"if{n}" for n in range(7)), "if*", "if[0-3]"]), max_size=3).map(tuple)
TABLES = st.lists(
    st.builds(HostSettings, server=st.sampled_from(["sv_1", "sv_2"]), interfaces=PATTERNS, exclude=PATTERNS,
              facing=st.sampled_from(["network", "server"])), min_size=1, max_size=3)


@given(machines(), TABLES)
def test_nothing_metered_stands_above_anything_metered_for_the_same_server(links, tables):
    found, left = choose(tables, links)
    by_name = {link.name: link for link in links}
    for name, number in found.items():
        for lower in below(name, by_name) & set(found):
            assert tables[found[lower]].server != tables[number].server
    assert set(found) | set(left) <= set(by_name)


@given(machines())
def test_with_all_chosen_every_device_counts(links):
    found, _ = choose([table("*")], links)
    assert {link.name for link in links if link.has_device} <= set(found)
