// What a session lends to its plans and to what runs them.
#ifndef RML_ENGINE_CONTEXT_H
#define RML_ENGINE_CONTEXT_H

#include "engine/binding.h"
#include "engine/memory_pool.h"
#include "engine/model.h"
#include "engine/node_time.h"
#include "engine/watch.h"

typedef struct rml_context {
    rml_model *model;
    const rml_allocator *allocator;
    const rml_kernels *kernels;
    rml_pool *pool;
    int threads;
    rml_precision precision;
    rml_binding *const *bound; // of each input, then of each output of the model's graph; or NULL
    size_t *wanted;            // bytes of a plan that does not keep the limit are told here
    bool no_reuse;
    rml_memory_pool memory;
    rml_observer observer;
    rml_watch watch;
    rml_node_time
        *times;         // of the nodes of the model's graph and of all inside it; NULL: no profile
    double measured_ms; // by nodes of graphs inside others, so that theirs do not count them
} rml_context;

#endif
