"""Altostrat's Managed VPN API: the bandwidth of a VPN instance."""
