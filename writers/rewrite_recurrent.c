// Recurrent layers, as ONNX has them.
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

enum { X, WEIGHT, STATES, BIAS, LENGTHS, FIRST, CELLS, PEEPHOLES, INPUTS };

// Batches in front: [N,T,I] and [N,D,H], where others have [T,N,I] and [D,N,H].
static void time_first(rml_lowering *l, const rml_node *node, rml_value_id *in, rml_value_id *out)
{
    static const int swapped[3] = {1, 0, 2}, sequence[4] = {2, 0, 1, 3};
    rml_op_attr attr = node->attr;
    static const char *const names[3] = {"hidden", "last", "cells"};
    rml_value_id made[RML_MAX_OUTPUTS];
    attr.rnn.batch_first = false;
    in[X] = rml_lower_transpose(l, in[X], swapped, 3, P("time_first"));
    for (int k = FIRST; k <= CELLS; k++)
        if (in[k] != RML_NO_VALUE)
            in[k] = rml_lower_transpose(l, in[k], swapped, 3,
                                        rml_lowered_name(l, in[k], P(k == FIRST ? "h0" : "c0")));
    rml_lower_outputs(l, RML_OP_RNN, &attr, in, node->in_count, P("steps"), made);
    out[0] = rml_lower_transpose(l, made[0], sequence, 4, node->name); // [T,D,N,H]
    for (int k = 1; k < node->out_count; k++)
        out[k] = rml_lower_transpose(l, made[k], swapped, 3, P(names[k]));
}

// Rows of i f c o as i o f c.
static rml_value_id reordered(rml_lowering *l, rml_value_id x, int axis, int64_t hidden,
                              int64_t start, const char *name)
{
    static const int64_t order[4] = {0, 3, 1, 2};
    rml_value_id part[4];
    for (int k = 0; k < 4; k++)
        part[k] = rml_lower_slice(l, x, axis, start + order[k] * hidden,
                                  start + (order[k] + 1) * hidden, name);
    return rml_lower_node(l, RML_OP_CONCAT, &(rml_op_attr){.concat = {axis}}, part, 4,
                          rml_lowered_name(l, x, name));
}

bool rml_rewrite_rnn(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_RNN)
        return false;
    rml_value_id in[INPUTS];
    rml_op_attr attr = node->attr;
    const int64_t hidden = rml_lowered_shape(l, node->in[STATES]).dim[2];
    for (int k = 0; k < INPUTS; k++)
        in[k] = k < node->in_count ? node->in[k] : RML_NO_VALUE;
    if (node->attr.rnn.batch_first) {
        time_first(l, node, in, out);
        return true;
    }
    if (!node->attr.rnn.torch_gates || hidden < 0)
        return false;
    attr.rnn.torch_gates = false;
    in[WEIGHT] = reordered(l, in[WEIGHT], 1, hidden, 0, P("weight"));
    in[STATES] = reordered(l, in[STATES], 1, hidden, 0, P("states"));
    if (in[BIAS] != RML_NO_VALUE) {
        const rml_value_id both[2] = {reordered(l, in[BIAS], 1, hidden, 0, P("bias")),
                                      reordered(l, in[BIAS], 1, hidden, 4 * hidden, P("bias"))};
        in[BIAS] =
            rml_lower_node(l, RML_OP_CONCAT, &(rml_op_attr){.concat = {1}}, both, 2, P("biases"));
    }
    rml_lower_outputs(l, RML_OP_RNN, &attr, in, node->in_count, node->name, out);
    return true;
}
