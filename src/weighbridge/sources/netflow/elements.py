"""The information elements that are read, by the names that the other modules know them by.

NetFlow 9 and IPFIX share their numbers up to 127 and nearly all above. Where several elements say the same, `first` takes
them in an order with a reason: see CHOICES. Sources: RFC 3954 section 8, RFC 7012, IANA "IP Flow Information Export (IPFIX)
Entities", RFC 5103 (reverse elements, enterprise 29305), Cisco "ASA NetFlow Implementation Guide" (231, 232).
"""

from __future__ import annotations

from typing import Final

REVERSE: Final = 29305
"""The enterprise number under which RFC 5103 puts what the other direction of a flow moved."""
SCOPE: Final = -1
"""Stands for the enterprise of a scope field of NetFlow 9, which has numbers of its own: RFC 3954, section 6.1."""
MAX_NUMBER_BYTES: Final = 8

NUMBERS: Final = {
    (0, 1): "octets", (0, 23): "octets_out", (0, 85): "octets_total", (0, 231): "octets_initiator",
    (REVERSE, 1): "reverse_octets", (REVERSE, 85): "reverse_octets_total", (0, 232): "octets_responder",
    (0, 2): "packets", (0, 24): "packets_out", (0, 86): "packets_total", (0, 298): "packets_initiator",
    (REVERSE, 2): "reverse_packets", (REVERSE, 86): "reverse_packets_total", (0, 299): "packets_responder",
    (0, 22): "start_uptime_ms", (0, 150): "start_s", (0, 152): "start_ms", (0, 154): "start_ntp_us", (0, 156): "start_ntp_ns",
    (0, 158): "start_ago_us",
    (0, 21): "end_uptime_ms", (0, 151): "end_s", (0, 153): "end_ms", (0, 155): "end_ntp_us", (0, 157): "end_ntp_ns",
    (0, 159): "end_ago_us",
    (0, 160): "boot_ms",
    (0, 34): "sampling_interval", (0, 50): "random_interval", (0, 305): "sampled_packets", (0, 306): "skipped_packets",
    (0, 309): "sampled_of", (0, 310): "population", (0, 48): "sampler", (0, 302): "selector",
    (0, 56): "src_mac", (0, 81): "src_mac_out", (0, 80): "dst_mac", (0, 57): "dst_mac_out",
    (0, 58): "src_vlan", (0, 243): "src_vlan_dot1q", (0, 59): "dst_vlan", (0, 254): "dst_vlan_dot1q",
    (0, 10): "port_in", (0, 14): "port_out", (0, 61): "direction", (0, 60): "ip_version", (0, 89): "forwarding",
    (SCOPE, 2): "scope_port",
}
"""Unsigned integers, of 1 to 8 bytes whatever their own size: both protocols let exporters send fewer."""
ADDRESSES: Final = {
    (0, 8): ("src4", 4), (0, 12): ("dst4", 4), (0, 27): ("src6", 16), (0, 28): ("dst6", 16),
}
"""Addresses and how many bytes they have; a field of another length is none."""

CHOICES: Final = {
    # 23 is the same packets after a middlebox changed them: adding it to 1 would count twice. It stands in where 1 is zero
    # (exporters with one template for both directions) or missing. Totals are for exporters without deltas. 231 is what
    # Cisco's firewalls call the bytes since the last update.
    "octets": ("octets", "octets_total", "octets_out", "octets_initiator"),
    "packets": ("packets", "packets_total", "packets_out", "packets_initiator"),
    "reverse_octets": ("reverse_octets", "reverse_octets_total", "octets_responder"),
    "reverse_packets": ("reverse_packets", "reverse_packets_total", "packets_responder"),
    # Of a routed packet the sender's own card is the source as it came in, the receiver's the destination as it goes out;
    # the other two are the router's.
    "src_mac": ("src_mac", "src_mac_out"),
    "dst_mac": ("dst_mac_out", "dst_mac"),
    "src_vlan": ("src_vlan", "src_vlan_dot1q"),
    "dst_vlan": ("dst_vlan", "dst_vlan_dot1q"),
    "sampler": ("sampler", "selector"),
}
"""Elements that stand in for each other, the first that is there and not zero counts."""

TIMES: Final = {
    "start": ("start_ms", "start_ntp_us", "start_ntp_ns", "start_s", "start_ago_us", "start_uptime_ms"),
    "end": ("end_ms", "end_ntp_us", "end_ntp_ns", "end_s", "end_ago_us", "end_uptime_ms"),
}
"""What tells when a flow began and ended; the first that is there counts. Absolute times need no boot time to be right."""
