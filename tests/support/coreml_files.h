// Core ML models of the fuzz targets' corpus, and damage done to their fields: the bytes around
// them stay a message, so that what is behind the reader of messages is met.
#ifndef RML_TESTS_SUPPORT_COREML_FILES_H
#define RML_TESTS_SUPPORT_COREML_FILES_H

#include "tests/support/mutations.h"
#include "tests/support/protobuf_files.h"

static inline blob read_model(const char *name)
{
    char path[512];
    uint8_t bytes[4096];
    blob model = {NULL, 0, 0};
    snprintf(path, sizeof path, "tests/fuzz/corpus/coreml/%s", name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("%s: cannot open\n", path);
        exit(1);
    }
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        put(&model, bytes, got);
    fclose(file);
    return model;
}

// ---- fields -------------------------------------------------------------------------------------

typedef enum field_damage { FIELD_LEFT_OUT, FIELD_TWICE, FIELD_EMPTY, FIELD_DAMAGES } field_damage;

// Which field of a message, counted with those inside others, and what becomes of it.
typedef struct field_change {
    size_t wanted, seen;
    field_damage damage;
} field_change;

static inline bool pb_take_varint(const uint8_t *data, size_t size, size_t *at, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && *at < size; shift += 7) {
        const uint8_t byte = data[(*at)++];
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

// The field at *at, behind which *at is then: its key, and where its contents begin.
static inline bool pb_take_field(const uint8_t *data, size_t size, size_t *at, uint64_t *key,
                                 size_t *contents)
{
    uint64_t bytes;
    if (!pb_take_varint(data, size, at, key) || *key >> 3 == 0)
        return false;
    *contents = *at;
    switch (*key & 7) {
    case 0:
        return pb_take_varint(data, size, at, &bytes);
    case 1:
        bytes = 8;
        break;
    case 2:
        if (!pb_take_varint(data, size, at, &bytes))
            return false;
        *contents = *at;
        break;
    case 5:
        bytes = 4;
        break;
    default:
        return false;
    }
    if (bytes > size - *at)
        return false;
    *at += (size_t)bytes;
    return true;
}

static inline bool pb_is_message(const uint8_t *data, size_t size)
{
    uint64_t key;
    size_t at = 0, contents;
    while (at < size)
        if (!pb_take_field(data, size, &at, &key, &contents))
            return false;
    return size > 0;
}

// The message with the change, in `out`; lengths around it are made right.
static inline void pb_copy_changed(blob *out, const uint8_t *data, size_t size, field_change *c)
{
    uint64_t key;
    size_t at = 0, contents, begin;
    while (begin = at, at < size && pb_take_field(data, size, &at, &key, &contents)) {
        const bool changes = c->seen++ == c->wanted;
        const bool is_inside = (key & 7) == 2 && pb_is_message(data + contents, at - contents);
        if (changes && c->damage == FIELD_LEFT_OUT)
            continue;
        if (changes && c->damage == FIELD_EMPTY && (key & 7) == 2) {
            pb_bytes(out, (uint32_t)(key >> 3), "", 0);
        } else if (is_inside && !changes) {
            blob inside = {NULL, 0, 0};
            pb_copy_changed(&inside, data + contents, at - contents, c);
            pb_message(out, (uint32_t)(key >> 3), inside);
        } else {
            for (int k = 0; k <= (changes && c->damage == FIELD_TWICE); k++)
                put(out, data + begin, at - begin);
        }
    }
}

// Leaves out, doubles or empties one field, at any depth.
static inline void mutate_field(blob *message)
{
    field_change count = {SIZE_MAX, 0, FIELD_LEFT_OUT};
    blob copy = {NULL, 0, 0};
    if (!pb_is_message(message->data, message->size))
        return;
    pb_copy_changed(&copy, message->data, message->size, &count);
    copy.size = 0;
    field_change change = {next_random() % count.seen, 0,
                           (field_damage)(next_random() % FIELD_DAMAGES)};
    pb_copy_changed(&copy, message->data, message->size, &change);
    blob_free(message);
    *message = copy;
}

#endif
