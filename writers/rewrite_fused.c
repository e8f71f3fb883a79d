// Rewrites of what the library has in one operator and others in two.
#include "writers/rewrite.h"

// An operator with an activation: the two of them.
bool rml_rewrite_fused(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    rml_node plain = *node;
    rml_activation *act = rml_op_activation(plain.op, &plain.attr);
    if (!act || rml_activation_is_none(act))
        return false;
    const rml_op_attr last = {.unary = *act};
    *act = rml_activation_none();
    const rml_value_id x = rml_lower_node(l, plain.op, &plain.attr, plain.in, plain.in_count,
                                          rml_part_name(l, node, "linear"));
    out[0] = rml_lower_node(l, RML_OP_UNARY, &last, &x, 1, node->name);
    return true;
}

// glu(x): the first half of the last dimension times act of the second one.
bool rml_rewrite_glu(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    if (node->op != RML_OP_GLU)
        return false;
    const rml_shape shape = rml_lowered_shape(l, node->in[0]);
    const int64_t half = shape.rank < 1 ? 0 : shape.dim[shape.rank - 1] / 2;
    if (half <= 0)
        return false;
    const rml_op_attr act = {.unary = node->attr.unary};
    const rml_value_id value =
        rml_lower_slice(l, node->in[0], -1, 0, half, rml_part_name(l, node, "value"));
    rml_value_id gate =
        rml_lower_slice(l, node->in[0], -1, half, 2 * half, rml_part_name(l, node, "gate"));
    gate = rml_lower_node(l, RML_OP_UNARY, &act, &gate, 1, rml_part_name(l, node, "act"));
    out[0] = rml_lower_binary(l, RML_BINARY_MUL, value, gate, node->name);
    return true;
}
