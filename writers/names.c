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

void rml_naming_init(rml_naming *n, rml_arena *arena, bool identifiers)
{
    *n = (rml_naming){.arena = arena, .identifiers = identifiers};
    rml_names_init(&n->taken, arena->allocator);
}

void rml_naming_release(rml_naming *n)
{
    rml_names_release(&n->taken);
}

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

rml_status rml_name_take(rml_naming *n, const char *wanted, const char **out, rml_error *err)
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
            return rml_names_add(&n->taken, text, bytes, 0, &now, err);
        }
    }
}

static rml_status name_port(rml_naming *n, const char *name, const rml_writing *ports,
                            const char **out, rml_error *err)
{
    const rml_write_port *port = ports ? rml_writing_port(ports, name) : NULL;
    return rml_name_take(n, port && port->as ? port->as : name, out, err);
}

// Which values something reads: those have their names before other constants. NULL when memory is
// out.
static bool *find_read(rml_naming *n, const rml_graph *graph)
{
    bool *read = rml_arena_alloc(n->arena, graph->value_count + 1, sizeof *read);
    for (size_t i = 0; read && i < graph->output_count; i++)
        read[graph->outputs[i]] = true;
    for (size_t i = 0; read && i < graph->node_count; i++)
        for (int k = 0; k < graph->nodes[i].in_count && !graph->nodes[i].dead; k++)
            if (graph->nodes[i].in[k] != RML_NO_VALUE)
                read[graph->nodes[i].in[k]] = true;
    return read;
}

rml_status rml_name_graph(rml_naming *n, const rml_graph *graph, const rml_writing *ports,
                          rml_value_names *out, rml_error *err)
{
    const char **value = rml_arena_alloc(n->arena, graph->value_count + 1, sizeof *value);
    const char **output = rml_arena_alloc(n->arena, graph->output_count + 1, sizeof *output);
    if (!value || !output)
        return rml_fail_nomem(err, graph->value_count * sizeof *value, "names");
    // What people see has its name first.
    for (size_t i = 0; i < graph->input_count; i++) {
        const rml_value_id id = graph->inputs[i];
        RML_TRY(name_port(n, graph->values[id].name, ports, &value[id], err));
    }
    for (size_t i = 0; i < graph->output_count; i++) {
        const rml_value_id id = graph->outputs[i];
        RML_TRY(name_port(n, graph->output_names[i], ports, &output[i], err));
        if (!value[id] && graph->values[id].kind == RML_VALUE_ACTIVATION)
            value[id] = output[i];
    }
    const bool *read = find_read(n, graph);
    if (!read)
        return rml_fail_nomem(err, graph->value_count, "names");
    for (int unread = 0; unread < 2; unread++)
        for (size_t i = 0; i < graph->value_count; i++)
            if (!value[i] && (unread || read[i] || graph->values[i].kind != RML_VALUE_CONSTANT))
                RML_TRY(rml_name_take(n, graph->values[i].name, &value[i], err));
    *out = (rml_value_names){value, output};
    return RML_OK;
}

rml_status rml_name_values(const rml_graph *graph, rml_arena *arena, bool identifiers,
                           const char ***names, rml_error *err)
{
    rml_naming n;
    rml_value_names all = {0};
    rml_naming_init(&n, arena, identifiers);
    const rml_status status = rml_name_graph(&n, graph, NULL, &all, err);
    rml_naming_release(&n);
    *names = all.value;
    return status;
}
