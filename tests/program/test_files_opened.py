"""How often commands open a file: what it is, what it says and what it computes come from one
reading of it, where nothing keeps them apart."""

import ctypes
import os
import struct

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

OPEN, CLOSE = 0x20, 0x10  # IN_OPEN, IN_CLOSE_NOWRITE: without closings, openings would be merged


class Watch:
    """Counts openings of a file, by inotify."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.events = libc.inotify_init1(os.O_NONBLOCK)
        if self.events < 0 or libc.inotify_add_watch(self.events, os.fsencode(path),
                                                     OPEN | CLOSE) < 0:
            pytest.skip("this machine has no inotify")

    def count(self):
        seen = 0
        try:
            data = os.read(self.events, 1 << 16)
        except BlockingIOError:
            data = b""
        while data:
            _, mask, _, length = struct.unpack_from("iIII", data)
            seen += mask == OPEN
            data = data[16 + length:]
        return seen

    def close(self):
        os.close(self.events)


@pytest.fixture(scope="module")
def files(tmp_path_factory, program):
    folder = tmp_path_factory.mktemp("files")
    weight = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w")
    ports = [helper.make_tensor_value_info(name, 1, shape)
             for name, shape in (("x", (1, 3, 8, 8)), ("y", (1, 4, 6, 6)))]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "net", ports[:1],
                              ports[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              folder / "net.onnx")
    for name in ("net.mlmodel", "net.mlpackage", "net.safetensors"):
        program.run("convert", folder / "net.onnx", "-o", folder / name)
    np.save(folder / "x.npy", np.ones((1, 3, 8, 8), np.float32))
    return folder


MODEL = "net.mlpackage/Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "net.mlpackage/Data/com.apple.CoreML/weights/weight.bin"


@pytest.mark.parametrize("command, file, watched, most", [
    ("info", "net.onnx", "net.onnx", 1),
    ("info", "net.mlmodel", "net.mlmodel", 1),
    ("info", "net.mlpackage", MODEL, 1),
    ("info", "net.mlpackage", WEIGHTS, 1),
    ("info", "net.safetensors", "net.safetensors", 1),
    ("check", "net.onnx", "net.onnx", 1),
    ("check", "net.mlmodel", "net.mlmodel", 1),
    ("check", "net.mlpackage", MODEL, 1),
    ("exec", "net.onnx", "net.onnx", 1),
    ("exec", "net.mlmodel", "net.mlmodel", 1),
    ("exec", "net.mlpackage", MODEL, 1),
    ("exec", "net.mlpackage", WEIGHTS, 1),
    ("bench", "net.onnx", "net.onnx", 1),
    ("bench", "net.mlmodel", "net.mlmodel", 1),
])
def test_openings(program, files, command, file, watched, most):
    options = {"bench": ["--runs", 1, "--seconds", 0],
               "exec": ["--input", f"x={files / 'x.npy'}", "--output", f"y={files / 'y.npy'}"]}
    watch = Watch(files / watched)
    program.run(command, files / file, *options.get(command, []))
    seen = watch.count()
    watch.close()
    assert 0 < seen <= most
