// Indices, depth, (off, on): a new axis with `on` at the index; one out of range is nowhere on.
#include "ops/index/list.h"

#include <string.h>

static rml_status infer_one_hot(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *indices = &node->in[0].shape, *values = &node->in[2].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t depth = -1;
    RML_TRY(rml_scalar_check(node, 1, "depth", err));
    if (values->rank >= 0 && (values->rank != 1 || (values->dim[0] >= 0 && values->dim[0] != 2)))
        return rml_fail(err, RML_ERR_SHAPE, "the values have shape %s, expected two",
                        rml_shape_text(values, text));
    if (rml_scalar_known(node, 1, &depth) && depth < 0)
        return rml_fail(err, RML_ERR_SHAPE, "depth %lld is negative", (long long)depth);
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (indices->rank < 0)
        return RML_OK;
    if (indices->rank == RML_MAX_RANK)
        return rml_fail(err, RML_ERR_LIMIT, "an output of more than %d dimensions", RML_MAX_RANK);
    const int axis = rml_axis_of(node->attr->axis.axis, indices->rank + 1);
    if (axis < 0)
        return rml_fail(err, RML_ERR_SHAPE, "axis %lld is not one of %d dimensions",
                        (long long)node->attr->axis.axis, indices->rank + 1);
    out->rank = indices->rank + 1;
    for (int i = 0; i < out->rank; i++)
        out->dim[i] = i == axis ? depth : indices->dim[i - (i > axis)];
    return RML_OK;
}

// Items: what is in front of the axis.
static void one_hot_part(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *indices = &args->in[0], *out = &args->out[0];
    const int axis = rml_axis_of(args->attr->axis.axis, out->rank);
    const size_t bytes = rml_dtype_size(out->dtype), inner = (size_t)out->stride[axis];
    const int64_t depth = out->dim[axis];
    const char *off = args->in[2].raw, *on = off + bytes;
    for (size_t o = begin; o < end; o++) {
        char *dst = (char *)out->raw + o * (size_t)depth * inner * bytes;
        for (size_t i = 0; i < (size_t)depth * inner; i++)
            memcpy(dst + i * bytes, off, bytes);
        for (size_t i = 0; i < inner; i++) {
            const size_t at = o * inner + i;
            int64_t index;
            rml_dtype_convert(indices->dtype,
                              (const char *)indices->raw + at * rml_dtype_size(indices->dtype),
                              RML_I64, &index, 1);
            index += index < 0 ? depth : 0;
            if (index >= 0 && index < depth)
                memcpy(dst + ((size_t)index * inner + i) * bytes, on, bytes);
        }
    }
}

static void run_one_hot(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    const int axis = rml_axis_of(args->attr->axis.axis, out->rank);
    const size_t count = rml_tensor_count(out);
    if (count == 0)
        return;
    const size_t slab = (size_t)(out->stride[axis] * out->dim[axis]);
    rml_op_parallel(args, count / slab, slab * rml_dtype_size(out->dtype), one_hot_part);
}

const rml_op rml_op_one_hot = {.id = RML_OP_ONE_HOT,
                               .name = "one_hot",
                               .inputs = {3, 3},
                               .signature = "*>2",
                               .infer_values = infer_one_hot,
                               .algorithms = RML_ONE_WAY("elements", run_one_hot)};
