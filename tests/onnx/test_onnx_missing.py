"""Every operator without what it cannot do without: refused, and never a crash."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_operators
import onnx_run

INPUTS = ([], ["x"], ["", "x"], ["x", "", "x"], ["x"] * 4, ["x"] * 9, [""] * 9, ["c", "c", "x"],
          ["x", "c", "c", "c"])  # fmt: skip


def model(names, dtype):
    """A node of each with each list of inputs, and without attributes."""
    x = np.ones((1, 2, 2), dtype)
    nodes = []
    for name in names:
        domain, _, op = name.rpartition(".")
        for inputs in INPUTS:
            nodes.append(helper.make_node(op, inputs, [f"y{len(nodes)}"], domain=domain))
    return onnx_run.model(nodes, {"x": x}, {"y0": 1}, 13, {"c": x},
                          domains={"ai.onnx.ml": 3, "com.microsoft": 1})  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
def test_missing(program, tmp_path, dtype):
    """A signal fails it. Some do well: no outputs are asked for."""
    names = sorted(onnx_operators.known())
    file, x, y = (tmp_path / name for name in ("x.onnx", "x.npy", "y.npy"))
    np.save(x, np.ones((1, 2, 2), dtype))
    for some in (names[i : i + 16] for i in range(0, len(names), 16)):
        onnx.save(model(some, dtype), file)
        done = program.run("exec", file, "--input", f"x={x}", "--output", f"y0={y}", code=1)
        assert "cannot be run" in done.stderr, f"{some}: {done.stderr}"


@pytest.mark.parametrize("inputs", [["x"], ["x", ""], ["x", "c"], ["x", "", "c"], ["x", "c", "c"]])
def test_missing_weight(program, tmp_path, inputs):
    node = helper.make_node("MatMulNBits", inputs, ["y"], domain="com.microsoft", K=16, N=1, bits=4,
                            block_size=16)  # fmt: skip
    x = np.ones((1, 16), np.float32)
    made = onnx_run.model([node], {"x": x}, {"y": 1}, 13, {"c": np.ones((1, 1), np.float32)},
                          domains={"com.microsoft": 1})  # fmt: skip
    with pytest.raises(AssertionError, match="cannot be run: com.microsoft.MatMulNBits"):
        onnx_run.run(program, tmp_path, made, {"x": x})


def test_rows_of_nothing(program, tmp_path):
    """A table of no bytes may claim any number of rows."""
    empty = [TensorProto(name=name, data_type=element, dims=[1 << 55, 0], raw_data=b"")
             for name, element in (("t", TensorProto.UINT8), ("s", TensorProto.FLOAT))]  # fmt: skip
    node = helper.make_node("GatherBlockQuantized", ["t", "i", "s"], ["y"], domain="com.microsoft",
                            bits=4, block_size=16)  # fmt: skip
    i = np.zeros(2, np.int64)
    made = onnx_run.model([node], {"i": i}, {"y": 1}, 13, domains={"com.microsoft": 1})
    made.graph.initializer.extend(empty)
    with pytest.raises(AssertionError, match="cannot be run: com.microsoft.GatherBlockQuantized"):
        onnx_run.run(program, tmp_path, made, {"i": i})
