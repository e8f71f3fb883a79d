// Whether a file that was written computes what its source does.
#include "pipelines/convert/convert.h"

#include "tensor/alloc.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LARGEST_HALF 65504.0f

typedef struct rml_proving {
    const rml_conversion *conversion;
    rml_model *again;
    const rml_layers *inputs; // as the file takes them, in the order of the source
    rml_layers outputs;       // of the source, as the file gives them
    rml_conversion_result *result;
} rml_proving;

// ---- ports --------------------------------------------------------------------------------------

// Where the file has the port that the source calls `name`: under the name wanted, or at the place
// that it has there, where the name was made fit.
static size_t place_of(const rml_proving *p, const char *name, size_t place, bool output)
{
    const rml_write_port *port = rml_conversion_port(p->conversion, name);
    const rml_write_settings *write = p->conversion->write;
    const bool scores = output && place == 0 && write->labels && write->scores_name;
    const char *as = scores ? write->scores_name : port && port->as ? port->as : name;
    const size_t found =
        output ? rml_model_find_output(p->again, as) : rml_model_find_input(p->again, as);
    const size_t count =
        output ? rml_model_output_count(p->again) : rml_model_input_count(p->again);
    return found == RML_NO_PORT && place < count ? place : found;
}

// `values` times scale plus bias of each channel, which is the second dimension.
static void apply_scale(const rml_write_port *port, rml_layer *values)
{
    if (!port || (!port->scale && !port->bias))
        return;
    size_t inner = 1;
    for (int i = 2; i < values->shape.rank; i++)
        inner *= (size_t)values->shape.dim[i];
    const size_t channels = values->shape.rank > 1 ? (size_t)values->shape.dim[1] : 1;
    for (size_t i = 0; i < values->count; i++) {
        const size_t channel = i / inner % channels;
        const float scale = port->scale ? port->scale[port->scale_count > 1 ? channel : 0] : 1;
        const float bias = port->bias ? port->bias[port->bias_count > 1 ? channel : 0] : 0;
        values->data[i] = values->data[i] * scale + bias;
    }
}

// ---- runs ---------------------------------------------------------------------------------------

// The same elements in as many dimensions as the file has: in front some of size 1 more, or less.
static rml_shape shape_there(const rml_shape *shape, const rml_shape *there)
{
    const int more = there->rank >= 0 ? there->rank - shape->rank : 0;
    rml_shape out = {.rank = shape->rank + more};
    for (int i = 0; i < out.rank; i++)
        out.dim[i] = i < more ? 1 : shape->dim[i - more];
    return out;
}

static rml_status fill(rml_session *session, const rml_model *model, size_t index,
                       const rml_layer *input, rml_error *err)
{
    rml_shape shape;
    size_t count;
    void *data = rml_session_input_at(session, index, &shape);
    const rml_port port = rml_model_input(model, index);
    if (!data || !rml_shape_count(&shape, &count) || count != input->count)
        return rml_fail(err, RML_ERR_SHAPE, "the input %s has other sizes in the file", port.name);
    rml_dtype_convert(RML_F32, input->data, port.dtype, data, count);
    return RML_OK;
}

static rml_status begin(const rml_proving *p, rml_session **session, rml_model *model,
                        rml_observe_fn observe, void *user, rml_error *err)
{
    rml_session_settings settings = *p->conversion->session;
    settings.observe = observe;
    settings.observe_user = user;
    return rml_session_create(session, model, &settings, err);
}

// States are zeros in a first run, whatever was written of them: the second one has those that the
// first left.
static rml_status run(rml_session *session, const rml_model *model, rml_error *err)
{
    if (rml_model_state(model, 0).name)
        RML_TRY(rml_session_run(session, err));
    return rml_session_run(session, err);
}

// Runs the source, and keeps its outputs as the file is to give them.
static rml_status run_source(rml_proving *p, rml_session *session, rml_error *err)
{
    rml_model *model = p->conversion->source;
    for (size_t i = 0; i < p->inputs->count; i++)
        RML_TRY(rml_session_resize_at(session, i, p->inputs->items[i].shape, err));
    RML_TRY(rml_session_prepare(session, err));
    for (size_t i = 0; i < p->inputs->count; i++) {
        const rml_layer *input = &p->inputs->items[i];
        rml_layer own = *input;
        RML_TRY(rml_make(p->outputs.allocator, &own.data, own.count + 1, sizeof *own.data,
                         "an input", err));
        memcpy(own.data, input->data, own.count * sizeof *own.data);
        apply_scale(rml_conversion_port(p->conversion, input->name), &own);
        const rml_status status = fill(session, model, i, &own, err);
        rml_free(p->outputs.allocator, own.data);
        RML_TRY(status);
    }
    RML_TRY(run(session, model, err));
    rml_layers_release(&p->outputs);
    for (size_t i = 0; i < rml_model_output_count(model); i++) {
        const rml_port port = rml_model_output(model, i);
        rml_shape shape;
        const void *data = rml_session_output_at(session, i, &shape);
        if (!data)
            return rml_fail(err, RML_ERR_INTERNAL, "output %s was not made", port.name);
        rml_layers_keep(&p->outputs, port.name, NULL, port.dtype, &shape, data);
        if (p->outputs.count == i + 1)
            apply_scale(rml_conversion_port(p->conversion, port.name), &p->outputs.items[i]);
    }
    return p->outputs.out_of_memory ? rml_fail_nomem(err, 0, "the outputs of a network") : RML_OK;
}

