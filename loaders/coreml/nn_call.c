// What handlers ask of a layer: its parameters, and builder calls that they share.
#include "loaders/coreml/nn_importer.h"

#include "loaders/formats/bytes.h"
#include "tensor/tensor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void rml_nn_refuse(rml_nn_call *call, const char *format, ...)
{
    if (call->refused)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(call->importer->reason, sizeof call->importer->reason, format, list);
    va_end(list);
    call->refused = true;
}

// ---- parameters ---------------------------------------------------------------------------------

// The last field of this number; errors are refusals.
static bool find(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                 rml_protobuf_field *out)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    rml_error error;
    bool more = message->data != NULL, found = false;
    while (more) {
        if (rml_protobuf_next(&rest, &field, &more, &error) != RML_OK) {
            rml_nn_refuse(call, "%s", error.message);
            return false;
        }
        if (more && field.number == number) {
            *out = field;
            found = true;
        }
    }
    return found;
}

static bool find_as(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                    rml_protobuf_wire wire, rml_protobuf_field *out)
{
    if (!find(call, message, number, out))
        return false;
    if (out->wire != wire)
        rml_nn_refuse(call, "damaged file: field %u at byte %zu is of another kind", number,
                      out->at);
    return out->wire == wire;
}

bool rml_nn_has(rml_nn_call *call, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    return find(call, message, number, &field);
}

int64_t rml_nn_int_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    return find_as(call, message, number, RML_PROTOBUF_VARINT, &field) ? (int64_t)field.value : 0;
}

double rml_nn_float_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    return find_as(call, message, number, RML_PROTOBUF_FIXED32, &field)
               ? (double)rml_protobuf_f32(field.value)
               : 0;
}

int64_t rml_nn_int(rml_nn_call *call, uint32_t number)
{
    return rml_nn_int_in(call, &call->layer->params, number);
}

double rml_nn_float(rml_nn_call *call, uint32_t number)
{
    return rml_nn_float_in(call, &call->layer->params, number);
}

bool rml_nn_flag(rml_nn_call *call, uint32_t number)
{
    return rml_nn_int(call, number) != 0;
}

rml_protobuf rml_nn_inside(rml_nn_call *call, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    rml_protobuf inside = {0};
    rml_error error;
    if (find_as(call, message, number, RML_PROTOBUF_BYTES, &field) &&
        rml_protobuf_enter(message, &field, "a parameter", &inside, &error) != RML_OK)
        rml_nn_refuse(call, "%s", error.message);
    return inside;
}

int rml_nn_ints_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number, int64_t *list,
                   int capacity)
{
    rml_error error;
    const rml_message_reader reader = {&call->graph->arena, "a layer", &error};
    const int64_t *values = NULL;
    size_t count = 0;
    if (message->data && rml_message_ints(&reader, message, number, "a list", (size_t)capacity,
                                          &values, &count) != RML_OK)
        rml_nn_refuse(call, "%s", error.message);
    for (size_t i = 0; i < count && values; i++)
        list[i] = values[i];
    return values ? (int)count : 0;
}

int rml_nn_ints(rml_nn_call *call, uint32_t number, int64_t *list, int capacity)
{
    return rml_nn_ints_in(call, &call->layer->params, number, list, capacity);
}

float *rml_nn_float_list(rml_nn_call *call, const rml_protobuf *message, uint32_t number,
                         size_t *count)
{
    rml_error error;
    const rml_message_reader reader = {&call->graph->arena, "a layer", &error};
    const uint8_t *data = NULL;
    *count = 0;
    if (message->data &&
        rml_message_floats(&reader, message, number, "a list", &data, count) != RML_OK)
        rml_nn_refuse(call, "%s", error.message);
    if (call->refused || *count == 0)
        return NULL;
    float *list = rml_nn_alloc(call, *count, sizeof *list);
    for (size_t i = 0; i < *count && list; i++)
        list[i] = rml_protobuf_f32(rml_le(data + 4 * i, 4));
    return list;
}

// ---- builder calls ------------------------------------------------------------------------------

rml_value_id rml_nn_node(rml_nn_call *call, rml_op_id op, const rml_op_attr *attr,
                         const rml_value_id *in, int in_count)
{
    static const rml_op_attr none;
    if (call->refused)
        return RML_NO_VALUE;
    return rml_graph_node(call->graph, op, attr ? attr : &none, in, in_count, call->name);
}

rml_value_id rml_nn_unary(rml_nn_call *call, rml_unary kind, rml_value_id x, double p, double q)
{
    const rml_op_attr attr = {.unary = {kind, {(float)p, (float)q}}};
    return rml_nn_node(call, RML_OP_UNARY, &attr, &x, 1);
}

rml_value_id rml_nn_binary(rml_nn_call *call, rml_binary kind, rml_value_id a, rml_value_id b)
{
    return call->refused ? RML_NO_VALUE : rml_graph_binary(call->graph, kind, a, b, call->name);
}

rml_value_id rml_nn_reduce(rml_nn_call *call, rml_reduce_kind kind, rml_value_id x, const int *axes,
                           int count, bool keep)
{
    rml_op_attr attr = {.reduce = {.kind = kind, .axis_count = count, .keep = keep}};
    for (int i = 0; i < count; i++)
        attr.reduce.axes[i] = axes[i];
    return rml_nn_node(call, RML_OP_REDUCE, &attr, &x, 1);
}

rml_value_id rml_nn_cast(rml_nn_call *call, rml_value_id value, rml_dtype to)
{
    if (call->refused || rml_nn_fact(call, value).dtype == to)
        return value;
    return rml_nn_node(call, RML_OP_CAST, &(rml_op_attr){.cast = {.to = to}}, &value, 1);
}

