"""Statuses that OpenVPN 2.6.14 wrote, and others by hand: what is read of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.openvpn import Client, status_text
from weighbridge.sources.openvpn import decode
from weighbridge.sources.openvpn.decode import Dialogue, Listing, Session, Statistics, parse_status
from weighbridge.sources.polled import UnreadError

CAPTURES = Path(__file__).parent / "captures"
JURGEN = "J\u00c3\u00bcrgen"  # as the certificate had it


@pytest.mark.parametrize(("name", "expected"), [
    ("status2.log", Listing(1795656565, {
        "1795656560.3": Session("1795656560.3", "Smith, John", 1795656560, 2174, 2143),
        "1795656560.0": Session("1795656560.0", "alice", 1795656560, 2136, 2144),
        "1795656560.2": Session("1795656560.2", JURGEN, 1795656560, 2140, 2144),
        "1795656560.1": Session("1795656560.1", "alice", 1795656560, 2096, 2143),
    })),
    ("status3.log", Listing(1795656571, {
        "1795656566.1": Session("1795656566.1", "alice", 1795656566, 2056, 2104),
        "1795656566.0": Session("1795656566.0", JURGEN, 1795656566, 2100, 2143),
        "1795656567.3": Session("1795656567.3", "alice", 1795656567, 2128, 2142),
        "1795656567.2": Session("1795656567.2", "Smith, John", 1795656567, 2101, 2143),
    })),
    ("point_to_point.log", Statistics("2026-11-26 01:29:19", 54506, 5536)),
])
def test_what_openvpn_wrote_is_read(name, expected):
    assert parse_status((CAPTURES / name).read_bytes()) == expected


def sessions(text):
    found = parse_status(text)
    return {key: (each.name, each.bytes_in, each.bytes_out) for key, each in found.sessions.items()}, found.unread


@pytest.mark.parametrize("version", [2, 3])
def test_names_and_their_lack(version):
    clients = [
        Client(1, "UNDEF", 90, 5, 6), Client(2, "", 90, 7, 8), Client(3, "UNDEF", 90, 9, 10, user="carol"),
        Client(4, "dave", 90, 2**64 - 1, 0, user="other"),
    ]
    assert sessions(status_text(100, clients, version)) == ({
        "90.1": (None, 5, 6), "90.2": (None, 7, 8), "90.3": ("carol", 9, 10), "90.4": ("dave", 2**64 - 1, 0)}, 0)


@pytest.mark.parametrize(("name", "user", "expected"), [
    ("a,b", "UNDEF", "a,b"),
    ("a,b,c", "UNDEF", "a,b,c"),
    ("UNDEF", "a,b", "a,b"),
    ("x,1,2", "y,3", "x,1,2"),
    ("a,192.0.2.1:1,10.8.0.2,,5", "UNDEF", "a,192.0.2.1:1,10.8.0.2,,5"),
])
def test_commas_in_names_of_version_2(name, user, expected):
    assert sessions(status_text(100, [Client(1, name, 90, 5, 6, user=user)])) == ({"90.1": (expected, 5, 6)}, 0)


def test_what_can_be_read_in_two_ways_is_not_read():
    """By a user's name that goes on like the columns before it."""
    text = status_text(100, [Client(1, "a", 90, 5, 6, user="r,v,x,y,7,8,s,90,u"), Client(2, "bob", 90, 1, 1)])
    assert sessions(text) == ({"90.2": ("bob", 1, 1)}, 1)


OLDER = b"""TITLE,OpenVPN 2.3 x86_64-pc-linux-gnu
TIME,Thu Nov 26 00:17:44 2026,1795652264
HEADER,CLIENT_LIST,Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username
CLIENT_LIST,alice,192.0.2.7:40000,10,20,Thu Nov 26 00:17:41 2026,1795652261,UNDEF
CLIENT_LIST,alice,192.0.2.7:40001,30,40,Thu Nov 26 00:17:41 2026,1795652261,UNDEF
HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)
GLOBAL_STATS,Max bcast/mcast queue length,0
END
"""


def test_older_servers_number_no_clients():
    assert sessions(OLDER) == ({
        "1795652261.192.0.2.7:40000": ("alice", 10, 20), "1795652261.192.0.2.7:40001": ("alice", 30, 40)}, 0)


VERSION_1 = b"""OpenVPN CLIENT LIST
Updated,2026-11-26 00:17:47
Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since
alice,192.0.2.7:37303,303,3760,2026-11-26 00:17:41
ROUTING TABLE
Virtual Address,Common Name,Real Address,Last Ref
GLOBAL STATS
Max bcast/mcast queue length,9
END
"""
WHOLE = status_text(100, [Client(1, "alice", 90, 5, 6), Client(2, "bob", 90, 50, 60)])


