// NumPy archives (.npz): a zip archive with one .npy file for each array.
#include "loaders/formats/npy.h"
#include "loaders/weights/weights_store.h"
#include "tensor/dtype.h"

#include <string.h>

// What is no plain array, or is compressed, is listed and not read. `what` says why where NumPy's
// own name of the type does not.
static rml_status add_unreadable(rml_weights *weights, const rml_zip_entry *entry,
                                 const rml_npy *npy, const char *what, rml_error *err)
{
    char type[sizeof npy->descr + 8] = "numpy:", clean[sizeof npy->descr];
    rml_weight weight = {.unreadable = true, .stored.shape = npy->shape};
    if (npy->element_bytes) // then it is its shape that cannot be had
        strcpy(type, rml_dtype_name(npy->dtype));
    else if (*npy->descr)
        strcat(type, rml_text_clean(clean, sizeof clean, npy->descr, strlen(npy->descr)));
    else
        strcpy(type, what);
    weight.type = rml_arena_text(&weights->arena, type);
    if (!weight.type)
        return rml_fail_nomem(err, sizeof type, "the type of a weight");
    return rml_weights_add(weights, entry->name, entry->name_bytes - strlen(".npy"), &weight, 0,
                           false, err);
}

static rml_status add_array(rml_weights *weights, const rml_zip *zip, const rml_zip_entry *entry,
                            rml_error *err)
{
    const size_t name_bytes = entry->name_bytes - strlen(".npy");
    const uint8_t *data = NULL;
    size_t bytes = 0;
    rml_npy npy = {.shape.rank = RML_RANK_UNKNOWN};
    rml_status status = rml_zip_contents(zip, entry, &data, &bytes, err);
    if (status == RML_ERR_UNSUPPORTED)
        return add_unreadable(weights, entry, &npy, entry->method ? "compressed" : "encrypted",
                              err);
    RML_TRY(status);
    status = rml_npy_parse(&npy, data, bytes, "an array", err);
    if (status == RML_ERR_UNSUPPORTED)
        return add_unreadable(weights, entry, &npy, "numpy", err);
    RML_TRY(status);
    rml_weight weight = {.stored = rml_stored_plain(npy.data, npy.dtype, &npy.shape)};
    weight.stored.coding.swapped = npy.swapped;
    if (npy.fortran)
        rml_stored_turn(&weight.stored);
    return rml_weights_add(weights, entry->name, name_bytes, &weight,
                           bytes - (size_t)(npy.data - data), false, err);
}

bool rml_zip_is_npz(const rml_zip *zip)
{
    for (size_t i = 0; i < zip->count; i++) {
        const rml_zip_entry *entry = &zip->entry[i];
        if (entry->name_bytes <= 4 || memcmp(entry->name + entry->name_bytes - 4, ".npy", 4) != 0)
            return false;
    }
    return zip->count > 0;
}

static bool any_readable(const rml_weights *weights)
{
    size_t i = 0;
    while (i < weights->count && weights->weight[i].unreadable)
        i++;
    return i < weights->count;
}

rml_status rml_read_npz(rml_weights *weights, const rml_zip *zip, rml_error *err)
{
    const uint8_t *data = NULL;
    size_t bytes = 0;
    for (size_t i = 0; i < zip->count; i++) {
        const rml_zip_entry *entry = &zip->entry[i];
        const rml_status status = add_array(weights, zip, entry, err);
        if (status != RML_OK) {
            char quoted[RML_QUOTE_BYTES];
            rml_error_prefix(err, rml_quote(quoted, entry->name, entry->name_bytes));
            return status;
        }
    }
    // of an archive that is compressed as a whole there is nothing to tell but that
    return any_readable(weights) ? RML_OK
                                 : rml_zip_contents(zip, &zip->entry[0], &data, &bytes, err);
}
