"""The rest of mil_cases.py: what reduces, moves, cuts, picks, resizes, repeats and branches."""

import numpy as np
import torch
import torch.nn.functional as F
from coreml_run import mb
from mil_cases import CASES, T, case, f, p, rng, u, x, y

# reductions
for n, fn in dict(
    reduce_sum=np.sum,
    reduce_mean=np.mean,
    reduce_max=np.max,
    reduce_min=np.min,
    reduce_prod=np.prod,
).items():
    case(
        n,
        lambda a, n=n: getattr(mb, n)(x=a, axes=[1, -1], keep_dims=True),
        [x],
        fn(x, axis=(1, 3), keepdims=True),
    )
    case(n + "_all", lambda a, n=n: getattr(mb, n)(x=a), [x[0]], np.float32(fn(x[0])))
case("reduce_l1", lambda a: mb.reduce_l1_norm(x=a, axes=[2]), [x], np.abs(x).sum(2))
case("reduce_l2", lambda a: mb.reduce_l2_norm(x=a, axes=[2]), [x], np.sqrt((x**2).sum(2)))
case("reduce_ss", lambda a: mb.reduce_sum_square(x=a, axes=[2]), [x], (x**2).sum(2))
case("reduce_ls", lambda a: mb.reduce_log_sum(x=a, axes=[1]), [p], np.log(p.sum(1)))
case(
    "reduce_lse",
    lambda a: mb.reduce_log_sum_exp(x=a, axes=[1]),
    [x],
    torch.logsumexp(T(x), 1).numpy(),
)
case("argmax", lambda a: mb.reduce_argmax(x=a, axis=1), [x], x.argmax(1).astype("i4"))
case(
    "argmin",
    lambda a: mb.reduce_argmin(x=a, axis=2, keep_dims=True),
    [x],
    x.argmin(2)[:, :, None].astype("i4"),
)
for ex in (0, 1):
    for rv in (0, 1):
        c = np.array([4, 6, 7], "f")
        e = {(0, 0): [4, 10, 17], (1, 0): [0, 4, 10], (0, 1): [17, 13, 7], (1, 1): [13, 7, 0]}[
            (ex, rv)
        ]
        case(
            f"cumsum{ex}{rv}",
            lambda a, ex=ex, rv=rv: mb.cumsum(x=a, axis=0, exclusive=bool(ex), reverse=bool(rv)),
            [c],
            np.array(e, "f"),
        )
