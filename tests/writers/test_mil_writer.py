"""ML Programs that are written: what coremltools writes for the same network, loaded by it, run by
run-model."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("coremltools")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))

import coreml_run  # noqa: E402
from coreml_run import block_of, ct, load_program, write  # noqa: E402
from reference import checkpoints, ffdnet, lstm, mobilenetv2, wav2lip  # noqa: E402

TOLERANCE = 5e-6  # of the largest value, for f32
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


class Twin:
    """A network of ours, its module of PyTorch, and inputs by their names there."""

    def __init__(self, name, net, inputs, output, folder, wrapped=lambda net: net):
        self.name, self.inputs, self.output = name, inputs, output
        self.module = wrapped(net).eval()
        self.weights = folder / f"{name}.pth"
        checkpoints.save_zip(checkpoints.state_of(net), self.weights)
        with torch.no_grad():
            self.want = self.module(*(torch.tensor(a) for a in inputs.values())).numpy()

    def write(self, program, path, *options):
        shapes = [f"port={name},shape={'x'.join(map(str, a.shape))}"
                  for name, a in self.inputs.items()]
        return write(program, self.name, path, f"weights={self.weights}", *shapes, *options)

    def run(self, program, path, folder, *options):
        return coreml_run.run(program, path, self.inputs, [self.output], folder, *options)[0]

    def error(self, got):
        assert got.shape == self.want.shape
        return np.abs(got - self.want).max() / np.abs(self.want).max()


class FixedFFDNet(torch.nn.Module):
    """For one size, and without what coremltools would convert though it does nothing."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image, sigma):
        pixels = torch.nn.functional.pixel_unshuffle(image, 2)
        planes = sigma.view(1, 1, 1, 1).repeat(1, 3, *(int(n) for n in pixels.shape[2:]))
        noise = self.net.layers(torch.cat([planes, pixels], 1))
        return image - torch.nn.functional.pixel_shuffle(noise, 2)


