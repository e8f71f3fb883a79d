// rml_session_export_c: a plan as a C file and its header.
#include "writers/c/emit.h"

#include "runmodel_export.h"

#include "tensor/dtype.h"
#include "tensor/format.h"

#include <string.h>

static const rml_c_op *const ops[] = {
    &rml_c_conv,   &rml_c_conv_transpose, &rml_c_inverted,       &rml_c_matmul,
    &rml_c_pool,   &rml_c_softmax,        &rml_c_lstm,           &rml_c_unary,
    &rml_c_binary, &rml_c_reshape,        &rml_c_layout,         &rml_c_concat,
    &rml_c_slice,  &rml_c_transpose,      &rml_c_expand,         &rml_c_cast,
    &rml_c_split,  &rml_c_resize,         &rml_c_space_to_depth, &rml_c_depth_to_space,
};

rml_export_settings rml_export_settings_default(void)
{
    return (rml_export_settings){.size = sizeof(rml_export_settings)};
}

const rml_c_op *rml_c_op_of(const rml_c_emit *c, size_t step)
{
    const rml_op_id id = rml_c_node(c, step)->op;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (ops[i]->op == id)
            return ops[i];
    return NULL;
}

// ---- what is refused ----------------------------------------------------------------------------

static const char *refusal(rml_c_emit *c, size_t index, size_t *scratch)
{
    const rml_step *step = rml_c_step(c, index);
    const rml_node *node = rml_c_node(c, index);
    const rml_c_op *op = rml_c_op_of(c, index);
    if (step->dynamic)
        return "its shape depends on the run";
    if (!op)
        return "there is no kernel of it in C";
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k] != RML_NO_VALUE && step->args.in[k].dtype != RML_F32 &&
            !step->args.constants[k] && !c->plan->places[node->in[k]].constant)
            return "it reads other numbers than floats";
    for (int k = 0; k < node->out_count; k++)
        if (step->args.out[k].dtype != RML_F32)
            return "it gives other numbers than floats";
    return op->check(c, step, scratch);
}

// All that cannot be written, at once.
static rml_status check_steps(rml_c_emit *c, rml_error *err)
{
    char list[900] = "";
    size_t refused = 0, used = 0;
    for (size_t i = 0; i < c->plan->step_count; i++) {
        size_t scratch = 0;
        const rml_node *node = rml_c_node(c, i);
        const rml_node_id at = rml_c_step(c, i)->node;
        const char *why = refusal(c, i, &scratch);
        c->buffers[c->value_buffers + i] = (rml_buffer){.bytes = scratch, .first = at, .last = at};
        if (!why)
            continue;
        if (++refused <= 8 && used < sizeof list)
            used += (size_t)rml_format(list + used, sizeof list - used, "%s%s (%s): %s",
                                       refused > 1 ? "; " : "", node->name, node->def->name, why);
    }
    if (!refused)
        return RML_OK;
    return rml_fail(err, RML_ERR_UNSUPPORTED, "%zu of %zu operators cannot be written as C: %s%s",
                    refused, c->plan->step_count, list, refused > 8 ? "; and others" : "");
}

// Whether a step reads its elements.
static bool is_input_read(const rml_session *session, rml_value_id id)
{
    const rml_plan *plan = session->plans;
    for (size_t i = 0; i < plan->step_count; i++) {
        const rml_node *node = &plan->graph->nodes[plan->steps[i].node];
        for (int k = 0; k < node->in_count; k++)
            if (node->in[k] == id)
                return true;
    }
    return false;
}

static rml_status check_session(const rml_session *session, rml_error *err)
{
    const rml_graph *graph = rml_session_graph(session);
    if (!session->ready)
        return rml_fail(err, RML_ERR_ARG, "the session is not prepared");
    if (!session->kernels.in_order || session->context.precision != RML_PRECISION_F32)
        return rml_fail(err, RML_ERR_ARG, "the session is not one of f32 whose sums are in_order");
    if (session->kernels.level == RML_CPU_PORTABLE)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "the C has fused multiply-adds, and this machine (level portable) has none "
                        "to make its self-test with");
    if (session->plans->bands || session->settings.no_reuse || graph->state_count)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "a plan in bands, without reuse of memory or with states that it keeps is "
                        "not written as C");
    for (size_t i = 0; i < graph->input_count + graph->output_count; i++) {
        const rml_value_id id = rml_port_value(graph, i);
        const bool input = i < graph->input_count;
        if (graph->values[id].dtype != RML_F32 && (!input || is_input_read(session, id)))
            return rml_fail(err, RML_ERR_UNSUPPORTED, "%s %s is of %s, and C is written for floats",
                            input ? "input" : "output", graph->values[id].name,
                            rml_dtype_name(graph->values[id].dtype));
    }
    return RML_OK;
}

// ---- memory -------------------------------------------------------------------------------------

static bool is_port(const rml_graph *graph, rml_value_id id)
{
    for (size_t i = 0; i < graph->input_count + graph->output_count; i++)
        if (rml_port_value(graph, i) == id)
            return true;
    return false;
}

