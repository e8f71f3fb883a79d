// Files beside the model that hold the data of its tensors. A model names them, and a model is
// hostile input: what it names must lie in its own folder.
#define _XOPEN_SOURCE 700
#include "loaders/onnx/reader.h"

#include "tensor/status.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

// Names joined by single "/", none of them "." or "..": such a path leads nowhere else by itself.
static bool is_plain_path(const rml_onnx_text *path)
{
    const char *at = path->text;
    if (!rml_text_is_clean(path->text, path->bytes) || strpbrk(path->text, "\\:"))
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
static bool find_folder(const char *model_path, char folder[PATH_MAX])
{
    char copy[PATH_MAX];
    if (strlen(model_path) >= sizeof copy)
        return false;
    strcpy(copy, model_path);
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[1] = 0;
    if (!realpath(slash ? copy : ".", folder))
        return false;
    const size_t bytes = strlen(folder);
    if (bytes + 2 > PATH_MAX)
        return false;
    if (folder[bytes - 1] != '/') {
        folder[bytes] = '/';
        folder[bytes + 1] = 0;
    }
    return true;
}

// The path to open: links inside the folder are followed, one that leads out is refused.
static rml_status resolve(const rml_onnx_reader *reader, const rml_onnx_text *location,
                          char out[PATH_MAX])
{
    char folder[PATH_MAX], joined[PATH_MAX], quoted[RML_QUOTE_BYTES];
    rml_quote(quoted, location->text, location->bytes);
    if (!is_plain_path(location))
        return rml_fail(reader->err, RML_ERR_FORMAT,
                        "\"%s\" is not a path inside the model's folder", quoted);
    if (!find_folder(reader->file->path, folder) ||
        strlen(folder) + location->bytes >= sizeof joined)
        return rml_fail(reader->err, RML_ERR_LIMIT, "the path of \"%s\" is too long", quoted);
    strcat(strcpy(joined, folder), location->text);
    if (!realpath(joined, out))
        return rml_fail(reader->err, RML_ERR_IO, "cannot open \"%s\" beside the model: %s", quoted,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    if (strncmp(out, folder, strlen(folder)) != 0)
        return rml_fail(reader->err, RML_ERR_FORMAT,
                        "\"%s\" is a link that leads out of the model's folder", quoted);
    return RML_OK;
}

static rml_status map_file(rml_onnx_reader *reader, const rml_onnx_text *location, size_t *place)
{
    rml_onnx *file = reader->file;
    char path[PATH_MAX];
    size_t now = 0;
    if (!file->path)
        return rml_fail(reader->err, RML_ERR_UNSUPPORTED,
                        "they lie in another file, and this model is read from memory");
    RML_TRY(resolve(reader, location, path));
    if (file->external_count >= RML_ONNX_MAX_EXTERNAL_FILES)
        return rml_fail(reader->err, RML_ERR_LIMIT, "more than %d files of external data",
                        RML_ONNX_MAX_EXTERNAL_FILES);
    rml_mapfile *grown = rml_grow(file->allocator, file->external_file, &file->external_capacity,
                                  file->external_count + 1, sizeof *grown);
    if (!grown)
        return rml_fail_nomem(reader->err, sizeof *grown, "a list of files");
    file->external_file = grown;
    *place = file->external_count;
    RML_TRY(
        rml_names_add(&file->external, location->text, location->bytes, *place, &now, reader->err));
    RML_TRY(rml_mapfile_open(&grown[*place], path, reader->err));
    file->external_count++;
    return RML_OK;
}

rml_status rml_onnx_external(rml_onnx_reader *reader, const rml_onnx_text *location,
                             uint64_t offset, const uint8_t **data, size_t *available)
{
    const rml_onnx *file = reader->file;
    size_t place = 0;
    if (!rml_names_find(&file->external, location->text, location->bytes, &place))
        RML_TRY(map_file(reader, location, &place));
    const rml_mapfile *mapped = &file->external_file[place];
    const size_t begin = offset < mapped->size ? (size_t)offset : mapped->size;
    *data = begin < mapped->size ? mapped->data + begin : NULL;
    *available = mapped->size - begin;
    return RML_OK;
}
