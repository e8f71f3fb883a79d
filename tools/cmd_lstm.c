// run-model lstm: tells the class of sequences of numbers.
#include "tools/answers.h"
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/report.h"

#include "pipelines/sequence/sequences.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "lstm"
#define MODEL "lstm"
#define STREAM_MODEL "lstm-stream"
#define RESTART "reset"

typedef struct settings {
    common_options common;
    weights_source source;
    const char *input, *labels_path;
    bool csv, stream;
    int top, batch;
    rml_weights *weights;
    rml_model *model;
    rml_sequences *sequences;
    rml_labels labels;
    progress progress;
    int64_t done, failed;
} settings;

// ---- results ----------------------------------------------------------------------------------

// `what` counts: "line" or "step"; NULL for the only sequence.
static void print_result(const settings *s, const char *what, int64_t number, int steps,
                         const rml_top_class *top, int count)
{
    char text[32];
    if (s->common.json) {
        printf("{");
        if (what)
            printf("\"%s\":%lld,", what, (long long)number);
        if (!s->stream)
            printf("\"steps\":%d,", steps);
        printf("\"classes\":");
        json_answer(stdout, &s->labels, top, count);
        printf("}\n");
    } else if (s->csv) {
        snprintf(text, sizeof text, "%lld", (long long)number);
        csv_answer(stdout, text, &s->labels, top, count);
    } else {
        if (what && !s->stream)
            printf("%s %lld: ", what, (long long)number);
        print_answer(stdout, &s->labels, top, count);
        printf("\n");
    }
}

static void done(void *user, const rml_sequence_result *r)
{
    settings *s = user;
    s->done++;
    s->failed += r->status != RML_OK;
    if (r->status == RML_OK) {
        print_result(s, "line", r->line, r->steps, r->top, r->top_count);
    } else {
        progress_end(&s->progress);
        fprintf(stderr, "run-model " COMMAND ": %s: %s\n", s->input, r->error->message);
        if (s->common.json) {
            printf("{\"line\":%lld,\"error\":", (long long)r->line);
            json_text(stdout, r->error->message);
            printf("}\n");
        }
    }
    progress_update(&s->progress, s->done, -1);
}

// ---- one sequence, a file, a stream -----------------------------------------------------------

static rml_status answer(settings *s, const char *what, int64_t number, const float *values,
                         int steps, rml_error *err)
{
    const int classes = rml_sequences_classes(s->sequences);
    const int most = s->top < classes ? s->top : classes;
    const float *probabilities;
    rml_top_class *top = calloc((size_t)most, sizeof *top);
    if (!top)
        return no_memory(err, (size_t)most * sizeof *top, "an answer");
    const rml_status status =
        rml_sequences_run(s->sequences, &values, 1, steps, &probabilities, err);
    if (status == RML_OK)
        print_result(s, what, number, steps, top,
                     rml_top_classes(probabilities, classes, top, most));
    free(top);
    return status;
}

static rml_status run_numbers(settings *s, const float *values, size_t count, rml_error *err)
{
    TRY(rml_sequences_check(s->sequences, count, err));
    if (s->csv)
        printf("line," CSV_ANSWER_COLUMNS "\n");
    return answer(s, NULL, 1, values, (int)(count / (size_t)rml_sequences_inputs(s->sequences)),
                  err);
}

static rml_status run_rows(settings *s, FILE *file, rml_error *err)
{
    rml_number_rows *rows = NULL;
    TRY(rml_number_rows_create(&rows, file, true, rml_allocator_default(), err));
    const rml_sequences_job job = {.rows = rows,
                                   .sequences = s->sequences,
                                   .batch = s->batch,
                                   .top = s->top,
                                   .done = done,
                                   .user = s,
                                   .allocator = rml_allocator_default()};
    if (s->csv)
        printf("line," CSV_ANSWER_COLUMNS "\n");
    progress_begin(&s->progress, "sequences", !s->common.quiet && !output_is_terminal());
    rml_status status = rml_sequences_rows(&job, err);
    progress_end(&s->progress);
    if (rml_number_rows_header(rows) && !s->common.quiet)
        fprintf(stderr, "%s: line %lld was taken for a header\n", s->input,
                (long long)rml_number_rows_header(rows));
    if (status == RML_OK && s->done == 0)
        status = rml_fail(err, RML_ERR_FORMAT, "there are no numbers in it");
    if (status != RML_OK)
        rml_error_prefix(err, s->input);
    rml_number_rows_destroy(&rows);
    return status;
}

