// An ML Program: .mlpackage.
#include "writers/coreml/blocks.h"
#include "writers/coreml/mil_compress.h"
#include "writers/coreml/package.h"

#include <stdio.h>
#include <string.h>

enum { LEAST_IOS = 15, MOST_IOS = 18, LEAST_OPSET = 5 }; // iOS 15 has opset 5

static rml_status check_settings(rml_writing *w, rml_error *err)
{
    rml_write_settings *settings = &w->settings;
    const int bits = settings->palette_bits;
    if (settings->ios == 0)
        settings->ios = LEAST_IOS;
    if (settings->ios < LEAST_IOS || settings->ios > MOST_IOS)
        return rml_fail(err, RML_ERR_ARG, "packages are for ios%d to ios%d, not for ios%d",
                        LEAST_IOS, MOST_IOS, settings->ios);
    if (settings->weights >= RML_WRITE_INT8 && settings->ios < 16)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "weights of fewer bits need ios16, and the target is ios%d", settings->ios);
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

// ---- ports --------------------------------------------------------------------------------------

static rml_operand port_operand(const rml_coreml_port *port)
{
    return (rml_operand){port->name, port->dtype, port->shape};
}

// The levels of images are scaled in floats, as they come, whatever the program computes in: halves
// would round the scale and every level.
static bool keeps_scale(const rml_write_port *input)
{
    return input->colours != RML_COLOURS_NONE;
}

// A number for all levels, or for each of the channels.
static rml_operand per_channel(rml_emitter *e, const char *name, const float *numbers, size_t count)
{
    const rml_shape one = {0}, all = {4, {1, (int64_t)count, 1, 1}};
    return rml_emit_floats(e, rml_emit_joined(e, name, "y_0"), numbers, count == 1 ? &one : &all,
                           RML_F32);
}

static rml_operand scaled(rml_emitter *e, rml_operand input, const rml_write_port *port)
{
    rml_operand x = input;
    if (port->scale) {
        const rml_operand out = rml_emit_part(e, &input, "_scaled__", &x.shape);
        x = rml_emit_binary(e, "mul", x, per_channel(e, out.name, port->scale, port->scale_count),
                            out);
    }
    if (port->bias) {
        const rml_operand out = rml_emit_part(e, &input, "_biased__", &x.shape);
        x = rml_emit_binary(e, "add", x, per_channel(e, out.name, port->bias, port->bias_count),
                            out);
    }
    return x;
}

// Inputs come in the type of their description.
static void take_inputs(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->input_count; i++) {
        const rml_value_id id = e->graph->inputs[i];
        const rml_write_port *port = d->inputs[i].port;
        rml_operand given = port_operand(&d->inputs[i]);
        rml_operand *own = &e->operand[id];
        if (port && keeps_scale(port))
            given = scaled(e, given, port);
        *own = given;
        own->dtype = rml_emit_type_of(e, e->graph->values[id].dtype);
        if (own->dtype == given.dtype)
            continue;
        *own = rml_emit_part(e, own, "cast", &own->shape);
        rml_emit_cast(e, given, *own);
    }
}

// A value that is not given away as it is gets another name than the output.
static void rename_outputs(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->output_count; i++) {
        const rml_value_id id = e->graph->outputs[i];
        const rml_value *value = &e->graph->values[id];
        const char **name = &e->names.value[id];
        const bool cast = rml_emit_type_of(e, value->dtype) != d->outputs[i].dtype;
        if (*name == e->names.output[i] && (cast || (d->label && i == 0)))
            *name = rml_emit_name(e, *name);
    }
    for (size_t v = 0; v < e->graph->value_count && d->label; v++)
        if (strcmp(e->names.value[v], d->label) == 0 || strcmp(e->names.value[v], d->scores) == 0)
            e->names.value[v] = rml_emit_name(e, e->names.value[v]);
}

static rml_dtype label_type(const rml_coreml_description *d)
{
    return d->numbers ? RML_I64 : RML_EMIT_TEXT;
}

