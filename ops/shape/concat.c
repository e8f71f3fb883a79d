// Inputs one behind the other along an axis.
#include "ops/elementwise/nd_iterator.h"
#include "ops/index/list.h"

static rml_status infer_concat(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    int axis;
    RML_TRY(rml_axis_check(node->attr->concat.axis, &node->shape[0], &axis, err));
    *out = node->shape[0];
    bool fits = true;
    for (int k = 0; k < node->in_count; k++) {
        fits = node->shape[k].rank == out->rank;
        for (int i = 0; i < out->rank && fits; i++)
            if (i != axis) {
                fits = node->shape[k].dim[i] == out->dim[i] || node->shape[k].dim[i] < 0 ||
                       out->dim[i] < 0;
                if (out->dim[i] < 0)
                    out->dim[i] = node->shape[k].dim[i];
            }
        if (!fits)
            return rml_fail(err, RML_ERR_SHAPE, "inputs %s and %s cannot be joined along axis %d",
                            rml_shape_text(&node->shape[0], a), rml_shape_text(&node->shape[k], b),
                            axis);
        if (k > 0)
            RML_TRY(rml_dim_add(out->dim[axis], node->shape[k].dim[axis], &out->dim[axis], err));
    }
    return RML_OK;
}

static void run_concat(const rml_op_args *args)
{
    const int axis = rml_axis_of(args->attr->concat.axis, args->out[0].rank);
    rml_tensor part = args->out[0];
    for (int k = 0; k < args->in_count; k++) {
        part.dim[axis] = args->in[k].dim[axis];
        // The planner lets producers write straight into their part of the output where it can.
        if (part.raw != args->in[k].raw)
            rml_copy_view(args, &args->in[k], &part);
        rml_tensor_advance(&part, part.dim[axis] * part.stride[axis]);
    }
}

const rml_op rml_op_concat = {.id = RML_OP_CONCAT,
                              .name = "concat",
                              .inputs = {1, -1},
                              .layout = RML_OP_FOLLOW,
                              .signature = "*0>0",
                              .infer = infer_concat,
                              .algorithms = RML_ONE_WAY("copy", run_concat)};
