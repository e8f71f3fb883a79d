#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

static void read(rml_list *list, const void *data, rml_dtype dtype)
{
    list->known = true;
    for (int i = 0; i < list->count; i++)
        list->at[i] = rml_index_at(data, dtype, (size_t)i);
}

rml_status rml_list_infer(const rml_op_node *node, int index, const char *what, rml_list *list,
                          rml_error *err)
{
    *list = (rml_list){0};
    if (!rml_op_given(node, index))
        return RML_OK;
    const rml_fact *fact = &node->in[index];
    list->given = true;
    list->count = -1;
    if (fact->shape.rank == RML_RANK_UNKNOWN)
        return RML_OK;
    const int64_t count = fact->shape.rank ? fact->shape.dim[0] : 1;
    if (fact->shape.rank > 1 || count > RML_LIST_MAX) {
        char text[RML_SHAPE_TEXT_BYTES];
        return rml_fail(err, RML_ERR_SHAPE, "%s have shape %s, expected a list of at most %d", what,
                        rml_shape_text(&fact->shape, text), RML_LIST_MAX);
    }
    list->count = count < 0 ? -1 : (int)count; // unknown sizes may have numbers of their own
    if (fact->data)
        read(list, fact->data, fact->dtype);
    return RML_OK;
}

rml_list rml_list_read(const rml_op_args *args, int index)
{
    rml_list list = {0};
    const rml_tensor *in = rml_op_input(args, index);
    if (!in)
        return list;
    list.given = true;
    list.count = in->rank ? (int)in->dim[0] : 1;
    read(&list, in->raw, in->dtype);
    return list;
}

int rml_axis_of(int64_t axis, int rank)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return -1;
    return (int)(axis < 0 ? axis + rank : axis);
}

rml_status rml_axis_check(int64_t axis, const rml_shape *shape, int *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    *out = rml_axis_of(axis, shape->rank);
    if (*out < 0)
        return rml_fail(err, RML_ERR_SHAPE, "axis %lld is not one of input %s", (long long)axis,
                        rml_shape_text(shape, text));
    return RML_OK;
}

rml_status rml_list_axes(rml_list *list, int rank, rml_error *err)
{
    unsigned seen = 0;
    for (int i = 0; i < list->count && list->known; i++) {
        const int axis = rml_axis_of(list->at[i], rank);
        if (axis < 0)
            return rml_fail(err, RML_ERR_SHAPE, "axis %lld is not one of %d dimensions",
                            (long long)list->at[i], rank);
        if (seen & 1u << axis)
            return rml_fail(err, RML_ERR_SHAPE, "axis %d is given twice", axis);
        seen |= 1u << axis;
        list->at[i] = axis;
    }
    return RML_OK;
}

#define FIT(type)                                                                                  \
    for (size_t i = 0; i < count; i++)                                                             \
    outside |= ((const type *)indices->data)[i] < least || ((const type *)indices->data)[i] >= size

// Whether all of one dimension's lie in it: a loop that leaves who does not to the caller.
static bool fit_all(const rml_fact *indices, int64_t least, int64_t size, size_t count)
{
    bool outside = false;
    if (indices->dtype == RML_I64)
        FIT(int64_t);
    else
        FIT(int32_t);
    return !outside || size < 0;
}

rml_status rml_indices_check(const rml_fact *indices, const rml_shape *data, int first, int depth,
                             bool from_front, rml_error *err)
{
    const int64_t ends = from_front ? 0 : -1; // times the size: the least index
    size_t count;
    if (!indices->data || depth < 1 || !rml_shape_count(&indices->shape, &count))
        return RML_OK;
    for (size_t i = depth == 1 && fit_all(indices, ends * data->dim[first], data->dim[first], count)
                        ? count
                        : 0;
         i < count; i++) {
        const int axis = first + (int)(i % (size_t)depth);
        const int64_t index = rml_index_at(indices->data, indices->dtype, i);
        if (data->dim[axis] >= 0 && (index < ends * data->dim[axis] || index >= data->dim[axis]))
            return rml_fail(err, RML_ERR_SHAPE, "index %lld is outside of axis %d of size %lld",
                            (long long)index, axis, (long long)data->dim[axis]);
    }
    return RML_OK;
}

bool rml_scalar_known(const rml_op_node *node, int index, int64_t *value)
{
    if (index >= node->in_count || node->in[index].shape.rank < 0 || !node->in[index].data)
        return false;
    rml_dtype_convert(node->in[index].dtype, node->in[index].data, RML_I64, value, 1);
    return true;
}

rml_status rml_scalar_check(const rml_op_node *node, int index, const char *what, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    for (int i = 0; index < node->in_count && i < node->in[index].shape.rank; i++)
        if (node->in[index].shape.dim[i] != 1 && node->in[index].shape.dim[i] >= 0)
            return rml_fail(err, RML_ERR_SHAPE, "the %s has shape %s, expected one number", what,
                            rml_shape_text(&node->in[index].shape, text));
    return RML_OK;
}

rml_status rml_dim_mul(int64_t a, int64_t b, int64_t *out, rml_error *err)
{
    *out = -1;
    if (a >= 0 && b >= 0 && !rml_i64_mul(a, b, out))
        return rml_fail(err, RML_ERR_LIMIT, "a size of %lld times %lld is too large", (long long)a,
                        (long long)b);
    return RML_OK;
}

rml_status rml_dim_add(int64_t a, int64_t b, int64_t *out, rml_error *err)
{
    *out = -1;
    if (a < 0 || b < 0)
        return RML_OK;
    if (a > INT64_MAX - b)
        return rml_fail(err, RML_ERR_LIMIT, "a size of %lld and %lld is too large", (long long)a,
                        (long long)b);
    *out = a + b;
    return RML_OK;
}
