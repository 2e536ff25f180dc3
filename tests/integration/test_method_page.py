"""The page that explains the method: what it shows is true of the atlas, and it holds for atlases of any kind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from atlas import Atlas
from dashboard.app import create_app
from dashboard.service.method_figures import SAMPLE, SHOWN, similarity_figure
from dashboard.settings import load
from dashboard.state import url as links


def client_of(path: Path, scratch: Path) -> FlaskClient:
    settings = load({}, atlas=str(path), cache_dir=str(scratch / "cache"), kept_dir=str(scratch / "kept"))
    return create_app(settings=settings).server.test_client()


@pytest.fixture(scope="module")
def client(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return client_of(demo_path, tmp_path_factory.mktemp("method"))


def test_the_page_shows_this_atlas_in_pictures_that_are_there(client: FlaskClient, demo: Atlas) -> None:
    answer = client.get("/method")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert all(told in text for told in (f"{demo.n_rows:,} galaxies", "2110.13151", "2012.13083", "2110.00023"))
    assert demo.manifest.provenance.acknowledgement in text and demo.manifest.provenance.licence in text
    images = {found.replace("&amp;", "&") for found in re.findall(r'src="([^"]+)"', text)}
    assert len(images) > 3 * SHOWN and all(client.get(image).status_code == 200 for image in images)
    shown = re.search(r'href="/\?s=([^"]+)"', text)
    assert shown is not None and links.from_token(shown[1]).focus is not None
    assert 'data-bs-theme="light"' in client.get("/method?light=1").get_data(as_text=True)


@pytest.mark.parametrize("number", [0, 1, 999])
def test_similarities_are_those_of_numpy(demo: Atlas, small: Atlas, number: int) -> None:
    for atlas in (demo, small):
        figure = similarity_figure(atlas, number)
        rows = atlas.space().embeddings.astype(np.float64)
        cosine = rows @ rows[figure.row] / np.linalg.norm(rows, axis=1) / np.linalg.norm(rows[figure.row])
        nearest = np.sort(np.delete(cosine, figure.row))[::-1][:SHOWN]
        told = [one.similarity for one in figure.most]
        np.testing.assert_allclose(told, [cosine[one.row] for one in figure.most], atol=1e-6)
        assert told[0] == pytest.approx(nearest[0], abs=0.02)
        assert sum(figure.counts) == figure.n_sampled <= SAMPLE
        for some in (figure.middling, figure.least):
            np.testing.assert_allclose([one.similarity for one in some], [cosine[one.row] for one in some], atol=1e-6)
        assert figure.least[-1].similarity >= cosine.min() - 1e-6
        assert abs(figure.middling[SHOWN // 2].similarity - np.median(cosine)) < 0.05


@pytest.mark.parametrize("query", ["example=-1", "example=1000", "example=x", "light=2"])
def test_what_is_not_allowed_is_refused_in_a_sentence(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/method?{query}")
    assert answer.status_code == 400 and ("allowed" in answer.text or "expected" in answer.text)


def test_an_atlas_without_images_or_clusters_has_the_page_too(numbers_path: Path, tmp_path: Path) -> None:
    answer = client_of(numbers_path, tmp_path).get("/method?example=3")
    assert answer.status_code == 200 and "similarity" in answer.get_data(as_text=True)


def test_the_demo_tells_what_its_encoder_is_blind_to(client: FlaskClient, demo: Atlas, small: Atlas) -> None:
    told = demo.manifest.invariance
    assert told["turned"] > 0.99 and told["mirrored"] > 0.99 and min(told.values()) == told["another"]
    text = client.get("/method").get_data(as_text=True)
    assert all(f"{told[name]:.3f}" in text for name in ("turned", "shifted", "blurred", "noisier", "another"))
    assert small.manifest.invariance == {}  # its embeddings are of no pictures
