// The settings and weights that the result of a lip-sync command names.
#ifndef RML_TOOLS_MEDIA_LIPSYNC_MARK_H
#define RML_TOOLS_MEDIA_LIPSYNC_MARK_H

#include "tools/options.h"

#include "pipelines/lipsync/result_mark.h"

#define LIPSYNC_OPTIONS_MAX 64

// The values of options before they are parsed, to see afterwards which ones have changed.
typedef struct lipsync_given {
    const option *options;
    int count;
    char values[LIPSYNC_OPTIONS_MAX][4 * sizeof(int)];
} lipsync_given;

void lipsync_given_begin(lipsync_given *given, const option *options, int count);

// Notes the settings that are not the default and that the pictures depend on. Of files the name
// without its folders is said, and of what comes in and goes out nothing.
void lipsync_mark_settings(rml_mark_facts *mark, const lipsync_given *given,
                           rml_precision precision);

// Adds weights, a file or a folder; `path` may be NULL.
void lipsync_mark_weights(rml_mark_facts *mark, const char *name, const char *path);

#endif
