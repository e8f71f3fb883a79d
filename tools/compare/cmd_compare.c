// run-model compare: one network in two formats, or against what ran elsewhere, layer by layer.
#include "tools/commands.h"
#include "tools/compare/compare.h"
#include "tools/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "compare"
#define ASSUMED_SIDE 64 // of sizes that are free

typedef struct settings {
    common_options common;
    const char *paths[2], *network, *function;
    option_list inputs;
    double tolerance;
    bool all;
} settings;

// What was found out.
typedef struct verdict {
    size_t aligned, different, outputs;
    const rml_layer *first[2]; // of each side, the first that differs
    rml_difference how;
    bool outputs_differ;
} verdict;

// An input of a wrong name would silently be made up.
static rml_status check_inputs(const settings *s, const side *a, rml_error *err)
{
    for (int i = 0; i < s->inputs.count; i++)
        if (rml_model_find_input(a->model, s->inputs.items[i].name) == RML_NO_PORT)
            return rml_fail(err, RML_ERR_ARG, "--input %s=%s: %s has no input of this name",
                            s->inputs.items[i].name, s->inputs.items[i].value, a->path);
    return RML_OK;
}

// Sizes that are free are those that the other side fixes, or assumed.
static void choose_sizes(rml_shape *shape, const rml_shape *other)
{
    for (int k = 0; k < shape->rank; k++) {
        if (shape->dim[k] < 0 && other->rank == shape->rank)
            shape->dim[k] = other->dim[k];
        if (shape->dim[k] < 0)
            shape->dim[k] = k == 0 ? 1 : ASSUMED_SIDE;
    }
}

// The same numbers for both sides: from --input, from the stored tensors, or made up. `other` is
// the shape that the other side wants.
static rml_status make_input(const settings *s, const rml_port *port, const rml_shape *other,
                             const side *stored, rml_layer *out, rml_error *err)
{
    const char *file = option_list_find(&s->inputs, port->name);
    const rml_layer *kept = stored ? rml_layers_find_name(&stored->layers, port->name) : NULL;
    rml_npy *npy = NULL;
    out->shape = port->shape;
    choose_sizes(&out->shape, other);
    if (file) {
        TRY(rml_npy_open(&npy, file, NULL, err));
        out->shape = rml_npy_shape(npy);
    } else if (kept) {
        out->shape = kept->shape;
    }
    if (!count_elements(&out->shape, &out->count))
        return rml_fail(err, RML_ERR_ARG, "input %s: give --input %s=FILE.npy", port->name,
                        port->name);
    out->data = calloc(out->count + 1, sizeof *out->data);
    if (!out->data)
        return no_memory(err, out->count * sizeof *out->data, "an input");
    if (file) {
        const rml_status status =
            rml_npy_read(npy, RML_F32, out->data, out->count * sizeof *out->data, err);
        rml_npy_close(&npy);
        TRY(status);
    } else if (kept) {
        memcpy(out->data, kept->data, out->count * sizeof *out->data);
    } else if (port->dtype == RML_F32) {
        fill_floats(out->data, out->count);
    }
    return RML_OK;
}

// Resizes, fills and runs one side with inputs in the order of its ports.
static rml_status run_side(side *s, const rml_layer *inputs, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(s->model); i++) {
        const rml_port port = rml_model_input(s->model, i);
        TRY(rml_session_resize(s->session, port.name, inputs[i].shape, err));
    }
    TRY(rml_session_prepare(s->session, err));
    for (size_t i = 0; i < rml_model_input_count(s->model); i++) {
        const rml_port port = rml_model_input(s->model, i);
        void *data = rml_session_input(s->session, port.name, NULL);
        rml_dtype_convert(RML_F32, inputs[i].data, port.dtype, data, inputs[i].count);
    }
    TRY(rml_session_run(s->session, err));
    for (size_t i = 0; i < rml_model_output_count(s->model); i++) {
        const rml_port port = rml_model_output(s->model, i);
        rml_shape shape;
        const void *data = rml_session_output(s->session, port.name, &shape);
        if (data)
            rml_layers_keep(&s->layers, port.name, NULL, port.dtype, &shape, data);
    }
    return s->layers.out_of_memory ? no_memory(err, 0, "the values of a run") : RML_OK;
}

// The input of `s` that is called as `port` is, or else the one at the same place.
static size_t place_of(const side *s, const rml_port *port, size_t place)
{
    const size_t found = rml_model_find_input(s->model, port->name);
    return found == RML_NO_PORT ? place : found;
}

static rml_status run_both(const settings *s, side *a, side *b, rml_error *err)
{
    const size_t count = rml_model_input_count(a->model);
    const side *stored = b->model ? NULL : b;
    TRY(check_inputs(s, a, err));
    if (b->model && rml_model_input_count(b->model) != count)
        return rml_fail(err, RML_ERR_SHAPE, "%s has %zu inputs and %s %zu", a->path, count, b->path,
                        rml_model_input_count(b->model));
    rml_layer *inputs = calloc(count + 1, sizeof *inputs);
    if (!inputs)
        return no_memory(err, count * sizeof *inputs, "the inputs");
    rml_status status = RML_OK;
    for (size_t i = 0; i < count && status == RML_OK; i++) {
        const rml_port port = rml_model_input(a->model, i);
        const rml_shape other =
            b->model ? rml_model_input(b->model, place_of(b, &port, i)).shape : port.shape;
        status = make_input(s, &port, &other, stored, &inputs[i], err);
    }
    if (status == RML_OK)
        status = run_side(a, inputs, err);
    if (status == RML_OK && b->model)
        status = run_side(b, inputs, err);
    for (size_t i = 0; i < count; i++)
        free(inputs[i].data);
    free(inputs);
    return status;
}

