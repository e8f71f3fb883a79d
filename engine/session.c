// Sessions: settings, making and ending one, and what it tells of itself.
#include "engine/session.h"

#include "kernels/cpu.h"

#include <string.h>

rml_session_settings rml_session_settings_default(void)
{
    return (rml_session_settings){.size = sizeof(rml_session_settings)};
}

static const char *const precision_names[] = {
    [RML_PRECISION_F32] = "f32", [RML_PRECISION_BF16] = "bf16"};
#define PRECISIONS (sizeof precision_names / sizeof *precision_names)

const char *rml_precision_name(rml_precision precision)
{
    return (size_t)precision < PRECISIONS && precision_names[precision] ? precision_names[precision]
                                                                        : "?";
}

bool rml_precision_parse(const char *name, rml_precision *precision)
{
    for (size_t i = 0; i < PRECISIONS; i++)
        if (precision_names[i] && strcmp(name, precision_names[i]) == 0) {
            *precision = (rml_precision)i;
            return true;
        }
    return false;
}

const rml_graph *rml_session_graph(const rml_session *session)
{
    return &session->model->graph;
}

void rml_session_forget_results(rml_session *session)
{
    for (size_t i = 0; session->results && i < rml_session_graph(session)->output_count; i++) {
        rml_free(session->allocator, session->results[i].raw);
        session->results[i] = (rml_tensor){.rank = -1};
    }
}

void rml_session_destroy(rml_session **session_at)
{
    rml_session *session = *session_at;
    if (!session)
        return;
    while (session->plans) {
        rml_plan *plan = session->plans;
        session->plans = plan->older;
        rml_plan_destroy(&plan);
    }
    if (session->block_owned)
        rml_free(session->allocator, session->block);
    if (!session->settings.pool)
        rml_pool_destroy(&session->pool);
    rml_free(session->allocator, session->shapes);
    rml_session_forget_results(session);
    rml_free(session->allocator, session->results);
    const size_t ports =
        rml_session_graph(session)->input_count + rml_session_graph(session)->output_count;
    for (size_t i = 0; session->bound && i < ports; i++)
        rml_free(session->allocator, session->bound[i]);
    rml_free(session->allocator, session->bound);
    rml_free(session->allocator, session->times);
    rml_free(session->allocator, session);
    *session_at = NULL;
}

bool rml_precision_available(rml_precision precision, rml_cpu_level cpu)
{
    rml_kernels kernels;
    uint32_t features;
    if (precision != RML_PRECISION_BF16 || rml_cpu_features(cpu, NULL, &features, NULL) != RML_OK)
        return precision == RML_PRECISION_F32;
    rml_kernels_init(&kernels, features);
    return kernels.gemm_bf16.run != NULL;
}

// AMX only where products will run on it: asking for its tiles changes the process.
static rml_status choose_kernels(rml_kernels *kernels, const rml_session_settings *given,
                                 rml_error *err)
{
    uint32_t features;
    const bool bf16 = given->precision == RML_PRECISION_BF16;
    if (!bf16 && given->precision != RML_PRECISION_F32)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "precision %d is not built in, only f32 and bf16",
                        (int)given->precision);
    RML_TRY(rml_cpu_features(given->cpu, given->cpu_mask, &features, err));
    rml_kernels_init(kernels, bf16 ? rml_cpu_request_amx(features) : features & ~RML_CPU_AMX);
    if (bf16 && !kernels->gemm_bf16.run)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "precision bf16 needs a CPU with AVX512-BF16 and level avx512");
    return RML_OK;
}

rml_status rml_session_create(rml_session **out, rml_model *model,
                              const rml_session_settings *settings, rml_error *err)
{
    const rml_graph *graph = &model->graph;
    rml_session_settings given;
    *out = NULL;
    RML_TRY(rml_settings_take(&given, sizeof given, settings, "rml_session_settings", err));
    const rml_allocator *allocator = given.allocator ? given.allocator : model->allocator;
    rml_kernels kernels;
    RML_TRY(choose_kernels(&kernels, &given, err));
    if (given.pool && given.threads && given.threads != rml_pool_threads(given.pool))
        return rml_fail(err, RML_ERR_ARG, "threads is %d, and the pool given has %d", given.threads,
                        rml_pool_threads(given.pool));
    if (given.memory && given.shared)
        return rml_fail(err, RML_ERR_ARG, "a session has memory of its own or shares it, not both");
    if (given.memory && (uintptr_t)given.memory % RML_ALIGNMENT)
        return rml_fail(err, RML_ERR_ARG, "the memory given is not aligned to %d bytes",
                        RML_ALIGNMENT);
    rml_session *session = rml_alloc_zero(allocator, 1, sizeof *session);
    if (!session)
        return rml_fail_nomem(err, sizeof *session, "the session");
    session->allocator = allocator;
    session->model = model;
    session->settings = given;
    session->kernels = kernels;
    session->shapes = rml_alloc_zero(allocator, graph->input_count + 1, sizeof *session->shapes);
    session->bound = rml_alloc_zero(allocator, graph->input_count + graph->output_count + 1,
                                    sizeof *session->bound);
    session->results = rml_alloc_zero(allocator, graph->output_count + 1, sizeof *session->results);
    if (given.profile)
        session->times = rml_alloc_zero(allocator, graph->node_count + 1, sizeof *session->times);
    rml_status status = RML_OK;
    if (!session->shapes || !session->bound || !session->results ||
        (given.profile && !session->times))
        status = rml_fail_nomem(err, sizeof *session->shapes, "the session");
    session->pool = given.pool;
    if (status == RML_OK && !given.pool)
        status = rml_pool_create(&session->pool, given.threads, allocator, err);
    if (status != RML_OK) {
        rml_session_destroy(&session);
        return status;
    }
    // Sizes that may change start at 1 where that is a batch; others must be set before preparing.
    for (size_t i = 0; i < graph->input_count; i++) {
        session->shapes[i] = graph->values[graph->inputs[i]].shape;
        if (session->shapes[i].rank > 0 && session->shapes[i].dim[0] < 0)
            session->shapes[i].dim[0] = 1;
    }
    *out = session;
    return RML_OK;
}

size_t rml_session_planned_bytes(const rml_session *session)
{
    return session->ready ? session->plans->bytes : 0;
}

size_t rml_session_packed_bytes(const rml_session *session)
{
    return session->ready ? session->plans->packed_bytes : 0;
}

uint64_t rml_session_macs(const rml_session *session)
{
    return session->ready ? session->plans->macs : 0;
}

int rml_session_threads(const rml_session *session)
{
    return rml_pool_threads(session->pool);
}

rml_cpu_level rml_session_cpu(const rml_session *session)
{
    return session->kernels.level;
}

size_t rml_session_profile_count(const rml_session *session)
{
    return session->ready && session->times ? session->plans->step_count : 0;
}

rml_profile_entry rml_session_profile(const rml_session *session, size_t index)
{
    rml_profile_entry entry = {0};
    if (index >= rml_session_profile_count(session))
        return entry;
    const rml_step *step = &session->plans->steps[index];
    const rml_node *node = &rml_session_graph(session)->nodes[step->node];
    const rml_node_time *time = &session->times[step->node];
    return (rml_profile_entry){.node = node->name,
                               .op = rml_op_get(node->op)->name,
                               .algorithm = step->algorithm->name,
                               .precision = rml_precision_name(step->algorithm->precision),
                               .shape = session->plans->facts[node->out].shape,
                               .macs = time->macs,
                               .runs = time->runs,
                               .total_ms = time->total_ms};
}
