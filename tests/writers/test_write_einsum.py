"""Einsum in Core ML files: transposes, reshapes, sums and products that give the same."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_written import error, run_onnxruntime, run_program, write

SIZES = dict(zip("abcdefghijk", (2, 3, 4, 5, 2, 3, 4, 2, 3, 4, 5)))
EQUATIONS = ["ij->ij", "ij,jk->ik", "bij,bjk->bik", "bij,bkj->bik", "ij->ji", "ij,ij->", "i,j->ij",
             "abcd,aecd->abce", "abc,cd->abd", "abc,adc,de->abe", "ab,ab->ab", "abc->b",
             "ab,cd->ac", "ab,cd->", "...ij,...jk->...ik", "ji", "abcd,cd->ba", "ee->e", "ee->",
             "aebe->abe", "eae,ea->ea", "eee->e", "ebbe->be", "aa,ab->b"]  # fmt: skip


def einsum_file(folder, equation, shapes):
    graph = helper.make_graph(
        [helper.make_node("Einsum", list(shapes), ["y"], equation=equation, name="product")], "g",
        [helper.make_tensor_value_info(n, 1, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info("y", 1, None)])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), folder / "in.onnx")  # fmt: skip
    return folder / "in.onnx"


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(program, tmp_path, kind, equation):
    pytest.importorskip("coremltools")
    terms = equation.replace("...", "g").split("->")[0].split(",")
    generator = np.random.default_rng(3)
    arrays = {f"x{i}": generator.standard_normal([SIZES[c] for c in t]).astype(np.float32)
              for i, t in enumerate(terms)}  # fmt: skip
    # An output of one element has a dimension in a neural network.
    source = einsum_file(tmp_path, equation, {n: a.shape for n, a in arrays.items()})
    out = tmp_path / f"out.{kind}"
    write(program, source, out)
    want = run_onnxruntime(source, arrays, ["y"])
    (got,) = run_program(program, [out], arrays, ["y"], tmp_path)
    assert error(want, [got.reshape(want[0].shape)]) < 2e-6


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("equation, shapes", [
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (2, 5, 4, 2)]), ("...i,...i->...", [(1, 3), (4, 3)]),
    ("...i,...->i...", [(1, 4), (3,)])])  # fmt: skip
def test_sizes_that_are_repeated(program, tmp_path, kind, equation, shapes):
    pytest.importorskip("coremltools")
    arrays = {f"x{i}": np.random.default_rng(i).standard_normal(s).astype(np.float32)
              for i, s in enumerate(shapes)}  # fmt: skip
    source = einsum_file(tmp_path, equation, {n: a.shape for n, a in arrays.items()})
    write(program, source, tmp_path / f"out.{kind}")
    want = run_onnxruntime(source, arrays, ["y"])
    (got,) = run_program(program, [tmp_path / f"out.{kind}"], arrays, ["y"], tmp_path)
    assert error(want, [got.reshape(want[0].shape)]) < 2e-6


@pytest.mark.parametrize("equation, open_sizes", [
    ("abc,cd->abd", "a"), ("bij,bjk->bik", "b"), ("bij,bkj->bik", "bi"), ("abcd,aecd->abce", "a"),
    ("abcd,aecd->abce", "b"), ("aebe->abe", "a"), ("ab->ba", "ab"), ("ab,ab->a", "a"),
    # several become one, or come from one
    ("abc,dc->abd", "ab"), ("abcd,aecd->abce", "cd"), ("abcd,aecd->abce", "abe"),
    ("abcd,efcd->abef", "abcdef"), ("ab,cd->abcd", "abcd"), ("abc,cde->bade", "abde"),
    ("abc,adc,de->abe", "abd")])
@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_sizes_that_may_change(program, tmp_path, kind, equation, open_sizes):
    """For two sizes of each."""
    pytest.importorskip("coremltools")
    terms = {f"x{i}": t for i, t in enumerate(equation.split("->")[0].split(","))}
    source = einsum_file(tmp_path, equation, {
        n: [c if c in open_sizes else SIZES[c] for c in t] for n, t in terms.items()})  # fmt: skip
    out = tmp_path / f"out.{kind}"

    def dims(term, size):
        return "x".join(str(size if c in open_sizes else SIZES[c]) for c in term)

    write(program, source, out, *(
        f"port={n},shape={dims(t, -1)},low={dims(t, 1)},high={dims(t, 9)},usual={dims(t, 2)}"
        for n, t in terms.items()))  # fmt: skip
    if kind == "mlpackage":
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))
        import coreml_run

        coreml_run.load_program(out)
    for size in (3, 7):
        arrays = {n: np.random.default_rng(size).standard_normal(
            [size if c in open_sizes else SIZES[c] for c in t]).astype(np.float32)
            for n, t in terms.items()}  # fmt: skip
        want = run_onnxruntime(source, arrays, ["y"])
        (got,) = run_program(program, [out], arrays, ["y"], tmp_path)
        assert got.shape == want[0].shape and error(want, [got]) < 2e-6
