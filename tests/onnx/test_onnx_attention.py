"""Attention of ONNX, rotary embeddings, linear attention and convolution of streams against NumPy
in double."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run

ELEMENT = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE,
           np.float16: TensorProto.FLOAT16}


def random(seed, *shape, dtype=np.float32):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


def split(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def attention(q, k, v, mask=None, past=0, lengths=None, causal=False, left=-1, right=-1, cap=0.0,
              scale=None, mode=0):
    """The definition, for heads first and keys behind those of the past."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], 1) for x in (k, v))
    stages = [q @ k.swapaxes(2, 3) * (scale or q.shape[3] ** -0.5)]
    stages.append(cap * np.tanh(stages[0] / cap) if cap else stages[0])
    queries, keys = stages[0].shape[2:]
    offset = np.zeros((q.shape[0], 1, 1, 1)) + past
    hidden = np.zeros(stages[0].shape, bool)
    j, i = np.arange(keys), np.arange(queries)[:, None]
    if lengths is not None:
        lengths = lengths.reshape(-1, 1, 1, 1)
        hidden |= j >= lengths
        if not past:
            offset = lengths - queries
    ahead = j - (i + offset)
    hidden |= (ahead > 0) & causal
    hidden |= (ahead < -left) & (left >= 0)
    hidden |= (ahead > right) & (right >= 0)
    bias = np.where(hidden, -np.inf, 0)
    if mask is not None:
        missing = [(0, 0)] * (mask.ndim - 1) + [(0, keys - mask.shape[-1])]
        mask = np.where(mask, 0, -np.inf) if mask.dtype == bool else mask.astype(np.float64)
        bias = bias + np.pad(mask, missing, constant_values=-np.inf)
    stages.append(stages[1] + bias)
    top = stages[2].max(-1, keepdims=True)
    weights = np.exp(stages[2] - np.where(np.isneginf(top), 0, top))
    total = weights.sum(-1, keepdims=True)
    stages.append(weights / np.where(total == 0, 1, total))
    return stages[3] @ v, stages[mode]


