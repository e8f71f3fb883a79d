// Operators: attributes, shape inference, choice of algorithm, splitting over threads.
//
// An operator knows nothing of graphs: it gets views and writes views.
#ifndef RML_OPS_OP_H
#define RML_OPS_OP_H

#include "ops/attr/basic.h"
#include "ops/attr/image.h"
#include "ops/attr/index.h"
#include "ops/attr/ml.h"
#include "ops/attr/product.h"
#include "ops/attr/reduce.h"
#include "tensor/dtype.h"
#include "tensor/stored.h"
#include "tensor/threads.h"

#include <limits.h>

typedef enum rml_op_id {
#define OP(upper, lower) RML_OP_##upper,
#include "ops/ops.inc"
#undef OP
    RML_OP_COUNT
} rml_op_id;

#define RML_MAX_OUTPUTS 64 // of one node

// ---- attributes --------------------------------------------------------------------------------

typedef union rml_op_attr {
    rml_conv_attr conv;
    rml_inverted_attr inverted;
    rml_matmul_attr matmul;
    rml_batch_norm_attr batch_norm;
    rml_group_norm_attr group_norm;
    rml_activation unary;
    rml_binary_attr binary;
    rml_pool_attr pool;
    rml_l2norm_attr l2norm;
    rml_layer_norm_attr layer_norm;
    rml_wave_attr wave;
    rml_softmax_attr softmax;
    rml_attention_attr attention;
    rml_reduce_attr reduce;
    rml_arg_attr arg;
    rml_cumsum_attr cumsum;
    rml_topk_attr topk;
    rml_unique_attr unique;
    rml_nll_attr nll;
    rml_lrn_attr lrn;
    rml_tree_ensemble_attr tree_ensemble;
    rml_tfidf_attr tfidf;
    rml_resize_attr resize;
    rml_concat_attr concat;
    rml_slice_attr slice;
    rml_split_attr split;
    rml_reshape_attr reshape;
    rml_transpose_attr transpose;
    rml_expand_attr expand;
    rml_shuffle_attr shuffle;
    rml_cast_attr cast;
    rml_control_attr control;
    rml_einsum_attr einsum;
    rml_quantize_attr quantize;
    rml_rnn_attr rnn;
    rml_dft_attr dft;
    rml_window_function_attr window_function;
    rml_rotary_attr rotary;
    rml_linear_attention_attr linear_attention;
    rml_causal_conv_attr causal_conv;
    rml_layout_transform_attr layout_transform;
    rml_unpool_attr unpool;
    rml_col2im_attr col2im;
    rml_grid_sample_attr grid_sample;
    rml_affine_grid_attr affine_grid;
    rml_roi_attr roi;
    rml_center_attr center;
    rml_axis_attr axis;
    rml_gather_nd_attr gather_nd;
    rml_pad_attr pad;
    rml_scatter_attr scatter;
    rml_tensor_scatter_attr tensor_scatter;
    rml_compress_attr compress;
    rml_trilu_attr trilu;
    rml_reverse_attr reverse;
    rml_eye_attr eye;
    rml_nms_attr nms;
} rml_op_attr;

rml_activation rml_activation_none(void);
rml_activation rml_activation_relu(void);
bool rml_activation_is_none(const rml_activation *act);

// The activation in the attributes of an operator that applies one to its result; NULL: none does.
rml_activation *rml_op_activation(rml_op_id op, rml_op_attr *attr);

// A product without factors.
rml_matmul_attr rml_matmul_plain(bool transpose_a, bool transpose_b);

// ---- constants ---------------------------------------------------------------------------------

// Trained numbers as an operator packs them: stored data times an optional factor for each index of
// one dimension (a folded batch norm), multiplied in double and rounded once.
typedef struct rml_constant {
    rml_stored stored;
    const double *scale; // [shape.dim[scale_axis]], or NULL
    int scale_axis;
    bool computed; // by the builder of a network, whose files of weights do not have it
} rml_constant;

// As rml_stored_read, with the factors applied.
void rml_constant_read(const rml_constant *constant, int axis, int64_t first, int64_t count,
                       float *dst);

// All elements in C order: as f32, or in the type they are stored in, without factors.
void rml_constant_copy(const rml_constant *constant, rml_dtype dtype, void *dst);

// The one number of a constant of one element; false for any other, and for NULL.
bool rml_constant_number(const rml_constant *constant, double *number);

// MOVE(type), for an unsigned type of as many bytes as an element has.
#define RML_BY_SIZE(bytes, MOVE)                                                                   \
    do {                                                                                           \
        if ((bytes) == 4)                                                                          \
            MOVE(uint32_t);                                                                        \
        else if ((bytes) == 8)                                                                     \
            MOVE(uint64_t);                                                                        \
        else if ((bytes) == 2)                                                                     \
            MOVE(uint16_t);                                                                        \
        else                                                                                       \
            MOVE(uint8_t);                                                                         \
    } while (0)

