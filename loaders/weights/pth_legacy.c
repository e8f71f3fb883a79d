// The stream torch.save wrote before PyTorch 1.6: five pickles (magic number, protocol, system, the
// object, the keys of its storages), then for each key an element count and the elements.
#include "loaders/formats/bytes.h"
#include "loaders/weights/readers.h"
#include "tensor/size.h"

#include <string.h>

#define LEGACY_PROTOCOL 1001

// 0x1950a86a20f9469cfc6c, the first pickle
static const uint8_t magic[10] = {0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19};

typedef struct storage_bytes {
    const uint8_t *data;
    size_t bytes;
    size_t element_bytes; // 0: nothing in the object refers to it
} storage_bytes;

typedef struct stream {
    const uint8_t *data;
    size_t size, at;
    const rml_allocator *allocator;
    rml_pickle object, keys;
    rml_names names; // key -> place in `storage`
    storage_bytes *storage;
} stream;

static rml_status read_pickle(stream *s, rml_pickle *out, rml_error *err)
{
    rml_status status = rml_pickle_read(out, s->data + s->at, s->size - s->at, s->allocator, err);
    if (status == RML_OK)
        s->at += out->used_bytes;
    return status;
}

static rml_status read_head(stream *s, rml_error *err)
{
    rml_pickle head;
    RML_TRY(read_pickle(s, &head, err));
    const rml_pickle_value *value = &head.value[head.root];
    bool good = value->kind == RML_PICKLE_LONG && value->count == sizeof magic &&
                memcmp(value->u.text, magic, sizeof magic) == 0;
    rml_pickle_release(&head);
    if (!good)
        return rml_fail(err, RML_ERR_FORMAT,
                        "pickle that torch.save did not write: its magic number is missing");
    RML_TRY(read_pickle(s, &head, err));
    value = &head.value[head.root];
    int64_t protocol = value->kind == RML_PICKLE_INT ? value->u.integer : -1;
    rml_pickle_release(&head);
    if (protocol != LEGACY_PROTOCOL)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "legacy torch.save protocol %lld, expected %d",
                        (long long)protocol, LEGACY_PROTOCOL);
    RML_TRY(read_pickle(s, &head, err));
    rml_pickle_release(&head); // the system it was saved on: elements are little-endian on any
    return RML_OK;
}

static rml_status index_keys(stream *s, rml_error *err)
{
    const rml_pickle_value *list = &s->keys.value[s->keys.root];
    if (list->kind != RML_PICKLE_LIST)
        return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: the storages are not in a list");
    if (list->count == 0)
        return RML_OK;
    RML_TRY(rml_make(s->allocator, &s->storage, list->count, sizeof *s->storage,
                     "a list of storages", err));
    for (size_t i = 0; i < list->count; i++) {
        const rml_pickle_value *key = &s->keys.value[rml_pickle_item(&s->keys, list, i)];
        size_t now = 0;
        if (key->kind != RML_PICKLE_TEXT)
            return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: a storage's key is no text");
        RML_TRY(rml_names_add(&s->names, key->u.text, key->count, i, &now, err));
        if (now != i)
            return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: a storage is stored twice");
    }
    return RML_OK;
}

// The data does not say how wide its elements are; whoever refers to it does. `total` is where the
// file ends when the sizes that are announced are true.
static rml_status size_elements(stream *s, uint64_t *total, rml_error *err)
{
    *total = s->at;
    for (size_t i = 0; i < s->object.storage_count; i++) {
        rml_storage_id id;
        char key[RML_QUOTE_BYTES];
        size_t index;
        if (!rml_storage_id_is(&s->object, s->object.storage[i]))
            continue;
        RML_TRY(rml_storage_id_read(&s->object, s->object.storage[i], &id, err));
        if (!id.type) // how wide it is and so where the next one begins
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "checkpoint with a storage of unknown type %s",
                            rml_pickle_describe(&s->object, id.named, key));
        if (!rml_names_find(&s->names, id.key, id.key_bytes, &index))
            return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: storage \"%s\" is missing",
                            rml_quote(key, id.key, id.key_bytes));
        storage_bytes *storage = &s->storage[index];
        size_t element_bytes = (size_t)id.type->element_bytes;
        if (storage->element_bytes == 0) {
            storage->element_bytes = element_bytes;
            uint64_t room = UINT64_MAX - *total;
            *total += id.elements > room / 16 - 8 ? room : 8 + id.elements * element_bytes;
        } else if (storage->element_bytes != element_bytes) {
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged checkpoint: storage \"%s\" has elements of %zu and of %zu "
                            "bytes",
                            rml_quote(key, id.key, id.key_bytes), storage->element_bytes,
                            element_bytes);
        }
    }
    return RML_OK;
}

