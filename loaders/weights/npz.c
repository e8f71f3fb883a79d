// NumPy archives (.npz): a zip archive with one .npy file for each array.
#include "loaders/formats/npy.h"
#include "loaders/weights/readers.h"

#include <string.h>

static rml_status add_array(rml_weights *weights, const rml_zip *zip, const rml_zip_entry *entry,
                            rml_error *err)
{
    const size_t name_bytes = entry->name_bytes - strlen(".npy");
    const uint8_t *data = NULL;
    size_t bytes = 0;
    rml_npy npy = {.data = NULL};
    int64_t stride[RML_MAX_RANK];
    RML_TRY(rml_zip_contents(zip, entry, &data, &bytes, err));
    RML_TRY(rml_npy_parse(&npy, data, bytes, "an array", err));
    if (npy.swapped)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "its elements are in big-endian byte order");
    int64_t distance = 1;
    for (int i = 0; i < npy.shape.rank; i++) {
        const int axis = npy.fortran ? i : npy.shape.rank - 1 - i;
        stride[axis] = distance;
        distance *= npy.shape.dim[axis];
    }
    return rml_weights_add_mapped(weights, entry->name, name_bytes, rml_npy_dtype(&npy), &npy.shape,
                                  stride, npy.data, bytes - (size_t)(npy.data - data), err);
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

rml_status rml_read_npz(rml_weights *weights, const rml_zip *zip, rml_error *err)
{
    for (size_t i = 0; i < zip->count; i++) {
        const rml_zip_entry *entry = &zip->entry[i];
        const rml_status status = add_array(weights, zip, entry, err);
        if (status != RML_OK) {
            char quoted[RML_QUOTE_BYTES];
            rml_error_prefix(err, rml_quote(quoted, entry->name, entry->name_bytes));
            return status;
        }
    }
    return RML_OK;
}
