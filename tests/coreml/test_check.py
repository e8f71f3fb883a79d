"""run-model check: good files pass, and every fault that is planted in one is named."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct  # noqa: E402
from test_networks import DATA  # noqa: E402

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3, 1, 1), nn.Linear(4, 5)

    def forward(self, x):
        y = nn.functional.max_pool2d(torch.relu(self.conv(x)), 2)
        return torch.softmax(self.last(y.mean((2, 3))), 1)


LABELS = ["ant", "bee", "cat", "dog", "eel"]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Files that have no faults, by name; each in a folder of its own."""
    torch.manual_seed(0)
    files = {}
    traced = torch.jit.trace(Net().eval(), torch.zeros(1, 3, 8, 8))
    array = [ct.TensorType(name="x", shape=(1, 3, 8, 8))]
    image = [ct.ImageType(name="x", shape=(1, 3, 8, 8), scale=1 / 255)]
    settings = {
        "network": {"convert_to": "neuralnetwork", "inputs": array},
        "classifier": {"convert_to": "neuralnetwork", "inputs": image},
        "program": {"minimum_deployment_target": ct.target.iOS15, "inputs": array,
                    "compute_precision": ct.precision.FLOAT32},
        "halves": {"minimum_deployment_target": ct.target.iOS16, "inputs": array},
        "classes": {"minimum_deployment_target": ct.target.iOS15, "inputs": image},
    }
    for name, how in settings.items():
        if name in ("classifier", "classes"):
            how["classifier_config"] = ct.ClassifierConfig(LABELS)
        model = ct.convert(traced, **how)
        end = ".mlmodel" if how.get("convert_to") else ".mlpackage"
        files[name] = tmp_path_factory.mktemp("good") / (name + end)
        model.save(str(files[name]))
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder
    builder = NeuralNetworkBuilder([("x", datatypes.Array(3, 8, 8))], [("y", None)])
    builder.add_activation("act", "RELU", "x", "t")
    builder.add_activation("again", "TANH", "t", "y")
    builder.spec.specificationVersion = 1
    files["old"] = tmp_path_factory.mktemp("good") / "old.mlmodel"
    ct.models.utils.save_spec(builder.spec, str(files["old"]))
    return files


def check(program, path, code):
    done = program.run("check", path, code=code)
    assert not done.stderr
    return done.stdout


def plant(program, good, folder, name, change):
    """A copy of a good file with its message changed; what check says of it."""
    path = Path(folder) / good[name].name
    (shutil.copytree if good[name].is_dir() else shutil.copy)(good[name], path)
    inside = path / MODEL if path.is_dir() else path
    spec = ct.proto.Model_pb2.Model()
    spec.ParseFromString(inside.read_bytes())
    change(spec)
    inside.write_bytes(spec.SerializeToString())
    return check(program, path, 1)


def test_good_files(program, good):
    for path in list(good.values()) + sorted(DATA.glob("*.ml*")):
        told = check(program, path, 0).splitlines()
        assert told[-1].startswith("note: 0 faults"), told
        assert not any(line.startswith(("fault", "warning")) for line in told), told
        assert len(told) == 1 or path.name == "custom_layer.mlmodel", told


# ---- neural networks ----------------------------------------------------------------------------


def layers(spec):
    return getattr(spec, spec.WhichOneof("Type")).layers


def layer(spec, kind):
    return next(e for e in layers(spec) if e.WhichOneof("layer") == kind)


def clear(message, *fields):
    for field in fields:
        message.ClearField(field)


def add_layer(spec, name, source, target):
    new = layers(spec).add()
    new.name = name
    new.input.append(source)
    new.output.append(target)
    return new


def conv(spec):
    return layer(spec, "convolution").convolution


def dense(spec):
    return layer(spec, "innerProduct").innerProduct


def old_cumsum(spec):
    add_layer(spec, "sum", "x", "s").cumSum.axis = -1


def shuffle(spec):
    spec.specificationVersion = 4
    add_layer(spec, "shuffle", "x", "s").reorganizeData.mode = 2


def corners(spec):
    spec.specificationVersion = 4
    new = add_layer(spec, "up", "x", "s").upsample
    new.mode = 1
    new.linearUpsampleMode = 1


def halves_beside_floats(spec):
    bias = conv(spec).bias
    count = len(bias.floatValue)
    clear(bias, "floatValue")
    bias.float16Value = bytes(2 * count)


