"""The collector over a real socket, and what it knows after a restart."""

from __future__ import annotations

import socket
import threading
import time

import msgspec
import pytest
import structlog

from support.netflow import (
    EXPORT_S,
    IPFIX,
    PLAIN,
    RECEIVED_US,
    V9,
    block,
    data,
    flows_of,
    message,
    octets_of,
    options_templates,
    plain,
    templates,
    v5,
)
from support.udp import free_udp_port, wait_for_udp
from weighbridge.app.clock import SystemClock
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.collector import Surroundings
from weighbridge.sources.netflow.listen import KeptDecoder, make_collector
from weighbridge.sources.netflow.settings import NetflowSettings

SAMPLED = (*PLAIN, (48, 1), (22, 4))


WAYS = (*PLAIN, (10, 4), (14, 4), (61, 1))


def definitions(version):
    """All that is worth keeping: a template, a sampler's rate, a boot; and an interface that is metered on the way in."""
    scope, told = [(1, 4) if version == V9 else (143, 4)], [(48, 1), (50, 4), (160, 8)]
    return message(
        version, templates(version, (256, SAMPLED), (257, WAYS)), options_templates(version, (300, scope, told)),
        data(300, scope + told, (0, 7, 1000, EXPORT_S * 1000 - 5_000)), data(257, WAYS, (1, 2, 0, 0, 5, 6, 0)), sequence=1)


@pytest.mark.parametrize("version", [V9, IPFIX])
def test_templates_rates_boots_and_interfaces_outlast_a_restart(tmp_path, version):
    path = tmp_path / "templates.msgpack"
    decoder = KeptDecoder(path)
    decoder.decode(block([definitions(version)]))
    decoder.save()
    again = KeptDecoder(path)
    sent = message(version, data(256, SAMPLED, (1, 2, 30, 1, 7, 4_000)), data(257, WAYS, (1, 2, 40, 1, 5, 6, 1)), sequence=9)
    decoded = again.decode(block([sent], received_us=RECEIVED_US + 60_000_000))
    [flow] = flows_of(decoded)
    assert (flow.octets, flow.rate) == (30, 1000)
    assert version == V9 or flow.start_us == (EXPORT_S - 1) * 1_000_000
    assert ("192.0.2.254", "egress_left_out") in decoded.counts


def test_kept_templates_are_replaced_by_what_the_exporter_says(tmp_path):
    path = tmp_path / "templates.msgpack"
    decoder = KeptDecoder(path)
    decoder.decode(block([message(V9, templates(V9, (256, SAMPLED)))]))
    decoder.save()
    again = KeptDecoder(path)
    assert flows_of(again.decode(block([message(V9, plain(1, 2))]))) == []  # 32 bytes are no records of 21: they wait
    assert octets_of(flows_of(again.decode(block([message(V9, templates(V9, (256, PLAIN)), plain(3))])))) == [1, 2, 3]


def test_nothing_is_written_while_nothing_changes(tmp_path):
    path = tmp_path / "templates.msgpack"
    decoder = KeptDecoder(path)
    decoder.save()
    assert not path.exists()
    defined = block([message(V9, templates(V9, (256, PLAIN)))])
    decoder.decode(defined)
    decoder.keep()
    written = path.stat().st_mtime_ns
    decoder.decode(defined)
    decoder.save()
    assert path.stat().st_mtime_ns == written
    decoder.decode(block([message(V9, templates(V9, (257, PLAIN)))]))
    decoder.keep()  # too soon
    assert path.stat().st_mtime_ns == written
    decoder.save()
    assert path.stat().st_mtime_ns > written
    assert [each.name for each in tmp_path.iterdir()] == ["templates.msgpack"]


SOUND = [1, [["192.0.2.1", 9, 0, None, {256: b"\x09\0\0\0\0\x01\0\x01\0\4"}, {"sampler": {1: 10}}]], {}]


@pytest.mark.parametrize(("place", "value"), [
    ((), b"no msgpack"), ((), b""), ((1, 0, 1), 5), ((1, 0, 4), {255: b""}), ((1, 0, 4), {256: b"\x09\0\0\0\0\x02\0\1\0\4"}),
    ((1, 0, 5), {"colour": {1: 1}}), ((1, 0, 5), {"sampler": {1: 0}}), ((2,), {"a": {"b": "c"}}),
])
def test_a_file_that_is_damaged_is_passed_over_and_told(tmp_path, place, value):
    path = tmp_path / "templates.msgpack"
    written = [SOUND[0], [list(SOUND[1][0])], SOUND[2]]
    path.write_bytes(msgspec.msgpack.encode(written))
    assert len(list(KeptDecoder(path)._decoder.streams)) == 1
    if place:
        inner = written
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
    path.write_bytes(msgspec.msgpack.encode(written) if place else value)
    with structlog.testing.capture_logs() as told:
        decoder = KeptDecoder(path)
    assert list(decoder._decoder.streams) == []
    assert [each["event"] for each in told] == ["templates_not_read"]
    decoder.decode(block([message(V9, templates(V9, (256, PLAIN)))]))
    decoder.save()
    assert len(list(KeptDecoder(path)._decoder.streams)) == 1


def test_a_folder_that_cannot_be_written_to_is_told_and_nothing_else(tmp_path):
    decoder = KeptDecoder(tmp_path / "gone" / "templates.msgpack")
    decoder.decode(block([message(V9, templates(V9, (256, PLAIN)))]))
    with structlog.testing.capture_logs() as told:
        decoder.save()
    assert [each["event"] for each in told] == ["templates_not_kept"]


def test_tables_that_contradict_each_other_are_refused(tmp_path):
    tables = (NetflowSettings(), NetflowSettings(listen="127.0.0.1:9995", egress="count"))
    with pytest.raises(InvalidInputError, match="egress"):
        make_collector(tables, Surroundings(lambda _: None, SystemClock(), tmp_path, lambda: None))


@pytest.mark.parametrize("table", [{"egress": "never"}, {"listen": ""}, {"colour": 1}, {"receive_buffer_bytes": 1}])
def test_settings_that_make_no_sense_are_refused(table):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, NetflowSettings)


def test_all_three_versions_come_in_by_one_port_and_templates_stay(tmp_path):
    taken = []
    port = free_udp_port()
    table = NetflowSettings(listen=f"127.0.0.1:{port}")

    def run(*sent):
        stop = threading.Event()
        collector = make_collector((table,), Surroundings(taken.append, SystemClock(), tmp_path, lambda: None))
        thread = threading.Thread(target=collector.run, args=(stop,))
        thread.start()
        try:
            expected = octets() + sum(octets for octets, _ in sent)
            wait_for_udp(port)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                for _, datagram in sent:
                    out.sendto(datagram, ("127.0.0.1", port))
            time.sleep(0.3)
        finally:
            stop.set()
            thread.join(10)
        assert octets() == expected

    def octets():
        return sum(int(sums.rows["bytes_out"].sum()) for collected in taken for sums in collected.flows)

    run((10, v5([(1, 2, 1, 10, 0, 0)])), (20, message(V9, templates(V9, (256, PLAIN)), plain(20))),
        (40, message(IPFIX, templates(IPFIX, (256, PLAIN)), plain(40))))
    run((1, message(V9, plain(1))), (2, message(IPFIX, plain(2))))
    assert {collected.source for collected in taken} == {"netflow"}
    assert {sums.exporter for collected in taken for sums in collected.flows} == {"127.0.0.1"}
