#include "tools/media/lipsync_mark.h"

#include <stdio.h>
#include <string.h>

static size_t value_bytes(const option *o)
{
    switch (o->kind) {
    case OPTION_FLAG:
        return sizeof(bool);
    case OPTION_SWITCH:
        return sizeof(option_switch);
    case OPTION_TEXT:
        return sizeof(const char *);
    case OPTION_INT:
        return sizeof(int);
    case OPTION_NUMBER:
        return sizeof(double);
    case OPTION_FOUR:
        return 4 * sizeof(int);
    default:
        return 0; // lists are empty before
    }
}

void lipsync_given_begin(lipsync_given *given, const option *options, int count)
{
    *given = (lipsync_given){.options = options, .count = count};
    for (int i = 0; i < count; i++)
        memcpy(given->values[i], options[i].target, value_bytes(&options[i]));
}

// What the pictures do not depend on, or says more of whom the files are than of how they are made.
static bool is_told(const option *o)
{
    static const char *const untold[] = {
        "face",
        "audio",
        "voice",
        "outfile",
        "faces",
        "wav2lip_batch_size",
        "face_det_batch_size",
        "final_audio",
        "no_mark",
        "mem_limit",
        "c2pa",
        "c2pa_key",
    };
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++)
        if (strcmp(o->name, untold[i]) == 0)
            return false;
    return true;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void tell(char text[RML_MARK_VALUE_BYTES], const option *o)
{
    const int *four = o->target;
    const option_list *list = o->target;
    size_t used = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        snprintf(text, RML_MARK_VALUE_BYTES, "yes");
        break;
    case OPTION_SWITCH:
        snprintf(text, RML_MARK_VALUE_BYTES, "%s",
                 ((const option_switch *)o->target)->value ? "yes" : "no");
        break;
    case OPTION_TEXT:
        snprintf(text, RML_MARK_VALUE_BYTES, "%s", last_part(*(const char *const *)o->target));
        break;
    case OPTION_INT:
        snprintf(text, RML_MARK_VALUE_BYTES, "%d", *(const int *)o->target);
        break;
    case OPTION_NUMBER:
        snprintf(text, RML_MARK_VALUE_BYTES, "%.10g", *(const double *)o->target);
        break;
    case OPTION_FOUR:
        snprintf(text, RML_MARK_VALUE_BYTES, "%d %d %d %d", four[0], four[1], four[2], four[3]);
        break;
    case OPTION_LIST:
    case OPTION_VALUES:
        for (int i = 0; i < list->count && used < RML_MARK_VALUE_BYTES; i++) {
            const char *name = list->items[i].name;
            used += (size_t)snprintf(text + used, RML_MARK_VALUE_BYTES - used, "%s%s%s%s",
                                     i ? " " : "", name ? name : "", name ? "=" : "",
                                     last_part(list->items[i].value));
        }
        break;
    }
}

void lipsync_mark_settings(rml_mark_facts *mark, const lipsync_given *given,
                           rml_precision precision)
{
    for (int i = 0; i < given->count; i++) {
        const option *o = &given->options[i];
        const bool is_list = o->kind == OPTION_LIST || o->kind == OPTION_VALUES;
        const bool changed = is_list ? ((const option_list *)o->target)->count > 0
                                     : memcmp(given->values[i], o->target, value_bytes(o)) != 0;
        if (!changed || !is_told(o) || mark->setting_count == RML_MARK_SETTINGS - 1)
            continue;
        mark->settings[mark->setting_count].name = o->name;
        tell(mark->settings[mark->setting_count++].value, o);
    }
    if (precision != RML_PRECISION_F32) {
        mark->settings[mark->setting_count].name = "precision";
        snprintf(mark->settings[mark->setting_count++].value, RML_MARK_VALUE_BYTES, "%s",
                 rml_precision_name(precision));
    }
}

void lipsync_mark_weights(rml_mark_facts *mark, const char *name, const char *path)
{
    if (path && mark->weights_count < RML_MARK_WEIGHTS) {
        mark->weights[mark->weights_count].name = name;
        mark->weights[mark->weights_count++].path = path;
    }
}
