// Configs in files.
#define _POSIX_C_SOURCE 200809L
#include "loaders/weights/config.h"

#include "tensor/mapfile.h"

#include <stdio.h>
#include <string.h>

#include <sys/stat.h>

#define MAX_PATH_BYTES 4096

static void read_file(rml_config *config, const char *path)
{
    rml_mapfile file;
    const char *copy = rml_arena_text(&config->arena, path);
    if (!copy) {
        rml_fail_nomem(&config->error, strlen(path), "the path of the config");
        return;
    }
    config->name = copy;
    if (rml_mapfile_open(&file, path, &config->error) != RML_OK)
        return;
    rml_config_read_text(config, file.data, file.size);
    rml_mapfile_close(&file);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

// "<the first bytes of `folder`>/config.json"; false when it does not fit.
static bool inside(char *out, const char *folder, size_t folder_bytes)
{
    const int bytes = folder_bytes < MAX_PATH_BYTES ? (int)folder_bytes : MAX_PATH_BYTES;
    const char *slash = bytes && folder[bytes - 1] != '/' ? "/" : "";
    return snprintf(out, MAX_PATH_BYTES, "%.*s%s" RML_CONFIG_FILE_NAME, bytes, folder, slash) <
           MAX_PATH_BYTES;
}

void rml_config_read(rml_config *config, const char *source)
{
    char path[MAX_PATH_BYTES];
    if (source[0] == '{')
        rml_config_read_text(config, source, strlen(source));
    else if (!is_folder(source))
        read_file(config, source);
    else if (inside(path, source, strlen(source)))
        read_file(config, path);
    else
        rml_config_fail(config, RML_ERR_LIMIT, "its path is too long");
}

void rml_config_read_beside(rml_config *config, const char *path)
{
    char beside[MAX_PATH_BYTES];
    struct stat info;
    const char *slash = strrchr(path, '/');
    const size_t file_folder_bytes = slash ? (size_t)(slash + 1 - path) : 0;
    const size_t folder_bytes = is_folder(path) ? strlen(path) : file_folder_bytes;
    if (inside(beside, path, folder_bytes) && stat(beside, &info) == 0)
        read_file(config, beside);
}
