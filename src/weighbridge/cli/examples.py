"""Examples in help pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., object])


def example(*lines: str) -> Callable[[F], F]:
    """A decorator, the innermost of a command: its help ends with these lines, each left as it is."""

    def decorate(function: F) -> F:
        shown = "\n".join(f"  {line}" for line in lines)
        about = "\n".join(line.strip() for line in (function.__doc__ or "").splitlines()).strip()
        function.__doc__ = f"{about}\n\n\b\nExample:\n{shown}"  # after \b click breaks no lines
        return function

    return decorate
