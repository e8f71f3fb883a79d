// Poolings.
#include "loaders/onnx/make.h"

enum { GLOBAL = 8 }; // added to the kind of a pooling

// Over windows, or over the whole image.
static void import_pool(rml_onnx_call *call)
{
    rml_op_attr attr = {.pool = {.kind = (rml_pool_kind)(rml_onnx_option(call) % GLOBAL),
                                 .global = rml_onnx_option(call) >= GLOBAL}};
    rml_pool_attr *pool = &attr.pool;
    if (!pool->global) {
        pool->window = rml_onnx_window(call);
        pool->window.ceil_mode = rml_onnx_int(call, "ceil_mode", 0) != 0;
        if (!pool->window.kernel[0])
            rml_onnx_refuse(call, "it has no kernel_shape");
    }
    if (pool->kind == RML_POOL_LP) // p is an integer since opset 2
        pool->p =
            call->opset < 2 ? rml_onnx_float(call, "p", 2) : (double)rml_onnx_int(call, "p", 2);
    if (pool->kind == RML_POOL_MAX && !pool->global) {
        pool->column_major = rml_onnx_int(call, "storage_order", 0) != 0;
        pool->indices = rml_onnx_wants(call, 1);
    } else if (pool->kind == RML_POOL_AVERAGE && !pool->global) {
        pool->count_pad = rml_onnx_int(call, "count_include_pad", 0) != 0;
    }
    rml_onnx_translate(call, RML_OP_POOL, &attr, 1);
}

static void import_unpool(rml_onnx_call *call)
{
    const rml_op_attr attr = {.unpool = {.window = rml_onnx_window(call)}};
    if (!attr.unpool.window.kernel[0])
        rml_onnx_refuse(call, "it has no kernel_shape");
    rml_onnx_translate(call, RML_OP_UNPOOL, &attr, 3);
}

// ---- regions ------------------------------------------------------------------------------------

static void import_roi_pool(rml_onnx_call *call)
{
    int64_t sizes[2] = {0, 0};
    const int count = rml_onnx_axes_list(call, "pooled_shape", sizes, 2);
    const rml_op_attr attr = {.roi = {.height = sizes[0],
                                      .width = sizes[1],
                                      .scale = rml_onnx_float(call, "spatial_scale", 1)}};
    if (count != 2)
        rml_onnx_refuse(call, "its pooled_shape has %d entries", count);
    rml_onnx_translate(call, RML_OP_ROI_POOL, &attr, 2);
}

static void import_roi_align(rml_onnx_call *call)
{
    const rml_op_attr attr = {
        .roi = {.height = rml_onnx_int(call, "output_height", 1),
                .width = rml_onnx_int(call, "output_width", 1),
                .samples = rml_onnx_int(call, "sampling_ratio", 0),
                .scale = rml_onnx_float(call, "spatial_scale", 1),
                .max = rml_onnx_word(call, "mode", "avg max", 0) != 0,
                .half_pixel =
                    call->opset >= 16 && rml_onnx_word(call, "coordinate_transformation_mode",
                                                       "output_half_pixel half_pixel", 1) != 0}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1),
                               rml_onnx_list(call, 2, NULL)};
    rml_onnx_emit(call, RML_OP_ROI_ALIGN, &attr, in, 3);
}

const rml_onnx_entry rml_onnx_pooling[] = {
    {.op_type = "AveragePool", .import = import_pool, .option = RML_POOL_AVERAGE},
    {.op_type = "GlobalAveragePool", .import = import_pool, .option = GLOBAL + RML_POOL_AVERAGE},
    {.op_type = "GlobalLpPool", .import = import_pool, .option = GLOBAL + RML_POOL_LP},
    {.op_type = "GlobalMaxPool", .import = import_pool, .option = GLOBAL + RML_POOL_MAX},
    {.op_type = "LpPool", .import = import_pool, .option = RML_POOL_LP},
    {.op_type = "MaxPool", .import = import_pool, .option = RML_POOL_MAX},
    {.op_type = "MaxRoiPool", .import = import_roi_pool, .f32 = true},
    {.op_type = "MaxUnpool", .import = import_unpool},
    {.op_type = "RoiAlign", .import = import_roi_align, .f32 = true},
    {.op_type = NULL},
};
