// A model of a Core ML file: one network, or the stages of a pipeline one after another.
#include "loaders/coreml/make.h"
#include "loaders/coreml/mil.h"
#include "loaders/coreml/model.h"
#include "loaders/coreml/reader.h"

#include <stdio.h>
#include <string.h>

// ---- values by name -----------------------------------------------------------------------------

rml_status rml_coreml_set(rml_coreml_values *values, const char *name, rml_value_id value,
                          rml_error *err)
{
    size_t now = 0;
    RML_TRY(rml_reserve(values->names.allocator, &values->value, &values->capacity,
                        values->count + 1, sizeof *values->value, "a table of values", err));
    RML_TRY(rml_names_add(&values->names, name, strlen(name), values->count, &now, err));
    values->value[now] = value;
    values->count += now == values->count;
    return RML_OK;
}

rml_value_id rml_coreml_get(const rml_coreml_values *values, const char *name)
{
    size_t at = 0;
    return rml_names_find(&values->names, name, strlen(name), &at) ? values->value[at]
                                                                   : RML_NO_VALUE;
}

// ---- stages -------------------------------------------------------------------------------------

static rml_status import_model(rml_coreml_values *values, rml_coreml *file,
                               const rml_coreml_model *model, int depth, rml_error *err);

// All models of a pipeline; those of kinds that do not run are told together.
static rml_status read_stages(rml_coreml *file, const rml_protobuf *pipeline,
                              rml_coreml_model **stages, size_t *count, rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf rest = *pipeline, inside;
    rml_error unsupported = {0}, error;
    bool more = true;
    RML_TRY(rml_message_count(pipeline, 1, count, err));
    if (*count > RML_COREML_MAX_STAGES)
        return rml_fail(err, RML_ERR_LIMIT, "a pipeline of more than %d stages",
                        RML_COREML_MAX_STAGES);
    RML_TRY(rml_message_array(&reader, *count, sizeof **stages, stages));
    for (size_t i = 0; i < *count; i++) {
        RML_TRY(rml_message_inside(&rest, 1, "a pipeline's stage", &inside, &more, err));
        const rml_status status = rml_coreml_read_model(file, &inside, &(*stages)[i], &error);
        if (status == RML_OK)
            continue;
        if (status != RML_ERR_UNSUPPORTED)
            return rml_fail(err, status, "pipeline stage %zu: %s", i + 1, error.message);
        const size_t used = strlen(unsupported.message);
        unsupported.status = status;
        snprintf(unsupported.message + used, sizeof unsupported.message - used,
                 "%spipeline stage %zu: %.160s", used ? "; " : "", i + 1, error.message);
    }
    return unsupported.status == RML_OK
               ? RML_OK
               : rml_fail(err, unsupported.status, "%s", unsupported.message);
}

static rml_status import_stages(rml_coreml_values *values, rml_coreml *file,
                                const rml_coreml_model *model, int depth, rml_error *err)
{
    rml_protobuf pipeline = model->body;
    const rml_message_reader reader = rml_coreml_messages(file, err);
    const rml_message_want wants[] = {{1, RML_WANT_MESSAGE, "a pipeline", &pipeline}, {0}};
    rml_coreml_model *stages;
    size_t count;
    if (depth >= RML_COREML_MAX_DEPTH)
        return rml_fail(err, RML_ERR_LIMIT, "pipelines are nested deeper than %d",
                        RML_COREML_MAX_DEPTH);
    if (model->type != RML_COREML_PIPELINE)
        RML_TRY(rml_message_read(&reader, &model->body, wants));
    RML_TRY(read_stages(file, &pipeline, &stages, &count, err));
    values->function = "";
    for (size_t i = 0; i < count; i++) {
        char place[48];
        snprintf(place, sizeof place, "pipeline stage %zu", i + 1);
        RML_TRY(rml_named(import_model(values, file, &stages[i], depth + 1, err), err, place));
    }
    return RML_OK;
}

static rml_status import_model(rml_coreml_values *values, rml_coreml *file,
                               const rml_coreml_model *model, int depth, rml_error *err)
{
    switch (model->type) {
    case RML_COREML_PROGRAM:
        return rml_mil_import(values, file, model, err);
    case RML_COREML_NETWORK:
    case RML_COREML_NETWORK_CLASSIFIER:
    case RML_COREML_NETWORK_REGRESSOR:
        return rml_nn_import(values, file, model, err);
    case RML_COREML_NMS:
        return rml_coreml_nms_import(values, file, model, err);
    default:
        return import_stages(values, file, model, depth, err);
    }
}

// ---- outputs ------------------------------------------------------------------------------------

