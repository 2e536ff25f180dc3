"""The page of Aladin Lite without a browser: who may be asked, what is refused, and which galaxies it is told of.

`tests/browser/test_aladin.py` runs the library itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from atlas import Atlas
from atlas.errors import InputError
from atlas.queries.selection import Expression
from dashboard.app import create_app
from dashboard.hips_services import KNOWN_HIPS, read_hips
from dashboard.settings import load
from dashboard.state.page_state import State
from dashboard.state.url import from_token, to_token

LIBRARY = b"/* https://aladin.cds.unistra.fr/AladinLite/ */\nconst P = {};\nexport{P as default};\n"
HIPS = "Mine (Us)=https://tiles.example:8443/mine/,dss"


def app_of(atlas: Path, own: Path, **more: Any) -> FlaskClient:
    dirs = {f"{name}_dir": str(own / name) for name in ("cache", "kept", "scratch")}
    settings = load({}, atlas=str(atlas), labels=str(own / "labels.sqlite"), **dirs, **more)
    return create_app(settings=settings).server.test_client()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as npm unpacks one."""
    folder = tmp_path_factory.mktemp("npm") / "package" / "dist"
    folder.mkdir(parents=True)
    (folder / "aladin.js").write_bytes(LIBRARY)
    return folder.parent.parent


@pytest.fixture(scope="module")
def client(demo_path: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return app_of(demo_path, tmp_path_factory.mktemp("own"), aladin_lite=str(library), aladin_hips=HIPS)


def sources(policy: str) -> dict[str, list[str]]:
    return {name: rest for name, *rest in (part.split() for part in policy.split("; "))}


def test_only_that_page_may_compile_webassembly_and_ask_the_listed_hosts(client: FlaskClient) -> None:
    own = sources(client.get("/aladin").headers["Content-Security-Policy"])
    hosts = {"https://tiles.example:8443", "https://alasky.cds.unistra.fr"}
    assert hosts <= {*own["connect-src"]} and hosts <= {*own["img-src"]}
    assert own["script-src"] == ["'self'", "'wasm-unsafe-eval'"] and own["default-src"] == ["'none'"]
    for address in ("/", "/method", "/aladin/galaxies/x.json", "/aladin/lite/none.js", "/assets/aladin-page.js"):
        with client.get(address) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "wasm" not in policy and "https://" not in policy and "worker-src" not in policy


def test_the_library_comes_from_this_server_and_the_page_leads_nowhere_else(client: FlaskClient) -> None:
    page = client.get("/aladin").text
    (address,) = {part for part in page.replace("&#34;", '"').split('"') if part.startswith("/aladin/lite/")}
    with client.get(address) as answer:
        assert answer.data == LIBRARY and answer.mimetype == "text/javascript"
        assert "immutable" in answer.headers["Cache-Control"]
    assert "aladin-page" not in client.get("/").text, "no other page loads its script"


@pytest.mark.parametrize("fov_deg", [0.01, 0.05, 120.0])
def test_galaxies_of_the_selection_in_view_are_told(client: FlaskClient, demo: Atlas, fov_deg: float) -> None:
    ra_deg, dec_deg = demo.position(10)
    told = client.get(
        f"/aladin/galaxies/{demo.build_id}.json",
        query_string={"ra": ra_deg, "dec": dec_deg, "fov": fov_deg, "high": fov_deg / 2,
                      "s": to_token(State(expression="snr > 50"))},
    ).json  # fmt: skip
    mask = demo.mask(Expression("snr > 50"))
    columns = demo.columns(demo.default_space)
    ra, dec = (np.asarray(columns.array(name))[mask.rows] for name in ("ra", "dec"))
    x, y = (ra - ra_deg) * np.cos(np.radians(dec_deg)), dec - dec_deg
    inside = (np.abs(x) <= fov_deg / 2) & (np.abs(y) <= fov_deg / 4)
    assert {row for row, *_ in told["galaxies"]} == {*mask.rows[inside].tolist()}
    row, name, *place = told["galaxies"][0]
    assert name == demo.identity.name(row) and place == pytest.approx(demo.position(row))
    where = "in all of the sky" if fov_deg > 60 else "in view"
    assert told["words"] == f"{inside.sum():,} galaxies of the selection {where}"


def test_more_than_a_catalogue_may_hold_are_a_sample_and_that_is_said(
    small_path: Path, small: Atlas, library: Path, tmp_path: Path
) -> None:
    client = app_of(small_path, tmp_path, aladin_lite=str(library), aladin_hips="dss")
    told = client.get(f"/aladin/galaxies/{small.build_id}.json?ra=10&dec=0&fov=180").json
    assert told["words"] == f"1,000 of {small.n_rows:,} galaxies in all of the sky"
    assert len({row for row, *_ in told["galaxies"]}) == 1_000


def test_a_galaxy_opens_with_the_selection_as_it_was(client: FlaskClient, demo: Atlas) -> None:
    asked = to_token(State(expression="snr > 50"))
    answer = client.get(f"/aladin/open/{demo.build_id}/7?s={asked}")
    assert answer.status_code == 302
    state = from_token(answer.headers["Location"].removeprefix("/?s="))
    assert state.expression == "snr > 50" and state.focus is not None and state.focus.id == demo.identity.name(7)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/aladin?ra=400&dec=0", "ra is"),
        ("/aladin?ra=1", "dec"),
        ("/aladin?ra=1&dec=1&fov=1e9", "fov is"),
        ("/aladin?s=damaged", "link"),
        ("/aladin/galaxies/BUILD.json?ra=1&dec=1&fov=1&high=nan", "high"),
        ("/aladin/galaxies/nobuild.json", "build"),
        ("/aladin/open/BUILD/99999999", "there is no row"),
    ],
)
def test_what_cannot_be_answered_is_said(client: FlaskClient, demo: Atlas, address: str, said: str) -> None:
    answer = client.get(address.replace("BUILD", demo.build_id))
    assert answer.status_code in (400, 404, 410) and said in answer.json["error"], answer.text


