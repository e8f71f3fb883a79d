// Choices and changes of type.
#include "writers/coreml/mil.h"

static const char *where_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_shape *test = rml_emit_shape(graph, node->in[0]);
    (void)opset;
    return rml_shape_known(test) || test->rank == 0
               ? NULL
               : "the size of its condition is not known before a run";
}

// The result has the shape of a and b together; the condition's counts for nothing.
static void emit_where(rml_emitter *e, const rml_node *node)
{
    const rml_operand out = rml_emit_out(e, node, 0), test = rml_emit_in(e, node, 0);
    rml_operand a = rml_emit_in(e, node, 1);
    const rml_operand b = rml_emit_in(e, node, 2);
    if (!rml_shape_equal(&a.shape, &out.shape) && !rml_shape_equal(&b.shape, &out.shape) &&
        rml_shape_known(&out.shape))
        a = rml_emit_spread(e, a, rml_emit_part(e, &out, "a", &out.shape));
    rml_emit_op op = rml_emit_begin(e, "select", out);
    rml_emit_value(&op, "cond", test);
    rml_emit_value(&op, "a", a);
    rml_emit_value(&op, "b", b);
    rml_emit_end(&op);
}

static const char *cast_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    (void)graph;
    return rml_emit_type_fits(node->attr.cast.to) ? NULL : "a type that programs have not";
}

rml_operand rml_emit_as_type(rml_emitter *e, rml_operand x, rml_dtype dtype, const rml_operand *out,
                             const char *part)
{
    if (x.dtype == dtype)
        return x;
    rml_operand to = rml_emit_part(e, out, part, &x.shape);
    to.dtype = dtype;
    return rml_emit_cast(e, x, to);
}

// One that the file asks for rounds to its type, whatever the program computes in.
static void emit_cast(rml_emitter *e, const rml_node *node)
{
    rml_operand x = rml_emit_in(e, node, 0);
    const rml_operand out = rml_emit_out(e, node, 0);
    if (node->attr.cast.asked && node->attr.cast.to == RML_F16 && e->real == RML_F32)
        x = rml_emit_as_type(e, x, RML_F16, &out, "rounded");
    if (x.dtype == out.dtype)
        rml_emit_unary(e, "identity", x, out);
    else
        rml_emit_cast(e, x, out);
}

const rml_emit_row rml_emit_choices[] = {
    {RML_OP_WHERE, where_lacks, emit_where},
    {RML_OP_CAST, cast_lacks, emit_cast},
    {0},
};
