"""Graphs of ONNX files: graphs inside nodes, functions, constants, refusals, names of ports.

What single operators compute is shown by test_onnx_backend.py.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def model(nodes, inputs, outputs, constants=(), opset=17, functions=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(f.domain, 1) for f in functions]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=list(functions))


def graph_of(nodes, inputs, outputs, constants=()):
    return helper.make_graph(nodes, "inside", inputs, outputs, list(constants))


@pytest.fixture
def run(program, tmp_path):
    """run(model, feeds): our outputs, each after one run of the program; equal to ORT's."""

    def both(proto, feeds, tolerance=1e-6):
        path = tmp_path / "m.onnx"
        onnx.save(proto, path)
        arguments = ["exec", path]
        for name, array in feeds.items():
            np.save(tmp_path / f"in-{name}.npy", array)
            arguments += ["--input", f"{name}={tmp_path / f'in-{name}.npy'}"]
        names = [output.name for output in proto.graph.output]
        for name in names:
            arguments += ["--output", f"{name}={tmp_path / f'out-{name}.npy'}"]
        program.run(*arguments)
        ours = [np.load(tmp_path / f"out-{name}.npy") for name in names]
        theirs = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds)
        for name, a, b in zip(names, ours, theirs):
            assert a.dtype == b.dtype and a.shape == b.shape, name
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)
        return ours

    return both


def normal(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("truth", [True, False])
def test_branches_read_what_lies_outside(run, truth):
    then = graph_of([node("Mul", "t b", "u")], [], [value("u")])
    other = graph_of([node("Neg", "x", "v")], [], [value("v")])
    nodes = [
        node("Sin", "x", "s"),
        node("Add", "s b", "t"),
        node("If", "c", "y", then_branch=then, else_branch=other),
    ]
    proto = model(
        nodes,
        [value("x", shape=["n", 3]), value("c", BOOL, [])],
        [value("y")],
        [constant("b", np.float32([1, 2, 3]))],
    )
    run(proto, {"x": normal(4, 3), "c": np.array(truth)})


@pytest.mark.parametrize("truth", [True, False])
def test_branches_read_constants_each_for_itself(run, truth):
    """Both graphs read initializers that lie outside, in another order."""
    then = graph_of([node("Mul", "x a", "t"), node("Reshape", "t s", "u")], [], [value("u")])
    other = graph_of([node("Reshape", "x s", "t2"), node("Add", "t2 b", "v")], [], [value("v")])
    proto = model(
        [node("If", "c", "y", then_branch=then, else_branch=other)],
        [value("x", shape=[2, 3]), value("c", BOOL, [])],
        [value("y")],
        [constant("a", np.float32(2)), constant("b", np.float32(3)), constant("s", [3, 2])],
    )
    run(proto, {"x": normal(2, 3), "c": np.array(truth)})


def test_known_branch_is_written_out(run, program, tmp_path):
    then = graph_of([node("Mul", "x x", "u")], [], [value("u")])
    other = graph_of([node("NoSuchOperator", "x", "v")], [], [value("v")])
    nodes = [node("If", "c", "y", then_branch=then, else_branch=other)]
    proto = model(nodes, [value("x", shape=[3])], [value("y")], [constant("c", True)])
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    np.save(tmp_path / "x.npy", normal(3))
    program.run(
        "exec", path, "--input", f"x={tmp_path / 'x.npy'}", "--output", f"y={tmp_path / 'y.npy'}"
    )
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), normal(3) ** 2)


@pytest.mark.parametrize("turns", [0, 1, 5])
def test_loop_carries_and_stacks(run, turns):
    body = graph_of(
        [
            node("Add", "a b", "a2"),
            node("Identity", "go", "go2"),
            node("Mul", "a2 x", "part"),
        ],
        [value("i", INT64, []), value("go", BOOL, []), value("a")],
        [value("go2", BOOL, []), value("a2"), value("part", shape=[2, 3])],
    )
    proto = model(
        [helper.make_node("Loop", ["m", "", "x"], ["y", "z"], body=body)],
        [value("x", shape=[2, 3]), value("m", INT64, [])],
        [value("y"), value("z")],
        [constant("b", np.float32([1, 2, 3]))],
    )
    run(proto, {"x": normal(2, 3), "m": np.array(turns)})


def test_loop_inside_a_branch_inside_a_loop(run):
    inner = graph_of(
        [node("Add", "s x", "s2"), node("Identity", "g", "g2")],
        [value("j", INT64, []), value("g", BOOL, []), value("s")],
        [value("g2", BOOL, []), value("s2")],
    )
    then = graph_of(
        [helper.make_node("Loop", ["three", "", "a"], ["t"], body=inner)], [], [value("t")]
    )
    other = graph_of([node("Mul", "a x", "e")], [], [value("e")])
    outer = graph_of(
        [
            node("Mod", "i two", "odd"),
            node("Cast", "odd", "is_odd", to=BOOL),
            node("If", "is_odd", "a2", then_branch=then, else_branch=other),
            node("Identity", "go", "go2"),
        ],
        [value("i", INT64, []), value("go", BOOL, []), value("a")],
        [value("go2", BOOL, []), value("a2")],
    )
    proto = model(
        [helper.make_node("Loop", ["m", "", "x"], ["y"], body=outer)],
        [value("x", shape=[3]), value("m", INT64, [])],
        [value("y")],
        [constant("three", np.int64(3)), constant("two", np.int64(2))],
    )
    run(proto, {"x": normal(3), "m": np.array(4)})


