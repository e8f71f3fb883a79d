// What an operator is told beside its inputs: one struct an operator.
#ifndef RML_OPS_ATTR_BASIC_H
#define RML_OPS_ATTR_BASIC_H

#include "kernels/kernels.h"
#include "tensor/tensor.h"

// An elementwise function and its parameters, see kernels/functions.inc. The identity is
// clamp(-inf, inf).
typedef struct rml_activation {
    rml_unary kind;
    float param[2];
} rml_activation;

typedef struct rml_matmul_attr {
    bool transpose_a, transpose_b; // of the last two dimensions
    float alpha, beta;             // factors of the product, and of what is added to it
    rml_activation act;
} rml_matmul_attr;

typedef struct rml_batch_norm_attr {
    float eps;
} rml_batch_norm_attr;

typedef struct rml_binary_attr {
    rml_binary kind;
    rml_activation act;
} rml_binary_attr;

typedef struct rml_group_norm_attr {
    int64_t groups; // of neighbouring channels; divides their number. 0: each is one
    float eps;      // added to the variance, inside the root
    rml_activation act;
} rml_group_norm_attr;

typedef struct rml_l2norm_attr {
    float eps; // added to the norm, outside the root
} rml_l2norm_attr;

typedef struct rml_concat_attr {
    int axis; // negative counts from the end; so it does for slice and split
} rml_concat_attr;

// Inputs behind the first, lists of starts, ends, axes and steps, take the place of these.
typedef struct rml_slice_attr {
    int axis;
    int64_t start, stop; // clamped to the size; negative counts from the end
    int64_t step;        // not 0; with a negative one `start` is the last element there is
} rml_slice_attr;

typedef struct rml_split_attr {
    int axis, count;
    const int64_t *sizes; // [count], of the parts; lives as long as the graph. NULL: a second input
                          // has them, or else all are equal but the last, which may be smaller
} rml_split_attr;

typedef struct rml_reshape_attr {
    rml_shape shape; // 0: as in the input at this place; one -1: what is left. A second input
                     // takes its place
    bool keep_zero;  // 0 is 0
} rml_reshape_attr;

typedef struct rml_transpose_attr {
    int rank;                // -1: all dimensions of whatever there is, in reverse
    int order[RML_MAX_RANK]; // output dimension i is input dimension order[i]; from the end below 0
} rml_transpose_attr;

// Which of the input's `rank` dimensions dimension `i` of the output is; -1 where there is none.
int rml_transpose_axis(const rml_transpose_attr *attr, int rank, int i);

typedef struct rml_expand_attr {
    rml_shape shape; // 0: as in the second input at this place; 1: as in the first. The elements
                     // of a third input take its place: both shapes are broadcast together
} rml_expand_attr;

typedef struct rml_shuffle_attr {
    int64_t block;     // side of the squares of pixels that become channels, or come from them
    bool pixels_first; // the channels of one pixel of a square follow one another
    bool exact;        // to channels: refuse an image that is not made of whole squares
} rml_shuffle_attr;

typedef struct rml_cast_attr {
    rml_dtype to;
    bool asked; // by the file: what it rounds is rounded
} rml_cast_attr;

// Along which axis a scan walks an input or stacks an output, and whether from the end.
typedef struct rml_scan_way {
    int axis; // negative counts from the end
    bool reverse;
} rml_scan_way;

// Graphs inside a node. They are closed: their last inputs are what they read from outside, in the
// order of the node's last inputs. Everything here lives as long as the graph that holds the node.
typedef struct rml_control_attr {
    const struct rml_graph *body[2]; // if: then and else; loop and scan: the first
    int out_count;
    const rml_dtype *out_types;  // [out_count]
    const rml_shape *out_shapes; // [out_count], what every run has in common; or NULL
    int states;                  // loop and scan: values that go from turn to turn
    int scanned;                 // scan: inputs that are cut into slices
    const rml_scan_way *scan; // scan: of each scanned input, then of each stacked output; or NULL
} rml_control_attr;

typedef struct rml_layout_transform_attr {
    rml_layout layout; // of the output
} rml_layout_transform_attr;

#endif
