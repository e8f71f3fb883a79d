"""Makes ML Programs with coremltools, operation by operation, and runs them with run-model."""

import logging
import os
import shutil
import warnings

import numpy as np

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import coremltools as ct  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402

TARGETS = {5: ct.target.iOS15, 6: ct.target.iOS16, 7: ct.target.iOS17, 8: ct.target.iOS18}
TYPES = {np.dtype("float32"): "fp32", np.dtype("int32"): "int32"}


def package(folder, build, inputs, opset=5, precision=ct.precision.FLOAT32, passes=False):
    """The path of a package whose main function is build(*inputs); inputs are arrays."""
    names = [f"in{i}" for i in range(len(inputs))]
    specs = [
        mb.TensorSpec(shape=a.shape, dtype=getattr(ct.converters.mil.mil.types, TYPES[a.dtype]))
        for a in inputs
    ]
    # The builder reads the names of its function's arguments.
    scope = {"build": build}
    exec(f"def main({', '.join(names)}):\n    return build({', '.join(names)})", scope)
    program = mb.program(input_specs=specs, opset_version=TARGETS[opset])(scope["main"])
    pipeline = ct.PassPipeline.DEFAULT if passes else ct.PassPipeline.EMPTY
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=TARGETS[opset],
        compute_precision=precision,
        pass_pipeline=pipeline,
        compute_units=ct.ComputeUnit.CPU_ONLY,
    )
    path = os.path.join(folder, "op.mlpackage")
    shutil.rmtree(path, ignore_errors=True)
    model.save(path)
    return path, [o.name for o in model.get_spec().description.output]
