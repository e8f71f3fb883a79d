// safetensors: 8 bytes of header length, a JSON header, then the tensors' bytes without gaps.
#include "loaders/formats/bytes.h"
#include "loaders/formats/json.h"
#include "loaders/weights/weights_store.h"
#include "runmodel_networks.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <ctype.h>
#include <string.h>

#define LENGTH_BYTES 8

typedef struct span {
    uint64_t begin, end; // in the data part
} span;

typedef struct table {
    rml_weights *weights;
    const uint8_t *data; // the data part
    size_t data_bytes;   // that the file holds
    size_t file_bytes;
    span *span;
    size_t span_count, span_capacity;
} table;

typedef struct entry {
    char name[RML_MAX_NAME_BYTES];
    size_t name_bytes;
    char dtype_name[16];
    bool has_dtype, has_shape, has_span;
    rml_shape shape;
    span span;
} entry;

// Types that are none of this library's, by the names that PyTorch has for them where it has one.
static const struct foreign {
    const char *name, *type;
    uint32_t bits;
    rml_coding_kind coding; // NONE: cannot be read
} foreigns[] = {
    {"F8_E4M3", "float8_e4m3fn", 8, RML_CODING_F8_E4M3FN},
    {"F8_E5M2", "float8_e5m2", 8, RML_CODING_F8_E5M2},
    {"F8_E4M3FNUZ", "float8_e4m3fnuz", 8, RML_CODING_F8_E4M3FNUZ},
    {"F8_E5M2FNUZ", "float8_e5m2fnuz", 8, RML_CODING_F8_E5M2FNUZ},
    {"F8_E8M0", "float8_e8m0fnu", 8, RML_CODING_F8_E8M0FNU},
    {"C64", "complex64", 64, RML_CODING_NONE},
    {"C128", "complex128", 128, RML_CODING_NONE},
    {"F6_E2M3", "float6_e2m3fn", 6, RML_CODING_NONE},
    {"F6_E3M2", "float6_e3m2fn", 6, RML_CODING_NONE},
    {"F4", "float4_e2m1fn", 4, RML_CODING_NONE},
};

// Types are called as in this library, in capitals. One that nobody knows is listed under its name,
// with as many bytes as the header gives it.
static rml_status find_type(table *t, const entry *e, rml_weight *weight, rml_error *err)
{
    char clean[sizeof e->dtype_name];
    for (rml_dtype dtype = RML_F32; dtype <= RML_U64; dtype++) {
        const char *own = rml_dtype_name(dtype), *at = e->dtype_name;
        while (*own && toupper((unsigned char)*own) == *at)
            own++, at++;
        if (!*own && !*at) {
            weight->stored.dtype = dtype;
            weight->element_bits = (uint32_t)rml_dtype_size(dtype) * 8;
            return RML_OK;
        }
    }
    weight->stored.dtype = RML_U8;
    for (size_t i = 0; i < sizeof foreigns / sizeof *foreigns; i++)
        if (strcmp(foreigns[i].name, e->dtype_name) == 0) {
            weight->type = foreigns[i].type;
            weight->element_bits = foreigns[i].bits;
            weight->stored.coding.kind = foreigns[i].coding;
            weight->unreadable = foreigns[i].coding == RML_CODING_NONE;
            return RML_OK;
        }
    rml_text_clean(clean, sizeof clean, e->dtype_name, strlen(e->dtype_name));
    weight->type = rml_arena_text(&t->weights->arena, clean);
    weight->unreadable = true;
    return weight->type ? RML_OK : rml_fail_nomem(err, sizeof clean, "the type of a weight");
}

// An array of whole numbers from 0 up, of which `room` are kept; *count says how many there are.
static rml_status read_numbers(rml_json *json, const char *name, int room, int64_t *numbers,
                               int *count, rml_error *err)
{
    rml_json_token token;
    char quoted[RML_QUOTE_BYTES];
    RML_TRY(rml_json_expect(json, RML_JSON_ARRAY_BEGIN, "an array", &token, err));
    for (*count = 0;; (*count)++) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_ARRAY_END)
            return RML_OK;
        if (token.type != RML_JSON_NUMBER || !token.is_integer || token.integer < 0)
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged header: \"%s\" has a size or offset that is no whole number "
                            "from 0 up",
                            rml_quote(quoted, name, strlen(name)));
        if (*count < room)
            numbers[*count] = token.integer;
    }
}