@pytest.mark.parametrize("axis, reverse", [(0, 0), (1, 1)])
def test_scan(run, axis, reverse):
    body = graph_of(
        [node("Add", "s part", "s2"), node("Mul", "s2 k", "out")],
        [value("s", shape=[3]), value("part", shape=[3])],
        [value("s2", shape=[3]), value("out", shape=[3])],
    )
    proto = model(
        [
            node(
                "Scan",
                "first x",
                "last all",
                body=body,
                num_scan_inputs=1,
                scan_input_axes=[axis],
                scan_input_directions=[reverse],
                scan_output_axes=[axis],
                scan_output_directions=[reverse],
            )
        ],
        [value("first", shape=[3]), value("x", shape=[3, 3])],
        [value("last"), value("all")],
        [constant("k", np.float32([2]))],
    )
    run(proto, {"first": normal(3), "x": normal(3, 3, seed=2)})


def test_functions_are_written_out(run):
    leaky = helper.make_function(
        "my",
        "Scaled",
        ["p", "q"],
        ["r"],
        [
            helper.make_node("Add", ["p", "q"], ["sum"]),
            referring("Elu", ["sum"], ["r"], "alpha", "by"),
        ],
        [helper.make_opsetid("", 17)],
        ["by"],
    )
    nodes = [
        helper.make_node("Scaled", ["x", "b"], ["once"], domain="my", by=0.5),
        helper.make_node("Scaled", ["once", "x"], ["y"], domain="my", by=2.0),
    ]
    proto = model(
        nodes,
        [value("x", shape=["n"])],
        [value("y")],
        [constant("b", np.float32(0.25))],
        functions=[leaky],
    )
    run(proto, {"x": normal(7)})


def referring(operator, inputs, outputs, name, of):
    made = helper.make_node(operator, inputs, outputs)
    made.attribute.append(
        onnx.AttributeProto(name=name, ref_attr_name=of, type=onnx.AttributeProto.FLOAT)
    )
    return made


def test_outputs_that_no_node_makes(run):
    """An input given back, a constant, one value under two names."""
    nodes = [
        node("Identity", "x", "same"),
        node("Identity", "c", "always"),
        node("Neg", "x", "n1"),
        node("Identity", "n1", "n2"),
    ]
    proto = model(
        nodes,
        [value("x", INT64, [2])],
        [value(n, INT64) for n in ("same", "always", "n1", "n2")],
        [constant("c", np.int64([5, 6, 7]))],
    )
    run(proto, {"x": np.array([1, -2])})


def test_everything_that_cannot_run_is_listed_at_once(program, tmp_path):
    nodes = [
        helper.make_node("Foo", ["x"], ["a"], name="first"),
        helper.make_node("Bar", ["a"], ["b"], name="second", domain="com.example"),
        helper.make_node("Elu", ["x"], ["c"], name="third", alpha=2.0, beta=1.0),
        helper.make_node("Foo", ["c"], ["d"], name="fourth"),
        helper.make_node("Neg", ["b"], ["y"], name="fine"),
    ]
    inside = graph_of([node("Baz", "x", "z")], [], [value("z")])
    nodes.append(node("If", "t", "w", then_branch=inside, else_branch=inside))
    proto = model(
        nodes, [value("x", shape=["n", 3]), value("t", BOOL, [])], [value("y"), value("w")]
    )
    proto.opset_import.append(helper.make_opsetid("com.example", 3))
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    np.save(tmp_path / "x.npy", normal(2, 3))
    done = program.run(
        "exec", path, "--input", "x=x.npy", "--output", f"y={tmp_path / 'y.npy'}", code=1
    )
    told = done.stderr
    assert told.count("\n") == 1 and str(path) in told
    assert 'Foo (opset 17, node "first" and 1 more) on f32(?,3)' in told
    assert 'com.example.Bar (opset 3, node "second")' in told
    assert 'Elu (opset 17, node "third")' in told and '"beta"' in told
    assert "Baz" in told and "fine" not in told
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize(
    "array, told",
    [
        (np.float32([1.5]), "1.5"),
        (np.array([2**40]), "1099511627776"),
        (np.array([True]), None),
        (np.array([7], np.uint8), None),
        (np.float64([3.0]), None),
    ],
)
def test_numbers_that_are_no_integers_are_refused(program, tmp_path, array, told):
    x, y = value("x", TensorProto.INT32, [1]), value("y", TensorProto.INT32)
    proto = model([node("Neg", "x", "y")], [x], [y])
    onnx.save(proto, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", array)
    arguments = ["exec", tmp_path / "m.onnx", "--input", f"x={tmp_path / 'x.npy'}"]
    arguments += ["--output", f"y={tmp_path / 'y.npy'}"]
    done = program.run(*arguments, code=1 if told else 0)
    if told:
        assert told in done.stderr and "i32" in done.stderr
    else:
        assert np.load(tmp_path / "y.npy") == -array.astype(np.int32)
