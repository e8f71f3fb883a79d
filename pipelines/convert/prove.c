// Whether a file that was written computes what its source does.
#include "pipelines/convert/proving.h"

#include "pipelines/compare/align.h"
#include "tensor/alloc.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LARGEST_HALF 65504.0f

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

rml_status rml_proving_begin(const rml_proving *p, rml_session **session, rml_model *model,
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

rml_status rml_proving_run_source(rml_proving *p, rml_session *session, rml_error *err)
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

rml_status rml_proving_run_again(rml_proving *p, rml_session *session, rml_error *err)
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

// Whether an output tells little: it is 0, or nothing but 0 and its largest value, as probabilities
// of a network that is sure of one class.
static bool is_mute(const rml_proving *p, size_t index)
{
    const rml_layer *output = &p->outputs.items[index];
    const rml_dtype dtype = rml_model_output(p->conversion->source, index).dtype;
    const float most = largest(output);
    bool mute = most == 0 || (output->count > 1 && rml_dtype_is_float(dtype));
    for (size_t i = 0; i < output->count && mute; i++)
        mute = output->data[i] == 0 || output->data[i] == most;
    return mute;
}

static void tell_mute(const rml_proving *p)
{
    char line[512];
    for (size_t i = 0; i < p->mute.count; i++) {
        if (!p->mute.is[i])
            continue;
        snprintf(line, sizeof line,
                 "output %s has no other values here than 0 and its largest, which proves little: "
                 "inputs that the network is for can be given: --check-input",
                 rml_model_output(p->conversion->source, i).name);
        tell(p->conversion, line);
    }
}

static bool is_finite(const rml_layer *output)
{
    bool finite = true;
    for (size_t i = 0; i < output->count && finite; i++)
        finite = isfinite(output->data[i]);
    return finite;
}

// Of an output that is not finite nothing is proved; what a device would show as black is told.
static rml_status look_at(const rml_proving *p, size_t index, rml_error *err)
{
    const rml_conversion *c = p->conversion;
    const rml_layer *output = &p->outputs.items[index];
    const rml_write_port *port = rml_conversion_port(c, output->name);
    const float most = largest(output);
    char line[512];
    if (!is_finite(output))
        return rml_fail(err, RML_ERR_FORMAT,
                        "%s: output %s is not finite, which proves nothing: give inputs that the "
                        "network is for (--check-input)",
                        c->from, output->name);
    if (port && port->colours != RML_COLOURS_NONE && most <= 1 && most > 0) {
        snprintf(
            line, sizeof line,
            "output %s is an image of 0 to 255, and its largest value here is %.3g: it will be "
            "black without an --image-scale of its own",
            port->as ? port->as : output->name, (double)most);
        tell(c, line);
    }
    return RML_OK;
}

// By how much an output differs. Whole numbers of a file in floats are to be the same ones.
static double error_of(const rml_proving *p, const rml_layer *left, const rml_layer *right,
                       rml_dtype dtype)
{
    const double error = rml_layer_difference(left, right).error;
    const bool exact = !rml_dtype_is_float(dtype) && p->conversion->write->weights == RML_WRITE_F32;
    return exact && error > 0 ? fmax(error, 2 * p->result->bound) : error;
}

static rml_status compare_output(rml_proving *p, rml_session *session, size_t index, rml_error *err)
{
    const rml_layer *left = &p->outputs.items[index];
    const rml_port port = rml_model_output(p->conversion->source, index);
    if (p->conversion->write->labels && port.meaning && port.meaning->kind == RML_MEANS_LABEL)
        return RML_OK; // what it follows from is compared
    const size_t there = place_of(p, left->name, index, true);
    rml_layer right = {0};
    const void *data =
        there == RML_NO_PORT ? NULL : rml_session_output_at(session, there, &right.shape);
    if (!data || !rml_shape_count(&right.shape, &right.count) ||
        !rml_layer_same_shape(left, &right))
        return rml_fail(err, RML_ERR_FORMAT, "the output %s is not in the file, or of another size",
                        left->name);
    RML_TRY(rml_make(p->outputs.allocator, &right.data, right.count + 1, sizeof *right.data,
                     "an output", err));
    rml_dtype_convert(rml_model_output(p->again, there).dtype, data, RML_F32, right.data,
                      right.count);
    const double error = error_of(p, left, &right, port.dtype);
    rml_free(p->outputs.allocator, right.data);
    if (!*p->result->output || error > p->result->error) {
        p->result->error = error;
        snprintf(p->result->output, sizeof p->result->output, "%s",
                 rml_model_output(p->again, there).name);
    }
    return RML_OK;
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

static rml_status prove_source(rml_proving *p, rml_error *err)
{
    const rml_conversion *c = p->conversion;
    const bool halves = c->write->weights == RML_WRITE_F16;
    rml_overflow overflow = {0};
    rml_session *session = NULL;
    rml_status status =
        rml_proving_begin(p, &session, c->source, halves ? find_overflow : NULL, &overflow, err);
    if (status == RML_OK)
        status = rml_proving_run_source(p, session, err);
    rml_session_destroy(&session);
    if (status == RML_ERR_SHAPE && err) {
        const rml_error old = *err;
        status = rml_fail(err, status, "%.800s; inputs of other sizes can be given: --check_input",
                          old.message);
    }
    for (size_t i = 0; i < p->outputs.count && status == RML_OK && !p->other; i++)
        status = look_at(p, i, err);
    if (status == RML_OK)
        tell_overflow(c, &overflow);
    return status;
}

static rml_status prove(rml_proving *p, rml_error *err)
{
    rml_session *session = NULL;
    rml_status status = prove_source(p, err);
    bool tells = status == RML_OK;
    for (size_t i = 0; i < p->outputs.count; i++)
        tells = tells && is_finite(&p->outputs.items[i]);
    for (size_t i = 0; i < p->outputs.count && tells; i++)
        p->mute.is[i] = (!p->other || p->mute.is[i]) && is_mute(p, i);
    if (!tells)
        return p->other && status != RML_ERR_NOMEM ? RML_OK : status; // it is not for such numbers
    status = rml_proving_begin(p, &session, p->again, NULL, NULL, err);
    if (status == RML_OK)
        status = rml_proving_run_again(p, session, err);
    for (size_t i = 0; i < p->outputs.count && status == RML_OK; i++)
        status = compare_output(p, session, i, err);
    rml_session_destroy(&session);
    if (status == RML_OK && !(p->result->error <= p->result->bound))
        status = rml_prove_fail(p, err);
    return status;
}

// Numbers of the other signs, or at least other ones, for what was made up: what is behind an
// activation that gave 0 shows.
static rml_status prove_with_others(rml_proving *p, rml_error *err)
{
    rml_layers others = {.allocator = p->inputs->allocator};
    rml_status status = rml_check_inputs_other(p->conversion, p->inputs, &others, err);
    p->inputs = &others;
    p->other = true;
    if (status == RML_OK && others.count)
        status = prove(p, err);
    rml_layers_release(&others);
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
    p.mute.count = rml_model_output_count(conversion->source);
    p.mute.is = rml_alloc_zero(inputs->allocator, p.mute.count + 1, sizeof *p.mute.is);
    if (!p.mute.is)
        return rml_fail_nomem(err, p.mute.count, "a proof");
    rml_status status = prove(&p, err);
    const bool floats = conversion->write->weights == RML_WRITE_F32;
    if (status == RML_OK && floats)
        status = rml_prove_same_weights(&p, err);
    if (status == RML_OK && floats)
        status = prove_with_others(&p, err);
    if (status == RML_OK)
        tell_mute(&p);
    rml_free(inputs->allocator, p.mute.is);
    rml_layers_release(&p.outputs);
    return status;
}
