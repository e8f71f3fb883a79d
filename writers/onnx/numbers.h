// Numbers of fields and of enums in ONNX files, as onnx.proto names them.
#ifndef RML_WRITERS_ONNX_NUMBERS_H
#define RML_WRITERS_ONNX_NUMBERS_H

enum {
    MODEL_IR_VERSION = 1,
    MODEL_PRODUCER_NAME = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_DOC_STRING = 6,
    MODEL_GRAPH = 7,
    MODEL_OPSET_IMPORT = 8,
    MODEL_METADATA_PROPS = 14,
};

enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };

enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

enum {
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
};

enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
};

enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_S = 4,
    ATTRIBUTE_G = 6,
    ATTRIBUTE_FLOATS = 7,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_STRINGS = 9,
    ATTRIBUTE_TYPE = 20,
};

enum {
    TYPE_FLOAT = 1,
    TYPE_INT = 2,
    TYPE_STRING = 3,
    TYPE_GRAPH = 5,
    TYPE_FLOATS = 6,
    TYPE_INTS = 7,
    TYPE_STRINGS = 8,
};

enum {
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_EXTERNAL_DATA = 13,
    TENSOR_DATA_LOCATION = 14,
};

enum { LOCATION_EXTERNAL = 1 };

enum {
    INFO_NAME = 1,
    INFO_TYPE = 2,
    VALUE_TENSOR_TYPE = 1,
    TENSOR_ELEM_TYPE = 1,
    TENSOR_SHAPE = 2
};

enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAM = 2 };

#endif
