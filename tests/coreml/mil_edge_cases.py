"""Edges of operations of ML Programs: values that a run alone knows, indices from the end, types of
few bits, directions of recurrent layers, combinations of compressed weights. Several operations are
one program (test_edges.py)."""

import numpy as np
import torch
import torch.nn.functional as F
from box_cases import crop
from coreml_run import Case, mb

CASES = []
RNG = np.random.default_rng(16)


def f(*shape):
    return RNG.standard_normal(shape).astype("f")


def i(*values):
    return np.array(values, "i4")


def case(name, build, inputs, want, opset=5):
    CASES.append(Case(name, build, inputs, want, opset))


# ---- recurrent layers ---------------------------------------------------------------------------

SIGMOID = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
FUNCTIONS = {
    "tanh": np.tanh, "sigmoid": SIGMOID, "relu": lambda v: np.maximum(v, 0),
    "hard_sigmoid": lambda v: np.clip(0.2 * v + 0.5, 0, 1), "linear": lambda v: v,
    "scaled_tanh": lambda v: 1.7159 * np.tanh(2 / 3 * v),
    "softplus": lambda v: np.log1p(np.exp(v)), "softsign": lambda v: v / (1 + abs(v)),
}


def steps(x, state, cell, reverse):
    """All outputs in the order in which they are computed, and the last state; cell(x, state)
    gives an output and a state."""
    every = []
    for step in x[::-1] if reverse else x:
        out, state = cell(step, state)
        every.append(out)
    return np.stack(every), state


def gru(x, h, w, r, b=0, state_bias=None, reverse=False, outer="tanh", inner="sigmoid"):
    outer, inner = FUNCTIONS[outer], FUNCTIONS[inner]

    def cell(v, h):
        wr, wo, wz = np.split(v @ w.T + b, 3, 1)
        after = h @ r.T + (0 if state_bias is None else state_bias)
        rr, ro, rz = np.split(after, 3, 1)
        reset, update = inner(wr + rr), inner(wz + rz)
        if state_bias is None:
            ro = (reset * h) @ np.split(r, 3)[1].T
        else:
            ro = reset * ro
        h = (1 - update) * outer(wo + ro) + update * h
        return h, h

    return steps(x, h, cell, reverse)


def lstm(x, h, c, w, r, b=0, peep=None, clip=None, reverse=False, inner="sigmoid",
         cell_act="tanh", outer="tanh"):
    inner, cell_act, outer = FUNCTIONS[inner], FUNCTIONS[cell_act], FUNCTIONS[outer]
    pi, pf, po = np.split(np.zeros(3 * h.shape[1]) if peep is None else peep, 3)

    def cell(v, state):
        h, c = state
        i_, f_, o_, g_ = np.split(v @ w.T + h @ r.T + b, 4, 1)
        c2 = inner(f_ + pf * c) * c + inner(i_ + pi * c) * cell_act(g_)
        if clip:
            c2 = np.clip(c2, -clip, clip)
        h = inner(o_ + po * c2) * outer(c2)
        return h, (h, c2)

    return steps(x, (h, c), cell, reverse)


T, B, I, H = 4, 2, 3, 2
X, H0, C0 = f(T, B, I), f(B, H), f(B, H)
GW, GR, GB, GB2 = f(3 * H, I), f(3 * H, H), f(3 * H), f(3 * H)
LW, LR, LB, LP = 2 * f(4 * H, I), f(4 * H, H), f(4 * H), f(3 * H)
RW, RR, RB = f(H, I), f(H, H), f(H)
for direction in ("forward", "reverse"):
    back = direction == "reverse"
    for sequence in (True, False):
        cut = slice(None) if sequence else slice(-1, None)
        same = {"direction": direction, "output_sequence": sequence}
        name = f"{direction}_{sequence}"
        y, h = gru(X, H0, GW, GR, GB, reverse=back, outer="sigmoid", inner="tanh")
        case("gru_" + name, lambda x, h, same=same: mb.gru(
            x=x, initial_h=h, weight_ih=GW, weight_hh=GR, bias=GB, recurrent_activation="tanh",
            activation="sigmoid", **same), [X, H0], [y[cut], h])
        y, h = steps(X, H0, lambda v, h: (np.tanh(v @ RW.T + h @ RR.T + RB),) * 2, back)
        case("rnn_" + name, lambda x, h, same=same: mb.rnn(
            x=x, initial_h=h, weight_ih=RW, weight_hh=RR, bias=RB, **same), [X, H0], [y[cut], h])
        y, (h, c) = lstm(X, H0, C0, LW, LR, LB, LP, 0.4, back)
        case("lstm_" + name, lambda x, h, c, same=same: mb.lstm(
            x=x, initial_h=h, initial_c=c, weight_ih=LW, weight_hh=LR, bias=LB, peephole=LP,
            clip=0.4, **same), [X, H0, C0], [y[cut], h, c])
