#define _POSIX_C_SOURCE 200809L
#include "pipelines/denoise/denoise_list.h"

#include "media/files/files.h"
#include "media/image/picture_folder.h"
#include "tensor/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool is_there(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

// The first `length` bytes of `path` with `ending` behind them; NULL when memory is out.
static const char *with_ending(rml_arena *arena, const char *path, size_t length,
                               const char *ending)
{
    char *text = rml_arena_alloc(arena, length + strlen(ending) + 1, 1);
    if (text) {
        memcpy(text, path, length);
        strcpy(text + length, ending);
    }
    return text;
}

static const char *default_out(rml_arena *arena, const char *in, bool folder)
{
    const char *slash = strrchr(in, '/'), *dot = strrchr(in, '.');
    size_t length = strlen(in);
    while (folder && length > 1 && in[length - 1] == '/')
        length--;
    if (!folder && dot && dot > in && (!slash || dot > slash + 1))
        length = (size_t)(dot - in);
    return with_ending(arena, in, length, folder ? "_denoised" : "_denoised.png");
}

static rml_status add(rml_denoise_list *list, const char *in, const char *out,
                      const char *reference, rml_image_kind kind, rml_error *err)
{
    RML_TRY(rml_reserve(list->arena->allocator, &list->files, &list->capacity, list->count + 1,
                        sizeof *list->files, "a list of files", err));
    list->files[list->count++] = (rml_denoise_file){in, out, reference, kind};
    return RML_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// Where the image `name` of the folder goes, below the folder of results, and as what.
static rml_status target_of(rml_denoise_list *list, const rml_file_list *names, const char *name,
                            rml_image_kind *kind, const char **target, rml_error *err)
{
    *target = name;
    if (rml_image_kind_written(*kind))
        return RML_OK;
    const bool unread = *kind == RML_IMAGE_UNREAD; // nothing will be written
    *kind = rml_image_kind_written(RML_IMAGE_PNG) ? RML_IMAGE_PNG : RML_IMAGE_BMP;
    *target =
        with_ending(list->arena, name, strlen(name), *kind == RML_IMAGE_PNG ? ".png" : ".bmp");
    if (!*target)
        return rml_fail_nomem(err, strlen(name), "a path");
    if (!unread && bsearch(target, names->paths, names->count, sizeof *target, by_text))
        return rml_fail(err, RML_ERR_ARG, "%s and %s would both be written as %s", name, *target,
                        *target);
    return RML_OK;
}

static rml_status add_folder(rml_denoise_list *list, const rml_picture_folder *folder,
                             const char *in, const char *out, const char *reference, bool overwrite,
                             rml_error *err)
{
    rml_arena *arena = list->arena;
    for (size_t i = 0; i < folder->files.count; i++) {
        const char *name = folder->files.paths[i], *target;
        // What says nothing by its content cannot be read, and its name is as good.
        rml_image_kind kind = folder->kinds[i] ? folder->kinds[i] : rml_image_kind_named(name);
        RML_TRY(target_of(list, &folder->files, name, &kind, &target, err));
        const char *from = rml_path_join(arena, in, name), *to = rml_path_join(arena, out, target);
        const char *clean = reference ? rml_path_join(arena, reference, name) : NULL;
        if (!from || !to || (reference && !clean))
            return rml_fail_nomem(err, strlen(name), "a path");
        if (!overwrite && is_there(to))
            list->there_already++;
        else
            RML_TRY(add(list, from, to, clean, kind, err));
    }
    if (list->count + list->there_already == 0)
        return rml_fail(err, RML_ERR_ARG, "there are no images in this folder");
    return RML_OK;
}

static rml_status make(rml_denoise_list *list, const rml_denoise_wish *wish, const char *out,
                       rml_error *err)
{
    const char *in = wish->in;
    const bool folder = rml_is_folder(in);
    if (!out && !(out = default_out(list->arena, in, folder)))
        return rml_fail_nomem(err, strlen(in), "a path");
    if (same_file(in, out))
        return rml_fail(err, RML_ERR_ARG, "the result would take the place of its source");
    if (!folder) {
        RML_TRY(rml_picture_save_check(out, err));
        return add(list, in, out, wish->reference, rml_image_kind_named(out), err);
    }
    if (is_there(out) && !rml_is_folder(out))
        return rml_fail(err, RML_ERR_ARG, "the result of a folder is a folder, and %s is a file",
                        out);
    const rml_folder_rules rules = {out, true, wish->tell, wish->user};
    rml_picture_folder images;
    RML_TRY(rml_picture_folder_list(&images, in, &rules, list->arena->allocator, err));
    rml_status status = add_folder(list, &images, in, out, wish->reference, wish->overwrite, err);
    rml_picture_folder_release(&images);
    list->folder = out;
    list->below = in;
    return status;
}

rml_status rml_denoise_list_make(rml_denoise_list *list, const rml_denoise_wish *wish,
                                 const rml_allocator *allocator, rml_error *err)
{
    *list = (rml_denoise_list){0};
    list->arena = rml_arena_create(allocator);
    if (!list->arena)
        return rml_fail_nomem(err, sizeof *list->arena, "a list of files");
    rml_status status = make(list, wish, wish->out, err);
    if (status == RML_ERR_ARG)
        rml_error_prefix(err, wish->in);
    if (status != RML_OK)
        rml_denoise_list_release(list);
    return status;
}

void rml_denoise_list_note(const rml_denoise_list *list)
{
    if (list->folder && rml_is_below(list->folder, list->below))
        rml_results_note(list->folder, list->arena->allocator);
}

void rml_denoise_list_release(rml_denoise_list *list)
{
    if (list->arena)
        rml_free(list->arena->allocator, list->files);
    rml_arena_destroy(&list->arena);
    *list = (rml_denoise_list){0};
}
