"""Core ML neural networks that are written: loaded by coremltools, run by run-model."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))

import coreml_run  # noqa: E402
from coreml_run import write  # noqa: E402
from nn_cases import OLD  # noqa: E402
from nn_nd_cases import ND  # noqa: E402
from test_nn import layer_file  # noqa: E402

DATA = Path(os.environ.get("RUN_MODEL_TEST_DATA")
            or Path(__file__).resolve().parents[3] / "shared" / "data")
TOLERANCE = 5e-5  # of the largest value, the promise for whole networks in f32
# Layers whose operators no layer of known sizes has.
REFUSED = {"sliceDynamic": "bounds that are computed", "sliceBySize": "bounds that are computed"}


def shape_of(array):
    return "shape=" + "x".join(map(str, array.shape))


def spec_of(path):
    """The file as coremltools reads it, which it writes again byte for byte."""
    spec = coreml_run.ct.utils.load_spec(str(path))
    assert spec.SerializeToString(deterministic=True) == path.read_bytes()
    return spec


def layers_of(spec):
    network = getattr(spec, spec.WhichOneof("Type"))
    return [layer.WhichOneof("layer") for layer in network.layers]


# ---- every layer -------------------------------------------------------------------------------


def check_again(program, folder, case, exact):
    """The layer's file read, written and run."""
    path, outputs = layer_file(folder, case, exact)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    ports = []
    for name, array in inputs.items():
        batch = "1x" if not exact and array.ndim in (1, 3) else ""
        ports.append(f"port={name},shape={batch}{'x'.join(map(str, array.shape))}")
    again = folder / "again.mlmodel"
    if case.name in REFUSED:
        assert REFUSED[case.name] in write(program, path, again, *ports, code=1)
        assert not again.exists()
        return
    write(program, path, again, *ports)
    spec_of(again)
    wanted = case.want if isinstance(case.want, (list, tuple)) else [case.want]
    got = coreml_run.run(program, again, inputs, outputs, folder)
    for k, want in enumerate(np.asarray(w) for w in wanted):
        assert np.squeeze(got[k]).shape == np.squeeze(want).shape  # a batch of 1 more or less
        got[k] = got[k].reshape(want.shape).astype(want.dtype)
    coreml_run.check(case, got)


@pytest.mark.parametrize("case", OLD, ids=[c.name for c in OLD])
def test_layer(program, tmp_path, case):
    check_again(program, tmp_path, case, False)


@pytest.mark.parametrize("case", ND, ids=[c.name for c in ND])
def test_layer_of_any_rank(program, tmp_path, case):
    check_again(program, tmp_path, case, True)


# ---- the guides' networks ----------------------------------------------------------------------

NETWORKS = {  # inputs and outputs as the guides name them
    "lstm": ({"seq_input": ("x", (1, 6, 1))}, {"my_output": "my_output"}),
    "mobilenetv2": ({"image": ("image", (1, 3, 64, 32))}, {"classLabelProbs": "probs"}),
    "ffdnet": ({"image": ("my_input", (1, 3, 48, 64)), "sigma": ("my_sigma", (1,))},
               {"denoised": "my_output"}),
}


def ports_of(name):
    inputs, outputs = NETWORKS[name]
    return [f"port={own},as={called},shape={'x'.join(map(str, shape))}"
            for own, (called, shape) in inputs.items()] + [
                f"port={own},as={called}" for own, called in outputs.items()]


def run_both(program, name, weights, path, folder):
    """The outputs of the built-in network and of the file for the same inputs."""
    inputs, outputs = NETWORKS[name]
    rng = np.random.default_rng(0)
    arrays = {own: rng.uniform(0, 1, shape).astype(np.float32)
              for own, (_, shape) in inputs.items()}
    want = program.exec(name, weights, arrays, list(outputs), folder)
    called = {inputs[own][0]: array for own, array in arrays.items()}
    return want, coreml_run.run(program, path, called, list(outputs.values()), folder)


@pytest.mark.parametrize("name", NETWORKS)
def test_network(program, tmp_path, name):
    weights, path = tmp_path / "w.safetensors", tmp_path / "net.mlmodel"
    write(program, name, weights, "weights=random:1")
    write(program, name, path, f"weights={weights}", *ports_of(name))
    spec = spec_of(path)
    inputs, outputs = NETWORKS[name]
    assert [i.name for i in spec.description.input] == [called for called, _ in inputs.values()]
    assert [o.name for o in spec.description.output] == list(outputs.values())
    for want, got in zip(*run_both(program, name, weights, path, tmp_path)):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * np.abs(want).max())
    again = tmp_path / "again.mlmodel"
    write(program, name, again, f"weights={weights}", *ports_of(name))
    assert again.read_bytes() == path.read_bytes()


