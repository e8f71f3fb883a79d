"""Every layer of Core ML neural networks alone, against NumPy and PyTorch."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from nn_cases import OLD  # noqa: E402
from nn_input_cases import COMPUTED, MISSING  # noqa: E402
from nn_nd_cases import ND  # noqa: E402


def layer_file(folder, case, exact):
    """A network of the layers that the case adds; the numbers of its outputs are those wanted."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder
    from coremltools.models.utils import save_spec

    count = len(case.want) if isinstance(case.want, (list, tuple)) else 1
    inputs = [(f"in{i}", datatypes.Array(*a.shape)) for i, a in enumerate(case.inputs)]
    outputs = [(f"out{k}", None) for k in range(count)]
    builder = NeuralNetworkBuilder(inputs, outputs, disable_rank5_shape_mapping=exact)
    case.build(builder)
    path = folder / "layer.mlmodel"
    save_spec(builder.spec, str(path))
    return path, [name for name, _ in outputs]


@pytest.mark.parametrize("case", OLD, ids=[c.name for c in OLD])
def test_layer(program, tmp_path, case):
    path, outputs = layer_file(tmp_path, case, False)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    coreml_run.check(case, coreml_run.run(program, path, inputs, outputs, tmp_path))


@pytest.mark.parametrize("case", ND + COMPUTED, ids=[c.name for c in ND + COMPUTED])
def test_layer_of_any_rank(program, tmp_path, case):
    path, outputs = layer_file(tmp_path, case, True)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    coreml_run.check(case, coreml_run.run(program, path, inputs, outputs, tmp_path))


@pytest.mark.parametrize("kind", MISSING)
def test_a_bias_that_is_missing(program, tmp_path, kind):
    case = coreml_run.Case(kind, MISSING[kind], [np.ones((1, 3, 4, 4), "f")], 0)
    path, _ = layer_file(tmp_path, case, True)
    told = program.run("bench", path, code=1).stderr
    assert f'{kind} (layer 0 "l"): it has no bias, and says that it has' in told
