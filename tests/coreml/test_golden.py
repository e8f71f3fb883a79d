"""Numbers that are known from Apple's own tests and from files: layers and operations on them."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import Case, mb  # noqa: E402
from test_nn import layer_file  # noqa: E402


def grid(text):
    """Rows of numbers: "1 2; 3 4"."""
    return np.array([[float(n) for n in row.split()] for row in text.split(";")], "f")


def vector(text):
    return grid(text)[0]


def planes(text):
    """One number of each plane of an image of one pixel."""
    return vector(text).reshape(1, -1, 1, 1)


PROGRAM, LAYERS = [], []


def program_case(name, build, inputs, want, opset=5):
    PROGRAM.append(Case(name, build, inputs, want, opset))


# ---- crop_resize
IMAGE = np.arange(1, 17, dtype="f").reshape(1, 1, 4, 4)
CROPS = {  # box: begin and end of the height, then of the width; size; the numbers
    "to two": ([1, 1, 2, 2], 2, "6 7; 10 11"),
    "to four": ([1, 1, 2, 2], 4, "6 6.3333 6.6667 7; 7.3333 7.6667 8 8.3333;"
                                 "8.6667 9 9.3333 9.6667; 10 10.3333 10.6667 11"),
    "to one": ([1, 1, 2, 2], 1, "8.5"),
    "turned": ([2, 2, 1, 1], 2, "11 10; 7 6"),
    "normalised": ([0, 0, 1 / 3, 1 / 3], 2, "1 2; 5 6"),
}
for name, (box, size, numbers) in CROPS.items():
    parts = {"target_height": size, "target_width": size, "sampling_mode": "ALIGN_CORNERS",
             "normalized_coordinates": name == "normalised",
             "box_coordinate_mode": "CORNERS_HEIGHT_FIRST"}
    roi = np.array([0, *box], "f").reshape(1, 1, 5, 1, 1)
    want = grid(numbers).reshape(1, 1, size, size)
    program_case("crop " + name, lambda x, roi=roi, parts=parts: mb.crop_resize(
        x=x, roi=roi, **parts), [IMAGE], want[None])
    program_case("crop 17 " + name, lambda x, box=box, parts=parts: mb.crop_resize(
        x=x, boxes=np.array([box], "f"), box_indices=np.int32([0]), **parts), [IMAGE], want, 7)
    LAYERS.append(Case("crop " + name, lambda n, s=size, k=name == "normalised": n.add_crop_resize(
        "l", ["in0", "in1"], "out0", s, s, "ALIGN_ENDPOINTS_MODE", k, "CORNERS_HEIGHT_FIRST"),
        [IMAGE[None], roi], want[None]))

# ---- resizing
program_case("nearest", lambda x: mb.resize_nearest_neighbor(
    x=x, target_size_height=2, target_size_width=3), [grid("0.37; 6.17").reshape(1, 1, 2, 1)],
    grid("0.37 0.37 0.37; 6.17 6.17 6.17").reshape(1, 1, 2, 3))
LINE = grid("0 1").reshape(1, 1, 1, 2)
PLACES = {
    "DEFAULT": "0 .4 .8 1 1", "STRICT_ALIGN_CORNERS": "0 .25 .5 .75 1",
    "ALIGN_CORNERS": "0 .25 .5 .75 1", "OFFSET_CORNERS": ".1 .3 .5 .7 .9",
    "UNALIGN_CORNERS": "0 .1 .5 .9 1",
}
for mode, numbers in PLACES.items():
    program_case(mode, lambda x, m=mode: mb.resize_bilinear(
        x=x, target_size_height=1, target_size_width=5, sampling_mode=m), [LINE],
        vector(numbers).reshape(1, 1, 1, 5))
for method, mode in (("UPSAMPLE_MODE", "DEFAULT"), ("ALIGN_ENDPOINTS_MODE", "ALIGN_CORNERS"),
                     ("STRICT_ALIGN_ENDPOINTS_MODE", "STRICT_ALIGN_CORNERS"),
                     ("ROI_ALIGN_MODE", "OFFSET_CORNERS")):
    LAYERS.append(Case(mode, lambda n, m=method: n.add_resize_bilinear("l", "in0", "out0", 1, 5, m),
                       [LINE], vector(PLACES[mode]).reshape(1, 1, 1, 5)))

# ---- windows
program_case("same_lower", lambda x: mb.avg_pool(
    x=x, kernel_sizes=[2, 2], strides=[1, 1], pad_type="same_lower"),
    [grid("1 2; 3 4").reshape(1, 1, 2, 2)], grid("0.25 0.75; 1 2.5").reshape(1, 1, 2, 2), 6)
LAYERS.append(Case("TOP_LEFT_HEAVY", lambda n: n.add_pooling(
    "l", 2, 2, 1, 1, "AVERAGE", "SAME", "in0", "out0", exclude_pad_area=False,
    same_padding_asymmetry_mode="TOP_LEFT_HEAVY"), [grid("1 2; 3 4").reshape(1, 1, 2, 2)],
    grid("0.25 0.75; 1 2.5").reshape(1, 1, 2, 2)))


def volume_sums(x):
    """Sums of 3x3x3 by twos: one of padding in front and behind, one below, one on the right."""
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1), (0, 1)))
    return np.array([[[x[0, 0, d:d + 3, i:i + 3, j:j + 3].sum() for j in range(0, 8, 2)]
                      for i in range(0, 8, 2)] for d in range(0, 3, 2)], "f")[None, None]


VOLUME = np.arange(192, dtype="f").reshape(1, 1, 3, 8, 8)
LAYERS.append(Case("conv3d SAME", lambda n: n.add_convolution3d(
    "l", 1, 1, 3, 3, 3, np.ones((1, 1, 3, 3, 3), "f"), None, False, stride_width=2,
    stride_height=2, stride_depth=2, padding_mode="same", input_name="in0", output_name="out0"),
    [VOLUME], volume_sums(VOLUME)))
assert LAYERS[-1].want.shape == (1, 1, 2, 4, 4)
program_case("conv3d SAME", lambda x: mb.conv(
    x=x, weight=np.ones((1, 1, 3, 3, 3), "f"), strides=[2, 2, 2], pad_type="same"), [VOLUME],
    volume_sums(VOLUME))

# ---- what moves numbers
DATA, UPDATES = grid("1 2 3; 4 5 6"), grid("5 6 7; 8 9 10")
program_case("scatter", lambda x, u: mb.scatter(
    data=x, indices=np.int32([1, 0]), updates=u, axis=0, mode="add"), [DATA, UPDATES],
    grid("9 11 13; 9 11 13"))
LAYERS.append(Case("scatter", lambda n: n.add_scatter(
    "l", ["in0", "in1", "in2"], "out0", 0, "ADD"), [DATA, vector("1 0"), UPDATES],
    grid("9 11 13; 9 11 13")))
for exclusive, backwards, numbers in ((False, False, "4 10 17"), (True, False, "0 4 10"),
                                      (False, True, "17 13 7"), (True, True, "13 7 0")):
    way = {"exclusive": exclusive, "reverse": backwards}
    program_case(f"cumsum {numbers}", lambda x, way=way: mb.cumsum(x=x, axis=0, **way),
                 [vector("4 6 7")], vector(numbers))
    LAYERS.append(Case(f"cumSum {numbers}", lambda n, e=exclusive, r=backwards: n.add_cumsum(
        "l", ["in0"], "out0", 0, r, e), [vector("4 6 7")], vector(numbers)))
program_case("reverse_sequence", lambda x: mb.reverse_sequence(
    x=x, lengths=np.int32([3, 0]), seq_axis=1, batch_axis=0), [grid("0 1 2 3; 4 5 6 7")],
    grid("2 1 0 3; 4 5 6 7"))
LAYERS.append(Case("reverseSeq", lambda n: n.add_reverse_sequence(
    "l", ["in0", "in1"], "out0", 0, 1), [grid("0 1 2 3; 4 5 6 7"), vector("3 0")],
    grid("2 1 0 3; 4 5 6 7")))
SQUARE = grid("9 5; 1 3").reshape(1, 1, 2, 2)
program_case("depth_to_space", lambda x: mb.depth_to_space(x=x, block_size=2),
             [planes("9 5 1 3")], SQUARE)
program_case("space_to_depth", lambda x: mb.space_to_depth(x=x, block_size=2),
             [grid("7 9; 4 6").reshape(1, 1, 2, 2)], planes("7 9 4 6"))
EIGHT = np.arange(1, 17, dtype="f").reshape(1, 8, 1, 2)
SHUFFLED = {"DEPTH_TO_SPACE": "1 5 2 6; 9 13 10 14", "PIXEL_SHUFFLE": "1 3 2 4; 5 7 6 8"}
for mode, numbers in SHUFFLED.items():
    def build(n, mode=mode):
        n.add_reorganize_data("l", "in0", "t", mode, 2)
        n.add_slice("s", "t", "out0", "channel", 0, 1, 1)
    LAYERS.append(Case(mode, build, [EIGHT], grid(numbers)[None, None]))
LAYERS.append(Case("depth_to_space", lambda n: n.add_reorganize_data(
    "l", "in0", "out0", "DEPTH_TO_SPACE", 2), [planes("9 5 1 3")], SQUARE))
LAYERS.append(Case("space_to_depth", lambda n: n.add_reorganize_data(
    "l", "in0", "out0", "SPACE_TO_DEPTH", 2), [grid("7 9; 4 6")[None, None]], planes("7 9 4 6")))

TOLERANCE = 5e-6  # of the largest; numbers above have five digits


@pytest.mark.parametrize("opset", [5, 6, 7])
def test_operations(program, tmp_path, opset):
    """All of an operator set in one program."""
    cases = [c for c in PROGRAM if c.opset == opset]
    arrays = [a for c in cases for a in c.inputs]

    def build(*values):
        values, made = list(values), []
        for case in cases:
            made.append(case.build(*[values.pop(0) for _ in case.inputs]))
        return tuple(made)

    path, outputs = coreml_run.program_file(tmp_path, build, arrays, opset)
    inputs = {f"in{i}": a for i, a in enumerate(arrays)}
    for case, got in zip(cases, coreml_run.run(program, path, inputs, outputs, tmp_path)):
        coreml_run.check(case, [got], TOLERANCE)


@pytest.mark.parametrize("case", LAYERS, ids=[c.name for c in LAYERS])
def test_layer(program, tmp_path, case):
    path, outputs = layer_file(tmp_path, case, True)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    coreml_run.check(case, coreml_run.run(program, path, inputs, outputs, tmp_path), TOLERANCE)


# ---- golden bytes -------------------------------------------------------------------------------

NETWORK = bytes.fromhex("""
080412220a0f0a01781a0a2a080a02020310a08004520f0a01791a0a2a080a02020310a08004
a21f320a1a0a036c696e1201781a017492080c2a0a0d0000004015000080bf0a100a03616374
1201741a0179920802520028013001""")


def test_a_network_of_91_bytes(program, tmp_path):
    assert len(NETWORK) == 91
    (tmp_path / "net.mlmodel").write_bytes(NETWORK)
    x = grid("-1 0 0.25; 0.5 0.75 3")
    got = coreml_run.run(program, tmp_path / "net.mlmodel", {"x": x}, ["y"], tmp_path)[0]
    np.testing.assert_array_equal(got, np.maximum(2 * x - 1, 0))
    program.run("check", tmp_path / "net.mlmodel")


def test_weights_of_176_bytes(program, tmp_path):
    weight = np.arange(12, dtype="f").reshape(4, 3)
    path, outputs = coreml_run.program_file(
        tmp_path, lambda x: mb.linear(x=x, weight=weight), [np.ones((2, 3), "f")])
    golden = (bytes.fromhex("0100000002000000") + bytes(56)
              + bytes.fromhex("efbeadde 02000000 30000000 00000000 80000000 00000000") + bytes(40)
              + weight.tobytes())
    assert len(golden) == 176
    (path / "Data/com.apple.CoreML/weights/weight.bin").write_bytes(golden)
    got = coreml_run.run(program, path, {"in0": np.ones((2, 3), "f")}, outputs, tmp_path)[0]
    np.testing.assert_array_equal(got, np.ones((2, 3)) @ weight.T)
    coreml_run.write(program, path, tmp_path / "new.mlpackage")
    written = tmp_path / "new.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    assert written.read_bytes()[64:176] == golden[64:]


def test_literal_bytes(program, tmp_path):
    """float16 6.0 as a literal, and downscale_factor, a uint32."""
    from coremltools.proto import Model_pb2

    path, outputs = coreml_run.program_file(
        tmp_path, lambda x: mb.pixel_unshuffle(
            x=mb.mul(x=x, y=mb.cast(x=np.float16(6), dtype="fp32")),
            downscale_factor=np.uint32(2)), [np.ones((1, 1, 2, 2), "f")], 6)
    spec = Model_pb2.Model()
    spec.ParseFromString((path / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    literals = [op.attributes["val"].immediateValue.tensor.bytes.values
                for op in coreml_run.block_of(spec).operations if op.type == "const"]
    assert bytes.fromhex("0046") in literals and bytes.fromhex("02000000") in literals
    got = coreml_run.run(program, path, {"in0": np.ones((1, 1, 2, 2), "f")}, outputs, tmp_path)[0]
    np.testing.assert_array_equal(got, np.full((1, 4, 1, 1), 6))
