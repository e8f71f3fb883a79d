"""The rest of mil_shape_cases.py: what is written, cut and thinned by numbers that a run tells."""

import numpy as np
import torch
import torch.nn.functional as F
from coreml_run import mb, types
from coremltools.converters.mil.mil.ops.defs.iOS18 import compression as mb_sparse
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

# gather of batches along an axis behind them

pick = np.array([[[4, 0, 1], [2, 2, 3]]] * 2, "i4") % 4  # (2,2,3)
batches = f(2, 3, 4, 5)
case(
    "gather_batches_behind",
    lambda a, b: mb.gather(x=a, indices=b, axis=2, batch_dims=1),
    [batches, pick],
    np.stack([np.take(a, i, 1) for a, i in zip(batches, pick)]),
    6,
)
case(
    "gather_batches_last",
    lambda a, b: mb.gather(x=a, indices=b, axis=-1, batch_dims=2),
    [batches, pick[:, :1].repeat(3, 1)],
    np.take_along_axis(batches, np.broadcast_to(pick[:, :1, None].repeat(3, 1), (2, 3, 4, 3)), 3),
    6,
)

# resize of volumes

volume = f(1, 2, 3, 4, 5)
for sampling, align in (("UNALIGN_CORNERS", False), ("STRICT_ALIGN_CORNERS", True)):
    case(
        f"resize_volume_{sampling}",
        lambda a, sampling=sampling: mb.resize(
            x=a, shape=[5, 0, 8], resized_dims=np.uint32(3), sampling_mode=sampling
        ),
        [volume],
        F.interpolate(torch.tensor(volume), (5, 4, 8), mode="trilinear",
                      align_corners=align).numpy(),
        7,
    )
case(
    "resize_volume_nearest",
    lambda a: mb.resize(
        x=a, shape=[6, 4, 10], resized_dims=np.uint32(3), interpolation_mode="NEAREST_NEIGHBOR"
    ),
    [volume],
    F.interpolate(torch.tensor(volume), (6, 4, 10), mode="nearest").numpy(),
    7,
)
case(
    "resize_one_axis",
    lambda a: mb.resize(x=a, shape=[9], resized_dims=np.uint32(1), sampling_mode="UNALIGN_CORNERS"),
    [volume[0, 0]],
    F.interpolate(torch.tensor(volume[0, 0]), 9, mode="linear").numpy(),
    7,
)

# convolutions of volumes

weight = f(2, 3, 2, 3, 2)
case(
    "conv_transpose_volume",
    lambda a: mb.conv_transpose(x=a, weight=weight, strides=[2, 1, 2], pad_type="custom",
                                pad=[1, 1, 0, 0, 1, 0]),
    [volume],
    F.conv_transpose3d(torch.tensor(volume), torch.tensor(weight), stride=(2, 1, 2),
                       padding=(1, 0, 0)).numpy()[..., 1:],
)

# lstm whose cells are clipped


def clipped_lstm(x, weights, state_weights, limit, peepholes=0):
    h = c = np.zeros((x.shape[1], state_weights.shape[1]))
    every = []
    for step in x:
        i, g_f, o, g = np.split(step @ weights.T + h @ state_weights.T, 4, 1)
        sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
        c = np.clip(sigmoid(g_f) * c + sigmoid(i) * np.tanh(g), -limit, limit)
        h = sigmoid(o) * np.tanh(c)
        every.append(h)
    return [np.stack(every).astype("f"), h.astype("f"), c.astype("f")]


steps, w_ih, w_hh = f(5, 2, 3), 3 * f(16, 3), 3 * f(16, 4)
case(
    "lstm_clip",
    lambda a: mb.lstm(x=a, initial_h=np.zeros((2, 4), "f"), initial_c=np.zeros((2, 4), "f"),
                      weight_ih=w_ih, weight_hh=w_hh, output_sequence=True, clip=0.3),
    [steps],
    clipped_lstm(steps, w_ih, w_hh, 0.3),
)

# sparse weights of vectors from a table

