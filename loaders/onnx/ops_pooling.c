// Poolings.
#include "loaders/onnx/handlers.h"
#include "loaders/onnx/windows.h"

#include <string.h>

static bool is_float(rml_dtype type)
{
    return type == RML_F32 || type == RML_F16 || type == RML_BF16;
}

// Whether the fast operator for images can do it.
static bool make_fast(const rml_onnx_call *call, const rml_pool_nd_attr *pool, rml_pool_attr *attr)
{
    const rml_fact x = rml_onnx_fact(call, 0);
    const rml_windows_attr *windows = &pool->windows;
    if (!is_float(x.dtype) || pool->indices || pool->kind == RML_POOL_ND_LP)
        return false;
    *attr = (rml_pool_attr){.kind = pool->kind == RML_POOL_ND_MAX ? RML_POOL_MAX : RML_POOL_AVERAGE,
                            .global = pool->global,
                            .ceil_mode = windows->ceil_mode,
                            .count_pad = pool->count_pad};
    if (pool->global)
        return x.shape.rank == 4 && x.shape.dim[2] != 0 && x.shape.dim[3] != 0;
    if (windows->rank != 2 || (x.shape.rank != 4 && x.shape.rank != RML_RANK_UNKNOWN) ||
        !rml_onnx_fixed_pad(windows, windows->kernel, &x.shape, attr->pad))
        return false;
    for (int i = 0; i < 2; i++) {
        attr->kernel[i] = windows->kernel[i];
        attr->stride[i] = windows->stride[i];
        if (windows->dilation[i] != 1 || 2 * attr->pad[i] > attr->kernel[i] ||
            2 * attr->pad[2 + i] > attr->kernel[i])
            return false;
    }
    return true;
}

static void add_pool(rml_onnx_call *call, const rml_pool_nd_attr *pool)
{
    rml_value_id x = rml_onnx_in(call, 0);
    const rml_dtype type = rml_onnx_fact(call, 0).dtype;
    rml_pool_attr fast;
    if (call->refused)
        return;
    if (make_fast(call, pool, &fast)) {
        x = rml_onnx_with_rank(call, rml_onnx_cast(call, x, RML_F32), 4);
        call->out[0] =
            rml_onnx_cast(call, rml_graph_pool2d(call->graph, x, &fast, call->name), type);
        return;
    }
    const rml_op_attr attr = {.pool_nd = *pool};
    call->out[0] = rml_graph_node(call->graph, RML_OP_POOL_ND, &attr, &x, 1, call->name);
    if (pool->indices && call->out[0] != RML_NO_VALUE)
        call->out[1] = call->out[0] + 1;
}

static double norm_of(rml_onnx_call *call)
{
    // An integer since opset 2.
    return call->opset < 2 ? rml_onnx_float(call, "p", 2) : (double)rml_onnx_int(call, "p", 2);
}

static void import_pool(rml_onnx_call *call)
{
    rml_pool_nd_attr pool = {.kind = (rml_pool_nd_kind)rml_onnx_option(call),
                             .windows = rml_onnx_windows(call)};
    pool.windows.ceil_mode = rml_onnx_int(call, "ceil_mode", 0) != 0;
    if (!pool.windows.kernel[0])
        rml_onnx_refuse(call, "it has no kernel_shape");
    if (pool.kind == RML_POOL_ND_MAX) {
        pool.column_major = rml_onnx_int(call, "storage_order", 0) != 0;
        pool.indices = rml_onnx_wants(call, 1);
    } else if (pool.kind == RML_POOL_ND_AVERAGE) {
        pool.count_pad = rml_onnx_int(call, "count_include_pad", 0) != 0;
    } else {
        pool.p = norm_of(call);
    }
    add_pool(call, &pool);
}

static void import_global(rml_onnx_call *call)
{
    rml_pool_nd_attr pool = {.kind = (rml_pool_nd_kind)rml_onnx_option(call), .global = true};
    if (pool.kind == RML_POOL_ND_LP)
        pool.p = norm_of(call);
    add_pool(call, &pool);
}

static void import_unpool(rml_onnx_call *call)
{
    const rml_op_attr attr = {.unpool = {.windows = rml_onnx_windows(call)}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1), rml_onnx_in(call, 2)};
    if (!attr.unpool.windows.kernel[0])
        rml_onnx_refuse(call, "it has no kernel_shape");
    if (!call->refused)
        call->out[0] = rml_graph_node(call->graph, RML_OP_UNPOOL, &attr, in, 3, call->name);
}

// ---- regions ------------------------------------------------------------------------------------

static void import_roi_pool(rml_onnx_call *call)
{
    int64_t sizes[2] = {0, 0};
    const int count = rml_onnx_axes_list(call, "pooled_shape", sizes, 2);
    const rml_op_attr attr = {.roi = {.height = sizes[0],
                                      .width = sizes[1],
                                      .scale = rml_onnx_float(call, "spatial_scale", 1)}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1)};
    if (count != 2)
        rml_onnx_refuse(call, "its pooled_shape has %d entries", count);
    if (!call->refused)
        call->out[0] = rml_graph_node(call->graph, RML_OP_ROI_POOL, &attr, in, 2, call->name);
}

static void import_roi_align(rml_onnx_call *call)
{
    const char *mode = rml_onnx_text_of(call, "mode", "avg");
    const char *shift = "output_half_pixel";
    if (call->opset >= 16)
        shift = rml_onnx_text_of(call, "coordinate_transformation_mode", "half_pixel");
    const rml_op_attr attr = {.roi = {.height = rml_onnx_int(call, "output_height", 1),
                                      .width = rml_onnx_int(call, "output_width", 1),
                                      .samples = rml_onnx_int(call, "sampling_ratio", 0),
                                      .scale = rml_onnx_float(call, "spatial_scale", 1),
                                      .max = strcmp(mode, "max") == 0,
                                      .half_pixel = strcmp(shift, "half_pixel") == 0}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1),
                               rml_onnx_list(call, 2, NULL)};
    if (strcmp(mode, "avg") != 0 && !attr.roi.max)
        rml_onnx_refuse(call, "mode \"%s\" is not known", mode);
    if (strcmp(shift, "output_half_pixel") != 0 && !attr.roi.half_pixel)
        rml_onnx_refuse(call, "coordinate_transformation_mode \"%s\" is not known", shift);
    if (!call->refused)
        call->out[0] = rml_graph_node(call->graph, RML_OP_ROI_ALIGN, &attr, in, 3, call->name);
}

const rml_onnx_entry rml_onnx_pooling[] = {
    {.op_type = "AveragePool", .import = import_pool, .option = RML_POOL_ND_AVERAGE},
    {.op_type = "GlobalAveragePool", .import = import_global, .option = RML_POOL_ND_AVERAGE},
    {.op_type = "GlobalLpPool", .import = import_global, .option = RML_POOL_ND_LP},
    {.op_type = "GlobalMaxPool", .import = import_global, .option = RML_POOL_ND_MAX},
    {.op_type = "LpPool", .import = import_pool, .option = RML_POOL_ND_LP},
    {.op_type = "MaxPool", .import = import_pool, .option = RML_POOL_ND_MAX},
    {.op_type = "MaxRoiPool", .import = import_roi_pool, .f32 = true},
    {.op_type = "MaxUnpool", .import = import_unpool},
    {.op_type = "RoiAlign", .import = import_roi_align, .f32 = true},
    {.op_type = NULL},
};
