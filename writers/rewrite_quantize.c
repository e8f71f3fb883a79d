// Numbers quantized and made numbers again, as the same in floats: codes are whole floats between.
#include "ops/matmul/quantize.h"
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

enum { X, SCALE, ZERO };

// ---- the rewrite --------------------------------------------------------------------------------

static int axis_of(const rml_lowering *l, const rml_node *node)
{
    const int axis = node->attr.quantize.axis;
    return axis + (axis < 0 ? rml_lowered_shape(l, node->in[X]).rank : 0);
}

// Of blocks along the axis, each as often as it has places there.
static rml_value_id repeated(rml_lowering *l, const rml_node *node, rml_value_id x,
                             const char *name)
{
    const int along = axis_of(l, node);
    const int64_t size = rml_lowered_shape(l, node->in[X]).dim[along];
    const rml_op_attr axis = {.axis = {.axis = along}};
    int64_t *places = rml_arena_alloc(&l->to->arena, (size_t)size, sizeof *places);
    if (!places)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for the blocks of a scale");
    for (int64_t i = 0; i < size; i++)
        places[i] = i / node->attr.quantize.block;
    const rml_value_id in[2] = {x, rml_lower_ints(l, places, (size_t)size, P("blocks"))};
    return rml_lower_node(l, RML_OP_GATHER, &axis, in, 2, name);
}

// A scale or zero point in floats, along the axis of x.
static rml_value_id along(rml_lowering *l, const rml_node *node, int index, const char *name)
{
    const rml_value *value = &l->to->values[node->in[index]];
    const bool blocks = node->attr.quantize.block > 0;
    rml_shape shape = {0};
    size_t count = 0;
    const bool known = rml_shape_count(&value->shape, &count);
    if (blocks)
        shape = value->shape;
    else if (!known || count > 1)
        shape.rank = rml_lowered_shape(l, node->in[X]).rank - axis_of(l, node);
    for (int i = 0; i < shape.rank && !blocks; i++)
        shape.dim[i] = i ? 1 : known ? (int64_t)count : -1;
    if (value->kind != RML_VALUE_CONSTANT)
        return blocks ? repeated(l, node, node->in[index], name)
                      : rml_lower_reshape(l, node->in[index], &shape, name);
    float *numbers = rml_arena_alloc(&l->to->arena, count, sizeof *numbers);
    if (!numbers)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a scale");
    rml_constant_copy(value->constant, RML_F32, numbers);
    const rml_stored stored = rml_stored_f32(numbers, &shape);
    const rml_value_id made = rml_graph_typed_constant(l->to, name, &stored);
    return blocks ? repeated(l, node, made, name) : made;
}

// Whether an input is absent, or one number, or one for each place or block of an axis; in floats,
// where the run gives them.
static bool is_plain(const rml_lowering *l, const rml_node *node, int index)
{
    if (index >= node->in_count || node->in[index] == RML_NO_VALUE)
        return index == ZERO;
    const rml_value *value = &l->to->values[node->in[index]];
    const rml_shape x = rml_lowered_shape(l, node->in[X]);
    const bool blocks = node->attr.quantize.block > 0;
    size_t count = 0;
    if (blocks && (value->shape.rank != x.rank || x.dim[axis_of(l, node)] <= 0))
        return false;
    if (value->shape.rank < 0 || (!blocks && value->shape.rank > 1) ||
        (rml_shape_count(&value->shape, &count) && count == 0))
        return false;
    return value->kind == RML_VALUE_CONSTANT || value->dtype == RML_F32;
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
    const rml_dtype dtype = l->to->values[node->in[X]].dtype;
    if ((dtype != RML_F32 && !(back && dtype == RML_I32)) ||
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
    rml_value_id x = node->in[X];
    if (dtype == RML_I32) {
        const rml_op_attr wide = {.cast = {.to = RML_F32}};
        x = rml_lower_node(l, RML_OP_CAST, &wide, &x, 1, P("codes"));
    }
    if (moved)
        x = rml_lower_binary(l, RML_BINARY_SUB, x, zero, P("moved"));
    out[0] = rml_lower_binary(l, RML_BINARY_MUL, x, scale, node->name);
    return true;
}
