// run-model compare: one network in two formats, or against what ran elsewhere, layer by layer.
#include "tools/commands.h"
#include "tools/compare/compare.h"
#include "tools/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "compare"

// ---- halves -------------------------------------------------------------------------------------

// What a device may make of a file with halves: its outputs rounded behind every operator, against
// its own weights in f32.
static rml_status show_spread(const compare_settings *s, const side *a, const side *b,
                              const rml_layer *inputs, rml_error *err)
{
    side rounded = {.path = NULL};
    common_options common = s->common;
    common.precision = RML_PRECISION_F16_ROUNDED;
    TRY(side_open(&rounded, b->path, b->network, s->function, &common, err));
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

// Where numbers that were made up tell no difference, whether others do: what is multiplied by an
// activation that is 0 does not show.
static rml_status try_others(const compare_settings *s, side *a, side *b, rml_layer *inputs,
                             verdict *v, rml_error *err)
{
    bool made = false;
    verdict other = {0};
    rml_status status = compare_run_others(s, a, b, inputs, &made, err);
    if (!made || (status != RML_OK && status != RML_ERR_NOMEM))
        return RML_OK; // it may be for none such
    compare_settings text = *s;
    text.common.json = text.all = false;
    if (status == RML_OK)
        status = judge(&text, a, b, &other, err);
    if (status == RML_OK && s->common.json) {
        printf(",\"others\":{\"different\":%zu,\"first\":", other.different);
        if (other.first[0])
            json_text(*other.first[0]->key ? other.first[0]->key : other.first[0]->name);
        else
            printf("null");
        printf(",\"outputs_differ\":%s}", other.outputs_differ ? "true" : "false");
    } else if (status == RML_OK && verdict_differs(&other)) {
        verdict again = {0};
        printf("of other numbers, from -1 to 1:\n");
        status = answer(&text, a, b, &again, err);
    }
    v->others_differ = verdict_differs(&other);
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
    if (status == RML_OK && b->model && !rounds(s) && !verdict_differs(v))
        status = try_others(s, a, b, inputs, v, err);
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
    return verdict_differs(&v) ? EXIT_FAILED : EXIT_DONE;
}