for name, function in FUNCTIONS.items():  # rnn alone takes the last two
    y, h = steps(X, H0, lambda v, h, fn=function: (fn(v @ RW.T + h @ RR.T),) * 2, False)
    case("rnn_" + name, lambda x, h, name=name: mb.rnn(
        x=x, initial_h=h, weight_ih=RW, weight_hh=RR, activation=name, output_sequence=True),
        [X, H0], [y, h])
    if name.startswith("soft"):
        continue
    y, (h, c) = lstm(X, H0, C0, LW / 4, LR / 4, inner="sigmoid", cell_act=name, outer="tanh")
    case("lstm_cell_" + name, lambda x, h, c, name=name: mb.lstm(
        x=x, initial_h=h, initial_c=c, weight_ih=LW / 4, weight_hh=LR / 4, cell_activation=name,
        output_sequence=True), [X, H0, C0], [y, h, c])
y, (h, c) = lstm(X, H0, C0, LW, LR, inner="hard_sigmoid", cell_act="scaled_tanh", outer="relu")
case("lstm_functions", lambda x, h, c: mb.lstm(
    x=x, initial_h=h, initial_c=c, weight_ih=LW, weight_hh=LR, recurrent_activation="hard_sigmoid",
    cell_activation="scaled_tanh", activation="relu", output_sequence=True), [X, H0, C0], [y, h, c])
BOTH = [f(4 * H, I), f(4 * H, H), f(4 * H), f(3 * H)]
HB, CB = f(B, 2 * H), f(B, 2 * H)
fy, (fh, fc) = lstm(X, HB[:, :H], CB[:, :H], LW, LR, LB, LP, 0.6)
by, (bh, bc) = lstm(X, HB[:, H:], CB[:, H:], *BOTH, 0.6, True)
for sequence in (True, False):
    y = np.concatenate([fy, by[::-1]] if sequence else [fy[-1:], by[-1:]], 2)
    case(f"lstm_both_{sequence}", lambda x, h, c, sequence=sequence: mb.lstm(
        x=x, initial_h=h, initial_c=c, weight_ih=LW, weight_hh=LR, bias=LB, peephole=LP,
        weight_ih_back=BOTH[0], weight_hh_back=BOTH[1], bias_back=BOTH[2], peephole_back=BOTH[3],
        direction="bidirectional", clip=0.6, output_sequence=sequence), [X, HB, CB],
        [y, np.concatenate([fh, bh], 1), np.concatenate([fc, bc], 1)])
for biases in ({}, {"bias": GB2}, {"input_bias": GB}, {"bias": GB2, "input_bias": GB}):
    y, h = gru(X, H0, GW, GR, biases.get("input_bias", 0), biases.get("bias", 0))
    case("gru_reset_after_" + "_".join(biases), lambda x, h, biases=biases: mb.gru(
        x=x, initial_h=h, weight_ih=GW, weight_hh=GR, reset_after=True, output_sequence=True,
        **biases), [X, H0], [y, h], 8)

# ---- by index -----------------------------------------------------------------------------------

