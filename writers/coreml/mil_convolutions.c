// Convolutions, poolings and products.
#include "writers/coreml/mil.h"

#include "ops/conv/window.h"

#include <string.h>

#define MOST_SPATIAL 3

static const char acts[] = "an activation of its own";
static const char adds[] = "a sum of its own";

// ---- windows ------------------------------------------------------------------------------------

static const char *window_lacks(const rml_shape *x)
{
    return x->rank < 3 || x->rank > 2 + MOST_SPATIAL ? "it has not 1 to 3 spatial dimensions"
                                                     : NULL;
}

// pad_type, pad and strides. `has_valid`: whether padding of 0 is "valid".
static void window_arguments(rml_emit_op *op, const rml_window *w, bool has_valid)
{
    int64_t pad[2 * MOST_SPATIAL];
    bool padded = false;
    for (int i = 0; i < w->rank; i++) {
        pad[2 * i] = w->before[i];
        pad[2 * i + 1] = w->after[i];
        padded = padded || w->before[i] || w->after[i];
    }
    rml_emit_ints(op, "strides", w->stride, w->rank);
    rml_emit_text(op, "pad_type", padded || !has_valid ? "custom" : "valid");
    rml_emit_ints(op, "pad", pad, 2 * w->rank);
}

// ---- convolution --------------------------------------------------------------------------------

// In either direction.
static const char *parts_lack(const rml_graph *graph, const rml_node *node)
{
    if (!rml_activation_is_none(&node->attr.conv.act))
        return acts;
    if (rml_input_given(node, 3))
        return adds;
    if (!rml_emit_constant(graph, node, 1) ||
        (rml_input_given(node, 2) && !rml_emit_constant(graph, node, 2)))
        return "its weights are no constants";
    return window_lacks(rml_emit_shape(graph, node->in[0]));
}

static bool pads_unknown(const rml_conv_attr *conv, const rml_shape *x)
{
    bool unknown = false;
    for (int i = 2; i < x->rank && conv->window.auto_pad >= RML_AUTO_PAD_SAME_UPPER; i++)
        unknown = unknown || (x->dim[i] < 0 && conv->window.stride[i - 2] != 1);
    return unknown && conv->window.auto_pad != RML_AUTO_PAD_VALID;
}

static const char *conv_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    rml_window w;
    const char *lacks = parts_lack(graph, node);
    (void)opset;
    if (lacks)
        return lacks;
    return rml_graph_window(graph, node, &w) &&
                   !pads_unknown(&node->attr.conv, rml_emit_shape(graph, node->in[0]))
               ? NULL
               : "its padding depends on sizes that only a run tells";
}

static void emit_conv(rml_emitter *e, const rml_node *node)
{
    rml_window w;
    if (!rml_graph_window(e->graph, node, &w))
        return;
    rml_emit_op op = rml_emit_begin(e, "conv", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_value(&op, "weight", rml_emit_weight(e, node, 1));
    if (rml_input_given(node, 2))
        rml_emit_value(&op, "bias", rml_emit_in(e, node, 2));
    window_arguments(&op, &w, true);
    rml_emit_ints(&op, "dilations", w.dilation, w.rank);
    rml_emit_int(&op, "groups", node->attr.conv.groups);
    rml_emit_end(&op);
}

// ---- transposed convolution ---------------------------------------------------------------------

// Not that of rml_graph_window: an image may be smaller than the weights reach.
static rml_window transposed_window(const rml_graph *graph, const rml_node *node)
{
    const rml_window_attr *attr = &node->attr.conv.window;
    const rml_shape *weight = rml_emit_shape(graph, node->in[1]);
    rml_window w = {.rank = weight->rank - 2};
    for (int i = 0; i < w.rank; i++) {
        w.kernel[i] = weight->dim[i + 2];
        w.stride[i] = attr->stride[i];
        w.dilation[i] = attr->dilation[i];
    }
    return w;
}

// What goes from the front and the back of the whole, (in - 1) * stride + span. False: not known.
static bool cuts_of(const rml_graph *graph, const rml_node *node, const rml_window *w,
                    int64_t front[MOST_SPATIAL], int64_t back[MOST_SPATIAL])
{
    const rml_conv_attr *conv = &node->attr.conv;
    const bool counted = conv->window.auto_pad == RML_AUTO_PAD_NONE;
    rml_fact in[3], out;
    for (int k = 0; k < 3; k++)
        in[k] = rml_input_given(node, k) ? rml_graph_fact(graph, node->in[k])
                                         : (rml_fact){.shape = {.rank = -1}};
    if (rml_graph_infer_node(graph, node, in, &out, NULL) != RML_OK)
        return false;
    for (int i = 0; i < w->rank; i++) {
        const int64_t size = in[0].shape.dim[i + 2];
        front[i] = conv->window.before[i];
        back[i] = conv->window.after[i] - conv->out_pad[i];
        if (counted && conv->out_size[i] == 0)
            continue;
        if (size < 0 || out.shape.dim[i + 2] < 0)
            return false;
        const int64_t total = (size - 1) * w->stride[i] + rml_window_span(w, i) + conv->out_pad[i] -
                              out.shape.dim[i + 2];
        if (conv->window.auto_pad == RML_AUTO_PAD_VALID || total < 0)
            return false;
        front[i] = conv->window.auto_pad == RML_AUTO_PAD_SAME_LOWER ? total - total / 2 : total / 2;
        back[i] = total - front[i] - conv->out_pad[i];
    }
    return true;
}

static const char *conv_transpose_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    int64_t front[MOST_SPATIAL], back[MOST_SPATIAL];
    const char *lacks = parts_lack(graph, node);
    (void)opset;
    if (lacks)
        return lacks;
    const rml_window w = transposed_window(graph, node);
    if (!cuts_of(graph, node, &w, front, back))
        return "its padding is not known";
    for (int i = 0; i < w.rank; i++)
        if (back[i] < 0)
            return "its output goes beyond what the weights reach";
    return NULL;
}

