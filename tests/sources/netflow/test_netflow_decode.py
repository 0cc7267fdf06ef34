"""Hand-made datagrams, one case each: what comes out, to the byte, and what is counted."""

from __future__ import annotations

import struct

import pytest

from support.netflow import (
    EXPORT_S,
    IPFIX,
    PLAIN,
    RECEIVED_US,
    SENT_US,
    UPTIME_MS,
    USER,
    V9,
    VARIABLE,
    WEB,
    a_set,
    data,
    decoded,
    fields_of,
    ipfix,
    message,
    octets_of,
    options_templates,
    plain,
    templates,
    v5,
    v9,
)
from weighbridge.metering.flows.block import UNRATED
from weighbridge.sources.netflow.decode import Decoder

BOTH = pytest.mark.parametrize("version", [V9, IPFIX])


# Version 5


@pytest.mark.parametrize(("sampling", "rate"), [
    (0, UNRATED), (1, 1), (100, 100), (0x4000 | 100, 100), (0xC000, UNRATED), (0x3FFF, 16383),
])
def test_v5_has_its_rate_in_two_bits_of_mode_and_fourteen_of_interval(sampling, rate):
    flows, counts = decoded(v5([(WEB, USER, 3, 1500, UPTIME_MS - 2000, UPTIME_MS - 500)], sampling=sampling))
    [flow] = flows
    assert (flow.src, flow.dst, flow.octets, flow.packets, flow.rate) == (WEB, USER, 1500, 3, rate)
    assert (flow.start_us, flow.end_us) == (SENT_US + 500_000 - 2_000_000, SENT_US)
    assert counts == {}


@pytest.mark.parametrize(("count", "taken", "told"), [(2, 2, {}), (1, 1, {}), (30, 2, {"truncated": 1}), (0, 0, {})])
def test_v5_whose_count_lies_is_used_as_far_as_it_is_whole(count, taken, told):
    flows, counts = decoded(v5([(WEB, USER, 1, 10, 0, 0)] * 2, count=count))
    assert (octets_of(flows), counts) == ([10] * taken, told)


@pytest.mark.parametrize("cut", [1, 24, 47])
def test_v5_that_is_cut_off_is_used_as_far_as_it_is_whole(cut):
    flows, counts = decoded(v5([(WEB, USER, 1, 10, 0, 0)] * 3)[:-cut])
    assert (octets_of(flows), counts) == ([10, 10], {"truncated": 1})


# Templates


@BOTH
def test_template_and_data_in_one_datagram(version):
    flows, counts = decoded(message(version, templates(version, (256, PLAIN)), plain(5, 6, padding=3)))
    assert (octets_of(flows), counts) == ([5, 6], {})


@BOTH
def test_a_template_after_its_data(version):
    decoder = Decoder()
    assert decoded(message(version, plain(5)), message(version, plain(6), sequence=1), decoder=decoder)[0] == []
    flows, counts = decoded(
        message(version, plain(7), templates(version, (256, PLAIN)), plain(8), sequence=2), decoder=decoder)
    assert octets_of(flows) == [5, 6, 7, 8]
    assert "sets_without_template" not in counts


@BOTH
def test_data_whose_template_never_comes_is_counted_in_the_end(version):
    decoder = Decoder()
    decoded(message(version, plain(5)), decoder=decoder)
    late_us = RECEIVED_US + 1_801 * 1_000_000
    flows, counts = decoded(message(version, templates(version, (257, PLAIN))), decoder=decoder, received_us=late_us)
    assert (flows, counts) == ([], {"sets_without_template": 1})
    assert decoded(message(version, templates(version, (256, PLAIN))), decoder=decoder)[0] == []


@BOTH
def test_a_changed_template_holds_from_its_place_in_the_order_of_datagrams(version):
    turned = ((12, 4), (8, 4), (2, 4), (1, 4))
    again = message(version, plain(3), templates(version, (256, turned)), data(256, turned, (USER, WEB, 9, 4)), sequence=1)
    sent = [message(version, templates(version, (256, PLAIN)), plain(1, 2)), again,
            message(version, data(256, turned, (USER, WEB, 9, 5)), sequence=2)]
    flows, _ = decoded(*sent)
    assert octets_of(flows) == [1, 2, 3, 4, 5]
    assert {(flow.src, flow.dst) for flow in flows} == {(WEB, USER)}
    decoder = Decoder()
    assert [octets for each in sent for octets in octets_of(decoded(each, decoder=decoder)[0])] == [1, 2, 3, 4, 5]


