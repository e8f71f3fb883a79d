// The graph of a neural network: inputs as blobs, layers, outputs.
#include "loaders/coreml/model.h"
#include "loaders/coreml/nn_importer.h"
#include "loaders/coreml/reader.h"

#include "tensor/tensor.h"

#include <string.h>

// ---- inputs -------------------------------------------------------------------------------------

// The sizes of a feature; -1 for those that may change. Of no known rank where it lists several.
static rml_shape declared_shape(const rml_coreml_feature *feature)
{
    rml_shape shape = {.rank = (int)feature->rank};
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = feature->size[i];
    if (feature->shape_count > 0) {
        if (shape.rank == 0)
            shape = feature->shapes[0];
        for (size_t k = 0; k < feature->shape_count; k++) {
            const rml_shape *other = &feature->shapes[k];
            if (other->rank != shape.rank)
                return (rml_shape){.rank = RML_RANK_UNKNOWN};
            for (int i = 0; i < shape.rank; i++)
                if (other->dim[i] != shape.dim[i])
                    shape.dim[i] = -1;
        }
    }
    if (feature->range_count > 0) {
        shape.rank = (int)feature->range_count;
        for (int i = 0; i < shape.rank; i++) {
            const rml_coreml_range *range = &feature->range[i];
            if (range->low != range->high || range->low < 1)
                shape.dim[i] = -1;
            else
                shape.dim[i] = range->low;
        }
    }
    return shape;
}

static int64_t channels_of(const rml_coreml_feature *feature)
{
    return feature->color == RML_COREML_RGB || feature->color == RML_COREML_BGR ? 3 : 1;
}

// (C), (C,H,W) or height and width as blobs have them: (N,C,H,W), with the sequence in front where
// layers look at it. *port is what the caller gives, without dimensions that are always 1.
static rml_status blob_shape(const rml_nn_network *network, const rml_coreml_feature *feature,
                             rml_shape *port, rml_shape *blob, rml_error *err)
{
    const rml_shape declared = declared_shape(feature);
    const bool is_image = feature->kind == RML_COREML_IMAGE;
    *port = *blob = declared;
    for (int i = 0; i < declared.rank; i++)
        if (declared.dim[i] > RML_COREML_MAX_SIZE)
            return rml_fail(err, RML_ERR_LIMIT,
                            "input \"%s\" has a dimension of size %lld, the limit is %d",
                            feature->name, (long long)declared.dim[i], RML_COREML_MAX_SIZE);
    if (!is_image && network->exact_arrays)
        return RML_OK;
    if (!is_image && declared.rank < 0)
        return rml_fail(
            err, RML_ERR_FORMAT,
            "input \"%s\" lists shapes of several ranks, which this network cannot take",
            feature->name);
    if (!is_image && declared.rank != 1 && declared.rank != 3)
        return rml_fail(err, RML_ERR_FORMAT,
                        "input \"%s\" has %d dimensions, 1 and 3 are right for this network",
                        feature->name, declared.rank);
    rml_shape image = {4, {is_image ? 1 : -1, is_image ? channels_of(feature) : 1, 1, 1}};
    for (int i = 0; i < declared.rank; i++)
        image.dim[(is_image ? 2 : 1) + i] = declared.dim[i];
    *blob = image;
    *port = image;
    if (!is_image && declared.rank == 1)
        port->rank = 2;
    if (network->has_sequence && !is_image) {
        *blob = (rml_shape){5, {-1, -1, image.dim[1], image.dim[2], image.dim[3]}};
        *port = *blob;
        port->rank = declared.rank == 1 ? 3 : 5;
    }
    return RML_OK;
}

