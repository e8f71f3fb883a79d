"""ONNX files made by the onnx package, read by the ONNX reader: all it found, bit for bit."""

import json
import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from conftest import ROOT, find_program

FORMAT, UNSUPPORTED, LIMIT, IO = 4, 5, 7, 3  # rml_status
PLAIN = {
    element: helper.tensor_dtype_to_np_dtype(element)
    for element in (
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.INT8,
        TensorProto.INT16,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.UINT8,
        TensorProto.UINT16,
        TensorProto.UINT32,
        TensorProto.UINT64,
        TensorProto.BOOL,
    )
}
KINDS = {  # AttributeProto.AttributeType -> (kind, is it a list, field)
    AttributeProto.FLOAT: (0, 0, "f"),
    AttributeProto.FLOATS: (0, 1, "floats"),
    AttributeProto.INT: (1, 0, "i"),
    AttributeProto.INTS: (1, 1, "ints"),
    AttributeProto.STRING: (2, 0, "s"),
    AttributeProto.STRINGS: (2, 1, "strings"),
    AttributeProto.TENSOR: (3, 0, "t"),
    AttributeProto.TENSORS: (3, 1, "tensors"),
    AttributeProto.GRAPH: (4, 0, "g"),
    AttributeProto.GRAPHS: (4, 1, "graphs"),
    AttributeProto.TYPE_PROTO: (5, 0, "tp"),
    AttributeProto.TYPE_PROTOS: (5, 1, "type_protos"),
    AttributeProto.SPARSE_TENSOR: (6, 0, None),
    AttributeProto.SPARSE_TENSORS: (6, 1, None),
}
TYPE_KINDS = {
    "tensor_type": 0,
    "sparse_tensor_type": 1,
    "sequence_type": 2,
    "optional_type": 3,
    "map_type": 4,
    "opaque_type": 5,
}


def dump(*paths, cwd=None):
    program = find_program().resolve().parent / "tests" / "onnx_dump"
    if not os.access(program, os.X_OK):
        pytest.fail(f"there is no program at {program}: build the tests", pytrace=False)
    out = subprocess.run(
        [program, *paths],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=300,
        cwd=cwd,
    )
    return [json.loads(line) for line in out.stdout.decode().splitlines()]


# ---- what the onnx package says, in the form of onnx_dump ----------------------------------------


def text(value):
    return (value if isinstance(value, bytes) else value.encode()).hex()


def tensor(proto, folder=""):
    out = {"element": proto.data_type, "shape": list(proto.dims)}
    if proto.data_type in PLAIN:
        out["data"] = numpy_helper.to_array(proto, folder).tobytes().hex()
    return out


def type_of(proto):
    kind = proto.WhichOneof("value")
    if kind is None:
        return {"kind": 0, "element": 0}
    inside = getattr(proto, kind)
    plain = kind in ("tensor_type", "sparse_tensor_type")
    out = {"kind": TYPE_KINDS[kind], "element": inside.elem_type if plain else 0}
    if plain and inside.HasField("shape"):
        dims = inside.shape.dim
        out["shape"] = [d.dim_value if d.HasField("dim_value") else -1 for d in dims]
        out["names"] = [text(d.dim_param) if d.dim_param else None for d in dims]
    return out


def attribute(proto, opsets, functions):
    kind, is_list, field = KINDS[proto.type]
    out = {"kind": kind, "list": is_list, "reference": None, "values": []}
    if proto.ref_attr_name:
        return {**out, "reference": text(proto.ref_attr_name)}
    if kind == 6:
        return {**out, "values": []}
    convert = [
        lambda v: np.float32(v).tobytes().hex(),
        int,
        text,
        tensor,
        lambda v: graph(v, opsets, functions),
        type_of,
    ][kind]
    values = getattr(proto, field)
    out["values"] = [convert(v) for v in (values if is_list else [values])]
    return out


def domain_of(name):
    return "" if name == "ai.onnx" else name


