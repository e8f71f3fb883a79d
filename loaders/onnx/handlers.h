// The handlers by family, one onnx_ops_*.c each.
#ifndef RML_LOADERS_ONNX_HANDLERS_H
#define RML_LOADERS_ONNX_HANDLERS_H

#include "loaders/onnx/import.h"

extern const rml_onnx_entry rml_onnx_attention[];
extern const rml_onnx_entry rml_onnx_convolution[];
extern const rml_onnx_entry rml_onnx_core[];
extern const rml_onnx_entry rml_onnx_elementwise[];
extern const rml_onnx_entry rml_onnx_index[];
extern const rml_onnx_entry rml_onnx_pooling[];
extern const rml_onnx_entry rml_onnx_product[];
extern const rml_onnx_entry rml_onnx_quantize[];
extern const rml_onnx_entry rml_onnx_recurrent[];
extern const rml_onnx_entry rml_onnx_resampling[];
extern const rml_onnx_entry rml_onnx_shape[];
extern const rml_onnx_entry rml_onnx_spectrum[];
extern const rml_onnx_entry rml_onnx_learned[];
extern const rml_onnx_entry rml_onnx_norm[];
extern const rml_onnx_entry rml_onnx_reduce[];

#endif
