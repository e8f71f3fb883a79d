// run-model exec: a network on .npy files, for programs.
#include "tools/arrays.h"
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#define COMMAND "exec"

typedef struct {
    common_options common;
    const char *model, *config, *function;
    double memory_mb; // 0: no limit
    bool is_file;     // of a graph
    network network;
    option_list inputs, outputs;
} settings;

static void append(char *text, size_t capacity, const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, capacity - used, "%s%s", used ? ", " : "", name);
}

// Everything that is wrong with the names, in one message.
static rml_status check_names(const settings *s, rml_error *err)
{
    const rml_model *model = s->network.model;
    char missing[1024] = "", unknown[1024] = "", known[1024] = "";
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const char *name = rml_model_input(model, i).name;
        if (!option_list_find(&s->inputs, name))
            append(missing, sizeof missing, name);
        append(known, sizeof known, name);
    }
    for (int k = 0; k < s->inputs.count; k++)
        if (rml_model_find_input(model, s->inputs.items[k].name) == RML_NO_PORT)
            append(unknown, sizeof unknown, s->inputs.items[k].name);
    if (*missing || *unknown)
        return rml_fail(err, RML_ERR_ARG, "%s has the inputs %s; not given: %s; unknown: %s",
                        s->model, known, *missing ? missing : "none", *unknown ? unknown : "none");
    known[0] = 0;
    for (size_t i = 0; i < rml_model_output_count(model); i++)
        append(known, sizeof known, rml_model_output(model, i).name);
    for (int k = 0; k < s->outputs.count; k++)
        if (rml_model_find_output(model, s->outputs.items[k].name) == RML_NO_PORT)
            append(unknown, sizeof unknown, s->outputs.items[k].name);
    if (*unknown)
        return rml_fail(err, RML_ERR_ARG, "%s has the outputs %s; unknown: %s", s->model, known,
                        unknown);
    return RML_OK;
}

// Sizes first: they are planned together, and then there is room to read into.
static rml_status read_inputs(const settings *s, rml_error *err)
{
    const network *n = &s->network;
    rml_npy *arrays[OPTION_LIST_MAX] = {NULL};
    rml_status status = RML_OK;
    for (int i = 0; i < s->inputs.count && status == RML_OK; i++) {
        status = rml_npy_open(&arrays[i], s->inputs.items[i].value, NULL, err);
        if (status != RML_OK)
            break;
        const size_t index = rml_model_find_input(n->model, s->inputs.items[i].name);
        const rml_shape shape = array_shape(arrays[i], n->model, index);
        status = named(rml_session_resize_at(n->session, index, shape, err), err, s->model);
    }
    if (status == RML_OK) {
        status = named(rml_session_prepare(n->session, err), err, s->model);
    }
    for (int i = 0; i < s->inputs.count; i++) {
        const size_t index = rml_model_find_input(n->model, s->inputs.items[i].name);
        if (status == RML_OK)
            status =
                array_read(arrays[i], s->inputs.items[i].value, n->session, n->model, index, err);
        rml_npy_close(&arrays[i]);
    }
    return status;
}

static rml_status write_outputs(const settings *s, rml_error *err)
{
    const network *n = &s->network;
    for (int i = 0; i < s->outputs.count; i++) {
        rml_shape shape;
        const size_t index = rml_model_find_output(n->model, s->outputs.items[i].name);
        const void *data = rml_session_output_at(n->session, index, &shape);
        if (!data)
            return rml_fail(err, RML_ERR_INTERNAL, "output %s was not made",
                            s->outputs.items[i].name);
        TRY(rml_npy_write(s->outputs.items[i].value, rml_model_output(n->model, index).dtype, data,
                          &shape, err));
    }
    return RML_OK;
}

