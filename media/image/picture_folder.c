#include "media/image/picture_folder.h"

#include "tensor/alloc.h"
#include "tensor/status.h"

#include <stdio.h>
#include <string.h>

static rml_image_kind kind_at(const char *path)
{
    uint8_t head[RML_IMAGE_HEAD_BYTES];
    FILE *file = rml_image_names_stream(path) ? NULL : fopen(path, "rb");
    if (!file)
        return RML_IMAGE_NONE;
    const size_t size = fread(head, 1, sizeof head, file);
    fclose(file);
    return rml_image_kind_of(path, head, size);
}

static rml_status choose(rml_picture_folder *out, const char *folder, rml_error *err)
{
    rml_file_list *files = &out->files;
    const rml_allocator *allocator = files->arena.allocator;
    size_t kept = 0;
    if (files->count == 0)
        return RML_OK;
    RML_TRY(rml_make(allocator, &out->kinds, files->count, sizeof *out->kinds, "a list of images",
                     err));
    for (size_t i = 0; i < files->count; i++) {
        const char *name = files->paths[i], *path = rml_path_join(&files->arena, folder, name);
        if (!path)
            return rml_fail_nomem(err, strlen(name), "a path");
        const rml_image_kind kind = kind_at(path);
        if (kind == RML_IMAGE_NONE && rml_image_kind_named(name) == RML_IMAGE_NONE)
            continue;
        files->paths[kept] = name;
        out->kinds[kept++] = kind;
    }
    files->count = kept;
    return RML_OK;
}

rml_status rml_picture_folder_list(rml_picture_folder *out, const char *folder,
                                   const rml_folder_rules *rules, const rml_allocator *allocator,
                                   rml_error *err)
{
    *out = (rml_picture_folder){0};
    RML_TRY(rml_folder_list(&out->files, folder, rules, allocator, err));
    const rml_status status = choose(out, folder, err);
    if (status != RML_OK)
        rml_picture_folder_release(out);
    return status;
}

void rml_picture_folder_release(rml_picture_folder *folder)
{
    if (folder->kinds)
        rml_free(folder->files.arena.allocator, folder->kinds);
    rml_file_list_release(&folder->files);
    *folder = (rml_picture_folder){0};
}