def test_the_page_is_there_only_where_the_settings_name_the_library(
    demo_path: Path, library: Path, tmp_path: Path
) -> None:
    assert app_of(demo_path, tmp_path / "a").get("/aladin").status_code == 404
    (tmp_path / "aladin.js").write_text("window.A = 1;")
    for place, hips, said in (
        (tmp_path / "none", "dss", "where no aladin.js lies: allowed is dist/aladin.js of npm's aladin-lite"),
        (tmp_path, "dss", "which is not Aladin Lite as a module: allowed is"),
        (library, "", "GALAXY_FINDER_ALADIN_LITE needs GALAXY_FINDER_ALADIN_HIPS: allowed is dss, panstarrs"),
    ):
        with pytest.raises(InputError, match=said):
            app_of(demo_path, tmp_path / "b", aladin_lite=str(place), aladin_hips=hips)


@pytest.mark.parametrize(
    "text",
    [
        "ftp", "Mine=ftp://tiles.example/a", "Mine=https://tiles.example/{ra}", "Mine=https://u:p@tiles.example/a",
        "Mine=https://a;script-src/x", "Mine=https://[::1]/a", "Mine=https://tiles.example/a?b=c", "=https://a/b",
        "Mine (Us=https://tiles.example/a", "M" * 30 + "=https://tiles.example/a", "dss,dss",
    ],
)  # fmt: skip
def test_no_other_address_is_a_survey(text: str) -> None:
    with pytest.raises(InputError, match=r"allowed|of the form"):
        read_hips(tuple(text.split(",")))


def test_known_surveys_are_of_the_cds() -> None:
    assert read_hips(tuple(KNOWN_HIPS)) == tuple(KNOWN_HIPS.values())
    assert all(one.address.startswith("https://alasky.cds.unistra.fr/") for one in KNOWN_HIPS.values())
