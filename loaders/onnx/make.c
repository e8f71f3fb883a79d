#include "loaders/onnx/make.h"

#include "tensor/size.h"

#define MOST_INPUTS 8

void rml_onnx_emit(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr,
                   const rml_value_id *in, int in_count)
{
    if (call->refused)
        return;
    const rml_value_id first = rml_onnx_make(call, op, attr, in, in_count);
    const int outputs = rml_op_outputs(rml_op_get(op), attr);
    for (int k = 0; k < outputs && k < call->out_count && first != RML_NO_VALUE; k++)
        call->out[k] = first + (rml_value_id)k;
}

void rml_onnx_translate(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr, int in_count)
{
    rml_value_id in[MOST_INPUTS];
    for (int i = 0; i < in_count; i++)
        in[i] = rml_onnx_in(call, i);
    rml_onnx_emit(call, op, attr, in, in_count);
}

rml_value_id rml_onnx_make(rml_onnx_call *call, rml_op_id op, const rml_op_attr *attr,
                           const rml_value_id *in, int in_count)
{
    return rml_graph_node(call->graph, op, attr, in, in_count, call->name);
}

rml_value_id rml_onnx_unary(rml_onnx_call *call, rml_unary kind, rml_value_id x)
{
    return rml_graph_unary(call->graph, x, (rml_activation){.kind = kind}, call->name);
}

rml_value_id rml_onnx_binary(rml_onnx_call *call, rml_binary kind, rml_value_id a, rml_value_id b)
{
    return rml_graph_binary(call->graph, kind, a, b, call->name);
}

rml_value_id rml_onnx_add(rml_onnx_call *call, rml_value_id a, rml_value_id b)
{
    return rml_onnx_binary(call, RML_BINARY_ADD, a, b);
}

rml_value_id rml_onnx_multiply(rml_onnx_call *call, rml_value_id a, rml_value_id b)
{
    return rml_onnx_binary(call, RML_BINARY_MUL, a, b);
}

rml_value_id rml_onnx_choose(rml_onnx_call *call, rml_value_id which, rml_value_id a,
                             rml_value_id b)
{
    const rml_value_id in[] = {which, a, b};
    return rml_onnx_make(call, RML_OP_WHERE, NULL, in, 3);
}

rml_value_id rml_onnx_rows(rml_onnx_call *call, rml_value_id table, rml_value_id indices)
{
    const rml_value_id in[] = {table, indices};
    return rml_onnx_make(call, RML_OP_GATHER, &(rml_op_attr){.axis = {.axis = 0}}, in, 2);
}

rml_value_id rml_onnx_number_like(rml_onnx_call *call, rml_value_id x, double number)
{
    const rml_dtype dtype = x == RML_NO_VALUE ? RML_F32 : call->graph->values[x].dtype;
    return rml_onnx_scalar(call, dtype, number);
}

// Some dimensions of `x` in front of and behind what `between` says in their place. The sizes come
// from the value itself where they are not known, so that any of them may be 0.
static rml_value_id reshaped(rml_onnx_call *call, rml_value_id x, int rank, int keep, int skip,
                             const int64_t *between, size_t count)
{
    rml_graph *graph = call->graph;
    rml_value_id parts[3];
    int used = 0;
    const rml_value_id sizes = rml_graph_node(graph, RML_OP_SHAPE, NULL, &x, 1, call->name);
    if (keep > 0)
        parts[used++] = rml_graph_slice(graph, sizes, 0, 0, keep, 1, call->name);
    parts[used++] = rml_onnx_ints_value(call, between, count);
    if (keep + skip < rank)
        parts[used++] = rml_graph_slice(graph, sizes, 0, keep + skip, rank, 1, call->name);
    const rml_value_id in[] = {x, rml_graph_concat(graph, parts, used, 0, call->name)};
    return rml_graph_node(graph, RML_OP_RESHAPE, &(rml_op_attr){.reshape = {.keep_zero = true}}, in,
                          2, call->name);
}

rml_value_id rml_onnx_insert_dim(rml_onnx_call *call, rml_value_id x, int rank, int axis)
{
    const int64_t one = 1;
    return reshaped(call, x, rank, axis, 0, &one, 1);
}

rml_value_id rml_onnx_split_dim(rml_onnx_call *call, rml_value_id x, int rank, int axis,
                                int64_t parts)
{
    // The second size is what is left, so the value may not be empty: the known size serves it.
    const rml_value *value = x < call->graph->value_count ? &call->graph->values[x] : NULL;
    int64_t between[2] = {parts, -1};
    if (value && value->shape.rank == rank && value->shape.dim[axis] >= 0 && parts > 0)
        between[1] = value->shape.dim[axis] / parts;
    return reshaped(call, x, rank, axis, 1, between, 2);
}

rml_value_id rml_onnx_join_dims(rml_onnx_call *call, rml_value_id x, int rank, int axis)
{
    const rml_value *value = x < call->graph->value_count ? &call->graph->values[x] : NULL;
    int64_t between;
    if (!value || value->shape.rank != rank ||
        !rml_i64_mul(value->shape.dim[axis], value->shape.dim[axis + 1], &between))
        between = -1;
    return reshaped(call, x, rank, axis, 2, &between, 1);
}

rml_value_id rml_onnx_channels_to_end(rml_onnx_call *call, rml_value_id x, int rank)
{
    int order[RML_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        order[i] = i + 1 < rank ? i + 1 : 1;
    return rml_graph_transpose(call->graph, x, order, rank, call->name);
}

rml_value_id rml_onnx_channels_from_end(rml_onnx_call *call, rml_value_id x, int rank)
{
    int order[RML_MAX_RANK] = {0};
    for (int i = 1; i < rank; i++)
        order[i] = i == 1 ? rank - 1 : i - 1;
    return rml_graph_transpose(call->graph, x, order, rank, call->name);
}

rml_value_id rml_onnx_split_heads(rml_onnx_call *call, rml_value_id x, int64_t heads)
{
    static const int heads_first[4] = {0, 2, 1, 3};
    x = rml_onnx_split_dim(call, x, 3, 2, heads);
    return rml_graph_transpose(call->graph, x, heads_first, 4, call->name);
}

rml_value_id rml_onnx_with_past(rml_onnx_call *call, rml_value_id x, int64_t heads,
                                rml_value_id past, bool wanted)
{
    if (past == RML_NO_VALUE && !wanted)
        return x;
    if (heads > 0)
        x = rml_onnx_split_heads(call, x, heads);
    const rml_value_id both[] = {past, x};
    return past == RML_NO_VALUE ? x : rml_graph_concat(call->graph, both, 2, 2, call->name);
}