// A list as the argument itself, the way of this operation.
static void write_labels(rml_emitter *e, const rml_coreml_description *d)
{
    const rml_write_settings *settings = &d->w->settings;
    rml_fields *m = e->m;
    rml_fields_begin(m, 2); // an input
    rml_fields_text(m, 1, "classes");
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 1);
    rml_fields_begin(m, 2); // a Value
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 2); // a list
    rml_emit_type(m, 1, label_type(d), &(rml_shape){0});
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 1);
    rml_fields_int(m, 1, (int64_t)settings->label_count);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_begin(m, 3);
    rml_fields_begin(m, 3);
    for (size_t i = 0; i < settings->label_count; i++)
        if (d->numbers)
            rml_emit_long_value(m, 1, d->numbers[i]);
        else
            rml_emit_text_value(m, 1, settings->labels[i]);
    for (int i = 0; i < 6; i++)
        rml_fields_end(m);
}

static void write_classify(rml_emitter *e, const rml_coreml_description *d, rml_operand scores)
{
    rml_fields *m = e->m;
    const rml_shape scalar = {0};
    rml_fields_begin(m, RML_MIL_BLOCK_OPERATION);
    rml_fields_text(m, 1, "classify");
    write_labels(e, d);
    rml_fields_begin(m, 2);
    rml_fields_text(m, 1, "probabilities");
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 1);
    rml_fields_text(m, 1, scores.name);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_emit_named_type(m, 3, &(rml_operand){d->label, label_type(d), scalar});
    rml_fields_begin(m, 3);
    rml_fields_text(m, 1, d->scores);
    rml_fields_begin(m, 2);
    rml_fields_begin(m, 4); // a dictionary
    rml_emit_type(m, 1, label_type(d), &scalar);
    rml_emit_type(m, 2, RML_F64, &scalar);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_end(m);
    rml_fields_begin(m, 5);
    rml_fields_text(m, 1, "name");
    rml_emit_text_value(m, 2, d->label);
    rml_fields_end(m);
    rml_fields_end(m);
}

// Outputs go in the type of their description.
static void give_outputs(rml_emitter *e, const rml_coreml_description *d)
{
    for (size_t i = 0; i < d->output_count; i++) {
        const rml_value_id id = e->graph->outputs[i];
        rml_operand given = port_operand(&d->outputs[i]);
        rml_operand own = rml_emit_operand(e, id);
        const bool classified = d->label && i == 0;
        if (classified)
            given.name = own.dtype == given.dtype ? own.name : rml_emit_name(e, own.name);
        if (own.dtype != given.dtype)
            own = rml_emit_cast(e, own, given);
        else if (strcmp(own.name, given.name) != 0)
            own = rml_emit_unary(e, "identity", own, given);
        if (classified)
            write_classify(e, d, own);
    }
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
    take_inputs(e, d);
    rename_outputs(e, d);
    rml_emit_nodes(e);
    give_outputs(e, d);
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
static rml_status write_with(const rml_coreml_description *d, rml_graph *graph, int opset,
                             bool trial, result *out, rml_error *err)
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
                     .real = w->settings.weights == RML_WRITE_F16 ? RML_F16 : RML_F32};
    e.operand = rml_arena_alloc(arena, graph->value_count + 1, sizeof *e.operand);
    e.view = rml_arena_alloc(arena, graph->value_count + 1, sizeof *e.view);
    if (!e.operand || !e.view)
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
    begin(&r, w->allocator);
    rml_status status = write_with(d, graph, w->settings.ios - 10, true, &r, err);
    const int needs = r.needs;
    release(&r);
    if (status != RML_OK)
        return status;
    begin(&r, w->allocator);
    status = write_with(d, graph, needs, false, &r, err);
    if (status == RML_OK)
        status = rml_package_write(w->path, &r.model, &r.blobs, w->allocator, err);
    if (status == RML_OK)
        rml_coreml_say_losses(w, &r.losses);
    release(&r);
    return status;
}

rml_status rml_write_mlpackage(rml_writing *w, rml_error *err)
{
    rml_coreml_description description;
    rml_graph lowered;
    char name[32];
    w->keeps_scale = keeps_scale;
    RML_TRY(check_settings(w, err));
    RML_TRY(rml_writing_specialise(w, err));
    const int opset = w->settings.ios - 10;
    if (opset < RML_EMIT_UNSHUFFLE_OPSET)
        RML_TRY(rml_coreml_order_blocks(&w->graph, err));
    RML_TRY(rml_coreml_describe_ports(&description, w, err));
    RML_TRY(check_sizes(&description, err));
    snprintf(name, sizeof name, "an ML Program for ios%d", w->settings.ios);
    const rml_target target = {.name = name,
                               .lacks = rml_emit_lacks,
                               .user = &opset,
                               .fixed_weights = true,
                               .float_codes = true};
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
