"""Models of every kind that the format has: those that do not run say so, with the reason."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

from coremltools.proto import Model_pb2  # noqa: E402

RUNS = {"neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor", "mlProgram",
        "pipeline", "pipelineClassifier", "pipelineRegressor", "nonMaximumSuppression"}
APPLE = "operating system"
REASONS = {
    "customModel": "code is in the app",
    "textClassifier": APPLE, "wordTagger": APPLE, "visionFeaturePrint": APPLE,
    "soundAnalysisPreprocessing": APPLE, "gazetteer": APPLE, "wordEmbedding": APPLE,
    "audioFeaturePrint": APPLE, "serializedModel": APPLE, "linkedModel": "another file",
}
KINDS = [f.name for f in Model_pb2.Model.DESCRIPTOR.oneofs_by_name["Type"].fields
         if f.name not in RUNS]


def add(features, name):
    feature = features.add()
    feature.name = name
    feature.type.multiArrayType.dataType = 65568
    feature.type.multiArrayType.shape.append(2)


def model(kind):
    spec = Model_pb2.Model()
    spec.specificationVersion = 4
    add(spec.description.input, "x")
    add(spec.description.output, "y")
    getattr(spec, kind).SetInParent()
    return spec


def refused(program, folder, spec):
    """The one sentence of all commands that would run the file."""
    path = folder / "net.mlmodel"
    path.write_bytes(spec.SerializeToString())
    np.save(folder / "x.npy", np.zeros(2, "f"))
    said = set()
    for command in (["exec", path, "--input", f"x={folder}/x.npy", "--output", f"y={folder}/y.npy"],
                    ["bench", path, "--threads", "1"],
                    ["convert", path, "-o", folder / "new.onnx"],
                    ["compare", path, path]):
        said.add(program.run(*command, code=1).stderr.splitlines()[-1].split(f"{path}: ", 1)[1])
    assert len(said) == 1 and not (folder / "y.npy").exists() and not (folder / "new.onnx").exists()
    return said.pop()


def test_the_list_is_whole():
    assert len(KINDS) == 29 and set(REASONS) < set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind(program, tmp_path, kind):
    told = refused(program, tmp_path, model(kind))
    assert "not supported" in told and REASONS.get(kind, "") in told


def test_no_kind(program, tmp_path):
    spec = model("scaler")
    spec.ClearField("scaler")
    assert "nor Core ML" in refused(program, tmp_path, spec)  # nothing tells it from other files


def test_stages_are_named_all_at_once(program, tmp_path):
    spec = model("pipeline")
    for kind in KINDS[:3]:
        spec.pipeline.models.add().CopyFrom(model(kind))
    told = refused(program, tmp_path, spec)
    for number in (1, 2, 3):
        assert f"pipeline stage {number}: a Core ML model that is a " in told
