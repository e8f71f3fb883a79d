// Zip archives of torch.save: "<folder>/data.pkl" and one "<folder>/data/<key>" for each storage.
#include "loaders/weights/readers.h"
#include "loaders/weights/weights_store.h"
#include "tensor/size.h"

#include <string.h>

#define PICKLE_NAME "data.pkl"

typedef struct archive {
    rml_zip zip;
    const char *folder; // with its slash, in the mapped file; may be empty
    size_t folder_bytes;
    char *path; // room for folder + longest key
    size_t path_bytes;
    const char *storages; // the folder of those that are asked for
} archive;

static bool ends_with(const rml_zip_entry *entry, const char *end)
{
    size_t bytes = strlen(end);
    return entry->name_bytes >= bytes &&
           memcmp(entry->name + entry->name_bytes - bytes, end, bytes) == 0;
}

static const rml_zip_entry *any_ending(const rml_zip *zip, const char *end)
{
    for (size_t i = 0; i < zip->count; i++)
        if (ends_with(&zip->entry[i], end))
            return &zip->entry[i];
    return NULL;
}

// The entry "<folder>/<name>".
static const rml_zip_entry *in_folder(archive *a, const char *prefix, const char *name,
                                      size_t name_bytes)
{
    size_t prefix_bytes = strlen(prefix);
    size_t bytes = a->folder_bytes + prefix_bytes + name_bytes;
    if (name_bytes > a->path_bytes || bytes > a->path_bytes)
        return NULL;
    memcpy(a->path, a->folder, a->folder_bytes);
    memcpy(a->path + a->folder_bytes, prefix, prefix_bytes);
    memcpy(a->path + a->folder_bytes + prefix_bytes, name, name_bytes);
    return rml_zip_find(&a->zip, a->path, bytes);
}

static rml_status no_pickle(const archive *a, rml_error *err)
{
    const rml_zip *zip = &a->zip;
    char name[RML_QUOTE_BYTES];
    if (zip->count == 0)
        return rml_fail(err, RML_ERR_FORMAT, "zip archive without entries");
    if (any_ending(zip, "model.weights.h5"))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "Keras archive, whose HDF5 weights are not supported; convert them to "
                        "safetensors");
    if (any_ending(zip, "model.json"))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "TorchScript archive of PyTorch 1.0 to 1.2 or exported program of PyTorch "
                        "before 2.8, not a state_dict; load it in PyTorch and save its "
                        "state_dict()");
    if (any_ending(zip, ".pth") || any_ending(zip, ".pt") || any_ending(zip, ".safetensors"))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "zip archive with a weights file inside; unpack it first");
    return rml_fail(err, RML_ERR_FORMAT,
                    "zip archive that torch.save did not write: no \"%s\" among its %zu entries, "
                    "the first is \"%s\"",
                    PICKLE_NAME, zip->count,
                    rml_quote(name, zip->entry[0].name, zip->entry[0].name_bytes));
}

// The folder is named after the file as it was first saved, so that only "data.pkl" is known of it.
static rml_status find_folder(archive *a, const rml_zip_entry **pickle, rml_error *err)
{
    *pickle = NULL;
    size_t longest = 0;
    for (size_t i = 0; i < a->zip.count; i++) {
        const rml_zip_entry *entry = &a->zip.entry[i];
        if (entry->name_bytes > longest)
            longest = entry->name_bytes;
        size_t folder_bytes = entry->name_bytes - rml_min_size(entry->name_bytes, 8);
        bool at_top = folder_bytes == 0 || (entry->name[folder_bytes - 1] == '/' &&
                                            !memchr(entry->name, '/', folder_bytes - 1));
        if (!*pickle && at_top && ends_with(entry, PICKLE_NAME)) {
            *pickle = entry;
            a->folder = entry->name;
            a->folder_bytes = folder_bytes;
        }
    }
    if (!*pickle)
        return no_pickle(a, err);
    a->path_bytes = longest;
    a->path = rml_alloc(a->zip.allocator, longest);
    if (!a->path)
        return rml_fail_nomem(err, longest, "a name in a zip archive");
    return RML_OK;
}

