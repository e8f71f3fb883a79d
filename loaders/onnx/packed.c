// Tensors of types that we have not as others: integers of 4 and 2 bits, several in a byte, become
// ones of 8 bits, and strings their places.
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

static rml_value_id unpacked(rml_graph *graph, const char *name, const rml_onnx_tensor *tensor,
                             size_t count)
{
    uint8_t *codes = rml_arena_alloc(&graph->arena, count ? count : 1, 1);
    if (!codes)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for \"%.64s\"", name);
    rml_onnx_unpack(tensor->packed, tensor->bits, tensor->stored.dtype == RML_I8, count, codes);
    const rml_stored stored = rml_stored_plain(codes, tensor->stored.dtype, &tensor->stored.shape);
    return rml_graph_typed_constant(graph, name, &stored);
}

static rml_value_id places(rml_graph *graph, const char *name, const rml_shape *shape, size_t count)
{
    int64_t *place = rml_arena_alloc(&graph->arena, count ? count : 1, sizeof *place);
    if (!place)
        return rml_graph_fail(graph, RML_ERR_NOMEM, "out of memory for \"%.64s\"", name);
    for (size_t i = 0; i < count; i++)
        place[i] = (int64_t)i;
    const rml_stored stored = rml_stored_plain(place, RML_I64, shape);
    return rml_graph_typed_constant(graph, name, &stored);
}

rml_value_id rml_onnx_add_tensor(rml_graph *graph, const char *name, const rml_onnx_tensor *tensor,
                                 rml_onnx_stand_in *stand_in)
{
    enum { STRING = 8, MOST = 1 << 20 }; // the shape alone says how many there are
    const rml_shape *shape = &tensor->stored.shape;
    size_t count = 0;
    *stand_in = RML_STANDS_FOR_ITSELF;
    if (tensor->readable)
        return rml_graph_typed_constant(graph, name, &tensor->stored);
    rml_shape_count(shape, &count);
    if (tensor->bits) {
        *stand_in = RML_STANDS_FOR_FEW_BITS;
        return unpacked(graph, name, tensor, count);
    }
    if (tensor->element != STRING || shape->rank != 1 || count > MOST)
        return RML_NO_VALUE;
    *stand_in = RML_STANDS_FOR_STRINGS;
    return places(graph, name, shape, count);
}
