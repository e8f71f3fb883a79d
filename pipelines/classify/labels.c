#include "pipelines/classify/labels.h"

#include "loaders/formats/json.h"
#include "tensor/names.h"
#include "tensor/mapfile.h"
#include "tensor/arena.h"

#include <string.h>
#include <math.h>
#include <stdbool.h>

static rml_status set(rml_labels *labels, size_t index, const char *text, size_t bytes,
                      rml_error *err)
{
    if (index >= RML_LABELS_MAX)
        return rml_fail(err, RML_ERR_LIMIT, "class %zu is beyond the limit of %d", index,
                        RML_LABELS_MAX);
    RML_TRY(rml_reserve(labels->arena->allocator, &labels->names, &labels->capacity, index + 1,
                        sizeof *labels->names, "a list of labels", err));
    const char **names = labels->names;
    for (; labels->count <= (int)index; labels->count++)
        names[labels->count] = NULL;
    if (names[index])
        return rml_fail(err, RML_ERR_FORMAT, "class %zu is named twice", index);
    char clean[RML_LABEL_BYTES];
    names[index] = rml_arena_text(labels->arena, rml_text_clean(clean, sizeof clean, text, bytes));
    return names[index] ? RML_OK : rml_fail_nomem(err, sizeof clean, "a label");
}

// ---- a text -----------------------------------------------------------------------------------

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

// Empty lines count, but not those at the end.
static rml_status read_lines(rml_labels *labels, const char *text, size_t bytes, rml_error *err)
{
    while (bytes && (is_blank(text[bytes - 1]) || text[bytes - 1] == '\n'))
        bytes--;
    const char *const end = text + bytes;
    for (size_t index = 0; text < end; index++) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        const char *next = line_end ? line_end + 1 : end;
        const char *stop = line_end ? line_end : end;
        while (stop > text && is_blank(stop[-1]))
            stop--;
        while (text < stop && is_blank(*text))
            text++;
        RML_TRY(set(labels, index, text, (size_t)(stop - text), err));
        text = next;
    }
    return RML_OK;
}

// ---- JSON -------------------------------------------------------------------------------------

// A class of Keras' file is its WordNet number and its name; elsewhere it is the name.
static rml_status read_name(rml_labels *labels, rml_json *json, size_t index, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_next(json, &token, err));
    const bool pair = token.type == RML_JSON_ARRAY_BEGIN;
    if (pair) {
        RML_TRY(rml_json_expect(json, RML_JSON_TEXT, "a WordNet number", &token, err));
        RML_TRY(rml_json_expect(json, RML_JSON_TEXT, "a name", &token, err));
    } else if (token.type != RML_JSON_TEXT) {
        return rml_fail(err, RML_ERR_FORMAT, "class %zu has no name at byte %zu", index, token.at);
    }
    RML_TRY(set(labels, index, token.text, token.text_bytes, err));
    return pair ? rml_json_expect(json, RML_JSON_ARRAY_END, "\"]\"", &token, err) : RML_OK;
}

// A whole number without sign; RML_LABELS_MAX where it is another text.
static size_t parse_index(const char *text)
{
    size_t value = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || value >= RML_LABELS_MAX)
            return RML_LABELS_MAX;
        value = value * 10 + (size_t)(*c - '0');
    }
    return *text && value < RML_LABELS_MAX ? value : RML_LABELS_MAX;
}

static rml_status read_object(rml_labels *labels, rml_json *json, rml_error *err)
{
    rml_json_token token;
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        const size_t index = parse_index(token.text);
        char quoted[RML_QUOTE_BYTES];
        if (index == RML_LABELS_MAX)
            return rml_fail(err, RML_ERR_FORMAT, "\"%s\" at byte %zu is not a class from 0 to %d",
                            rml_quote(quoted, token.text, token.text_bytes), token.at,
                            RML_LABELS_MAX - 1);
        RML_TRY(read_name(labels, json, index, err));
    }
}

