// Sessions: settings, making, running and ending one, and what it tells of itself.
#include "engine/kit.h"
#include "engine/session.h"

#include "kernels/cpu.h"

#include <string.h>

rml_session_settings rml_session_settings_default(void)
{
    return (rml_session_settings){.size = sizeof(rml_session_settings)};
}

static const char *const precision_names[] = {
    [RML_PRECISION_F32] = "f32",
    [RML_PRECISION_BF16] = "bf16",
    [RML_PRECISION_F16_ROUNDED] = "f16-rounded",
};
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
    return &session->context.model->graph;
}

void rml_session_destroy(rml_session **session_at)
{
    rml_session *session = *session_at;
    if (!session)
        return;
    const rml_allocator *allocator = session->context.allocator;
    while (session->plans)
        rml_plan_drop_newest(&session->plans);
    if (session->block_owned)
        rml_free(allocator, session->block);
    rml_free(allocator, session->states);
    rml_memory_pool_release(&session->context.memory);
    if (!session->settings.pool)
        rml_pool_destroy(&session->context.pool);
    rml_free(allocator, session->inputs);
    const size_t ports =
        rml_session_graph(session)->input_count + rml_session_graph(session)->output_count;
    for (size_t i = 0; session->bound && i < ports; i++)
        rml_free(allocator, session->bound[i]);
    rml_free(allocator, session->bound);
    rml_free(allocator, session->context.times);
    rml_free(allocator, session);
    *session_at = NULL;
}

bool rml_precision_available(rml_precision precision, rml_cpu_level cpu)
{
    rml_kernels kernels;
    uint32_t features;
    if (precision != RML_PRECISION_BF16 || rml_cpu_features(cpu, NULL, &features, NULL) != RML_OK)
        return precision == RML_PRECISION_F32 || precision == RML_PRECISION_F16_ROUNDED;
    rml_kernels_init(&kernels, features);
    return RML_KERNEL(&kernels, gemm_bf16).run != NULL;
}