def flatten_to_99(spec):
    """The size that does not fit is behind dimensions that only a call tells."""
    add_layer(spec, "flat", "y", "f").flatten.mode = 0
    new = add_layer(spec, "dense", "f", "d").innerProduct
    new.inputChannels, new.outputChannels = 99, 1
    new.weights.floatValue.extend([0] * 99)


def feature(spec, name):
    return next(f for f in list(spec.description.input) + list(spec.description.output)
                if f.name == name)


def two_channels(spec):
    conv(spec).outputChannels = 2
    del conv(spec).weights.floatValue[2 * 27:]
    del conv(spec).bias.floatValue[2:]
    keep = [e for e in layers(spec)][:1 + [e.WhichOneof("layer") for e in layers(spec)]
                                     .index("convolution")]
    name = keep[-1].output[0]
    del layers(spec)[len(keep):]
    out = spec.description.output[0]
    out.name = name
    out.type.imageType.width = out.type.imageType.height = 8
    out.type.imageType.colorSpace = 10


def labels_of(spec):
    return spec.neuralNetworkClassifier.stringClassLabels.vector


NETWORK = {
    "padding_kind": ("network", lambda s: clear(conv(s), "valid", "same"),
                     "kind of padding is not set"),
    "pool_padding_kind": ("network", lambda s: clear(
        layer(s, "pooling").pooling, "valid", "same", "includeLastPixel"),
        "(pooling): its kind of padding is not set"),
    "weight_count": ("network", lambda s: conv(s).weights.floatValue.pop(),
                     "its weights are 107 numbers, 108 are right"),
    "dense_weight_count": ("network", lambda s: dense(s).weights.floatValue.append(1),
                           "its weights are 21 numbers, 20 are right"),
    "missing_bias": ("network", lambda s: clear(conv(s), "bias"), "its biases are missing"),
    "bias_count": ("network", lambda s: dense(s).bias.floatValue.append(1),
                   "its biases are 6 numbers, 5 are right"),
    "mixed_floats": ("network", halves_beside_floats, "floats of 32 and of 16 bits"),
    "two_encodings": ("network", lambda s: setattr(conv(s).weights, "float16Value", bytes(216)),
                      "its weights are there in 2 ways"),
    "no_activation": ("network", lambda s: clear(layer(s, "activation").activation, "ReLU"),
                      "its kind of activation is not set"),
    "unknown_layer": ("network", lambda s: add_layer(s, "odd", "x", "s"), "is of no kind"),
    "rank5_nd_layer": ("network", lambda s: clear(s.neuralNetwork, "arrayInputShapeMapping"),
                       "1 or 3 are right under the mapping"),
    "rank5_nd_layers": ("old", lambda s: add_layer(s, "n", "t", "u").softmaxND.SetInParent(),
                        "it has layers of exact shapes, and arrays are mapped to five"),
    "mapping_clash": ("old", lambda s: setattr(s.neuralNetwork, "imageInputShapeMapping", 1),
                      "which does not go together"),
    "exact_version": ("network", lambda s: setattr(s, "specificationVersion", 3),
                      "exact shapes need specification 4, the model says 3"),
    "never_written": ("old", lambda s: layers(s)[1].input.__setitem__(0, "ghost"),
                      'reads blob "ghost", which nothing has written'),
    "written_twice": ("old", lambda s: layers(s)[1].output.__setitem__(0, "t"),
                      'blob "t" is written before'),
    "not_produced": ("old", lambda s: setattr(s.description.output[0], "name", "z"),
                     'output "z": no layer writes it'),
    "no_shape": ("network", lambda s: clear(feature(s, "x").type.multiArrayType, "shape"),
                 "an array without a shape"),
    "f16_array": ("network", lambda s: setattr(
        feature(s, "x").type.multiArrayType, "dataType", 65552),
        "FLOAT16 arrays need specification 7"),
    "no_color": ("classifier", lambda s: clear(feature(s, "x").type.imageType, "colorSpace"),
                 "has no colour space"),
    "no_predicted": ("classifier", lambda s: clear(s.description, "predictedFeatureName"),
                     "without a predictedFeatureName"),
    "label_type": ("classifier", lambda s: feature(
        s, s.description.predictedFeatureName).type.int64Type.SetInParent(),
        "it is the predicted label, and labels are texts"),
    "old_cumsum": ("network", old_cumsum, "(cumSum): this kind of layer came with specification 5"),
    "old_shuffle": ("network", shuffle, "PIXEL_SHUFFLE came with specification 5"),
    "old_corners": ("network", corners, "aligned corners came with specification 5"),
    "old_flexible": ("old", lambda s: feature(s, "x").type.multiArrayType.shapeRange.sizeRanges
                     .extend([ct.proto.FeatureTypes_pb2.SizeRange(lowerBound=d, upperBound=9)
                              for d in (3, 8, 8)]), "flexible shapes need specification 3"),
    "label_count": ("classifier", lambda s: labels_of(s).append("fox"),
                    "5 probabilities and 6 labels"),
    "no_labels": ("classifier", lambda s: clear(s.neuralNetworkClassifier, "stringClassLabels"),
                  "a classifier without labels"),
    "output_shape": ("network", lambda s: (
        clear(s.description.output[0].type.multiArrayType, "shape"),
        s.description.output[0].type.multiArrayType.shape.extend([1, 7])),
        "it is described as (1,7), and is (1,5)"),
    "gray_of_two": ("network", two_channels,
                    "is an image of 1 plane, and the network gives (1,2,8,8)"),
    "hidden_shape": ("old", flatten_to_99, "dense (matmul): operands (1,192) and (1,99)"),
    "no_input": ("network", lambda s: layer(s, "pooling").input.pop(),
                 "(pooling): it has 0 inputs"),
    "version_0": ("old", lambda s: setattr(s, "specificationVersion", 0),
                  "specification version 0 is not known"),
    "version_11": ("old", lambda s: setattr(s, "specificationVersion", 11),
                   "specification version 11 is not known"),
    "described_twice": ("old", lambda s: s.description.input.add().CopyFrom(s.description.input[0]),
                        'input "x": it is described twice'),
    "no_model": ("old", lambda s: clear(s, "neuralNetwork"), "it holds no model"),
}