static rml_status read_array(rml_labels *labels, rml_json *json, rml_error *err)
{
    rml_json_token token;
    for (size_t index = 0;; index++) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_ARRAY_END)
            return RML_OK;
        if (token.type != RML_JSON_TEXT)
            return rml_fail(err, RML_ERR_FORMAT, "class %zu has no name at byte %zu", index,
                            token.at);
        RML_TRY(set(labels, index, token.text, token.text_bytes, err));
    }
}

static rml_status read_json(rml_labels *labels, const void *data, size_t size, rml_error *err)
{
    rml_json json;
    rml_json_token token;
    rml_json_begin(&json, data, size, labels->arena->allocator);
    rml_status status = rml_json_next(&json, &token, err);
    if (status == RML_OK)
        status = token.type == RML_JSON_OBJECT_BEGIN ? read_object(labels, &json, err)
                                                     : read_array(labels, &json, err);
    if (status == RML_OK)
        status = rml_json_expect(&json, RML_JSON_END, "the end", &token, err);
    rml_json_release(&json);
    return status;
}

// ---- the file ---------------------------------------------------------------------------------

static rml_status read_any(rml_labels *labels, const char *text, size_t bytes, rml_error *err)
{
    if (bytes > RML_LABELS_MAX_FILE_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%zu bytes are more than the %zu of a file of labels",
                        bytes, RML_LABELS_MAX_FILE_BYTES);
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    size_t first = 0;
    while (first < bytes && (is_blank(text[first]) || text[first] == '\n'))
        first++;
    if (first < bytes && (text[first] == '{' || text[first] == '['))
        return read_json(labels, text, bytes, err);
    return read_lines(labels, text, bytes, err);
}

rml_status rml_labels_parse(rml_labels *out, const void *data, size_t size,
                            const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_labels){0};
    out->arena = rml_arena_create(allocator);
    if (!out->arena)
        return rml_fail_nomem(err, sizeof *out->arena, "labels");
    const rml_status status = read_any(out, data, size, err);
    if (status != RML_OK)
        rml_labels_release(out);
    return status;
}

rml_status rml_labels_load(rml_labels *out, const char *path, const rml_allocator *allocator,
                           rml_error *err)
{
    rml_mapfile file;
    *out = (rml_labels){0};
    RML_TRY(rml_mapfile_open(&file, path, err));
    const rml_status status = rml_labels_parse(out, file.data, file.size, allocator, err);
    rml_mapfile_close(&file);
    return rml_named(status, err, path);
}

rml_status rml_labels_check(const rml_labels *labels, const char *path, int classes, rml_error *err)
{
    if (labels->count == classes)
        return RML_OK;
    return rml_fail(err, RML_ERR_SHAPE, "%s: names %d classes, and the network has %d", path,
                    labels->count, classes);
}

const char *rml_labels_name(const rml_labels *labels, int index)
{
    const char *name = index >= 0 && index < labels->count ? labels->names[index] : NULL;
    return name && *name ? name : NULL;
}

void rml_labels_release(rml_labels *labels)
{
    if (labels->arena)
        rml_free(labels->arena->allocator, labels->names);
    rml_arena_destroy(&labels->arena);
    *labels = (rml_labels){0};
}

// ---- answers ---------------------------------------------------------------------------------

void rml_softmax(float *values, int count)
{
    float largest = -INFINITY;
    bool finite = true;
    double sum = 0;
    for (int i = 0; i < count; i++) {
        finite = finite && isfinite(values[i]);
        largest = fmaxf(largest, values[i]);
    }
    for (int i = 0; i < count; i++)
        sum += exp((double)values[i] - (double)largest);
    for (int i = 0; i < count; i++)
        values[i] = finite ? (float)(exp((double)values[i] - (double)largest) / sum) : NAN;
}

static bool larger(float a, float b)
{
    return a > b || (isnan(b) && !isnan(a));
}

int rml_top_classes(const float *values, int count, rml_top_class *top, int most)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        int at = found < most ? found++ : most - 1;
        if (at == most - 1 && i >= most && !larger(values[i], top[at].probability))
            continue;
        for (; at > 0 && larger(values[i], top[at - 1].probability); at--)
            top[at] = top[at - 1];
        top[at] = (rml_top_class){i, values[i]};
    }
    return found;
}
