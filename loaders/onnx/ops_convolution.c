// Convolutions.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"

static rml_op_attr conv_attr(rml_onnx_call *call)
{
    return (rml_op_attr){.conv = {.window = rml_onnx_window(call),
                                  .groups = rml_onnx_int(call, "group", 1),
                                  .act = rml_activation_none()}};
}

static void import_conv(rml_onnx_call *call)
{
    const rml_op_attr attr = conv_attr(call);
    rml_onnx_translate(call, RML_OP_CONV, &attr, 3);
}

// A convolution, to which a fourth input is added, and a function of the sum.
static void import_fused_conv(rml_onnx_call *call)
{
    size_t count;
    const rml_op_attr attr = conv_attr(call);
    const char *name = rml_onnx_text_of(call, "activation", NULL);
    const float *param = rml_onnx_floats(call, "activation_params", &count);
    rml_onnx_translate(call, RML_OP_CONV, &attr, 3);
    if (rml_onnx_in(call, 3) != RML_NO_VALUE)
        call->out[0] = rml_onnx_add(call, call->out[0], rml_onnx_in(call, 3));
    call->out[0] = rml_onnx_activate(call, call->out[0], name, param, count);
}

static void import_conv_transpose(rml_onnx_call *call)
{
    rml_op_attr attr = conv_attr(call);
    int64_t sizes[RML_MAX_RANK];
    rml_onnx_axes_list(call, "output_padding", attr.conv.out_pad, RML_MAX_SPATIAL);
    const int count = rml_onnx_axes_list(call, "output_shape", sizes, RML_MAX_RANK);
    // Some exporters write batch and channels too.
    const int rank = rml_onnx_fact(call, 1).shape.rank;
    const int skipped = rank >= 0 && count == rank ? 2 : 0;
    if (count - skipped > RML_MAX_SPATIAL)
        rml_onnx_refuse(call, "its output_shape has %d entries", count);
    for (int i = skipped; i < count && !call->refused; i++)
        attr.conv.out_size[i - skipped] = sizes[i];
    rml_onnx_translate(call, RML_OP_CONV_TRANSPOSE, &attr, 3);
}

static void import_deform_conv(rml_onnx_call *call)
{
    rml_op_attr attr = conv_attr(call);
    attr.conv.offset_groups = rml_onnx_int(call, "offset_group", 1);
    rml_onnx_translate(call, RML_OP_DEFORM_CONV, &attr, 5);
}

static void import_col2im(rml_onnx_call *call)
{
    const rml_op_attr attr = {.col2im = {.window = rml_onnx_window(call)}};
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_list(call, 1, NULL),
                               rml_onnx_list(call, 2, NULL)};
    rml_onnx_emit(call, RML_OP_COL2IM, &attr, in, 3);
}

const rml_onnx_entry rml_onnx_convolution[] = {
    {.op_type = "Col2Im", .import = import_col2im, .since = 18},
    {.op_type = "Conv", .import = import_conv, .f32 = true},
    {.op_type = "com.microsoft.FusedConv", .import = import_fused_conv, .f32 = true},
    {.op_type = "ConvTranspose", .import = import_conv_transpose, .f32 = true},
    {.op_type = "DeformConv", .import = import_deform_conv, .since = 19, .f32 = true},
    {.op_type = NULL},
};