@BOTH
def test_templates_belong_to_exporter_and_domain(version):
    wide = (*PLAIN, (10, 4))
    sent = [
        message(version, templates(version, (256, PLAIN)), domain=1),
        message(version, templates(version, (256, wide)), domain=2),
        message(version, templates(version, (256, wide)), domain=1), message(version, plain(1), domain=1),
        message(version, data(256, wide, (WEB, USER, 2, 1, 7)), domain=2),
        message(version, data(256, wide, (WEB, USER, 3, 1, 7)), domain=1),
    ]
    flows, _ = decoded(*sent, sources=["192.0.2.1", "192.0.2.1", "2001:db8::1", "192.0.2.1", "192.0.2.1", "2001:db8::1"])
    assert [(flow.exporter, flow.octets) for flow in flows] == [("192.0.2.1", 1), ("192.0.2.1", 2), ("2001:db8::1", 3)]


@pytest.mark.parametrize("withdrawn", [struct.pack(">HH", 256, 0), struct.pack(">HH", 2, 0)], ids=["one", "all"])
def test_a_template_that_is_withdrawn_is_gone_from_there_on(withdrawn):
    decoder = Decoder()
    start = ipfix(templates(IPFIX, (256, PLAIN)), options_templates(IPFIX, (300, [(143, 4)], [(34, 4)])), plain(1))
    flows, _ = decoded(start, ipfix(plain(2), a_set(2, withdrawn), plain(3), sequence=1), decoder=decoder)
    assert octets_of(flows) == [1, 2]
    assert octets_of(decoded(ipfix(templates(IPFIX, (256, PLAIN)), sequence=3), decoder=decoder)[0]) == [3]
    told = data(300, [(143, 4), (34, 4)], (1, 50))
    assert [flow.rate for flow in decoded(ipfix(told, plain(4), sequence=3), decoder=decoder)[0]] == [50]


@BOTH
def test_padding_is_passed_over_wherever_it_stands(version):
    sent = message(version, templates(version, (256, PLAIN), padding=3), plain(5, padding=2), a_set(256, b"", padding=3))
    flows, counts = decoded(sent + b"\0\0" if version == V9 else sent)
    assert (octets_of(flows), counts) == ([5], {})
    assert decoded(v9(templates(V9, (256, PLAIN)), plain(5)) + bytes(8))[1] == {}


@BOTH
@pytest.mark.parametrize(("defined", "what"), [
    (struct.pack(">HH", 256, 5) + fields_of(PLAIN), "truncated_templates"),
    (struct.pack(">HH", 256, 2) + fields_of([(8, 0), (12, 0)]), "empty_templates"),
    (struct.pack(">HH", 256, 600) + fields_of([(8, 4)] * 600), "too_many_fields"),
    (struct.pack(">HH", 255, 1) + fields_of([(8, 4)]), "malformed_templates"),
])
def test_a_template_that_makes_no_sense_defines_nothing(version, defined, what):
    good = struct.pack(">HH", 257, len(PLAIN)) + fields_of(PLAIN)
    flows, counts = decoded(message(version, a_set(0 if version == V9 else 2, good + defined), plain(5, set_id=257), plain(6)))
    assert (octets_of(flows), counts) == ([5], {what: 1})


def test_a_set_that_no_protocol_knows_is_counted():
    assert decoded(v9(a_set(2, b"\0\0\0\0"), a_set(255, b"x")), ipfix(a_set(1, b"ab")))[1] == {"unknown_sets": 3}


# Fields


@BOTH
@pytest.mark.parametrize("size", range(1, 9))
def test_numbers_come_in_any_size(version, size):
    fields = ((8, 4), (12, 4), (1, size), (2, size))
    largest = min(256**size - 1, 2**53 - 1)
    sent = message(version, templates(version, (256, fields)), data(256, fields, (WEB, USER, largest, 200), (WEB, USER, 0, 0)))
    assert [(flow.octets, flow.packets) for flow in decoded(sent)[0]] == [(0, 0), (largest, 200)]


@BOTH
def test_ipv6_and_fields_that_nobody_knows(version):
    fields = ((27, 16), (40001 if version == V9 else 20001, 7), (28, 16), (1, 8), (2, 8), (0, 3))
    one = (0x20010DB8 << 96 | 1, bytes(7), 0x20010DB8 << 96 | 2, 77, 1, b"abc")
    [flow] = decoded(message(version, templates(version, (256, fields)), data(256, fields, one)))[0]
    assert (flow.family, flow.src, flow.dst, flow.octets) == (6, one[0], one[2], 77)


