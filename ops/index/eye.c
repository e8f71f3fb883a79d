// A matrix of the size of the input, ones on a diagonal.
#include "ops/op.h"

#include <string.h>

static rml_status infer_eye(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    *out = node->in[0].shape;
    if (out->rank >= 0 && out->rank != 2)
        return rml_fail(err, RML_ERR_SHAPE, "input %s is no matrix", rml_shape_text(out, text));
    return RML_OK;
}

static void run_eye(const rml_op_args *args)
{
    const rml_tensor *out = &args->out[0];
    const size_t bytes = rml_dtype_size(out->dtype), count = rml_tensor_count(out);
    const int64_t rows = out->dim[0], columns = out->dim[1];
    const double one = 1;
    int64_t diagonal = args->attr->eye.diagonal;
    diagonal = diagonal < -rows ? -rows : diagonal > columns ? columns : diagonal;
    if (count == 0)
        return;
    memset(out->raw, 0, count * bytes);
    for (int64_t i = diagonal < 0 ? -diagonal : 0; i < rows && i + diagonal < columns; i++)
        rml_dtype_convert(RML_F64, &one, out->dtype,
                          (char *)out->raw + (size_t)(i * columns + i + diagonal) * bytes, 1);
}

const rml_op rml_op_eye = {.id = RML_OP_EYE,
                           .name = "eye",
                           .inputs = {1, 1},
                           .from_shapes = true,
                           .signature = "*>t",
                           .infer_values = infer_eye,
                           .algorithms = RML_ONE_WAY("diagonal", run_eye)};