@pytest.mark.parametrize(("text", "words"), [
    (b"", "being rewritten"),
    (WHOLE[:-4], "being rewritten"),
    (WHOLE + b"GLOBAL_STATS,Max bcast/mcast queue length,9\nEND\n", "being rewritten"),
    (WHOLE.replace(b"END\n", b"END\nEND\n"), "being rewritten"),
    (WHOLE.replace(b"CLIENT_LIST,bob,192", b"92"), "being rewritten"),   # the rest of a line of before
    (WHOLE.replace(b"TIME,", b"TIMES,"), "lacks its TIME"),
    (WHOLE.replace(b"(time_t)", b"(s)"), "one of the columns"),
    (WHOLE.replace(b"HEADER,CLIENT_LIST", b"HEADER,CLIENTS"), "one of the columns"),
    (WHOLE.replace(b"alice", b"a" * 5000), "being rewritten"),
    (VERSION_1, "write `status-version 2`"),
    (b"OpenVPN STATISTICS\nUpdated,now\nTUN/TAP read bytes,1\nEND\n", "lack the bytes"),
    (b"<html></html>\nEND\n", "none of OpenVPN's"),
])
def test_what_is_not_whole_is_not_read(text, words):
    with pytest.raises(UnreadError, match=words):
        parse_status(text)


@pytest.mark.parametrize("line", [
    b"CLIENT_LIST,bob", b"CLIENT_LIST,",
    b"CLIENT_LIST,bob,x,,,-5,60,t,90,UNDEF,2,2,AES", b"CLIENT_LIST,bob,x,,,5,,t,90,UNDEF,2,2,AES",
    b"CLIENT_LIST,bob,x,,,5,60,t,99999999999,UNDEF,2,2,AES", b"CLIENT_LIST,bob,x,,,5,60,t,90,UNDEF,two,2,AES",
    b"CLIENT_LIST," + b"b" * 300 + b",x,,,5,60,t,90,UNDEF,2,2,AES",
])
def test_a_session_that_makes_no_sense_is_counted_and_passed_over(line):
    first, rest = WHOLE.split(b"CLIENT_LIST,bob", 1)
    text = first + line + b"\n" + rest.partition(b"\n")[2]
    assert sessions(text) == ({"90.1": ("alice", 5, 6)}, 1)


def test_a_session_that_stands_twice_has_its_larger_totals():
    """Of a file of which the end is still the old one."""
    clients = [Client(1, "alice", 90, 500, 60), Client(1, "alice", 90, 400, 50), Client(2, "bob", 90, 5, 6)]
    assert sessions(status_text(100, clients)) == ({"90.1": ("alice", 500, 60), "90.2": ("bob", 5, 6)}, 0)
    assert sessions(status_text(100, clients[::-1])) == ({"90.1": ("alice", 500, 60), "90.2": ("bob", 5, 6)}, 0)


def test_bounds(monkeypatch):
    monkeypatch.setattr(decode, "SESSIONS_MOST", 1)
    with pytest.raises(UnreadError, match="2 sessions"):
        parse_status(WHOLE)
    monkeypatch.setattr(decode, "STATUS_MOST", 100)
    with pytest.raises(UnreadError, match="100 bytes"):
        parse_status(WHOLE)


def talk(*received):
    dialogue = Dialogue()
    for data in received:
        dialogue.feed(data)
    return dialogue


GREETING = b">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"


def test_what_the_server_says_by_itself_stands_between_the_lines():
    answer = WHOLE.replace(b"\n", b"\r\n")
    first, rest = answer.split(b"CLIENT_LIST,bob", 1)
    dialogue = talk(GREETING, first + b">BYTECOUNT_CLI:1,5,6\r\n>CLIENT:ENV,END\r\nCLIENT_LIST,bob" + rest)
    assert dialogue.greeted
    assert dialogue.take_answer() == WHOLE
    assert dialogue.take_answer() is None


def test_an_answer_may_come_in_any_pieces():
    dialogue = Dialogue()
    for byte in (GREETING + WHOLE.replace(b"\n", b"\r\n")):
        assert dialogue.take_answer() is None
        dialogue.feed(bytes([byte]))
    assert dialogue.take_answer() == WHOLE


def test_the_password_is_asked_for_without_a_newline():
    dialogue = talk(b"ENTER PASS")
    assert not dialogue.wants_password
    dialogue.feed(b"WORD:")
    assert dialogue.wants_password
    dialogue.feed(b"SUCCESS: password is correct\r\n" + GREETING)
    assert (dialogue.wants_password, dialogue.greeted, dialogue.refusal) == (False, True, b"")


def test_a_wrong_password_is_refused():
    dialogue = talk(b"ENTER PASSWORD:", b"ERROR: bad password\r\nENTER PASSWORD:")
    assert dialogue.refusal == b"ERROR: bad password"
    assert not dialogue.greeted


def test_what_came_before_a_question_is_no_answer():
    dialogue = talk(WHOLE, b"ERROR: something\r\n")
    dialogue.forget()
    assert (dialogue.take_answer(), dialogue.refusal) == (None, b"")


def test_a_socket_that_says_too_much_is_none_of_openvpns(monkeypatch):
    with pytest.raises(UnreadError, match="does not speak"):
        talk(b"x" * 5000)
    monkeypatch.setattr(decode, "STATUS_MOST", 1000)
    with pytest.raises(UnreadError, match="does not speak"):
        talk(*[b"CLIENT_LIST,x\r\n"] * 100)
    talk(*[b">BYTECOUNT_CLI:1,5,6\r\n"] * 1000)  # nothing of it is kept
