"""Branches and loops of neural networks, left in their middle too, against Python's own."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct, mb  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402

BREAK, CONTINUE = ("break",), ("continue",)
NAMES = ["a", "b", "c", "d"]


def put(name, source, factor, offset):
    """name = factor * source + offset"""
    return "put", name, source, factor, offset


def add_layers(layers, program, count):
    """Layers of a program; blobs that only one layer knows have numbers."""
    for step in program:
        count[0] += 1
        layer = layers.add(name=f"{step[0]}{count[0]}")
        if step[0] == "put":
            _, name, source, factor, offset = step
            layer.input.append(source)
            layer.output.append(f"t{count[0]}")
            layer.activation.linear.alpha, layer.activation.linear.beta = factor, offset
            layer = layers.add(name=f"copy{count[0]}", input=[f"t{count[0]}"], output=[name])
            layer.copy.SetInParent()
        elif step[0] == "if":
            layer.input.append(step[1])
            layer.branch.ifBranch.SetInParent()
            add_layers(layer.branch.ifBranch.layers, step[2], count)
            if step[3]:
                add_layers(layer.branch.elseBranch.layers, step[3], count)
        elif step[0] == "loop":
            _, most, variable, condition, body = step
            layer.loop.maxLoopIterations = most
            if variable:
                layer.loop.conditionVar = variable
                add_layers(layer.loop.conditionNetwork.layers, condition, count)
            add_layers(layer.loop.bodyNetwork.layers, body, count)
        elif step == BREAK:
            layer.loopBreak.SetInParent()
        else:
            layer.loopContinue.SetInParent()


def run(program, blobs):
    """What Python makes of it; how it ends."""
    for step in program:
        if step[0] == "put":
            blobs[step[1]] = np.float32(step[3]) * blobs[step[2]] + np.float32(step[4])
        elif step[0] == "if":
            how = run(step[2] if abs(blobs[step[1]][0]) > 1e-6 else step[3], blobs)
            if how:
                return how
        elif step[0] == "loop":
            _, most, variable, condition, body = step
            for _ in range(most or 10**6):
                if variable:
                    run(condition, blobs)
                    if blobs[variable][0] == 0:
                        break
                if run(body, blobs) == BREAK:
                    break
            else:
                if variable:  # asked once more behind the last turn
                    run(condition, blobs)
        else:
            return step
    return None


def check(program_of_tests, folder, program, values=(3, -1, 0.5, 2), outputs=NAMES):
    inputs = [(f"in_{n}", datatypes.Array(1)) for n in NAMES]
    builder = NeuralNetworkBuilder(inputs, [(f"out_{n}", None) for n in outputs],
                                   disable_rank5_shape_mapping=True)
    for name in NAMES:
        builder.add_copy(f"in_{name}", f"in_{name}", name)
    add_layers(builder.nn_spec.layers, program, [0])
    for name in outputs:
        builder.add_activation(f"out_{name}", "LINEAR", name, f"out_{name}", [1, 0])
    save_spec(builder.spec, str(folder / "net.mlmodel"))
    blobs = {n: np.array([v], np.float32) for n, v in zip(NAMES, values)}
    given = {f"in_{n}": v for n, v in blobs.items()}
    run(program, blobs)
    got = coreml_run.run(program_of_tests, folder / "net.mlmodel", given,
                         [f"out_{n}" for n in outputs], folder)
    assert {n: v.tolist() for n, v in zip(outputs, got)} == {n: blobs[n].tolist() for n in outputs}


LESS = put("a", "a", 1, -1)
PROGRAMS = {
    "break": [("loop", 10, None, [], [LESS, ("if", "a", [], [BREAK]), put("b", "b", 1, 1)])],
    "continue": [("loop", 5, None, [], [LESS, ("if", "a", [], [CONTINUE]), put("b", "b", 1, 1)])],
    "at once": [("loop", 5, None, [], [put("b", "b", 1, 1), BREAK, put("c", "c", 1, 1)])],
    "always the next turn": [("loop", 3, None, [], [put("b", "b", 1, 1), CONTINUE, BREAK])],
    # What the condition writes is not written where a turn has ended the loop.
    "the condition is not asked": [
        ("loop", 9, "c", [put("c", "a", 1, 0), put("d", "d", 1, 1)],
         [LESS, put("b", "a", 1, -1), ("if", "b", [], [BREAK])])],
    "the condition is asked behind `continue`": [
        ("loop", 9, "c", [put("c", "a", 1, 0), put("d", "d", 1, 1)],
         [LESS, ("if", "a", [CONTINUE], []), put("b", "b", 1, 10)])],
    "in branches of branches": [
        ("loop", 8, None, [],
         [LESS, ("if", "b", [("if", "a", [put("d", "d", 1, 1)], [CONTINUE]), put("c", "c", 2, 0)],
                 [BREAK]), put("b", "b", 1, 0.5)])],
    "of the inner loop alone": [
        ("loop", 3, None, [],
         [put("a", "d", 1, 1), ("loop", 9, None, [], [LESS, ("if", "a", [], [BREAK]),
                                                       put("b", "b", 1, 1)]),
          put("c", "c", 1, 1)])],
    "an outer loop behind an inner one": [
        ("loop", 4, None, [],
         [("loop", 2, None, [], [put("b", "b", 1, 1), CONTINUE]), LESS,
          ("if", "a", [], [BREAK]), put("c", "c", 1, 1)])],
    "two ways out": [
        ("loop", 0, "d", [], [put("b", "b", 1, 0.25), ("if", "b", [], [CONTINUE]), LESS,
                              ("if", "a", [], [BREAK]), put("c", "c", 1, 1)])],
    "nothing for the layers around": [
        ("if", "a", [("loop", 2, None, [], [CONTINUE])], []),
        ("loop", 2, None, [], [("if", "b", [], [])])],
    "no layers behind": [("loop", 4, None, [], [put("b", "b", 1, 1), ("if", "b", [], [BREAK])])],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_leaving_loops(program, tmp_path, name):
    check(program, tmp_path, PROGRAMS[name])


def made_up(rng, depth, in_loop):
    """A program of chance; numbers stay whole, small and exact."""
    steps = []
    for _ in range(rng.integers(1, 4)):
        kind = rng.choice(["put", "if", "loop", "leave"], p=[0.4, 0.3, 0.15, 0.15])
        name, source = rng.choice(NAMES, 2)
        if kind == "if" and depth:
            steps.append(("if", name, made_up(rng, depth - 1, in_loop),
                          made_up(rng, depth - 1, in_loop) if rng.random() < 0.6 else []))
        elif kind == "loop" and depth:
            with_condition = rng.random() < 0.5
            steps.append(("loop", int(rng.integers(1, 4)), name if with_condition else None,
                          [put(name, source, 1, -1)] if with_condition else [],
                          made_up(rng, depth - 1, True)))
        elif kind == "leave" and in_loop:
            steps.append(BREAK if rng.random() < 0.5 else CONTINUE)
        else:
            steps.append(put(name, source, float(rng.integers(-1, 2)), float(rng.integers(-1, 2))))
    return steps


@pytest.mark.parametrize("seed", range(12))
def test_programs_of_chance(program, tmp_path, seed):
    rng = np.random.default_rng(seed)
    check(program, tmp_path, [("loop", 4, None, [], made_up(rng, 3, True) + made_up(rng, 2, True))],
          rng.integers(-2, 3, 4))


# ---- blobs of branches --------------------------------------------------------------------------


def test_blobs_that_both_ways_write(program, tmp_path):
    both = [("if", "a", [("if", "b", [put("new", "c", 2, 0)], [put("new", "c", 3, 0)])],
             [put("new", "d", 1, 1)]), put("d", "new", 1, 0.5)]
    for a, b in ((1, 1), (1, 0), (0, 1)):
        check(program, tmp_path, both, (a, b, 5, 7))


def test_blobs_that_one_way_writes(program, tmp_path):
    builder = NeuralNetworkBuilder([("a", datatypes.Array(1))], [("y", None)],
                                   disable_rank5_shape_mapping=True)
    builder.add_copy("b", "a", "b")
    add_layers(builder.nn_spec.layers, [("if", "a", [put("b", "a", 1, 1), put("n", "a", 1, 0)],
                                         [put("b", "a", 2, 0)])], [0])
    builder.add_activation("y", "LINEAR", "n", "y", [1, 0])
    save_spec(builder.spec, str(tmp_path / "net.mlmodel"))
    done = program.run("bench", tmp_path / "net.mlmodel", code=1)
    assert 'layer 2 "y" reads blob "n", which nothing has written' in done.stderr


def test_branches_in_loops_write_what_turns_hand_on(program, tmp_path):
    check(program, tmp_path, [("loop", 4, None, [], [
        ("if", "b", [put("a", "a", 2, 0), put("b", "b", 1, 1)], [put("a", "a", 1, 100)])])])


@pytest.mark.parametrize("x", [-2, 3])
def test_as_converters_write_them(program, tmp_path, x):
    """cond and while_loop of a program, as a neural network."""
    @mb.program(input_specs=[mb.TensorSpec(shape=(1,)), mb.TensorSpec(shape=(2, 3))])
    def made(p, x):
        pred = mb.greater(x=mb.squeeze(x=p), y=0.0)
        y = mb.cond(pred=pred, _true_fn=lambda: mb.mul(x=x, y=2.0),
                    _false_fn=lambda: mb.sub(x=x, y=1.0))
        i, z = mb.while_loop(
            _cond=lambda i, z: mb.less(x=i, y=3.0),
            _body=lambda i, z: (mb.add(x=i, y=1.0), mb.add(x=z, y=y)), loop_vars=(0.0, y))
        return mb.add(x=z, y=i, name="out")

    model = ct.convert(made, convert_to="neuralnetwork")
    model.save(str(tmp_path / "net.mlmodel"))
    kinds = [layer.WhichOneof("layer") for layer in model.get_spec().neuralNetwork.layers]
    assert "branch" in kinds and "loop" in kinds
    v = np.arange(6, dtype="f").reshape(2, 3)
    got = coreml_run.run(program, tmp_path / "net.mlmodel", {"p": np.array([x], "f"), "x": v},
                         ["out"], tmp_path)[0]
    np.testing.assert_array_equal(got, 4 * (2 * v if x > 0 else v - 1) + 3)


# ---- what is refused ----------------------------------------------------------------------------


def refused(program, folder, steps, words):
    builder = NeuralNetworkBuilder([("a", datatypes.Array(1))], [("y", None)],
                                   disable_rank5_shape_mapping=True)
    builder.add_copy("b", "a", "b")
    add_layers(builder.nn_spec.layers, steps, [0])
    builder.add_activation("y", "LINEAR", "b", "y", [1, 0])
    save_spec(builder.spec, str(folder / "net.mlmodel"))
    done = program.run("bench", folder / "net.mlmodel", code=1)
    assert words in done.stderr.splitlines()[-1]


def test_jumps_outside_of_loops(program, tmp_path):
    refused(program, tmp_path, [BREAK], 'loopBreak (layer 1 "break1"): it is in no loop')
    refused(program, tmp_path, [("if", "a", [CONTINUE, put("b", "b", 1, 1)], [])],
            'loopContinue (layer 0 "continue2"): it is in no loop')
    refused(program, tmp_path, [("loop", 2, "b", [("if", "a", [BREAK], [])],
                                 [put("b", "b", 1, 1)])], "its condition leaves the loop")


def test_depth(program, tmp_path):
    steps = [put("b", "b", 1, 1)]
    for _ in range(40):
        steps = [("if", "a", steps, [])]
    refused(program, tmp_path, steps, "networks are nested deeper than 16")
    many = [("if", "b", [], [BREAK])] * 40 + [put("b", "b", 1, 1)]
    refused(program, tmp_path, [("loop", 2, None, [], [put("b", "a", 1, 0)] + many)],
            "deeper than 32")


@pytest.mark.parametrize("in_condition", [True, False])
def test_graphs_inside(program, tmp_path, in_condition):
    """Each loop in the condition of another is asked twice, and in a branch once on each way."""
    steps = [put("b", "b", 1, -1)]
    for _ in range(14):
        steps = [("loop", 2, "b", steps, [put("b", "b", 1, -1)])] if in_condition else [
            ("if", "b", steps, [put("b", "b", 1, -1)])]
    if in_condition:
        refused(program, tmp_path, steps, "become more than 4096 graphs inside nodes")
    else:
        check(program, tmp_path, steps)


def test_blobs_without_names(program, tmp_path):
    refused(program, tmp_path, [put("", "b", 1, 1)], "writes a blob without a name")
