#include "loaders/weights/weights_store.h"

#include "tensor/dtype.h"
#include "tensor/format.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <string.h>

rml_status rml_weights_create(rml_weights **out, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    if (!allocator)
        allocator = rml_allocator_default();
    rml_weights *weights;
    RML_TRY(rml_make(allocator, &weights, 1, sizeof *weights, "a weight store", err));
    weights->own_allocator = *allocator;
    weights->allocator = &weights->own_allocator;
    weights->format = "memory";
    weights->path = "";
    rml_arena_init(&weights->arena, weights->allocator);
    rml_names_init(&weights->names, weights->allocator);
    *out = weights;
    return RML_OK;
}

void rml_weights_close(rml_weights **weights_at)
{
    rml_weights *weights = *weights_at;
    if (!weights)
        return;
    if (weights->close_files)
        weights->close_files(weights);
    for (size_t i = 0; i < weights->owned_count; i++)
        rml_free(weights->allocator, weights->owned[i]);
    rml_free(weights->allocator, weights->file);
    rml_free(weights->allocator, weights->owned);
    rml_free(weights->allocator, weights->weight);
    rml_free(weights->allocator, weights->beside);
    rml_free(weights->allocator, weights->stored_name);
    rml_free(weights->allocator, weights->metadata);
    rml_names_release(&weights->names);
    rml_arena_release(&weights->arena);
    rml_allocator allocator = weights->own_allocator;
    rml_free(&allocator, weights);
    *weights_at = NULL;
}

// ---- adding -----------------------------------------------------------------------------------

static rml_status append(rml_weights *weights, const rml_weight *weight, size_t name_bytes,
                         bool beside, rml_error *err)
{
    rml_weight **list = beside ? &weights->beside : &weights->weight;
    size_t *count = beside ? &weights->beside_count : &weights->count;
    size_t *capacity = beside ? &weights->beside_capacity : &weights->capacity;
    if (*count >= RML_MAX_WEIGHTS)
        return rml_fail(err, RML_ERR_LIMIT, "more than %d tensors", RML_MAX_WEIGHTS);
    RML_TRY(rml_reserve(weights->allocator, list, capacity, *count + 1, sizeof **list,
                        "the table of weights", err));
    if (!beside)
        RML_TRY(rml_reserve(weights->allocator, &weights->stored_name, &weights->name_capacity,
                            *count + 1, sizeof *weights->stored_name, "the names of weights", err));
    char *copy = rml_arena_alloc(&weights->arena, name_bytes + 1, 1);
    if (!copy)
        return rml_fail_nomem(err, name_bytes + 1, "the name of a weight");
    memcpy(copy, weight->name, name_bytes);
    if (!beside)
        weights->stored_name[*count] = copy;
    (*list)[*count] = *weight;
    (*list)[(*count)++].name = copy;
    return RML_OK;
}

// The element that lies furthest from the first one, plus 1; false when it does not fit.
static bool reach(const rml_weight *weight, size_t count, uint64_t *elements)
{
    int64_t last = 0;
    *elements = 0;
    if (count == 0)
        return true;
    for (int i = 0; i < weight->stored.shape.rank; i++) {
        int64_t step;
        if (!rml_i64_mul(weight->stored.shape.dim[i] - 1, weight->stored.stride[i], &step) ||
            step > INT64_MAX - 1 - last)
            return false;
        last += step;
    }
    *elements = (uint64_t)last + 1;
    return true;
}

static rml_status check_elements(const rml_weight *weight, const char *quoted,
                                 size_t available_bytes, rml_error *err)
{
    const rml_shape *shape = &weight->stored.shape;
    char text[RML_SHAPE_TEXT_BYTES];
    size_t count;
    uint64_t elements;
    if (!rml_shape_count(shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "\"%s\" has shape %s, which is too large to address",
                        quoted, rml_shape_text(shape, text));
    const size_t available = available_bytes / rml_dtype_size(weight->stored.dtype);
    if (!reach(weight, count, &elements) || elements > available)
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged checkpoint: \"%s\" of shape %s leaves its storage, which has %zu "
                        "elements from there on",
                        quoted, rml_shape_text(shape, text), available);
    if (count > available && count - available > RML_MAX_REPEATED_ELEMENTS)
        return rml_fail(err, RML_ERR_LIMIT,
                        "\"%s\" of shape %s repeats %zu stored elements, the limit is %zu more",
                        quoted, rml_shape_text(shape, text), available, RML_MAX_REPEATED_ELEMENTS);
    return RML_OK;
}

