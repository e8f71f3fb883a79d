// What a comparison says.
#include "pipelines/compare/align.h"
#include "pipelines/compare/weights.h"
#include "tools/compare/compare.h"
#include "tools/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(const rml_layer *layer)
{
    return *layer->key ? layer->key : layer->name;
}

// Without the name in B where names align.
static void print_layer(const compare_settings *s, const rml_layer *a, const rml_layer *b,
                        rml_difference d, const char *what, bool by_name)
{
    printf("%s%s ", what, name_of(a));
    print_shape(stdout, &a->shape);
    if (!by_name && strcmp(name_of(a), name_of(b)) != 0)
        printf(" and %s", name_of(b));
    if (a->count != b->count) {
        printf(": the other is ");
        print_shape(stdout, &b->shape);
    } else {
        printf(": %.2e of the largest value", d.error);
        if (d.error > s->tolerance)
            printf(", at element %zu: %g and %g", d.at, (double)a->data[d.at],
                   (double)b->data[d.at]);
    }
    printf("\n");
}

static void json_layer(const rml_layer *a, const rml_layer *b, rml_difference d, bool first)
{
    printf("%s{\"name\":", first ? "" : ",");
    json_text(name_of(a));
    printf(",\"shape\":");
    json_shape(&a->shape);
    if (a->count == b->count)
        printf(",\"error\":%.6g}", d.error > 1e300 ? 1e300 : d.error);
    else
        printf(",\"error\":null}");
}

static bool differs(const compare_settings *s, const rml_layer *a, const rml_layer *b,
                    rml_difference *d)
{
    *d = (rml_difference){0, 0};
    if (a->count != b->count)
        return true;
    *d = rml_layer_difference(a, b);
    return d->error > s->tolerance;
}

// The same numbers in other rows are another output.
static bool output_differs(const compare_settings *s, const rml_layer *a, const rml_layer *b,
                           rml_difference *d)
{
    return differs(s, a, b, d) || !rml_layer_same_shape(a, b);
}

// The first element that f16 does not hold.
static void look_for_overflow(const rml_layer *a, const rml_layer *b, verdict *v)
{
    for (size_t i = 0; i < a->count && i < b->count && !v->overflow; i++)
        if (isinf(b->data[i]) && isfinite(a->data[i])) {
            v->overflow = b;
            v->overflow_at = a->data[i];
        }
}

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Whether two layers have the same numbers, but for their order and signs: where all outputs agree,
// a format has the channels of a layer in an order of its own.
static bool are_permuted(const compare_settings *s, const rml_layer *a, const rml_layer *b)
{
    rml_layer copy[2] = {*a, *b};
    bool same = a->count == b->count;
    for (int k = 0; k < 2 && same; k++) {
        const rml_layer *from = k ? b : a;
        copy[k].data = malloc((from->count + 1) * sizeof *copy[k].data);
        same = copy[k].data != NULL;
        for (size_t i = 0; i < from->count && same; i++)
            copy[k].data[i] = fabsf(from->data[i]);
        if (same)
            qsort(copy[k].data, from->count, sizeof *copy[k].data, by_size);
        else
            copy[k].data = NULL;
    }
    same = same && rml_layer_difference(&copy[0], &copy[1]).error <= s->tolerance;
    for (int k = 0; k < 2; k++)
        if (copy[k].data != (k ? b : a)->data)
            free(copy[k].data);
    return same;
}

// What aligns by nothing but shape and order is not said to differ where all outputs agree: then it
// is another layer, or the same in other words.
static bool is_guess(const verdict *v, const rml_aligned *pair, bool bad)
{
    return bad && pair->how == RML_BY_ORDER && v->outputs > 0 && !v->outputs_differ;
}

static rml_status look_at_weights(const side *a, const side *b, const rml_layer *left,
                                  const rml_layer *right, verdict *v, rml_error *err)
{
    double difference;
    TRY(rml_weights_difference(a->model, left->name, b->model, right->name, &difference, err));
    if (difference <= RML_SAME_WEIGHTS)
        return RML_OK;
    v->first_unlike = v->unlike++ ? v->first_unlike : left;
    return RML_OK;
}

static rml_status compare_layers(const compare_settings *s, const side *a, const side *b,
                                 bool silent, verdict *v, rml_error *err)
{
    rml_aligned *pairs;
    size_t count;
    bool is_first = true;
    TRY(rml_layers_align(&a->layers, &b->layers, &pairs, &count, v->lonely, err));
    rml_status status = RML_OK;
    for (size_t i = 0; i < count; i++) {
        const rml_layer *left = pairs[i].left, *right = pairs[i].right;
        rml_difference d;
        const bool bad = differs(s, left, right, &d) &&
                         !(v->outputs > 0 && !v->outputs_differ && are_permuted(s, left, right));
        if (is_guess(v, &pairs[i], bad)) {
            v->lonely[0]++;
            v->lonely[1]++;
            continue;
        }
        v->aligned++;
        v->different += bad;
        v->by_value += pairs[i].how == RML_BY_VALUE;
        v->by_order += pairs[i].how == RML_BY_ORDER;
        if (bad && !v->first[0]) {
            v->first[0] = left;
            v->first[1] = right;
            v->first_by_name = pairs[i].how == RML_BY_NAME;
            v->how = d;
        }
        look_for_overflow(left, right, v);
        if (status == RML_OK && !bad && left->weighted && right->weighted && a->model && b->model &&
            !rounds(s) && !side_is_small(a) && !side_is_small(b))
            status = look_at_weights(a, b, left, right, v, err);
        if (s->common.json && !silent)
            json_layer(left, right, d, is_first);
        else if (s->all && !silent)
            print_layer(s, left, right, d, "", pairs[i].how == RML_BY_NAME);
        is_first = false;
    }
    rml_allocator_default()->release(rml_allocator_default()->user, pairs);
    return status;
}

