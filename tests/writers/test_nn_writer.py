"""Core ML neural networks that are written: loaded by coremltools, run by run-model."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))

import coreml_run  # noqa: E402
from nn_cases import OLD  # noqa: E402
from nn_nd_cases import ND  # noqa: E402
from test_nn import layer_file  # noqa: E402

TOLERANCE = 5e-5  # of the largest value, the promise for whole networks in f32
# Layers whose operators no layer of known sizes has.
REFUSED = {"sliceDynamic": "bounds that are computed", "sliceBySize": "bounds that are computed"}


def write(program, source, out, *options, code=0):
    """Converts by the library's call; returns what it said."""
    tool = program.path.parent / "tests" / "write_model"
    done = subprocess.run([str(tool), str(source), str(out), *options], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def shape_of(array):
    return "shape=" + "x".join(map(str, array.shape))


def spec_of(path):
    """The file as coremltools reads it, which it writes again byte for byte."""
    spec = coreml_run.ct.utils.load_spec(str(path))
    assert spec.SerializeToString(deterministic=True) == path.read_bytes()
    return spec


def layers_of(spec):
    network = getattr(spec, spec.WhichOneof("Type"))
    return [layer.WhichOneof("layer") for layer in network.layers]


# ---- every layer -------------------------------------------------------------------------------


def check_again(program, folder, case, exact):
    """The layer's file read, written and run."""
    path, outputs = layer_file(folder, case, exact)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    ports = []
    for name, array in inputs.items():
        batch = "1x" if not exact and array.ndim in (1, 3) else ""
        ports.append(f"port={name},shape={batch}{'x'.join(map(str, array.shape))}")
    again = folder / "again.mlmodel"
    if case.name in REFUSED:
        assert REFUSED[case.name] in write(program, path, again, *ports, code=1)
        assert not again.exists()
        return
    write(program, path, again, *ports)
    spec_of(again)
    wanted = case.want if isinstance(case.want, (list, tuple)) else [case.want]
    got = coreml_run.run(program, again, inputs, outputs, folder)
    for k, want in enumerate(np.asarray(w) for w in wanted):
        assert np.squeeze(got[k]).shape == np.squeeze(want).shape  # a batch of 1 more or less
        got[k] = got[k].reshape(want.shape).astype(want.dtype)
    coreml_run.check(case, got)


@pytest.mark.parametrize("case", OLD, ids=[c.name for c in OLD])
def test_layer(program, tmp_path, case):
    check_again(program, tmp_path, case, False)


@pytest.mark.parametrize("case", ND, ids=[c.name for c in ND])
def test_layer_of_any_rank(program, tmp_path, case):
    check_again(program, tmp_path, case, True)


# ---- the guides' networks ----------------------------------------------------------------------

NETWORKS = {  # inputs and outputs as the guides name them
    "lstm": ({"seq_input": ("x", (1, 6, 1))}, {"my_output": "my_output"}),
    "mobilenetv2": ({"image": ("image", (1, 3, 96, 64))}, {"classLabelProbs": "probs"}),
    "ffdnet": ({"image": ("my_input", (1, 3, 48, 64)), "sigma": ("my_sigma", (1,))},
               {"denoised": "my_output"}),
}


def ports_of(name):
    inputs, outputs = NETWORKS[name]
    return [f"port={own},as={called},shape={'x'.join(map(str, shape))}"
            for own, (called, shape) in inputs.items()] + [
                f"port={own},as={called}" for own, called in outputs.items()]


def run_both(program, name, weights, path, folder):
    """The outputs of the built-in network and of the file for the same inputs."""
    inputs, outputs = NETWORKS[name]
    rng = np.random.default_rng(0)
    arrays = {own: rng.uniform(0, 1, shape).astype(np.float32)
              for own, (_, shape) in inputs.items()}
    want = program.exec(name, weights, arrays, list(outputs), folder)
    called = {inputs[own][0]: array for own, array in arrays.items()}
    return want, coreml_run.run(program, path, called, list(outputs.values()), folder)


@pytest.mark.parametrize("name", NETWORKS)
def test_network(program, tmp_path, name):
    weights, path = tmp_path / "w.safetensors", tmp_path / "net.mlmodel"
    write(program, name, weights, "weights=random:1")
    write(program, name, path, f"weights={weights}", *ports_of(name))
    spec = spec_of(path)
    inputs, outputs = NETWORKS[name]
    assert [i.name for i in spec.description.input] == [called for called, _ in inputs.values()]
    assert [o.name for o in spec.description.output] == list(outputs.values())
    for want, got in zip(*run_both(program, name, weights, path, tmp_path)):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * np.abs(want).max())
    again = tmp_path / "again.mlmodel"
    write(program, name, again, f"weights={weights}", *ports_of(name))
    assert again.read_bytes() == path.read_bytes()
