"""Sources that travel to another process: as the call that opens them, since files that are open cannot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar


class Reopenable(Protocol):
    """A source that knows the call that opened it.

    Attributes
    ----------
    opening : callable
        Opens it again, from any working directory; None where nothing does.
    """

    opening: Callable[[], Any] | None

    def leave_out(self, left_out: dict[int, str]) -> None: ...


Arguments = ParamSpec("Arguments")
Opened = TypeVar("Opened", bound=Reopenable)


def remembered(open_: Callable[Arguments, Opened]) -> Callable[Arguments, Opened]:
    """Have what a function opens remember the call."""

    @wraps(open_)
    def opened(*args: Arguments.args, **options: Arguments.kwargs) -> Opened:
        source = open_(*args, **options)
        named = {name: _wherever(name, value) for name, value in options.items()}
        source.opening = partial(opened, *(_wherever("", value) for value in args), **named)
        return source

    return opened


def _wherever(name: str, value: Any) -> Any:
    """An argument that means the same in any working directory."""
    if isinstance(value, Path):
        return value.absolute()
    # A column of the catalogue, or a file whose path may also be relative to the source.
    return str(Path(value).absolute()) if name == "embeddings" and value and Path(value).exists() else value


def open_again(opening: Callable[[], Reopenable], left_out: list[dict[int, str]]) -> Reopenable:
    """Open a source, and leave the rows out that were."""
    source = opening()
    for rows in left_out:
        source.leave_out(rows)
    return source
