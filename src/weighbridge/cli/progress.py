"""Progress bars on stderr, on a terminal only."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(what: str, *, note: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """Gives a function that is told (done, all, a word beside the bar); nothing is drawn if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _all, _word: None
        return
    from rich.console import Console  # noqa: PLC0415  only where a bar is drawn
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()]
    if note:
        columns.append(TextColumn("{task.fields[word]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, word="")
        yield lambda done, everything, word: bar.update(task, completed=done, total=everything, word=word)