tv, ti = torch.topk(T(x), 2, 2)
case("topk", lambda a: mb.topk(x=a, k=2, axis=2), [x], [tv.numpy(), ti.numpy().astype("i4")])
tv2, ti2 = torch.topk(T(x), 3, 1, largest=False)
case(
    "topk_asc",
    lambda a: mb.topk(x=a, k=3, axis=1, ascending=True),
    [x],
    [tv2.numpy(), ti2.numpy().astype("i4")],
)
case(
    "argsort",
    lambda a: mb.argsort(x=a, axis=2, ascending=True),
    [x],
    x.argsort(2, kind="stable").astype("i4"),
)
# shapes
case("reshape", lambda a: mb.reshape(x=a, shape=[6, -1]), [x], x.reshape(6, -1))
case("reshape0", lambda a: mb.reshape(x=a, shape=[0, -1, 5, 1]), [x], x.reshape(2, -1, 5, 1))
case("expand_dims", lambda a: mb.expand_dims(x=a, axes=[0, -1]), [u], u[None, :, :, None])
case("squeeze", lambda a: mb.squeeze(x=a, axes=[1]), [y[:, :, None]], y[:, :, None].squeeze(1))
case("squeeze_all", lambda a: mb.squeeze(x=a), [y], y.squeeze())
case("transpose", lambda a: mb.transpose(x=a, perm=[2, 0, 3, 1]), [x], x.transpose(2, 0, 3, 1))
case("flatten2d", lambda a: mb.flatten2d(x=a, axis=2), [x], x.reshape(6, 20))
x2b = f(2, 2, 4, 5)
case("concat", lambda a, b: mb.concat(values=(a, b), axis=1), [x, x2b], np.concatenate([x, x2b], 1))
xi = f(2, 3, 4, 5)
case(
    "concat_int",
    lambda a, b: mb.concat(values=(a, b), axis=1, interleave=True),
    [x, xi],
    np.stack([x, xi], 2).reshape(2, 6, 4, 5),
)
case("stack", lambda a, b: mb.stack(values=(a, b), axis=-1), [x, xi], np.stack([x, xi], -1))
case("split", lambda a: mb.split(x=a, split_sizes=[1, 2], axis=1), [x], [x[:, :1], x[:, 1:]])
case("split_n", lambda a: mb.split(x=a, num_splits=2, axis=2), [x], [x[:, :, :2], x[:, :, 2:]])
case("tile", lambda a: mb.tile(x=a, reps=[1, 2, 1, 3]), [x], np.tile(x, [1, 2, 1, 3]))
case(
    "pad",
    lambda a: mb.pad(x=a, pad=[1, 2, 0, 3], mode="constant", constant_val=1.5),
    [x],
    np.pad(x, [(0, 0), (0, 0), (1, 2), (0, 3)], constant_values=1.5),
)
case(
    "pad_reflect",
    lambda a: mb.pad(x=a, pad=[1, 2, 2, 3], mode="reflect"),
    [x],
    np.pad(x, [(0, 0), (0, 0), (1, 2), (2, 3)], mode="reflect"),
)
case(
    "pad_rep",
    lambda a: mb.pad(x=a, pad=[1, 2, 2, 3], mode="replicate"),
    [x],
    np.pad(x, [(0, 0), (0, 0), (1, 2), (2, 3)], mode="edge"),
)
ps = f(1, 8, 3, 4)
case(
    "pixel_shuffle",
    lambda a: mb.pixel_shuffle(x=a, upscale_factor=2),
    [ps],
    F.pixel_shuffle(T(ps), 2).numpy(),
)
pu = f(1, 2, 4, 6)
case(
    "pixel_unshuffle",
    lambda a: mb.pixel_unshuffle(x=a, downscale_factor=np.uint32(2)),
    [pu],
    F.pixel_unshuffle(T(pu), 2).numpy(),
    6,
)
case(
    "d2s",
    lambda a: mb.depth_to_space(x=a, block_size=2),
    [np.array([9, 5, 1, 3], "f").reshape(1, 4, 1, 1)],
    np.array([[9, 5], [1, 3]], "f").reshape(1, 1, 2, 2),
)
case(
    "s2d",
    lambda a: mb.space_to_depth(x=a, block_size=2),
    [np.array([[7, 9], [4, 6]], "f").reshape(1, 1, 2, 2)],
    np.array([7, 9, 4, 6], "f").reshape(1, 4, 1, 1),
)
case(
    "shape",
    lambda a: mb.concat(values=(mb.shape(x=a), np.array([7], "i4")), axis=0),
    [x],
    np.array([2, 3, 4, 5, 7], "i4"),
)
case("fill", lambda a: mb.add(x=mb.fill(shape=[3, 4], value=2.5), y=a), [u], u + 2.5)
z6 = f(6)
case(
    "range",
    lambda a: mb.add(x=mb.range_1d(start=1.0, end=4.0, step=0.5), y=a),
    [z6],
    np.arange(1, 4, 0.5, dtype="f") + z6,
)
case("reverse", lambda a: mb.reverse(x=a, axes=[1, 3]), [x], x[:, ::-1, :, ::-1])
case(
    "reverse_sequence",
    lambda a, b: mb.reverse_sequence(x=a, lengths=b, seq_axis=1, batch_axis=0),
    [np.arange(8, dtype="f").reshape(2, 4), np.array([3, 0], "i4")],
    np.array([[2, 1, 0, 3], [4, 5, 6, 7]], "f"),
)
# slices
case(
    "slice",
    lambda a: mb.slice_by_index(
        x=a,
        begin=[0, 1, -1, 0],
        end=[2, 3, 0, 4],
        stride=[1, 1, -2, 2],
        begin_mask=[True, False, False, False],
        end_mask=[False, True, True, False],
    ),
    [x],
    x[:, 1:, -1::-2, 0:4:2],
)
case(
    "slice_sq",
    lambda a: mb.slice_by_index(
        x=a,
        begin=[0, 1, 0, -1],
        end=[0, 0, 0, 0],
        begin_mask=[True, False, True, False],
        end_mask=[True, False, True, False],
        squeeze_mask=[False, True, False, True],
    ),
    [x],
    x[:, 1, :, -1],
)
case(
    "slice_size",
    lambda a: mb.slice_by_size(x=a, begin=[0, 1, 1, -2], size=[2, 1, -1, 2]),
    [x],
    x[:2, 1:2, 1:, -2:],
)
up = f(2, 2, 2, 5)
case(
    "slice_update",
    lambda a, b: mb.slice_update(
        x=a, update=b, begin=[0, 1, 1, 0], end=[2, 3, 3, 0], end_mask=[False, False, False, True]
    ),
    [x, up],
    (lambda c: (c.__setitem__((slice(0, 2), slice(1, 3), slice(1, 3)), up), c)[1])(x.copy()),
    8,
)
case("crop", lambda a: mb.crop(x=a, crop_height=[1, 0], crop_width=[2, 1]), [x], x[:, :, 1:, 2:-1])
# index
ix = np.array([[2, 0], [1, -1]], "i4")
case("gather", lambda a, b: mb.gather(x=a, indices=b, axis=1), [x, ix], np.take(x, ix, 1))
ga2 = np.array([[0, 3], [1, 2], [3, 3]], "i4")
case(
    "gather_along",
    lambda a, b: mb.gather_along_axis(x=a, indices=b, axis=1),
    [u, ga2],
    np.take_along_axis(u, ga2, 1),
)
gn = np.array([[0, 1], [1, 2]], "i4")
case("gather_nd", lambda a, b: mb.gather_nd(x=a, indices=b), [x, gn], x[[0, 1], [1, 2]])
gb = np.array([[2, 0], [1, 1]], "i4")
case(
    "gather_bd",
    lambda a, b: mb.gather(x=a, indices=b, axis=1, batch_dims=1),
    [x, gb],
    np.stack([x[i][gb[i]] for i in range(2)]),
    6,
)
case(
    "scatter",
    lambda a, b, c: mb.scatter(data=a, indices=b, updates=c, axis=0, mode="add"),
    [
        np.array([[1, 2, 3], [4, 5, 6]], "f"),
        np.array([1, 0], "i4"),
        np.array([[5, 6, 7], [8, 9, 10]], "f"),
    ],
    np.array([[9, 11, 13], [9, 11, 13]], "f"),
)
sd = f(3, 4, 5)
su = f(3, 2, 5)
si = np.array([3, 1], "i4")
se = sd.copy()
se[:, [3, 1]] = su
case(
    "scatter_ax1",
    lambda a, b, c: mb.scatter(data=a, indices=b, updates=c, axis=1, mode="update"),
    [sd, si, su],
    se,
)
se2 = sd.copy()
se2[:, [3, 1]] -= su
case(
    "scatter_sub",
    lambda a, b, c: mb.scatter(data=a, indices=b, updates=c, axis=1, mode="sub"),
    [sd, si, su],
    se2,
)
case(
    "scatter_nd",
    lambda a, b, c: mb.scatter_nd(data=a, indices=b, updates=c, mode="update"),
    [u, np.array([[0, 1], [2, 3]], "i4"), np.array([9, 8], "f")],
    (lambda c: (c.__setitem__(([0, 2], [1, 3]), [9, 8]), c)[1])(u.copy()),
)
case(
    "scatter_along",
    lambda a, b, c: mb.scatter_along_axis(data=a, indices=b, updates=c, axis=1, mode="add"),
    [u, np.array([[0], [1], [0]], "i4"), np.array([[1], [2], [3]], "f")],
    u + np.array([[1, 0, 0, 0], [0, 2, 0, 0], [3, 0, 0, 0]], "f"),
)
oh = np.array([1, 3, 5, -1], "i4")
case(
    "one_hot",
    lambda a: mb.one_hot(indices=a, one_hot_vector_size=4, axis=0, on_value=2.0, off_value=0.5),
    [oh],
    np.where(np.arange(4)[:, None] == oh[None], 2.0, 0.5).astype("f"),
)
nz = np.array([[0, 1], [2, 0]], "f")
case("non_zero", lambda a: mb.non_zero(x=a), [nz], np.argwhere(nz).astype("i4"))
bp = f(5, 6)
case("band", lambda a: mb.band_part(x=a, lower=1, upper=2), [bp], np.triu(np.tril(bp, 2), -1))
sw = f(2, 8, 3)
case(
    "sliding",
    lambda a: mb.sliding_windows(x=a, axis=1, size=3, stride=2),
    [sw],
    np.stack([sw[:, i : i + 3] for i in (0, 2, 4)], 1),
)
# resize
r1 = np.array([0, 1], "f").reshape(1, 1, 1, 2)
for m, e in dict(
    DEFAULT=[0, 0.4, 0.8, 1, 1],
    STRICT_ALIGN_CORNERS=[0, 0.25, 0.5, 0.75, 1],
    OFFSET_CORNERS=[0.1, 0.3, 0.5, 0.7, 0.9],
    UNALIGN_CORNERS=[0, 0.1, 0.5, 0.9, 1],
).items():
    case(
        "resize_" + m,
        lambda a, m=m: mb.resize_bilinear(
            x=a, target_size_height=1, target_size_width=5, sampling_mode=m
        ),
        [r1],
        np.array(e, "f").reshape(1, 1, 1, 5),
    )
