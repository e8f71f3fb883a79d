// Storages of PyTorch: how a pickle names them, and the bytes that a file has for them.
#include "loaders/weights/torch.h"

#include "tensor/size.h"

bool rml_torch_size(const rml_pickle_value *value, uint64_t *out)
{
    if (value->kind != RML_PICKLE_INT || value->u.integer < 0)
        return false;
    *out = (uint64_t)value->u.integer;
    return true;
}

bool rml_storage_id_is(const rml_pickle *pickle, rml_pickle_ref storage)
{
    const rml_pickle_value *id = &pickle->value[pickle->value[storage].u.pair.first];
    return id->kind == RML_PICKLE_TUPLE && id->count > 0 &&
           rml_pickle_text_is(&pickle->value[rml_pickle_item(pickle, id, 0)], "storage");
}

rml_status rml_storage_id_read(const rml_pickle *pickle, rml_pickle_ref storage,
                               rml_storage_id *out, rml_error *err)
{
    const rml_pickle_value *id = &pickle->value[pickle->value[storage].u.pair.first];
    const rml_pickle_value *part[6] = {NULL};
    if (!rml_storage_id_is(pickle, storage) || (id->count != 5 && id->count != 6))
        return rml_fail(err, RML_ERR_FORMAT,
                        "damaged checkpoint: a storage is not named by a tuple "
                        "of 5 or 6");
    for (size_t i = 0; i < id->count; i++)
        part[i] = &pickle->value[rml_pickle_item(pickle, id, i)];
    *out = (rml_storage_id){.type = rml_pickle_global(pickle, part[1])};
    if (part[1]->kind != RML_PICKLE_GLOBAL || !out->type || out->type->kind != RML_GLOBAL_STORAGE)
        out->type = NULL;
    out->named = part[1];
    if (part[2]->kind != RML_PICKLE_TEXT || !rml_torch_size(part[4], &out->elements))
        return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: a storage has no key or no size");
    out->key = part[2]->u.text;
    out->key_bytes = part[2]->count;
    out->view_elements = out->elements;
    if (part[5] && part[5]->kind != RML_PICKLE_NONE) { // (key, offset, elements), files before 0.4
        const rml_pickle_value *view = part[5];
        if (view->kind != RML_PICKLE_TUPLE || view->count != 3 ||
            !rml_torch_size(&pickle->value[rml_pickle_item(pickle, view, 1)], &out->view_offset) ||
            !rml_torch_size(&pickle->value[rml_pickle_item(pickle, view, 2)],
                            &out->view_elements) ||
            !rml_range_inside(out->view_offset, out->view_elements, out->elements))
            return rml_fail(err, RML_ERR_FORMAT,
                            "damaged checkpoint: a storage's view leaves the storage");
    }
    return RML_OK;
}

// Exactly as many elements as announced: a mismatch is how CVE-2026-24747 corrupts memory.
rml_status rml_torch_storage(const rml_torch *t, rml_pickle_ref storage, rml_storage_id *id,
                             const uint8_t **data, size_t *bytes)
{
    char name[RML_QUOTE_BYTES], key[RML_QUOTE_BYTES];
    size_t stored = 0;
    RML_TRY(rml_storage_id_read(t->pickle, storage, id, t->err));
    *data = NULL;
    *bytes = 0;
    if (!id->type)
        return RML_OK;
    RML_TRY(t->source->find(t->source->context, id->key, id->key_bytes, data, &stored, t->err));
    const size_t element_bytes = (size_t)id->type->element_bytes;
    if (stored / element_bytes != id->elements)
        return rml_fail(t->err, RML_ERR_FORMAT,
                        "damaged checkpoint: storage \"%s\" of \"%s\" is announced with %llu "
                        "elements of %zu bytes, and the file holds %zu bytes",
                        rml_quote(key, id->key, id->key_bytes), rml_torch_quote(t, name),
                        (unsigned long long)id->elements, element_bytes, stored);
    *data += (size_t)id->view_offset * element_bytes; // inside `stored`, see rml_storage_id_read
    *bytes = (size_t)id->view_elements * element_bytes;
    return RML_OK;
}