def test_both_families_in_one_template():
    fields = ((8, 4), (12, 4), (27, 16), (28, 16), (1, 4), (2, 4), (60, 1))
    records = [(WEB, USER, 0, 0, 1, 1, 4), (0, 0, 5, 6, 2, 1, 6), (WEB, USER, 0, 0, 3, 1, 0), (0, 0, 5, 6, 4, 1, 0)]
    flows, _ = decoded(v9(templates(V9, (256, fields)), data(256, fields, *records)))
    assert [(flow.family, flow.src, flow.octets) for flow in flows] == [(4, WEB, 1), (4, WEB, 3), (6, 5, 2), (6, 5, 4)]


def test_fields_of_enterprises_are_none_of_ianas():
    fields = ((8, 4), (12, 4), (1, 4, 9), (1, 4), (2, 4), (2, 8, 35632))
    sent = ipfix(templates(IPFIX, (256, fields)), data(256, fields, (WEB, USER, 999, 5, 1, 999)))
    assert octets_of(decoded(sent)[0]) == [5]


@BOTH
@pytest.mark.parametrize("length", [0, 1, 254, 255, 1000])
def test_fields_of_variable_length(version, length):
    fields = ((8, 4), (82, VARIABLE), (12, 4), (1, 4), (96, VARIABLE), (2, 4))
    records = [(WEB, b"a" * length, USER, each, b"\xff" * 3, 1) for each in (1, 2, 3)]
    flows, counts = decoded(message(version, templates(version, (256, fields)), data(256, fields, *records, padding=3)))
    assert (octets_of(flows), counts) == ([1, 2, 3], {})


def test_a_variable_length_that_lies_ends_its_set_and_no_other():
    fields = ((8, 4), (12, 4), (1, 4), (2, 4), (82, VARIABLE))
    lie = a_set(256, data(256, fields, (WEB, USER, 1, 1, b"ab"))[4:] + struct.pack(">IIII", WEB, USER, 2, 1) + b"\xff\xff\xff")
    sent = ipfix(templates(IPFIX, (256, fields)), lie, data(256, fields, (WEB, USER, 3, 1, b"")))
    flows, counts = decoded(sent)
    assert (octets_of(flows), counts) == ([1, 3], {"malformed_records": 1})


@pytest.mark.parametrize(("fields", "values", "octets"), [
    (((1, 4), (23, 4)), (5, 6), 5),  # 23 is the same bytes after a middlebox
    (((1, 4), (23, 4)), (0, 6), 6),  # one template for both directions
    (((23, 4),), (6,), 6),
    (((85, 8),), (7,), 7),
    (((85, 8), (1, 8)), (700, 7), 7),
    (((231, 4), (232, 4)), (8, 0), 8),
])
def test_which_bytes_count(fields, values, octets):
    fields = ((8, 4), (12, 4), *fields)
    [flow] = decoded(ipfix(templates(IPFIX, (256, fields)), data(256, fields, (WEB, USER, *values))))[0]
    assert flow.octets == octets


@pytest.mark.parametrize("back", [((1, 8, 29305), (2, 8, 29305)), ((85, 8, 29305), (86, 8, 29305)), ((232, 8), (299, 8))])
def test_the_other_direction_of_a_two_way_flow_is_a_flow_of_its_own(back):
    fields = (*PLAIN, (56, 6), *back)
    records = [(WEB, USER, 10, 1, 99, 500, 5), (USER, WEB, 20, 1, 0, 0, 0)]
    sent = ipfix(templates(IPFIX, (256, fields)), data(256, fields, *records))
    flows, _ = decoded(sent)
    assert sorted((flow.src, flow.dst, flow.octets, flow.packets, flow.src_mac, flow.dst_mac) for flow in flows) == [
        (WEB, USER, 10, 1, 99, 0), (USER, WEB, 20, 1, 0, 0), (USER, WEB, 500, 5, 0, 99)]


