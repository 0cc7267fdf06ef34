"""Which counter the totals of a poll are of, and since when it counts: the rules of decode.py as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from weighbridge.domain.counters import Reading, advance
from weighbridge.sources.snmp import decode as decoding
from weighbridge.sources.snmp.decode import KnownDevice, Poll, ask, decode
from weighbridge.sources.snmp.varbinds import IF_IN, IF_NAME, IF_OPER_STATUS, Row, System, Totals

L_S = 1_796_000_000
"""When the interface was read last."""
NOW_S = L_S + 60
S = 1_000_000
GBIT = 10**9
DAY_TICKS = 86_400 * 100


def row(at_s, totals, *, index=1, name="a", up=None, disc=0, narrow=(None, None), rate_bps=GBIT, is_up=None):
    return Row(index, name, round(at_s * S), up, Totals(*totals), Totals(*narrow), rate_bps, disc, is_up)


def poll(*rows, boots=None, engine_s=None, host=None, names=None, is_whole=True):
    first = rows[0]
    system = System(first.at_us, first.up_ticks, boots, engine_s, host)
    return Poll(system, names or {each.index: each.name for each in rows}, rows, is_whole)


def after(*polls):
    """What is remembered after these polls."""
    known = KnownDevice()
    for each in polls:
        known = decode("tor-1", each, known).known
    return known


def only(decoded):
    (reading,) = decoded.readings
    return reading


def since_s(first, second):
    reading = only(decode("tor-1", second, after(first)))
    return None if reading.since_us is None else round(reading.since_us / S - L_S, 2)


# What the first poll says of an interface that is read at L; the second comes 60 s later.
HIGH = (10_000_000, 9_000_000)
LOW = (4_000, 3_000)
GREW = (10_500_000, 9_500_000)


@pytest.mark.parametrize(("up", "now", "totals", "more", "expected"), [
    # (sysUpTime at L, sysUpTime now, totals now, other clocks now, since: seconds after L)
    (DAY_TICKS, DAY_TICKS + 6000, GREW, {}, None),            # nothing happened
    (DAY_TICKS, DAY_TICKS + 6000, LOW, {}, None),             # it fell, and nobody knows why: a new epoch
    (DAY_TICKS, 4000, LOW, {}, 20),                           # the device rebooted 40 s ago
    (DAY_TICKS, 4000, (4_000, 9_500_000), {}, 20),            # one direction is above the old one already
    (DAY_TICKS, 4000, GREW, {}, None),                        # the agent alone restarted: counters go on
    (DAY_TICKS, 4000, LOW, {"host": DAY_TICKS}, None),        # its host went on: no reboot explains the fall
    (DAY_TICKS, 4000, LOW, {"host": 5000}, 10),               # its host booted 10 s before its agent began
    (DAY_TICKS, 4000, LOW, {"host": 3000}, 20),               # nonsense: the agent is older than its host
    (3000, 5000, LOW, {}, 10),                                # uptime did not fall, but is shorter than the 60 s since L
    (3000, 6100, LOW, {}, None),                              # it may be as old as the last reading: not proven
    (2**32 - 2000, 4000, LOW, {}, None),                      # sysUpTime wrapped after 497 days: no reboot
    (2**32 - 2000, 4000, GREW, {}, None),
    (2**32 - 2000, 3000, LOW, {}, None),                      # … by clocks that are 10 s apart
    (2**32 - 2000, 100, LOW, {}, 59),                         # it would be 40 s old by now: that is a reboot
    (DAY_TICKS, 0, LOW, {}, None),                            # it began in this very moment: no bytes can be since then
    (None, None, LOW, {}, None),                              # an agent that does not tell its uptime
    (None, 4000, LOW, {}, 20),                                # nor did it at L
    # snmpEngineBoots and snmpEngineTime (boots 7 at L)
    (DAY_TICKS, 4000, LOW, {"boots": 8, "engine_s": 40}, 20),
    (DAY_TICKS, 4000, LOW, {"boots": 7, "engine_s": 40}, 20),      # an agent that forgets how often it has begun
    (DAY_TICKS, 4000, LOW, {"boots": 7, "engine_s": 90_000}, None),  # its engine went on: it did not restart
    (DAY_TICKS, 4000, GREW, {"boots": 8, "engine_s": 40}, None),   # restarted, counters go on
    (None, None, LOW, {"boots": 8, "engine_s": 40}, 20),           # no sysUpTime, but the engine's
    (None, None, LOW, {"boots": 8, "engine_s": 90_000}, None),     # contradicts itself
    (None, None, LOW, {"boots": 7, "engine_s": 90_000}, None),
    (DAY_TICKS, DAY_TICKS + 6000, LOW, {"boots": 8, "engine_s": 40}, None),  # sysUpTime went on
])
def test_restarts_and_reboots(up, now, totals, more, expected):
    first = poll(row(L_S, HIGH, up=up), boots=7, engine_s=86_400, host=DAY_TICKS)
    assert since_s(first, poll(row(NOW_S, totals, up=now), **more)) == expected


@pytest.mark.parametrize(("disc", "now", "totals", "more", "expected"), [
    # (ifCounterDiscontinuityTime at L, now, totals now, what else differs, since), sysUpTime is 86,400 s at L
    (0, 0, LOW, {}, None),
    (0, DAY_TICKS + 1500, LOW, {}, 15),
    (50, DAY_TICKS + 1500, LOW, {}, 15),
    (0, DAY_TICKS + 1500, GREW, {}, 15),                      # it grew beyond the old total: the line can carry that
    (0, DAY_TICKS + 1500, (10**12, 10**12), {}, None),        # no line of 1 Gbit/s carries that in 45 s: not believed
    (0, DAY_TICKS + 1500, (10**12, 10**12), {"rate_bps": None}, 15),
    (0, DAY_TICKS + 1500, (10**15, 10**15), {"rate_bps": None}, None),
    (0, DAY_TICKS + 6000, GREW, {}, None),                    # always "now": an agent that lies
    (0, DAY_TICKS - 300, LOW, {}, 0),                         # clocks come apart: still after L, since it is new
    (0, DAY_TICKS - 3000, LOW, {}, None),                     # 30 s before L, when it was not so: nonsense
    (DAY_TICKS, 0, LOW, {}, None),                            # 0 says that there was none
    (None, DAY_TICKS + 1500, LOW, {}, None),                  # it was not told at L: nobody knows whether it changed
    (0, None, LOW, {}, None),
    (0, DAY_TICKS + 1500, LOW, {"up": None}, None),
    (0, 3000, LOW, {"up": 4000}, 20),                         # the agent restarted: its own uptime counts
    (0, 3000, GREW, {"up": 4000}, None),                      # net-snmp and others set it at their start
])
def test_discontinuities(disc, now, totals, more, expected):
    first = poll(row(L_S, HIGH, up=DAY_TICKS, disc=disc))
    given = {"up": DAY_TICKS + 6000, "disc": now} | more
    assert since_s(first, poll(row(NOW_S, totals, **given))) == expected


@pytest.mark.parametrize(("index", "table", "totals", "up", "expected"), [
    # At L: index 1 is a, 2 is b. (its index now, the other rows now, totals now, sysUpTime now, since)
    (1, {2: "b"}, GREW, DAY_TICKS + 6000, None),
    (9, {2: "b"}, LOW, DAY_TICKS + 6000, 0),           # made anew: its index was not there before, and it fell
    (9, {2: "b"}, GREW, DAY_TICKS + 6000, None),       # not proven: its delta counts, which is less than it has moved
    (9, {1: "c", 2: "b"}, GREW, DAY_TICKS + 6000, 0),  # the old one is still there under another name: proven
    (2, {1: "b"}, (500, 500), DAY_TICKS + 6000, None),    # less than b had: renumbered; that it fell counts nothing
    (2, {1: "b"}, GREW, DAY_TICKS + 6000, None),       # more above b's than above its own: going on harms nobody
    (2, {1: "b"}, GREW, 4000, None),                   # renumbered by a restart
    (2, {1: "b"}, LOW, 4000, 20),                      # … by a reboot
    (9, {2: "b"}, LOW, 4000, 20),
])
def test_indexes(index, table, totals, up, expected):
    first = poll(row(L_S, HIGH, up=DAY_TICKS), row(L_S, (1_000, 1_000), index=2, name="b", up=DAY_TICKS))
    second = poll(row(NOW_S, totals, index=index, up=up), names={index: "a", **table})
    assert since_s(first, second) == expected
    assert only(decode("tor-1", second, after(first))).counter == ""


@pytest.mark.parametrize("is_read", [True, False])
def test_an_interface_that_takes_over_the_name_is_another_counter(is_read):
    """b had more than a and is called a now: were it the same counter, b's past would be billed to a."""
    other = row(L_S, (50_000_000, 50_000_000), index=2, name="b", up=DAY_TICKS)
    first = poll(row(L_S, HIGH, up=DAY_TICKS), *([other] if is_read else []), names={1: "a", 2: "b"})
    second = poll(row(NOW_S, (50_000_500, 50_000_500), index=2, up=DAY_TICKS + 6000))
    reading = only(decode("tor-1", second, after(first)))
    assert (reading.counter, reading.since_us) == (f"@{NOW_S}", None)
    third = poll(row(NOW_S + 60, (50_000_900, 50_000_900), index=2, up=DAY_TICKS + 12_000))
    assert only(decode("tor-1", third, after(first, second))).counter == f"@{NOW_S}"