def test_ffdnet_by_blocks(program, tmp_path):
    """Nothing puts channels in order but the convolutions at both ends."""
    write(program, "ffdnet", tmp_path / "net.mlmodel", "weights=random:1", *ports_of("ffdnet"))
    spec = spec_of(tmp_path / "net.mlmodel")
    layers = layers_of(spec)
    assert spec.specificationVersion == 4
    assert layers.count("reorganizeData") == 2 and layers.count("convolution") == 12
    assert "gather" not in layers
    modes = [layer.reorganizeData.mode for layer in spec.neuralNetwork.layers
             if layer.WhichOneof("layer") == "reorganizeData"]
    assert modes == [0, 1]  # SPACE_TO_DEPTH, DEPTH_TO_SPACE


# ---- images and classes ------------------------------------------------------------------------


def test_image_version(program, tmp_path):
    """FFDNet of pixels, as the guide has it: a scaler in front, a scale layer at the end."""
    weights, path = tmp_path / "w.safetensors", tmp_path / "net.mlmodel"
    write(program, "ffdnet", weights, "weights=random:1")
    write(program, "ffdnet", path, f"weights={weights}",
          "port=image,as=my_input,shape=1x3x48x64,colours=rgb,scale=0.003921569",
          "port=sigma,as=my_sigma,shape=1", "port=denoised,as=my_output,colours=rgb,scale=255")
    spec = spec_of(path)
    (scaler,) = spec.neuralNetwork.preprocessing
    assert scaler.featureName == "my_input"
    assert scaler.scaler.channelScale == np.float32(0.003921569)
    assert spec.description.input[0].type.imageType.width == 64
    assert spec.description.output[0].type.imageType.height == 48
    last = spec.neuralNetwork.layers[-1]
    assert list(last.output) == ["my_output"] and list(last.scale.scale.floatValue) == [255]
    assert "bias" not in layers_of(spec)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 48, 64)).astype(np.float32)
    level = np.full(1, 0.1, np.float32)
    (want,) = program.exec("ffdnet", weights, {"image": pixels * np.float32(0.003921569),
                                               "sigma": level}, ["denoised"], tmp_path)
    (got,) = coreml_run.run(program, path, {"my_input": pixels, "my_sigma": level}, ["my_output"],
                            tmp_path)
    np.testing.assert_allclose(got, 255 * want, rtol=0, atol=TOLERANCE * np.abs(255 * want).max())


@pytest.mark.parametrize("colours", ["rgb", "bgr"])
def test_scale_and_bias_of_colours(program, tmp_path, colours):
    """One scale and three biases are the format's own; three scales become a layer."""
    weights = tmp_path / "w.safetensors"
    write(program, "mobilenetv2", weights, "weights=random:1")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64)).astype(np.float32)
    bias = np.array([-0.5, 0.25, 1], np.float32)
    for scale in ([0.25], [0.25, 0.5, 0.125]):
        path = tmp_path / f"net{len(scale)}.mlmodel"
        write(program, "mobilenetv2", path, f"weights={weights}",
              f"port=image,shape=1x3x64x64,colours={colours},bias=-0.5/0.25/1,scale="
              + "/".join(map(str, scale)))
        assert len(spec_of(path).neuralNetwork.preprocessing) == (len(scale) == 1)
        x = pixels * np.float32(scale).reshape(-1, 1, 1) + bias.reshape(3, 1, 1)
        want = program.exec("mobilenetv2", weights, {"image": x}, ["classLabelProbs"], tmp_path)
        got = coreml_run.run(program, path, {"image": pixels}, ["classLabelProbs"], tmp_path)
        np.testing.assert_allclose(got[0], want[0], rtol=0, atol=TOLERANCE * want[0].max())


