"""run-model compare: weights, ONNX files and stored tensors of one network, layer by layer."""

import json
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from reference import checkpoints, exports, ffdnet, lstm, wav2lip


def exported(model, path, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, wav2lip.random_inputs(1, 1), str(path), dynamo=False, **settings)
    return path


def test_weights_and_their_export_agree(program, tmp_path):
    model = wav2lip.random_wav2lip(1 / 16, seed=3)
    weights = checkpoints.save_zip(checkpoints.state_of(model), tmp_path / "w.pth")
    onnx = exported(model, tmp_path / "w.onnx")
    for pair in ((weights, onnx), (onnx, weights)):
        done = program.run("compare", *pair, "--json")
        told = json.loads(done.stdout)
        assert told["different"] == 0 and told["first"] is None
        assert len(told["layers"]) > 40
        assert len(told["outputs"]) == 1 and 0 < told["outputs"][0]["error"] < 5e-5


def test_the_layer_that_was_changed_is_named(program, tmp_path):
    model = wav2lip.random_wav2lip(1 / 16, seed=3)
    onnx = exported(model, tmp_path / "w.onnx")
    state = checkpoints.state_of(model)
    name = "face_encoder_blocks.3.1.conv_block.0.weight"
    state[name] = state[name].clone()
    state[name][0, 0, 1, 1] += 0.5
    weights = checkpoints.save_zip(state, tmp_path / "w.pth")
    done = program.run("compare", weights, onnx, code=1)
    first = [line for line in done.stdout.splitlines() if line.startswith("the first")]
    assert len(first) == 1 and "face_encoder_blocks.3.1.conv_block.0 " in first[0]
    done = program.run("compare", weights, onnx, "--json", code=1)
    assert json.loads(done.stdout)["first"] == "face_encoder_blocks.3.1.conv_block.0"


def test_stored_tensors_of_a_run_elsewhere(program, tmp_path):
    model = wav2lip.random_wav2lip(1 / 16, seed=3)
    weights = checkpoints.save_zip(checkpoints.state_of(model), tmp_path / "w.pth")
    audio, face = wav2lip.random_inputs(2, seed=5)
    kept = {"audio": audio.numpy(), "face": face.numpy()}
    layer = "audio_encoder.2"

    def keep(_module, _inputs, output):
        kept[layer + ".conv_block.0"] = output.detach().numpy().copy()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    with torch.inference_mode():
        kept["frames"] = model(audio, face).numpy()
    handle.remove()
    np.savez(tmp_path / "run.npz", **kept)
    save_file(kept, tmp_path / "run.safetensors")
    for stored in ("run.npz", "run.safetensors"):
        told = json.loads(program.run("compare", weights, tmp_path / stored, "--json").stdout)
        assert [entry["name"] for entry in told["layers"]] == [layer + ".conv_block.0"]
        assert told["outputs"][0]["name"] == "frames" and told["outputs"][0]["error"] < 5e-5
    kept["frames"] = kept["frames"].copy()
    kept["frames"][1, 2, 3, 4] += 0.01
    np.savez(tmp_path / "run.npz", **kept)
    done = program.run("compare", weights, tmp_path / "run.npz", code=1)
    assert "at element" in done.stdout


def test_sizes_that_one_file_fixes(program, tmp_path):
    made = exports.example("lstm")
    weights = checkpoints.save_zip(checkpoints.state_of(made.model), tmp_path / "w.pth")
    onnx = exports.export(made, tmp_path / "w.onnx", 17, dynamo=False)  # for sequences of 6 steps
    for pair in ((weights, onnx), (onnx, weights)):
        told = json.loads(program.run("compare", *pair, "--json").stdout)
        assert told["different"] == 0 and told["outputs"][0]["error"] < 5e-5


def test_what_is_no_network_gets_a_sentence(program, tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(3, np.float32))
    done = program.run("compare", tmp_path / "a.npz", tmp_path / "a.npz", code=1)
    assert "neither" in done.stderr and done.stderr.count("\n") == 1
    done = program.run("compare", tmp_path / "a.npz", code=2)
    assert "A and B" in done.stderr


