"""Kinds of values that a setting can have: how each is read from a text or from TOML, and how it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

FOREVER = "forever"
MAX_DAYS = 36_525
"""A century."""


class WrongValueError(ValueError):
    """The value is not of its kind. `str()` goes on behind the value: "is …; give …"."""


class Kind(Protocol):
    """A kind of value. `word` stands for a value in help texts, `says` in sentences."""

    @property
    def word(self) -> str:
        """A placeholder for help texts, such as PORT."""

    @property
    def says(self) -> str:
        """What a value must be, in words."""

    def read(self, written: object, folder: Path) -> Any:  # noqa: ANN401  each kind its own
        """The value of a text, or of what TOML made of it. Relative paths start at `folder`. WrongValueError."""

    def write(self, value: Any) -> str:  # noqa: ANN401  each kind its own
        """The value as a text that `read` takes; "" for none."""


class Text:
    """Any text but an empty one."""

    word = "TEXT"

    def __init__(self, example: str) -> None:
        self.says = f"a text, such as {example}"

    def read(self, written: object, folder: Path) -> str:  # noqa: ARG002  the protocol's signature
        """The text, without white space around it.

        WrongValueError: the text is no such value.
        """
        if not isinstance(written, str) or not written.strip():
            msg = f"is not a text; give {self.says}"
            raise WrongValueError(msg)
        return written.strip()

    def write(self, value: str | None) -> str:
        """The text itself."""
        return value or ""


class Choice:
    """One of a few words."""

    word = "WORD"

    def __init__(self, *words: str) -> None:
        self._words = words
        self.says = " or ".join(words)

    def read(self, written: object, folder: Path) -> str:  # noqa: ARG002  the protocol's signature
        """The word in lower case.

        WrongValueError: the text is no such value.
        """
        if not isinstance(written, str) or written.strip().lower() not in self._words:
            msg = f"is not one of its words; give {self.says}"
            raise WrongValueError(msg)
        return written.strip().lower()

    def write(self, value: str) -> str:
        """The word itself."""
        return value


class Integer:
    """A whole number within bounds."""

    word = "NUMBER"

    def __init__(self, least: int, most: int, example: int) -> None:
        self._least = least
        self._most = most
        self.says = f"a whole number from {least} to {most}, such as {example}"

    def read(self, written: object, folder: Path) -> int:  # noqa: ARG002  the protocol's signature
        """The number.

        WrongValueError: the text is no such value.
        """
        number = _whole_number(written)
        if number is None:
            msg = f"is not a whole number; give {self.says}"
            raise WrongValueError(msg)
        if not self._least <= number <= self._most:
            msg = f"is out of bounds; give {self.says}"
            raise WrongValueError(msg)
        return number

    def write(self, value: int) -> str:
        """Its digits."""
        return str(value)


class Days:
    """A number of days, or for ever (None)."""

    word = "DAYS"
    says = f"a whole number of days from 1 to {MAX_DAYS}, or {FOREVER}"

    def read(self, written: object, folder: Path) -> int | None:  # noqa: ARG002  the protocol's signature
        """The number of days, None for ever.

        WrongValueError: the text is no such value.
        """
        if isinstance(written, str) and written.strip().lower() == FOREVER:
            return None
        number = _whole_number(written)
        if number is None or not 1 <= number <= MAX_DAYS:
            msg = f"is not a number of days; give {self.says}"
            raise WrongValueError(msg)
        return number

    def write(self, value: int | None) -> str:
        """Its digits, or the word."""
        return FOREVER if value is None else str(value)


_SWITCH_WORDS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)


class Switch:
    """Yes or no."""

    word = ""
    says = "true or false (1 or 0, on or off, yes or no)"

    def read(self, written: object, folder: Path) -> bool:  # noqa: ARG002  the protocol's signature
        """True or False.

        WrongValueError: the text is no such value.
        """
        if isinstance(written, bool):
            return written
        value = _SWITCH_WORDS.get(written.strip().lower()) if isinstance(written, str) else None
        if value is None:
            msg = f"is neither yes nor no; give {self.says}"
            raise WrongValueError(msg)
        return value

    def write(self, value: bool) -> str:  # noqa: FBT001  it is the value itself
        """The word as TOML has it."""
        return "true" if value else "false"


class File:
    """A path; `~` is the home folder."""

    word = "PATH"
    says = "a path, such as /var/lib/weighbridge"

    def read(self, written: object, folder: Path) -> Path:
        """The path, absolute.

        WrongValueError: the text is no such value.
        """
        if not isinstance(written, str) or not written.strip() or "\0" in written:
            msg = f"is not a path; give {self.says}"
            raise WrongValueError(msg)
        return folder / Path(written).expanduser()

    def write(self, value: Path | None) -> str:
        """The path itself."""
        return "" if value is None else str(value)


class Names:
    """One or several of a set of names: a list in TOML, a text with commas elsewhere."""

    word = "NAMES"

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed
        self.says = f"one or several of {', '.join(allowed)}, separated by commas"

    def read(self, written: object, folder: Path) -> tuple[str, ...]:  # noqa: ARG002  the protocol's signature
        """The names in the order in which they stand.

        WrongValueError: the text is no such value.
        """
        names = written.split(",") if isinstance(written, str) else written
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            msg = f"is not a list of names; give {self.says}"
            raise WrongValueError(msg)
        kept = tuple(name.strip() for name in names)
        if unknown := [name for name in kept if name not in self._allowed]:
            msg = f"holds {unknown[0]!r}, which is not allowed here; give {self.says}"
            raise WrongValueError(msg)
        return kept

    def write(self, value: tuple[str, ...]) -> str:
        """The names with commas between them."""
        return ",".join(value)


def _whole_number(written: object) -> int | None:
    if isinstance(written, int) and not isinstance(written, bool):
        return written
    if isinstance(written, str) and written.strip().isascii() and written.strip().lstrip("-").isdigit():
        return int(written.strip()[:20])  # longer ones are out of bounds in any case
    return None