// Cuts both ends of the spatial dimensions.
static void emit_cut(rml_emitter *e, rml_operand x, const int64_t *front, const int64_t *back,
                     rml_operand out)
{
    const int spatial = x.shape.rank - 2;
    if (spatial == 2) {
        rml_emit_op op = rml_emit_begin(e, "crop", out);
        rml_emit_value(&op, "x", x);
        rml_emit_ints(&op, "crop_height", (const int64_t[]){front[0], back[0]}, 2);
        rml_emit_ints(&op, "crop_width", (const int64_t[]){front[1], back[1]}, 2);
        rml_emit_end(&op);
        return;
    }
    int64_t begin[RML_MAX_RANK] = {0}, end[RML_MAX_RANK] = {0};
    bool open[RML_MAX_RANK];
    for (int i = 0; i < x.shape.rank; i++) {
        begin[i] = i < 2 ? 0 : front[i - 2];
        end[i] = i < 2 ? 0 : -back[i - 2];
        open[i] = end[i] == 0;
    }
    rml_emit_op op = rml_emit_begin(e, "slice_by_index", out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "begin", begin, x.shape.rank);
    rml_emit_ints(&op, "end", end, x.shape.rank);
    rml_emit_flags(&op, "end_mask", open, x.shape.rank);
    rml_emit_end(&op);
}

// With output padding the whole is computed, and cut.
static void emit_conv_transpose(rml_emitter *e, const rml_node *node)
{
    rml_window w = transposed_window(e->graph, node);
    int64_t front[MOST_SPATIAL], back[MOST_SPATIAL];
    const rml_operand out = rml_emit_out(e, node, 0), x = rml_emit_in(e, node, 0);
    if (!cuts_of(e->graph, node, &w, front, back))
        return;
    bool cut = false;
    rml_operand whole = out;
    for (int i = 0; i < w.rank; i++)
        cut = cut || node->attr.conv.out_pad[i];
    for (int i = 0; i < w.rank; i++) {
        w.before[i] = cut ? 0 : front[i];
        w.after[i] = cut ? 0 : back[i];
        if (cut && x.shape.dim[i + 2] >= 0)
            whole.shape.dim[i + 2] =
                (x.shape.dim[i + 2] - 1) * w.stride[i] + rml_window_span(&w, i);
    }
    if (cut)
        whole = rml_emit_part(e, &out, "whole", &whole.shape);
    rml_emit_op op = rml_emit_begin(e, "conv_transpose", whole);
    rml_emit_value(&op, "x", x);
    rml_emit_value(&op, "weight", rml_emit_weight(e, node, 1));
    if (rml_input_given(node, 2))
        rml_emit_value(&op, "bias", rml_emit_in(e, node, 2));
    window_arguments(&op, &w, !cut);
    rml_emit_ints(&op, "dilations", w.dilation, w.rank);
    rml_emit_int(&op, "groups", node->attr.conv.groups);
    if (rml_shape_known(&whole.shape))
        rml_emit_ints(&op, "output_shape", whole.shape.dim, whole.shape.rank);
    rml_emit_end(&op);
    if (cut)
        emit_cut(e, whole, front, back, out);
}

