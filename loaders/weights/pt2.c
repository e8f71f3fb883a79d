// Archives of torch.export.save: "<folder>/data/weights/model_weights_config.json" tells of each
// tensor its name, its type, its sizes and strides, and the entry beside it that holds the storage.
#include "loaders/formats/json.h"
#include "loaders/weights/weights_store.h"
#include "tensor/dtype.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <string.h>

#define CONFIG_NAME "model_weights_config.json"

// ScalarType of torch._export.serde.schema, by its number.
static const struct element {
    const char *type; // NULL: the library's own
    uint8_t bits;
    rml_dtype dtype;
    rml_coding_kind coding;
    bool unreadable;
} elements[] = {
    [0] = {"unknown", 0, RML_F32, RML_CODING_NONE, true},
    [1] = {NULL, 8, RML_U8, RML_CODING_NONE, false},
    [2] = {NULL, 8, RML_I8, RML_CODING_NONE, false},
    [3] = {NULL, 16, RML_I16, RML_CODING_NONE, false},
    [4] = {NULL, 32, RML_I32, RML_CODING_NONE, false},
    [5] = {NULL, 64, RML_I64, RML_CODING_NONE, false},
    [6] = {NULL, 16, RML_F16, RML_CODING_NONE, false},
    [7] = {NULL, 32, RML_F32, RML_CODING_NONE, false},
    [8] = {NULL, 64, RML_F64, RML_CODING_NONE, false},
    [9] = {"complex32", 32, RML_F32, RML_CODING_NONE, true},
    [10] = {"complex64", 64, RML_F32, RML_CODING_NONE, true},
    [11] = {"complex128", 128, RML_F32, RML_CODING_NONE, true},
    [12] = {NULL, 8, RML_BOOL, RML_CODING_NONE, false},
    [13] = {NULL, 16, RML_BF16, RML_CODING_NONE, false},
    [28] = {NULL, 16, RML_U16, RML_CODING_NONE, false},
    [29] = {"float8_e4m3fn", 8, RML_U8, RML_CODING_F8_E4M3FN, false},
    [30] = {"float8_e5m2", 8, RML_U8, RML_CODING_F8_E5M2, false},
    [31] = {"float8_e4m3fnuz", 8, RML_U8, RML_CODING_F8_E4M3FNUZ, false},
    [32] = {"float8_e5m2fnuz", 8, RML_U8, RML_CODING_F8_E5M2FNUZ, false},
    [33] = {"float8_e8m0fnu", 8, RML_U8, RML_CODING_F8_E8M0FNU, false},
    [34] = {NULL, 32, RML_U32, RML_CODING_NONE, false},
    [35] = {NULL, 64, RML_U64, RML_CODING_NONE, false},
};
#define ELEMENTS ((int64_t)(sizeof elements / sizeof *elements))
#define STRIDED 7 // the layout that is none of the sparse ones

typedef struct entry {
    char name[RML_MAX_NAME_BYTES], file[RML_MAX_NAME_BYTES];
    size_t name_bytes, file_bytes;
    int64_t element, layout, offset;
    bool has_numbers, pickled; // sizes may be expressions, and contents a pickle
    rml_shape shape, stride;   // strides are read as a shape
} entry;

typedef struct reader {
    rml_weights *weights;
    const rml_zip *zip;
    const char *folder; // of the config, with its slash
    size_t folder_bytes;
    rml_json json;
    rml_error *err;
    entry entry;
} reader;

bool rml_zip_is_pt2(const rml_zip *zip, const rml_zip_entry **config)
{
    const size_t bytes = strlen(CONFIG_NAME);
    for (size_t i = 0; i < zip->count; i++) {
        *config = &zip->entry[i];
        if ((*config)->name_bytes > bytes &&
            memcmp((*config)->name + (*config)->name_bytes - bytes, CONFIG_NAME, bytes) == 0)
            return true;
    }
    return false;
}

