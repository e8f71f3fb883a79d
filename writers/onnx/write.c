// ONNX files: the message of the model, and a file of data beside it where that is too large.
#include "writers/onnx/write.h"

#include "writers/onnx/emit.h"

#include <stdio.h>
#include <string.h>

#define OLDEST 13
#define NEWEST 21
#define USUAL 17
#define INLINE_BYTES 1024 // tensors of fewer stay in the model

// What protobuf's libraries read at most, less what the nodes may take.
#define MOST_BYTES (RML_FIELDS_MAX_BYTES / 16 * 15)

// ---- the target ---------------------------------------------------------------------------------

typedef struct onnx_target {
    int opset;
    char name[32];
    char *why; // [WHY_BYTES]
} onnx_target;

#define WHY_BYTES 96

static void name_target(onnx_target *target)
{
    snprintf(target->name, sizeof target->name, "ONNX of opset %d", target->opset);
}

static const char *lacks(const void *user, const rml_graph *graph, const rml_node *node)
{
    const onnx_target *target = user;
    const rml_to_onnx_ask ask = {target->opset, graph, node};
    return rml_to_onnx_lacks(&ask, target->why, WHY_BYTES);
}

// ---- the model ----------------------------------------------------------------------------------

static int ir_version(int opset)
{
    return opset < 15 ? 7 : opset < 19 ? 8 : opset < 21 ? 9 : 10;
}

static void write_about(rml_fields *m, const rml_write_settings *settings)
{
    const char *const about[][2] = {{"author", settings->author},
                                    {"license", settings->license},
                                    {"version", settings->version},
                                    {"source", settings->source}};
    if (settings->description && *settings->description)
        rml_fields_text(m, MODEL_DOC_STRING, settings->description);
    for (size_t i = 0; i < sizeof about / sizeof *about; i++) {
        if (!about[i][1] || !*about[i][1])
            continue;
        rml_fields_begin(m, MODEL_METADATA_PROPS);
        rml_fields_text(m, ENTRY_KEY, about[i][0]);
        rml_fields_text(m, ENTRY_VALUE, about[i][1]);
        rml_fields_end(m);
    }
}

static void write_model(rml_to_onnx *w, rml_graph *graph)
{
    char version[32];
    rml_fields_int(&w->m, MODEL_IR_VERSION, ir_version(w->opset));
    rml_fields_text(&w->m, MODEL_PRODUCER_NAME, "run-model");
    snprintf(version, sizeof version, "%d.%d.%d", RML_VERSION_MAJOR, RML_VERSION_MINOR,
             RML_VERSION_PATCH);
    rml_fields_text(&w->m, MODEL_PRODUCER_VERSION, version);
    rml_fields_begin(&w->m, MODEL_GRAPH);
    rml_to_onnx_graph(w, graph);
    rml_fields_end(&w->m);
    rml_fields_begin(&w->m, MODEL_OPSET_IMPORT);
    rml_fields_text(&w->m, OPSET_DOMAIN, "");
    rml_fields_int(&w->m, OPSET_VERSION, w->opset);
    rml_fields_end(&w->m);
    write_about(&w->m, &w->w->settings);
}

// ---- files --------------------------------------------------------------------------------------

static rml_status write_data(const rml_to_onnx *w, const char *path, rml_error *err)
{
    rml_outfile file;
    RML_TRY(rml_outfile_open(&file, path, w->w->allocator, err));
    for (const rml_to_onnx_constant *c = w->first; c; c = c->next) {
        if (!c->outside)
            continue;
        rml_outfile_zeros(&file, (size_t)(c->at - file.bytes));
        rml_outfile_write(&file, c->elements.data, c->elements.bytes);
    }
    return rml_outfile_finish(&file, RML_OK, err);
}

static rml_status write_files(const rml_to_onnx *w, const char *data_path, rml_error *err)
{
    rml_outfile file;
    if (w->m.status != RML_OK)
        return rml_fail(err, w->m.status, "%s", w->m.error.message);
    if (w->outside_bytes)
        RML_TRY(write_data(w, data_path, err));
    rml_status status = rml_outfile_open(&file, w->w->path, w->w->allocator, err);
    if (status == RML_OK)
        status = rml_outfile_finish(&file, rml_fields_write(&w->m, &file, err), err);
    if (status != RML_OK && w->outside_bytes)
        remove(data_path);
    return status;
}

static uint64_t bytes_of_constants(const rml_graph *graph)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < graph->value_count; i++) {
        const rml_value *value = &graph->values[i];
        size_t count;
        if (value->kind == RML_VALUE_CONSTANT && rml_shape_count(&value->shape, &count))
            bytes += (uint64_t)count * rml_dtype_size(value->dtype);
    }
    return bytes;
}

static rml_status write_lowered(rml_writing *writing, rml_graph *graph, int opset,
                                uint64_t most_bytes, rml_error *err)
{
    rml_to_onnx w = {.w = writing, .opset = opset};
    const char *base = strrchr(writing->path, '/');
    const size_t room = strlen(writing->path) + sizeof ".data";
    char *data_path = rml_arena_alloc(&writing->graph.arena, room, 1);
    if (!data_path)
        return rml_fail_nomem(err, room, "a path");
    snprintf(data_path, room, "%s.data", writing->path);
    w.last = &w.first;
    w.data_name = data_path + (base ? base + 1 - writing->path : 0);
    w.outside = bytes_of_constants(graph) > most_bytes ? INLINE_BYTES : 0;
    rml_fields_init(&w.m, writing->allocator);
    rml_naming_init(&w.naming, &writing->graph.arena, false);
    rml_naming_init(&w.node_naming, &writing->graph.arena, false);
    write_model(&w, graph);
    const rml_status status = write_files(&w, data_path, err);
    for (rml_to_onnx_constant *c = w.first; c; c = c->next)
        rml_elements_release(&c->elements);
    rml_naming_release(&w.naming);
    rml_naming_release(&w.node_naming);
    rml_fields_release(&w.m);
    return status;
}

rml_status rml_write_onnx_beyond(rml_writing *w, uint64_t most_bytes, rml_error *err)
{
    char why[WHY_BYTES];
    onnx_target about = {.opset = w->settings.opset ? w->settings.opset : USUAL, .why = why};
    rml_graph lowered;
    if (about.opset < OLDEST || about.opset > NEWEST)
        return rml_fail(err, RML_ERR_ARG, "opset %d: those from %d to %d can be written",
                        about.opset, OLDEST, NEWEST);
    if (w->settings.weights == RML_WRITE_PALETTE)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "an ONNX file has no weights that are places in a table; it can have "
                        "integers of 8 bits");
    name_target(&about);
    char why_later[WHY_BYTES];
    onnx_target newest = {.opset = NEWEST, .why = why_later};
    name_target(&newest);
    const rml_target later = {.name = newest.name, .lacks = lacks, .user = &newest};
    const rml_target target = {.name = about.name,
                               .lacks = lacks,
                               .user = &about,
                               .later = about.opset < NEWEST ? &later : NULL};
    RML_TRY(rml_writing_specialise(w, err));
    rml_graph_init(&lowered, w->allocator);
    rml_status status = rml_lower(&w->graph, &lowered, &target, err);
    if (status == RML_OK)
        status = write_lowered(w, &lowered, about.opset, most_bytes, err);
    rml_graph_release(&lowered);
    return status;
}

rml_status rml_write_onnx(rml_writing *w, rml_error *err)
{
    return rml_write_onnx_beyond(w, MOST_BYTES, err);
}
