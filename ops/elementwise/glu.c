// Half of the last dimension times a function of the other half, as in gated feed-forward layers:
//   x [..., 2C] -> y [..., C]:  y[c] = x[c] * act(x[C + c])
#include "ops/op.h"

#include "tensor/size.h"

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank < 1 || (node->shape[0].dim[node->shape[0].rank - 1] >= 0 &&
                                    node->shape[0].dim[node->shape[0].rank - 1] % 2 != 0))
        return rml_fail(err, RML_ERR_SHAPE, "%s does not end in two halves",
                        rml_shape_text(&node->shape[0], text));
    *out = node->shape[0];
    if (node->shape[0].dim[node->shape[0].rank - 1] >= 0)
        out->dim[node->shape[0].rank - 1] /= 2;
    return RML_OK;
}

static void gate_rows(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_activation *act = &args->attr->unary;
    const size_t half = (size_t)args->out[0].dim[args->out[0].rank - 1];
    for (size_t i = begin; i < end; i++) {
        const float *x = args->in[0].data + i * 2 * half;
        float *y = args->out[0].data + i * half;
        RML_KERNEL(args->kernels, unary[act->kind])(x + half, y, half, act->param);
        RML_KERNEL(args->kernels, binary[RML_BINARY_MUL])(x, y, y, half);
    }
}

static void run(const rml_op_args *args)
{
    const int64_t half = args->out[0].dim[args->out[0].rank - 1];
    if (half)
        rml_op_parallel(args, rml_tensor_count(&args->out[0]) / (size_t)half,
                        (size_t)half * sizeof(float), gate_rows);
}

const rml_op rml_op_glu = {.id = RML_OP_GLU,
                           .name = "glu",
                           .inputs = {1, 1},
                           .infer = infer,
                           .algorithms = RML_ONE_WAY("rows", run)};
