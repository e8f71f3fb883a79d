// Quantization and products of quantized numbers.
#include "loaders/onnx/handler.h"
#include "loaders/onnx/make.h"

// ---- QuantizeLinear, DequantizeLinear -----------------------------------------------------------

// An attribute that names an element type; 0 is the same as none.
static rml_dtype told_dtype(rml_onnx_call *call, const char *name, rml_dtype absent)
{
    return rml_onnx_int(call, name, 0) == 0 ? absent : rml_onnx_dtype_of(call, name, absent);
}

static rml_quantize_attr quantize_attr(rml_onnx_call *call)
{
    int64_t axis = rml_onnx_int(call, "axis", 1);
    rml_quantize_attr attr = {.block = rml_onnx_int(call, "block_size", 0)};
    if (axis < -RML_MAX_RANK || axis >= RML_MAX_RANK)
        axis = RML_MAX_RANK; // no dimension of any input
    attr.axis = (int)axis;
    return attr;
}

static void import_quantize(rml_onnx_call *call)
{
    const rml_fact scale = rml_onnx_fact(call, 1), zero = rml_onnx_fact(call, 2);
    rml_op_attr attr = {.quantize = quantize_attr(call)};
    rml_onnx_ignore(call, "saturate"); // of 8-bit floats
    attr.quantize.precision = told_dtype(call, "precision", scale.dtype);
    attr.quantize.to =
        told_dtype(call, "output_dtype", zero.shape.rank == -1 ? RML_U8 : zero.dtype);
    rml_onnx_translate(call, RML_OP_QUANTIZE, &attr, 3);
}

static void import_dequantize(rml_onnx_call *call)
{
    rml_op_attr attr = {.quantize = quantize_attr(call)};
    attr.quantize.to = told_dtype(call, "output_dtype", rml_onnx_fact(call, 1).dtype);
    rml_onnx_translate(call, RML_OP_DEQUANTIZE, &attr, 3);
}

// ---- QLinearMatMul ------------------------------------------------------------------------------

// One scale a row, as a column.
static rml_value_id as_column(rml_onnx_call *call, int input)
{
    const rml_fact fact = rml_onnx_fact(call, input);
    const rml_shape column = {2, {-1, 1}};
    if (fact.shape.rank != 1 || fact.shape.dim[0] == 1 || rml_onnx_fact(call, 0).shape.rank < 2)
        return rml_onnx_in(call, input);
    return rml_graph_reshape(call->graph, rml_onnx_in(call, input), &column, call->name);
}

static void import_qlinear_matmul(rml_onnx_call *call)
{
    const rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 3), rml_onnx_in(call, 2),
                               rml_onnx_in(call, 5)};
    const rml_value_id sums = rml_onnx_make(call, RML_OP_INTEGER_MATMUL, NULL, in, 4);
    const rml_value_id scaled[] = {sums, as_column(call, 1), rml_onnx_in(call, 4),
                                   rml_onnx_in(call, 6), rml_onnx_in(call, 7)};
    rml_onnx_emit(call, RML_OP_REQUANTIZE, NULL, scaled, 5);
}

// ---- ConvInteger, QLinearConv -------------------------------------------------------------------

static rml_op_attr conv_attr(rml_onnx_call *call)
{
    return (rml_op_attr){
        .conv = {.window = rml_onnx_window(call), .groups = rml_onnx_int(call, "group", 1)}};
}

static void import_conv_integer(rml_onnx_call *call)
{
    const rml_op_attr attr = conv_attr(call);
    rml_onnx_translate(call, RML_OP_INTEGER_CONV, &attr, 4);
}

// One number an output channel, or one at all, for values of [N,C,...].
static rml_value_id by_channel(rml_onnx_call *call, int input, int spatial)
{
    rml_shape shape = {spatial + 1, {-1, 1, 1, 1, 1, 1, 1, 1}};
    return rml_graph_reshape(call->graph, rml_onnx_in(call, input), &shape, call->name);
}

// ONNX Runtime's own form may have its channels last; its weight is as ever.
static void import_qlinear_conv(rml_onnx_call *call)
{
    rml_value_id in[] = {rml_onnx_in(call, 0), rml_onnx_in(call, 3), rml_onnx_in(call, 2),
                         rml_onnx_in(call, 5)};
    const rml_op_attr attr = conv_attr(call);
    const int spatial = rml_onnx_fact(call, 3).shape.rank - 2;
    const bool last = *call->node->domain && rml_onnx_int(call, "channels_last", 0) != 0;
    if (spatial < 1 || spatial > RML_MAX_SPATIAL)
        rml_onnx_refuse(call, "a weight of %d dimensions", spatial + 2);
    if (call->refused)
        return;
    if (last)
        in[0] = rml_onnx_channels_from_end(call, in[0], spatial + 2);
    rml_value_id sums = rml_onnx_make(call, RML_OP_INTEGER_CONV, &attr, in, 4);
    if (rml_onnx_in(call, 8) != RML_NO_VALUE)
        sums = rml_onnx_add(call, sums, by_channel(call, 8, spatial));
    const rml_value_id scaled[] = {sums, rml_onnx_in(call, 1), by_channel(call, 4, spatial),
                                   rml_onnx_in(call, 6), rml_onnx_in(call, 7)};
    rml_onnx_emit(call, RML_OP_REQUANTIZE, NULL, scaled, 5);
    if (last)
        call->out[0] = rml_onnx_channels_to_end(call, call->out[0], spatial + 2);
}

const rml_onnx_entry rml_onnx_quantize[] = {
    {.op_type = "QuantizeLinear", .import = import_quantize, .since = 10},
    {.op_type = "DequantizeLinear",
     .import = import_dequantize,
     .since = 10,
     .stand_ins = RML_STAND_INS_READ},
    {.op_type = "com.microsoft.QuantizeLinear", .import = import_quantize},
    {.op_type = "com.microsoft.DequantizeLinear",
     .import = import_dequantize,
     .stand_ins = RML_STAND_INS_READ},
    {.op_type = "DynamicQuantizeLinear", .op = RML_OP_DYNAMIC_QUANTIZE, .since = 11},
    {.op_type = "MatMulInteger", .op = RML_OP_INTEGER_MATMUL, .since = 10},
    {.op_type = "QLinearMatMul", .import = import_qlinear_matmul, .since = 10},
    {.op_type = "ConvInteger", .import = import_conv_integer, .since = 10},
    {.op_type = "QLinearConv", .import = import_qlinear_conv, .since = 10},
    {.op_type = "com.microsoft.QLinearConv", .import = import_qlinear_conv},
    {.op_type = NULL},
};