D = f(3, 4, 2)
N = RNG.integers(-9, 9, (3, 4)).astype("i4")
for opset in (5, 7):
    for axis in (0, 1, 2, -1):
        case(f"gather_{axis}_{opset}", lambda x, at, axis=axis: mb.gather(x=x, indices=at,
             axis=axis), [D, i([0, -1], [1, 0])], np.take(D, i([0, -1], [1, 0]), axis), opset)
case("gather_one", lambda x: mb.gather(x=x, indices=2, axis=1), [D], D[:, 2])
case("gather_none", lambda x, at: mb.gather(x=x, indices=at, axis=0), [N, i(-3, 2)], N[[0, 2]])
G = RNG.integers(-2, 2, (3, 4, 5)).astype("i4")
case("gather_along_last", lambda x, at: mb.gather_along_axis(x=x, indices=at, axis=-1), [D, G],
     np.take_along_axis(D, G, -1))
case("gather_nd_deep", lambda x, at: mb.gather_nd(x=x, indices=at),
     [D, i([[0, -1, 1], [2, 0, -2]])], D[[[0, 2]], [[-1, 0]], [[1, -2]]])
case("gather_nd_batch", lambda x, at: mb.gather_nd(x=x, indices=at, batch_dims=1),
     [D, i([[3], [0]], [[1], [1]], [[-1], [2]])],
     np.stack([D[k][at] for k, at in enumerate([[3, 0], [1, 1], [-1, 2]])]), 6)
P = f(2, 3, 4, 5)
for axis, batch, at in ((3, 1, RNG.integers(0, 5, (2, 3))), (2, 2, RNG.integers(0, 4, (2, 3, 2))),
                        (1, 1, RNG.integers(-3, 3, (2,))), (-1, 2, RNG.integers(0, 5, (2, 3, 1)))):
    def picked(p=P, axis=axis, batch=batch, at=at):
        if batch == 0:
            return np.take(p, at, axis)
        return np.stack([picked(p[k], axis - 1 if axis > 0 else axis, batch - 1, at[k])
                         for k in range(len(p))])
    case(f"gather_batch_{axis}_{batch}", lambda x, at, axis=axis, batch=batch: mb.gather(
        x=x, indices=at, axis=axis, batch_dims=batch), [P, at.astype("i4")], picked(), 6)


def scattered(data, at, updates, mode):
    """Each of the updates joined with the element of its place, in order."""
    joins = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum,
             "min": np.minimum, "update": lambda a, b: b,
             "div": lambda a, b: a / b if a.dtype.kind == "f" else np.trunc(a / b).astype(a.dtype)}
    out = data.copy()
    for where, update in zip(at, updates):
        out[where] = joins[mode](out[where], update)
    return out


S, U = f(4, 3), np.abs(f(3, 3)) + 0.5
SI, UI = RNG.integers(-40, 40, (4, 3)).astype("i4"), i([7, 2, 3], [-5, 4, 9], [3, -3, 6])
for mode in ("add", "sub", "mul", "div", "max", "min", "update"):
    for kind, data, updates in (("f", S, U), ("i", SI, UI)):
        case(f"scatter_{mode}_{kind}", lambda d, at, u, mode=mode: mb.scatter(
            data=d, indices=at, updates=u, axis=0, mode=mode), [data, i(3, -4, -1), updates],
            scattered(data, [3, 0, 3], updates, mode))
        at = i([0, 2], [1, -1], [0, 0])
        case(f"scatter_nd_{mode}_{kind}", lambda d, at, u, mode=mode: mb.scatter_nd(
            data=d, indices=at, updates=u, mode=mode), [data, at, updates[0]],
            scattered(data, [(0, 2), (1, 2), (0, 0)], updates[0], mode))
        along = i([1, 0, -1], [0, 3, 1], [1, 2, 2])
        places = [(along[r, c], c) for r in range(3) for c in range(3)]
        case(f"scatter_along_{mode}_{kind}", lambda d, at, u, mode=mode: mb.scatter_along_axis(
            data=d, indices=at, updates=u, axis=0, mode=mode), [data, along, updates],
            scattered(data, places, updates.ravel(), mode))
