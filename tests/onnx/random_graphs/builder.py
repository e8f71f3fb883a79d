"""A random graph that grows node by node; ONNX Runtime says at once what each node gives.

Every value carries a sample, computed by ONNX Runtime, and how far from it another correct
computation may be: `error`, relative to the largest element. A node multiplies the error of what it
reads by a gain that is measured, by reading slightly different numbers; a node that magnifies too
much is not taken. Operators that jump (floor, comparisons, indices of a maximum) read only `exact`
values, which have no rounding in them.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

OPSET, FORMER = 23, 21  # a few operators have no implementation at the newer one
MOST_ELEMENTS = 4000
MOST_VALUE = 1e4  # larger numbers say nothing new and overflow a few nodes later
MOST_GAIN = 30.0
UNIT = {"float16": 2.0**-11, "float32": 2.0**-24, "float64": 2.0**-53}
FLOATS = ("float32", "float64", "float16")
SIZES = (1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 13, 16, 17)


class Reject(Exception):
    """This node cannot be, or says nothing; another is tried."""


@dataclass
class Value:
    name: str
    array: np.ndarray  # a sample
    exact: bool
    error: float = 0.0
    moved: np.ndarray = None  # the sample with other roundings; None where there are none

    @property
    def shape(self):
        return self.array.shape

    @property
    def rank(self):
        return self.array.ndim

    @property
    def kind(self):
        return self.array.dtype.name

    @property
    def is_float(self):
        return self.array.dtype.kind == "f"


def element(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def value_info(name, array, shape=None):
    return helper.make_tensor_value_info(name, element(array), shape)


def options(optimise=False):
    made = onnxruntime.SessionOptions()
    made.log_severity_level = 4
    made.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    made.graph_optimization_level = level.ORT_ENABLE_BASIC if optimise else level.ORT_DISABLE_ALL
    return made


def run_model(model, inputs, optimise=False):
    """The outputs by ONNX Runtime; Reject where it does not run the model."""
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options(optimise), providers=["CPUExecutionProvider"]
        )
        return session.run(None, inputs)
    except Exception as error:  # it has a class of its own for each refusal
        raise Reject(str(error)) from error


def names_read(nodes):
    """What the nodes read and do not make, bodies included."""
    read, made = [], set()
    for node in nodes:
        read += [name for name in node.input if name]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                body = attribute.g
                own = {x.name for x in body.input} | {x.name for x in body.initializer}
                inside = names_read(body.node) + [x.name for x in body.output]
                inner = {name for n in body.node for name in n.output}
                read += [name for name in inside if name not in own | inner]
        made |= set(node.output)
    return [name for name in dict.fromkeys(read) if name not in made]


def make_model(nodes, inputs, outputs, constants=None, opset=OPSET):
    graph = helper.make_graph(
        nodes, "random", inputs, outputs,
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 5),
                       helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )


def run_node(node, arrays, opset):
    inputs = {name: arrays[name] for name in names_read([node])}
    ports = [value_info(name, array) for name, array in inputs.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    return run_model(make_model([node], ports, outputs, opset=opset), inputs)


class Scope:
    """The graph, or a body inside it, which sees what stands around."""

    def __init__(self, rng, outer=None):
        self.rng, self.outer = rng, outer
        self.nodes, self.values = [], []
        self.top = outer.top if outer else self
        if not outer:
            self.count, self.inputs, self.constants = 0, {}, {}
            self.opset = FORMER if self.chance(0.15) else OPSET
            self.told = set()  # names of inputs whose shape the file tells

    def visible(self):
        return self.values + (self.outer.visible() if self.outer else [])

    def fresh(self, prefix="v"):
        self.top.count += 1
        return f"{prefix}{self.top.count}"

    # ---- chance -------------------------------------------------------------------------------

    def pick(self, options_):
        return options_[int(self.rng.integers(len(options_)))]

    def chance(self, probability):
        return self.rng.random() < probability

    def integer(self, low, high):
        """low <= n <= high"""
        return int(self.rng.integers(low, high + 1))

    def size(self):
        return 0 if self.chance(0.02) else self.pick(SIZES)

    def shape(self, low=0, high=5):
        for _ in range(20):
            shape = tuple(self.size() for _ in range(self.integer(low, high)))
            if math.prod(shape) <= 1500:
                return shape
        return (2,) * low

    def draw(self, shape, kind="float32"):
        """Numbers that say something and, as floats, have few bits: quarters up to 3."""
        kind = np.dtype(kind)
        if kind == bool:
            return np.asarray(self.rng.integers(0, 2, shape) == 1)
        if kind.kind == "u":
            return np.asarray(self.rng.integers(0, 8, shape)).astype(kind)
        if kind.kind == "i":
            return np.asarray(self.rng.integers(-7, 8, shape)).astype(kind)
        return np.asarray(self.rng.integers(-12, 13, shape) / 4).astype(kind)

    # ---- values -------------------------------------------------------------------------------

    def given(self, array, constant=None):
        """An input of the whole graph, or a constant of it."""
        top = self.top
        constant = self.chance(0.4) if constant is None else constant
        value = Value(self.fresh("c" if constant else "x"), array, True)
        (top.constants if constant else top.inputs)[value.name] = value.array
        top.values.append(value)
        return value

    def new(self, shape, kind="float32", constant=None):
        return self.given(self.draw(shape, kind), constant)

    def parameter(self, numbers, kind="int64", constant=0.7):
        """A small input that says how: usually constant."""
        return self.given(np.array(numbers, dtype=kind), self.chance(constant))

    def told_shape(self, shape, kind="float32"):
        """A new value whose shape the file tells: the operator is refused without it."""
        value = self.new(shape, kind)
        self.top.told.add(value.name)
        return value

    def find(self, test=None, shape=None, kind="float32", fresh=0.25):
        """A value that passes the test, or a new one of the shape and kind."""
        fits = [v for v in self.visible() if test is None or test(v)]
        if fits and not (shape is not None and self.chance(fresh)):
            return fits[min(len(fits) - 1, int(self.rng.exponential(2.5)))]
        if shape is None:
            raise Reject("nothing fits")
        return self.new(shape, kind, constant=self.chance(0.3))

    def floating(self, low=0, high=5, kinds=FLOATS, exact=False):
        """A float value of a rank between the two."""

        def fits(v):
            return v.kind in kinds and low <= v.rank <= high and (v.exact or not exact)

        kind = kinds[0] if self.chance(0.7) else self.pick(kinds)
        return self.find(fits, self.shape(low, high), kind)

    def any(self, low=0, high=5, exact=False):
        kind = self.pick(("float32", "float32", "int64", "int32", "bool", "uint8", "float16"))
        return self.find(lambda v: low <= v.rank <= high and (v.exact or not exact),
                         self.shape(low, high), kind)  # fmt: skip

    def partner(self, value, fresh=0.5):
        """A value of the same type whose shape broadcasts with that of `value`."""

        def fits(v):
            if v.kind != value.kind:
                return False
            try:
                return math.prod(np.broadcast_shapes(v.shape, value.shape)) <= MOST_ELEMENTS
            except ValueError:
                return False

        shape = [1 if self.chance(0.3) else n for n in value.shape]
        shape = shape[self.integer(0, len(shape)):] if self.chance(0.3) else shape
        return self.find(fits, tuple(shape), value.kind, fresh)

    # ---- nodes --------------------------------------------------------------------------------

    def node(self, op, inputs, outputs=1, unit=4.0, jumps=False, exact=False, **attributes):
        """Adds a node; returns its outputs. `unit`: roundings of the operator; `jumps`: small
        changes of an input may change the output much; `exact`: gives values without rounding of
        such ones. "" in the place of a value leaves an input out."""
        reads = [v for v in inputs if v]
        if jumps and not all(v.exact for v in reads):
            raise Reject("jumps")
        names = [self.fresh() for _ in range(outputs)]
        node = helper.make_node(op, [v.name if v else "" for v in inputs], names, **attributes)
        return self.add(node, unit, exact or jumps)

    def add(self, node, unit=4.0, exact=False):
        visible = {v.name: v for v in self.visible()}
        reads = [visible[name] for name in names_read([node])]
        got = run_node(node, {v.name: v.array for v in reads}, self.top.opset)
        if any(not isinstance(array, np.ndarray) for array in got):
            raise Reject("not tensors")
        for array in got:
            if array.size > MOST_ELEMENTS or array.ndim > 7:
                raise Reject("large")
            if array.dtype.kind == "f" and array.size and not np.abs(array).max() <= MOST_VALUE:
                raise Reject("large numbers, or none")
        exact = exact and all(v.exact for v in reads)
        moved = [None] * len(got)
        rounded = [v for v in reads if v.moved is not None]
        if rounded:
            moved = run_node(
                node, {v.name: v.array if v.moved is None else v.moved for v in reads},
                self.top.opset,
            )  # fmt: skip
        out = []
        for name, array, other in zip([n for n in node.output if n], got, moved):
            value = Value(name, array, exact)
            if not exact and value.is_float:
                value.error = unit * UNIT[value.kind] + self.error_read(array, other, rounded)
                value.moved = self.move(array, other)
            elif other is not None and not np.array_equal(array, other):
                raise Reject("jumps")
            out.append(value)
        self.nodes.append(node)
        self.values = out[::-1] + self.values
        return out

    def error_read(self, array, other, rounded):
        """What the roundings of what was read come to."""
        if not rounded:
            return 0.0
        error = max(v.error for v in rounded)
        if other.shape != array.shape:
            raise Reject("jumps")
        if not array.size:
            return error
        most = float(np.abs(array).max())
        change = float(np.abs(array.astype(np.float64) - other.astype(np.float64)).max())
        if change == 0.0:
            return error
        steps = max(MOVE * UNIT[v.kind] for v in rounded)
        gain = change / steps / most if most else math.inf
        if gain > MOST_GAIN:
            raise Reject("magnifies")
        return error * max(1.0, 4.0 * gain)

    def move(self, array, other):
        """The sample with other roundings, of `MOVE` units."""
        if not array.size:
            return array
        most = max(float(np.abs(array).max()), 1e-30)
        step = MOVE * UNIT[array.dtype.name] * most
        base = array if other is None else other
        moved = base + np.asarray(self.rng.uniform(-step, step, array.shape)).astype(array.dtype)
        return np.asarray(moved, dtype=array.dtype)


MOVE = 64.0
