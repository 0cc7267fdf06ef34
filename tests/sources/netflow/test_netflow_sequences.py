"""What went missing on the way, what came late, and exporters that began anew."""

from __future__ import annotations

import pytest

from support.netflow import (
    EXPORT_S,
    IPFIX,
    PLAIN,
    USER,
    V9,
    WEB,
    data,
    decoded,
    ipfix,
    octets_of,
    options_templates,
    plain,
    templates,
    v5,
    v9,
)
from weighbridge.sources.netflow.decode import Decoder

BOTH = pytest.mark.parametrize("version", [V9, IPFIX])


# Sequences and restarts


@pytest.mark.parametrize(("numbers", "told"), [
    ([1, 2, 3], {}), ([1, 2, 5], {"lost_datagrams": 2}), ([1, 3, 2, 4], {"lost_datagrams": 1, "out_of_order": 1}),
    ([2**32 - 1, 0, 1], {}), ([2**32 - 1, 1], {"lost_datagrams": 1}), ([900_000, 1, 2], {"restarts": 1}),
    ([1, 500_000, 500_001], {"restarts": 1}), ([7, 7, 8], {"out_of_order": 1}),
])
@pytest.mark.parametrize("at_once", [True, False])
def test_v9_numbers_datagrams(numbers, told, at_once):
    sent = [v9(sequence=number) for number in numbers]
    assert counted(sent, at_once=at_once) == told


def counted(sent, *, at_once):
    decoder = Decoder()
    total = {}
    for datagrams in [sent] if at_once else [[each] for each in sent]:
        for what, many in decoded(*datagrams, decoder=decoder)[1].items():
            total[what] = total.get(what, 0) + many
    return total


@pytest.mark.parametrize("at_once", [True, False])
def test_v5_and_ipfix_number_records(at_once):
    flow = (WEB, USER, 1, 1, 0, 0)
    assert counted([v5([flow] * 2, sequence=10), v5([flow], sequence=12), v5([flow], sequence=20)], at_once=at_once) == {
        "lost_flows": 7}
    first = ipfix(templates(IPFIX, (256, PLAIN)), plain(1, 2), sequence=10)
    assert counted([first, ipfix(plain(1), sequence=12), ipfix(plain(1), sequence=20)], at_once=at_once) == {"lost_flows": 7}
    engines = [v5([flow], sequence=1, engine=0), v5([flow], sequence=900, engine=1), v5([flow], sequence=2, engine=0)]
    assert counted(engines, at_once=at_once) == {}


def test_records_that_cannot_be_told_break_no_sequence():
    assert decoded(ipfix(plain(1, 2), sequence=1), ipfix(plain(1), sequence=3), ipfix(plain(1), sequence=9))[1] == {}


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("with_options", [True, False])
def test_exporters_number_messages_before_or_after_counting_them_with_options_or_without(after, with_options):
    scope, told = [(143, 4)], [(34, 4)]
    start = (templates(IPFIX, (256, PLAIN)), options_templates(IPFIX, (300, scope, told)))
    options = data(300, scope + told, (1, 1))
    sent, number = [], 5
    messages = [((*start, options, plain(1)), 1), ((plain(1, 1),), 2), ((plain(1, 1, 1), options), 3), ((plain(1),), 1)]
    for sets, flows in messages:
        step = flows + (with_options and options in sets)
        sent.append(ipfix(*sets, sequence=number + step if after else number))
        number += step
    assert decoded(*sent)[1] == {}
    assert counted(sent, at_once=False) == {}


@pytest.mark.parametrize(("uptimes_ms", "restarts"), [
    ([5_000_000, 1_000], 1), ([3_000_000_000, 1_000], 1), ([5_000_000, 4_999_000], 0), ([0, 0], 0),
])
def test_an_uptime_that_begins_anew_is_a_restart_and_no_loss(uptimes_ms, restarts):
    sent = [v9(sequence=50_000 * (number + 1), uptime_ms=each) for number, each in enumerate(uptimes_ms)]
    told = decoded(*sent)[1]
    assert told.get("restarts", 0) == restarts
    assert ("lost_datagrams" in told) == (not restarts)


def test_an_uptime_that_wraps_is_no_restart():
    later_s = EXPORT_S + 100
    sent = [v9(sequence=1, uptime_ms=2**32 - 60_000), v9(sequence=2, uptime_ms=40_000, export_s=later_s)]
    assert decoded(*sent)[1] == {}


def test_templates_outlive_a_restart_but_what_does_not_fit_waits_for_the_new_ones():
    wide = (*PLAIN, *((number, 4) for number in range(40, 43)))
    decoder = Decoder()
    decoded(v9(templates(V9, (256, wide), (257, PLAIN)), sequence=1), decoder=decoder)
    again = v9(plain(1, 2, 3, 4), plain(9, set_id=257), sequence=0, uptime_ms=1_000)  # 256 is plain now: 28 bytes do not fit
    flows, counts = decoded(again, decoder=decoder)
    assert (octets_of(flows), counts) == ([9], {"restarts": 1})
    flows, counts = decoded(v9(plain(5), templates(V9, (256, PLAIN)), plain(6), sequence=1, uptime_ms=1_100), decoder=decoder)
    assert (octets_of(flows), counts) == ([1, 2, 3, 4, 5, 6], {})


def test_templates_that_are_told_again_as_they_were_are_doubted_no_longer():
    decoder = Decoder()
    decoded(v9(templates(V9, (256, PLAIN)), sequence=1), decoder=decoder)
    odd = v9(plain(1, padding=9), sequence=0, uptime_ms=1_000)
    assert decoded(odd, decoder=decoder)[0] == []
    flows, _ = decoded(v9(templates(V9, (256, PLAIN)), plain(2, padding=9), sequence=1, uptime_ms=1_000), decoder=decoder)
    assert octets_of(flows) == [1, 2]
