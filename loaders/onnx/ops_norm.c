// Normalisations. f32 goes to the operators by hand where sizes are known; halves are cast around
// them; doubles, and what those operators do not do, are written out in simpler ones.
#include "loaders/onnx/make.h"

#include <math.h>

// ---- writing out --------------------------------------------------------------------------------

static rml_value_id sub(rml_onnx_call *call, rml_value_id a, rml_value_id b)
{
    return rml_graph_binary(call->graph, RML_BINARY_SUB, a, b, call->name);
}

static rml_value_id map(rml_onnx_call *call, rml_unary kind, rml_value_id x)
{
    return rml_graph_unary(call->graph, x, (rml_activation){.kind = kind}, call->name);
}

static rml_value_id number_like(rml_onnx_call *call, rml_value_id x, double number)
{
    const rml_dtype dtype = x == RML_NO_VALUE ? RML_F32 : call->graph->values[x].dtype;
    return rml_onnx_scalar(call, dtype, number);
}

static rml_value_id reduce(rml_onnx_call *call, rml_value_id x, rml_reduce_attr attr)
{
    attr.keep = true;
    return rml_graph_node(call->graph, RML_OP_REDUCE, &(rml_op_attr){.reduce = attr}, &x, 1,
                          call->name);
}

static rml_value_id shape_of(rml_onnx_call *call, rml_value_id x)
{
    return rml_graph_node(call->graph, RML_OP_SHAPE, NULL, &x, 1, call->name);
}

static rml_value_id reshape_to(rml_onnx_call *call, rml_value_id x, rml_value_id shape)
{
    const rml_value_id in[2] = {x, shape};
    const rml_op_attr attr = {.reshape = {.keep_zero = true}};
    return rml_graph_node(call->graph, RML_OP_RESHAPE, &attr, in, 2, call->name);
}

// (N,C,...) to (N,C,places).
static rml_value_id flatten_places(rml_onnx_call *call, rml_value_id x)
{
    return rml_graph_reshape(call->graph, x, &(rml_shape){3, {0, 0, -1}}, call->name);
}

// (n) to (n,1), which broadcasts along channels or groups of (N,n,places).
static rml_value_id upright(rml_onnx_call *call, rml_value_id x)
{
    return rml_graph_reshape(call->graph, x, &(rml_shape){2, {-1, 1}}, call->name);
}

// x * scale + bias, of each row.
static rml_value_id scale_rows(rml_onnx_call *call, rml_value_id x, rml_value_id scale,
                               rml_value_id bias)
{
    return rml_onnx_add(call, rml_onnx_multiply(call, x, upright(call, scale)),
                        upright(call, bias));
}

typedef struct moments {
    rml_value_id mean, inverse; // 1 / sqrt(variance + eps); mean is RML_NO_VALUE for `rms`
} moments;