void *rml_nn_alloc(rml_nn_call *call, size_t count, size_t element_bytes)
{
    void *memory = rml_arena_alloc(&call->graph->arena, count, element_bytes);
    if (!memory)
        rml_graph_fail(call->graph, RML_ERR_NOMEM, "out of memory: %zu elements of %zu bytes",
                       count, element_bytes);
    return memory;
}

static rml_value_id constant(rml_nn_call *call, const void *data, rml_dtype dtype,
                             const rml_shape *shape)
{
    if (call->refused || !data)
        return RML_NO_VALUE;
    const rml_stored stored = rml_stored_plain(data, dtype, shape);
    return rml_graph_typed_constant(call->graph, call->name, &stored);
}

rml_value_id rml_nn_ints_value(rml_nn_call *call, const int64_t *values, int count)
{
    int64_t *data = rml_nn_alloc(call, (size_t)count + 1, sizeof *data);
    if (data && count > 0)
        memcpy(data, values, (size_t)count * sizeof *data);
    return constant(call, data, RML_I64, &(rml_shape){1, {count}});
}

rml_value_id rml_nn_floats(rml_nn_call *call, const float *values, const rml_shape *shape)
{
    return constant(call, values, RML_F32, shape);
}

rml_value_id rml_nn_number(rml_nn_call *call, double value)
{
    float *data = rml_nn_alloc(call, 1, sizeof *data);
    if (data)
        *data = (float)value;
    return constant(call, data, RML_F32, &(rml_shape){0});
}

rml_value_id rml_nn_reshape(rml_nn_call *call, rml_value_id x, const rml_shape *shape)
{
    return call->refused ? RML_NO_VALUE : rml_graph_reshape(call->graph, x, shape, call->name);
}

// ---- inputs -------------------------------------------------------------------------------------

rml_value_id rml_nn_in(rml_nn_call *call, int index)
{
    if ((size_t)index < call->layer->input_count)
        return call->in[index];
    rml_nn_refuse(call, "it has %zu inputs", call->layer->input_count);
    return RML_NO_VALUE;
}

rml_fact rml_nn_fact(const rml_nn_call *call, rml_value_id value)
{
    if (value >= call->graph->value_count)
        return (rml_fact){.shape = {.rank = -1}};
    return rml_graph_fact(call->graph, value);
}

int rml_nn_rank(rml_nn_call *call, rml_value_id value)
{
    const int rank = rml_nn_fact(call, value).shape.rank;
    if (rank >= 0)
        return rank;
    rml_nn_refuse(call, "the rank of its input is not known");
    return 0;
}

int rml_nn_axis_of(rml_nn_call *call, int64_t axis, int rank)
{
    if (axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    rml_nn_refuse(call, "there is no axis %lld of %d", (long long)axis, rank);
    return 0;
}

rml_shape rml_nn_image(rml_nn_call *call, rml_value_id value)
{
    rml_shape shape = rml_nn_fact(call, value).shape;
    const int rank = rml_nn_rank(call, value);
    if (rank < 3) {
        rml_nn_refuse(call, "its input has %d dimensions, and no channels, height and width", rank);
        return (rml_shape){3, {1, 1, 1}};
    }
    for (int i = 0; i < 3; i++)
        shape.dim[i] = shape.dim[rank - 3 + i];
    shape.rank = 3;
    return shape;
}

// The last three dimensions of x behind what `front` says; a size that only a run tells is -1,
// of which there may be one beside that of the front.
static rml_value_id behind(rml_nn_call *call, rml_value_id x, const rml_value_id *front)
{
    rml_graph *graph = call->graph;
    const int rank = rml_nn_rank(call, x);
    if (call->refused)
        return RML_NO_VALUE;
    const rml_value_id sizes = rml_nn_node(call, RML_OP_SHAPE, NULL, &x, 1);
    const rml_value_id parts[] = {*front,
                                  rml_graph_slice(graph, sizes, 0, rank - 3, rank, 1, call->name)};
    const rml_value_id in[] = {x, rml_graph_concat(graph, parts, 2, 0, call->name)};
    return rml_nn_node(call, RML_OP_RESHAPE, NULL, in, 2);
}

rml_value_id rml_nn_as_images(rml_nn_call *call, rml_value_id x)
{
    rml_nn_image(call, x);
    if (call->refused || rml_nn_rank(call, x) == 4)
        return x;
    const rml_value_id all = rml_nn_ints_value(call, &(int64_t){-1}, 1);
    return behind(call, x, &all);
}

rml_value_id rml_nn_like(rml_nn_call *call, rml_value_id images, rml_value_id x)
{
    const int rank = rml_nn_rank(call, x);
    if (call->refused || rank == 4)
        return images;
    const rml_value_id sizes = rml_nn_node(call, RML_OP_SHAPE, NULL, &x, 1);
    const rml_value_id front =
        rank > 3 ? rml_graph_slice(call->graph, sizes, 0, 0, rank - 3, 1, call->name)
                 : rml_nn_ints_value(call, NULL, 0);
    return behind(call, images, &front);
}

rml_value_id rml_nn_indices(rml_nn_call *call, rml_value_id x)
{
    if (rml_nn_fact(call, x).dtype == RML_F32)
        x = rml_nn_unary(call, RML_UNARY_ROUND, x, 0, 0);
    return rml_nn_cast(call, x, RML_I64);
}

rml_value_id rml_nn_channels(rml_nn_call *call, rml_value_id vector, int64_t channels)
{
    return vector == RML_NO_VALUE ? vector
                                  : rml_nn_reshape(call, vector, &(rml_shape){3, {channels, 1, 1}});
}
