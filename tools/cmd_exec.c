// run-model exec: a network on .npy files, for programs.
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include <stdio.h>
#include <string.h>

#define COMMAND "exec"
#define NAME_BYTES 128

typedef struct {
    char name[NAME_BYTES];
    const char *file;
} binding; // NAME=FILE

typedef struct {
    common_options common;
    const char *model, *config;
    double memory_mb; // 0: no limit
    bool is_file;     // of a graph
    weights_source weights;
    option_list inputs, outputs;
} settings;

static bool split(const char *text, binding *out)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1] || equals - text >= NAME_BYTES)
        return false;
    memcpy(out->name, text, (size_t)(equals - text));
    out->name[equals - text] = 0;
    out->file = equals + 1;
    return true;
}

static void append(char *text, size_t capacity, const char *name)
{
    size_t used = strlen(text);
    snprintf(text + used, capacity - used, "%s%s", used ? ", " : "", name);
}

// Everything that is wrong with the names, in one message.
static rml_status check_names(const settings *s, const rml_model *model, rml_error *err)
{
    char missing[1024] = "", unknown[1024] = "", known[1024] = "";
    binding b;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const char *name = rml_model_input(model, i).name;
        bool given = false;
        for (int k = 0; k < s->inputs.count; k++)
            given = given || (split(s->inputs.items[k], &b) && strcmp(b.name, name) == 0);
        if (!given)
            append(missing, sizeof missing, name);
        append(known, sizeof known, name);
    }
    for (int k = 0; k < s->inputs.count; k++)
        if (split(s->inputs.items[k], &b) && rml_model_find_input(model, b.name) == RML_NO_PORT)
            append(unknown, sizeof unknown, b.name);
    if (*missing || *unknown)
        return rml_fail(err, RML_ERR_ARG, "%s has the inputs %s; not given: %s; unknown: %s",
                        s->model, known, *missing ? missing : "none", *unknown ? unknown : "none");
    known[0] = 0;
    for (size_t i = 0; i < rml_model_output_count(model); i++)
        append(known, sizeof known, rml_model_output(model, i).name);
    for (int k = 0; k < s->outputs.count; k++)
        if (split(s->outputs.items[k], &b) && rml_model_find_output(model, b.name) == RML_NO_PORT)
            append(unknown, sizeof unknown, b.name);
    if (*unknown)
        return rml_fail(err, RML_ERR_ARG, "%s has the outputs %s; unknown: %s", s->model, known,
                        unknown);
    return RML_OK;
}

static rml_status read_inputs(const settings *s, const rml_model *model, rml_session *session,
                              rml_error *err)
{
    rml_npy *arrays[OPTION_LIST_MAX] = {NULL};
    binding b;
    rml_status status = RML_OK;
    for (int i = 0; i < s->inputs.count && status == RML_OK; i++) {
        split(s->inputs.items[i], &b);
        status = rml_npy_open(&arrays[i], b.file, NULL, err);
        if (status != RML_OK)
            break;
        status = rml_session_resize(session, b.name, rml_npy_shape(arrays[i]), err);
        if (status != RML_OK)
            rml_error_prefix(err, s->model);
    }
    if (status == RML_OK) {
        status = rml_session_prepare(session, err);
        if (status != RML_OK)
            rml_error_prefix(err, s->model);
    }
    for (int i = 0; i < s->inputs.count; i++) {
        if (status == RML_OK) {
            size_t count;
            split(s->inputs.items[i], &b);
            const size_t index = rml_model_find_input(model, b.name);
            const rml_dtype dtype = rml_model_input(model, index).dtype;
            rml_shape shape;
            void *data = rml_session_input_at(session, index, &shape);
            count_elements(&shape, &count);
            status = rml_npy_read(arrays[i], dtype, data, count * rml_dtype_size(dtype), err);
            if (status != RML_OK)
                rml_error_prefix(err, b.file);
        }
        rml_npy_close(&arrays[i]);
    }
    return status;
}

static rml_status write_outputs(const settings *s, const rml_model *model, rml_session *session,
                                rml_error *err)
{
    for (int i = 0; i < s->outputs.count; i++) {
        binding b;
        split(s->outputs.items[i], &b);
        rml_shape shape;
        const size_t index = rml_model_find_output(model, b.name);
        const void *data = rml_session_output_at(session, index, &shape);
        if (!data)
            return rml_fail(err, RML_ERR_INTERNAL, "output %s was not made", b.name);
        TRY(rml_npy_write(b.file, rml_model_output(model, index).dtype, data, &shape, err));
    }
    return RML_OK;
}

