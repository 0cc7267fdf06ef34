"""Texts with labels in braces, such as `server/{instance}`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HOLE = re.compile(r"\{([^{}]*)\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Template:
    """Pieces in order: a text, and the label behind it (None: nothing is behind the last one). At most `longest` long."""

    pieces: tuple[tuple[str, str | None], ...]
    longest: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in braces."""
        return tuple(label for _, label in self.pieces if label is not None)

    def fill(self, labels: Mapping[str, str], *, forbidden: str = "") -> str | None:
        """The text with the labels' values.

        None where a label is absent or empty, holds a control character or a character of `forbidden`, or where the
        whole is too long.
        """
        parts = []
        for text, label in self.pieces:
            parts.append(text)
            if label is None:
                continue
            value = labels.get(label, "")
            if not value or len(value) > self.longest or _CONTROL.search(value) or not set(forbidden).isdisjoint(value):
                return None
            parts.append(value)
        whole = "".join(parts)
        return whole if len(whole) <= self.longest else None


def read_template(text: str, longest: int) -> Template:
    """What a person wrote, taken apart. ValueError says what is wrong with it."""
    if not text:
        raise ValueError("is empty; leave it out, or write a text, with labels in braces")
    if _CONTROL.search(text):
        raise ValueError("holds a control character")
    if len(text) > longest:
        raise ValueError(f"has {len(text)} characters; {longest} are the most")
    pieces: list[tuple[str, str | None]] = []
    end = 0
    for hole in _HOLE.finditer(text):
        pieces.append((text[end : hole.start()], _label(hole[1])))
        end = hole.end()
    pieces.append((text[end:], None))
    if any(brace in literal for literal, _ in pieces for brace in "{}"):
        raise ValueError(f"{text!r} has a brace without its other half; write labels as {{instance}}")
    return Template(tuple(pieces), longest)


def _label(name: str) -> str:
    if not name or name != name.strip():
        raise ValueError(f"{{{name}}} names no label; write it as {{instance}}, without spaces")
    if name == "__name__":
        raise ValueError("{__name__} is the metric's name, not a label of the series")
    return name
