"""Makes tests/fuzz/corpus/coreml: small Core ML models of all kinds. Needs coremltools.

usage: python tests/golden/make/coreml_corpus.py
"""

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "coreml"))

import coreml_run  # noqa: E402
from coreml_run import mb  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.neural_network import quantization_utils  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402

CORPUS = ROOT / "tests" / "fuzz" / "corpus" / "coreml"
f = np.random.default_rng(0).standard_normal


def small(*shape):
    return f(shape).astype(np.float32)


def program(name, build, inputs, opset=8):
    """The message alone: all weights have to be small enough to lie in it."""
    with tempfile.TemporaryDirectory() as folder:
        path, _ = coreml_run.program_file(folder, build, inputs, opset)
        assert not (path / "Data/com.apple.CoreML/weights/weight.bin").exists(), name
        shutil.copyfile(path / "Data/com.apple.CoreML/model.mlmodel", CORPUS / f"{name}.mlmodel")


def states():
    """y = 2 (s + x), and s + x is the next s."""
    ct, types = coreml_run.ct, coreml_run.types

    @mb.program(input_specs=[mb.TensorSpec((2, 3), types.fp16),
                             mb.StateTensorSpec((2, 3), types.fp16)],
                opset_version=ct.target.iOS18)
    def main(x, s):
        total = mb.coreml_update_state(state=s, value=mb.add(x=mb.read_state(input=s), y=x))
        return mb.mul(x=total, y=np.float16(2), name="y")

    model = ct.convert(main, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18,
                       compute_precision=ct.precision.FLOAT32,
                       pass_pipeline=ct.PassPipeline.EMPTY)
    save_spec(model.get_spec(), str(CORPUS / "states.mlmodel"))


def package(name, build, inputs):
    """The whole package with its weights, in an archive that compresses nothing."""
    with tempfile.TemporaryDirectory() as folder, \
            zipfile.ZipFile(CORPUS / f"{name}.zip", "w") as archive:
        path, _ = coreml_run.program_file(folder, build, inputs)
        assert (path / "Data/com.apple.CoreML/weights/weight.bin").exists(), name
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)))
            archive.writestr(entry, file.read_bytes())


def images(x):
    y = mb.conv(x=x, weight=small(1, 1, 3, 3), pad_type="same")
    y = mb.max_pool(x=y, kernel_sizes=[2, 2], pad_type="valid", ceil_mode=True)
    y = mb.resize_bilinear(x=y, target_size_height=5, target_size_width=4,
                           sampling_mode="OFFSET_CORNERS")
    y = mb.conv_transpose(x=y, weight=small(1, 1, 2, 2), strides=[2, 2])
    return mb.crop(x=mb.pad(x=y, pad=[1, 1, 2, 0]), crop_height=[1, 0], crop_width=[0, 2])


def shapes(x):
    y = mb.reshape(x=x, shape=[2, -1])
    y = mb.slice_by_index(x=y, begin=[0, 1], end=[2, 0], end_mask=[False, True])
    y = mb.concat(values=(y, mb.tile(x=y, reps=[1, 2])), axis=1)
    values, indices = mb.topk(x=y, k=2, axis=1)
    return mb.gather(x=values, indices=[1, 0], axis=0), mb.one_hot(indices=indices,
                                                                    one_hot_vector_size=3)


def control(x):
    def turn(a, n):
        ls = mb.list_write(ls=mb.make_list(init_length=1, elem_shape=(3,)), index=2, value=x)
        return mb.add(x=a, y=mb.list_read(ls=ls, index=2)), mb.add(x=n, y=1.0)

    y, _ = mb.while_loop(_cond=lambda a, n: mb.less(x=n, y=3.0), _body=turn, loop_vars=(x, 0.0))
    return mb.cond(pred=mb.greater(x=mb.reduce_sum(x=y), y=0.0),
                   _true_fn=lambda: mb.relu(x=y), _false_fn=lambda: mb.exp(x=x))