// The value of a key whose values are whole numbers; anything else is passed over.
static rml_status read_number(reader *r, int64_t *out, bool *found)
{
    rml_json_token token;
    RML_TRY(rml_json_next(&r->json, &token, r->err));
    *found = token.type == RML_JSON_NUMBER && token.is_integer && token.integer >= 0;
    if (*found)
        *out = token.integer;
    return rml_json_skip(&r->json, &token, r->err);
}

// {"as_int": 3}; *found is false for {"as_expr": ...}.
static rml_status read_size(reader *r, int64_t *out, bool *found)
{
    rml_json_token token;
    *found = false;
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        if (strcmp(token.text, "as_int") == 0) {
            RML_TRY(read_number(r, out, found));
            continue;
        }
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        RML_TRY(rml_json_skip(&r->json, &token, r->err));
    }
}

static rml_status read_sizes(reader *r, rml_shape *shape)
{
    rml_json_token token;
    bool found = true;
    int64_t size = 0;
    RML_TRY(rml_json_expect(&r->json, RML_JSON_ARRAY_BEGIN, "sizes", &token, r->err));
    for (shape->rank = 0;; shape->rank++) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_ARRAY_END)
            return RML_OK;
        if (token.type != RML_JSON_OBJECT_BEGIN)
            return rml_fail(r->err, RML_ERR_FORMAT, "damaged archive: a size is no object");
        RML_TRY(read_size(r, &size, &found));
        r->entry.has_numbers &= found;
        if (shape->rank < RML_MAX_RANK)
            shape->dim[shape->rank] = size;
    }
}

static rml_status read_meta(reader *r)
{
    rml_json_token token;
    entry *e = &r->entry;
    bool found = true;
    e->has_numbers = true;
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        if (strcmp(token.text, "dtype") == 0) {
            RML_TRY(read_number(r, &e->element, &found));
        } else if (strcmp(token.text, "layout") == 0) {
            RML_TRY(read_number(r, &e->layout, &found));
        } else if (strcmp(token.text, "sizes") == 0) {
            RML_TRY(read_sizes(r, &e->shape));
        } else if (strcmp(token.text, "strides") == 0) {
            RML_TRY(read_sizes(r, &e->stride));
        } else if (strcmp(token.text, "storage_offset") == 0) {
            RML_TRY(rml_json_expect(&r->json, RML_JSON_OBJECT_BEGIN, "an offset", &token, r->err));
            RML_TRY(read_size(r, &e->offset, &found));
            e->has_numbers &= found;
        } else {
            RML_TRY(rml_json_next(&r->json, &token, r->err));
            RML_TRY(rml_json_skip(&r->json, &token, r->err));
        }
    }
}

static rml_status read_entry(reader *r)
{
    rml_json_token token;
    entry *e = &r->entry;
    RML_TRY(
        rml_json_expect(&r->json, RML_JSON_OBJECT_BEGIN, "a tensor's description", &token, r->err));
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        const bool is_file = strcmp(token.text, "path_name") == 0;
        const bool is_pickled = strcmp(token.text, "use_pickle") == 0;
        const bool is_meta = strcmp(token.text, "tensor_meta") == 0;
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (is_meta && token.type == RML_JSON_OBJECT_BEGIN) {
            RML_TRY(read_meta(r));
            continue;
        }
        if (is_pickled)
            e->pickled = token.type == RML_JSON_TRUE;
        if (is_file && token.type == RML_JSON_TEXT && token.text_bytes < sizeof e->file) {
            memcpy(e->file, token.text, token.text_bytes);
            e->file_bytes = token.text_bytes;
        }
        RML_TRY(rml_json_skip(&r->json, &token, r->err));
    }
}

static const rml_zip_entry *find_contents(const reader *r)
{
    char path[2 * RML_MAX_NAME_BYTES];
    const size_t bytes = r->folder_bytes + r->entry.file_bytes;
    if (r->entry.file_bytes == 0 || bytes > sizeof path)
        return NULL;
    memcpy(path, r->folder, r->folder_bytes);
    memcpy(path + r->folder_bytes, r->entry.file, r->entry.file_bytes);
    return rml_zip_find(r->zip, path, bytes);
}

