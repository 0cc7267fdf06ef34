"""Settings of OpenVPN servers, status files that are being written, and management sockets that are slow, shut or shy."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress

import pytest

from support.openvpn import Client, status_text
from weighbridge.app.source_settings import read_sources
from weighbridge.domain.errors import InvalidInputError
from weighbridge.sources.openvpn import listen, management
from weighbridge.sources.openvpn.decode import Listing, Session
from weighbridge.sources.openvpn.listen import ManagementSocket, Server, StatusFile, make_collector
from weighbridge.sources.openvpn.sessions import Kept, Known, follow
from weighbridge.sources.openvpn.settings import OpenvpnSettings, read_address
from weighbridge.sources.polled import UnreadError

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
STOP = threading.Event()
CLIENTS = [Client(1, "alice", 90, 5, 6)]
STATUS = status_text(100, CLIENTS, version=3)
GREETING = b">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"


def settings_of(folder, **table):
    found, faults = read_sources({"openvpn": [table]}, folder, "weighbridge.toml")
    return found["openvpn"], faults


def test_settings_are_read_and_paths_start_at_the_settings_file(tmp_path):
    (table,), faults = settings_of(tmp_path, instance=VPN.upper(), status="status.log")
    assert faults == []
    assert table == OpenvpnSettings(instance=VPN, status=str(tmp_path / "status.log"), interval_s=10)
    (table,), _ = settings_of(tmp_path, instance=VPN, management="./m.sock", password_file="pw", interval_s=2.5)
    assert (table.management, table.password_file) == (str(tmp_path / "m.sock"), str(tmp_path / "pw"))
    (table,), _ = settings_of(tmp_path, instance=VPN, management="127.0.0.1:7505", password_env="PW")
    assert table.management == "127.0.0.1:7505"


@pytest.mark.parametrize(("table", "words"), [
    ({"status": "x"}, "instance"),
    ({"instance": "hq", "status": "x"}, "'hq' is no UUID"),
    ({"instance": VPN}, "give one of the two"),
    ({"instance": VPN, "status": "x", "management": "/y"}, "give one of the two"),
    ({"instance": VPN, "management": "7505"}, "is neither"),
    ({"instance": VPN, "management": "h:0"}, "is neither"),
    ({"instance": VPN, "management": "h:65536"}, "is neither"),
    ({"instance": VPN, "management": "/y", "password_env": "A", "password_file": "b"}, "keep one of the two"),
    ({"instance": VPN, "status": "x", "password_env": "A"}, "a status file has none"),
    ({"instance": VPN, "status": "x", "interval_s": 0}, "interval_s"),
    ({"instance": VPN, "status": "x", "path": "y"}, "known there: instance, status, management"),
])
def test_wrong_settings_are_told(tmp_path, table, words):
    _, (fault,) = settings_of(tmp_path, **table)
    assert words in fault


@pytest.mark.parametrize(("text", "address"), [
    ("127.0.0.1:7505", ("127.0.0.1", 7505)), ("[::1]:7505", ("::1", 7505)), ("vpn.example:65535", ("vpn.example", 65535)),
    ("/run/openvpn/m.sock", "/run/openvpn/m.sock"),
])
def test_addresses(text, address):
    assert read_address(text) == address


def test_tables_that_cannot_be_are_refused(monkeypatch):
    monkeypatch.delenv("WB_NO_SUCH_PASSWORD", raising=False)
    table = OpenvpnSettings(instance=VPN, status="/s")
    with pytest.raises(InvalidInputError, match="/s stands in two"):
        make_collector((table, table), None)
    with pytest.raises(InvalidInputError, match="WB_NO_SUCH_PASSWORD, which is not set"):
        make_collector((OpenvpnSettings(instance=VPN, management="/m", password_env="WB_NO_SUCH_PASSWORD"),), None)


class Writing(threading.Event):
    """Something is done to a file while somebody waits."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = list(steps)

    def wait(self, timeout=None):
        if self.steps:
            self.steps.pop(0)()
        return self.is_set()


def test_a_status_file_is_read_when_it_stands_still(tmp_path):
    path = tmp_path / "status.log"
    path.write_bytes(b"old")
    assert StatusFile(path).read(Writing(lambda: path.write_bytes(b"half"), lambda: path.write_bytes(b"new"))) == b"new"