def node(proto, opsets, functions):
    domain = domain_of(proto.domain)
    return {
        "name": text(proto.name),
        "op": text(proto.op_type),
        "domain": text(domain),
        "opset": opsets.get(domain, 0),
        "function": int((domain, proto.op_type) in functions),
        "input": [text(x) for x in proto.input],
        "output": [text(x) for x in proto.output],
        "attributes": {text(a.name): attribute(a, opsets, functions) for a in proto.attribute},
    }


def graph(proto, opsets, functions, folder=""):
    defaults = {t.name for t in proto.initializer}
    nodes = [node(n, opsets, functions) for n in proto.node]
    computed = {x for n in proto.node for x in n.output}
    known = defaults | computed | {x.name for x in proto.input}
    types = {}
    for info in [*proto.input, *proto.output, *proto.value_info]:
        if info.name in known and info.HasField("type"):
            types.setdefault(text(info.name), type_of(info.type))
    inner = [v for n in nodes for a in n["attributes"].values() for v in a["values"]]
    initializers = [[text(t.name), tensor(t, folder)] for t in proto.initializer]
    for part in inner:  # the reader's list of a graph goes through the graphs inside it
        if isinstance(part, dict) and "nodes" in part:
            types.update(part["types"])
            initializers += part["initializers"]
    return {
        "name": text(proto.name),
        "input": [text(x.name) for x in proto.input if x.name not in defaults],
        "output": [text(x.name) for x in proto.output],
        "types": types,
        "initializers": initializers,
        "nodes": nodes,
    }


def opset_list(protos):
    return [[text(domain_of(o.domain)), o.version] for o in protos]


def function(proto, functions):
    opsets = {domain_of(o.domain): o.version for o in proto.opset_import}
    attributes = {text(a.name): attribute(a, opsets, functions) for a in proto.attribute_proto}
    return {
        "name": text(proto.name),
        "domain": text(domain_of(proto.domain)),
        "opsets": opset_list(proto.opset_import),
        "attributes": [text(a) for a in proto.attribute],
        "defaults": attributes,
        "body": {
            "name": "",
            "input": [text(x) for x in proto.input],
            "output": [text(x) for x in proto.output],
            "types": {text(v.name): type_of(v.type) for v in proto.value_info},
            "initializers": [],
            "nodes": [node(n, opsets, functions) for n in proto.node],
        },
    }


def expected(model, folder=""):
    functions = {(domain_of(f.domain), f.name) for f in model.functions}
    opsets = {domain_of(o.domain): o.version for o in model.opset_import}
    return {
        "ir_version": model.ir_version,
        "model_version": model.model_version,
        "producer": text(model.producer_name),
        "opsets": opset_list(model.opset_import),
        "metadata": [[text(p.key), text(p.value)] for p in model.metadata_props],
        "functions": [function(f, functions) for f in model.functions],
        "graph": graph(model.graph, opsets, functions, folder),
    }


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def check(model, path):
    got = dump(save(model, path))[0]
    assert got == expected(model), got.get("error") and bytes.fromhex(got["error"]).decode()


def refuse(path, status, *parts):
    got = dump(path)[0]
    assert "error" in got, "it was read"
    message = bytes.fromhex(got["error"]).decode()
    assert got["status"] == status, message
    assert message.startswith(str(path)) and "\n" not in message, message
    for part in parts:
        assert part in message


# ---- models --------------------------------------------------------------------------------------


def one_node(initializers=(), inputs=("x",), op="Add", **settings):
    """y = op(x, the initializers)."""
    names = [*inputs, *(t.name for t in initializers)]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, "n"]) for n in inputs]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    nodes = [helper.make_node(op, names, ["y"], name="only", **settings)]
    return helper.make_model(
        helper.make_graph(nodes, "g", infos, [out], list(initializers)),
        opset_imports=[helper.make_opsetid("", 18)],
    )


def values(dtype, *shape):
    rng = np.random.default_rng(sum(shape))
    if dtype == np.bool_:
        return rng.random(shape) > 0.5
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        out = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        out.flat[:2] = [info.min, info.max][: out.size]
        return out
    out = rng.standard_normal(shape).astype(dtype)
    out.flat[:3] = np.array([np.inf, np.nan, -0.0]).astype(dtype)[: out.size]
    return out