static rml_status run_input(settings *s, rml_error *err)
{
    if (strcmp(s->input, "-") == 0) {
        s->input = "standard input";
        return run_rows(s, stdin, err);
    }
    FILE *file = fopen(s->input, "rb");
    if (!file)
        return rml_fail(err, RML_ERR_IO, "%s: cannot open: %s", s->input, strerror(errno));
    const rml_status status = run_rows(s, file, err);
    fclose(file);
    return status;
}

// Numbers make steps in their order, wherever lines end. Part of a step is kept in `step`.
static rml_status run_steps(settings *s, rml_number_rows *rows, float *step, rml_error *err)
{
    const size_t inputs = (size_t)rml_sequences_inputs(s->sequences);
    const rml_number_row *row;
    size_t held = 0;
    for (;;) {
        TRY(rml_number_rows_next(rows, &row, err));
        const bool restart = row && strcmp(row->text, RESTART) == 0;
        if ((!row || restart) && held > 0)
            return rml_fail(err, RML_ERR_FORMAT, "it ends within a step: %zu of %zu numbers", held,
                            inputs);
        if (!row)
            return RML_OK;
        if (restart) {
            rml_sequences_restart(s->sequences);
            continue;
        }
        if (row->status != RML_OK) {
            *err = row->error;
            return err->status;
        }
        for (size_t i = 0; i < row->count; i++) {
            step[held++] = row->values[i];
            if (held < inputs)
                continue;
            held = 0;
            TRY(answer(s, "step", ++s->done, step, 1, err));
            if (fflush(stdout) != 0)
                return rml_fail(err, RML_ERR_IO, "standard output cannot be written");
        }
    }
}

static rml_status run_stream(settings *s, rml_error *err)
{
    rml_number_rows *rows = NULL;
    float *step = calloc((size_t)rml_sequences_inputs(s->sequences), sizeof *step);
    rml_status status = step ? RML_OK : no_memory(err, sizeof *step, "a step");
    if (status == RML_OK)
        status = rml_number_rows_create(&rows, stdin, false, rml_allocator_default(), err);
    if (status == RML_OK && s->csv)
        printf("step," CSV_ANSWER_COLUMNS "\n");
    fflush(stdout); // the reader may wait for the header before it sends a number
    if (status == RML_OK)
        status = run_steps(s, rows, step, err);
    if (status != RML_OK)
        rml_error_prefix(err, "standard input");
    rml_number_rows_destroy(&rows);
    free(step);
    return status;
}

// ---- the command ------------------------------------------------------------------------------

// A direction that begins at the end cannot be had before there is an end.
static rml_status refuse_backwards(const settings *s, rml_error *err)
{
    for (size_t i = 0; i < rml_weights_count(s->weights); i++)
        if (strcmp(rml_weights_at(s->weights, i).name, "lstm.weight_ih_l0_reverse") == 0)
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s: this network reads sequences from both ends, so that it cannot "
                            "answer step by step (--stream)",
                            s->source.path);
    return RML_OK;
}

static rml_status open_network(settings *s, rml_error *err)
{
    rml_session_settings wanted = rml_session_settings_default();
    wanted.threads = s->common.threads;
    wanted.cpu = s->common.cpu;
    wanted.precision = s->common.precision;
    wanted.profile = s->common.profile;
    TRY(weights_source_open(&s->weights, &s->source, s->common.quiet, err));
    if (s->stream)
        TRY(refuse_backwards(s, err));
    TRY(rml_model_create(&s->model, s->stream ? STREAM_MODEL : MODEL, s->weights, NULL, err));
    const rml_status status = rml_sequences_create(&s->sequences, s->model, &wanted, err);
    if (status != RML_OK) {
        rml_error_prefix(err, s->source.path);
        return status;
    }
    return labels_open(&s->labels, s->labels_path, s->source.path,
                       rml_sequences_classes(s->sequences), err);
}