static rml_status read_entry(rml_json *json, entry *e, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "a tensor's description", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        if (strcmp(token.text, "dtype") == 0) {
            RML_TRY(rml_json_expect(json, RML_JSON_TEXT, "an element type", &token, err));
            size_t bytes = rml_min_size(token.text_bytes, sizeof e->dtype_name - 1);
            memcpy(e->dtype_name, token.text, bytes);
            e->dtype_name[bytes] = 0;
            e->has_dtype = true;
        } else if (strcmp(token.text, "shape") == 0) {
            RML_TRY(read_numbers(json, e->name, RML_MAX_RANK, e->shape.dim, &e->shape.rank, err));
            e->has_shape = true;
        } else if (strcmp(token.text, "data_offsets") == 0) {
            int64_t offset[2];
            int count = 0;
            RML_TRY(read_numbers(json, e->name, 2, offset, &count, err));
            e->has_span = count == 2;
            if (e->has_span)
                e->span = (span){(uint64_t)offset[0], (uint64_t)offset[1]};
        } else {
            RML_TRY(rml_json_next(json, &token, err));
            RML_TRY(rml_json_skip(json, &token, err));
        }
    }
}

static rml_status add_entry(table *t, const entry *e, rml_error *err)
{
    char name[RML_QUOTE_BYTES];
    rml_quote(name, e->name, e->name_bytes);
    if (!e->has_dtype || !e->has_shape || !e->has_span)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged header: \"%s\" lacks its dtype, shape or data_offsets", name);
    const bool is_deep = e->shape.rank > RML_MAX_RANK;
    rml_weight weight = {.stored.shape.rank = e->shape.rank};
    if (!is_deep)
        weight.stored = rml_stored_plain(NULL, RML_U8, &e->shape);
    RML_TRY(find_type(t, e, &weight, err));
    size_t count, bits = 0, bytes = (size_t)(e->span.end - e->span.begin);
    if (!is_deep && (!rml_shape_count(&e->shape, &count) ||
                     !rml_size_mul(count, weight.element_bits ? weight.element_bits : 1, &bits)))
        return rml_fail(err, RML_ERR_LIMIT, "\"%s\" is too large to address", name);
    if (!is_deep && weight.element_bits)
        bytes = bits / 8 + (bits % 8 != 0);
    if (e->span.begin > e->span.end || e->span.end - e->span.begin != bytes)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged header: \"%s\" needs %zu bytes and has the offsets %llu to %llu",
                        name, bytes, (unsigned long long)e->span.begin,
                        (unsigned long long)e->span.end);
    RML_TRY(rml_reserve(rml_weights_allocator(t->weights), &t->span, &t->span_capacity,
                        t->span_count + 1, sizeof *t->span, "a table of tensors", err));
    t->span[t->span_count++] = e->span;
    if (e->span.end > t->data_bytes) // told at the end, when the whole length is known
        return RML_OK;
    weight.stored.data = t->data + e->span.begin;
    return rml_weights_add(t->weights, e->name, e->name_bytes, &weight, bytes, false, err);
}

// Texts by name. What else stands there is passed over: it harms nobody. `scratch` keeps a name
// while its text is read.
static rml_status read_metadata(table *t, rml_json *json, entry *scratch, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_next(json, &token, err));
    if (token.type != RML_JSON_OBJECT_BEGIN)
        return rml_json_skip(json, &token, err);
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        scratch->name_bytes = rml_min_size(token.text_bytes, sizeof scratch->name);
        memcpy(scratch->name, token.text, scratch->name_bytes);
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_TEXT)
            RML_TRY(rml_weights_add_metadata(t->weights, scratch->name, scratch->name_bytes,
                                             token.text, token.text_bytes, err));
        else
            RML_TRY(rml_json_skip(json, &token, err));
    }
}

static rml_status read_header(table *t, rml_json *json, entry *e, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "an object", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            break;
        if (strcmp(token.text, "__metadata__") == 0) {
            RML_TRY(read_metadata(t, json, e, err));
            continue;
        }
        if (token.text_bytes >= RML_MAX_NAME_BYTES)
            return rml_fail(err, RML_ERR_LIMIT, "header with a name of %zu bytes, the limit is %d",
                            token.text_bytes, RML_MAX_NAME_BYTES - 1);
        if (t->span_count >= RML_MAX_WEIGHTS)
            return rml_fail(err, RML_ERR_LIMIT, "more than %d tensors", RML_MAX_WEIGHTS);
        *e = (entry){.name_bytes = token.text_bytes};
        memcpy(e->name, token.text, token.text_bytes + 1);
        RML_TRY(read_entry(json, e, err));
        RML_TRY(add_entry(t, e, err));
    }
    return rml_json_expect(json, RML_JSON_END, "the end", &token, err);
}