def typed(name, element, array):
    """In the field of its type instead of raw bytes."""
    proto = TensorProto(name=name, data_type=element, dims=array.shape)
    flat = array.reshape(-1)
    if element in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
        proto.int32_data.extend(flat.view(np.uint16).tolist())
    elif element == TensorProto.FLOAT:
        proto.float_data.extend(flat.tolist())
    elif element == TensorProto.DOUBLE:
        proto.double_data.extend(flat.tolist())
    elif element == TensorProto.INT64:
        proto.int64_data.extend(flat.tolist())
    elif element in (TensorProto.UINT32, TensorProto.UINT64):
        proto.uint64_data.extend(flat.tolist())
    else:
        proto.int32_data.extend([int(v) for v in flat])
    return proto


@pytest.mark.parametrize("element", PLAIN, ids=TensorProto.DataType.Name)
def test_every_type(tmp_path, element):
    dtype = PLAIN[element]
    shapes = [(2, 3), (), (7,), (0, 4), (1, 2, 1, 2, 1, 2, 1, 2)]
    arrays = [values(dtype, *shape) for shape in shapes]
    for field in ("raw", "typed"):
        tensors = [
            numpy_helper.from_array(a, f"t{i}") if field == "raw" else typed(f"t{i}", element, a)
            for i, a in enumerate(arrays)
        ]
        model = one_node(tensors, op="Concat", value=tensors[0])
        check(model, tmp_path / f"{field}.onnx")


def test_types_that_are_not_read(tmp_path):
    """They may be there; using them is the importer's matter."""
    tensors = [
        helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"\xff"]),
        helper.make_tensor("complex", TensorProto.COMPLEX64, [1], [1 + 2j]),
        helper.make_tensor("float8", TensorProto.FLOAT8E4M3FN, [2], [1.0, 2.0]),
        helper.make_tensor("int4", TensorProto.INT4, [3], [1, 2, 3]),
    ]
    check(one_node(tensors), tmp_path / "m.onnx")


def test_attributes(tmp_path):
    inner = one_node().graph
    inner.input[0].name = "z"
    inner.node[0].input[0] = "z"
    model = one_node(
        f=1.5,
        i=-(2**63),
        s="NOTSET",
        t=numpy_helper.from_array(np.arange(3)),
        floats=[0.1, -2.0, float("inf")],
        ints=[1, -1, 2**62],
        strings=[b"", b"\x00\xff", "ä"],
        tensors=[numpy_helper.from_array(np.float32(3)), numpy_helper.from_array(np.ones((2, 2)))],
        g=inner,
        graphs=[inner, inner],
        tp=helper.make_tensor_type_proto(TensorProto.INT8, [None, "a", 4]),
        type_protos=[helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [1]))],
    )
    empty = model.graph.node[0].attribute.add(name="nothing", type=AttributeProto.INTS)
    assert not empty.ints
    check(model, tmp_path / "m.onnx")


def test_zeros_that_writers_leave_out(tmp_path):
    """Writers of the third version of protobuf leave out what is 0 or empty."""
    model = one_node()
    for name, kind in ("f", "FLOAT"), ("i", "INT"), ("s", "STRING"):
        model.graph.node[0].attribute.add(name=name, type=kind)
    check(model, tmp_path / "m.onnx")


def test_attributes_without_a_type(tmp_path):
    """As before IR version 2."""
    model = one_node(axes=[1, 2], alpha=0.5, mode="edge")
    want = expected(model)
    for a in model.graph.node[0].attribute:
        a.ClearField("type")
    assert dump(save(model, tmp_path / "m.onnx"))[0] == want


