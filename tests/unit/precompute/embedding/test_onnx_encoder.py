"""Any network of an ONNX file makes embeddings; what its JSON says wrongly is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from atlas.errors import InputError
from precompute.descriptor.artefacts import MEASURES
from precompute.embedding.embed import embed
from precompute.embedding.onnx_encoder import OnnxEncoder
from precompute.embedding.picture_set import find_pictures
from tests.unit.precompute.embedding.test_embed import EDGE, galaxy

TOLD = {"pixels": EDGE, "bands": "RGB", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}
WEIGHTS = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)


def write_model(path: Path, told: dict[str, Any] | None, shape: tuple[Any, ...] = ("n", 3, EDGE, EDGE)) -> Path:
    """A network that takes the mean of each band to six numbers."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, (shape[0], 6))
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["rows"]),
    ]
    axes = (1, 2) if shape[-1] == 3 else (2, 3)
    constants = [
        numpy_helper.from_array(WEIGHTS[: 1 if 1 in shape[1:] else 3], "weights"),
        numpy_helper.from_array(np.array(axes, np.int64), "axes"),
    ]
    graph = helper.make_graph(nodes, "means", [images], [rows], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    if told is not None:
        path.with_suffix(".json").write_text(json.dumps(told))
    return path


@pytest.mark.parametrize("shape", [("n", 3, EDGE, EDGE), (4, 3, EDGE, EDGE), ("n", EDGE, EDGE, 3), ("n", 3, "h", "w")])
def test_a_network_is_given_what_its_json_says_and_its_numbers_are_kept(tmp_path: Path, shape: tuple) -> None:
    told = TOLD | ({"layout": "NHWC"} if shape[-1] == 3 else {})
    encoder = OnnxEncoder(write_model(tmp_path / "m.onnx", told, shape))
    pictures = np.stack([galaxy(i) for i in range(7)]).astype(np.float32)
    measured = encoder.measure(pictures)
    means = (pictures.mean(axis=(1, 2)) / 255 - TOLD["mean"]) / TOLD["std"]
    np.testing.assert_allclose(measured[:, :6], means @ WEIGHTS, rtol=2e-4, atol=2e-4)
    assert measured.shape == (7, 6 + len(MEASURES))


def test_embed_takes_a_network_and_scales_pictures_to_it(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for i in range(9):
        Image.fromarray(galaxy(i, 2 * EDGE)).save(tmp_path / "images" / f"{i}.png")
    encoder = OnnxEncoder(write_model(tmp_path / "m.onnx", TOLD))
    result = embed(find_pictures(tmp_path / "images"), tmp_path / "out", encoder, threads=1, quiet=True)
    assert (result.n_rows, result.dimension, result.notes) == (9, 6, ())
    assert np.load(tmp_path / "out" / "embeddings.npy").shape == (9, 6)


@pytest.mark.parametrize(
    ("told", "shape", "said"),
    [
        (None, ("n", 3, EDGE, EDGE), r"m\.json is missing: it says what"),
        ({"bands": "RGB"}, ("n", 3, EDGE, EDGE), "missing required field `pixels`"),
        (TOLD | {"pixels": 64}, ("n", 3, EDGE, EDGE), r"'n', 3, 32, 32\]; m\.json says NCHW with 3 bands of 64"),
        (TOLD | {"layout": "NHWC"}, ("n", 3, EDGE, EDGE), "says NHWC"),
        (TOLD | {"bands": "grey"}, ("n", 1, EDGE, EDGE), "mean has 3 numbers, not one for each of 1 bands"),
        (TOLD | {"output": "rows2"}, ("n", 3, EDGE, EDGE), r"these of output: rows \['n', 6\]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_model_is_told(tmp_path: Path, told: dict | None, shape: tuple, said: str) -> None:
    with pytest.raises(InputError, match=said):
        OnnxEncoder(write_model(tmp_path / "m.onnx", told, shape))


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    (tmp_path / "m.json").write_text(json.dumps(TOLD))
    with pytest.raises(InputError, match="is no ONNX model that can be run"):
        OnnxEncoder(tmp_path / "m.onnx")
