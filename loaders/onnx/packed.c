// Integers of 4 and 2 bits, several in a byte: here they become ones of 8 bits.
#include "loaders/onnx/importer.h"

#include "tensor/size.h"

#include <string.h>

void rml_onnx_unpack(const uint8_t *packed, int bits, bool is_signed, size_t count, uint8_t *out)
{
    const size_t each = 8 / (size_t)bits; // in a byte, the first one lowest
    const unsigned mask = (1u << bits) - 1, sign = is_signed ? 1u << (bits - 1) : 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned code = packed[i / each] >> (i % each * (size_t)bits) & mask;
        out[i] = (uint8_t)((code ^ sign) - sign);
    }
}

rml_value_id rml_onnx_add_tensor(rml_graph *graph, const char *name, const rml_onnx_tensor *tensor)
{
    size_t count = 0;
    rml_stored stored = tensor->stored;
    if (!tensor->bits)
        return rml_graph_typed_constant(graph, name, &stored);
    rml_shape_count(&stored.shape, &count);
    uint8_t *codes = rml_arena_alloc(&graph->arena, count ? count : 1, 1);
    if (!codes)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for \"%.64s\"", name);
    rml_onnx_unpack(tensor->packed, tensor->bits, stored.dtype == RML_I8, count, codes);
    stored = rml_stored_plain(codes, stored.dtype, &tensor->stored.shape);
    return rml_graph_typed_constant(graph, name, &stored);
}
