// Which entry an operator has, and what an ONNX file cannot hold.
#include "writers/onnx/emit.h"

#include <stdio.h>
#include <string.h>

static const rml_to_onnx_entry *const tables[] = {
    rml_to_onnx_control,   rml_to_onnx_convolution, rml_to_onnx_elementwise, rml_to_onnx_index,
    rml_to_onnx_norm,      rml_to_onnx_pooling,     rml_to_onnx_product,     rml_to_onnx_quantize,
    rml_to_onnx_recurrent, rml_to_onnx_reduce,      rml_to_onnx_resampling,  rml_to_onnx_shape,
    rml_to_onnx_spectrum,
};

const rml_to_onnx_entry *rml_to_onnx_find(rml_op_id op)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const rml_to_onnx_entry *e = tables[i]; e->op_type || e->write; e++)
            if (e->op == op)
                return e;
    return NULL;
}

// Whether a field asks for more than there was before the attribute.
static bool is_set(const rml_to_onnx_field *field, const char *attr)
{
    int word;
    switch (field->kind) {
    case RML_TO_ONNX_WORD:
        memcpy(&word, attr + field->at, sizeof word);
        return word != 0;
    case RML_TO_ONNX_INT:
        return *(const int64_t *)(attr + field->at) != 0;
    default:
        return *(const bool *)(attr + field->at);
    }
}

const char *rml_to_onnx_lacks(const rml_to_onnx_ask *ask, char *text, size_t bytes)
{
    const rml_to_onnx_entry *entry = rml_to_onnx_find(ask->node->op);
    if (!entry)
        return "there is no such operator";
    if (entry->since > ask->opset) {
        snprintf(text, bytes, "there is none before opset %d", entry->since);
        return text;
    }
    for (const rml_to_onnx_field *f = entry->fields; f && f->kind != RML_TO_ONNX_END; f++)
        if (f->since > ask->opset && is_set(f, (const char *)&ask->node->attr)) {
            snprintf(text, bytes, "there is no %s before opset %d", f->name, f->since);
            return text;
        }
    return entry->lacks ? entry->lacks(ask) : NULL;
}
