#define _XOPEN_SOURCE 700
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX 8

// File names under which the weights of a network are shipped, published or saved by habit.
static const struct {
    const char *what;
    const char *files[NAMES_MAX];
} known[] = {
    {"wav2lip",
     {"wav2lip.safetensors", "wav2lip.pth", "wav2lip_gan.pth", "checkpoints/wav2lip.pth",
      "checkpoints/wav2lip_gan.pth"}},
    {"syncnet", {"syncnet.safetensors", "lipsync_expert.pth", "checkpoints/lipsync_expert.pth"}},
    {"detector",
     {"face_detection_yunet_2023mar.onnx", "face_detection_yunet.onnx", "yunet.onnx",
      "yunet_n_dynamic.onnx", "yunet_n_640_640.onnx", "yunet_n_320_320.onnx",
      "version-RFB-640.onnx", "version-RFB-320.onnx"}},
    {"s3fd", {"s3fd.safetensors", "s3fd.pth", "s3fd-619a316812.pth"}},
    {"ffdnet", {"ffdnet_color.safetensors", "ffdnet_color.pth", "net_rgb.pth"}},
    {"ffdnet-map", {"ffdnet_color.safetensors", "ffdnet_color.pth", "net_rgb.pth"}},
    {"ffdnet_gray", {"ffdnet_gray.safetensors", "ffdnet_gray.pth", "net_gray.pth"}},
    {"mobilenetv2",
     {"mobilenetv2.safetensors", "mobilenetv2.pth", "mobilenet_v2-7ebf99e0.pth",
      "mobilenet_v2-b0353104.pth"}},
    {"lstm", {"lstm.safetensors", "lstm.pth"}},
};
#define KNOWN_COUNT (sizeof known / sizeof known[0])

static bool look_in(const char *folder, const char *what, char *path)
{
    for (size_t k = 0; k < KNOWN_COUNT; k++) {
        if (strcmp(known[k].what, what) != 0)
            continue;
        for (int i = 0; i < NAMES_MAX && known[k].files[i]; i++) {
            struct stat info;
            int length = snprintf(path, FIND_PATH_BYTES, "%s/%s", folder, known[k].files[i]);
            if (length < FIND_PATH_BYTES && stat(path, &info) == 0 && S_ISREG(info.st_mode))
                return true;
        }
    }
    return false;
}

static bool fits(int length)
{
    return length > 0 && length < FIND_PATH_BYTES;
}

static bool named_folder(char *path)
{
    const char *home = getenv("RUN_MODEL_HOME");
    return home && *home && fits(snprintf(path, FIND_PATH_BYTES, "%s", home));
}

static bool user_folder(char *path)
{
    const char *data = getenv("XDG_DATA_HOME");
    if (data && data[0] == '/')
        return fits(snprintf(path, FIND_PATH_BYTES, "%s/run-model", data));
    const char *home = getenv("HOME");
    return home && *home &&
           fits(snprintf(path, FIND_PATH_BYTES, "%s/.local/share/run-model", home));
}

static bool program_folder(char *path)
{
    ssize_t length = readlink("/proc/self/exe", path, FIND_PATH_BYTES - 1);
    if (length <= 0)
        return false;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = 0;
    return true;
}

static bool find(const char *what, char *path)
{
    char folder[FIND_PATH_BYTES], beside[FIND_PATH_BYTES], plain[PATH_MAX];
    if (named_folder(folder) && look_in(folder, what, path))
        return true;
    if (user_folder(folder) && look_in(folder, what, path))
        return true;
    if (!program_folder(folder))
        return false;
    // build/<preset>/run-model lies two folders below the source tree.
    static const char *const places[] = {"../../data/weights", "../share/run-model"};
    for (int i = 0; i < 2; i++)
        if (fits(snprintf(beside, sizeof beside, "%s/%s", folder, places[i])) &&
            realpath(beside, plain) && look_in(plain, what, path))
            return true;
    return false;
}

bool weights_choose(weights_source *s, const char *what, const char *named)
{
    s->what = what;
    s->path = named ? named : find(what, s->found) ? s->found : NULL;
    return s->path != NULL;
}

rml_status weights_source_open(rml_weights **out, const weights_source *s, bool quiet,
                               rml_error *err)
{
    if (s->path == s->found && !quiet)
        fprintf(stderr, "%s weights: %s\n", s->what, s->path);
    TRY(rml_weights_open(out, s->path, NULL, err));
    for (size_t i = 0; i < rml_weights_metadata_count(*out) && !quiet; i++) {
        rml_metadata entry = rml_weights_metadata_at(*out, i);
        if (strcmp(entry.name, "note") == 0)
            fprintf(stderr, "%s weights, note: %s\n", s->what, entry.text);
    }
    return RML_OK;
}

int network_check(const char *command, const network_names *n, bool *is_file)
{
    char known_models[512];
    model_names(known_models, sizeof known_models);
    if (!n->model)
        return usage_error(command, "no network is named; there are: %s", known_models);
    *is_file = is_graph_file(n->model);
    if (!find_model(n->model) && !*is_file)
        return usage_error(command, "there is no network '%s'; there are: %s", n->model,
                           known_models);
    if (*is_file && (n->weights || n->config))
        return usage_error(command, "--%s is not used by %s, which holds its own",
                           n->weights ? "weights" : "config", n->model);
    if (!*is_file && n->function)
        return usage_error(command, "--function is not used by %s, a built-in network", n->model);
    return EXIT_DONE;
}

rml_status network_open(network *n, const char *name, const rml_model_settings *settings,
                        bool quiet, rml_error *err)
{
    if (!name && n->source.path == n->source.found && !quiet)
        fprintf(stderr, "%s: %s\n", n->source.what, n->source.path);
    if (!name)
        return rml_model_open(&n->model, n->source.path, settings, err);
    TRY(weights_source_open(&n->weights, &n->source, quiet, err));
    return rml_model_create(&n->model, name, n->weights, settings, err);
}

void network_close(network *n)
{
    rml_session_destroy(&n->session);
    rml_model_destroy(&n->model);
    rml_weights_close(&n->weights);
}

int weights_missing(const char *command, const char *what, const char *flag)
{
    char home[FIND_PATH_BYTES];
    for (size_t k = 0; k < KNOWN_COUNT; k++)
        if (strcmp(known[k].what, what) == 0 && (named_folder(home) || user_folder(home)))
            return usage_error(command,
                               "no weights for %s: give --%s FILE, or put %s or %s into %s", what,
                               flag, known[k].files[0], known[k].files[1], home);
    return usage_error(command, "no weights for %s: give --%s FILE", what, flag);
}
