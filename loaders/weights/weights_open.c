// Opens a file, the index of shards, or a folder laid out as on a model hub.
#define _POSIX_C_SOURCE 200809L
#include "loaders/coreml/file.h"
#include "loaders/weights/weights_store.h"

#include <stdio.h>
#include <string.h>

#include <sys/stat.h>

#define MAX_PATH_BYTES 4096

// Names of weights in a folder, the first that exists is taken. Whole files come before shards, and
// safetensors before pickles.
static const char *const folder_files[] = {
    "model.safetensors",
    "diffusion_pytorch_model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin.index.json",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "pytorch_model.fp16.bin",
    "diffusion_pytorch_model.fp16.bin",
};
#define FOLDER_FILES (sizeof folder_files / sizeof *folder_files)

// What lies in the folder DeepSpeed saves a training in, or in the one Lightning puts around that.
static const char *const deepspeed_files[] = {
    "zero_to_fp32.py",
    "mp_rank_00_model_states.pt",
    "zero_pp_rank_0_mp_rank_00_model_states.pt",
    "checkpoint/mp_rank_00_model_states.pt",
    "checkpoint/zero_pp_rank_0_mp_rank_00_model_states.pt",
};
#define DEEPSPEED_FILES (sizeof deepspeed_files / sizeof *deepspeed_files)

static bool exists(const char *path, bool *is_folder)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return false;
    *is_folder = S_ISDIR(info.st_mode);
    return true;
}

// `folder`/`name`; `folder_bytes` may end anywhere in `folder`. False when it does not fit.
static bool join(char *out, const char *folder, size_t folder_bytes, const char *name)
{
    size_t slash = folder_bytes > 0 && folder[folder_bytes - 1] != '/';
    if (folder_bytes + slash + strlen(name) >= MAX_PATH_BYTES)
        return false;
    memcpy(out, folder, folder_bytes);
    out[folder_bytes] = '/';
    strcpy(out + folder_bytes + slash, name);
    return true;
}

// Whether a folder is a package of Core ML.
static bool has_manifest(const char *folder)
{
    char path[MAX_PATH_BYTES];
    bool is_folder;
    return join(path, folder, strlen(folder), "Manifest.json") && exists(path, &is_folder);
}

static rml_status read_mapped(rml_weights *weights, const rml_mapfile *file, rml_file_format format,
                              rml_error *err)
{
    switch (format) {
    case RML_FILE_TORCH_ZIP:
        weights->format = "pytorch zip";
        return rml_read_torch_zip(weights, file->data, file->size, err);
    case RML_FILE_TORCH_LEGACY:
        weights->format = "pytorch legacy";
        return rml_read_torch_legacy(weights, file->data, file->size, err);
    case RML_FILE_SAFETENSORS:
        weights->format = "safetensors";
        return rml_read_safetensors(weights, file->data, file->size, err);
    case RML_FILE_ONNX:
    case RML_FILE_COREML:
        // The network in it takes the place of the built-in one; see rml_model_create.
        weights->format = format == RML_FILE_ONNX ? "onnx" : "coreml";
        if (!*weights->path) {
            weights->graph = file->data;
            weights->graph_bytes = file->size;
        }
        return RML_OK;
    case RML_FILE_JSON:
        break;
    }
    return rml_fail(err, RML_ERR_FORMAT, "JSON, where a file of weights is expected");
}

static rml_status open_shard(rml_weights *weights, const char *path, rml_error *err)
{
    const rml_shard_index *index = weights->index;
    const rml_mapfile *file = NULL;
    rml_file_format format;
    bool is_folder;
    if (!exists(path, &is_folder))
        return rml_fail(err, RML_ERR_IO, "%s: shard %zu of %zu is missing", path,
                        weights->shard + 1, index->file_count);
    RML_TRY(rml_weights_map(weights, path, &file, err));
    rml_status status = rml_file_sniff(file->data, file->size, &format, err);
    if (status == RML_OK)
        status = read_mapped(weights, file, format, err);
    return rml_named(status, err, path);
}

