// Sessions: a model planned for concrete shapes, with memory and threads of its own.
#define _POSIX_C_SOURCE 200809L
#include "engine/bands.h"
#include "engine/eager.h"
#include "engine/shared_block.h"

#include "tensor/size.h"

#include <stdio.h>
#include <string.h>

#define MAX_PLANS 4 // kept for shapes that come back, the latest used first

// The caller's memory of an input or output; data NULL: the session's own.
typedef struct binding {
    void *data;
    size_t bytes;
} binding;

struct rml_session {
    const rml_allocator *allocator;
    rml_model *model;
    rml_session_settings settings;
    rml_kernels kernels;
    rml_pool *pool;
    rml_shape *shapes;    // of each input, as set
    rml_node_time *times; // of each node, when profiling
    rml_tensor *results;  // of a run without a plan: one an output, owned; rank -1 before
    binding *bound;       // of each input, then of each output
    size_t unfit;         // the first port whose memory is too small for the plan, or SIZE_MAX
    rml_plan *plans;      // plans->..., the first is current once `ready`
    bool ready;
    char *block;
    size_t block_bytes;
    bool block_owned;
};

rml_session_settings rml_session_settings_default(void)
{
    return (rml_session_settings){0};
}

static const char *const precision_names[] = {"f32", "f16", "bf16", "int8"};
#define PRECISIONS (sizeof precision_names / sizeof *precision_names)

const char *rml_precision_name(rml_precision precision)
{
    return (size_t)precision < PRECISIONS ? precision_names[precision] : "?";
}

bool rml_precision_parse(const char *name, rml_precision *precision)
{
    for (size_t i = 0; i < PRECISIONS; i++)
        if (strcmp(name, precision_names[i]) == 0) {
            *precision = (rml_precision)i;
            return true;
        }
    return false;
}

static const rml_graph *graph_of(const rml_session *session)
{
    return &session->model->graph;
}

static void drop_newest(rml_session *session)
{
    rml_plan *plan = session->plans;
    session->plans = plan->older;
    rml_plan_destroy(&plan);
}

static void forget_results(rml_session *session)
{
    for (size_t i = 0; session->results && i < graph_of(session)->output_count; i++) {
        rml_free(session->allocator, session->results[i].raw);
        session->results[i] = (rml_tensor){.rank = -1};
    }
}

void rml_session_destroy(rml_session **session_at)
{
    rml_session *session = *session_at;
    if (!session)
        return;
    while (session->plans)
        drop_newest(session);
    if (session->block_owned)
        rml_free(session->allocator, session->block);
    rml_pool_destroy(&session->pool);
    rml_free(session->allocator, session->shapes);
    forget_results(session);
    rml_free(session->allocator, session->results);
    rml_free(session->allocator, session->bound);
    rml_free(session->allocator, session->times);
    rml_free(session->allocator, session);
    *session_at = NULL;
}

bool rml_precision_available(rml_precision precision, rml_cpu_level cpu)
{
    rml_kernels kernels;
    if (precision == RML_PRECISION_F32 || !rml_cpu_level_available(cpu))
        return precision == RML_PRECISION_F32;
    rml_kernels_init(&kernels, cpu);
    return precision == RML_PRECISION_BF16 && kernels.gemm_bf16;
}

static rml_status check_precision(const rml_session_settings *given, rml_error *err)
{
    if (rml_precision_available(given->precision, given->cpu))
        return RML_OK;
    if (given->precision != RML_PRECISION_BF16)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "precision %s is not built in, only f32 and bf16",
                        rml_precision_name(given->precision));
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "precision bf16 needs a CPU with AVX512-BF16 and level avx512");
}

rml_status rml_session_create(rml_session **out, rml_model *model,
                              const rml_session_settings *settings, rml_error *err)
{
    const rml_session_settings given = settings ? *settings : rml_session_settings_default();
    const rml_allocator *allocator = given.allocator ? given.allocator : model->allocator;
    const rml_graph *graph = &model->graph;
    *out = NULL;
    if (!rml_cpu_level_available(given.cpu))
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "CPU level %s is not available here, the best is %s",
                        rml_cpu_level_name(given.cpu), rml_cpu_level_name(rml_cpu_level_best()));
    RML_TRY(check_precision(&given, err));
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
    rml_kernels_init(&session->kernels, given.cpu);
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
    const int threads = given.threads ? given.threads : rml_threads_default();
    if (status == RML_OK)
        status = rml_pool_create(&session->pool, threads, allocator, err);
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

static size_t find_input(const rml_session *session, const char *name)
{
    const rml_graph *graph = graph_of(session);
    size_t i = 0;
    while (i < graph->input_count && strcmp(graph->values[graph->inputs[i]].name, name) != 0)
        i++;
    return i;
}