// What A tells and B does not; a label follows from the numbers beside it.
static bool is_missing(const side *a, const side *b, const output_pairs *outputs, size_t index)
{
    const rml_meaning *meaning = rml_model_output(a->model, index).meaning;
    return b->model && outputs->left[index] && !outputs->right[index] &&
           !(meaning && meaning->kind == RML_MEANS_LABEL);
}

static void look_at_outputs(const compare_settings *s, const side *a, const side *b,
                            const output_pairs *outputs, verdict *v)
{
    rml_difference d;
    for (size_t i = 0; i < outputs->count; i++) {
        v->missing += is_missing(a, b, outputs, i);
        if (!outputs->right[i])
            continue;
        v->outputs++;
        v->outputs_differ =
            output_differs(s, outputs->left[i], outputs->right[i], &d) || v->outputs_differ;
    }
}

// Of one that B has not, or has with other sizes.
static void print_other(const rml_layer *left, const rml_layer *right)
{
    printf("output %s ", name_of(left));
    print_shape(stdout, &left->shape);
    printf(right ? ": the other is " : ": the other file has none\n");
    if (right) {
        print_shape(stdout, &right->shape);
        printf("\n");
    }
}

static void json_other(const rml_layer *left, bool first)
{
    printf("%s{\"name\":", first ? "" : ",");
    json_text(name_of(left));
    printf(",\"shape\":");
    json_shape(&left->shape);
    printf(",\"error\":null}");
}

static void print_outputs(const compare_settings *s, const side *a, const side *b,
                          const output_pairs *outputs)
{
    bool is_first = true;
    for (size_t i = 0; i < outputs->count; i++) {
        const rml_layer *left = outputs->left[i], *right = outputs->right[i];
        rml_difference d;
        if (!right && !is_missing(a, b, outputs, i))
            continue;
        const bool other = !right || !rml_layer_same_shape(left, right);
        if (!other)
            (void)differs(s, left, right, &d);
        if (s->common.json && other)
            json_other(left, is_first);
        else if (s->common.json)
            json_layer(left, right, d, is_first);
        else if (other)
            print_other(left, right);
        else
            print_layer(s, left, right, d, "output ", !outputs->moved[i]);
        is_first = false;
    }
}

static void print_found(const compare_settings *s, const side *b, const verdict *v)
{
    const size_t guessed = v->by_value + v->by_order;
    printf("%zu layers align by name", v->aligned - guessed);
    if (v->by_value)
        printf(", %zu by what they give", v->by_value);
    if (v->by_order)
        printf(", %zu by shape and order", v->by_order);
    printf("%s, %zu differ by more than %g\n", guessed ? ", since their names tell nothing" : "",
           v->different, s->tolerance);
    if (b->model && guessed && v->lonely[0] + v->lonely[1] > 0)
        printf("%zu layers of A and %zu of B align with nothing\n", v->lonely[0], v->lonely[1]);
    if (v->first[0])
        print_layer(s, v->first[0], v->first[1], v->how,
                    "the first that differs: ", v->first_by_name);
    if (v->unlike)
        printf("%zu layers give the same here and have other weights, %s the first: other inputs "
               "(--input) show what they do\n",
               v->unlike, name_of(v->first_unlike));
    if (v->overflow)
        printf("the first that overflows in f16: %s, where f32 has %g\n", v->overflow->name,
               (double)v->overflow_at);
}

static void json_found(const compare_settings *s, const verdict *v)
{
    printf("],\"tolerance\":%g,\"different\":%zu,\"by_value\":%zu,\"by_order\":%zu,"
           "\"lonely\":[%zu,%zu],\"first\":",
           s->tolerance, v->different, v->by_value, v->by_order, v->lonely[0], v->lonely[1]);
    if (v->first[0])
        json_text(name_of(v->first[0]));
    else
        printf("null");
    printf(",\"unlike\":%zu,\"overflow\":", v->unlike);
    if (v->overflow)
        json_text(v->overflow->name);
    else
        printf("null");
}

bool verdict_differs(const verdict *v)
{
    return v->different || v->outputs_differ || v->missing || v->others_differ || v->unlike;
}

rml_status judge(const compare_settings *s, const side *a, const side *b, verdict *v,
                 rml_error *err)
{
    output_pairs outputs;
    TRY(side_pair_outputs(a, b, &outputs, err));
    look_at_outputs(s, a, b, &outputs, v);
    output_pairs_free(&outputs);
    return compare_layers(s, a, b, true, v, err);
}

rml_status answer(const compare_settings *s, const side *a, const side *b, verdict *v,
                  rml_error *err)
{
    output_pairs outputs;
    TRY(side_pair_outputs(a, b, &outputs, err));
    look_at_outputs(s, a, b, &outputs, v);
    if (s->common.json)
        printf("{\"layers\":[");
    const rml_status status = compare_layers(s, a, b, false, v, err);
    if (status == RML_OK && s->common.json)
        printf("],\"outputs\":[");
    else if (status == RML_OK)
        print_found(s, b, v);
    if (status == RML_OK)
        print_outputs(s, a, b, &outputs);
    if (status == RML_OK && s->common.json)
        json_found(s, v);
    output_pairs_free(&outputs);
    return status;
}
