// A neural network: its layers in order, what they read and write, mappings of shapes, labels.
#include "loaders/check/check.h"

#include <stdio.h>
#include <string.h>

enum { CUSTOM = 500, COPY = 600 };

typedef struct walker {
    rml_checker *checker;
    rml_coreml *file;
    const rml_coreml_model *model;
    rml_names blobs;
    size_t blob_count;
    bool is_exact; // some layer is of the world of exact shapes
} walker;

static bool is_blob(const walker *w, const char *name)
{
    size_t at;
    return rml_names_find(&w->blobs, name, strlen(name), &at);
}

static rml_status write_blob(walker *w, const char *name, bool again, const char *place)
{
    size_t now = 0;
    RML_TRY(rml_names_add(&w->blobs, name, strlen(name), w->blob_count, &now, w->checker->err));
    if (now != w->blob_count && !again)
        rml_check_fault(w->checker, place, "blob \"%.80s\" is written before", name);
    w->blob_count++;
    return RML_OK;
}

// What the networks inside a layer write is seen behind it.
static rml_status check_layer(walker *w, const rml_nn_layer *layer, bool inside)
{
    char place[RML_PLACE_BYTES], what[32];
    snprintf(what, sizeof what, "layer %zu", layer->number);
    rml_check_place(place, what, layer->name, rml_nn_kind_name(layer->kind));
    if (layer->kind != CUSTOM && strcmp(rml_nn_kind_name(layer->kind), "unknown") == 0)
        rml_check_fault(w->checker, place, "kind %d of layers is not known", layer->kind);
    for (size_t i = 0; i < layer->input_count; i++)
        if (!is_blob(w, layer->input[i].text))
            rml_check_fault(w->checker, place, "it reads blob \"%.80s\", which nothing has written",
                            layer->input[i].text);
    if (layer->output_count == 0 && layer->kind < COPY)
        rml_check_fault(w->checker, place, "it writes no blob");
    w->is_exact = w->is_exact || layer->kind >= COPY;
    RML_TRY(rml_check_layer(w->checker, w->file, w->model, layer, place));
    for (int k = 0; k < 2 && layer->inside; k++)
        for (size_t i = 0; i < layer->inside[k].layer_count; i++)
            RML_TRY(check_layer(w, &layer->inside[k].layer[i], true));
    for (size_t k = 0; k < layer->output_count; k++)
        RML_TRY(write_blob(w, layer->output[k].text, layer->kind == COPY || inside, place));
    return RML_OK;
}

static rml_status check_layers(walker *w, const rml_protobuf *message)
{
    enum { LAYERS = 1 };
    rml_error why;
    rml_protobuf rest = *message, inside;
    bool more = true;
    for (size_t i = 0; i < RML_NN_MAX_LAYERS; i++) {
        rml_nn_layer layer = {.number = i};
        char place[48];
        snprintf(place, sizeof place, "layer %zu", i);
        rml_status status = rml_message_inside(&rest, LAYERS, "a layer", &inside, &more, &why);
        if (status == RML_OK && !more)
            return RML_OK;
        if (status != RML_OK)
            return rml_check_read(w->checker, place, status, &why);
        status = rml_nn_read_layer(w->file, &inside, &layer, &why);
        RML_TRY(rml_check_read(w->checker, place, status, &why));
        if (status == RML_OK)
            RML_TRY(check_layer(w, &layer, false));
    }
    return RML_OK;
}

// ---- shapes of inputs ---------------------------------------------------------------------------