case(
    "rnn_near",
    lambda a: mb.resize_nearest_neighbor(x=a, target_size_height=2, target_size_width=3),
    [np.array([0.37, 6.17], "f").reshape(1, 1, 2, 1)],
    np.repeat(np.array([0.37, 6.17], "f").reshape(1, 1, 2, 1), 3, 3),
)
case(
    "up_near",
    lambda a: mb.upsample_nearest_neighbor(x=a, scale_factor_height=2, scale_factor_width=3),
    [x],
    x.repeat(2, 2).repeat(3, 3),
)
case(
    "up_bil",
    lambda a: mb.upsample_bilinear(
        x=a, scale_factor_height=2, scale_factor_width=2, align_corners=False
    ),
    [x],
    F.interpolate(T(x), scale_factor=2, mode="bilinear").numpy(),
)
case(
    "up_bil_a",
    lambda a: mb.upsample_bilinear(
        x=a, scale_factor_height=2, scale_factor_width=2, align_corners=True
    ),
    [x],
    F.interpolate(T(x), scale_factor=2, mode="bilinear", align_corners=True).numpy(),
)
gr = rng.uniform(-1.2, 1.2, (2, 3, 4, 2)).astype("f")
for pm, tp in dict(constant="zeros", border="border").items():
    case(
        "resample_" + pm,
        lambda a, b, pm=pm: mb.resample(
            x=a,
            coordinates=b,
            sampling_mode="bilinear",
            padding_mode=pm,
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=True,
        ),
        [x, gr],
        F.grid_sample(T(x), T(gr), padding_mode=tp, align_corners=True).numpy(),
    )
