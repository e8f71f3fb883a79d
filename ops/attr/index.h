// What operators are told that cut, pick, scatter and make elements.
#ifndef RML_OPS_ATTR_INDEX_H
#define RML_OPS_ATTR_INDEX_H

#include "tensor/tensor.h"

// Gather, gather_elements: the axis that indices are along. Flatten: the first axis of the second
// dimension. Negative axes count from the end.
typedef struct rml_axis_attr {
    int64_t axis;
    bool from_front; // gather: no index counts from the end, one below 0 is refused
} rml_axis_attr;

typedef struct rml_gather_nd_attr {
    int64_t batch; // leading dimensions that data and indices share
} rml_gather_nd_attr;

typedef enum rml_pad_mode {
    RML_PAD_CONSTANT,
    RML_PAD_REFLECT, // mirrored on the first and last element, which are not repeated
    RML_PAD_EDGE,
    RML_PAD_WRAP
} rml_pad_mode;

typedef struct rml_pad_attr {
    rml_pad_mode mode;
} rml_pad_attr;

typedef enum rml_scatter_kind {
    RML_SCATTER_SET, // of several updates of one element the last one stays
    RML_SCATTER_ADD,
    RML_SCATTER_MUL,
    RML_SCATTER_MIN,
    RML_SCATTER_MAX,
    RML_SCATTER_DIV // whole numbers towards 0
} rml_scatter_kind;

typedef struct rml_scatter_attr {
    rml_scatter_kind kind;
    int64_t axis;    // scatter_elements only
    bool from_front; // scatter_nd: as gather's
} rml_scatter_attr;

typedef struct rml_tensor_scatter_attr {
    int64_t axis;  // of the positions in a sequence; not the first
    bool circular; // what goes beyond the end begins at the front
} rml_tensor_scatter_attr;

typedef struct rml_compress_attr {
    bool flat; // of all elements in C order; no axis
    int64_t axis;
} rml_compress_attr;

typedef struct rml_trilu_attr {
    bool upper;
} rml_trilu_attr;

typedef struct rml_reverse_attr {
    int64_t batch_axis, time_axis; // 0 and 1, or 1 and 0
} rml_reverse_attr;

typedef struct rml_eye_attr {
    rml_dtype to;
    int64_t diagonal; // ones at [i, i + diagonal]
} rml_eye_attr;

typedef struct rml_nms_attr {
    bool centered; // boxes are centre x, centre y, width, height; else y, x, y, x of two corners
} rml_nms_attr;

#endif
