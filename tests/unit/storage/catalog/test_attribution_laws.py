"""Laws of dated declarations, against a naive referee that knows for every slot what holds in it: a declaration holds from
its slot on and changes nothing before it, or nothing at all; again it changes nothing; stretches partition time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from weighbridge.domain.units import SLOT_S
from weighbridge.metering.attribution import Stretch, stretches_of
from weighbridge.model import END_S, Attribution, Kind, Server
from weighbridge.storage.catalog.attributions import NOTHING, Attributions, declare, declare_again, newest

SLOTS = 16
Referee = list[Attribution]
"""What holds in each slot, without its date."""

declarations = st.fixed_dictionaries({}, optional={
    "addresses": st.sampled_from([(), ("192.0.2.10/32",), ("192.0.2.11/32",)]), "vlans": st.sampled_from([(), (5,)])})
instants = st.integers(0, SLOTS * SLOT_S - 1)
steps = st.lists(st.tuples(declarations, st.none() | instants, instants), max_size=8)


def undated(attribution: Attribution) -> Attribution:
    return msgspec.structs.replace(attribution, from_s=0)


def held(found: list[Stretch]) -> Referee:
    """By looking at every slot."""
    slots = []
    for number in range(SLOTS):
        holding = [each for each in found if each.from_s <= number * SLOT_S < each.until_s]
        assert len(holding) <= 1
        slots.append(undated(holding[0].attribution) if holding else NOTHING)
    return slots


def stretches(known: Attributions, deleted_at_s: int | None = None) -> list[Stretch]:
    server = Server("s", "s", "p", "r", attributions=known, deleted_at_s=deleted_at_s)
    return list(stretches_of(Kind.SERVER, server))


def check_partition(known: Attributions) -> None:
    found = stretches(known)
    assert [each.attribution for each in found] == list(known)
    assert all(one.until_s == two.from_s for one, two in pairwise(found))
    assert not found or found[-1].until_s == END_S
    assert all(each.from_s % SLOT_S == 0 for each in found)
    assert all(undated(one) != undated(two) for one, two in pairwise((NOTHING, *known)))


def step(known: Attributions, declared: dict[str, Any], from_s: int | None, now_s: int) -> Attributions:
    """The referee's rule for one declaration."""
    start_s = (now_s if from_s is None else from_s) // SLOT_S * SLOT_S
    before, last = held(stretches(known)), newest(known)
    wanted = msgspec.structs.replace(undated(last), **declared)
    new = declare(known, declared, from_s, now_s)
    if new is None:
        event("contradicts")
        assert start_s < last.from_s
        recorded = [each for each in known if each.from_s == start_s]
        assert not any(msgspec.structs.replace(each, **declared) == each for each in recorded)
        assert wanted != undated(last) or known[-2].from_s >= start_s
        return known
    if new == known:
        event("changes nothing")
        recorded = [undated(last), *(undated(each) for each in known if each.from_s == start_s)]
        assert any(msgspec.structs.replace(each, **declared) == each for each in recorded)
        return known
    event("changes")
    assert held(stretches(new)) == before[:start_s // SLOT_S] + [wanted] * (SLOTS - start_s // SLOT_S)
    assert undated(newest(new)) == wanted
    assert declare(new, declared, from_s, now_s) == declare(new, declared, None, now_s + SLOT_S * SLOTS) == new
    return new


@settings(max_examples=1000, deadline=None)
@given(steps)
def test_declarations_one_after_the_other(story: list[tuple[dict[str, Any], int | None, int]]) -> None:
    known: Attributions = ()
    for declared, from_s, now_s in story:
        known = step(known, declared, from_s, now_s)
        check_partition(known)


@settings(max_examples=1000, deadline=None)
@given(steps, declarations, st.integers(SLOTS // 2 * SLOT_S, SLOTS * SLOT_S - 1), st.none() | instants, instants)
def test_what_is_restored_was_known_by_nothing_in_between(
    story: list[tuple[dict[str, Any], int | None, int]], declared: dict[str, Any], deleted_s: int, from_s: int | None,
    wait_s: int,
) -> None:
    known: Attributions = ()
    for fields, dated_s, now_s in story:
        known = declare(known, fields, dated_s, now_s) or known
    gone, now_s = deleted_s // SLOT_S, deleted_s + wait_s
    before = held(stretches(known, deleted_s))
    assert all(each is NOTHING for each in before[gone:])
    new = declare_again(known, deleted_s, declared, from_s, now_s)
    wanted = msgspec.structs.replace(NOTHING, **declared)
    if declared and from_s is not None and from_s // SLOT_S < gone:
        event("as if it had not been deleted")
        kept = tuple(each for each in known if each.from_s // SLOT_S < gone)
        whole = {"addresses": wanted.addresses, "vlans": wanted.vlans}
        assert new == (None if declare(kept, whole, from_s, now_s) is None else step(kept, whole, from_s, now_s))
        return
    event("anew")
    assert new is not None
    check_partition(new)
    start = max((now_s if from_s is None else from_s) // SLOT_S, gone)
    nothing = [NOTHING] * (min(start, SLOTS) - gone)
    assert held(stretches(new)) == before[:gone] + nothing + [wanted] * (SLOTS - start)
