#include "pipelines/compare/align.h"

#include "tensor/alloc.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define MAX_ORDERED 2048 // layers that are aligned by shape and order

// ---- names --------------------------------------------------------------------------------------

bool rml_layer_same_letters(const char *a, const char *b)
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
    if (more < less || !rml_layer_same_letters(longer + more - less, key))
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

bool rml_layer_same_shape(const rml_layer *a, const rml_layer *b)
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

// ---- values -------------------------------------------------------------------------------------

static double largest_of(const rml_layer *layer)
{
    double largest = 0;
    for (size_t i = 0; i < layer->count; i++)
        if (fabs((double)layer->data[i]) > largest)
            largest = fabs((double)layer->data[i]);
    return largest;
}

// Whether no element of `b` is further from that of `a` than `limit`; what is no number is not
// near.
static bool near(const rml_layer *a, const rml_layer *b, double limit)
{
    for (size_t i = 0; i < a->count; i++)
        if (a->data[i] != b->data[i] && !(fabs((double)a->data[i] - (double)b->data[i]) <= limit))
            return false;
    return true;
}

// Where each layer of a side has its partner: its index there, or NONE.
#define NONE SIZE_MAX

typedef struct partners {
    size_t *of[2]; // of layers of the first run, and of the second
} partners;

// The layer of `to` that gives what `layer` does, none of whose is taken: the nearest one, and of
// equal ones the first.
static size_t find_alike(const rml_layer *layer, const rml_layers *to, const size_t *taken)
{
    const double largest = largest_of(layer);
    double limit = RML_ALIKE * largest;
    size_t found = NONE;
    for (size_t k = 0; k < to->count && largest > 0; k++) {
        const rml_layer *other = &to->items[k];
        if (taken[k] != NONE || !rml_layer_same_shape(layer, other) || !near(layer, other, limit))
            continue;
        const double error = rml_layer_difference(layer, other).error * largest;
        if (found == NONE || error < limit)
            found = k;
        limit = error < limit ? error : limit;
    }
    return found;
}

// Layers with weights whose names tell nothing, by what they give; the other side may have it of
// one that has none, as of a sign that is part of the weights here.
static size_t align_values(const rml_layers *a, const rml_layers *b, partners *known,
                           rml_aligned *out)
{
    const rml_layers *const sides[] = {a, b};
    size_t count = 0;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sides[side]->count; i++) {
            const rml_layer *layer = &sides[side]->items[i];
            if (!layer->weighted || known->of[side][i] != NONE)
                continue;
            const size_t k = find_alike(layer, sides[1 - side], known->of[1 - side]);
            if (k == NONE)
                continue;
            known->of[side][i] = k;
            known->of[1 - side][k] = i;
            out[count++] = side == 0 ? (rml_aligned){layer, &b->items[k], RML_BY_VALUE}
                                     : (rml_aligned){&a->items[k], layer, RML_BY_VALUE};
        }
    return count;
}

// Whether a side has layers with weights; stored tensors have none, and names that tell what they
// are.
static bool has_weights(const rml_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++)
        if (layers->items[i].weighted)
            return true;
    return false;
}

// Layers without weights that give the same: they are not compared, but tell what is next to what.
static void mark_alike(const rml_layers *a, const rml_layers *b, partners *known)
{
    for (size_t i = 0; i < a->count; i++) {
        const size_t k = a->items[i].weighted || known->of[0][i] != NONE
                             ? NONE
                             : find_alike(&a->items[i], b, known->of[1]);
        if (k == NONE || b->items[k].weighted)
            continue;
        known->of[0][i] = k;
        known->of[1][k] = i;
    }
}

// ---- order --------------------------------------------------------------------------------------

// A layer without a partner, and the layers of the second run whose partners are next to it: NONE
// for the ends.
typedef struct lone {
    const rml_layer *layer;
    size_t before, after;
} lone;

// Those of a side that have weights.
static size_t list_lone(const rml_layers *layers, const partners *known, int side, lone *out)
{
    const size_t *partner = known->of[side];
    size_t count = 0, last = NONE;
    for (size_t i = 0, marked = 0; i < layers->count; i++) {
        if (partner[i] != NONE) {
            last = side == 0 ? partner[i] : i;
            for (; marked < count; marked++)
                out[marked].after = last;
        } else if (layers->items[i].weighted && count < MAX_ORDERED) {
            out[count++] = (lone){&layers->items[i], last, NONE};
        }
    }
    return count;
}