// ---- the answer ---------------------------------------------------------------------------------

static void print_layer(const settings *s, const rml_layer *a, const rml_layer *b, rml_difference d,
                        const char *what)
{
    printf("%s%s ", what, *a->key ? a->key : a->name);
    print_shape(stdout, &a->shape);
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
    json_text(*a->key ? a->key : a->name);
    printf(",\"shape\":");
    json_shape(&a->shape);
    if (a->count == b->count)
        printf(",\"error\":%.6g}", d.error > 1e300 ? 1e300 : d.error);
    else
        printf(",\"error\":null}");
}

static bool differs(const settings *s, const rml_layer *a, const rml_layer *b, rml_difference *d)
{
    *d = (rml_difference){0, 0};
    if (a->count != b->count)
        return true;
    *d = rml_layer_difference(a, b);
    return d->error > s->tolerance;
}

static void compare_layers(const settings *s, const side *a, const side *b, verdict *v)
{
    for (size_t i = 0; i < a->layers.count; i++) {
        const rml_layer *left = &a->layers.items[i],
                        *right = rml_layers_find_key(&b->layers, left->key);
        rml_difference d;
        // of several values of one layer the last is what it gives
        if (!right || rml_layers_find_key(&a->layers, left->key) != left)
            continue;
        const bool bad = differs(s, left, right, &d);
        v->different += bad;
        if (bad && !v->first[0]) {
            v->first[0] = left;
            v->first[1] = right;
            v->how = d;
        }
        if (s->common.json)
            json_layer(left, right, d, v->aligned == 0);
        else if (s->all)
            print_layer(s, left, right, d, "");
        v->aligned++;
    }
}

static const rml_layer *other_output(const side *a, const side *b, size_t index)
{
    const char *name = rml_model_output(a->model, index).name;
    const rml_layer *found = rml_layers_find_name(&b->layers, name);
    if (found || !b->model || index >= rml_model_output_count(b->model))
        return found;
    return rml_layers_find_name(&b->layers, rml_model_output(b->model, index).name);
}

static void compare_outputs(const settings *s, const side *a, const side *b, verdict *v)
{
    for (size_t i = 0; i < rml_model_output_count(a->model); i++) {
        const rml_layer *left =
            rml_layers_find_name(&a->layers, rml_model_output(a->model, i).name);
        const rml_layer *right = other_output(a, b, i);
        rml_difference d;
        if (!left || !right)
            continue;
        v->outputs_differ = differs(s, left, right, &d) || v->outputs_differ;
        if (s->common.json)
            json_layer(left, right, d, v->outputs == 0);
        else
            print_layer(s, left, right, d, "output ");
        v->outputs++;
    }
}

static void answer(const settings *s, const side *a, const side *b, verdict *v)
{
    if (s->common.json)
        printf("{\"layers\":[");
    compare_layers(s, a, b, v);
    if (s->common.json) {
        printf("],\"outputs\":[");
        compare_outputs(s, a, b, v);
        printf("],\"tolerance\":%g,\"different\":%zu,\"first\":", s->tolerance, v->different);
        if (v->first[0])
            json_text(v->first[0]->key);
        else
            printf("null");
        printf("}\n");
        return;
    }
    printf("%zu layers align by name, %zu differ by more than %g\n", v->aligned, v->different,
           s->tolerance);
    if (v->first[0])
        print_layer(s, v->first[0], v->first[1], v->how, "the first that differs: ");
    compare_outputs(s, a, b, v);
}

static rml_status run(const settings *s, verdict *v, rml_error *err)
{
    side sides[2] = {{0}, {0}};
    // What is known of one side tells what the other is: weights first, a graph file by them.
    const int first = is_graph_file(s->paths[0]) && !is_graph_file(s->paths[1]) ? 1 : 0;
    rml_status status =
        side_open(&sides[first], s->paths[first], s->network, s->function, &s->common, err);
    const char *network = s->network ? s->network : sides[first].network;
    if (status == RML_OK && !sides[first].model)
        network = NULL;
    if (status == RML_OK)
        status = side_open(&sides[1 - first], s->paths[1 - first],
                           is_graph_file(s->paths[1 - first]) || s->network ? network : NULL,
                           s->function, &s->common, err);
    side *a = sides[0].model ? &sides[0] : &sides[1];
    side *b = a == &sides[0] ? &sides[1] : &sides[0];
    if (status == RML_OK && !a->model)
        status =
            rml_fail(err, RML_ERR_ARG, "neither %s nor %s is a network", s->paths[0], s->paths[1]);
    if (status == RML_OK && !b->model)
        status = side_read(b, err);
    if (status == RML_OK)
        status = run_both(s, a, b, err);
    if (status == RML_OK)
        answer(s, a, b, v);
    if (status == RML_OK && v->aligned + v->outputs == 0)
        status = rml_fail(err, RML_ERR_ARG,
                          "nothing was compared: no layer and no output of %s has the name of one "
                          "in %s",
                          a->path, b->path);
    side_close(&sides[0]);
    side_close(&sides[1]);
    return status;
}

int cmd_compare(int argc, char **argv)
{
    settings s = {.tolerance = 5e-5};
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
            "first to differ and by how much. Exit code 1 when something differs.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = s.paths,
        .positional_max = 2,
        .common = &s.common,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
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
