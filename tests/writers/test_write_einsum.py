"""Einsum in Core ML files: transposes, reshapes, sums and products that give the same."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_written import error, run_onnxruntime, run_program, write

SIZES = dict(zip("abcdefghijk", (2, 3, 4, 5, 2, 3, 4, 2, 3, 4, 5)))
EQUATIONS = ["ij->ij", "ij,jk->ik", "bij,bjk->bik", "bij,bkj->bik", "ij->ji", "ij,ij->", "i,j->ij",
             "abcd,aecd->abce", "abc,cd->abd", "abc,adc,de->abe", "ab,ab->ab", "abc->b",
             "ab,cd->ac", "ab,cd->", "...ij,...jk->...ik", "ji", "abcd,cd->ba"]  # fmt: skip


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(program, tmp_path, kind, equation):
    pytest.importorskip("coremltools")
    terms = equation.replace("...", "g").split("->")[0].split(",")
    generator = np.random.default_rng(3)
    arrays = {f"x{i}": generator.standard_normal([SIZES[c] for c in t]).astype(np.float32)
              for i, t in enumerate(terms)}  # fmt: skip
    # An output of one element has a dimension in a neural network.
    graph = helper.make_graph(
        [helper.make_node("Einsum", list(arrays), ["y"], equation=equation)], "g",
        [helper.make_tensor_value_info(n, 1, a.shape) for n, a in arrays.items()],
        [helper.make_tensor_value_info("y", 1, None)])  # fmt: skip
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), source)  # fmt: skip
    write(program, source, out)
    want = run_onnxruntime(source, arrays, ["y"])
    (got,) = run_program(program, [out], arrays, ["y"], tmp_path)
    assert error(want, [got.reshape(want[0].shape)]) < 2e-6


def test_diagonals_are_refused(program, tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Einsum", ["x"], ["y"], equation="ii->i", name="diagonal")], "g",
        [helper.make_tensor_value_info("x", 1, [3, 3])],
        [helper.make_tensor_value_info("y", 1, [3])])  # fmt: skip
    source = tmp_path / "in.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), source)  # fmt: skip
    said = write(program, source, tmp_path / "out.mlpackage", code=1)
    assert "diagonal (einsum)" in said and not (tmp_path / "out.mlpackage").exists()
