// Fourier transforms, windows, mel weights.
#include "writers/onnx/emit.h"

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

static const char *lacks_dft(const rml_to_onnx_ask *ask)
{
    const rml_value *axis = is_given(ask->node, 2) ? &ask->graph->values[ask->node->in[2]] : NULL;
    if (axis && ask->opset < 20)
        return "its axis is no input before opset 20";
    return ask->node->attr.dft.axis < 0 && ask->opset < 20
               ? "its axis does not count from the end before opset 20"
               : NULL;
}

// The axis is an input since opset 20.
static void write_dft(rml_to_onnx *w, const rml_node *node)
{
    const rml_dft_attr *attr = &node->attr.dft;
    const char *in[3] = {rml_to_onnx_name(w, node->in[0]),
                         is_given(node, 1) ? rml_to_onnx_name(w, node->in[1]) : "", ""};
    if (is_given(node, 2))
        in[2] = rml_to_onnx_name(w, node->in[2]);
    else if (w->opset >= 20)
        in[2] = rml_to_onnx_scalar(w, node, "axis", RML_I64, attr->axis);
    rml_to_onnx_begin(w, "DFT", in, 3);
    if (w->opset < 20)
        rml_to_onnx_int(w, "axis", attr->axis);
    rml_to_onnx_int(w, "inverse", attr->inverse);
    rml_to_onnx_int(w, "onesided", attr->onesided);
    rml_to_onnx_close(w, node);
}

static void write_window(rml_to_onnx *w, const rml_node *node)
{
    static const char *const names[] = {"HannWindow", "HammingWindow", "BlackmanWindow"};
    const rml_window_function_attr *attr = &node->attr.window_function;
    rml_to_onnx_open(w, node, names[attr->kind]);
    rml_to_onnx_int(w, "periodic", !attr->symmetric);
    rml_to_onnx_int(w, "output_datatype", rml_to_onnx_element(attr->to));
    rml_to_onnx_close(w, node);
}

static const rml_to_onnx_field stft[] = {RML_TO(FLAG, "onesided", dft.onesided), {0}};
static const rml_to_onnx_field mel[] = {RML_TO(DTYPE, "output_datatype", window_function.to), {0}};

const rml_to_onnx_entry rml_to_onnx_spectrum[] = {
    {.op = RML_OP_DFT, .since = 17, .lacks = lacks_dft, .write = write_dft},
    {.op = RML_OP_STFT, .op_type = "STFT", .fields = stft, .since = 17},
    {.op = RML_OP_WINDOW_FUNCTION, .since = 17, .write = write_window},
    {.op = RML_OP_MEL_WEIGHTS, .op_type = "MelWeightMatrix", .fields = mel, .since = 17},
    {0},
};
