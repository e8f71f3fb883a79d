// Layers of a network become nodes of a graph, one after another, by their handlers.
#include "loaders/coreml/nn_importer.h"

#include <stdio.h>
#include <string.h>

// ---- blobs --------------------------------------------------------------------------------------

// What the blob is now, for when the network that changes it is left.
static rml_status keep(rml_nn_importer *importer, size_t place)
{
    rml_nn_scope *scope = importer->scope;
    if (!scope->outer)
        return RML_OK;
    RML_TRY(rml_reserve(importer->allocator, &scope->changed, &scope->changed_capacity,
                        scope->changed_count + 1, sizeof *scope->changed, "a list of blobs",
                        importer->err));
    RML_TRY(rml_reserve(importer->allocator, &scope->before, &scope->before_capacity,
                        scope->changed_count + 1, sizeof *scope->before, "a list of blobs",
                        importer->err));
    scope->changed[scope->changed_count] = place;
    scope->before[scope->changed_count++] = importer->blob[place];
    return RML_OK;
}

rml_status rml_nn_define(rml_nn_importer *importer, const char *name, rml_value_id value,
                         bool again)
{
    size_t now = 0;
    RML_TRY(rml_reserve(importer->allocator, &importer->blob, &importer->blob_capacity,
                        importer->blob_count + 1, sizeof *importer->blob, "a table of blobs",
                        importer->err));
    RML_TRY(rml_names_add(&importer->names, name, strlen(name), importer->blob_count, &now,
                          importer->err));
    if (now == importer->blob_count)
        importer->blob[importer->blob_count++] = (rml_nn_blob){NULL, RML_NO_VALUE};
    // In a network inside a layer, names of the one around are written again.
    if (importer->blob[now].value != RML_NO_VALUE && !again && !importer->scope->outer)
        return rml_fail(importer->err, RML_ERR_FORMAT, "blob \"%.80s\" is written twice", name);
    RML_TRY(keep(importer, now));
    importer->blob[now] = (rml_nn_blob){importer->scope->graph, value};
    return RML_OK;
}

bool rml_nn_is_written(const rml_nn_importer *importer, const char *name)
{
    size_t at = 0;
    return rml_names_find(&importer->names, name, strlen(name), &at) &&
           importer->blob[at].value != RML_NO_VALUE;
}

// A value of a graph around as an input of the scope's; of the graph next to it first.
static rml_status capture(rml_nn_importer *importer, rml_nn_scope *scope, size_t place)
{
    if (importer->blob[place].graph != scope->outer->graph)
        RML_TRY(capture(importer, scope->outer, place));
    const rml_nn_blob outside = importer->blob[place];
    const rml_value *value = &outside.graph->values[outside.value];
    char name[64];
    RML_TRY(rml_reserve(importer->allocator, &scope->capture, &scope->capture_capacity,
                        scope->capture_count + 1, sizeof *scope->capture, "a list of blobs",
                        importer->err));
    rml_nn_scope *inner = importer->scope;
    importer->scope = scope;
    const rml_status status = keep(importer, place);
    importer->scope = inner;
    RML_TRY(status);
    snprintf(name, sizeof name, "outer %zu", scope->capture_count);
    const rml_value_id input =
        rml_graph_typed_input(scope->graph, name, value->dtype, &value->shape);
    scope->capture[scope->capture_count++] = outside.value;
    importer->blob[place] = (rml_nn_blob){scope->graph, input};
    return rml_graph_finish(scope->graph, importer->err);
}

rml_status rml_nn_find(rml_nn_importer *importer, const char *name, rml_value_id *out)
{
    size_t at = 0;
    *out = RML_NO_VALUE;
    if (!rml_nn_is_written(importer, name))
        return RML_OK;
    rml_names_find(&importer->names, name, strlen(name), &at);
    if (importer->blob[at].value != RML_NN_REFUSED &&
        importer->blob[at].graph != importer->scope->graph)
        RML_TRY(capture(importer, importer->scope, at));
    *out = importer->blob[at].value;
    return RML_OK;
}

void rml_nn_enter(rml_nn_importer *importer, rml_nn_scope *scope, rml_graph *graph)
{
    *scope = (rml_nn_scope){.outer = importer->scope, .graph = graph};
    importer->scope = scope;
}

rml_status rml_nn_leave(rml_nn_importer *importer, const rml_value_id **captures, size_t *count)
{
    rml_nn_scope *scope = importer->scope;
    for (size_t i = scope->changed_count; i-- > 0;)
        importer->blob[scope->changed[i]] = scope->before[i];
    importer->scope = scope->outer;
    rml_value_id *list =
        rml_arena_alloc(&importer->scope->graph->arena, scope->capture_count + 1, sizeof *list);
    if (list && scope->capture_count)
        memcpy(list, scope->capture, scope->capture_count * sizeof *list);
    *captures = list;
    *count = list ? scope->capture_count : 0;
    rml_free(importer->allocator, scope->changed);
    rml_free(importer->allocator, scope->before);
    rml_free(importer->allocator, scope->capture);
    return list ? RML_OK : rml_fail_nomem(importer->err, sizeof *list, "a list of values");
}

