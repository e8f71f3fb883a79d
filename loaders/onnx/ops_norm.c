// Normalisations.
#include "loaders/onnx/make.h"

#include <string.h>

static rml_value_id reduce(rml_onnx_call *call, rml_value_id x, rml_reduce_attr attr)
{
    attr.keep = true;
    return rml_onnx_make(call, RML_OP_REDUCE, &(rml_op_attr){.reduce = attr}, &x, 1);
}

static rml_dtype type_of(const rml_onnx_call *call)
{
    return rml_onnx_fact(call, 0).dtype;
}

// Halves are computed in f32.
static rml_value_id widened(rml_onnx_call *call, int index)
{
    const rml_value_id x = rml_onnx_in(call, index);
    return x != RML_NO_VALUE && rml_dtype_is_half(call->graph->values[x].dtype)
               ? rml_onnx_cast(call, x, RML_F32)
               : x;
}

static rml_value_id like_input(rml_onnx_call *call, rml_value_id x)
{
    return rml_dtype_is_half(type_of(call)) ? rml_onnx_cast(call, x, type_of(call)) : x;
}

static bool needs_dimensions(rml_onnx_call *call, int least)
{
    const int rank = rml_onnx_fact(call, 0).shape.rank;
    if (rank != RML_RANK_UNKNOWN && rank < least)
        rml_onnx_refuse(call, "its input has %d dimensions", rank);
    return !call->refused;
}

static void import_batch_norm(rml_onnx_call *call)
{
    const double eps = rml_onnx_float(call, "epsilon", 1e-5f);
    rml_value_id in[5];
    rml_onnx_ignore(call, "momentum");
    rml_onnx_ignore(call, "consumed_inputs");
    bool trains = rml_onnx_int(call, "training_mode", 0) != 0;
    if (call->opset < 7)
        trains = rml_onnx_int(call, "is_test", 0) == 0;
    if (trains || rml_onnx_wants(call, 1)) {
        rml_onnx_refuse(call, "training is not supported");
        return;
    }
    if (rml_onnx_int(call, "spatial", 1) != 1) {
        rml_onnx_refuse(call, "statistics of every place are not supported");
        return;
    }
    if (!needs_dimensions(call, 2))
        return;
    for (int i = 0; i < 5; i++)
        in[i] = rml_onnx_in(call, i);
    call->out[0] = rml_graph_batch_norm(call->graph, in[0], in[1], in[2], in[3], in[4], (float)eps,
                                        call->name);
}

static void import_instance_norm(rml_onnx_call *call)
{
    const double eps = rml_onnx_float(call, "epsilon", 1e-5f);
    rml_onnx_ignore(call, "consumed_inputs");
    if (needs_dimensions(call, 3))
        call->out[0] = rml_graph_group_norm(call->graph, rml_onnx_in(call, 0), rml_onnx_in(call, 1),
                                            rml_onnx_in(call, 2), 0, (float)eps, call->name);
}

// Before opset 21 scale and bias were of groups.
static void import_group_norm(rml_onnx_call *call)
{
    const int64_t groups = rml_onnx_int(call, "num_groups", 0);
    const rml_shape shape = rml_onnx_fact(call, 0).shape;
    const double eps = rml_onnx_float(call, "epsilon", 1e-5f);
    rml_onnx_ignore(call, "stash_type");
    if (!needs_dimensions(call, 2))
        return;
    const int64_t channels = shape.rank > 0 ? shape.dim[1] : -1;
    if (groups < 1 || (channels >= 0 && channels % groups != 0))
        rml_onnx_refuse(call, "%lld channels do not make %lld groups", (long long)channels,
                        (long long)groups);
    else
        call->out[0] = rml_graph_group_norm(call->graph, rml_onnx_in(call, 0), rml_onnx_in(call, 1),
                                            rml_onnx_in(call, 2), groups, (float)eps, call->name);
}

// Over the last dimensions from the attribute's axis on; the option says whether the mean is taken
// as 0. Outputs: the result in the type of `gamma`, and with `moments` mean and 1 / deviation.
static void layer_norm(rml_onnx_call *call, rml_value_id x, rml_value_id gamma, rml_value_id beta,
                       int axis, bool moments, rml_value_id out[3])
{
    const double eps = *call->node->domain ? 1e-12f : 1e-5f;
    const rml_op_attr attr = {.layer_norm = {.axis = axis,
                                             .eps = (float)rml_onnx_float(call, "epsilon", eps),
                                             .rms = rml_onnx_option(call) != 0,
                                             .moments = moments}};
    rml_onnx_ignore(call, "stash_type"); // f32, or double where the input is
    if (!needs_dimensions(call, 1) || x == RML_NO_VALUE || gamma == RML_NO_VALUE)
        return;
    // They differ in type where an optimiser has taken casts into the node.
    const rml_dtype to = call->graph->values[gamma].dtype;
    if (call->graph->values[x].dtype != to) {
        x = rml_onnx_cast(call, x, RML_F32);
        gamma = rml_onnx_cast(call, gamma, RML_F32);
        beta = rml_onnx_cast(call, beta, RML_F32);
    }
    const rml_value_id in[] = {x, gamma, beta};
    out[0] = rml_onnx_make(call, RML_OP_LAYER_NORM, &attr, in, 3);
    if (out[0] == RML_NO_VALUE)
        return;
    for (int k = 1; k < 3 && moments; k++)
        out[k] = out[0] + (rml_value_id)k;
    out[0] = rml_onnx_cast(call, out[0], to);
}