def test_types_of_values(tmp_path):
    model = one_node()
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [3]))
    model.graph.input.extend(
        [
            helper.make_value_info("sequence", sequence),
            helper.make_value_info("optional", helper.make_optional_type_proto(sequence)),
            helper.make_value_info("map", helper.make_map_type_proto(7, sequence)),
            helper.make_value_info("sparse", helper.make_sparse_tensor_type_proto(1, [2])),
            helper.make_value_info("scalar", helper.make_tensor_type_proto(7, [])),
            helper.make_value_info("any", helper.make_tensor_type_proto(7, None)),
            helper.make_value_info("nothing", onnx.TypeProto()),
            onnx.ValueInfoProto(name="untyped"),
            helper.make_tensor_value_info("dims", 1, [None, "batch", 0, 7]),
        ]
    )
    model.graph.input[-1].type.tensor_type.shape.dim[0].dim_value = -1
    model.graph.value_info.append(helper.make_tensor_value_info("of nobody", 1, [1]))
    model.metadata_props.add(key="author", value="ä\n\x01")
    check(model, tmp_path / "m.onnx")


def test_inputs_with_defaults(tmp_path):
    weight = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    model = one_node([weight])
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, "n"]))
    path = tmp_path / "m.onnx"
    check(model, path)
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 3
    refuse(save(model, path), FORMAT, 'input "w" is FLOAT (3,?), and its initializer FLOAT (2,3)')
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 2
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    refuse(save(model, path), FORMAT, 'input "w" is INT64 (2,?), and its initializer FLOAT (2,3)')


# ---- subgraphs and functions ---------------------------------------------------------------------


def branch(name, *nodes, outputs=("out",), inputs=()):
    ports = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
        for names in (inputs, outputs)
    ]
    return helper.make_graph(list(nodes), name, *ports)


def nested():
    deep = branch("deep", helper.make_node("Add", ["x", "mid"], ["deep_out"]), outputs=["deep_out"])
    middle = branch(
        "middle",
        helper.make_node("Neg", ["before"], ["mid"]),
        helper.make_node("If", ["c"], ["out"], then_branch=deep, else_branch=deep),
    )
    other = branch("other", helper.make_node("Identity", ["w"], ["x"]), outputs=["x"])  # hides x
    model = one_node([numpy_helper.from_array(np.ones(1, np.float32), "w")], inputs=("x", "c"))
    del model.graph.node[:]
    model.graph.node.extend(
        [
            helper.make_node("Abs", ["x"], ["before"]),
            helper.make_node("If", ["c"], ["y"], name="if", then_branch=middle, else_branch=other),
            helper.make_node("Abs", ["y"], ["after"]),
        ]
    )
    return model


def test_subgraphs(tmp_path):
    check(nested(), tmp_path / "m.onnx")


def test_subgraphs_read_what_is_there(tmp_path):
    model, path = nested(), tmp_path / "m.onnx"
    branches = model.graph.node[1].attribute
    inner = branches[0].g if branches[0].g.name == "middle" else branches[1].g
    inner.node[0].input[0] = "after"
    refuse(
        save(model, path),
        FORMAT,
        'node 2 "" (Abs): input "y" is computed by node 1 "if" (If), which needs this node\'s '
        "output: the graph has a cycle",
    )
    inner.node[0].input[0] = "x_of_other"
    refuse(save(model, path), FORMAT, 'input "x_of_other" is given nowhere')
    inner.node[0].input[0] = "y"
    part = 'node 1 "if" (If): input "y" is an output of the node itself: the graph has a cycle'
    refuse(save(model, path), FORMAT, part)


def with_functions():
    inner = helper.make_function(
        "my", "Scale", ["a"], ["b"],
        [
            helper.make_node("Constant", [], ["k"]),
            helper.make_node("Mul", ["a", "k"], ["b"]),
        ],
        [helper.make_opsetid("", 15)],
        ["factor"],
        [helper.make_attribute("offset", 1.0)],
    )
    inner.node[0].attribute.add(
        name="value_float", type=AttributeProto.FLOAT, ref_attr_name="factor"
    )
    inner.value_info.append(helper.make_tensor_value_info("k", 1, []))
    outer = helper.make_function(
        "my", "Twice", ["a"], ["b"],
        [
            helper.make_node("Scale", ["a"], ["h"], domain="my", factor=2.0),
            helper.make_node("Scale", ["h"], ["b"], domain="my", factor=3.0),
        ],
        [helper.make_opsetid("", 18), helper.make_opsetid("my", 1)],
    )
    model = one_node(op="Twice", domain="my")
    model.opset_import.append(helper.make_opsetid("my", 1))
    model.functions.extend([outer, inner])
    return model


