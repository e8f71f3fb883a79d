"""crop_resize and non_maximum_suppression of both families and of all operator sets."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from box_cases import (BOXES, DETECTED, GOLDEN, IMAGE, IMAGES, MODES, NMS, SAMPLINGS,  # noqa: E402
                       SCORES, WHICH, crop, thin, thinned)
from coreml_run import mb  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402

SIZE = (3, 4)


def near(got, want):
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, np.abs(want).max()))


def test_golden_values_of_crops():
    for box, size, want, how in GOLDEN:
        got = crop(IMAGE[0], box, size, "ALIGN_CORNERS", **how)
        np.testing.assert_allclose(got.ravel(), want, rtol=1e-6)


def program_crops(program, tmp_path, build, inputs, wanted, opset):
    path, outputs = coreml_run.program_file(tmp_path, build, inputs, opset)
    named = {f"in{i}": a for i, a in enumerate(inputs)}
    for got, want in zip(coreml_run.run(program, path, named, outputs, tmp_path), wanted):
        near(got, want)


@pytest.mark.parametrize("opset", [6, 7])
def test_crop_resize(program, tmp_path, opset):
    """All samplings and modes in one program, golden values behind them."""
    cases = [(BOXES, SIZE, {"sampling": s, "mode": m}) for m in range(4) for s in SAMPLINGS
             if m == 0 or s == "ALIGN_CORNERS"]
    cases += [(BOXES, (1, 1), {"sampling": s}) for s in SAMPLINGS]
    cases += [(BOXES / 8, SIZE, {"sampling": "DEFAULT", "normalized": True}),
              (BOXES, SIZE, {"sampling": "DEFAULT", "scale": 0.5})]
    if opset > 5:
        cases.append((BOXES, SIZE, {"sampling": "DEFAULT", "pad": 7.5}))

    def build(x, which):
        made = []
        for boxes, size, how in cases:
            names = {"target_height": size[0], "target_width": size[1],
                     "sampling_mode": how["sampling"],
                     "box_coordinate_mode": MODES[how.get("mode", 0)],
                     "normalized_coordinates": how.get("normalized", False),
                     "spatial_scale": how.get("scale", 1.0)}
            if opset > 5:
                names["pad_value"] = how.get("pad", 0.0)
            if opset == 7:
                made.append(mb.crop_resize(x=x, boxes=boxes.astype("f"), box_indices=which,
                                           **names))
                continue
            rois = np.concatenate([WHICH[:, None], boxes], 1).astype("f")[:, None, :, None, None]
            made.append(mb.crop_resize(x=x, roi=rois, **names))
        return tuple(made)

    wanted = [np.stack([crop(IMAGES[k], b, size, **how) for k, b in zip(WHICH, boxes)])
              for boxes, size, how in cases]
    if opset < 7:
        wanted = [w[:, None] for w in wanted]
    inputs = [IMAGES, WHICH]
    path, outputs = coreml_run.program_file(tmp_path, build, inputs, opset)
    named = {"in0": IMAGES, "in1": WHICH} if opset == 7 else {"in0": IMAGES, "in1": WHICH}
    for got, want in zip(coreml_run.run(program, path, named, outputs, tmp_path), wanted):
        near(got, want)


def test_crops_of_every_image(program, tmp_path):
    rois = BOXES[:, None, :, None, None]
    wanted = [np.stack([np.stack([crop(x, b, SIZE, "OFFSET_CORNERS") for x in images])
                        for b in BOXES]) for images in (IMAGES, IMAGE)]

    def build(a, b, r):
        names = {"target_height": 3, "target_width": 4, "sampling_mode": "OFFSET_CORNERS"}
        return mb.crop_resize(x=a, roi=r, **names), mb.crop_resize(x=b, roi=r, **names)

    program_crops(program, tmp_path, build, [IMAGES, IMAGE, rois], wanted, 5)


def test_boxes_without_indices(program, tmp_path):
    want = np.stack([crop(x, b, SIZE, "DEFAULT") for x, b in zip(IMAGES, BOXES)])
    program_crops(program, tmp_path,
                  lambda a, b: mb.crop_resize(x=a, boxes=b, target_height=3, target_width=4),
                  [IMAGES, BOXES[:3]], [want], 7)


def test_a_box_of_no_image_is_refused(program, tmp_path):
    path, outputs = coreml_run.program_file(
        tmp_path, lambda a, b, i: mb.crop_resize(x=a, boxes=b, box_indices=i), [IMAGES, BOXES,
                                                                                WHICH], 7)
    inputs = {"in0": IMAGES, "in1": BOXES, "in2": WHICH + 1}
    with pytest.raises(AssertionError, match="exit 1"):
        coreml_run.run(program, path, inputs, outputs, tmp_path)


def network(folder, inputs, outputs, build, exact):
    features = [(n, datatypes.Array(*a.shape)) for n, a in inputs.items()]
    builder = NeuralNetworkBuilder(features, [(n, None) for n in outputs],
                                   disable_rank5_shape_mapping=exact)
    build(builder)
    save_spec(builder.spec, str(folder / "net.mlmodel"))
    return folder / "net.mlmodel"


def test_crop_layer(program, tmp_path):
    samplings = {"STRICT_ALIGN_ENDPOINTS_MODE": "STRICT_ALIGN_CORNERS",
                 "ALIGN_ENDPOINTS_MODE": "ALIGN_CORNERS", "UPSAMPLE_MODE": "DEFAULT",
                 "ROI_ALIGN_MODE": "OFFSET_CORNERS"}
    cases = [(m, s, own) for m in range(4) for s in samplings for own in (True, False)
             if own or m == 0]
    own = np.concatenate([WHICH[:, None], BOXES], 1)[:, None, :, None, None]
    inputs = {"x": IMAGES[None], "own": own, "all": BOXES[:, None, :, None, None]}

    def build(builder):
        for k, (mode, sampling, is_own) in enumerate(cases):
            builder.add_crop_resize(f"c{k}", ["x", "own" if is_own else "all"], f"y{k}", *SIZE,
                                    sampling, False, MODES[mode], 1.0)

    path = network(tmp_path, inputs, [f"y{k}" for k in range(len(cases))], build, True)
    got = coreml_run.run(program, path, inputs, [f"y{k}" for k in range(len(cases))], tmp_path)
    for value, (mode, sampling, is_own) in zip(got, cases):
        how = (SIZE, samplings[sampling], mode)
        if is_own:
            want = np.stack([crop(IMAGES[k], b, *how) for k, b in zip(WHICH, BOXES)])[:, None]
        else:
            want = np.stack([np.stack([crop(x, b, *how) for x in IMAGES]) for b in BOXES])
        near(value, want)


@pytest.mark.parametrize("opset", [5, 7])
def test_non_maximum_suppression(program, tmp_path, opset):
    def build(boxes, scores):
        made = []
        for overlap, threshold, most, per_class in NMS.values():
            more = {"score_threshold": threshold} if opset == 5 else {}
            made += mb.non_maximum_suppression(boxes=boxes, scores=scores, iou_threshold=overlap,
                                               max_boxes=most, per_class_suppression=per_class,
                                               **more)
        return tuple(made)

    wanted = []
    for overlap, threshold, most, per_class in NMS.values():
        boxes, scores, places, count = thinned(overlap, threshold if opset == 5 else -1, most,
                                               per_class)
        wanted += ([boxes, scores, places, count] if opset == 5
                   else [boxes.transpose(0, 2, 1), scores.transpose(0, 2, 1), places])
    inputs = [DETECTED, SCORES] if opset == 5 else [np.ascontiguousarray(a.transpose(0, 2, 1))
                                                    for a in (DETECTED, SCORES)]
    program_crops(program, tmp_path, build, inputs, wanted, opset)


def test_non_maximum_suppression_layer(program, tmp_path):
    inputs = {"boxes": DETECTED, "scores": SCORES, "iou": np.array([0.2], "f"),
              "score": np.array([0.5], "f")}

    def build(builder):
        for name, (overlap, threshold, most, per_class) in NMS.items():
            builder.add_nms(name, ["boxes", "scores"], [f"{name}{k}" for k in range(4)], overlap,
                            threshold, most, per_class)
        builder.add_nms("given", ["boxes", "scores", "iou", "score"],
                        [f"given{k}" for k in range(4)], 0.9, 0.9, 8, True)

    kinds = {**NMS, "given": NMS["classes"]}
    outputs = [f"{name}{k}" for name in kinds for k in range(4)]
    path = network(tmp_path, inputs, outputs, build, True)
    got = coreml_run.run(program, path, inputs, outputs, tmp_path)
    for value, want in zip(got, [part for how in kinds.values() for part in thinned(*how)]):
        near(value, want.astype(np.float32))


def test_how_many_boxes_a_run_tells(program, tmp_path):
    """The most boxes as an input, fewer and more than there are; and boxes that a run cuts."""
    inputs = {"boxes": DETECTED, "scores": SCORES, "iou": np.array([0.2], "f"),
              "score": np.array([0.5], "f"), "few": np.array([2], "f"), "many": np.array([15], "f"),
              "end": np.array([2, 7, 99], "f")}

    def build(builder):
        for name in ("few", "many"):
            builder.add_nms(name, ["boxes", "scores", "iou", "score", name],
                            [f"{name}{k}" for k in range(4)], 0.9, 0.9, 8, True)
        for name in ("boxes", "scores"):
            builder.add_slice_dynamic(f"c{name}", [name, "start", "end"], f"c{name}")
        builder.add_nms("cut", ["cboxes", "cscores"], [f"cut{k}" for k in range(4)], 0.2, 0.5, 9,
                        True)
        builder.add_nms("both", ["cboxes", "cscores", "iou", "score", "few"],
                        [f"both{k}" for k in range(4)], 0.9, 0.9, 8, False)

    def with_start(builder):
        builder.add_load_constant_nd("start", "start", np.zeros(3, "f"), (3,))
        build(builder)

    outputs = [f"{name}{k}" for name in ("few", "many", "cut", "both") for k in range(4)]
    path = network(tmp_path, inputs, outputs, with_start, True)
    got = coreml_run.run(program, path, inputs, outputs, tmp_path)
    wanted = [*thinned(0.2, 0.5, 2, True), *thinned(0.2, 0.5, 15, True)]
    for most, per_class in ((9, True), (2, False)):
        every = [thin(b[:7], s[:7], 0.2, 0.5, most, per_class) for b, s in zip(DETECTED, SCORES)]
        wanted += [np.stack(part) for part in zip(*every)]
    for value, want in zip(got, wanted):
        near(value, want.astype(np.float32))


def test_no_boxes_at_most_is_an_error(program, tmp_path):
    inputs = {"boxes": DETECTED, "scores": SCORES, "iou": np.array([0.2], "f"),
              "score": np.array([0.5], "f"), "most": np.array([-1], "f")}
    path = network(tmp_path, inputs, ["y0"], lambda b: b.add_nms(
        "n", list(inputs), [f"y{k}" for k in range(4)], 0.9, 0.9, 8, True), True)
    with pytest.raises(AssertionError, match="exit 1"):
        coreml_run.run(program, path, inputs, ["y0"], tmp_path)
