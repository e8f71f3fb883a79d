"""ONNX files whose nodes run graphs, with inputs for them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
GENERATOR = np.random.default_rng(5)
WEIGHT = (GENERATOR.standard_normal((3, 3)) / 2).astype(np.float32)
KERNEL = (GENERATOR.standard_normal((2, 2, 3, 3)) / 4).astype(np.float32)
node = helper.make_node


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array)))


def model(nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs,
                              [numpy_helper.from_array(a, n) for n, a in weights])  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def branch(name, nodes, outputs):
    return helper.make_graph(nodes, name, [], outputs)


def positive_sum(out):
    return [node("ReduceSum", ["x"], ["total"], keepdims=0),
            constant("zero", np.float32(0)), node("Greater", ["total", "zero"], [out])]  # fmt: skip


def if_of_layers():
    """Weights of the graph around, a constant output, and one that is an input of the graph."""
    then = branch("then", [node("MatMul", ["x", "w"], ["a"]), node("Relu", ["a"], ["b"]),
                           node("Identity", ["x"], ["same"])],
                  [value("b", [2, 3]), value("same", [2, 3])])  # fmt: skip
    other = branch("else", [node("MatMul", ["x", "w"], ["c"]),
                            constant("none", np.full((2, 3), 7, np.float32))],
                   [value("c", [2, 3]), value("none", [2, 3])])  # fmt: skip
    return model([*positive_sum("test"), node("If", ["test"], ["y", "z"], then_branch=then,
                                              else_branch=other)],
                 [value("x", [2, 3])], [value("y", [2, 3]), value("z", [2, 3])],
                 [("w", WEIGHT)])  # fmt: skip


def if_of_convolutions():
    then = branch("then", [node("Conv", ["x", "k"], ["a"], pads=[1, 1, 1, 1])],
                  [value("a", [1, 2, 4, 4])])  # fmt: skip
    other = branch("else", [node("MaxPool", ["x"], ["p"], kernel_shape=[3, 3], strides=[1, 1],
                                 pads=[1, 1, 1, 1])], [value("p", [1, 2, 4, 4])])  # fmt: skip
    return model([*positive_sum("test"), node("If", ["test"], ["y"], then_branch=then,
                                              else_branch=other)],
                 [value("x", [1, 2, 4, 4])], [value("y", [1, 2, 4, 4])],
                 [("k", KERNEL)])  # fmt: skip


def if_of_views():
    """What the branches give is what they are given, in a shape that it has already."""
    two = [node("Reshape", ["x", "shape"], ["a"])], [value("a", [2, 3])]
    three = [node("Unsqueeze", ["x", "first"], ["p"]),
             node("Squeeze", ["p", "first"], ["b"])], [value("b", [2, 3])]  # fmt: skip
    return model([*positive_sum("test"), node("If", ["test"], ["y"],
                                              then_branch=branch("then", *two),
                                              else_branch=branch("else", *three))],
                 [value("x", [2, 3])], [value("y", [2, 3])],
                 [("shape", np.array([2, 3])), ("first", np.array([0]))])  # fmt: skip


def turn(nodes, states, stacked=(), counter="i", go="go"):
    return helper.make_graph(
        nodes, "turn", [value(counter, [], INT), value(go, [], BOOL), *states[0]],
        [value("again", [], BOOL), *states[1], *stacked])  # fmt: skip


def loop_of_turns(turns=4):
    """So many turns, one of whose operands is the number of the turn."""
    body = turn([node("MatMul", ["s", "w"], ["p"]), node("Tanh", ["p"], ["t"]),
                 node("Cast", ["i"], ["f"], to=FLOAT), node("Add", ["t", "f"], ["u"]),
                 node("Identity", ["go"], ["again"])],
                ([value("s", [2, 3])], [value("u", [2, 3])]))  # fmt: skip
    return model([node("Loop", ["m", "", "x"], ["y"], body=body)], [value("x", [2, 3])],
                 [value("y", [2, 3])], [("w", WEIGHT), ("m", np.array(turns, np.int64))])


def loop_that_swaps():
    """States that take each other's place, as views of what they were."""
    body = turn([node("Reshape", ["s", "shape"], ["u"]), node("Reshape", ["q", "shape"], ["v"]),
                 constant("again", True)],
                ([value("s", [2, 3]), value("q", [2, 3])],
                 [value("v", [2, 3]), value("u", [2, 3])]))  # fmt: skip
    return model([node("Exp", ["x"], ["e"]), node("Loop", ["m", "", "x", "e"], ["y", "z"],
                                                  body=body)],
                 [value("x", [2, 3])], [value("y", [2, 3]), value("z", [2, 3])],
                 [("m", np.array(3)), ("shape", np.array([2, 3]))])  # fmt: skip


