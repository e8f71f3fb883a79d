// What a target cannot hold: kept while a graph is lowered, and told all at once.
#include "ops/elementwise/functions.h"
#include "writers/rewrite.h"

#include <stdio.h>
#include <string.h>

#define MOST_NAMED 8 // nodes of one reason; of others the number is told

// What the node computes: of the operators of functions, which one.
static const char *word_of(const rml_node *node)
{
    if (node->op == RML_OP_BINARY)
        return rml_binary_name(node->attr.binary.kind);
    if (node->op == RML_OP_UNARY)
        return rml_unary_name(node->attr.unary.kind);
    return rml_op_get(node->op)->name;
}

static bool make_room(rml_lowering *l)
{
    rml_refusals *all = l->refused;
    if (all->count < all->capacity)
        return true;
    const size_t capacity = all->capacity ? 2 * all->capacity : 16;
    rml_refusal *items = rml_arena_alloc(&l->to->arena, capacity, sizeof *items);
    if (!items) {
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for what cannot be written");
        return false;
    }
    if (all->count)
        memcpy(items, all->items, all->count * sizeof *items);
    all->items = items;
    all->capacity = capacity;
    return true;
}

void rml_lower_refuse(rml_lowering *l, const rml_node *node, const char *why)
{
    const rml_target *later = l->target->later;
    const char *own = rml_arena_text(&l->to->arena, why); // which the next node may overwrite
    if (!own)
        rml_graph_fail(l->to, RML_ERR_NOMEM, "out of memory for what cannot be written");
    else if (make_room(l))
        l->refused->items[l->refused->count++] = (rml_refusal){
            node->name, word_of(node), own, later && !later->lacks(later->user, l->to, node)};
}

// ---- the sentence -------------------------------------------------------------------------------

typedef struct sentence {
    char text[RML_MESSAGE_BYTES];
    size_t used;
} sentence;

static void add(sentence *s, const char *text)
{
    const size_t room = sizeof s->text - 1 - s->used, bytes = strlen(text);
    const size_t taken = bytes < room ? bytes : room;
    memcpy(s->text + s->used, text, taken);
    s->used += taken;
    s->text[s->used] = 0;
}

static bool same_reason(const rml_refusal *a, const rml_refusal *b)
{
    return strcmp(a->op, b->op) == 0 && strcmp(a->why, b->why) == 0;
}

// All that is refused as item `first` is: "a", "b" and 3 more (op): why
static void add_reason(sentence *s, const rml_refusals *refused, size_t first)
{
    const rml_refusal *own = &refused->items[first];
    char part[256];
    size_t count = 0, named = 0;
    for (size_t i = first; i < refused->count; i++)
        count += same_reason(own, &refused->items[i]);
    for (size_t i = first; i < refused->count && named < MOST_NAMED; i++) {
        if (!same_reason(own, &refused->items[i]))
            continue;
        const char *before = named == 0 ? "" : named + 1 == count ? " and " : ", ";
        snprintf(part, sizeof part, "%s\"%.200s\"", before, refused->items[i].name);
        add(s, part);
        named++;
    }
    if (count > named) {
        snprintf(part, sizeof part, " and %zu more", count - named);
        add(s, part);
    }
    snprintf(part, sizeof part, " (%s): ", own->op);
    add(s, part);
    add(s, own->why);
}

rml_status rml_refusals_fail(const rml_refusals *refused, const rml_target *target, rml_error *err)
{
    sentence s = {.used = 0};
    bool later = target->later != NULL, told = false;
    for (size_t i = 0; i < refused->count; i++) {
        bool again = false;
        later = later && refused->items[i].later;
        for (size_t k = 0; k < i && !again; k++)
            again = same_reason(&refused->items[k], &refused->items[i]);
        if (again)
            continue;
        add(&s, told ? "; " : "");
        add_reason(&s, refused, i);
        told = true;
    }
    return rml_fail(err, RML_ERR_UNSUPPORTED, "%s cannot hold %zu of the nodes: %s%s%s",
                    target->name, refused->count, s.text, later ? "; all of them fit " : "",
                    later ? target->later->name : "");
}
