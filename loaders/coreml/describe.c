// What a Core ML model says of itself, also one that cannot be run.
#include "loaders/coreml/mil.h"
#include "loaders/coreml/model.h"
#include "loaders/coreml/nn_importer.h"
#include "loaders/coreml/reader.h"
#include "loaders/graph_file.h"

#include "tensor/size.h"
#include "tensor/tensor.h"

#include <string.h>

// ---- inputs and outputs -------------------------------------------------------------------------

static const char *type_name(const rml_coreml_feature *feature)
{
    static const struct {
        int64_t value;
        const char *name;
    } names[] = {
        {RML_COREML_F16, "f16"},
        {RML_COREML_F32, "f32"},
        {RML_COREML_F64, "f64"},
        {RML_COREML_I8, "i8"},
        {RML_COREML_I32, "i32"},
        {RML_COREML_GRAY, "gray image"},
        {RML_COREML_RGB, "RGB image"},
        {RML_COREML_BGR, "BGR image"},
        {RML_COREML_GRAY_F16, "f16 image"},
    };
    static const char *const kinds[] = {
        [RML_COREML_INT64] = "i64",         [RML_COREML_DOUBLE] = "f64",
        [RML_COREML_TEXT] = "text",         [RML_COREML_DICTIONARY] = "dictionary",
        [RML_COREML_SEQUENCE] = "sequence", [RML_COREML_ARRAY] = "array",
        [RML_COREML_IMAGE] = "image",       [RML_COREML_STATE] = "state",
    };
    const bool is_image = feature->kind == RML_COREML_IMAGE;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((is_image || feature->kind == RML_COREML_ARRAY || feature->kind == RML_COREML_STATE) &&
            names[i].value == (is_image ? feature->color : feature->element))
            return names[i].name;
    return kinds[feature->kind];
}

static rml_graph_port port_of(const rml_coreml_feature *feature)
{
    rml_graph_port port = {.name = feature->name, .type = type_name(feature)};
    port.shape.rank = (int)feature->rank;
    for (int i = 0; i < port.shape.rank; i++)
        port.shape.dim[i] = feature->size[i];
    if (feature->rank == 0 && feature->shape_count)
        port.shape = feature->shapes[0];
    for (size_t k = 0; k < feature->shape_count; k++) {
        if (feature->shapes[k].rank != port.shape.rank)
            port.shape.rank = RML_RANK_UNKNOWN;
        for (int i = 0; i < port.shape.rank; i++)
            if (feature->shapes[k].dim[i] != port.shape.dim[i])
                port.shape.dim[i] = -1;
    }
    for (size_t i = 0; i < feature->range_count; i++) {
        port.shape.rank = (int)feature->range_count;
        if (feature->range[i].low != feature->range[i].high)
            port.shape.dim[i] = -1;
    }
    if (port.shape.rank == 0)
        port.shape.rank = RML_RANK_UNKNOWN;
    return port;
}

static rml_status list_ports(rml_graph_file *out, const rml_coreml_feature *from, size_t count,
                             rml_graph_port **ports, rml_error *err)
{
    RML_TRY(rml_graph_file_array(out, count, sizeof **ports, ports, err));
    for (size_t i = 0; i < count; i++)
        (*ports)[i] = port_of(&from[i]);
    return RML_OK;
}

// ---- operators ----------------------------------------------------------------------------------

typedef struct list {
    rml_graph_operator *at; // NULL: only counted
    size_t count;
} list;

static void add(list *to, const char *name)
{
    if (to->at)
        to->at[to->count] = (rml_graph_operator){"", name, 1};
    to->count++;
}

static void add_block(list *to, const rml_mil_block *block)
{
    for (size_t i = 0; i < block->operation_count; i++) {
        const rml_mil_operation *operation = &block->operation[i];
        if (strcmp(operation->type, "const") != 0)
            add(to, operation->type);
        for (size_t k = 0; k < operation->block_count; k++)
            add_block(to, &operation->block[k]);
    }
}

