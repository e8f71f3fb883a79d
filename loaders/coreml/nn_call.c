// What handlers ask of a layer: its parameters, and builder calls that they share.
#include "loaders/coreml/nn_importer.h"

#include "loaders/formats/bytes.h"
#include "tensor/tensor.h"

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
            rml_coreml_refuse_error(&call->make, &error);
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
    if (out->wire == wire)
        return true;
    rml_error error;
    rml_fail(&error, RML_ERR_FORMAT, "damaged file: field %u at byte %zu is of another kind",
             number, out->at);
    rml_coreml_refuse_error(&call->make, &error);
    return false;
}

bool rml_nn_has(rml_nn_call *call, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    return find(call, message, number, &field);
}

int64_t rml_nn_int_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    return find_as(call, message, number, RML_PROTOBUF_VARINT, &field)
               ? rml_coreml_held((int64_t)field.value)
               : 0;
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
        rml_coreml_refuse_error(&call->make, &error);
    return inside;
}

int rml_nn_ints_in(rml_nn_call *call, const rml_protobuf *message, uint32_t number, int64_t *list,
                   int capacity)
{
    rml_error error;
    const rml_message_reader reader = {&call->make.graph->arena, "a layer", &error};
    const int64_t *values = NULL;
    size_t count = 0;
    if (message->data && rml_message_ints(&reader, message, number, "a list", (size_t)capacity,
                                          &values, &count) != RML_OK)
        rml_coreml_refuse_error(&call->make, &error);
    for (size_t i = 0; i < count && values; i++)
        list[i] = rml_coreml_held(values[i]);
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
    const rml_message_reader reader = {&call->make.graph->arena, "a layer", &error};
    const uint8_t *data = NULL;
    *count = 0;
    if (message->data &&
        rml_message_floats(&reader, message, number, "a list", &data, count) != RML_OK)
        rml_coreml_refuse_error(&call->make, &error);
    if (call->make.refused || *count == 0)
        return NULL;
    float *list = rml_coreml_alloc(&call->make, *count, sizeof *list);
    for (size_t i = 0; i < *count && list; i++)
        list[i] = rml_protobuf_f32(rml_le(data + 4 * i, 4));
    return list;
}

// ---- inputs -------------------------------------------------------------------------------------

rml_value_id rml_nn_in(rml_nn_call *call, int index)
{
    if ((size_t)index < call->layer->input_count)
        return call->in[index];
    rml_error error;
    rml_fail(&error, RML_ERR_FORMAT, "it has %zu inputs", call->layer->input_count);
    rml_coreml_refuse_error(&call->make, &error);
    return RML_NO_VALUE;
}

rml_shape rml_nn_image(rml_nn_call *call, rml_value_id value)
{
    rml_shape shape = rml_coreml_fact(&call->make, value).shape;
    const int rank = rml_coreml_rank(&call->make, value);
    if (rank < 3) {
        rml_coreml_refuse(&call->make,
                          "its input has %d dimensions, and no channels, height and width", rank);
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
    rml_graph *graph = call->make.graph;
    const int rank = rml_coreml_rank(&call->make, x);
    if (call->make.refused)
        return RML_NO_VALUE;
    const rml_value_id sizes = rml_coreml_sizes(&call->make, x);
    const rml_value_id parts[] = {
        *front, rml_graph_slice(graph, sizes, 0, rank - 3, rank, 1, call->make.name)};
    const rml_value_id in[] = {x, rml_graph_concat(graph, parts, 2, 0, call->make.name)};
    return rml_coreml_node(&call->make, RML_OP_RESHAPE, NULL, in, 2);
}

rml_value_id rml_nn_as_images(rml_nn_call *call, rml_value_id x)
{
    rml_nn_image(call, x);
    if (call->make.refused || rml_coreml_rank(&call->make, x) == 4)
        return x;
    const rml_value_id all = rml_coreml_ints(&call->make, &(int64_t){-1}, 1);
    return behind(call, x, &all);
}

rml_value_id rml_nn_like(rml_nn_call *call, rml_value_id images, rml_value_id x)
{
    const int rank = rml_coreml_rank(&call->make, x);
    if (call->make.refused || rank == 4)
        return images;
    const rml_value_id sizes = rml_coreml_sizes(&call->make, x);
    const rml_value_id front =
        rank > 3 ? rml_graph_slice(call->make.graph, sizes, 0, 0, rank - 3, 1, call->make.name)
                 : rml_coreml_ints(&call->make, NULL, 0);
    return behind(call, images, &front);
}

rml_value_id rml_nn_indices(rml_nn_call *call, rml_value_id x)
{
    if (rml_coreml_fact(&call->make, x).dtype == RML_F32)
        x = rml_coreml_unary(&call->make, RML_UNARY_ROUND, x, 0, 0);
    return rml_coreml_cast(&call->make, x, RML_I64);
}

rml_value_id rml_nn_bias(rml_nn_call *call, uint32_t flag, uint32_t number, int64_t count)
{
    if (!rml_nn_flag(call, flag))
        return RML_NO_VALUE;
    const rml_value_id bias =
        rml_nn_weights(call, &call->layer->params, number, &(rml_shape){1, {count}}, 0);
    if (bias == RML_NO_VALUE)
        rml_coreml_refuse(&call->make, "it has no bias, and says that it has");
    return bias;
}

rml_value_id rml_nn_channels(rml_nn_call *call, rml_value_id vector, int64_t channels)
{
    return vector == RML_NO_VALUE
               ? vector
               : rml_coreml_reshape(&call->make, vector, &(rml_shape){3, {channels, 1, 1}});
}