@pytest.mark.parametrize(("fields", "values", "found"), [
    (((56, 6), (80, 6)), (1, 2), (1, 2, 0, 0)),
    (((56, 6), (57, 6)), (1, 3), (1, 3, 0, 0)),
    (((80, 6), (57, 6)), (2, 3), (0, 3, 0, 0)),  # of a routed packet the receiver's own card
    (((80, 6), (57, 6)), (2, 0), (0, 2, 0, 0)),
    (((81, 6), (56, 6)), (4, 1), (1, 0, 0, 0)),
    (((58, 2), (59, 2)), (10, 20), (0, 0, 10, 20)),
    (((243, 2), (254, 2)), (30, 40), (0, 0, 30, 40)),
    (((58, 2), (243, 2)), (0, 30), (0, 0, 30, 0)),
    (((58, 2), (59, 2)), (30, 30), (0, 0, 0, 0)),  # both ends are in it
])
def test_macs_and_vlans(fields, values, found):
    fields = (*PLAIN, *fields)
    [flow] = decoded(v9(templates(V9, (256, fields)), data(256, fields, (WEB, USER, 1, 1, *values))))[0]
    assert (flow.src_mac, flow.dst_mac, flow.src_vlan, flow.dst_vlan) == found


def test_flows_of_layer_two_have_macs_and_no_address():
    fields = ((56, 6), (80, 6), (1, 4), (2, 4))
    [flow] = decoded(v9(templates(V9, (256, fields)), data(256, fields, (1, 2, 30, 3))))[0]
    assert (flow.family, flow.src, flow.dst, flow.src_mac, flow.dst_mac, flow.octets) == (6, 0, 0, 1, 2, 30)


@pytest.mark.parametrize(("fields", "what"), [
    (((8, 4), (12, 4), (2, 4)), "records_without_bytes"), (((1, 4), (2, 4)), "records_without_address"),
    (((8, 16), (1, 4)), "records_without_address"), (((8, 4), (1, 9)), "records_without_bytes"),
])
def test_records_that_cannot_be_metered_are_counted(fields, what):
    sent = v9(templates(V9, (256, fields)), data(256, fields, *[[0] * len(fields)] * 3))
    assert decoded(sent) == ([], {what: 3})


@pytest.mark.parametrize(("status", "is_there"), [(0, True), (64, True), (66, True), (128, False), (191, False), (192, True)])
def test_what_was_not_forwarded_was_delivered_to_nobody(status, is_there):
    fields = (*PLAIN, (89, 1))
    flows, counts = decoded(v9(templates(V9, (256, fields)), data(256, fields, (WEB, USER, 5, 1, status))))
    assert (octets_of(flows), counts) == (([5], {}) if is_there else ([], {"not_forwarded": 1}))


def test_amounts_that_nothing_can_have_moved_are_refused():
    fields = ((8, 4), (12, 4), (1, 8), (2, 8))
    records = [(WEB, USER, 2**53 - 1, 1), (WEB, USER, 2**53, 1), (WEB, USER, 2**64 - 1, 1), (WEB, USER, 1, 2**63)]
    flows, counts = decoded(v9(templates(V9, (256, fields)), data(256, fields, *records)))
    assert (octets_of(flows), counts) == ([2**53 - 1], {"absurd_amounts": 3})


# Times


NTP_S = EXPORT_S + 2_208_988_800


@BOTH
@pytest.mark.parametrize(("fields", "values", "start_us", "end_us"), [
    (((150, 4), (151, 4)), (EXPORT_S - 9, EXPORT_S - 1), SENT_US - 9_000_000, SENT_US - 1_000_000),
    (((152, 8), (153, 8)), (EXPORT_S * 1000 - 9, EXPORT_S * 1000 - 1), SENT_US - 9_000, SENT_US - 1_000),
    (((154, 8), (155, 8)), ((NTP_S << 32) + 2**31, NTP_S << 32), SENT_US + 500_000, SENT_US),
    (((156, 8), (157, 8)), ((NTP_S << 32) + 2**30, NTP_S << 32), SENT_US + 250_000, SENT_US),
    (((154, 8), (155, 8)), (5 << 32, NTP_S << 32), (2**32 - 2_208_988_800 + 5) * 1_000_000, SENT_US),  # after 2036
    (((158, 4), (159, 4)), (3_000, 1), SENT_US - 3_000, SENT_US - 1),
    (((22, 4), (21, 4), (152, 8), (151, 4)), (1, 2, EXPORT_S * 1000, EXPORT_S), SENT_US, SENT_US),  # absolute ones first
    (((153, 8),), (EXPORT_S * 1000,), None, SENT_US),
    ((), (), None, None),
])
def test_times_that_records_tell(version, fields, values, start_us, end_us):
    fields = (*PLAIN, *fields)
    sent = message(version, templates(version, (256, fields)), data(256, fields, (WEB, USER, 1, 1, *values)))
    [flow] = decoded(sent)[0]
    assert (flow.start_us, flow.end_us) == (start_us, end_us)