def recurrent(x):
    zero = np.zeros((1, 1), np.float32)
    y, _, _ = mb.lstm(x=x, initial_h=zero, initial_c=zero, weight_ih=small(4, 2),
                      weight_hh=small(4, 1), bias=small(4), output_sequence=True)
    return mb.layer_norm(x=y, axes=[-1])


def network(name, build, inputs, exact=True):
    features = [(f"in{i}", datatypes.Array(*a)) for i, a in enumerate(inputs)]
    builder = NeuralNetworkBuilder(features, [("out", None)], disable_rank5_shape_mapping=exact)
    build(builder)
    spec = builder.spec
    save_spec(spec, str(CORPUS / f"{name}.mlmodel"))
    return spec


def old_layers(n):
    n.add_convolution("c", 1, 2, 3, 3, 1, 1, "same", 1, small(3, 3, 1, 2), small(2), True,
                      input_name="in0", output_name="a")
    n.add_activation("r", "PRELU", "a", "b", small(2))
    n.add_pooling("p", 2, 2, 2, 2, "AVERAGE", "INCLUDE_LAST_PIXEL", "b", "d")
    n.add_flatten("f", 1, "d", "e")
    n.add_inner_product("i", small(2, 8), small(2), 8, 2, True, "e", "g")
    n.add_softmax("s", "g", "out")


def new_layers(n):
    n.add_slice_static("s", "in0", "a", [0, 0], [2, 2], [1, 1], [False] * 2, [False, True])
    n.add_layer_normalization("l", "a", "b", (3,), small(3), small(3))
    n.add_gather("g", ["b", "in1"], "c", 0)
    n.add_reduce_sum("r", "c", "out", [1], True)


def loop(n):
    n.add_activation("a", "LINEAR", "in0", "out", [1, 0])
    body = n.add_loop("l", max_iterations=3)
    inside = NeuralNetworkBuilder(nn_spec=body.loop.bodyNetwork, disable_rank5_shape_mapping=True)
    inside.add_activation("b", "LINEAR", "out", "t", [2, 1])
    inside.add_copy("c", "t", "out")


def leaving(n):
    """A loop that is left by both ways, and a blob that both ways of a branch write."""
    def inside(of):
        return NeuralNetworkBuilder(nn_spec=of, disable_rank5_shape_mapping=True)

    def add(to, name, a, b, factor):
        to.add_activation(name, "LINEAR", a, name, [factor, 1])
        to.add_copy(name + "c", name, b)

    n.add_copy("x", "in0", "x")
    n.add_copy("a", "in1", "a")
    body = inside(n.add_loop("l", max_iterations=5).loop.bodyNetwork)
    add(body, "d", "a", "a", -0.5)
    branch = body.add_branch("b", "a").branch
    inside(branch.ifBranch).add_loop_continue("n")
    inside(branch.elseBranch).add_loop_break("e")
    add(body, "y", "x", "x", 2)
    ways = n.add_branch("w", "a").branch
    add(inside(ways.ifBranch), "p", "x", "z", 1)
    add(inside(ways.elseBranch), "q", "x", "z", 3)
    n.add_activation("o", "RELU", "z", "out")


def resizing():
    """Pictures of any height, twice as wide, three times as high, then as high as the widths."""
    ct, types = coreml_run.ct, coreml_run.types
    from coremltools.converters.mil.mil import get_new_symbol

    @mb.program(input_specs=[mb.TensorSpec((1, 1, get_new_symbol(), 3), types.fp32)],
                opset_version=ct.target.iOS17)
    def main(x):
        y = mb.upsample_bilinear(x=x, scale_factor_height=3, scale_factor_width=2)
        wide = mb.slice_by_index(x=mb.shape(x=y), begin=[2], end=[3])
        return mb.resize(x=y, shape=mb.concat(values=[wide, np.int32([0])], axis=0),
                         resized_dims=np.uint32(2), sampling_mode="OFFSET_CORNERS")

    shape = ct.Shape((1, 1, ct.RangeDim(1, 5, 2), 3))
    model = ct.convert(main, convert_to="mlprogram", inputs=[ct.TensorType("x", shape=shape)],
                       minimum_deployment_target=ct.target.iOS17,
                       compute_precision=ct.precision.FLOAT32,
                       pass_pipeline=ct.PassPipeline.EMPTY)
    save_spec(model.get_spec(), str(CORPUS / "resizing.mlmodel"))


