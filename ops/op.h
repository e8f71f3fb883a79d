// Operators: attributes, shape inference, choice of algorithm, splitting over threads.
//
// An operator knows nothing of graphs: it gets views and writes views.
#ifndef RML_OPS_OP_H
#define RML_OPS_OP_H

#include "kernels/kernels.h"
#include "tensor/stored.h"
#include "tensor/tensor.h"
#include "tensor/threads.h"

typedef enum rml_op_id {
#define OP(upper, lower) RML_OP_##upper,
#include "ops/ops.inc"
#undef OP
    RML_OP_COUNT
} rml_op_id;

#define RML_MAX_OUTPUTS 64 // of one node

// ---- attributes --------------------------------------------------------------------------------

// An elementwise function and its parameters, see rml_unary. The identity is clamp(-inf, inf).
typedef struct rml_activation {
    rml_unary kind;
    float param[2];
} rml_activation;

// Convolution and its transpose. kernel/stride/dilation/out_pad are {height, width}; pad is {top,
// left, bottom, right}. out_pad is for the transpose only.
typedef struct rml_conv_attr {
    int64_t kernel[2], stride[2], pad[4], dilation[2], out_pad[2], groups;
    rml_activation act; // after bias and residual
} rml_conv_attr;

typedef struct rml_linear_attr {
    rml_activation act;
} rml_linear_attr;

typedef struct rml_matmul_attr {
    bool transpose_a, transpose_b; // of the last two dimensions
} rml_matmul_attr;

typedef struct rml_batch_norm_attr {
    float eps;
} rml_batch_norm_attr;

typedef struct rml_binary_attr {
    rml_binary kind;
    rml_activation act;
} rml_binary_attr;

typedef enum rml_pool_kind { RML_POOL_MAX, RML_POOL_AVERAGE } rml_pool_kind;

typedef struct rml_pool_attr {
    rml_pool_kind kind;
    bool global; // one window over the whole image; the sizes below are ignored
    int64_t kernel[2], stride[2], pad[4];
    bool ceil_mode;
    bool count_pad; // average: padding counts as elements (torch's count_include_pad)
} rml_pool_attr;

typedef struct rml_l2norm_attr {
    float eps; // added to the norm, outside the root
} rml_l2norm_attr;

typedef struct rml_lstm_attr {
    int time_axis; // 0 or 1; the other one is the batch
    bool reverse;  // from the last step to the first
} rml_lstm_attr;

typedef struct rml_softmax_attr {
    int axis;
} rml_softmax_attr;

typedef enum rml_reduce_kind { RML_REDUCE_SUM, RML_REDUCE_MEAN, RML_REDUCE_MAX } rml_reduce_kind;

typedef struct rml_reduce_attr {
    rml_reduce_kind kind;
    int axis;
    bool keep; // the dimension stays, with size 1
} rml_reduce_attr;

typedef enum rml_resize_kind { RML_RESIZE_NEAREST, RML_RESIZE_BILINEAR } rml_resize_kind;

typedef struct rml_resize_attr {
    rml_resize_kind kind;
    bool align_corners; // bilinear only
    int64_t size[2];    // output height and width, or 0: use `scale`
    double scale[2];
} rml_resize_attr;

typedef struct rml_concat_attr {
    int axis;
} rml_concat_attr;

typedef struct rml_slice_attr {
    int axis;
    int64_t start, stop,
        step; // stop is clamped to the size; negative counts from the end; step > 0
} rml_slice_attr;

typedef struct rml_split_attr {
    int axis, count;
    const int64_t *sizes; // [count], of the parts; lives as long as the graph
} rml_split_attr;

typedef struct rml_reshape_attr {
    rml_shape shape; // 0: as in the input at this place; one -1: what is left. A second input of
                     // i64 takes its place
    bool keep_zero;  // 0 is 0
} rml_reshape_attr;

