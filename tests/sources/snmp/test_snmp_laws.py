"""Laws 8 to 14 for SNMP: a made-up device lives through everything, and nobody is billed a byte that did not flow."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.domain.counters import Reading, advance
from weighbridge.sources.snmp.decode import KnownDevice, Poll, ask, decode
from weighbridge.sources.snmp.varbinds import IF_IN, IF_NAME, IF_OPER_STATUS, Row, System, Totals

S = 1_000_000
START_US = 1_796_000_000 * S
NAMES = ("a", "b", "c")
RATE_BPS = 10**9


@dataclass
class Wire:
    """An interface as it really is."""

    index: int
    moved: list = field(default_factory=lambda: [0, 0])   # since it was made
    shown: list = field(default_factory=lambda: [0, 0])   # what its counters show
    discontinuity: int = 0


class Model:
    """A device, its host, and what really flowed by name since it was polled first."""

    def __init__(self, width):
        self.width = width
        self.now_us = START_US
        self.agent_us = self.host_us = START_US - 10**12
        self.boots = 1
        self.wires = {name: Wire(place) for place, name in enumerate(NAMES, 1)}
        self.dead = []
        self.highest = len(NAMES)
        self.flowed = dict.fromkeys(NAMES, 0)
        self.is_lossless = dict.fromkeys(NAMES, True)

    @property
    def up_ticks(self):
        return (self.now_us - self.agent_us) // 10_000 % 2**32

    def wait(self, seconds):
        self.now_us += seconds * S

    def flow(self, name, inward, outward):
        wire = self.wires[name]
        for place, amount in enumerate((inward, outward)):
            wire.shown[place] += amount
        self.flowed[name] += inward + outward

    def restart(self):
        self.agent_us, self.boots = self.now_us, self.boots + 1
        self.dead = []
        for wire in self.wires.values():
            wire.discontinuity = 0

    def reboot(self, order):
        self.host_us = self.now_us
        self.now_us += 5 * S
        self.restart()
        self.highest = len(NAMES)
        for place, name in enumerate(order, 1):
            self.wires[name] = Wire(place)

    def remake(self, name, *, keeps_dead, tells):
        old = self.wires[name]
        self.highest += 1
        if keeps_dead:
            self.dead.append((old.index, name, tuple(old.shown)))
        self.wires[name] = Wire(self.highest, discontinuity=self.up_ticks if tells else 0)

    def clear(self, name, *, tells):
        wire = self.wires[name]
        wire.shown = [0, 0]
        if tells:
            wire.discontinuity = self.up_ticks
        else:
            self.is_lossless[name] = False

    def table(self):
        rows = [(wire.index, name, tuple(wire.shown), wire.discontinuity, True) for name, wire in self.wires.items()]
        return rows + [(index, name, shown, 0, False) for index, name, shown in self.dead]

    def poll(self, known, *, has_host):
        names = {index: name for index, name, *_ in self.table()}
        asked = {each.index: each for each in ask(names, dict.fromkeys(names, IF_NAME), (), known)}
        system = System(self.now_us, self.up_ticks, self.boots, (self.now_us - self.agent_us) // S,
                        (self.now_us - self.host_us) // 10_000 if has_host else None)
        rows = []
        for index, name, shown, discontinuity, is_up in self.table():
            wide = Totals(*(total % 2**64 for total in shown)) if self.width == 64 else Totals()
            narrow = Totals(*(total % 2**32 for total in shown)) if IF_IN in asked[index].columns else Totals()
            status = is_up if IF_OPER_STATUS in asked[index].columns else None
            rows.append(Row(index, name, self.now_us, self.up_ticks, wide, narrow, RATE_BPS, discontinuity, status))
        return Poll(system, names, rows)


class Bill:
    """What the server counts by name."""

    def __init__(self):
        self.states, self.total = {}, dict.fromkeys(NAMES, 0)

    def take(self, readings):
        for each in readings:
            key = (each.thing.name, each.counter)
            step = advance(self.states.get(key), Reading(
                each.at_us, each.bytes_in, each.bytes_out, each.bits, each.since_us, each.line_rate_bps))
            self.states[key] = step.state or self.states.get(key)
            self.total[each.thing.name] += sum((part.bytes_in or 0) + (part.bytes_out or 0) for part in step.parts)


name = st.sampled_from(NAMES)
EVENT = st.one_of(
    st.tuples(st.just("flow"), name, st.integers(0, 10**9), st.integers(0, 10**9)),
    st.tuples(st.just("flow"), name, st.integers(0, 5000), st.integers(0, 5000)),
    st.tuples(st.just("poll")),
    st.tuples(st.just("poll")),
    st.tuples(st.just("lost")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("reboot"), st.permutations(NAMES)),
    st.tuples(st.just("remake"), name, st.booleans(), st.booleans()),
    st.tuples(st.just("clear"), name, st.booleans()),
    st.tuples(st.just("forget")),
)


def live(width, events, *, has_host):
    """The model and the bill after these events; polls before and after."""
    model, bill, known = Model(width), Bill(), KnownDevice()
    for event, *given_ in [("poll",), *events, ("poll",)]:
        model.wait(20)
        if event in ("poll", "lost"):
            decoded = decode("tor-1", model.poll(known, has_host=has_host), known)
            known = decoded.known
            if event == "poll":
                bill.take(decoded.readings)
        elif event == "forget":
            known = KnownDevice()
        elif event == "remake":
            model.remake(given_[0], keeps_dead=given_[1], tells=given_[2])
        elif event == "clear":
            model.clear(given_[0], tells=given_[1])
        else:
            getattr(model, event)(*given_)
    return model, bill


@settings(max_examples=400, deadline=None)
@given(width=st.sampled_from([64, 32]), events=st.lists(EVENT, max_size=40), has_host=st.booleans())
def test_nothing_is_invented(width, events, has_host):
    """Laws 8 and 11: whatever devices and agents do, at most what flowed is billed; also where what was known is lost."""
    model, bill = live(width, events, has_host=has_host)
    assert all(bill.total[each] <= model.flowed[each] for each in NAMES)


CALM = st.one_of(
    st.tuples(st.just("flow"), name, st.integers(1, 10**9), st.integers(1, 10**9)),
    st.tuples(st.just("poll")),
    st.tuples(st.just("lost")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("forget")),
)


@settings(max_examples=200, deadline=None)
@given(events=st.lists(CALM, max_size=30), has_host=st.booleans())
def test_nothing_is_lost_while_counters_go_on(events, has_host):
    """Polls that fail, agents that restart and a lost memory cost nothing as long as the counters themselves go on."""
    model, bill = live(64, events, has_host=has_host)
    assert bill.total == model.flowed


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**8), st.permutations(NAMES)), min_size=1, max_size=6), st.booleans())
def test_a_reboot_loses_only_what_flowed_between_the_last_poll_and_the_end(reboots, has_host):
    """All that flows between polls is billed, and all since each boot; here nothing flows between a poll and its end."""
    events = []
    for amount, order in reboots:
        flows = [("flow", each, amount, 1) for each in NAMES]
        small = [("flow", each, 1, 0) for each in NAMES]
        events += [*flows, ("poll",), ("reboot", order), *small, ("poll",)]
    model, bill = live(64, events, has_host=has_host)
    assert bill.total == model.flowed
