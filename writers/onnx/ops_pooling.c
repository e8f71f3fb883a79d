// Poolings.
#include "writers/onnx/window.h"

static const char *lacks_pool(const rml_to_onnx_ask *ask)
{
    const rml_pool_attr *pool = &ask->node->attr.pool;
    const bool dilates = !pool->global && rml_to_onnx_dilates(&pool->window);
    if (pool->kind == RML_POOL_AVERAGE && dilates && ask->opset < 19)
        return "there are no dilations before opset 19";
    if (pool->kind == RML_POOL_LP && (dilates || pool->window.ceil_mode) && ask->opset < 18)
        return "there are no dilations and no ceil_mode before opset 18";
    if (pool->kind == RML_POOL_LP && pool->p != (double)(int64_t)pool->p)
        return "its p is no integer";
    return NULL;
}

// Whether a last window that is not whole makes the output larger. One that begins in the padding
// does not count, which ONNX says since opset 22 only.
static bool counts_last(const rml_graph *graph, const rml_node *node)
{
    const rml_window_attr *window = &node->attr.pool.window;
    const rml_shape *x = &graph->values[node->in[0]].shape;
    const rml_shape *y = &graph->values[node->out].shape;
    bool same = x->rank >= 0 && y->rank == x->rank && window->auto_pad == RML_AUTO_PAD_NONE;
    for (int i = 0; i < window->rank && same; i++) {
        const int64_t reach = window->dilation[i] * (window->kernel[i] - 1) + 1;
        const int64_t room = x->dim[2 + i] + window->before[i] + window->after[i] - reach;
        same = x->dim[2 + i] >= 0 && y->dim[2 + i] == room / window->stride[i] + 1;
    }
    return window->ceil_mode && !same;
}

static void write_pool(rml_to_onnx *w, const rml_node *node)
{
    static const char *const names[] = {"MaxPool", "AveragePool", "LpPool"};
    static const char *const globals[] = {"GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"};
    const rml_pool_attr *pool = &node->attr.pool;
    const bool dilates = !pool->global && rml_to_onnx_dilates(&pool->window);
    rml_to_onnx_open(w, node, pool->global ? globals[pool->kind] : names[pool->kind]);
    if (!pool->global)
        rml_to_onnx_window(w, &pool->window, dilates);
    if (!pool->global && counts_last(w->graph, node))
        rml_to_onnx_int(w, "ceil_mode", 1);
    if (pool->kind == RML_POOL_LP)
        rml_to_onnx_int(w, "p", (int64_t)pool->p);
    if (pool->kind == RML_POOL_AVERAGE && pool->count_pad)
        rml_to_onnx_int(w, "count_include_pad", 1);
    if (pool->column_major)
        rml_to_onnx_int(w, "storage_order", 1);
    rml_to_onnx_close(w, node);
}

static void write_unpool(rml_to_onnx *w, const rml_node *node)
{
    rml_to_onnx_open(w, node, "MaxUnpool");
    rml_to_onnx_window(w, &node->attr.unpool.window, false);
    rml_to_onnx_close(w, node);
}

// ---- regions ------------------------------------------------------------------------------------

static void write_roi_pool(rml_to_onnx *w, const rml_node *node)
{
    const rml_roi_attr *roi = &node->attr.roi;
    rml_to_onnx_open(w, node, "MaxRoiPool");
    rml_to_onnx_int_list(w, "pooled_shape", (const int64_t[]){roi->height, roi->width}, 2);
    rml_to_onnx_float(w, "spatial_scale", roi->scale);
    rml_to_onnx_close(w, node);
}

static const char *lacks_roi_align(const rml_to_onnx_ask *ask)
{
    return ask->node->attr.roi.half_pixel && ask->opset < 16
               ? "it shifts no coordinates before opset 16"
               : NULL;
}

static void write_roi_align(rml_to_onnx *w, const rml_node *node)
{
    const rml_roi_attr *roi = &node->attr.roi;
    rml_to_onnx_open(w, node, "RoiAlign");
    rml_to_onnx_int(w, "output_height", roi->height);
    rml_to_onnx_int(w, "output_width", roi->width);
    rml_to_onnx_int(w, "sampling_ratio", roi->samples);
    rml_to_onnx_float(w, "spatial_scale", roi->scale);
    rml_to_onnx_text(w, "mode", roi->max ? "max" : "avg");
    if (w->opset >= 16)
        rml_to_onnx_text(w, "coordinate_transformation_mode",
                         roi->half_pixel ? "half_pixel" : "output_half_pixel");
    rml_to_onnx_close(w, node);
}

const rml_to_onnx_entry rml_to_onnx_pooling[] = {
    {.op = RML_OP_POOL, .lacks = lacks_pool, .write = write_pool},
    {.op = RML_OP_UNPOOL, .write = write_unpool},
    {.op = RML_OP_ROI_POOL, .write = write_roi_pool},
    {.op = RML_OP_ROI_ALIGN, .lacks = lacks_roi_align, .write = write_roi_align},
    {0},
};