typedef struct rml_transpose_attr {
    int rank;
    int order[RML_MAX_RANK]; // output dimension i is input dimension order[i]
} rml_transpose_attr;

typedef struct rml_expand_attr {
    rml_shape shape; // 0: as in the second input at this place; 1: as in the first
} rml_expand_attr;

typedef struct rml_shuffle_attr {
    int64_t block; // side of the squares of pixels that become channels, or come from them
} rml_shuffle_attr;

// Elementwise functions of one operand, on any type; see ops/map.inc.
typedef enum rml_map {
#define MAP(upper, lower) RML_MAP_##upper,
#include "ops/map.inc"
#undef MAP
    RML_MAP_COUNT,
    RML_MAP_FLOATS = RML_MAP_SQRT // from here on floats only
} rml_map;

typedef struct rml_map_attr {
    rml_map kind;
    double param[2];
} rml_map_attr;

// Elementwise functions of two operands, on any type.
typedef enum rml_zip {
#define ZIP(upper, lower) RML_ZIP_##upper,
#include "ops/map.inc"
#undef ZIP
    RML_ZIP_COUNT,
    RML_ZIP_BITS = RML_ZIP_BIT_AND // from here on integers only
} rml_zip;

typedef struct rml_zip_attr {
    rml_zip kind;
} rml_zip_attr;

typedef struct rml_cast_attr {
    rml_dtype to;
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
    const rml_dtype *out_types; // [out_count]
    int states;                 // loop and scan: values that go from turn to turn
    int scanned;                // scan: inputs that are cut into slices
    const rml_scan_way *scan;   // scan: of each scanned input, then of each stacked output; or NULL
} rml_control_attr;

typedef struct rml_reorder_attr {
    rml_layout layout; // of the output
} rml_reorder_attr;

typedef union rml_op_attr {
    rml_conv_attr conv;
    rml_linear_attr linear;
    rml_matmul_attr matmul;
    rml_batch_norm_attr batch_norm;
    rml_activation unary;
    rml_binary_attr binary;
    rml_pool_attr pool;
    rml_l2norm_attr l2norm;
    rml_lstm_attr lstm;
    rml_softmax_attr softmax;
    rml_reduce_attr reduce;
    rml_resize_attr resize;
    rml_concat_attr concat;
    rml_slice_attr slice;
    rml_split_attr split;
    rml_reshape_attr reshape;
    rml_transpose_attr transpose;
    rml_expand_attr expand;
    rml_shuffle_attr shuffle;
    rml_map_attr map;
    rml_zip_attr zip;
    rml_cast_attr cast;
    rml_control_attr control;
    rml_reorder_attr reorder;
} rml_op_attr;

rml_activation rml_activation_none(void);
rml_activation rml_activation_relu(void);
bool rml_activation_is_none(const rml_activation *act);

// ---- constants ---------------------------------------------------------------------------------

// Trained numbers as an operator packs them: stored data times an optional factor for each index of
// one dimension (a folded batch norm), multiplied in double and rounded once.
typedef struct rml_constant {
    rml_stored stored;
    const double *scale; // [shape.dim[scale_axis]], or NULL
    int scale_axis;
} rml_constant;

// As rml_stored_read, with the factors applied.
void rml_constant_read(const rml_constant *constant, int axis, int64_t first, int64_t count,
                       float *dst);

// All elements in C order: as f32, or in the type they are stored in, without factors.
void rml_constant_copy(const rml_constant *constant, rml_dtype dtype, void *dst);

// ---- running -----------------------------------------------------------------------------------

// What an algorithm sees. While preparing, views have no data and the last four fields are not set.
typedef struct rml_op_args {
    const rml_op_attr *attr;
    const rml_tensor *in; // rank -1: this optional input is absent
    int in_count;
    const rml_tensor *out;
    const rml_kernels *kernels;
    int threads;
    rml_pool *pool;
    const float *packed; // what `pack` wrote, or NULL
    char *scratch;       // scratch_bytes, 64-byte aligned
} rml_op_args;

