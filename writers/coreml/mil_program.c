// An ML Program: .mlpackage.
#include "writers/coreml/blocks.h"
#include "writers/coreml/mil_compress.h"
#include "writers/coreml/mil_ports.h"
#include "writers/coreml/package.h"

#include <stdio.h>
#include <string.h>

enum { LEAST_IOS = 15, COMPRESSED_IOS = 16, LEAST_OPSET = 5 }; // iOS 15 has opset 5

static rml_status check_settings(rml_writing *w, rml_error *err)
{
    rml_write_settings *settings = &w->settings;
    const int bits = settings->palette_bits;
    const bool compressed = settings->weights >= RML_WRITE_INT8;
    if (settings->ios == 0)
        settings->ios = w->model->graph.state_count ? RML_WRITE_STATES_IOS
                        : compressed                ? COMPRESSED_IOS
                                                    : LEAST_IOS;
    w->keeps_states = settings->ios >= RML_WRITE_STATES_IOS;
    if (settings->ios < LEAST_IOS || settings->ios > RML_WRITE_MOST_IOS)
        return rml_fail(err, RML_ERR_ARG, "packages are for ios%d to ios%d, not for ios%d",
                        LEAST_IOS, RML_WRITE_MOST_IOS, settings->ios);
    if (compressed && settings->ios < COMPRESSED_IOS)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "weights of fewer bits need ios%d, and the target is ios%d", COMPRESSED_IOS,
                        settings->ios);
    if (settings->weights == RML_WRITE_PALETTE && bits != 1 && bits != 2 && bits != 4 &&
        bits != 6 && bits != 8)
        return rml_fail(err, RML_ERR_ARG, "palettes have 1, 2, 4, 6 or 8 bits in a package, not %d",
                        bits);
    return RML_OK;
}

// What no operation of the program may have.
static rml_status check_ranks(const rml_graph *graph, rml_error *err)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        const rml_value *value = &graph->values[i];
        char text[RML_SHAPE_TEXT_BYTES];
        if (value->kind == RML_VALUE_ACTIVATION &&
            (value->shape.rank < 0 || value->shape.rank > RML_EMIT_MAX_RANK))
            return rml_fail(err, RML_ERR_UNSUPPORTED,
                            "what %s computes is %s, and Core ML's tensors have at most %d "
                            "dimensions, known before a run",
                            value->name, rml_shape_text(&value->shape, text), RML_EMIT_MAX_RANK);
    }
    return RML_OK;
}

static rml_status check_sizes(const rml_coreml_description *d, rml_error *err)
{
    for (size_t i = 0; i < d->input_count; i++) {
        const rml_coreml_port *port = &d->inputs[i];
        for (int k = 0; k < port->shape.rank; k++)
            if (port->shape.dim[k] < 0 && !rml_coreml_is_bounded(port, k))
                return rml_fail(err, RML_ERR_ARG,
                                "input %s: size %d may change, and packages want to know how far: "
                                "give it, or its limits",
                                port->name, k);
    }
    return RML_OK;
}

// ---- the model ----------------------------------------------------------------------------------

static void write_block(rml_emitter *e, const rml_coreml_description *d)
{
    rml_fields *m = e->m;
    if (d->label) {
        rml_fields_text(m, RML_MIL_BLOCK_OUTPUT, d->label);
        rml_fields_text(m, RML_MIL_BLOCK_OUTPUT, d->scores);
    }
    for (size_t i = d->label ? 1 : 0; i < d->output_count; i++)
        rml_fields_text(m, RML_MIL_BLOCK_OUTPUT, d->outputs[i].name);
    rml_emit_take_inputs(e, d);
    rml_emit_read_states(e, d);
    rml_emit_rename_outputs(e, d);
    rml_emit_nodes(e);
    rml_emit_give_outputs(e, d);
    rml_emit_write_states(e, d);
}

static void write_program(rml_emitter *e, const rml_coreml_description *d)
{
    rml_fields *m = e->m;
    char opset[16];
    snprintf(opset, sizeof opset, "CoreML%d", e->opset);
    rml_fields_begin(m, 502);
    rml_fields_int(m, 1, 1); // version
    rml_fields_begin(m, 2);
    rml_fields_text(m, 1, "main");
    rml_fields_begin(m, 2);
    for (size_t i = 0; i < d->input_count; i++)
        rml_emit_named_type(
            m, 1, &(rml_operand){d->inputs[i].name, d->inputs[i].dtype, d->inputs[i].shape});
    for (size_t i = 0; i < d->state_count; i++)
        rml_emit_state_type(m, &d->inputs[d->input_count + i]);
    rml_fields_text(m, 2, opset);
    rml_fields_begin(m, 3);
    rml_fields_text(m, 1, opset);
    rml_fields_begin(m, 2);
    write_block(e, d);
    for (int i = 0; i < 5; i++)
        rml_fields_end(m);
}

