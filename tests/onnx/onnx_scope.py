"""Which ONNX models are in scope: plain inference on float, integer and boolean tensors."""

import numpy as np
from onnx import AttributeProto, TensorProto, numpy_helper

SEQUENCE, OPTIONAL, MAP, SPARSE = "sequences", "optional types", "maps", "sparse tensors"
STRING, TRAINING, RANDOM = "strings", "training", "random numbers"
FLOAT8, BITS4, BITS2, COMPLEX = "float8", "4-bit types", "2-bit types", "complex numbers"
IMAGE = "ImageDecoder"
REASONS = (
    SEQUENCE, OPTIONAL, MAP, SPARSE, STRING, TRAINING, RANDOM, FLOAT8, BITS4, BITS2, COMPLEX, IMAGE,
)  # fmt: skip

ELEMENTS = {
    TensorProto.STRING: STRING,
    TensorProto.COMPLEX64: COMPLEX,
    TensorProto.COMPLEX128: COMPLEX,
    TensorProto.FLOAT8E4M3FN: FLOAT8,
    TensorProto.FLOAT8E4M3FNUZ: FLOAT8,
    TensorProto.FLOAT8E5M2: FLOAT8,
    TensorProto.FLOAT8E5M2FNUZ: FLOAT8,
    TensorProto.FLOAT8E8M0: FLOAT8,
    TensorProto.UINT4: BITS4,
    TensorProto.INT4: BITS4,
    TensorProto.FLOAT4E2M1: BITS4,
    TensorProto.UINT2: BITS2,
    TensorProto.INT2: BITS2,
}
TYPES = {
    "sequence_type": SEQUENCE,
    "optional_type": OPTIONAL,
    "map_type": MAP,
    "sparse_tensor_type": SPARSE,
}
OPERATORS = {
    "ImageDecoder": IMAGE,
    "Bernoulli": RANDOM,
    "Multinomial": RANDOM,
    "RandomNormal": RANDOM,
    "RandomNormalLike": RANDOM,
    "RandomUniform": RANDOM,
    "RandomUniformLike": RANDOM,
    "StringNormalizer": STRING,
    "SequenceEmpty": SEQUENCE,
    "SequenceConstruct": SEQUENCE,
    "SplitToSequence": SEQUENCE,
    "Optional": OPTIONAL,
    "OptionalHasElement": OPTIONAL,
    "OptionalGetElement": OPTIONAL,
}


def graphs(model):
    """The graph, the graphs inside it and the bodies of functions."""
    todo = [model.graph, *model.functions]
    while todo:
        graph = todo.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.GRAPH:
                    todo.append(attribute.g)
                todo.extend(attribute.graphs)


def operators(model):
    return {node.op_type for graph in graphs(model) for node in graph.node}


def type_reason(type_proto):
    kind = type_proto.WhichOneof("value")
    if kind == "tensor_type":
        return ELEMENTS.get(type_proto.tensor_type.elem_type)
    return TYPES.get(kind)


def attribute_reasons(attribute):
    if attribute.type == AttributeProto.TENSOR:
        yield ELEMENTS.get(attribute.t.data_type)
    if attribute.type in (AttributeProto.SPARSE_TENSOR, AttributeProto.SPARSE_TENSORS):
        yield SPARSE
    if attribute.name in ("to", "dtype", "output_dtype", "saturate_to"):
        yield ELEMENTS.get(attribute.i)
    if attribute.name in ("value_string", "value_strings", "keys_strings", "values_strings"):
        yield STRING


def trains(node, known):
    """Whether an operator that also serves training is asked for it."""
    if node.domain == "ai.onnx.preview.training":
        return True
    if node.op_type == "BatchNormalization":
        return any(a.name == "training_mode" and a.i for a in node.attribute)
    if node.op_type == "Dropout" and len(node.input) > 2:
        mode = known.get(node.input[2])
        return mode is not None and bool(np.all(mode))
    return False


def known_values(graph, inputs):
    names = [i.name for i in getattr(graph, "input", []) if not isinstance(i, str)]
    known = {n: v for n, v in zip(names, inputs) if isinstance(v, (np.ndarray, np.generic))}
    known.update(
        (node.output[0], numpy_helper.to_array(a.t))
        for node in graph.node
        if node.op_type == "Constant"
        for a in node.attribute
        if a.type == AttributeProto.TENSOR and a.t.data_type == TensorProto.BOOL
    )
    return known


def all_reasons(model, inputs):
    for graph in graphs(model):
        known = known_values(graph, inputs if graph is model.graph else [])
        if hasattr(graph, "initializer"):
            for info in [*graph.input, *graph.output, *graph.value_info]:
                yield type_reason(info.type)
            for tensor in graph.initializer:
                yield ELEMENTS.get(tensor.data_type)
            if graph.sparse_initializer:
                yield SPARSE
        for node in graph.node:
            yield OPERATORS.get(node.op_type)
            if trains(node, known):
                yield TRAINING
            for attribute in node.attribute:
                yield from attribute_reasons(attribute)


def reason(model, inputs):
    """Why a model is out of scope, the first of REASONS that holds; None: it is in scope."""
    found = set(all_reasons(model, inputs))
    return next((r for r in REASONS if r in found), None)