def test_classifier(program, tmp_path):
    labels = [f"class {i}" for i in range(1000)]
    weights, path = tmp_path / "w.safetensors", tmp_path / "net.mlmodel"
    write(program, "mobilenetv2", weights, "weights=random:1")
    write(program, "mobilenetv2", path, f"weights={weights}", "labels=" + ",".join(labels),
          "port=image,shape=1x3x64x64,colours=rgb", "author=me", "license=mine", "description=what",
          "version=1.2", "source=w.pth")
    spec = spec_of(path)
    network, about = spec.neuralNetworkClassifier, spec.description
    assert list(network.stringClassLabels.vector) == labels
    assert about.predictedFeatureName == "classLabel"
    assert about.predictedProbabilitiesName == "classLabelProbs"
    assert network.labelProbabilityLayerName in network.layers[-1].output
    metadata = about.metadata
    assert [metadata.author, metadata.license, metadata.shortDescription,
            metadata.versionString] == ["me", "mine", "what", "1.2"]
    assert metadata.userDefined["run-model.source"] == "w.pth"
    x = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64)).astype(np.float32)
    want = program.exec("mobilenetv2", weights, {"image": x}, ["classLabelProbs"], tmp_path)[0][0]
    scores, label = coreml_run.run(program, path, {"image": x}, ["classLabelProbs", "classLabel"],
                                   tmp_path)
    np.testing.assert_allclose(scores, want, rtol=0, atol=TOLERANCE * want.max())
    assert label == want.argmax()


# ---- weights of fewer bits ---------------------------------------------------------------------


def largest_error(program, folder, name, kind):
    weights, path = folder / "w.safetensors", folder / f"{kind}.mlmodel"
    write(program, name, weights, "weights=random:1")
    write(program, name, path, f"weights={weights}", f"kind={kind}", *ports_of(name))
    (want,), (got,) = run_both(program, name, weights, path, folder)
    return np.abs(got - want).max() / np.abs(want).max(), path


def test_halves(program, tmp_path):
    error, path = largest_error(program, tmp_path, "ffdnet", "f16")
    assert 0 < error < 2e-3
    for layer in spec_of(path).neuralNetwork.layers:
        if layer.WhichOneof("layer") == "convolution":  # floats of one kind in a layer
            assert layer.convolution.weights.float16Value
            assert not layer.convolution.bias.floatValue


def check_as_coremltools(program, folder, path, name):
    """The same results with the weights that coremltools reads there."""
    from coremltools.models.neural_network import quantization_utils as quantization
    from coremltools.models.utils import save_spec

    spec = spec_of(path)
    quantization._dequantize_nn_spec(spec.neuralNetwork)
    save_spec(spec, str(folder / "plain.mlmodel"))
    inputs, outputs = NETWORKS[name]
    rng = np.random.default_rng(0)
    arrays = {called: rng.uniform(0, 1, shape).astype(np.float32)
              for called, shape in inputs.values()}
    got, want = (coreml_run.run(program, p, arrays, list(outputs.values()), folder)[0]
                 for p in (path, folder / "plain.mlmodel"))
    np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE * np.abs(want).max())


def test_int8(program, tmp_path):
    error, path = largest_error(program, tmp_path, "ffdnet", "int8")
    assert 0 < error < 0.05
    for layer in spec_of(path).neuralNetwork.layers:
        if layer.WhichOneof("layer") == "convolution":
            quantization = layer.convolution.weights.quantization
            assert quantization.numberOfBits == 8
            assert len(quantization.linearQuantization.scale) == layer.convolution.outputChannels
    assert path.stat().st_size < 3.5e6 * 0.27
    check_as_coremltools(program, tmp_path, path, "ffdnet")


@pytest.mark.parametrize("bits,most", [(8, 0.01), (6, 0.02), (3, 0.2), (1, 1.0)])
def test_palette(program, tmp_path, bits, most):
    error, path = largest_error(program, tmp_path, "lstm", f"palette{bits}")
    assert 0 < error < most
    (layer,) = (one for one in spec_of(path).neuralNetwork.layers
                if one.WhichOneof("layer") == "uniDirectionalLSTM")
    weights = layer.uniDirectionalLSTM.weightParams
    table = weights.inputGateRecursionMatrix.quantization
    assert table.numberOfBits == bits
    assert len(table.lookupTableQuantization.floatValue) == 2**bits
    assert not weights.inputGateWeightMatrix.rawValue  # few numbers keep their bits
    check_as_coremltools(program, tmp_path, path, "lstm")