def test_functions(tmp_path):
    check(with_functions(), tmp_path / "m.onnx")


def test_functions_that_call_themselves(tmp_path):
    model, path = with_functions(), tmp_path / "m.onnx"
    model.functions[1].node[1].op_type = "Twice"
    model.functions[1].node[1].domain = "my"
    del model.functions[1].node[1].input[1]
    refuse(save(model, path), FORMAT, 'function "', '" calls itself, directly or through others')
    model.functions.append(model.functions[0])
    refuse(save(model, path), FORMAT, 'two functions are named "Twice"')


def test_functions_that_grow_without_end(tmp_path):
    """30 functions that call the next one twice: a billion nodes."""
    model = one_node(op="f0", domain="my")
    for i in range(30):
        call = {"op_type": f"f{i + 1}", "domain": "my"} if i < 29 else {"op_type": "Neg"}
        nodes = [
            helper.make_node(inputs=[a], outputs=[b], **call) for a, b in [("a", "h"), ("h", "b")]
        ]
        model.functions.append(helper.make_function("my", f"f{i}", ["a"], ["b"], nodes, []))
    refuse(save(model, tmp_path / "m.onnx"), LIMIT, "nodes once the calls of functions are written")


# ---- external data -------------------------------------------------------------------------------


def external(location, offset=None, length=None, shape=(2, 3)):
    proto = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape)
    proto.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": offset, "length": length}
    for key, value in entries.items():
        if value is not None:
            proto.external_data.add(key=key, value=str(value))
    return one_node([proto])


def test_external_data(tmp_path):
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    many = [numpy_helper.from_array(weight + i, f"w{i}") for i in range(40)]
    path = tmp_path / "model.onnx"
    for settings in {}, {"all_tensors_to_one_file": False}, {"convert_attribute": True}:
        model = one_node(many, value=numpy_helper.from_array(weight, "attribute"))
        want = expected(model)
        onnx.save(model, path, save_as_external_data=True, size_threshold=0, **settings)
        assert dump(path)[0] == want
        for file in tmp_path.iterdir():
            file.unlink()

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"pad " + weight.tobytes())
    want = expected(one_node([numpy_helper.from_array(weight, "w")]))
    for length in 24, None:
        assert dump(save(external("data/w.bin", 4, length), path))[0] == want
    (tmp_path / "link.bin").symlink_to(tmp_path / "data" / "w.bin")  # stays inside
    assert dump(save(external("link.bin", 4), path))[0] == want
    assert dump(path.name, cwd=tmp_path)[0] == want  # a model named without a folder


