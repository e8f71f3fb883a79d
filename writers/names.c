// Names of values in a file: each once, and of the letters that its kind allows.
#include "tensor/names.h"
#include "writers/writing.h"

#include <stdio.h>
#include <string.h>

// Words of MIL, which a name must not be.
static const char *const words[] = {"any",   "bool",  "program", "func",   "tensor", "list",
                                    "dict",  "tuple", "true",    "false",  "string", "bf16",
                                    "fp16",  "fp32",  "fp64",    "int8",   "int16",  "int32",
                                    "int64", "uint8", "uint16",  "uint32", "uint64", "state"};

typedef struct rml_naming {
    rml_arena *arena;
    rml_names taken;
    bool identifiers;
    const char *last; // the name wanted last, and the number it was given: many nodes may share one
    size_t number;
} rml_naming;

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// `name` as an identifier, with room for a number behind it.
static char *make_fit(rml_naming *n, const char *name, size_t room)
{
    const size_t length = strlen(name);
    char *text = rml_arena_alloc(n->arena, length + room + 3, 1), *to = text;
    if (!text || !n->identifiers)
        return text ? strcpy(text, *name ? name : "value") : NULL;
    if (!*name || is_digit(*name))
        *to++ = '_';
    for (size_t i = 0; i < length; i++)
        *to++ = is_letter(name[i]) || is_digit(name[i]) || (i && name[i] == '@') ? name[i] : '_';
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0)
            *to = '_';
    return text;
}

// Takes the name, or the first of name_1, name_2, .. that is free.
static rml_status take(rml_naming *n, const char *wanted, size_t value, const char **out,
                       rml_error *err)
{
    enum { ROOM = 24 };
    char *text = make_fit(n, wanted, ROOM);
    if (!text)
        return rml_fail_nomem(err, strlen(wanted), "a name");
    const size_t length = strlen(text);
    size_t there, now;
    if (!n->last || strcmp(n->last, wanted) != 0)
        n->number = 0;
    n->last = wanted;
    for (;; n->number++) {
        if (n->number)
            snprintf(text + length, ROOM, "_%zu", n->number);
        const size_t bytes = strlen(text);
        if (!rml_names_find(&n->taken, text, bytes, &there)) {
            *out = text;
            return rml_names_add(&n->taken, text, bytes, value, &now, err);
        }
    }
}

rml_status rml_name_values(const rml_graph *graph, rml_arena *arena, bool identifiers,
                           const char ***names, rml_error *err)
{
    rml_naming n = {.arena = arena, .identifiers = identifiers};
    rml_status status = RML_OK;
    const char **all = rml_arena_alloc(arena, graph->value_count + 1, sizeof *all);
    if (!all)
        return rml_fail_nomem(err, graph->value_count * sizeof *all, "names");
    rml_names_init(&n.taken, arena->allocator);
    // What people see has its name first.
    for (size_t i = 0; i < graph->input_count && status == RML_OK; i++)
        status = take(&n, graph->values[graph->inputs[i]].name, graph->inputs[i],
                      &all[graph->inputs[i]], err);
    for (size_t i = 0; i < graph->output_count && status == RML_OK; i++)
        status = take(&n, graph->output_names[i], graph->outputs[i], &all[graph->outputs[i]], err);
    for (size_t i = 0; i < graph->value_count && status == RML_OK; i++)
        if (!all[i])
            status = take(&n, graph->values[i].name, i, &all[i], err);
    rml_names_release(&n.taken);
    *names = all;
    return status;
}