static size_t find_output(const rml_session *session, const char *name)
{
    const rml_graph *graph = graph_of(session);
    size_t i = 0;
    while (i < graph->output_count && strcmp(graph->output_names[i], name) != 0)
        i++;
    return i;
}

rml_status rml_session_resize(rml_session *session, const char *input, rml_shape shape,
                              rml_error *err)
{
    const rml_graph *graph = graph_of(session);
    const size_t index = find_input(session, input);
    char got[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
    if (index == graph->input_count)
        return rml_fail(err, RML_ERR_ARG, "there is no input \"%s\"", input);
    const rml_shape *declared = &graph->values[graph->inputs[index]].shape;
    bool fits = shape.rank >= 0 && shape.rank <= RML_MAX_RANK &&
                (declared->rank == RML_RANK_UNKNOWN || shape.rank == declared->rank);
    for (int i = 0; i < declared->rank && fits; i++)
        fits = shape.dim[i] >= 0 && (declared->dim[i] < 0 || declared->dim[i] == shape.dim[i]);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input %s is %s, expected %s", input,
                        rml_shape_text(&shape, got), rml_shape_text(declared, want));
    session->shapes[index] = shape;
    return RML_OK;
}

static bool plan_fits(const rml_session *session, const rml_plan *plan)
{
    const rml_graph *graph = graph_of(session);
    for (size_t i = 0; i < graph->input_count; i++)
        if (!rml_shape_equal(&plan->facts[graph->inputs[i]].shape, &session->shapes[i]))
            return false;
    return true;
}

// Moves the plan that fits to the front of the list; false when there is none.
static bool recall(rml_session *session)
{
    for (rml_plan **at = &session->plans; *at; at = &(*at)->older)
        if (plan_fits(session, *at)) {
            rml_plan *plan = *at;
            *at = plan->older;
            plan->older = session->plans;
            session->plans = plan;
            return true;
        }
    return false;
}

static void forget_oldest(rml_session *session)
{
    rml_plan **at = &session->plans;
    for (int i = 0; i < MAX_PLANS && *at; i++)
        at = &(*at)->older;
    rml_plan_destroy(at);
}

// Whether the block that plans point into is there: one that is shared moves when it grows.
static bool block_is_there(const rml_session *session)
{
    return !session->settings.shared || session->block == session->settings.shared->data;
}

// A block for the plan: kept while it is large enough and not more than twice as large.
static rml_status make_block(rml_session *session, const rml_plan *plan, rml_error *err)
{
    const size_t bytes = plan->bytes ? plan->bytes : RML_ALIGNMENT;
    if (session->settings.memory) {
        if (plan->bytes > session->settings.memory_bytes)
            return rml_fail(err, RML_ERR_LIMIT,
                            "the plan needs %zu bytes, the memory given has %zu", plan->bytes,
                            session->settings.memory_bytes);
        session->block = session->settings.memory;
        session->block_bytes = session->settings.memory_bytes;
        return RML_OK;
    }
    if (session->settings.shared) {
        RML_TRY(rml_shared_block_reserve(session->settings.shared, bytes, err));
        session->block = session->settings.shared->data;
        session->block_bytes = session->settings.shared->bytes;
        return RML_OK;
    }
    if (session->block && bytes <= session->block_bytes && session->block_bytes / 2 <= bytes)
        return RML_OK;
    char *block = rml_alloc(session->allocator, bytes);
    if (!block)
        return rml_fail_nomem(err, bytes, "activations and scratch");
    if (session->block_owned)
        rml_free(session->allocator, session->block);
    session->block = block;
    session->block_bytes = bytes;
    session->block_owned = true;
    return RML_OK;
}

// Ports count the inputs first, then the outputs.
static rml_value_id port_value(const rml_graph *graph, size_t port)
{
    return port < graph->input_count ? graph->inputs[port]
                                     : graph->outputs[port - graph->input_count];
}

// Bytes that the plan gives a port; 0 where only a run tells.
static size_t port_bytes(const rml_session *session, size_t port)
{
    const rml_graph *graph = graph_of(session);
    const rml_fact *fact = &session->plans->facts[port_value(graph, port)];
    size_t count = 0;
    if (port >= graph->input_count && !session->plans->concrete)
        return 0;
    return rml_shape_count(&fact->shape, &count) ? count * rml_dtype_size(fact->dtype) : SIZE_MAX;
}

static rml_status fail_small(const rml_session *session, size_t port, size_t bytes, size_t needed,
                             rml_error *err)
{
    const rml_graph *graph = graph_of(session);
    const bool input = port < graph->input_count;
    return rml_fail(err, RML_ERR_LIMIT, "%s %s has %zu bytes, the memory bound to it has %zu",
                    input ? "input" : "output",
                    input ? graph->values[graph->inputs[port]].name
                          : graph->output_names[port - graph->input_count],
                    needed, bytes);
}