mask = (np.arange(24).reshape(4, 6) % 3 != 1).astype(types.np_uint1_dtype)
codes = (np.arange(16) * 7 % 4).astype(types.np_uint2_dtype)
for axis, groups in ((0, (2, 1)), (1, (2, 3)), (1, (1, 1))):
    lut = f(*groups, 4, 3)
    shape = [4, 6]
    shape[axis] *= 3
    addend = f(*shape)
    wide, given = mb_sparse.constexpr_lut_to_sparse.decompress(mask, codes, lut, np.int32(axis))
    dense = addend.copy()
    dense[np.asarray(wide) != 0] += given

    def sparse(a, lut=lut, axis=axis):
        at, data = mb.constexpr_lut_to_sparse(indices_mask=mask, indices_nonzero_data=codes,
                                              lut=lut, vector_axis=np.int32(axis))
        return mb.add(x=a, y=mb.constexpr_sparse_to_dense(nonzero_data=data, mask=at))

    case(f"sparse_vectors_{axis}_{groups[1]}", sparse, [addend], dense, 8)

# what lies outside of an image

spots = np.random.default_rng(3).uniform(-1.5, 1.5, (2, 3, 4, 2)).astype("f")
for mode in ("bilinear", "nearest"):
    case(
        f"resample_value_{mode}",
        lambda a, b, mode=mode: mb.resample(
            x=a, coordinates=b, sampling_mode=mode, padding_mode="constant", padding_value=-2.5,
            coordinates_mode="normalized_minus_one_to_one", align_corners=True),
        [x, spots],
        F.grid_sample(torch.tensor(x) + 2.5, torch.tensor(spots), mode, align_corners=True) - 2.5,
    )

# ---- places in other numbers

case("resample_pixels", lambda a: mb.resample(
    x=a, coordinates=np.int32([[[[0, 0], [2, 1], [4, 3], [9, -1]]]] * 2), sampling_mode="nearest",
    padding_mode="constant", padding_value=0.5, coordinates_mode="unnormalized",
    align_corners=False), [x[:, :, :4, :5]],
    np.stack([x[:, :, 0, 0], x[:, :, 1, 2], x[:, :, 3, 4], np.full((2, 3), 0.5)], -1)[:, :, None])
case("resample_from_zero", lambda a, b: mb.resample(
    x=a, coordinates=b, sampling_mode="bilinear", padding_mode="border", padding_value=0.0,
    coordinates_mode="normalized_zero_to_one", align_corners=True), [x, (spots + 1) / 2],
    F.grid_sample(torch.tensor(x), torch.tensor(spots), padding_mode="border",
                  align_corners=True))

# ---- shapes, ends and lengths of 8 and 16 bits

s = f(4, 6)
case("reshape_i16", lambda a: mb.reshape(x=a, shape=np.int16([3, -1])), [s], s.reshape(3, 8), 7)
case("slice_i16", lambda a: mb.slice_by_index(
    x=a, begin=np.int16([3, 1]), end=np.int16([0, 6]), stride=np.int16([-2, 3])), [s],
    s[3:0:-2, 1:6:3], 7)
case("slice_by_size_i16", lambda a: mb.slice_by_size(
    x=a, begin=np.int16([1, 2]), size=np.int16([2, -1])), [s], s[1:3, 2:], 7)
turned = s.copy()
turned[:, :3] = s[:, 2::-1]
case("reverse_sequence_i16", lambda a: mb.reverse_sequence(
    x=a, lengths=np.int16([3] * 4), seq_axis=1, batch_axis=0), [s], turned, 7)
case("resize_u16", lambda a: mb.resize(
    x=a, shape=np.uint16([0, 2 * x.shape[3]]), resized_dims=np.uint32(2),
    interpolation_mode="NEAREST_NEIGHBOR"), [x], x.repeat(2, 3), 7)
case("topk_i16", lambda a: mb.topk(x=a, k=np.int16(2), axis=1, return_indices=False), [s],
     -np.sort(-s, 1)[:, :2], 7)
