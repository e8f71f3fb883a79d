// Networks inside layers: what they write, and whether they leave the turn of a loop, before they
// are imported.
#include "loaders/coreml/nn_importer.h"

#include <string.h>

// ---- sets of blobs ------------------------------------------------------------------------------

void rml_nn_begin_written(const rml_nn_call *call, rml_nn_written *out)
{
    *out = (rml_nn_written){.count = 0};
    rml_names_init(&out->names, call->importer->allocator);
}

void rml_nn_end_written(const rml_nn_call *call, rml_nn_written *written)
{
    rml_names_release(&written->names);
    rml_free(call->importer->allocator, written->name);
}

bool rml_nn_has_written(const rml_nn_written *written, const char *name)
{
    size_t at;
    return rml_names_find(&written->names, name, strlen(name), &at);
}

static void add(rml_nn_call *call, const char *name, rml_nn_written *out)
{
    rml_error error;
    size_t now = 0;
    if (rml_reserve(call->importer->allocator, &out->name, &out->capacity, out->count + 1,
                    sizeof *out->name, "a list of blobs", &error) != RML_OK ||
        rml_names_add(&out->names, name, strlen(name), out->count, &now, &error) != RML_OK)
        rml_graph_fail(call->make.graph, RML_ERR_NOMEM, "out of memory for a list of blobs");
    else if (now == out->count)
        out->name[out->count++] = name;
}

// ---- what is written ----------------------------------------------------------------------------

void rml_nn_add_written(rml_nn_call *call, const rml_nn_network *network, rml_nn_written *out)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const rml_nn_layer *layer = &network->layer[i];
        for (size_t k = 0; k < layer->output_count; k++)
            add(call, layer->output[k].text, out);
        for (int k = 0; k < 2 && layer->inside; k++)
            rml_nn_add_written(call, &layer->inside[k], out);
    }
    if (network->leaves)
        add(call, RML_NN_LEAVES, out);
}

static void add_surely(rml_nn_call *call, const rml_nn_network *network, rml_nn_written *out)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const rml_nn_layer *layer = &network->layer[i];
        for (size_t k = 0; k < layer->output_count; k++)
            add(call, layer->output[k].text, out);
        if (layer->kind == RML_NN_BRANCH)
            rml_nn_add_surely_written(call, layer, out);
        if (layer->leaves)
            return;
    }
}

void rml_nn_add_surely_written(rml_nn_call *call, const rml_nn_layer *branch, rml_nn_written *out)
{
    rml_nn_written ways[2];
    for (int k = 0; k < 2; k++) {
        rml_nn_begin_written(call, &ways[k]);
        add_surely(call, &branch->inside[k], &ways[k]);
    }
    for (size_t i = 0; i < ways[0].count; i++)
        if (rml_nn_has_written(&ways[1], ways[0].name[i]))
            add(call, ways[0].name[i], out);
    rml_nn_end_written(call, &ways[0]);
    rml_nn_end_written(call, &ways[1]);
}
