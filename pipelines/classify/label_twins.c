// Names that two classes have: "crane" is a bird and a machine.
#include "pipelines/classify/labels.h"
#include "tensor/arena.h"
#include "tensor/names.h"

#include <stdio.h>
#include <string.h>

// "name (2)", or the next number that no class has.
static rml_status rename_class(rml_labels *labels, int index, rml_names *names, rml_error *err)
{
    const char *old = labels->names[index];
    char text[RML_LABEL_BYTES + 24];
    size_t number = 2, there;
    do
        snprintf(text, sizeof text, "%s (%zu)", old, number++);
    while (rml_names_find(names, text, strlen(text), &there));
    labels->names[index] = rml_arena_text(labels->arena, text);
    if (!labels->names[index])
        return rml_fail_nomem(err, sizeof text, "a label");
    return rml_names_add(names, labels->names[index], strlen(text), (size_t)index, &there, err);
}

rml_status rml_labels_find_twins(rml_labels *labels, bool rename, rml_label_twins *out,
                                 rml_error *err)
{
    rml_names names;
    rml_status status = RML_OK;
    *out = (rml_label_twins){0};
    rml_names_init(&names, labels->arena->allocator);
    for (int i = 0; i < labels->count && status == RML_OK; i++) {
        const char *name = rml_labels_name(labels, i);
        size_t first = (size_t)i;
        if (!name)
            status = rml_fail(err, RML_ERR_FORMAT, "class %d has no name", i);
        else
            status = rml_names_add(&names, name, strlen(name), first, &first, err);
        if (status != RML_OK || first == (size_t)i)
            continue;
        if (out->count++ == 0)
            *out = (rml_label_twins){1, {(int)first, i}, name};
        if (rename)
            status = rename_class(labels, i, &names, err);
    }
    rml_names_release(&names);
    return status;
}
