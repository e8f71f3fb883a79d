"""The rest of mil_shape_cases.py: what is written, cut and thinned by numbers that a run tells."""

import numpy as np
from coreml_run import mb
from mil_cases import case, f, x
from mil_shape_cases import CASES  # noqa: F401

# slice_update; x is (2,3,4,5)


def updated(index, value, of=x):
    out = of.copy()
    out[index] = value
    return out


def update_case(name, index, known, **cut):
    """`begin` and `end` are inputs unless they are known, so that only a run tells them."""
    value = f(*x[index].shape)
    given = [np.array(cut.pop(n), "i4") for n in ("begin", "end")]

    def build(a, b, *bounds):
        begin, end = bounds or given
        return mb.slice_update(x=a, update=b, begin=begin, end=end, **cut)

    inputs = [x, value] if known else [x, value, *given]
    case(f"slice_update_{name}", build, inputs, updated(index, value), 8)


s = slice
rank = x.ndim
full = [False] * 2 + [True] * (rank - 2)
update_case("inside", (s(1, 2), s(1, 3)), False, begin=[1, 1, 0, 0], end=[2, 3, 0, 0],
            begin_mask=full, end_mask=full)
update_case("negative", (s(-2, -1), s(None)), False, begin=[-2, 0, 0, 0], end=[-1, 0, 0, 0],
            end_mask=[False] + [True] * 3)
update_case("squeezed", (1, s(None), 2), False, begin=[1, 0, 2, 0], end=[2, 0, 3, 0],
            begin_mask=[False, True, False, True], end_mask=[False, True, False, True],
            squeeze_mask=[True, False, True, False])
update_case("steps", (s(0, 2, 2), s(None, None, -1)), True, begin=[0, 0, 0, 0], end=[2, 0, 0, 0],
            stride=[2, -1, 1, 1], begin_mask=[False, True, True, True],
            end_mask=[False, True, True, True])
update_case("whole", (s(None),), True, begin=[0] * 4, end=[0] * 4, begin_mask=[True] * 4,
            end_mask=[True] * 4)
update_case("last_axis", (s(None), s(None), s(None), s(1, 3)), False, begin=[0, 0, 0, 1],
            end=[0, 0, 0, 3], begin_mask=[True] * 3 + [False], end_mask=[True] * 3 + [False])
