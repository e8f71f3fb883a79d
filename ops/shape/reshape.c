// Operators that give the elements of their first input in the same order: reshape, squeeze,
// unsqueeze, flatten, bitcast.
#include "ops/index/list.h"

#include <string.h>

static void run_same(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const size_t bytes = rml_tensor_bytes(in);
    if (out->raw != in->raw && bytes)
        memcpy(out->raw, in->raw, bytes);
}

static const rml_algorithm same_algorithms[] = {{.name = "copy", .run = run_same}};

// ---- reshape ------------------------------------------------------------------------------------

// The target: of the attribute, or the elements of the second input. False: not known yet.
static bool reshape_target(const rml_reshape_attr *attr, const rml_list *list, rml_shape *target)
{
    *target = attr->shape;
    if (!list->given)
        return true;
    target->rank = list->count < 0 ? RML_RANK_UNKNOWN : list->count;
    for (int i = 0; i < target->rank; i++)
        target->dim[i] = list->known ? list->at[i] : -1;
    return list->known;
}

// Dimensions of 0 and the place of -1, which is left as it is.
static rml_status reshape_dims(const rml_reshape_attr *attr, const rml_shape *from, rml_shape *out,
                               int *rest, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const rml_shape target = *out;
    *rest = -1;
    for (int i = 0; i < out->rank; i++) {
        if (out->dim[i] == 0 && !attr->keep_zero)
            out->dim[i] = i < from->rank ? from->dim[i] : from->rank < 0 ? -1 : 0;
        else if (out->dim[i] == -1 && *rest < 0)
            *rest = i;
        else if (out->dim[i] < 0)
            return rml_fail(err, RML_ERR_SHAPE, "target shape %s is not valid",
                            rml_shape_text(&target, text));
    }
    return RML_OK;
}

static rml_status infer_reshape(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *from = &node->in[0].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    rml_shape target;
    rml_list list;
    int rest;
    RML_TRY(rml_list_infer(node, 1, "target sizes", &list, err));
    if (list.count > RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "a target of %d dimensions, at most %d", list.count,
                        RML_MAX_RANK);
    const bool known = reshape_target(&node->attr->reshape, &list, &target);
    *out = target;
    if (!known)
        return RML_OK;
    RML_TRY(reshape_dims(&node->attr->reshape, from, out, &rest, err));
    if (!rml_shape_known(from))
        return RML_OK;
    size_t have, want = 1;
    rml_shape given = *from, sizes = *out;
    if (rest >= 0)
        sizes.dim[rest] = 1;
    // What is copied says nothing about the rest, and may be 0.
    for (int i = 0;
         i < target.rank && i < from->rank && rest >= 0 && !node->attr->reshape.keep_zero; i++)
        if (target.dim[i] == 0)
            given.dim[i] = sizes.dim[i] = 1;
    bool fits = rml_shape_count(&given, &have) && rml_shape_count(&sizes, &want);
    if (fits && rest >= 0) {
        fits = want > 0 && have % want == 0;
        out->dim[rest] = fits ? (int64_t)(have / want) : -1;
    } else if (fits) {
        fits = have == want;
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input %s cannot take shape %s",
                        rml_shape_text(from, a), rml_shape_text(&target, b));
    return RML_OK;
}

// ---- squeeze: without axes, all dimensions of size 1 go ----------------------------------------

static void squeeze_all(const rml_shape *from, rml_shape *out)
{
    for (int i = 0; i < from->rank; i++)
        if (from->dim[i] != 1)
            out->dim[out->rank++] = from->dim[i];
    if (!rml_shape_known(from)) // what is not known may be 1
        out->rank = RML_RANK_UNKNOWN;
}