def test_an_input_of_no_such_name(program, tmp_path):
    weights = checkpoints.save_zip(
        checkpoints.state_of(exports.example("lstm").model), tmp_path / "w.pth"
    )
    np.save(tmp_path / "x.npy", np.ones((1, 3, 4), np.float32))
    given = f"seq={tmp_path / 'x.npy'}"
    done = program.run("compare", weights, weights, "--input", given, code=1)
    assert "no input of this name" in done.stderr and "seq=" in done.stderr
    done = program.run("compare", weights, weights, "--input", tmp_path / "x.npy", code=2)
    assert "NAME=FILE.npy" in done.stderr
    program.run("compare", weights, weights, "--input", "seq_" + given.replace("seq", "input", 1))


def test_nothing_in_common_is_no_success(program, tmp_path):
    weights = checkpoints.save_zip(
        checkpoints.state_of(exports.example("lstm").model), tmp_path / "w.pth"
    )
    np.savez(tmp_path / "other.npz", something=np.ones(3, np.float32))
    done = program.run("compare", weights, tmp_path / "other.npz", code=1)
    assert "nothing was compared" in done.stderr and "other.npz" in done.stderr


def difference(path, order, kind):
    """a - b, which is named so that JSON must quote it; inputs in the order told."""
    nodes = [helper.make_node("Sub", ["a", "b"], ['"y"'], name="sub")]
    ports = [helper.make_tensor_value_info(n, kind, [2, 3]) for n in (*order, '"y"')]
    graph = helper.make_graph(nodes, "g", ports[:2], ports[2:],
                              [helper.make_tensor("w", kind, [4], [1] * 4)])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)


def test_inputs_go_by_name(program, tmp_path):
    difference(tmp_path / "ab.onnx", "ab", TensorProto.FLOAT)
    difference(tmp_path / "ba.onnx", "ba", TensorProto.FLOAT16)
    np.save(tmp_path / "a.npy", np.full((2, 3), 5, np.float32))
    done = program.run("compare", tmp_path / "ab.onnx", tmp_path / "ba.onnx", "--input",
                       f"a={tmp_path / 'a.npy'}", "--tolerance", "1e-3", "--json")
    told = json.loads(done.stdout)
    assert [o["name"] for o in told["outputs"] + told["rounded"]] == ['"y"', '"y"']


def tower(path, stages, signs, changed=None, names="l{}", reverse=False):
    """Stages of two convolutions of one shape, in one order or the other, the second negated: by
    its weights or by a node. Names tell nothing. Returns the names of the second ones."""
    rng = np.random.default_rng(7)
    nodes, weights, seconds, x = [], [], [], "x"

    def node(kind, inputs, **how):
        name = names.format(len(nodes))
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **how))
        return name

    def convolution(stage, k, sign):
        w = rng.standard_normal((4, 4, 3)).astype("f") / 4
        if changed == (stage, k):
            w[1, 2, 1] += 1
        weights.append(onnx.numpy_helper.from_array(sign * w, f"c{stage}{k}"))
        return lambda x: node("Conv", [x, f"c{stage}{k}"], pads=[1, 1])

    for stage in range(stages):
        made = [convolution(stage, 0, 1), convolution(stage, 1, -1 if signs else 1)]
        parts = [None, None]
        for k in (1, 0) if reverse else (0, 1):
            parts[k] = made[k](x)
            if k == 1:
                seconds.append(parts[k])
                parts[k] = parts[k] if signs else node("Neg", [parts[k]])
        x = node("Sub", parts)
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
             for n, s in (("x", [1, 4, 9]), (x, None))]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)
    return seconds


def test_layers_that_pair_only_by_shape_are_no_difference(program, tmp_path):
    a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
    tower(a, 4, True)
    tower(b, 4, False, names="node_{}", reverse=True)
    for pair, lonely in (((a, b), [0, 4]), ((b, a), [4, 0])):
        told = json.loads(program.run("compare", *pair, "--json").stdout)
        assert (told["different"], told["by_value"], told["by_order"]) == (0, 8, 0)
        assert told["lonely"] == lonely and told["outputs"][0]["error"] < 5e-5
        text = program.run("compare", *pair).stdout
        assert "8 by what they give, since their names tell nothing, 0 differ" in text
        assert "{} layers of A and {} of B align with nothing".format(*lonely) in text