def loop_without_end():
    body = turn([node("Neg", ["s"], ["u"]), constant("again", True)],
                ([value("s", [2, 3])], [value("u", [2, 3])]))  # fmt: skip
    return model([node("Loop", ["", "", "x"], ["y"], body=body, name="turns")],
                 [value("x", [2, 3])], [value("y", [2, 3])])  # fmt: skip


def loop_until(limited):
    """Until the sum is large; what is read from around is an input."""
    body = turn([node("Add", ["s", "step"], ["u"]), node("Mul", ["q", "u"], ["v"]),
                 node("ReduceMax", ["u"], ["top"], keepdims=0), constant("end", np.float32(9)),
                 node("Less", ["top", "end"], ["again"])],
                ([value("s", [2, 3]), value("q", [2, 3])],
                 [value("u", [2, 3]), value("v", [2, 3])]))  # fmt: skip
    first = [constant("yes", True), node("Abs", ["x"], ["step"])]
    return model([*first, node("Loop", ["m" if limited else "", "yes", "x", "x"], ["y", "z"],
                               body=body)],
                 [value("x", [2, 3])], [value("y", [2, 3]), value("z", [2, 3])],
                 [("m", np.array([3], np.int64))] if limited else [])  # fmt: skip


def loop_of_branches():
    then = branch("then", [node("Mul", ["s", "s"], ["a"])], [value("a", [2, 3])])
    other = branch("else", [node("Sub", ["s", "x"], ["b"])], [value("b", [2, 3])])
    body = turn([node("ReduceSum", ["s"], ["total"], keepdims=0), constant("one", np.float32(1)),
                 node("Less", ["total", "one"], ["small"]),
                 node("If", ["small"], ["u"], then_branch=then, else_branch=other),
                 constant("again", True)],
                ([value("s", [2, 3])], [value("u", [2, 3])]))  # fmt: skip
    return model([node("Loop", ["m", "", "x"], ["y"], body=body)], [value("x", [2, 3])],
                 [value("y", [2, 3])], [("m", np.array(3, np.int64))])


def loop_that_stacks(turns=5):
    body = turn([node("Mul", ["s", "half"], ["u"]), node("ReduceSum", ["u"], ["sum"], keepdims=0),
                 node("Identity", ["i"], ["number"]), node("Identity", ["go"], ["again"])],
                ([value("s", [2, 3])], [value("u", [2, 3])]),
                [value("u", [2, 3]), value("sum", []), value("number", [], INT)])  # fmt: skip
    return model([node("Loop", ["m", "", "x"], ["y", "all", "sums", "turns"], body=body)],
                 [value("x", [2, 3])],
                 [value("y", [2, 3]), value("all", [turns, 2, 3]), value("sums", [turns]),
                  value("turns", [turns], INT)],
                 [("half", np.float32(0.5).reshape(())),
                  ("m", np.array(turns, np.int64))])  # fmt: skip


def loop_that_ends_and_stacks():
    body = turn([node("Mul", ["s", "two"], ["u"]), node("ReduceMax", ["u"], ["top"], keepdims=0),
                 node("Less", ["top", "end"], ["again"])],
                ([value("s", [2, 3])], [value("u", [2, 3])]), [value("u", [2, 3])])  # fmt: skip
    return model([node("Loop", ["m", "", "x"], ["y", "all"], body=body)], [value("x", [2, 3])],
                 [value("y", [2, 3]), value("all", ["n", 2, 3])],
                 [("two", np.float32(2).reshape(())), ("end", np.float32(2).reshape(())),
                  ("m", np.array(4, np.int64))])  # fmt: skip


def loop_until_and_stacks(limit=None, rows=False):
    """Stacks of as many turns as a condition lets there be: numbers, truth, and rows whose sizes
    only the run tells. With a limit, one that is computed."""
    body = turn([node("Add", ["s", "step"], ["u"]), node("ReduceMax", ["u"], ["top"], keepdims=0),
                 constant("end", np.float32(9)), node("Less", ["top", "end"], ["again"]),
                 node("Greater", ["u", "end"], ["high"]),
                 node("Gather", ["u", "picks"], ["row"]) if rows
                 else node("Identity", ["u"], ["row"])],
                ([value("s", [2, 3])], [value("u", [2, 3])]),
                [value("row", ["k", 3]), value("top", []),
                 value("high", [2, 3], BOOL)])  # fmt: skip
    first = [constant("yes", True), node("Abs", ["x"], ["step"]), constant("none", np.array(0)),
             constant("one", np.array(1)), constant("half", np.float32(0.5)),
             node("ReduceMax", ["x"], ["most"], keepdims=0),
             node("Greater", ["most", "half"], ["b"]),
             node("Cast", ["b"], ["more"], to=INT), node("Add", ["one", "more"], ["k"]),
             node("Range", ["none", "k", "one"], ["picks"])]  # fmt: skip
    if limit:
        first += [node("Shape", ["x"], ["all"]), node("ReduceSum", ["all"], ["m"], keepdims=0)]
    return model([*first, node("Loop", ["m" if limit else "", "yes", "x"],
                               ["y", "rows", "tops_of_all", "highs"], body=body, name="turns")],
                 [value("x", [2, 3])],
                 [value("y", [2, 3]), value("rows", ["n", "k", 3]), value("tops_of_all", ["n"]),
                  value("highs", ["n", 2, 3], BOOL)])  # fmt: skip