static void report(const settings *s, rml_session *session, double run_ms)
{
    if (s->common.json) {
        printf("{\"model\":");
        json_text(stdout, s->model);
        printf(",\"threads\":%d,\"cpu\":", rml_session_threads(session));
        json_text(stdout, rml_cpu_level_name(rml_session_cpu(session)));
        printf(",\"macs\":%llu,\"planned_bytes\":%zu,\"run_ms\":%.3f,\"outputs\":[",
               (unsigned long long)rml_session_macs(session), rml_session_planned_bytes(session),
               run_ms);
    }
    for (int i = 0; i < s->outputs.count; i++) {
        binding b;
        rml_shape shape = {0};
        split(s->outputs.items[i], &b);
        rml_session_output(session, b.name, &shape);
        if (s->common.json) {
            printf("%s{\"name\":", i ? "," : "");
            json_text(stdout, b.name);
            printf(",\"shape\":");
            json_shape(stdout, &shape);
            printf(",\"file\":");
            json_text(stdout, b.file);
            printf("}");
        } else if (!s->common.quiet) {
            printf("%s ", b.name);
            print_shape(stdout, &shape);
            printf(" %s\n", b.file);
        }
    }
    if (s->common.json) {
        printf("]");
        if (s->common.profile) {
            printf(",\"profile\":");
            json_profile(stdout, session);
        }
        printf("}\n");
    } else if (s->common.profile) {
        print_profile(stderr, session, 0);
    }
}

static rml_status run(const settings *s, rml_error *err)
{
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    rml_session *session = NULL;
    rml_status status = RML_OK;
    rml_model_settings built = rml_model_settings_default();
    built.config = s->config;
    built.keep_types = true; // arrays are converted to what they are for
    if (s->is_file)
        status = rml_model_open(&model, s->model, NULL, err);
    else
        status = weights_source_open(&weights, &s->weights, s->common.quiet, err);
    if (status == RML_OK && !s->is_file)
        status = rml_model_create(&model, s->model, weights, &built, err);
    if (status != RML_OK)
        goto done;
    status = check_names(s, model, err);
    if (status != RML_OK)
        goto done;
    rml_session_settings wanted = rml_session_settings_default();
    wanted.threads = s->common.threads;
    wanted.cpu = s->common.cpu;
    wanted.precision = s->common.precision;
    wanted.profile = s->common.profile;
    wanted.memory_limit = (size_t)(s->memory_mb * 1e6);
    status = rml_session_create(&session, model, &wanted, err);
    if (status == RML_OK)
        status = read_inputs(s, model, session, err);
    if (status != RML_OK)
        goto done;
    double start = now_ms();
    status = rml_session_run(session, err);
    double run_ms = now_ms() - start;
    if (status != RML_OK)
        rml_error_prefix(err, s->model);
    else
        status = write_outputs(s, model, session, err);
    if (status == RML_OK)
        report(s, session, run_ms);
done:
    rml_session_destroy(&session);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
    return status;
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
        {"mem_limit", 0, OPTION_NUMBER, &s.memory_mb, "MB", 0, 1e9,
         "most memory for activations; where more would be taken,\nlarge images are computed in "
         "bands that give the same bits\n(0: no limit)"},
    };
    command_line line = {
        .command = COMMAND,
        .usage =
            "MODEL|FILE.onnx [--weights W] --input NAME=FILE.npy ... --output NAME=FILE.npy ...",
        .summary =
            "Runs a built-in network, or an ONNX file, on arrays and writes arrays. Inputs are\n"
            "converted to the type that the network takes, in C or Fortran order. run-model list\n"
            "names the networks, their inputs and outputs; run-model info FILE.onnx those of a\n"
            "file.",
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
    binding b;
    for (int i = 0; i < s.inputs.count; i++)
        if (!split(s.inputs.items[i], &b))
            return usage_error(COMMAND, "--input is NAME=FILE.npy, not '%s'", s.inputs.items[i]);
    for (int i = 0; i < s.outputs.count; i++)
        if (!split(s.outputs.items[i], &b))
            return usage_error(COMMAND, "--output is NAME=FILE.npy, not '%s'", s.outputs.items[i]);
    if (s.outputs.count == 0)
        return usage_error(COMMAND, "no --output NAME=FILE.npy: the result would be lost");
    if (!s.is_file && !weights_choose(&s.weights, s.model, named))
        return weights_missing(COMMAND, s.model, "weights");
    rml_error err;
    return run(&s, &err) == RML_OK ? EXIT_DONE : failure(COMMAND, &err);
}