def states_inside():
    """A loop of two turns, in which a branch writes the state."""
    ct, types = coreml_run.ct, coreml_run.types

    @mb.program(input_specs=[mb.TensorSpec((2,), types.fp16),
                             mb.StateTensorSpec((2,), types.fp16)],
                opset_version=ct.target.iOS18)
    def main(x, s):
        def turn(i):
            first = mb.slice_by_index(x=mb.read_state(input=s), begin=[0], end=[1],
                                      squeeze_mask=[True])
            mb.cond(pred=mb.greater(x=first, y=np.float16(0)),
                    _true_fn=lambda: mb.coreml_update_state(state=s, value=x),
                    _false_fn=lambda: mb.add(x=x, y=np.float16(1)))
            return mb.add(x=i, y=np.int32(1))

        mb.while_loop(_cond=lambda i: mb.less(x=i, y=np.int32(2)), _body=turn,
                      loop_vars=(np.int32(0),))
        return mb.read_state(input=s, name="y")

    model = ct.convert(main, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18,
                       compute_precision=ct.precision.FLOAT32,
                       pass_pipeline=ct.PassPipeline.EMPTY)
    save_spec(model.get_spec(), str(CORPUS / "states_inside.mlmodel"))


def old_lstm(n):
    weights = [[small(2, 1) for _ in range(4)], [small(2, 2) for _ in range(4)]]
    n.add_unilstm("l", weights[1], weights[0], [small(2) for _ in range(4)], 2, 1, ["in0"],
                  ["out"], peep=[small(2) for _ in range(3)])


def pipeline(stage):
    spec = Model_pb2.Model()
    spec.specificationVersion = 4
    spec.description.input.extend(stage.description.input)
    spec.pipeline.models.add().CopyFrom(stage)
    last = spec.pipeline.models.add()
    last.specificationVersion = 4
    for where, names in ((last.description.input, ("rc", "rb")),
                         (last.description.output, ("confidence", "coordinates")),
                         (spec.description.output, ("confidence", "coordinates"))):
        for name in names:
            feature = where.add()
            feature.name = name
            feature.type.multiArrayType.dataType = 65568
    nms = last.nonMaximumSuppression
    nms.confidenceInputFeatureName, nms.coordinatesInputFeatureName = "rc", "rb"
    nms.confidenceOutputFeatureName, nms.coordinatesOutputFeatureName = "confidence", "coordinates"
    nms.iouThreshold, nms.confidenceThreshold = 0.3, 0.6
    nms.pickTop.perClass = True
    save_spec(spec, str(CORPUS / "pipeline.mlmodel"))


def detector():
    inputs = [("c", datatypes.Array(4, 2)), ("b", datatypes.Array(4, 4))]
    n = NeuralNetworkBuilder(inputs, [("rc", None), ("rb", None)], disable_rank5_shape_mapping=True)
    n.add_activation("a", "SIGMOID", "c", "rc")
    n.add_activation("d", "LINEAR", "b", "rb", [1, 0])
    return n.spec