static rml_status infer_squeeze(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *from = &node->in[0].shape;
    rml_list axes;
    bool goes[RML_MAX_RANK] = {false};
    RML_TRY(rml_list_infer(node, 1, "axes", &axes, err));
    *out = (rml_shape){0};
    if (from->rank < 0 || axes.count < 0) {
        out->rank = RML_RANK_UNKNOWN;
        return RML_OK;
    }
    if (!axes.given) {
        squeeze_all(from, out);
        return RML_OK;
    }
    RML_TRY(rml_list_axes(&axes, from->rank, err));
    if (axes.count > from->rank)
        return rml_fail(err, RML_ERR_SHAPE, "%d axes of %d dimensions", axes.count, from->rank);
    if (!axes.known) {
        for (int i = axes.count; i < from->rank; i++)
            out->dim[out->rank++] = -1;
        return RML_OK;
    }
    for (int i = 0; i < axes.count; i++) {
        char text[RML_SHAPE_TEXT_BYTES];
        const int64_t axis = axes.at[i];
        if (from->dim[axis] != 1 && from->dim[axis] >= 0)
            return rml_fail(err, RML_ERR_SHAPE, "axis %d of input %s has not size 1", (int)axis,
                            rml_shape_text(from, text));
        goes[axis] = true;
    }
    for (int i = 0; i < from->rank; i++)
        if (!goes[i])
            out->dim[out->rank++] = from->dim[i];
    return RML_OK;
}

// ---- unsqueeze: axes are those of the output ---------------------------------------------------

static rml_status infer_unsqueeze(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *from = &node->in[0].shape;
    rml_list axes;
    RML_TRY(rml_list_infer(node, 1, "axes", &axes, err));
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (from->rank < 0 || axes.count < 0)
        return RML_OK;
    const int rank = from->rank + axes.count;
    if (rank > RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "an output of %d dimensions, at most %d", rank,
                        RML_MAX_RANK);
    RML_TRY(rml_list_axes(&axes, rank, err));
    out->rank = rank;
    for (int i = 0; i < rank; i++)
        out->dim[i] = -1;
    if (!axes.known)
        return RML_OK;
    for (int i = 0; i < axes.count; i++)
        out->dim[axes.at[i]] = 1;
    for (int i = 0, at = 0; i < rank; i++)
        if (out->dim[i] < 0)
            out->dim[i] = from->dim[at++];
    return RML_OK;
}

// ---- flatten: two dimensions, cut in front of the axis -----------------------------------------

static rml_status infer_flatten(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *from = &node->in[0].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t axis = node->attr->axis.axis;
    *out = (rml_shape){2, {-1, -1}};
    if (from->rank < 0)
        return RML_OK;
    if (axis < -from->rank || axis > from->rank)
        return rml_fail(err, RML_ERR_SHAPE, "input %s cannot be flattened around axis %lld",
                        rml_shape_text(from, text), (long long)axis);
    if (axis < 0)
        axis += from->rank;
    out->dim[0] = out->dim[1] = 1;
    for (int i = 0; i < from->rank; i++)
        RML_TRY(rml_dim_mul(out->dim[i >= axis], from->dim[i], &out->dim[i >= axis], err));
    return RML_OK;
}

// ---- bitcast: the same bytes as elements of another type of their size -------------------------

static rml_status types_bitcast(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    if (rml_dtype_size(node->in[0].dtype) != rml_dtype_size(node->attr->cast.to))
        return rml_fail(err, RML_ERR_SHAPE, "%s and %s are not of one size",
                        rml_dtype_name(node->in[0].dtype), rml_dtype_name(node->attr->cast.to));
    *out = node->attr->cast.to;
    return RML_OK;
}

const rml_op rml_op_bitcast = {.id = RML_OP_BITCAST,
                               .name = "bitcast",
                               .inputs = {1, 1},
                               .types = types_bitcast,
                               .infer = rml_infer_same,
                               .algorithms = same_algorithms};

// ---- tables -------------------------------------------------------------------------------------

#define SAME(upper, lower, least, most)                                                            \
    const rml_op rml_op_##lower = {.id = RML_OP_##upper,                                           \
                                   .name = #lower,                                                 \
                                   .inputs = {least, most},                                        \
                                   .in_place = true,                                               \
                                   .keeps_memory = true,                                           \
                                   .signature = "*i>0",                                            \
                                   .infer_values = infer_##lower,                                  \
                                   .algorithms = same_algorithms}

SAME(RESHAPE, reshape, 1, 2);
SAME(SQUEEZE, squeeze, 1, 2);
SAME(UNSQUEEZE, unsqueeze, 2, 2);
SAME(FLATTEN, flatten, 1, 1);