static void point(rml_session *session)
{
    const rml_graph *graph = graph_of(session);
    rml_plan *plan = session->plans;
    session->unfit = SIZE_MAX;
    for (size_t i = 0; i < graph->input_count + graph->output_count; i++) {
        const binding *bound = &session->bound[i];
        plan->places[port_value(graph, i)].bound = bound->data;
        if (bound->data && bound->bytes < port_bytes(session, i) && session->unfit == SIZE_MAX)
            session->unfit = i;
    }
    rml_plan_point(plan, graph, session->block);
}

static void log_plan(const rml_session *session, const rml_plan *plan)
{
    char line[160];
    snprintf(
        line, sizeof line,
        "planned %zu steps, %.3f GMAC, %zu bytes of activations and scratch, %zu bytes of packed "
        "weights, %s, %d threads",
        plan->step_count, (double)plan->macs * 1e-9, plan->bytes, plan->packed_bytes,
        rml_cpu_level_name(session->kernels.level), rml_pool_threads(session->pool));
    session->settings.log(session->settings.log_user, line);
}

// Plans for the shapes set; the plan becomes the first of the list.
static rml_status add_plan(rml_session *session, rml_error *err)
{
    const rml_plan_settings settings = {
        &session->kernels,           session->pool,
        session->settings.precision, rml_pool_threads(session->pool),
        session->settings.no_reuse,  session->settings.memory_limit};
    rml_plan *plan;
    RML_TRY(rml_plan_create(&plan, session->model, session->shapes, &settings, session->allocator,
                            err));
    plan->older = session->plans;
    session->plans = plan;
    if (session->settings.log)
        log_plan(session, plan);
    return RML_OK;
}

// After a failure: the former plan and its shapes, for which the block still fits.
static void go_back(rml_session *session, const rml_plan *former)
{
    const rml_graph *graph = graph_of(session);
    if (!former)
        return;
    for (size_t i = 0; i < graph->input_count; i++)
        session->shapes[i] = former->facts[graph->inputs[i]].shape;
    recall(session);
}

rml_status rml_session_prepare(rml_session *session, rml_error *err)
{
    const rml_graph *graph = graph_of(session);
    const rml_plan *former = session->ready ? session->plans : NULL;
    if (former && plan_fits(session, former) && block_is_there(session))
        return RML_OK;
    for (size_t i = 0; i < graph->input_count; i++)
        if (!rml_shape_known(&session->shapes[i])) {
            char text[RML_SHAPE_TEXT_BYTES];
            return rml_fail(err, RML_ERR_SHAPE, "input %s has shape %s: set its size first",
                            graph->values[graph->inputs[i]].name,
                            rml_shape_text(&session->shapes[i], text));
        }
    const bool recalled = recall(session);
    rml_status status = recalled ? RML_OK : add_plan(session, err);
    if (status == RML_OK) {
        status = make_block(session, session->plans, err);
        if (status != RML_OK && !recalled)
            drop_newest(session);
    }
    if (status != RML_OK) {
        go_back(session, former);
        return status;
    }
    forget_oldest(session);
    session->ready = true;
    forget_results(session);
    point(session);
    return RML_OK;
}

static void *data_of(rml_session *session, const char *name, rml_shape *shape, bool input)
{
    const rml_graph *graph = graph_of(session);
    const size_t index = input ? find_input(session, name) : find_output(session, name);
    if (!session->ready || !block_is_there(session) ||
        index == (input ? graph->input_count : graph->output_count))
        return NULL;
    const size_t port = input ? index : graph->input_count + index;
    const rml_value_id id = port_value(graph, port);
    if (!input && !session->plans->concrete) {
        const rml_tensor *result = &session->results[index];
        if (shape && result->raw)
            *shape = rml_tensor_shape(result);
        return result->raw;
    }
    if (shape)
        *shape = session->plans->facts[id].shape;
    if (session->bound[port].data && session->bound[port].bytes < port_bytes(session, port))
        return NULL;
    return session->plans->places[id].view.raw;
}

void *rml_session_input(rml_session *session, const char *name, rml_shape *shape)
{
    return data_of(session, name, shape, true);
}

const void *rml_session_output(rml_session *session, const char *name, rml_shape *shape)
{
    return data_of(session, name, shape, false);
}

rml_status rml_session_bind(rml_session *session, const char *name, void *data, size_t bytes,
                            rml_error *err)
{
    const rml_graph *graph = graph_of(session);
    size_t port = find_input(session, name);
    if (port == graph->input_count) {
        const size_t output = find_output(session, name);
        if (output == graph->output_count)
            return rml_fail(err, RML_ERR_ARG, "there is no input or output \"%s\"", name);
        port += output;
    }
    // Where other shapes are set, the size that counts is the next plan's.
    if (data && session->ready && plan_fits(session, session->plans) &&
        bytes < port_bytes(session, port))
        return fail_small(session, port, bytes, port_bytes(session, port), err);
    session->bound[port] = (binding){data, bytes};
    if (session->ready)
        point(session);
    return RML_OK;
}

