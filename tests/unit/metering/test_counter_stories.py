"""What happens to counters in a network, each as a story with the exact bytes that it comes to.

Every story goes the whole way: desk, journal, fold, and the usage report. Times are minutes past ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from support.catalog import VPN
from support.things import PORT, Network, at_s, at_us, reading
from weighbridge.collected import Thing, ThingKind
from weighbridge.model import Attribution, Kind, Metering, Port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from weighbridge.metering.gathering import GatheredReceipt

GIGABIT = 10**9
ALICE = Thing(ThingKind.TUNNEL, VPN, "alice's key")
INSTANCE = Thing(ThingKind.TUNNEL, VPN)
OTHER_PORT = Thing(ThingKind.INTERFACE, "tor-1", "ge-0/0/2")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    network = Network(tmp_path / "journal")
    yield network
    network.close()


@pytest.fixture
def port(network: Network) -> Network:
    """The network, with the port given to sv_0 for ever."""
    network.give_port("sv_0")
    return network


def unattributed(receipt: GatheredReceipt) -> tuple[int, int, int]:
    """Readings, bytes in and bytes out of tor-1 that nobody had."""
    names = ("unattributed", "unattributed_bytes_in", "unattributed_bytes_out")
    first, second, third = (receipt.counts["tor-1", name] for name in names)
    return first, second, third


def test_a_first_reading_bills_nothing_but_tells_that_somebody_looked(port: Network) -> None:
    receipt = port.read(reading(3, 10**15, 10**15))
    assert receipt.counts == {("tor-1", "readings"): 1, ("tor-1", "first"): 1}
    assert port.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (0, 0)}
    assert port.billed("server") == {"sv_0": (0, 0)}


def test_every_byte_between_two_readings_counts_once(port: Network) -> None:
    port.read(reading(0, 1_000, 500))
    port.read(reading(1, 1_060, 560), reading(7, 1_660, 560))
    assert port.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (60 + 400, 60), 5: (200, 0)}
    assert port.billed("server") == {"sv_0": (660, 60)}


def test_a_counter_of_32_bits_wraps(port: Network) -> None:
    near = 2**32 - 1_000
    port.read(reading(0, near, 0, bits=32, line_rate_bps=GIGABIT))
    receipt = port.read(reading(0.5, 234, 5, bits=32, line_rate_bps=GIGABIT))
    assert receipt.counts["tor-1", "wrap"] == 1
    assert port.billed("server") == {"sv_0": (1_234, 5)}


@pytest.mark.parametrize(("minutes", "more"), [
    (0.5, {"line_rate_bps": None}),       # nobody knows what the line carries
    (0.5, {"line_rate_bps": 100}),        # more than the line carries
    (2, {"line_rate_bps": GIGABIT}),      # it may have wrapped more than once
    (0.5, {"line_rate_bps": GIGABIT, "bits": 64}),
])
def test_what_cannot_be_one_wrap_is_a_reset_and_bills_nothing(
    port: Network, minutes: float, more: dict[str, int | None]
) -> None:
    given = {"bits": 32} | more
    port.read(reading(0, 2**32 - 1_000, 0, **given))
    assert port.read(reading(minutes, 234, 5, **given)).counts["tor-1", "reset"] == 1
    assert port.billed("server") == {"sv_0": (0, 0)}
    port.read(reading(minutes + 0.25, 334, 6, **given))
    assert port.billed("server") == {"sv_0": (100, 1)}


def test_a_reset_bills_nothing_and_a_new_epoch_begins(port: Network) -> None:
    port.read(reading(0, 1_000, 1_000), reading(1, 1_500, 1_200))
    port.reopen()
    assert port.read(reading(2, 40, 1_300)).counts["tor-1", "reset"] == 1
    port.read(reading(3, 100, 1_310))
    assert port.billed("server") == {"sv_0": (500 + 60, 200 + 10)}


def test_a_device_that_rebooted_and_tells_when_loses_only_what_it_counted_before(port: Network) -> None:
    port.read(reading(0, 10**9, 10**9), reading(1, 10**9 + 100, 10**9))
    assert port.read(reading(11, 8_000, 800, since_us=at_us(3))).counts["tor-1", "reset"] == 1
    assert port.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (100 + 2_000, 200), 5: (5_000, 500), 10: (1_000, 100)}
    assert port.billed("server") == {"sv_0": (8_100, 800)}


def test_a_device_that_rebooted_and_does_not_tell_when_is_believed_from_its_next_reading_on(port: Network) -> None:
    port.read(reading(0, 10**9, 10**9), reading(1, 10**9 + 100, 10**9))
    port.read(reading(11, 8_000, 800))
    port.read(reading(12, 8_050, 860))
    assert port.billed("server") == {"sv_0": (150, 60)}


def test_a_port_keeps_its_counter_when_a_reboot_numbers_it_anew(network: Network) -> None:
    network.give_port("sv_0")
    network.give_port("sv_1", thing=OTHER_PORT)
    first, second = (lambda at, total: reading(at, total, 0)), (lambda at, total: reading(at, total, 0, OTHER_PORT))
    network.read(first(0, 1_000), second(0, 90_000))     # ge-0/0/1 has index 1, ge-0/0/2 index 2
    network.read(second(1, 90_007), first(1, 1_300))     # the other way round
    assert network.billed("server") == {"sv_0": (300, 0), "sv_1": (7, 0)}


def test_polls_that_were_missed_are_spread_over_the_gap_and_marked(port: Network) -> None:
    port.read(reading(2, 0, 0), reading(4, 100, 10))
    port.reopen()
    port.read(reading(22, 100 + 1_801, 10 + 5))          # 18 minutes: 1, 5, 5, 5 and 2 of them in each slot
    slots = {0: (100 + 100, 10), 5: (501, 2), 10: (500, 1), 15: (500, 1), 20: (200, 1)}
    assert port.slots(Kind.SERVER, "sv_0", "interfaces") == slots
    assert port.estimated(Kind.SERVER, "sv_0", "interfaces") == [5, 10, 15]
    assert port.billed("server") == {"sv_0": (1_901, 15)}


def test_a_poll_that_was_answered_twice_counts_once(port: Network) -> None:
    port.read(reading(0, 1_000, 10), reading(1, 1_500, 20))
    assert port.read(reading(1, 1_500, 20)).duplicates == 1
    assert port.read(reading(1, 1_500, 20), reading(1, 1_500, 20)).counts == {("tor-1", "duplicate"): 2}
    assert port.read(reading(1.01, 1_500, 20)).accepted == 1      # a later look at the same value
    assert port.billed("server") == {"sv_0": (500, 10)}


def test_the_first_of_two_values_of_one_time_stays(port: Network) -> None:
    port.read(reading(0, 1_000, 10))
    assert port.read(reading(0, 2_000, 10)).counts == {("tor-1", "conflict"): 1}
    port.read(reading(1, 2_500, 20))
    assert port.billed("server") == {"sv_0": (1_500, 10)}


def test_polls_that_come_out_of_order_lose_and_double_nothing(port: Network) -> None:
    port.read(reading(2, 3_000, 30), reading(0, 1_000, 10), reading(1, 1_500, 20))   # one batch: by their times
    assert port.billed("server") == {"sv_0": (2_000, 20)}
    port.read(reading(4, 5_000, 50))
    assert port.read(reading(3, 3_900, 40)).counts == {("tor-1", "out_of_order"): 1}  # 4 holds it already
    assert port.billed("server") == {"sv_0": (4_000, 40)}


def test_an_agent_of_the_device_that_restarts_resets_no_counter(port: Network) -> None:
    port.read(reading(0, 1_000, 10))
    port.read(reading(6, 1_600, 70))   # sysUpTime began anew meanwhile, ifCounterDiscontinuityTime did not
    port.read(reading(7, 1_700, 80))
    assert port.billed("server") == {"sv_0": (700, 70)}


def test_a_discontinuity_counts_what_is_known_to_be_new_even_where_the_value_grew(port: Network) -> None:
    port.read(reading(0, 1_000, 1_000))
    port.read(reading(2, 5_000, 10, since_us=at_us(1)))
    port.read(reading(3, 5_100, 20, since_us=at_us(1)))
    assert port.billed("server") == {"sv_0": (5_100, 20)}


def test_a_direction_that_was_not_read_is_absent_and_not_zero(port: Network) -> None:
    port.read(reading(0, 1_000, 1_000), reading(1, None, 1_100))
    port.read(reading(2, 1_700, None), reading(3, 1_800, 1_400))
    assert port.billed("server") == {"sv_0": (800, 400)}
    assert port.read(reading(4, None, None)).counts == {("tor-1", "absent"): 1}


def test_a_port_that_moves_to_another_server_leaves_each_its_bytes(network: Network) -> None:
    network.give_port("sv_0")
    network.read(reading(0, 0, 0), reading(14, 1_400, 140), reading(16, 1_600, 160))
    network.take_port("sv_0", at_s(15))                # at 10:17, that is from the slot that it lies in
    network.give_port("sv_1", at_s(15))
    network.read(reading(18, 1_800, 180), reading(30, 3_000, 300))
    assert network.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (500, 50), 5: (500, 50), 10: (500, 50), 15: (100, 10)}
    assert network.slots(Kind.SERVER, "sv_1", "interfaces") == {15: (400, 40), 20: (500, 50), 25: (500, 50)}


def test_what_was_read_late_of_a_port_that_moved_goes_to_whom_had_it_in_each_slot(network: Network) -> None:
    network.give_port("sv_0")
    network.take_port("sv_0", at_s(15))
    network.give_port("sv_1", at_s(15))
    network.read(reading(0, 0, 0), reading(14, 1_400, 140))
    network.read(reading(28, 2_801, 281))              # over the border: 1, 5, 5 and 3 minutes in each slot
    assert network.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (500, 50), 5: (500, 50), 10: (400 + 100, 40 + 10)}
    assert network.slots(Kind.SERVER, "sv_1", "interfaces") == {15: (501, 51), 20: (500, 50), 25: (300, 30)}
    assert network.estimated(Kind.SERVER, "sv_1", "interfaces") == [15, 20]
    assert network.billed("server") == {"sv_0": (1_500, 150), "sv_1": (1_301, 131)}


def test_a_server_that_moves_to_another_project_leaves_each_its_bytes_of_counters(port: Network) -> None:
    port.read(reading(0, 0, 0), reading(14, 1_400, 140), reading(18, 1_800, 180), reading(30, 3_000, 300))
    port.move("sv_0", at_s(15), "proj_o")              # at 10:17
    assert port.billed("project") == {"proj_a": (1_500, 150), "proj_o": (1_500, 150)}
    assert port.billed("organization") == {"org_acme": (1_500, 150), "org_other": (1_500, 150)}


def test_a_server_that_moves_to_another_project_leaves_each_its_bytes_of_flows(network: Network) -> None:
    network.attribute("sv_0", Attribution(0, addresses=("192.0.2.10/32",)))
    network.flow("sv_0", (5, 100, 1), (10, 200, 2), (15, 400, 4), (20, 800, 8))
    network.move("sv_0", at_s(15), "proj_o")           # at 10:17
    assert network.billed("project") == {"proj_a": (300, 3), "proj_o": (1_200, 12)}


def test_what_was_read_before_an_attribution_bills_nothing_and_the_last_of_it_is_the_baseline(network: Network) -> None:
    receipt = network.read(reading(-20, 1_000, 100), reading(4, 5_000, 500))
    assert unattributed(receipt) == (2, 4_000, 400)
    network.reopen()
    network.give_port("sv_0", at_s(5))
    receipt = network.read(reading(6, 5_060, 520))     # a minute of it before the attribution's first slot
    assert unattributed(receipt) == (1, 30, 10)
    network.read(reading(7, 5_100, 520))
    assert network.billed("server") == {"sv_0": (30 + 40, 10)}


def test_a_port_that_faces_the_server_has_its_directions_swapped(network: Network) -> None:
    network.give_port("sv_0", facing="server")
    network.take_port("sv_0", at_s(10))
    network.give_port("sv_1", at_s(10))
    network.read(reading(0, 0, 0), reading(20, 1_000, 40))   # what the port receives, sv_0 sent
    assert network.billed("server") == {"sv_0": (20, 500), "sv_1": (500, 20)}


def test_a_port_that_is_turned_round_is_turned_from_that_slot_on(network: Network) -> None:
    network.give_port("sv_0", facing="server")
    network.give_port("sv_0", at_s(10))
    network.read(reading(0, 0, 0), reading(20, 1_000, 40))
    assert network.slots(Kind.SERVER, "sv_0", "interfaces") == {0: (10, 250), 5: (10, 250), 10: (250, 10), 15: (250, 10)}


def test_a_peer_that_is_made_anew_counts_from_zero_and_whole(network: Network) -> None:
    network.enter_peer(VPN, "alice", public_key="alice's key")
    network.read(reading(0, 7_000, 700, ALICE), source="wireguard")
    network.read(reading(1, 7_500, 750, ALICE), source="wireguard")
    network.reopen()
    # It was seen absent at 2 and is there again at 3: with more than it ever had before, in one direction.
    network.read(reading(3, 9_000, 10, ALICE, since_us=at_us(2), is_whole=True), source="wireguard")
    network.read(reading(4, 9_100, 20, ALICE, since_us=at_us(2), is_whole=True), source="wireguard")
    assert network.billed("peer") == {"alice": (500 + 9_100, 50 + 20)}


def test_a_peer_that_is_known_to_be_new_counts_whole(network: Network) -> None:
    network.enter_peer(VPN, "alice", common_name="alice's key")
    network.read(reading(3, 90, 9, ALICE, counter="session 1", since_us=at_us(2), is_whole=True), source="openvpn")
    network.read(reading(3, 40, 4, ALICE, counter="session 2", since_us=at_us(-500 * 1440), is_whole=True), source="openvpn")
    network.read(reading(4, 45, 5, ALICE, counter="session 2", since_us=at_us(-500 * 1440), is_whole=True), source="openvpn")
    assert network.billed("peer") == {"alice": (90 + 5, 9 + 1)}  # nobody can have connected 500 days ago


def test_a_direction_of_a_new_peer_that_is_read_later_counts_whole_too(network: Network) -> None:
    network.enter_peer(VPN, "alice", public_key="alice's key")
    new = {"thing": ALICE, "since_us": at_us(2), "is_whole": True}
    network.read(reading(3, 90, None, **new), reading(4, 95, 7, **new), source="wireguard")
    assert network.billed("peer") == {"alice": (95, 7)}


def test_a_peer_that_nobody_entered_counts_for_its_instance_until_it_is_entered_and_after_it_is_deleted(
    network: Network,
) -> None:
    network.read(reading(0, 0, 0, ALICE), reading(10, 1_000, 100, ALICE), source="wireguard")
    assert network.billed("vpn") == {VPN: (1_000, 100)}
    assert network.billed("peer") == {None: (1_000, 100)}
    network.enter_peer(VPN, "alice", public_key="alice's key")
    network.read(reading(20, 1_500, 150, ALICE), source="wireguard")
    assert network.billed("peer") == {None: (1_000, 100), "alice": (500, 50)}
    network.enter_peer(VPN, "alice", public_key="alice's key", deleted_at_s=at_s(32))
    network.read(reading(40, 3_500, 350, ALICE), source="wireguard")
    assert network.billed("peer") == {None: (1_000 + 1_000, 100 + 100), "alice": (500 + 1_000, 50 + 100)}
    network.read(reading(41, 0, 0, INSTANCE), reading(42, 9, 9, INSTANCE), source="wireguard")
    assert network.billed("vpn") == {VPN: (3_509, 359)}


def test_metering_that_changes_from_flows_to_interfaces_counts_each_side_by_its_own(network: Network) -> None:
    known: dict[str, Any] = {"addresses": ("192.0.2.10/32",), "interfaces": (Port(PORT.device, PORT.name),)}
    network.attribute("sv_0", Attribution(0, metering=Metering.FLOWS, **known), Attribution(at_s(10), **known))
    network.flow("sv_0", (0, 1, 10), (5, 1, 10), (10, 1, 10), (15, 1, 10))
    network.read(reading(0, 0, 0), reading(20, 4_000, 400))
    assert network.billed("server") == {"sv_0": (2 + 2_000, 20 + 200)}
    assert network.total(Kind.SERVER, "sv_0", "flows") == (4, 40)
    assert network.total(Kind.SERVER, "sv_0", "interfaces") == (4_000, 400)


def test_a_machine_tells_its_own_counters_and_they_count_unless_another_is_declared(network: Network) -> None:
    eth = Thing(ThingKind.HOST, "sv_0")
    network.read(reading(0, 0, 0, eth, counter="eth0"), reading(0, 50, 50, eth, counter="eth1"), source="host")
    network.read(reading(10, 100, 10, eth, counter="eth0"), reading(10, 51, 52, eth, counter="eth1"), source="host")
    assert network.billed("server") == {"sv_0": (101, 12)}
    network.attribute("sv_0", Attribution(at_s(5), addresses=("192.0.2.10/32",)))
    assert network.billed("server") == {"sv_0": (51, 6)}


def test_a_server_that_is_deleted_has_what_moved_until_then(port: Network) -> None:
    port.read(reading(0, 0, 0))
    port.view.servers["sv_0"] = msgspec.structs.replace(port.view.servers["sv_0"], deleted_at_s=at_s(12))
    port.view.version += 1
    assert unattributed(port.read(reading(20, 2_000, 200))) == (1, 1_000, 100)
    assert port.billed("server") == {"sv_0": (1_000, 100)}
