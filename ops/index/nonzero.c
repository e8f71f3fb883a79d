// Where elements are not zero: an index of each dimension, [rank, found].
#include "ops/op.h"

static bool is_zero(const void *element, size_t bytes, rml_dtype dtype)
{
    const uint8_t *at = element;
    uint8_t any = 0;
    for (size_t i = 0; i < bytes; i++)
        any |= at[i];
    // The sign alone is minus zero; numbers are little endian here.
    if (rml_dtype_is_float(dtype) && any == 0x80 && at[bytes - 1] == 0x80) {
        for (size_t i = 0; i + 1 < bytes; i++)
            if (at[i])
                return false;
        return true;
    }
    return any == 0;
}

static rml_status infer_nonzero(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const size_t bytes = rml_dtype_size(node->in[0].dtype);
    size_t count;
    *out = (rml_shape){2, {node->in[0].shape.rank, -1}};
    if (node->in[0].shape.rank < 0)
        out->dim[0] = -1;
    if (!node->in[0].data)
        return RML_OK;
    if (!rml_shape_count(&node->in[0].shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "the input is too large");
    out->dim[1] = 0;
    for (size_t i = 0; i < count; i++)
        out->dim[1] +=
            !is_zero((const char *)node->in[0].data + i * bytes, bytes, node->in[0].dtype);
    return RML_OK;
}

static void run_nonzero(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const size_t bytes = rml_dtype_size(in->dtype), count = rml_tensor_count(in);
    const int64_t found = args->out[0].dim[1];
    int64_t *where = args->out[0].raw, at = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_zero((const char *)in->raw + i * bytes, bytes, in->dtype))
            continue;
        size_t rest = i;
        for (int d = in->rank - 1; d >= 0; d--) {
            where[d * found + at] = (int64_t)(rest % (size_t)in->dim[d]);
            rest /= (size_t)in->dim[d];
        }
        at++;
    }
}

const rml_op rml_op_nonzero = {.id = RML_OP_NONZERO,
                               .name = "nonzero",
                               .inputs = {1, 1},
                               .signature = "*>l",
                               .infer_values = infer_nonzero,
                               .algorithms = RML_ONE_WAY("search", run_nonzero)};
