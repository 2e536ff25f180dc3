"""Stage `read`: the catalogue, checked and stored a column a file, and the identity of each galaxy."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import describe_numbers
from atlas.catalog.identity import write_identity
from atlas.storage import layout
from atlas.storage.manifest import Column

from ..errors import SourceError
from ..source_description import ColumnDescription
from ..sources.color_columns import colors_of, difference
from ..sources.column_types import NormalizedColumn, normalize_column
from .costs import Cost, Sizes
from .stage import BuildStage, StageContext

POSITIONS = ((layout.RA, "pos.eq.ra;meta.main"), (layout.DEC, "pos.eq.dec;meta.main"))


class Read(BuildStage):
    """Copies the catalogue into the atlas."""

    name = "read"
    version = 4
    outputs = (layout.COLUMNS, layout.IDENTITY)
    reads_source = True
    source_parts = ("columns",)

    def cost(self, s: Sizes) -> Cost:
        """See `BuildStage.cost`."""
        return Cost(alone=s.n * s.columns * 1e-7, memory=s.n * 60, disk=s.n * (12 + 6 * (s.columns + 2)))

    def run(self, ctx: StageContext) -> None:
        """Write `columns/` and `identity/`.

        Raises
        ------
        SourceError
            With everything that is wrong with positions and ids.
        """
        source = ctx.source
        catalog = source.check()
        described = source.description.columns
        truth = source.description.ground_truth
        notes = [*source.notes, *catalog.notes]
        columns: list[Column] = []

        def store(name: str, values: NormalizedColumn, about: ColumnDescription) -> None:
            ctx.save(ctx.build / layout.COLUMNS / f"{name}.npy", values.array)
            columns.append(describe_column(name, values, about, truth=name in truth))
            notes.extend(f"column {name}: {note}" for note in values.notes)

        with ctx.progress(len(catalog.column_names) + 2, "columns") as bar:
            for (name, ucd), degrees in zip(POSITIONS, (catalog.ra_deg, catalog.dec_deg), strict=True):
                about = described.get(name, ColumnDescription())
                about = msgspec.structs.replace(about, unit="deg", ucd=about.ucd or ucd)
                store(name, NormalizedColumn(kind="number", array=degrees), about)
                bar.update()
            for name in catalog.column_names:
                about = described.get(name, ColumnDescription())
                identifier = name in catalog.id_columns
                bar.update()
                try:
                    values = normalize_column(source.read_column(name), about, identifier=identifier)
                except SourceError as e:
                    if identifier:
                        raise
                    notes.append(f"column {name} is left out: {e}")
                    continue
                store(name, values, about)
        colors = colors_of({c.name: c.description for c in columns if c.kind == "number"})
        if colors:
            notes.append(f"colours are computed: {', '.join(color.name for color in colors)}")
        for color in colors:
            pair = [ctx.load(ctx.build / layout.COLUMNS / f"{name}.npy") for name in (color.bluer, color.redder)]
            store(color.name, NormalizedColumn(kind="number", array=difference(*pair)), color.about)
        write_identity(
            ctx.build / layout.IDENTITY,
            [ctx.load(ctx.build / layout.COLUMNS / f"{name}.npy") for name in catalog.id_columns],
        )
        ctx.measured = {
            "columns": msgspec.to_builtins(columns),
            "id_columns": list(catalog.id_columns),
            "notes": notes,
        }


def describe_column(name: str, values: NormalizedColumn, about: ColumnDescription, *, truth: bool) -> Column:
    """Entry of a column in the manifest."""
    array: NDArray[Any] = values.array
    missing, quantiles = values.missing_count, tuple[int | float, ...]()
    if values.kind == "number":
        missing, quantiles = describe_numbers(array)
    return Column(
        name=name,
        file=f"{layout.COLUMNS}/{name}.npy",
        dtype=np.dtype(array.dtype).str.lstrip("<=|>") if array.dtype.kind == "S" else array.dtype.name,
        kind=values.kind,
        unit=about.unit,
        ucd=about.ucd,
        description=about.description,
        missing=missing,
        quantiles=quantiles,
        vocabulary=about.bits if values.kind == "flags" else values.vocabulary,
        truth=truth,
        low=about.low,
        high=about.high,
    )


STAGE = Read()
