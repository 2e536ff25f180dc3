"""From what the stages recorded to the manifest of a build."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from atlas.catalog.anomalies import PERCENTILES
from atlas.catalog.columns import describe_numbers
from atlas.storage import layout
from atlas.storage.arrays import open_array
from atlas.storage.manifest import Column, Manifest, Provenance, Segment, SkyBackground, Space, StageRecord, Thumbnails

from ..config import BuildConfig
from ..sources.source import Source

_FOR = " for its brightness"

# Columns that a build adds to a space: name, UCD, description.
SPACE_COLUMNS = (
    ("map_x", "", "Position on the map of embedding space"),
    ("map_y", "", "Position on the map of embedding space"),
    ("stray", "meta.code", "Placed far from most of the anchors that it resembles: its position means little"),
    ("cluster", "meta.code.class", "Cluster of the map, 0 the largest, -1 outside all clusters"),
    ("anomaly_knn", "stat.value", "Mean cosine distance to the ten nearest galaxies in embedding space"),
    ("anomaly", "stat.value", f"Percentile: odd{_FOR}, in form or in any detail"),
    ("anomaly_form", "stat.value", f"Percentile: odd{_FOR} in the components that vary most"),
    ("anomaly_detail", "stat.value", f"Percentile: odd{_FOR} in all components, artefacts among them"),
    ("anomaly_neighbors", "stat.value", f"Percentile: far from the ten nearest galaxies{_FOR}"),
    ("anomaly_cluster", "stat.value", "Percentile: far from the middle of its cluster, or of the nearest"),
    ("trust", "stat.value", "Share of the ten nearest galaxies that lie nearby on the map"),
)
VOCABULARIES = {"stray": ("no", "yes")}


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
    columns = msgspec.convert(measured["read"]["columns"], type=tuple[Column, ...])
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
        columns=columns,
        spaces=(_space(build, source.n_rows, config, measured["knn"]),),
        provenance=Provenance(
            survey=description.survey,
            release=description.release,
            licence=description.licence,
            acknowledgement=description.acknowledgement,
            bibtex=description.bibtex,
            notes=(*description.notes, *measured["read"]["notes"], *measured["embeddings"]["notes"]),
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
        ),
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


def _space(build: Path, n_rows: int, config: BuildConfig, knn: dict[str, Any]) -> Space:
    folder = layout.space_path(build, config.space)
    embeddings = open_array(folder / layout.EMBEDDINGS)
    columns = []
    for name, ucd, description in SPACE_COLUMNS:
        path = folder / layout.COLUMNS / f"{name}.npy"
        array = open_array(path, shape=(n_rows,))
        words = VOCABULARIES.get(name, ())
        missing, quantiles = (0, ()) if words else describe_numbers(array)
        columns.append(
            Column(
                name=name,
                file=path.relative_to(build).as_posix(),
                dtype=array.dtype.name,
                kind="category" if words else "number",
                ucd=ucd,
                description=description + _of_sample(name, knn),
                missing=missing,
                quantiles=quantiles,
                vocabulary=words,
                unit="%" if name in PERCENTILES else "",
                low="more ordinary" if name in PERCENTILES else "",
                high="odder" if name in PERCENTILES else "",
            )
        )
    return Space(
        name=config.space,
        dimension=int(embeddings.shape[1]),
        dtype="float16" if embeddings.dtype == np.float16 else "float32",
        columns=tuple(columns),
        n_clusters=int(open_array(folder / layout.CLUSTERS / "size.npy").shape[0]),
        n_outliers=int(open_array(folder / layout.OUTLIERS).shape[0]),
    )


def _of_sample(name: str, knn: dict[str, Any]) -> str:
    """What a column means where the nearest of a sample alone were looked for with care; told after its description."""
    if "sampled" not in knn:
        return ""
    match name:
        case "anomaly_knn":
            return f", by a quick search: rank correlation {knn['rank_correlation']:.2f} with a careful one"
        case "trust":
            return f"; known for {knn['sampled']:,} sampled galaxies"
        case _:
            return ""