// All operations or layers of a model and of the stages inside it.
static rml_status add_model(list *to, rml_coreml *file, const rml_coreml_model *model,
                            const char *function, int depth, rml_error *err);

static rml_status add_stages(list *to, rml_coreml *file, const rml_coreml_model *model, int depth,
                             rml_error *err)
{
    rml_protobuf pipeline = model->body, inside;
    const rml_message_reader reader = rml_coreml_messages(file, err);
    const rml_message_want wants[] = {{1, RML_WANT_MESSAGE, "a pipeline", &pipeline}, {0}};
    bool more = true;
    if (depth >= RML_COREML_MAX_DEPTH)
        return RML_OK;
    if (model->type != RML_COREML_PIPELINE)
        RML_TRY(rml_message_read(&reader, &model->body, wants));
    for (int stage = 0; stage < RML_COREML_MAX_STAGES; stage++) {
        rml_coreml_model inner;
        RML_TRY(rml_message_inside(&pipeline, 1, "a stage", &inside, &more, err));
        if (!more)
            return RML_OK;
        RML_TRY(rml_coreml_read_model(file, &inside, &inner, err));
        RML_TRY(add_model(to, file, &inner, "", depth + 1, err));
    }
    return RML_OK;
}

static rml_status add_model(list *to, rml_coreml *file, const rml_coreml_model *model,
                            const char *wanted, int depth, rml_error *err)
{
    rml_mil_named named;
    rml_mil_function function;
    rml_nn_network network;
    switch (model->type) {
    case RML_COREML_PROGRAM:
        RML_TRY(rml_mil_choose(file, model, wanted, &named, err));
        RML_TRY(rml_mil_read(file, &named, &function, err));
        add_block(to, &function.block);
        return RML_OK;
    case RML_COREML_NETWORK:
    case RML_COREML_NETWORK_CLASSIFIER:
    case RML_COREML_NETWORK_REGRESSOR:
        RML_TRY(rml_nn_read(file, &model->body, &network, err));
        for (size_t i = 0; i < network.layer_count; i++)
            add(to, rml_nn_kind_name(network.layer[i].kind));
        return RML_OK;
    case RML_COREML_NMS:
        add(to, "nonMaximumSuppression");
        return RML_OK;
    default:
        return add_stages(to, file, model, depth, err);
    }
}

static rml_status list_operators(rml_graph_file *out, rml_coreml *file, const char *function,
                                 rml_error *err)
{
    list all = {0};
    RML_TRY(add_model(&all, file, &file->model, function, 0, err));
    RML_TRY(rml_graph_file_array(out, all.count, sizeof *all.at, &all.at, err));
    all.count = 0;
    RML_TRY(add_model(&all, file, &file->model, function, 0, err));
    rml_graph_file_count(out, all.at, all.count);
    return RML_OK;
}

// ---- weights and words --------------------------------------------------------------------------

// Weights are counted as they are read; where something cannot be run, none are.
static rml_status count_constants(rml_graph_file *out, const char *function, rml_error *err)
{
    rml_coreml *file;
    rml_model *model;
    rml_error why;
    rml_model_settings settings = rml_model_settings_default();
    settings.allocator = out->allocator;
    settings.function = *function ? function : NULL;
    RML_TRY(rml_coreml_open_again(&file, out->file, err));
    const rml_status status = rml_coreml_model_from(&model, file, &settings, &why);
    if (status == RML_ERR_NOMEM)
        return rml_fail(err, status, "%s", why.message);
    if (status != RML_OK)
        return RML_OK;
    for (size_t i = 0; i < model->graph.value_count; i++) {
        const rml_value *value = &model->graph.values[i];
        size_t count;
        if (value->kind != RML_VALUE_CONSTANT || !rml_shape_count(&value->shape, &count))
            continue;
        out->summary.constants++;
        out->summary.numbers += count;
        out->summary.bytes += count * rml_dtype_size(value->constant->stored.dtype);
    }
    rml_model_destroy(&model);
    return RML_OK;
}

