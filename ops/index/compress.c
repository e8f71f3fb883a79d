// The slices along an axis that a list of bools says yes to.
#include "ops/index/list.h"

#include <string.h>

// How many of the first `size` are wanted; what the list has beyond them means nothing.
static int64_t wanted_of(const uint8_t *condition, int64_t listed, int64_t size)
{
    int64_t count = 0;
    for (int64_t i = 0; i < listed && i < size; i++)
        count += condition[i] != 0;
    return count;
}

static rml_status infer_compress(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *from = &node->in[0].shape, *condition = &node->in[1].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    int64_t size = 1;
    int axis = 0;
    if (condition->rank >= 0 && condition->rank != 1)
        return rml_fail(err, RML_ERR_SHAPE, "the condition has shape %s, expected a list",
                        rml_shape_text(condition, text));
    *out = *from;
    if (node->attr->compress.flat)
        *out = (rml_shape){1, {-1}};
    if (from->rank < 0)
        return RML_OK;
    if (node->attr->compress.flat) {
        for (int i = 0; i < from->rank; i++)
            RML_TRY(rml_dim_mul(size, from->dim[i], &size, err));
    } else {
        RML_TRY(rml_axis_check(node->attr->compress.axis, from, &axis, err));
        size = from->dim[axis];
    }
    out->dim[axis] =
        node->in[1].data && size >= 0 ? wanted_of(node->in[1].data, condition->dim[0], size) : -1;
    return RML_OK;
}

static void run_compress(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const bool flat = args->attr->compress.flat;
    const int axis = flat ? 0 : rml_axis_of(args->attr->compress.axis, in->rank);
    const uint8_t *condition = args->in[1].raw;
    const int64_t listed = args->in[1].dim[0];
    const int64_t size = flat ? (int64_t)rml_tensor_count(in) : in->dim[axis];
    const size_t outer = rml_tensor_span(in, 0, axis);
    const size_t bytes =
        (flat ? 1 : rml_tensor_span(in, axis + 1, in->rank)) * rml_dtype_size(in->dtype);
    const char *src = in->raw;
    char *dst = out->raw;
    for (size_t o = 0; o < outer; o++, src += (size_t)size * bytes)
        for (int64_t i = 0; i < listed && i < size; i++)
            if (condition[i] && bytes) {
                memcpy(dst, src + (size_t)i * bytes, bytes);
                dst += bytes;
            }
}

const rml_op rml_op_compress = {.id = RML_OP_COMPRESS,
                                .name = "compress",
                                .inputs = {2, 2},
                                .signature = "*b>0",
                                .infer_values = infer_compress,
                                .algorithms = RML_ONE_WAY("slices", run_compress)};