// One of more dimensions than shapes have is listed as "rank9:f32".
static rml_status set_deep(rml_weights *weights, rml_weight *weight, rml_error *err)
{
    char type[RML_QUOTE_BYTES];
    rml_format(type, sizeof type, "rank%d:%s", weight->stored.shape.rank, weight->type);
    weight->type = rml_arena_text(&weights->arena, type);
    weight->unreadable = true;
    weight->stored.shape.rank = RML_RANK_UNKNOWN;
    return weight->type ? RML_OK : rml_fail_nomem(err, sizeof type, "the type of a weight");
}

rml_status rml_weights_add(rml_weights *weights, const char *name, size_t name_bytes,
                           const rml_weight *weight, size_t available_bytes, bool beside,
                           rml_error *err)
{
    char quoted[RML_QUOTE_BYTES];
    size_t shard;
    if (weights->index && rml_names_find(&weights->index->tensors, name, name_bytes, &shard) &&
        shard != weights->shard)
        return RML_OK;
    if (name_bytes >= RML_MAX_NAME_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "tensor with a name of %zu bytes, the limit is %d",
                        name_bytes, RML_MAX_NAME_BYTES - 1);
    rml_quote(quoted, name, name_bytes);
    if (!rml_text_is_clean(name, name_bytes)) // programs print names
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged checkpoint: the name \"%s\" is not plain UTF-8 text", quoted);
    rml_weight entry = *weight;
    entry.name = name;
    if (!entry.type) {
        entry.type = rml_dtype_name(entry.stored.dtype);
        entry.element_bits = (uint32_t)rml_dtype_size(entry.stored.dtype) * 8;
    }
    if (entry.stored.shape.rank > RML_MAX_RANK)
        RML_TRY(set_deep(weights, &entry, err));
    size_t count;
    if (entry.unreadable) {
        const rml_shape shape = entry.stored.shape;
        entry.stored = (rml_stored){.dtype = RML_F32, .shape = {.rank = RML_RANK_UNKNOWN}};
        if (rml_shape_count(&shape, &count)) // others nobody could count with
            entry.stored.shape = shape;
    } else
        RML_TRY(check_elements(&entry, quoted, available_bytes, err));
    return append(weights, &entry, name_bytes, beside, err);
}

rml_status rml_weights_add_mapped(rml_weights *weights, const char *name, size_t name_bytes,
                                  rml_dtype dtype, const rml_shape *shape, const int64_t *stride,
                                  const uint8_t *data, size_t available_bytes, rml_error *err)
{
    rml_weight weight = {.stored = rml_stored_plain(data, dtype, shape)};
    if (stride)
        memcpy(weight.stored.stride, stride, (size_t)shape->rank * sizeof *stride);
    return rml_weights_add(weights, name, name_bytes, &weight, available_bytes, false, err);
}

rml_status rml_weight_check(const rml_weight *weight, rml_error *err)
{
    if (!weight->unreadable)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "\"%s\" is of type %s, which is not supported",
                    weight->name, weight->type);
}

rml_status rml_weights_own(rml_weights *weights, void *memory, rml_error *err)
{
    const rml_status status =
        rml_reserve(weights->allocator, &weights->owned, &weights->owned_capacity,
                    weights->owned_count + 1, sizeof *weights->owned, "a list of weights", err);
    if (status == RML_OK)
        weights->owned[weights->owned_count++] = memory;
    else
        rml_free(weights->allocator, memory);
    return status;
}

rml_status rml_weights_add_f32(rml_weights *weights, const char *name, const rml_shape *shape,
                               float **data, rml_error *err)
{
    *data = NULL;
    char text[RML_SHAPE_TEXT_BYTES];
    size_t count, bytes;
    if (!rml_shape_count(shape, &count) || !rml_size_mul(count, sizeof(float), &bytes))
        return rml_fail(err, RML_ERR_ARG, "%s has shape %s, which is too large to address", name,
                        rml_shape_text(shape, text));
    if (rml_weights_find(weights, name))
        return rml_fail(err, RML_ERR_ARG, "%s is added twice", name);
    void *memory = rml_alloc(weights->allocator, bytes ? bytes : 1);
    if (!memory)
        return rml_fail_nomem(err, bytes, name);
    RML_TRY(rml_weights_own(weights, memory, err));
    size_t index = weights->count, now = 0;
    RML_TRY(rml_weights_add_mapped(weights, name, strlen(name), RML_F32, shape, NULL, memory, bytes,
                                   err));
    rml_status status =
        rml_names_add(&weights->names, weights->weight[index].name, strlen(name), index, &now, err);
    if (status != RML_OK) {
        weights->count--; // its memory goes with the store
        return status;
    }
    *data = memory;
    return RML_OK;
}