static rml_observer observer_of(const rml_session *session)
{
    return (rml_observer){session->settings.observe, session->settings.observe_user};
}

// Without a plan: outputs get the memory they turn out to need, and are copied where bound.
static rml_status run_eagerly(rml_session *session, rml_error *err)
{
    const rml_graph *graph = graph_of(session);
    const rml_eager eager = {session->model,
                             session->allocator,
                             &session->kernels,
                             session->pool,
                             rml_pool_threads(session->pool),
                             observer_of(session)};
    rml_tensor *in = rml_alloc(session->allocator, (graph->input_count + 1) * sizeof *in);
    if (!in)
        return rml_fail_nomem(err, graph->input_count * sizeof *in, "a run");
    for (size_t i = 0; i < graph->input_count; i++)
        in[i] = session->plans->places[graph->inputs[i]].view;
    forget_results(session);
    const rml_status status = rml_eager_run(&eager, graph, in, session->results, err);
    rml_free(session->allocator, in);
    for (size_t i = 0; i < graph->output_count && status == RML_OK; i++) {
        const rml_tensor *result = &session->results[i];
        const size_t bytes = rml_tensor_count(result) * rml_dtype_size(result->dtype);
        const binding *bound = &session->bound[graph->input_count + i];
        if (bound->data && bound->bytes < bytes)
            return fail_small(session, graph->input_count + i, bound->bytes, bytes, err);
        if (bound->data && bytes)
            memcpy(bound->data, result->raw, bytes);
    }
    return status;
}

static rml_status tell(const rml_session *session, const rml_step *step, rml_error *err)
{
    const rml_observer observer = observer_of(session);
    const rml_graph *graph = graph_of(session);
    return rml_observe(&observer, graph, &graph->nodes[step->node], step->args.out,
                       session->allocator, err);
}

// Indices that only this run tells: inference refuses those that are out of range.
static rml_status check_elements(const rml_session *session, const rml_step *step, rml_error *err)
{
    enum { FEW = 8 };
    const rml_graph *graph = graph_of(session);
    const rml_node *node = &graph->nodes[step->node];
    rml_fact in[FEW], out[RML_MAX_OUTPUTS];
    if (!rml_op_get(node->op)->checks_elements || node->in_count > FEW)
        return RML_OK;
    for (int k = 0; k < node->in_count; k++) {
        const rml_tensor *view = &step->args.in[k];
        in[k] = (rml_fact){view->dtype, rml_tensor_shape(view), view->raw};
    }
    return rml_graph_infer_node(graph, node, in, out, err);
}

static rml_status run_step(rml_session *session, const rml_step *step, rml_error *err)
{
    const double start = session->times ? rml_clock_ms() : 0;
    RML_TRY(check_elements(session, step, err));
    step->algorithm->run(&step->args);
    if (session->times) {
        rml_node_time *time = &session->times[step->node];
        time->total_ms += rml_clock_ms() - start;
        time->macs += step->macs;
        time->runs++;
    }
    return tell(session, step, err);
}

static rml_status run_sweep(rml_session *session, const rml_stage *stage, rml_error *err)
{
    const rml_plan *plan = session->plans;
    const rml_graph *graph = graph_of(session);
    rml_bands_sweep(plan, graph, stage, session->block, session->times);
    for (size_t i = 0; i < plan->step_count; i++)
        if (stage->member[i] == RML_MEMBER_COMPUTE &&
            !plan->bands->banded[graph->nodes[plan->steps[i].node].out])
            RML_TRY(tell(session, &plan->steps[i], err));
    return RML_OK;
}

rml_status rml_session_run(rml_session *session, rml_error *err)
{
    if (!session->ready)
        return rml_fail(err, RML_ERR_ARG, "the session is not prepared");
    if (!block_is_there(session))
        return rml_fail(err, RML_ERR_ARG,
                        "the memory that the session shares has moved: prepare it again");
    if (session->unfit != SIZE_MAX)
        return fail_small(session, session->unfit, session->bound[session->unfit].bytes,
                          port_bytes(session, session->unfit), err);
    const rml_plan *plan = session->plans;
    if (!plan->concrete)
        return run_eagerly(session, err);
    const rml_bands *bands = plan->bands;
    for (size_t i = 0; i < (bands ? bands->stage_count : plan->step_count); i++)
        if (bands && bands->stages[i].sweep)
            RML_TRY(run_sweep(session, &bands->stages[i], err));
        else
            RML_TRY(run_step(session, &plan->steps[bands ? bands->stages[i].step : i], err));
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
    const rml_node *node = &graph_of(session)->nodes[step->node];
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
