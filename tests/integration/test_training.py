"""Labels leave as a training set that pandas and loaders of images read, and come back as labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atlas import Atlas
from atlas.__main__ import main
from atlas.errors import InputError
from atlas.labels.entry import Entry, new_id
from atlas.labels.store import Labels
from atlas.training import Choices, export, import_labels, read_table

ROWS = list(range(0, 900, 10))


@pytest.fixture
def labelled(demo_path: Path, tmp_path: Path) -> Atlas:
    """Ninety galaxies with labels, two of them disputed."""
    atlas = Atlas.open(demo_path, labels=Labels(tmp_path / "labels.sqlite"))
    names = atlas.identity.names(ROWS)
    given = [("Ada", i, "edge-on" if i % 3 else "ring galaxy") for i in range(90)] + [
        ("Vera", 4, "merger"),
        ("Vera", 5, "x"),
    ]
    atlas.labels.add(
        [
            Entry(id=new_id(), kind="label", who=who, galaxy=names[row], label=label,
                  grade="" if row % 2 else "B", note="" if row else "a tail?",
                  ra_deg=atlas.position(ROWS[row])[0], dec_deg=atlas.position(ROWS[row])[1])
            for who, row, label in given
        ]
    )  # fmt: skip
    return atlas


def image_folder(root: Path) -> list[tuple[Path, int]]:
    """As the documents of torchvision say that `ImageFolder` reads: a folder a class, classes in alphabetical order."""
    classes = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    return [(path, at) for at, name in enumerate(classes) for path in sorted((root / name).rglob("*.png"))]


def test_a_training_set_is_read_by_pandas_and_loaders(labelled: Atlas, tmp_path: Path) -> None:
    out = tmp_path / "set"
    made = export(labelled, out, Choices(negatives=2, seed=4))
    table = pd.read_csv(out / "training_set.csv", dtype={"id": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "training_set.parquet"), table, check_dtype=False)
    assert table["grade"].value_counts().to_dict() == {"B": 44, "": 44 + 2 * 88}
    assert table["note"].tolist().count("a tail?") == 1
    assert len(made.disputed) == 2 and table["label"].value_counts().to_dict() == {
        "negative": 2 * 88, "edge-on": 58, "ring galaxy": 30
    }  # fmt: skip
    assert labelled.identity.names(table["row"].to_numpy()) == table["id"].tolist()
    assert table.groupby("group")["split"].nunique().max() == 1
    # Negatives are as bright as the labelled, and none of them is labelled.
    positive, negative = (table[(table["label"] == "negative") == is_one]["row"].to_numpy() for is_one in (False, True))
    assert not set(negative.tolist()) & set(ROWS)
    magnitude = np.asarray(labelled.columns().array(made.magnitude))
    spread = np.nanstd(magnitude[positive])
    assert abs(np.nanmedian(magnitude[positive]) - np.nanmedian(magnitude[negative])) < 0.3 * spread
    for side in ("train", "val", "test"):
        part = table[table["split"] == side]
        read = image_folder(out / "images" / side)
        assert len(read) == len(part)
        with Image.open(read[0][0]) as image:
            assert image.mode == "RGB"
        zoobot = pd.read_csv(out / f"{side}.csv", dtype={"id_str": str})
        assert zoobot.columns.tolist() == ["id_str", "file_loc", "edge-on", "negative", "ring galaxy"]
        assert all(Path(path).is_file() for path in zoobot["file_loc"])
        assert (zoobot[["edge-on", "negative", "ring galaxy"]].sum(axis=1) == 1).all()
        assert zoobot["id_str"].tolist() == part["id"].tolist()
    said = (out / "README.md").read_text()
    assert labelled.build_id in said and "Ada" in said and "people differ" in said and "seed 4" in said
    with pytest.raises(InputError, match="not empty"):
        export(labelled, out)
    with pytest.raises(InputError, match="labels here: edge-on, merger, ring galaxy, x"):
        export(labelled, tmp_path / "other", Choices(labels=("lense",)))


def test_what_was_written_is_brought_in_once(labelled: Atlas, demo_path: Path, tmp_path: Path) -> None:
    export(labelled, tmp_path / "set", Choices(labels=("ring galaxy",)))
    other = Atlas.open(demo_path, labels=Labels(tmp_path / "other.sqlite"))
    table = read_table(tmp_path / "set" / "training_set.csv")
    found = import_labels(other, table, "Grace")
    assert (found.fresh, found.known, found.missing) == (30, 0, [])
    assert import_labels(other, table, "Grace").fresh == 0
    assert other.labelled.rows(["ring galaxy"]).tolist() == labelled.labelled.rows(["ring galaxy"]).tolist()
    assert {(one.grade, one.note) for one in other.labels.labels()} == {("B", ""), ("", ""), ("B", "a tail?")}
    by_place = pd.DataFrame({"ra_deg": [*table["ra"][:3], 10.0], "dec": [*table["dec"][:3], 10.0], "label": "lens"})
    by_place.to_csv(tmp_path / "places.csv", index=False)
    found = import_labels(other, read_table(tmp_path / "places.csv"), "Grace")
    assert (found.fresh, len(found.missing)) == (3, 1)
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="needs a column label"):
        read_table(tmp_path / "wrong.csv")


def test_the_command_exports_and_imports(
    labelled: Atlas, demo_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--atlas", str(demo_path), "--labels", str(tmp_path / "labels.sqlite")]
    assert main(["labels", "export", str(tmp_path / "set"), "--label", "edge-on", *place]) == 0
    told = capsys.readouterr()
    assert "58 edge-on" in told.out and "people differ about 2" in told.err
    table = str(tmp_path / "set" / "training_set.parquet")
    assert main(["labels", "import", table, "--who", "Grace", *place]) == 0
    assert "58 labels kept" in capsys.readouterr().out
    # By position, with those that lie nowhere in a file.
    ra, dec = labelled.position(7)
    (tmp_path / "places.csv").write_text(f"ra,dec,label\n{ra},{dec + 0.5 / 3600},edge-on\n10,10,edge-on\n")
    bring = ["labels", "import", str(tmp_path / "places.csv"), "--who", "Grace", *place]
    assert main([*bring, "--unmatched", str(tmp_path / "rest.txt")]) == 0
    assert "1 labels kept" in capsys.readouterr().out
    assert (tmp_path / "rest.txt").read_text() == "10.0 10.0\n"
    assert main([*bring, "--unmatched", str(tmp_path / "none" / "rest.txt")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert main(["labels", "import", str(tmp_path / "nothing.csv"), "--who", "Grace", *place]) == 1
    assert "cannot be read" in capsys.readouterr().err
