// Weights of 2, 4 or 8 bits whose blocks have scales of their own, as ONNX Runtime keeps those of
// language models: codes lie side by side in bytes, a row after the other.
#include "loaders/onnx/importer.h"
#include "loaders/onnx/make.h"

#include "tensor/size.h"

enum { DEFAULT_BITS = 4 };

static int bits_of(rml_onnx_call *call)
{
    const int64_t bits = rml_onnx_int(call, "bits", DEFAULT_BITS);
    if (bits != 2 && bits != 4 && bits != 8)
        rml_onnx_refuse(call, "codes of %lld bits are not supported", (long long)bits);
    return call->refused ? DEFAULT_BITS : (int)bits;
}

// Codes of an input whose rows, of whole bytes, hold `columns` of them and perhaps some more:
// (rows,columns) of u8.
static rml_value_id codes(rml_onnx_call *call, int input, int bits, int64_t rows, int64_t columns,
                          int64_t row_bytes)
{
    const rml_value_id id = rml_onnx_in(call, input);
    const rml_shape shape = {2, {rows, columns}};
    const rml_value *value = id < call->graph->value_count ? &call->graph->values[id] : NULL;
    size_t count, stored, bytes;
    if (!value || value->kind != RML_VALUE_CONSTANT || value->dtype != RML_U8) {
        rml_onnx_refuse(call, "input %d is no constant of bytes", input);
        return RML_NO_VALUE;
    }
    if (!rml_shape_count(&shape, &count) ||
        !rml_shape_count(&value->constant->stored.shape, &stored) ||
        !rml_size_mul((size_t)rows, (size_t)row_bytes, &bytes) || stored != bytes) {
        rml_onnx_refuse(call, "input %d has not the bytes of %lld rows of %lld codes", input,
                        (long long)rows, (long long)columns);
        return RML_NO_VALUE;
    }
    uint8_t *packed = rml_arena_alloc(&call->graph->arena, bytes ? bytes : 1, 1);
    uint8_t *out = rml_arena_alloc(&call->graph->arena, count ? count : 1, 1);
    if (!packed || !out)
        return rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory for a weight");
    rml_stored_copy(&value->constant->stored, packed);
    for (int64_t row = 0; count && row < rows; row++) // rows of nothing may be any number
        rml_onnx_unpack(packed + row * row_bytes, bits, false, (size_t)columns,
                        out + row * columns);
    const rml_stored plain = rml_stored_plain(out, RML_U8, &shape);
    return rml_graph_typed_constant(call->graph, call->name, &plain);
}

static rml_value_id as_shape(rml_onnx_call *call, rml_value_id x, const rml_shape *shape)
{
    return rml_graph_reshape(call->graph, x, shape, call->name);
}

// The middle code for all blocks.
static rml_value_id middle(rml_onnx_call *call, int bits, int64_t rows, int64_t blocks)
{
    const rml_shape shape = {2, {rows, blocks}};
    const rml_value_id one = rml_onnx_scalar(call, RML_U8, 1 << (bits - 1));
    return rml_graph_expand(call->graph, one, &shape, RML_NO_VALUE, call->name);
}

static int64_t packed_bytes(int64_t count, int bits)
{
    return count * bits / 8 + (count * bits % 8 != 0);
}

// ---- MatMulNBits --------------------------------------------------------------------------------

typedef struct blocked {
    int bits;
    int64_t rows, columns, block, blocks; // of the weight: N, K
} blocked;

static bool read_sizes(rml_onnx_call *call, blocked *w)
{
    *w = (blocked){.bits = bits_of(call),
                   .rows = rml_onnx_int(call, "N", 0),
                   .columns = rml_onnx_int(call, "K", 0),
                   .block = rml_onnx_int(call, "block_size", 0)};
    if (w->rows < 1 || w->rows > INT32_MAX || w->columns < 1 || w->columns > INT32_MAX ||
        w->block < 8 || w->block > INT32_MAX || w->block % 8 != 0)
        rml_onnx_refuse(call, "a weight of %lld times %lld in blocks of %lld", (long long)w->rows,
                        (long long)w->columns, (long long)w->block);
    w->blocks = call->refused ? 0 : w->columns / w->block + (w->columns % w->block != 0);
    return !call->refused;
}

// Zero points that are no codes: (code - zero) scale, of whole blocks, of which the last is cut.
static rml_value_id by_numbers(rml_onnx_call *call, const blocked *w, rml_value_id scale)
{
    const int64_t row_bytes = w->blocks * w->block * w->bits / 8;
    const rml_shape whole = {3, {w->rows, w->blocks, w->block}},
                    each = {3, {w->rows, w->blocks, 1}};
    const rml_shape flat = {2, {w->rows, w->blocks * w->block}};
    rml_value_id x = codes(call, 1, w->bits, w->rows, w->blocks * w->block, row_bytes);
    if (call->refused)
        return RML_NO_VALUE;
    const rml_value_id zero = rml_onnx_cast(call, rml_onnx_in(call, 3), RML_F32);
    x = rml_onnx_cast(call, as_shape(call, x, &whole), RML_F32);
    x = rml_onnx_binary(call, RML_BINARY_SUB, x, as_shape(call, zero, &each));
    x = rml_onnx_multiply(call, x, as_shape(call, scale, &each));
    return rml_graph_slice(call->graph, as_shape(call, x, &flat), 1, 0, w->columns, 1, call->name);
}

