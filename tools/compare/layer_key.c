#include "tools/compare/layer_key.h"

#include <stdio.h>
#include <string.h>

static bool from_weight(const char *weight, char *key)
{
    static const char *const ends[] = {".weight", ".weight_v",
                                       ".parametrizations.weight.original1"};
    const size_t length = strlen(weight);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t end = strlen(ends[i]);
        if (length > end && length - end < LAYER_KEY_BYTES &&
            strcmp(weight + length - end, ends[i]) == 0) {
            memcpy(key, weight, length - end);
            key[length - end] = 0;
            return true;
        }
    }
    return false;
}

// Folders of a path are modules; a list of modules comes twice, "layers/layers.3". The last part is
// the operator.
static bool from_path(const char *node, char *key)
{
    size_t used = 0;
    for (const char *at = node + 1; strchr(at, '/');) {
        const size_t bytes = strcspn(at, "/");
        const char *next = at + bytes + 1;
        const bool again = strncmp(next, at, bytes) == 0 && next[bytes] == '.';
        if (!again && used + bytes + 2 < LAYER_KEY_BYTES) {
            used += (size_t)snprintf(key + used, LAYER_KEY_BYTES - used, "%s%.*s", used ? "." : "",
                                     (int)bytes, at);
        }
        at = next;
    }
    return used > 0;
}

bool layer_key(const char *node, const char *weight, char key[LAYER_KEY_BYTES])
{
    key[0] = 0;
    if (weight && from_weight(weight, key))
        return true;
    if (node[0] == '/')
        return from_path(node, key);
    if (!strchr(node, '.') || strchr(node, '/') || strchr(node, ':'))
        return false;
    snprintf(key, LAYER_KEY_BYTES, "%s", node);
    return true;
}
