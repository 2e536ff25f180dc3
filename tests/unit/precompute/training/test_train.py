"""An encoder is trained on pictures without labels, goes on where it was killed, and serves `embed`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from atlas.errors import InputError
from precompute.__main__ import main
from tests.unit.precompute.embedding.test_embed import galaxy

pytest.importorskip("jax")
pytest.importorskip("optax")

import jax

from precompute.embedding import network
from precompute.embedding.network import ARCHITECTURES, Architecture, draw_network, embed_pictures
from precompute.embedding.picture_set import PictureSet, find_pictures
from precompute.embedding.trained_encoder import TrainedEncoder
from precompute.errors import SourceError
from precompute.training import train as training
from precompute.training import vicreg
from precompute.training.augmentations import draw_anew
from precompute.training.train import Trained, TrainRecipe

N, EDGE = 80, 32
TINY = Architecture(8, (8, 16), (1, 1))
RECIPE = TrainRecipe(network="small", pixels=EDGE, crop=0, epochs=3, batch=32, seed=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(N):
        Image.fromarray(galaxy(i)).save(folder / f"g{i:02d}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "small", TINY)
        patch.setattr(training, "KEEP_EVERY", 2)
        yield


@pytest.fixture(scope="module")
def whole(folder: Path, tiny: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that was trained without an interruption."""
    out = tmp_path_factory.mktemp("whole") / "whole.safetensors"
    assert trained(folder, out).steps == 3 * 2
    return out


def trained(folder: Path, out: Path, recipe: TrainRecipe = RECIPE) -> Trained:
    return training.train(find_pictures(folder), out, recipe, threads=1, quiet=True)


@pytest.mark.soak
def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been(
    folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, done = training._Run.go, []

    def killed(run: training._Run, stack: np.ndarray) -> float:
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(run.step)
        return go(run, stack)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training._Run, "go", killed)
        trained(folder, tmp_path / "killed.safetensors")
    assert not (tmp_path / "killed.safetensors").exists()
    again: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(training._Run, "go", lambda run, stack: (again.append(run.step), go(run, stack))[1])
        trained(folder, tmp_path / "killed.safetensors")
    assert again == [4, 5]
    first, second = TrainedEncoder(whole), TrainedEncoder(tmp_path / "killed.safetensors")
    pictures = np.stack([galaxy(i) for i in range(5)]).astype(np.float32)
    np.testing.assert_allclose(first.measure(pictures), second.measure(pictures), rtol=1e-3, atol=1e-4)
    for out in (whole, tmp_path / "killed.safetensors"):
        curve = out.with_suffix(".csv").read_text().splitlines()
        assert [line.split(",")[0] for line in curve] == ["step", "0", "2", "4", "6"]
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.soak
def test_what_was_killed_while_it_wrote_its_files_writes_them_again(
    folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())
        raise KeyboardInterrupt

    out = tmp_path / "killed.safetensors"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("precompute.training.train.shutil.copyfile", killed)
        trained(folder, out)
    assert trained(folder, out).steps == 6
    assert out.with_suffix(".json").read_bytes() == whole.with_suffix(".json").read_bytes()
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.soak
def test_the_command_trains_and_says_what_came_of_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "encoder.safetensors"
    options = ("--out", str(out), "--epochs", "1", "--batch", "32", "--pixels", "32", "--threads", "1")
    assert main(["--quiet", "train", str(folder), *options]) == 0
    assert "2 steps" in capsys.readouterr().out


@pytest.mark.soak
def test_embed_takes_what_was_trained(folder: Path, whole: Path, tmp_path: Path) -> None:
    told = json.loads(whole.with_suffix(".json").read_text())
    assert (told["pictures"], told["loss"], told["network"]) == (N - 16, "VICReg", "small")
    assert main(["--quiet", "embed", str(folder), "--model", str(whole), "--out", str(tmp_path / "source")]) == 0
    assert np.load(tmp_path / "source" / "embeddings.npy").shape == (N, TINY.dimension)


