// run-model compare: one network in two formats, or against what ran elsewhere, layer by layer.
#include "pipelines/compare/align.h"
#include "tools/commands.h"
#include "tools/compare/compare.h"
#include "tools/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "compare"

// What was found out.
typedef struct verdict {
    size_t aligned, by_value, by_order, different, outputs;
    size_t lonely[2];          // layers with weights of each side that nothing aligns with
    const rml_layer *first[2]; // of each side, the first that differs
    bool first_by_name;
    rml_difference how;
    bool outputs_differ;
    const rml_layer *overflow; // the first of B that is infinite where that of A is not
    float overflow_at;         // what it is in A
} verdict;

static bool rounds(const compare_settings *s)
{
    return s->common.precision == RML_PRECISION_F16_ROUNDED;
}

// ---- the answer ---------------------------------------------------------------------------------

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

// The first element that f16 does not hold.
static void look_for_overflow(const rml_layer *a, const rml_layer *b, verdict *v)
{
    for (size_t i = 0; i < a->count && i < b->count && !v->overflow; i++)
        if (isinf(b->data[i]) && isfinite(a->data[i])) {
            v->overflow = b;
            v->overflow_at = a->data[i];
        }
}

// What aligns by nothing but shape and order is not said to differ where all outputs agree: then it
// is another layer, or the same in other words.
static bool is_guess(const verdict *v, const rml_aligned *pair, bool bad)
{
    return bad && pair->how == RML_BY_ORDER && v->outputs > 0 && !v->outputs_differ;
}

static rml_status compare_layers(const compare_settings *s, const side *a, const side *b,
                                 verdict *v, rml_error *err)
{
    rml_aligned *pairs;
    size_t count;
    bool is_first = true;
    TRY(rml_layers_align(&a->layers, &b->layers, &pairs, &count, v->lonely, err));
    for (size_t i = 0; i < count; i++) {
        const rml_layer *left = pairs[i].left, *right = pairs[i].right;
        rml_difference d;
        const bool bad = differs(s, left, right, &d);
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
        if (s->common.json)
            json_layer(left, right, d, is_first);
        else if (s->all)
            print_layer(s, left, right, d, "", pairs[i].how == RML_BY_NAME);
        is_first = false;
    }
    rml_allocator_default()->release(rml_allocator_default()->user, pairs);
    return RML_OK;
}

static void look_at_outputs(const compare_settings *s, const output_pairs *outputs, verdict *v)
{
    rml_difference d;
    for (size_t i = 0; i < outputs->count; i++)
        if (outputs->right[i]) {
            v->outputs++;
            v->outputs_differ =
                differs(s, outputs->left[i], outputs->right[i], &d) || v->outputs_differ;
        }
}

