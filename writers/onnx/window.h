// The attributes of windows that walk over images.
#ifndef RML_WRITERS_ONNX_WINDOW_H
#define RML_WRITERS_ONNX_WINDOW_H

#include "writers/onnx/emit.h"

// kernel_shape, strides, pads or auto_pad, and with `dilates` dilations.
void rml_to_onnx_window(rml_to_onnx *w, const rml_window_attr *window, bool dilates);

// Whether any axis is dilated.
bool rml_to_onnx_dilates(const rml_window_attr *window);

#endif
