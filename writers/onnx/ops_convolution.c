// Convolutions.
#include "writers/onnx/window.h"

static const char *lacks_conv(const rml_to_onnx_ask *ask)
{
    const rml_node *node = ask->node;
    const int residual = node->op == RML_OP_DEFORM_CONV ? 5 : 3;
    if (!rml_activation_is_none(&node->attr.conv.act))
        return "it has no activation";
    if (node->attr.conv.twice || (node->in_count > residual && node->in[residual] != RML_NO_VALUE))
        return "it is part of another one";
    return NULL;
}

static void write_conv_attr(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_window(w, &node->attr.conv.window, true);
    rml_to_onnx_int(w, "group", node->attr.conv.groups);
}

// Padding that makes sizes the same, as numbers where they are known: ONNX Runtime has no other for
// dilated kernels.
static rml_window_attr told(const rml_graph *graph, const rml_node *node)
{
    rml_window_attr window = node->attr.conv.window;
    const rml_shape *x = &graph->values[node->in[0]].shape;
    const rml_shape *kernel = &graph->values[node->in[1]].shape;
    const bool lower = window.auto_pad == RML_AUTO_PAD_SAME_LOWER;
    if (window.auto_pad == RML_AUTO_PAD_NONE || !rml_shape_known(kernel))
        return window;
    window.rank = kernel->rank - 2;
    for (int i = 0; i < window.rank; i++) {
        const int64_t size = x->rank == kernel->rank ? x->dim[2 + i] : -1;
        const int64_t reach = (kernel->dim[2 + i] - 1) * window.dilation[i];
        const int64_t steps = size < 0 ? 0 : (size + window.stride[i] - 1) / window.stride[i] - 1;
        int64_t pad = window.stride[i] == 1 ? reach : steps * window.stride[i] + 1 + reach - size;
        if (window.auto_pad == RML_AUTO_PAD_VALID)
            pad = 0;
        else if (size < 0 && window.stride[i] != 1)
            return node->attr.conv.window;
        pad = pad < 0 ? 0 : pad;
        window.before[i] = lower ? pad - pad / 2 : pad / 2;
        window.after[i] = pad - window.before[i];
    }
    window.auto_pad = RML_AUTO_PAD_NONE;
    return window;
}

static void write_conv(rml_to_onnx *w, const rml_node *node)
{
    const rml_window_attr window = told(w->graph, node);
    rml_to_onnx_open(w, node, node->op == RML_OP_INTEGER_CONV ? "ConvInteger" : "Conv");
    rml_to_onnx_window(w, &window, true);
    rml_to_onnx_int(w, "group", node->attr.conv.groups);
    rml_to_onnx_close(w, node);
}

static void write_conv_transpose(rml_to_onnx *w, const rml_node *node)
{
    const rml_conv_attr *attr = &node->attr.conv;
    const int rank = w->graph->values[node->in[1]].shape.rank;
    const size_t spatial = rank > 2 ? (size_t)rank - 2 : (size_t)attr->window.rank;
    bool sized = false, padded = false;
    for (size_t i = 0; i < spatial; i++) {
        sized = sized || attr->out_size[i] > 0;
        padded = padded || attr->out_pad[i] != 0;
    }
    rml_to_onnx_open(w, node, "ConvTranspose");
    write_conv_attr(w, node);
    if (padded)
        rml_to_onnx_int_list(w, "output_padding", attr->out_pad, spatial);
    if (sized)
        rml_to_onnx_int_list(w, "output_shape", attr->out_size, spatial);
    rml_to_onnx_close(w, node);
}

static void write_deform_conv(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "DeformConv");
    write_conv_attr(w, node);
    rml_to_onnx_int(w, "offset_group", node->attr.conv.offset_groups);
    rml_to_onnx_close(w, node);
}

static void write_col2im(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "Col2Im");
    rml_to_onnx_window(w, &node->attr.col2im.window, true);
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_convolution[] = {
    {.op = RML_OP_COL2IM, .since = 18, .write = write_col2im},
    {.op = RML_OP_CONV, .lacks = lacks_conv, .write = write_conv},
    {.op = RML_OP_INTEGER_CONV, .write = write_conv},
    {.op = RML_OP_CONV_TRANSPOSE, .lacks = lacks_conv, .write = write_conv_transpose},
    {.op = RML_OP_DEFORM_CONV, .since = 19, .lacks = lacks_conv, .write = write_deform_conv},
    {0},
};
