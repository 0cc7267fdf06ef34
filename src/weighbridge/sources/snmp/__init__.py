"""Interface counters of routers, switches and hosts, polled by SNMP."""