// Next to the same layer, on either side of it: the order of what does not need each other is free.
static bool may_pair(const lone *a, const lone *b)
{
    return rml_layer_same_shape(a->layer, b->layer) &&
           (a->before == b->before || a->after == b->after ||
            (a->before != NONE && a->before == b->after) ||
            (a->after != NONE && a->after == b->before));
}

// The longest common sequence, from its end: length[i][k] is that of what is behind i and k.
static size_t align_order(const lone *a, size_t a_count, const lone *b, size_t b_count,
                          uint16_t *length, rml_aligned *out)
{
    const size_t row = b_count + 1;
    size_t count = 0;
    for (size_t i = a_count; i-- > 0;)
        for (size_t k = b_count; k-- > 0;) {
            const uint16_t skip_a = length[(i + 1) * row + k], skip_b = length[i * row + k + 1];
            const uint16_t skip = skip_a > skip_b ? skip_a : skip_b;
            const uint16_t both = (uint16_t)(length[(i + 1) * row + k + 1] + 1);
            length[i * row + k] = may_pair(&a[i], &b[k]) && both > skip ? both : skip;
        }
    for (size_t i = 0, k = 0; i < a_count && k < b_count;) {
        const uint16_t skip_a = length[(i + 1) * row + k], skip_b = length[i * row + k + 1];
        if (may_pair(&a[i], &b[k]) && length[i * row + k] == length[(i + 1) * row + k + 1] + 1)
            out[count++] = (rml_aligned){a[i++].layer, b[k++].layer, RML_BY_ORDER};
        else if (skip_a >= skip_b)
            i++;
        else
            k++;
    }
    return count;
}

// ---- all ----------------------------------------------------------------------------------------

static const rml_layer *find_weighted(const rml_layers *layers, const char *name)
{
    for (size_t i = layers->count; i-- > 0;)
        if (layers->items[i].weighted && strcmp(layers->items[i].name, name) == 0)
            return &layers->items[i];
    return NULL;
}

// What the layer with weights of this name gives: the last of its shape, as rounded; a change of
// shape alone may be behind it. Without weights the last of all.
static const rml_layer *find_given(const rml_layers *layers, const char *name)
{
    const rml_layer *weighted = find_weighted(layers, name);
    const rml_layer *last = rml_layers_find_name(layers, name);
    for (size_t i = layers->count; weighted && i-- > 0;)
        if (rml_layer_same_shape(&layers->items[i], weighted) &&
            strcmp(layers->items[i].name, name) == 0)
            return &layers->items[i];
    return last;
}

// What is made of a layer before the next one with weights, where it is what the other side has: a
// format may have a layer in two parts, as a larger transposed convolution and what cuts it, or an
// activation behind it. The nearest; the layer itself where none is near.
static const rml_layer *later_part(const rml_layers *layers, const rml_layer *layer,
                                   const rml_layer *like)
{
    const rml_layer *found = layer, *end = layers->items + layers->count;
    double least = RML_ALIKE;
    for (const rml_layer *next = layer + 1; next < end && !next->weighted; next++) {
        const double error =
            rml_layer_same_shape(next, like) ? rml_layer_difference(like, next).error : INFINITY;
        if (error <= least) {
            found = next;
            least = error / 2; // further on only what is clearly nearer
        }
    }
    return found;
}

static bool is_near(const rml_layer *a, const rml_layer *b)
{
    return a->count == b->count && rml_layer_difference(a, b).error <= RML_ALIKE;
}