def test_the_layer_that_differs_is_named_though_names_tell_nothing(program, tmp_path):
    a, b = tmp_path / "a.onnx", tmp_path / "b.onnx"
    for stage in range(4):
        for signs in (True, False):
            names = tower(a, 4, signs), tower(b, 4, not signs, (stage, 1), "node_{}", True)
            for pair, name in (((a, b), names[0]), ((b, a), names[1])):
                done = program.run("compare", *pair, code=1)
                first = [t for t in done.stdout.splitlines() if t.startswith("the first")]
                assert len(first) == 1 and f" {name[stage]} " in first[0], done.stdout


def test_a_file_aligns_with_itself_by_name(program, tmp_path):
    path = tmp_path / "a.onnx"
    tower(path, 2, False)
    for more in ([], ["--precision", "f16-rounded", "--tolerance", "0.1"]):
        told = json.loads(program.run("compare", path, path, "--json", *more).stdout)
        assert len(told["layers"]) == 4 and told["lonely"] == [0, 0]
        assert told["by_value"] == told["by_order"] == 0


def outputs_of(path, names):
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in ("x", *names)]
    nodes = [helper.make_node(kind, ["x"], [name], name=f"n{name}")
             for name, kind in names.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              path)
    return path


def test_outputs_of_other_names_in_another_order(program, tmp_path):
    a = outputs_of(tmp_path / "a.onnx", {"exp": "Exp", "neg": "Neg"})
    b = outputs_of(tmp_path / "b.onnx", {"y0": "Neg", "y1": "Exp"})
    done = program.run("compare", a, b)
    assert [line.split(":")[0] for line in done.stdout.splitlines()[-2:]] == [
        "output exp (2,3) and y1", "output neg (2,3) and y0"]
    done = program.run("compare", a, outputs_of(b, {"neg": "Exp", "y1": "Sin"}), code=1)
    assert "output neg (2,3): " in done.stdout and "output exp (2,3) and y1: " in done.stdout


def chain(path, change=lambda weights: None, kinds=(TensorProto.FLOAT,), shape=(1, 8),
          outputs=("y",)):
    """y = w2 relu(w1 x - 9): every third of what w2 multiplies is 0 for any small x."""
    rng = np.random.default_rng(3)
    weights = {"w1": rng.standard_normal((8, 12)).astype("f"), "b1": np.zeros(12, "f"),
               "w2": rng.standard_normal((12, 8)).astype("f")}  # fmt: skip
    weights["b1"][::3] = -99
    change(weights)
    kind = onnx.helper.tensor_dtype_to_np_dtype(kinds[0])
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first"),
             helper.make_node("Relu", ["h"], ["r"], name="relu"),
             helper.make_node("MatMul", ["r", "w2"], ["m"], name="second"),
             helper.make_node("Reshape", ["m", "shape"], ["y"], name="rows"),
             helper.make_node("Neg", ["m"], ["z"], name="negative")]  # fmt: skip
    ports = [helper.make_tensor_value_info("x", kinds[0], [1, 8])]
    ports += [helper.make_tensor_value_info(n, kinds[0], None) for n in outputs]
    made = [onnx.numpy_helper.from_array(w.astype(kind), n) for n, w in weights.items()]
    made.append(onnx.numpy_helper.from_array(np.array(shape), "shape"))
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], made)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def test_weights_that_an_input_of_0_hides(program, tmp_path):
    def change(weights):
        weights["w2"][3, 5] += 1

    plain, other = chain(tmp_path / "a.onnx"), chain(tmp_path / "b.onnx", change)
    done = program.run("compare", plain, other, code=1)
    assert "0 differ by more" in done.stdout
    assert "have other weights, second the first" in done.stdout
    program.run("compare", plain, plain)
    told = json.loads(program.run("compare", plain, other, "--json", code=1).stdout)
    assert told["different"] == 0 and told["unlike"] == 1