// AMX only where products will run on it: asking for its tiles changes the process.
static rml_status choose_kernels(rml_kernels *kernels, const rml_model *model,
                                 const rml_session_settings *given, rml_error *err)
{
    uint32_t features;
    const bool bf16 = given->precision == RML_PRECISION_BF16;
    const bool rounded = given->precision == RML_PRECISION_F16_ROUNDED;
    if (!bf16 && !rounded && given->precision != RML_PRECISION_F32)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "precision %d is not built in, only f32, bf16 and f16-rounded",
                        (int)given->precision);
    if ((rounded && !model->rounded) || (bf16 && model->rounded))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "precision f16-rounded is chosen when a model is made, and this one was "
                        "made %s it",
                        rounded ? "without" : "with");
    RML_TRY(rml_cpu_features(given->cpu, given->cpu_mask, &features, err));
    rml_kernels_init(kernels, bf16 ? rml_cpu_request_amx(features) : features & ~RML_CPU_AMX);
    if (bf16 && !RML_KERNEL(kernels, gemm_bf16).run)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "precision bf16 needs a CPU with AVX512-BF16 and level avx512");
    kernels->in_order = given->in_order;
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
    RML_TRY(choose_kernels(&kernels, model, &given, err));
    if (model->as_written)
        return rml_fail(err, RML_ERR_ARG,
                        "a model made to be written (as_written) has no sessions");
    if (given.pool && given.threads && given.threads != rml_pool_threads(given.pool))
        return rml_fail(err, RML_ERR_ARG, "threads is %d, and the pool given has %d", given.threads,
                        rml_pool_threads(given.pool));
    if (given.memory && given.shared)
        return rml_fail(err, RML_ERR_ARG, "a session has memory of its own or shares it, not both");
    if (given.memory && (uintptr_t)given.memory % RML_ALIGNMENT)
        return rml_fail(err, RML_ERR_ARG, "the memory given is not aligned to %d bytes",
                        RML_ALIGNMENT);
    rml_session *session;
    RML_TRY(rml_make(allocator, &session, 1, sizeof *session, "the session", err));
    rml_context *context = &session->context;
    *context = (rml_context){
        .model = model,
        .allocator = allocator,
        .kernels = &session->kernels,
        .precision = given.precision,
        .no_reuse = given.no_reuse,
        .wanted = &session->wanted,
        .memory = {.allocator = allocator,
                   .limit = given.memory_limit,
                   .no_reuse = given.no_reuse,
                   .run = 1},
        .observer = {given.observe, given.observe_user},
        .watch = {.cancelled = &session->cancelled,
                  .progress = given.progress,
                  .user = given.progress_user},
    };
    session->settings = given;
    session->kernels = kernels;
    session->inputs = rml_alloc_zero(allocator, graph->input_count + 1, sizeof *session->inputs);
    session->bound = rml_alloc_zero(allocator, graph->input_count + graph->output_count + 1,
                                    sizeof *session->bound);
    if (given.profile)
        context->times =
            rml_alloc_zero(allocator, rml_node_times_count(graph) + 1, sizeof *context->times);
    context->bound = session->bound;
    rml_status status = RML_OK;
    if (!session->inputs || !session->bound || (given.profile && !context->times))
        status = rml_fail_nomem(err, sizeof *session->inputs, "the session");
    context->pool = given.pool;
    if (status == RML_OK && !given.pool)
        status = rml_pool_create(&context->pool, given.threads, allocator, err);
    if (status != RML_OK) {
        rml_session_destroy(&session);
        return status;
    }
    // Sizes that may change start as the file has them, or at 1 where that is a batch; others must
    // be set before preparing.
    for (size_t i = 0; i < graph->input_count; i++) {
        const rml_value *value = &graph->values[graph->inputs[i]];
        const rml_shape *shape = value->limits ? &value->limits->usual : &value->shape;
        session->inputs[i] = (rml_fact){.dtype = value->dtype, .shape = *shape};
        if (shape->rank > 0 && shape->dim[0] < 0)
            session->inputs[i].shape.dim[0] = 1;
    }
    context->threads = rml_pool_threads(context->pool);
    status = rml_session_make_states(session, err);
    if (status != RML_OK)
        rml_session_destroy(&session);
    *out = session;
    return status;
}

size_t rml_session_planned_bytes(const rml_session *session)
{
    return session->ready ? session->plans->bytes : 0;
}

size_t rml_session_packed_bytes(const rml_session *session)
{
    return session->ready ? session->plans->packed_bytes : 0;
}

size_t rml_session_bands(const rml_session *session)
{
    const rml_bands *bands = session->ready ? session->plans->bands : NULL;
    size_t most = 1;
    for (size_t i = 0; bands && i < bands->stage_count; i++)
        if (bands->stages[i].sweep && bands->stages[i].images) {
            const size_t count =
                session->context.model->kit->bands_count(session->plans, &bands->stages[i]) /
                (size_t)bands->stages[i].images;
            most = count > most ? count : most;
        }
    return most;
}

size_t rml_session_wanted_bytes(const rml_session *session)
{
    return session->wanted;
}

uint64_t rml_session_macs(const rml_session *session)
{
    return session->ready ? session->plans->macs : 0;
}

int rml_session_threads(const rml_session *session)
{
    return session->context.threads;
}

rml_cpu_level rml_session_cpu(const rml_session *session)
{
    return session->kernels.level;
}

bool rml_session_grows(const rml_session *session)
{
    return session->ready && session->plans->grows;
}

size_t rml_session_peak_bytes(const rml_session *session)
{
    return rml_session_planned_bytes(session) + session->context.memory.peak;
}

// ---- running -----------------------------------------------------------------------------------

void rml_session_crop(rml_session *session, size_t output, const rml_region *region)
{
    session->crop_output = output;
    session->crop = region ? *region : (rml_region){0};
}