@pytest.mark.parametrize("fault", NETWORK)
def test_fault_of_a_network(program, good, tmp_path, fault):
    name, change, wanted = NETWORK[fault]
    assert wanted in plant(program, good, tmp_path, name, change)


def test_duplicate_labels_are_a_warning(program, good, tmp_path):
    path = tmp_path / "twice.mlmodel"
    spec = ct.utils.load_spec(str(good["classifier"]))
    labels_of(spec)[3] = "bee"
    path.write_bytes(spec.SerializeToString())
    assert 'warning: labels: 1 of them occur before, "bee" the first' in check(program, path, 0)


def test_the_order_of_fields_is_free(program, good, tmp_path):
    data = good["old"].read_bytes()
    path = tmp_path / "order.mlmodel"
    path.write_bytes(data[2:] + b"\xf0\x01\x01" + data[:2])  # a number in field 30; the version
    assert data[0] == 8 and "note: 0 faults" in check(program, path, 0)
    assert "specification version 1" in program.run("info", path).stdout
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8), np.float32))
    program.run("exec", path, "--input", f"x={tmp_path}/x.npy", "--output", f"y={tmp_path}/y.npy")


# ---- ML Programs --------------------------------------------------------------------------------


def main(spec):
    return spec.mlProgram.functions["main"]


def block(spec):
    return next(iter(main(spec).block_specializations.values()))


def operation(spec, kind):
    return next(o for o in block(spec).operations if o.type == kind)


def const(spec, name):
    return next(o for o in block(spec).operations if o.outputs[0].name == name)


def bound(spec, kind, parameter):
    """The constant that an operation's parameter is bound to."""
    return const(spec, operation(spec, kind).inputs[parameter].arguments[0].name)


def rename(argument, name):
    argument.arguments[0].name = name


def swap(spec):
    """The first two operations that compute change places."""
    computed = [i for i, o in enumerate(block(spec).operations) if o.type != "const"]
    operations = [o for o in block(spec).operations]
    copies = [type(o).FromString(o.SerializeToString()) for o in operations]
    copies[computed[0]], copies[computed[1]] = copies[computed[1]], copies[computed[0]]
    del block(spec).operations[:]
    block(spec).operations.extend(copies)


def other_key(spec):
    inside = block(spec)
    copy = type(inside).FromString(inside.SerializeToString())
    clear(main(spec), "block_specializations")
    main(spec).block_specializations["CoreML6"].CopyFrom(copy)