static void print_outputs(const compare_settings *s, const output_pairs *outputs)
{
    bool is_first = true;
    for (size_t i = 0; i < outputs->count; i++) {
        const rml_layer *left = outputs->left[i], *right = outputs->right[i];
        rml_difference d;
        if (!right)
            continue;
        (void)differs(s, left, right, &d);
        if (s->common.json)
            json_layer(left, right, d, is_first);
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
    printf(",\"overflow\":");
    if (v->overflow)
        json_text(v->overflow->name);
    else
        printf("null");
}

static rml_status answer(const compare_settings *s, const side *a, const side *b, verdict *v,
                         rml_error *err)
{
    output_pairs outputs;
    TRY(side_pair_outputs(a, b, &outputs, err));
    look_at_outputs(s, &outputs, v);
    if (s->common.json)
        printf("{\"layers\":[");
    const rml_status status = compare_layers(s, a, b, v, err);
    if (status == RML_OK && s->common.json)
        printf("],\"outputs\":[");
    else if (status == RML_OK)
        print_found(s, b, v);
    if (status == RML_OK)
        print_outputs(s, &outputs);
    if (status == RML_OK && s->common.json)
        json_found(s, v);
    output_pairs_free(&outputs);
    return status;
}

// ---- halves -------------------------------------------------------------------------------------

// What a device may make of a file with halves: its outputs rounded behind every operator, against
// its own weights in f32.
static rml_status show_spread(const compare_settings *s, const side *a, const side *b,
                              const rml_layer *inputs, rml_error *err)
{
    side rounded = {.path = NULL};
    common_options common = s->common;
    common.precision = RML_PRECISION_F16_ROUNDED;
    TRY(side_open(&rounded, b->path, NULL, s->function, &common, err));
    rml_status status = side_run(&rounded, a, inputs, err);
    const char *before = "";
    if (s->common.json)
        printf(",\"rounded\":[");
    for (size_t i = 0; i < rml_model_output_count(b->model) && status == RML_OK; i++) {
        const char *name = rml_model_output(b->model, i).name;
        const rml_layer *left = rml_layers_find_name(&b->layers, name);
        const rml_layer *right = rml_layers_find_name(&rounded.layers, name);
        if (!left || !right || left->count != right->count)
            continue;
        const double error = rml_layer_difference(left, right).error;
        if (s->common.json) {
            printf("%s{\"name\":", before);
            json_text(name);
            printf(",\"error\":%.6g}", error > 1e300 ? 1e300 : error);
            before = ",";
        } else {
            printf("its own weights, output %s: %.2e when every result is rounded to f16\n", name,
                   error);
        }
    }
    if (s->common.json)
        printf("]");
    side_close(&rounded);
    return status;
}

// Runs both, says how they differ, and of halves what they do to the outputs.
static rml_status run_and_answer(const compare_settings *s, side *a, side *b, verdict *v,
                                 rml_error *err)
{
    const size_t count = rml_model_input_count(a->model);
    rml_layer *inputs = calloc(count + 1, sizeof *inputs);
    if (!inputs)
        return no_memory(err, count * sizeof *inputs, "the inputs");
    rml_status status = compare_run(s, a, b, inputs, err);
    if (status == RML_OK)
        status = answer(s, a, b, v, err);
    if (status == RML_OK && side_is_small(b) && !rounds(s))
        status = show_spread(s, a, b, inputs, err);
    if (status == RML_OK && s->common.json)
        printf("}\n");
    for (size_t i = 0; i < count; i++)
        free(inputs[i].data);
    free(inputs);
    return status;
}

// Side `at` of the two. With f16-rounded the second one is, and the first is in f32, each operator
// for itself.
static rml_status open_side(const compare_settings *s, side sides[2], int at, const char *network,
                            rml_error *err)
{
    common_options common = s->common;
    sides[at].graphs = is_graph_file(s->paths[0]) && is_graph_file(s->paths[1]);
    if (rounds(s) && at == 0) {
        common.precision = RML_PRECISION_F32;
        sides[at].plain = true;
    }
    return side_open(&sides[at], s->paths[at], network, s->function, &common, err);
}

static rml_status run(const compare_settings *s, verdict *v, rml_error *err)
{
    side sides[2] = {{0}, {0}};
    // What is known of one side tells what the other is: weights first, a graph file by them.
    const int first = is_graph_file(s->paths[0]) && !is_graph_file(s->paths[1]) ? 1 : 0;
    rml_status status = open_side(s, sides, first, s->network, err);
    const char *network = s->network ? s->network : sides[first].network;
    if (status == RML_OK && !sides[first].model)
        network = NULL;
    if (status == RML_OK)
        status = open_side(s, sides, 1 - first,
                           is_graph_file(s->paths[1 - first]) || s->network ? network : NULL, err);
    side *a = sides[0].model ? &sides[0] : &sides[1];
    side *b = a == &sides[0] ? &sides[1] : &sides[0];
    if (status == RML_OK && !a->model)
        status =
            rml_fail(err, RML_ERR_ARG, "neither %s nor %s is a network", s->paths[0], s->paths[1]);
    if (status == RML_OK && rounds(s) && !sides[1].model)
        status = rml_fail(err, RML_ERR_ARG,
                          "%s holds stored tensors, and f16-rounded is for B, "
                          "which is to be a network",
                          s->paths[1]);
    if (status == RML_OK && !b->model)
        status = side_read(b, err);
    if (status == RML_OK)
        status = run_and_answer(s, a, b, v, err);
    if (status == RML_OK && v->aligned + v->outputs == 0)
        status = rml_fail(err, RML_ERR_ARG,
                          "nothing was compared: no layer and no output of %s has the name of one "
                          "in %s",
                          a->path, b->path);
    for (int i = 0; i < 2 && status == RML_OK && (i == 0 || s->paths[1] != s->paths[0]); i++)
        side_warn(&sides[i], s->common.quiet);
    side_close(&sides[0]);
    side_close(&sides[1]);
    return status;
}

int cmd_compare(int argc, char **argv)
{
    compare_settings s = {.tolerance = 5e-5};
    const option options[] = {
        {"model", 0, OPTION_TEXT, &s.network, "MODEL", 0, 0,
         "the built-in network that both are; without: what fits"},
        {"function", 0, OPTION_TEXT, &s.function, "NAME", 0, 0,
         "which function of ML Programs to run; without: their\ndefault ones"},
        {"input", 'i', OPTION_LIST, &s.inputs, "NAME=FILE.npy", 0, 0,
         "an input of A; without: one in the stored tensors,\nor numbers from 0 to 1"},
        {"tolerance", 0, OPTION_NUMBER, &s.tolerance, "T", 0, 1e9,
         "largest difference, as a part of the largest value (5e-5)"},
        {"all", 0, OPTION_FLAG, &s.all, NULL, 0, 0, "every layer that aligns"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "A B [options]",
        .summary =
            "Runs one network in two formats (weights of a built-in one, ONNX, Core ML), or "
            "against\n"
            "stored tensors (.npz, .safetensors), on the same inputs, and says which layer is the\n"
            "first to differ and by how much. With --precision f16-rounded A is in f32 and B has\n"
            "every result rounded to f16; without B it is A. Exit code 1 when something differs.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = s.paths,
        .positional_max = 2,
        .common = &s.common,
        .unused = UNUSED_PROFILE,
        .rounds = true,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    if (s.paths[0] && !s.paths[1] && rounds(&s))
        s.paths[1] = s.paths[0];
    if (!s.paths[1])
        return usage_error(COMMAND, "two files are compared: A and B");
    if (s.network && !find_model(s.network))
        return usage_error(COMMAND, "there is no network '%s'", s.network);
    rml_error err;
    verdict v = {0};
    if (run(&s, &v, &err) != RML_OK)
        return failure(COMMAND, &err);
    return v.different || v.outputs_differ ? EXIT_FAILED : EXIT_DONE;
}
