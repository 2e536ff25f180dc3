"""The network that others are compared with is read from its wheel without PyTorch, and nothing else is."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks.lite0 import STAGES, make_model, read_weights

WIDTHS = (16, 24, 40, 80, 112, 192, 320)
Weights = dict[str, np.ndarray]


def saved(monkeypatch: pytest.MonkeyPatch, weights: Weights) -> io.BytesIO:
    """A file as `torch.save` wrote it in 2020, with the names of its classes alone."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    kinds = {np.float32: type("FloatStorage", (), {}), np.int64: type("LongStorage", (), {})}
    rebuild: Any = lambda: None  # noqa: E731
    rebuild.__qualname__, rebuild.__module__ = "_rebuild_tensor_v2", "torch._utils"
    utils._rebuild_tensor_v2 = rebuild  # type: ignore[attr-defined]
    for kind in kinds.values():
        kind.__module__ = "torch"
        setattr(torch, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Storage:
        def __init__(self, key: str, values: np.ndarray) -> None:
            self.key, self.values = key, values

    class Tensor:
        def __init__(self, storage: Storage) -> None:
            self.storage = storage

        def __reduce__(self) -> tuple[Any, ...]:
            values = self.storage.values
            strides = tuple(step // values.itemsize for step in values.strides)
            return rebuild, (self.storage, 0, values.shape, strides, False, OrderedDict())

    class Writer(pickle.Pickler):
        def persistent_id(self, what: Any) -> Any:
            if isinstance(what, Storage):
                return "storage", kinds[what.values.dtype.type], what.key, "cpu", what.values.size, None
            return None

    file = io.BytesIO()
    for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(head, file, protocol=2)
    storages = {name: Storage(str(i), values) for i, (name, values) in enumerate(weights.items())}
    Writer(file, protocol=2).dump(OrderedDict((name, Tensor(storage)) for name, storage in storages.items()))
    pickle.dump([storage.key for storage in storages.values()], file, protocol=2)
    for storage in storages.values():
        file.write(storage.values.size.to_bytes(8, "little") + storage.values.tobytes("A"))
    file.seek(0)
    return file


def test_weights_are_read_as_they_were_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {"a": np.arange(6, dtype=np.float32).reshape(2, 3).T, "b": np.array([7])}
    file = saved(monkeypatch, weights)
    monkeypatch.undo()
    read = read_weights(file)
    assert read.keys() == weights.keys() and all(np.array_equal(read[name], weights[name]) for name in weights)


def test_what_is_no_weight_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "harm"),)

    with pytest.raises(pickle.UnpicklingError, match="mkdir is not what weights are made of"):
        read_weights(io.BytesIO(pickle.dumps(Harm())))
    assert not (tmp_path / "harm").exists()


def test_the_network_of_its_weights_runs() -> None:
    random, weights = np.random.default_rng(0), Weights()

    def layer(name: str, normal: str, made: int, given: int, edge: int = 1) -> None:
        scale = np.sqrt(2 / (given * edge * edge))
        weights[f"{name}.weight"] = random.normal(0, scale, (made, given, edge, edge)).astype(np.float32)
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            weights[f"{normal}.{part}"] = np.full(made, value, np.float32)

    layer("_conv_stem", "_bn0", 32, 3, 3)
    number, given = 0, 32
    for (blocks, _, wider), width in zip(STAGES, WIDTHS, strict=True):
        for _ in range(blocks):
            name, inner = f"_blocks.{number}", wider * given
            layer(f"{name}._expand_conv", f"{name}._bn0", inner, given)
            layer(f"{name}._depthwise_conv", f"{name}._bn1", inner, 1, 3)
            layer(f"{name}._project_conv", f"{name}._bn2", width, inner)
            number, given = number + 1, width
    layer("_conv_head", "_bn1", 1280, given)
    model = make_model(weights, 32)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (rows,) = session.run(None, {"pictures": random.normal(size=(2, 3, 32, 32)).astype(np.float32)})
    assert rows.shape == (2, 1280) and np.isfinite(rows).all() and np.abs(rows[0] - rows[1]).max() > 0
