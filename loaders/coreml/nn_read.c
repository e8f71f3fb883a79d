// NeuralNetwork, and the same inside a classifier or regressor: layers, without their parameters.
#include "loaders/coreml/nn_importer.h"
#include "loaders/coreml/reader.h"

#include <string.h>

// Numbers of NeuralNetworkLayer's fields that are no kind of layer.
enum { NAME = 1, INPUT = 2, OUTPUT = 3, FIRST_KIND = 100 };

static rml_status read_network(rml_coreml *file, const rml_protobuf *message, int depth,
                               rml_nn_network *out, rml_error *err);

// The networks inside a branch or a loop; one that is left out has no layers.
static rml_status read_inside(rml_coreml *file, int depth, rml_nn_layer *out, rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    const bool is_loop = out->kind == RML_NN_LOOP;
    const uint32_t first = is_loop ? 3 : 1;
    rml_nn_network *inside;
    rml_protobuf messages[2] = {{0}};
    const rml_message_want wants[] = {{first, RML_WANT_MESSAGE, "a network", &messages[0]},
                                      {first + 1, RML_WANT_MESSAGE, "a network", &messages[1]},
                                      {0}};
    if (depth == RML_NN_MAX_DEPTH)
        return rml_fail(err, RML_ERR_LIMIT,
                        "layer %zu \"%.64s\": networks are nested deeper than %d", out->number,
                        out->name, RML_NN_MAX_DEPTH);
    RML_TRY(rml_message_array(&reader, 2, sizeof *inside, &inside));
    RML_TRY(rml_message_read(&reader, &out->params, wants));
    for (int k = 0; k < 2; k++) {
        inside[k] = (rml_nn_network){.layer_count = 0};
        if (messages[k].data)
            RML_TRY(read_network(file, &messages[k], depth + 1, &inside[k], err));
        out->leaves = out->leaves || (inside[k].leaves && !is_loop);
    }
    out->inside = inside;
    return RML_OK;
}

static rml_status read_layer(rml_coreml *file, const rml_protobuf *message, int depth,
                             rml_nn_layer *out, rml_error *err)
{
    const rml_message_reader own = rml_coreml_messages(file, err), *reader = &own;
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = true;
    const rml_message_want wants[] = {{NAME, RML_WANT_NAME, "a layer's name", &out->name}, {0}};
    out->name = "";
    RML_TRY(rml_message_read(reader, message, wants));
    RML_TRY(rml_message_texts(reader, message, INPUT, "an input", &out->input, &out->input_count));
    RML_TRY(
        rml_message_texts(reader, message, OUTPUT, "an output", &out->output, &out->output_count));
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, reader->err));
        if (!more)
            break;
        if (field.number < FIRST_KIND)
            continue;
        out->kind = (int)field.number;
        RML_TRY(rml_protobuf_enter(&rest, &field, "a layer", &out->params, reader->err));
    }
    if (!out->kind)
        return rml_fail(reader->err, RML_ERR_FORMAT, "layer %zu \"%.64s\" is of no kind",
                        out->number, out->name);
    if (out->input_count > RML_NN_MAX_PORTS || out->output_count > RML_NN_MAX_PORTS)
        return rml_fail(reader->err, RML_ERR_LIMIT,
                        "layer %zu \"%.64s\" has %zu inputs and %zu outputs, the limit is %d",
                        out->number, out->name, out->input_count, out->output_count,
                        RML_NN_MAX_PORTS);
    for (size_t i = 0; i < out->output_count; i++)
        if (out->output[i].text[0] == 0)
            return rml_fail(reader->err, RML_ERR_FORMAT,
                            "layer %zu \"%.64s\" writes a blob without a name", out->number,
                            out->name);
    out->leaves = out->kind == RML_NN_BREAK || out->kind == RML_NN_CONTINUE;
    return out->kind == RML_NN_BRANCH || out->kind == RML_NN_LOOP
               ? read_inside(file, depth, out, err)
               : RML_OK;
}

rml_status rml_nn_read_layer(rml_coreml *file, const rml_protobuf *message, rml_nn_layer *out,
                             rml_error *err)
{
    return read_layer(file, message, 0, out, err);
}

// Whether the layer looks at the sequence, the first of five dimensions.
static rml_status looks_at_sequence(const rml_message_reader *reader, const rml_nn_layer *layer,
                                    bool *out)
{
    enum {
        CROP_RESIZE = 212, // makes one of its boxes
        RESHAPE = 300,
        PERMUTE = 310,
        CONCAT = 320,
        REPEAT = 340,
        FIRST_RNN = 400,
        LAST_RNN = 430
    };
    const int64_t *list = NULL;
    size_t count = 0;
    int64_t along = 0;
    const rml_message_want wants[] = {{100, RML_WANT_INT, "an axis", &along}, {0}};
    if (layer->kind == RESHAPE || layer->kind == PERMUTE)
        RML_TRY(rml_message_ints(reader, &layer->params, 1, "a list", 16, &list, &count));
    if (layer->kind == CONCAT)
        RML_TRY(rml_message_read(reader, &layer->params, wants));
    *out = layer->kind == CROP_RESIZE || layer->kind == REPEAT ||
           (layer->kind >= FIRST_RNN && layer->kind <= LAST_RNN) || along != 0 ||
           (layer->kind == RESHAPE && count == 4 && list[0] != 1 && list[0] != -1) ||
           (layer->kind == PERMUTE && count == 4 && list[0] != 0);
    return RML_OK;
}

static rml_status read_network(rml_coreml *file, const rml_protobuf *message, int depth,
                               rml_nn_network *out, rml_error *err)
{
    enum { LAYERS = 1 };
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf rest = *message, inside;
    bool more = true;
    int64_t arrays = 0, images = 0;
    const rml_message_want wants[] = {
        {5, RML_WANT_INT, "a mapping", &arrays}, {6, RML_WANT_INT, "a mapping", &images}, {0}};
    *out = (rml_nn_network){.message = *message};
    RML_TRY(rml_message_read(&reader, message, wants));
    out->exact_arrays = arrays != 0;
    out->exact_images = images != 0;
    RML_TRY(rml_message_count(message, LAYERS, &out->layer_count, err));
    if (out->layer_count > RML_NN_MAX_LAYERS)
        return rml_fail(err, RML_ERR_LIMIT, "%zu layers, the limit is %zu", out->layer_count,
                        RML_NN_MAX_LAYERS);
    RML_TRY(rml_message_array(&reader, out->layer_count, sizeof *out->layer, &out->layer));
    for (size_t i = 0; i < out->layer_count; i++) {
        bool looks = false;
        out->layer[i].number = i;
        RML_TRY(rml_message_inside(&rest, LAYERS, "a layer", &inside, &more, err));
        RML_TRY(read_layer(file, &inside, depth, &out->layer[i], err));
        out->leaves = out->leaves || out->layer[i].leaves;
        RML_TRY(looks_at_sequence(&reader, &out->layer[i], &looks));
        out->has_sequence = out->has_sequence || looks;
    }
    if (out->exact_arrays)
        out->has_sequence = false; // shapes are as they are said to be
    return RML_OK;
}

rml_status rml_nn_read(rml_coreml *file, const rml_protobuf *message, rml_nn_network *out,
                       rml_error *err)
{
    return read_network(file, message, 0, out, err);
}