# ---- iOS 12 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_network_of_ios12(program, tmp_path, name):
    weights, path = tmp_path / "w.safetensors", tmp_path / "net.mlmodel"
    write(program, name, weights, "weights=random:1")
    write(program, name, path, f"weights={weights}", "ios=12", *ports_of(name))
    spec = spec_of(path)
    assert spec.specificationVersion <= 3
    assert spec.neuralNetwork.arrayInputShapeMapping == 0
    assert {len(i.type.multiArrayType.shape) for i in spec.description.input} <= {1, 3}
    (want,), (got,) = run_both(program, name, weights, path, tmp_path)
    np.testing.assert_allclose(got.reshape(want.shape), want, rtol=0,
                               atol=TOLERANCE * np.abs(want).max())


def test_ios12_is_proved(program, tmp_path):
    """Inputs of such files may have a sequence in front, also where their source has none."""
    write(program, "lstm", tmp_path / "w.safetensors", "weights=random:1")
    done = program.run("convert", "lstm", "--weights", tmp_path / "w.safetensors", "--target",
                       "ios12", "-o", tmp_path / "net.mlmodel")
    assert "largest error" in done.stdout + done.stderr


def test_what_ios12_lacks_is_told(program, tmp_path):
    """Sequences that no recurrent layer makes, and tables, as in networks with embeddings."""
    source, out = public("embedding_house_prices.mlmodel"), tmp_path / "net.mlmodel"
    done = program.run("convert", source, "--target", "ios12", "-o", out, code=1)
    assert '"embedding_2" (gather): this is written for iOS 13 alone' in done.stderr
    assert "more than 4 dimensions, as with a sequence in front of the batch" in done.stderr
    assert "all of them fit a neural network of iOS 13" in done.stderr
    assert not out.exists()


def test_later_targets_become_ios13(program, tmp_path):
    paths = [tmp_path / f"{ios}.mlmodel" for ios in (0, 13, 18)]
    said = [write(program, "lstm", path, "weights=random:1", f"ios={path.stem}",
                  *ports_of("lstm")) for path in paths]
    assert len({path.read_bytes() for path in paths}) == 1
    assert "iOS 13" in said[2] and not said[0] and not said[1]
    assert "iOS 11" in write(program, "lstm", paths[0], "weights=random:1", "ios=11",
                             *ports_of("lstm"), code=1)


# ---- files of others ---------------------------------------------------------------------------


def public(name):
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not there")
    return DATA / name


def fit(name):
    """A name as a file of ours has it."""
    return re.sub("[^A-Za-z0-9_]", "_", f"_{name}" if name[0].isdigit() else name)


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


ONNX = [  # with the targets that hold it
    ("onnx/mnist_zoo.onnx", (1, 1, 28, 28), (12, 13)),
    ("onnx/mobilenet_v2_imagenet.onnx", (1, 3, 224, 224), (13,)),
    ("onnx/ulfd_rfb_320.onnx", (1, 3, 240, 320), (13,)),
    ("onnx/yunet_n_dynamic.onnx", (1, 3, 64, 96), (12, 13)),
    ("coreml/basicpitch_nmp.onnx", (1, 43844, 1), (13,)),
    ("coreml/my_network.onnx", (1, 3, 32, 32), (12, 13)),
]


@pytest.mark.parametrize("name,shape,targets", ONNX, ids=[o[0] for o in ONNX])
def test_onnx_file(program, tmp_path, name, shape, targets):
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(str(public(name)))
    (given,) = (i.name for i in session.get_inputs())
    x = normal(*shape)
    want = session.run(None, {given: x})
    outputs = [fit(o.name) for o in session.get_outputs()]
    for ios in targets:
        path = tmp_path / f"{ios}.mlmodel"
        write(program, DATA / name, path, f"ios={ios}", f"port={given},{shape_of(x)}")
        spec_of(path)
        got = coreml_run.run(program, path, {fit(given): x}, outputs, tmp_path)
        scale = max(np.abs(w).max() for w in want)  # ONNX Runtime's sigmoid ends at 1e-8
        for value, right in zip(got, want):
            np.testing.assert_allclose(value.reshape(right.shape), right, rtol=0,
                                       atol=TOLERANCE * scale)