// (x - mean) / sqrt(variance + eps) over some axes; for `rms` the mean is taken as 0.
static rml_value_id standardise(rml_onnx_call *call, rml_value_id x, const int *axes, int count,
                                double eps, bool rms, moments *out)
{
    rml_reduce_attr attr = {.kind = RML_REDUCE_MEAN, .axis_count = count, .empty_is_no = true};
    for (int i = 0; i < count; i++)
        attr.axes[i] = axes[i];
    moments found = {RML_NO_VALUE, RML_NO_VALUE};
    if (!rms) {
        found.mean = reduce(call, x, attr);
        x = sub(call, x, found.mean);
    }
    const rml_value_id variance = reduce(call, rml_onnx_multiply(call, x, x), attr);
    const rml_value_id raised = rml_onnx_add(call, variance, number_like(call, variance, eps));
    found.inverse = map(call, RML_UNARY_RECIPROCAL, map(call, RML_UNARY_SQRT, raised));
    if (out)
        *out = found;
    return rml_onnx_multiply(call, x, found.inverse);
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

// ---- batch norm ---------------------------------------------------------------------------------

// The operator takes images; what has less or more dimensions becomes one.
static rml_value_id batch_norm_f32(rml_onnx_call *call, const rml_value_id in[5], int rank,
                                   double eps)
{
    const rml_shape few = {4, {0, 0, rank < 3 ? 1 : 0, 1}}, many = {4, {0, 0, -1, 1}};
    const bool is_few = rank == 2 || rank == 3;
    rml_value_id x = in[0];
    if (rank != 4)
        x = rml_graph_reshape(call->graph, x, is_few ? &few : &many, call->name);
    x = rml_graph_batch_norm(call->graph, x, in[1], in[2], in[3], in[4], (float)eps, call->name);
    if (is_few)
        return rml_graph_reshape(call->graph, x, &(rml_shape){.rank = rank}, call->name);
    return rank == 4 ? x : reshape_to(call, x, shape_of(call, in[0]));
}

static rml_value_id batch_norm_f64(rml_onnx_call *call, const rml_value_id in[5], double eps)
{
    const rml_value_id raised = rml_onnx_add(call, in[4], number_like(call, in[4], eps));
    const rml_value_id factor = rml_onnx_multiply(
        call, in[1], map(call, RML_UNARY_RECIPROCAL, map(call, RML_UNARY_SQRT, raised)));
    rml_value_id x = sub(call, flatten_places(call, in[0]), upright(call, in[3]));
    x = scale_rows(call, x, factor, in[2]);
    return reshape_to(call, x, shape_of(call, in[0]));
}

static void import_batch_norm(rml_onnx_call *call)
{
    const int rank = rml_onnx_fact(call, 0).shape.rank;
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
        in[i] = widened(call, i);
    if (type_of(call) == RML_F64)
        call->out[0] = batch_norm_f64(call, in, eps);
    else
        call->out[0] = like_input(call, batch_norm_f32(call, in, rank, eps));
}

// ---- groups and instances -----------------------------------------------------------------------

// Whether scale and bias are known to be one number a channel, as the operator by hand has them.
static bool one_a_channel(const rml_onnx_call *call, int64_t channels)
{
    for (int i = 1; i <= 2; i++) {
        const rml_shape shape = rml_onnx_fact(call, i).shape;
        if (channels < 1 || shape.rank != 1 || shape.dim[0] != channels)
            return false;
    }
    return true;
}

static void import_instance_norm(rml_onnx_call *call)
{
    const rml_shape shape = rml_onnx_fact(call, 0).shape;
    const double eps = rml_onnx_float(call, "epsilon", 1e-5f);
    rml_onnx_ignore(call, "consumed_inputs");
    if (!needs_dimensions(call, 3))
        return;
    const rml_value_id x = widened(call, 0), scale = widened(call, 1), bias = widened(call, 2);
    rml_value_id out;
    if (type_of(call) != RML_F64 && shape.rank > 0 && one_a_channel(call, shape.dim[1])) {
        out =
            rml_graph_group_norm(call->graph, x, scale, bias, shape.dim[1], (float)eps, call->name);
    } else {
        const int places = 2;
        out = standardise(call, flatten_places(call, x), &places, 1, eps, false, NULL);
        out = reshape_to(call, scale_rows(call, out, scale, bias), shape_of(call, x));
    }
    call->out[0] = like_input(call, out);
}

// One number a group becomes one a channel.
static rml_value_id spread(rml_onnx_call *call, rml_value_id x, int64_t groups, int64_t channels)
{
    x = rml_graph_reshape(call->graph, x, &(rml_shape){2, {groups, 1}}, call->name);
    x = rml_graph_expand(call->graph, x, &(rml_shape){2, {groups, channels / groups}}, RML_NO_VALUE,
                         call->name);
    return rml_graph_reshape(call->graph, x, &(rml_shape){1, {channels}}, call->name);
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
    if (groups < 1 || (channels >= 0 && channels % groups != 0)) {
        rml_onnx_refuse(call, "%lld channels do not make %lld groups", (long long)channels,
                        (long long)groups);
        return;
    }
    rml_value_id x = widened(call, 0), scale = widened(call, 1), bias = widened(call, 2);
    const bool told = call->opset < 21 ? channels > 0 : one_a_channel(call, channels);
    if (type_of(call) != RML_F64 && told) {
        if (call->opset < 21) {
            scale = spread(call, scale, groups, channels);
            bias = spread(call, bias, groups, channels);
        }
        x = rml_graph_group_norm(call->graph, x, scale, bias, groups, (float)eps, call->name);
    } else {
        const int places = 2;
        const rml_value_id whole = shape_of(call, x);
        x = rml_graph_reshape(call->graph, x, &(rml_shape){3, {0, groups, -1}}, call->name);
        x = standardise(call, x, &places, 1, eps, false, NULL);
        if (call->opset >= 21)
            x = flatten_places(call, reshape_to(call, x, whole));
        x = reshape_to(call, scale_rows(call, x, scale, bias), whole);
    }
    call->out[0] = like_input(call, x);
}

// ---- layer and root mean square -----------------------------------------------------------------

// Whether the weights have the shape of the last -`axis` dimensions, so that the operator by
// hand takes them.
static bool fits_rows(const rml_onnx_call *call, int index, int axis)
{
    const rml_shape x = rml_onnx_fact(call, 0).shape, w = rml_onnx_fact(call, index).shape;
    if (rml_onnx_in(call, index) == RML_NO_VALUE)
        return true;
    if (w.rank != -axis || x.rank < w.rank)
        return false;
    for (int i = 0; i < w.rank; i++)
        if (w.dim[i] < 0 || w.dim[i] != x.dim[x.rank + axis + i])
            return false;
    return true;
}

// The option says whether the mean is taken as 0.
static void import_layer_norm(rml_onnx_call *call)
{
    const bool rms = rml_onnx_option(call) != 0;
    const int rank = rml_onnx_fact(call, 0).shape.rank;
    const double eps = rml_onnx_float(call, "epsilon", 1e-5f);
    int64_t axis = rml_onnx_int(call, "axis", -1);
    rml_onnx_ignore(call, "stash_type"); // f32, or double where the input is
    if (!needs_dimensions(call, 1))
        return;
    if (axis < -RML_MAX_RANK || axis >= (rank < 0 ? 0 : rank) || (rank >= 0 && axis < -rank)) {
        rml_onnx_refuse(call, "axis %lld of %d dimensions", (long long)axis, rank < 0 ? 0 : rank);
        return;
    }
    axis -= axis >= 0 ? rank : 0; // from the end, which needs no rank
    rml_value_id x = widened(call, 0);
    const rml_value_id scale = rml_onnx_in(call, 1), bias = rml_onnx_in(call, 2);
    if (type_of(call) == RML_F32 && !rml_onnx_wants(call, 1) && !rml_onnx_wants(call, 2) &&
        fits_rows(call, 1, (int)axis) && fits_rows(call, 2, (int)axis)) {
        const rml_layer_norm_attr attr = {(int)axis, (float)eps, rms};
        call->out[0] = rml_graph_layer_norm(call->graph, x, scale, bias, &attr, call->name);
        return;
    }
    int axes[RML_MAX_RANK];
    moments found;
    for (int i = (int)axis; i < 0; i++)
        axes[i - axis] = i;
    x = standardise(call, x, axes, -(int)axis, eps, rms, &found);
    x = like_input(call, x); // the second stage is computed in the input's type
    x = scale == RML_NO_VALUE ? x : rml_onnx_multiply(call, x, scale);
    call->out[0] = bias == RML_NO_VALUE ? x : rml_onnx_add(call, x, bias);
    if (rml_onnx_wants(call, 1))
        call->out[1] = found.mean;
    if (rml_onnx_wants(call, 2))
        call->out[2] = found.inverse;
}

// ---- the others ---------------------------------------------------------------------------------

// Where the norm is 0, so is every element: divided by the smallest number there is they stay so.
static void import_lp_norm(rml_onnx_call *call)
{
    const int64_t p = rml_onnx_int(call, "p", 2), axis = rml_onnx_int(call, "axis", -1);
    if ((p != 1 && p != 2) || axis < -RML_MAX_RANK || axis >= RML_MAX_RANK) {
        rml_onnx_refuse(call, "p is %lld and the axis %lld", (long long)p, (long long)axis);
        return;
    }
    const rml_value_id x = widened(call, 0);
    const rml_reduce_attr attr = {
        .kind = p == 1 ? RML_REDUCE_L1 : RML_REDUCE_L2, .axis_count = 1, .axes = {(int)axis}};
    const double least = type_of(call) == RML_F64 ? 0x1p-1074 : 0x1p-149;
    const rml_value_id norm = reduce(call, x, attr);
    const rml_value_id raised = rml_graph_binary(call->graph, RML_BINARY_MAX, norm,
                                                 number_like(call, norm, least), call->name);
    call->out[0] =
        like_input(call, rml_graph_binary(call->graph, RML_BINARY_DIV, x, raised, call->name));
}

static void import_mean_variance(rml_onnx_call *call)
{
    static const int64_t usual[] = {0, 2, 3};
    size_t count;
    const int64_t *axes = rml_onnx_ints(call, "axes", &count);
    rml_reduce_attr attr = {.kind = RML_REDUCE_MEAN};
    if (!axes) {
        axes = usual;
        count = 3;
    }
    if (count > RML_MAX_RANK) {
        rml_onnx_refuse(call, "%zu axes", count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        attr.axes[attr.axis_count++] =
            axes[i] < -RML_MAX_RANK || axes[i] >= RML_MAX_RANK ? RML_MAX_RANK : (int)axes[i];
    const rml_value_id wide = widened(call, 0);
    const rml_value_id x = sub(call, wide, reduce(call, wide, attr));
    const rml_value_id deviation =
        map(call, RML_UNARY_SQRT, reduce(call, rml_onnx_multiply(call, x, x), attr));
    const rml_value_id raised = rml_onnx_add(call, deviation, number_like(call, deviation, 1e-9));
    call->out[0] =
        like_input(call, rml_graph_binary(call->graph, RML_BINARY_DIV, x, raised, call->name));
}

static void import_lrn(rml_onnx_call *call)
{
    const rml_op_attr attr = {.lrn = {.size = rml_onnx_int(call, "size", 0),
                                      .alpha = (float)rml_onnx_float(call, "alpha", 1e-4f),
                                      .beta = (float)rml_onnx_float(call, "beta", 0.75),
                                      .bias = (float)rml_onnx_float(call, "bias", 1)}};
    rml_onnx_translate(call, RML_OP_LRN, &attr, 1);
}

const rml_onnx_entry rml_onnx_norm[] = {
    {.op_type = "BatchNormalization", .import = import_batch_norm},
    {.op_type = "InstanceNormalization", .import = import_instance_norm},
    {.op_type = "GroupNormalization", .import = import_group_norm, .since = 18},
    {.op_type = "LayerNormalization", .import = import_layer_norm, .since = 17},
    {.op_type = "RMSNormalization", .import = import_layer_norm, .since = 23, .option = 1},
    {.op_type = "LpNormalization", .import = import_lp_norm},
    {.op_type = "MeanVarianceNormalization", .import = import_mean_variance, .since = 9},
    {.op_type = "LRN", .import = import_lrn, .f32 = true},
    {.op_type = NULL},
};