CASES = {
    "plain": {},
    "causal": {"causal": True},
    "bool mask": {"mask": (5, 9, bool)},
    "short mask": {"mask": (2, 1, 5, 7, float)},
    "mask of one": {"mask": (1, float)},
    "head mask": {"mask": (4, 5, 9, bool), "causal": True},
    "past": {"past": 4, "causal": True},
    "past and mask": {"past": 3, "mask": (2, 1, 5, 12, float)},
    "lengths": {"lengths": [9, 2], "causal": True},
    "window": {"left": 2, "right": 1, "past": 3},
    "lengths and window": {"lengths": [7, 0], "left": 1},
    "capped": {"cap": 0.5, "scale": 0.7},
    "raw scores": {"mode": 0, "cap": 0.5},
    "capped scores": {"mode": 1, "cap": 0.5},
    "masked scores": {"mode": 2, "mask": (5, 9, float), "causal": True},
    "weights": {"mode": 3, "lengths": [3, 4], "causal": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shapes", ["known", "sizes unknown"])
def test_attention(program, tmp_path, case, flat, dtype, shapes):
    case = dict(CASES[case])
    batch, heads, groups, queries, keys, depth, width = 2, 4, 2, 5, 9, 6, 3
    q, k, v = (random(i, *s, dtype=dtype) for i, s in enumerate([
        (batch, heads, queries, depth), (batch, groups, keys, depth), (batch, groups, keys, width)
    ]))

    def laid(x):
        joined = x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)
        return np.ascontiguousarray(joined) if flat else x

    given = {"q": laid(q), "k": laid(k), "v": laid(v)}
    names, options = [*"qkv", "", "", "", ""], {}
    attributes = {"is_causal": int(case.get("causal", False)), "softcap": case.get("cap", 0.0)}
    if flat:
        attributes |= {"q_num_heads": heads, "kv_num_heads": groups}
    if "mask" in case:
        *shape, kind = case.pop("mask")
        mask = random(7, *shape, dtype=dtype)
        given["m"] = options["mask"] = mask > -0.3 if kind is bool else mask
        names[3] = "m"
    if "past" in case:
        pasts = [random(8, batch, groups, case["past"], n, dtype=dtype) for n in (depth, width)]
        given |= {"pk": pasts[0], "pv": pasts[1]}
        names[4:6] = "pk", "pv"
        k, v = np.concatenate([pasts[0], k], 2), np.concatenate([pasts[1], v], 2)
    if "lengths" in case:
        given["n"] = case["lengths"] = np.array(case["lengths"])
        names[6] = "n"
    attributes |= {f"{side}_window_size": case[side] for side in ("left", "right") if side in case}
    attributes |= {"scale": case["scale"]} if "scale" in case else {}
    attributes |= {"qk_matmul_output_mode": case["mode"]} if "mode" in case else {}
    wanted = ["y", "pk2" if "past" in case else "", "pv2" if "past" in case else "",
              "s" if "mode" in case else ""]
    while not names[-1]:
        names.pop()
    while not wanted[-1]:
        wanted.pop()
    made = onnx_run.model([helper.make_node("Attention", names, wanted, **attributes)], given,
                          {n: ELEMENT[dtype] for n in wanted if n}, 25, shapes=shapes)
    got = dict(zip([n for n in wanted if n], onnx_run.run(program, tmp_path, made, given)))
    if "scale" in case:
        case["scale"] = float(np.float32(case["scale"]))
    y, scores = attention(q, k, v, **options, **case)
    # Numbers are below 1; sums are of a few dozen in f32, and rounded once to the type.
    tolerance = 4 * np.finfo(dtype).eps
    if dtype != np.float64:
        tolerance += 20 * np.finfo(np.float32).eps
    np.testing.assert_allclose(got["y"], laid(y), rtol=0, atol=tolerance)
    assert got["y"].dtype == dtype
    if "past" in case:
        np.testing.assert_array_equal(got["pk2"], k)
        np.testing.assert_array_equal(got["pv2"], v)
    if "mode" in case:
        np.testing.assert_allclose(got["s"], scores, rtol=0, atol=4 * tolerance)


# Masks of integers are added, as the function of the standard writes it out.
@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint64"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("held", [False, True])
def test_integer_mask(program, tmp_path, kind, dtype, held):
    q, k, v = (random(i, 2, 2, n, 4, dtype=dtype) for i, n in enumerate((3, 5, 5)))
    mask = np.random.default_rng(1).integers(0, 4, (2, 1, 3, 5)).astype(kind)
    mask = mask if kind[0] == "u" else -mask
    given, constants = {"q": q, "k": k, "v": v, "m": mask}, {}
    if held:
        constants["m"] = given.pop("m")
    made = onnx_run.model([helper.make_node("Attention", list("qkvm"), ["y"])], given,
                          {"y": ELEMENT[dtype]}, constants=constants)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    want, _ = attention(q, k, v, mask.astype(np.float64))
    tolerance = 4 * np.finfo(dtype).eps
    if dtype != np.float64:
        tolerance += 20 * np.finfo(np.float32).eps
    np.testing.assert_allclose(y, want, rtol=0, atol=tolerance)


# What is exported writes the smallest float for what is hidden, and whole rows of it where a
# sentence was padded. 600 keys are two blocks of online softmax; the first may be hidden wholly.
@pytest.mark.parametrize("hides", [np.finfo(np.float32).min, -1e30, -1e9, -np.inf])
@pytest.mark.parametrize("keys", [4, 600])
@pytest.mark.parametrize("cap", [0.0, 5.0])
def test_hidden_keys(program, tmp_path, cpu, hides, keys, cap):
    q, k, v = random(1, 1, 2, 4, 8), random(2, 1, 2, keys, 8), random(3, 1, 2, keys, 8)
    mask = np.zeros((4, keys), np.float32)
    mask[0] = hides
    mask[1, :-1] = hides
    mask[2, 1:] = hides
    given = {"q": q, "k": k, "v": v, "m": mask}
    made = onnx_run.model([helper.make_node("Attention", list(given), ["y"], softcap=cap)], given,
                          {"y": TensorProto.FLOAT})
    (y,) = onnx_run.run(program, tmp_path, made, given, "--cpu", cpu)
    want, _ = attention(q, k, v, mask, cap=cap)
    if np.isfinite(hides):  # it rounds the scores away, so that all keys are alike
        want[:, :, 0] = v.mean(2, dtype=np.float64)
    np.testing.assert_allclose(y, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "shape", [(0, 4, 5, 6, 9), (2, 4, 0, 6, 9), (2, 4, 5, 6, 0), (2, 4, 5, 0, 9)]
)
@pytest.mark.parametrize("cap", [0.0, 0.5])
def test_attention_of_nothing(program, tmp_path, shape, cap):
    batch, heads, queries, depth, keys = shape
    given = {"q": random(1, batch, heads, queries, depth), "k": random(2, batch, 2, keys, depth),
             "v": random(3, batch, 2, keys, 3)}
    node = helper.make_node("Attention", [*"qkv"], ["y"], softcap=cap, scale=1.0)
    made = onnx_run.model([node], given, {"y": TensorProto.FLOAT}, 24)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    v = np.repeat(given["v"], 2, 1)
    want = np.zeros((batch, heads, queries, 3)) + (v.mean(2, keepdims=True) if keys else 0)
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("rotated", [0, 4])
@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_rotary(program, tmp_path, flat, rotated, interleaved, placed, dtype, shapes):
    if flat and shapes == "ranks unknown":
        pytest.skip("heads may be told for four dimensions, too")
    x = random(1, 2, 3, 5, 8, dtype=dtype)
    half = (rotated or 8) // 2
    angles = random(2, *((11, half) if placed else (2, 5, half)), dtype=np.float64) * 3
    given = {"x": np.ascontiguousarray(x.transpose(0, 2, 1, 3).reshape(2, 5, -1)) if flat else x,
             "c": np.cos(angles).astype(dtype), "s": np.sin(angles).astype(dtype)}
    cosines, sines = given["c"].astype(np.float64), given["s"].astype(np.float64)
    if placed:
        given["p"] = np.random.default_rng(4).integers(0, 11, (2, 5))
        cosines, sines = cosines[given["p"]], sines[given["p"]]
    attributes = {"rotary_embedding_dim": rotated, "interleaved": interleaved}
    if flat:
        attributes["num_heads"] = 3
    made = onnx_run.model([helper.make_node("RotaryEmbedding", list(given), ["y"], **attributes)],
                          given, {"y": ELEMENT[dtype]}, 23, shapes=shapes)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    want, turned = x.astype(np.float64), x.astype(np.float64)[..., : 2 * half]
    cosines, sines = cosines[:, None], sines[:, None]
    first, second = ((slice(0, None, 2), slice(1, None, 2)) if interleaved
                     else (slice(0, half), slice(half, 2 * half)))
    a, b = turned[..., first], turned[..., second]
    both = np.empty_like(turned)
    both[..., first], both[..., second] = cosines * a - sines * b, sines * a + cosines * b
    want[..., : 2 * half] = both
    if flat:
        want = want.transpose(0, 2, 1, 3).reshape(2, 5, -1)
    np.testing.assert_allclose(y, want, rtol=np.finfo(dtype).eps, atol=1e-15)


def test_rotary_place_out_of_range(program, tmp_path):
    given = {"x": random(1, 1, 2, 3, 4), "c": random(2, 5, 2), "s": random(3, 5, 2),
             "p": np.array([[0, 5, 1]])}
    made = onnx_run.model([helper.make_node("RotaryEmbedding", list(given), ["y"])], given,
                          {"y": TensorProto.FLOAT}, 23, {"p": given.pop("p")})
    with pytest.raises(AssertionError, match="place 5 of 5"):
        onnx_run.run(program, tmp_path, made, given)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 6])
