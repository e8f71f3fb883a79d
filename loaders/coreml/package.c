// Packages: a folder with a manifest, which says which file in Data/ is the model.
#include "loaders/coreml/reader.h"
#include "loaders/formats/beside.h"
#include "loaders/formats/json.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MANIFEST "Manifest.json"

static bool is_folder(const char *path)
{
    struct stat at;
    return stat(path, &at) == 0 && S_ISDIR(at.st_mode);
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static char *joined(const rml_allocator *allocator, const char *folder, const char *name)
{
    const size_t bytes = strlen(folder);
    char *path = rml_alloc(allocator, bytes + strlen(name) + 2);
    if (path) {
        strcpy(path, folder);
        strcat(strcat(path, bytes > 0 && folder[bytes - 1] == '/' ? "" : "/"), name);
    }
    return path;
}

bool rml_coreml_is_package(const char *path)
{
    return is_folder(path) || strcmp(last_name(path), MANIFEST) == 0;
}

// ---- the manifest -------------------------------------------------------------------------------

// The text behind a key, copied to `out`, which the caller frees.
static rml_status take_text(rml_json *json, const char *what, const rml_allocator *allocator,
                            char **out, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_TEXT, what, &token, err));
    rml_free(allocator, *out);
    *out = rml_alloc_text(allocator, token.text);
    return *out ? RML_OK : rml_fail_nomem(err, token.text_bytes, "a manifest");
}

// One item, behind its key: its path where it is the root.
static rml_status read_item(rml_json *json, bool is_root, const rml_allocator *allocator,
                            char **path, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "an item", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        if (is_root && strcmp(token.text, "path") == 0) {
            RML_TRY(take_text(json, "an item's path", allocator, path, err));
            continue;
        }
        RML_TRY(rml_json_next(json, &token, err));
        RML_TRY(rml_json_skip(json, &token, err));
    }
}

static rml_status read_items(rml_json *json, const char *root, const rml_allocator *allocator,
                             char **path, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "itemInfoEntries", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        RML_TRY(read_item(json, root && strcmp(token.text, root) == 0, allocator, path, err));
    }
}

// Than version 1.0.0.
static bool is_newer(const char *version)
{
    char *end;
    const long major = strtol(version, &end, 10);
    bool newer = major > 1;
    while (major == 1 && *end == '.')
        newer = strtol(end + 1, &end, 10) > 0 || newer;
    return newer;
}

// Goes over the manifest once: finds the root, or, once that is known, its path.
static rml_status read_manifest(rml_json *json, const rml_allocator *allocator, char **root,
                                char **path, rml_error *err)
{
    rml_json_token token;
    RML_TRY(rml_json_expect(json, RML_JSON_OBJECT_BEGIN, "a manifest", &token, err));
    for (;;) {
        RML_TRY(rml_json_next(json, &token, err));
        if (token.type == RML_JSON_OBJECT_END)
            return RML_OK;
        if (strcmp(token.text, "rootModelIdentifier") == 0 && !*root) {
            RML_TRY(take_text(json, "rootModelIdentifier", allocator, root, err));
        } else if (strcmp(token.text, "itemInfoEntries") == 0) {
            RML_TRY(read_items(json, *root, allocator, path, err));
        } else if (strcmp(token.text, "fileFormatVersion") == 0) {
            RML_TRY(rml_json_expect(json, RML_JSON_TEXT, "fileFormatVersion", &token, err));
            if (is_newer(token.text))
                return rml_fail(err, RML_ERR_UNSUPPORTED,
                                "format %.20s of packages is newer than this program, which knows "
                                "1.0.0",
                                token.text);
        } else {
            RML_TRY(rml_json_next(json, &token, err));
            RML_TRY(rml_json_skip(json, &token, err));
        }
    }
}

rml_status rml_coreml_root_of(const uint8_t *data, size_t size, const rml_allocator *allocator,
                              char **out, rml_error *err)
{
    char *root = NULL, *path = NULL;
    rml_status status = RML_OK;
    *out = NULL;
    for (int pass = 0; pass < 2 && status == RML_OK; pass++) { // the root may come last
        rml_json json;
        rml_json_begin(&json, data, size, allocator);
        status = read_manifest(&json, allocator, &root, &path, err);
        rml_json_release(&json);
    }
    if (status == RML_OK && !root)
        status = rml_fail(err, RML_ERR_FORMAT, "the manifest has no rootModelIdentifier");
    if (status == RML_OK && !path)
        status =
            rml_fail(err, RML_ERR_FORMAT, "the manifest has no path for its root \"%.80s\"", root);
    if (status == RML_OK && !(*out = joined(allocator, "Data", path)))
        status = rml_fail_nomem(err, strlen(path), "a path");
    rml_free(allocator, path);
    rml_free(allocator, root);
    return status;
}

static rml_status model_of(const char *manifest, const rml_allocator *allocator, char **out,
                           rml_error *err)
{
    char found[RML_BESIDE_PATH_BYTES];
    char *below = NULL;
    rml_mapfile map;
    RML_TRY(rml_mapfile_open(&map, manifest, err));
    rml_status status = rml_coreml_root_of(map.data, map.size, allocator, &below, err);
    rml_mapfile_close(&map);
    if (status == RML_OK)
        status = rml_beside_find(manifest, below, strlen(below), found, err);
    if (status != RML_OK)
        rml_error_prefix(err, manifest);
    if (status == RML_OK && !(*out = rml_alloc_text(allocator, found)))
        status = rml_fail_nomem(err, strlen(found), "a path");
    rml_free(allocator, below);
    return status;
}

rml_status rml_coreml_find_model(const char *path, const rml_allocator *allocator, char **out,
                                 rml_error *err)
{
    char *manifest = NULL;
    *out = NULL;
    if (is_folder(path)) {
        char *compiled = joined(allocator, path, "coremldata.bin");
        struct stat at;
        const bool is_compiled = compiled && stat(compiled, &at) == 0;
        rml_free(allocator, compiled);
        if (is_compiled)
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s: compiled Core ML model (.mlmodelc), which cannot be read; give "
                            "the .mlmodel or .mlpackage that it was made from",
                            path);
        manifest = joined(allocator, path, MANIFEST);
        if (manifest && stat(manifest, &at) != 0) {
            rml_free(allocator, manifest);
            return rml_fail(err, RML_ERR_FORMAT,
                            "%s: a folder without a " MANIFEST ", so no Core ML package", path);
        }
    } else {
        manifest = rml_alloc_text(allocator, path);
    }
    if (!manifest)
        return rml_fail_nomem(err, strlen(path), "a path");
    if (strcmp(last_name(manifest), MANIFEST) != 0) {
        *out = manifest;
        return RML_OK;
    }
    const rml_status status = model_of(manifest, allocator, out, err);
    rml_free(allocator, manifest);
    return status;
}
