// run-model mobilenetv2: tells what pictures show.
#include "tools/answers.h"
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/report.h"

#include "pipelines/classify/classify_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "mobilenetv2"
#define MODEL "mobilenetv2"

typedef struct settings {
    common_options common;
    weights_source source;
    const char *labels_path, *values;
    bool csv, stretch;
    int top, batch, size, resize;
    rml_weights *weights;
    rml_model *model;
    rml_classifier *classifier;
    rml_labels labels;
    rml_picture_list list;
    progress progress;
    size_t done, failed;
} settings;

// ---- what the network sees --------------------------------------------------------------------

// "128" or "123.7,116.3,103.5" to three numbers; returns what comes behind, or NULL.
static const char *parse_three(const char *text, float out[3])
{
    int count = 0;
    for (; count < 3; count++) {
        char *end;
        out[count] = strtof(text, &end);
        if (end == text || !isfinite(out[count]))
            return NULL;
        text = end;
        if (*text != ',')
            break;
        text++;
    }
    if (count == 0)
        out[1] = out[2] = out[0];
    return count == 0 || count == 2 ? text : NULL;
}

// False when the text is neither a name nor MEAN/DEVIATION.
static bool parse_values(const char *text, rml_view *view)
{
    static const struct {
        const char *name, *numbers;
    } known[] = {{"unit", "0/255"}, {"signed", "128/128"}, {"raw", "0/1"}};
    if (strcmp(text, "imagenet") == 0)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text, known[i].name) == 0)
            text = known[i].numbers;
    view->full = 1;
    text = parse_three(text, view->mean);
    if (!text || *text != '/')
        return false;
    text = parse_three(text + 1, view->deviation);
    return text && !*text && view->deviation[0] != 0 && view->deviation[1] != 0 &&
           view->deviation[2] != 0;
}

// ---- results ----------------------------------------------------------------------------------

static void print_json(const settings *s, const rml_classify_result *r)
{
    printf("{\"input\":");
    json_text(stdout, r->path);
    if (r->status != RML_OK) {
        printf(",\"error\":");
        json_text(stdout, r->error.message);
    } else {
        printf(",\"width\":%d,\"height\":%d,\"classes\":", r->width, r->height);
        json_answer(stdout, &s->labels, r->top, r->top_count);
    }
    printf("}\n");
}

static void done(void *user, const rml_classify_result *r)
{
    settings *s = user;
    s->done++;
    s->failed += r->status != RML_OK;
    if (r->status != RML_OK) {
        progress_end(&s->progress);
        failure(COMMAND, &r->error);
    }
    if (s->common.json) {
        print_json(s, r);
    } else if (r->status == RML_OK && s->csv) {
        csv_answer(stdout, r->path, &s->labels, r->top, r->top_count);
    } else if (r->status == RML_OK) {
        printf("%s: ", r->path);
        print_answer(stdout, &s->labels, r->top, r->top_count);
        printf("\n");
    }
    fflush(stdout);
    progress_update(&s->progress, (int64_t)s->done, (int64_t)s->list.count);
}

// ---- the command ------------------------------------------------------------------------------

static rml_status open_classifier(settings *s, rml_error *err)
{
    rml_session_settings wanted = rml_session_settings_default();
    wanted.threads = s->common.threads;
    wanted.cpu = s->common.cpu;
    wanted.precision = s->common.precision;
    wanted.profile = s->common.profile;
    TRY(weights_source_open(&s->weights, &s->source, s->common.quiet, err));
    TRY(rml_model_create(&s->model, MODEL, s->weights, NULL, err));
    const rml_status status =
        rml_classifier_create(&s->classifier, s->model, s->size, &wanted, err);
    if (status != RML_OK) {
        rml_error_prefix(err, s->source.path);
        return status;
    }
    return labels_open(&s->labels, s->labels_path, s->source.path,
                       rml_classifier_classes(s->classifier), err);
}

// Files that are not there show when they are read; folders without images are told here.
static rml_status list_files(settings *s, const char *const *paths, int count, rml_error *err)
{
    for (int i = 0; i < count; i++) {
        const rml_status status =
            rml_picture_list_add(&s->list, paths[i], rml_allocator_default(), err);
        if (status == RML_ERR_NOMEM)
            return status;
        if (status != RML_OK) {
            s->failed++;
            failure(COMMAND, err);
        }
    }
    return RML_OK;
}

static rml_status run(settings *s, rml_view *view, rml_error *err)
{
    TRY(open_classifier(s, err));
    const rml_view usual = rml_view_default(rml_classifier_side(s->classifier));
    view->side = usual.side;
    view->shorter = s->resize ? s->resize : usual.shorter;
    view->stretch = s->stretch;
    TRY(rml_view_check(view, err));
    const rml_classify_job job = {.paths = s->list.paths,
                                  .count = s->list.count,
                                  .classifier = s->classifier,
                                  .view = *view,
                                  .batch = s->batch,
                                  .top = s->top,
                                  .done = done,
                                  .user = s,
                                  .allocator = rml_allocator_default()};
    if (s->csv)
        printf("file," CSV_ANSWER_COLUMNS "\n");
    progress_begin(&s->progress, "images", !s->common.quiet && !output_is_terminal());
    const rml_status status = rml_classify_files(&job, err);
    progress_end(&s->progress);
    if (status == RML_OK && s->common.profile)
        print_profile(stderr, rml_classifier_session(s->classifier), 0);
    return status;
}