// ---- looking up -------------------------------------------------------------------------------

size_t rml_weights_count(const rml_weights *weights)
{
    return weights->count;
}

const rml_weight *rml_weights_entry(const rml_weights *weights, size_t index)
{
    return index < weights->count ? &weights->weight[index] : NULL;
}

const rml_weight *rml_weights_find(const rml_weights *weights, const char *name)
{
    size_t index;
    return rml_names_find(&weights->names, name, strlen(name), &index) ? &weights->weight[index]
                                                                       : NULL;
}

static rml_weight_info info_of(const rml_weight *weight)
{
    return (rml_weight_info){
        .name = weight->name,
        .dtype = weight->stored.coding.kind ? RML_F32 : weight->stored.dtype,
        .element_bits = weight->element_bits,
        .shape = weight->stored.shape,
        .type = weight->type,
        .same_as = weight->same_as,
        .unreadable = weight->unreadable,
    };
}

rml_weight_info rml_weights_at(const rml_weights *weights, size_t index)
{
    const rml_weight *weight = rml_weights_entry(weights, index);
    return weight ? info_of(weight) : (rml_weight_info){.name = NULL};
}

size_t rml_weights_beside_count(const rml_weights *weights)
{
    return weights->beside_count;
}

rml_weight_info rml_weights_beside_at(const rml_weights *weights, size_t index)
{
    return index < weights->beside_count ? info_of(&weights->beside[index])
                                         : (rml_weight_info){.name = NULL};
}

const char *rml_weights_format(const rml_weights *weights)
{
    return weights->format;
}

const char *rml_weights_path(const rml_weights *weights)
{
    return weights->path;
}

bool rml_weights_is_graph(const rml_weights *weights, const void **data, size_t *size)
{
    if (data)
        *data = weights->graph;
    if (size)
        *size = weights->graph_bytes;
    return weights->format &&
           (strcmp(weights->format, "onnx") == 0 || strcmp(weights->format, "coreml") == 0);
}

const rml_allocator *rml_weights_allocator(const rml_weights *weights)
{
    return weights->allocator;
}

void rml_weights_drop_pages(const rml_weights *weights)
{
    if (weights->drop_pages)
        weights->drop_pages(weights);
}

// ---- reading ----------------------------------------------------------------------------------

rml_status rml_weights_read_f32(const rml_weights *weights, size_t index, float *dst, size_t count,
                                rml_error *err)
{
    const rml_weight *weight = rml_weights_entry(weights, index);
    size_t elements;
    if (!weight)
        return rml_fail(err, RML_ERR_ARG, "tensor index is %zu, and there are %zu", index,
                        weights->count);
    RML_TRY(rml_weight_check(weight, err));
    if (!rml_shape_count(&weight->stored.shape, &elements) || elements != count)
        return rml_fail(err, RML_ERR_ARG, "%s has %zu elements, and the caller's memory %zu",
                        weight->name, elements, count);
    if (count)
        rml_stored_read_all(&weight->stored, dst);
    return RML_OK;
}

// ---- what files say of themselves ------------------------------------------------------------

rml_status rml_weights_add_metadata(rml_weights *weights, const char *name, size_t name_bytes,
                                    const char *text, size_t text_bytes, rml_error *err)
{
    char clean[RML_METADATA_TEXT_BYTES];
    if (weights->metadata_count == RML_MAX_METADATA)
        return RML_OK;
    rml_text_clean(clean, sizeof clean, name, name_bytes);
    for (size_t i = 0; i < weights->metadata_count; i++)
        if (strcmp(weights->metadata[i].name, clean) == 0)
            return RML_OK;
    RML_TRY(rml_reserve(weights->allocator, &weights->metadata, &weights->metadata_capacity,
                        weights->metadata_count + 1, sizeof *weights->metadata,
                        "a list of metadata", err));
    rml_metadata entry = {.name = rml_arena_text(&weights->arena, clean)};
    rml_text_clean(clean, sizeof clean, text, text_bytes);
    entry.text = rml_arena_text(&weights->arena, clean);
    if (!entry.name || !entry.text)
        return rml_fail_nomem(err, sizeof clean, "a text of metadata");
    weights->metadata[weights->metadata_count++] = entry;
    return RML_OK;
}

size_t rml_weights_metadata_count(const rml_weights *weights)
{
    return weights->metadata_count;
}

rml_metadata rml_weights_metadata_at(const rml_weights *weights, size_t index)
{
    return index < weights->metadata_count ? weights->metadata[index] : (rml_metadata){NULL, NULL};
}