// scale * plane + bias of its colour, in the order of the planes.
static rml_value_id scaled(rml_nn_importer *importer, const rml_coreml_feature *feature,
                           rml_value_id x, const rml_protobuf *scaler, rml_error *err)
{
    const rml_message_reader reader = {&importer->scope->graph->arena, "a model", err};
    rml_graph *graph = importer->scope->graph;
    float scale = 0, color[3] = {0}, gray = 0;
    const rml_message_want wants[] = {
        {10, RML_WANT_FLOAT, "a scale", &scale},   {20, RML_WANT_FLOAT, "a bias", &color[2]},
        {21, RML_WANT_FLOAT, "a bias", &color[1]}, {22, RML_WANT_FLOAT, "a bias", &color[0]},
        {30, RML_WANT_FLOAT, "a bias", &gray},     {0}};
    float *numbers = rml_arena_alloc(&graph->arena, 6, sizeof *numbers);
    if (rml_message_read(&reader, scaler, wants) != RML_OK || !numbers)
        return rml_graph_fail(graph, numbers ? RML_ERR_FORMAT : RML_ERR_NOMEM, "%s",
                              numbers ? err->message : "out of memory for a scale");
    const int64_t channels = channels_of(feature);
    for (int64_t i = 0; i < channels; i++) {
        const int64_t from = feature->color == RML_COREML_BGR ? 2 - i : i;
        numbers[i] = scale;
        numbers[3 + i] = channels == 1 ? gray : color[from];
    }
    const rml_shape shape = {3, {channels, 1, 1}};
    const rml_stored factor = rml_stored_f32(numbers, &shape);
    const rml_stored offset = rml_stored_f32(numbers + 3, &shape);
    if (scale != 1) // what converters write where nothing is to be done
        x = rml_graph_binary(graph, RML_BINARY_MUL, x,
                             rml_graph_typed_constant(graph, feature->name, &factor),
                             feature->name);
    if (numbers[3] != 0 || numbers[4] != 0 || numbers[5] != 0)
        x = rml_graph_binary(graph, RML_BINARY_ADD, x,
                             rml_graph_typed_constant(graph, feature->name, &offset),
                             feature->name);
    return x;
}

static rml_value_id without_mean(rml_nn_importer *importer, const rml_coreml_feature *feature,
                                 rml_value_id x, const rml_protobuf *mean, rml_error *err)
{
    const rml_message_reader reader = {&importer->scope->graph->arena, "a model", err};
    rml_graph *graph = importer->scope->graph;
    const rml_shape declared = declared_shape(feature);
    const rml_shape shape = {3, {channels_of(feature), declared.dim[0], declared.dim[1]}};
    const uint8_t *data;
    size_t have, wanted;
    if (rml_message_floats(&reader, mean, 1, "a mean image", &data, &have) != RML_OK)
        return rml_graph_fail(graph, RML_ERR_FORMAT, "%s", err->message);
    if (!rml_shape_count(&shape, &wanted) || have != wanted)
        return rml_graph_fail(graph, RML_ERR_FORMAT,
                              "the mean image of \"%s\" has %zu numbers, and the image %zu",
                              feature->name, have, wanted);
    const rml_stored stored = rml_stored_plain(data, RML_F32, &shape);
    return rml_graph_binary(graph, RML_BINARY_SUB, x,
                            rml_graph_typed_constant(graph, feature->name, &stored), feature->name);
}

// What the network does to an image before its first layer, in the order of the file. An entry
// without a name means the only image.
static rml_status preprocess(rml_nn_importer *importer, const rml_nn_network *network,
                             const rml_coreml_ports *ports, const rml_coreml_feature *feature,
                             rml_value_id *x)
{
    enum { PREPROCESSING = 2 };
    const rml_message_reader reader = {&importer->scope->graph->arena, "a model", importer->err};
    rml_protobuf rest = network->message, inside;
    bool more = true;
    size_t images = 0;
    for (size_t i = 0; i < ports->input_count; i++)
        images += ports->input[i].kind == RML_COREML_IMAGE;
    for (;;) {
        const char *name = "";
        rml_protobuf scaler = {0}, mean = {0};
        const rml_message_want wants[] = {{1, RML_WANT_NAME, "a feature's name", &name},
                                          {10, RML_WANT_MESSAGE, "a scale", &scaler},
                                          {11, RML_WANT_MESSAGE, "a mean image", &mean},
                                          {0}};
        RML_TRY(rml_message_inside(&rest, PREPROCESSING, "preprocessing", &inside, &more,
                                   importer->err));
        if (!more)
            return rml_graph_finish(importer->scope->graph, importer->err);
        RML_TRY(rml_message_read(&reader, &inside, wants));
        if (!*name && images > 1)
            return rml_fail(importer->err, RML_ERR_FORMAT,
                            "preprocessing without a name, and %zu images", images);
        if (*name && strcmp(name, feature->name) != 0)
            continue;
        if (scaler.data)
            *x = scaled(importer, feature, *x, &scaler, importer->err);
        if (mean.data)
            *x = without_mean(importer, feature, *x, &mean, importer->err);
    }
}

