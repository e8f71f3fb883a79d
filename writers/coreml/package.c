#define _POSIX_C_SOURCE 200809L // lstat

#include "writers/coreml/package.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "Manifest.json"
#define MODEL "com.apple.CoreML/model.mlmodel"
#define WEIGHTS "com.apple.CoreML/weights"
#define MOST_DEPTH 16   // of folders in a package
#define MOST_BELOW 4096 // bytes of a name in it

// ---- folders ------------------------------------------------------------------------------------

static rml_status fail_path(const char *path, const char *what, rml_error *err)
{
    const int reason = errno;
    return rml_fail(err, RML_ERR_IO, "%s: cannot be %s: %s", path, what,
                    rml_errno_text(reason, (char[RML_ERRNO_BYTES]){0}));
}

// "<folder>/<name>"; NULL when memory is out.
static char *joined(const rml_allocator *allocator, const char *folder, const char *name)
{
    const size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = rml_alloc(allocator, bytes);
    if (path)
        snprintf(path, bytes, "%s/%s", folder, name);
    return path;
}

static rml_status make_folder(const char *folder, const char *name, const rml_allocator *allocator,
                              rml_error *err)
{
    rml_status status = RML_OK;
    char *path = joined(allocator, folder, name);
    if (!path)
        return rml_fail_nomem(err, strlen(folder), "the name of a folder");
    if (mkdir(path, 0777) != 0)
        status = fail_path(path, "made", err);
    rml_free(allocator, path);
    return status;
}

// Removes a file, or a folder with all that is in it, as far as that goes. Follows no links, and
// takes no memory: it is to go well where that is out. path[capacity] is written to on the way.
static void remove_all(char *path, size_t capacity, int depth)
{
    const size_t length = strlen(path);
    DIR *folder = NULL;
    struct stat at;
    if (lstat(path, &at) == 0 && S_ISDIR(at.st_mode) && depth < MOST_DEPTH)
        folder = opendir(path);
    for (const struct dirent *entry = NULL; folder && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (length + strlen(entry->d_name) + 2 > capacity)
            continue;
        snprintf(path + length, capacity - length, "/%s", entry->d_name);
        remove_all(path, capacity, depth + 1);
        path[length] = 0;
    }
    if (folder)
        closedir(folder);
    remove(path);
}

// Nothing, or a package.
static rml_status check_place(const char *path, bool *taken, const rml_allocator *allocator,
                              rml_error *err)
{
    struct stat at;
    *taken = lstat(path, &at) == 0;
    if (!*taken)
        return RML_OK;
    char *manifest = joined(allocator, path, MANIFEST);
    if (!manifest)
        return rml_fail_nomem(err, strlen(path), "the name of a file");
    const bool is_package = S_ISDIR(at.st_mode) && access(manifest, F_OK) == 0;
    rml_free(allocator, manifest);
    return is_package ? RML_OK
                      : rml_fail(err, RML_ERR_IO, "%s: is there already, and is no package", path);
}

// ---- the manifest -------------------------------------------------------------------------------

static uint64_t mixed(uint64_t hash, const uint8_t *data, size_t bytes)
{
    for (; bytes >= 8; data += 8, bytes -= 8) {
        uint64_t word = 0;
        for (int i = 0; i < 8; i++)
            word |= (uint64_t)data[i] << 8 * i;
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ data[i]) * 0x100000001B3u;
    return hash ^ hash >> 32;
}

static uint64_t hash_of(const rml_fields *model, const rml_blobs *blobs)
{
    uint64_t hash = mixed(0xCBF29CE484222325u, model->bytes, model->used);
    for (size_t i = 0; i < model->piece_count; i++)
        hash = mixed(hash, model->pieces[i].data, model->pieces[i].size);
    for (size_t i = 0; i < blobs->count; i++)
        hash = mixed(hash, blobs->blob[i].elements.data, blobs->blob[i].elements.bytes);
    return hash;
}

// 8-4-4-4-12 digits; the version says that it comes from contents.
static void write_uuid(char text[37], uint64_t hash, const char *salt)
{
    const uint64_t a = mixed(hash, (const uint8_t *)salt, strlen(salt));
    const uint64_t b = mixed(a, (const uint8_t *)salt, strlen(salt));
    snprintf(text, 37, "%08X-%04X-5%03X-%04X-%012llX", (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xFFFF), (unsigned)(a & 0xFFF),
             (unsigned)(b >> 48 & 0x3FFF) | 0x8000, (unsigned long long)(b & 0xFFFFFFFFFFFFu));
}

static void write_item(char *to, size_t room, const char *uuid, const char *about, const char *name,
                       const char *path)
{
    snprintf(to, room,
             "        \"%s\": {\n"
             "            \"author\": \"com.apple.CoreML\",\n"
             "            \"description\": \"CoreML Model %s\",\n"
             "            \"name\": \"%s\",\n"
             "            \"path\": \"%s\"\n"
             "        }",
             uuid, about, name, path);
}

