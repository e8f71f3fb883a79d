#include "pipelines/compare/align.h"

#include "tensor/alloc.h"

#include <ctype.h>
#include <string.h>

#define MAX_ORDERED 2048 // layers that are aligned by shape and order

// ---- names --------------------------------------------------------------------------------------

static bool same_letters(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && (isalnum((unsigned char)*a) || isalnum((unsigned char)*b)))
            return false;
    return *a == *b;
}

// Whether `longer` is `key`, or that behind a prefix that ends a part of the name.
static bool ends_with(const char *longer, const char *key)
{
    const size_t more = strlen(longer), less = strlen(key);
    if (more < less || !same_letters(longer + more - less, key))
        return false;
    return more == less || !isalnum((unsigned char)longer[more - less - 1]);
}

static const rml_layer *find_like(const rml_layers *layers, const char *key)
{
    const rml_layer *found = NULL;
    for (size_t i = layers->count; i-- > 0;) {
        const rml_layer *layer = &layers->items[i];
        if (!*layer->key || (!ends_with(layer->key, key) && !ends_with(key, layer->key)))
            continue;
        if (!found)
            found = layer;
        else if (strcmp(found->key, layer->key) != 0)
            return NULL; // more than one
    }
    return found;
}

// ---- shapes -------------------------------------------------------------------------------------

static bool same_shape(const rml_layer *a, const rml_layer *b)
{
    int i = 0, k = 0;
    for (;;) {
        while (i < a->shape.rank && a->shape.dim[i] == 1)
            i++;
        while (k < b->shape.rank && b->shape.dim[k] == 1)
            k++;
        if (i == a->shape.rank || k == b->shape.rank)
            return i == a->shape.rank && k == b->shape.rank;
        if (a->shape.dim[i++] != b->shape.dim[k++])
            return false;
    }
}

// Layers with weights that have no partner yet.
static size_t list_rest(const rml_layers *layers, const rml_aligned *pairs, bool right,
                        const rml_layer **out)
{
    size_t count = 0;
    for (size_t i = 0; i < layers->count && count < MAX_ORDERED; i++) {
        bool taken = false;
        for (size_t k = 0; pairs[k].left && !taken; k++)
            taken = (right ? pairs[k].right : pairs[k].left) == &layers->items[i];
        if (layers->items[i].weighted && !taken)
            out[count++] = &layers->items[i];
    }
    return count;
}

// The longest common sequence, from its end: length[i][k] is that of what is behind i and k.
static size_t align_rest(const rml_layer *const *a, size_t a_count, const rml_layer *const *b,
                         size_t b_count, uint16_t *length, rml_aligned *out)
{
    const size_t row = b_count + 1;
    size_t count = 0;
    for (size_t i = a_count; i-- > 0;)
        for (size_t k = b_count; k-- > 0;) {
            const uint16_t skip_a = length[(i + 1) * row + k], skip_b = length[i * row + k + 1];
            length[i * row + k] = same_shape(a[i], b[k])
                                      ? (uint16_t)(length[(i + 1) * row + k + 1] + 1)
                                  : skip_a > skip_b ? skip_a
                                                    : skip_b;
        }
    for (size_t i = 0, k = 0; i < a_count && k < b_count;) {
        if (same_shape(a[i], b[k]))
            out[count++] = (rml_aligned){a[i++], b[k++], true};
        else if (length[(i + 1) * row + k] >= length[i * row + k + 1])
            i++;
        else
            k++;
    }
    return count;
}

// ---- all ----------------------------------------------------------------------------------------

static size_t align_names(const rml_layers *a, const rml_layers *b, rml_aligned *out)
{
    size_t count = 0;
    for (size_t i = 0; i < a->count; i++) {
        const rml_layer *left = &a->items[i];
        const rml_layer *right = NULL;
        // of several values of one layer the last is what it gives
        if (*left->key && rml_layers_find_key(a, left->key) == left) {
            right = rml_layers_find_key(b, left->key);
            right = right ? right : find_like(b, left->key);
        } else if (!*left->key && left->weighted && rml_layers_find_name(a, left->name) == left) {
            right = rml_layers_find_name(b, left->name);
        }
        if (right)
            out[count++] = (rml_aligned){left, right, false};
    }
    return count;
}

// Pairs by order stand behind the others; put them where the first run has them.
static void sort(rml_aligned *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && pairs[k].left < pairs[k - 1].left; k--) {
            const rml_aligned swap = pairs[k];
            pairs[k] = pairs[k - 1];
            pairs[k - 1] = swap;
        }
}

rml_status rml_layers_align(const rml_layers *a, const rml_layers *b, rml_aligned **out,
                            size_t *count, rml_error *err)
{
    const rml_allocator *allocator = a->allocator;
    const size_t most = 2 * a->count + 1;
    rml_aligned *pairs = rml_alloc_zero(allocator, most, sizeof *pairs);
    const rml_layer **rest = rml_alloc_zero(allocator, 2 * MAX_ORDERED, sizeof *rest);
    uint16_t *length = NULL;
    *out = NULL;
    *count = 0;
    if (pairs && rest) {
        const rml_layer **right = rest + MAX_ORDERED;
        *count = align_names(a, b, pairs);
        const size_t lefts = list_rest(a, pairs, false, rest);
        const size_t rights = list_rest(b, pairs, true, right);
        length = rml_alloc_zero(allocator, (lefts + 1) * (rights + 1), sizeof *length);
        if (length)
            *count += align_rest(rest, lefts, right, rights, length, pairs + *count);
    }
    const bool whole = length != NULL;
    rml_free(allocator, rest);
    rml_free(allocator, length);
    if (!whole) {
        rml_free(allocator, pairs);
        return rml_fail_nomem(err, most * sizeof *pairs, "the layers that align");
    }
    sort(pairs, *count);
    *out = pairs;
    return RML_OK;
}
