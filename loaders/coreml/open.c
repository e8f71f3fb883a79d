// Opens a Core ML model: the message Model, without its network.
#include "loaders/coreml/reader.h"

#include <string.h>

// Numbers of Model's fields.
enum {
    VERSION = 1,
    DESCRIPTION = 2,
    FIRST_TYPE = 200,
    LAST_TYPE = 3000,
};

static const struct {
    int number;
    const char *name;
} types[] = {
    {300, "a generalised linear regressor"},
    {301, "a support vector regressor"},
    {302, "a tree ensemble regressor"},
    {304, "a Bayesian probit regressor"},
    {400, "a generalised linear classifier"},
    {401, "a support vector classifier"},
    {402, "a tree ensemble classifier"},
    {404, "a nearest neighbours classifier"},
    {501, "an item similarity recommender"},
    {555, "a custom model, whose code is in the app and not in the file"},
    {556, "a linked model, whose network lies in another file, compiled"},
    {560, "a class confidence thresholding model"},
    {600, "a one-hot encoder"},
    {601, "an imputer"},
    {602, "a feature vectorizer"},
    {603, "a dictionary vectorizer"},
    {604, "a scaler"},
    {606, "a categorical mapping"},
    {607, "a normalizer"},
    {609, "an array feature extractor"},
    {900, "an identity"},
    {2000, "a text classifier, whose network is part of Apple's operating system"},
    {2001, "a word tagger, whose network is part of Apple's operating system"},
    {2002, "a vision feature print, whose weights are part of Apple's operating system"},
    {2003, "a sound analysis, whose network is part of Apple's operating system"},
    {2004, "a gazetteer, which is read by Apple's operating system"},
    {2005, "a word embedding, which is read by Apple's operating system"},
    {2006, "an audio feature print, whose weights are part of Apple's operating system"},
    {3000, "a serialized model, which is read by Apple's operating system"},
};

rml_status rml_coreml_check_kind(int type, rml_error *err)
{
    switch (type) {
    case 0:
        return rml_fail(err, RML_ERR_FORMAT, "a Core ML file that holds no model");
    case RML_COREML_PIPELINE_CLASSIFIER:
    case RML_COREML_PIPELINE_REGRESSOR:
    case RML_COREML_PIPELINE:
    case RML_COREML_NETWORK_REGRESSOR:
    case RML_COREML_NETWORK_CLASSIFIER:
    case RML_COREML_NETWORK:
    case RML_COREML_PROGRAM:
    case RML_COREML_NMS:
        return RML_OK;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].number == type)
            return rml_fail(err, RML_ERR_UNSUPPORTED, "a Core ML model that is %s: not supported",
                            types[i].name);
    return rml_fail(err, RML_ERR_UNSUPPORTED, "a Core ML model of kind %d is not known", type);
}

// ---- the message --------------------------------------------------------------------------------

static rml_status read_notes(const rml_message_reader *reader, const rml_protobuf *message,
                             rml_coreml_model *out)
{
    enum { USER_DEFINED = 100 };
    rml_protobuf rest = *message, inside;
    bool more = true;
    rml_coreml_note *note = NULL;
    const rml_message_want wants[] = {{1, RML_WANT_NAME, "a description", &out->about},
                                      {2, RML_WANT_NAME, "a version", &out->own_version},
                                      {3, RML_WANT_NAME, "an author", &out->author},
                                      {4, RML_WANT_NAME, "a license", &out->license},
                                      {0}};
    RML_TRY(rml_message_read(reader, message, wants));
    RML_TRY(rml_message_count(message, USER_DEFINED, &out->note_count, reader->err));
    RML_TRY(rml_message_array(reader, out->note_count, sizeof *note, &note));
    out->note = note;
    for (size_t i = 0; i < out->note_count; i++) {
        const rml_message_want pair[] = {{1, RML_WANT_TEXT, "a metadata key", &note[i].key},
                                         {2, RML_WANT_TEXT, "a metadata value", &note[i].value},
                                         {0}};
        note[i] = (rml_coreml_note){{"", 0}, {"", 0}};
        RML_TRY(rml_message_inside(&rest, USER_DEFINED, "metadata", &inside, &more, reader->err));
        RML_TRY(rml_message_read(reader, &inside, pair));
    }
    return RML_OK;
}