static void write_manifest(rml_outfile *file, uint64_t hash, bool has_weights)
{
    char root[37], weights[37], text[2048], item[2][512];
    write_uuid(root, hash, MODEL);
    write_uuid(weights, hash, WEIGHTS);
    write_item(item[0], sizeof item[0], root, "Specification", "model.mlmodel", MODEL);
    write_item(item[1], sizeof item[1], weights, "Weights", "weights", WEIGHTS);
    const int first = has_weights && strcmp(weights, root) < 0;
    snprintf(text, sizeof text,
             "{\n"
             "    \"fileFormatVersion\": \"1.0.0\",\n"
             "    \"itemInfoEntries\": {\n"
             "%s%s%s\n"
             "    },\n"
             "    \"rootModelIdentifier\": \"%s\"\n"
             "}\n",
             item[first], has_weights ? ",\n" : "", has_weights ? item[!first] : "", root);
    rml_outfile_write(file, text, strlen(text));
}

// ---- the files ----------------------------------------------------------------------------------

typedef struct contents {
    const char *folder;
    const rml_fields *model;
    const rml_blobs *blobs;
    const rml_allocator *allocator;
} contents;

typedef enum part { PART_MANIFEST, PART_MODEL, PART_WEIGHTS } part;

static rml_status write_part(const contents *c, part which, rml_error *err)
{
    static const char *const names[] = {MANIFEST, "Data/" MODEL, "Data/" WEIGHTS "/weight.bin"};
    rml_outfile file;
    char *path = joined(c->allocator, c->folder, names[which]);
    if (!path)
        return rml_fail_nomem(err, strlen(c->folder), "the name of a file");
    rml_status status = rml_outfile_open(&file, path, c->allocator, err);
    rml_free(c->allocator, path);
    if (status != RML_OK)
        return status;
    if (which == PART_MANIFEST)
        write_manifest(&file, hash_of(c->model, c->blobs), c->blobs->count > 0);
    else if (which == PART_MODEL)
        status = rml_fields_write(c->model, &file, err);
    else
        rml_blobs_write(c->blobs, &file);
    return rml_outfile_finish(&file, status, err);
}

static rml_status write_parts(const contents *c, rml_error *err)
{
    if (mkdir(c->folder, 0777) != 0)
        return fail_path(c->folder, "made", err);
    RML_TRY(make_folder(c->folder, "Data", c->allocator, err));
    RML_TRY(make_folder(c->folder, "Data/com.apple.CoreML", c->allocator, err));
    RML_TRY(write_part(c, PART_MODEL, err));
    if (c->blobs->count) {
        RML_TRY(make_folder(c->folder, "Data/" WEIGHTS, c->allocator, err));
        RML_TRY(write_part(c, PART_WEIGHTS, err));
    }
    return write_part(c, PART_MANIFEST, err);
}

// `folder` becomes `path`; what was there is `old` then.
static rml_status take_place(const char *folder, const char *path, const char *old, bool taken,
                             rml_error *err)
{
    if (taken && rename(path, old) != 0)
        return fail_path(path, "replaced", err);
    if (rename(folder, path) != 0) {
        const rml_status status = fail_path(path, "written", err);
        if (taken)
            rename(old, path);
        return status;
    }
    return RML_OK;
}

// What is written, and then what is replaced, lie in one folder beside `path`, which is removed
// whatever happens; a run that was broken off between both moves left the only package there.
rml_status rml_package_write(const char *path, const rml_fields *model, const rml_blobs *blobs,
                             const rml_allocator *allocator, rml_error *err)
{
    bool taken;
    const size_t bytes = strlen(path) + 16, room = bytes + MOST_BELOW;
    char *beside = rml_alloc(allocator, room + 2 * bytes);
    if (!beside)
        return rml_fail_nomem(err, bytes, "the name of a folder");
    char *folder = beside + room, *old = folder + bytes;
    snprintf(beside, bytes, "%s.part", path);
    snprintf(folder, bytes, "%s.part/new", path);
    snprintf(old, bytes, "%s.part/old", path);
    struct stat at;
    if (lstat(path, &at) != 0 && lstat(old, &at) == 0)
        rename(old, path);
    rml_status status = check_place(path, &taken, allocator, err);
    if (status == RML_OK) {
        remove_all(beside, room, 0);
        if (mkdir(beside, 0777) != 0)
            status = fail_path(beside, "made", err);
    }
    const contents c = {folder, model, blobs, allocator};
    if (status == RML_OK)
        status = write_parts(&c, err);
    if (status == RML_OK)
        status = take_place(folder, path, old, taken, err);
    remove_all(beside, room, 0);
    rml_free(allocator, beside);
    return status;
}