def other_type(spec):
    output = operation(spec, "relu").outputs[0].type.tensorType
    output.dataType = 10


def other_shape(spec):
    output = operation(spec, "relu").outputs[0].type.tensorType
    output.dimensions[1].constant.size = 7


def long_axis(spec):
    """keep_dims, a number, as a list of one."""
    flag = bound(spec, "reduce_mean", "keep_dims")
    for kind in (flag.outputs[0].type, flag.attributes["val"].type):
        kind.tensorType.rank = 1
        kind.tensorType.dimensions.add().constant.size = 1


def text_attribute(message):
    value = message.attributes["odd"]
    value.type.tensorType.dataType = 2
    value.immediateValue.tensor.strings.values.append("odd")


def duplicate(spec):
    kept = bound(spec, "conv", "strides").outputs[0].name
    gone = bound(spec, "conv", "dilations")
    gone.outputs[0].name = kept


def classes(spec):
    return operation(spec, "classify").inputs["classes"].arguments[0].value


def more_labels(spec):
    items = classes(spec).immediateValue.list.values
    items.add().CopyFrom(items[0])
    items[-1].immediateValue.tensor.strings.values[0] = "fox"


PROGRAM = {
    "unknown_operation": ("program", lambda s: setattr(operation(s, "relu"), "type", "reluu"),
                          'Core ML has no operation "reluu"'),
    "unknown_parameter": ("program", lambda s: operation(s, "relu").inputs["odd"].CopyFrom(
        operation(s, "relu").inputs["x"]), "(relu): parameter odd is not known in CoreML5"),
    "missing_parameter": ("program", lambda s: operation(s, "conv").inputs.pop("weight"),
                          "(conv): parameter weight is missing"),
    "missing_kernel": ("program", lambda s: operation(s, "max_pool").inputs.pop("kernel_sizes"),
                       "(max_pool): parameter kernel_sizes is missing"),
    "wrong_dtype": ("program", lambda s: rename(
        operation(s, "conv").inputs["strides"], operation(s, "conv").inputs["pad_type"]
        .arguments[0].name), "(conv): parameter strides is of type string"),
    "wrong_result_dtype": ("program", other_type, "its result is declared as fp16, and is fp32"),
    "wrong_shape": ("program", other_shape,
                    "its result is declared as (1,7,8,8), and is (1,4,8,8)"),
    "wrong_rank": ("program", long_axis, "parameter keep_dims has 1 dimensions, 0 are right"),
    "computed_constant": ("program", lambda s: rename(
        operation(s, "linear").inputs["weight"], "x"),
        "(linear): parameter weight must be a constant, and is computed"),
    "undefined_name": ("program", lambda s: rename(operation(s, "relu").inputs["x"], "ghost"),
                       'x reads "ghost", which nothing computes'),
    "late_name": ("program", swap, "which is computed later"),
    "opset": ("program", lambda s: setattr(operation(s, "relu"), "type", "pixel_unshuffle"),
              "it came with CoreML6, and the function's set is CoreML5"),
    "block_key": ("program", other_key, 'it has no block for that, only for "CoreML6"'),
    "unknown_opset": ("program", lambda s: setattr(main(s), "opset", "CoreML4"),
                      'operator set "CoreML4" is not known'),
    "opset_version": ("halves", lambda s: setattr(s, "specificationVersion", 6),
                      "operator set CoreML6 needs specification 7, the model says 6"),
    "program_version": ("program", lambda s: setattr(s.mlProgram, "version", 2),
                        "its version is 2, and 1 is the only one"),
    "model_version": ("program", lambda s: setattr(s, "specificationVersion", 5),
                      "a model of kind 502 needs specification 6"),
    "doc_string": ("program", lambda s: setattr(s.mlProgram, "docString", "odd"),
                   "it has a docString"),
    "value_doc_string": ("program", lambda s: setattr(
        bound(s, "conv", "strides").attributes["val"], "docString", "odd"), "it has a docString"),
    "program_attribute": ("program", lambda s: text_attribute(s.mlProgram),
                          'program: attribute "odd"'),
    "function_attribute": ("program", lambda s: text_attribute(main(s)), 'attribute "odd"'),
    "block_attribute": ("program", lambda s: text_attribute(block(s)), 'attribute "odd"'),
    "operation_attribute": ("program", lambda s: text_attribute(operation(s, "relu")),
                            '(relu): attribute "odd"'),
    "duplicate_name": ("program", duplicate, "another value is named"),
    "input_name": ("program", lambda s: setattr(s.description.input[0], "name", "odd"),
                   'function "main" has no input of this name'),
    "output_name": ("program", lambda s: setattr(s.description.output[0], "name", "odd"),
                    'output "odd": function "main" does not give it'),
    "input_rank": ("program", lambda s: s.description.input[0].type.multiArrayType.shape.pop(0),
                   "it is described as (3,8,8), and is (1,3,8,8) in the function"),
    "input_shape": ("program", lambda s: s.description.input[0].type.multiArrayType.shape
                    .__setitem__(3, 9), "it is described as (1,3,8,9), and is (1,3,8,8)"),
    "input_dtype": ("program", lambda s: setattr(
        s.description.input[0].type.multiArrayType, "dataType", 131104),
        "it is described as int32, and is fp32 in the function"),
    "output_shape": ("program", lambda s: (
        clear(s.description.output[0].type.multiArrayType, "shape"),
        s.description.output[0].type.multiArrayType.shape.extend([1, 7])),
        "it is described as (1,7), and is (1,5) in the function"),
    "flexible": ("program", lambda s: s.description.input[0].type.multiArrayType.shapeRange
                 .sizeRanges.extend([ct.proto.FeatureTypes_pb2.SizeRange(
                     lowerBound=1, upperBound=9) for _ in range(4)]),
                 "size 0 of it may change by its description, and is 1"),
    "image_size": ("classes", lambda s: setattr(
        s.description.input[0].type.imageType, "width", 9),
        "it is described as (1,3,8,9), and is (1,3,8,8)"),
    "image_channels": ("classes", lambda s: setattr(
        s.description.input[0].type.imageType, "colorSpace", 10),
        "it is described as (1,1,8,8), and is (1,3,8,8)"),
    "label_count": ("classes", more_labels, "5 probabilities and 6 labels"),
    "no_predicted": ("classes", lambda s: clear(s.description, "predictedFeatureName"),
                     "without a predictedFeatureName"),
    "const_type": ("program", lambda s: setattr(
        bound(s, "conv", "strides").outputs[0].type.tensorType.dimensions[0].constant, "size", 3),
        "its value and its result have different types"),
    "value_count": ("program", lambda s: bound(s, "conv", "strides").attributes["val"]
                    .immediateValue.tensor.ints.values.append(1), "has 3 elements"),
    "no_value": ("program", lambda s: clear(
        bound(s, "conv", "strides").attributes["val"].immediateValue, "tensor"),
        "a value of shape (2) has 0 elements"),
    "blob_dtype": ("program", lambda s: setattr(
        bound(s, "conv", "weight").attributes["val"].type.tensorType, "dataType", 10),
        "are of type fp32, not fp16"),
    "blob_offset": ("program", lambda s: setattr(
        bound(s, "conv", "weight").attributes["val"].blobFileValue, "offset", 32),
        "weights are at byte 32"),
    "no_function": ("program", lambda s: s.mlProgram.functions.pop("main"),
                    'it has no function "main" among 0'),
}