static void report(const settings *s, double run_ms)
{
    rml_session *session = s->network.session;
    const bool json = s->common.json;
    if (json) {
        json_field("{\"model\":", s->model);
        printf(",\"threads\":%d", rml_session_threads(session));
        json_field(",\"cpu\":", rml_cpu_level_name(rml_session_cpu(session)));
        printf(",\"macs\":%llu,\"planned_bytes\":%zu,\"run_ms\":%.3f,\"outputs\":[",
               (unsigned long long)rml_session_macs(session), rml_session_planned_bytes(session),
               run_ms);
    }
    for (int i = 0; i < s->outputs.count; i++) {
        const char *name = s->outputs.items[i].name, *file = s->outputs.items[i].value;
        rml_shape shape = {0};
        rml_session_output(session, name, &shape);
        if (json) {
            json_field(i ? ",{\"name\":" : "{\"name\":", name);
            printf(",\"shape\":");
            json_shape(&shape);
            json_field(",\"file\":", file);
            printf("}");
        } else if (!s->common.quiet) {
            printf("%s ", name);
            print_shape(stdout, &shape);
            printf(" %s\n", file);
        }
    }
    if (json && s->common.profile) {
        printf("],\"profile\":");
        json_profile(session);
        printf("}\n");
    } else if (json) {
        printf("]}\n");
    } else if (s->common.profile) {
        print_profile(stderr, session);
    }
}

static rml_status run(settings *s, rml_error *err)
{
    network *n = &s->network;
    rml_model_settings built = rml_model_settings_default();
    rml_session_settings wanted = session_settings(&s->common);
    built.config = s->config;
    built.function = s->function;
    built.keep_types = true; // arrays are converted to what they are for
    wanted.memory_limit = (size_t)(s->memory_mb * 1e6);
    TRY(network_open(n, s->is_file ? NULL : s->model, &built, s->common.quiet, err));
    TRY(check_names(s, err));
    TRY(rml_session_create(&n->session, n->model, &wanted, err));
    TRY(read_inputs(s, err));
    const double start = now_ms();
    const rml_status status = rml_session_run(n->session, err);
    const double run_ms = now_ms() - start;
    if (status != RML_OK) {
        rml_error_prefix(err, s->model);
        return status;
    }
    TRY(write_outputs(s, err));
    report(s, run_ms);
    return RML_OK;
}

int cmd_exec(int argc, char **argv)
{
    settings s = {0};
    const char *named = NULL;
    const option options[] = {
        {"weights", 'w', OPTION_TEXT, &named, "FILE|FOLDER", 0, 0,
         "trained weights: .pth, .safetensors, or a folder of them;\nwithout: those that are "
         "found"},
        {"input", 'i', OPTION_LIST, &s.inputs, "NAME=FILE.npy", 0, 0, "an input; once for each"},
        {"output", 'o', OPTION_LIST, &s.outputs, "NAME=FILE.npy", 0, 0,
         "an output to keep; may be repeated"},
        {"config", 0, OPTION_TEXT, &s.config, "FILE.json|FOLDER", 0, 0,
         "settings of a network whose weights do not tell them;\nwithout: the config.json in the "
         "folder of the weights"},
        {"function", 0, OPTION_TEXT, &s.function, "NAME", 0, 0,
         "which function of an ML Program to run; without: its\ndefault one"},
        {"mem_limit", 0, OPTION_NUMBER, &s.memory_mb, "MB", 0, 1e9,
         "most memory for activations; where more would be taken,\nlarge images are computed in "
         "bands that give the same bits\n(0: no limit)"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "MODEL|FILE [--weights W] --input NAME=FILE.npy ... --output NAME=FILE.npy ...",
        .summary =
            "Runs a built-in network, an ONNX file or a Core ML model on arrays and writes "
            "arrays.\n"
            "Inputs are converted to the type that the network takes, in C or Fortran order.\n"
            "run-model list names the networks, their inputs and outputs; run-model info FILE\n"
            "those of a file.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &s.model,
        .positional_max = 1,
        .common = &s.common,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    char names[512];
    model_names(names, sizeof names);
    if (!s.model)
        return usage_error(COMMAND, "no network is named; there are: %s", names);
    s.is_file = is_graph_file(s.model);
    if (!find_model(s.model) && !s.is_file)
        return usage_error(COMMAND, "there is no network '%s'; there are: %s", s.model, names);
    if (s.is_file && (named || s.config))
        return usage_error(COMMAND, "--%s is not used by %s, which holds its own",
                           named ? "weights" : "config", s.model);
    if (!s.is_file && s.function)
        return usage_error(COMMAND, "--function is not used by %s, a built-in network", s.model);
    if (s.outputs.count == 0)
        return usage_error(COMMAND, "no --output NAME=FILE.npy: the result would be lost");
    if (!weights_choose(&s.network.source, s.model, s.is_file ? s.model : named))
        return weights_missing(COMMAND, s.model, "weights");
    rml_error err;
    const rml_status status = run(&s, &err);
    network_close(&s.network);
    return exit_code(COMMAND, status, &err, 0);
}
