"""What lines add up to while they are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weighbridge.sources.log.rules import Place

SHOWN: Final = 10
"""Bad lines that are shown."""
SHOWN_CHARACTERS: Final = 200
"""Characters of a bad line that are shown."""


@dataclass(frozen=True, slots=True)
class Sum:
    """What lines of one 5-minute slot and one place add up to."""

    subject: str  # app/1 or space/123
    environment: str | None
    consumer: str | None
    method: str | None
    path: str | None
    slot_s: int  # start of the 5-minute slot, epoch seconds
    requests: int
    bytes_in: int | None  # None where no line tells it
    bytes_out: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a run of whole lines holds. lines == counted + bad + unmatched + blank, always."""

    lines: int
    counted: int
    bad: int  # no such line: cannot be parsed, no time, negative size, a name that is too long …
    unmatched: int  # well-formed, but no rule and no default takes it
    blank: int  # empty lines, and header lines of formats that have them
    first_bad: tuple[tuple[int, str, str], ...]  # (line number within the chunk from 1, reason, text cut), at most SHOWN
    sums: tuple[Sum, ...]  # one for each place and slot, sorted, so that the same bytes give the same sums


@dataclass(slots=True)
class Tally:
    """Counts and sums so far. Bad lines come in the order in which they stand."""

    counted: int = 0
    bad: int = 0
    unmatched: int = 0
    blank: int = 0
    _bad: list[tuple[int, str, bytes]] = field(default_factory=list)
    _sums: dict[tuple[Place, int], list[int | None]] = field(default_factory=dict)

    def add(self, place: Place | None, slot_s: int, requests: int, bytes_in: int | None, bytes_out: int | None) -> None:
        """So many lines belong there, None: to nobody. What is unknown adds nothing, and a sum of nothing is unknown."""
        if place is None:
            self.unmatched += requests
            return
        self.counted += requests
        sums = self._sums.get((place, slot_s))
        if sums is None:
            self._sums[place, slot_s] = [requests, bytes_in, bytes_out]
            return
        for at, more in enumerate((requests, bytes_in, bytes_out)):
            before = sums[at]
            sums[at] = before if more is None else more if before is None else before + more

    def add_bad(self, offset: int, reason: str, line: bytes) -> None:
        """The line that begins at this offset cannot be counted."""
        self.bad += 1
        if len(self._bad) < SHOWN:
            self._bad.append((offset, reason, line[: 4 * SHOWN_CHARACTERS]))

    def close(self, data: bytes) -> Chunk:
        """What was found in `data`."""
        shown = tuple((data.count(b"\n", 0, at) + 1, reason, _show(line)) for at, reason, line in self._bad)
        sums = [
            Sum(*place, slot_s, requests or 0, bytes_in, bytes_out)
            for (place, slot_s), (requests, bytes_in, bytes_out) in self._sums.items()
        ]
        sums.sort(key=lambda each: (each.slot_s, each.subject, *(
            text or "" for text in (each.environment, each.consumer, each.method, each.path)
        )))
        lines = self.counted + self.bad + self.unmatched + self.blank  # each line came here once; tests count them anew
        return Chunk(lines, self.counted, self.bad, self.unmatched, self.blank, shown, tuple(sums))


def _show(line: bytes) -> str:
    """The beginning of a line, safe for a terminal."""
    text = line.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)[:SHOWN_CHARACTERS]
