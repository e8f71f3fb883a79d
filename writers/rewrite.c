// What rewrites make their nodes with.
#include "writers/rewrite.h"

#include "tensor/dtype.h"

#include <stdio.h>
#include <string.h>

static const char *joined(rml_lowering *l, const char *name, const char *part)
{
    char text[512];
    snprintf(text, sizeof text, "%.400s_%s", name, part);
    const char *copy = rml_arena_text(&l->to->arena, text);
    if (!copy)
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a name");
    return copy ? copy : "";
}

const char *rml_part_name(rml_lowering *l, const rml_node *node, const char *part)
{
    return joined(l, node->name, part);
}

rml_shape rml_lowered_shape(const rml_lowering *l, rml_value_id id)
{
    return id < l->to->value_count ? l->to->values[id].shape
                                   : (rml_shape){.rank = RML_RANK_UNKNOWN};
}

rml_value_id rml_lower_unary(rml_lowering *l, rml_unary kind, rml_value_id x, const char *name)
{
    const rml_op_attr attr = {.unary = {.kind = kind}};
    return rml_lower_node(l, RML_OP_UNARY, &attr, &x, 1, name);
}

rml_value_id rml_lower_binary(rml_lowering *l, rml_binary kind, rml_value_id a, rml_value_id b,
                              const char *name)
{
    const rml_op_attr attr = {.binary = {kind, rml_activation_none()}};
    const rml_value_id in[2] = {a, b};
    return rml_lower_node(l, RML_OP_BINARY, &attr, in, 2, name);
}

static rml_value_id constant(rml_lowering *l, rml_dtype dtype, const rml_shape *shape,
                             rml_dtype from, const void *elements, size_t count, const char *name)
{
    void *copy = rml_arena_alloc(&l->to->arena, count ? count : 1, rml_dtype_size(dtype));
    if (!copy)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a constant");
    rml_dtype_convert(from, elements, dtype, copy, count);
    const rml_stored stored = rml_stored_plain(copy, dtype, shape);
    return rml_graph_typed_constant(l->to, name, &stored);
}

rml_value_id rml_lower_number(rml_lowering *l, rml_value_id like, double number, const char *name)
{
    const rml_dtype dtype = like < l->to->value_count ? l->to->values[like].dtype : RML_F32;
    return constant(l, dtype, &(rml_shape){0}, RML_F64, &number, 1, name);
}

rml_value_id rml_lower_ints(rml_lowering *l, const int64_t *values, size_t count, const char *name)
{
    return constant(l, RML_I64, &(rml_shape){1, {(int64_t)count}}, RML_I64, values, count, name);
}

rml_value_id rml_lower_by_number(rml_lowering *l, rml_binary kind, rml_value_id a, double number,
                                 const char *name)
{
    return rml_lower_binary(l, kind, a, rml_lower_number(l, a, number, joined(l, name, "number")),
                            name);
}

rml_value_id rml_lower_reshape(rml_lowering *l, rml_value_id x, const rml_shape *shape,
                               const char *name)
{
    const rml_op_attr attr = {.reshape = {.shape = *shape}};
    return rml_lower_node(l, RML_OP_RESHAPE, &attr, &x, 1, name);
}

// As few sizes as can be are left to the run: one that is not known is what is left.
rml_value_id rml_lower_reshape_like(rml_lowering *l, rml_value_id x, rml_value_id like,
                                    const char *name)
{
    const rml_shape shape = rml_lowered_shape(l, like);
    int unknown = 0;
    bool empty = false;
    for (int i = 0; i < shape.rank; i++) {
        unknown += shape.dim[i] < 0;
        empty = empty || shape.dim[i] == 0;
    }
    if (shape.rank >= 0 && unknown <= 1 && !empty)
        return rml_lower_reshape(l, x, &shape, name);
    const rml_value_id in[2] = {
        x, rml_lower_node(l, RML_OP_SHAPE, NULL, &like, 1, joined(l, name, "shape"))};
    return rml_lower_node(l, RML_OP_RESHAPE, NULL, in, 2, name);
}

rml_value_id rml_lower_transpose(rml_lowering *l, rml_value_id x, const int *order, int rank,
                                 const char *name)
{
    rml_op_attr attr = {.transpose = {.rank = rank}};
    for (int i = 0; i < rank; i++)
        attr.transpose.order[i] = order[i];
    return rml_lower_node(l, RML_OP_TRANSPOSE, &attr, &x, 1, name);
}

rml_value_id rml_lower_reduce(rml_lowering *l, rml_reduce_kind kind, rml_value_id x,
                              const int *axes, int count, const char *name)
{
    rml_op_attr attr = {.reduce = {.kind = kind, .axis_count = count, .keep = true}};
    for (int i = 0; i < count; i++)
        attr.reduce.axes[i] = axes[i];
    return rml_lower_node(l, RML_OP_REDUCE, &attr, &x, 1, name);
}

rml_value_id rml_lower_slice(rml_lowering *l, rml_value_id x, int axis, int64_t start, int64_t stop,
                             const char *name)
{
    const rml_op_attr attr = {.slice = {axis, start, stop, 1}};
    return rml_lower_node(l, RML_OP_SLICE, &attr, &x, 1, name);
}

rml_value_id rml_lower_sizes(rml_lowering *l, rml_value_id x, int start, int stop, const char *name)
{
    const rml_value_id all = rml_lower_node(l, RML_OP_SHAPE, NULL, &x, 1, joined(l, name, "all"));
    return rml_lower_slice(l, all, 0, start, stop, name);
}

const char *rml_lowered_name(const rml_lowering *l, rml_value_id id, const char *name)
{
    const bool is_weight = id < l->to->value_count && l->to->values[id].kind == RML_VALUE_CONSTANT;
    return is_weight ? l->to->values[id].name : name;
}

rml_value_id rml_lower_by_channel(rml_lowering *l, rml_value_id x, int rank, const char *name)
{
    rml_shape shape = {rank - 1, {-1, 1, 1, 1, 1, 1, 1, 1}};
    return rank <= 2 ? x : rml_lower_reshape(l, x, &shape, rml_lowered_name(l, x, name));
}
