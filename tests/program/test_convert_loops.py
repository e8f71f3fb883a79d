"""Networks go from checkpoints to every format that is written, from each of them to every other,
and still compute what PyTorch does; ONNX Runtime runs the ONNX files."""

from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch

from conftest import NETWORK_TOLERANCE
from reference import checkpoints, ffdnet, lstm, mobilenetv2, wav2lip

FORMATS = [".mlmodel", ".onnx", ".mlpackage"]


class Network(NamedTuple):
    model: torch.nn.Module
    inputs: dict  # under the names of the files
    output: str
    options: list = []


def networks():
    image, sigma = ffdnet.random_inputs(1, 3, 32, 48, 5)
    audio, face = wav2lip.random_inputs(1, 5)
    return {
        "wav2lip": Network(wav2lip.random_wav2lip(1 / 16), {"audio_sequences": audio,
                           "face_sequences": face}, "output"),
        "ffdnet": Network(ffdnet.random_ffdnet("ipol"), {"my_input": image, "my_sigma": sigma},
                          "my_output", ["--shape", "my_input=1x3x32x48"]),
        "mobilenetv2": Network(mobilenetv2.random_mobilenetv2(0.25, 17),
                               {"image": mobilenetv2.random_image(1, 64, 96, 5)},
                               "classLabelProbs", ["--shape", "image=1x3x64x96"]),
        "lstm": Network(lstm.random_classifier(), {"seq_input": lstm.random_inputs(1, 6, 1, 5)},
                        "my_output"),
    }  # fmt: skip


def error(got, want):
    assert got.size == want.size
    return np.abs(got.reshape(want.shape) - want).max() / np.abs(want).max()


def run(program, path, network, folder):
    arguments = ["exec", path]
    for name, array in network.inputs.items():
        np.save(folder / f"{name}.npy", array.numpy())
        arguments += ["--input", f"{name}={folder / name}.npy"]
    program.run(*arguments, "--output", f"{network.output}={folder}/out.npy")
    return np.load(folder / "out.npy")


@pytest.mark.parametrize("name", networks())
def test_round(program, tmp_path, name):
    network = networks()[name]
    with torch.inference_mode():
        want = network.model.eval()(*network.inputs.values())
    want = (want[0] if isinstance(want, tuple) else want).numpy()
    weights = checkpoints.save_zip(checkpoints.state_of(network.model), tmp_path / "w.pth")
    for ending in FORMATS:
        path = tmp_path / f"net{ending}"
        program.run("convert", name, "--weights", weights, "-o", path, *network.options)
        assert error(run(program, path, network, tmp_path), want) < NETWORK_TOLERANCE, ending
        for next_ending in FORMATS:
            again = tmp_path / f"again{next_ending}"
            done = program.run("convert", path, "-o", again)
            assert f"against net{ending}" in done.stdout
            got = run(program, again, network, tmp_path)
            assert error(got, want) < NETWORK_TOLERANCE, f"{ending} to {next_ending}"
            if next_ending == ".onnx":
                session = onnxruntime.InferenceSession(str(again))
                feeds = {k: v.numpy() for k, v in network.inputs.items()}
                assert error(session.run(None, feeds)[0], want) < NETWORK_TOLERANCE
        program.run("convert", path, "-o", tmp_path / "numbers.safetensors")
