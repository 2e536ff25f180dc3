"""From what the stages recorded to the manifest of a build."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from atlas.catalog.columns import describe_numbers
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, Manifest, Provenance, Segment, SkyBackground, Space, StageRecord, Thumbnails

from ..config import BuildConfig
from ..sources.source import Source
from ..stages.order import STAGES


def assemble_manifest(
    build: Path, build_id: str, source: Source, config: BuildConfig, records: list[StageRecord], created: datetime
) -> Manifest:
    """The manifest of a build whose stages have all run; `files` is left for the publisher.

    Parameters
    ----------
    build : Path
        Folder of the build under way.
    records : list of StageRecord
        One a stage, in order.
    created : datetime
        When the build was finished, with its time zone.
    """
    measured = {record.name: record.measured for record in records}
    found = (*measured["read"]["columns"], *measured["artefacts"]["columns"])
    columns = msgspec.convert(found, type=tuple[Column, ...])
    description = source.description
    background = description.sky_background
    thumbnails = measured["thumbnails"]
    return Manifest(
        format_version=layout.FORMAT_VERSION,
        build_id=build_id,
        created=created.isoformat(timespec="seconds"),
        name=description.name or source.folder.name,
        title=description.title or description.name or source.folder.name,
        n_rows=source.n_rows,
        segments=(Segment(start=0, stop=source.n_rows),),
        id_columns=tuple(measured["read"]["id_columns"]),
        key_columns=description.key_columns,
        random_pick=description.random_pick,
        invariance=description.invariance,
        columns=columns,
        spaces=(describe_space(build, source.n_rows, config, measured["knn"]),),
        provenance=Provenance(
            survey=description.survey,
            release=description.release,
            licence=description.licence,
            acknowledgement=description.acknowledgement,
            bibtex=description.bibtex,
            notes=(
                *description.notes,
                *measured["read"]["notes"],
                *measured["embeddings"]["notes"],
                *measured["subsample"].get("notes", ()),
            ),
        ),
        sky_background=None
        if background is None
        else SkyBackground(**{**msgspec.structs.asdict(background), "file": layout.SKY_BACKGROUND}),
        thumbnails=None
        if not thumbnails["present"]
        else Thumbnails(
            pixels=config.thumbnail_pixels,
            present=thumbnails["present"],
            scale_arcsec=_thumbnail_scale(description.image_scale_arcsec, thumbnails["source_pixels"], config),
            width_column=description.image_width_column,
            up_deg=description.image_up_deg,
        ),
        seen_arcsec=description.seen_arcsec,
        parameters=msgspec.to_builtins(config),
        # The columns stand in the manifest already.
        stages=tuple(
            msgspec.structs.replace(r, measured={k: v for k, v in r.measured.items() if k != "columns"})
            for r in records
        ),
    )


def _thumbnail_scale(scale_arcsec: float | None, source_pixels: int, config: BuildConfig) -> float | None:
    """Arcseconds a pixel after scaling; None where the images of the source have no common scale or size."""
    if scale_arcsec is None or not source_pixels:
        return None
    return scale_arcsec * source_pixels / config.thumbnail_pixels


def describe_space(build: Path, n_rows: int, config: BuildConfig, knn: dict[str, Any]) -> Space:
    """Entry of a space in the manifest; `knn` is what the stage of that name measured."""
    folder = layout.space_path(build, config.space)
    embeddings = open_array(folder / layout.EMBEDDINGS)
    columns = []
    added = (column for stage in STAGES for column in stage.columns)
    # Where a row lies, then what was measured of it.
    for told in sorted(added, key=lambda column: column.ucd == "stat.value"):
        path = folder / layout.COLUMNS / f"{told.name}.npy"
        array = open_array(path, shape=(n_rows,))
        missing, quantiles = (0, ()) if told.words else describe_numbers(array)
        columns.append(
            Column(
                name=told.name,
                file=path.relative_to(build).as_posix(),
                dtype=array.dtype.name,
                kind="category" if told.words else "number",
                ucd=told.ucd,
                description=told.description + _of_sample(told.name, knn),
                missing=missing,
                quantiles=quantiles,
                vocabulary=told.words,
                unit=told.unit,
                low=told.low,
                high=told.high,
            )
        )
    return Space(
        name=config.space,
        dimension=int(embeddings.shape[1]),
        dtype="float16" if embeddings.dtype == np.float16 else "float32",
        columns=tuple(columns),
        n_clusters=int(open_array(folder / layout.CLUSTERS / "tree.npy").shape[1]),
        n_outliers=int(open_array(folder / layout.OUTLIERS).shape[0]),
    )


def _of_sample(name: str, knn: dict[str, Any]) -> str:
    """Addition to a column's description where the nearest of a sample alone were looked for with care."""
    if "sampled" not in knn:
        return ""
    match name:
        case "anomaly_knn":
            return f", by a quick search: rank correlation {knn['rank_correlation']:.2f} with a careful one"
        case "trust":
            return f"; known for {knn['sampled']:,} sampled galaxies"
        case _:
            return ""
