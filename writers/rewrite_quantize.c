// Numbers quantized and made numbers again, as the same in floats: codes are whole floats between.
#include "ops/matmul/quantize.h"
#include "writers/rewrite.h"

#include <string.h>

#define P(part) rml_part_name(l, node, part)

enum { X, SCALE, ZERO };

// ---- which values are codes ---------------------------------------------------------------------

// What leaves elements as they are.
static bool moves(const rml_node *node)
{
    return node->op == RML_OP_RESHAPE || node->op == RML_OP_TRANSPOSE || node->op == RML_OP_SLICE;
}

void rml_find_codes(const rml_graph *graph, bool *codes)
{
    double low, high;
    memset(codes, 0, graph->value_count * sizeof *codes);
    for (size_t i = 0; i < graph->node_count; i++) {
        const rml_node *node = &graph->nodes[i];
        if (node->op == RML_OP_QUANTIZE)
            codes[node->out] = rml_code_range(node->attr.quantize.to, &low, &high);
        else if (moves(node) && node->out_count == 1 && node->in[X] != RML_NO_VALUE)
            codes[node->out] = codes[node->in[X]];
    }
    for (size_t i = 0; i < graph->output_count; i++)
        codes[graph->outputs[i]] = false;
    for (size_t i = graph->node_count; i-- > 0;) {
        const rml_node *node = &graph->nodes[i];
        const bool fits = node->op == RML_OP_DEQUANTIZE || (moves(node) && codes[node->out]);
        for (int k = fits ? 1 : 0; k < node->in_count && !node->dead; k++)
            if (node->in[k] != RML_NO_VALUE)
                codes[node->in[k]] = false;
    }
}

// ---- the rewrite --------------------------------------------------------------------------------

// A scale or zero point in floats, along the axis of x.
static rml_value_id along(rml_lowering *l, const rml_node *node, int index, const char *name)
{
    const rml_value *value = &l->to->values[node->in[index]];
    const int rank = rml_lowered_shape(l, node->in[X]).rank;
    const int axis = node->attr.quantize.axis + (node->attr.quantize.axis < 0 ? rank : 0);
    rml_shape shape = {0};
    size_t count = 0;
    rml_shape_count(&value->shape, &count);
    float *numbers = rml_arena_alloc(&l->to->arena, count, sizeof *numbers);
    if (!numbers)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a scale");
    rml_constant_copy(value->constant, RML_F32, numbers);
    if (count > 1)
        shape.rank = rank - axis;
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = i ? 1 : (int64_t)count;
    const rml_stored stored = rml_stored_f32(numbers, &shape);
    return rml_graph_typed_constant(l->to, name, &stored);
}

// Whether an input is absent, or a constant of one number or one for each place of an axis.
static bool is_plain(const rml_lowering *l, const rml_node *node, int index)
{
    if (index >= node->in_count || node->in[index] == RML_NO_VALUE)
        return index == ZERO;
    const rml_value *value = &l->to->values[node->in[index]];
    size_t count;
    return value->kind == RML_VALUE_CONSTANT && value->shape.rank <= 1 &&
           rml_shape_count(&value->shape, &count) && count > 0;
}

static rml_value_id quantized(rml_lowering *l, const rml_node *node, rml_value_id scale,
                              rml_value_id zero, double low, double high)
{
    rml_value_id x = rml_lower_binary(l, RML_BINARY_DIV, node->in[X], scale, P("scaled"));
    x = rml_lower_unary(l, RML_UNARY_ROUND, x, P("rounded"));
    if (zero != RML_NO_VALUE)
        x = rml_lower_binary(l, RML_BINARY_ADD, x, zero, P("moved"));
    x = rml_lower_by_number(l, RML_BINARY_MAX, x, low, P("least"));
    return rml_lower_by_number(l, RML_BINARY_MIN, x, high, node->name);
}

bool rml_rewrite_quantize(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    const rml_quantize_attr *attr = &node->attr.quantize;
    const bool back = node->op == RML_OP_DEQUANTIZE;
    double low = 0, high = 0;
    if ((!back && (node->op != RML_OP_QUANTIZE || !l->as_codes || attr->precision != RML_F32 ||
                   !rml_code_range(attr->to, &low, &high))) ||
        (back && attr->to != RML_F32))
        return false;
    if (l->to->values[node->in[X]].dtype != RML_F32 || attr->block ||
        rml_lowered_shape(l, node->in[X]).rank < 0 || !is_plain(l, node, SCALE) ||
        !is_plain(l, node, ZERO))
        return false;
    const bool moved = ZERO < node->in_count && node->in[ZERO] != RML_NO_VALUE;
    const rml_value_id scale = along(l, node, SCALE, P("scale"));
    const rml_value_id zero = moved ? along(l, node, ZERO, P("zero")) : RML_NO_VALUE;
    if (!back) {
        out[0] = quantized(l, node, scale, zero, low, high);
        return true;
    }
    const rml_value_id x =
        moved ? rml_lower_binary(l, RML_BINARY_SUB, node->in[X], zero, P("moved")) : node->in[X];
    out[0] = rml_lower_binary(l, RML_BINARY_MUL, x, scale, node->name);
    return true;
}
