#define _POSIX_C_SOURCE 200809L // strdup
#include "tools/compare/compare.h"

#include "tools/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

void side_keep(side *s, const char *name, const char *weight, rml_dtype dtype,
               const rml_shape *shape, const void *data)
{
    layer new = {.shape = *shape};
    if (s->count == s->capacity) {
        const size_t capacity = s->capacity ? 2 * s->capacity : 64;
        layer *grown = realloc(s->layers, capacity * sizeof *grown);
        if (!grown) {
            s->out_of_memory = true;
            return;
        }
        s->layers = grown;
        s->capacity = capacity;
    }
    if (!count_elements(shape, &new.count))
        return;
    layer_key(name, weight, new.key);
    new.name = strdup(name);
    new.data = malloc((new.count + 1) * sizeof *new.data);
    if (!new.name || !new.data) {
        free(new.name);
        free(new.data);
        s->out_of_memory = true;
        return;
    }
    rml_dtype_convert(dtype, data, RML_F32, new.data, new.count);
    s->layers[s->count++] = new;
}

static void observe(void *user, const rml_observed *value)
{
    side_keep(user, value->node, value->weight, value->dtype, &value->shape, value->data);
}

// The built-in network that the weights fit, or NULL.
static const char *recognise(side *s)
{
    const rml_model_desc *desc;
    for (size_t i = 0; (desc = rml_model_list(i)) != NULL; i++)
        if (rml_model_create(&s->model, desc->name, s->weights, NULL, NULL) == RML_OK)
            return desc->name;
    return NULL;
}

static rml_status open_model(side *s, const char *network, const char *function, rml_error *err)
{
    rml_model_settings built = rml_model_settings_default();
    built.keep_types = true; // inputs are converted
    built.function = function && is_coreml_file(s->path) ? function : NULL;
    if (is_graph_file(s->path) && !network)
        return rml_model_open(&s->model, s->path, &built, err);
    TRY(rml_weights_open(&s->weights, s->path, NULL, err));
    if (strcmp(rml_weights_format(s->weights), "numpy archive") == 0)
        return RML_OK;
    s->network = network ? network : recognise(s);
    if (s->model || !network)
        return RML_OK;
    return rml_model_create(&s->model, network, s->weights, &built, err);
}

rml_status side_open(side *s, const char *path, const char *network, const char *function,
                     const common_options *common, rml_error *err)
{
    *s = (side){.path = path};
    rml_status status = open_model(s, network, function, err);
    if (status == RML_OK && s->model) {
        rml_session_settings wanted = session_settings(common);
        wanted.observe = observe;
        wanted.observe_user = s;
        status = rml_session_create(&s->session, s->model, &wanted, err);
    }
    if (status != RML_OK)
        side_close(s);
    return status;
}

void side_close(side *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->layers[i].name);
        free(s->layers[i].data);
    }
    free(s->layers);
    rml_session_destroy(&s->session);
    rml_model_destroy(&s->model);
    rml_weights_close(&s->weights);
    *s = (side){.path = s->path};
}

rml_status side_read(side *s, rml_error *err)
{
    for (size_t i = 0; i < rml_weights_count(s->weights); i++) {
        const rml_weight_info info = rml_weights_at(s->weights, i);
        size_t count = 0;
        if (info.unreadable) {
            fprintf(stderr, "compare: %s: %s is of type %s and is left out\n", s->path, info.name,
                    info.type);
            continue;
        }
        count_elements(&info.shape, &count);
        float *data = malloc((count + 1) * sizeof *data);
        if (!data)
            return no_memory(err, count * sizeof *data, "a stored tensor");
        const rml_status status = rml_weights_read_f32(s->weights, i, data, count, err);
        if (status == RML_OK)
            side_keep(s, info.name, NULL, RML_F32, &info.shape, data);
        free(data);
        TRY(status);
    }
    return s->out_of_memory ? no_memory(err, 0, "stored tensors") : RML_OK;
}

const layer *side_find_key(const side *s, const char *key)
{
    for (size_t i = s->count; *key && i-- > 0;)
        if (strcmp(s->layers[i].key, key) == 0)
            return &s->layers[i];
    return NULL;
}

const layer *side_find_name(const side *s, const char *name)
{
    for (size_t i = s->count; i-- > 0;)
        if (strcmp(s->layers[i].name, name) == 0)
            return &s->layers[i];
    return NULL;
}

difference layer_difference(const layer *a, const layer *b)
{
    difference worst = {0, 0};
    double largest = 0;
    for (size_t i = 0; i < a->count; i++)
        if (fabs((double)a->data[i]) > largest)
            largest = fabs((double)a->data[i]);
    for (size_t i = 0; i < a->count; i++) {
        const double x = (double)a->data[i], y = (double)b->data[i];
        double error = fabs(x - y) / (largest > 0 ? largest : 1);
        if (x == y || (isnan(x) && isnan(y)))
            error = 0; // infinities too
        else if (isnan(error))
            error = INFINITY;
        if (error > worst.error)
            worst = (difference){error, i};
    }
    return worst;
}

// ---- names -----------------------------------------------------------------------------------

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
