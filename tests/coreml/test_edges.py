"""Edges of operations and layers, many of them in one file, against NumPy and PyTorch."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402
from mil_edge_cases import CASES  # noqa: E402
from nn_edge_cases import EXACT, OLD  # noqa: E402

AT_ONCE = 16


def parts(cases):
    return [cases[k : k + AT_ONCE] for k in range(0, len(cases), AT_ONCE)]


def of_opset(opset):
    return [c for c in CASES if c.opset == opset]


def wanted(case):
    return list(case.want) if isinstance(case.want, (list, tuple)) else [case.want]


def check(cases, got):
    for case in cases:
        count = len(wanted(case))
        try:
            coreml_run.check(case, got[:count])
        except AssertionError as error:
            raise AssertionError(f"{case.name}: {error}") from None
        got = got[count:]


PROGRAMS = [part for opset in (5, 6, 7, 8) for part in parts(of_opset(opset))]


@pytest.mark.parametrize("cases", PROGRAMS, ids=[p[0].name for p in PROGRAMS])
def test_operations(program, tmp_path, cases):
    arrays = [a for c in cases for a in c.inputs]

    def build(*given):
        made = []
        for case in cases:
            out = case.build(*given[: len(case.inputs)])
            made += out if isinstance(out, (list, tuple)) else [out]
            given = given[len(case.inputs) :]
        return tuple(coreml_run.mb.identity(x=v, name=f"out{k}") for k, v in enumerate(made))

    path, outputs = coreml_run.program_file(tmp_path, build, arrays, cases[0].opset)
    assert outputs == [f"out{k}" for k in range(len(outputs))]
    inputs = {f"in{k}": a for k, a in enumerate(arrays)}
    check(cases, coreml_run.run(program, path, inputs, outputs, tmp_path))


LAYERS = [(part, exact) for all_, exact in ((EXACT, True), (OLD, False)) for part in parts(all_)]


@pytest.mark.parametrize("cases,exact", LAYERS, ids=[p[0].name for p, _ in LAYERS])
def test_layers(program, tmp_path, cases, exact):
    inputs, outputs, described, plans = {}, [], [], []
    for k, case in enumerate(cases):
        names = [f"in{k}_{i}" for i in range(len(case.inputs))]
        inputs.update(zip(names, case.inputs))
        described += [(name, datatypes.Array(*(a.shape if exact else (a.shape[2],))))
                      for name, a in zip(names, case.inputs)]
        own = [f"out{k}_{i}" for i in range(len(wanted(case)))]
        outputs += own
        plans.append((case, names, own))
    builder = NeuralNetworkBuilder(described, [(name, None) for name in outputs],
                                   disable_rank5_shape_mapping=exact)
    for case, names, own in plans:
        case.build(builder, names, own)
    if not exact:
        for layer in builder.nn_spec.layers:  # states that nobody gives are zeros
            del layer.input[1:]
    save_spec(builder.spec, str(tmp_path / "net.mlmodel"))
    check(cases, run_layers(program, tmp_path / "net.mlmodel", inputs, outputs, plans, exact))
    if not exact:
        coreml_run.write(program, tmp_path / "net.mlmodel", tmp_path / "again.mlmodel", "ios=13",
                         *(f"port={n},shape={'x'.join(map(str, a.shape))}"
                           for n, a in inputs.items()))
        check(cases, run_layers(program, tmp_path / "again.mlmodel", inputs, outputs, plans, exact))


def run_layers(program, path, inputs, outputs, plans, exact):
    got = coreml_run.run(program, path, inputs, outputs, path.parent)
    return got if exact else [value.reshape(np.shape(case.want))
                              for value, (case, _, _) in zip(got, plans)]


# ---- indices below 0 where none counts from the end ---------------------------------------------


def refused(program, folder, path, inputs, outputs):
    with pytest.raises(AssertionError, match="index -1 is outside of axis 0 of size"):
        coreml_run.run(program, path, inputs, outputs, folder)


@pytest.mark.parametrize("exact", [True, False])
def test_embeddings_of_indices_below_0(program, tmp_path, exact):
    table = np.arange(15, dtype="f").reshape(3, 5)  # of 5 words
    builder = NeuralNetworkBuilder([("x", datatypes.Array(*((2, 1) if exact else (1,))))],
                                   [("y", None)], disable_rank5_shape_mapping=exact)
    if exact:
        builder.add_embedding_nd("y", "x", "y", 5, 3, table)
    else:
        builder.add_embedding("y", table, None, 5, 3, False, "x", "y")
    path = tmp_path / "net.mlmodel"
    save_spec(builder.spec, str(path))
    x = np.array([4, 1.4], "f")
    for value in (x, -x / 4):  # -1 and, nearest to -0.35, 0
        given = {"x": value.reshape(2, 1)}
        if value[0] < 0:
            refused(program, tmp_path, path, given, ["y"])
            continue
        (got,) = coreml_run.run(program, path, given, ["y"], tmp_path)
        np.testing.assert_array_equal(got.reshape(2, 3), table[:, [4, 1]].T)


def test_places_below_0_in_lists(program, tmp_path):
    mb = coreml_run.mb

    def listed(x):
        ls = mb.make_list(init_length=3, elem_shape=(2,))
        return mb.list_write(ls=ls, index=1, value=x)

    ways = [lambda x, at: mb.list_read(ls=listed(x), index=mb.squeeze(x=at)),
            lambda x, at: mb.list_gather(ls=listed(x), indices=at),
            lambda x, at: mb.list_read(ls=mb.list_write(
                ls=listed(x), index=mb.squeeze(x=at), value=x), index=0)]
    for build in ways:
        arrays = [np.ones(2, "f"), np.array([-1], "i4")]
        path, outputs = coreml_run.program_file(tmp_path, build, arrays)
        refused(program, tmp_path, path, dict(zip(["in0", "in1"], arrays)), outputs)
        arrays[1] = np.array([1], "i4")
        coreml_run.run(program, path, dict(zip(["in0", "in1"], arrays)), outputs, tmp_path)


def test_what_onnx_lacks(program, tmp_path):
    for case, why in (("resample_symmetric_True_unnormalized_nearest", "reflection"),
                      ("scatter_div_i", "divided")):
        (case,) = [c for c in CASES if c.name == case]
        path, _ = coreml_run.program_file(tmp_path, case.build, case.inputs, case.opset)
        assert why in coreml_run.write(program, path, tmp_path / "net.onnx", code=1)