// The weight as f32 (N,K).
static rml_value_id weight(rml_onnx_call *call, const blocked *w)
{
    const rml_op_attr attr = {.quantize = {.axis = 1, .block = w->block, .to = RML_F32}};
    const rml_shape shape = {2, {w->rows, w->blocks}};
    const rml_value_id scale =
        as_shape(call, rml_onnx_cast(call, rml_onnx_in(call, 2), RML_F32), &shape);
    const bool zeros = rml_onnx_in(call, 3) != RML_NO_VALUE;
    if (zeros && rml_onnx_fact(call, 3).dtype != RML_U8)
        return by_numbers(call, w, scale);
    const rml_value_id zero =
        zeros ? codes(call, 3, w->bits, w->rows, w->blocks, packed_bytes(w->blocks, w->bits))
              : middle(call, w->bits, w->rows, w->blocks);
    const rml_value_id x =
        codes(call, 1, w->bits, w->rows, w->columns, w->blocks * w->block * w->bits / 8);
    const rml_value_id in[] = {x, scale, zero};
    return call->refused ? RML_NO_VALUE : rml_onnx_make(call, RML_OP_DEQUANTIZE, &attr, in, 3);
}

// a W^T + bias.
static void import_matmul_bits(rml_onnx_call *call)
{
    const rml_dtype dtype = rml_onnx_fact(call, 0).dtype;
    blocked w;
    rml_onnx_ignore(call, "accuracy_level"); // how little is enough: f32 is more
    if (rml_onnx_in(call, 4) != RML_NO_VALUE)
        rml_onnx_refuse(call, "an order of its groups (g_idx) is not supported");
    if (rml_onnx_int(call, "weight_prepacked", 0) != 0)
        rml_onnx_refuse(call, "its weight is laid out for another program");
    if (!read_sizes(call, &w))
        return;
    const rml_value_id b = weight(call, &w);
    if (call->refused)
        return;
    rml_value_id y =
        rml_graph_matmul(call->graph, rml_onnx_cast(call, rml_onnx_in(call, 0), RML_F32), b, false,
                         true, call->name);
    if (rml_onnx_in(call, 5) != RML_NO_VALUE)
        y = rml_onnx_add(call, y, rml_onnx_cast(call, rml_onnx_in(call, 5), RML_F32));
    call->out[0] = rml_onnx_cast(call, y, dtype);
}

// ---- GatherBlockQuantized -----------------------------------------------------------------------

// Rows of a table whose rows are in blocks: only what is taken becomes numbers. The table has
// elements of 4 bits, whose zero point is 0 where none is given, or packed bytes.
static void import_gather_blocks(rml_onnx_call *call)
{
    const rml_fact table = rml_onnx_fact(call, 0), scales = rml_onnx_fact(call, 2);
    const bool packed =
        rml_onnx_in(call, 0) == RML_NO_VALUE ||
        call->importer->place[call->node->input[0]].stand_in == RML_STANDS_FOR_ITSELF;
    const int64_t axis = rml_onnx_int(call, "quantize_axis", 1);
    const int bits = bits_of(call);
    rml_op_attr attr = {.quantize = {.axis = -1, .block = rml_onnx_int(call, "block_size", 128)}};
    attr.quantize.to = scales.dtype;
    if (table.shape.rank != 2 || scales.shape.rank != 2 || (axis != 1 && axis != -1) ||
        rml_onnx_int(call, "gather_axis", 0) != 0 || attr.quantize.block < 1)
        rml_onnx_refuse(call, "only rows of a table whose rows are in blocks are supported");
    if (call->refused)
        return;
    const int64_t rows = table.shape.dim[0], blocks = scales.shape.dim[1];
    rml_value_id x = rml_onnx_in(call, 0), zero = rml_onnx_in(call, 3);
    if (packed) {
        const bool zeros = zero != RML_NO_VALUE;
        x = codes(call, 0, bits, rows, table.shape.dim[1] * 8 / bits, table.shape.dim[1]);
        zero = zeros ? codes(call, 3, bits, rows, blocks, packed_bytes(blocks, bits))
                     : middle(call, bits, rows, blocks);
    }
    if (call->refused)
        return;
    const rml_value_id ids = rml_onnx_in(call, 1);
    const rml_value_id in[] = {rml_onnx_rows(call, x, ids),
                               rml_onnx_rows(call, rml_onnx_in(call, 2), ids),
                               zero == RML_NO_VALUE ? zero : rml_onnx_rows(call, zero, ids)};
    call->out[0] = rml_onnx_make(call, RML_OP_DEQUANTIZE, &attr, in, 3);
}

const rml_onnx_entry rml_onnx_blocks[] = {
    {.op_type = "com.microsoft.MatMulNBits", .import = import_matmul_bits},
    {.op_type = "com.microsoft.GatherBlockQuantized",
     .import = import_gather_blocks,
     .stand_ins = RML_STAND_INS_READ},
    {.op_type = NULL},
};
