// Builder calls that several families of handlers share.
#include "loaders/coreml/mil_handler.h"

#include "tensor/dtype.h"

#include <string.h>

rml_value_id rml_mil_node(rml_mil_call *call, rml_op_id op, const rml_op_attr *attr,
                          const rml_value_id *in, int in_count)
{
    static const rml_op_attr none;
    if (call->refused)
        return RML_NO_VALUE;
    return rml_graph_node(call->graph, op, attr ? attr : &none, in, in_count, call->name);
}

rml_value_id rml_mil_unary(rml_mil_call *call, rml_unary kind, rml_value_id x, double p, double q)
{
    const rml_op_attr attr = {.unary = {kind, {(float)p, (float)q}}};
    return rml_mil_node(call, RML_OP_UNARY, &attr, &x, 1);
}

rml_value_id rml_mil_binary(rml_mil_call *call, rml_binary kind, rml_value_id a, rml_value_id b)
{
    return call->refused ? RML_NO_VALUE : rml_graph_binary(call->graph, kind, a, b, call->name);
}

rml_value_id rml_mil_reduce(rml_mil_call *call, rml_reduce_kind kind, rml_value_id x,
                            const int *axes, int count, bool keep)
{
    rml_op_attr attr = {.reduce = {.kind = kind, .axis_count = count, .keep = keep}};
    for (int i = 0; i < count; i++)
        attr.reduce.axes[i] = axes[i];
    return rml_mil_node(call, RML_OP_REDUCE, &attr, &x, 1);
}

rml_value_id rml_mil_cast(rml_mil_call *call, rml_value_id value, rml_dtype to)
{
    if (call->refused || value >= call->graph->value_count ||
        call->graph->values[value].dtype == to)
        return value;
    return rml_mil_node(call, RML_OP_CAST, &(rml_op_attr){.cast = {.to = to}}, &value, 1);
}

// ---- constants ----------------------------------------------------------------------------------

void *rml_mil_alloc(rml_mil_call *call, size_t count, size_t element_bytes)
{
    void *memory = rml_arena_alloc(&call->graph->arena, count, element_bytes);
    if (!memory)
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory: %zu elements of %zu bytes",
                       count, element_bytes);
    return memory;
}

static rml_value_id constant(rml_mil_call *call, const void *data, rml_dtype dtype,
                             const rml_shape *shape)
{
    if (call->refused || !data)
        return RML_NO_VALUE;
    const rml_stored stored = rml_stored_plain(data, dtype, shape);
    return rml_graph_typed_constant(call->graph, call->name, &stored);
}

rml_value_id rml_mil_ints_value(rml_mil_call *call, const int64_t *values, int count)
{
    int64_t *data = rml_mil_alloc(call, (size_t)count + 1, sizeof *data);
    if (data && count > 0)
        memcpy(data, values, (size_t)count * sizeof *data);
    return constant(call, data, RML_I64, &(rml_shape){1, {count}});
}

rml_value_id rml_mil_floats(rml_mil_call *call, const float *values, const rml_shape *shape)
{
    return constant(call, values, RML_F32, shape);
}

rml_value_id rml_mil_scalar(rml_mil_call *call, double value, rml_dtype dtype)
{
    double *data = rml_mil_alloc(call, 1, sizeof *data);
    if (!data)
        return RML_NO_VALUE;
    *data = value;
    return rml_mil_cast(call, constant(call, data, RML_F64, &(rml_shape){0}), dtype);
}

rml_value_id rml_mil_number_like(rml_mil_call *call, rml_value_id like, double value)
{
    return rml_mil_scalar(call, value, rml_mil_fact(call, like).dtype);
}

// ---- dimensions ---------------------------------------------------------------------------------

int rml_mil_rank(rml_mil_call *call, rml_value_id value)
{
    const int rank = rml_mil_fact(call, value).shape.rank;
    if (rank >= 0)
        return rank;
    rml_mil_refuse(call, "the rank of its input is not known");
    return 0;
}

int rml_mil_axis_of(rml_mil_call *call, int64_t axis, int rank)
{
    if (axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    rml_mil_refuse(call, "there is no axis %lld of %d", (long long)axis, rank);
    return 0;
}

rml_value_id rml_mil_per_channel(rml_mil_call *call, rml_value_id vector, int rank)
{
    rml_shape shape = {.rank = rank > 1 ? rank - 1 : 1, .dim = {-1}};
    for (int i = 1; i < shape.rank; i++)
        shape.dim[i] = 1;
    if (call->refused || rml_mil_fact(call, vector).shape.rank == 0)
        return vector;
    return rml_graph_reshape(call->graph, vector, &shape, call->name);
}

// `x` with the dimensions [axis, axis + skip) replaced by `between`; a -1 in it is what is left.
// The sizes of the others come from the value itself where they are not known.
static rml_value_id reshaped(rml_mil_call *call, rml_value_id x, int axis, int skip,
                             const int64_t *between, int count)
{
    const int rank = rml_mil_rank(call, x);
    rml_value_id parts[3];
    int used = 0;
    if (call->refused)
        return RML_NO_VALUE;
    const rml_value_id sizes = rml_mil_node(call, RML_OP_SHAPE, NULL, &x, 1);
    if (axis > 0)
        parts[used++] = rml_graph_slice(call->graph, sizes, 0, 0, axis, 1, call->name);
    if (count > 0)
        parts[used++] = rml_mil_ints_value(call, between, count);
    if (axis + skip < rank)
        parts[used++] = rml_graph_slice(call->graph, sizes, 0, axis + skip, rank, 1, call->name);
    const rml_value_id in[] = {x, rml_graph_concat(call->graph, parts, used, 0, call->name)};
    const rml_op_attr attr = {.reshape = {.keep_zero = true}};
    return rml_mil_node(call, RML_OP_RESHAPE, &attr, in, 2);
}

rml_value_id rml_mil_split_dim(rml_mil_call *call, rml_value_id x, int axis, int64_t part)
{
    const int64_t size = rml_mil_fact(call, x).shape.dim[axis];
    const int64_t between[] = {size >= 0 && part > 0 ? size / part : -1, part};
    return reshaped(call, x, axis, 1, between, 2);
}

rml_value_id rml_mil_join_dims(rml_mil_call *call, rml_value_id x, int axis)
{
    const int64_t left = -1;
    return reshaped(call, x, axis, 2, &left, 1);
}

rml_value_id rml_mil_insert_dims(rml_mil_call *call, rml_value_id x, const int64_t *axes, int count)
{
    const rml_value_id in[] = {x, rml_mil_ints_value(call, axes, count)};
    return rml_mil_node(call, RML_OP_UNSQUEEZE, NULL, in, 2);
}