// Of a layer that is several there, the first of which has its name and another shape, the part of
// its shape: the one that is near, or else the first. Parts have more behind the name.
static const rml_layer *find_part(const rml_layers *layers, const rml_layer *like)
{
    const char *whole = *like->key ? like->key : like->name;
    const size_t length = strlen(whole);
    const rml_layer *found = NULL;
    for (size_t i = 0; i < layers->count; i++) {
        const rml_layer *layer = &layers->items[i];
        const char *part = *like->key ? layer->key : layer->name;
        if (strncmp(part, whole, length) != 0 || part[length] != '_' ||
            !rml_layer_same_shape(layer, like))
            continue;
        if (is_near(like, layer))
            return layer;
        found = found ? found : layer;
    }
    return found;
}

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
        } else if (!*left->key && left->weighted && find_weighted(a, left->name) == left) {
            right = find_given(b, left->name);
            left = find_given(a, left->name);
        }
        const rml_layer *part =
            right && !rml_layer_same_shape(left, right) ? find_part(b, left) : NULL;
        const rml_layer *other =
            part || !right || rml_layer_same_shape(left, right) ? NULL : find_part(a, right);
        right = part ? part : right;
        left = other ? other : left;
        if (right && !is_near(left, right)) {
            right = later_part(b, right, left);
            left = is_near(left, right) ? left : later_part(a, left, right);
        }
        if (right)
            out[count++] = (rml_aligned){left, right, RML_BY_NAME};
    }
    return count;
}

// Pairs by values and order stand behind the others; put them where the first run has them.
static void sort(rml_aligned *pairs, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && pairs[k].left < pairs[k - 1].left; k--) {
            const rml_aligned swap = pairs[k];
            pairs[k] = pairs[k - 1];
            pairs[k - 1] = swap;
        }
}

// Marks what has a partner, and the other values of its layer, which need none.
static void mark_pair(const rml_layers *layers, const rml_layer *of, size_t other, size_t *partner)
{
    for (size_t i = 0; i < layers->count; i++) {
        const rml_layer *layer = &layers->items[i];
        const bool same = *of->key ? strcmp(layer->key, of->key) == 0
                                   : !*layer->key && strcmp(layer->name, of->name) == 0;
        if (layer == of || (same && partner[i] == NONE))
            partner[i] = other;
    }
}

// All of them; false where memory is out.
static bool align(const rml_layers *a, const rml_layers *b, rml_aligned *pairs, size_t *count,
                  size_t lonely[2])
{
    const rml_allocator *allocator = a->allocator;
    size_t *const partner = rml_alloc_zero(allocator, a->count + b->count + 1, sizeof *partner);
    lone *const rest = rml_alloc_zero(allocator, 2 * MAX_ORDERED, sizeof *rest);
    partners known = {{partner, partner ? partner + a->count : NULL}};
    uint16_t *length = NULL;
    if (partner && rest) {
        for (size_t i = 0; i < a->count + b->count; i++)
            partner[i] = NONE;
        *count = align_names(a, b, pairs);
        for (size_t i = 0; i < *count; i++) {
            mark_pair(a, pairs[i].left, (size_t)(pairs[i].right - b->items), known.of[0]);
            mark_pair(b, pairs[i].right, (size_t)(pairs[i].left - a->items), known.of[1]);
        }
        if (has_weights(a) && has_weights(b))
            *count += align_values(a, b, &known, pairs + *count);
        lonely[0] = list_lone(a, &known, 0, rest);
        lonely[1] = list_lone(b, &known, 1, rest + MAX_ORDERED);
        if (lonely[0] > 0 && lonely[1] > 0)
            mark_alike(a, b, &known);
        lonely[0] = list_lone(a, &known, 0, rest);
        lonely[1] = list_lone(b, &known, 1, rest + MAX_ORDERED);
        length = rml_alloc_zero(allocator, (lonely[0] + 1) * (lonely[1] + 1), sizeof *length);
    }
    if (length) {
        const size_t found =
            align_order(rest, lonely[0], rest + MAX_ORDERED, lonely[1], length, pairs + *count);
        *count += found;
        lonely[0] -= found;
        lonely[1] -= found;
    }
    const bool whole = length != NULL;
    rml_free(allocator, partner);
    rml_free(allocator, rest);
    rml_free(allocator, length);
    return whole;
}

rml_status rml_layers_align(const rml_layers *a, const rml_layers *b, rml_aligned **out,
                            size_t *count, size_t lonely[2], rml_error *err)
{
    const size_t most = 2 * a->count + b->count + 1;
    rml_aligned *pairs = rml_alloc_zero(a->allocator, most, sizeof *pairs);
    *out = NULL;
    *count = lonely[0] = lonely[1] = 0;
    if (!pairs || !align(a, b, pairs, count, lonely)) {
        rml_free(a->allocator, pairs);
        return rml_fail_nomem(err, most * sizeof *pairs, "the layers that align");
    }
    sort(pairs, *count);
    *out = pairs;
    return RML_OK;
}
