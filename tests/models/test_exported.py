"""What torch.onnx.export writes of all our networks, against ONNX Runtime on the same file."""

import numpy as np
import onnxruntime
import pytest

from conftest import NETWORK_TOLERANCE
from reference import exports

NETWORKS = [
    "wav2lip",
    "s3fd",
    "ffdnet-ipol",
    "ffdnet-author",
    "ffdnet-assign",
    "mobilenetv2",
    "lstm",
    "wav2vec2",
    "unet",
    "vae-encoder",
    "vae-decoder",
]
LEGACY = [11, 12, 13, 14, 15, 16, 17, 18]
# Attention of PyTorch's own is exported from opset 14 on.
ATTENTION = {"wav2vec2", "unet", "vae-encoder", "vae-decoder"}
DYNAMO = [18, 21]


def run(program, path, made, inputs, folder):
    feeds = {name: tensor.numpy() for name, tensor in zip(made.input_names, inputs)}
    arguments = ["exec", path]
    for name, array in feeds.items():
        np.save(folder / f"in-{name}.npy", array)
        arguments += ["--input", f"{name}={folder / f'in-{name}.npy'}"]
    for name in made.output_names:
        arguments += ["--output", f"{name}={folder / f'out-{name}.npy'}"]
    program.run(*arguments)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for name, theirs in zip(made.output_names, session.run(made.output_names, feeds)):
        ours = np.load(folder / f"out-{name}.npy")
        assert ours.shape == theirs.shape, name
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        assert error <= NETWORK_TOLERANCE, f"{name}: {error:.1e}"


@pytest.mark.parametrize("name", NETWORKS)
def test_exporter_of_old(program, tmp_path, name):
    made = exports.example(name)
    for opset in LEGACY:
        if name in ATTENTION and opset < 14:
            continue
        path = exports.export(made, tmp_path / f"{opset}.onnx", opset, dynamo=False)
        for inputs in (made.inputs, made.others):
            run(program, path, made, inputs, tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_exporter_of_today(program, tmp_path, name):
    made = exports.example(name)
    for opset in DYNAMO:
        path = exports.export(made, tmp_path / f"{opset}.onnx", opset, dynamo=True)
        for inputs in (made.inputs, made.others):
            run(program, path, made, inputs, tmp_path)
