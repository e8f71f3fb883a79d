#include "writers/onnx/window.h"

void rml_to_onnx_window(rml_to_onnx *w, const rml_window_attr *window, bool dilates)
{
    static const char words[] = "NOTSET SAME_UPPER SAME_LOWER VALID";
    const size_t rank = (size_t)window->rank;
    int64_t pads[2 * RML_MAX_SPATIAL];
    for (size_t i = 0; i < rank; i++) {
        pads[i] = window->before[i];
        pads[rank + i] = window->after[i];
    }
    if (rank && window->kernel[0])
        rml_to_onnx_int_list(w, "kernel_shape", window->kernel, rank);
    if (rank)
        rml_to_onnx_int_list(w, "strides", window->stride, rank);
    if (rank && dilates)
        rml_to_onnx_int_list(w, "dilations", window->dilation, rank);
    if (window->auto_pad != RML_AUTO_PAD_NONE)
        rml_to_onnx_word(w, "auto_pad", words, (int)window->auto_pad);
    else if (rank)
        rml_to_onnx_int_list(w, "pads", pads, 2 * rank);
}

bool rml_to_onnx_dilates(const rml_window_attr *window)
{
    for (int i = 0; i < window->rank; i++)
        if (window->dilation[i] != 1)
            return true;
    return false;
}
