"""One-node ONNX models for tests: made, run by the program, and by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

SHAPES = ("known", "sizes unknown", "ranks unknown")


def model(nodes, inputs, outputs, opset=23, constants=None, shapes="known", domains=None):
    """`outputs`: name -> element type. `shapes` says what the file tells of the inputs' shapes.
    `domains`: other operator sets -> version."""

    def shape_of(name, array):
        if shapes == "known":
            return array.shape
        return [f"{name}{i}" for i in range(array.ndim)] if shapes == "sizes unknown" else None

    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), shape_of(name, array)
            )
            for name, array in inputs.items()
        ],
        [helper.make_tensor_value_info(name, element, None) for name, element in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = {"": opset} | (domains or {})
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*pair) for pair in opsets.items()],
        ir_version=10,
    )


def run(program, folder, made, inputs, *options):
    """The model's outputs in order, as the program computes them."""
    path = Path(folder) / "model.onnx"
    onnx.save(made, path)
    arguments = ["exec", path]
    for i, (name, array) in enumerate(inputs.items()):
        file = Path(folder) / f"in-{i}.npy"
        np.save(file, array)
        arguments += ["--input", f"{name}={file}"]
    files = []
    for i, output in enumerate(made.graph.output):
        files.append(Path(folder) / f"out-{i}.npy")
        files[-1].unlink(missing_ok=True)
        arguments += ["--output", f"{output.name}={files[-1]}"]
    program.run(*arguments, "--quiet", *options)
    return [np.load(file) for file in files]


def run_onnxruntime(made, inputs):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)