case("scatter_deep", lambda d, at, u: mb.scatter(data=d, indices=at, updates=u, axis=1,
     mode="add"), [D, i([0, 1], [3, -2]), np.ones((3, 2, 2, 2), "f")],
     D + np.array([1, 1, 1, 1], "f")[:, None])
case("scatter_last", lambda d, at, u: mb.scatter(data=d, indices=at, updates=u, axis=-1,
     mode="update"), [S, i(-1), np.full((4, 1), 5, "f")],
     np.concatenate([S[:, :2], np.full((4, 1), 5, "f")], 1), 7)
for axis in (0, 1, -1):
    hot = np.moveaxis(np.where(i([0, 2], [3, -1])[..., None] == np.arange(3), 4, -1), -1, axis)
    case(f"one_hot_{axis}", lambda at, axis=axis: mb.one_hot(
        indices=at, one_hot_vector_size=3, axis=axis, on_value=4, off_value=-1),
        [i([0, 2], [3, -1])], hot.astype("i4"))
case("one_hot_plain", lambda at: mb.one_hot(indices=at, one_hot_vector_size=4), [i(1, 3)],
     np.eye(4, dtype="i4")[[1, 3]])
case("non_zero_i", lambda x: mb.non_zero(x=x), [N], np.argwhere(N).astype("i4"))
case("non_zero_b", lambda x: mb.non_zero(x=mb.greater(x=x, y=0.0)), [S],
     np.argwhere(S > 0).astype("i4"))
case("non_zero_none", lambda x: mb.non_zero(x=x), [S * 0], np.zeros((0, 2), "i4"))
for lower, upper in ((-1, 0), (0, -1), (0, 0), (-1, -1), (5, 1), (1, 5)):
    keep = [[(lower < 0 or m - n <= lower) and (upper < 0 or n - m <= upper) for n in range(4)]
            for m in range(3)]
    for kind, x in (("f", f(2, 3, 4)), ("i", N)):
        case(f"band_{lower}_{upper}_{kind}", lambda x, lower=lower, upper=upper: mb.band_part(
            x=x, lower=lower, upper=upper), [x], x * np.array(keep, x.dtype))
W = f(2, 7, 3)
for axis, size, stride in ((1, 3, 1), (-2, 2, 3), (0, 2, 1), (-1, 1, 2)):
    at = axis % 3
    count = (W.shape[at] - size) // stride + 1
    case(f"windows_{axis}_{size}", lambda x, axis=axis, size=size, stride=stride:
         mb.sliding_windows(x=x, axis=axis, size=size, stride=stride), [W],
         np.stack([W.take(range(k * stride, k * stride + size), at) for k in range(count)], at))
case("reverse_sequence_axes", lambda x, n: mb.reverse_sequence(x=x, lengths=n, seq_axis=2,
     batch_axis=1), [P, i(4, 0, 1)], np.stack(
         [P[:, 0][:, ::-1], P[:, 1], P[:, 2]], 1))
case("reverse_all", lambda x: mb.reverse(x=x), [D], D[::-1, ::-1, ::-1])
case("reverse_i", lambda x: mb.reverse(x=x, axes=[-1]), [N], N[:, ::-1])

# ---- what a run alone knows ---------------------------------------------------------------------

L = f(4, 6)
case("size_from_end", lambda x, b: mb.slice_by_size(x=x, begin=b, size=[2, 2]), [L, i(-2, -3)],
     L[2:, 3:5])
case("size_of_run", lambda x, b, n: mb.slice_by_size(x=x, begin=b, size=n), [L, i(1, -2), i(2, 2)],
     L[1:3, 4:])
case("size_to_end_of_run", lambda x, b, n: mb.slice_by_size(x=x, begin=b, size=n),
     [L, i(1, -5), i(-1, 3)], L[1:, 1:4])
case("size_known_begin", lambda x, n: mb.slice_by_size(x=x, begin=[-3, 2], size=n),
     [L, i(3, -1)], L[1:, 2:])
