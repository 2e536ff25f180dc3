"""Any network as an encoder: an ONNX file, and a JSON beside it that says what its input means.

    encoder.onnx
    encoder.json    {"pixels": 152, "bands": "RGB", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

ONNX tells shapes but not what a number stands for; what the JSON says is checked against the model's own shapes.
Needs `onnxruntime`, an extra of the package (`pip install galaxy-finder[onnx]`).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from atlas.errors import InputError, shorten

from ..descriptor.artefacts import measure_artefacts
from ..descriptor.sky_level import ImageFloats, fill_blank
from .encoder import MAX_PIXELS

TRIED_BATCHES = (1, 4, 16)
TRIED_PICTURES = 32
"""How many pictures at a time is quickest: tried on this many."""

MAX_DIMENSION = 8192

Ratio = Annotated[float, Meta(gt=0)]


class EncoderDescription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Description of an encoder's input.

    A level of 0 to 255 becomes (level · `scale` − `mean`) / `std`, band by band.

    Attributes
    ----------
    pixels : int
        Edge of a picture.
    bands : {"RGB", "BGR", "grey"}
        Their order.
    layout : {"NCHW", "NHWC"}
        Whether bands come before rows and columns, or last.
    scale : float
        1/255 unless told otherwise: levels from 0 to 1.
    mean, std : tuple of float
        One a band; 0 and 1 unless told otherwise.
    input, output : str
        Names, where the model has several.
    """

    pixels: Annotated[int, Meta(ge=8, le=MAX_PIXELS)]
    bands: Literal["RGB", "BGR", "grey"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    scale: Ratio = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[Ratio, ...] = ()
    input: str = ""
    output: str = ""


class OnnxEncoder:
    """A network of an ONNX file, run by onnxruntime; see `Encoder`.

    Raises
    ------
    InputError
        If onnxruntime is missing, the file is no model, or its shapes are not those that the JSON tells.
    """

    as_seen = True

    def __init__(self, path: Path) -> None:
        onnxruntime = _onnxruntime()
        self._told = _read_description(path)
        if not path.is_file():
            raise InputError(f"{path} does not exist")
        options = onnxruntime.SessionOptions()
        # Blocks of pictures run on threads of their own.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as e:  # onnxruntime has a class of its own for each of a dozen faults
            raise InputError(f"{path} is no ONNX model that can be run: {shorten(e, 200)}") from e
        self._input = _one_of(self._session.get_inputs(), self._told.input, "input", path)
        self._output = _one_of(self._session.get_outputs(), self._told.output, "output", path)
        self.pixels = self._told.pixels
        self._check_input(path)
        self.width = self._dimension(path)
        self.name = path.name
        told = msgspec.json.encode(self._told)
        self.identity = f"onnx {hashlib.sha256(path.read_bytes()).hexdigest()} {told.decode()}"
        self._batch = self._fixed_batch or self._quickest_batch()

    def measure(self, pictures: ImageFloats) -> ImageFloats:
        """See `Encoder.measure`."""
        vectors = np.concatenate(
            [self._run(pictures[start : start + self._batch]) for start in range(0, len(pictures), self._batch)]
        )
        return np.concatenate([vectors, measure_artefacts(*fill_blank(pictures))], axis=1)

    def fit(self, sample: ImageFloats) -> Callable[[ImageFloats], ImageFloats]:
        """See `Encoder.fit`; a network needs no fit."""
        return lambda measured: np.ascontiguousarray(measured[:, : self.width])

    @property
    def _bands(self) -> int:
        return 1 if self._told.bands == "grey" else 3

    @property
    def _fixed_batch(self) -> int:
        batch = self._input.shape[0]
        return batch if isinstance(batch, int) else 0

    def _run(self, pictures: ImageFloats) -> ImageFloats:
        told = self._told
        levels = np.nan_to_num(pictures, nan=0.0)
        if told.bands == "grey":
            levels = levels.mean(axis=3, keepdims=True)
        elif told.bands == "BGR":
            levels = levels[..., ::-1]
        mean, std = np.array(told.mean or (0.0,), np.float32), np.array(told.std or (1.0,), np.float32)
        scaled = (levels * np.float32(told.scale) - mean) / std
        if told.layout == "NCHW":
            scaled = scaled.transpose(0, 3, 1, 2)
        short = max(0, self._fixed_batch - len(scaled))
        if short:  # a model of a fixed number of pictures gets the last once more
            scaled = np.concatenate([scaled, np.repeat(scaled[-1:], short, axis=0)])
        given = {self._input.name: np.ascontiguousarray(scaled, dtype=np.float32)}
        found = np.asarray(self._session.run([self._output.name], given)[0], dtype=np.float32)
        return found.reshape(len(found), -1)[: len(pictures)]

    def _check_input(self, path: Path) -> None:
        told, shape = self._told, self._input.shape
        wanted = [self._bands, told.pixels, told.pixels]
        if told.layout == "NHWC":
            wanted = [*wanted[1:], wanted[0]]
        fits = len(shape) == 4 and all(not isinstance(s, int) or s == w for s, w in zip(shape[1:], wanted, strict=True))
        if not fits or self._input.type != "tensor(float)":
            raise InputError(
                f"{path} takes {self._input.type} of shape {shape}; {path.with_suffix('.json').name} says "
                f"{told.layout} with {self._bands} bands of {told.pixels} pixels: tensor(float) of shape "
                f"['batch', {', '.join(map(str, wanted))}]"
            )
        for name in ("mean", "std"):
            if len(getattr(told, name)) not in (0, self._bands):
                raise InputError(f"{path.with_suffix('.json')}: {name} has {len(getattr(told, name))} numbers, "
                                 f"not one for each of {self._bands} bands")  # fmt: skip

    def _dimension(self, path: Path) -> int:
        """Numbers of an embedding, by running the model once."""
        try:
            found = self._run(np.zeros((1, self.pixels, self.pixels, 3), np.float32))
        except Exception as e:  # see above
            raise InputError(f"{path} cannot be run: {shorten(e, 200)}") from e
        if not 2 <= found.shape[1] <= MAX_DIMENSION:
            raise InputError(
                f"{path}: output {self._output.name!r} of shape {self._output.shape} gives {found.shape[1]:,} numbers "
                f"a picture; 2 to {MAX_DIMENSION:,} make an embedding"
            )
        return int(found.shape[1])

    def _quickest_batch(self) -> int:
        """Pictures at a time, by measurement on what the model is going to do."""
        pictures = np.zeros((TRIED_PICTURES, self.pixels, self.pixels, 3), np.float32)
        took: dict[int, float] = {}
        for batch in TRIED_BATCHES:
            count = max(batch, min(TRIED_PICTURES, 4 * batch))
            begin = time.perf_counter()
            for start in range(0, count, batch):
                self._run(pictures[start : start + batch])
            took[batch] = (time.perf_counter() - begin) / count
        return min(took, key=lambda batch: took[batch])


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as e:
        raise InputError("--model needs onnxruntime: pip install 'galaxy-finder[onnx]'") from e
    return onnxruntime


def _read_description(path: Path) -> EncoderDescription:
    told = path.with_suffix(".json")
    if not told.is_file():
        raise InputError(
            f'{told} is missing: it says what the input of {path.name} means, for instance {{"pixels": 152, '
            '"bands": "RGB", "layout": "NCHW", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'
        )
    try:
        return msgspec.json.decode(told.read_bytes(), type=EncoderDescription)
    except msgspec.DecodeError as e:
        raise InputError(f"{told}: {shorten(e, 200)}") from e


def _one_of(nodes: list[Any], name: str, what: str, path: Path) -> Any:
    """The input or output of that name, or the only one."""
    if not name and len(nodes) == 1:
        return nodes[0]
    found = next((node for node in nodes if node.name == name), None)
    if found is None:
        there = ", ".join(f"{node.name} {node.shape}" for node in nodes)
        raise InputError(f"{path} has these of {what}: {there}; say which in {path.with_suffix('.json').name} ({what})")
    return found
