"""Sampling: which rate holds for which record. And packets that an exporter tells of twice."""

from __future__ import annotations

import pytest

from support.netflow import (
    IPFIX,
    PLAIN,
    RECEIVED_US,
    ROUTER,
    USER,
    V9,
    WEB,
    data,
    decoded,
    ipfix,
    message,
    octets_of,
    options_templates,
    plain,
    templates,
    v9,
)
from weighbridge.metering.flows.block import UNKNOWN_SAMPLER, UNRATED
from weighbridge.sources.netflow.decode import Decoder

BOTH = pytest.mark.parametrize("version", [V9, IPFIX])


# Sampling


SCOPE = {V9: [(1, 4)], IPFIX: [(143, 4)]}


def sampler_options(version, set_id=300):
    return options_templates(version, (set_id, SCOPE[version], [(48, 1), (49, 1), (50, 4)]))


def told(version, *samplers, set_id=300):
    fields = [*SCOPE[version], (48, 1), (49, 1), (50, 4)]
    return data(set_id, fields, *((0, number, 2, rate) for number, rate in samplers))


@BOTH
def test_two_samplers_on_one_box(version):
    fields = (*PLAIN, (48, 1))
    sent = message(
        version, sampler_options(version), told(version, (1, 100), (2, 2000)), templates(version, (256, fields)),
        data(256, fields, (WEB, USER, 10, 1, 1), (WEB, USER, 20, 1, 2), (WEB, USER, 30, 1, 3), (WEB, USER, 40, 1, 0)))
    flows, _ = decoded(sent)
    assert {flow.octets: flow.rate for flow in flows} == {10: 100, 20: 2000, 30: UNKNOWN_SAMPLER, 40: UNRATED}


@BOTH
def test_samplers_belong_to_exporter_and_domain(version):
    fields = (*PLAIN, (48, 2))
    flow_set = (templates(version, (256, fields)), data(256, fields, (WEB, USER, 10, 1, 1)))
    options = message(version, sampler_options(version), told(version, (1, 100)), domain=1)
    sent = [options, *(message(version, *flow_set, domain=domain) for domain in (1, 2, 1))]
    flows, _ = decoded(*sent, sources=["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"])
    assert sorted(flow.rate for flow in flows) == [UNKNOWN_SAMPLER, UNKNOWN_SAMPLER, 100]


@BOTH
def test_a_rate_that_changes_holds_from_its_place(version):
    fields = (*PLAIN, (48, 1))
    one = data(256, fields, (WEB, USER, 1, 1, 1))
    sent = message(version, templates(version, (256, fields)), sampler_options(version), one, told(version, (1, 10)), one,
                   told(version, (1, 20)), one)
    assert sorted(flow.rate for flow in decoded(sent)[0]) == [UNKNOWN_SAMPLER, 10, 20]


@pytest.mark.parametrize(("scope", "others", "values", "rate"), [
    ([(1, 4)], [(34, 4), (35, 1)], (0, 500, 1), 500),  # the whole system, no sampler named
    ([(1, 4)], [(34, 4)], (0, 0), UNRATED),
    ([(1, 4)], [(50, 4)], (0, 64), 64),
    ([(2, 4)], [(34, 4)], (7, 300), 300),  # an interface: the one that the flow came in by
    ([(2, 4)], [(34, 4)], (8, 300), 300),  # or went out by
    ([(2, 4)], [(34, 4)], (9, 300), UNRATED),
    ([(1, 4)], [(34, 4)], (0, 10**9), UNRATED),  # nobody samples so sparsely
])
def test_rates_that_v9_options_tell(scope, others, values, rate):
    fields = (*PLAIN, (10, 4), (14, 4))
    sent = v9(options_templates(V9, (300, scope, others)), data(300, [*scope, *others], values),
              templates(V9, (256, fields)), data(256, fields, (WEB, USER, 1, 1, 7, 8)))
    assert [flow.rate for flow in decoded(sent)[0]] == [rate]


@pytest.mark.parametrize(("scope", "others", "values", "rate"), [
    ([(302, 8)], [(304, 2), (305, 4), (306, 4)], (5, 1, 1, 999), 1000),
    ([(302, 8)], [(304, 2), (305, 4), (306, 4)], (5, 1, 10, 90), 10),
    ([(302, 8)], [(304, 2), (305, 4), (306, 4)], (5, 1, 2, 5), 4),  # 3.5: the nearest, upwards
    ([(302, 8)], [(304, 2), (305, 4), (306, 4)], (5, 1, 1, 0), 1),
    ([(302, 8)], [(304, 2), (309, 4), (310, 4)], (5, 3, 2, 512), 256),
    ([(302, 8)], [(305, 4), (306, 4)], (6, 1, 9), UNKNOWN_SAMPLER),
    ([(143, 4)], [(305, 4), (306, 4)], (6, 1, 9), 10),  # one rate for all and none by selector: the named one has it
    ([(10, 4)], [(34, 4)], (7, 40), UNKNOWN_SAMPLER),
])
def test_rates_that_ipfix_options_tell(scope, others, values, rate):
    fields = (*PLAIN, (302, 8))
    sent = ipfix(options_templates(IPFIX, (300, scope, others)), data(300, [*scope, *others], values),
                 templates(IPFIX, (256, fields)), data(256, fields, (WEB, USER, 1, 1, 5)))
    assert [flow.rate for flow in decoded(sent)[0]] == [rate]


