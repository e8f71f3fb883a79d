// Quantization.
#include "writers/onnx/emit.h"

#include "tensor/dtype.h"

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

static const char *lacks_types(const rml_to_onnx_ask *ask, rml_dtype codes)
{
    const rml_quantize_attr *attr = &ask->node->attr.quantize;
    const rml_dtype scale = ask->graph->values[ask->node->in[1]].dtype;
    if (attr->block && ask->opset < 21)
        return "there are no blocks before opset 21";
    if ((codes == RML_I16 || codes == RML_U16) && ask->opset < 21)
        return "there are no codes of 16 bits before opset 21";
    if (scale != RML_F32 && ask->opset < 19)
        return "its scale is f32 before opset 19";
    return NULL;
}

static const char *lacks_quantize(const rml_to_onnx_ask *ask)
{
    const rml_quantize_attr *attr = &ask->node->attr.quantize;
    if (attr->precision != ask->graph->values[ask->node->in[1]].dtype)
        return "it divides in the type of the scale";
    if (!is_given(ask->node, 2) && !rml_shape_known(&ask->graph->values[ask->node->in[1]].shape))
        return "its codes are u8 where there is no zero point";
    return lacks_types(ask, attr->to);
}

static const char *lacks_dequantize(const rml_to_onnx_ask *ask)
{
    if (ask->node->attr.quantize.to != ask->graph->values[ask->node->in[1]].dtype)
        return "its result has the type of the scale";
    return lacks_types(ask, ask->graph->values[ask->node->in[0]].dtype);
}

// Zeros of the type of the codes, which tell it.
static const char *zero_point(rml_to_onnx *w, const rml_node *node)
{
    const rml_shape *shape = &w->graph->values[node->in[1]].shape;
    const rml_dtype dtype = node->attr.quantize.to;
    size_t count = 0;
    rml_shape_count(shape, &count);
    const void *zeros = rml_arena_alloc(w->naming.arena, count + 1, rml_dtype_size(dtype));
    if (zeros)
        return rml_to_onnx_constant_of(w, node, "zero", dtype, shape, zeros);
    rml_to_onnx_fail(w, RML_ERR_NOMEM, "out of memory for zero points");
    return "";
}

static void write_quantize(rml_to_onnx *w, const rml_node *node)
{
    const rml_quantize_attr *attr = &node->attr.quantize;
    const bool back = node->op == RML_OP_DEQUANTIZE;
    const rml_shape *scale = &w->graph->values[node->in[1]].shape;
    const char *in[3] = {rml_to_onnx_name(w, node->in[0]), rml_to_onnx_name(w, node->in[1]), ""};
    if (is_given(node, 2))
        in[2] = rml_to_onnx_name(w, node->in[2]);
    else if (!back)
        in[2] = zero_point(w, node);
    rml_to_onnx_begin(w, back ? "DequantizeLinear" : "QuantizeLinear", in, 3);
    if (scale->rank != 0) // otherwise there is no axis, and the input may have none
        rml_to_onnx_int(w, "axis", attr->axis);
    if (attr->block)
        rml_to_onnx_int(w, "block_size", attr->block);
    rml_to_onnx_close(w, node);
}

enum { SUMS, FIRST, SECOND, SCALE, ZERO };

static const char *lacks_requantize(const rml_to_onnx_ask *ask)
{
    const rml_shape *scale = &ask->graph->values[ask->node->in[SCALE]].shape;
    size_t count = 0;
    return scale->rank >= 0 && rml_shape_count(scale, &count) && count == 1
               ? NULL
               : "the scale of its result is not one number";
}

// Sums of products of codes to codes: what they stand for, quantized again.
static void write_requantize(rml_to_onnx *w, const rml_node *node)
{
    const char **in = rml_to_onnx_inputs(w, node);
    if (!in)
        return;
    const char *const sums = rml_to_onnx_part(w, node, "sums");
    rml_to_onnx_begin(w, "Cast", in, 1);
    rml_to_onnx_int(w, "to", rml_to_onnx_element(w->graph->values[node->in[FIRST]].dtype));
    rml_to_onnx_end(w, node, &sums, 1);
    const char *factors[2] = {in[FIRST], in[SECOND]};
    const char *product[2] = {sums, rml_to_onnx_make(w, node, "Mul", factors, 2, "factor")};
    const char *quantized[3] = {rml_to_onnx_make(w, node, "Mul", product, 2, "numbers"), in[SCALE],
                                in[ZERO]};
    rml_to_onnx_make(w, node, "QuantizeLinear", quantized, 3, NULL);
}

const rml_to_onnx_entry rml_to_onnx_quantize[] = {
    {.op = RML_OP_QUANTIZE, .lacks = lacks_quantize, .write = write_quantize},
    {.op = RML_OP_DEQUANTIZE, .lacks = lacks_dequantize, .write = write_quantize},
    {.op = RML_OP_REQUANTIZE, .lacks = lacks_requantize, .write = write_requantize},
    {.op = RML_OP_DYNAMIC_QUANTIZE, .op_type = "DynamicQuantizeLinear"},
    {0},
};