// ---- pooling ------------------------------------------------------------------------------------

// Whether a last window that is not whole is one more in some dimension.
static bool ceil_matters(const rml_pool_attr *pool, const rml_shape *x)
{
    rml_pool_attr down = *pool;
    rml_window a, b;
    down.window.ceil_mode = false;
    if (!pool->window.ceil_mode || rml_window_make(&pool->window, x, NULL, &a, NULL) != RML_OK ||
        rml_window_make(&down.window, x, NULL, &b, NULL) != RML_OK)
        return false;
    bool differ = false;
    for (int i = 0; i < a.rank; i++)
        differ = differ || a.in[i] < 0 || a.out[i] != b.out[i];
    return differ;
}

static const char *pool_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_pool_attr *pool = &node->attr.pool;
    const rml_shape *x = rml_emit_shape(graph, node->in[0]);
    rml_window w;
    (void)opset;
    if (pool->indices)
        return "it also gives the places of what it takes";
    if (pool->kind == RML_POOL_LP && pool->p != 2)
        return "a power that is not 2";
    if (window_lacks(x))
        return window_lacks(x);
    if (pool->global)
        return NULL;
    if (rml_window_make(&pool->window, x, NULL, &w, NULL) != RML_OK)
        return "its window is not known";
    for (int i = 0; i < w.rank; i++) {
        if (w.dilation[i] != 1)
            return "its window has gaps";
        if (w.in[i] < 0 && w.stride[i] != 1 && pool->window.auto_pad >= RML_AUTO_PAD_SAME_UPPER &&
            pool->window.auto_pad != RML_AUTO_PAD_VALID)
            return "its padding depends on sizes that only a run tells";
        if (ceil_matters(pool, x) && (w.rank > 2 || w.before[i] != w.after[i]))
            return "its last windows are not whole, and its padding is not the same on both sides";
    }
    return NULL;
}

// Whether a reshape is all that reads the output: then the dimensions of size 1 need not be there.
static bool only_reshaped(const rml_graph *graph, const rml_node *node)
{
    for (const rml_node *next = node + 1; next < graph->nodes + graph->node_count; next++)
        for (int k = 0; k < next->in_count; k++)
            if (next->in[k] == node->out)
                return graph->values[node->out].uses == 1 &&
                       (next->op == RML_OP_RESHAPE || next->op == RML_OP_FLATTEN);
    return false;
}

static void emit_pool(rml_emitter *e, const rml_node *node)
{
    static const char *const windows[] = {"max_pool", "avg_pool", "l2_pool"};
    static const char *const reduced[] = {"reduce_max", "reduce_mean", "reduce_l2_norm"};
    static const int64_t axes[] = {2, 3, 4};
    const rml_pool_attr *pool = &node->attr.pool;
    const rml_operand x = rml_emit_in(e, node, 0), out = rml_emit_out(e, node, 0);
    rml_window w;
    if (pool->global) {
        const bool flat = only_reshaped(e->graph, node);
        const rml_shape channels = {2, {x.shape.dim[0], x.shape.dim[1]}};
        const rml_operand y = flat ? rml_emit_part(e, &out, "channels", &channels) : out;
        rml_emit_reduce(e, reduced[pool->kind], x, axes, x.shape.rank - 2, !flat, y);
        if (flat)
            rml_emit_view(e, node, 0, y);
        return;
    }
    if (rml_window_make(&pool->window, &x.shape, NULL, &w, NULL) != RML_OK)
        return;
    rml_emit_op op = rml_emit_begin(e, windows[pool->kind], out);
    rml_emit_value(&op, "x", x);
    rml_emit_ints(&op, "kernel_sizes", w.kernel, w.rank);
    window_arguments(&op, &w, false);
    rml_emit_flag(&op, "ceil_mode", ceil_matters(pool, &x.shape));
    if (pool->kind == RML_POOL_AVERAGE)
        rml_emit_flag(&op, "exclude_padding_from_average", !pool->count_pad);
    rml_emit_end(&op);
}

