#include "loaders/coreml/refusals.h"

#include <stdio.h>
#include <string.h>

void rml_coreml_add_refusal(rml_coreml_refusals *list, const char *kind, const char *where,
                            const char *reason)
{
    enum { MOST_REASON = 400 };
    const size_t bytes = strlen(reason) < MOST_REASON ? strlen(reason) : MOST_REASON;
    const size_t used = strlen(list->text), room = sizeof list->text - used;
    list->count++;
    for (size_t i = 0; i < list->told_count; i++)
        if (strcmp(list->told[i].kind, kind) == 0 && list->told[i].bytes == bytes &&
            memcmp(list->text + list->told[i].reason, reason, bytes) == 0)
            return;
    const int length = snprintf(list->text + used, room, "%s%.64s (%.100s): %.*s", used ? "; " : "",
                                kind, where, (int)bytes, reason);
    if (length < 0 || (size_t)length >= room || list->told_count == RML_COREML_REFUSALS) {
        list->text[used] = 0;
        list->more++;
        return;
    }
    list->told[list->told_count].kind = kind;
    list->told[list->told_count].reason = used + (size_t)length - bytes;
    list->told[list->told_count++].bytes = bytes;
}

rml_status rml_coreml_list_refusals(const rml_coreml_refusals *list, const char *what,
                                    rml_error *err)
{
    char more[48] = "";
    if (list->more)
        snprintf(more, sizeof more, "; and %zu more", list->more);
    return rml_fail(err, RML_ERR_UNSUPPORTED, "%zu %s%s cannot be run: %s%s", list->count, what,
                    list->count == 1 ? "" : "s", list->text, more);
}
