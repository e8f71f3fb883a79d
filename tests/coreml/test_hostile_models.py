"""Files that nobody's tools write: each is refused in one sentence that says what is wrong."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

from coreml_run import block_of, ct, mb, program_file, run  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402
from coremltools.proto import MIL_pb2 as mil  # noqa: E402

F32, I8, I32, I64, U8 = mil.FLOAT32, mil.INT8, mil.INT32, mil.INT64, mil.UINT8
U1, U4, STRING = mil.UINT1, mil.UINT4, mil.STRING
MOST = 2**63 - 1


def set_type(out, element, shape):
    out.tensorType.dataType = element
    out.tensorType.rank = len(shape)
    for size in shape:
        out.tensorType.dimensions.add().constant.size = size


def value(element, shape, content):
    """A value of bytes, or of integers."""
    out = mil.Value()
    set_type(out.type, element, shape)
    if isinstance(content, bytes):
        out.immediateValue.tensor.bytes.values = content
    else:
        out.immediateValue.tensor.longInts.values.extend(content)
    return out


def words(*list_):
    out = mil.Value()
    set_type(out.type, STRING, (len(list_),))
    out.immediateValue.tensor.strings.values.extend(list_)
    return out


def operation(kind, out, inputs=(), attributes=(), shape=(1,)):
    op = mil.Operation(type=kind)
    port = op.outputs.add(name=out)
    set_type(port.type, F32, shape)
    for name, given in dict(inputs).items():
        binding = op.inputs[name].arguments.add()
        if isinstance(given, str):
            binding.name = given
        else:
            binding.value.CopyFrom(given)
    for name, given in dict(attributes).items():
        op.attributes[name].CopyFrom(given)
    return op


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """y = x + x of (1,4,4,4)."""
    path, _ = program_file(tmp_path_factory.mktemp("plain"),
                           lambda a: mb.add(x=a, y=a, name="y"),
                           [np.zeros((1, 4, 4, 4), np.float32)], 8)
    return ct.utils.load_spec(str(path))


def copy_of(spec):
    out = type(spec)()
    out.CopyFrom(spec)
    return out


def refused(program, tmp_path, spec, words):
    """In one sentence with these words; None: it may also run, since numbers are held to 32 bits
    or nothing needs the result."""
    path = tmp_path / "net.mlmodel"
    path.write_bytes(spec.SerializeToString())
    np.save(tmp_path / "x.npy", np.zeros((1, 4, 4, 4), np.float32))
    done = program.run("exec", path, "--input", f"in0={tmp_path}/x.npy", "--output",
                       f"y={tmp_path}/y.npy", code=1 if words else None)
    if words is None:
        assert done.stderr.count("\n") <= 1, done.stderr
        return
    assert not (tmp_path / "y.npy").exists()
    assert done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


def with_operations(plain, *operations):
    spec = copy_of(plain)
    block = block_of(spec)
    for op in reversed(operations):
        block.operations.insert(0, op)
    return spec


def numbers(*list_):
    return np.array(list_, np.float32).tobytes()


def codes(**given):
    return {**{"quantized_data": value(U8, (4,), b"\1\2\3\4"), "axis": value(I32, (), [0]),
               "scale": value(F32, (), np.float32(1).tobytes()),
               "zero_point": value(U8, (), b"\0")}, **given}


OPERATIONS = {
    "a tensor that is no tensor": (
        operation("const", "c", attributes={"val": value(F32, (1000,), b"")}),
        "a value of 1000 elements of type fp32 has 0 bytes"),
    "codes of words": (
        operation("constexpr_affine_dequantize", "c",
                  attributes=codes(quantized_data=words("a", "b"))),
        "operand \"quantized_data\" is of type string"),
    "codes of 8 bits of a float": (
        operation("constexpr_affine_dequantize", "c",
                  attributes=codes(quantized_data=value(mil.FLOAT8E5M2, (4,), b"\1\2\3\4"))),
        "operand \"quantized_data\" is of type fp8e5m2, which is not supported"),
    "indices of fewer bits than the table's": (
        operation("constexpr_lut_to_dense", "c", attributes={
            "indices": value(U4, (4,), b"\0\0"), "lut": value(U8, (256,), bytes(256)),
            "shape": value(I32, (1,), [4])}),
        "2 bytes of indices into a table of 256 numbers, for 4"),
    "a mask of fewer bits": (
        operation("constexpr_sparse_to_dense", "c", attributes={
            "nonzero_data": value(F32, (1,), numbers(1)), "mask": value(U4, (2,), b"\1"),
            "shape": value(I32, (1,), [16])}),
        "a mask of 8 of 16 elements"),
    "a mask of words": (
        operation("constexpr_sparse_to_dense", "c", attributes={
            "nonzero_data": value(F32, (1,), numbers(1)), "mask": words("a"),
            "shape": value(I32, (1,), [1])}),
        "operand \"mask\" is of type string"),
    "an index below 0": (
        operation("constexpr_lut_to_dense", "c", {
            "indices": value(I8, (1,), b"\xff"), "lut": value(F32, (1, 2, 1), numbers(1, 2))}),
        "an index of -1 into a table of 2"),
    "an index behind the table": (
        operation("constexpr_lut_to_dense", "c", {
            "indices": value(U8, (1,), b"\2"), "lut": value(F32, (1, 2, 1), numbers(1, 2))}),
        "an index of 2 into a table of 2"),
    "vectors beyond all bounds": (
        operation("constexpr_lut_to_dense", "c", {
            "indices": value(U8, (0, 2**31 - 1, 2**31 - 1), b""),
            "lut": value(F32, (1, 1, 1, 1, 4), numbers(1, 2, 3, 4)),
            "vector_axis": value(I32, (), [1])}),
        "a value has the shape (0,2147483647,2147483647)"),
    "vectors along a scalar's axis": (
        operation("constexpr_lut_to_dense", "c", {
            "indices": value(U8, (), b"\0"), "lut": value(F32, (1, 100), numbers(*range(100))),
            "vector_axis": value(I32, (), [0])}),
        "its tables do not fit the indices"),
    "a dimension of 2^63 - 1": (
        operation("const", "c", attributes={"val": value(F32, (0, MOST), b"")}),
        "a dimension of size 9223372036854775807, the limit is 2147483647"),
    "a result of 2^62": (
        operation("identity", "c", {"x": "in0"}, shape=(2**62,)),
        "a dimension of size 4611686018427387904"),
    "blocks whose product is 2^64": (
        operation("batch_to_space", "c", {
            "x": "in0", "block_shape": value(I64, (2,), [2**32, 2**32]),
            "crops": value(I64, (2, 2), [0] * 4)}),
        "batch_to_space (operation \"c\")"),
    "blocks made of edges": (
        operation("space_to_batch", "c", {
            "x": "in0", "block_shape": value(I64, (2,), [2**31 - 1, 2**31 - 1]),
            "paddings": value(I64, (2, 2), [2**31 - 5, 0, 2**31 - 5, 0])}),
        "space_to_batch (operation \"c\")"),
    "strides of 2^62": (
        operation("conv_transpose", "c", {
            "x": "in0", "weight": value(F32, (4, 1, 1, 1), numbers(1, 2, 3, 4)),
            "strides": value(I64, (2,), [2**62, MOST])}),
        None),
    "dilations of 2^62": (
        operation("conv_transpose", "c", {
            "x": "in0", "weight": value(F32, (4, 1, 3, 1), numbers(*range(12))),
            "dilations": value(I64, (2,), [MOST, 1]), "pad": value(I64, (4,), [MOST] * 4),
            "pad_type": words("custom")}),
        "conv_transpose"),
    "steps of 2^62": (
        operation("slice_update", "c", {
            "x": "in0", "update": "in0", "begin": value(I64, (4,), [MOST] * 4),
            "end": value(I64, (4,), [MOST] * 4), "stride": value(I64, (4,), [2**62] * 4)}),
        "index 2147483647 is outside of axis 0 of size 1"),
    "a value that reads itself": (
        operation("add", "c", {"x": "c", "y": "in0"}), "\"c\" is given nowhere before"),
    "a value that comes later": (
        operation("add", "c", {"x": "y", "y": "in0"}), "\"y\" is given nowhere before"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(program, tmp_path, plain, name):
    op, words = OPERATIONS[name]
    refused(program, tmp_path, with_operations(plain, op), words)


def test_a_tensor_of_another_kind(program, tmp_path, plain):
    op = operation("const", "c", attributes={"val": value(F32, (1000,), b"")})
    op.attributes["val"].immediateValue.Clear()
    op.attributes["val"].immediateValue.tuple.SetInParent()
    use = operation("exp", "d", {"x": "c"}, shape=(1000,))
    refused(program, tmp_path, with_operations(plain, op, use),
            "a value of shape (1000) has 0 elements")


def test_a_cycle_of_two(program, tmp_path, plain):
    refused(program, tmp_path, with_operations(
        plain, operation("add", "c", {"x": "d", "y": "in0"}),
        operation("add", "d", {"x": "c", "y": "in0"})), "\"d\" is given nowhere before")


def chain(depth):
    """cond in cond, in one branch of each; the innermost gives x."""
    op = operation("cond", f"v{depth}", {"pred": value(mil.BOOL, (), b"\1")}, shape=(1, 4, 4, 4))
    for i in range(2):
        block = op.blocks.add()
        if depth > 0 and i == 0:
            block.operations.add().CopyFrom(chain(depth - 1))
        block.outputs.append(f"v{depth - 1}" if depth > 0 and i == 0 else "in0")
    return op


@pytest.mark.parametrize("depth", [20, 40])
def test_blocks_in_blocks(program, tmp_path, plain, depth):
    refused(program, tmp_path, with_operations(plain, chain(depth)),
            "blocks are nested deeper than 16")


# ---- neural networks ----------------------------------------------------------------------------


def network(make):
    builder = NeuralNetworkBuilder([("in0", datatypes.Array(1, 4, 4, 4))], [("y", None)],
                                   disable_rank5_shape_mapping=True)
    make(builder)
    return builder.spec


def convolution(builder, **given):
    builder.add_convolution("l", 4, 4, 1, 1, 1, 1, "valid", 1, np.ones((1, 1, 4, 4)), None, False,
                            is_deconv=True, input_name="in0", output_name="y")
    params = builder.spec.neuralNetwork.layers[-1].convolution
    for name, values in given.items():
        getattr(params, name)[:] = values


def recurrent(builder):
    builder.spec.neuralNetwork.layers.add(name="l", input=["a"], output=["y"])
    builder.add_expand_dims("e", "in0", "a", [0])
    layers = builder.spec.neuralNetwork.layers
    layers.append(layers[0])
    del layers[0]
    gru = layers[-1].gru
    gru.inputVectorSize, gru.outputVectorSize, gru.hasBiasVectors = 1, 2**31 - 1, True
    gru.activations.add().sigmoid.SetInParent()
    gru.activations.add().tanh.SetInParent()


def layer(kind, **fields):
    def make(builder):
        made = builder.spec.neuralNetwork.layers.add(name="l", input=["in0"], output=["y"])
        params = getattr(made, kind)
        params.SetInParent()
        for name, given in fields.items():
            if isinstance(given, list):
                getattr(params, name)[:] = given
            else:
                setattr(params, name, given)
    return make


def crop_of(offset):
    def make(builder):
        made = builder.spec.neuralNetwork.layers.add(name="l", input=["in0", "in0"], output=["y"])
        made.crop.offset[:] = [offset, offset]
    return make


NETWORKS = {
    "strides of 2^62": (lambda b: convolution(b, stride=[2**62, MOST]), "layer"),
    "dilations of 2^63": (lambda b: convolution(b, dilationFactor=[MOST, MOST]), None),
    "an output of 2^63": (lambda b: convolution(b, outputShape=[MOST, MOST]), "layer"),
    "a crop from 2^63 on": (crop_of(MOST), None),
    "units without weights": (recurrent, "layer"),
    "windows of 2^63": (layer("slidingWindows", axis=1, windowSize=MOST, step=1), "windows"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers(program, tmp_path, name):
    make, words = NETWORKS[name]
    refused(program, tmp_path, network(make), words)


def test_all_that_cannot_be_run_is_said(program, tmp_path):
    """Of each kind and reason the first; what reads it is not said, in a branch neither."""
    def make(builder):
        builder.add_random_normal_like("r", "in0", "a", 0, 1, 1)
        builder.add_random_bernoulli_like("s", "in0", "b", 0.5, 1)
        builder.add_random_normal_like("t", "in0", "c", 0, 1, 1)
        builder.add_elementwise("sum", ["a", "b"], "d", "ADD")
        branch = builder.spec.neuralNetwork.layers.add(name="branch", input=["in0"])
        for part in (branch.branch.ifBranch, branch.branch.elseBranch):
            copy = part.layers.add(name="copy", input=["c"], output=["d"])
            copy.copy.SetInParent()
        builder.add_elementwise("l", ["c", "d"], "y", "ADD")
    words = ('4 layers cannot be run: randomNormalLike (layer 0 "r"): random numbers cannot be '
             'reproduced; randomBernoulliLike (layer 1 "s"): random numbers cannot be reproduced; '
             'branch (layer 4 "branch"): a layer inside cannot be run\n')
    refused(program, tmp_path, network(make), words)


def test_layers_in_a_circle(program, tmp_path):
    def make(builder):
        builder.add_elementwise("a", ["in0", "d"], "c", "ADD")
        builder.add_elementwise("b", ["in0", "c"], "d", "ADD")
        builder.add_elementwise("l", ["c", "d"], "y", "ADD")
    refused(program, tmp_path, network(make), "layer 0 \"a\" reads blob \"d\", which nothing has "
                                              "written")


@pytest.mark.parametrize("size", [2**31, 2**62, MOST])
def test_inputs_beyond_all_bounds(program, tmp_path, size):
    spec = network(lambda b: b.add_activation("l", "RELU", "in0", "y"))
    spec.description.input[0].type.multiArrayType.shape[:] = [1, 4, size, 4]
    refused(program, tmp_path, spec, str(size))


def test_pipelines_in_pipelines(program, tmp_path):
    spec = network(lambda b: b.add_activation("l", "RELU", "in0", "y"))
    for _ in range(12):
        outer = type(spec)()
        outer.specificationVersion = spec.specificationVersion
        outer.description.CopyFrom(spec.description)
        outer.pipeline.models.add().CopyFrom(spec)
        spec = outer
    refused(program, tmp_path, spec, "pipelines are nested deeper than 8")


def test_open_ends_of_2_63(program, tmp_path):
    spec = network(layer("sliceStatic", beginIds=[0, 1, -2**63, -1], endIds=[MOST] * 3 + [-2**63],
                         strides=[1, 1, 2, -1], beginMasks=[False] * 4, endMasks=[False] * 4))
    path = tmp_path / "net.mlmodel"
    path.write_bytes(spec.SerializeToString())
    x = np.random.default_rng(0).standard_normal((1, 4, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(run(program, path, {"in0": x}, ["y"], tmp_path)[0],
                                  x[:, 1:, ::2, ::-1])


def test_models_are_written_as_they_are(program, tmp_path, plain):
    """What the files above are made of runs."""
    path = tmp_path / "net.mlmodel"
    save_spec(with_operations(plain, operation("exp", "c", {"x": "in0"})), str(path))
    x = np.ones((1, 4, 4, 4), np.float32)
    np.testing.assert_array_equal(run(program, path, {"in0": x}, ["y"], tmp_path)[0], 2 * x)
