// If, loop, scan: run by engine/control.c. Here is only what the other operators' tables have too.
#include "ops/op.h"

static int outputs(const rml_op_attr *attr)
{
    return attr->control.out_count;
}

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    (void)err;
    for (int k = 0; k < node->attr->control.out_count; k++)
        out[k] = node->attr->control.out_types[k];
    return RML_OK;
}

// Which branch runs and how often a loop turns, only the run tells.
static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    (void)err;
    for (int k = 0; k < node->attr->control.out_count; k++)
        out[k] = node->attr->control.out_shapes ? node->attr->control.out_shapes[k]
                                                : (rml_shape){.rank = RML_RANK_UNKNOWN};
    return RML_OK;
}

#define CONTROL(upper, lower, least)                                                               \
    const rml_op rml_op_##lower = {.id = RML_OP_##upper,                                           \
                                   .name = #lower,                                                 \
                                   .inputs = {least, -1},                                          \
                                   .control = true,                                                \
                                   .outputs = outputs,                                             \
                                   .types = types,                                                 \
                                   .infer_values = infer}

CONTROL(IF, if, 1);
CONTROL(LOOP, loop, 0); // the turns and the condition may both be left out
CONTROL(SCAN, scan, 1);