def test_external_data_stay_in_the_folder(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "m.onnx"
    outside = tmp_path / "outside.bin"
    outside.write_bytes(bytes(24))
    (folder / "inside").mkdir()
    (folder / "link.bin").symlink_to(outside)
    (folder / "links").symlink_to(tmp_path)
    beside = tmp_path / "model2"  # its name begins like the folder's
    beside.mkdir()
    (beside / "w.bin").write_bytes(bytes(24))
    for location in (
        str(outside),
        "../outside.bin",
        "inside/../../outside.bin",
        "./../outside.bin",
        "../model2/w.bin",
        "inside\\..\\..\\outside.bin",
        "C:outside.bin",
        "inside//x",
        "..",
        ".",
        "/",
        "x/",
        "a\x1b[2J",
    ):
        refuse(save(external(location), path), FORMAT, "is not a path inside the model's folder")
    for location in "link.bin", "links/outside.bin", "links/model2/w.bin":
        message = f'"{location}" is a link that leads out of the model\'s folder'
        refuse(save(external(location), path), FORMAT, 'external data of "w"', message)
    refuse(save(external("missing.bin"), path), IO, 'cannot open "missing.bin" beside the model')
    refuse(save(external("inside"), path), IO, "is a folder, not a file")
    refuse(save(external(""), path), FORMAT, 'external data of "w" without a location')


def test_external_data_that_do_not_fit(tmp_path):
    path = tmp_path / "m.onnx"
    (tmp_path / "w.bin").write_bytes(bytes(24))
    (tmp_path / "empty.bin").write_bytes(b"")
    cases = [
        (("w.bin", 1), '24 bytes at byte 1 of "w.bin", which has 23 bytes from there on'),
        (("w.bin", 25), "which has 0 bytes from there on"),
        (("w.bin", 2**59), "24 bytes at byte 576460752303423488"),
        (("empty.bin",), "which has 0 bytes"),
        (("w.bin", 0, 20), "shape (2,3) has 20 bytes of external data and needs 24"),
        (("w.bin", -1), 'have the offset "-1", which is no whole number'),
        (("w.bin", 2**64), "which is no whole number"),
        (("w.bin", "0x1"), 'have the offset "0x1"'),
        (("w.bin", 0, ""), 'have the length ""'),
        (("w.bin", None, None, (2**40,)), "are 4398046511104 bytes at byte 0"),
    ]
    for arguments, part in cases:
        refuse(save(external(*arguments), path), FORMAT, part)
    assert "error" not in dump(save(external("empty.bin", shape=(0, 3)), path))[0]
    twice = external("w.bin")
    twice.graph.initializer[0].raw_data = bytes(24)
    refuse(save(twice, path), FORMAT, '"w" has its elements in more than one place')


# ---- what does not hold together -----------------------------------------------------------------


def chain(*nodes):
    """Nodes as "op in... -> out"."""
    made = []
    for i, line in enumerate(nodes):
        left, right = line.split(" -> ")
        op, *inputs = left.split()
        made.append(helper.make_node(op, inputs, right.split(), name=f"n{i}"))
    model = one_node()
    del model.graph.node[:]
    model.graph.node.extend(made)
    return model


def test_names(tmp_path):
    path = tmp_path / "m.onnx"
    cases = [
        (chain("Neg x -> a", "Neg nope -> y"), 'node 1 "n1" (Neg): input "nope" is given nowhere'),
        (chain("Neg x -> a"), 'output "y" is given nowhere'),
        (chain("Neg x -> y", "Neg x -> y"), 'two values of one graph are named "y"'),
        (chain("Neg x -> y", "Neg y -> x"), 'two values of one graph are named "x"'),
        (chain("Split x -> y y"), 'two values of one graph are named "y"'),
        (
            chain("Neg y -> y"),
            'node 0 "n0" (Neg): input "y" is an output of the node itself: the graph has a cycle',
        ),
        (
            chain("Add x c -> a", "Neg a -> b", "Neg b -> c", "Neg c -> y"),
            'node 1 "n1" (Neg): input "a" is computed by node 0 "n0" (Add), which needs this '
            "node's output: the graph has a cycle",
        ),
    ]
    for model, part in cases:
        refuse(save(model, path), FORMAT, part)
    twice = one_node([numpy_helper.from_array(np.ones(1), "w")] * 2)
    refuse(save(twice, path), FORMAT, 'two values of one graph are named "w"')
    odd = one_node()
    odd.graph.node[0].attribute.extend([helper.make_attribute("a", 1)] * 2)
    part = 'node 0 "only" (Add): damaged file: two attributes are named "a"'
    refuse(save(odd, path), FORMAT, part)
    odd = one_node()
    odd.graph.node[0].name = "\x1b[2J"
    refuse(save(odd, path), FORMAT, 'a node\'s name "?[2J" at byte', "is not plain UTF-8 text")
    odd = one_node()
    odd.graph.node[0].op_type = ""
    refuse(save(odd, path), FORMAT, "node 0 at byte", "has no operator")
    odd = one_node()
    odd.graph.input.append(onnx.ValueInfoProto())
    refuse(save(odd, path), FORMAT, "the value described at byte", "has no name")
    odd = one_node([TensorProto(data_type=1)])
    odd.graph.initializer[0].float_data.append(1)
    odd.graph.node[0].input.pop()
    refuse(save(odd, path), FORMAT, "the initializer at byte", "has no name")
    odd = one_node()
    odd.graph.node[0].name = "n" * 4097
    refuse(save(odd, path), LIMIT, "a node's name at byte", "has 4097 bytes, the limit is 4096")


def test_optional_inputs_and_outputs(tmp_path):
    check(chain("Clip x  -> y"), tmp_path / "m.onnx")
    model = chain("Neg x -> y")
    model.graph.node[0].input.extend(["", "x"])
    model.graph.node[0].output[:] = ["", "y", ""]
    check(model, tmp_path / "m.onnx")


def test_shapes_that_cannot_be(tmp_path):
    path = tmp_path / "m.onnx"
    for dims in ([2**62, 2], [2**32, 2**31], [2**63 - 1], [0, 2**62, 4], [2**16] * 5):
        tensor_ = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)
        refuse(save(one_node([tensor_]), path), LIMIT, '"w" has shape (', "too large to address")
        model = one_node()
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, dims))
        refuse(save(model, path), LIMIT, '"x" has shape (', "too large to address")
    nine = helper.make_tensor("w", TensorProto.FLOAT, [1] * 9, [1.0])
    refuse(save(one_node([nine]), path), LIMIT, '"w" has more than 8 dimensions')
    model = one_node()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", 1, [None] * 9))
    refuse(save(model, path), LIMIT, '"x" has more than 8 dimensions')
    negative = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, -3])
    refuse(save(one_node([negative]), path), FORMAT, '"w" has a dimension of -3')
    huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**40], raw_data=bytes(8))
    refuse(
        save(one_node([huge]), path),
        FORMAT,
        '"w" of type FLOAT and shape (1099511627776) has 8 bytes and needs 4398046511104',
    )