static rml_status run_again(rml_proving *p, rml_session *session, rml_error *err)
{
    for (size_t i = 0; i < p->inputs->count; i++) {
        const rml_layer *input = &p->inputs->items[i];
        const size_t there = place_of(p, input->name, i, false);
        if (there == RML_NO_PORT)
            return rml_fail(err, RML_ERR_FORMAT, "the input %s is not in the file", input->name);
        const rml_port port = rml_model_input(p->again, there);
        RML_TRY(
            rml_session_resize_at(session, there, shape_there(&input->shape, &port.shape), err));
    }
    RML_TRY(rml_session_prepare(session, err));
    for (size_t i = 0; i < p->inputs->count; i++) {
        const size_t there = place_of(p, p->inputs->items[i].name, i, false);
        RML_TRY(fill(session, p->again, there, &p->inputs->items[i], err));
    }
    return run(session, p->again, err);
}

// ---- what differs -------------------------------------------------------------------------------

static void tell(const rml_conversion *c, const char *line)
{
    if (c->log)
        c->log(c->log_user, line);
}

static float largest(const rml_layer *values)
{
    float most = 0;
    for (size_t i = 0; i < values->count; i++)
        most = fmaxf(most, fabsf(values->data[i]));
    return most;
}

// Of an output that tells nothing, nothing is proved; and what a device would show as black.
static rml_status look_at(const rml_conversion *c, const rml_layer *output, rml_error *err)
{
    const rml_write_port *port = rml_conversion_port(c, output->name);
    const float most = largest(output);
    char line[512];
    bool finite = true;
    for (size_t i = 0; i < output->count; i++)
        finite = finite && isfinite(output->data[i]);
    if (!finite)
        return rml_fail(err, RML_ERR_FORMAT,
                        "%s: output %s is not finite, which proves nothing: give inputs that the "
                        "network is for (--check-input)",
                        c->from, output->name);
    if (most == 0) {
        snprintf(line, sizeof line, "output %s is 0 for this input, which proves little",
                 output->name);
        tell(c, line);
    } else if (port && port->colours != RML_COLOURS_NONE && most <= 1) {
        snprintf(
            line, sizeof line,
            "output %s is an image of 0 to 255, and its largest value here is %.3g: it will be "
            "black without an --image-scale of its own",
            port->as ? port->as : output->name, (double)most);
        tell(c, line);
    }
    return RML_OK;
}

static rml_status compare_output(rml_proving *p, rml_session *session, size_t index, rml_error *err)
{
    const rml_layer *left = &p->outputs.items[index];
    const rml_meaning *meaning = rml_model_output(p->conversion->source, index).meaning;
    if (p->conversion->write->labels && meaning && meaning->kind == RML_MEANS_LABEL)
        return RML_OK; // what it follows from is compared
    const size_t there = place_of(p, left->name, index, true);
    rml_layer right = {0};
    rml_shape shape;
    const void *data = there == RML_NO_PORT ? NULL : rml_session_output_at(session, there, &shape);
    if (!data || !rml_shape_count(&shape, &right.count) || right.count != left->count)
        return rml_fail(err, RML_ERR_FORMAT, "the output %s is not in the file, or of another size",
                        left->name);
    RML_TRY(rml_make(p->outputs.allocator, &right.data, right.count + 1, sizeof *right.data,
                     "an output", err));
    rml_dtype_convert(rml_model_output(p->again, there).dtype, data, RML_F32, right.data,
                      right.count);
    const double error = rml_layer_difference(left, &right).error;
    rml_free(p->outputs.allocator, right.data);
    if (!*p->result->output || error > p->result->error) {
        p->result->error = error;
        snprintf(p->result->output, sizeof p->result->output, "%s",
                 rml_model_output(p->again, there).name);
    }
    return RML_OK;
}

// What the layers of the source gave, and by how much the file's differ.
typedef struct rml_tracing {
    rml_layers layers;
    double *errors; // [layers.count]; below 0: the file has no such layer
} rml_tracing;

static void trace(void *user, const rml_observed *value)
{
    rml_tracing *t = user;
    rml_layers one = {.allocator = t->layers.allocator};
    rml_layers_observe(&one, value);
    const rml_layer *right = one.count ? &one.items[0] : NULL;
    const rml_layer *left = right ? rml_layers_find_key(&t->layers, right->key) : NULL;
    if (left && left->count == right->count) // of several values the last is what the layer gives
        t->errors[left - t->layers.items] = rml_layer_difference(left, right).error;
    rml_layers_release(&one);
}