COREML = [  # inputs, outputs and the targets that hold it
    ("my_network.mlmodel", {"my_input": (1, 3, 32, 32)}, ["my_output"], (12, 13)),
    ("my_network_image.mlmodel", {"my_input": (1, 3, 32, 32)}, ["my_output"], (12, 13)),
    ("photo_noise1_model.mlmodel", {"input": (1, 3, 142, 142)}, ["conv7"], (12, 13)),
    ("up_anime_scale2x_model.mlmodel", {"input": (1, 3, 156, 156)}, ["conv7"], (12, 13)),
    ("MNIST_astro.mlmodel", {"image": (1, 1, 28, 28)}, ["output", "classLabel"], (13,)),
    ("MNIST_ph1ps.mlmodel", {"image": (1, 1, 28, 28)}, ["prediction", "classLabel"], (13,)),
    ("Image2Image.mlmodel", {"image": (1, 3, 256, 256)}, ["generatedImage"], (12, 13)),
    ("ffdnet_gray_body_fp32.mlpackage", {"x": (1, 5, 64, 64)}, ["var_325"], (12, 13)),
    ("basicpitch_nmp.mlpackage", {"input_2": (1, 43844, 1)}, ["Identity", "Identity_1",
                                                              "Identity_2"], (12, 13)),
]  # fmt: skip


@pytest.mark.parametrize("name,shapes,outputs,targets", COREML, ids=[c[0] for c in COREML])
def test_coreml_file(program, tmp_path, name, shapes, outputs, targets):
    source = public(f"coreml/{name}")
    inputs = {given: normal(*shape) for given, shape in shapes.items()}
    want = coreml_run.run(program, source, inputs, outputs, tmp_path)
    for ios in targets:
        path = tmp_path / f"{ios}.mlmodel"
        write(program, source, path, f"ios={ios}",
              *[f"port={given},{shape_of(x)}" for given, x in inputs.items()])
        spec_of(path)
        got = coreml_run.run(program, path, inputs, outputs, tmp_path)
        for value, right in zip(got, want):
            np.testing.assert_allclose(value.reshape(right.shape), right, rtol=0,
                                       atol=5e-6 * np.abs(right).max())


# ---- beside coremltools ------------------------------------------------------------------------


def converted_twin(folder):
    """What coremltools makes of a network with the layers of the guides' ones."""
    import torch
    from torch import nn

    class Twin(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
            self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
            self.up = nn.ConvTranspose2d(16, 6, 3, 2, 1, 1)
            self.last = nn.Linear(6, 5)

        def forward(self, x):
            y = nn.functional.relu6(self.norm(self.first(x)))
            y = torch.cat([torch.relu(self.depthwise(y) + y), y], 1)
            y = torch.sigmoid(self.up(y)).mean((2, 3))
            return torch.softmax(self.last(y), 1)

    torch.manual_seed(0)
    path, outputs, _ = coreml_run.network_file(folder, Twin().eval(), {"x": normal(1, 3, 16, 20)},
                                               "neuralnetwork")
    return path, outputs


def parameters_of(path):
    """Kinds and parameters of layers in order, but those that cut: a crop is read as slices."""
    out = []
    for layer in coreml_run.ct.utils.load_spec(str(path)).neuralNetwork.layers:
        kind = layer.WhichOneof("layer")
        params = getattr(layer, kind)
        if kind == "unary" and params.type == params.THRESHOLD:
            params.epsilon = 0  # which it does not read
        if kind not in ("crop", "sliceStatic"):
            out.append((kind, params.SerializeToString(deterministic=True)))
    return out


def test_layers_are_those_of_coremltools(program, tmp_path):
    """Read from coremltools' file and written again: layer by layer the same parameters."""
    path, (output,) = converted_twin(tmp_path)
    again = tmp_path / "again.mlmodel"
    write(program, path, again, "port=x,shape=1x3x16x20")
    theirs, ours = parameters_of(path), parameters_of(again)
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    assert {"convolution", "add", "concat", "innerProduct"} <= {kind for kind, _ in ours}
    for (kind, mine), (_, theirs) in zip(ours, theirs):
        assert mine == theirs, kind
    x = normal(1, 3, 16, 20)
    want, got = (coreml_run.run(program, p, {"x": x}, [output], tmp_path)[0] for p in (path, again))
    np.testing.assert_array_equal(got, want)


# ---- sizes that change, and refusals -----------------------------------------------------------


def onnx_file(folder, nodes, shape, constants=(), name="net"):
    """A network of nodes from x to y."""
    from onnx import TensorProto, helper, numpy_helper, save

    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [tensor("x", TensorProto.FLOAT, shape)],
                              [tensor("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(a, key) for key, a in constants])
    save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]),
         str(folder / f"{name}.onnx"))
    return folder / f"{name}.onnx"