static rml_status read_description(const rml_message_reader *reader, const rml_protobuf *message,
                                   rml_coreml_model *out)
{
    enum { FUNCTIONS = 20 };
    rml_protobuf rest = *message, inside, notes = {0};
    bool more = true;
    const rml_message_want wants[] = {
        {21, RML_WANT_NAME, "the default function", &out->default_function},
        {100, RML_WANT_MESSAGE, "metadata", &notes},
        {0},
    };
    RML_TRY(rml_message_read(reader, message, wants));
    RML_TRY(rml_coreml_read_ports(reader, message, false, &out->ports));
    RML_TRY(rml_message_count(message, FUNCTIONS, &out->function_count, reader->err));
    if (out->function_count > RML_COREML_MAX_FEATURES)
        return rml_fail(reader->err, RML_ERR_LIMIT, "%zu functions, the limit is %d",
                        out->function_count, RML_COREML_MAX_FEATURES);
    RML_TRY(rml_message_array(reader, out->function_count, sizeof *out->function, &out->function));
    for (size_t i = 0; i < out->function_count; i++) {
        RML_TRY(rml_message_inside(&rest, FUNCTIONS, "a function", &inside, &more, reader->err));
        RML_TRY(rml_coreml_read_ports(reader, &inside, true, &out->function[i]));
    }
    return notes.data ? read_notes(reader, &notes, out) : RML_OK;
}

rml_status rml_coreml_read_model(rml_coreml *file, const rml_protobuf *message,
                                 rml_coreml_model *out, rml_error *err)
{
    const rml_message_reader reader = rml_coreml_messages(file, err);
    rml_protobuf rest = *message, description = {0};
    rml_protobuf_field field;
    bool more = true;
    *out = (rml_coreml_model){.default_function = "",
                              .about = "",
                              .author = "",
                              .license = "",
                              .own_version = "",
                              .ports = {.function = "", .predicted = "", .probabilities = ""}};
    for (;;) {
        RML_TRY(rml_protobuf_next(&rest, &field, &more, err));
        if (!more)
            break;
        if (field.number == VERSION) {
            RML_TRY(rml_protobuf_expect(&field, RML_PROTOBUF_VARINT, "the version", err));
            out->version = (int64_t)field.value;
        } else if (field.number == DESCRIPTION) {
            RML_TRY(rml_protobuf_enter(&rest, &field, "the description", &description, err));
        } else if (field.number >= FIRST_TYPE && field.number <= LAST_TYPE) {
            out->type = (int)field.number;
            RML_TRY(rml_protobuf_enter(&rest, &field, "the model", &out->body, err));
        }
    }
    if (out->version < 1 || out->version > RML_COREML_MAX_VERSION)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "Core ML specification version %lld is not known, 1 to %d are",
                        (long long)out->version, RML_COREML_MAX_VERSION);
    RML_TRY(rml_coreml_check_kind(out->type, err));
    return description.data ? read_description(&reader, &description, out) : RML_OK;
}

bool rml_coreml_is_model(const uint8_t *data, size_t size)
{
    rml_protobuf message;
    rml_protobuf_field field;
    bool more = true, has_type = false, has_version = false;
    rml_protobuf_begin(&message, data, size);
    if (rml_coreml_is_archive(data, size))
        return true;
    // In any order, beside fields of specifications to come; ONNX has none of these numbers.
    while (rml_protobuf_next(&message, &field, &more, NULL) == RML_OK && more) {
        has_type = has_type || (field.number >= FIRST_TYPE && field.number <= LAST_TYPE &&
                                field.wire == RML_PROTOBUF_BYTES);
        has_version = has_version || (field.number == VERSION && field.wire == RML_PROTOBUF_VARINT);
    }
    // Cut short: writers begin with the version, and a description with an input, where ONNX has
    // its producer's name.
    return (has_type && has_version) ||
           (more && size > 4 && data[0] == 0x08 && data[2] == 0x12 && data[4] == 0x0A);
}

// ---- files --------------------------------------------------------------------------------------

static rml_status create(rml_coreml **out, const rml_allocator *allocator, rml_error *err)
{
    if (!allocator)
        allocator = rml_allocator_default();
    rml_coreml *file = rml_alloc_zero(allocator, 1, sizeof *file);
    if (!file)
        return rml_fail_nomem(err, sizeof *file, "a Core ML model");
    file->own_allocator = *allocator;
    file->allocator = &file->own_allocator;
    rml_arena_init(&file->arena, file->allocator);
    rml_names_init(&file->blobs, file->allocator);
    *out = file;
    return RML_OK;
}