// ---- running -----------------------------------------------------------------------------------

// What an algorithm sees. While preparing, views have no data and the last fields are not set.
typedef struct rml_op_args {
    const rml_op_attr *attr;
    const rml_tensor *in; // rank -1: this optional input is absent
    int in_count;
    const rml_tensor *out;
    const rml_kernels *kernels;
    rml_precision precision;               // what products may be computed in
    const struct rml_algorithm *algorithm; // that was chosen, once it is
    bool generic;                          // the node is, see rml_op.takes_images
    int threads;
    const rml_constant *const *constants; // of each input, NULL where it is none
    rml_pool *pool;
    const void *packed; // what `pack` wrote, or NULL
    char *scratch;      // scratch_bytes, 64-byte aligned
} rml_op_args;

// Input `index`, or NULL where it is absent.
static inline const rml_tensor *rml_op_input(const rml_op_args *args, int index)
{
    return index < args->in_count && args->in[index].rank >= 0 ? &args->in[index] : NULL;
}

// The constant that input `index` is, or NULL.
static inline const rml_constant *rml_op_constant(const rml_op_args *args, int index)
{
    return args->constants && index < args->in_count ? args->constants[index] : NULL;
}

// A worker's scratch, of an algorithm with `worker_bytes`.
void *rml_op_worker(const rml_op_args *args, int worker);

#define RML_UNIT_ALL                                                                               \
    INT_MAX // of an algorithm that makes the bits of the whole from the whole alone

// One way to compute an operator. An operator lists its ways in order of preference, those for
// generic nodes behind the others; the last one of either kind accepts everything.
typedef struct rml_algorithm {
    const char *name;
    bool generic;            // for generic nodes, and for no others
    bool reorders;           // its sums run in another order than that of the definition
    rml_precision precision; // of its products
    // Rows and columns of an image that are computed together: a part of them that begins and ends
    // at multiples of it, or at the end, gets the bits of the whole. 0: any.
    int unit[2];
    bool (*accepts)(const rml_op_args *args); // NULL: always. Must not look at the batch size, so
                                              // that an image gets the same bits in any batch.
    // Weights in the form `run` wants; depends on the weight's shape, attributes and kernels only.
    // SIZE_MAX, here and of scratch: more than can be addressed (see tensor/size.h).
    size_t (*packed_bytes)(const rml_op_args *args); // NULL: nothing is packed
    rml_status (*pack)(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err); // pool is set
    // Scratch: of all, or of a worker and then a multiple of RML_ALIGNMENT; NULL, both: none.
    size_t (*scratch_bytes)(const rml_op_args *args);
    size_t (*worker_bytes)(const rml_op_args *args);
    void (*run)(const rml_op_args *args);
    // Of convolutions and products: rml_activate, which links all functions. NULL: no activation
    // but a clamp comes.
    void (*activate)(const rml_kernels *kernels, const rml_activation *act, float *x, size_t count);
} rml_algorithm;

void rml_activate(const rml_kernels *kernels, const rml_activation *act, float *x, size_t count);

// The list of an operator with one algorithm, which takes everything; without scratch memory, with
// some, or with some for each worker.
#define RML_ONE_WAY(title, function) RML_ONE_WAY_IN(title, NULL, function)
#define RML_ONE_WAY_IN(title, scratch, function)                                                   \
    ((const rml_algorithm[]){{.name = (title), .scratch_bytes = (scratch), .run = (function)}})
#define RML_ONE_WAY_EACH(title, worker, function)                                                  \
    ((const rml_algorithm[]){{.name = (title), .worker_bytes = (worker), .run = (function)}})

// How an operator takes images (values with four dimensions); see graph/passes/layout.c.
typedef enum rml_op_layout {
    RML_OP_PLAIN,         // plain in, plain out
    RML_OP_CHANNELS_LAST, // channels-last in and out, pixels may have gaps between them
    RML_OP_FOLLOW,        // any, the same for all images; the output follows
    RML_OP_ANY,           // handles whatever comes (layout_transform)
} rml_op_layout;

// What is known of a value before the run.
typedef struct rml_fact {
    rml_dtype dtype;
    rml_shape shape;  // rank -1: an absent input; RML_RANK_UNKNOWN: not known yet
    const void *data; // its elements in C order, or NULL: only the run tells
    bool constant;    // trained, or computed from what is: the same in every run
} rml_fact;

// What shape inference is asked: of a node, what is known of its inputs.
typedef struct rml_op_node {
    const rml_op_attr *attr;
    const rml_fact *in;
    const rml_shape *shape; // of the inputs, where no rank is unknown
    int in_count;
} rml_op_node;

// Whether input `index` is there.
static inline bool rml_op_given(const rml_op_node *node, int index)
{
    return index < node->in_count && node->in[index].shape.rank != -1;
}

