// The upper or lower triangle of matrices, zeros elsewhere. The second input says which diagonal it
// goes to.
#include "ops/index/list.h"

#include <string.h>

static rml_status infer_trilu(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    *out = node->in[0].shape;
    if (out->rank >= 0 && out->rank < 2)
        return rml_fail(err, RML_ERR_SHAPE, "input %s holds no matrices",
                        rml_shape_text(out, text));
    return rml_scalar_check(node, 1, "diagonal", err);
}

static void trilu_rows(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const bool upper = args->attr->trilu.upper, told = rml_op_input(args, 1);
    const int64_t rows = in->dim[in->rank - 2], columns = in->dim[in->rank - 1];
    const size_t bytes = rml_dtype_size(in->dtype);
    int64_t diagonal = told ? rml_index_at(args->in[1].raw, args->in[1].dtype, 0) : 0;
    diagonal = diagonal < -rows ? -rows : diagonal > columns ? columns : diagonal;
    for (size_t row = begin; row < end; row++) {
        // Columns up to `split` are of the lower triangle (or, looked at as upper, outside it).
        int64_t split = (int64_t)(row % (size_t)rows) + diagonal + (upper ? 0 : 1);
        split = split < 0 ? 0 : split > columns ? columns : split;
        const int64_t first = upper ? split : 0, stop = upper ? columns : split;
        const char *src = (const char *)in->raw + row * (size_t)columns * bytes;
        char *dst = (char *)out->raw + row * (size_t)columns * bytes;
        memset(dst, 0, (size_t)first * bytes);
        if (dst != src)
            memcpy(dst + (size_t)first * bytes, src + (size_t)first * bytes,
                   (size_t)(stop - first) * bytes);
        memset(dst + (size_t)stop * bytes, 0, (size_t)(columns - stop) * bytes);
    }
}

static void run_trilu(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const size_t columns = (size_t)in->dim[in->rank - 1];
    if (rml_tensor_count(in))
        rml_op_parallel(args, rml_tensor_count(in) / columns, columns * rml_dtype_size(in->dtype),
                        trilu_rows);
}

const rml_op rml_op_trilu = {.id = RML_OP_TRILU,
                             .name = "trilu",
                             .inputs = {1, 2},
                             .in_place = true,
                             .signature = "*i>0",
                             .infer_values = infer_trilu,
                             .algorithms = RML_ONE_WAY("rows", run_trilu)};