static rml_status read_byte_order(archive *a, bool *swapped, rml_error *err)
{
    const rml_zip_entry *order = in_folder(a, "", "byteorder", strlen("byteorder"));
    const uint8_t *data = NULL;
    size_t bytes = 0;
    *swapped = false;
    if (!order)
        return RML_OK;
    RML_TRY(rml_zip_contents(&a->zip, order, &data, &bytes, err));
    *swapped = bytes == 3 && memcmp(data, "big", 3) == 0;
    if (*swapped || (bytes == 6 && memcmp(data, "little", 6) == 0))
        return RML_OK;
    char text[RML_QUOTE_BYTES];
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "saved on a machine of \"%s\" byte order, and only \"little\" and \"big\" are "
                    "supported",
                    rml_quote(text, (const char *)data, bytes));
}

static rml_status find_storage(void *context, const char *key, size_t key_bytes,
                               const uint8_t **data, size_t *bytes, rml_error *err)
{
    archive *a = context;
    const rml_zip_entry *entry = in_folder(a, a->storages, key, key_bytes);
    if (!entry) {
        char quoted[RML_QUOTE_BYTES];
        return rml_fail(err, RML_ERR_FORMAT, "damaged checkpoint: storage \"%s\" is missing",
                        rml_quote(quoted, key, key_bytes));
    }
    return rml_zip_contents(&a->zip, entry, data, bytes, err);
}

// Constants of a TorchScript program; in one that is frozen they are the weights, without names.
static rml_status read_constants(archive *a, const rml_zip_entry *entry,
                                 const rml_storage_source *source, rml_weights *weights,
                                 rml_error *err)
{
    const uint8_t *data = NULL;
    size_t bytes = 0;
    rml_pickle pickle;
    RML_TRY(rml_zip_contents(&a->zip, entry, &data, &bytes, err));
    RML_TRY(rml_pickle_read(&pickle, data, bytes, a->zip.allocator, err));
    a->storages = "constants/";
    const rml_status status = rml_state_dict_add_beside(weights, &pickle, source, "constants", err);
    rml_pickle_release(&pickle);
    return status;
}

static rml_status read_archive(archive *a, rml_weights *weights, rml_error *err)
{
    const rml_zip_entry *entry = NULL;
    const uint8_t *data = NULL;
    size_t bytes = 0;
    RML_TRY(find_folder(a, &entry, err));
    rml_storage_source source = {.find = find_storage, .context = a};
    RML_TRY(read_byte_order(a, &source.swapped, err));
    const rml_zip_entry *constants = in_folder(a, "", "constants.pkl", strlen("constants.pkl"));
    source.is_script = constants != NULL;
    if (constants) {
        weights->format = "torchscript";
        const rml_status status = read_constants(a, constants, &source, weights, err);
        if (status == RML_ERR_NOMEM) // others are no reason not to read the rest
            return status;
    }
    a->storages = "data/";
    RML_TRY(rml_zip_contents(&a->zip, entry, &data, &bytes, err));
    rml_pickle pickle;
    RML_TRY(rml_pickle_read(&pickle, data, bytes, a->zip.allocator, err));
    rml_status status = rml_state_dict_add(weights, &pickle, &source, err);
    rml_pickle_release(&pickle);
    return status;
}

rml_status rml_read_torch_zip(rml_weights *weights, const uint8_t *data, size_t size,
                              rml_error *err)
{
    archive a = {0};
    RML_TRY(rml_zip_open(&a.zip, data, size, rml_weights_allocator(weights), err));
    const rml_zip_entry *config = NULL;
    rml_status status;
    if (rml_zip_is_npz(&a.zip)) {
        weights->format = "numpy archive";
        status = rml_read_npz(weights, &a.zip, err);
    } else if (rml_zip_is_pt2(&a.zip, &config)) {
        weights->format = "exported program";
        status = rml_read_pt2(weights, &a.zip, config, err);
    } else {
        status = read_archive(&a, weights, err);
    }
    rml_free(a.zip.allocator, a.path);
    rml_zip_release(&a.zip);
    return status;
}
