"""If, Loop and Scan at their edges: no turn at all, scalars, constants around."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run

F32, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def info(name, element, shape=None):
    return helper.make_tensor_value_info(name, element, shape)


def body(nodes, inputs, outputs):
    return helper.make_graph(nodes, "body", inputs, outputs)


def agree(program, folder, made, inputs):
    ours = onnx_run.run(program, folder, made, inputs)
    for a, b in zip(ours, onnx_run.run_onnxruntime(made, inputs), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)
    return ours


# What would be stacked has the sizes that the body gives for the states at hand, told or not.
@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_loop_without_a_turn(program, tmp_path, told, constant, shapes):
    def state(name):
        return info(name, F32, [2, 3] if told else None)

    turns = body(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            helper.make_node("Neg", ["s"], ["s2"]),
            helper.make_node("Concat", ["s", "s2"], ["both"], axis=1),
            helper.make_node("ReduceSum", ["both"], ["all"], keepdims=0),
        ],
        [info("i", I64, []), info("c", BOOL, []), state("s")],
        [info("c2", BOOL, []), state("s2"), info("both", F32), info("all", F32)],
    )
    held = {"n": np.array(0), "go": np.array(True)}
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    inputs = {"x": x} if constant else {"x": x, **held}
    node = helper.make_node("Loop", ["n", "go", "x"], ["last", "stack", "sums"], body=turns)
    made = onnx_run.model([node], inputs, {"last": F32, "stack": F32, "sums": F32},
                          constants=held if constant else None, shapes=shapes)  # fmt: skip
    last, stack, sums = onnx_run.run(program, tmp_path, made, inputs)
    np.testing.assert_array_equal(last, x)
    assert stack.shape == (0, 2, 6) and sums.shape == (0,)


# A body that could not take the states tells nothing of them, and nothing is wrong with that.
def test_loop_without_a_turn_that_could_not_run(program, tmp_path):
    turns = body(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            helper.make_node("Gather", ["s", "i"], ["row"], axis=0),
            helper.make_node("Identity", ["s"], ["s2"]),
        ],
        [info("i", I64, []), info("c", BOOL, []), info("s", F32, ["rows", 3])],
        [info("c2", BOOL, []), info("s2", F32, ["rows", 3]), info("row", F32, [3])],
    )
    inputs = {"n": np.array(0), "x": np.zeros((0, 3), np.float32)}
    node = helper.make_node("Loop", ["n", "", "x"], ["last", "rows_"], body=turns)
    made = onnx_run.model([node], inputs, {"last": F32, "rows_": F32}, shapes="sizes unknown")
    agree(program, tmp_path, made, inputs)


def test_loop_without_a_turn_of_slices_too_large(program, tmp_path):
    turns = body(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            helper.make_node("Expand", ["x", "huge"], ["slice"]),
        ],
        [info("i", I64, []), info("c", BOOL, [])],
        [info("c2", BOOL, []), info("slice", F32)],
    )
    inputs = {"n": np.array(0), "x": np.float32([1])}
    node = helper.make_node("Loop", ["n", ""], ["stack"], body=turns)
    made = onnx_run.model([node], inputs, {"stack": F32}, constants={"huge": np.full(3, 2**40)})
    with pytest.raises(AssertionError, match="too large"):
        onnx_run.run(program, tmp_path, made, inputs)


def test_slices_of_another_shape_are_refused(program, tmp_path):
    """(2,3) and then (3,2), which are as many elements."""
    turns = body(
        [
            helper.make_node("Identity", ["c"], ["c2"]),
            helper.make_node("Transpose", ["s"], ["s2"], perm=[1, 0]),
            helper.make_node("Identity", ["s"], ["slice"]),
        ],
        [info("i", I64, []), info("c", BOOL, []), info("s", F32, ["a", "b"])],
        [info("c2", BOOL, []), info("s2", F32, ["b", "a"]), info("slice", F32, ["a", "b"])],
    )
    inputs = {"n": np.array(2), "x": np.zeros((2, 3), np.float32)}
    node = helper.make_node("Loop", ["n", "", "x"], ["last", "stack"], body=turns)
    made = onnx_run.model([node], inputs, {"last": F32, "stack": F32}, shapes="sizes unknown")
    with pytest.raises(AssertionError, match=r"is \(2,3\) in one turn and \(3,2\) in the next"):
        onnx_run.run(program, tmp_path, made, inputs)


def test_states_that_are_left_out(program, tmp_path):
    turns = body([helper.make_node("Identity", ["c"], ["c2"]),
                  helper.make_node("Identity", ["s"], ["s2"])],
                 [info("i", I64, []), info("c", BOOL, []), info("s", F32, [2])],
                 [info("c2", BOOL, []), info("s2", F32, [2])])  # fmt: skip
    node = helper.make_node("Loop", ["n", "", ""], ["last"], body=turns)
    made = onnx_run.model([node], {"n": np.array(2)}, {"last": F32})
    (tmp_path / "loop.onnx").write_bytes(made.SerializeToString())
    done = program.run("convert", tmp_path / "loop.onnx", "-o", tmp_path / "again.onnx", code=1)
    assert "input 2 is what a turn begins with, and is left out" in done.stderr


@pytest.mark.parametrize("count", [0, 4])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_scan_over_scalars(program, tmp_path, count, shapes):
    turns = body(
        [
            helper.make_node("Add", ["s", "e"], ["s2"]),
            helper.make_node("Identity", ["s2"], ["slice"]),
        ],
        [info("s", F32, []), info("e", F32, [])],
        [info("s2", F32, []), info("slice", F32, [])],
    )
    inputs = {"s": np.array(1, np.float32), "x": np.arange(count, dtype=np.float32)}
    node = helper.make_node("Scan", ["s", "x"], ["sum", "sums"], body=turns, num_scan_inputs=1)
    made = onnx_run.model([node], inputs, {"sum": F32, "sums": F32}, shapes=shapes)
    total, sums = onnx_run.run(program, tmp_path, made, inputs)  # ONNX Runtime wants one turn
    np.testing.assert_array_equal(sums, 1 + np.cumsum(inputs["x"]))
    np.testing.assert_array_equal(total, 1 + inputs["x"].sum())
    assert total.shape == ()


# A constant of halves, cast, is kept as halves: a body must see the cast, and turned weights so.
@pytest.mark.parametrize("operator", ["If", "Loop"])
def test_constants_around(program, tmp_path, operator):
    outside = [
        helper.make_node("Cast", ["half"], ["wide"], to=F32),
        helper.make_node("Transpose", ["weight"], ["turned"]),
    ]
    inside = [
        helper.make_node("Mul", ["x", "wide"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "turned"], ["y2"]),
    ]
    if operator == "If":
        branch = body(inside, [], [info("y2", F32)])
        node = helper.make_node("If", ["go"], ["y"], then_branch=branch, else_branch=branch)
    else:
        inside[0].input[0] = "s"
        turns = body(
            [helper.make_node("Identity", ["c"], ["c2"]), *inside],
            [info("i", I64, []), info("c", BOOL, []), info("s", F32)],
            [info("c2", BOOL, []), info("y2", F32)],
        )
        node = helper.make_node("Loop", ["n", "go", "x"], ["y"], body=turns)
    inputs = {"x": np.float32([[1, 2, 3]]), "go": np.array(True)}
    constants = {"half": np.float16([0.5, 0.25, 2]), "n": np.array(2),
                 "weight": np.arange(9, dtype=np.float32).reshape(3, 3)}  # fmt: skip
    made = onnx_run.model([*outside, node], inputs, {"y": F32}, constants=constants)
    agree(program, tmp_path, made, inputs)