static bool is_after(const span *a, const span *b)
{
    return a->begin != b->begin ? a->begin > b->begin : a->end > b->end;
}

// Heap sort: the C library's qsort may allocate behind the allocator's back.
static void sift_down(span *heap, size_t root, size_t count)
{
    while (root * 2 + 1 < count) {
        size_t child = root * 2 + 1;
        if (child + 1 < count && is_after(&heap[child + 1], &heap[child]))
            child++;
        if (!is_after(&heap[child], &heap[root]))
            return;
        span larger = heap[child];
        heap[child] = heap[root];
        heap[root] = larger;
        root = child;
    }
}

static void sort_spans(span *spans, size_t count)
{
    for (size_t i = count / 2; i > 0; i--)
        sift_down(spans, i - 1, count);
    for (size_t end = count; end > 1; end--) {
        span last = spans[0];
        spans[0] = spans[end - 1];
        spans[end - 1] = last;
        sift_down(spans, 0, end - 1);
    }
}

// The format has neither gaps nor overlaps; both are signs of a file made to confuse readers.
static rml_status check_spans(table *t, rml_error *err)
{
    sort_spans(t->span, t->span_count);
    uint64_t end = 0;
    for (size_t i = 0; i < t->span_count; i++) {
        if (t->span[i].begin != end)
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged header: tensors %s at byte %llu of the data",
                            t->span[i].begin < end ? "overlap" : "leave a gap",
                            (unsigned long long)(t->span[i].begin < end ? t->span[i].begin : end));
        end = t->span[i].end;
    }
    uint64_t head_bytes = t->file_bytes - t->data_bytes;
    if (end > t->data_bytes)
        return rml_fail(err, RML_ERR_FORMAT,
                        "cut short: the file ends at byte %zu of %llu; download or copy it again",
                        t->file_bytes, (unsigned long long)(head_bytes + end));
    if (end < t->data_bytes)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged file: %llu bytes follow the last tensor, which ends at byte %llu",
                        (unsigned long long)(t->data_bytes - end),
                        (unsigned long long)(head_bytes + end));
    return RML_OK;
}

rml_status rml_read_safetensors(rml_weights *weights, const uint8_t *data, size_t size,
                                rml_error *err)
{
    uint64_t header_bytes = size >= LENGTH_BYTES ? rml_le64(data) : 0;
    if (header_bytes > RML_SAFETENSORS_MAX_HEADER_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "safetensors header of %llu bytes, the limit is %zu",
                        (unsigned long long)header_bytes, RML_SAFETENSORS_MAX_HEADER_BYTES);
    if (size < LENGTH_BYTES || header_bytes > size - LENGTH_BYTES)
        return rml_fail(err, RML_ERR_FORMAT,
                        "cut short: the file ends at byte %zu, and its header alone at byte %llu; "
                        "download or copy it again",
                        size, (unsigned long long)header_bytes + LENGTH_BYTES);
    const rml_allocator *allocator = rml_weights_allocator(weights);
    size_t begin = LENGTH_BYTES + (size_t)header_bytes;
    table t = {
        .weights = weights, .data = data + begin, .data_bytes = size - begin, .file_bytes = size};
    rml_json json;
    rml_json_begin(&json, data + LENGTH_BYTES, (size_t)header_bytes, allocator);
    entry *scratch = rml_alloc(allocator, sizeof *scratch);
    rml_status status = scratch ? read_header(&t, &json, scratch, err)
                                : rml_fail_nomem(err, sizeof *scratch, "a tensor's description");
    if (status == RML_OK)
        status = check_spans(&t, err);
    rml_free(allocator, scratch);
    rml_free(allocator, t.span);
    rml_json_release(&json);
    return status;
}

rml_status rml_weights_open_safetensors(rml_weights **out, const void *data, size_t size,
                                        const rml_allocator *allocator, rml_error *err)
{
    rml_weights *weights;
    RML_TRY(rml_weights_create(&weights, allocator, err));
    weights->format = "safetensors";
    rml_status status = rml_read_safetensors(weights, data, size, err);
    if (status == RML_OK)
        status = rml_weights_finish(weights, err);
    if (status != RML_OK)
        rml_weights_close(&weights);
    *out = weights;
    return status;
}
