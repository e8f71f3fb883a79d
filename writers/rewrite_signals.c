// Convolutions and pooling of signals [N,C,T], as those of images of one row.
#include "ops/conv/window.h"
#include "writers/rewrite.h"

#define P(part) rml_part_name(l, node, part)

static rml_window_attr *window_of(const rml_node *node, rml_op_attr *attr)
{
    if (node->op == RML_OP_CONV && !attr->conv.twice)
        return &attr->conv.window;
    const bool pools = node->op == RML_OP_POOL && !attr->pool.indices && !attr->pool.global;
    return pools ? &attr->pool.window : NULL;
}

// A row in front of the one axis, of which one is taken at a time.
static bool add_row(rml_window_attr *window, const rml_shape *x, const int64_t *taps)
{
    rml_window w;
    if (rml_window_make(window, x, taps, &w, NULL) != RML_OK)
        return false;
    rml_window row = rml_window_row(w.kernel[0], w.stride[0], 0);
    row.dilation[1] = w.dilation[0];
    row.before[1] = w.before[0];
    row.after[1] = w.after[0];
    const bool ceil_mode = window->ceil_mode;
    *window = rml_window_explicit(&row);
    window->ceil_mode = ceil_mode;
    return true;
}

// A weight [M,C,K] as [M,C,1,K], which is a constant where it was one.
static rml_value_id as_kernel(rml_lowering *l, const rml_node *node, const rml_shape *taps)
{
    const rml_value *value = &l->to->values[node->in[1]];
    const rml_shape kernel = {4, {taps->dim[0], taps->dim[1], 1, taps->dim[2]}};
    size_t count;
    if (value->kind != RML_VALUE_CONSTANT || !rml_shape_count(&kernel, &count))
        return rml_lower_reshape(l, node->in[1], &kernel, P("weight"));
    float *numbers = rml_arena_alloc(&l->to->arena, count + 1, sizeof *numbers);
    if (!numbers)
        return rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for a weight");
    rml_constant_copy(value->constant, RML_F32, numbers);
    const rml_stored stored = rml_stored_f32(numbers, &kernel);
    return rml_graph_typed_constant(l->to, value->name, &stored);
}

bool rml_rewrite_signals(rml_lowering *l, const rml_node *node, rml_value_id *out)
{
    rml_op_attr attr = node->attr;
    rml_window_attr *window = window_of(node, &attr);
    rml_value_id in[3] = {RML_NO_VALUE, RML_NO_VALUE, RML_NO_VALUE};
    if (!window || node->in_count < 1 || node->in_count > 3)
        return false;
    const rml_shape x = rml_lowered_shape(l, node->in[0]);
    const bool has_weight = node->op == RML_OP_CONV;
    const rml_shape taps = has_weight ? rml_lowered_shape(l, node->in[1]) : x;
    if (x.rank != 3 || x.dim[2] < 0 || taps.rank != 3 || taps.dim[2] < 0 ||
        !add_row(window, &x, has_weight ? &taps.dim[2] : NULL))
        return false;
    const rml_shape image = {4, {0, 0, 1, x.dim[2]}}, signal = {3, {0, 0, -1}};
    for (int k = 1; k < node->in_count; k++)
        in[k] = node->in[k];
    in[0] = rml_lower_reshape(l, node->in[0], &image, P("row"));
    if (has_weight)
        in[1] = as_kernel(l, node, &taps);
    const rml_value_id y = rml_lower_node(l, node->op, &attr, in, node->in_count, P("image"));
    out[0] = rml_lower_reshape(l, y, &signal, node->name);
    return true;
}
