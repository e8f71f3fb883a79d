// Outputs of run-model exec: arrays, pictures, the classes of a classifier.
#include "tools/answers.h"
#include "tools/exec/exec_parts.h"

#include "pipelines/images/port_picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- files --------------------------------------------------------------------------------------

static rml_status write_picture(const exec_settings *s, const char *path, const rml_port *port,
                                const void *data, const rml_shape *shape, rml_error *err)
{
    const rml_meaning meaning = exec_image_meaning(s, port->meaning, shape);
    size_t count;
    if (!meaning.kind)
        return rml_fail(err, RML_ERR_ARG,
                        "%s is to be a picture, and nothing says that output %s is an image: %s "
                        "an array (.npy)",
                        path, port->name,
                        rml_port_planes(shape) ? "say with --values what levels are, or write"
                                               : "write");
    if (meaning.dark && !s->common.quiet)
        fprintf(stderr,
                "warning: output %s is an image of levels 0 to 255, and the network ends in what "
                "gives at most 1: %s is black\n",
                port->name, path);
    count_elements(shape, &count);
    float *planes = calloc(count + 1, sizeof *planes);
    if (!planes)
        return no_memory(err, count * sizeof *planes, "a picture");
    rml_dtype_convert(port->dtype, data, RML_F32, planes, count);
    const rml_status status = rml_port_picture_save(path, port->name, planes, shape, &meaning,
                                                    rml_allocator_default(), err);
    free(planes);
    return status;
}

rml_status exec_write_outputs(const exec_settings *s, rml_error *err)
{
    const network *n = &s->network;
    for (int i = 0; i < s->outputs.count; i++) {
        rml_shape shape;
        const char *path = s->outputs.items[i].value;
        const size_t index = rml_model_find_output(n->model, s->outputs.items[i].name);
        const rml_port port = rml_model_output(n->model, index);
        const void *data = rml_session_output_at(n->session, index, &shape);
        if (!data)
            return rml_fail(err, RML_ERR_INTERNAL, "output %s was not made", port.name);
        if (rml_names_picture(path))
            TRY(write_picture(s, path, &port, data, &shape, err));
        else
            TRY(rml_npy_write(path, port.dtype, data, &shape, err));
    }
    return RML_OK;
}

// ---- classes ------------------------------------------------------------------------------------

// The first output of this kind; RML_NO_PORT where there is none.
static size_t find_kind(const rml_model *model, rml_meaning_kind kind)
{
    for (size_t k = 0; k < rml_model_output_count(model); k++) {
        const rml_meaning *meaning = rml_model_output(model, k).meaning;
        if (meaning && meaning->kind == kind)
            return k;
    }
    return RML_NO_PORT;
}

bool exec_classifies(const rml_model *model)
{
    return find_kind(model, RML_MEANS_SCORES) != RML_NO_PORT ||
           find_kind(model, RML_MEANS_LABEL) != RML_NO_PORT;
}

// What a classifier found: its label, and the largest scores.
typedef struct found {
    const char *label_name, *scores_name; // of the outputs, or NULL
    const char *label;
    char number[32]; // a label that is one
    rml_top_class *top;
    int count;
    answers answers; // labels of the file
} found;

static rml_status find_top(const exec_settings *s, size_t at, found *f, rml_error *err)
{
    const network *n = &s->network;
    const rml_port port = rml_model_output(n->model, at);
    rml_shape shape;
    size_t count;
    const void *data = rml_session_output_at(n->session, at, &shape);
    count_elements(&shape, &count);
    if (!data || count < 1 || count > RML_LABELS_MAX)
        return rml_fail(err, RML_ERR_LIMIT, "output %s has %zu scores; 1 to %d can be told",
                        port.name, count, RML_LABELS_MAX);
    const int most = s->top < (int)count ? s->top : (int)count;
    float *scores = calloc(count, sizeof *scores);
    f->top = calloc((size_t)most, sizeof *f->top);
    if (scores && f->top) {
        rml_dtype_convert(port.dtype, data, RML_F32, scores, count);
        f->count = rml_top_classes(scores, (int)count, f->top, most);
        f->scores_name = port.name;
        f->label = rml_labels_name(&f->answers.labels, f->top[0].index);
    }
    free(scores);
    return f->count ? RML_OK : no_memory(err, count * sizeof *scores, "the scores");
}

