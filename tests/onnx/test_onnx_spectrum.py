"""Fourier transforms, windows and mel weights of ONNX against NumPy in double."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run

ELEMENT = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE,
           np.float16: TensorProto.FLOAT16}


def complex_of(x):
    x = x.astype(np.float64)
    return x[..., 0] + 1j * x[..., 1] if x.shape[-1] == 2 else x[..., 0]


def parts_of(x):
    return np.stack([x.real, x.imag], -1)


def check(got, want, dtype):
    """Computed in double and rounded once."""
    assert got.dtype == dtype and got.shape == want.shape
    scale = max(np.abs(want).max(initial=0), 1)
    exact = 1e-13 * scale + np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(got, want, rtol=np.finfo(dtype).eps, atol=exact)


LENGTHS = [1, 2, 3, 8, 10, 64, 97, 100]


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dft(program, tmp_path, shapes, length, parts, inverse, dtype):
    x = np.random.default_rng(length).uniform(-1, 1, (2, length, 3, parts)).astype(dtype)
    node = helper.make_node("DFT", ["x", "", "axis"], ["y"], inverse=inverse)
    made = onnx_run.model([node], {"x": x}, {"y": ELEMENT[dtype]}, 20,
                          {"axis": np.array(1, np.int64)}, shapes)
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x})
    transform = np.fft.ifft if inverse else np.fft.fft
    check(y, parts_of(transform(complex_of(x), axis=1)), dtype)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("told", [None, 4, 7, 20])
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_onesided(program, tmp_path, opset, told, dtype, shapes):
    """To a half spectrum and back, with lengths and axes that only the run tells."""
    x = np.random.default_rng(3).uniform(-1, 1, (3, 9, 2, 1)).astype(dtype)
    given, names, attributes = {"x": x}, ["x", "", ""], {"onesided": 1}
    if told:
        given["n"] = np.array(told, np.int32 if opset == 17 else np.int64)
        names[1] = "n"
    if opset == 17:
        attributes["axis"] = 1
        names = names[:2]
    else:
        given["axis"] = np.array(-3, np.int64)
        names[2] = "axis"
    made = onnx_run.model([helper.make_node("DFT", names, ["y"], **attributes)], given,
                          {"y": ELEMENT[dtype]}, opset, shapes=shapes)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    check(y, parts_of(np.fft.rfft(complex_of(x), told, axis=1)), dtype)
    given["x"] = y
    made = onnx_run.model([helper.make_node("DFT", names, ["z"], inverse=1, **attributes)], given,
                          {"z": ELEMENT[dtype]}, opset, shapes=shapes)
    (z,) = onnx_run.run(program, tmp_path, made, given)
    check(z, np.fft.irfft(complex_of(y), told, axis=1)[..., None], dtype)


@pytest.mark.parametrize("shape,said", [
    ((2, 0, 2), "0 points"), ((2, 4, 3), "real or complex"), ((4,), "real or complex"),
])
def test_refused(program, tmp_path, shape, said):
    x = np.zeros(shape, np.float32)
    made = onnx_run.model([helper.make_node("DFT", ["x"], ["y"])], {"x": x},
                          {"y": TensorProto.FLOAT}, 20, shapes="ranks unknown")
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(AssertionError, match=said):
        onnx_run.run(program, tmp_path, made, {"x": x})


@pytest.mark.parametrize("window,length", [(None, 16), (15, None), (16, 16), (None, None)])
@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_stft(program, tmp_path, window, length, onesided, shapes):
    generator = np.random.default_rng(2)
    given = {"x": generator.uniform(-1, 1, (2, 50, 1)), "step": np.array(7, np.int64)}
    names = ["x", "step", "", ""]
    if window:
        given["w"] = generator.uniform(0, 1, window)
        names[2] = "w"
    if length:
        given["n"] = np.array(length, np.int64)
        names[3] = "n"
    node = helper.make_node("STFT", names, ["y"], onesided=onesided)
    made = onnx_run.model([node], given, {"y": TensorProto.DOUBLE}, 17, shapes=shapes)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    size = length or window or 50
    frames = np.stack([given["x"][:, i : i + size, 0] for i in range(0, 50 - size + 1, 7)], 1)
    frames = frames * given.get("w", 1)
    check(y, parts_of((np.fft.rfft if onesided else np.fft.fft)(frames)), np.float64)


@pytest.mark.parametrize("kind", ["Hann", "Hamming", "Blackman"])
@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("size", [0, 2, 9, 400])
@pytest.mark.parametrize("fed", [False, True])
def test_windows(program, tmp_path, kind, periodic, size, fed):
    import torch

    n = {"n": np.array(size, np.int32)}
    one = np.zeros((), np.int32)
    nodes = [helper.make_node("Add", ["n", "zero"], ["m"]),
             helper.make_node(f"{kind}Window", ["m"], ["y"], periodic=periodic,
                              output_datatype=TensorProto.DOUBLE)]
    constants = {"zero": one} if fed else {"zero": one, **n}
    made = onnx_run.model(nodes, n if fed else {}, {"y": TensorProto.DOUBLE}, 17, constants)
    (y,) = onnx_run.run(program, tmp_path, made, n if fed else {})
    options = {"alpha": 25 / 46, "beta": 21 / 46} if kind == "Hamming" else {}
    make = getattr(torch, f"{kind.lower()}_window")
    want = make(size, periodic=bool(periodic), dtype=torch.float64, **options).numpy()
    np.testing.assert_allclose(y, want, rtol=0, atol=1e-15)


@pytest.mark.parametrize("bands,points,rate,low,high", [
    (80, 800, 16000, 55.0, 7600.0), (8, 16, 8192, 0.0, 4096.0), (40, 512, 8000, 100.0, 9000.0),
])
def test_mel(program, tmp_path, bands, points, rate, low, high):
    """By the formula in double; edges beyond the spectrum are cut."""
    given = {"b": np.array(bands), "p": np.array(points), "r": np.array(rate),
             "l": np.array(low, np.float32), "h": np.array(high, np.float32)}
    made = onnx_run.model([helper.make_node("MelWeightMatrix", list(given), ["y"])], given,
                          {"y": TensorProto.FLOAT}, 17)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    mel = 2595 * np.log10(1 + np.array([low, high]) / 700)
    edges = mel[0] + np.arange(bands + 2) * (mel[1] - mel[0]) / (bands + 2)
    edges = np.floor((points + 1) * 700 * (10 ** (edges / 2595) - 1) / rate).astype(int)
    bins = points // 2 + 1
    want = np.zeros((bins, bands))
    for i, (left, middle, right) in enumerate(zip(edges, edges[1:], edges[2:])):
        for j in range(bins):
            if left == middle == j or (left < right and j == middle):
                want[j, i] = 1
            elif left <= j < middle:
                want[j, i] = (j - left) / (middle - left)
            elif middle <= j < right:
                want[j, i] = (right - j) / (right - middle)
    # An edge that falls on a whole number may be cut either way.
    np.testing.assert_allclose(y, want, rtol=1e-6, atol=0)