// Every tensor the index promises must have come.
static rml_status check_promises(const rml_weights *weights, const rml_shard_index *index,
                                 rml_error *err)
{
    rml_names present;
    rml_names_init(&present, weights->allocator);
    rml_status status = RML_OK;
    size_t now, place;
    for (size_t i = 0; status == RML_OK && i < weights->count; i++) {
        const char *name = weights->stored_name[i];
        status = rml_names_add(&present, name, strlen(name), i, &now, err);
    }
    for (size_t i = 0; status == RML_OK && i < index->tensor_count; i++) {
        const char *name = index->tensor[i];
        char quoted[RML_QUOTE_BYTES];
        if (rml_names_find(&present, name, strlen(name), &now))
            continue;
        rml_names_find(&index->tensors, name, strlen(name), &place);
        status = rml_fail(err, RML_ERR_FORMAT, "shard index puts \"%s\" into %s, which lacks it",
                          rml_quote(quoted, name, strlen(name)), index->file[place]);
    }
    rml_names_release(&present);
    return status;
}

static rml_status open_shards(rml_weights *weights, const char *path, const rml_shard_index *index,
                              rml_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t folder_bytes = slash ? (size_t)(slash - path) + 1 : 0;
    char shard_path[MAX_PATH_BYTES];
    weights->index = index;
    for (weights->shard = 0; weights->shard < index->file_count; weights->shard++) {
        const char *name = index->file[weights->shard];
        if (!join(shard_path, path, folder_bytes, name))
            return rml_fail(err, RML_ERR_LIMIT, "%s: the path of shard %s is too long", path, name);
        RML_TRY(open_shard(weights, shard_path, err));
    }
    weights->index = NULL;
    weights->format =
        strcmp(weights->format, "safetensors") == 0 ? "safetensors shards" : "pytorch shards";
    rml_status status = check_promises(weights, index, err);
    return rml_named(status, err, path);
}

static rml_status open_file(rml_weights *weights, const char *path, rml_error *err)
{
    const rml_mapfile *file = NULL;
    rml_file_format format;
    if (rml_coreml_is_package(path)) { // its manifest
        weights->format = "coreml";
        return RML_OK;
    }
    RML_TRY(rml_weights_map(weights, path, &file, err));
    rml_status status = rml_file_sniff(file->data, file->size, &format, err);
    if (status == RML_OK && format == RML_FILE_JSON) {
        rml_shard_index index;
        status = rml_shard_index_read(&index, file->data, file->size, weights->allocator, err);
        if (status == RML_OK) {
            status = open_shards(weights, path, &index, err);
            rml_shard_index_release(&index);
            return status; // its messages name the file already
        }
    } else if (status == RML_OK) {
        status = read_mapped(weights, file, format, err);
    }
    return rml_named(status, err, path);
}

static rml_status open_folder(rml_weights *weights, const char *folder, rml_error *err)
{
    char path[MAX_PATH_BYTES], looked_for[1024];
    size_t at = 0;
    bool is_folder;
    looked_for[0] = 0;
    if (has_manifest(folder)) {
        weights->format = "coreml"; // a package, which the importer opens by its path
        return RML_OK;
    }
    for (size_t i = 0; i < FOLDER_FILES; i++) {
        if (!join(path, folder, strlen(folder), folder_files[i]))
            return rml_fail(err, RML_ERR_LIMIT, "%s: the path is too long", folder);
        if (exists(path, &is_folder) && !is_folder)
            return open_file(weights, path, err);
        at += (size_t)snprintf(looked_for + at, sizeof looked_for - at, "%s%s", i ? ", " : "",
                               folder_files[i]);
    }
    for (size_t i = 0; i < DEEPSPEED_FILES; i++)
        if (join(path, folder, strlen(folder), deepspeed_files[i]) && exists(path, &is_folder))
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s: is a DeepSpeed checkpoint whose shards are not merged; run "
                            "\"python zero_to_fp32.py . merged\" in it and give what that makes",
                            folder);
    if (join(path, folder, strlen(folder), "model_index.json") && exists(path, &is_folder))
        return rml_fail(err, RML_ERR_IO,
                        "%s: is a pipeline of several models; give one of its folders (unet, vae)",
                        folder);
    return rml_fail(err, RML_ERR_IO, "%s: no weights in this folder; looked for %s", folder,
                    looked_for);
}

