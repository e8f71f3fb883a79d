// A network drawn from a seed: what layers are put on, and the numbers that choose them.
#ifndef RML_TESTS_SUPPORT_RANDOM_NET_H
#define RML_TESTS_SUPPORT_RANDOM_NET_H

#include "tests/support/net.h"

#include <stdio.h>

#define RANDOM_NET_VALUES 40

typedef struct world {
    net at;
    uint64_t seed;
    size_t drawn;
    rml_value_id values[RANDOM_NET_VALUES];
    int count;
    char name[16];
} world;

static inline int64_t draw(world *w, int64_t below)
{
    return (int64_t)(uniform_bits(w->seed, w->drawn++) % (uint64_t)below);
}

static inline rml_shape shape_of(const world *w, rml_value_id id)
{
    return w->at.graph->values[id].shape;
}

static inline const char *next_name(world *w)
{
    snprintf(w->name, sizeof w->name, "n%d", w->count);
    return w->name;
}

static inline void push(world *w, rml_value_id id)
{
    if (id != RML_NO_VALUE && w->count < RANDOM_NET_VALUES)
        w->values[w->count++] = id;
}

#endif
