"""Published ONNX files, as they are handed out, against ONNX Runtime."""

import cv2
import numpy as np
import onnxruntime
import pytest

from conftest import NETWORK_TOLERANCE

CASES = [
    ("mobilenet_v2_imagenet", [{}]),
    ("mnist_zoo", [{}]),
    ("ulfd_rfb_320", [{}]),
    ("yunet_n_dynamic", [{"input": (1, 3, 320, 320)}, {"input": (1, 3, 480, 640)}]),
    (
        "silero_vad_16k_op15",
        [
            {"input": (1, 512), "state": (2, 1, 128)},
            {"input": (3, 576), "state": (2, 3, 128)},
        ],
    ),
]


def feeds_of(session, shapes, face):
    rng = np.random.default_rng(1)
    feeds = {}
    for port in session.get_inputs():
        known = [d if isinstance(d, int) and d > 0 else 1 for d in port.shape]
        shape = shapes.get(port.name, known)
        if port.type == "tensor(int64)":
            feeds[port.name] = np.full(shape, 16000)  # of Silero: the sample rate
        elif len(shape) == 4 and shape[1] == 3:
            # A face: where there is none, detectors answer with sigmoids of nearly nothing, which
            # ONNX Runtime knows to 1e-7 only.
            small = cv2.resize(face, (shape[3], shape[2])).astype(np.float32)
            feeds[port.name] = np.ascontiguousarray(small.transpose(2, 0, 1)[None])
        else:
            feeds[port.name] = rng.standard_normal(shape).astype(np.float32) * 0.5
    return feeds


@pytest.mark.parametrize("name, sizes", CASES, ids=[name for name, _ in CASES])
def test_real_file(program, shared_data, tmp_path, name, sizes):
    path = shared_data / "onnx" / f"{name}.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]
    face = cv2.imread(str(shared_data / "media" / "photos" / "coral_grace_hopper.bmp"))
    for shapes in sizes:
        feeds = feeds_of(session, shapes, face)
        arguments = ["exec", path]
        for key, array in feeds.items():
            np.save(tmp_path / f"in-{key}.npy", array)
            arguments += ["--input", f"{key}={tmp_path / f'in-{key}.npy'}"]
        for key in names:
            arguments += ["--output", f"{key}={tmp_path / f'out-{key}.npy'}"]
        program.run(*arguments)
        for key, theirs in zip(names, session.run(names, feeds)):
            ours = np.load(tmp_path / f"out-{key}.npy")
            assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, key
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            assert error <= NETWORK_TOLERANCE, f"{name} {key}: {error:.1e}"