static bool wants_moments(const rml_onnx_call *call)
{
    return rml_onnx_wants(call, 1) || rml_onnx_wants(call, 2);
}

// The mean of the simplified norm, which is 0, is not among its outputs.
static void import_layer_norm(rml_onnx_call *call)
{
    const bool simplified = strcmp(call->node->op_type, "SimplifiedLayerNormalization") == 0;
    rml_value_id out[3] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    layer_norm(call, rml_onnx_in(call, 0), rml_onnx_in(call, 1), rml_onnx_in(call, 2),
               rml_onnx_axis(call, "axis", -1), wants_moments(call), out);
    for (int k = 0; k < call->out_count && k < 3; k++)
        call->out[k] = simplified && k == 1 ? out[2] : out[k];
}

// The norm of the sum of both inputs and of the bias, which is the last one; the sum is the fourth
// output. Halves are summed and normalised in f32.
static void import_skip_norm(rml_onnx_call *call)
{
    const int bias = rml_onnx_option(call) ? 3 : 4;
    const rml_dtype dtype = type_of(call);
    rml_value_id out[3] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    rml_value_id sum = rml_onnx_add(call, widened(call, 0), widened(call, 1));
    if (rml_onnx_in(call, bias) != RML_NO_VALUE)
        sum = rml_onnx_add(call, sum, widened(call, bias));
    layer_norm(call, sum, widened(call, 2), bias == 4 ? widened(call, 3) : RML_NO_VALUE, -1,
               wants_moments(call), out);
    out[0] = rml_onnx_cast(call, out[0], dtype);
    for (int k = 0; k < call->out_count && k < 3; k++)
        call->out[k] = out[k];
    if (rml_onnx_wants(call, 3))
        call->out[3] = rml_onnx_cast(call, sum, dtype);
}

enum { WORDS, SEGMENTS, WORD_ROWS, PLACE_ROWS, SEGMENT_ROWS, GAMMA, BETA, MASK, PLACES };

// The first rows, as many as there are words in a row.
static rml_value_id first_rows(rml_onnx_call *call, rml_value_id table)
{
    const int64_t zero = 0, one = 1;
    const rml_value_id ids = rml_onnx_in(call, WORDS);
    const rml_value_id sizes = rml_onnx_make(call, RML_OP_SHAPE, NULL, &ids, 1);
    const rml_value_id in[] = {table, rml_onnx_ints_value(call, &zero, 1),
                               rml_graph_slice(call->graph, sizes, 0, 1, 2, 1, call->name),
                               rml_onnx_ints_value(call, &zero, 1),
                               rml_onnx_ints_value(call, &one, 1)};
    return rml_onnx_make(call, RML_OP_SLICE, &(rml_op_attr){0}, in, 5);
}

// Rows of tables for words, places and (where there are any) segments, summed and normalised.
// `table`: as inputs WORD_ROWS to BETA, in f32. Returns the sum.
static rml_value_id embed(rml_onnx_call *call, const rml_value_id *table, rml_value_id positions)
{
    rml_value_id out[3] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    rml_value_id sum = rml_onnx_rows(call, table[0], rml_onnx_in(call, WORDS));
    sum = rml_onnx_add(call, sum,
                       positions == RML_NO_VALUE ? first_rows(call, table[1])
                                                 : rml_onnx_rows(call, table[1], positions));
    if (rml_onnx_in(call, SEGMENTS) != RML_NO_VALUE)
        sum = rml_onnx_add(call, sum, rml_onnx_rows(call, table[2], rml_onnx_in(call, SEGMENTS)));
    layer_norm(call, sum, table[3], table[4], -1, false, out);
    call->out[0] = out[0];
    if (rml_onnx_int(call, "mask_index_type", 1) != 1)
        rml_onnx_refuse(call, "a mask_index_type of other kinds than 1 is not supported");
    if (!rml_onnx_wants(call, 1))
        return sum;
    // How many places of each row are not masked; 0 without a mask.
    rml_value_id mask = rml_onnx_in(call, MASK);
    if (mask == RML_NO_VALUE) {
        const rml_value_id ids = rml_onnx_in(call, WORDS);
        mask = rml_onnx_multiply(call, ids, rml_onnx_number_like(call, ids, 0));
    }
    mask = rml_graph_reduce(call->graph, mask, RML_REDUCE_SUM, 1, false, call->name);
    call->out[1] = rml_onnx_cast(call, mask, RML_I32);
    return sum;
}