case("cut_of_run", lambda x, b, e: mb.slice_by_index(
    x=x, begin=b, end=e, stride=[-1, 2], end_mask=[True, False]), [L, i(-2, 1), i(0, -1)],
    L[-2::-1, 1:-1:2])
PART = f(2, 3)
UPDATED = L.copy()
UPDATED[9:0:-2, -9:6:2] = PART
case("slice_update_ends", lambda x, u: mb.slice_update(
    x=x, update=u, begin=[9, -9], end=[0, 6], stride=[-2, 2]), [L, PART], UPDATED, 8)
case("picked_of_run", lambda x, b: mb.slice_by_index(
    x=x, begin=b, end=[0, 0], end_mask=[False, True], squeeze_mask=[True, False]), [L, i(-1, 2)],
    L[-1, 2:])
case("reshape_of_run", lambda x, s: mb.reshape(x=x, shape=s), [L, i(3, -1, 2)],
     L.reshape(3, -1, 2))
case("reshape_zero_of_run", lambda x: mb.reshape(x=x, shape=mb.concat(
    values=[i(0), mb.mul(x=mb.slice_by_index(x=mb.shape(x=x), begin=[1], end=[2]), y=1)], axis=0)),
     [L], L, 7)
case("reshape_zeros_last", lambda x: mb.reshape(x=x, shape=[1, 0, 0]), [L], L[None], 7)
case("reshape_zeros_first", lambda x: mb.reshape(x=x, shape=[0, -1, 0]), [P[0]],
     P[0], 7)
case("reshape_zeros_more", lambda x: mb.reshape(x=x, shape=[0, 0, 0, -1]), [L],
     L.reshape(1, 1, 4, 6), 7)
case("reshape_none", lambda x: mb.reshape(x=x, shape=[0, 4]), [L[:, :1].T.copy()],
     L[:, :1].T.reshape(1, 4))
case("pad_of_run", lambda x, p: mb.pad(x=x, pad=p, constant_val=2.0), [L, i(1, 2, 0, 3)],
     np.pad(L, [(1, 2), (0, 3)], constant_values=2))
case("pad_reflect_of_run", lambda x, p: mb.pad(x=x, pad=p, mode="reflect"), [L, i(0, 0, 1, 2)],
     np.pad(L, [(0, 0), (1, 2)], mode="reflect"))
case("tile_of_run", lambda x, r: mb.tile(x=x, reps=r), [L, i(2, 3)], np.tile(L, (2, 3)))
case("fill_of_run", lambda s: mb.fill(shape=s, value=7), [i(2, 0, 3)], np.zeros((2, 0, 3), "i4"))
case("range_of_run", lambda a, b, c: mb.range_1d(end=b, start=a, step=c), [i(9), i(-2), i(-3)],
     np.arange(9, -2, -3, dtype="i4"))
case("range_floats", lambda x: mb.range_1d(end=x, start=0.25, step=0.5), [np.float32([2.0])],
     np.arange(0.25, 2, 0.5, dtype="f"))
case("gather_nd_rows", lambda x, at: mb.gather_nd(x=x, indices=at), [L, i([-1], [0])], L[[-1, 0]])
WINDOW = f(9, 2)
case("windows_of_run", lambda x, e: mb.sliding_windows(
    x=mb.slice_by_index(x=x, begin=[1, 0], end=e), axis=0, size=3, stride=2), [WINDOW, i(8, 2)],
    np.stack([WINDOW[1 + k:4 + k] for k in (0, 2, 4)]))

# ---- shapes -------------------------------------------------------------------------------------

case("squeeze_some", lambda x: mb.squeeze(x=x, axes=[-1, 0]), [L[None, :, :, None]], L)
case("expand_ends", lambda x: mb.expand_dims(x=x, axes=[0, 2, -1]), [L], L[None, :, None, :, None])
case("flatten_end", lambda x: mb.flatten2d(x=x, axis=-1), [D], D.reshape(12, 2))
case("flatten_start", lambda x: mb.flatten2d(x=x, axis=0), [D], D.reshape(1, 24))
case("stack_numbers", lambda x: mb.stack(values=(mb.squeeze(x=x), np.float32(3)), axis=0), [L[:1,
     :1]], np.array([L[0, 0], 3], "f"))
