// run-model export-c: a network as one C file, for boards and for any other program.
#include "tools/arrays.h"
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include "runmodel_export.h"

#include <stdio.h>
#include <string.h>

#define COMMAND "export-c"

typedef struct settings {
    common_options common;
    const char *model, *config, *function, *outfile, *name;
    option_list inputs;
    bool is_file;
    network network;
} settings;

static rml_status set_sizes(const settings *s, rml_session *session, rml_error *err)
{
    const rml_model *model = s->network.model;
    for (int k = 0; k < s->inputs.count; k++) {
        const char *name = s->inputs.items[k].name, *text = s->inputs.items[k].value;
        rml_shape shape;
        if (rml_model_find_input(model, name) == RML_NO_PORT)
            return rml_fail(err, RML_ERR_ARG, "--input %s=%s: %s has no input of this name", name,
                            text, s->model);
        if (!parse_shape(text, false, &shape))
            return rml_fail(err, RML_ERR_ARG, "--input %s=%s: a size is 1x3x96x96", name, text);
        TRY(rml_session_resize(session, name, shape, err));
    }
    return RML_OK;
}

static rml_status run(settings *s, rml_error *err)
{
    network *n = &s->network;
    rml_model_settings built = model_settings(&s->common);
    rml_session_settings wanted = session_settings(&s->common);
    rml_export_settings written = rml_export_settings_default();
    rml_export_report report;
    built.config = s->config;
    built.function = s->function;
    wanted.in_order = true;
    // The same file from every PC: sums of softmax run in as many lanes as a vector has.
    if (wanted.cpu == RML_CPU_BEST && rml_cpu_level_available(RML_CPU_AVX2))
        wanted.cpu = RML_CPU_AVX2;
    wanted.threads = 1;
    written.name = s->name;
    TRY(network_open(n, s->is_file ? NULL : s->model, &built, s->common.quiet, err));
    TRY(rml_session_create(&n->session, n->model, &wanted, err));
    TRY(set_sizes(s, n->session, err));
    TRY(named(rml_session_prepare(n->session, err), err, s->model));
    TRY(named(rml_session_export_c(n->session, s->outfile, &written, &report, err), err, s->model));
    if (s->common.json) {
        json_field("{\"file\":", s->outfile);
        printf(",\"weight_bytes\":%llu,\"arena_bytes\":%llu,\"steps\":%llu}\n",
               (unsigned long long)report.weight_bytes, (unsigned long long)report.arena_bytes,
               (unsigned long long)report.steps);
    } else if (!s->common.quiet) {
        printf("wrote %s and its header: %llu steps, %.1f kB of weights, a run takes %.1f kB\n",
               s->outfile, (unsigned long long)report.steps, (double)report.weight_bytes / 1e3,
               (double)report.arena_bytes / 1e3);
    }
    return RML_OK;
}

int cmd_export_c(int argc, char **argv)
{
    settings s = {0};
    const char *named_weights = NULL;
    const option options[] = {
        {"outfile", 'o', OPTION_TEXT, &s.outfile, "FILE.c", 0, 0,
         "what to write; the header is beside it, in .h"},
        {"weights", 'w', OPTION_TEXT, &named_weights, "FILE|FOLDER", 0, 0,
         "trained weights of a built-in network; without: those\nthat are found"},
        {"input", 'i', OPTION_LIST, &s.inputs, "NAME=1x3x96x96", 0, 0,
         "sizes of an input that the network leaves open"},
        {"name", 0, OPTION_TEXT, &s.name, "NAME", 0, 0,
         "what functions and macros begin with (the file's name)"},
        {"config", 0, OPTION_TEXT, &s.config, "FILE.json|FOLDER", 0, 0,
         "settings of a network whose weights do not tell them"},
        {"function", 0, OPTION_TEXT, &s.function, "NAME", 0, 0,
         "which function of an ML Program; without: its default one"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "MODEL|FILE [--weights W] [--input NAME=1x3x96x96 ...] --outfile net.c",
        .summary =
            "Writes a network for inputs of fixed sizes as one C99 file and its header: weights, "
            "plan and\n"
            "kernels, without heap, files or writable globals. It gives the bits that "
            "run-model gives\n"
            "with --in_order --cpu avx2 (on ARM neon), and holds a self-test.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &s.model,
        .positional_max = 1,
        .common = &s.common,
        .unused = UNUSED_THREADS | UNUSED_PROFILE | UNUSED_PRECISION,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    const network_names names = {s.model, named_weights, s.config, s.function};
    code = network_check(COMMAND, &names, &s.is_file);
    if (code != EXIT_DONE)
        return code;
    if (!s.outfile)
        return usage_error(COMMAND, "no --outfile FILE.c");
    if (!weights_choose(&s.network.source, s.model, s.is_file ? s.model : named_weights))
        return weights_missing(COMMAND, s.model, "weights");
    rml_error err;
    const rml_status status = run(&s, &err);
    network_close(&s.network);
    return exit_code(COMMAND, status, &err, 0);
}