static rml_status add_output(rml_coreml_values *values, const char *name, rml_error *err)
{
    rml_graph *graph = values->graph;
    const rml_value_id value = rml_coreml_get(values, name);
    if (value == RML_NO_VALUE)
        return rml_fail(err, RML_ERR_FORMAT, "output \"%.80s\" is computed nowhere", name);
    rml_graph_output(graph, name, rml_coreml_own(graph, value, name));
    return rml_graph_finish(graph, err);
}

rml_status rml_coreml_ports_of(rml_coreml *file, const char *wanted, const rml_coreml_ports **out,
                               const char **function, rml_error *err)
{
    const rml_coreml_model *model = &file->model;
    rml_mil_named named = {.name = ""};
    if (model->type == RML_COREML_PROGRAM)
        RML_TRY(rml_mil_choose(file, model, wanted, &named, err));
    else if (*wanted)
        return rml_fail(err, RML_ERR_ARG,
                        "function \"%.80s\" is wanted of a model that is no ML Program: only these "
                        "have functions",
                        wanted);
    *function = named.name;
    *out = model->function_count ? NULL : &model->ports;
    for (size_t i = 0; i < model->function_count; i++)
        if (strcmp(model->function[i].function, named.name) == 0)
            *out = &model->function[i];
    return *out ? RML_OK
                : rml_fail(err, RML_ERR_FORMAT, "the description lacks function \"%.80s\"",
                           named.name);
}

// What a run leaves in a state is an output, and both are the last ones of the graph.
static rml_status add_states(const rml_coreml_values *values, rml_error *err)
{
    rml_graph *graph = values->graph;
    size_t used = 0;
    if (values->state_count == 0)
        return RML_OK;
    for (size_t i = 0; i < graph->input_count; i++) {
        bool is_state = false;
        for (size_t k = 0; k < values->state_count && !is_state; k++)
            is_state = values->state[k].before == graph->inputs[i];
        if (!is_state)
            graph->inputs[used++] = graph->inputs[i];
    }
    for (size_t k = 0; k < values->state_count; k++) {
        const rml_coreml_state *state = &values->state[k];
        graph->inputs[used++] = state->before;
        rml_graph_output(graph, state->name, rml_coreml_own(graph, state->after, state->name));
    }
    RML_TRY(rml_graph_finish(graph, err));
    graph->state_count = values->state_count;
    return rml_graph_ports_changed(graph, err);
}

static rml_status fill(rml_model *model, rml_coreml *file, const char *wanted, rml_error *err)
{
    rml_coreml_values values = {.graph = &model->graph};
    const rml_coreml_ports *ports;
    RML_TRY(rml_coreml_ports_of(file, wanted, &ports, &values.function, err));
    rml_names_init(&values.names, model->allocator);
    rml_status status = import_model(&values, file, &file->model, 0, err);
    for (size_t k = 0; k < ports->output_count && status == RML_OK; k++) {
        status = add_output(&values, ports->output[k].name, err);
        if (status == RML_OK)
            status = rml_coreml_mean(&values, ports, true, k, &ports->output[k], err);
    }
    if (status == RML_OK)
        status = add_states(&values, err);
    for (size_t i = 0; i < ports->input_count && status == RML_OK; i++) {
        const size_t port = rml_graph_find_input(&model->graph, ports->input[i].name);
        if (port != SIZE_MAX)
            status = rml_coreml_mean(&values, ports, false, port, &ports->input[i], err);
        if (port != SIZE_MAX && status == RML_OK)
            status = rml_coreml_limit(&model->graph, port, &ports->input[i], err);
    }
    model->parameters = values.parameters;
    rml_names_release(&values.names);
    rml_free(model->allocator, values.value);
    rml_free(model->allocator, values.state);
    return status;
}

// ---- the model ----------------------------------------------------------------------------------

static void drop_pages(void *user)
{
    rml_coreml_drop_pages(user);
}

static void release(void *user)
{
    rml_coreml *file = user;
    rml_coreml_close(&file);
}

rml_status rml_coreml_model_from(rml_model **out, rml_coreml *file,
                                 const rml_model_settings *settings, rml_error *err)
{
    *out = NULL;
    rml_status status = rml_model_begin(out, &rml_kit_whole, settings, err);
    if (status != RML_OK) {
        rml_coreml_close(&file);
        return status;
    }
    (*out)->user = file;
    (*out)->release = release;
    (*out)->drop_pages = drop_pages;
    status = fill(*out, file, settings && settings->function ? settings->function : "", err);
    if (status != RML_OK)
        rml_model_destroy(out);
    return status;
}
