#include "loaders/coreml/make.h"

#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void rml_coreml_refuse(rml_coreml_maker *make, const char *format, ...)
{
    if (make->refused)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(make->reason, RML_MESSAGE_BYTES, format, list);
    va_end(list);
    make->refused = true;
}

void rml_coreml_refuse_error(rml_coreml_maker *make, const rml_error *error)
{
    const bool misfit = error->status == RML_ERR_SHAPE || error->status == RML_ERR_FORMAT;
    make->misfit = make->misfit || (!make->refused && misfit);
    rml_coreml_refuse(make, "%s", error->message);
}

rml_status rml_coreml_take_error(rml_coreml_maker *make, rml_error *err)
{
    rml_graph *graph = make->graph;
    if (graph->error.status == RML_OK)
        return RML_OK;
    if (rml_status_is_final(graph->error.status))
        return rml_graph_finish(graph, err);
    rml_coreml_refuse_error(make, &graph->error);
    graph->error.status = RML_OK;
    return RML_OK;
}

void rml_coreml_keep_error(rml_coreml_maker *make, rml_status status, const rml_error *error)
{
    if (status == RML_OK)
        return;
    if (rml_status_is_final(status))
        rml_graph_fail(make->graph, status, "%s", error->message);
    rml_coreml_refuse(make, "%s", error->message);
}

// ---- looking ------------------------------------------------------------------------------------

rml_fact rml_coreml_fact(const rml_coreml_maker *make, rml_value_id value)
{
    if (value >= make->graph->value_count)
        return (rml_fact){.shape = {.rank = -1}};
    return rml_graph_fact(make->graph, value);
}

bool rml_coreml_known(const rml_coreml_maker *make, rml_value_id list, size_t index, int64_t *out)
{
    const rml_fact fact = rml_coreml_fact(make, list);
    size_t count;
    if (!fact.data || rml_dtype_is_float(fact.dtype) || fact.dtype == RML_BOOL ||
        !rml_shape_count(&fact.shape, &count) || index >= count)
        return false;
    const char *at = (const char *)fact.data + index * rml_dtype_size(fact.dtype);
    rml_dtype_convert(fact.dtype, at, RML_I64, out, 1);
    *out = rml_coreml_held(*out);
    return true;
}

int rml_coreml_rank(rml_coreml_maker *make, rml_value_id value)
{
    const int rank = rml_coreml_fact(make, value).shape.rank;
    if (rank >= 0)
        return rank;
    rml_coreml_refuse(make, "the rank of its input is not known");
    return 0;
}

