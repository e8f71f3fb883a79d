"""Edges of layers of neural networks: indices from the end, every kind of scattering, layers that
go backwards, axes in other places. Several layers are one network (test_edges.py); `build` gets a
builder, the names of its inputs and those of its outputs."""

import numpy as np
from box_cases import crop
from coreml_run import Case
from mil_edge_cases import (B, GB, GR, GW, H, I, LB, LP, LR, LW, RB, RR, RW, X, gru, lstm,
                            scattered, steps)

EXACT, OLD = [], []
RNG = np.random.default_rng(17)


def f(*shape):
    return RNG.standard_normal(shape).astype("f")


def n(*values):
    return np.array(values, "f")


def case(name, build, inputs, want):
    EXACT.append(Case(name, build, inputs, np.asarray(want, "f")
                      if not isinstance(want, list) else want))


# ---- by index -----------------------------------------------------------------------------------

D, S, U = f(3, 4, 2), f(4, 3), np.abs(f(3, 3)) + 0.5
for axis in (0, 1, -1):
    case(f"gather {axis}", lambda b, i, o, axis=axis: b.add_gather(o[0], i, o[0], axis),
         [D, n([0, -1], [1, 0])], np.take(D, np.array([[0, -1], [1, 0]]), axis))
case("gatherND", lambda b, i, o: b.add_gather_nd(o[0], i, o[0]), [D, n([-1, 0], [1, -2])],
     D[[-1, 1], [0, -2]])
ALONG = RNG.integers(-2, 2, (3, 4, 5))
case("gatherAlongAxis", lambda b, i, o: b.add_gather_along_axis(o[0], i, o[0], -1),
     [D, ALONG.astype("f")], np.take_along_axis(D, ALONG, -1))
for mode in ("UPDATE", "ADD", "SUB", "MUL", "DIV", "MAX", "MIN"):
    case("scatter " + mode, lambda b, i, o, mode=mode: b.add_scatter(o[0], i, o[0], 0, mode),
         [S, n(3, -4, -1), U], scattered(S, [3, 0, 3], U, mode.lower()))
    case("scatterND " + mode, lambda b, i, o, mode=mode: b.add_scatter_nd(o[0], i, o[0], mode),
         [S, n([0, 2], [1, -1], [0, 0]), U[0]],
         scattered(S, [(0, 2), (1, 2), (0, 0)], U[0], mode.lower()))
    at = np.array([[1, 0, -1], [0, 3, 1], [1, 2, 2]])
    case("scatterAlongAxis " + mode, lambda b, i, o, mode=mode: b.add_scatter_along_axis(
        o[0], i, o[0], 0, mode), [S, at.astype("f"), U],
        scattered(S, [(at[r, c], c) for r in range(3) for c in range(3)], U.ravel(), mode.lower()))
for axis in (0, -1):
    hot = np.moveaxis(np.where(np.array([2, 0, 5, -1])[:, None] == np.arange(3), 2, 0.5), -1, axis)
    case(f"oneHot {axis}", lambda b, i, o, axis=axis: b.add_one_hot(
        o[0], i, o[0], 3, axis, on_value=2.0, off_value=0.5), [n(2, 0, 5, -1)], hot)
for axis, size, step in ((-2, 3, 2), (0, 2, 1), (2, 2, 3)):
    w = f(3, 7, 5)
    at = axis % 3
    case(f"slidingWindows {axis}", lambda b, i, o, a=(axis, size, step): b.add_sliding_windows(
        o[0], i[0], o[0], *a), [w], np.stack([w.take(range(k, k + size), at)
        for k in range(0, w.shape[at] - size + 1, step)], at))
for lower, upper in ((-1, 0), (1, -1), (0, 0), (-1, -1), (9, 1)):
    keep = [[(lower < 0 or m - k <= lower) and (upper < 0 or k - m <= upper) for k in range(2)]
            for m in range(4)]
    case(f"matrixBandPart {lower} {upper}", lambda b, i, o, a=(lower, upper):
         b.add_matrix_band_part(o[0], i[0], o[0], *a), [D], D * np.array(keep))
for k in (-1, 0, 2):
    case(f"lowerTriangular {k}", lambda b, i, o, k=k: b.add_lower_triangular(o[0], i[0], o[0], k),
         [S], np.tril(S, k))
    case(f"upperTriangular {k}", lambda b, i, o, k=k: b.add_upper_triangular(o[0], i[0], o[0], k),
         [S], np.triu(S, k))
P = f(2, 3, 4, 5)
for batch, time, lengths in ((1, 2, (4, 0, 1)), (2, 0, (2, 1, 0, 2)), (1, 0, (0, 2, 2)),
                             (-1, -2, (0, 1, 2, 3, 4))):
    want = P.copy()
    for k, length in enumerate(lengths):
        at = [slice(None)] * 4
        at[batch] = slice(k, k + 1)
        to, at[time] = list(at), slice(0, length)
        to[time] = slice(length - 1, None, -1) if length else slice(0, 0)
        want[tuple(at)] = P[tuple(to)]
    case(f"reverseSeq {batch} {time}", lambda b, i, o, a=(batch, time): b.add_reverse_sequence(
        o[0], i, o[0], *a), [P, n(*lengths)], want)

