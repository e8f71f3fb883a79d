// A small network for tests: a model, and the memory of its constants.
#ifndef RML_TESTS_SUPPORT_NET_H
#define RML_TESTS_SUPPORT_NET_H

#include "engine/model.h"
#include "graph/passes/passes.h"
#include "tests/support/check.h"
#include "tests/support/uniform.h"

#define NET_CONSTANTS 256

typedef struct net {
    rml_model *model;
    rml_graph *graph;
    float *memory[NET_CONSTANTS];
    int constants;
    rml_error err;
} net;

// Two threads, or one in a build without threads.
static inline int net_threads(void)
{
#ifdef RML_WITH_THREADS
    return 2;
#else
    return 1;
#endif
}

static inline void net_begin(net *at, const rml_model_settings *settings)
{
    memset(at, 0, sizeof *at);
    CHECK(rml_model_begin(&at->model, &rml_kit_whole, settings, &at->err) == RML_OK);
    at->graph = &at->model->graph;
}

// A constant whose elements the caller fills through at->memory[at->constants - 1].
static inline rml_value_id net_constant(net *at, const char *name, rml_shape shape)
{
    size_t count = 0;
    rml_shape_count(&shape, &count);
    float *data = malloc((count ? count : 1) * sizeof *data);
    at->memory[at->constants++] = data;
    const rml_constant constant = {.stored = rml_stored_f32(data, &shape)};
    return rml_graph_constant(at->graph, name, &constant);
}

// The same with uniform numbers (modes of uniform_fill), other ones for every constant.
static inline rml_value_id net_random(net *at, const char *name, rml_shape shape, char mode)
{
    const rml_value_id id = net_constant(at, name, shape);
    size_t count = 0;
    rml_shape_count(&shape, &count);
    uniform_fill(at->memory[at->constants - 1], count, 1000 + (uint64_t)at->constants, mode);
    return id;
}

static inline bool net_finish(net *at, const char *disabled)
{
    rml_status status = rml_graph_finish(at->graph, &at->err);
    if (status == RML_OK)
        status =
            rml_pass_list_run(&rml_passes_all, false, at->graph, disabled, NULL, NULL, &at->err);
    CHECK_MSG(status == RML_OK, "%s", at->err.message);
    return status == RML_OK;
}

static inline void net_end(net *at)
{
    rml_model_destroy(&at->model);
    for (int i = 0; i < at->constants; i++)
        free(at->memory[i]);
}

// Fills every input of a prepared session, whatever its type, with uniform numbers of its own.
static inline void net_fill_inputs(rml_session *session, const rml_model *model, uint64_t seed)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        rml_shape shape;
        size_t count = 0;
        void *data = rml_session_input(session, port.name, &shape);
        rml_shape_count(&shape, &count);
        float *numbers = malloc((count + 1) * sizeof *numbers);
        uniform_fill(numbers, count, seed + i, 'u');
        for (size_t k = 0; k < count && port.dtype == RML_U8; k++)
            numbers[k] = 255 * fabsf(numbers[k]);
        rml_dtype_convert(RML_F32, numbers, port.dtype, data, count);
        free(numbers);
    }
}

// All outputs one after the other, malloc'ed.
static inline float *net_outputs(rml_session *session, const rml_model *model, size_t *total)
{
    float *all = NULL;
    *total = 0;
    for (size_t i = 0; i < rml_model_output_count(model); i++) {
        rml_shape shape;
        size_t count = 0;
        const float *data = rml_session_output(session, rml_model_output(model, i).name, &shape);
        rml_shape_count(&shape, &count);
        all = realloc(all, (*total + count + 1) * sizeof *all);
        memcpy(all + *total, data, count * sizeof *all);
        *total += count;
    }
    return all;
}

// Multiplications of all runs so far, of a session with a profile.
static inline uint64_t net_macs(const rml_session *session)
{
    uint64_t macs = 0;
    for (size_t i = 0; i < rml_session_profile_count(session); i++)
        macs += rml_session_profile(session, i).macs;
    return macs;
}

#endif