def test_elements_that_do_not_fit(tmp_path):
    path = tmp_path / "m.onnx"

    def case(element, dims, status, part, **fields):
        proto = TensorProto(name="w", data_type=element, dims=dims, **fields)
        refuse(save(one_node([proto]), path), status, part)

    case(TensorProto.FLOAT, [2, 3], FORMAT, "has 0 elements and needs 6")
    case(TensorProto.FLOAT, [2, 3], FORMAT, "has 5 elements and needs 6", float_data=[1.0] * 5)
    case(TensorProto.INT64, [2], FORMAT, "has 3 elements and needs 2", int64_data=[1, 2, 3])
    case(TensorProto.FLOAT, [1], FORMAT, "of type FLOAT has elements in int64_data", int64_data=[1])
    case(TensorProto.INT8, [1], FORMAT, "holds the number 128, which is no i8", int32_data=[128])
    case(TensorProto.INT8, [1], FORMAT, "holds the number -129", int32_data=[-129])
    case(TensorProto.UINT8, [1], FORMAT, "holds the number -1, which is no u8", int32_data=[-1])
    case(TensorProto.FLOAT16, [1], FORMAT, "holds the number 65536", int32_data=[65536])
    case(TensorProto.BOOL, [1], FORMAT, "holds the number 2, which is no bool", int32_data=[2])
    case(TensorProto.UINT32, [1], FORMAT, "which is no u32", uint64_data=[2**32])
    case(99, [1], UNSUPPORTED, '"w" has elements of type 99, which is not known')
    case(0, [1], UNSUPPORTED, '"w" has elements of type 0, which is not known')
    proto = TensorProto(name="w", data_type=1, dims=[1], float_data=[1.0], raw_data=bytes(4))
    refuse(save(one_node([proto]), path), FORMAT, '"w" has its elements in more than one place')
    proto = TensorProto(name="w", data_type=1, dims=[1], float_data=[1.0])
    proto.segment.begin = 0
    refuse(save(one_node([proto]), path), UNSUPPORTED, '"w" is stored in segments')
    model = one_node()
    model.graph.sparse_initializer.add()
    refuse(save(model, path), UNSUPPORTED, "1 sparse initializers")