static rml_status find_message(rml_coreml *file, rml_error *err)
{
    file->message = file->map;
    return rml_coreml_is_archive(file->map.data, file->map.size)
               ? rml_coreml_open_archive(file, err)
               : RML_OK;
}

static rml_status read_all(rml_coreml *file, rml_error *err)
{
    rml_protobuf message;
    rml_protobuf_begin(&message, file->message.data, file->message.size);
    return rml_coreml_read_model(file, &message, &file->model, err);
}

rml_status rml_coreml_open_memory(rml_coreml **out, const void *data, size_t size,
                                  const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    RML_TRY(create(out, allocator, err));
    (*out)->map = (rml_mapfile){data, size};
    (*out)->is_memory = true;
    rml_status status = find_message(*out, err);
    if (status == RML_OK)
        status = read_all(*out, err);
    if (status != RML_OK)
        rml_coreml_close(out);
    return status;
}

rml_status rml_coreml_map(rml_coreml **out, const char *path, rml_mapfile *map,
                          const rml_allocator *allocator, rml_error *err)
{
    rml_coreml *file = NULL;
    char *found = NULL;
    *out = NULL;
    rml_status status = create(&file, allocator, err);
    if (status != RML_OK) {
        rml_mapfile_close(map);
        return status;
    }
    file->map = *map;
    *map = (rml_mapfile){NULL, 0};
    status = rml_coreml_find_model(path, file->allocator, &found, err);
    if (status == RML_OK && !file->map.data)
        status = rml_mapfile_open(&file->map, found, err);
    if (status == RML_OK && !rml_coreml_is_archive(file->map.data, file->map.size)) {
        file->path = found;
        found = NULL;
    }
    rml_free(file->allocator, found);
    if (status == RML_OK)
        status = rml_named(find_message(file, err), err, path);
    if (status != RML_OK)
        rml_coreml_close(&file);
    *out = file;
    return status;
}

rml_status rml_coreml_open_map(rml_coreml **out, const char *path, rml_mapfile *map,
                               const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_coreml_map(out, path, map, allocator, err));
    const rml_status status = rml_named(read_all(*out, err), err, path);
    if (status != RML_OK)
        rml_coreml_close(out);
    return status;
}

rml_status rml_coreml_open_again(rml_coreml **out, rml_coreml *from, rml_error *err)
{
    *out = NULL;
    RML_TRY(create(out, from->allocator, err));
    rml_coreml *file = *out;
    file->map = from->map;
    file->is_memory = true;
    file->first = from->first ? from->first : from;
    const bool has_path = from->path && !from->zip.data; // that in an archive is found anew
    file->path = has_path ? rml_alloc_text(file->allocator, from->path) : NULL;
    rml_status status = has_path && !file->path ? rml_fail_nomem(err, strlen(from->path), "a path")
                                                : find_message(file, err);
    if (status == RML_OK)
        status = read_all(file, err);
    if (status != RML_OK)
        rml_coreml_close(out);
    return status;
}

rml_status rml_coreml_open(rml_coreml **out, const char *path, const rml_allocator *allocator,
                           rml_error *err)
{
    rml_mapfile none = {NULL, 0};
    return rml_coreml_open_map(out, path, &none, allocator, err);
}

void rml_coreml_close(rml_coreml **file_at)
{
    rml_coreml *file = *file_at;
    *file_at = NULL;
    if (!file)
        return;
    for (size_t i = 0; i < file->blob_count && !file->zip.data; i++)
        rml_mapfile_close(&file->blob_file[i]);
    if (file->zip.data)
        rml_zip_release(&file->zip);
    if (!file->is_memory)
        rml_mapfile_close(&file->map);
    rml_free(file->allocator, file->blob_file);
    rml_free(file->allocator, file->range);
    rml_free(file->allocator, file->path);
    rml_names_release(&file->blobs);
    rml_arena_release(&file->arena);
    rml_allocator allocator = file->own_allocator;
    rml_free(&allocator, file);
}

void rml_coreml_drop_pages(const rml_coreml *file)
{
    file = file->first ? file->first : file;
    if (!file->is_memory)
        rml_mapfile_drop_pages(&file->map);
    for (size_t i = 0; i < file->blob_count && !file->zip.data; i++)
        rml_mapfile_drop_pages(&file->blob_file[i]);
}
