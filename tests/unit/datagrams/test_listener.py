"""Datagrams over loopback: all of them, in order, with whose they are, and what was lost is told."""

from __future__ import annotations

import socket
from contextlib import closing

import numpy as np
import pytest

from weighbridge.datagrams import listener as listener_module
from weighbridge.datagrams import receiving
from weighbridge.datagrams.listener import Listener, read_address
from weighbridge.datagrams.receiving import AT_ONCE, LONGEST_BYTES, Many, One
from weighbridge.domain.errors import InvalidInputError

NOW_US = 1_800_000_000_000_000


@pytest.fixture(params=["the platform's", "one by one"])
def listen(request, monkeypatch):
    """Makes a Listener with either receiver."""
    if request.param == "one by one":
        monkeypatch.setattr(listener_module, "receiver_of", One)
    made = []

    def start(address, **options):
        made.append(Listener(address, lambda: NOW_US, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def sender_to(listener, host="127.0.0.1"):
    sender = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((host, listener.address[1]))
    return closing(sender)


def contents(block):
    return [block.octets[start : start + length].tobytes() for start, length in zip(block.starts, block.lengths, strict=True)]


@pytest.mark.parametrize(("address", "host", "source"), [
    ("127.0.0.1:0", "127.0.0.1", "127.0.0.1"), ("[::]:0", "127.0.0.1", "127.0.0.1"), ("[::1]:0", "::1", "::1"),
])
def test_every_datagram_comes_once_and_in_order(listen, address, host, source):
    listener = listen(address)
    sent = [number.to_bytes(2, "big") * (number % 5) for number in range(AT_ONCE + 40)]
    with sender_to(listener, host) as sender:
        for each in sent:
            sender.send(each)
        first = listener.receive(5)
        assert (len(first), contents(first)) == (AT_ONCE, sent[:AT_ONCE])
        assert (first.sources, first.received_us) == ([source] * AT_ONCE, NOW_US)
        assert contents(listener.receive(5)) == sent[AT_ONCE:]
    assert listener.receive(0) is None
    assert listener.counts == {}


def test_senders_are_told_apart(listen):
    listener = listen("0.0.0.0:0")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other, sender_to(listener) as sender:
        other.bind(("127.0.0.2", 0))
        sender.send(b"a")
        other.sendto(b"b", ("127.0.0.1", listener.address[1]))
        sender.send(b"c")
        block = listener.receive(5)
    assert list(zip(block.sources, contents(block), strict=True)) == [
        ("127.0.0.1", b"a"), ("127.0.0.2", b"b"), ("127.0.0.1", b"c")]


def test_what_is_too_long_is_left_out_and_counted(listen):
    listener = listen("127.0.0.1:0")
    with sender_to(listener) as sender:
        for size in (LONGEST_BYTES, LONGEST_BYTES + 1, 60_000, 0, 3):
            sender.send(b"x" * size)
        assert listener.receive(5).lengths.tolist() == [LONGEST_BYTES, 0, 3]
        sender.send(b"y" * (LONGEST_BYTES + 1))
        assert len(listener.receive(5)) == 0
    assert listener.counts == {("127.0.0.1", "datagrams_too_long"): 3}


def test_what_the_kernel_had_no_room_for_is_counted(listen):
    listener = listen("127.0.0.1:0", rcvbuf_bytes=20_000)
    with sender_to(listener) as sender:
        for _ in range(200):
            sender.send(b"z" * 1400)
    came = 0
    while (block := listener.receive(0)) is not None:
        came += len(block)
    assert 0 < came < 200
    assert listener.counts == {("", "datagrams_lost"): 200 - came}


def test_a_block_gathers_what_comes_soon_after(listen, monkeypatch):
    listener = listen("127.0.0.1:0")
    with sender_to(listener) as sender:
        monkeypatch.setattr(listener_module.time, "sleep", lambda _: sender.send(b"later"))
        sender.send(b"first")
        assert contents(listener.receive(5)) == [b"first", *[b"later"] * (AT_ONCE - 1)]


def test_many_addresses_do_not_fill_memory(monkeypatch):
    monkeypatch.setattr(receiving, "SOURCES_KEPT", 2)
    texts = receiving._Texts()
    assert [texts[bytes([10, 0, 0, last])] for last in range(5)] == [f"10.0.0.{last}" for last in range(5)]
    assert texts["fe80::1%lo"] == "fe80::1"
    assert texts[bytes(10) + b"\xff\xff\x01\x02\x03\x04"] == "1.2.3.4"
    assert len(texts) <= 2


def test_linux_has_the_quick_one():
    with closing(Listener("127.0.0.1:0", lambda: NOW_US)) as listener:
        assert isinstance(listener._receiver, Many)
        assert isinstance(listener._receiver.octets, np.ndarray)


def test_a_closed_socket_is_an_error(listen):
    listener = listen("127.0.0.1:0")
    receiver = listener._receiver
    listener.close()
    with pytest.raises(OSError, match="descriptor"):
        receiver.receive(0)


def test_a_taken_address_is_an_error(listen):
    listener = listen("127.0.0.1:0")
    with pytest.raises(OSError, match="in use"):
        listen(f"127.0.0.1:{listener.address[1]}")


@pytest.mark.parametrize(("text", "wanted"), [
    ("0.0.0.0:2055", ("0.0.0.0", 2055)), ("[::]:0", ("::", 0)), ("[2001:db8::1]:65535", ("2001:db8::1", 65535)),
])
def test_addresses(text, wanted):
    assert read_address(text) == wanted


@pytest.mark.parametrize("text", [
    "", ":", "2055", "0.0.0.0", "0.0.0.0:", ":2055", "0.0.0.0:65536", "0.0.0.0:-1", "0.0.0.0:\uff12", "::1:2055", "[::1]2055",
    "[0.0.0.0]:2055", "[::1:2055", "localhost:2055",
])
def test_what_is_no_address_with_a_port_is_refused(text):
    with pytest.raises(InvalidInputError, match="right is"):
        read_address(text)