static rml_status add_entry(reader *r)
{
    const entry *e = &r->entry;
    const struct element *element = &elements[0];
    if (e->element < ELEMENTS && elements[e->element].bits)
        element = &elements[e->element];
    rml_weight weight = {.stored = {.dtype = element->dtype, .shape = e->shape},
                         .type = element->type ? element->type : rml_dtype_name(element->dtype),
                         .element_bits = element->bits,
                         .unreadable = element->unreadable};
    const uint8_t *data = NULL;
    size_t bytes = 0;
    char quoted[RML_QUOTE_BYTES];
    if (e->layout != STRIDED)
        weight.type = "sparse";
    if (e->pickled)
        weight.type = "pickled";
    if (!e->has_numbers)
        weight.stored.shape.rank = RML_RANK_UNKNOWN;
    weight.unreadable |= e->layout != STRIDED || e->pickled || !e->has_numbers;
    if (weight.unreadable || e->shape.rank > RML_MAX_RANK)
        return rml_weights_add(r->weights, e->name, e->name_bytes, &weight, 0, false, r->err);
    const rml_zip_entry *contents = find_contents(r);
    if (!contents || e->stride.rank != e->shape.rank)
        return rml_fail(r->err, RML_ERR_FORMAT,
                        "damaged archive: the storage or the strides of \"%s\" are missing",
                        rml_quote(quoted, e->name, e->name_bytes));
    RML_TRY(rml_zip_contents(r->zip, contents, &data, &bytes, r->err));
    const size_t element_bytes = element->bits / 8;
    if ((uint64_t)e->offset > bytes / element_bytes)
        return rml_fail(r->err, RML_ERR_FORMAT,
                        "damaged archive: \"%s\" starts past the end of its storage",
                        rml_quote(quoted, e->name, e->name_bytes));
    weight.stored.data = data + (size_t)e->offset * element_bytes;
    weight.stored.coding.kind = element->coding;
    memcpy(weight.stored.stride, e->stride.dim, sizeof e->stride.dim);
    return rml_weights_add(r->weights, e->name, e->name_bytes, &weight,
                           bytes - (size_t)e->offset * element_bytes, false, r->err);
}

static rml_status read_config(reader *r)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(&r->json, RML_JSON_OBJECT_BEGIN, "\"config\" as an object", &token,
                            r->err));
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        r->entry = (entry){.layout = STRIDED, .name_bytes = token.text_bytes};
        if (token.text_bytes >= sizeof r->entry.name)
            return rml_fail(r->err, RML_ERR_LIMIT, "archive with a name of %zu bytes",
                            token.text_bytes);
        memcpy(r->entry.name, token.text, token.text_bytes);
        RML_TRY(read_entry(r));
        RML_TRY(add_entry(r));
    }
}

static rml_status read_document(reader *r)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(&r->json, RML_JSON_OBJECT_BEGIN, "an object", &token, r->err));
    for (;;) {
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        if (token.type == RML_JSON_OBJECT_END)
            return rml_json_expect(&r->json, RML_JSON_END, "the end", &token, r->err);
        if (strcmp(token.text, "config") == 0) {
            RML_TRY(read_config(r));
            continue;
        }
        RML_TRY(rml_json_next(&r->json, &token, r->err));
        RML_TRY(rml_json_skip(&r->json, &token, r->err));
    }
}

rml_status rml_read_pt2(rml_weights *weights, const rml_zip *zip, const rml_zip_entry *config,
                        rml_error *err)
{
    const uint8_t *data = NULL;
    size_t bytes = 0;
    reader *r;
    RML_TRY(rml_zip_contents(zip, config, &data, &bytes, err));
    RML_TRY(rml_make(weights->allocator, &r, 1, sizeof *r, "the reader of an archive", err));
    *r = (reader){.weights = weights,
                  .zip = zip,
                  .folder = config->name,
                  .folder_bytes = config->name_bytes - strlen(CONFIG_NAME),
                  .err = err};
    rml_json_begin(&r->json, data, bytes, weights->allocator);
    const rml_status status = read_document(r);
    rml_json_release(&r->json);
    rml_free(weights->allocator, r);
    return status;
}