th = f(2, 6)
case(
    "affine",
    lambda a, b: mb.affine(
        x=a,
        transform_matrix=b,
        output_height=5,
        output_width=6,
        sampling_mode="bilinear",
        padding_mode="constant",
        padding_value=0.0,
        coordinates_mode="normalized_minus_one_to_one",
        align_corners=True,
    ),
    [x, th],
    F.grid_sample(
        T(x),
        F.affine_grid(T(th).view(2, 2, 3), (2, 3, 5, 6), align_corners=True),
        align_corners=True,
    ).numpy(),
)
# recurrent
H, I, B_, T_ = 6, 4, 3, 5


def torch_lstm(bi, seq):
    torch.manual_seed(0)
    m = torch.nn.LSTM(I, H, bidirectional=bi)
    xx = f(T_, B_, I)
    D = 2 if bi else 1
    h0 = f(D, B_, H)
    c0 = f(D, B_, H)
    with torch.no_grad():
        o, (h, c) = m(T(xx), (T(h0), T(c0)))

    def re(w):
        a = w.detach().numpy().reshape(4, H, -1)
        return (
            np.concatenate([a[0], a[1], a[3], a[2]]).squeeze()
            if w.ndim == 1
            else np.concatenate([a[0], a[1], a[3], a[2]])
        )

    def bias(s):
        return re(getattr(m, "bias_ih_l0" + s)).reshape(-1) + re(
            getattr(m, "bias_hh_l0" + s)
        ).reshape(-1)

    kw = dict(weight_ih=re(m.weight_ih_l0), weight_hh=re(m.weight_hh_l0), bias=bias(""))
    if bi:
        kw.update(
            weight_ih_back=re(m.weight_ih_l0_reverse),
            weight_hh_back=re(m.weight_hh_l0_reverse),
            bias_back=bias("_reverse"),
        )
    cat = lambda a: np.concatenate(list(a), -1)
    out = o.numpy() if seq else None
    hh, cc = cat(h.numpy()), cat(c.numpy())
    if not seq:
        out = hh[None]
    return kw, [xx, cat(h0), cat(c0)], [out, hh, cc]


for bi in (0, 1):
    for seq in (0, 1):
        kw, ins, outs = torch_lstm(bool(bi), bool(seq))
        case(
            f"lstm{bi}{seq}",
            lambda a, b, c, kw=kw, bi=bi, seq=seq: mb.lstm(
                x=a,
                initial_h=b,
                initial_c=c,
                direction="bidirectional" if bi else "forward",
                output_sequence=bool(seq),
                **kw,
            ),
            ins,
            outs,
        )


