"""Layers whose amounts, strides or masks are inputs, and weights that are missing."""

import numpy as np
from coreml_run import Case
from nn_cases import f

COMPUTED, MISSING = [], {}
x = f(3, 5, 4)


def constant(n, name, numbers):
    n.add_load_constant_nd(name, name, np.array(numbers, "f"), (len(numbers),))


def sliced(begin, end, stride, begin_open, end_open, squeeze, given):
    """The first `given` of the lists are inputs, constants of the network."""
    def build(n):
        lists = [begin, end, stride, begin_open, end_open, squeeze]
        for k in range(given):
            constant(n, f"list{k}", lists[k])
        names = {"end_ids": end, "strides": stride, "begin_masks": begin_open,
                 "end_masks": end_open, "squeeze_masks": squeeze}
        kept = {name: lists[k + 1] for k, name in enumerate(names) if k + 1 >= given}
        n.add_slice_dynamic("l", ["in0"] + [f"list{k}" for k in range(given)], "out0", **kept)
    return build


for count in (1, 2, 3, 4, 5, 6):
    COMPUTED.append(Case(f"sliceDynamic of {count + 1} inputs", sliced(
        [1, -1, 1], [3, 0, 3], [1, -2, 2], [False, False, True], [False, True, False],
        [True, False, False], count), [x], x[1, ::-2, 0:3:2]))


def cut_by_run(given):
    """Lists of the input sliceDynamic that a run tells from the fourth on, as many as given."""
    def build(n):
        names = ["strides", "begin_masks", "end_masks", "squeeze_masks"]
        rest = dict(zip(names[given - 2:], [[False] * 3] * 4, strict=False))
        n.add_slice_dynamic("l", [f"in{k}" for k in range(given + 1)], "out0", **rest)
    return build


def lists(*numbers):
    return [np.array(each, "f") for each in numbers]


# Of a run: strides alone, open begins, open ends, and axes that go.
for name, numbers, want in [
    ("strides", [[0, 4, 3], [3, 0, 0], [2, -1, -2]], x[0:3:2, 4:0:-1, 3:0:-2]),
    ("open begins", [[9, 9, 1], [3, -4, 4], [1, -2, 2], [1, 1, 0]], x[:3, :-4:-2, 1:4:2]),
    ("open ends", [[0, 9, -3], [9, 9, 0], [2, -1, 1], [0, 1, 0], [0, 1, 1]], x[::2, ::-1, -3:]),
    ("squeezes", [[1, 0, -1], [3, 5, 2], [1, 2, -1], [1, 0, 0], [0, 1, 1], [0, 0, 1]],
     x[:3, ::2, -1]),
    ("two squeezes", [[1, 1, -4], [3, 5, 2], [1, 2, 1], [1, 0, 0], [0, 1, 0], [1, 0, 1]],
     x[1, 1::2, 0]),
    ("squeezes of all", [[2, 3, -1], [0] * 3, [1] * 3, [0] * 3, [0] * 3, [1] * 3],
     x[2, 3, -1:]),
]:
    COMPUTED.append(Case(f"sliceDynamic of {name} of a run", cut_by_run(len(numbers)),
                         [x, *lists(*numbers)], want))


def padded(to_size):
    def build(n):
        n.add_constant_pad("l", ["in0", "in1"], "out0", 1.5, to_size)
    return build


COMPUTED.append(Case("constantPad by an input", padded(False), [
    x, np.array([1, 0, 0, 2, 3, 1], "f")], np.pad(x, ((1, 0), (0, 2), (3, 1)),
                                                  constant_values=1.5)))
COMPUTED.append(Case("constantPad to sizes of an input", padded(True), [
    x, np.array([0, 0, 7, 0, 0, 5], "f")], np.pad(x, ((0, 0), (2, 0), (0, 1)),
                                                  constant_values=1.5)))


def convolution(n):
    n.add_convolution("l", 3, 1, 1, 1, 1, 1, "valid", 1, np.ones((1, 1, 3, 1), "f"),
                      np.ones(1, "f"), True, input_name="in0", output_name="out0")
    n.spec.neuralNetwork.layers[-1].convolution.ClearField("bias")


def product(n):
    n.add_inner_product("l", np.ones((1, 4), "f"), np.ones(1, "f"), 4, 1, True, "in0", "out0")
    n.spec.neuralNetwork.layers[-1].innerProduct.ClearField("bias")


MISSING.update(convolution=convolution, innerProduct=product)