case("concat_numbers", lambda x: mb.concat(values=(mb.squeeze(x=x), np.float32(3)), axis=0), [L[:1,
     :1]], np.array([L[0, 0], 3], "f"))
case("interleave_back", lambda a, b, c: mb.concat(values=(a, b, c), axis=-1, interleave=True),
     [L, L + 1, L + 2], np.stack([L, L + 1, L + 2], 2).reshape(4, 18))
case("split_back", lambda x: mb.split(x=x, split_sizes=[1, 2, 3], axis=-1), [L],
     [L[:, :1], L[:, 1:3], L[:, 3:]])
Z = f(24)
case("like", lambda x, y, z: mb.reshape_like(
    x=x, ref_tensors=(y, z), begins=(0, 1), ends=(1, 2), end_masks=(False, False)),
    [Z, L[:, :2].copy(), f(5, 6)], Z.reshape(4, 6), 6)
case("like_from_end", lambda x, y: mb.reshape_like(
    x=x, ref_tensors=(y,), begins=(-2,), ends=(-1,), end_masks=(False,)),
    [Z[:4], f(2, 4, 6)], Z[:4], 6)
for mode, how in (("reflect", "reflect"), ("replicate", "edge")):
    case("pad_all_" + mode, lambda x, mode=mode: mb.pad(x=x, pad=[0, 0, 0, 0, 2, 3, 1, 4],
         mode=mode), [P], np.pad(P, [(0, 0), (0, 0), (2, 3), (1, 4)], mode=how))
case("pad_channels", lambda x: mb.pad(x=x, pad=[1, 0, 0, 2, 0, 0, 3, 0], mode="constant",
     constant_val=-1.0), [P], np.pad(P, [(1, 0), (0, 2), (0, 0), (3, 0)], constant_values=-1))
Q = f(1, 12, 2, 3)
case("depth_to_space_3", lambda x: mb.depth_to_space(x=x, block_size=2), [Q],
     Q.reshape(1, 2, 2, 3, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 3, 4, 6))
V = f(1, 3, 4, 6)
case("space_to_depth_3", lambda x: mb.space_to_depth(x=x, block_size=2), [V],
     V.reshape(1, 3, 2, 2, 3, 2).transpose(0, 3, 5, 1, 2, 4).reshape(1, 12, 2, 3))
case("cumsum_i", lambda x: mb.cumsum(x=x, axis=-1, exclusive=True, reverse=True), [N],
     np.concatenate([N[:, ::-1].cumsum(1)[:, ::-1][:, 1:], np.zeros((3, 1))], 1).astype("i4"))
TIES = np.array([[1, 3, 3, 0], [2, 2, 2, 2], [-1, -1, 5, -1]], "f")
for ascending in (False, True):
    order = np.argsort(TIES if ascending else -TIES, 1, kind="stable").astype("i4")
    case(f"topk_ties_{ascending}", lambda x, ascending=ascending: mb.topk(
        x=x, k=3, axis=-1, ascending=ascending), [TIES],
        [np.take_along_axis(TIES, order, 1)[:, :3], order[:, :3]])
    case(f"argsort_ties_{ascending}", lambda x, ascending=ascending: mb.argsort(
        x=x, axis=1, ascending=ascending), [TIES], order)
case("topk_i", lambda x: mb.topk(x=x, k=2, axis=0, ascending=True), [N],
     [np.sort(N, 0)[:2], np.argsort(N, 0, kind="stable")[:2].astype("i4")])

# ---- types of few bits --------------------------------------------------------------------------