class Logits(torch.nn.Module):
    """The classifier without the states."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)[0]


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    rng = np.random.default_rng(3)

    def uniform(*shape):
        return rng.uniform(0, 1, shape).astype(np.float32)

    return {
        "wav2lip": Twin("wav2lip", wav2lip.random_wav2lip(0.125),
                        {"audio": uniform(1, 1, 80, 16), "face": uniform(1, 6, 96, 96)}, "frames",
                        folder),
        "ffdnet": Twin("ffdnet", ffdnet.random_ffdnet(width=24, depth=4),
                       {"image": uniform(1, 3, 24, 32), "sigma": np.float32([0.1])}, "denoised",
                       folder, FixedFFDNet),
        "mobilenetv2": Twin("mobilenetv2", mobilenetv2.random_mobilenetv2(0.25, 40),
                            {"image": uniform(1, 3, 64, 64)}, "classLabelProbs", folder),
        "lstm": Twin("lstm", lstm.random_classifier(), {"seq_input": uniform(1, 6, 1)},
                     "my_output", folder, Logits),
    }


# ---- against coremltools -----------------------------------------------------------------------


def signatures(spec):
    """Of each operation its type, and of its parameters name, type and rank; in order."""
    known, found = {}, []
    for value in spec.mlProgram.functions["main"].inputs:
        known[value.name] = value.type.tensorType
    for op in block_of(spec).operations:
        for out in op.outputs:
            known[out.name] = out.type.tensorType
        parameters = {(key, known[b.name].dataType, known[b.name].rank)
                      for key, argument in op.inputs.items() for b in argument.arguments
                      if b.name}
        if op.type != "const":
            found.append((op.type, parameters))
    return found


def theirs(twin, ios):
    """What coremltools makes of the module."""
    traced = torch.jit.trace(twin.module, [torch.tensor(a) for a in twin.inputs.values()])
    model = ct.convert(traced, convert_to="mlprogram",
                       minimum_deployment_target=getattr(ct.target, f"iOS{ios}"),
                       compute_precision=ct.precision.FLOAT32,
                       inputs=[ct.TensorType(name=name, shape=a.shape)
                               for name, a in twin.inputs.items()])
    return model.get_spec()


def order(signature):
    return signature[0], sorted(signature[1])


@pytest.mark.parametrize("name", ["wav2lip", "ffdnet", "mobilenetv2", "lstm"])
def test_same_as_coremltools(program, twins, tmp_path, name):
    twin, path = twins[name], tmp_path / "net.mlpackage"
    ios = 16 if name == "ffdnet" else 15
    twin.write(program, path, f"ios={ios}")
    spec = load_program(path)
    assert spec.specificationVersion == ios - 9
    assert twin.error(twin.run(program, path, tmp_path)) < TOLERANCE
    own, other = signatures(spec), signatures(theirs(twin, ios))
    # Behind its "crop" it leaves norms that ours are folded into the weights in front of.
    other = [s for s in other if s[0] != "batch_norm"]
    if name != "lstm":  # it computes all steps and takes the last; ours is told to give that alone
        assert sorted(map(order, own)) == sorted(map(order, other))
        return
    for signature in own:
        assert signature in other


# ---- kinds of weights and targets --------------------------------------------------------------


@pytest.mark.parametrize("ios", [15, 16, 17, 18])
@pytest.mark.parametrize("name", ["ffdnet", "lstm"])
def test_target(program, twins, tmp_path, name, ios):
    """The lowest operator set that has what is used, whatever is allowed."""
    twin, path = twins[name], tmp_path / "net.mlpackage"
    twin.write(program, path, f"ios={ios}")
    spec = load_program(path)
    opset = 6 if name == "ffdnet" and ios > 15 else 5
    assert spec.mlProgram.functions["main"].opset == f"CoreML{opset}"
    assert spec.specificationVersion == opset + 1
    assert twin.error(twin.run(program, path, tmp_path)) < TOLERANCE
    if name == "ffdnet":  # on iOS 15 the convolutions at both ends have the order of the blocks
        blocks = {"space_to_depth", "depth_to_space"}
        kinds = {t for t, _ in signatures(spec)}
        assert kinds == {"conv", "relu", "reshape", "tile", "concat", "sub"} | (
            blocks if ios == 15 else {"pixel_unshuffle", "pixel_shuffle"})


# The most that is lost of each network; no less than half of it must be lost, or nothing was done.
LOSSES = {("f16", "wav2lip"): 3e-3, ("f16", "ffdnet"): 5e-3, ("f16", "lstm"): 1e-3,
          ("int8", "ffdnet"): 2e-2, ("palette6", "ffdnet"): 1e-1, ("palette8", "ffdnet"): 2e-2}


@pytest.mark.parametrize("kind, name", LOSSES)
def test_fewer_bits(program, twins, tmp_path, kind, name):
    twin, path, plain = twins[name], tmp_path / "net.mlpackage", tmp_path / "plain.mlpackage"
    twin.write(program, path, "ios=17", f"kind={kind}")
    twin.write(program, plain, "ios=17")
    spec = load_program(path)
    error = twin.error(twin.run(program, path, tmp_path))
    assert LOSSES[kind, name] / 100 < error < LOSSES[kind, name]
    share = (path / WEIGHTS).stat().st_size / (plain / WEIGHTS).stat().st_size
    assert share < 0.52 if kind == "f16" else share < 0.8
    types = {out.type.tensorType.dataType for op in block_of(spec).operations for out in op.outputs}
    if kind == "f16":  # nothing is computed in f32 but what comes in and goes out
        assert [op.type for op in block_of(spec).operations
                if op.type != "const" and op.outputs[0].type.tensorType.dataType == 11] == ["cast"]
        assert 10 in types
    else:
        wanted = "constexpr_affine_dequantize" if kind == "int8" else "constexpr_lut_to_dense"
        assert wanted in [op.type for op in block_of(spec).operations]


def test_layers_that_old_targets_have_no_halves_of(program, twins, tmp_path):
    twin, path = twins["lstm"], tmp_path / "net.mlpackage"
    twin.write(program, path, "kind=f16")
    spec = load_program(path)
    assert spec.specificationVersion == 6
    assert [dict(s)["lstm"] for s in [[(t, p) for t, p in signatures(spec) if t == "lstm"]]][0] >= {
        ("x", 11, 3), ("weight_ih", 11, 2)}
    assert 1e-6 < twin.error(twin.run(program, path, tmp_path)) < 1e-3


def test_fewer_bits_refused(program, twins, tmp_path):
    path = tmp_path / "net.mlpackage"
    for kind, said in [("int8", "need ios16"), ("palette4", "need ios16")]:
        with pytest.raises(AssertionError, match=said):
            twins["lstm"].write(program, path, f"kind={kind}", "ios=15")
    with pytest.raises(AssertionError, match="1, 2, 4, 6 or 8 bits"):
        twins["lstm"].write(program, path, "kind=palette3", "ios=16")
    assert not path.exists()


# ---- ports -------------------------------------------------------------------------------------


def test_flexible_batch(program, twins, tmp_path):
    twin, path = twins["lstm"], tmp_path / "net.mlpackage"
    write(program, "lstm", path, f"weights={twin.weights}",
          "port=seq_input,as=x,shape=-1x6x1,low=1x6x1,high=8x6x1,usual=1x6x1")
    spec = load_program(path)
    feature = spec.description.input[0].type.multiArrayType
    assert list(feature.shape) == [1, 6, 1]
    assert [(r.lowerBound, r.upperBound) for r in feature.shapeRange.sizeRanges] == [
        (1, 8), (6, 6), (1, 1)]
    assert not spec.description.output[0].type.multiArrayType.shape
    assert [t for t, _ in signatures(spec)] == [
        "shape", "gather", "concat", "fill", "squeeze", "transpose", "lstm", "linear"]
    x = np.random.default_rng(1).uniform(0, 9, (5, 6, 1)).astype(np.float32)
    with torch.no_grad():
        want = twin.module(torch.tensor(x)).numpy()
    got = coreml_run.run(program, path, {"x": x}, ["my_output"], tmp_path)[0]
    np.testing.assert_allclose(got, want, atol=TOLERANCE * np.abs(want).max(), rtol=0)
    with pytest.raises(AssertionError, match="want to know how far"):
        write(program, "lstm", path, f"weights={twin.weights}", "port=seq_input,shape=-1x6x1")


def test_classifier_of_images(program, twins, tmp_path):
    twin, path = twins["mobilenetv2"], tmp_path / "net.mlpackage"
    labels = [f"class {i}" for i in range(40)]
    write(program, twin.name, path, f"weights={twin.weights}", "labels=" + ",".join(labels),
          "port=image,shape=1x3x64x64,colours=rgb,scale=0.02/0.03/0.04,bias=-1/-2/-3",
          "author=A", "license=L", "description=D", "source=m.pth", "label_name=kind")
    spec = load_program(path)
    image = spec.description.input[0].type.imageType
    assert (image.width, image.height, image.colorSpace) == (64, 64, 20)
    assert [o.name for o in spec.description.output] == ["kind", "classLabelProbs"]
    assert spec.description.predictedFeatureName == "kind"
    meta = spec.description.metadata
    assert (meta.author, meta.license, meta.shortDescription) == ("A", "L", "D")
    assert meta.userDefined["run-model.source"] == "m.pth"
    assert [t for t, _ in signatures(spec)][:2] == ["mul", "add"]
    assert signatures(spec)[-1][0] == "classify"
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 64, 64)).astype(np.float32)
    factors = np.float32([0.02, 0.03, 0.04]).reshape(1, 3, 1, 1)
    with torch.no_grad():
        want = twin.module(torch.tensor(pixels * factors + np.float32([-1, -2, -3]).reshape(
            1, 3, 1, 1))).numpy()
    got = coreml_run.run(program, path, {"image": pixels}, ["classLabelProbs"], tmp_path)[0]
    np.testing.assert_allclose(got.reshape(want.shape), want, atol=2e-5)
    with pytest.raises(AssertionError, match="there are 39 labels"):
        twin.write(program, path, "labels=" + ",".join(labels[1:]))


def test_picture_in_and_out(program, twins, tmp_path):
    twin, path = twins["ffdnet"], tmp_path / "net.mlpackage"
    write(program, twin.name, path, f"weights={twin.weights}", "kind=f16",
          "port=image,as=my_input,shape=1x3x24x32,colours=rgb,scale=0.00392156862745098",
          "port=sigma,as=my_sigma,shape=1", "port=denoised,as=my_output,colours=bgr,scale=255")
    spec = load_program(path)
    out = spec.description.output[0]
    assert (out.name, out.type.imageType.width, out.type.imageType.height,
            out.type.imageType.colorSpace) == ("my_output", 32, 24, 30)
    # Levels are scaled in floats, and then become halves.
    steps = [op for op in block_of(spec).operations if op.type in ("mul", "cast")]
    assert [op.type for op in steps[:2]] == ["mul", "cast"]
    assert steps[0].inputs["x"].arguments[0].name == "my_input"
    assert steps[1].inputs["x"].arguments[0].name == steps[0].outputs[0].name
    assert [op.outputs[0].type.tensorType.dataType for op in steps[:2]] == [11, 10]
    constants = {op.outputs[0].name: op.attributes["val"].immediateValue.tensor.floats.values
                 for op in block_of(spec).operations if op.type == "const"}
    assert list(constants[steps[0].inputs["y"].arguments[0].name]) == [np.float32(1 / 255)]
    got = coreml_run.run(program, path, {"my_input": twin.inputs["image"] * 255,
                                         "my_sigma": twin.inputs["sigma"]}, ["my_output"],
                         tmp_path)[0]
    assert np.abs(got / 255 - twin.want).max() < 5e-3


def test_names(program, twins, tmp_path):
    path = tmp_path / "net.mlpackage"
    for wrong in ("a b", "tensor", "1st"):
        with pytest.raises(AssertionError, match="cannot be the name"):
            write(program, "lstm", path, f"weights={twins['lstm'].weights}",
                  f"port=seq_input,as={wrong},shape=1x6x1")
    assert not path.exists()


# ---- the package -------------------------------------------------------------------------------


def contents(path):
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return {str(p.relative_to(path)): p.read_bytes() for p in files}


def test_package(program, twins, tmp_path):
    twin, path = twins["lstm"], tmp_path / "net.mlpackage"
    twin.write(program, path)
    first = contents(path)
    assert set(first) == {"Manifest.json", MODEL, WEIGHTS}
    manifest = json.loads(first["Manifest.json"])
    assert manifest["fileFormatVersion"] == "1.0.0"
    assert {i["path"] for i in manifest["itemInfoEntries"].values()} == {
        "com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"}
    twin.write(program, path)  # in its place
    assert contents(path) == first
    assert [p.name for p in tmp_path.iterdir()] == ["net.mlpackage"]
    write(program, "lstm", tmp_path / "other.mlpackage", "weights=random:9",
          "port=seq_input,shape=1x6x1")
    other = json.loads((tmp_path / "other.mlpackage/Manifest.json").read_text())
    assert other["rootModelIdentifier"] != manifest["rootModelIdentifier"]


def test_other_folders_stay(program, twins, tmp_path):
    path = tmp_path / "net.mlpackage"
    path.mkdir()
    (path / "mine.txt").write_text("mine")
    with pytest.raises(AssertionError, match="is no package"):
        twins["lstm"].write(program, path)
    assert contents(path) == {"mine.txt": b"mine"}
    with pytest.raises(AssertionError, match="cannot be made"):
        twins["lstm"].write(program, tmp_path / "no" / "net.mlpackage")


def test_weight_file(program, twins, tmp_path):
    """Byte for byte as the format has it."""
    twin, path = twins["lstm"], tmp_path / "net.mlpackage"
    twin.write(program, path)
    data = (path / WEIGHTS).read_bytes()
    count, version = struct.unpack_from("<II", data)
    assert version == 2 and not any(data[8:64])
    at, end = 64, 64
    for _ in range(count):
        sentinel, kind, size, offset = struct.unpack_from("<IIQQ", data, at)
        assert (sentinel, kind, offset) == (0xDEADBEEF, 2, at + 64)
        assert not any(data[at + 24:at + 64]) and not any(data[end:at])
        end = offset + size
        at = (end + 63) // 64 * 64
    assert end == len(data)
