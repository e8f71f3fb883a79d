// run-model mobilenetv2: tells what pictures show.
#include "tools/answers.h"
#include "tools/commands.h"
#include "tools/report.h"

#include "pipelines/classify/classify_files.h"
#include "pipelines/images/port_picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "mobilenetv2" // and the network

typedef struct settings {
    common_options common;
    answers answers;
    const char *values;
    bool stretch;
    int batch, size, resize;
    rml_view view;
    rml_classifier *classifier;
    rml_picture_list list;
} settings;

// ---- what the network sees --------------------------------------------------------------------

// False when the text is neither a name nor MEAN/DEVIATION.
static bool parse_values(const char *text, rml_view *view)
{
    if (strcmp(text, "imagenet") == 0)
        return true;
    view->full = 1;
    return rml_values_parse(text, view->mean, view->deviation);
}

// ---- results ----------------------------------------------------------------------------------

static void print_json(const answers *a, const rml_classify_result *r)
{
    json_field("{\"input\":", r->path);
    if (r->status != RML_OK) {
        json_field(",\"error\":", r->error.message);
    } else {
        printf(",\"width\":%d,\"height\":%d,\"classes\":", r->width, r->height);
        answer_json(a, r->top, r->top_count);
        if (r->remark[0])
            json_field(",\"remark\":", r->remark);
    }
    printf("}\n");
}

static void done(void *user, const rml_classify_result *r)
{
    settings *s = user;
    answers *a = &s->answers;
    a->done++;
    a->failed += r->status != RML_OK;
    if (r->status != RML_OK) {
        progress_end(&a->progress);
        failure(COMMAND, &r->error);
    } else if (r->remark[0] && !s->common.quiet) {
        progress_end(&a->progress);
        fprintf(stderr, "%s: %s\n", r->path, r->remark);
    }
    if (s->common.json) {
        print_json(a, r);
    } else if (r->status == RML_OK && a->csv) {
        answer_rows(a, r->path, r->top, r->top_count);
    } else if (r->status == RML_OK) {
        printf("%s: ", r->path);
        answer_line(a, "", r->top, r->top_count);
    }
    fflush(stdout);
    progress_update(&a->progress, a->done, (int64_t)s->list.count);
}

// ---- the command ------------------------------------------------------------------------------

static rml_status open_classifier(settings *s, rml_error *err)
{
    network *n = &s->answers.network;
    const rml_session_settings wanted = session_settings(&s->common);
    TRY(network_open(n, COMMAND, NULL, s->common.quiet, err));
    const rml_meaning *image = rml_model_input(n->model, 0).meaning;
    if (s->values && image && image->declared)
        return rml_fail(err, RML_ERR_ARG,
                        "--values is not for %s, which says itself what its image takes",
                        n->source.path);
    TRY(named(rml_classifier_create(&s->classifier, n->model, s->size, &wanted, err), err,
              n->source.path));
    return answers_open_labels(&s->answers, rml_classifier_classes(s->classifier), err);
}

// What of a folder is left out.
static void tell(void *user, const rml_error *why, bool failed)
{
    settings *s = user;
    s->answers.failed += failed;
    if (failed)
        failure(COMMAND, why);
    else if (!s->common.quiet)
        fprintf(stderr, "%s\n", why->message);
}

// Files that are not there show when they are read; folders without images are told here.
static rml_status list_files(settings *s, char *const *paths, int count, rml_error *err)
{
    for (int i = 0; i < count; i++) {
        const rml_status status =
            rml_picture_list_add(&s->list, paths[i], tell, s, rml_allocator_default(), err);
        if (status == RML_ERR_NOMEM)
            return status;
        if (status != RML_OK) {
            s->answers.failed++;
            failure(COMMAND, err);
        }
    }
    return RML_OK;
}

static rml_status run(settings *s, char *const *paths, int count, rml_error *err)
{
    TRY(list_files(s, paths, count, err));
    if (s->list.count == 0)
        return RML_OK;
    TRY(open_classifier(s, err));
    const rml_view usual = rml_view_default(rml_classifier_side(s->classifier));
    s->view.side = usual.side;
    s->view.shorter = s->resize ? s->resize : usual.shorter;
    s->view.stretch = s->stretch;
    TRY(rml_view_check(&s->view, err));
    const rml_classify_job job = {.paths = s->list.paths,
                                  .count = s->list.count,
                                  .classifier = s->classifier,
                                  .view = s->view,
                                  .batch = s->batch,
                                  .top = s->answers.top,
                                  .done = done,
                                  .user = s,
                                  .allocator = rml_allocator_default()};
    answers_begin(&s->answers, "file", "images", s->common.quiet);
    const rml_status status = rml_classify_files(&job, err);
    progress_end(&s->answers.progress);
    if (status == RML_OK && s->common.profile)
        print_profile(stderr, rml_classifier_session(s->classifier));
    return status;
}

static int parse(settings *s, int *count, int argc, char **argv)
{
    const char *weights = NULL;
    const option options[] = {
        {"weights", 'w', OPTION_TEXT, &weights, "FILE|FOLDER", 0, 0,
         "MobileNetV2 weights (.pth, .safetensors), or a classifier as\n.onnx, .mlmodel or "
         ".mlpackage; "
         "without: those that are found"},
        {"labels", 'l', OPTION_TEXT, &s->answers.labels_path, "FILE", 0, 0,
         "names of the classes, one a line, or JSON; without:\nthose in a Core ML file, or in the "
         "file beside the weights\nthat ends in _labels.txt, if any"},
        {"top", 'k', OPTION_INT, &s->answers.top, "K", 1, RML_LABELS_MAX,
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
        {"csv", 0, OPTION_FLAG, &s->answers.csv, NULL, 0, 0,
         "the result as a table, one line a class"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "IMAGE|FOLDER... [options]",
        .summary = "Tells what images show (MobileNetV2). PNG, JPEG, TIFF, WebP, BMP, TGA and PNM "
                   "are\n"
                   "read; of a folder, all of them, however deep.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .any_number = true,
        .common = &s->common,
    };
    int code = options_parse(&line, argc, argv);
    *count = line.positional_count;
    if (code != EXIT_DONE || s->common.help)
        return code;
    if (*count == 0)
        return usage_error(COMMAND, "no image or folder is named");
    if (s->stretch && s->resize)
        return usage_error(COMMAND, "--stretch and --resize exclude each other");
    s->view = rml_view_default(RML_VIEW_MIN_SIDE);
    if (s->values && !parse_values(s->values, &s->view))
        return usage_error(COMMAND,
                           "--values is imagenet, unit, signed, raw or MEAN/DEVIATION, not '%s'",
                           s->values);
    return answers_check(&s->answers, COMMAND, weights, s->common.json);
}

int cmd_mobilenetv2(int argc, char **argv)
{
    settings s = {.answers.top = 5, .batch = 8};
    int count = 0;
    const int code = parse(&s, &count, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    rml_error err;
    const rml_status status = run(&s, argv + 1, count, &err);
    rml_classifier_destroy(&s.classifier);
    rml_picture_list_release(&s.list);
    answers_close(&s.answers);
    return exit_code(COMMAND, status, &err, (size_t)s.answers.failed);
}