for dtype in ("int8", "uint8", "int16", "uint16"):
    M = RNG.integers(0, 100, (3, 4)).astype("i4")

    def moved(x, dtype=dtype):
        x = mb.cast(x=x, dtype=dtype)
        x = mb.transpose(x=mb.expand_dims(x=x, axes=[0]), perm=[0, 2, 1])
        x = mb.reverse(x=mb.squeeze(x=x, axes=[0]), axes=[1])
        x = mb.gather(x=x, indices=i(3, 0, -1), axis=0)
        x = mb.slice_by_index(x=x, begin=[0, 2], end=[3, 0], stride=[1, -1], end_mask=[False, True])
        x = mb.reshape(x=x, shape=[9])
        x = mb.sliding_windows(x=x, axis=0, size=4, stride=5)
        return mb.cast(x=mb.gather_along_axis(x=x, indices=i([0, 1, 3], [3, 3, 0]), axis=1),
                       dtype="int32")

    want = M.T[:, ::-1][[3, 0, -1]][:, ::-1].reshape(9)
    want = np.stack([want[:4], want[5:9]])
    case("moved_" + dtype, moved, [M], np.take_along_axis(
        want, i([0, 1, 3], [3, 3, 0]), 1), 7)
    case("topk_" + dtype, lambda x, dtype=dtype: mb.cast(x=mb.topk(
        x=mb.cast(x=x, dtype=dtype), k=2, axis=1)[0], dtype="int32"), [M],
        -np.sort(-M, 1)[:, :2], 7)
case("bools", lambda x: mb.cast(x=mb.tile(x=mb.concat(values=(
    mb.greater(x=x, y=0.0), mb.reverse(x=mb.greater(x=x, y=0.0), axes=[0])), axis=0),
    reps=[1, 2]), dtype="int32"), [S],
    np.tile(np.concatenate([S > 0, (S > 0)[::-1]]), (1, 2)).astype("i4"))

# ---- lists --------------------------------------------------------------------------------------


def lists(x, at):
    ls = mb.make_list(init_length=2, elem_shape=(3,), dtype="fp32")
    ls = mb.list_scatter(ls=ls, indices=at, value=x)
    old = ls
    ls = mb.list_write(ls=ls, index=0, value=mb.list_read(ls=old, index=3))
    return (mb.list_length(ls=old), mb.list_gather(ls=old, indices=i(3, 0, 2, 1)),
            mb.list_read(ls=ls, index=0), mb.list_length(ls=ls))


R = f(2, 3)
case("lists", lists, [R, i(3, 1)],
     [np.int32(4), np.stack([R[0], R[0] * 0, R[0] * 0, R[1]]), R[0], np.int32(4)])


def whole_lists(x, n):
    ls = mb.make_list(init_length=mb.squeeze(x=n), elem_shape=(2, 2), dtype="int32")
    ls = mb.list_write(ls=ls, index=1, value=x)
    return mb.list_gather(ls=ls, indices=i(1, 0)), mb.list_length(ls=ls)


case("lists_i", whole_lists, [N[:2, :2].copy(), i(3)],
     [np.stack([N[:2, :2], N[:2, :2] * 0]), np.int32(3)])

# ---- images whose places or sizes a run tells ---------------------------------------------------

IMAGE = f(2, 3, 5, 4)
SPOTS = RNG.uniform(-2.7, 3.1, (2, 3, 7, 2)).astype("f")  # in widths and heights, from -1 to 1
MIRRORS = {"border": lambda k, n: np.clip(k, 0, n - 1),
           "reflection": lambda k, n: n - 1 - abs(n - 1 - k % (2 * n - 2)),
           "symmetric": lambda k, n: np.minimum(k % (2 * n), 2 * n - 1 - k % (2 * n))}


