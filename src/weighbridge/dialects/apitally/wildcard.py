"""Patterns of paths in which `*` stands for anything, slashes included."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text is like the pattern. Without backtracking: in time that grows with the lengths alone."""
    first, *pieces = pattern.split("*")
    if not pieces:
        return text == first
    last = pieces.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in pieces:  # the earliest place leaves the most room for the rest
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
