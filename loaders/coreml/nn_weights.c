// WeightParams: floats, halves, and numbers of 1 to 8 bits with scales or a table.
#include "loaders/coreml/nn_importer.h"

#include "loaders/formats/bytes.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

enum { FLOATS = 1, HALVES = 2, RAW = 30, BYTES = 31, QUANTIZATION = 40 };

// Bytes of a field; NULL where it is absent.
static const uint8_t *bytes_of(const rml_protobuf *message, uint32_t number, size_t *bytes)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    *bytes = 0;
    while (rml_protobuf_next(&rest, &field, &more, NULL) == RML_OK && more)
        if (field.number == number && field.wire == RML_PROTOBUF_BYTES) {
            *bytes = field.bytes;
            return field.data;
        }
    return NULL;
}

// Number `index` of a stream of `bits` each, the highest bit first.
static uint32_t code_at(const uint8_t *data, size_t index, int bits)
{
    uint32_t code = 0;
    for (int b = 0; b < bits; b++) {
        const size_t at = index * (size_t)bits + (size_t)b;
        code = code << 1 | (data[at / 8] >> (7 - at % 8) & 1);
    }
    return code;
}

typedef struct codes {
    const uint8_t *data;
    int bits;
    bool is_signed;     // of 8 bits
    const float *table; // or
    const float *scale, *bias;
    size_t table_count, scale_count, bias_count;
} codes;

static bool read_codes(rml_nn_call *call, const rml_protobuf *weights, size_t count, codes *out)
{
    size_t raw = 0, bytes = 0;
    const uint8_t *data = bytes_of(weights, RAW, &raw);
    const uint8_t *whole = bytes_of(weights, BYTES, &bytes);
    const rml_protobuf quantization = rml_nn_inside(call, weights, QUANTIZATION);
    const rml_protobuf linear = rml_nn_inside(call, &quantization, 101);
    const rml_protobuf table = rml_nn_inside(call, &quantization, 102);
    *out = (codes){.data = whole ? whole : data,
                   .is_signed = whole != NULL,
                   .bits = whole ? 8 : (int)rml_nn_int_in(call, &quantization, 1)};
    out->scale = rml_nn_float_list(call, &linear, 1, &out->scale_count);
    out->bias = rml_nn_float_list(call, &linear, 2, &out->bias_count);
    out->table = rml_nn_float_list(call, &table, 1, &out->table_count);
    if (call->make.refused)
        return false;
    const size_t have = whole ? bytes : raw;
    if (out->bits < 1 || out->bits > 8 ||
        have != count / 8 * (size_t)out->bits + (count % 8 * (size_t)out->bits + 7) / 8)
        rml_coreml_refuse(&call->make,
                          "its weights are %zu bytes, and %zu numbers of %d bits are expected",
                          have, count, out->bits);
    else if (out->table ? out->table_count != (size_t)1 << out->bits : !out->scale)
        rml_coreml_refuse(&call->make, "its weights of %d bits have %zu scales and a table of %zu",
                          out->bits, out->scale_count, out->table_count);
    return !call->make.refused;
}

// Numbers of a value of `shape`, whose dimension `axis` the scales go along.
static float *decoded(rml_nn_call *call, const rml_protobuf *weights, const rml_shape *shape,
                      size_t count, int axis)
{
    codes c;
    size_t inner = 1;
    if (!read_codes(call, weights, count, &c))
        return NULL;
    const size_t channels = shape->rank ? (size_t)shape->dim[axis] : 1;
    for (int i = axis + 1; i < shape->rank; i++)
        inner *= (size_t)shape->dim[i];
    if (!c.table && ((c.scale_count != 1 && c.scale_count != channels) ||
                     (c.bias_count > 1 && c.bias_count != channels))) {
        rml_coreml_refuse(&call->make,
                          "its weights have %zu scales and %zu biases for %zu channels",
                          c.scale_count, c.bias_count, channels);
        return NULL;
    }
    float *data = rml_coreml_alloc(&call->make, count, sizeof *data);
    for (size_t i = 0; i < count && data; i++) {
        const uint32_t code = code_at(c.data, i, c.bits);
        const size_t channel = channels ? i / inner % channels : 0;
        const double number = c.is_signed ? (double)(int8_t)code : (double)code;
        if (c.table)
            data[i] = c.table[code];
        else
            data[i] = (float)(number * (double)c.scale[c.scale_count > 1 ? channel : 0] +
                              (c.bias_count ? (double)c.bias[c.bias_count > 1 ? channel : 0] : 0));
    }
    return data;
}

// Where the numbers lie; false where there are none.
static bool read_weights(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                         const rml_shape *shape, int axis, rml_stored *out)
{
    rml_error error;
    const rml_message_reader reader = {&call->make.graph->arena, "a layer", &error};
    const rml_protobuf weights = rml_nn_inside(call, message, number);
    const uint8_t *data = NULL;
    size_t count = 0, floats = 0, halves = 0;
    char text[RML_SHAPE_TEXT_BYTES];
    if (!weights.data || call->make.refused)
        return false;
    if (!rml_shape_count(shape, &count) || count == 0) {
        rml_coreml_refuse(&call->make, "its weights have the shape %s",
                          rml_shape_text(shape, text));
        return false;
    }
    if (rml_message_floats(&reader, &weights, FLOATS, "weights", &data, &floats) != RML_OK)
        rml_coreml_refuse(&call->make, "%s", error.message);
    const uint8_t *narrow = bytes_of(&weights, HALVES, &halves);
    if (call->make.refused)
        return false;
    if (floats > 0 || halves > 0) {
        const size_t have = floats ? floats : halves / 2;
        if (have != count || halves % 2 != 0)
            rml_coreml_refuse(&call->make, "it has %zu weights, and %s are expected", have,
                              rml_shape_text(shape, text));
        *out = rml_stored_plain(floats ? data : narrow, floats ? RML_F32 : RML_F16, shape);
        return !call->make.refused;
    }
    const float *numbers = decoded(call, &weights, shape, count, axis);
    if (numbers)
        *out = rml_stored_f32(numbers, shape);
    return numbers != NULL;
}

rml_value_id rml_nn_weights(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                            const rml_shape *shape, int channel_axis)
{
    rml_constant trained = {0};
    size_t count;
    if (!read_weights(call, message, number, shape, channel_axis, &trained.stored))
        return RML_NO_VALUE;
    if (rml_shape_count(shape, &count))
        call->importer->parameters += count;
    const rml_value_id out = rml_graph_constant(call->make.graph, call->make.name, &trained);
    if (out < call->make.graph->value_count)
        call->make.graph->values[out].rounding = RML_ROUNDING_TRAINED;
    return out;
}

float *rml_nn_weight_list(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                          size_t count)
{
    rml_stored stored;
    const uint64_t wide = count;
    const rml_shape shape = {1, {(int64_t)count}};
    if (wide > INT64_MAX || !read_weights(call, message, number, &shape, 0, &stored))
        return NULL;
    float *list = rml_coreml_alloc(&call->make, count, sizeof *list);
    if (list)
        rml_stored_read_all(&stored, list);
    call->importer->parameters += count;
    return list;
}