static rml_status list_notes(rml_graph_file *out, const rml_coreml_model *model, rml_error *err)
{
    const struct {
        const char *name, *text;
    } own[] = {{"description", model->about},
               {"author", model->author},
               {"license", model->license},
               {"version", model->own_version}};
    const size_t room = sizeof own / sizeof *own + model->note_count;
    size_t used = 0;
    RML_TRY(rml_graph_file_array(out, room, sizeof *out->metadata, &out->metadata, err));
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (!*own[i].text)
            continue;
        out->metadata[used].name = own[i].name;
        RML_TRY(rml_graph_file_text(out, own[i].text, strlen(own[i].text),
                                    &out->metadata[used++].text, err));
    }
    for (size_t i = 0; i < model->note_count && used < RML_MAX_METADATA; i++) {
        const rml_coreml_note *note = &model->note[i];
        RML_TRY(rml_graph_file_text(out, note->key.text, note->key.bytes, &out->metadata[used].name,
                                    err));
        RML_TRY(rml_graph_file_text(out, note->value.text, note->value.bytes,
                                    &out->metadata[used++].text, err));
    }
    out->summary.metadata = used;
    return RML_OK;
}

static rml_status list_functions(rml_graph_file *out, rml_coreml *file, const char *chosen,
                                 rml_error *err)
{
    rml_mil_named *all;
    size_t count;
    if (file->model.type != RML_COREML_PROGRAM)
        return RML_OK;
    RML_TRY(rml_mil_functions(file, &file->model, &all, &count, err));
    if (count < 2)
        return RML_OK;
    RML_TRY(rml_graph_file_array(out, count, sizeof *out->function, &out->function, err));
    for (size_t i = 0; i < count; i++) {
        out->function[i] = all[i].name;
        if (strcmp(all[i].name, chosen) == 0)
            out->summary.function = i;
    }
    out->summary.functions = count;
    return RML_OK;
}

static rml_status list_opset(rml_graph_file *out, rml_coreml *file, const char *chosen,
                             rml_error *err)
{
    rml_mil_named named;
    rml_mil_function function;
    RML_TRY(rml_graph_file_array(out, 1, sizeof *out->opset, &out->opset, err));
    if (file->model.type != RML_COREML_PROGRAM)
        return RML_OK;
    RML_TRY(rml_mil_choose(file, &file->model, chosen, &named, err));
    RML_TRY(rml_mil_read(file, &named, &function, err));
    out->opset[0] = (rml_graph_opset){"CoreML", function.opset};
    out->summary.opsets = 1;
    return RML_OK;
}

static void release(void *user)
{
    rml_coreml *file = user;
    rml_coreml_close(&file);
}

static rml_status describe(rml_graph_file *out, rml_coreml *file, const char *wanted,
                           rml_error *err)
{
    const rml_coreml_model *model = &file->model;
    const rml_coreml_ports *ports;
    const char *function;
    RML_TRY(rml_coreml_ports_of(file, wanted, &ports, &function, err));
    out->summary = (rml_graph_summary){.format = "coreml",
                                       .format_version = model->version,
                                       .producer = "",
                                       .producer_version = "",
                                       .inputs = ports->input_count,
                                       .outputs = ports->output_count,
                                       .states = ports->state_count};
    RML_TRY(list_ports(out, ports->input, ports->input_count, &out->input, err));
    RML_TRY(list_ports(out, ports->output, ports->output_count, &out->output, err));
    RML_TRY(list_ports(out, ports->state, ports->state_count, &out->state, err));
    RML_TRY(list_functions(out, file, function, err));
    RML_TRY(list_opset(out, file, function, err));
    RML_TRY(list_operators(out, file, function, err));
    RML_TRY(list_notes(out, model, err));
    return count_constants(out, function, err);
}

rml_status rml_coreml_describe(rml_graph_file *out, const char *path, rml_mapfile *map,
                               const char *function, rml_error *err)
{
    rml_coreml *file;
    RML_TRY(rml_coreml_open_map(&file, path, map, out->allocator, err));
    out->file = file;
    out->release = release;
    return rml_named(describe(out, file, function, err), err, path);
}
