#define _POSIX_C_SOURCE 200809L
#include "tools/answers.h"
#include "tools/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ENDING "_labels.txt"

// False when there is no such file.
static bool beside(char path[FIND_PATH_BYTES], const char *weights)
{
    const char *slash = strrchr(weights, '/'), *dot = strrchr(weights, '.');
    size_t length = strlen(weights);
    if (dot && dot > weights && (!slash || dot > slash + 1))
        length = (size_t)(dot - weights);
    struct stat info;
    return snprintf(path, FIND_PATH_BYTES, "%.*s" ENDING, (int)length, weights) < FIND_PATH_BYTES &&
           stat(path, &info) == 0;
}

void answers_take_labels(answers *a, const rml_meaning *meaning)
{
    const size_t count = meaning->label_count;
    a->labels.names = (const char **)(uintptr_t)meaning->label; // only read
    a->labels.count = (int)(count < RML_LABELS_MAX ? count : RML_LABELS_MAX);
}

rml_status answers_open_labels(answers *a, int classes, rml_error *err)
{
    char found[FIND_PATH_BYTES];
    const rml_meaning *meaning = rml_model_output(a->network.model, 0).meaning;
    if (!a->labels_path && meaning && meaning->label_count == (size_t)classes) {
        answers_take_labels(a, meaning);
        return RML_OK;
    }
    if (!a->labels_path && !beside(found, a->network.source.path))
        return RML_OK;
    const char *path = a->labels_path ? a->labels_path : found;
    TRY(rml_labels_load(&a->labels, path, rml_allocator_default(), err));
    return rml_labels_check(&a->labels, path, classes, err);
}

void answers_close(answers *a)
{
    network_close(&a->network);
    rml_labels_release(&a->labels);
}

int answers_check(answers *a, const char *command, const char *named, bool json)
{
    if (a->csv && json)
        return usage_error(command, "--csv and --json exclude each other");
    if (!weights_choose(&a->network.source, command, named))
        return weights_missing(command, command, "weights");
    return EXIT_DONE;
}

void answers_begin(answers *a, const char *column, const char *unit, bool quiet)
{
    if (a->csv)
        printf("%s,rank,class,label,probability\n", column);
    if (unit)
        progress_begin(&a->progress, unit, !quiet && !output_is_terminal());
}

void answer_line(const answers *a, const char *head, const rml_top_class *top, int count)
{
    fputs(head, stdout);
    for (int i = 0; i < count; i++) {
        const char *name = rml_labels_name(&a->labels, top[i].index);
        fputs(i ? ", " : "", stdout);
        if (name)
            fputs(name, stdout);
        else
            printf("class %d", top[i].index);
        printf(" %.2f %%", 100 * (double)top[i].probability);
    }
    printf("\n");
}

void answer_rows(const answers *a, const char *name, const rml_top_class *top, int count)
{
    for (int i = 0; i < count; i++) {
        const char *label = rml_labels_name(&a->labels, top[i].index);
        csv_text(name);
        printf(",%d,%d,", i + 1, top[i].index);
        csv_text(label ? label : "");
        printf(",%.9g\n", (double)top[i].probability);
    }
}

void answer_json(const answers *a, const rml_top_class *top, int count)
{
    for (int i = 0; i < count; i++) {
        const char *name = rml_labels_name(&a->labels, top[i].index);
        printf("%s{\"class\":%d,\"label\":", i ? "," : "[", top[i].index);
        if (name)
            json_text(name);
        else
            printf("null");
        printf(",\"probability\":");
        printf(isfinite(top[i].probability) ? "%.9g}" : "null}", (double)top[i].probability);
    }
    printf("]");
}