def classifier():
    """Pictures with a scale and biases, and texts for classes."""
    n = NeuralNetworkBuilder([("x", datatypes.Array(3, 2, 2))], [("y", datatypes.Array(2))],
                             mode="classifier", disable_rank5_shape_mapping=True)
    n.add_pooling("a", 1, 1, 1, 1, "AVERAGE", "VALID", "x", "p", is_global=True)
    n.add_inner_product("b", small(2, 3), small(2), 3, 2, True, "p", "y")
    n.set_class_labels(["cat", "dog"], predicted_feature_name="kind", prediction_blob="y")
    image = n.spec.description.input[0].type.imageType
    image.width, image.height, image.colorSpace = 2, 2, 30
    n.set_pre_processing_parameters(image_input_names=["x"], is_bgr=True, image_scale=0.5,
                                    red_bias=1, green_bias=2, blue_bias=3)
    save_spec(n.spec, str(CORPUS / "classifier.mlmodel"))


def pictures():
    """A program that takes a picture and gives one, with its class, which is a number."""
    ct = coreml_run.ct

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 2, 2))],
                opset_version=coreml_run.TARGETS[6])
    def made(x):
        mean = mb.reshape(x=mb.reduce_mean(x=x, axes=[2, 3]), shape=[3])
        return mb.sigmoid(x=x, name="y"), mb.softmax(x=mean, name="scores")

    model = ct.convert(made, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16,
                       compute_precision=ct.precision.FLOAT32,
                       inputs=[ct.ImageType(name="x", shape=(1, 3, 2, 2), scale=0.5)],
                       outputs=[ct.ImageType(name="y"), ct.TensorType(name="scores")],
                       classifier_config=ct.ClassifierConfig(
                           [7, 8, 9], predicted_probabilities_output="scores"))
    spec = model.get_spec()
    image = next(o for o in spec.description.output if o.name == "y").type.imageType
    image.width, image.height, image.colorSpace = 2, 2, 20
    save_spec(spec, str(CORPUS / "pictures.mlmodel"))


def flexible():
    """Three inputs: a range, a list with shapes of several ranks, and one that may be left out."""
    inputs = [("x", datatypes.Array(2, 3)), ("l", datatypes.Array(4)), ("k", datatypes.Array(1, 3))]
    n = NeuralNetworkBuilder(inputs, [("y", None), ("z", None)], disable_rank5_shape_mapping=True)
    n.add_add_broadcastable("s", ["x", "k"], "y")
    n.add_activation("a", "RELU", "l", "z")
    arrays = [feature.type.multiArrayType for feature in n.spec.description.input]
    for low, high in ((1, 5), (3, 3)):
        arrays[0].shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    for shape in ((4,), (2, 2), (1, 3)):
        arrays[1].enumeratedShapes.shapes.add().shape.extend(shape)
    n.spec.specificationVersion = 5
    n.spec.description.input[2].type.isOptional = True
    arrays[2].floatDefaultValue = 2.5
    save_spec(n.spec, str(CORPUS / "flexible.mlmodel"))


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    program("images", images, [small(1, 1, 5, 6)])
    program("shapes", shapes, [small(2, 3, 2)])
    program("control", control, [small(3)])
    program("recurrent", recurrent, [small(3, 1, 2)])
    network("new_layers", new_layers, [(2, 3), (2,)])
    network("loop", loop, [(2, 3)])
    network("lstm", old_lstm, [(1,)], exact=False)
    spec = network("old_layers", old_layers, [(1, 4, 4)], exact=False)
    quantized = quantization_utils.quantize_weights(
        coreml_run.ct.models.MLModel(spec, skip_model_load=True), nbits=4,
        quantization_mode="linear")
    save_spec(quantized.get_spec() if hasattr(quantized, "get_spec") else quantized,
              str(CORPUS / "quantized.mlmodel"))
    pipeline(detector())
    network("leaving", leaving, [(2, 3), (1,)])
    states()
    states_inside()
    resizing()
    classifier()
    pictures()
    flexible()
    package("package", lambda x: mb.linear(x=x, weight=small(4, 3)), [small(2, 3)])