@pytest.mark.parametrize("fault", PROGRAM)
def test_fault_of_a_program(program, good, tmp_path, fault):
    name, change, wanted = PROGRAM[fault]
    assert wanted in plant(program, good, tmp_path, name, change)


def test_all_faults_of_a_file(program, good, tmp_path):
    def change(spec):
        other_type(spec)
        spec.mlProgram.docString = "odd"
        spec.description.output[0].name = "odd"
        rename(operation(spec, "max_pool").inputs["x"], "ghost")

    told = plant(program, good, tmp_path, "program", change)
    assert told.count("fault: ") >= 4
    for wanted in ("declared as fp16", "docString", '"odd"', '"ghost"'):
        assert wanted in told


# ---- weights and packages -----------------------------------------------------------------------


def numbers(path):
    return np.frombuffer(path.read_bytes(), "<u4").copy()


def descriptions(data):
    return [i for i in range(0, len(data), 16) if data[i] == 0xDEADBEEF]


def overlap(data):
    first, second = descriptions(data)[:2]
    data[second + 4] = data[first + 4] + 4


BLOBS = {
    "sentinel": (lambda d: d.__setitem__(descriptions(d)[0], 1), "has no weights at byte 64"),
    "version": (lambda d: d.__setitem__(1, 3), "version 3"),
    "dtype": (lambda d: d.__setitem__(descriptions(d)[0] + 1, 1), "are of type fp16, not fp32"),
    "size": (lambda d: d.__setitem__(descriptions(d)[0] + 2, 4), "are 4 bytes"),
    "past_end": (lambda d: d.__setitem__(descriptions(d)[0] + 4, 4 * len(d)), "cut short"),
    "overlap": (overlap, "overlap"),
}


