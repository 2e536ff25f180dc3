"""The notebook's way in: whatever names galaxies is taken, or refused in one sentence."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from atlas import Atlas, Expression, InputError, Query, Range, Similar
from atlas.notebook import GalaxyTable
from atlas.queries.answer import answer
from atlas.queries.selection import And, Cone
from dashboard.service.gallery_query import question_of
from dashboard.state.url import from_token


def rows_of(found: pd.DataFrame) -> list[int]:
    rows: list[int] = found.index.tolist()
    return rows


def test_text_is_a_condition_wherever_a_selection_is_taken(demo: Atlas) -> None:
    count = int((np.asarray(demo.columns().array("snr")) > 100).sum())
    assert 0 < count < demo.n_rows
    assert demo.mask("snr > 100").count == demo.mask(Expression("snr > 100")).count == count
    bright = Range("inst_mag_red", high=-8)
    both = demo.mask(And((bright, Expression("snr > 100"))))
    assert np.array_equal(demo.mask(bright & "snr > 100").packed, both.packed)
    found = demo.similar(rows=3, within="snr > 100", k=20)
    assert (found["snr"] > 100).all()
    assert demo.run(Query(space="v1", ranking=Similar((3,)), selection="snr > 100", limit=20)).rows.tolist() == rows_of(
        found
    )


@pytest.mark.parametrize("wrong", [None, 5, ["snr > 100"], np.zeros(3, dtype=bool), And((5,)), "snr >", "nonsense > 1",
                                   Range("snr", "low")])  # fmt: skip
def test_what_is_no_selection_is_refused_in_words(demo: Atlas, wrong: Any) -> None:
    with pytest.raises(InputError) as error:
        demo.mask(wrong)
    assert len(str(error.value)) > 15 and "\n" not in str(error.value)


def test_one_galaxy_is_found_however_it_is_named(demo: Atlas) -> None:
    ra, dec = demo.position(3)
    name = demo.identity.name(3)
    sky = SkyCoord(ra * u.deg, dec * u.deg)
    expected = rows_of(demo.similar(rows=[3], k=5))
    ids = {column: demo.columns().values(column, [3]) for column in demo.manifest.id_columns}
    by_id: list[dict[str, Any]] = [
        {"galaxies": name}, {"id": name}, {"id": [name]}, {"id": np.array([name])}, {"rows": 3}, {"rows": np.int64(3)},
        {"rows": np.array([3], dtype=np.uint32)}, {"rows": (3,)}, {"galaxies": [name]}, {"galaxies": pd.Series([name])},
        {"galaxies": pd.DataFrame(ids)}, {"galaxies": Table(ids)}, {"galaxies": demo.table([3])},
        {"galaxies": demo.table([3]).to_astropy()}, {"galaxies": demo.similar(rows=3, k=1).matched[0]},
    ]  # fmt: skip
    by_position: list[dict[str, Any]] = [
        {"galaxies": f"{ra:.7f} {dec:+.7f}"}, {"galaxies": sky}, {"galaxies": sky.galactic}, {"galaxies": sky[None]},
        {"ra_deg": ra, "dec_deg": dec}, {"ra_deg": [ra], "dec_deg": [dec]},
        {"ra_deg": ra * u.deg, "dec_deg": (dec * 60) * u.arcmin}, {"ra_deg": sky.ra, "dec_deg": sky.dec},
        {"galaxies": pd.DataFrame({"RA": [ra], "Dec": [dec]})}, {"galaxies": Table({"sky": sky[None]})},
        {"galaxies": Table({"RAJ2000": [ra / 15] * u.hourangle, "DEJ2000": [dec] * u.deg})},
    ]  # fmt: skip
    for number, how in enumerate(by_id + by_position):
        found = demo.similar(**how, k=5)
        assert rows_of(found) == expected, how
        (match,) = found.matched
        assert (match.row, match.id, match.ra_deg, match.dec_deg) == (3, name, ra, dec)
        if number >= len(by_id):
            assert match.separation_arcsec == pytest.approx(0, abs=0.01) and "″ from the position" in str(match)
        else:
            assert match.separation_arcsec is None


def test_whole_numbers_are_ids_where_the_survey_has_such(demo: Atlas) -> None:
    assert len(demo.manifest.id_columns) == 1
    number = int(demo.identity.name(5))
    assert demo.similar(id=number, k=1).matched[0].row == 5
    assert demo.similar(id=np.array([number]), k=1).matched[0].row == 5
    assert demo.similar(pd.DataFrame({demo.manifest.id_columns[0]: [number, None]}).head(1), k=1).matched[0].row == 5


def test_several_are_taken_together_and_distances_told(demo: Atlas) -> None:
    ra, dec = (np.array([demo.position(row)[axis] for row in (3, 7)]) for axis in (0, 1))
    found = demo.similar(SkyCoord(ra * u.deg, (dec + 0.5 / 3600) * u.deg), k=9)
    assert rows_of(found) == rows_of(demo.similar(rows=[3, 7], k=9))
    assert [m.separation_arcsec for m in found.matched] == pytest.approx([0.5, 0.5], abs=1e-3)


def test_unwanted_galaxies_are_named_like_the_wanted(demo: Atlas) -> None:
    expected = demo.run(Query(space="v1", ranking=Similar((3, 7), (9,)), limit=9)).rows.tolist()
    assert expected != rows_of(demo.similar(rows=[3, 7], k=9))
    ids = demo.identity.names([3, 7, 9])
    first = demo.similar(rows=[3, 7], unwanted=9, k=9)
    for found in (first, demo.similar(id=ids[:2], unwanted=ids[2], k=9), demo.similar(ids[:2], unwanted=ids[2], k=9),
                  demo.similar(first.matched, unwanted=first.matched_unwanted, k=9)):  # fmt: skip
        assert rows_of(found) == expected
        assert [match.row for match in found.matched] == [3, 7]
        assert [match.row for match in found.matched_unwanted] == [9]
    assert "galaxy" in found.to_astropy().meta["matched_unwanted"][0]


@pytest.mark.parametrize(
    "how",
    [
        {"rows": 1, "unwanted": 1}, {"rows": 1, "unwanted": "x"}, {"id": 1, "unwanted": []}, {}, {"galaxies": 5},
        {"galaxies": [1, 2]}, {"galaxies": [53.1, -27.8]}, {"galaxies": object()}, {"id": 5.5},
        {"id": True}, {"id": 10**30}, {"id": None, "rows": []}, {"rows": 3.0}, {"rows": "3"}, {"rows": -1},
        {"rows": 10**9}, {"rows": 2**70}, {"rows": [[1]]}, {"rows": [1, [2]]}, {"rows": [True]}, {"rows": object()},
        {"rows": range(0)}, {"rows": 1, "id": "2"}, {"ra_deg": 53.1}, {"ra_deg": 400, "dec_deg": 1},
        {"ra_deg": float("nan"), "dec_deg": 1}, {"ra_deg": "x", "dec_deg": 1}, {"ra_deg": 53 * u.m, "dec_deg": 1},
        {"ra_deg": [1, 2], "dec_deg": [1]}, {"galaxies": pd.DataFrame({"a": [1]})}, {"galaxies": Table()},
        {"galaxies": "no such galaxy"}, {"galaxies": SkyCoord(10 * u.deg, 80 * u.deg)}, {"rows": list(range(900)) * 2},
        {"galaxies": SkyCoord([] * u.deg, [] * u.deg)}, {"rows": 1, "k": 0}, {"rows": 1, "k": 2.5},
        {"rows": 1, "k": 10**6}, {"rows": 1, "within": 5}, {"rows": 1, "space": "no such"},
    ],
)  # fmt: skip
def test_what_names_no_galaxy_is_refused_in_one_sentence(demo: Atlas, how: dict[str, Any]) -> None:
    with pytest.raises(InputError) as error:
        demo.similar(**how)
    assert 15 < len(str(error.value)) < 400 and "\n" not in str(error.value)


def test_a_table_for_astropy_has_units_descriptions_and_masks(small: Atlas) -> None:
    found = small.similar(rows=4, k=300)
    table = found.to_astropy()
    assert table["row"].tolist() == rows_of(found)
    assert table["ra"].unit == u.deg and table["dec"].unit == u.deg
    assert table["mag_r"].unit == u.mag and table["mag_r"].description
    assert (
        table["similarity"].tolist() == pytest.approx(found["similarity"].tolist())
        and "1 is" in table["similarity"].description
    )
    missing = found["z_spec"].isna().to_numpy()
    assert missing.any() and not missing.all()
    assert np.array_equal(np.ma.getmaskarray(np.ma.asarray(table["z_spec"])), missing)
    assert table.meta["build"] == small.build_id and small.identity.name(4) in table.meta["matched"][0]
    assert SkyCoord.guess_from_table(table[["ra", "dec"]]).ra.deg == pytest.approx(found["ra"].to_numpy())


def test_a_table_shows_images_and_what_was_matched(demo: Atlas) -> None:
    ra, dec = demo.position(3)
    found = demo.similar(ra_deg=ra, dec_deg=dec + 1 / 3600, k=30)
    shown = found._repr_html_()
    assert shown is not None
    assert shown.count('src="data:image/webp;base64,') == 1 + 24
    assert f"asked for: galaxy {demo.identity.name(3)}" in shown and "1.00″ from the position" in shown
    assert "<table" in shown
    part = found[found["similarity"] > found["similarity"].iloc[9]]
    assert part.matched == found.matched and (part._repr_html_() or "").count("data:image") == 1 + 9
    for other in (found.reset_index(), pickle.loads(pickle.dumps(found)), found.describe()):
        assert "<table" in (other._repr_html_() or "")
    assert pickle.loads(pickle.dumps(found)).to_astropy()["ra"].unit == u.deg
    assert copy.deepcopy(found).matched == found.matched


def test_rows_without_an_image_are_a_table_alone(small: Atlas) -> None:
    shown = small.similar(rows=4, k=3)._repr_html_()
    assert shown is not None and "<img" not in shown and "<table" in shown


@pytest.mark.parametrize(
    "asked",
    [
        {"rows": 30},
        {"rows": [30, 31], "unwanted": [40], "k": 100, "within": "snr > 20"},
        {"rows": 7, "within": Cone(53.16, -27.79, 40.0), "exact": True, "apart_arcsec": 2.0, "variety": 0.5},
    ],
)
def test_a_link_asks_the_page_the_same(demo: Atlas, asked: dict[str, Any]) -> None:
    found = demo.similar(**asked)
    link = found.link("http://127.0.0.1:8050/")
    assert link.startswith("http://127.0.0.1:8050/?s=")
    query = question_of(demo, from_token(link.partition("?s=")[2])).query
    assert query is not None
    rows = answer(demo, query).rows.tolist()
    assert rows == found.index.tolist()[: len(rows)] and len(rows) == min(len(found), query.limit)


def test_what_the_page_cannot_ask_has_no_link(demo: Atlas) -> None:
    found = demo.similar(rows=30)
    for base in ("127.0.0.1:8050", "file:///x", "https://a.example/?s=1", ""):
        with pytest.raises(InputError, match="address of a dashboard"):
            found.link(base)
    for other in (demo.similar(rows=30, variety=0.3), demo.similar(embedding=demo.space().embeddings[3])):
        with pytest.raises(InputError, match="the page asks for"):
            other.link("http://127.0.0.1:8050")
    with pytest.raises(InputError, match="has a link"):
        GalaxyTable({"a": [1]}).link("http://127.0.0.1:8050")
