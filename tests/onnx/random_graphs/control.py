"""If, Loop and Scan with random bodies, which read what stands around them."""

import numpy as np
from onnx import helper

from . import families
from .builder import Reject, Scope, Value, value_info


def grow(scope, count, choices):
    """Adds `count` nodes, if it can."""
    for _ in range(6 * count):
        if count <= 0:
            return
        before = len(scope.nodes), list(scope.values)
        try:
            scope.pick(choices)(scope)
            count -= 1
        except Reject:
            del scope.nodes[before[0] :]
            scope.values = before[1]


def body_of(scope, name, inputs, outputs):
    infos = [value_info(v.name, v.array) for v in inputs]
    return helper.make_graph(
        scope.nodes, name, infos, [value_info(v.name, v.array) for v in outputs]
    )


def inner(scope, inputs=()):
    """A body; constants and inputs it asks for become those of the whole graph."""
    inside = Scope(scope.rng, scope)
    inside.values = list(inputs)
    return inside


def result(scope, like):
    """A value made in the body of the type and shape of `like`."""
    fits = [v for v in scope.values if v.kind == like.kind and v.shape == like.shape and
            any(v.name in node.output for node in scope.nodes)]  # fmt: skip
    if fits:
        return fits[0]
    (copy,) = scope.node("Identity", [like], unit=0, exact=True)
    return copy


def plain(name, like):
    """A port of a body: what it holds in a later turn is not known, so nothing is exact."""
    return Value(name, like.array, like.exact and not like.is_float, like.error, like.moved)


def choose(s):
    """If: both branches give the same types; shapes may differ."""
    condition = s.new((), "bool", constant=s.chance(0.2))
    kinds, branches = None, []
    for name in ("then", "else"):
        inside = inner(s)
        grow(inside, s.integer(1, 4), BODY)
        made = [v for v in inside.values if any(v.name in node.output for node in inside.nodes)]
        if kinds is None:
            outputs = made[: s.integer(1, 2)]
            kinds = [v.kind for v in outputs]
        else:
            outputs = []
            for kind in kinds:
                fits = [v for v in made if v.kind == kind and v not in outputs]
                if not fits:
                    like = s.find(lambda v, kind=kind: v.kind == kind, (2,), kind)
                    fits = inside.node("Identity", [like], unit=0, exact=True)
                outputs.append(fits[0])
        if not outputs:
            raise Reject("an empty branch")
        branches.append((inside, name, outputs))
    then, other = (body_of(inside, name, [], outputs) for inside, name, outputs in branches)
    taken = branches[0 if condition.array else 1][2]
    node = helper.make_node("If", [condition.name], [s.fresh() for _ in kinds],
                            then_branch=then, else_branch=other)  # fmt: skip
    finish(s, node, taken)


def finish(s, node, inside):
    """Adds the node; roundings inside it count for what it gives."""
    outputs = s.add(node, unit=0.0)
    worst = max([0.0, *(v.error for v in inside)])
    for value in outputs:
        value.exact = all(v.exact for v in inside) and not value.is_float
        value.error = max(value.error, 16 * worst)
        if value.is_float and value.moved is None:
            value.error = max(value.error, 64 * 2.0**-24)
            value.moved = s.move(value.array, None)


def loop(s):
    turns = s.integer(0, 4)
    state = s.floating(0, 3, families.F32)
    count = s.new((), "int64", constant=True)
    i, more = Value(s.fresh("i"), np.array(0), True), Value(s.fresh("b"), np.array(True), True)
    ports = [plain(s.fresh("s"), state), plain(s.fresh("s"), count)]
    inside = inner(s, [*ports, i, more])
    grow(inside, s.integer(1, 4), BODY)
    carried = result(inside, ports[0])
    # an integer state that counts, and a condition that may end the loop early
    (counted,) = inside.node("Add", [ports[1], s.given(np.array(1), True)], exact=True)
    limit = s.given(np.array(int(count.array) + s.integer(1, 6)), True)
    (again,) = inside.node("Less", [counted, limit], jumps=True)
    scanned = [v for v in inside.values if v.name not in (p.name for p in (*ports, i, more))]
    scanned = [v for v in scanned if v is not carried][: s.integer(0, 2)]
    outputs = [again, carried, counted, *scanned]
    body = body_of(inside, "body", [i, more, *ports], outputs)
    trip = s.given(np.array(turns), s.chance(0.3))
    first = s.given(np.array(True), True)
    node = helper.make_node("Loop", [trip.name, first.name, state.name, count.name],
                            [s.fresh() for _ in outputs[1:]], body=body)  # fmt: skip
    finish(s, node, [v for v in outputs if v.is_float])


def scan(s):
    steps, width = s.integer(1, 4), s.integer(1, 5)
    state = s.find(lambda v: v.kind == "float32" and v.rank == 1 and v.shape[0], (width,))
    x = s.new((steps, *s.shape(0, 2)))
    ports = [plain(s.fresh("s"), state), Value(s.fresh("r"), x.array[0], False, 0.0)]
    inside = inner(s, ports)
    grow(inside, s.integer(1, 4), BODY)
    carried = result(inside, ports[0])
    made = [v for v in inside.values if any(v.name in node.output for node in inside.nodes)]
    outputs = [carried, *[v for v in made if v is not carried][:1]]
    if len(outputs) < 2:
        outputs += inside.node("Identity", [ports[1]], unit=0, exact=True)
    body = body_of(inside, "body", ports, outputs)
    node = helper.make_node("Scan", [state.name, x.name], [s.fresh() for _ in outputs], body=body,
                            num_scan_inputs=1, scan_input_directions=[s.integer(0, 1)],
                            scan_output_directions=[s.integer(0, 1)])  # fmt: skip
    finish(s, node, [v for v in outputs if v.is_float])


CONTROL = (choose, loop, scan)
# Bodies hold what is cheap to make, and control flow again.
BODY = (
    families.unary, families.exact_unary, families.binary, families.binary, families.where,
    families.matmul, families.softmax, families.norm, families.reduce, families.concat,
    families.cut, families.reshape, families.permute, families.gather, families.squeeze,
    families.conv, families.gemm, families.cast, families.found, choose,
)  # fmt: skip
