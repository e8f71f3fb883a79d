"""--precision f16-rounded: every result is rounded to f16, wherever the network comes from; and
what compare tells of halves."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct, mb  # noqa: E402

ROUNDED = ("--precision", "f16-rounded")
X = np.linspace(-3, 3, 24, dtype=np.float32).reshape(2, 3, 4)


def half(x):
    return x.astype(np.float16).astype(np.float32)


def chain(x):
    """f16(f16(f16(x) * f16(x)) + f16(0.1)), step by step."""
    x = half(x)
    return half(half(x * x) + half(np.float32(0.1)))


def test_programs_are_rounded_behind_every_operation(program, tmp_path):
    def build(x):
        return mb.add(x=mb.mul(x=x, y=x), y=np.float32(0.1))

    path, outputs = coreml_run.program_file(tmp_path, build, [X])
    for level in ("portable", None):
        options = ROUNDED + (("--cpu", level) if level else ())
        got, = coreml_run.run(program, path, {"in0": X}, outputs, tmp_path, *options)
        np.testing.assert_array_equal(got, chain(X))
    plain, = coreml_run.run(program, path, {"in0": X}, outputs, tmp_path)
    np.testing.assert_allclose(plain, X * X + np.float32(0.1), rtol=1e-6)


def test_fp32_beside_halves_stays(program, tmp_path):
    def build(x):
        y = mb.mul(x=mb.cast(x=x, dtype="fp16"), y=np.float16(0.1))
        return mb.mul(x=mb.cast(x=y, dtype="fp32"), y=np.float32(0.1))

    path, outputs = coreml_run.program_file(tmp_path, build, [X])
    got, = coreml_run.run(program, path, {"in0": X}, outputs, tmp_path, *ROUNDED)
    y = half(half(X) * half(np.float32(0.1)))
    np.testing.assert_array_equal(got, y * np.float32(0.1))


def test_indices_stay(program, tmp_path):
    def build(x, i):
        i = mb.cast(x=mb.cast(x=i, dtype="fp32"), dtype="int32")
        return mb.gather(x=x, indices=i, axis=0)

    x, i = np.zeros(5000, np.float32), np.array([4097], np.int32)
    x[4097] = 1
    path, outputs = coreml_run.program_file(tmp_path, build, [x, i])
    got, = coreml_run.run(program, path, {"in0": x, "in1": i}, outputs, tmp_path, *ROUNDED)
    assert got == [1]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_onnx_is_rounded_behind_every_node(program, tmp_path, kind):
    number = helper.make_tensor("c", kind, [], [0.1])
    nodes = [helper.make_node("Mul", ["x", "x"], ["y"]), helper.make_node("Add", ["y", "c"], ["z"])]
    ports = [helper.make_tensor_value_info(n, kind, X.shape) for n in "xz"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [number])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    got, = coreml_run.run(program, tmp_path / "net.onnx", {"x": X}, ["z"], tmp_path, *ROUNDED)
    np.testing.assert_array_equal(got.astype(np.float32), chain(X))


def test_built_in_networks(program, tmp_path):
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(1, 6, 1)
    np.save(tmp_path / "x.npy", x)
    got = []
    for options in ((), ROUNDED):
        program.run("exec", "lstm", "--input", f"seq_input={tmp_path}/x.npy", "--output",
                    f"my_output={tmp_path}/y.npy", *options)
        got.append(np.load(tmp_path / "y.npy"))
    assert 0 < np.abs(got[0] - got[1]).max() < 1e-2 * np.abs(got[0]).max()
    np.testing.assert_array_equal(got[1], half(got[1]))
    told = program.run("lstm", "1", "2", "3", *ROUNDED, code=2).stderr
    assert "f16-rounded is for exec, compare and bench" in told
    told = program.run("bench", "lstm", "--runs", "1", "--json", *ROUNDED).stdout
    assert json.loads(told)["precision"] == "f16-rounded"


# ---- compare ------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.more = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, x):
        return self.more(torch.relu(self.conv(x)))


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    """The network in f32 and in f16 as programs, and as a neural network."""
    torch.manual_seed(0)
    traced = torch.jit.trace(Net().eval(), torch.zeros(1, 3, 8, 8))
    files = {}
    for name, how in {
        "wide": {"compute_precision": ct.precision.FLOAT32},
        "half": {"compute_precision": ct.precision.FLOAT16},
        "layers": {"convert_to": "neuralnetwork"},
    }.items():
        if "compute_precision" in how:
            how["minimum_deployment_target"] = ct.target.iOS15
        model = ct.convert(traced, inputs=[ct.TensorType(name="x", shape=(1, 3, 8, 8))],
                           outputs=[ct.TensorType(name="y")], **how)
        end = ".mlmodel" if name == "layers" else ".mlpackage"
        files[name] = tmp_path_factory.mktemp("nets") / (name + end)
        model.save(str(files[name]))
    return files


def test_compare_aligns_coremltools_names(program, nets):
    told = program.run("compare", nets["wide"], nets["half"], "--tolerance", "0.01").stdout
    assert told.startswith("2 layers align by name, 0 differ"), told
    assert "its own weights, output y: " in told and "rounded to f16" in told
    error = float(told.split("its own weights, output y: ")[1].split()[0])
    assert 1e-5 < error < 1e-2


def test_compare_aligns_by_what_layers_give(program, nets):
    told = program.run("compare", nets["wide"], nets["layers"]).stdout
    assert "by what they give, since their names tell nothing" in told, told
    assert "0 differ" in told
    told = json.loads(program.run("compare", nets["wide"], nets["layers"], "--json").stdout)
    assert told["different"] == 0 and len(told["layers"]) == 2


def test_compare_shows_the_spread_of_a_file(program, nets):
    told = program.run("compare", nets["wide"], *ROUNDED, "--tolerance", "0.01").stdout
    assert "2 layers align by name, 0 differ" in told
    program.run("compare", nets["wide"], *ROUNDED, "--tolerance", "1e-7", code=1)


def test_compare_names_the_first_overflow(program, tmp_path):
    weight = helper.make_tensor("big.weight", TensorProto.FLOAT, [4, 4], np.full(16, 3e4))
    nodes = [helper.make_node("MatMul", ["x", "big.weight"], ["y"], name="big"),
             helper.make_node("Tanh", ["y"], ["z"], name="last")]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 4]) for n in "xz"]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [weight])
    opset = [helper.make_opsetid("", 17)]
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    np.save(tmp_path / "x.npy", np.ones((2, 4), np.float32))
    told = program.run("compare", path, *ROUNDED, "--input", f"x={tmp_path}/x.npy", code=None)
    assert "the first that overflows in f16: big, where f32 has 120000" in told.stdout, told


def test_compare_warns_of_epsilons(program, tmp_path):
    path, _ = coreml_run.program_file(tmp_path, lambda x: mb.inverse(x=x), [X])
    told = program.run("compare", path, path).stderr
    assert "1 / (x + 0.0001), which coremltools writes where a network has 1 / x" in told
