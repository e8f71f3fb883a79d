"""Random small graphs of all operators, control flow included, against ONNX Runtime.

Where the two differ, the reference implementation of the onnx package is asked as well: ONNX
Runtime 1.31 forgets Gemm's beta where nothing is multiplied, takes the mean of nothing for 0, and
the like.

    python tests/onnx/test_random_graphs.py SEED [COUNT]    these graphs; what fails stays in FOLDER
"""

import contextlib
import inspect
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import conftest  # noqa: E402
import onnx_constants  # noqa: E402
import onnx_operators  # noqa: E402
from random_graphs import builder, control, families, learned, microsoft, special  # noqa: E402

FOLDER = conftest.ROOT / "build" / "random_graphs"  # of graphs that failed
FAMILIES = families.ALL + special.ALL + microsoft.ALL + learned.ALL
COUNT = int(os.environ.get("RUN_MODEL_RANDOM_GRAPHS", "1000"))
CHUNK = 50
FIRST = 1
OLD = "of operator sets before 13, which ONNX Runtime runs and no other node here knows"
NEW = "of operator sets after 23, which ONNX Runtime has not"
FORMER_ML = "of ai.onnx.ml before 5, which TreeEnsemble is of: test_onnx_ml.py has random ones"
CODES = "its tables of functions are a code off at times, which test_onnx_microsoft.py allows"
SMALL = 0.5  # what is smaller comes of subtracting numbers around 1


def make(seed):
    """The model, its inputs, and its outputs with the error that each may have."""
    scope = builder.Scope(np.random.default_rng(seed))
    special = scope.chance(0.35)
    control.grow(scope, scope.integer(1, 6), FAMILIES)
    if special:
        control.grow(scope, 1, control.CONTROL)
        control.grow(scope, scope.integer(0, 2), FAMILIES)
    read = {name for node in scope.nodes for name in node.input}
    outputs = [v for v in scope.values if any(v.name in node.output for node in scope.nodes)]
    outputs = [v for v in outputs if v.name not in read or scope.chance(0.25)]
    if not outputs:
        return None
    needed = set(builder.names_read(scope.nodes)) | {v.name for v in outputs}
    inputs = {k: v for k, v in scope.inputs.items() if k in needed}
    constants = {k: v for k, v in scope.constants.items() if k in needed}
    ports = []
    for name, array in inputs.items():
        shape = scope.pick((array.shape, [f"{name}_{i}" for i in range(array.ndim)], None))
        shape = array.shape if name in scope.told else shape
        ports.append(builder.value_info(name, array, shape))
    infos = [builder.value_info(v.name, v.array) for v in outputs]
    model = builder.make_model(scope.nodes, ports, infos, constants, scope.opset)
    return model, inputs, outputs


def operators(model):
    return [node.op_type for node in model.graph.node]


def behind(model, output):
    """The model with one output and the nodes that it needs."""
    needed, nodes = {output}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            nodes.insert(0, node)
            needed |= set(builder.names_read([node]))
    part = onnx.ModelProto()
    part.CopyFrom(model)
    del part.graph.node[:], part.graph.output[:]
    part.graph.node.extend(nodes)
    part.graph.output.extend(port for port in model.graph.output if port.name == output)
    return part


