"""What stays floats in files of halves: what a logarithm of small numbers is made of."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_written import error, run_onnxruntime, run_program, write

node = helper.make_node


def spectrum_file(path, least, kind):
    """Logarithms of what filters without a constant part leave of a constant, and a layer of them;
    what the filters give is an output as well, and goes to a second layer."""
    generator = np.random.default_rng(4)
    filters = generator.standard_normal((64, 8)).astype(np.float32)
    filters -= np.sign(filters) * np.abs(filters).min()
    weights = {"filters": filters - filters.mean(axis=0), "least": np.float32(least),
               "rows": np.array([4, 10]), "w": generator.standard_normal((10, 6)),
               "v": generator.standard_normal((8, 3))}  # fmt: skip
    kept = [node("Max", ["power", "least"], ["kept"], name="kept")]
    if kind == "add":
        kept = [node("Add", ["least", "power"], ["kept"], name="kept")]
    nodes = [node("MatMul", ["x", "filters"], ["bands"], name="bands"),
             node("Mul", ["bands", "bands"], ["power"], name="power"), *kept,
             node("Log", ["kept"], ["level"], name="level"),
             node("Reshape", ["level", "rows"], ["turned"], name="turned"),
             node("MatMul", ["turned", "w"], ["y"], name="layer"),
             node("MatMul", ["bands", "v"], ["z"], name="other")]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 64])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "z", "bands")],
        [numpy_helper.from_array(
            a if n in ("rows", "least") else a.astype(np.float32), n)
         for n, a in weights.items()])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), path)  # fmt: skip


def values_of(path):
    """Operations and types of all values of a program, weights among them, by name."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))
    import coreml_run

    block = coreml_run.block_of(coreml_run.load_program(path))
    return {op.outputs[0].name: (op.type, op.outputs[0].type.tensorType.dataType)
            for op in block.operations}  # fmt: skip


@pytest.mark.parametrize("suffix", ["mlpackage", "mlmodel", "onnx"])
@pytest.mark.parametrize("kind", ["add", "max"])
def test_logarithms_of_small_numbers(program, tmp_path, suffix, kind):
    if suffix != "onnx":
        pytest.importorskip("coremltools")
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{suffix}"
    spectrum_file(source, 1e-10, kind)
    write(program, source, out, "kind=f16")
    x = 1 + 0.01 * np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
    want = run_onnxruntime(source, {"x": x}, ["y", "z", "bands"])
    got = run_program(program, [out], {"x": x}, ["y", "z", "bands"], tmp_path)
    assert error(want[:1], got[:1]) < 5e-4
    assert error(want[2:], got[2:]) < 1e-6  # which is one of them
    assert error(want[1:2], got[1:2]) < 2e-3
    if suffix == "mlpackage":
        made = values_of(out)
        halves, floats = 10, 11
        assert made["bands"][1] == made["level"][1] == floats
        assert made["level_to_fp16"][1] == made["bands_to_fp16"][1] == halves
        products = [dtype for op, dtype in made.values() if op in ("linear", "matmul")]
        assert sorted(products) == [halves, halves, floats]


    if suffix == "onnx":
        stored = {i.name: i.data_type for i in onnx.load(out).graph.initializer}
        assert stored["filters"] == TensorProto.FLOAT
        assert sorted(name for name, kind in stored.items() if kind == TensorProto.FLOAT16) == [
            "v_half", "w_half"]  # fmt: skip
        np.testing.assert_allclose(run_onnxruntime(out, {"x": x}, ["y"])[0], got[0], rtol=1e-4,
                                   atol=1e-4)  # fmt: skip


@pytest.mark.parametrize("suffix", ["onnx", "mlpackage", "mlmodel"])
@pytest.mark.parametrize("source", ["basicpitch_nmp.onnx", "basicpitch_nmp.mlpackage"])
def test_a_network_of_sound_is_proved_in_halves(program, shared_data, tmp_path, source, suffix):
    done = program.run("convert", shared_data / "coreml" / source, "-o",
                       tmp_path / f"out.{suffix}", "--fp16")  # fmt: skip
    assert "stay floats: it tells numbers down to 1e-10 apart" in done.stderr
    assert float(done.stdout.split("largest error ")[1].split()[0]) < 2e-3


@pytest.mark.parametrize("suffix", ["mlpackage", "onnx"])
@pytest.mark.parametrize("least", [1e-3, 1e-45])
def test_other_logarithms_are_halves(program, tmp_path, least, suffix):
    """Of numbers that halves have, or kept from zero alone."""
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{suffix}"
    spectrum_file(source, least, "add")
    if suffix == "onnx":
        write(program, source, out, "kind=f16")
        names = [i.name for i in onnx.load(out).graph.initializer
                 if i.data_type == TensorProto.FLOAT16]  # fmt: skip
        assert sorted(names) == ["filters_half", "v_half", "w_half"]
        return
    pytest.importorskip("coremltools")
    write(program, source, out, "kind=f16")
    computed = ("linear", "matmul", "log")
    assert {dtype for op, dtype in values_of(out).values() if op in computed} == {10}
