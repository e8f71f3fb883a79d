#define _XOPEN_SOURCE 700
#include "loaders/formats/beside.h"

#include "tensor/names.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#ifdef PATH_MAX // what realpath writes, at most
static_assert(RML_BESIDE_PATH_BYTES >= PATH_MAX, "room for a path");
#endif

bool rml_beside_is_plain(const char *path, size_t path_bytes)
{
    const char *at = path;
    if (!rml_text_is_clean(path, path_bytes) || strpbrk(path, "\\:"))
        return false;
    for (;;) {
        const size_t bytes = strcspn(at, "/");
        if (bytes == 0 || strncmp(at, ".", bytes) == 0 || (bytes == 2 && strncmp(at, "..", 2) == 0))
            return false;
        if (!at[bytes])
            return true;
        at += bytes + 1;
    }
}

// The model's folder, all links followed, with a "/" at its end.
static bool find_folder(const char *model_path, char folder[RML_BESIDE_PATH_BYTES])
{
    char copy[RML_BESIDE_PATH_BYTES];
    if (strlen(model_path) >= sizeof copy)
        return false;
    strcpy(copy, model_path);
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[1] = 0;
    if (!realpath(slash ? copy : ".", folder))
        return false;
    const size_t bytes = strlen(folder);
    if (bytes + 2 > RML_BESIDE_PATH_BYTES)
        return false;
    if (folder[bytes - 1] != '/') {
        folder[bytes] = '/';
        folder[bytes + 1] = 0;
    }
    return true;
}

rml_status rml_beside_find(const char *model_path, const char *location, size_t bytes,
                           char out[RML_BESIDE_PATH_BYTES], rml_error *err)
{
    char folder[RML_BESIDE_PATH_BYTES], joined[RML_BESIDE_PATH_BYTES], quoted[RML_QUOTE_BYTES];
    rml_quote(quoted, location, bytes);
    if (!rml_beside_is_plain(location, bytes))
        return rml_fail(err, RML_ERR_FORMAT, "\"%s\" is not a path inside the model's folder",
                        quoted);
    if (!find_folder(model_path, folder) || strlen(folder) + bytes >= sizeof joined)
        return rml_fail(err, RML_ERR_LIMIT, "the path of \"%s\" is too long", quoted);
    strcat(strcpy(joined, folder), location);
    if (!realpath(joined, out))
        return rml_fail(err, RML_ERR_IO, "cannot open \"%s\" beside the model: %s", quoted,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    if (strncmp(out, folder, strlen(folder)) != 0)
        return rml_fail(err, RML_ERR_FORMAT,
                        "\"%s\" is a link that leads out of the model's folder", quoted);
    return RML_OK;
}

rml_status rml_beside_map(const char *model_path, const char *location, size_t bytes,
                          rml_mapfile *out, rml_error *err)
{
    char path[RML_BESIDE_PATH_BYTES];
    RML_TRY(rml_beside_find(model_path, location, bytes, path, err));
    return rml_mapfile_open(out, path, err);
}
