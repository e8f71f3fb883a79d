#include "pipelines/compare/layers.h"

#include "tensor/alloc.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void rml_layers_keep(rml_layers *layers, const char *name, const char *weight, rml_dtype dtype,
                     const rml_shape *shape, const void *data)
{
    const rml_allocator *allocator = layers->allocator;
    rml_layer new = {.shape = *shape, .weighted = weight != NULL};
    if (!rml_shape_count(shape, &new.count))
        return;
    if (rml_reserve(allocator, &layers->items, &layers->capacity, layers->count + 1,
                    sizeof *layers->items, "layers", NULL) == RML_OK) {
        new.name = rml_alloc_text(allocator, name);
        new.data = rml_alloc_zero(allocator, new.count + 1, sizeof *new.data);
    }
    if (!new.name || !new.data) {
        rml_free(allocator, new.name);
        rml_free(allocator, new.data);
        layers->out_of_memory = true;
        return;
    }
    rml_layer_key(name, weight, new.key);
    rml_dtype_convert(dtype, data, RML_F32, new.data, new.count);
    layers->items[layers->count++] = new;
}

void rml_layers_observe(void *layers, const rml_observed *value)
{
    rml_layers *all = layers;
    rml_layers_keep(all, value->node, value->weight, value->dtype, &value->shape, value->data);
    // Rounded to f16 and back, a result is still that of its layer.
    rml_layer *last = all->count > 1 ? &all->items[all->count - 1] : NULL;
    if (last && strcmp(value->op, "cast") == 0 && strcmp(last->name, last[-1].name) == 0) {
        memcpy(last->key, last[-1].key, sizeof last->key);
        last->weighted = last[-1].weighted;
        last[-1].weighted = false;
    }
}

void rml_layers_release(rml_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++) {
        rml_free(layers->allocator, layers->items[i].name);
        rml_free(layers->allocator, layers->items[i].data);
    }
    if (layers->items)
        rml_free(layers->allocator, layers->items);
    *layers = (rml_layers){.allocator = layers->allocator};
}

const rml_layer *rml_layers_find_key(const rml_layers *layers, const char *key)
{
    for (size_t i = layers->count; *key && i-- > 0;)
        if (strcmp(layers->items[i].key, key) == 0)
            return &layers->items[i];
    return NULL;
}

const rml_layer *rml_layers_find_name(const rml_layers *layers, const char *name)
{
    for (size_t i = layers->count; i-- > 0;)
        if (strcmp(layers->items[i].name, name) == 0)
            return &layers->items[i];
    return NULL;
}

rml_difference rml_layer_difference(const rml_layer *a, const rml_layer *b)
{
    rml_difference worst = {0, 0};
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
            worst = (rml_difference){error, i};
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
        if (length > end && length - end < RML_LAYER_KEY_BYTES &&
            strcmp(weight + length - end, ends[i]) == 0) {
            memcpy(key, weight, length - end);
            key[length - end] = 0;
            return true;
        }
    }
    return false;
}

// Names that coremltools makes of those of a state dict: only letters, digits and underscores, and
// behind them what became of the numbers.
static bool from_coreml(const char *weight, char *key)
{
    static const char *const ends[] = {"_palettized", "_quantized", "_sparsified",
                                       "_cast_fp16",  "_to_fp16",   "_weight"};
    size_t length = strlen(weight);
    bool is_weight = false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t end = strlen(ends[i]);
        if (length <= end || strncmp(weight + length - end, ends[i], end) != 0)
            continue;
        length -= end;
        is_weight = i + 1 == sizeof ends / sizeof *ends;
    }
    if (!is_weight || strchr(weight, '.') || length >= RML_LAYER_KEY_BYTES)
        return false;
    memcpy(key, weight, length);
    key[length] = 0;
    return true;
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
        if (!again && used + bytes + 2 < RML_LAYER_KEY_BYTES) {
            used += (size_t)snprintf(key + used, RML_LAYER_KEY_BYTES - used, "%s%.*s",
                                     used ? "." : "", (int)bytes, at);
        }
        at = next;
    }
    return used > 0;
}

bool rml_layer_key(const char *node, const char *weight, char key[RML_LAYER_KEY_BYTES])
{
    key[0] = 0;
    if (weight && (from_weight(weight, key) || from_coreml(weight, key)))
        return true;
    if (node[0] == '/')
        return from_path(node, key);
    if (!strchr(node, '.') || strchr(node, '/') || strchr(node, ':'))
        return false;
    snprintf(key, RML_LAYER_KEY_BYTES, "%s", node);
    return true;
}