// ---- layers -------------------------------------------------------------------------------------

static const struct {
    int kind;
    const char *name;
} refused_kinds[] = {
    {1170, "randomNormalLike"},
    {1175, "randomNormalStatic"},
    {1180, "randomNormalDynamic"},
    {1190, "randomUniformLike"},
    {1195, "randomUniformStatic"},
    {1200, "randomUniformDynamic"},
    {500, "custom"},
    {1210, "randomBernoulliLike"},
    {1215, "randomBernoulliStatic"},
    {1220, "randomBernoulliDynamic"},
    {1230, "categoricalDistribution"},
};

static const rml_nn_entry *find_entry(int kind)
{
    static const rml_nn_entry *const families[] = {
        rml_nn_activations, rml_nn_control,    rml_nn_elementwise, rml_nn_images,
        rml_nn_index,       rml_nn_norms,      rml_nn_nd_shapes,   rml_nn_products,
        rml_nn_recurrent,   rml_nn_reductions, rml_nn_shapes,      rml_nn_boxes,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const rml_nn_entry *entry = families[f]; entry->kind; entry++)
            if (entry->kind == kind)
                return entry;
    return NULL;
}

const char *rml_nn_kind_name(int kind)
{
    const rml_nn_entry *entry = find_entry(kind);
    for (size_t i = 0; i < sizeof refused_kinds / sizeof *refused_kinds && !entry; i++)
        if (refused_kinds[i].kind == kind)
            return refused_kinds[i].name;
    return entry ? entry->name : "unknown";
}

static rml_status run_handler(rml_nn_call *call, const rml_nn_entry *entry)
{
    enum { CUSTOM = 500, FIRST_RANDOM = 1170, LAST_RANDOM = 1230 };
    const size_t before = call->make.graph->node_count, first = call->make.graph->value_count;
    const int kind = call->layer->kind;
    if (kind == CUSTOM)
        rml_coreml_refuse(&call->make,
                          "a custom layer, whose code is in the app and not in the file");
    else if (kind >= FIRST_RANDOM && kind <= LAST_RANDOM)
        rml_coreml_refuse(&call->make, "random numbers cannot be reproduced");
    else if (!entry)
        rml_coreml_refuse(&call->make, "kind %d of layers is not known", kind);
    else
        entry->import(call);
    RML_TRY(rml_coreml_take_error(&call->make, call->importer->err));
    for (size_t k = 0; k < call->layer->output_count && !call->make.refused; k++)
        if (call->out[k] == RML_NO_VALUE)
            rml_coreml_refuse(&call->make, "output %zu is not supported", k);
    if (call->make.refused)
        return RML_OK;
    RML_TRY(rml_graph_fold_from(call->make.graph, before, NULL, call->importer->err));
    rml_graph_mark_inner(call->make.graph, first, call->out, call->layer->output_count);
    return RML_OK;
}

static rml_status import_layer(rml_nn_importer *importer, const rml_nn_layer *layer,
                               rml_value_id *values)
{
    enum { COPY = 600 };
    const rml_nn_entry *entry = find_entry(layer->kind);
    rml_nn_call call = {.make = {.graph = importer->scope->graph,
                                 .name = *layer->name ? layer->name : "layer",
                                 .reason = importer->reason},
                        .layer = layer,
                        .option = entry ? entry->option : 0,
                        .has_sequence = importer->has_sequence,
                        .in = values,
                        .out = values + layer->input_count,
                        .importer = importer};
    bool refused = false;
    for (size_t k = 0; k < layer->output_count; k++)
        call.out[k] = RML_NO_VALUE;
    for (size_t i = 0; i < layer->input_count; i++) {
        RML_TRY(rml_nn_find(importer, layer->input[i].text, &call.in[i]));
        if (call.in[i] == RML_NO_VALUE)
            return rml_fail(importer->err, RML_ERR_FORMAT,
                            "layer %zu \"%.64s\" reads blob \"%.64s\", which nothing has written",
                            layer->number, layer->name, layer->input[i].text);
        refused = refused || call.in[i] == RML_NN_REFUSED;
    }
    if (!refused)
        RML_TRY(run_handler(&call, entry));
    const rml_coreml_watch *watch = importer->file->watch;
    if (call.make.refused) {
        char where[128];
        snprintf(where, sizeof where, "layer %zu \"%.64s\"", layer->number, layer->name);
        rml_coreml_add_refusal(&importer->refusals, rml_nn_kind_name(layer->kind), where,
                               importer->reason);
    }
    if (call.make.refused && watch)
        watch->refused(watch->user, "layer", rml_nn_kind_name(layer->kind), layer->name,
                       importer->reason, call.make.misfit);
    for (size_t k = 0; k < layer->output_count; k++)
        RML_TRY(rml_nn_define(importer, layer->output[k].text,
                              refused || call.make.refused ? RML_NN_REFUSED : call.out[k],
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
