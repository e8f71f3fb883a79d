"""The backend tests with inputs held by the file: what is folded and what is chosen at planning.

Of a test with inputs a, b, c, each of its data sets gives these models:

    constant    all of them held: no inputs are left
    folded      the same, each output behind a node that a run decides: the rest can be folded
    but a       all but a held; and so for b and c
"""

import copy
import dataclasses

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import onnx_backend as backend

DECIDES = "decided by a run"


def tensor_of(name, value):
    tensor = TensorProto()
    if isinstance(value, TensorProto):
        tensor.CopyFrom(value)
        tensor.name = name
        return tensor
    return numpy_helper.from_array(np.asarray(value), name)


def hold(model, values, free=()):
    """The model with the values of its inputs in the file, but for those named in `free`."""
    model = copy.deepcopy(model)
    graph = model.graph
    ports = {info.name: info for info in graph.input}
    del graph.input[:]
    for name, value in values.items():
        if name in free:
            graph.input.append(ports[name])
        else:
            graph.initializer.append(tensor_of(name, value))
    model.ir_version = max(model.ir_version, 4)  # before it the file's tensors are inputs, too
    return model


def held(case, data, free=()):
    """The test with all inputs in the file but those named in `free`."""
    inputs, outputs = data
    values = dict(zip(case.input_names, inputs))
    model = hold(case.model, values, free)
    left = [values[info.name] for info in model.graph.input]
    return dataclasses.replace(case, model=model, data_sets=[(left, outputs)])


def folded(case):
    """The test, all of whose inputs are in the file, with each output behind a node that is run."""
    model = copy.deepcopy(case.model)
    graph = model.graph
    for output in graph.output:
        inner = f"{output.name} inside"
        rename(graph, output.name, inner)
        graph.node.append(helper.make_node("Where", [DECIDES, inner, inner], [output.name]))
    graph.input.append(helper.make_tensor_value_info(DECIDES, TensorProto.BOOL, []))
    data = [([*inputs, np.array(True)], outputs) for inputs, outputs in case.data_sets]
    return dataclasses.replace(case, model=model, data_sets=data)


def rename(graph, before, after):
    """A value of the graph; bodies see values of the graph around them by name."""
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == before:
                    names[i] = after
        for attribute in node.attribute:
            rename(attribute.g, before, after)
            for inside in attribute.graphs:
                rename(inside, before, after)
    for tensor in graph.initializer:
        if tensor.name == before:
            tensor.name = after


def variants(case):
    """The models above, as tests with names of their own."""
    made = []
    for data in case.data_sets:
        constant = held(case, data)
        made += [("constant", constant), ("folded", folded(constant))]
        for name in case.input_names if len(data[0]) > 1 else ():
            made.append((f"but {name}", held(case, data, [name])))
    return [dataclasses.replace(test, name=f"{case.name} ({what})") for what, test in made]


def all_variants(cases):
    """Of those cases that are in scope."""
    return [test for case in cases if case.out_of_scope is None for test in variants(case)]