static rml_status find_label(const exec_settings *s, size_t at, found *f, rml_error *err)
{
    const network *n = &s->network;
    const rml_port port = rml_model_output(n->model, at);
    const void *data = rml_session_output_at(n->session, at, NULL);
    int64_t value;
    if (!data)
        return rml_fail(err, RML_ERR_INTERNAL, "output %s was not made", port.name);
    rml_dtype_convert(port.dtype, data, RML_I64, &value, 1);
    f->label_name = port.name;
    snprintf(f->number, sizeof f->number, "%lld", (long long)value);
    f->label = port.meaning->numbered || value < 0 || value >= f->answers.labels.count
                   ? f->number
                   : f->answers.labels.names[value];
    return RML_OK;
}

static rml_status find_classes(const exec_settings *s, found *f, rml_error *err)
{
    const rml_model *model = s->network.model;
    const size_t scores = find_kind(model, RML_MEANS_SCORES);
    const size_t label = find_kind(model, RML_MEANS_LABEL);
    const size_t any = scores != RML_NO_PORT ? scores : label;
    answers_take_labels(&f->answers, rml_model_output(model, any).meaning);
    if (scores != RML_NO_PORT)
        TRY(find_top(s, scores, f, err));
    return label != RML_NO_PORT ? find_label(s, label, f, err) : RML_OK;
}

static void print_classes(const found *f)
{
    if (f->label_name)
        printf("%s %s\n", f->label_name, f->label);
    for (int i = 0; i < f->count; i++) {
        const char *label = rml_labels_name(&f->answers.labels, f->top[i].index);
        printf("%s %.6g ", f->scores_name, (double)f->top[i].probability);
        if (label)
            printf("%s\n", label);
        else
            printf("class %d\n", f->top[i].index);
    }
}

// ---- the report ---------------------------------------------------------------------------------

static void print_outputs(const exec_settings *s)
{
    const bool json = s->common.json;
    for (int i = 0; i < s->outputs.count; i++) {
        const char *name = s->outputs.items[i].name, *file = s->outputs.items[i].value;
        rml_shape shape = {0};
        rml_session_output(s->network.session, name, &shape);
        if (s->steps)
            shape = exec_steps_shape(&shape, s->step_count);
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
}

static void print_json(const exec_settings *s, const found *f, double run_ms)
{
    rml_session *session = s->network.session;
    json_field("{\"model\":", s->model);
    printf(",\"threads\":%d", rml_session_threads(session));
    json_field(",\"cpu\":", rml_cpu_level_name(rml_session_cpu(session)));
    printf(",\"macs\":%llu,\"planned_bytes\":%zu,\"run_ms\":%.3f,\"outputs\":[",
           (unsigned long long)rml_session_macs(session), rml_session_planned_bytes(session),
           run_ms);
    print_outputs(s);
    printf("]");
    if (f->label)
        json_field(",\"label\":", f->label);
    if (f->count) {
        printf(",\"classes\":");
        answer_json(&f->answers, f->top, f->count);
    }
    if (s->common.profile) {
        printf(",\"profile\":");
        json_profile(session);
    }
    printf("}\n");
}

rml_status exec_report(const exec_settings *s, double run_ms, rml_error *err)
{
    found f = {0};
    rml_status status = RML_OK;
    if (exec_classifies(s->network.model) && !s->steps)
        status = find_classes(s, &f, err);
    if (status == RML_OK && s->common.json) {
        print_json(s, &f, run_ms);
    } else if (status == RML_OK) {
        print_outputs(s);
        print_classes(&f);
        if (s->common.profile)
            print_profile(stderr, s->network.session);
    }
    free(f.top);
    return status;
}
