"""Makes Core ML files with coremltools and runs them with run-model."""

import logging
import subprocess
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import coremltools as ct  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.converters.mil.frontend.milproto import load as milproto  # noqa: E402
from coremltools.converters.mil.mil import types  # noqa: E402

TARGETS = {5: ct.target.iOS15, 6: ct.target.iOS16, 7: ct.target.iOS17, 8: ct.target.iOS18}


class Case(NamedTuple):
    """One operation: build(*inputs) makes it, `want` is what it computes, an array or several."""

    name: str
    build: object
    inputs: list
    want: object
    opset: int = 5


def program_file(folder, build, inputs, opset=5):
    """A package whose function is build(*inputs), nothing optimised; its path and its outputs."""
    names = [f"in{i}" for i in range(len(inputs))]
    specs = [
        mb.TensorSpec(shape=a.shape, dtype=types.numpy_type_to_builtin_type(a.dtype))
        for a in inputs
    ]
    scope = {"build": build}  # the builder reads the names of its function's arguments
    exec(f"def main({', '.join(names)}):\n    return build({', '.join(names)})", scope)
    program = mb.program(input_specs=specs, opset_version=TARGETS[opset])(scope["main"])
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=TARGETS[opset],
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
    )
    path = Path(folder) / "op.mlpackage"
    model.save(str(path))
    return path, [o.name for o in model.get_spec().description.output]


def network_file(folder, net, arrays, kind, **settings):
    """The same of a torch module: `kind` is "neuralnetwork" or an opset."""
    import torch

    traced = torch.jit.trace(net, [torch.tensor(a) for a in arrays.values()])
    described = [ct.TensorType(name=name, shape=a.shape) for name, a in arrays.items()]
    if kind == "neuralnetwork":
        settings = {"convert_to": "neuralnetwork", **settings}
    else:
        settings = {
            "convert_to": "mlprogram",
            "minimum_deployment_target": TARGETS[kind],
            "compute_precision": ct.precision.FLOAT32,
            **settings,
        }
    model = ct.convert(traced, inputs=settings.pop("inputs", described), **settings)
    path = Path(folder) / ("net.mlmodel" if kind == "neuralnetwork" else "net.mlpackage")
    model.save(str(path))
    return path, [o.name for o in model.get_spec().description.output], model


def run(program, path, inputs, outputs, folder, *options):
    """The outputs of a file for named arrays, in order."""
    arguments = ["exec", path]
    for name, array in inputs.items():
        np.save(Path(folder) / f"in-{name}.npy", array)
        arguments += ["--input", f"{name}={folder}/in-{name}.npy"]
    for name in outputs:
        arguments += ["--output", f"{name}={folder}/out-{name}.npy"]
    program.run(*arguments, *options)
    return [np.load(Path(folder) / f"out-{name}.npy") for name in outputs]


def write(program, source, out, *options, code=0):
    """Writes a model by the library's call; what it said."""
    tool = program.path.parent / "tests" / "write_model"
    done = subprocess.run([str(tool), str(source), str(out), *options], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def load_program(path):
    """The package's model; its program is loaded by coremltools, which infers types and shapes of
    every operation, and written by it with the same operations."""
    spec = ct.utils.load_spec(str(path))
    program = milproto.load(spec, specification_version=spec.specificationVersion,
                            file_weights_dir=str(path / "Data/com.apple.CoreML/weights"))
    written = [op.op_type for op in program.functions["main"].operations]
    # A literal argument comes back as a constant, and a state's writing by its name in programs.
    names = {"write_state": "coreml_update_state"}
    own = [names.get(op.type, op.type) for op in block_of(spec).operations]
    assert [t for t in written if t != "const"] == [t for t in own if t != "const"]
    return spec


def block_of(spec):
    function = spec.mlProgram.functions["main"]
    return function.block_specializations[function.opset]


def check(case, got, tolerance=5e-6):
    """Within the tolerance of the largest value; integers exactly."""
    wanted = case.want if isinstance(case.want, (list, tuple)) else [case.want]
    assert len(got) == len(wanted)
    for value, want in zip(got, wanted):
        want = np.asarray(want)
        assert value.shape == want.shape
        if value.dtype.kind != "f":
            np.testing.assert_array_equal(value, want)
            continue
        scale = max(1e-9, np.abs(want).max(initial=0))
        np.testing.assert_allclose(value, want, rtol=0, atol=tolerance * scale)