def test_other_numbers_are_tried(program, tmp_path):
    """What is below 0 alone shows nothing of numbers from 0 to 1."""
    def graph(path, kind):
        node = helper.make_node(kind, ["x"], ["y"], name="y")
        ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [6]) for n in "xy"]
        onnx.save(helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:])), path)
        return path

    pair = graph(tmp_path / "a.onnx", "Relu"), graph(tmp_path / "b.onnx", "Identity")
    done = program.run("compare", *pair, code=1)
    assert "of other numbers, from -1 to 1:" in done.stdout
    told = json.loads(program.run("compare", *pair, "--json", code=1).stdout)
    assert told["others"]["outputs_differ"] and told["outputs"][0]["error"] == 0
    np.save(tmp_path / "x.npy", np.ones(6, "f"))
    program.run("compare", *pair, "--input", f"x={tmp_path / 'x.npy'}")


def test_outputs_that_are_missing_or_of_other_rows(program, tmp_path):
    both = chain(tmp_path / "a.onnx", outputs=("y", "z"))
    one = chain(tmp_path / "b.onnx")
    done = program.run("compare", both, one, code=1)
    assert "output z (1,8): the other file has none" in done.stdout
    program.run("compare", one, both)
    rows = chain(tmp_path / "c.onnx", shape=(2, 4))
    done = program.run("compare", one, rows, code=1)
    assert "output y (1,8): the other is (2,4)" in done.stdout
    told = json.loads(program.run("compare", one, rows, "--json", code=1).stdout)
    assert told["outputs"][0]["error"] is None


def test_inputs_of_halves_are_not_zeros(program, tmp_path):
    def change(weights):
        weights["w1"][1, 1] += 1

    half = (TensorProto.FLOAT16,)
    pair = chain(tmp_path / "a.onnx", kinds=half), chain(tmp_path / "b.onnx", change, half)
    done = program.run("compare", *pair, "--tolerance", "1e-3", code=1)
    assert "the first that differs: first " in done.stdout


def test_what_this_program_writes_agrees(program, tmp_path):
    """Of weights, also where a format has a layer in two parts; halves are told in two numbers."""
    weights = checkpoints.save_zip(checkpoints.state_of(wav2lip.random_wav2lip(1 / 16, seed=3)),
                                   tmp_path / "w.pth")  # fmt: skip
    for name in ("w.mlpackage", "w.mlmodel", "w.onnx"):
        program.run("convert", "wav2lip", "-w", weights, "-o", tmp_path / name)
        for pair in ((weights, tmp_path / name), (tmp_path / name, weights)):
            told = json.loads(program.run("compare", *pair, "--json").stdout)
            assert told["different"] == 0 and len(told["layers"]) > 40
            assert "rounded" not in told
    model = ffdnet.random_ffdnet("ipol", width=12, depth=5)
    weights_of = checkpoints.save_zip(checkpoints.state_of(model), tmp_path / "f.pth")
    images = ["--image-input", "my_input", "--image-output", "my_output"]
    program.run("convert", "ffdnet", "-w", weights_of, "-o", tmp_path / "f.mlmodel", "--shape",
                "my_input=1x3x32x32", *images)  # fmt: skip
    told = json.loads(program.run("compare", weights_of, tmp_path / "f.mlmodel", "--json").stdout)
    assert told["different"] == 0 and len(told["layers"]) == 5
    weights_of = checkpoints.save_zip(checkpoints.state_of(lstm.random_classifier()),
                                      tmp_path / "l.pth")  # fmt: skip
    program.run("convert", "lstm", "-w", weights_of, "-o", tmp_path / "l.mlpackage")
    program.run("compare", weights_of, tmp_path / "l.mlpackage")
    half = tmp_path / "half.mlpackage"
    program.run("convert", "wav2lip", "-w", weights, "-o", half, "--fp16")
    told = json.loads(program.run("compare", weights, half, "--json", code=1).stdout)
    assert 1e-4 < told["outputs"][0]["error"] < 2e-2
    assert 1e-5 < told["rounded"][0]["error"] < 2e-2
