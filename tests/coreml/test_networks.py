"""Whole networks that coremltools has converted from PyTorch, in both families and all operator
sets; compressed weights; control flow; pipelines; the public files."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct  # noqa: E402

DATA = Path(os.environ.get("RUN_MODEL_TEST_DATA")
            or Path(__file__).resolve().parents[3] / "shared" / "data") / "coreml"
TOLERANCE = 5e-5  # of the largest value, the promise for whole networks in f32
KINDS = ["neuralnetwork", 5, 6, 7, 8]


class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.up, self.last = nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), nn.Linear(4, 5)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x)))
        y = self.up(y + nn.functional.hardswish(self.depthwise(y)))
        y = nn.functional.interpolate(y, scale_factor=2, mode="nearest")
        y = torch.cat([y, y.flip(3)], 1)[:, 2:6]
        return torch.softmax(self.last(y.mean((2, 3))), 1)


class Recurrent(nn.Module):
    def __init__(self, kind, **settings):
        super().__init__()
        self.layer = kind(3, 7, batch_first=True, **settings)
        self.last = nn.Linear(7 * (1 + settings.get("bidirectional", False)), 4)

    def forward(self, x):
        return self.last(self.layer(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.norm, self.group = nn.Linear(16, 16), nn.LayerNorm(16), nn.GroupNorm(2, 6)

    def forward(self, x):
        q = self.query(self.norm(x)).view(1, 6, 4, 4).transpose(1, 2)
        a = nn.functional.scaled_dot_product_attention(q, q, q)
        y = x + a.transpose(1, 2).reshape(1, 6, 16)
        return self.group(y.unsqueeze(-1)).squeeze(-1)


NETS = {
    "images": (Images, (1, 3, 16, 20)),
    "lstm": (lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True), (1, 6, 3)),
    "gru": (lambda: Recurrent(nn.GRU), (1, 6, 3)),
    "rnn": (lambda: Recurrent(nn.RNN), (1, 6, 3)),
    "attention": (Attention, (1, 6, 16)),
}


def make(name):
    torch.manual_seed(0)
    build, shape = NETS[name]
    net = build().eval()
    x = torch.randn(shape)
    with torch.no_grad():
        return net, x.numpy(), net(x).numpy()


def near(got, want, tolerance=TOLERANCE):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NETS)
def test_network(program, tmp_path, name, kind):
    net, x, want = make(name)
    path, outputs, _ = coreml_run.network_file(tmp_path, net, {"x": x}, kind)
    near(coreml_run.run(program, path, {"x": x}, outputs, tmp_path)[0], want)


@pytest.mark.parametrize("kind", [5, 7])
def test_halves_are_widened(program, tmp_path, kind):
    net, x, want = make("images")
    path, outputs, _ = coreml_run.network_file(tmp_path, net, {"x": x}, kind,
                                               compute_precision=ct.precision.FLOAT16)
    near(coreml_run.run(program, path, {"x": x}, outputs, tmp_path)[0], want, 2e-3)


def test_image_input(program, tmp_path):
    net, x, _ = make("images")
    pixels = np.random.default_rng(0).integers(0, 256, x.shape).astype(np.float32)
    with torch.no_grad():
        want = net(torch.tensor(pixels / 255)).numpy()
    for kind in ("neuralnetwork", 5):
        image = ct.ImageType(name="x", shape=x.shape, scale=1 / 255)
        path, outputs, _ = coreml_run.network_file(tmp_path, net, {"x": x}, kind, inputs=[image])
        near(coreml_run.run(program, path, {"x": pixels}, outputs, tmp_path)[0], want)


# ---- compressed weights ------------------------------------------------------------------------


def compressions():
    opt = ct.optimize.coreml
    whole = {"weight_threshold": 16}

    def config(kind, **settings):
        return opt.OptimizationConfig(global_config=kind(**whole, **settings))

    linear, palette = opt.OpLinearQuantizerConfig, opt.OpPalettizerConfig
    yield "int8", 6, opt.linear_quantize_weights, config(linear, mode="linear_symmetric")
    yield "uint8", 6, opt.linear_quantize_weights, config(linear, mode="linear", dtype="uint8")
    for bits in (1, 2, 4, 6, 8):
        yield f"palette {bits}", 6, opt.palettize_weights, config(palette, mode="uniform",
                                                                  nbits=bits)
    yield "sparse", 6, opt.prune_weights, opt.OptimizationConfig(
        global_config=opt.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=16))
    yield "int4 in blocks", 8, opt.linear_quantize_weights, config(
        linear, mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=2)
    yield "palette 3", 8, opt.palettize_weights, config(palette, mode="uniform", nbits=3)
    yield "grouped palette", 8, opt.palettize_weights, config(
        palette, mode="uniform", nbits=4, granularity="per_grouped_channel", group_size=2)


COMPRESSIONS = list(compressions())


@pytest.mark.parametrize("name,opset,compress,config", COMPRESSIONS,
                         ids=[c[0] for c in COMPRESSIONS])
def test_compressed_program(program, tmp_path, name, opset, compress, config):
    net, x, _ = make("images")
    _, outputs, model = coreml_run.network_file(tmp_path, net, {"x": x}, opset)
    small = compress(model, config)
    plain = ct.optimize.coreml.decompress_weights(small)
    got = []
    for which in (small, plain):
        path = tmp_path / f"which{len(got)}.mlpackage"
        which.save(str(path))
        got.append(coreml_run.run(program, path, {"x": x}, outputs, tmp_path)[0])
    near(got[0], got[1], 5e-6)


@pytest.mark.parametrize("mode,bits", [("linear", b) for b in range(1, 9)]
                         + [("linear_symmetric", 8), ("linear_lut", 3), ("linear_lut", 8)])
def test_compressed_network(program, tmp_path, mode, bits):
    from coremltools.models.neural_network import quantization_utils as quantization
    from coremltools.models.utils import save_spec

    net, x, _ = make("images")
    _, outputs, model = coreml_run.network_file(tmp_path, net, {"x": x}, "neuralnetwork")
    small = quantization.quantize_weights(model, bits, mode)
    small = getattr(small, "get_spec", lambda: small)()
    save_spec(small, str(tmp_path / "small.mlmodel"))
    quantization._dequantize_nn_spec(small.neuralNetwork)
    save_spec(small, str(tmp_path / "plain.mlmodel"))
    got = [coreml_run.run(program, tmp_path / f"{which}.mlmodel", {"x": x}, outputs, tmp_path)[0]
           for which in ("small", "plain")]
    near(got[0], got[1], 5e-6)


def test_halves_of_a_network(program, tmp_path):
    from coremltools.models.neural_network import quantization_utils as quantization
    from coremltools.models.utils import save_spec

    net, x, want = make("images")
    _, outputs, model = coreml_run.network_file(tmp_path, net, {"x": x}, "neuralnetwork")
    small = quantization.quantize_weights(model, 16)
    save_spec(getattr(small, "get_spec", lambda: small)(), str(tmp_path / "small.mlmodel"))
    got = coreml_run.run(program, tmp_path / "small.mlmodel", {"x": x}, outputs, tmp_path)
    near(got[0], want, 2e-3)


# ---- the public files --------------------------------------------------------------------------


def public(name):
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not there")
    return DATA / name


def test_guide_network_in_three_formats(program, tmp_path):
    import onnxruntime

    x = np.random.default_rng(0).uniform(0, 1, (1, 3, 32, 32)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(public("my_network.onnx")))
    want = session.run(None, {session.get_inputs()[0].name: x})[0]
    for name, given in (("my_network.mlmodel", x[0]), ("my_network.mlmodel", x),
                        ("my_network_image.mlmodel", 255 * x)):
        got = coreml_run.run(program, public(name), {"my_input": given}, ["my_output"], tmp_path)
        near(got[0].reshape(want.shape), want)


def test_basic_pitch(program, tmp_path):
    import onnxruntime

    x = 0.1 * np.random.default_rng(0).standard_normal((1, 43844, 1)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(public("basicpitch_nmp.onnx")))
    named = ["StatefulPartitionedCall:0", "StatefulPartitionedCall:2", "StatefulPartitionedCall:1"]
    want = session.run(named, {session.get_inputs()[0].name: x})
    package = public("basicpitch_nmp.mlpackage")
    got = coreml_run.run(program, package, {"input_2": x},
                         ["Identity", "Identity_2", "Identity_1"], tmp_path)
    for value, right in zip(got, want):
        near(value, right)
    again = coreml_run.run(program, package / "Manifest.json", {"input_2": x}, ["Identity"],
                           tmp_path)
    np.testing.assert_array_equal(again[0], got[0])


def test_basic_pitch_and_its_twin_compare_equal(program):
    pair = public("basicpitch_nmp.mlpackage"), public("basicpitch_nmp.onnx")
    for a, b in (pair, pair[::-1]):
        told = json.loads(program.run("compare", a, b, "--json").stdout)
        assert told["different"] == 0 and len(told["layers"]) == told["by_value"] == 32
        assert sorted(told["lonely"]) == [0, 9]  # convolutions that ONNX negates in nodes behind
        assert [o["error"] < 5e-5 for o in told["outputs"]] == [True] * 3


def test_image_is_given_back(program, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 256, 256)).astype(np.float32)
    done = program.run("info", public("Image2Image.mlmodel"), "--json")
    assert '"format":"coreml"' in done.stdout
    got = coreml_run.run(program, public("Image2Image.mlmodel"), {"image": x},
                         ["generatedImage"], tmp_path)
    np.testing.assert_array_equal(got[0], x)


@pytest.mark.parametrize("name", ["MNIST_astro", "MNIST_ph1ps"])
def test_classifier_gives_a_label(program, tmp_path, name):
    x = np.random.default_rng(0).integers(0, 256, (1, 1, 28, 28)).astype(np.float32)
    (label,) = coreml_run.run(program, public(f"{name}.mlmodel"), {"image": x}, ["classLabel"],
                              tmp_path)
    assert label.dtype == np.int64 and label.shape == () and 0 <= label < 10


def test_custom_layer_is_refused_by_name(program):
    done = program.run("exec", public("custom_layer.mlmodel"), "--input", "image=x.npy",
                       "--output", "output=y.npy", code=1)
    assert 'custom (layer 1 "swish_1")' in done.stderr
    assert "whose code is in the app" in done.stderr


def test_layers_align_though_one_file_fuses_more(program, tmp_path):
    """Behind reshapes of innerProduct no activation becomes a part of it; behind Gemm it does."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder
    from coremltools.models.utils import save_spec

    onnx = pytest.importorskip("onnx")
    rng = np.random.default_rng(0)
    sizes = [6, 5, 4]
    builder = NeuralNetworkBuilder([("x", datatypes.Array(6))], [("y", None)])
    nodes, constants, x = [], [], "x"
    for k in range(2):
        w = rng.standard_normal((sizes[k + 1], sizes[k])).astype("f")
        out = ["h", "y"][k]
        builder.add_inner_product(f"Gemm_{k}", w, None, sizes[k], sizes[k + 1], False, x, f"g{k}")
        builder.add_activation(f"Relu_{k}", "RELU", f"g{k}", out)
        constants.append(onnx.numpy_helper.from_array(w, f"w{k}"))
        nodes += [onnx.helper.make_node("Gemm", [x, f"w{k}"], [f"g{k}"], f"Gemm_{k}", transB=1),
                  onnx.helper.make_node("Relu", [f"g{k}"], [out], f"Relu_{k}")]
        x = out
    save_spec(builder.spec, str(tmp_path / "net.mlmodel"))
    ports = [onnx.helper.make_tensor_value_info(name, 1, shape)
             for name, shape in (("x", [1, 6]), ("y", [1, 4]))]
    graph = onnx.helper.make_graph(nodes, "net", ports[:1], ports[1:], constants)
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[
        onnx.helper.make_opsetid("", 13)]), str(tmp_path / "net.onnx"))
    told = program.run("compare", tmp_path / "net.mlmodel", tmp_path / "net.onnx", "--all").stdout
    assert "Gemm_0" in told and "0 differ" in told
