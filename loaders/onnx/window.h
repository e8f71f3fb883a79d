// Attributes that convolutions and poolings of ONNX have in common.
#ifndef RML_LOADERS_ONNX_WINDOW_H
#define RML_LOADERS_ONNX_WINDOW_H

#include "loaders/onnx/handler.h"

// kernel_shape, strides, dilations, pads and auto_pad. What is not right is refused.
rml_window_attr rml_onnx_window(rml_onnx_call *call);

// A list of one integer for each axis, at most `capacity`; entries that are not given keep theirs.
// Returns the number given.
int rml_onnx_axes_list(rml_onnx_call *call, const char *name, int64_t *list, int capacity);

#endif