// ---- products -----------------------------------------------------------------------------------

static const char *matmul_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    (void)graph;
    if (!rml_activation_is_none(&node->attr.matmul.act))
        return acts;
    return rml_input_given(node, 3) ? adds : NULL;
}

// x W^T + b of constants.
static bool is_linear(const rml_graph *graph, const rml_node *node)
{
    const rml_matmul_attr *attr = &node->attr.matmul;
    const rml_shape *x = rml_emit_shape(graph, node->in[0]),
                    *w = rml_emit_shape(graph, node->in[1]);
    if (attr->transpose_a || attr->alpha != 1 || x->rank > 3 || w->rank != 2 ||
        graph->values[node->in[0]].dtype != RML_F32 || !rml_emit_constant(graph, node, 1))
        return false;
    if (!rml_input_given(node, 2))
        return true;
    const rml_shape *bias = rml_emit_shape(graph, node->in[2]);
    return attr->beta == 1 && rml_emit_constant(graph, node, 2) && bias->rank == 1 &&
           bias->dim[0] == w->dim[attr->transpose_b ? 0 : 1];
}

// [K,N] as [N,K].
static rml_operand turned_weight(rml_emitter *e, const rml_node *node, const rml_operand *out)
{
    const rml_shape *from = rml_emit_shape(e->graph, node->in[1]);
    const int64_t rows = from->dim[0], cols = from->dim[1];
    const rml_shape shape = {2, {cols, rows}};
    size_t count;
    const float *data = rml_emit_elements(e, node, 1, &count);
    float *turned = rml_emit_alloc(e, count, sizeof *turned);
    for (int64_t i = 0; i < rows && data && turned; i++)
        for (int64_t k = 0; k < cols; k++)
            turned[k * rows + i] = data[i * cols + k];
    return rml_emit_weight_data(e, rml_emit_joined(e, out->name, "weight"), turned, &shape, 0);
}

static void emit_linear(rml_emitter *e, const rml_node *node)
{
    const rml_operand out = rml_emit_out(e, node, 0);
    const rml_operand weight =
        node->attr.matmul.transpose_b ? rml_emit_weight(e, node, 1) : turned_weight(e, node, &out);
    rml_emit_op op = rml_emit_begin(e, "linear", out);
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_value(&op, "weight", weight);
    if (rml_input_given(node, 2))
        rml_emit_value(&op, "bias", rml_emit_in(e, node, 2));
    rml_emit_end(&op);
}

static rml_operand times(rml_emitter *e, rml_operand x, float factor, const rml_operand *base,
                         const char *part)
{
    if (factor == 1)
        return x;
    return rml_emit_with(e, "mul", x, (double)factor, rml_emit_part(e, base, part, &x.shape));
}

static void emit_matmul(rml_emitter *e, const rml_node *node)
{
    const rml_matmul_attr *attr = &node->attr.matmul;
    const rml_operand out = rml_emit_out(e, node, 0);
    if (is_linear(e->graph, node)) {
        emit_linear(e, node);
        return;
    }
    const bool adds_more = rml_input_given(node, 2) && attr->beta != 0;
    // alpha goes to the operand, so that the product is the last one where nothing is added
    const rml_operand x = times(e, rml_emit_in(e, node, 0), attr->alpha, &out, "scaled");
    const rml_operand product = adds_more ? rml_emit_part(e, &out, "product", &out.shape) : out;
    rml_emit_op op = rml_emit_begin(e, "matmul", product);
    rml_emit_value(&op, "x", x);
    rml_emit_value(&op, "y", rml_emit_weight(e, node, 1));
    rml_emit_flag(&op, "transpose_x", attr->transpose_a);
    rml_emit_flag(&op, "transpose_y", attr->transpose_b);
    rml_emit_end(&op);
    if (adds_more)
        rml_emit_binary(e, "add", product,
                        times(e, rml_emit_in(e, node, 2), attr->beta, &out, "added"), out);
}

const rml_emit_row rml_emit_convolutions[] = {
    {RML_OP_CONV, conv_lacks, emit_conv},
    {RML_OP_CONV_TRANSPOSE, conv_transpose_lacks, emit_conv_transpose},
    {RML_OP_POOL, pool_lacks, emit_pool},
    {RML_OP_MATMUL, matmul_lacks, emit_matmul},
    {0},
};
