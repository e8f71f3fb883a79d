// The operators of ONNX that this library runs, by family.
#include "loaders/onnx/handler.h"

#include <string.h>

const rml_onnx_entry *rml_onnx_find_entry(const char *op_type)
{
    static const rml_onnx_entry *const families[] = {
        rml_onnx_convolution, rml_onnx_core,      rml_onnx_elementwise, rml_onnx_index,
        rml_onnx_pooling,     rml_onnx_product,   rml_onnx_quantize,    rml_onnx_recurrent,
        rml_onnx_resampling,  rml_onnx_shape,     rml_onnx_spectrum,    rml_onnx_norm,
        rml_onnx_reduce,      rml_onnx_attention, rml_onnx_learned,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const rml_onnx_entry *entry = families[f]; entry->op_type; entry++)
            if (strcmp(entry->op_type, op_type) == 0)
                return entry;
    return NULL;
}
