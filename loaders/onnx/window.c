#include "loaders/onnx/handler.h"

#include <string.h>

int rml_onnx_axes_list(rml_onnx_call *call, const char *name, int64_t *list, int capacity)
{
    size_t count;
    const int64_t *values = rml_onnx_ints(call, name, &count);
    if (count > (size_t)capacity) {
        rml_onnx_refuse(call, "attribute \"%s\" has %zu entries, at most %d are supported", name,
                        count, capacity);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        list[i] = values[i];
    return (int)count;
}

static rml_auto_pad auto_pad_of(rml_onnx_call *call)
{
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *text = rml_onnx_text_of(call, "auto_pad", "NOTSET");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i]) == 0)
            return (rml_auto_pad)i;
    if (*text)
        rml_onnx_refuse(call, "auto_pad \"%s\" is not known", text);
    return RML_AUTO_PAD_NONE;
}

rml_window_attr rml_onnx_window(rml_onnx_call *call)
{
    rml_window_attr w = {.auto_pad = auto_pad_of(call)};
    int64_t pads[2 * RML_MAX_SPATIAL];
    int counts[4];
    for (int i = 0; i < RML_MAX_SPATIAL; i++)
        w.stride[i] = w.dilation[i] = 1;
    counts[0] = rml_onnx_axes_list(call, "kernel_shape", w.kernel, RML_MAX_SPATIAL);
    counts[1] = rml_onnx_axes_list(call, "strides", w.stride, RML_MAX_SPATIAL);
    counts[2] = rml_onnx_axes_list(call, "dilations", w.dilation, RML_MAX_SPATIAL);
    counts[3] = rml_onnx_axes_list(call, "pads", pads, 2 * RML_MAX_SPATIAL);
    bool fits = counts[3] % 2 == 0;
    counts[3] /= 2;
    for (int i = 0; i < 4; i++) {
        fits = fits && (!counts[i] || !w.rank || counts[i] == w.rank);
        w.rank = counts[i] ? counts[i] : w.rank;
    }
    if (!fits)
        rml_onnx_refuse(call, "kernel_shape, strides, dilations and pads are for different ranks");
    for (int i = 0; i < counts[3] && fits; i++) {
        w.before[i] = pads[i];
        w.after[i] = pads[counts[3] + i];
    }
    for (int i = 0; i < counts[0]; i++)
        if (w.kernel[i] < 1)
            rml_onnx_refuse(call, "its kernel is not positive");
    return w;
}
