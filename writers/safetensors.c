// The weights of a network as safetensors: 8 bytes of header length, a JSON header, the bytes.
#include "tensor/dtype.h"
#include "tensor/names.h"
#include "tensor/outfile.h"
#include "writers/elements.h"
#include "writers/writing.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HEADER_ALIGNMENT 8

typedef struct rml_header {
    const rml_allocator *allocator;
    char *text;
    size_t used, capacity;
    rml_status status;
    rml_error *err;
} rml_header;

static void add(rml_header *h, const char *text, size_t bytes)
{
    if (h->status == RML_OK)
        h->status = rml_reserve(h->allocator, &h->text, &h->capacity, h->used + bytes + 1, 1,
                                "the header of a file", h->err);
    if (h->status == RML_OK)
        memcpy(h->text + h->used, text, bytes);
    h->used += bytes;
}

static void add_quoted(rml_header *h, const char *text)
{
    add(h, "\"", 1);
    for (; *text; text++) {
        char code[8];
        if ((unsigned char)*text < 0x20)
            add(h, code, (size_t)snprintf(code, sizeof code, "\\u%04x", (unsigned)*text));
        else if (*text == '"' || *text == '\\')
            add(h, (const char[]){'\\', *text}, 2);
        else
            add(h, text, 1);
    }
    add(h, "\"", 1);
}

// Trained numbers; sizes and indices that a graph file has among its constants are none.
static bool is_weight(const rml_value *value)
{
    return value->kind == RML_VALUE_CONSTANT && value->dtype == RML_F32 &&
           !value->constant->computed;
}

// Of a weight that builders reshape there is a second value of its name and elements, which is not
// written.
rml_status rml_name_weights(const rml_graph *graph, rml_arena *arena, const char ***names,
                            rml_error *err)
{
    rml_names seen;
    rml_naming naming;
    rml_status status = RML_OK;
    *names = rml_arena_alloc(arena, graph->value_count + 1, sizeof **names);
    if (!*names)
        return rml_fail_nomem(err, graph->value_count * sizeof **names, "names");
    rml_names_init(&seen, arena->allocator);
    rml_naming_init(&naming, arena, false);
    for (size_t i = 0; i < graph->value_count && status == RML_OK; i++) {
        const rml_value *value = &graph->values[i];
        size_t first = i;
        if (!is_weight(value))
            continue;
        status = rml_names_add(&seen, value->name, strlen(value->name), i, &first, err);
        const bool same = first != i && graph->values[first].constant->stored.data ==
                                            value->constant->stored.data;
        if (status == RML_OK && !same)
            status = rml_name_take(&naming, value->name, &(*names)[i], err);
    }
    rml_naming_release(&naming);
    rml_names_release(&seen);
    return status;
}

// What a weight is stored as.
static rml_dtype type_of(const rml_writing *w, const rml_value *value)
{
    const rml_constant *constant = value->constant;
    const bool halves = constant->stored.dtype == RML_F16 || constant->stored.dtype == RML_BF16;
    if (w->settings.weights == RML_WRITE_F16)
        return RML_F16;
    return halves && !constant->scale ? constant->stored.dtype : RML_F32;
}

static void add_entry(rml_header *h, const char *name, const rml_value *value, rml_dtype dtype,
                      uint64_t *at)
{
    char text[64], type[16];
    size_t count = 0, length = 0;
    for (const char *own = rml_dtype_name(dtype); own[length]; length++)
        type[length] = (char)toupper((unsigned char)own[length]);
    type[length] = 0;
    if (h->used > 1)
        add(h, ",", 1);
    add_quoted(h, name);
    add(h, text, (size_t)snprintf(text, sizeof text, ":{\"dtype\":\"%s\",\"shape\":[", type));
    for (int i = 0; i < value->shape.rank; i++)
        add(h, text,
            (size_t)snprintf(text, sizeof text, "%s%lld", i ? "," : "",
                             (long long)value->shape.dim[i]));
    rml_shape_count(&value->shape, &count);
    const uint64_t end = *at + count * rml_dtype_size(dtype);
    add(h, text,
        (size_t)snprintf(text, sizeof text, "],\"data_offsets\":[%llu,%llu]}",
                         (unsigned long long)*at, (unsigned long long)end));
    *at = end;
}

static rml_status make_header(const rml_writing *w, const char *const *names, rml_header *h)
{
    const rml_graph *graph = &w->model->graph;
    uint64_t at = 0;
    add(h, "{", 1);
    for (size_t i = 0; i < graph->value_count; i++)
        if (names[i])
            add_entry(h, names[i], &graph->values[i], type_of(w, &graph->values[i]), &at);
    add(h, "}", 1);
    while (h->used % HEADER_ALIGNMENT)
        add(h, " ", 1);
    return h->status;
}

static rml_status write_all(const rml_writing *w, const char *const *names, const rml_header *h,
                            rml_outfile *file, rml_error *err)
{
    const rml_graph *graph = &w->model->graph;
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)h->used >> 8 * i);
    rml_outfile_write(file, length, sizeof length);
    rml_outfile_write(file, h->text, h->used);
    for (size_t i = 0; i < graph->value_count; i++) {
        const rml_value *value = &graph->values[i];
        rml_elements elements;
        if (!names[i])
            continue;
        RML_TRY(rml_elements_take(&elements, value, type_of(w, value), w->allocator, err));
        rml_outfile_write(file, elements.data, elements.bytes);
        rml_elements_release(&elements);
    }
    return RML_OK;
}

rml_status rml_write_safetensors(rml_writing *w, rml_error *err)
{
    rml_header header = {.allocator = w->allocator, .err = err};
    rml_outfile file;
    const char **names;
    if (w->settings.weights > RML_WRITE_F16)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "weights of fewer bits have no form here");
    RML_TRY(rml_name_weights(&w->model->graph, &w->graph.arena, &names, err));
    rml_status status = make_header(w, names, &header);
    if (status == RML_OK)
        status = rml_outfile_open(&file, w->path, w->allocator, err);
    if (status == RML_OK)
        status = rml_outfile_finish(&file, write_all(w, names, &header, &file, err), err);
    rml_free(w->allocator, header.text);
    return status;
}
