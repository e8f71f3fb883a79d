"""Arithmetic of whole numbers in Core ML files: the numbers that ONNX Runtime gives."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_written import run_program, write

KINDS = {np.int32: TensorProto.INT32, np.int64: TensorProto.INT64, np.float32: TensorProto.FLOAT}


def model(path, operator, a, b, constant=False, **attributes):
    info = helper.make_tensor_value_info
    ports = [info(n, KINDS[x.dtype.type], x.shape) for n, x in (("a", a), ("b", b), ("y", a))]
    node = helper.make_node(operator, ["a", "b"], ["y"], name="y", **attributes)
    weights = [numpy_helper.from_array(b, "b")] if constant else []
    inputs = ports[:1] if constant else ports[:2]
    graph = helper.make_graph([node], "g", inputs, ports[2:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)  # fmt: skip
    return path, {p.name: {"a": a, "b": b}[p.name] for p in inputs}


def numbers(dtype, largest):
    """Quotients of all sizes, and every second dividend next to a multiple of its divisor."""
    rng = np.random.default_rng(1)
    a = rng.integers(-largest + 2, largest - 2, 4000)
    b = np.exp(rng.uniform(0, np.log(largest), 4000)).astype(np.int64) * rng.choice([-1, 1], 4000)
    a[::2] = a[::2] // b[::2] * b[::2] + rng.integers(-1, 2, 2000)
    return np.clip(a, -largest, largest).astype(dtype), b.astype(dtype)


def same(program, source, inputs, out, folder):
    want = onnxruntime.InferenceSession(str(source)).run(None, inputs)[0]
    write(program, source, out)
    (got,) = run_program(program, [out], inputs, ["y"], folder)
    assert np.array_equal(got.astype(np.float64), want.astype(np.float64))


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("how", ["Div", "Mod", "Mod of the dividend's sign"])
def test_quotients_and_remainders(program, tmp_path, kind, dtype, how):
    a, b = numbers(dtype, 1 << 24 if kind == "mlmodel" else 1 << 30)
    attributes = {"fmod": 1} if "dividend" in how else {}
    source, inputs = model(tmp_path / "net.onnx", how.split()[0], a, b, **attributes)
    same(program, source, inputs, tmp_path / f"net.{kind}", tmp_path)


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7])
def test_powers_of_a_constant(program, tmp_path, kind, exponent):
    a = np.arange(-10, 11, dtype=np.int32)
    for b in (np.float32(exponent), np.int32(exponent)):
        source, inputs = model(tmp_path / "net.onnx", "Pow", a, np.full(1, b), constant=True)
        same(program, source, inputs, tmp_path / f"net.{kind}", tmp_path)


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_powers_that_are_cut_off_are_refused(program, tmp_path, kind):
    a = np.arange(1, 9, dtype=np.int32)
    for constant, b in ((False, np.full(8, 2, "f")), (True, np.full(1, 0.5, "f"))):
        source, _ = model(tmp_path / "net.onnx", "Pow", a, b, constant)
        said = write(program, source, tmp_path / f"net.{kind}", code=1)
        assert '"y" (pow): a whole number to a power that is no whole constant' in said


def test_whole_numbers_are_proved_one_by_one(program, tmp_path):
    """A file in floats is off by 1 where numbers are above 2^24: little of the largest."""
    a = np.arange(33554431, 33554431 - 40, -1, dtype=np.int32)
    source, _ = model(tmp_path / "net.onnx", "Div", a, np.full(40, 3, np.int32))
    np.save(tmp_path / "a.npy", a // 2)
    np.save(tmp_path / "b.npy", np.full(40, 3, np.int32))
    given = [f"--check-input={n}={tmp_path}/{n}.npy" for n in "ab"]
    program.run("convert", source, "-o", tmp_path / "net.mlmodel", *given)
    np.save(tmp_path / "a.npy", a)
    done = program.run("convert", source, "-o", tmp_path / "net.mlmodel", *given, code=1)
    assert "a.npy: 33554431 is no number of floats, in which files are tried" in done.stderr


def test_all_that_is_lacking_is_one_sentence(program, tmp_path):
    """Nodes of one reason are told together, and the target that has them all."""
    a = np.ones((2, 3, 4, 5), np.float32)
    info = helper.make_tensor_value_info
    nodes, x = [], "x"
    for i in range(12):
        nodes.append(helper.make_node("Equal", [x, "x"], [f"e{i}"], name=f"e{i}"))
        nodes.append(helper.make_node("Where", [f"e{i}", x, "x"], [f"w{i}"], name=f"w{i}"))
        x = f"w{i}"
    graph = helper.make_graph(nodes, "g", [info("x", 1, a.shape)], [info(x, 1, a.shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              tmp_path / "net.onnx")  # fmt: skip
    done = program.run("convert", tmp_path / "net.onnx", "-o", tmp_path / "net.mlmodel", "--target",
                       "ios12", code=1)  # fmt: skip
    said = done.stderr.strip()
    assert '24 of the nodes: "e0", "e1", "e2"' in said and "and 4 more (equal): " in said
    assert said.count("(where)") == 1 and said.endswith("fit a neural network of iOS 13")
