// If, loop, scan: run by graph/control.c. Here is only what the other operators' tables have too.
#include "ops/op.h"

static int outputs(const rml_op_attr *attr)
{
    return attr->control.out_count;
}

static rml_status types(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_dtype *out,
                        rml_error *err)
{
    (void)in;
    (void)in_count;
    (void)err;
    for (int k = 0; k < attr->control.out_count; k++)
        out[k] = attr->control.out_types[k];
    return RML_OK;
}

// Which branch runs and how often a loop turns, only the run tells.
static rml_status infer(const rml_op_attr *attr, const rml_fact *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    (void)in;
    (void)in_count;
    (void)err;
    for (int k = 0; k < attr->control.out_count; k++)
        out[k] = (rml_shape){.rank = RML_RANK_UNKNOWN};
    return RML_OK;
}

const rml_op rml_op_if = {.name = "if",
                          .min_inputs = 1,
                          .max_inputs = -1,
                          .packed_input = -1,
                          .control = true,
                          .outputs = outputs,
                          .types = types,
                          .infer_values = infer};

const rml_op rml_op_loop = {.name = "loop",
                            .min_inputs = 0,
                            .max_inputs = -1,
                            .packed_input = -1,
                            .control = true,
                            .outputs = outputs,
                            .types = types,
                            .infer_values = infer};

const rml_op rml_op_scan = {.name = "scan",
                            .min_inputs = 1,
                            .max_inputs = -1,
                            .packed_input = -1,
                            .control = true,
                            .outputs = outputs,
                            .types = types,
                            .infer_values = infer};