int rml_coreml_axis_of(rml_coreml_maker *make, int64_t axis, int rank)
{
    if (axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    rml_coreml_refuse(make, "there is no axis %lld of %d", (long long)axis, rank);
    return 0;
}

// ---- nodes --------------------------------------------------------------------------------------

rml_value_id rml_coreml_node(rml_coreml_maker *make, rml_op_id op, const rml_op_attr *attr,
                             const rml_value_id *in, int in_count)
{
    static const rml_op_attr none;
    if (make->refused)
        return RML_NO_VALUE;
    return rml_graph_node(make->graph, op, attr ? attr : &none, in, in_count, make->name);
}

rml_value_id rml_coreml_unary(rml_coreml_maker *make, rml_unary kind, rml_value_id x, double p,
                              double q)
{
    const rml_op_attr attr = {.unary = {kind, {(float)p, (float)q}}};
    return rml_coreml_node(make, RML_OP_UNARY, &attr, &x, 1);
}

rml_value_id rml_coreml_binary(rml_coreml_maker *make, rml_binary kind, rml_value_id a,
                               rml_value_id b)
{
    return make->refused ? RML_NO_VALUE : rml_graph_binary(make->graph, kind, a, b, make->name);
}

rml_value_id rml_coreml_reduce(rml_coreml_maker *make, rml_reduce_kind kind, rml_value_id x,
                               const int *axes, int count, bool keep)
{
    rml_op_attr attr = {.reduce = {.kind = kind, .axis_count = count, .keep = keep}};
    for (int i = 0; i < count; i++)
        attr.reduce.axes[i] = axes[i];
    return rml_coreml_node(make, RML_OP_REDUCE, &attr, &x, 1);
}

rml_value_id rml_coreml_cast(rml_coreml_maker *make, rml_value_id value, rml_dtype to)
{
    if (make->refused || rml_coreml_fact(make, value).dtype == to)
        return value;
    return rml_coreml_node(make, RML_OP_CAST, &(rml_op_attr){.cast = {.to = to}}, &value, 1);
}

rml_value_id rml_coreml_reshape(rml_coreml_maker *make, rml_value_id x, const rml_shape *shape)
{
    return make->refused ? RML_NO_VALUE : rml_graph_reshape(make->graph, x, shape, make->name);
}

rml_value_id rml_coreml_sizes(rml_coreml_maker *make, rml_value_id x)
{
    return rml_coreml_node(make, RML_OP_SHAPE, NULL, &x, 1);
}

rml_value_id rml_coreml_own(rml_graph *graph, rml_value_id value, const char *name)
{
    if (value >= graph->value_count || graph->values[value].kind == RML_VALUE_ACTIVATION)
        return value;
    const rml_op_attr same = {.cast = {.to = graph->values[value].dtype}};
    return rml_graph_node(graph, RML_OP_CAST, &same, &value, 1, name);
}

// ---- constants ----------------------------------------------------------------------------------

void *rml_coreml_alloc(rml_coreml_maker *make, size_t count, size_t element_bytes)
{
    void *memory = rml_arena_alloc(&make->graph->arena, count, element_bytes);
    if (!memory)
        rml_graph_fail(make->graph, RML_ERR_NOMEM, "out of memory: %zu elements of %zu bytes",
                       count, element_bytes);
    return memory;
}

static rml_value_id constant(rml_coreml_maker *make, const void *data, rml_dtype dtype,
                             const rml_shape *shape)
{
    if (make->refused || !data)
        return RML_NO_VALUE;
    const rml_stored stored = rml_stored_plain(data, dtype, shape);
    return rml_graph_typed_constant(make->graph, make->name, &stored);
}

rml_value_id rml_coreml_ints(rml_coreml_maker *make, const int64_t *values, int count)
{
    int64_t *data = rml_coreml_alloc(make, (size_t)count + 1, sizeof *data);
    if (data && count > 0)
        memcpy(data, values, (size_t)count * sizeof *data);
    return constant(make, data, RML_I64, &(rml_shape){1, {count}});
}

rml_value_id rml_coreml_floats(rml_coreml_maker *make, const float *values, const rml_shape *shape)
{
    return constant(make, values, RML_F32, shape);
}

rml_value_id rml_coreml_number(rml_coreml_maker *make, double value, rml_dtype dtype)
{
    float *single = dtype == RML_F32 ? rml_coreml_alloc(make, 1, sizeof *single) : NULL;
    double *wide = dtype == RML_F32 ? NULL : rml_coreml_alloc(make, 1, sizeof *wide);
    if (single)
        *single = (float)value;
    if (wide)
        *wide = value;
    return single ? constant(make, single, RML_F32, &(rml_shape){0})
                  : rml_coreml_cast(make, constant(make, wide, RML_F64, &(rml_shape){0}), dtype);
}

rml_value_id rml_coreml_number_like(rml_coreml_maker *make, rml_value_id like, double value)
{
    return rml_coreml_number(make, value, rml_coreml_fact(make, like).dtype);
}

// ---- dimensions ---------------------------------------------------------------------------------

rml_value_id rml_coreml_insert_dims(rml_coreml_maker *make, rml_value_id x, const int64_t *axes,
                                    int count)
{
    const rml_value_id in[] = {x, rml_coreml_ints(make, axes, count)};
    return rml_coreml_node(make, RML_OP_UNSQUEEZE, NULL, in, 2);
}

// The sizes of the others come from the value itself where they are not known.
rml_value_id rml_coreml_join_dims(rml_coreml_maker *make, rml_value_id x, int axis)
{
    const int rank = rml_coreml_rank(make, x);
    const int64_t left = -1;
    rml_value_id parts[3];
    int used = 0;
    if (make->refused)
        return RML_NO_VALUE;
    const rml_value_id sizes = rml_coreml_sizes(make, x);
    if (axis > 0)
        parts[used++] = rml_graph_slice(make->graph, sizes, 0, 0, axis, 1, make->name);
    parts[used++] = rml_coreml_ints(make, &left, 1);
    if (axis + 2 < rank)
        parts[used++] = rml_graph_slice(make->graph, sizes, 0, axis + 2, rank, 1, make->name);
    const rml_value_id in[] = {x, rml_graph_concat(make->graph, parts, used, 0, make->name)};
    const rml_op_attr attr = {.reshape = {.keep_zero = true}};
    return rml_coreml_node(make, RML_OP_RESHAPE, &attr, in, 2);
}

// Each with a new dimension at `axis` of it, side by side there.
rml_value_id rml_coreml_stack(rml_coreml_maker *make, const rml_value_id *in, int count, int axis)
{
    const int64_t at = axis;
    rml_value_id *with = rml_coreml_alloc(make, (size_t)count + 1, sizeof *with);
    for (int i = 0; i < count && with; i++)
        with[i] = rml_coreml_insert_dims(make, in[i], &at, 1);
    return make->refused || !with ? RML_NO_VALUE
                                  : rml_graph_concat(make->graph, with, count, axis, make->name);
}

rml_value_id rml_coreml_concat(rml_coreml_maker *make, const rml_value_id *in, int count, int axis,
                               bool alternate)
{
    if (alternate)
        return rml_coreml_join_dims(make, rml_coreml_stack(make, in, count, axis + 1), axis);
    return make->refused ? RML_NO_VALUE
                         : rml_graph_concat(make->graph, in, count, axis, make->name);
}

// ---- norms --------------------------------------------------------------------------------------

rml_value_id rml_coreml_normalise(rml_coreml_maker *make, rml_value_id x, const int *axes,
                                  int count, double eps, bool scale)
{
    const rml_value_id centred = rml_coreml_binary(
        make, RML_BINARY_SUB, x, rml_coreml_reduce(make, RML_REDUCE_MEAN, x, axes, count, true));
    if (!scale)
        return centred;
    const rml_value_id variance = rml_coreml_reduce(
        make, RML_REDUCE_MEAN, rml_coreml_binary(make, RML_BINARY_MUL, centred, centred), axes,
        count, true);
    const rml_value_id raised = rml_coreml_binary(make, RML_BINARY_ADD, variance,
                                                  rml_coreml_number_like(make, variance, eps));
    return rml_coreml_binary(make, RML_BINARY_DIV, centred,
                             rml_coreml_unary(make, RML_UNARY_SQRT, raised, 0, 0));
}

rml_value_id rml_coreml_l2_norm(rml_coreml_maker *make, rml_value_id x, double eps)
{
    static const int axes[] = {-3, -2, -1};
    const rml_value_id sum = rml_coreml_reduce(make, RML_REDUCE_SUM_SQUARE, x, axes, 3, true);
    const rml_value_id raised =
        rml_coreml_binary(make, RML_BINARY_ADD, sum, rml_coreml_number_like(make, sum, eps));
    return rml_coreml_binary(make, RML_BINARY_DIV, x,
                             rml_coreml_unary(make, RML_UNARY_SQRT, raised, 0, 0));
}

rml_value_id rml_coreml_thresholded_relu(rml_coreml_maker *make, rml_value_id x, double alpha)
{
    const rml_value_id least = rml_coreml_number_like(make, x, alpha);
    const rml_value_id in[] = {rml_coreml_binary(make, RML_BINARY_GREATER_EQUAL, x, least), x,
                               rml_coreml_number_like(make, x, 0)};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}