@pytest.mark.parametrize(("uptime_ms", "first_ms", "ago_ms"), [
    (600_000, 590_000, 10_000),
    (600_000, 600_250, -250),  # ended while the datagram was made
    (500, 2**32 - 500, 1_000),  # 49.7 days are over in between
    (0, 2**32 - 10_846, 10_846),  # softflowd -r
])
def test_times_by_uptime_wrap_with_it(uptime_ms, first_ms, ago_ms):
    fields = (*PLAIN, (22, 4), (21, 4))
    sent = v9(templates(V9, (256, fields)), data(256, fields, (WEB, USER, 1, 1, first_ms, first_ms)), uptime_ms=uptime_ms)
    [flow] = decoded(sent)[0]
    assert flow.start_us == flow.end_us == SENT_US - ago_ms * 1_000
    [flow] = decoded(v5([(WEB, USER, 1, 1, first_ms, first_ms)], uptime_ms=uptime_ms))[0]
    assert flow.start_us == SENT_US + 500_000 - ago_ms * 1_000


def test_ipfix_tells_the_boot_that_uptimes_are_relative_to():
    boot_ms = EXPORT_S * 1000 - 700
    fields, scope, told = (*PLAIN, (22, 4), (153, 8)), [(143, 4)], [(160, 8)]
    flow_set = data(256, fields, (WEB, USER, 1, 1, 200, EXPORT_S * 1000))
    decoder = Decoder()
    [before] = decoded(ipfix(templates(IPFIX, (256, fields)), flow_set), decoder=decoder)[0]
    assert (before.start_us, before.end_us) == (None, SENT_US)
    options = ipfix(options_templates(IPFIX, (300, scope, told)), data(300, scope + told, (1, boot_ms)), flow_set, sequence=1)
    [after] = decoded(options, decoder=decoder)[0]
    assert after.start_us == SENT_US - 500_000
    own = (*PLAIN, (22, 4), (160, 8))
    [flow] = decoded(ipfix(templates(IPFIX, (256, own)), data(256, own, (WEB, USER, 1, 1, 5, boot_ms))))[0]
    assert flow.start_us == boot_ms * 1000 + 5_000


# Truncated and lying


def test_a_datagram_of_anything_else_is_counted():
    assert decoded(b"", b"\0", b"\0\7abc", bytes(300), b"\0\x08" + bytes(40))[1] == {"not_netflow": 5}


@BOTH
def test_a_head_that_is_cut_off_is_counted(version):
    assert decoded(message(version)[:-1], struct.pack(">H", version))[1] == {"truncated": 2}


@BOTH
@pytest.mark.parametrize("cut", range(1, 16))
def test_whole_records_before_a_cut_are_used(version, cut):
    flows, counts = decoded(message(version, templates(version, (256, PLAIN)), plain(1, 2, 3))[:-cut])
    assert (octets_of(flows), counts) == ([1, 2], {"truncated": 1})


@BOTH
@pytest.mark.parametrize(("length", "octets", "what"), [
    (3, [1], "malformed_sets"), (0, [1], "malformed_sets"), (65_535, [1, 2], "truncated"), (21, [1, 2], "truncated"),
])
def test_a_set_that_lies_about_its_length(version, length, octets, what):
    flows, counts = decoded(message(version, templates(version, (256, PLAIN)), plain(1), plain(2, length=length)))
    assert (octets_of(flows), counts) == (octets, {what: 1})


@pytest.mark.parametrize(("more", "octets", "what"), [
    (1, [1, 2], "truncated"), (-20, [1], "trailing_bytes"), (-70, [], "trailing_bytes"),
])
def test_an_ipfix_head_that_lies_about_its_length(more, octets, what):
    sent = ipfix(templates(IPFIX, (256, PLAIN)), plain(1), plain(2))
    flows, counts = decoded(sent[:2] + struct.pack(">H", len(sent) + more) + sent[4:])
    assert octets_of(flows) == octets
    assert counts[what] == 1


def test_more_sets_than_a_datagram_can_have_are_counted():
    flows, counts = decoded(v9(templates(V9, (256, PLAIN)), *[plain(1)] * 1100))
    assert (len(flows), counts) == (1023, {"too_many_sets": 1})