@pytest.mark.parametrize(("old", "new", "counted"), [
    (False, True, (700, 700)),   # net-snmp: the removed one is shown as down for five minutes
    (False, None, None),
    (None, True, None),
    (True, True, None),
    (False, False, None),
])
def test_of_two_rows_of_one_name_the_one_that_is_up_counts(old, new, counted):
    first = poll(row(L_S, HIGH, up=DAY_TICKS))
    second = poll(
        row(NOW_S, HIGH, up=DAY_TICKS + 6000, is_up=old), row(NOW_S, (700, 700), index=2, up=DAY_TICKS + 6000, is_up=new))
    decoded = decode("tor-1", second, after(first))
    if counted is None:
        assert (decoded.readings, decoded.shared, decoded.counts) == ((), ("a",), {"shared_name": 1})
        assert decoded.known.interfaces == after(first).interfaces
    else:
        reading = only(decoded)
        assert (reading.bytes_in, reading.bytes_out) == counted
        assert reading.since_us == L_S * S + 1  # made anew while the old one was still known


def test_two_rows_of_one_name_of_which_only_one_was_read_do_not_count():
    half = poll(row(L_S, HIGH, is_up=True), names={1: "a", 2: "a"}, is_whole=False)
    assert decode("tor-1", half, KnownDevice()).readings == ()


