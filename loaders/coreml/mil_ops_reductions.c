// Reductions, and what searches, sorts or sums along an axis.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

static void import_reduce(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    int axes[RML_MAX_RANK];
    const int count = rml_mil_axes(call, "axes", axes, RML_MAX_RANK);
    call->out[0] = rml_coreml_reduce(&call->make, (rml_reduce_kind)call->option, x, axes,
                                     count < 0 ? 0 : count, rml_mil_flag(call, "keep_dims", false));
}

// The type of indices: "int32" unless the operation says otherwise.
static rml_dtype index_type(rml_mil_call *call, const char *name)
{
    static const rml_dtype types[] = {RML_I32, RML_U16, RML_I16, RML_U8, RML_I8};
    return types[rml_mil_word(call, name, "int32 uint16 int16 uint8 int8", 0)];
}

static void import_arg(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_op_attr attr = {.arg = {.axis = (int)rml_mil_int(call, "axis", -1),
                                      .smallest = call->option != 0,
                                      .keep = rml_mil_flag(call, "keep_dims", false)}};
    const rml_dtype type = index_type(call, "output_dtype");
    call->out[0] =
        rml_coreml_cast(&call->make, rml_coreml_node(&call->make, RML_OP_ARG, &attr, &x, 1), type);
}

static void import_cumsum(rml_mil_call *call)
{
    const int64_t axis = rml_mil_int(call, "axis", 0);
    const rml_value_id in[] = {rml_mil_in(call, "x"), rml_coreml_ints(&call->make, &axis, 1)};
    const rml_op_attr attr = {.cumsum = {.exclusive = rml_mil_flag(call, "exclusive", false),
                                         .reverse = rml_mil_flag(call, "reverse", false)}};
    call->out[0] = rml_coreml_node(&call->make, RML_OP_CUMSUM, &attr, in, 2);
}

// The size of dimension `axis`, as (1) of i64.
static rml_value_id size_of(rml_mil_call *call, rml_value_id x, int64_t axis)
{
    const int at = rml_coreml_axis_of(&call->make, axis, rml_coreml_rank(&call->make, x));
    const rml_value_id sizes = rml_coreml_sizes(&call->make, x);
    return call->make.refused
               ? RML_NO_VALUE
               : rml_graph_slice(call->make.graph, sizes, 0, at, at + 1, 1, call->make.name);
}

// How many, as (1) of i64: all for -1.
static rml_value_id how_many(rml_mil_call *call, rml_value_id x, int64_t axis)
{
    const rml_value_id k = rml_mil_optional(call, "k");
    const rml_fact fact = rml_coreml_fact(&call->make, k);
    if (k == RML_NO_VALUE)
        return rml_coreml_ints(&call->make, &(int64_t){1}, 1);
    if (fact.data && rml_mil_int(call, "k", 1) == -1)
        return size_of(call, x, axis);
    return rml_graph_reshape(call->make.graph, rml_coreml_cast(&call->make, k, RML_I64),
                             &(rml_shape){1, {1}}, call->make.name);
}

static void import_topk(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const int64_t axis = rml_mil_int(call, "axis", -1);
    const rml_op_attr attr = {
        .topk = {.axis = (int)axis, .smallest = rml_mil_flag(call, "ascending", false)}};
    const rml_dtype type = index_type(call, "output_indices_dtype");
    rml_mil_flag(call, "sort", true); // any order will do otherwise, so also the sorted one
    const bool indices = rml_mil_flag(call, "return_indices", true);
    const rml_value_id in[] = {x, call->make.refused ? RML_NO_VALUE : how_many(call, x, axis)};
    const rml_value_id first = rml_coreml_node(&call->make, RML_OP_TOPK, &attr, in, 2);
    if (first == RML_NO_VALUE)
        return;
    call->out[0] = first;
    if (indices)
        call->out[1] = rml_coreml_cast(&call->make, first + 1, type);
}

static void import_argsort(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const int64_t axis = rml_mil_int(call, "axis", -1);
    const rml_op_attr attr = {
        .topk = {.axis = (int)axis, .smallest = rml_mil_flag(call, "ascending", false)}};
    const rml_dtype type = index_type(call, "output_dtype");
    const rml_value_id in[] = {x, size_of(call, x, axis)};
    const rml_value_id first = rml_coreml_node(&call->make, RML_OP_TOPK, &attr, in, 2);
    if (first != RML_NO_VALUE)
        call->out[0] = rml_coreml_cast(&call->make, first + 1, type);
}

#define REDUCE(name, which)                                                                        \
    {                                                                                              \
        name, import_reduce, RML_REDUCE_##which                                                    \
    }

const rml_mil_entry rml_mil_reductions[] = {
    REDUCE("reduce_sum", SUM),         REDUCE("reduce_mean", MEAN),
    REDUCE("reduce_max", MAX),         REDUCE("reduce_min", MIN),
    REDUCE("reduce_prod", PROD),       REDUCE("reduce_l1_norm", L1),
    REDUCE("reduce_l2_norm", L2),      REDUCE("reduce_sum_square", SUM_SQUARE),
    REDUCE("reduce_log_sum", LOG_SUM), REDUCE("reduce_log_sum_exp", LOG_SUM_EXP),
    {"reduce_argmax", import_arg, 0},  {"reduce_argmin", import_arg, 1},
    {"cumsum", import_cumsum, 0},      {"topk", import_topk, 0},
    {"argsort", import_argsort, 0},    {0},
};
