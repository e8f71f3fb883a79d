// Random convolutions of plain images, of all numbers of dimensions and in both directions, run
// for tests that compare them with the definition in double.
#ifndef RML_TESTS_SUPPORT_PLANES_H
#define RML_TESTS_SUPPORT_PLANES_H

#include "tests/support/net.h"

typedef struct planes {
    rml_shape x, w;
    rml_conv_attr conv;
    bool transposed;
} planes;

// What it was run on, and what came out.
typedef struct planes_run {
    float *x, *weight, *bias, *out;
    rml_shape y;
    size_t count;
} planes_run;

static inline float *planes_copy(const float *src, size_t count)
{
    float *copy = malloc((count + 1) * sizeof *copy);
    memcpy(copy, src, count * sizeof *copy);
    return copy;
}

static inline size_t planes_count(const rml_shape *shape)
{
    size_t count = 0;
    rml_shape_count(shape, &count);
    return count;
}

static inline void planes_free(planes_run *run)
{
    free(run->x);
    free(run->weight);
    free(run->bias);
    free(run->out);
}

static inline planes_run planes_run_once(const planes *p, int threads, bool computed,
                                         const char *algorithm)
{
    net at;
    rml_session *session;
    planes_run run;
    rml_session_settings settings = rml_session_settings_default();
    const rml_shape channels = {1, {p->transposed ? p->w.dim[1] : p->w.dim[0]}};
    settings.threads = threads;
    settings.profile = true;
    net_begin(&at, NULL);
    const rml_value_id in = rml_graph_input(at.graph, "x", &p->x);
    rml_value_id w = net_random(&at, "w", p->w, 'u');
    run.weight = planes_copy(at.memory[at.constants - 1], planes_count(&p->w));
    const rml_value_id b = net_random(&at, "b", channels, 'u');
    run.bias = planes_copy(at.memory[at.constants - 1], planes_count(&channels));
    if (computed)
        w = rml_graph_binary(at.graph, RML_BINARY_MUL, w,
                             rml_graph_input(at.graph, "one", &(rml_shape){1, {1}}), "w2");
    rml_graph_output(at.graph, "y",
                     (p->transposed ? rml_graph_conv_transpose : rml_graph_conv)(at.graph, in, w, b,
                                                                                 &p->conv, "conv"));
    CHECK_MSG(net_finish(&at, NULL), "%s", at.err.message);
    CHECK(rml_session_create(&session, at.model, &settings, &at.err) == RML_OK);
    CHECK_MSG(rml_session_prepare(session, &at.err) == RML_OK, "%s", at.err.message);
    net_fill_inputs(session, at.model, 7);
    if (computed)
        *(float *)rml_session_input(session, "one", NULL) = 1.0f;
    run.x = planes_copy(rml_session_input(session, "x", NULL), planes_count(&p->x));
    CHECK_MSG(rml_session_run(session, &at.err) == RML_OK, "%s", at.err.message);
    run.out = net_outputs(session, at.model, &run.count);
    rml_session_output(session, "y", &run.y);
    for (size_t i = 0; i < rml_session_profile_count(session); i++) {
        const rml_profile_entry entry = rml_session_profile(session, i);
        CHECK_MSG(strncmp(entry.op, "conv", 4) != 0 || strcmp(entry.algorithm, algorithm) == 0,
                  "runs by %s, not %s", entry.algorithm, algorithm);
    }
    rml_session_destroy(&session);
    net_end(&at);
    return run;
}

// With one thread and with all, which must give the same bits. `computed`: weights that are, which
// go the generic way whatever they are.
static inline planes_run planes_run_all(const planes *p, bool computed, const char *algorithm)
{
    const planes_run one = planes_run_once(p, 1, computed, algorithm);
    planes_run all = planes_run_once(p, net_threads(), computed, algorithm);
    CHECK(one.count == all.count && memcmp(one.out, all.out, one.count * sizeof *one.out) == 0);
    planes_free(&all);
    return one;
}

#endif
