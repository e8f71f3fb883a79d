#define _POSIX_C_SOURCE 200809L
#include "tools/answers.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include <math.h>
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

rml_status labels_open(rml_labels *out, const char *named, const char *weights, int classes,
                       rml_error *err)
{
    char found[FIND_PATH_BYTES];
    *out = (rml_labels){0};
    if (!named && !beside(found, weights))
        return RML_OK;
    const char *path = named ? named : found;
    TRY(rml_labels_load(out, path, rml_allocator_default(), err));
    return rml_labels_check(out, path, classes, err);
}

void print_answer(FILE *file, const rml_labels *labels, const rml_top_class *top, int count)
{
    for (int i = 0; i < count; i++) {
        const char *name = rml_labels_name(labels, top[i].index);
        fputs(i ? ", " : "", file);
        if (name)
            fputs(name, file);
        else
            fprintf(file, "class %d", top[i].index);
        fprintf(file, " %.2f %%", 100 * (double)top[i].probability);
    }
}

void json_answer(FILE *file, const rml_labels *labels, const rml_top_class *top, int count)
{
    for (int i = 0; i < count; i++) {
        const char *name = rml_labels_name(labels, top[i].index);
        fprintf(file, "%s{\"class\":%d,\"label\":", i ? "," : "[", top[i].index);
        if (name)
            json_text(file, name);
        else
            fputs("null", file);
        if (isfinite(top[i].probability))
            fprintf(file, ",\"probability\":%.9g}", (double)top[i].probability);
        else
            fputs(",\"probability\":null}", file);
    }
    putc(']', file);
}

void csv_answer(FILE *file, const char *what, const rml_labels *labels, const rml_top_class *top,
                int count)
{
    for (int i = 0; i < count; i++) {
        const char *name = rml_labels_name(labels, top[i].index);
        csv_text(file, what);
        fprintf(file, ",%d,%d,", i + 1, top[i].index);
        csv_text(file, name ? name : "");
        fprintf(file, ",%.9g\n", (double)top[i].probability);
    }
}