// Values keep their lifetimes; ports are the caller's, scratch is what the small kernels ask for.
static rml_status plan_memory(rml_c_emit *c, rml_error *err)
{
    const rml_plan *plan = c->plan;
    memcpy(c->buffers, plan->buffers, c->value_buffers * sizeof *c->buffers);
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->scratch[i] != RML_NO_BUFFER)
            c->buffers[plan->scratch[i]].bytes = 0;
    for (rml_value_id id = 0; id < c->graph->value_count; id++) {
        const rml_place *place = &plan->places[id];
        if (place->root != id || place->buffer == RML_NO_BUFFER)
            continue;
        const rml_value *value = &c->graph->values[id];
        const bool unread = value->kind == RML_VALUE_ACTIVATION && !rml_c_is_read(c, id) &&
                            c->graph->nodes[value->producer].op == RML_OP_RNN &&
                            c->graph->nodes[value->producer].out == id &&
                            !rml_graph_is_output(c->graph, id);
        if (is_port(c->graph, id) || unread)
            c->buffers[place->buffer].bytes = 0;
    }
    RML_TRY(rml_memory_plan(c->buffers, c->value_buffers + plan->step_count, &c->arena,
                            c->allocator, err));
    size_t most = c->arena;
    for (size_t i = 0; i < c->graph->input_count + c->graph->output_count; i++)
        most = rml_sat_add(most, rml_sat_mul(rml_c_port_count(c, i), sizeof(float)));
    if (most > INT32_MAX) // what kernels step by
        return rml_fail(err, RML_ERR_LIMIT,
                        "a run takes %zu bytes, and the C has numbers up to %d for them", most,
                        INT32_MAX);
    return RML_OK;
}

// ---- the self-test ------------------------------------------------------------------------------

static rml_status run_session(rml_c_emit *c, uint32_t *sum, rml_error *err)
{
    const size_t inputs = c->graph->input_count, ports = inputs + c->graph->output_count;
    uint32_t state = 1;
    for (size_t i = 0; i < inputs; i++) {
        float *data = rml_session_input_at(c->session, i, NULL);
        for (size_t k = 0; k < rml_c_port_count(c, i); k++, state = state * 1664525u + 1013904223u)
            data[k] = (float)(state >> 8) * (1.0f / 16777216);
    }
    RML_TRY(rml_session_run(c->session, err));
    *sum = 2166136261u;
    for (size_t i = inputs; i < ports; i++) {
        const float *data = rml_session_output_at(c->session, i - inputs, NULL);
        for (size_t k = 0; k < rml_c_port_count(c, i); k++) {
            uint32_t bits;
            memcpy(&bits, &data[k], sizeof bits);
            *sum = (*sum ^ bits) * 16777619u;
        }
    }
    return RML_OK;
}

// The header has its name only once the source is whole.
static rml_status write_both(rml_c_emit *c, const char *path, uint32_t expected, rml_error *err)
{
    const size_t length = strlen(path);
    rml_outfile header;
    char *header_path = rml_alloc_text(c->allocator, path);
    if (!header_path)
        return rml_fail_nomem(err, length, "the header's name");
    header_path[length - 1] = 'h';
    const char *slash = strrchr(header_path, '/');
    c->status = RML_OK;
    c->err = err;
    rml_status status = rml_outfile_open(&c->file, header_path, c->allocator, err);
    if (status == RML_OK) {
        rml_c_say_header(c);
        header = c->file;
        status = rml_outfile_open(&c->file, path, c->allocator, err);
        if (status == RML_OK) {
            rml_c_say_source(c, slash ? slash + 1 : header_path, expected);
            status = rml_outfile_finish(&c->file, c->status, err);
        }
        status = rml_outfile_finish(&header, status, err);
    }
    rml_free(c->allocator, header_path);
    return status;
}

// "net" of "dir/net.c".
static void take_name(const char *path, char *out, size_t room)
{
    const char *slash = strrchr(path, '/');
    rml_c_identifier(out, room, slash ? slash + 1 : path);
    const size_t length = strlen(out);
    if (length > 2)
        out[length - 2] = 0; // "_c"
}

rml_status rml_session_export_c(rml_session *session, const char *path,
                                const rml_export_settings *settings, rml_export_report *report,
                                rml_error *err)
{
    rml_export_settings given;
    char name[64];
    uint32_t expected = 0;
    RML_TRY(rml_settings_take(&given, sizeof given, settings, "rml_export_settings", err));
    const size_t length = strlen(path);
    if (length < 3 || strcmp(path + length - 2, ".c") != 0)
        return rml_fail(err, RML_ERR_ARG, "%s: what is written is C, and its name ends in .c",
                        path);
    RML_TRY(check_session(session, err));
    if (given.name)
        rml_c_identifier(name, sizeof name, given.name);
    else
        take_name(path, name, sizeof name);
    rml_session_point(session);
    rml_c_emit c = {.session = session,
                    .plan = session->plans,
                    .graph = rml_session_graph(session),
                    .allocator = session->context.allocator,
                    .name = name,
                    .pieces = 1u << RML_C_BASE,
                    .value_buffers = session->plans->buffer_count};
    c.buffers =
        rml_alloc_zero(c.allocator, c.value_buffers + c.plan->step_count + 1, sizeof *c.buffers);
    c.written = rml_alloc_zero(c.allocator, c.graph->value_count + 1, sizeof *c.written);
    rml_status status = RML_OK;
    if (!c.buffers || !c.written)
        status = rml_fail_nomem(err, c.value_buffers * sizeof *c.buffers, "the plan of the C");
    if (status == RML_OK)
        status = check_steps(&c, err);
    if (status == RML_OK)
        status = plan_memory(&c, err);
    if (status == RML_OK)
        status = run_session(&c, &expected, err);
    if (status == RML_OK)
        status = write_both(&c, path, expected, err);
    if (status == RML_OK && report)
        *report = (rml_export_report){
            .steps = c.plan->step_count, .weight_bytes = c.weight_bytes, .arena_bytes = c.arena};
    rml_free(c.allocator, c.buffers);
    rml_free(c.allocator, c.written);
    return status;
}