# ---- shapes -------------------------------------------------------------------------------------

for axis, begin, size in ((0, 1, 2), (1, -2, 2), (-1, -4, 3), (3, 2, 2)):
    at = [slice(None)] * 4
    at[axis] = range(P.shape[axis])[begin:][:size]
    case(f"sliceBySize {axis}", lambda b, i, o, a=(axis, size): b.add_slice_by_size(
        o[0], i, o[0], *a), [P, n(begin)], P[tuple(at)])
case("tile of the last", lambda b, i, o: b.add_tile(o[0], i[0], o[0], [2, 3]), [D],
     np.tile(D, (1, 2, 3)))
case("tile by an input", lambda b, i, o: b.add_tile(o[0], i, o[0], []), [D, n(2, 1, 3)],
     np.tile(D, (2, 1, 3)))
case("tile of the last by an input", lambda b, i, o: b.add_tile(o[0], i, o[0], []), [D, n(2, 3)],
     np.tile(D, (1, 2, 3)))
case("reshapeStatic of zeros", lambda b, i, o: b.add_reshape_static(o[0], i[0], o[0], (0, -1)), [P],
     P.reshape(2, -1))
case("rankPreservingReshape", lambda b, i, o: b.add_rank_preserving_reshape(
    o[0], i[0], o[0], (0, 0, -1, 2)), [P], P.reshape(2, 3, 10, 2))
case("reshapeDynamic", lambda b, i, o: b.add_reshape_dynamic(o[0], i, o[0]), [P, n(-1, 6)],
     P.reshape(-1, 6))
for axis in (0, 2, -1):
    case(f"flattenTo2D {axis}", lambda b, i, o, axis=axis: b.add_flatten_to_2d(
        o[0], i[0], o[0], axis), [P], P.reshape(int(np.prod(P.shape[:axis])), -1))
case("expandDims", lambda b, i, o: b.add_expand_dims(o[0], i[0], o[0], [0, -1]), [S],
     S[None, :, :, None])
case("squeeze", lambda b, i, o: b.add_squeeze(o[0], i[0], o[0], [0, -1]), [S[None, :, :, None]], S)
case("squeeze to a number", lambda b, i, o: b.add_squeeze(o[0], i[0], o[0], squeeze_all=True),
     [n([[3]])], n(3))
case("broadcastToDynamic", lambda b, i, o: b.add_broadcast_to_dynamic(o[0], i, o[0]),
     [S, n(2, 4, 3)], np.broadcast_to(S, (2, 4, 3)))
case("fillDynamic", lambda b, i, o: b.add_fill_dynamic(o[0], i[0], o[0], 2.5), [n(2, 3)],
     np.full((2, 3), 2.5))
case("rangeDynamic", lambda b, i, o: b.add_range_dynamic(o[0], i, o[0]), [n(1), n(5), n(-2)],
     np.arange(5, 1, -2))
case("rangeDynamic to an end", lambda b, i, o: b.add_range_dynamic(o[0], i, o[0], 1.0, 0.5), [n(3)],
     np.arange(1, 3, 0.5))
case("splitND by sizes", lambda b, i, o: b.add_split_nd(o[0], i[0], o, -1, split_sizes=[1, 3, 1]),
     [P], [P[..., :1], P[..., 1:4], P[..., 4:]])
case("stack at the end", lambda b, i, o: b.add_stack(o[0], i, o[0], -1), [S, S + 1],
     np.stack([S, S + 1], -1))
case("concatND at the end", lambda b, i, o: b.add_concat_nd(o[0], i, o[0], -1, True), [S, S + 1],
     np.stack([S, S + 1], -1).reshape(4, 6))
case("constantPad to sizes", lambda b, i, o: b.add_constant_pad(
    o[0], i, o[0], 1.5, True, [0, 0, 6, 0, 0, 1]), [D],
    np.pad(D, [(0, 0), (2, 0), (0, 0)], constant_values=1.5))
case("sliceStatic from the end", lambda b, i, o: b.add_slice_static(
    o[0], i[0], o[0], [-1, -1, 0, 3], [-9, 1, -1, 99], [-1, -2, 1, 1], [False] * 4,
    [False, False, False, False]), [P], P[-1:-9:-1, -1:1:-2, 0:-1, 3:99])
for axis, at in (("height", np.s_[1:4:2]), ("width", np.s_[:, 1:4:2])):
    case(f"slice of {axis}", lambda b, i, o, axis=axis: b.add_slice(
        o[0], i[0], o[0], axis, 1, 4, 2), [ALONG[0].astype("f")], ALONG[0].astype("f")[at])
for kind, mode in (("constant", {"constant_values": 0.5}), ("reflection", {"mode": "reflect"}),
                   ("replication", {"mode": "edge"})):
    case(f"padding {kind} of two dimensions", lambda b, i, o, kind=kind: b.add_padding(
        o[0], 2, 1, 1, 0, 0.5, i[0], o[0], kind), [S], np.pad(S, [(1, 0), (2, 1)], **mode))