static rml_status locate_storages(stream *s, uint64_t total, rml_error *err)
{
    const rml_pickle_value *list = &s->keys.value[s->keys.root];
    for (size_t i = 0; i < list->count; i++) {
        storage_bytes *storage = &s->storage[i];
        const rml_pickle_value *key = &s->keys.value[rml_pickle_item(&s->keys, list, i)];
        char quoted[RML_QUOTE_BYTES];
        rml_quote(quoted, key->u.text, key->count);
        if (storage->element_bytes == 0)
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged checkpoint: nothing says how wide storage \"%s\" is", quoted);
        if (s->size < total)
            return rml_fail(err, RML_ERR_FORMAT,
                            "cut short: the file ends at byte %zu of %llu; download or copy it "
                            "again",
                            s->size, (unsigned long long)total);
        if (!rml_range_inside(s->at, 8, s->size))
            return rml_fail(err, RML_ERR_FORMAT,
                            "cut short: the file ends at byte %zu, before "
                            "storage \"%s\"",
                            s->size, quoted);
        uint64_t elements = rml_le64(s->data + s->at);
        s->at += 8;
        if (elements > (s->size - s->at) / storage->element_bytes)
            return rml_fail(
                err, RML_ERR_FORMAT,
                "damaged checkpoint: storage \"%s\" has %llu elements of %zu bytes, and "
                "%zu bytes are left",
                quoted, (unsigned long long)elements, storage->element_bytes, s->size - s->at);
        storage->data = s->data + s->at;
        storage->bytes = (size_t)elements * storage->element_bytes;
        s->at += storage->bytes;
    }
    return RML_OK;
}

static rml_status find_storage(void *context, const char *key, size_t key_bytes,
                               const uint8_t **data, size_t *bytes, rml_error *err)
{
    const stream *s = context;
    size_t index;
    if (!rml_names_find(&s->names, key, key_bytes, &index)) {
        char quoted[RML_QUOTE_BYTES];
        return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: storage \"%s\" is missing",
                        rml_quote(quoted, key, key_bytes));
    }
    *data = s->storage[index].data;
    *bytes = s->storage[index].bytes;
    return RML_OK;
}

static rml_status read_stream(stream *s, rml_weights *weights, rml_error *err)
{
    uint64_t total = 0;
    RML_TRY(read_head(s, err));
    RML_TRY(read_pickle(s, &s->object, err));
    RML_TRY(read_pickle(s, &s->keys, err));
    RML_TRY(index_keys(s, err));
    RML_TRY(size_elements(s, &total, err));
    RML_TRY(locate_storages(s, total, err));
    rml_storage_source source = {.find = find_storage, .context = s};
    return rml_state_dict_add(weights, &s->object, &source, err);
}

rml_status rml_read_torch_legacy(rml_weights *weights, const uint8_t *data, size_t size,
                                 rml_error *err)
{
    const rml_allocator *allocator = rml_weights_allocator(weights);
    stream s = {.data = data, .size = size, .allocator = allocator};
    s.object.allocator = s.keys.allocator = allocator;
    rml_names_init(&s.names, allocator);
    rml_status status = read_stream(&s, weights, err);
    rml_free(allocator, s.storage);
    rml_names_release(&s.names);
    rml_pickle_release(&s.keys);
    rml_pickle_release(&s.object);
    return status;
}