static void import_embed_norm(rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, WORD_ROWS).dtype;
    rml_value_id table[5];
    for (int i = 0; i < 5; i++)
        table[i] = widened(call, WORD_ROWS + i);
    const rml_value_id sum = embed(call, table, rml_onnx_in(call, PLACES));
    call->out[0] = rml_onnx_cast(call, call->out[0], dtype);
    if (rml_onnx_wants(call, 2))
        call->out[2] = rml_onnx_cast(call, sum, dtype);
}

// Of tables of codes: behind the mask come their scales, and then their zero points.
static void import_quantized_embed_norm(rml_onnx_call *call)
{
    enum { SCALES = 8, ZEROS = 13 };
    const rml_op_attr attr = {.quantize = {.to = RML_F32}};
    rml_value_id table[5];
    for (int i = 0; i < 5; i++) {
        const rml_value_id in[] = {rml_onnx_in(call, WORD_ROWS + i), rml_onnx_in(call, SCALES + i),
                                   rml_onnx_in(call, ZEROS + i)};
        table[i] =
            in[0] == RML_NO_VALUE ? in[0] : rml_onnx_make(call, RML_OP_DEQUANTIZE, &attr, in, 3);
    }
    embed(call, table, RML_NO_VALUE);
}

// ---- the others ---------------------------------------------------------------------------------

// Where the norm is 0, so is every element: divided by the smallest number there is they stay so.
static void import_lp_norm(rml_onnx_call *call)
{
    const int64_t p = rml_onnx_int(call, "p", 2);
    const int axis = rml_onnx_axis(call, "axis", -1);
    if (p != 1 && p != 2) {
        rml_onnx_refuse(call, "p is %lld", (long long)p);
        return;
    }
    const rml_value_id x = widened(call, 0);
    const rml_reduce_attr attr = {
        .kind = p == 1 ? RML_REDUCE_L1 : RML_REDUCE_L2, .axis_count = 1, .axes = {axis}};
    const double least = type_of(call) == RML_F64 ? 0x1p-1074 : 0x1p-149;
    const rml_value_id norm = reduce(call, x, attr);
    const rml_value_id raised =
        rml_onnx_binary(call, RML_BINARY_MAX, norm, rml_onnx_number_like(call, norm, least));
    call->out[0] = like_input(call, rml_onnx_binary(call, RML_BINARY_DIV, x, raised));
}

static void import_mean_variance(rml_onnx_call *call)
{
    rml_reduce_attr attr = {.kind = RML_REDUCE_MEAN, .axis_count = 3, .axes = {0, 2, 3}};
    const int given = rml_onnx_axes(call, "axes", attr.axes);
    if (rml_onnx_has(call, "axes"))
        attr.axis_count = given;
    const rml_value_id wide = widened(call, 0);
    const rml_value_id x = rml_onnx_binary(call, RML_BINARY_SUB, wide, reduce(call, wide, attr));
    const rml_value_id deviation =
        rml_onnx_unary(call, RML_UNARY_SQRT, reduce(call, rml_onnx_multiply(call, x, x), attr));
    const rml_value_id raised =
        rml_onnx_add(call, deviation, rml_onnx_number_like(call, deviation, 1e-9));
    call->out[0] = like_input(call, rml_onnx_binary(call, RML_BINARY_DIV, x, raised));
}

static const rml_onnx_field lrn[] = {RML_FIELD(INT, "size", lrn.size, .absent = 0),
                                     RML_FIELD(FLOAT, "alpha", lrn.alpha, .number = 1e-4f),
                                     RML_FIELD(FLOAT, "beta", lrn.beta, .number = 0.75),
                                     RML_FIELD(FLOAT, "bias", lrn.bias, .number = 1),
                                     {0}};

const rml_onnx_entry rml_onnx_norm[] = {
    {.op_type = "BatchNormalization", .import = import_batch_norm},
    {.op_type = "InstanceNormalization", .import = import_instance_norm},
    {.op_type = "GroupNormalization", .import = import_group_norm, .since = 18},
    {.op_type = "LayerNormalization", .import = import_layer_norm},
    {.op_type = "SimplifiedLayerNormalization", .import = import_layer_norm, .option = 1},
    {.op_type = "com.microsoft.SkipLayerNormalization", .import = import_skip_norm},
    {.op_type = "com.microsoft.SkipSimplifiedLayerNormalization",
     .import = import_skip_norm,
     .option = 1},
    {.op_type = "com.microsoft.EmbedLayerNormalization", .import = import_embed_norm},
    {.op_type = "com.microsoft.QEmbedLayerNormalization", .import = import_quantized_embed_norm},
    {.op_type = "RMSNormalization", .import = import_layer_norm, .since = 23, .option = 1},
    {.op_type = "LpNormalization", .import = import_lp_norm},
    {.op_type = "MeanVarianceNormalization", .import = import_mean_variance, .since = 9},
    {.op_type = "LRN", .op = RML_OP_LRN, .fields = lrn, .f32 = true},
    {.op_type = NULL},
};