def sig(a):
    return 1 / (1 + np.exp(-a))


wi, wh, bb = f(3 * H, I), f(3 * H, H), f(3 * H)
gx = f(T_, B_, I)
gh = f(B_, H)
hh = gh.copy()
ys = []
for t in range(T_):
    gi = gx[t] @ wi.T + bb
    r = sig(gi[:, :H] + hh @ wh[:H].T)
    z = sig(gi[:, 2 * H :] + hh @ wh[2 * H :].T)
    o = np.tanh(gi[:, H : 2 * H] + (r * hh) @ wh[H : 2 * H].T)
    hh = (1 - z) * o + z * hh
    ys.append(hh)
case(
    "gru",
    lambda a, b: mb.gru(
        x=a, initial_h=b, weight_ih=wi, weight_hh=wh, bias=bb, output_sequence=True
    ),
    [gx, gh],
    [np.stack(ys), hh],
)
wi1, wh1, b1 = f(H, I), f(H, H), f(H)
h1 = gh.copy()
y1 = []
for t in range(T_):
    h1 = np.tanh(gx[t] @ wi1.T + b1 + h1 @ wh1.T)
    y1.append(h1)
case(
    "rnn",
    lambda a, b: mb.rnn(
        x=a, initial_h=b, weight_ih=wi1, weight_hh=wh1, bias=b1, output_sequence=True
    ),
    [gx, gh],
    [np.stack(y1), h1],
)
# control
case(
    "cond",
    lambda a, b: mb.cond(
        pred=mb.greater(x=mb.reduce_sum(x=a), y=0.0),
        _true_fn=lambda: mb.add(x=a, y=b),
        _false_fn=lambda: mb.sub(x=a, y=b),
    ),
    [u + 2, p],
    u + 2 + p,
)
case(
    "cond_f",
    lambda a, b: mb.cond(
        pred=mb.greater(x=mb.reduce_sum(x=a), y=0.0),
        _true_fn=lambda: mb.add(x=a, y=b),
        _false_fn=lambda: mb.sub(x=a, y=b),
    ),
    [u - 9, p],
    u - 9 - p,
)
case(
    "while",
    lambda a, b: mb.while_loop(
        _cond=lambda x, s: mb.less(x=mb.reduce_sum(x=x), y=50.0),
        _body=lambda x, s: (mb.add(x=x, y=b), mb.add(x=s, y=1.0)),
        loop_vars=(a, 0.0),
    ),
    [np.zeros((2, 3), "f"), np.ones((2, 3), "f") * 2],
    [np.ones((2, 3), "f") * 10, np.float32(5)],
)


def lists(a):
    ls = mb.make_list(init_length=3, elem_shape=(4,), dtype="fp32")
    ls = mb.list_write(ls=ls, index=1, value=a)
    ls = mb.list_write(ls=ls, index=5, value=mb.mul(x=a, y=2.0))
    return (
        mb.list_gather(ls=ls, indices=[0, 1, 5]),
        mb.list_length(ls=ls),
        mb.list_read(ls=ls, index=5),
    )


l4 = f(4)
case("lists", lists, [l4], [np.stack([l4 * 0, l4, l4 * 2]), np.int32(6), l4 * 2])
sb = f(1, 2, 4, 6)
case(
    "s2b",
    lambda a: mb.batch_to_space(
        x=mb.space_to_batch(x=a, block_shape=[2, 3], paddings=[[1, 1], [0, 0]]),
        block_shape=[2, 3],
        crops=[[1, 1], [0, 0]],
    ),
    [sb],
    sb,
)
sb2 = np.arange(1, 5, dtype="f").reshape(1, 1, 2, 2)
case(
    "s2b_tf",
    lambda a: mb.space_to_batch(x=a, block_shape=[2, 2], paddings=[[0, 0], [0, 0]]),
    [sb2],
    np.array([1, 2, 3, 4], "f").reshape(4, 1, 1, 1),
)
case(
    "quantize",
    lambda a: mb.cast(
        x=mb.quantize(input=a, scale=0.1, zero_point=np.int8(3), output_dtype="int8"), dtype="fp32"
    ),
    [u],
    np.clip(np.round(u / np.float32(0.1)) + 3, -128, 127).astype("f"),
    7,
)