static rml_status check_mappings(walker *w)
{
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(w->file, &why);
    const rml_coreml_ports *ports = &w->model->ports;
    int64_t arrays = 0, images = 0;
    size_t array_inputs = 0;
    char place[RML_PLACE_BYTES];
    const rml_message_want wants[] = {
        {5, RML_WANT_INT, "a mapping", &arrays}, {6, RML_WANT_INT, "a mapping", &images}, {0}};
    RML_TRY(rml_check_read(w->checker, "network", rml_message_read(&reader, &w->model->body, wants),
                           &why));
    for (size_t i = 0; i < ports->input_count; i++) {
        const rml_coreml_feature *feature = &ports->input[i];
        if (feature->kind != RML_COREML_ARRAY)
            continue;
        array_inputs++;
        if (arrays == 0 && feature->rank != 0 && feature->rank != 1 && feature->rank != 3 &&
            !feature->shape_count && !feature->range_count)
            rml_check_fault(w->checker, rml_check_place(place, "input", feature->name, ""),
                            "it has %zu dimensions, and 1 or 3 are right under the mapping of "
                            "arrays to five (arrayInputShapeMapping)",
                            feature->rank);
    }
    if (arrays < 0 || arrays > 1 || images < 0 || images > 1)
        rml_check_fault(w->checker, "network",
                        "mappings of shapes %lld and %lld, 0 and 1 are known", (long long)arrays,
                        (long long)images);
    if ((arrays || images) && w->model->version < 4)
        rml_check_fault(w->checker, "network",
                        "exact shapes need specification 4, the model says %lld",
                        (long long)w->model->version);
    if (arrays == 0 && array_inputs && images != 0)
        rml_check_fault(w->checker, "network",
                        "images are mapped to four dimensions and arrays to five, which does not "
                        "go together");
    else if (arrays == 0 && array_inputs && w->is_exact)
        rml_check_fault(w->checker, "network",
                        "it has layers of exact shapes, and arrays are mapped to five dimensions");
    return RML_OK;
}

// ---- outputs and labels -------------------------------------------------------------------------

static void check_outputs(walker *w)
{
    const rml_coreml_ports *ports = &w->model->ports;
    char place[RML_PLACE_BYTES];
    for (size_t k = 0; k < ports->output_count; k++) {
        const char *name = ports->output[k].name;
        const bool is_predicted =
            w->model->type != RML_COREML_NETWORK &&
            (strcmp(name, ports->predicted) == 0 || strcmp(name, ports->probabilities) == 0);
        if (!is_predicted && !is_blob(w, name))
            rml_check_fault(w->checker, rml_check_place(place, "output", name, ""),
                            "no layer writes it");
    }
}

static rml_status check_classes(walker *w)
{
    enum { TEXTS = 100, NUMBERS = 101, SCORES = 200 };
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(w->file, &why);
    rml_protobuf text = {0}, number = {0};
    const rml_text *texts = NULL;
    const int64_t *numbers = NULL;
    const char *scores = "";
    size_t text_count = 0, number_count = 0;
    const rml_message_want wants[] = {{TEXTS, RML_WANT_MESSAGE, "labels", &text},
                                      {NUMBERS, RML_WANT_MESSAGE, "labels", &number},
                                      {SCORES, RML_WANT_NAME, "the probabilities' layer", &scores},
                                      {0}};
    rml_status status = rml_message_read(&reader, &w->model->body, wants);
    if (status == RML_OK && text.data)
        status = rml_message_texts(&reader, &text, 1, "labels", &texts, &text_count);
    if (status == RML_OK && number.data)
        status = rml_message_ints(&reader, &number, 1, "labels", RML_NN_MAX_LAYERS, &numbers,
                                  &number_count);
    if (status != RML_OK)
        return rml_check_read(w->checker, "labels", status, &why);
    if (*scores && !is_blob(w, scores))
        rml_check_fault(w->checker, "labels", "the probabilities \"%.80s\" are no blob", scores);
    rml_check_classifier(w->checker, &w->model->ports, text_count, number_count);
    return rml_check_labels(w->checker, texts, text_count, numbers, number_count);
}

static rml_status check_all(walker *w)
{
    const rml_coreml_ports *ports = &w->model->ports;
    for (size_t i = 0; i < ports->input_count; i++)
        RML_TRY(write_blob(w, ports->input[i].name, false, "input"));
    RML_TRY(check_layers(w, &w->model->body));
    RML_TRY(check_mappings(w));
    check_outputs(w);
    return w->model->type == RML_COREML_NETWORK_CLASSIFIER ? check_classes(w) : RML_OK;
}

rml_status rml_check_network(rml_checker *checker, rml_coreml *file, const rml_coreml_model *model)
{
    walker w = {.checker = checker, .file = file, .model = model};
    rml_names_init(&w.blobs, checker->allocator);
    if (model->version >= 6)
        rml_check_note(checker,
                       "%sa neural network of specification %lld: 1 to 5 have all its "
                       "layers, and older systems take them",
                       checker->around, (long long)model->version);
    const rml_status status = check_all(&w);
    rml_names_release(&w.blobs);
    return status;
}