def test_interfaces_that_take_turns_under_one_name_never_bill_each_others_past():
    total = 0
    state = {}
    known = KnownDevice()
    figures = {1: [0, 100, 100, 100, 250], 2: [5_000_000, 5_000_000, 5_000_300, 5_000_300, 5_000_300]}
    for turn, active in enumerate([1, 1, 2, 2, 1]):
        at_s, up = L_S + 60 * turn, DAY_TICKS + 6000 * turn
        rows = [row(at_s, (figures[index][turn],) * 2, index=index, up=up, is_up=index == active) for index in (1, 2)]
        decoded = decode("tor-1", poll(*rows), known)
        known = decoded.known
        total += counted(decoded.readings, state)
    assert total <= 2 * (100 + 300 + 150)


def counted(readings, state):
    """What the server makes of readings: bytes, both directions."""
    total = 0
    for reading in readings:
        key = (reading.thing, reading.counter)
        step = advance(state.get(key), Reading(
            reading.at_us, reading.bytes_in, reading.bytes_out, reading.bits, reading.since_us, reading.line_rate_bps))
        if step.state is not None:
            state[key] = step.state
        total += sum((part.bytes_in or 0) + (part.bytes_out or 0) for part in step.parts)
    return total


@pytest.mark.parametrize(("readings", "bits", "billed"), [
    # (64-bit totals, 32-bit totals) of each poll, the width of each reading (0: none), bytes that count in all
    ([((5, 5), None), ((9, 9), None)], [64, 64], 8),
    ([(None, (5, 5)), (None, (9, 9))], [32, 32], 8),
    ([((0, 0), (0, 0)), ((7, 0), (7, 0))], [64, 64], 7),                     # idle, then it moves
    ([((0, 0), (5, 5)), ((0, 0), (9, 9))], [32, 32], 8),                     # 64 bits that never move
    ([((0, 0), (0, 0)), ((0, 0), (5, 5)), ((0, 0), (9, 9)), ((0, 0), (20, 20))], [64, 64, 32, 32], 22),
    ([((0, 0), (5, 0)), ((100, 0), (100, 0)), ((150, 0), (150, 0))], [32, 64, 64], 50),  # a packet between two columns
    ([((90, 90), None), (None, None), (None, (5, 5)), (None, (9, 9))], [64, 0, 32, 32], 8),   # firmware without 64 bits
    ([(None, (5, 5)), (None, (9, 9)), ((20, 20), (20, 20)), ((25, 25), (25, 25))], [32, 32, 64, 64], 18),  # and back
    ([((90, 90), (90, 90)), ((0, 0), (90, 90)), ((0, 0), (90, 90)), ((3, 3), (93, 93))], [64, 64, 64, 64], 6),  # cleared
    ([((90, 90), None), ((95, None), None), ((99, 96), None)], [64, 64, 64], 15),
    ([(None, None), ((5, 5), None)], [0, 64], 0),
    ([((5, None), (5, 5)), ((9, None), (9, 9))], [32, 32], 8),
])
def test_the_width_is_decided_once_and_never_changes_within_a_counter(readings, bits, billed):
    known, state, total, widths = KnownDevice(), {}, 0, []
    for turn, (wide, narrow) in enumerate(readings):
        each = row(L_S + 60 * turn, wide or (None, None), narrow=narrow or (None, None), up=DAY_TICKS + 6000 * turn)
        decoded = decode("tor-1", poll(each), known)
        known = decoded.known
        widths.append(decoded.readings[0].bits if decoded.readings else 0)
        total += counted(decoded.readings, state)
    assert (widths, total) == (bits, billed)


