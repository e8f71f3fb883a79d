// run-model lstm: tells the class of sequences of numbers.
#include "tools/answers.h"
#include "tools/commands.h"
#include "tools/report.h"

#include "pipelines/sequence/sequences.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "lstm" // and the network
#define STREAM_MODEL "lstm-stream"
#define RESTART "reset"

typedef struct settings {
    common_options common;
    answers answers;
    const char *input;
    bool stream;
    int batch;
    rml_sequences *sequences;
} settings;

// ---- results ----------------------------------------------------------------------------------

// `what` counts: "line" or "step"; NULL for the only sequence.
static void print_result(const settings *s, const char *what, int64_t number, int steps,
                         const rml_top_class *top, int count)
{
    char text[48] = "";
    if (s->common.json) {
        printf("{");
        if (what)
            printf("\"%s\":%lld,", what, (long long)number);
        if (!s->stream)
            printf("\"steps\":%d,", steps);
        printf("\"classes\":");
        answer_json(&s->answers, top, count);
        printf("}\n");
    } else if (s->answers.csv) {
        snprintf(text, sizeof text, "%lld", (long long)number);
        answer_rows(&s->answers, text, top, count);
    } else {
        if (what && !s->stream)
            snprintf(text, sizeof text, "%s %lld: ", what, (long long)number);
        answer_line(&s->answers, text, top, count);
    }
}

static void done(void *user, const rml_sequence_result *r)
{
    settings *s = user;
    answers *a = &s->answers;
    a->done++;
    a->failed += r->status != RML_OK;
    if (r->status == RML_OK) {
        print_result(s, "line", r->line, r->steps, r->top, r->top_count);
    } else {
        progress_end(&a->progress);
        fprintf(stderr, "run-model " COMMAND ": %s: %s\n", s->input, r->error->message);
        if (s->common.json) {
            printf("{\"line\":%lld", (long long)r->line);
            json_field(",\"error\":", r->error->message);
            printf("}\n");
        }
    }
    progress_update(&a->progress, a->done, -1);
}

// ---- one sequence, a file, a stream -----------------------------------------------------------

static rml_status answer(settings *s, const char *what, int64_t number, const float *values,
                         int steps, rml_error *err)
{
    const int classes = rml_sequences_classes(s->sequences);
    const int most = s->answers.top < classes ? s->answers.top : classes;
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
    answers_begin(&s->answers, "line", NULL, true);
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
                                   .top = s->answers.top,
                                   .done = done,
                                   .user = s,
                                   .allocator = rml_allocator_default()};
    answers_begin(&s->answers, "line", "sequences", s->common.quiet);
    rml_status status = rml_sequences_rows(&job, err);
    progress_end(&s->answers.progress);
    if (rml_number_rows_header(rows) && !s->common.quiet)
        fprintf(stderr, "%s: line %lld was taken for a header\n", s->input,
                (long long)rml_number_rows_header(rows));
    if (status == RML_OK && s->answers.done == 0)
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
            TRY(answer(s, "step", ++s->answers.done, step, 1, err));
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
    if (status == RML_OK)
        answers_begin(&s->answers, "step", NULL, true);
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
static rml_status refuse_backwards(const network *n, rml_error *err)
{
    for (size_t i = 0; i < rml_weights_count(n->weights); i++)
        if (strcmp(rml_weights_at(n->weights, i).name, "lstm.weight_ih_l0_reverse") == 0)
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "%s: this network reads sequences from both ends, so that it cannot "
                            "answer step by step (--stream)",
                            n->source.path);
    return RML_OK;
}

static rml_status open_network(settings *s, rml_error *err)
{
    network *n = &s->answers.network;
    const rml_session_settings wanted = session_settings(&s->common);
    rml_status status =
        network_open(n, s->stream ? STREAM_MODEL : COMMAND, NULL, s->common.quiet, err);
    if (s->stream && n->weights) // it explains what else may be wrong
        TRY(refuse_backwards(n, err));
    TRY(status);
    TRY(named(rml_sequences_create(&s->sequences, n->model, &wanted, err), err, n->source.path));
    return answers_open_labels(&s->answers, rml_sequences_classes(s->sequences), err);
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
        print_profile(stderr, rml_sequences_session(s->sequences));
    rml_sequences_destroy(&s->sequences);
    answers_close(&s->answers);
    return exit_code(COMMAND, status, &err, (size_t)s->answers.failed);
}

static int parse(settings *s, int *count, int argc, char **argv)
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
         "weights (.pth, .safetensors, .onnx, .mlmodel, .mlpackage);\nwithout: those that are "
         "found"},
        {"labels", 'l', OPTION_TEXT, &s->answers.labels_path, "FILE", 0, 0,
         "names of the classes, one a line, or JSON; without: the\nfile beside the weights that "
         "ends in _labels.txt, if any"},
        {"top", 'k', OPTION_INT, &s->answers.top, "K", 1, RML_LABELS_MAX,
         "classes told of each sequence, the most probable first (5)"},
        {"batch", 0, OPTION_INT, &s->batch, "N", 1, RML_SEQUENCES_MAX_BATCH,
         "most sequences in one run of the network (256); no\ninfluence on the result"},
        {"csv", 0, OPTION_FLAG, &s->answers.csv, NULL, 0, 0,
         "the result as a table, one line a class"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "NUMBER... | --input FILE.csv | --stream [options]",
        .summary = "Tells the class of a sequence of numbers (LSTM), of each line of a file, or of "
                   "what has come\n"
                   "so far. Networks with several inputs a step take their numbers step by step.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .any_number = true,
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
    return answers_check(&s->answers, COMMAND, weights, s->common.json);
}

int cmd_lstm(int argc, char **argv)
{
    settings s = {.answers.top = 5, .batch = 256};
    int count = 0, code = parse(&s, &count, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    float *values = calloc((size_t)count + 1, sizeof *values);
    if (!values) {
        fprintf(stderr, "run-model " COMMAND ": no memory\n");
        return EXIT_FAILED;
    }
    for (int i = 0; i < count && code == EXIT_DONE; i++)
        if (!rml_number_parse(argv[1 + i], &values[i]))
            code = usage_error(COMMAND, "'%s' is not a finite number", argv[1 + i]);
    if (code == EXIT_DONE)
        code = work(&s, values, (size_t)count);
    free(values);
    return code;
}