static int work(settings *s, const float *values, size_t count)
{
    rml_error err;
    rml_status status = open_network(s, &err);
    if (status == RML_OK)
        status = s->stream  ? run_stream(s, &err)
                 : s->input ? run_input(s, &err)
                            : run_numbers(s, values, count, &err);
    if (status == RML_OK && s->common.profile)
        print_profile(stderr, rml_sequences_session(s->sequences), 0);
    rml_sequences_destroy(&s->sequences);
    rml_model_destroy(&s->model);
    rml_weights_close(&s->weights);
    rml_labels_release(&s->labels);
    if (status != RML_OK)
        return failure(COMMAND, &err);
    return s->failed ? EXIT_FAILED : EXIT_DONE;
}

static int parse(settings *s, const char **texts, int *count, int argc, char **argv)
{
    const char *weights = NULL;
    const option options[] = {
        {"input", 'i', OPTION_TEXT, &s->input, "FILE.csv", 0, 0,
         "a sequence in each line; a first line without numbers is\ntaken for a header; -: "
         "standard input"},
        {"stream", 0, OPTION_FLAG, &s->stream, NULL, 0, 0,
         "read numbers from standard input and answer after each\nstep; a line \"" RESTART
         "\" begins a new sequence"},
        {"weights", 'w', OPTION_TEXT, &weights, "FILE|FOLDER", 0, 0,
         "weights (.pth, .safetensors, .onnx); without: those that\nare found"},
        {"labels", 'l', OPTION_TEXT, &s->labels_path, "FILE", 0, 0,
         "names of the classes, one a line, or JSON; without: the\nfile beside the weights that "
         "ends in _labels.txt, if any"},
        {"top", 'k', OPTION_INT, &s->top, "K", 1, RML_LABELS_MAX,
         "classes told of each sequence, the most probable first (5)"},
        {"batch", 0, OPTION_INT, &s->batch, "N", 1, RML_SEQUENCES_MAX_BATCH,
         "most sequences in one run of the network (256); no\ninfluence on the result"},
        {"csv", 0, OPTION_FLAG, &s->csv, NULL, 0, 0, "the result as a table, one line a class"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "NUMBER... | --input FILE.csv | --stream [options]",
        .summary = "Tells the class of a sequence of numbers (LSTM), of each line of a file, or of "
                   "what has come\n"
                   "so far. Networks with several inputs a step take their numbers step by step.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = texts,
        .positional_max = argc,
        .common = &s->common,
    };
    const int code = options_parse(&line, argc, argv);
    *count = line.positional_count;
    if (code != EXIT_DONE || s->common.help)
        return code;
    const int ways = (*count > 0) + (s->input != NULL) + s->stream;
    if (ways != 1)
        return usage_error(COMMAND, "%s: give NUMBER..., --input FILE.csv or --stream",
                           ways ? "several kinds of input" : "no numbers");
    if (s->csv && s->common.json)
        return usage_error(COMMAND, "--csv and --json exclude each other");
    if (!weights_choose(&s->source, MODEL, weights))
        return weights_missing(COMMAND, MODEL, "weights");
    return EXIT_DONE;
}

int cmd_lstm(int argc, char **argv)
{
    settings s = {.top = 5, .batch = 256};
    int count = 0;
    const char **texts = calloc((size_t)argc, sizeof *texts);
    float *values = calloc((size_t)argc, sizeof *values);
    int code = EXIT_FAILED;
    if (texts && values)
        code = parse(&s, texts, &count, argc, argv);
    else
        fprintf(stderr, "run-model " COMMAND ": no memory\n");
    for (int i = 0; i < count && code == EXIT_DONE; i++)
        if (!rml_number_parse(texts[i], &values[i]))
            code = usage_error(COMMAND, "'%s' is not a finite number", texts[i]);
    if (code == EXIT_DONE && !s.common.help)
        code = work(&s, values, (size_t)count);
    free(values);
    free(texts);
    return code;
}