@pytest.mark.parametrize("fault", BLOBS)
def test_fault_of_weights(program, good, tmp_path, fault):
    change, wanted = BLOBS[fault]
    path = tmp_path / "net.mlpackage"
    shutil.copytree(good["program"], path)
    data = numbers(path / WEIGHTS)
    change(data)
    (path / WEIGHTS).write_bytes(data.tobytes())
    assert wanted in check(program, path, 1)
    assert wanted in program.run("bench", path, code=1).stderr.splitlines()[-1]


def items(manifest):
    """The model, and then the weights: identifiers, and so their order, are random."""
    return sorted(manifest["itemInfoEntries"].values(), key=lambda item: item["path"])


MANIFEST = {
    "version": (lambda m: m.update(fileFormatVersion="2.0.0"), 'fileFormatVersion "2.0.0"'),
    "no_version": (lambda m: m.pop("fileFormatVersion"), "no fileFormatVersion"),
    "description": (lambda m: items(m)[0].pop("description"), 'it has no text "description"'),
    "author": (lambda m: items(m)[1].pop("author"), 'it has no text "author"'),
    "name": (lambda m: items(m)[0].pop("name"), 'it has no text "name"'),
    "path": (lambda m: items(m)[1].pop("path"), 'it has no text "path"'),
    "gone": (lambda m: items(m)[1].update(path="com.apple.CoreML/gone"), "gone"),
    "outside": (lambda m: items(m)[1].update(path="../../outside"), "not a path inside"),
    "root": (lambda m: m.update(rootModelIdentifier="0"), 'rootModelIdentifier "0"'),
    "no_root": (lambda m: m.pop("rootModelIdentifier"), "no rootModelIdentifier"),
}


# An archive is not opened without its root: these are what the reader says of it.
ARCHIVE = {"version": "format 2.0.0 of packages is newer", "root": 'no path for its root "0"'}


@pytest.mark.parametrize("fault", MANIFEST)
def test_fault_of_a_package(program, good, tmp_path, fault):
    change, wanted = MANIFEST[fault]
    path = tmp_path / "net.mlpackage"
    shutil.copytree(good["program"], path)
    manifest = json.loads((path / "Manifest.json").read_text())
    change(manifest)
    (path / "Manifest.json").write_text(json.dumps(manifest))
    assert wanted in check(program, path, 1)
    packed = tmp_path / "net.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(tmp_path))
    assert ARCHIVE.get(fault, wanted) in check(program, packed, 1)


def test_weights_that_are_gone(program, good, tmp_path):
    path = tmp_path / "net.mlpackage"
    shutil.copytree(good["program"], path)
    (path / WEIGHTS).unlink()
    assert "weight.bin" in check(program, path, 1)


# ---- the command --------------------------------------------------------------------------------


def test_json(program, good, tmp_path):
    told = json.loads(program.run("check", good["program"], "--json").stdout)
    assert told["faults"] == 0 and [f["kind"] for f in told["findings"]] == ["note"]
    (tmp_path / "net.mlmodel").write_bytes(good["old"].read_bytes()[:-9])
    told = json.loads(program.run("check", tmp_path / "net.mlmodel", "--json", code=1).stdout)
    assert told["faults"] > 0 and told["findings"][0]["kind"] == "fault"


def test_other_files(program, shared_data, tmp_path):
    told = program.run("check", DATA / "my_network.onnx").stdout
    assert "ONNX, IR version" in told and "operator set" in told
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((DATA / "my_network.onnx").read_bytes()[:5000])
    assert "fault: " in program.run("check", broken, code=1).stdout
    assert "tensors lie inside" in program.run("check", DATA / "my_network.pth").stdout
    (tmp_path / "text.txt").write_text("no model")
    assert "fault: " in program.run("check", tmp_path / "text.txt", code=1).stdout
    program.run("check", tmp_path / "nothing", code=1)
    program.run("check", code=2)