case("crop of two dimensions", lambda b, i, o: b.add_crop(
    o[0], 1, 0, 2, 1, [0, 0], [i[0]], o[0]), [S], S[2:-1, 1:])
TIES = n([1, 3, 3, 0], [2, 2, 2, 2], [-1, -1, 5, -1])
ORDER = np.argsort(-TIES, 1, kind="stable")
case("topK of equals", lambda b, i, o: b.add_topk(o[0], i, o, 3, -1), [TIES],
     [np.take_along_axis(TIES, ORDER, 1)[:, :3], ORDER[:, :3].astype("f")])
case("topK by an input", lambda b, i, o: b.add_topk(o[0], i, o, axis=-1), [TIES, n(2)],
     [np.take_along_axis(TIES, ORDER, 1)[:, :2], ORDER[:, :2].astype("f")])
case("argSort of equals", lambda b, i, o: b.add_argsort(o[0], i[0], o[0], 1, True), [TIES], ORDER)
case("cumSum by an input", lambda b, i, o: b.add_cumsum(o[0], i, o[0], -1, True, True),
     [S, n(0)], S[::-1].cumsum(0)[::-1] - S)

# ---- layers that go backwards -------------------------------------------------------------------

# Arrays of (C) may have a sequence and a batch in front.


def gates(w, order):
    parts = np.split(w, len(order))
    return [parts[k] for k in order]


for back in (False, True):
    for sequence in (True, False):
        cut = slice(None) if sequence else slice(-1, None)
        name = f"{'back' if back else 'on'} {sequence}"
        zero = np.zeros((B, H), "f")
        y, h = steps(X, zero, lambda v, h: (np.tanh(v @ RW.T + h @ RR.T + RB),) * 2, back)
        OLD.append(Case("simpleRecurrent " + name, lambda b, i, o, a=(sequence, back):
            b.add_simple_rnn(o[0], RR, RW, RB, H, I, "TANH", [i[0], i[0] + "h"], [o[0], o[0] + "h"],
                             output_all=a[0], reverse_input=a[1]), [X], y[cut]))
        y, h = gru(X, zero, GW, GR, GB, reverse=back)  # r o z there, z r o here
        OLD.append(Case("gru " + name, lambda b, i, o, a=(sequence, back): b.add_gru(
            o[0], gates(GR, (2, 0, 1)), gates(GW, (2, 0, 1)), gates(GB, (2, 0, 1)), H, I,
            [i[0], i[0] + "h"], [o[0], o[0] + "h"], output_all=a[0], reverse_input=a[1],
            inner_activation="SIGMOID"), [X], y[cut]))
        y, (h, c) = lstm(X, zero, zero, LW, LR, LB, LP, 0.4, back)
        OLD.append(Case("uniDirectionalLSTM " + name, lambda b, i, o, a=(sequence, back):
            b.add_unilstm(o[0], gates(LR, (0, 1, 2, 3)), gates(LW, (0, 1, 2, 3)),
                          gates(LB, (0, 1, 2, 3)), H, I, [i[0], i[0] + "h", i[0] + "c"],
                          [o[0], o[0] + "h", o[0] + "c"], peep=gates(LP, (0, 1, 2)),
                          output_all=a[0], cell_clip_threshold=0.4, reverse_input=a[1]),
            [X], y[cut]))

# ---- images whose size a run tells --------------------------------------------------------------


def cut(b, i, o):
    """The first input up to the second, of a size that a run tells."""
    b.add_load_constant_nd(o + "begin", o + "begin", np.zeros(len(ALL.shape), "f"),
                           (len(ALL.shape),))
    b.add_slice_dynamic(o + "cut", [i[0], o + "begin", i[1]], o + "cut")
    return o + "cut"


ALL = f(1, 2, 3, 9, 8)
LESS = ALL[0, :, :, :5, :7]
BOXES = n([0.5, 1, 3, 5], [-1, 2, 4, 6.5])[:, None, :, None, None]
case("cropResize", lambda b, i, o: b.add_crop_resize(
    o[0], [cut(b, i, o[0]), i[2]], o[0], 3, 4, "UPSAMPLE_MODE", False, "CORNERS_HEIGHT_FIRST", 1.0),
    [ALL, n(1, 2, 3, 5, 7), BOXES],
    [np.stack([[crop(x, box.ravel(), (3, 4), "DEFAULT") for x in LESS] for box in BOXES])])
case("constantPad to sizes of what a run cuts", lambda b, i, o: b.add_constant_pad(
    o[0], [cut(b, i, o[0])], o[0], 1.5, True, [0, 0, 0, 4, 0, 0, 6, 0, 0, 0]),
    [ALL, n(1, 2, 3, 5, 7)],
    np.pad(LESS[None], [(0, 0), (0, 2), (0, 0), (1, 0), (0, 0)], constant_values=1.5))
