// Convolutions.
#include "loaders/onnx/handlers.h"
#include "loaders/onnx/windows.h"

#include <string.h>

// A constant weight of an image of two dimensions, which the fast operators pack before the run.
static bool is_packed(const rml_onnx_call *call)
{
    const rml_value_id weight = rml_onnx_in(call, 1);
    const rml_fact fact = rml_onnx_fact(call, 1);
    return weight < call->graph->value_count && fact.shape.rank == 4 &&
           call->graph->values[weight].kind == RML_VALUE_CONSTANT;
}

static bool kernel_fits(const rml_windows_attr *windows, const rml_shape *weight)
{
    for (int i = 0; i < 2; i++)
        if (weight->dim[2 + i] < 1 ||
            (windows->kernel[i] && windows->kernel[i] != weight->dim[2 + i]))
            return false;
    return windows->rank == 0 || windows->rank == 2;
}

static bool make_packed(const rml_onnx_call *call, const rml_windows_attr *windows, int64_t groups,
                        rml_conv_attr *attr)
{
    const rml_shape weight = rml_onnx_fact(call, 1).shape, x = rml_onnx_fact(call, 0).shape;
    if (!is_packed(call) || !kernel_fits(windows, &weight))
        return false;
    *attr = (rml_conv_attr){.groups = groups, .act = rml_activation_none()};
    for (int i = 0; i < 2; i++) {
        attr->kernel[i] = weight.dim[2 + i];
        attr->stride[i] = windows->stride[i];
        attr->dilation[i] = windows->dilation[i];
    }
    return rml_onnx_fixed_pad(windows, attr->kernel, &x, attr->pad);
}

static void import_conv(rml_onnx_call *call)
{
    const rml_windows_attr windows = rml_onnx_windows(call);
    const int64_t groups = rml_onnx_int(call, "group", 1);
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1), rml_onnx_in(call, 2)};
    rml_conv_attr packed;
    if (call->refused)
        return;
    if (make_packed(call, &windows, groups, &packed)) {
        call->out[0] = rml_graph_conv2d(call->graph, rml_onnx_with_rank(call, in[0], 4), in[1],
                                        in[2], &packed, call->name);
        return;
    }
    const rml_op_attr attr = {.conv_nd = {.windows = windows, .groups = groups}};
    call->out[0] = rml_graph_node(call->graph, RML_OP_CONV_ND, &attr, in, 3, call->name);
}

// ---- transposed ---------------------------------------------------------------------------------

// For the fast operator: padding that does not depend on the input's size, and what it can do.
static bool make_packed_transpose(const rml_onnx_call *call,
                                  const rml_conv_transpose_nd_attr *transpose, rml_conv_attr *attr)
{
    const rml_windows_attr *windows = &transpose->windows;
    const rml_shape weight = rml_onnx_fact(call, 1).shape;
    const bool same = windows->auto_pad == RML_AUTO_PAD_SAME_UPPER ||
                      windows->auto_pad == RML_AUTO_PAD_SAME_LOWER;
    if (!is_packed(call) || !kernel_fits(windows, &weight))
        return false;
    *attr = (rml_conv_attr){.groups = transpose->groups, .act = rml_activation_none()};
    for (int i = 0; i < 2; i++) {
        const int64_t stride = windows->stride[i], dilation = windows->dilation[i];
        const int64_t out_pad = transpose->out_pad[i];
        attr->kernel[i] = weight.dim[2 + i];
        attr->stride[i] = stride;
        attr->dilation[i] = dilation;
        attr->out_pad[i] = out_pad;
        if (windows->auto_pad == RML_AUTO_PAD_NONE) {
            attr->pad[i] = windows->before[i];
            attr->pad[2 + i] = windows->after[i];
        }
        if (transpose->out_size[i] || stride < 1 || stride > 16 || dilation < 1 || out_pad < 0 ||
            (out_pad >= stride && out_pad >= dilation) || dilation > 1024)
            return false;
        if (same) {
            const int64_t total = dilation * (attr->kernel[i] - 1) + 1 + out_pad - stride;
            const int64_t half = total / 2;
            if (total < 0)
                return false;
            attr->pad[i] = windows->auto_pad == RML_AUTO_PAD_SAME_UPPER ? half : total - half;
            attr->pad[2 + i] = total - attr->pad[i];
        }
    }
    return true;
}

static void import_conv_transpose(rml_onnx_call *call)
{
    rml_conv_transpose_nd_attr transpose = {.windows = rml_onnx_windows(call),
                                            .groups = rml_onnx_int(call, "group", 1)};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 1), rml_onnx_in(call, 2)};
    int64_t sizes[RML_MAX_RANK];
    rml_conv_attr packed;
    rml_onnx_axes_list(call, "output_padding", transpose.out_pad, RML_MAX_SPATIAL);
    const int count = rml_onnx_axes_list(call, "output_shape", sizes, RML_MAX_RANK);
    // Some exporters write batch and channels too.
    const int rank = rml_onnx_fact(call, 1).shape.rank;
    const int skipped = rank >= 0 && count == rank ? 2 : 0;
    if (count - skipped > RML_MAX_SPATIAL)
        rml_onnx_refuse(call, "its output_shape has %d entries", count);
    for (int i = skipped; i < count && !call->refused; i++)
        transpose.out_size[i - skipped] = sizes[i];
    if (call->refused)
        return;
    if (make_packed_transpose(call, &transpose, &packed)) {
        call->out[0] = rml_graph_conv_transpose2d(call->graph, rml_onnx_with_rank(call, in[0], 4),
                                                  in[1], in[2], &packed, call->name);
        return;
    }
    const rml_op_attr attr = {.conv_transpose_nd = transpose};
    call->out[0] = rml_graph_node(call->graph, RML_OP_CONV_TRANSPOSE_ND, &attr, in, 3, call->name);
}

// ---- the others ---------------------------------------------------------------------------------

static void import_deform_conv(rml_onnx_call *call)
{
    const rml_op_attr attr = {.conv_nd = {.windows = rml_onnx_windows(call),
                                          .groups = rml_onnx_int(call, "group", 1),
                                          .offset_groups = rml_onnx_int(call, "offset_group", 1)}};
    rml_value_id in[5];
    for (int i = 0; i < 5; i++)
        in[i] = rml_onnx_in(call, i);
    if (!call->refused)
        call->out[0] = rml_graph_node(call->graph, RML_OP_DEFORM_CONV, &attr, in, 5, call->name);
}

static void import_col2im(rml_onnx_call *call)
{
    const rml_op_attr attr = {.col2im = {.windows = rml_onnx_windows(call)}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_list(call, 1, NULL),
                               rml_onnx_list(call, 2, NULL)};
    if (!call->refused)
        call->out[0] = rml_graph_node(call->graph, RML_OP_COL2IM, &attr, in, 3, call->name);
}

const rml_onnx_entry rml_onnx_convolution[] = {
    {.op_type = "Col2Im", .import = import_col2im, .since = 18},
    {.op_type = "Conv", .import = import_conv, .f32 = true},
    {.op_type = "ConvTranspose", .import = import_conv_transpose, .f32 = true},
    {.op_type = "DeformConv", .import = import_deform_conv, .since = 19, .f32 = true},
    {.op_type = NULL},
};
