// The dimensions of a value, and how many elements it has.
#include "ops/op.h"

// ---- shape --------------------------------------------------------------------------------------

static rml_status infer_shape(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    (void)err;
    *out = (rml_shape){1, {node->in[0].shape.rank < 0 ? -1 : node->in[0].shape.rank}};
    return RML_OK;
}

static void run_shape(const rml_op_args *args)
{
    int64_t *dim = args->out[0].raw;
    for (int i = 0; i < args->in[0].rank; i++)
        dim[i] = args->in[0].dim[i];
}

const rml_op rml_op_shape = {.id = RML_OP_SHAPE,
                             .name = "shape",
                             .inputs = {1, 1},
                             .from_shapes = true,
                             .signature = "*>l",
                             .infer_values = infer_shape,
                             .algorithms = RML_ONE_WAY("dimensions", run_shape)};

// ---- size ---------------------------------------------------------------------------------------

static rml_status infer_size(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    (void)node;
    (void)err;
    *out = (rml_shape){0};
    return RML_OK;
}

static void run_size(const rml_op_args *args)
{
    *(int64_t *)args->out[0].raw = (int64_t)rml_tensor_count(&args->in[0]);
}

const rml_op rml_op_size = {.id = RML_OP_SIZE,
                            .name = "size",
                            .inputs = {1, 1},
                            .from_shapes = true,
                            .signature = "*>l",
                            .infer_values = infer_size,
                            .algorithms = RML_ONE_WAY("count", run_size)};