rml_status rml_file_kind(const char **out, const char *path, rml_error *err)
{
    rml_mapfile map;
    rml_file_format format = RML_FILE_JSON;
    bool is_folder = false;
    *out = NULL;
    if (!path || !*path)
        return rml_fail(err, RML_ERR_ARG, "the path of the file is empty");
    if (exists(path, &is_folder) && rml_coreml_is_package(path)) { // or any folder
        *out = is_folder && !has_manifest(path) ? "weights" : "coreml";
        return RML_OK;
    }
    RML_TRY(rml_mapfile_open(&map, path, err));
    rml_mapfile_expect(&map, RML_ACCESS_SCATTERED);
    const rml_status status = rml_file_sniff(map.data, map.size, &format, err);
    rml_mapfile_close(&map);
    if (status == RML_OK)
        *out = format == RML_FILE_ONNX ? "onnx" : format == RML_FILE_COREML ? "coreml" : "weights";
    return rml_named(status, err, path);
}

// `source` NULL: of the bytes.
static rml_status open_bytes(rml_weights **out, const rml_source *source, rml_mapfile bytes,
                             const rml_allocator *allocator, rml_error *err)
{
    rml_weights *weights = NULL;
    rml_file_format format = RML_FILE_JSON;
    *out = NULL;
    RML_TRY(rml_weights_create(&weights, allocator, err));
    rml_status status = RML_OK;
    if (source) {
        status = rml_source_read(source, weights->allocator, &bytes, err);
        if (status == RML_OK)
            status = rml_weights_own(weights, (void *)(uintptr_t)bytes.data, err);
    }
    if (status == RML_OK)
        status = rml_file_sniff(bytes.data, bytes.size, &format, err);
    if (status == RML_OK)
        status = read_mapped(weights, &bytes, format, err);
    if (status == RML_OK)
        status = rml_weights_finish(weights, err);
    if (status != RML_OK)
        rml_weights_close(&weights);
    *out = weights;
    return status;
}

rml_status rml_weights_open_memory(rml_weights **out, const void *data, size_t size,
                                   const rml_allocator *allocator, rml_error *err)
{
    return open_bytes(out, NULL, (rml_mapfile){data, size}, allocator, err);
}

rml_status rml_weights_open_source(rml_weights **out, const rml_source *source,
                                   const rml_allocator *allocator, rml_error *err)
{
    const rml_source none = {0};
    return open_bytes(out, source ? source : &none, (rml_mapfile){NULL, 0}, allocator, err);
}

rml_status rml_weights_open(rml_weights **out, const char *path, const rml_allocator *allocator,
                            rml_error *err)
{
    rml_weights *weights = NULL;
    bool is_folder = false;
    *out = NULL;
    if (!path || !*path)
        return rml_fail(err, RML_ERR_ARG, "the path of the weights is empty");
    RML_TRY(rml_weights_create(&weights, allocator, err));
    weights->path = rml_arena_text(&weights->arena, path);
    rml_status status;
    if (!weights->path)
        status = rml_fail_nomem(err, strlen(path) + 1, "the path of the weights");
    else if (exists(path, &is_folder) && is_folder)
        status = open_folder(weights, path, err);
    else
        status = open_file(weights, path, err);
    for (size_t i = 0; i < weights->file_count; i++)
        rml_mapfile_expect(&weights->file[i], RML_ACCESS_NORMAL);
    if (status == RML_OK) {
        status = rml_named(rml_weights_finish(weights, err), err, path);
    }
    if (status != RML_OK)
        rml_weights_close(&weights);
    *out = weights;
    return status;
}