def test_a_status_file_that_never_stands_still_is_left_for_the_next_poll(tmp_path):
    path = tmp_path / "status.log"
    path.write_bytes(b"")
    stop = Writing(*[lambda number=number: path.write_bytes(b"x" * number) for number in range(1, listen.LOOKS + 1)])
    with pytest.raises(UnreadError, match="being rewritten"):
        StatusFile(path).read(stop)


def test_a_status_file_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        StatusFile(tmp_path / "none").read(STOP)


def server_of(folder):
    (folder / "state").mkdir(exist_ok=True)
    return Server(OpenvpnSettings(instance=VPN, status=str(folder / "status.log")), folder / "state")


def test_a_status_that_has_not_changed_is_no_new_reading_and_an_old_one_is_trouble(tmp_path):
    (tmp_path / "status.log").write_bytes(STATUS)
    server = server_of(tmp_path)
    (reading,) = server.read(101_000_000, STOP)
    assert (reading.at_us, reading.thing.name, reading.bytes_in, reading.bytes_out) == (100_000_000, "alice", 5, 6)
    assert server.read(130_000_000, STOP) == []
    with pytest.raises(UnreadError, match="is it down") as raised:
        server.read(500_000_000, STOP)
    assert raised.value.word == "stale"


def test_a_status_from_ahead_is_as_of_now(tmp_path):
    (tmp_path / "status.log").write_bytes(STATUS)
    (reading,) = server_of(tmp_path).read(99_000_000, STOP)
    assert reading.at_us == 99_000_000


def test_an_end_without_sessions_is_the_instance_itself(tmp_path):
    text = "OpenVPN STATISTICS\nUpdated,{}\nTCP/UDP read bytes,{}\nTCP/UDP write bytes,{}\nEND\n"
    server = server_of(tmp_path)
    (tmp_path / "status.log").write_text(text.format("10:00", 10, 20))
    (first,) = server.read(100_000_000, STOP)
    assert server.read(110_000_000, STOP) == []
    (tmp_path / "status.log").write_text(text.format("10:01", 15, 28))
    (second,) = server_of(tmp_path).read(160_000_000, STOP)  # the collector was started anew
    assert (first.thing.name, first.bytes_in, first.bytes_out, first.at_us) == ("", 10, 20, 100_000_000)
    assert (second.bytes_in, second.bytes_out, second.at_us) == (15, 28, 160_000_000)
    assert first.counter == second.counter
    assert not second.is_whole


def test_a_damaged_state_begins_anew(tmp_path):
    (tmp_path / "status.log").write_bytes(STATUS)
    (first,) = server_of(tmp_path).read(101_000_000, STOP)
    (state,) = (tmp_path / "state").iterdir()
    state.write_bytes(b"{")
    (tmp_path / "status.log").write_bytes(status_text(110, CLIENTS))
    (second,) = server_of(tmp_path).read(111_000_000, STOP)
    assert first.counter != second.counter
    assert second.since_us is None


def test_where_our_clock_was_set_back_no_session_is_proven_new():
    known = Known("m", 200_000_000, 100, {"90.1": Kept("alice", "0", 5, 6, 1, is_kept=True)})
    listing = Listing(110, {"90.1": Session("90.1", "alice", 90, 7, 8), "105.2": Session("105.2", "bob", 105, 1, 1)})
    after, _ = follow(known, listing, 150_000_000)
    assert after.sessions == {
        "90.1": Kept("alice", "0", 7, 8, 1, is_kept=True), "105.2": Kept("bob", "105.2@150000000", 1, 1)}


class Vpn:
    """A management socket that speaks as a test says: a list of what it sends, and of what it waits for."""

    def __init__(self, stack, folder, *scripts, is_tcp=False):
        self.heard = []
        self._listener = stack.enter_context(socket.socket(socket.AF_INET if is_tcp else socket.AF_UNIX))
        self._listener.bind(("127.0.0.1", 0) if is_tcp else str(folder / "m.sock"))
        self._listener.listen()
        bound = self._listener.getsockname()
        address = f"127.0.0.1:{bound[1]}" if is_tcp else bound
        (folder / "password").write_text("hush\n")
        self.settings = OpenvpnSettings(instance=VPN, management=address, password_file=str(folder / "password"))
        self._thread = threading.Thread(target=self._run, args=(scripts,), daemon=True)
        self._thread.start()
        stack.callback(self._thread.join, 10)

    def _run(self, scripts):
        for script in scripts:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                for step in script:
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    else:
                        self._hear(connection)

    def _hear(self, connection):
        line = b""
        while not line.endswith(b"\n"):
            data = connection.recv(1)
            if not data:
                return
            line += data
        self.heard.append(line)


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