static void close_all(settings *s)
{
    rml_classifier_destroy(&s->classifier);
    rml_model_destroy(&s->model);
    rml_weights_close(&s->weights);
    rml_labels_release(&s->labels);
    rml_picture_list_release(&s->list);
}

static int work(settings *s, const char *const *paths, int count, rml_view *view)
{
    rml_error err;
    rml_status status = list_files(s, paths, count, &err);
    if (status == RML_OK && s->list.count > 0)
        status = run(s, view, &err);
    close_all(s);
    if (status != RML_OK)
        return failure(COMMAND, &err);
    return s->failed ? EXIT_FAILED : EXIT_DONE;
}

static int parse(settings *s, const char **paths, int *count, rml_view *view, int argc, char **argv)
{
    const char *weights = NULL;
    const option options[] = {
        {"weights", 'w', OPTION_TEXT, &weights, "FILE|FOLDER", 0, 0,
         "MobileNetV2 weights (.pth, .safetensors), or a classifier as\n.onnx; without: those that "
         "are found"},
        {"labels", 'l', OPTION_TEXT, &s->labels_path, "FILE", 0, 0,
         "names of the classes, one a line, or JSON; without: the\nfile beside the weights that "
         "ends in _labels.txt, if any"},
        {"top", 'k', OPTION_INT, &s->top, "K", 1, RML_LABELS_MAX,
         "classes told of each image, the most probable first (5)"},
        {"size", 0, OPTION_INT, &s->size, "N", RML_VIEW_MIN_SIDE, RML_VIEW_MAX_SIDE,
         "pixels a side of the square that the network sees (224,\nor what the network fixes)"},
        {"resize", 0, OPTION_INT, &s->resize, "N", RML_VIEW_MIN_SIDE, 16384,
         "scale the shorter side to N before the square is cut out\nof the middle (256 for a "
         "square of 224, else in proportion)"},
        {"stretch", 0, OPTION_FLAG, &s->stretch, NULL, 0, 0,
         "instead, scale the whole image to the square"},
        {"values", 0, OPTION_TEXT, &s->values, "HOW", 0, 0,
         "what the network gets for the levels 0..255: imagenet (its\nmean and deviation, the "
         "usual), unit (0..1), signed\n(-1..1: level/128 - 1), raw (0..255), or MEAN/DEVIATION "
         "in\nlevels, for all colours or R,G,B/R,G,B"},
        {"batch", 0, OPTION_INT, &s->batch, "N", 1, RML_CLASSIFY_MAX_BATCH,
         "most images in one run of the network (8); no influence\non the result"},
        {"csv", 0, OPTION_FLAG, &s->csv, NULL, 0, 0, "the result as a table, one line a class"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "IMAGE|FOLDER... [options]",
        .summary = "Tells what images show (MobileNetV2). PNG, JPEG, BMP, TGA and PNM are read; "
                   "of a folder,\n"
                   "all of them, however deep.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = paths,
        .positional_max = argc,
        .common = &s->common,
    };
    int code = options_parse(&line, argc, argv);
    *count = line.positional_count;
    if (code != EXIT_DONE || s->common.help)
        return code;
    if (*count == 0)
        return usage_error(COMMAND, "no image or folder is named");
    if (s->csv && s->common.json)
        return usage_error(COMMAND, "--csv and --json exclude each other");
    if (s->stretch && s->resize)
        return usage_error(COMMAND, "--stretch and --resize exclude each other");
    *view = rml_view_default(RML_VIEW_MIN_SIDE);
    if (s->values && !parse_values(s->values, view))
        return usage_error(COMMAND,
                           "--values is imagenet, unit, signed, raw or MEAN/DEVIATION, not '%s'",
                           s->values);
    if (!weights_choose(&s->source, MODEL, weights))
        return weights_missing(COMMAND, MODEL, "weights");
    return EXIT_DONE;
}

int cmd_mobilenetv2(int argc, char **argv)
{
    settings s = {.top = 5, .batch = 8};
    rml_view view;
    int count = 0;
    const char **paths = calloc((size_t)argc, sizeof *paths);
    if (!paths) {
        fprintf(stderr, "run-model " COMMAND ": no memory\n");
        return EXIT_FAILED;
    }
    int code = parse(&s, paths, &count, &view, argc, argv);
    if (code == EXIT_DONE && !s.common.help)
        code = work(&s, paths, count, &view);
    free(paths);
    return code;
}
