"""NetFlow 5, NetFlow 9 and IPFIX: flows as routers, switches and probes export them, on one UDP port."""
