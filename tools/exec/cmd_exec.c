// run-model exec: a network on .npy files and pictures, for programs.
#include "tools/commands.h"
#include "tools/exec/exec_parts.h"

#include "pipelines/classify/labels.h"
#include "pipelines/images/port_picture.h"

#include <stdio.h>
#include <string.h>

#define COMMAND "exec"
#define NO_OUTPUT "no --output NAME=FILE.npy: the result would be lost"

static void append(char *text, size_t capacity, const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, capacity - used, "%s%s", used ? ", " : "", name);
}

// Everything that is wrong with the names, in one message.
static rml_status check_names(const exec_settings *s, rml_error *err)
{
    const rml_model *model = s->network.model;
    char missing[1024] = "", unknown[1024] = "", known[1024] = "";
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        const bool needed = !port.limits || !port.limits->optional;
        if (needed && !option_list_find(&s->inputs, port.name))
            append(missing, sizeof missing, port.name);
        append(known, sizeof known, port.name);
    }
    for (int k = 0; k < s->inputs.count; k++)
        if (rml_model_find_input(model, s->inputs.items[k].name) == RML_NO_PORT)
            append(unknown, sizeof unknown, s->inputs.items[k].name);
    for (int k = 0; k < s->inputs.count; k++) // planned for one, and filled with the other
        for (int i = 0; i < k; i++)
            if (strcmp(s->inputs.items[i].name, s->inputs.items[k].name) == 0)
                return rml_fail(err, RML_ERR_ARG, "input %s is given twice: %s and %s",
                                s->inputs.items[k].name, s->inputs.items[i].value,
                                s->inputs.items[k].value);
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

static rml_status run(exec_settings *s, rml_error *err)
{
    network *n = &s->network;
    rml_model_settings built = model_settings(&s->common);
    rml_session_settings wanted = session_settings(&s->common);
    built.config = s->config;
    built.function = s->function;
    built.keep_types = true; // arrays are converted to what they are for
    wanted.in_order = s->in_order;
    wanted.memory_limit = (size_t)(s->memory_mb * 1e6);
    TRY(network_open(n, s->is_file ? NULL : s->model, &built, s->common.quiet, err));
    TRY(check_names(s, err));
    if (s->outputs.count == 0 && !exec_classifies(n->model)) {
        s->nothing_kept = true;
        return rml_fail(err, RML_ERR_ARG, NO_OUTPUT);
    }
    TRY(rml_session_create(&n->session, n->model, &wanted, err));
    const double begin = now_ms();
    if (s->steps) {
        TRY(exec_steps(s, err));
        return exec_report(s, now_ms() - begin, err);
    }
    TRY(exec_read_inputs(s, err));
    const double start = now_ms();
    const rml_status status = rml_session_run(n->session, err);
    const double run_ms = now_ms() - start;
    if (status != RML_OK) {
        rml_error_prefix(err, s->model);
        return status;
    }
    TRY(exec_write_outputs(s, err));
    return exec_report(s, run_ms, err);
}

int cmd_exec(int argc, char **argv)
{
    exec_settings s = {.top = 5};
    const char *named = NULL, *values = NULL;
    const option options[] = {
        {"weights", 'w', OPTION_TEXT, &named, "FILE|FOLDER", 0, 0,
         "trained weights: .pth, .safetensors, or a folder of them;\nwithout: those that are "
         "found"},
        {"input", 'i', OPTION_LIST, &s.inputs, "NAME=FILE", 0, 0,
         "an input: a .npy file, a picture where it is an image, or\nnumbers with commas between; "
         "once for each, but for those\nthat a file calls optional"},
        {"output", 'o', OPTION_LIST, &s.outputs, "NAME=FILE", 0, 0,
         "an output to keep, as .npy, or of an image as .png;\nmay be repeated"},
        {"resize", 0, OPTION_FLAG, &s.resize, NULL, 0, 0,
         "scale pictures to the size of their inputs, to the default\none where theirs is not "
         "allowed; without: other sizes are an\nerror"},
        {"values", 0, OPTION_TEXT, &values, "HOW", 0, 0,
         "what levels 0..255 are in images that neither network nor\nfile declares: imagenet, "
         "unit (0..1), signed (-1..1), raw\n(0..255), or MEAN/DEVIATION in levels"},
        {"top", 'k', OPTION_INT, &s.top, "K", 1, RML_LABELS_MAX,
         "classes told of a classifier, the most probable first (5)"},
        {"config", 0, OPTION_TEXT, &s.config, "FILE.json|FOLDER", 0, 0,
         "settings of a network whose weights do not tell them;\nwithout: the config.json in the "
         "folder of the weights"},
        {"function", 0, OPTION_TEXT, &s.function, "NAME", 0, 0,
         "which function of an ML Program to run; without: its\ndefault one"},
        {"steps", 0, OPTION_FLAG, &s.steps, NULL, 0, 0,
         "arrays hold a step each along their first dimension: one run\nfor each, and what the "
         "network keeps goes from run to run"},
        {"in_order", 0, OPTION_FLAG, &s.in_order, NULL, 0, 0,
         "sums in the order of their definition, without faster\nalgorithms: the bits of what "
         "run-model export-c writes"},
        {"mem_limit", 0, OPTION_NUMBER, &s.memory_mb, "MB", 0, 1e9,
         "most memory for activations; where more would be taken,\nlarge images are computed in "
         "bands that give the same bits\n(0: no limit)"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "MODEL|FILE [--weights W] --input NAME=FILE ... --output NAME=FILE ...",
        .summary =
            "Runs a built-in network, an ONNX file or a Core ML model on arrays (.npy) and "
            "pictures,\n"
            "writes arrays and pictures, and tells what a classifier found. Arrays are converted "
            "to\n"
            "the type that the network takes, in C or Fortran order.\n"
            "run-model list names the networks, their inputs and outputs; run-model info FILE\n"
            "those of a file.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &s.model,
        .positional_max = 1,
        .common = &s.common,
        .rounds = true,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    code =
        network_check(COMMAND, &(network_names){s.model, named, s.config, s.function}, &s.is_file);
    if (code != EXIT_DONE)
        return code;
    if (s.outputs.count == 0 && (!s.is_file || s.steps))
        return usage_error(COMMAND, NO_OUTPUT);
    if (values && !rml_values_parse(values, s.mean, s.deviation))
        return usage_error(
            COMMAND, "--values is imagenet, unit, signed, raw or MEAN/DEVIATION, not '%s'", values);
    s.has_values = values != NULL;
    if (!weights_choose(&s.network.source, s.model, s.is_file ? s.model : named))
        return weights_missing(COMMAND, s.model, "weights");
    rml_error err;
    const rml_status status = run(&s, &err);
    network_close(&s.network);
    return s.nothing_kept ? usage_error(COMMAND, NO_OUTPUT) : exit_code(COMMAND, status, &err, 0);
}
