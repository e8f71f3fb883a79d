// Layers of a network become nodes of a graph, one after another, by their handlers.
#include "loaders/coreml/nn_importer.h"

#include <stdio.h>
#include <string.h>

// ---- blobs --------------------------------------------------------------------------------------

rml_status rml_nn_define(rml_nn_importer *importer, const char *name, rml_value_id value,
                         bool again)
{
    size_t now = 0;
    RML_TRY(rml_reserve(importer->allocator, &importer->blob, &importer->blob_capacity,
                        importer->blob_count + 1, sizeof *importer->blob, "a table of blobs",
                        importer->err));
    RML_TRY(rml_names_add(&importer->names, name, strlen(name), importer->blob_count, &now,
                          importer->err));
    if (now != importer->blob_count && !again)
        return rml_fail(importer->err, RML_ERR_FORMAT, "blob \"%.80s\" is written twice", name);
    importer->blob[now] = value;
    importer->blob_count += now == importer->blob_count;
    return RML_OK;
}

bool rml_nn_find(const rml_nn_importer *importer, const char *name, rml_value_id *out)
{
    size_t at = 0;
    if (!rml_names_find(&importer->names, name, strlen(name), &at))
        return false;
    *out = importer->blob[at];
    return true;
}

// ---- layers -------------------------------------------------------------------------------------

static const struct {
    int kind;
    const char *name;
} refused_kinds[] = {
    {1170, "randomNormalLike"},       {1175, "randomNormalStatic"},
    {1180, "randomNormalDynamic"},    {1190, "randomUniformLike"},
    {1195, "randomUniformStatic"},    {1200, "randomUniformDynamic"},
    {1210, "randomBernoulliLike"},    {1215, "randomBernoulliStatic"},
    {1220, "randomBernoulliDynamic"}, {1230, "categoricalDistribution"},
};

static const rml_nn_entry *find_entry(int kind)
{
    static const rml_nn_entry *const families[] = {
        rml_nn_activations, rml_nn_elementwise, rml_nn_images, rml_nn_index, rml_nn_norms,
        rml_nn_nd_shapes,
        rml_nn_products,    rml_nn_recurrent,   rml_nn_reductions, rml_nn_shapes,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const rml_nn_entry *entry = families[f]; entry->kind; entry++)
            if (entry->kind == kind)
                return entry;
    return NULL;
}

static const char *kind_name(int kind, char *text, size_t capacity)
{
    const rml_nn_entry *entry = find_entry(kind);
    for (size_t i = 0; i < sizeof refused_kinds / sizeof *refused_kinds && !entry; i++)
        if (refused_kinds[i].kind == kind)
            return refused_kinds[i].name;
    if (entry)
        return entry->name;
    snprintf(text, capacity, "kind %d", kind);
    return text;
}

// Every kind of layer is said once for each reason.
static void add_refusal(rml_nn_importer *importer, const rml_nn_layer *layer, const char *reason)
{
    char kind[32], line[1024];
    const size_t used = strlen(importer->refusals);
    const int length =
        snprintf(line, sizeof line, "%slayer %zu \"%.64s\" (%s): %.400s", used ? "; " : "",
                 layer->number, layer->name, kind_name(layer->kind, kind, sizeof kind), reason);
    importer->refused++;
    if (strstr(importer->refusals, reason))
        return;
    if (length < 0 || (size_t)length >= sizeof importer->refusals - used)
        importer->refused_more++;
    else
        strcpy(importer->refusals + used, line);
}

// Errors of builder calls become refusals, but for those that nothing can go on after.
static rml_status check_graph(rml_nn_call *call)
{
    rml_graph *graph = call->graph;
    const rml_status status = graph->error.status;
    if (status == RML_OK)
        return RML_OK;
    if (status == RML_ERR_NOMEM || status == RML_ERR_LIMIT || status == RML_ERR_INTERNAL)
        return rml_graph_finish(graph, call->importer->err);
    const rml_error error = graph->error;
    graph->error.status = RML_OK;
    rml_nn_refuse(call, "%s", error.message);
    return RML_OK;
}

static rml_status run_handler(rml_nn_call *call, const rml_nn_entry *entry)
{
    enum { CUSTOM = 500, FIRST_RANDOM = 1170, LAST_RANDOM = 1230 };
    rml_graph *graph = call->graph;
    const size_t before = graph->node_count;
    const int kind = call->layer->kind;
    if (kind == CUSTOM)
        rml_nn_refuse(call, "a custom layer, whose code is in the app and not in the file");
    else if (kind >= FIRST_RANDOM && kind <= LAST_RANDOM)
        rml_nn_refuse(call, "random numbers cannot be reproduced");
    else if (!entry)
        rml_nn_refuse(call, "this kind of layer is not supported");
    else
        entry->import(call);
    RML_TRY(check_graph(call));
    for (size_t k = 0; k < call->layer->output_count && !call->refused; k++)
        if (call->out[k] == RML_NO_VALUE)
            rml_nn_refuse(call, "output %zu is not supported", k);
    for (size_t i = before; i < graph->node_count && !call->refused; i++) {
        bool folded;
        RML_TRY(rml_graph_fold(graph, (rml_node_id)i, &folded, call->importer->err));
    }
    return RML_OK;
}

static rml_status import_layer(rml_nn_importer *importer, const rml_nn_layer *layer,
                               rml_value_id *values)
{
    enum { COPY = 600 };
    const rml_nn_entry *entry = find_entry(layer->kind);
    rml_nn_call call = {.graph = importer->graph,
                        .layer = layer,
                        .name = *layer->name ? layer->name : "layer",
                        .option = entry ? entry->option : 0,
                        .has_sequence = importer->has_sequence,
                        .in = values,
                        .out = values + layer->input_count,
                        .importer = importer};
    bool refused = false;
    for (size_t k = 0; k < layer->output_count; k++)
        call.out[k] = RML_NO_VALUE;
    for (size_t i = 0; i < layer->input_count; i++) {
        if (!rml_nn_find(importer, layer->input[i].text, &call.in[i]))
            return rml_fail(importer->err, RML_ERR_FORMAT,
                            "layer %zu \"%.64s\" reads blob \"%.64s\", which nothing has written",
                            layer->number, layer->name, layer->input[i].text);
        refused = refused || call.in[i] == RML_NN_REFUSED;
    }
    if (!refused)
        RML_TRY(run_handler(&call, entry));
    if (call.refused)
        add_refusal(importer, layer, importer->reason);
    for (size_t k = 0; k < layer->output_count; k++)
        RML_TRY(rml_nn_define(importer, layer->output[k].text,
                              refused || call.refused ? RML_NN_REFUSED : call.out[k],
                              layer->kind == COPY));
    return RML_OK;
}

rml_status rml_nn_import_layers(rml_nn_importer *importer, const rml_nn_network *network)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        const rml_nn_layer *layer = &network->layer[i];
        const size_t count = layer->input_count + layer->output_count + 1;
        rml_value_id *values = rml_alloc(importer->allocator, count * sizeof *values);
        if (!values)
            return rml_fail_nomem(importer->err, count * sizeof *values, "a layer");
        const rml_status status = import_layer(importer, layer, values);
        rml_free(importer->allocator, values);
        RML_TRY(status);
    }
    return RML_OK;
}