@BOTH
def test_a_records_own_rate_comes_before_its_samplers(version):
    fields = (*PLAIN, (48, 1), (34, 4))
    sent = message(version, sampler_options(version), told(version, (1, 100)), templates(version, (256, fields)),
                   data(256, fields, (WEB, USER, 1, 1, 1, 7), (WEB, USER, 2, 1, 1, 0), (WEB, USER, 3, 1, 9, 8)))
    assert {flow.octets: flow.rate for flow in decoded(sent)[0]} == {1: 7, 2: 100, 3: 8}


@BOTH
def test_options_before_their_template_are_held_too(version):
    fields = (*PLAIN, (48, 1))
    decoder = Decoder()
    decoded(message(version, told(version, (1, 100))), decoder=decoder)
    flow_set = data(256, fields, (WEB, USER, 1, 1, 1))
    sent = message(version, sampler_options(version), templates(version, (256, fields)), flow_set)
    assert [flow.rate for flow in decoded(sent, decoder=decoder)[0]] == [100]


def test_templates_that_name_no_sampler_are_unrated():
    assert [flow.rate for flow in decoded(v9(templates(V9, (256, PLAIN)), plain(1)))[0]] == [UNRATED]


# Twice the same packets


WAYS = (*PLAIN, (10, 4), (14, 4), (61, 1))


def ways(*records):
    """(octets, way in, way out, direction) each."""
    return v9(templates(V9, (256, WAYS)), data(256, WAYS, *((WEB, USER, octets, 1, *way) for octets, *way in records)))


@pytest.mark.parametrize(("records", "octets"), [
    ([(10, 1, 2, 0), (10, 1, 2, 1)], [10]),  # metered at both ends
    ([(10, 1, 2, 1), (10, 1, 2, 0)], [10]),
    ([(10, 1, 2, 0), (20, 2, 1, 1)], [10, 20]),  # one uplink, both directions
    ([(10, 2, 1, 1), (30, 3, 1, 1)], [10, 30]),
    ([(10, 0, 0, 0), (20, 0, 0, 1)], [10, 20]),  # a probe on a wire
    ([(10, 7, 7, 0), (20, 7, 7, 1)], [10, 20]),  # the same, which has been told a number
    ([(10, 0, 7, 0), (20, 0, 7, 1)], [10, 20]),
])
def test_packets_metered_on_their_way_in_and_out_count_once(records, octets):
    flows, counts = decoded(ways(*records))
    assert octets_of(flows) == octets
    assert counts == ({} if len(octets) == len(records) else {"egress_left_out": 1})


def test_an_interface_that_is_metered_no_longer_is_forgotten_after_an_hour():
    decoder = Decoder()
    decoded(ways((10, 1, 2, 0)), decoder=decoder)
    soon_us, late_us = RECEIVED_US + 3_000 * 1_000_000, RECEIVED_US + 3_700 * 1_000_000
    assert octets_of(decoded(ways((10, 1, 2, 1)), decoder=decoder, received_us=soon_us)[0]) == []
    assert octets_of(decoded(ways((10, 1, 2, 1)), decoder=decoder, received_us=late_us)[0]) == [10]
    other = decoded(ways((10, 1, 2, 0)), ways((10, 1, 2, 1)), sources=[ROUTER, "192.0.2.9"])[0]
    assert octets_of(other) == [10, 10]


@pytest.mark.parametrize(("egress", "octets"), [("auto", [10]), ("count", [10, 20]), ("ignore", [10])])
def test_the_settings_say_which_records_of_the_way_out_count(egress, octets):
    assert octets_of(decoded(ways((10, 1, 2, 0), (20, 1, 2, 1)), decoder=Decoder(egress))[0]) == octets


def test_ipv4_that_is_metered_on_its_way_in_says_nothing_of_ipv6():
    six = ((27, 16), (28, 16), (1, 4), *WAYS[4:])
    sent = v9(templates(V9, (257, six)), data(257, six, (5, 6, 30, 1, 2, 1)), sequence=1)
    assert sorted(octets_of(decoded(ways((10, 1, 2, 0), (20, 1, 2, 1)), sent)[0])) == [10, 30]