static rml_status add_input(rml_nn_importer *importer, const rml_nn_network *network,
                            const rml_coreml_ports *ports, const rml_coreml_feature *feature,
                            const rml_coreml_values *values)
{
    rml_graph *graph = importer->scope->graph;
    rml_shape port, blob;
    if (feature->kind != RML_COREML_IMAGE && feature->kind != RML_COREML_ARRAY)
        return rml_fail(importer->err, RML_ERR_UNSUPPORTED,
                        "input \"%s\" is neither an array nor an image", feature->name);
    RML_TRY(blob_shape(network, feature, &port, &blob, importer->err));
    rml_value_id x = rml_coreml_get(values, feature->name);
    if (x == RML_NO_VALUE && port.rank == 0)
        return rml_fail(importer->err, RML_ERR_FORMAT, "input \"%s\" has no shape", feature->name);
    if (x == RML_NO_VALUE)
        x = rml_graph_input(graph, feature->name, &port);
    if (feature->kind == RML_COREML_IMAGE)
        RML_TRY(preprocess(importer, network, ports, feature, &x));
    if (port.rank != blob.rank) {
        rml_shape more = {.rank = blob.rank};
        for (int i = 0; i < blob.rank; i++)
            more.dim[i] = i < port.rank ? 0 : 1; // sizes of the port stay
        x = rml_graph_reshape(graph, x, &more, feature->name);
    }
    // An image of five dimensions, also where arrays are exact.
    if ((network->has_sequence || (network->exact_arrays && !network->exact_images)) &&
        feature->kind == RML_COREML_IMAGE) {
        const rml_shape more = {5, {1, -1, blob.dim[1], blob.dim[2], blob.dim[3]}};
        x = rml_graph_reshape(graph, x, &more, feature->name);
    }
    RML_TRY(rml_graph_finish(graph, importer->err));
    return rml_nn_define(importer, feature->name, x, false);
}

// ---- outputs ------------------------------------------------------------------------------------

// Labels of a classifier; *numbers is NULL where they are texts.
static rml_status read_labels(const rml_message_reader *reader, const rml_protobuf *message,
                              rml_coreml_values *values, const int64_t **numbers, size_t *count)
{
    rml_protobuf text = {0}, number = {0};
    const rml_text *texts = NULL;
    const rml_message_want wants[] = {
        {100, RML_WANT_MESSAGE, "labels", &text}, {101, RML_WANT_MESSAGE, "labels", &number}, {0}};
    *count = 0;
    *numbers = NULL;
    RML_TRY(rml_message_read(reader, message, wants));
    if (text.data)
        RML_TRY(rml_message_texts(reader, &text, 1, "labels", &texts, count));
    else if (number.data)
        RML_TRY(rml_message_ints(reader, &number, 1, "labels", RML_NN_MAX_LAYERS, numbers, count));
    rml_coreml_set_labels(values, texts, *numbers, *count);
    return rml_graph_finish(values->graph, reader->err);
}

// Elements of one image's or one row's result, whatever the batch; -1 where only a run tells.
static int64_t count_of(const rml_shape *shape)
{
    rml_shape one = *shape;
    size_t count;
    if (one.rank > 1 && one.dim[0] < 0)
        one.dim[0] = 1;
    return rml_shape_count(&one, &count) ? (int64_t)count : -1;
}

// The probabilities in a row under their name; and the label, which is a number: the one in the
// file, or the place of the text among the labels.
static rml_status add_classes(rml_nn_importer *importer, const rml_nn_network *network,
                              const rml_coreml_ports *ports, rml_coreml_values *values)
{
    rml_graph *graph = importer->scope->graph;
    const char *name = "";
    const rml_message_reader reader = rml_coreml_messages(importer->file, importer->err);
    const rml_message_want wants[] = {{200, RML_WANT_NAME, "the probabilities' layer", &name}, {0}};
    const int64_t *numbers = NULL;
    size_t count;
    rml_value_id scores = RML_NO_VALUE;
    RML_TRY(rml_message_read(&reader, &network->message, wants));
    const rml_nn_layer *last =
        network->layer_count ? &network->layer[network->layer_count - 1] : NULL;
    if (!*name && last && last->output_count)
        name = last->output[0].text;
    RML_TRY(rml_nn_find(importer, name, &scores));
    if (scores == RML_NO_VALUE)
        return rml_fail(importer->err, RML_ERR_FORMAT, "the probabilities \"%.80s\" are no blob",
                        name);
    RML_TRY(read_labels(&reader, &network->message, values, &numbers, &count));
    const rml_value_id row =
        rml_graph_reshape(graph, scores, &(rml_shape){1, {-1}}, ports->predicted);
    const int64_t have = row < graph->value_count ? count_of(&graph->values[scores].shape) : -1;
    if (have >= 0 && (size_t)have != count)
        return rml_fail(importer->err, RML_ERR_FORMAT, "%lld probabilities and %zu labels",
                        (long long)have, count);
    if (*ports->probabilities)
        RML_TRY(rml_nn_define(importer, ports->probabilities, row, true));
    if (!*ports->predicted)
        return RML_OK;
    const rml_op_attr attr = {.arg = {.axis = 0}};
    rml_value_id best = rml_graph_node(graph, RML_OP_ARG, &attr, &row, 1, ports->predicted);
    if (numbers) {
        const rml_stored all =
            rml_stored_plain(numbers, RML_I64, &(rml_shape){1, {(int64_t)count}});
        const rml_value_id in[] = {rml_graph_typed_constant(graph, ports->predicted, &all), best};
        best = rml_graph_node(graph, RML_OP_GATHER, &(rml_op_attr){0}, in, 2, ports->predicted);
    }
    RML_TRY(rml_graph_finish(graph, importer->err));
    return rml_nn_define(importer, ports->predicted, best, true);
}