typedef struct rml_op {
    rml_op_id id;
    const char *name;
    int inputs[2]; // at least, and at most (-1: no limit)
    rml_op_layout layout;
    // Of CHANNELS_LAST: whether a node with these inputs takes images. If not it is generic: plain
    // in and out. NULL: all nodes take images.
    bool (*takes_images)(const rml_op_attr *attr, const rml_fact *in, int in_count);
    // ... whether its generic ways are as fast: a node whose first input is plain is one. NULL: no.
    bool (*plain_as_well)(const rml_op_attr *attr, const rml_fact *in, int in_count);
    // ... whether it reads a first input that is plain as it is, for a channels-last output. NULL:
    // no.
    bool (*takes_planes)(const rml_op_attr *attr, const rml_fact *in, int in_count);
    int packed_input; // index of the constant that `pack` takes; 0, the data: none. An algorithm
                      // without `pack` reads it as it is stored, constant or not
    unsigned packed_also; // bits of further inputs whose constants it takes
    bool control;         // runs graphs inside it, see engine/control.h; there are no algorithms
    bool from_shapes;     // the inputs' shapes are all it needs; `run` does not look at elements
    bool in_place;        // out may be the memory of in[0] where shapes and strides agree
    bool keeps_memory;    // with in_place: also where shapes or layouts differ, for elements stay
                          // where they are
    bool checks_elements; // `infer_values` also refuses elements that no size depends on (indices
                          // out of range): a planned run asks it once they are there. Plain layout
    // Types: a letter for each input, '>', a letter for each output; the last input's letter serves
    // all further ones, the last output's too. Inputs: * any, n any but bool, p any but i64 and
    // u64, r a float type, m that or bool, h f16, f32 or f64, s f32 or f64, f f32, c i8 or u8,
    // i i32 or i64, e i32, l i64, b bool. Outputs: f, e, l, or t, the one in the attributes. Either
    // may be a digit: the type of that input. NULL: all f32, "f>f".
    const char *signature;
    int (*outputs)(const rml_op_attr *attr); // 1 to RML_MAX_OUTPUTS; NULL: the signature tells
    // Instead of a signature where the attributes say what fits.
    rml_status (*types)(const rml_op_node *node, rml_dtype *out, rml_error *err);
    // Shapes of all outputs, by one of two rules: `infer` from the inputs' shapes alone, of which
    // every rank is known; `infer_values` also from what is known of their elements. Dimensions of
    // -1 are unknown and stay so where they cannot be told. `in` of an absent input has rank -1.
    // Errors need not name the node.
    rml_status (*infer)(const rml_op_node *node, rml_shape *out, rml_error *err);
    rml_status (*infer_values)(const rml_op_node *node, rml_shape *out, rml_error *err);
    uint64_t (*macs)(const rml_op_args *args); // NULL: 0
    const struct rml_op *block;                // of three, see graph/passes/fuse_block.c; or NULL
    const rml_algorithm *algorithms;           // ends with an entry whose `accepts` is NULL
} rml_op;

// Names a size that depends on one that is not known, and on two numbers besides, and on nothing
// else: the same for the same (see graph/symbols.c); -1 for -1.
int64_t rml_size_symbol(int64_t size, int64_t a, int64_t b);

// Types of the outputs; refuses inputs of the wrong type.
rml_status rml_op_types(const rml_op *op, const rml_op_node *node, rml_dtype *out, rml_error *err);

// Shape rule of an operator with one output of the shape of its first input.
rml_status rml_infer_same(const rml_op_node *node, rml_shape *out, rml_error *err);

// Calls `part` for ranges that make up [0, items), from any threads. An item is worth `bytes` of
// output: as many make a range as outweigh taking it.
typedef void (*rml_op_part)(const rml_op_args *args, size_t begin, size_t end);
void rml_op_parallel(const rml_op_args *args, size_t items, size_t bytes, rml_op_part part);

// By number: links all operators, see table.c.
const rml_op *rml_op_get(rml_op_id id);
int rml_op_outputs(const rml_op *op, const rml_op_attr *attr);

// Whether `pack` takes this input where it is constant.
bool rml_op_packs(const rml_op *op, int index);

// Whether all outputs are empty: then nothing is to be run, and no algorithm has to care.
bool rml_op_writes_nothing(const rml_op_args *args, int out_count);

// The first algorithm of the node's kind that accepts.
const rml_algorithm *rml_op_choose(const rml_op *op, rml_op_args *args);

// Bytes that the algorithm asks for (either may be NULL); RML_ERR_LIMIT, naming `node`, when they
// cannot be addressed.
rml_status rml_op_memory(const rml_algorithm *algorithm, const rml_op_args *args, const char *node,
                         size_t *packed_bytes, size_t *scratch_bytes, rml_error *err);

#define OP(upper, lower) extern const rml_op rml_op_##lower;
#include "ops/ops.inc"
#undef OP

// What networks of our own take in place of an operator that knows more ways, and links them: RNN
// and MATMUL of f32 with trained weights, which fold_const has made constants of.
extern const rml_op rml_op_lstm, rml_op_linear;

#endif