def test_deep_nesting(tmp_path):
    path = tmp_path / "m.onnx"

    def deep(levels):
        inner = branch("g", helper.make_node("Neg", ["x"], ["out"]))
        for _ in range(levels - 1):
            node_ = helper.make_node("If", ["x"], ["out"], then_branch=inner)
            inner = branch("g", node_)
        model = one_node()
        model.graph.node[0].attribute.append(helper.make_attribute("body", inner))
        return model

    check(deep(16), path)
    refuse(save(deep(17), path), LIMIT, "graphs are nested deeper than 16")


# ---- files that are something else ---------------------------------------------------------------


def test_other_files_are_named(tmp_path):
    path = tmp_path / "m.onnx"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 123456\n"
    good = one_node().SerializeToString()
    coreml = ROOT / "tests" / "fuzz" / "corpus" / "coreml" / "loop.mlmodel"
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pth")
    torch.save({"w": torch.ones(1)}, tmp_path / "l.pth", _use_new_zipfile_serialization=False)
    cases = [
        (b"", FORMAT, "empty file"),
        (b"<!DOCTYPE html><html>", FORMAT, "web page"),
        (pointer, FORMAT, "Git LFS pointer", "123456 bytes"),
        ((tmp_path / "w.pth").read_bytes(), FORMAT, "zip archive, as PyTorch writes it"),
        ((tmp_path / "l.pth").read_bytes(), FORMAT, "PyTorch checkpoint, not an ONNX model"),
        (b'{"a": 1}', FORMAT, "JSON, not an ONNX model"),
        (coreml.read_bytes(), FORMAT, "Core ML model, not an ONNX model"),
        (b"\x1f\x8b\x08" + bytes(20), UNSUPPORTED, "compressed with gzip"),
        (b"some text that is no model", FORMAT, "nor Core ML: its 26 bytes begin with 73 6f 6d 65"),
        (good[:-5], FORMAT, "cut short"),
        (b"\x08\x08\x12\x00\x42\x02\x10\x12", FORMAT, "an ONNX model with 0 graphs, not 1"),
        (good + good[good.index(b"\x3a") :], FORMAT, "an ONNX model with 2 graphs, not 1"),
    ]
    for contents, status, *parts in cases:
        path.write_bytes(contents)
        refuse(path, status, *parts)
    refuse(tmp_path, IO, "is a folder")
    refuse(tmp_path / "none.onnx", IO, "cannot open")


def test_any_order_of_fields(tmp_path):
    """Protobuf prescribes none."""
    model = one_node()
    model.producer_name, model.domain = "", "my"
    graph_ = model.graph.SerializeToString()
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    assert len(graph_) < 128
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x3a" + bytes([len(graph_)]) + graph_ + rest.SerializeToString())
    assert dump(path)[0] == expected(model)


# ---- everything the package has ------------------------------------------------------------------


def official_tests():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        folder = Path(onnx.__file__).parent
        for kind in "node", "simple", "pytorch-converted", "pytorch-operator", "real":
            for case in load_model_tests(kind=kind):
                if kind == "node":
                    yield case.name, case.model
                elif kind == "real":
                    yield case.name, onnx.load(folder.parent / case.url)
                else:
                    yield case.name, onnx.load(Path(case.model_dir) / "model.onnx")



def test_official_models(tmp_path):
    models = {}
    for name, model in official_tests():
        models[f"{len(models)}_{name}"] = model
    paths = [save(model, tmp_path / f"{name}.onnx") for name, model in models.items()]
    got = dump(*paths)
    assert len(got) == len(models) > 2000
    wrong = [name for (name, m), g in zip(models.items(), got) if g != expected(m)]
    assert not wrong, wrong


def test_real_models(shared_data):
    paths = sorted((shared_data / "onnx").glob("*.onnx"))
    assert paths
    for path, got in zip(paths, dump(*paths)):
        assert got == expected(onnx.load(path)), path.name
