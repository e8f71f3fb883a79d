// Packages in a zip archive: read where they lie, as torch.save's archives are, or unpacked where
// they are compressed.
#include "loaders/coreml/reader.h"
#include "loaders/formats/beside.h"
#include "loaders/formats/bytes.h"
#include "loaders/formats/zip.h"

#include <string.h>

#define MANIFEST "Manifest.json"

bool rml_coreml_is_archive(const uint8_t *data, size_t size)
{
    return rml_zip_has(data, size, MANIFEST);
}

// The text of a name, without the "/" that folders end in.
static rml_status entry_name(const rml_zip_entry *entry, char out[RML_BESIDE_PATH_BYTES],
                             size_t *bytes, rml_error *err)
{
    char quoted[RML_QUOTE_BYTES];
    *bytes = entry->name_bytes;
    if (*bytes > 0 && entry->name[*bytes - 1] == '/')
        --*bytes;
    if (*bytes < RML_BESIDE_PATH_BYTES) {
        memcpy(out, entry->name, *bytes);
        out[*bytes] = 0;
        if (rml_beside_is_plain(out, *bytes))
            return RML_OK;
    }
    return rml_fail(err, RML_ERR_FORMAT, "entry \"%s\" of the archive is not a path inside it",
                    rml_quote(quoted, entry->name, entry->name_bytes));
}

// The manifest's entry: the only one in the archive, at its top or in a folder.
static rml_status find_manifest(const rml_zip *zip, const rml_zip_entry **out, rml_error *err)
{
    const size_t last = strlen(MANIFEST);
    char name[RML_BESIDE_PATH_BYTES], quoted[2][RML_QUOTE_BYTES];
    *out = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const rml_zip_entry *entry = &zip->entry[i];
        size_t bytes;
        RML_TRY(entry_name(entry, name, &bytes, err));
        if (bytes != entry->name_bytes || bytes < last ||
            strcmp(name + bytes - last, MANIFEST) != 0 ||
            (bytes > last && name[bytes - last - 1] != '/'))
            continue;
        if (*out)
            return rml_fail(err, RML_ERR_FORMAT,
                            "the archive holds two packages, \"%s\" and \"%s\": unpack it and give "
                            "the folder of one",
                            rml_quote(quoted[0], (*out)->name, (*out)->name_bytes),
                            rml_quote(quoted[1], entry->name, entry->name_bytes));
        *out = entry;
    }
    return *out ? RML_OK
                : rml_fail(err, RML_ERR_FORMAT,
                           "an archive without a " MANIFEST ", so no Core ML package");
}

static rml_status contents(rml_coreml *file, const rml_zip_entry *entry, rml_mapfile *out,
                           rml_error *err)
{
    return rml_zip_unpack(&file->zip, entry, &file->arena, &out->data, &out->size, err);
}

rml_status rml_coreml_entry(rml_coreml *file, const char *folder, size_t folder_bytes,
                            const char *location, rml_mapfile *out, rml_error *err)
{
    char path[RML_BESIDE_PATH_BYTES], quoted[RML_QUOTE_BYTES];
    const size_t bytes = strlen(location);
    rml_quote(quoted, location, bytes);
    if (!rml_beside_is_plain(location, bytes))
        return rml_fail(err, RML_ERR_FORMAT, "\"%s\" is not a path inside the model's folder",
                        quoted);
    if (folder_bytes + bytes >= sizeof path)
        return rml_fail(err, RML_ERR_LIMIT, "the path of \"%s\" is too long", quoted);
    memcpy(path, folder, folder_bytes);
    strcpy(path + folder_bytes, location);
    const rml_zip_entry *entry = rml_zip_find(&file->zip, path, folder_bytes + bytes);
    if (!entry)
        return rml_fail(err, RML_ERR_FORMAT, "the archive has no \"%s\"",
                        rml_quote(quoted, path, folder_bytes + bytes));
    return contents(file, entry, out, err);
}

rml_status rml_coreml_archive_manifest(rml_coreml *file, rml_mapfile *out, rml_error *err)
{
    const rml_zip_entry *manifest;
    RML_TRY(find_manifest(&file->zip, &manifest, err));
    return contents(file, manifest, out, err);
}

// Archives need not list folders: one is there where something lies in it.
bool rml_coreml_has_entry(const rml_coreml *file, const char *location)
{
    const rml_zip_entry *manifest;
    const size_t bytes = strlen(location);
    if (find_manifest(&file->zip, &manifest, NULL) != RML_OK)
        return false;
    const size_t before = manifest->name_bytes - strlen(MANIFEST);
    for (size_t i = 0; i < file->zip.count; i++) {
        const rml_zip_entry *entry = &file->zip.entry[i];
        const char *rest = entry->name + before;
        if (entry->name_bytes >= before + bytes &&
            memcmp(entry->name, manifest->name, before) == 0 &&
            memcmp(rest, location, bytes) == 0 &&
            (entry->name_bytes == before + bytes || rest[bytes] == '/'))
            return true;
    }
    return false;
}

rml_status rml_coreml_open_archive(rml_coreml *file, rml_error *err)
{
    const rml_zip_entry *manifest;
    rml_mapfile text;
    char *root = NULL;
    RML_TRY(rml_zip_open(&file->zip, file->map.data, file->map.size, file->allocator, err));
    RML_TRY(find_manifest(&file->zip, &manifest, err));
    RML_TRY(contents(file, manifest, &text, err));
    rml_status status = rml_coreml_root_of(text.data, text.size, file->allocator, &root, err);
    if (status == RML_OK) {
        const size_t before = manifest->name_bytes - strlen(MANIFEST), bytes = strlen(root);
        file->path = rml_alloc(file->allocator, before + bytes + 1);
        if (file->path) {
            memcpy(file->path, manifest->name, before);
            strcpy(file->path + before, root);
            status = rml_coreml_entry(file, file->path, before, file->path + before, &file->message,
                                      err);
        } else {
            status = rml_fail_nomem(err, before + bytes, "a path");
        }
    }
    rml_free(file->allocator, root);
    return status;
}