def scan_of_rows():
    """A state, what is read from around, and two stacks."""
    body = helper.make_graph(
        [node("MatMul", ["s", "w"], ["p"]), node("Add", ["p", "row"], ["u"]),
         node("ReduceSum", ["u"], ["sum"], keepdims=0)], "turn",
        [value("s", [3]), value("row", [3])], [value("u", [3]), value("u2", [3]),
                                               value("sum", [])])  # fmt: skip
    body.node.append(node("Neg", ["u"], ["u2"]))
    return model([constant("first", np.ones(3, np.float32)),
                  node("Scan", ["first", "x"], ["last", "all", "sums"], body=body,
                       num_scan_inputs=1)],
                 [value("x", [4, 3])],
                 [value("last", [3]), value("all", [4, 3]), value("sums", [4])],
                 [("w", WEIGHT)])  # fmt: skip


def scan_of_ways():
    """Along other axes, from the end, of two values of which one is a constant; no state."""
    body = helper.make_graph([node("Mul", ["a", "b"], ["c"]), node("Add", ["a", "b"], ["d"])],
                             "turn", [value("a", [2, 3]), value("b", [3])],
                             [value("c", [2, 3]), value("d", [2, 3])])  # fmt: skip
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    return model([node("Scan", ["x", "table"], ["y", "z"], body=body, num_scan_inputs=2,
                       scan_input_axes=[1, -2], scan_input_directions=[1, 0],
                       scan_output_axes=[-1, 1], scan_output_directions=[0, 1])],
                 [value("x", [2, 4, 3])], [value("y", [2, 3, 4]), value("z", [2, 4, 3])],
                 [("table", table)])  # fmt: skip


def scan_of_branches():
    then = branch("then", [node("Mul", ["s", "row"], ["a"])], [value("a", [3])])
    other = branch("else", [node("Sub", ["s", "row"], ["b"])], [value("b", [3])])
    body = helper.make_graph(
        [node("ReduceSum", ["row"], ["total"], keepdims=0), constant("none", np.float32(0)),
         node("Greater", ["total", "none"], ["test"]),
         node("If", ["test"], ["u"], then_branch=then, else_branch=other)], "turn",
        [value("s", [3]), value("row", [3])], [value("u", [3])])  # fmt: skip
    return model([constant("first", np.ones(3, np.float32)),
                  node("Scan", ["first", "x"], ["last"], body=body, num_scan_inputs=1)],
                 [value("x", [2, 3])], [value("last", [3])])  # fmt: skip


CASES = {
    "scan_of_rows": scan_of_rows(),
    "scan_of_ways": scan_of_ways(),
    "scan_of_branches": scan_of_branches(),
    "loop_that_ends_and_stacks": loop_that_ends_and_stacks(),
    "loop_until_and_stacks": loop_until_and_stacks(),
    "loop_until_and_stacks_limited": loop_until_and_stacks(limit=True),
    "loop_until_and_stacks_rows": loop_until_and_stacks(rows=True),
    "if_of_layers": if_of_layers(),
    "if_of_convolutions": if_of_convolutions(),
    "if_of_views": if_of_views(),
    "loop_that_swaps": loop_that_swaps(),
    "loop_of_turns": loop_of_turns(),
    "loop_of_no_turns": loop_of_turns(0),
    "loop_until": loop_until(False),
    "loop_until_limited": loop_until(True),
    "loop_of_branches": loop_of_branches(),
    "loop_that_stacks": loop_that_stacks(),
}


def inputs_of(case):
    """Two sets of inputs, which take both branches and other numbers of turns."""
    shape = [d.dim_value for d in CASES[case].graph.input[0].type.tensor_type.shape.dim]
    x = np.linspace(0.1, 0.9, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return [{"x": x}, {"x": -x / 2 if "until" not in case else 3 * x}]