// A regressor's prediction is the last layer's blob where none has its name.
static rml_status add_prediction(rml_nn_importer *importer, const rml_nn_network *network,
                                 const rml_coreml_ports *ports)
{
    rml_value_id value = RML_NO_VALUE;
    if (!*ports->predicted || rml_nn_is_written(importer, ports->predicted))
        return RML_OK;
    const rml_nn_layer *last =
        network->layer_count ? &network->layer[network->layer_count - 1] : NULL;
    if (last && last->output_count)
        RML_TRY(rml_nn_find(importer, last->output[0].text, &value));
    if (value == RML_NO_VALUE)
        return rml_fail(importer->err, RML_ERR_FORMAT, "\"%.80s\" is predicted by no layer",
                        ports->predicted);
    return rml_nn_define(importer, ports->predicted, value, false);
}

// As many dimensions as the description has: leading ones of size 1 go, and behind a vector.
static rml_value_id as_declared(rml_nn_importer *importer, const rml_nn_network *network,
                                const rml_coreml_feature *feature, rml_value_id value)
{
    rml_graph *graph = importer->scope->graph;
    const rml_shape shape = graph->values[value].shape;
    if (network->exact_arrays || shape.rank < 3 || feature->kind == RML_COREML_IMAGE)
        return value;
    const bool is_vector = shape.dim[shape.rank - 1] == 1 && shape.dim[shape.rank - 2] == 1;
    if (is_vector && feature->rank == 1) {
        const rml_shape less = {shape.rank - 2, {0, 0, 0}};
        return rml_graph_reshape(graph, value, &less, feature->name);
    }
    return value;
}

static rml_status give_output(rml_nn_importer *importer, const rml_nn_network *network,
                              const rml_coreml_feature *feature, rml_coreml_values *values)
{
    rml_value_id value;
    RML_TRY(rml_nn_find(importer, feature->name, &value));
    if (value == RML_NO_VALUE)
        return rml_fail(importer->err, RML_ERR_FORMAT, "output \"%.80s\" is written by no layer",
                        feature->name);
    value = as_declared(importer, network, feature, value);
    RML_TRY(rml_graph_finish(values->graph, importer->err));
    return rml_coreml_set(values, feature->name, value, importer->err);
}

static rml_status import(rml_nn_importer *importer, const rml_coreml_model *model,
                         const rml_nn_network *network, rml_coreml_values *values)
{
    const rml_coreml_ports *ports = &model->ports;
    for (size_t i = 0; i < ports->input_count; i++)
        RML_TRY(add_input(importer, network, ports, &ports->input[i], values));
    RML_TRY(rml_nn_import_layers(importer, network));
    if (importer->refusals.count)
        return rml_coreml_list_refusals(&importer->refusals, "layer", importer->err);
    if (model->type == RML_COREML_NETWORK_CLASSIFIER)
        RML_TRY(add_classes(importer, network, ports, values));
    if (model->type == RML_COREML_NETWORK_REGRESSOR)
        RML_TRY(add_prediction(importer, network, ports));
    for (size_t k = 0; k < ports->output_count; k++)
        RML_TRY(give_output(importer, network, &ports->output[k], values));
    return RML_OK;
}

rml_status rml_nn_import(rml_coreml_values *values, rml_coreml *file, const rml_coreml_model *model,
                         rml_error *err)
{
    rml_nn_network network;
    rml_nn_importer *importer = NULL;
    rml_nn_scope scope = {.graph = values->graph};
    RML_TRY(rml_nn_read(file, &model->body, &network, err));
    RML_TRY(rml_make(file->allocator, &importer, 1, sizeof *importer, "an import", err));
    importer->file = file;
    importer->allocator = file->allocator;
    importer->scope = &scope;
    importer->has_sequence = network.has_sequence;
    importer->err = err;
    rml_names_init(&importer->names, file->allocator);
    const rml_status status = import(importer, model, &network, values);
    values->parameters += importer->parameters;
    rml_names_release(&importer->names);
    rml_free(file->allocator, importer->blob);
    rml_free(file->allocator, importer);
    return status;
}
