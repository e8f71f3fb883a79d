"""Helpers for tests of ONNX files that are written."""

import subprocess

import numpy as np
import onnx
import onnxruntime


def write(program, source, out, *options, code=0):
    """Converts by the library's call; returns what it complains of."""
    tool = program.path.parent / "tests" / "write_model"
    done = subprocess.run([str(tool), str(source), str(out), *map(str, options)],
                          capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stderr.strip()


def run_onnxruntime(path, inputs, outputs, optimise=True):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(outputs, inputs)


def run_program(program, arguments, inputs, outputs, folder):
    command = ["exec", *arguments, "--quiet"]
    for i, (name, array) in enumerate(inputs.items()):
        np.save(folder / f"in{i}.npy", array)
        command += ["--input", f"{name}={folder / f'in{i}.npy'}"]
    for i, name in enumerate(outputs):
        (folder / f"out{i}.npy").unlink(missing_ok=True)
        command += ["--output", f"{name}={folder / f'out{i}.npy'}"]
    program.run(*command)
    return [np.load(folder / f"out{i}.npy") for i in range(len(outputs))]


def error(ours, theirs):
    """The largest difference of all outputs, each by its largest value."""
    most = 0.0
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        if a.size:
            a, b = a.astype(np.float64), b.astype(np.float64)
            most = max(most, float(np.abs(a - b).max() / (np.abs(a).max() or 1)))
    return most


def operators(path):
    return [node.op_type for node in onnx.load(path).graph.node]