def test_sizes_that_change(program, tmp_path):
    import onnxruntime
    from onnx import helper

    source = onnx_file(tmp_path, [
        helper.make_node("Conv", ["x", "w"], ["a"], "a", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"], "b"),
        helper.make_node("ConvTranspose", ["b", "v"], ["y"], "y", strides=[2, 2]),
    ], [1, 3, "h", "w"], [("w", normal(4, 3, 3, 3)), ("v", normal(4, 2, 2, 2))])
    path = tmp_path / "net.mlmodel"
    write(program, source, path, "port=x,shape=1x3x-1x-1,low=1x3x8x8,high=1x3x64x32,"
                                 "usual=1x3x16x16")
    sizes = spec_of(path).description.input[0].type.multiArrayType
    assert list(sizes.shape) == [1, 3, 16, 16]
    assert [(r.lowerBound, r.upperBound) for r in sizes.shapeRange.sizeRanges] == [
        (1, 1), (3, 3), (8, 64), (8, 32)]
    session = onnxruntime.InferenceSession(str(source))
    for shape in ((1, 3, 10, 31), (1, 3, 64, 8)):
        (want,) = session.run(None, {"x": normal(*shape)})
        (got,) = coreml_run.run(program, path, {"x": normal(*shape)}, ["y"], tmp_path)
        np.testing.assert_allclose(got, want, rtol=0, atol=5e-6 * np.abs(want).max())


def test_all_that_is_lacking_is_named_at_once(program, tmp_path):
    from onnx import helper

    source = onnx_file(tmp_path, [
        helper.make_node("Det", ["x"], ["a"], "first"),
        helper.make_node("Unsqueeze", ["x", "axes"], ["b"], "second"),
        helper.make_node("ReduceSum", ["b"], ["c"], "sum", keepdims=0),
        helper.make_node("Add", ["a", "c"], ["y"], "y"),
    ], [2, 3, 3], [("axes", np.array([0, 1, 2], np.int64))])
    said = write(program, source, tmp_path / "net.mlmodel", code=1)
    assert "iOS 13 cannot hold" in said
    assert '"first" (det): no layer does this' in said
    assert '"second" (unsqueeze): more than 5 dimensions' in said
    assert not list(tmp_path.glob("*.mlmodel*"))


def test_no_inputs(program, tmp_path):
    from onnx import TensorProto, helper, save

    constant = helper.make_node("Constant", [], ["y"], "y", value_floats=[1.0, 2.0])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    save(helper.make_model(helper.make_graph([constant], "g", [], [output]), ir_version=8,
                           opset_imports=[helper.make_opsetid("", 17)]), str(tmp_path / "n.onnx"))
    said = write(program, tmp_path / "n.onnx", tmp_path / "n.mlmodel", code=1)
    assert "has no inputs" in said


# ---- bytes -------------------------------------------------------------------------------------

# relu(2x - 1) of [2,3] as the format's own tools write it: description, then network.
DESCRIPTION = bytes.fromhex("0a0f0a01781a0a2a080a02020310a08004520f0a01791a0a2a080a02020310a08004")
LAYERS = bytes.fromhex("a21f300a180a01741201781a017492080c2a0a0d0000004015000080bf0a100a03616374"
                       "1201741a0179920802520028013001")


def test_bytes(program, tmp_path):
    """The two layers byte for byte, named as our values are; x * 2 - 1 is one of them."""
    from onnx import helper

    source = onnx_file(tmp_path, [helper.make_node("Mul", ["x", "two"], ["m"], "m"),
                                  helper.make_node("Add", ["m", "one"], ["t"], "t"),
                                  helper.make_node("Relu", ["t"], ["y"], "act")], [2, 3],
                       [("two", np.float32(2)), ("one", np.float32(-1))])
    write(program, source, tmp_path / "net.mlmodel")
    data = (tmp_path / "net.mlmodel").read_bytes()
    assert data.startswith(bytes.fromhex("080412"))
    assert data[4:4 + len(DESCRIPTION)] == DESCRIPTION  # then the metadata
    assert data.endswith(LAYERS)
