"""Opens the encoder that a file holds: any network as ONNX, or one that `train` made."""

from __future__ import annotations

from pathlib import Path

from .encoder import Encoder
from .onnx_encoder import OnnxEncoder
from .trained_encoder import ENDING, TrainedEncoder


def open_encoder(path: Path) -> Encoder:
    """The encoder of a file.

    Raises
    ------
    InputError
        If it is none, or what runs it is not installed.
    """
    return TrainedEncoder(path) if path.suffix == ENDING else OnnxEncoder(path)
