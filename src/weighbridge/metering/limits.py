"""What may be told, and the words for what may not."""

AHEAD_US = 5 * 60 * 1_000_000
"""How far ahead of the clock usage may end: senders' clocks are off by minutes, not by more."""
EARLIEST_US = 63_072_000 * 1_000_000
"""1972-01-01: from here on every zone's offset is a multiple of 5 minutes."""
CONFLICT_DETAIL = "an event with this source and id was accepted before, with another type, subject, time or data"