def second_opinion(model, inputs, output):
    """What the onnx package's own implementation gives; None where it cannot."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ReferenceEvaluator(behind(model, output)).run([output], inputs)[0]
    except Exception:  # it has no class of its own for what it does not do
        return None


def difference(ours, want, error):
    """What is wrong; None when nothing is."""
    if ours.dtype != want.dtype or ours.shape != want.shape:
        return f"{ours.dtype}{ours.shape}, expected {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        same = np.array_equal(ours, want)
        return None if same else f"{int((ours != want).sum())} of {want.size} differ"
    if not want.size:
        return None
    same = (ours == want) | (np.isnan(ours) & np.isnan(want))
    most = max(float(np.abs(want).max()), SMALL) if np.isfinite(want).all() else SMALL
    with np.errstate(invalid="ignore"):
        far = np.abs(ours.astype(np.float64) - want.astype(np.float64))
    far = float(np.where(same, 0.0, far).max()) / most
    return None if far <= error else f"differs by {far:.2e} of the largest, allowed {error:.2e}"


def check(program, folder, seed):
    """What is wrong with the graph of this seed; None when nothing is, "" when there is none."""
    made = make(seed)
    if made is None:
        return ""
    model, inputs, outputs = made
    try:
        want = builder.run_model(model, inputs, optimise=False)
    except builder.Reject:
        return ""
    wrong = check_model(program, folder, seed, model, inputs, outputs, want)
    if wrong is None and seed % 4 == 0:  # all that is not an output is folded
        model = onnx_constants.hold(model, inputs)
        wrong = check_model(program, folder, seed, model, {}, outputs, want)
    return wrong


def check_model(program, folder, seed, model, inputs, outputs, want):
    levels = conftest.available_levels()
    onnx.save(model, folder / "model.onnx")
    arguments = ["exec", folder / "model.onnx", "--quiet", "--cpu", levels[seed % len(levels)]]
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
        arguments += ["--input", f"{name}={folder / name}.npy"]
    for v in outputs:
        (folder / f"out-{v.name}.npy").unlink(missing_ok=True)
        arguments += ["--output", f"{v.name}={folder}/out-{v.name}.npy"]
    done = program.run(*arguments, code=None, timeout=60)
    if done.returncode:
        return done.stderr.strip()
    for v, array in zip(outputs, want):
        ours = np.load(folder / f"out-{v.name}.npy")
        wrong = difference(ours, array, v.error + 1e-7)
        other = second_opinion(model, inputs, v.name) if wrong else None
        if wrong and (other is None or difference(ours, other, v.error + 1e-7)):
            return f"{v.name}: {wrong}"
    return None


def check_some(program, seeds):
    """Seeds that fail, each with what is wrong; and how many graphs there were."""
    failures, count = [], 0
    for seed in seeds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            wrong = check(program, folder, seed)
            count += wrong != ""
            if wrong:
                kept = FOLDER / str(seed)
                kept.mkdir(parents=True, exist_ok=True)
                for file in folder.iterdir():
                    (kept / file.name).write_bytes(file.read_bytes())
                ops = " ".join(operators(onnx.load(folder / "model.onnx")))
                failures.append(f"seed {seed} ({ops}): {wrong}; see {kept}")
    return failures, count


# Operators that the importer knows and no family makes, with the reason.
LEFT_OUT = {
    "Scatter": OLD, "Upsample": OLD, "BitCast": NEW, "CausalConvWithState": NEW, "CumProd": NEW,
    "LinearAttention": NEW, "SwiGLU": NEW, "Swish": NEW, "TensorScatter": NEW,
    "ai.onnx.preview.FlexAttention": NEW, "com.microsoft.QLinearSigmoid": CODES,
    "com.microsoft.QLinearSoftmax": CODES, "ai.onnx.ml.ZipMap": "its output is no tensor",
    "ai.onnx.ml.TreeEnsembleClassifier": FORMER_ML, "ai.onnx.ml.TreeEnsembleRegressor": FORMER_ML,
}  # fmt: skip


def test_every_operator_has_a_family():
    """A family makes each that the importer knows, or it is left out above."""
    known = onnx_operators.known()
    assert len(known) > 170
    made = set()
    for family in (*FAMILIES, *control.CONTROL):
        made |= set(re.findall(r'"(\w+)"', inspect.getsource(family)))
    missing = {name for name in known if re.sub("^(ai.onnx.ml|com.microsoft)[.]", "", name)
               not in made}
    assert missing == set(LEFT_OUT)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_every_family_makes_nodes(family):
    """Seeds enough that one succeeds, and none raises anything but Reject."""
    made = 0
    for seed in range(60):
        scope = builder.Scope(np.random.default_rng(seed))
        with contextlib.suppress(builder.Reject):
            family(scope)
            made += 1
    assert made >= 2, f"{made} of 60 seeds"


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, CHUNK))
def test_random_graphs(program, first):
    failures, count = check_some(program, range(first, first + CHUNK))
    assert count >= CHUNK * 0.9, f"only {count} graphs of {CHUNK}"
    assert not failures, "\n" + "\n".join(failures)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    begin, number = int(sys.argv[1]), int((*sys.argv, 1)[2])
    wrong_ones, graphs = check_some(conftest.Program(conftest.find_program().resolve()),
                                    range(begin, begin + number))  # fmt: skip
    print("\n".join(wrong_ones))
    print(f"{graphs} graphs, {len(wrong_ones)} wrong")
    sys.exit(bool(wrong_ones))