static rml_status run_traced(rml_proving *p, rml_tracing *t, rml_error *err)
{
    rml_session *session = NULL;
    rml_status status =
        begin(p, &session, p->conversion->source, rml_layers_observe, &t->layers, err);
    if (status == RML_OK)
        status = run_source(p, session, err);
    rml_session_destroy(&session);
    if (status == RML_OK)
        status = rml_make(t->layers.allocator, &t->errors, t->layers.count + 1, sizeof *t->errors,
                          "the layers of a network", err);
    for (size_t i = 0; i < t->layers.count && status == RML_OK; i++)
        t->errors[i] = -1;
    if (status == RML_OK)
        status = begin(p, &session, p->again, trace, t, err);
    if (status == RML_OK)
        status = run_again(p, session, err);
    rml_session_destroy(&session);
    return status;
}

// The sentence for a file that computes something else, with the first layer that does.
static rml_status fail_different(rml_proving *p, rml_error *err)
{
    const rml_conversion_result *r = p->result;
    rml_tracing t = {.layers.allocator = p->outputs.allocator};
    char where[RML_LAYER_KEY_BYTES + 64] = "";
    if (run_traced(p, &t, NULL) == RML_OK)
        for (size_t i = 0; i < t.layers.count && !*where; i++)
            if (t.errors[i] > r->bound)
                snprintf(where, sizeof where, "; %s is the first layer that differs, by %.1e",
                         t.layers.items[i].key, t.errors[i]);
    rml_layers_release(&t.layers);
    rml_free(p->outputs.allocator, t.errors);
    return rml_fail(
        err, RML_ERR_FORMAT,
        "computes something else than %s: the error of %s is %.1e of the largest value, "
        "above %.1e%s",
        p->conversion->from, r->output, r->error, r->bound, where);
}

// ---- halves -------------------------------------------------------------------------------------

typedef struct rml_overflow {
    size_t count;
    char first[256];
    float value;
} rml_overflow;

static void find_overflow(void *user, const rml_observed *value)
{
    rml_overflow *o = user;
    size_t count;
    if (value->dtype != RML_F32 || !rml_shape_count(&value->shape, &count))
        return;
    const rml_layer layer = {.count = count, .data = (float *)value->data};
    const float most = largest(&layer);
    if (most > LARGEST_HALF && o->count++ == 0) {
        snprintf(o->first, sizeof o->first, "%s", value->node);
        o->value = most;
    }
}

static void tell_overflow(const rml_conversion *c, const rml_overflow *o)
{
    char line[512];
    snprintf(line, sizeof line,
             "%zu layers give more than 65504, the largest half, so that a device may compute "
             "infinities; the first is %s with %.3g",
             o->count, o->first, (double)o->value);
    if (o->count)
        tell(c, line);
}

// ---- the proof ----------------------------------------------------------------------------------

static rml_status prove(rml_proving *p, rml_error *err)
{
    const rml_conversion *c = p->conversion;
    const bool halves = c->write->weights == RML_WRITE_F16;
    rml_overflow overflow = {0};
    rml_session *session = NULL;
    rml_status status =
        begin(p, &session, c->source, halves ? find_overflow : NULL, &overflow, err);
    if (status == RML_OK)
        status = run_source(p, session, err);
    rml_session_destroy(&session);
    if (status == RML_ERR_SHAPE && err) {
        const rml_error old = *err;
        status = rml_fail(err, status, "%.800s; inputs of other sizes can be given: --check_input",
                          old.message);
    }
    for (size_t i = 0; i < p->outputs.count && status == RML_OK; i++)
        status = look_at(c, &p->outputs.items[i], err);
    RML_TRY(status);
    tell_overflow(c, &overflow);
    status = begin(p, &session, p->again, NULL, NULL, err);
    if (status == RML_OK)
        status = run_again(p, session, err);
    for (size_t i = 0; i < p->outputs.count && status == RML_OK; i++)
        status = compare_output(p, session, i, err);
    rml_session_destroy(&session);
    if (status == RML_OK && !(p->result->error <= p->result->bound))
        status = fail_different(p, err);
    return status;
}

// What outputs of halves are off by at most, as a part of the largest value: they are rounded, and
// those of the file may be floats.
static double rounding_of(const rml_model *source)
{
    double most = 0;
    for (size_t i = 0; i < rml_model_output_count(source); i++) {
        const rml_dtype dtype = rml_model_output(source, i).dtype;
        most = fmax(most, dtype == RML_F16 ? 0x1p-11 : dtype == RML_BF16 ? 0x1p-8 : 0);
    }
    return most;
}

rml_status rml_prove_run(const rml_conversion *conversion, const rml_layers *inputs,
                         rml_model *again, rml_conversion_result *out, rml_error *err)
{
    rml_proving p = {.conversion = conversion,
                     .inputs = inputs,
                     .again = again,
                     .outputs.allocator = inputs->allocator,
                     .result = out};
    out->bound += rounding_of(conversion->source);
    const rml_status status = prove(&p, err);
    rml_layers_release(&p.outputs);
    return status;
}
