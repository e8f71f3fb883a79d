// Which outputs of two runs belong together.
#include "pipelines/compare/align.h"
#include "tools/compare/compare.h"
#include "tools/report.h"

#include <stdlib.h>
#include <string.h>

// How sure it is that two outputs are one, from the surest on; each is asked of all before the
// next.
typedef enum sureness {
    GIVES_THE_SAME,
    HAS_THE_SHAPE,
    IS_AT_THE_PLACE,
    NOT_AT_ALL,
} sureness;

static bool same_shape(const rml_layer *a, const rml_layer *b)
{
    bool same = a->shape.rank == b->shape.rank;
    for (int i = 0; same && i < a->shape.rank; i++)
        same = a->shape.dim[i] == b->shape.dim[i];
    return same;
}

static bool fits(const rml_layer *a, const rml_layer *b, bool at_place, sureness sure)
{
    switch (sure) {
    case GIVES_THE_SAME:
        return a->count == b->count && rml_layer_difference(a, b).error <= RML_ALIKE;
    case HAS_THE_SHAPE:
        return same_shape(a, b);
    default:
        return at_place;
    }
}

// The output of B that is number `index` of A and not taken, or `count`.
static size_t find_partner(const output_pairs *pairs, size_t index, const rml_layer *const *of_b,
                           const bool *taken, size_t count, sureness sure)
{
    for (size_t step = 0; step < count; step++) {
        const size_t k = (index + step) % count; // its own place first
        if (of_b[k] && !taken[k] && fits(pairs->left[index], of_b[k], k == index, sure))
            return k;
    }
    return count;
}

// By names; `of_b` is what B has under other ones, NULL for those that are taken.
static void pair_names(const side *a, const side *b, output_pairs *out, const rml_layer **of_b)
{
    for (size_t i = 0; i < out->count; i++) {
        const char *name = rml_model_output(a->model, i).name;
        out->left[i] = rml_layers_find_name(&a->layers, name);
        out->right[i] = out->left[i] ? rml_layers_find_name(&b->layers, name) : NULL;
    }
    for (size_t k = 0; b->model && k < rml_model_output_count(b->model); k++) {
        of_b[k] = rml_layers_find_name(&b->layers, rml_model_output(b->model, k).name);
        for (size_t i = 0; i < out->count; i++)
            of_b[k] = of_b[k] == out->right[i] ? NULL : of_b[k];
    }
}

rml_status side_pair_outputs(const side *a, const side *b, output_pairs *out, rml_error *err)
{
    const size_t count = rml_model_output_count(a->model);
    const size_t others = b->model ? rml_model_output_count(b->model) : 0;
    const rml_layer **of_b = calloc(others + 1, sizeof *of_b);
    bool *taken = calloc(others + 1, sizeof *taken);
    *out = (output_pairs){.count = count,
                          .left = calloc(2 * count + 1, sizeof *out->left),
                          .moved = calloc(count + 1, sizeof *out->moved)};
    out->right = out->left ? out->left + count : NULL;
    const bool whole = of_b && taken && out->left && out->moved;
    if (whole)
        pair_names(a, b, out, of_b);
    for (sureness sure = GIVES_THE_SAME; sure < NOT_AT_ALL && whole; sure++)
        for (size_t i = 0; i < count; i++) {
            if (!out->left[i] || out->right[i] || others == 0)
                continue;
            const size_t k = find_partner(out, i, of_b, taken, others, sure);
            if (k == others)
                continue;
            out->right[i] = of_b[k];
            out->moved[i] = true;
            taken[k] = true;
        }
    free(of_b);
    free(taken);
    if (whole)
        return RML_OK;
    output_pairs_free(out);
    return no_memory(err, count * sizeof *out->left, "the outputs");
}

void output_pairs_free(output_pairs *pairs)
{
    free(pairs->left);
    free(pairs->moved);
    *pairs = (output_pairs){0};
}
