"""Flows: blocks of decoded records, sums by address, and whose address it is."""