def test_linear_attention(program, tmp_path, rule, each, state, steps):
    batch, heads, groups, depth, width = 2, 4, 2, 3, 5
    given = {"q": random(1, batch, steps, heads * depth),
             "k": random(2, batch, steps, groups * depth),
             "v": random(3, batch, steps, groups * width)}
    names = [*"qkv", "", "", ""]
    s = np.zeros((batch, groups, depth, width))
    if state:
        given["s"] = random(4, batch, groups, depth, width)
        s, names[3] = given["s"].astype(np.float64), "s"
    if "gated" in rule:
        given["g"] = -np.abs(random(5, batch, steps, groups * (depth if each else 1)))
        names[4] = "g"
    if "delta" in rule:
        given["b"] = np.abs(random(6, batch, steps, groups if each else 1))
        names[5] = "b"
    while not names[-1]:
        names.pop()
    node = helper.make_node("LinearAttention", names, ["y", "s2"], q_num_heads=heads,
                            kv_num_heads=groups, update_rule=rule)
    made = onnx_run.model([node], given, {"y": TensorProto.FLOAT, "s2": TensorProto.FLOAT}, 27)
    y, s2 = onnx_run.run(program, tmp_path, made, given)
    wide = {n: x.astype(np.float64) for n, x in given.items()}
    want = np.zeros((batch, steps, heads, width))
    for t in range(steps):
        q, k, v = (wide[n][:, t].reshape(batch, h, -1) for n, h in
                   (("q", heads), ("k", groups), ("v", groups)))
        if "g" in wide:
            s = s * np.exp(wide["g"][:, t].reshape(batch, groups, -1))[..., None]
        if "b" in wide:
            v = wide["b"][:, t][..., None] * (v - np.einsum("bhde,bhd->bhe", s, k))
        s = s + k[..., None] * v[..., None, :]
        want[:, t] = np.einsum("bhd,bhde->bhe", q, np.repeat(s, heads // groups, 1)) / depth**0.5
    np.testing.assert_allclose(y, want.reshape(batch, steps, heads * width), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(s2, s, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("taps", [1, 4])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("activation", ["none", "silu"])
def test_causal_conv(program, tmp_path, size, taps, past, activation):
    given = {"x": random(1, 2, 3, size), "w": random(2, 3, 1, taps), "b": random(3, 3)}
    before = np.zeros((2, 3, taps - 1))
    if past:
        given["p"] = before = random(4, 2, 3, taps - 1)
    node = helper.make_node("CausalConvWithState", list(given), ["y", "p2"], activation=activation)
    made = onnx_run.model([node], given, {"y": TensorProto.FLOAT, "p2": TensorProto.FLOAT}, 27)
    y, after = onnx_run.run(program, tmp_path, made, given)
    line = np.concatenate([before, given["x"]], 2).astype(np.float64)
    want = given["b"][:, None] + np.zeros((2, 3, size))
    for k in range(taps):
        want += given["w"][:, 0, k, None].astype(np.float64) * line[..., k : k + size]
    if activation == "silu":
        want = want / (1 + np.exp(-want))
    np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(after, line[..., line.shape[2] - taps + 1 :])