static rml_status crop(rml_session *session, rml_error *err)
{
    const rml_kit *kit = session->context.model->kit;
    rml_plan *plan = session->plans;
    bool all = session->context.observer.fn != NULL || !kit->crop_plan;
    plan->cropped = false;
    for (int i = 0; i < RML_AXES; i++)
        all = all || session->crop.axis[i].high <= session->crop.axis[i].low;
    return all ? RML_OK
               : kit->crop_plan(plan, plan->graph->outputs[session->crop_output], &session->crop,
                                err);
}

static rml_status run(rml_session *session, rml_error *err)
{
    session->ran = false;
    RML_TRY(crop(session, err));
    if (session->plans->grows)
        rml_memory_pool_reset(&session->context.memory);
    rml_watch *watch = &session->context.watch;
    watch->done = 0;
    watch->depth = 0;
    watch->total = rml_plan_parts(session->plans, session->context.model->kit);
    RML_TRY(rml_watch_go_on(watch, err));
    rml_session_load_inputs(session);
    RML_TRY(rml_plan_run(session->plans, &session->context, err));
    session->ran = true;
    RML_TRY(rml_session_store_outputs(session, err));
    rml_session_swap_states(session);
    return RML_OK;
}

rml_status rml_session_run(rml_session *session, rml_error *err)
{
    if (!session->ready)
        return rml_fail(err, RML_ERR_ARG, "the session is not prepared");
    if (!rml_session_has_block(session))
        return rml_fail(err, RML_ERR_ARG,
                        "the memory that the session shares has moved: prepare it again");
    rml_session_point(session);
    RML_TRY(rml_session_check_unfit(session, err));
    rml_pool_enter(session->context.pool);
    const rml_status status = run(session, err);
    rml_pool_leave(session->context.pool);
    if (status == RML_ERR_CANCELLED)
        atomic_store(&session->cancelled, false);
    return status;
}

void rml_session_cancel(rml_session *session, bool cancel)
{
    atomic_store(&session->cancelled, cancel);
}

// ---- profile ------------------------------------------------------------------------------------

// Steps of the plan and of what it runs inside, as planned last.
static size_t count_entries(const rml_plan *plan)
{
    size_t count = plan ? plan->step_count : 0;
    for (size_t i = 0; plan && plan->grows && i < plan->step_count; i++)
        count += count_entries(plan->steps[i].bodies[0]) + count_entries(plan->steps[i].bodies[1]);
    return count;
}

// Step `index` of them: those inside a step stand behind it. *plan: the one it belongs to.
static const rml_step *find_entry(const rml_plan **plan, size_t index)
{
    if (!(*plan)->grows)
        return &(*plan)->steps[index];
    for (const rml_step *step = (*plan)->steps;; step++) {
        if (index == 0)
            return step;
        index--;
        for (int k = 0; k < 2; k++) {
            const rml_plan *body = step->bodies[k];
            const size_t count = count_entries(body);
            if (index < count) {
                *plan = body;
                return find_entry(plan, index);
            }
            index -= count;
        }
    }
}

size_t rml_session_profile_count(const rml_session *session)
{
    return session->ready && session->context.times ? count_entries(session->plans) : 0;
}

rml_profile_entry rml_session_profile(const rml_session *session, size_t index)
{
    if (index >= rml_session_profile_count(session))
        return (rml_profile_entry){0};
    const rml_plan *plan = session->plans;
    const rml_step *step = find_entry(&plan, index);
    const rml_node *node = &plan->graph->nodes[step->node];
    const rml_algorithm *algorithm = step->algorithm;
    const rml_node_time none = {0}, *time = plan->times ? &plan->times[step->node] : &none;
    return (rml_profile_entry){
        .node = node->name,
        .op = node->def->name,
        .algorithm = algorithm ? algorithm->name : "-",
        .precision = algorithm ? rml_precision_name(algorithm->precision) : "-",
        .shape = step->dynamic && time->runs ? rml_tensor_shape(&step->args.out[0])
                                             : plan->facts[node->out].shape,
        .macs = time->macs,
        .runs = time->runs,
        .total_ms = time->total_ms};
}