def test_32_bits_are_asked_for_only_where_64_are_not_known_to_count():
    names, columns = {1: "a", 2: "b", 3: "c", 4: "c"}, dict.fromkeys(range(1, 5), IF_NAME)
    known = after(poll(row(L_S, HIGH), row(L_S, (5, 0), index=2, name="b")))
    wanted = {asked.index: asked.columns for asked in ask(names, columns, (), known)}
    assert [IF_IN in wanted[index] for index in (1, 2, 3)] == [False, True, True]
    assert [IF_OPER_STATUS in wanted[index] for index in (1, 2, 3, 4)] == [False, False, True, True]


def test_a_clock_that_was_set_back_waits_until_it_has_caught_up():
    known = after(poll(row(L_S, HIGH)))
    for at_s in (L_S, L_S - 3600):
        decoded = decode("tor-1", poll(row(at_s, GREW)), known)
        assert (decoded.readings, decoded.counts) == ((), {"clock_behind": 1})
        assert decoded.known.interfaces == known.interfaces
    assert only(decode("tor-1", poll(row(L_S + 1, GREW)), known)).bytes_in == GREW[0]


def test_a_since_is_told_again_until_something_new_happens():
    """What the sink refused may have been the reading that told it."""
    first, reboot = poll(row(L_S, HIGH, up=DAY_TICKS)), poll(row(NOW_S, LOW, up=4000))
    later = poll(row(NOW_S + 60, (5_000, 4_000), up=10_000))
    reading = only(decode("tor-1", later, after(first, reboot)))
    assert reading.since_us == (L_S + 20) * S
    state = {}
    assert counted(decode("tor-1", first, KnownDevice()).readings, state) == 0
    assert counted([reading], state) == 9_000  # although the poll between was lost


def test_an_interface_that_was_away_over_a_reboot_counts_from_the_boot():
    first = poll(row(L_S, HIGH, up=DAY_TICKS), row(L_S, HIGH, index=2, name="b", up=DAY_TICKS))
    second = poll(row(NOW_S, LOW, index=2, name="b", up=4000))
    third = poll(row(NOW_S + 60, LOW, up=10_000), row(NOW_S + 60, (5_000, 5_000), index=2, name="b", up=10_000))
    since = {reading.thing.name: reading.since_us for reading in decode("tor-1", third, after(first, second)).readings}
    assert since == {"a": (L_S + 20) * S, "b": (L_S + 20) * S}


def test_a_poll_that_broke_off_forgets_no_index():
    first = poll(row(L_S, HIGH, up=DAY_TICKS), names={1: "a", 2: "b"})
    half = poll(row(NOW_S, GREW, up=DAY_TICKS + 6000), names={1: "a", 3: "c"}, is_whole=False)
    assert after(first, half).indexes == (1, 2)
    assert after(first, replace(half, is_whole=True)).indexes == (1, 3)


def test_there_is_a_bound_on_what_is_remembered(monkeypatch):
    monkeypatch.setattr(decoding, "NAMES_KEPT", 3)
    polls = [poll(row(L_S + turn, HIGH, name=f"p{turn}")) for turn in range(5)]
    assert set(after(*polls).interfaces) == {"p2", "p3", "p4"}


def test_the_agent_restarted_between_two_readings_of_a_counter_that_goes_on_counts_the_difference():
    state = {}
    first = decode("tor-1", poll(row(L_S, HIGH, up=DAY_TICKS)), KnownDevice())
    second = decode("tor-1", poll(row(NOW_S, GREW, up=4000)), first.known)
    assert counted(first.readings, state) == 0
    assert counted(second.readings, state) == 1_000_000