def sampled(image, pixels, padding, nearest, value=0.0):
    """Of places in pixels, x and y: what lies outside is mirrored, repeated or `value`."""
    height, width = image.shape[2:]
    total = 0
    first = np.rint(pixels).astype(int) if nearest else np.floor(pixels).astype(int)
    for dy in (0, 1)[: 2 - nearest]:
        for dx in (0, 1)[: 2 - nearest]:
            x, y = first[..., 0] + dx, first[..., 1] + dy
            weight = 1 if nearest else np.prod(1 - abs(pixels - np.stack([x, y], -1)), -1)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            mirror = MIRRORS.get(padding, MIRRORS["border"])
            x, y = mirror(x, width), mirror(y, height)
            taken = np.stack([image[b][:, y[b], x[b]] for b in range(len(image))])
            if padding == "constant":
                taken = np.where(inside[:, None], taken, value)
            total = total + (weight if nearest else weight[:, None]) * taken
    return total.astype("f")


for padding in ("constant", "border", "reflection", "symmetric"):
    for align in (True, False):
        size = np.array([4, 5])
        pixels = (SPOTS + 1) / 2 * (size - 1) if align else ((SPOTS + 1) * size - 1) / 2
        places = {"normalized_minus_one_to_one": SPOTS, "normalized_zero_to_one": (SPOTS + 1) / 2,
                  "unnormalized": pixels.astype("f")}
        for mode, at in places.items():
            for sampling in ("bilinear", "nearest"):
                if sampling == "nearest" and mode != "unnormalized":
                    continue
                case(f"resample_{padding}_{align}_{mode}_{sampling}",
                     lambda x, at, a=(padding, align, mode, sampling): mb.resample(
                         x=x, coordinates=at, padding_mode=a[0], align_corners=a[1],
                         coordinates_mode=a[2], sampling_mode=a[3], padding_value=1.5),
                     [IMAGE, at], sampled(IMAGE, pixels, padding, sampling == "nearest", 1.5))


def part_of(x, end):
    """x, of a size that a run tells."""
    return mb.slice_by_index(x=x, begin=[0, 0, 0, 0], end=end)


ALL, ENDS = f(3, 3, 9, 8), i(2, 3, 5, 7)
LESS = ALL[:2, :, :5, :7]
ROIS = np.array([[0.5, 1, 3, 5], [-1, 2, 4, 6.5], [1, 0, 1, 9]], "f")
OF = i(1, 0, 1)
for sampling in ("DEFAULT", "OFFSET_CORNERS"):
    for normalized in (False, True):
        boxes = ROIS / 4 if normalized else ROIS
        how = {"sampling": sampling, "normalized": normalized}
        same = {"target_height": 3, "target_width": 4, "sampling_mode": sampling,
                "normalized_coordinates": normalized}
        crops = np.stack([[crop(x, b, (3, 4), **how) for x in LESS] for b in boxes])
        name = f"{sampling}_{normalized}"
        case("crop_of_run_" + name, lambda x, e, b, at, same=same: mb.crop_resize(
            x=part_of(x, e), boxes=b, box_indices=at, **same), [ALL, ENDS, boxes, OF],
            crops[np.arange(3), OF], 7)
        case("crop_of_all_of_run_" + name, lambda x, e, b, same=same: mb.crop_resize(
            x=part_of(x, e), roi=b, **same), [ALL, ENDS, boxes[:, None, :, None, None]], crops)
        five = np.concatenate([OF[:, None], boxes], 1).astype("f")[:, None, :, None, None]
        case("crop_of_own_of_run_" + name, lambda x, e, b, same=same: mb.crop_resize(
            x=part_of(x, e), roi=b, **same), [ALL, ENDS, five], crops[np.arange(3), OF][:, None])
THETA = f(2, 6)
for count in (1, 2):
    grid = F.affine_grid(torch.tensor(THETA[:count]).view(-1, 2, 3).expand(2, 2, 3), (2, 3, 4, 6),
                         align_corners=True)
    case(f"affine_of_run_{count}", lambda x, e, t: mb.affine(
        x=part_of(x, e), transform_matrix=t, output_height=4, output_width=6,
        sampling_mode="bilinear", padding_mode="constant", padding_value=0.0,
        coordinates_mode="normalized_minus_one_to_one", align_corners=True),
        [ALL, ENDS, THETA[:count]],
        F.grid_sample(torch.tensor(LESS), grid, align_corners=True).numpy())
