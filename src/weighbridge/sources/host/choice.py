"""Which interfaces are metered for whom, so that each frame counts once.

A frame that goes through a bond goes through one of its members too, and one of a VLAN through the interface below it. So
of interfaces that are metered for one server none may stand above another. Members count, and what stands above them
does not; a bond, team or VRF counts instead of its members where only some of those are chosen. A port of a bridge that
has no device (a container's, a virtual machine's) does not count beside a port that has one: frames between the two go
through both.
Source: Documentation/ABI/testing/sysfs-class-net: `lower_*`, `master`, `bridge`, `device`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weighbridge.sources.host.settings import HostSettings

LOOPBACK = "lo"
"""Never metered: what is sent there is received there."""


@dataclass(frozen=True, slots=True)
class Link:
    """How an interface stands among the others. `lowers`: those directly below it. `master`: what it is a member of."""

    name: str
    has_device: bool = False
    lowers: frozenset[str] = frozenset()
    master: str | None = None
    is_bridge: bool = False


def choose(tables: Sequence[HostSettings], links: Sequence[Link]) -> tuple[dict[str, int], dict[str, str]]:
    """Name of each interface that is metered → number of its table; and those left out though a table takes them → why."""
    by_name = {link.name: link for link in links if link.name != LOOPBACK}
    taken = _taken(tables, list(by_name.values()))
    left: dict[str, str] = {}
    for server in dict.fromkeys(table.server for table in tables):
        own = {name for name, number in taken.items() if tables[number].server == server}
        towards_network = {name for name in own if tables[taken[name]].facing == "network"}
        left |= _left_out(own, towards_network, by_name)
    return {name: number for name, number in taken.items() if name not in left}, left


def _taken(tables: Sequence[HostSettings], links: Sequence[Link]) -> dict[str, int]:
    """The first table that takes each interface."""
    any_device = any(link.has_device for link in links)
    taken: dict[str, int] = {}
    for link in links:
        by_default = link.has_device or not any_device
        for number, table in enumerate(tables):
            if _matches(link.name, table.exclude):
                continue
            if _matches(link.name, table.interfaces) if table.interfaces else by_default:
                taken[link.name] = number
                break
    return taken


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _left_out(own: set[str], towards_network: set[str], links: Mapping[str, Link]) -> dict[str, str]:
    """Of interfaces that are metered for one server, those that must not be, and why."""
    left: dict[str, str] = {}
    masters = {link.master for link in links.values() if link.master}
    bundles = {name for name in masters & set(links) if not links[name].is_bridge}
    for name in sorted(own & bundles):
        members = [link.name for link in links.values() if link.master == name]
        if not all(_is_carried(member, own, links) for member in members) and below(name, links) & own:
            left |= dict.fromkeys(below(name, links) & own, f"{name} counts, of which not all members are chosen")
    for name in sorted(own - set(left)):
        covered = below(name, links) & own - set(left)
        if covered:
            left[name] = f"what goes through it is counted at {', '.join(sorted(covered))}"
    counted = own - set(left)
    for name in sorted(counted & towards_network):
        link = links[name]
        bridge = None if link.master is None else links.get(link.master)
        if bridge is None or not bridge.is_bridge or _is_outward(name, counted, links):
            continue
        ports = [port for port in bridge.lowers if port != name and _is_outward(port, counted, links)]
        if ports:
            left[name] = f"what leaves {bridge.name} is counted at {', '.join(sorted(ports))}"
    return left


def below(name: str, links: Mapping[str, Link]) -> set[str]:
    """Everything that an interface stands on, however far below."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        link = links.get(waiting.pop())
        fresh = set() if link is None else link.lowers - found
        found |= fresh
        waiting += fresh
    return found


def _is_carried(name: str, own: set[str], links: Mapping[str, Link], above: frozenset[str] = frozenset()) -> bool:
    """Whether all that goes through an interface is counted there or below it."""
    if name in own:
        return True
    link = links.get(name)
    if link is None or name in above:
        return False
    carried = [_is_carried(lower, own, links, above | {name}) for lower in link.lowers]
    members = any(links[lower].master == name for lower in link.lowers if lower in links)
    return any(carried) and (all(carried) or not members)


def _is_outward(name: str, counted: set[str], links: Mapping[str, Link]) -> bool:
    """Whether an interface leads to a device, and what goes through it is counted."""
    stack = below(name, links) | {name}
    return bool(stack & counted) and any(each in links and links[each].has_device for each in stack)
