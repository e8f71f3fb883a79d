"""States: zeros at first, kept from run to run, and each session's own."""

import json

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct, mb, types  # noqa: E402

STEPS, SLOTS = 6, 8


class Accumulator(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3))
        self.register_buffer("product", torch.zeros(4))

    def forward(self, x):
        self.total.add_(x)
        self.product.mul_(0.5).add_(x.sum())
        return 2 * self.total, self.product + 0


class Cache(nn.Module):
    """Attention of one new place to all that came before, whose keys and values are kept."""

    def __init__(self):
        super().__init__()
        self.heads = nn.Linear(8, 24)
        self.register_buffer("keys", torch.zeros(1, 2, SLOTS, 4))
        self.register_buffer("values", torch.zeros(1, 2, SLOTS, 4))

    def forward(self, x, place, mask):
        here = place[0]
        q, k, v = self.heads(x).view(1, 1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        self.keys[:, :, here:here + 1] = k
        self.values[:, :, here:here + 1] = v
        return torch.softmax(q @ self.keys.transpose(2, 3) / 2 + mask, -1) @ self.values


def convert(folder, net, arrays, states, outputs, precision=ct.precision.FLOAT32):
    traced = torch.jit.trace(net, [torch.tensor(a) for a in arrays.values()])
    wrapped = [ct.StateType(wrapped_type=ct.TensorType(shape=shape, dtype=np.float16), name=name)
               for name, shape in states.items()]
    inputs = [ct.TensorType(n, shape=a.shape, dtype=a.dtype.type) for n, a in arrays.items()]
    model = ct.convert(traced, inputs=inputs,
                       outputs=[ct.TensorType(n) for n in outputs], states=wrapped,
                       minimum_deployment_target=ct.target.iOS18, compute_precision=precision)
    path = folder / "states.mlpackage"
    model.save(str(path))
    return path


@pytest.fixture(scope="module")
def accumulator(tmp_path_factory):
    return convert(tmp_path_factory.mktemp("sum"), Accumulator(),
                   {"x": np.zeros((2, 3), np.float32)}, {"total": (2, 3), "product": (4,)},
                   ["y", "p"])


def test_accumulator_step_by_step(program, tmp_path, accumulator):
    x = np.random.default_rng(0).standard_normal((STEPS, 2, 3)).astype(np.float32)
    net = Accumulator()
    want = [[o.clone().numpy() for o in net(torch.tensor(step))] for step in x]
    got = coreml_run.run(program, accumulator, {"x": x}, ["y", "p"], tmp_path, "--steps")
    for value, right in zip(got, zip(*want)):
        np.testing.assert_allclose(value, np.stack(right), rtol=0, atol=1e-5)
    # every process is a new session
    for _ in range(2):
        first = coreml_run.run(program, accumulator, {"x": x[0]}, ["y", "p"], tmp_path)
        np.testing.assert_array_equal(first[0], got[0][0])
        np.testing.assert_array_equal(first[1], got[1][0])


def test_cache_step_by_step(program, tmp_path):
    torch.manual_seed(0)
    net = Cache().eval()
    x = torch.randn(STEPS, 1, 1, 8)
    place = torch.arange(STEPS, dtype=torch.int32)[:, None]
    mask = torch.triu(torch.full((SLOTS, SLOTS), -1e4), 1)[:STEPS, None]
    arrays = {"x": x.numpy(), "place": place.numpy(), "mask": mask.numpy()}
    path = convert(tmp_path, net, {n: np.asarray(a[0]) for n, a in arrays.items()},
                   {"keys": (1, 2, SLOTS, 4), "values": (1, 2, SLOTS, 4)}, ["y"])
    net.keys.zero_()
    net.values.zero_()
    with torch.no_grad():
        want = torch.stack([net(*step) for step in zip(x, place, mask)]).numpy()
    for options in ([], ["--mem-limit", "0.018"], ["--threads", "2"]):
        got = coreml_run.run(program, path, arrays, ["y"], tmp_path, "--steps", *options)[0]
        np.testing.assert_allclose(got, want, rtol=0, atol=5e-5 * np.abs(want).max())


def test_states_are_told(program, accumulator):
    text = program.run("info", accumulator).stdout
    assert "state  f16   total (2,3)\n" in text and "state  f16   product (4)\n" in text
    states = json.loads(program.run("info", accumulator, "--json").stdout)["states"]
    assert {s["name"]: s["shape"] for s in states} == {"total": [2, 3], "product": [4]}
    done = program.run("exec", accumulator, "--input", "x=x.npy", "--input", "total=x.npy",
                       "--output", "y=y.npy", code=1)
    assert "has the inputs x; not given: none; unknown: total" in done.stderr
    done = program.run("exec", accumulator, "--input", "x=x.npy", "--output", "total=y.npy", code=1)
    assert "unknown: total" in done.stderr
    program.run("bench", accumulator, "--threads", "1", "--runs", "3", "--seconds", "0")
    program.run("compare", accumulator, accumulator)


def state_program(build):
    """A function of x and the state s, both (2,3) of halves."""
    inputs = [mb.TensorSpec((2, 3), types.fp16), mb.StateTensorSpec((2, 3), types.fp16)]
    scope = {"build": build}
    exec("def main(x, s):\n    return build(x, s)", scope)
    made = mb.program(input_specs=inputs, opset_version=ct.target.iOS18)(scope["main"])
    return ct.convert(made, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18,
                      compute_precision=ct.precision.FLOAT32,
                      pass_pipeline=ct.PassPipeline.EMPTY)


def test_reading_before_and_after_writing(program, tmp_path):
    def build(x, s):
        before = mb.read_state(input=s)
        once = mb.coreml_update_state(state=s, value=mb.add(x=before, y=x))
        twice = mb.coreml_update_state(state=s, value=mb.mul(x=once, y=np.float16(2)))
        return mb.identity(x=before, name="b"), mb.add(x=twice, y=once, name="a")

    state_program(build).save(str(tmp_path / "s.mlpackage"))
    x = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    state, before, after = np.zeros((2, 3), np.float32), [], []
    for step in x:
        before.append(state)
        after.append(3 * (state + step))
        state = 2 * (state + step)
    got = coreml_run.run(program, tmp_path / "s.mlpackage", {"x": x}, ["b", "a"], tmp_path,
                         "--steps")
    np.testing.assert_array_equal(got[0], np.stack(before))
    np.testing.assert_array_equal(got[1], np.stack(after))


def test_a_state_that_is_only_read_stays(program, tmp_path):
    def build(x, s):
        return mb.add(x=x, y=mb.read_state(input=s), name="y")

    state_program(build).save(str(tmp_path / "s.mlpackage"))
    x = np.ones((3, 2, 3), np.float32)
    got = coreml_run.run(program, tmp_path / "s.mlpackage", {"x": x}, ["y"], tmp_path, "--steps")
    np.testing.assert_array_equal(got[0], x)


def test_steps_that_do_not_fit(program, tmp_path, accumulator):
    for shape, words in (((0, 2, 3), "0 steps"), ((2, 5), "input x is"), ((), "0 steps")):
        np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
        done = program.run("exec", accumulator, "--input", f"x={tmp_path}/x.npy", "--output",
                           f"y={tmp_path}/y.npy", "--steps", code=1)
        assert words in done.stderr and not (tmp_path / "y.npy").exists()


# ---- states that branches and loops write -------------------------------------------------------


def written(state, value):
    return mb.coreml_update_state(state=state, value=value)


def mean(x):
    return mb.reduce_mean(x=x, axes=[0, 1], keep_dims=False)


def branch(x, s):
    """s is x + s where the mean of x is above 0, and stays otherwise; y is what it was."""
    before = mb.read_state(input=s)
    y = mb.cond(pred=mb.greater(x=mean(x), y=np.float16(0)),
                _true_fn=lambda: written(s, mb.add(x=x, y=mb.read_state(input=s))),
                _false_fn=lambda: mb.mul(x=before, y=np.float16(2)))
    return mb.add(x=y, y=np.float16(0), name="a"), mb.add(x=mb.read_state(input=s), y=before,
                                                        name="b")


def branch_by_hand(x, s):
    new = x + s if x.mean() > 0 else s
    return (new if x.mean() > 0 else 2 * s), new + s, new


def blind(x, s):
    """Each way writes without reading."""
    y = mb.cond(pred=mb.greater(x=mean(x), y=np.float16(0)),
                _true_fn=lambda: written(s, mb.mul(x=x, y=np.float16(2))),
                _false_fn=lambda: written(s, mb.sub(x=x, y=np.float16(1))))
    return mb.add(x=y, y=np.float16(0), name="a"), mb.add(x=mb.read_state(input=s), y=x, name="b")


def blind_by_hand(x, s):
    new = 2 * x if x.mean() > 0 else x - 1
    return new, new + x, new


def loop(x, s):
    """Three turns, of which each but the second adds i + 1; behind them s is read again."""
    def turn(i, v):
        now = mb.cond(pred=mb.equal(x=i, y=np.int32(1)),
                      _true_fn=lambda: mb.read_state(input=s),
                      _false_fn=lambda: written(s, mb.add(
                          x=mb.read_state(input=s), y=mb.cast(x=mb.add(x=i, y=np.int32(1)),
                                                             dtype="fp16"))))
        return mb.add(x=i, y=np.int32(1)), mb.add(x=v, y=now)

    i, v = mb.while_loop(_cond=lambda i, v: mb.less(x=i, y=np.int32(3)), _body=turn,
                         loop_vars=(np.int32(0), x))
    return mb.add(x=v, y=np.float16(0), name="a"), mb.read_state(input=s, name="b")


def loop_by_hand(x, s):
    v = x.copy()
    for i in range(3):
        if i != 1:
            s = s + i + 1
        v = v + s
    return v, s, s


def asking(x, s):
    """The condition counts, in the state, how often it is asked."""
    def more(i):
        now = written(s, mb.add(x=mb.read_state(input=s), y=np.float16(1)))
        return mb.logical_and(x=mb.less(x=i, y=np.int32(2)),
                              y=mb.less(x=mean(now), y=np.float16(6)))

    i = mb.while_loop(_cond=more, _body=lambda i: (mb.add(x=i, y=np.int32(1)),),
                       loop_vars=(np.int32(0),))
    return (mb.add(x=mb.cast(x=i, dtype="fp16"), y=x, name="a"),
            mb.read_state(input=s, name="b"))


def asking_by_hand(x, s):
    i = 0
    while True:
        s = s + 1
        if not (i < 2 and s.mean() < 6):
            return i + x, s, s
        i += 1


def loop_in_branch(x, s):
    y = mb.cond(pred=mb.greater(x=mean(x), y=np.float16(0)),
                _true_fn=lambda: loop(x, s)[0], _false_fn=lambda: mb.identity(x=x))
    return mb.add(x=y, y=np.float16(0), name="c"), mb.read_state(input=s, name="d")


def loop_in_branch_by_hand(x, s):
    return loop_by_hand(x, s) if x.mean() > 0 else (x, s, s)


INSIDE = [(branch, branch_by_hand), (blind, blind_by_hand), (loop, loop_by_hand),
          (asking, asking_by_hand), (loop_in_branch, loop_in_branch_by_hand)]


@pytest.mark.parametrize("build, by_hand", INSIDE)
def test_states_inside(program, tmp_path, build, by_hand):
    path = tmp_path / "s.mlpackage"
    model = state_program(build)
    model.save(str(path))
    outputs = [o.name for o in model.get_spec().description.output]
    x = np.random.default_rng(0).integers(-3, 4, (5, 2, 3)).astype(np.float32)
    assert {bool(step.mean() > 0) for step in x} == {False, True}
    state, want = np.zeros((2, 3), np.float32), []
    for step in x:
        *out, state = by_hand(step, state)
        want.append(out)
    for options in ([], ["--threads", "2"]):
        got = coreml_run.run(program, path, {"x": x}, outputs, tmp_path, "--steps", *options)
        for value, right in zip(got, zip(*want)):
            np.testing.assert_array_equal(value, np.stack(right))