// One way to compute an operator. An operator lists its ways in order of preference; the last one
// accepts everything.
typedef struct rml_algorithm {
    const char *name;
    bool (*accepts)(const rml_op_args *args); // NULL: always. Must not look at the batch size, so
                                              // that an image gets the same bits in any batch.
    // Weights in the form `run` wants; depends on the weight's shape, attributes and kernels only.
    size_t (*packed_count)(const rml_op_args *args); // floats; NULL: nothing is packed
    rml_status (*pack)(const rml_op_args *args, const rml_constant *weight, float *packed,
                       const rml_allocator *allocator, rml_error *err); // pool is set
    size_t (*scratch_bytes)(const rml_op_args *args);                   // NULL: none
    void (*run)(const rml_op_args *args);
} rml_algorithm;

// How an operator takes images (values with four dimensions); see graph/pass_layout.c.
typedef enum rml_op_layout {
    RML_OP_PLAIN,         // plain in, plain out
    RML_OP_CHANNELS_LAST, // channels-last in and out, pixels may have gaps between them
    RML_OP_FOLLOW,        // any, the same for all images; the output follows
    RML_OP_ANY,           // handles whatever comes (reorder)
} rml_op_layout;

// What is known of a value before the run.
typedef struct rml_fact {
    rml_dtype dtype;
    rml_shape shape;  // rank -1: an absent input; RML_RANK_UNKNOWN: not known yet
    const void *data; // its elements in C order, or NULL: only the run tells
} rml_fact;

#define RML_RANK_UNKNOWN (-2)

typedef struct rml_op {
    const char *name;
    int min_inputs, max_inputs; // max -1: no limit
    rml_op_layout layout;
    int packed_input; // index of the constant that `pack` takes, or -1
    bool control;     // run by rml_eager_control; there are no algorithms
    bool from_shapes; // the inputs' shapes are all it needs; `run` does not look at elements
    bool in_place;    // out may be the memory of in[0] where shapes and strides agree
    int (*outputs)(const rml_op_attr *attr); // 1 to RML_MAX_OUTPUTS; NULL: one
    // Types of all outputs; refuses inputs of the wrong type. NULL: all are f32, in and out.
    rml_status (*types)(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_dtype *out,
                        rml_error *err);
    // Shapes of all outputs, by one of two rules: `infer` from the inputs' shapes alone, of which
    // every rank is known; `infer_values` also from what is known of their elements. Dimensions of
    // -1 are unknown and stay so where they cannot be told. `in` of an absent input has rank -1.
    // Errors need not name the node.
    rml_status (*infer)(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err);
    rml_status (*infer_values)(const rml_op_attr *attr, const rml_fact *in, int in_count,
                               rml_shape *out, rml_error *err);
    uint64_t (*macs)(const rml_op_args *args); // NULL: 0
    const rml_algorithm *algorithms;           // ends with an entry whose `accepts` is NULL
} rml_op;

// Types of an operator that only moves elements: all inputs are of one type, and so are the
// outputs. Further inputs than the first `count` are not looked at.
rml_status rml_types_same(const rml_fact *in, int count, rml_dtype *out, int out_count,
                          rml_error *err);

// Shape rule of an operator with one output of the shape of its first input.
rml_status rml_infer_same(const rml_op_attr *attr, const rml_shape *in, int in_count,
                          rml_shape *out, rml_error *err);

const rml_op *rml_op_get(rml_op_id id);
int rml_op_outputs(const rml_op *op, const rml_op_attr *attr);

// The first algorithm that accepts.
const rml_algorithm *rml_op_choose(const rml_op *op, const rml_op_args *args);

#define OP(upper, lower) extern const rml_op rml_op_##lower;
#include "ops/ops.inc"
#undef OP

#endif
