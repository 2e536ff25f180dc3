"""A training set as files. The card beside them says how it was made.

README.md                       the card
training_set.csv, .parquet      the table
images/train/<label>/<id>.png   a folder a class: `torchvision.datasets.ImageFolder(…/images/train)`
train.csv val.csv test.csv      catalogues for Zoobot's `GalaxyDataModule`: id_str, file_loc, a column a label
"""

from __future__ import annotations

import hashlib
import io
import re
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from PIL import Image

from atlas.build import OpenBuild
from atlas.errors import InputError, ResourceError
from atlas.training.splits import SPLITS
from atlas.training.training_set import Choices, TrainingSet, training_set

_UNSAFE = re.compile(r"[^\w.+-]+")


def export(atlas: OpenBuild, folder: Path, choices: Choices | None = None) -> TrainingSet:
    """Write the labels of an atlas as a training set into a new folder.

    Raises
    ------
    InputError
        If the folder holds something, or there is nothing to write.
    ResourceError
        If the disk does not take it.
    """
    choices = choices or Choices()
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder.name} exists and is not empty: name a new folder")
    made = training_set(atlas, choices)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        table = made.table.assign(file=[_write_image(atlas, folder, *one) for one in _named(made.table)])
        table.to_csv(folder / "training_set.csv", index=False)
        table.to_parquet(folder / "training_set.parquet", index=False)
        with_images = table[table["file"] != ""]
        if len(with_images):
            for side in SPLITS:
                catalogue(with_images, folder, side).to_csv(folder / f"{side}.csv", index=False)
        (folder / "README.md").write_text(dataset_card(atlas, made, choices, len(with_images)))
    except OSError as error:
        raise ResourceError(f"the training set cannot be written: {error.strerror or error}") from error
    return made


def catalogue(table: pd.DataFrame, folder: Path, side: str) -> pd.DataFrame:
    """Catalogue for Zoobot: `id_str`, `file_loc`, and a column of 0 and 1 for each label."""
    part = table[table["split"] == side]
    found = pd.DataFrame({"id_str": part["id"], "file_loc": [str(folder / file) for file in part["file"]]})
    for label in sorted(table["label"].unique()):
        found[label] = (part["label"] == label).astype(int)
    return found


def _named(table: pd.DataFrame) -> list[tuple[int, str, str, str]]:
    return list(zip(table["row"].tolist(), table["id"], table["label"], table["split"], strict=True))


def _write_image(atlas: OpenBuild, folder: Path, row: int, name: str, label: str, side: str) -> str:
    """Write a galaxy's image as PNG; its path within the folder, empty where it has none."""
    data = atlas.thumbnails.read(row) if atlas.thumbnails is not None else None
    if data is None:
        return ""
    path = Path("images", side, safe(label), f"{safe(name)}.png")
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(data)).convert("RGB").save(folder / path)
    return path.as_posix()


def safe(text: str) -> str:
    """A text as the name of a file; different texts have different names."""
    plain = _UNSAFE.sub("_", text).strip(".")
    return plain if plain == text else f"{plain}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def dataset_card(atlas: OpenBuild, made: TrainingSet, choices: Choices, images: int) -> str:
    """Card of a training set in Markdown: how it was made."""
    table, manifest = made.table, atlas.manifest
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=list(SPLITS), fill_value=0)
    lines = [f"| {row.Index} | {row.train} | {row.val} | {row.test} |" for row in counts.itertuples()]
    negatives = f"drawn with the magnitudes ({made.magnitude}) of the labelled" if made.magnitude else "drawn at random"
    said = [
        f"- atlas: {manifest.title}, build {manifest.build_id}; labels at revision {made.revision}",
        f"- made {datetime.now(UTC).isoformat(timespec='seconds')} with seed {choices.seed}",
        f"- people: {', '.join(sorted({p for text in table['people'] for p in text.split(' ') if p})) or '–'}",
        f"- galaxies within {choices.within_arcsec:g}″ or of similarity ≥ {choices.similarity:g} are on one side: "
        f"{table['group'].nunique():,} groups of {len(table):,} galaxies",
        f"- left out: {len(made.disputed):,} that people differ about, {len(made.gone):,} that are not in this build",
        f"- {images:,} of {len(table):,} galaxies have an image",
    ]
    if choices.negatives:
        said.append(f"- negatives are unlabelled galaxies, {negatives}: some may be what is looked for")
    credit = manifest.provenance.acknowledgement
    return "\n".join(
        ["# Training set", "", "| label | train | val | test |", "| --- | --- | --- | --- |", *lines, "", *said, "",
         "`images/train`, `images/val` and `images/test` hold a folder a class (`torchvision.datasets.ImageFolder`);",
         "`train.csv`, `val.csv` and `test.csv` are catalogues for Zoobot (`id_str`, `file_loc`, a column a label).",
         *(["", credit] if credit else []), ""]
    )  # fmt: skip
