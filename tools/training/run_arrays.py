"""Arrays through `run-model exec`: what the figures are measured with."""

import os
import subprocess
import tempfile

import numpy as np


def run(program, model, weights, inputs, output):
    """The output of that name for a dict of input arrays; the program's own words when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [program, "exec", model]
        if weights:
            arguments += ["--weights", weights]
        for name, array in inputs.items():
            path = os.path.join(folder, name + ".npy")
            np.save(path, np.ascontiguousarray(array, np.float32))
            arguments += ["--input", f"{name}={path}"]
        path = os.path.join(folder, "output.npy")
        done = subprocess.run(
            arguments + ["--output", f"{output}={path}"], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}\n{done.stderr}")
        return np.load(path)