typedef struct result {
    rml_fields model;
    rml_blobs blobs;
    int needs; // opset
    rml_half_losses losses;
} result;

// Writes the program in memory with all that an opset has.
static rml_status write_with(const rml_coreml_description *d, rml_graph *graph, const bool *wide,
                             int opset, bool trial, result *out, rml_error *err)
{
    const rml_writing *w = d->w;
    rml_arena *arena = &graph->arena;
    rml_emitter e = {.w = w,
                     .graph = graph,
                     .arena = arena,
                     .m = &out->model,
                     .blobs = &out->blobs,
                     .opset = opset,
                     .needs = LEAST_OPSET,
                     .trial = trial,
                     .wide = wide};
    e.real = rml_emit_usual_real(&e);
    e.narrow = rml_arena_alloc(arena, graph->value_count + 1, sizeof *e.narrow);
    e.operand = rml_arena_alloc(arena, graph->value_count + 1, sizeof *e.operand);
    e.view = rml_arena_alloc(arena, graph->value_count + 1, sizeof *e.view);
    if (!e.operand || !e.view || !e.narrow)
        return rml_fail_nomem(err, graph->value_count * sizeof *e.operand, "a program");
    rml_naming_init(&e.naming, arena, true);
    e.status = rml_name_graph(&e.naming, graph, NULL, &e.names, &e.error);
    if (e.status == RML_OK) {
        rml_fields_int(&out->model, 1, opset + 1);
        rml_coreml_write_description(&out->model, d);
        write_program(&e, d);
    }
    rml_naming_release(&e.naming);
    out->needs = e.needs;
    out->losses = e.losses;
    if (e.status == RML_OK && out->model.status != RML_OK) // of a trial, which nothing writes
        return rml_fail(err, out->model.status, "%s", out->model.error.message);
    return e.status == RML_OK ? RML_OK : rml_fail(err, e.status, "%s", e.error.message);
}

static void begin(result *r, const rml_allocator *allocator)
{
    rml_fields_init(&r->model, allocator);
    rml_blobs_init(&r->blobs, allocator);
}

static void release(result *r)
{
    rml_fields_release(&r->model);
    rml_blobs_release(&r->blobs);
}

// The lowest opset that has what is used, so that the oldest systems can run it.
static rml_status write_lowered(const rml_coreml_description *d, rml_graph *graph, rml_error *err)
{
    const rml_writing *w = d->w;
    result r;
    bool *wide = NULL;
    if (w->settings.weights == RML_WRITE_F16)
        RML_TRY(rml_find_wide(w, graph, &wide, err));
    begin(&r, w->allocator);
    rml_status status = write_with(d, graph, wide, w->settings.ios - 10, true, &r, err);
    const int needs = r.needs;
    release(&r);
    if (status != RML_OK)
        return status;
    begin(&r, w->allocator);
    status = write_with(d, graph, wide, needs, false, &r, err);
    if (status == RML_OK)
        status = rml_package_write(w->path, &r.model, &r.blobs, w->allocator, err);
    if (status == RML_OK)
        rml_coreml_say_losses(w, &r.losses);
    release(&r);
    return status;
}

enum { NAME_BYTES = 32 };

static void name_target(char name[NAME_BYTES], int ios)
{
    snprintf(name, NAME_BYTES, "an ML Program for ios%d", ios);
}

rml_status rml_write_mlpackage(rml_writing *w, rml_error *err)
{
    rml_coreml_description description;
    rml_graph lowered;
    char name[NAME_BYTES], later_name[NAME_BYTES];
    w->keeps_scale = rml_emit_keeps_scale;
    RML_TRY(check_settings(w, err));
    RML_TRY(rml_writing_specialise(w, err));
    const int opset = w->settings.ios - 10;
    if (opset < RML_EMIT_UNSHUFFLE_OPSET)
        RML_TRY(rml_coreml_order_blocks(&w->graph, err));
    RML_TRY(rml_coreml_describe_ports(&description, w, err));
    RML_TRY(check_sizes(&description, err));
    name_target(name, w->settings.ios);
    name_target(later_name, RML_WRITE_MOST_IOS);
    static const int newest = RML_WRITE_MOST_IOS - 10;
    const rml_target later = {.name = later_name, .lacks = rml_emit_lacks, .user = &newest};
    const rml_target target = {.name = name,
                               .lacks = rml_emit_lacks,
                               .user = &opset,
                               .fixed_weights = true,
                               .float_codes = true,
                               .whole_numbers = true,
                               .later = opset < newest ? &later : NULL};
    rml_graph_init(&lowered, w->allocator);
    rml_status status = rml_lower(&w->graph, &lowered, &target, err);
    if (status == RML_OK)
        status = check_ranks(&lowered, err);
    rml_graph_count_uses(&lowered);
    if (status == RML_OK)
        status = write_lowered(&description, &lowered, err);
    rml_graph_release(&lowered);
    return status;
}