@pytest.mark.soak
def test_an_embedding_does_not_depend_on_what_is_beside_it(whole: Path) -> None:
    encoder = TrainedEncoder(whole)
    pictures = np.stack([galaxy(i) for i in range(70)]).astype(np.float32)
    np.testing.assert_allclose(encoder.measure(pictures)[65:66], encoder.measure(pictures[65:66]), rtol=1e-4, atol=1e-4)


@pytest.mark.soak
def test_files_that_do_not_belong_together_are_refused(whole: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "e.safetensors", json.loads(whole.with_suffix(".json").read_text())
    with pytest.raises(InputError, match="does not exist"):
        TrainedEncoder(out)
    for weights, change, words in (
        (whole.read_bytes()[:200], {}, "holds no weights"),
        (b"", {}, "holds no weights"),
        (whole.read_bytes(), {"network": "resnet18"}, "does not hold the weights of resnet18"),
        (whole.read_bytes(), {"network": "x"}, "not small"),
        (whole.read_bytes(), {"pixels": 7}, "pixels"),
    ):
        out.write_bytes(weights)
        out.with_suffix(".json").write_text(json.dumps(told | change))
        with pytest.raises(InputError, match=words):
            TrainedEncoder(out)


def test_what_cannot_be_trained_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        trained(folder, tmp_path / "e.onnx")
    with pytest.raises(InputError, match="there are small, resnet18, resnet50"):
        trained(folder, tmp_path / "e.safetensors", TrainRecipe(**{**_fields(), "network": "vgg"}))
    with pytest.raises(SourceError, match="a batch of 256 is too large"):
        trained(folder, tmp_path / "e.safetensors", TrainRecipe(**{**_fields(), "batch": 256}))
    few = find_pictures(folder)
    few = PictureSet(few.folder, few.paths[:20], rows=few.rows[:20])
    with pytest.raises(SourceError, match="64 are needed"):
        training.train(few, tmp_path / "e.safetensors", RECIPE, threads=1, quiet=True)


@pytest.mark.soak
def test_a_galaxy_drawn_anew_stays_in_the_middle_and_another_each_time() -> None:
    pictures = np.stack([galaxy(3)] * 4).astype(np.float32) / 255
    drawn = np.asarray(draw_anew(jax.random.key(0), pictures))
    assert drawn.shape == pictures.shape and drawn.min() >= 0 and drawn.max() <= 1
    assert (np.abs(drawn[1:] - drawn[0]).mean(axis=(1, 2, 3)) > 0.005).all()
    middle = drawn[:, 12:20, 12:20].mean(axis=(1, 2, 3))
    assert (middle > 2 * drawn[:, :4].mean(axis=(1, 2, 3))).all()


def test_the_loss_is_that_of_the_paper() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 40, 6))
    expected = 25 * ((first - second) ** 2).mean()
    for made in (first, second):
        expected += 25 * np.maximum(0, 1 - np.sqrt(made.var(axis=0) + 1e-4)).mean() / 2
        covariance = np.cov(made.T)
        expected += (covariance**2).sum() / 6 - (np.diag(covariance) ** 2).sum() / 6
    assert float(vicreg.loss(first, second)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_networks_by_name_have_as_many_parameters_as_they_are_known_for(name: str) -> None:
    drawn = network.draw_network(ARCHITECTURES[name], 0)
    known = {"resnet18": 11.2e6, "resnet50": 23.5e6}[name]  # without the layer that names classes
    assert sum(array.size for array in drawn.values()) == pytest.approx(known, rel=0.01)


def test_a_network_of_bottlenecks_runs() -> None:
    small = Architecture(8, (8, 8), (1, 1), bottleneck=True, stem_edge=7)
    made = embed_pictures(draw_network(small, 0), small, np.zeros((2, 32, 32, 3), np.float32))
    assert made.shape == (2, small.dimension) and np.isfinite(np.asarray(made)).all()


def _fields() -> dict[str, object]:
    return {name: getattr(RECIPE, name) for name in TrainRecipe.__struct_fields__}
