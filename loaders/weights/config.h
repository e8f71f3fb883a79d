// Settings a network was published with: the config.json of a model hub's folder.
//
// Only the top level is kept: numbers, texts, true, false, and lists of these. A builder asks for
// what it needs; the first thing that does not fit is kept as an error, later calls give defaults,
// and whoever made the config checks once at the end:
//
//   const int64_t groups = rml_config_int(config, "norm_num_groups", 32, 1, 1024);
//   ...
//   if (config->error.status != RML_OK) ...
//
// A key that is missing or null has its default.
#ifndef RML_LOADERS_WEIGHTS_CONFIG_H
#define RML_LOADERS_WEIGHTS_CONFIG_H

#include "tensor/arena.h"

#define RML_CONFIG_FILE_NAME "config.json"
#define RML_CONFIG_MAX_BYTES ((size_t)1 << 20)
#define RML_CONFIG_MAX_KEYS 1024
#define RML_CONFIG_MAX_LIST 256 // items; a longer list is no setting of a network

typedef struct rml_config {
    rml_arena arena;
    struct rml_config_entry *entry;
    size_t count;
    const char *name; // of the file, for messages
    bool given;       // false: there is none, and everything has its default
    rml_error error;  // the first one
} rml_config;

// An empty config.
void rml_config_init(rml_config *config, const rml_allocator *allocator);
void rml_config_release(rml_config *config);

// Reads the JSON.
void rml_config_read_text(rml_config *config, const void *text, size_t bytes);

// Reads `source`: the path of a file, or of a folder with a config.json, or the JSON itself where
// it begins with "{".
void rml_config_read(rml_config *config, const char *source);

// Reads the config.json in the folder `path`, or in the folder of the file `path`, if there is one.
void rml_config_read_beside(rml_config *config, const char *path);

// Keeps "<file>: <sentence>" as the error, unless there is one.
void rml_config_fail(rml_config *config, rml_status status, const char *format, ...)
    RML_PRINTF(3, 4);

// A whole number from `min` to `max`.
int64_t rml_config_int(rml_config *config, const char *key, int64_t fallback, int64_t min,
                       int64_t max);

double rml_config_number(rml_config *config, const char *key, double fallback);
bool rml_config_bool(rml_config *config, const char *key, bool fallback);

// Which of `names` (NULL behind the last) the text is; any other is refused with the whole list.
int rml_config_choice(rml_config *config, const char *key, const char *const *names, int fallback);

// Lists: how many items there are, at most `capacity`; 0 when the key is missing or after an error.
// A single value is a list of one.
size_t rml_config_ints(rml_config *config, const char *key, int64_t min, int64_t max, int64_t *out,
                       size_t capacity);
size_t rml_config_choices(rml_config *config, const char *key, const char *const *names, int *out,
                          size_t capacity);

#endif
