"""Origin of the embedding spaces of an atlas: parameters, and rows that models were fitted to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from atlas.errors import FormatError, shorten
from atlas.storage.manifest import Manifest, Space

from ..config import BuildConfig

NOT_OF_A_SPACE = ("space", "threads", "memory_gib")

FIRST = ""
"""Stands for the first space where steps are named: `index` is its own, `v2/index` that of another."""


def config_of(manifest: Manifest, space: Space | None = None, *, threads: int, memory_gib: float) -> BuildConfig:
    """The parameters that a space of an atlas was made with, on this machine's terms.

    Parameters
    ----------
    manifest : Manifest
    space : Space, optional
        The first where none is named.
    threads, memory_gib
        As `BuildConfig` has them.

    Raises
    ------
    FormatError
        If the manifest does not hold them.
    """
    told = {**manifest.parameters, "threads": threads, "memory_gib": memory_gib}
    if space is not None:
        told |= {**space.parameters, "space": space.name, "embedding_dtype": space.dtype}
    try:
        return msgspec.convert(told, BuildConfig)
    except msgspec.ValidationError as e:
        raise FormatError(
            f"the atlas was built with parameters that this program does not know ({shorten(e, 160)}); build it again"
        ) from e


def configs_of(manifest: Manifest, *, threads: int, memory_gib: float) -> dict[str, BuildConfig]:
    """`config_of` every space by its name, but the first by `FIRST`."""
    first, *further = manifest.spaces
    return {
        name: config_of(manifest, space, threads=threads, memory_gib=memory_gib)
        for name, space in ((FIRST, first), *((space.name, space) for space in further))
    }


def step_name(space: str, step: str) -> str:
    """Name of a step that each space has for itself."""
    return f"{space}/{step}" if space else step


def own_parameters(manifest: Manifest, config: BuildConfig) -> dict[str, Any]:
    """The parameters of a space that is added, as far as the manifest tells others."""
    return {
        name: value
        for name, value in msgspec.to_builtins(config).items()
        if name not in NOT_OF_A_SPACE and manifest.parameters.get(name) != value
    }


def first_rows(manifest: Manifest, space: str = FIRST) -> int:
    """Rows that a space was first made of, `FIRST` or by its name: what is fitted once was fitted to them."""
    told = [record.measured for record in manifest.stages]
    if space:
        counts = [rows[space] for measured in told if space in (rows := measured.get("first_rows_of", {}))]
    else:
        counts = [measured["first_rows"] for measured in told if "first_rows" in measured]
    return int(counts[-1]) if counts else manifest.segments[0].stop


def tell_first_rows(manifest: Manifest, left: Callable[[int], int] = lambda rows: rows) -> dict[str, Any]:
    """Words of the record of a change on `first_rows`, of which some may be left."""
    further = {space.name: left(first_rows(manifest, space.name)) for space in manifest.spaces[1:]}
    return {"first_rows": left(first_rows(manifest))} | ({"first_rows_of": further} if further else {})
