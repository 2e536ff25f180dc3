"""Which columns say most of a galaxy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from plotly.utils import PlotlyJSONEncoder

from atlas import Atlas
from atlas.catalog.columns import is_redshift
from atlas.catalog.key_columns import key_columns
from atlas.errors import FormatError
from atlas.storage.manifest import Column, read_manifest, write_manifest
from dashboard.service.galaxies import galaxy
from dashboard.service.result_list import columns_of
from dashboard.state.page_state import State
from dashboard.views import details
from precompute.deep_field.source import COLUMNS, describe_source
from precompute.errors import SourceError
from precompute.simulation.catalog_survey import simulate_survey
from precompute.source_description import BackgroundDescription
from precompute.sources.source import open_source


@pytest.mark.parametrize(
    ("name", "ucd", "unit", "expected"),
    [
        ("z_phot_median", "", "", True),
        ("anything", "src.redshift.phot", "", True),
        ("Z", "", "", True),
        ("z", "", "mag", False),
        ("z_phot_std", "", "", False),
        ("z_phot_err", "stat.error;src.redshift", "", False),
        ("flux_z", "", "nanomaggy", False),
    ],
)
def test_redshifts_are_known_by_ucd_or_name(name: str, ucd: str, unit: str, expected: bool) -> None:
    column = Column(name=name, file="a.npy", dtype="float32", kind="number", ucd=ucd, unit=unit)
    assert is_redshift(column) == expected


def test_what_the_source_names_comes_before_any_guess(small: Atlas, tmp_path: Path) -> None:
    told = msgspec.structs.replace(small.manifest, key_columns=("source_type", "z_phot"))
    write_manifest(tmp_path, told)
    assert [c.name for c in key_columns(read_manifest(tmp_path))] == ["source_type", "z_phot"]
    write_manifest(tmp_path, msgspec.structs.replace(told, key_columns=()))
    assert "key_columns" not in (tmp_path / "manifest.json").read_text(), "older programs read what names none"
    with pytest.raises(FormatError, match="no_such"):
        write_manifest(tmp_path, msgspec.structs.replace(told, key_columns=("no_such",)))


def test_what_says_most_is_the_default_of_table_and_details_and_the_rest_is_a_click_away(small: Atlas) -> None:
    keys = [c.name for c in key_columns(small.manifest)]
    assert len(keys) >= 2
    shown = [c.name for c in columns_of(small, State())]
    assert shown == ["ra", "dec", *keys, "cluster", "anomaly"]
    state = State(focus=galaxy(small, 7), color="ebv")
    first, rest = (part["props"]["children"] for part in lists(details.panel(small, state)))
    assert terms(first) == ["RA, Dec", "id", *keys, "cluster", "ebv"]
    told = {c.name for c in small.columns("v1")} - {"map_x", "map_y", "ra", "dec", *small.manifest.id_columns}
    assert set(terms(rest)) == told - set(terms(first))


def lists(components: Any) -> list[Any]:
    """The lists of facts among some components, as the browser gets them."""
    found: list[Any] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("type") == "Dl":
                found.append(part)
            walk(part.get("props", {}).get("children"))
        elif isinstance(part, list):
            for one in part:
                walk(one)

    walk(json.loads(json.dumps(components, cls=PlotlyJSONEncoder)))
    return found


def terms(facts: list[Any]) -> list[str]:
    names = [fact["props"]["children"][0]["props"]["children"] for fact in facts if fact["type"] == "Dt"]
    return ["".join(part for part in name if isinstance(part, str)) for name in names]


def test_the_sources_of_our_own_name_what_says_most(tmp_path: Path) -> None:
    simulate_survey(100, tmp_path, dimension=16, quiet=True)
    assert open_source(tmp_path).description.key_columns == ("mag_r", "z_phot", "z_spec", "source_type")
    picture = BackgroundDescription("background.png", 53.16, -27.78, 0.1, 0.1)
    assert set(describe_source(picture, {}).key_columns) <= set(COLUMNS)


def test_a_key_column_that_is_not_there_is_told_before_the_build(small_path: Path, tmp_path: Path) -> None:
    source = small_path.with_name(f"{small_path.name}-source")
    for file in source.iterdir():
        if file.name != "source.json":
            (tmp_path / file.name).symlink_to(file)
    description = json.loads((source / "source.json").read_text())
    (tmp_path / "source.json").write_text(json.dumps({**description, "key_columns": ["mag_r", "mag_q"]}))
    with pytest.raises(SourceError, match="key column 'mag_q'"):
        open_source(tmp_path)