HEAR = None
PROMPT, CORRECT = b"ENTER PASSWORD:", b"SUCCESS: password is correct\r\n"
ANSWER = STATUS.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("is_tcp", [False, True])
def test_a_server_is_asked_over_one_connection(stack, tmp_path, is_tcp):
    vpn = Vpn(stack, tmp_path, [
        PROMPT, HEAR, CORRECT + GREETING, HEAR, ANSWER, b">BYTECOUNT_CLI:1,5,6\r\n>INFO:x\r\n", HEAR, ANSWER], is_tcp=is_tcp)
    place = ManagementSocket(vpn.settings)
    stack.callback(place.close)
    assert [place.read(STOP), place.read(STOP)] == [STATUS, STATUS]
    assert vpn.heard == [b"hush\n", b"status 3\n", b"status 3\n"]


def test_a_server_that_was_started_anew_is_asked_again_at_once(stack, tmp_path):
    vpn = Vpn(stack, tmp_path, [GREETING, HEAR, ANSWER], [GREETING, HEAR, ANSWER[:40]], [GREETING, HEAR, ANSWER])
    place = ManagementSocket(vpn.settings)
    stack.callback(place.close)
    assert place.read(STOP) == STATUS
    with pytest.raises(ConnectionError, match="hung up"):
        place.read(STOP)  # the first connection was gone, the second goes in the middle of the answer
    assert place.read(STOP) == STATUS


def test_a_password_that_is_wrong_or_missing_is_told(stack, tmp_path):
    vpn = Vpn(stack, tmp_path, [PROMPT, HEAR, b"ERROR: bad password\r\n" + PROMPT], [PROMPT, HEAR])
    place = ManagementSocket(vpn.settings)
    stack.callback(place.close)
    with pytest.raises(UnreadError, match="refuses the password"):
        place.read(STOP)
    bare = ManagementSocket(OpenvpnSettings(instance=VPN, management=vpn.settings.management))
    stack.callback(bare.close)
    with pytest.raises(UnreadError, match="give password_file or password_env"):
        bare.read(STOP)


def test_a_socket_that_says_nothing_is_somebody_elses(stack, tmp_path, monkeypatch):
    monkeypatch.setattr(management, "TIMEOUT_S", 0.3)
    vpn = Vpn(stack, tmp_path, [HEAR], [GREETING, HEAR, ANSWER])
    place = ManagementSocket(vpn.settings)
    stack.callback(place.close)
    with pytest.raises(UnreadError, match="another program"):
        place.read(STOP)
    assert place.read(STOP) == STATUS


def test_what_a_server_refuses_is_told(stack, tmp_path):
    vpn = Vpn(stack, tmp_path, [GREETING, HEAR, b"ERROR: unknown command, enter 'help' for more options\r\n"])
    place = ManagementSocket(vpn.settings)
    stack.callback(place.close)
    with pytest.raises(UnreadError, match="unknown command"):
        place.read(STOP)


def test_a_question_is_left_when_it_is_time_to_end(stack, tmp_path):
    vpn = Vpn(stack, tmp_path, [GREETING, HEAR])
    stop = threading.Event()
    stop.set()
    place = ManagementSocket(vpn.settings)
    stack.callback(place.close)
    with pytest.raises(UnreadError, match="told to stop"):
        place.read(stop)


def test_the_password_may_stand_in_a_variable(stack, tmp_path, monkeypatch):
    monkeypatch.setenv("WB_PASSWORD", "whisper")
    vpn = Vpn(stack, tmp_path, [PROMPT, HEAR, CORRECT + GREETING, HEAR, ANSWER])
    place = ManagementSocket(OpenvpnSettings(instance=VPN, management=vpn.settings.management, password_env="WB_PASSWORD"))
    stack.callback(place.close)
    assert place.read(STOP) == STATUS
    assert vpn.heard[0] == b"whisper\n"
