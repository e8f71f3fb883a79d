// Layers and blobs of a neural network that is written.
#include "tensor/dtype.h"
#include "writers/coreml/nn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- looking ------------------------------------------------------------------------------------

rml_fact rml_net_fact(const rml_graph *graph, const rml_node *node, int input)
{
    return rml_input_given(node, input) ? rml_graph_fact(graph, node->in[input])
                                        : (rml_fact){.shape = {.rank = -1}};
}

const rml_shape *rml_net_shape(const rml_net_emitter *e, int input)
{
    return &e->graph->values[e->node->in[input]].shape;
}

const rml_shape *rml_net_out_shape(const rml_net_emitter *e, int output)
{
    return &e->graph->values[e->node->out + (rml_value_id)output].shape;
}

bool rml_net_is_read(const rml_net_emitter *e, int output)
{
    return output < e->node->out_count &&
           e->graph->values[e->node->out + (rml_value_id)output].uses > 0;
}

bool rml_net_target_shape(const rml_shape *shape, int64_t *sizes, int *count)
{
    int unknown = shape->rank < 0 ? 2 : 0;
    for (int i = 0; i < shape->rank; i++) {
        sizes[i] = shape->dim[i] < 0 ? -1 : shape->dim[i];
        unknown += sizes[i] < 0;
    }
    *count = shape->rank > 0 ? shape->rank : 1;
    if (shape->rank == 0)
        sizes[0] = 1;
    return unknown < 2;
}

rml_shape rml_net_planes(const rml_shape *shape)
{
    rml_shape planes = {3, {1, 1, 1}};
    const int first = shape->rank == 4 || shape->rank == 2 ? 1 : 0;
    for (int i = first; i < shape->rank; i++)
        planes.dim[i - first] = shape->dim[i];
    return planes;
}

// ---- names --------------------------------------------------------------------------------------

void rml_net_fail(rml_net_emitter *e, rml_status status, const char *format, ...)
{
    char text[RML_MESSAGE_BYTES];
    va_list args;
    if (e->status != RML_OK)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    e->status = rml_fail(e->err, status, "%s", text);
}

// The first of name, name_1, name_2, .. that is not taken; in the graph's arena.
static const char *take(rml_net_emitter *e, rml_names *taken, const char *wanted)
{
    char text[512];
    size_t there;
    snprintf(text, sizeof text, "%.400s", wanted);
    const size_t length = strlen(text);
    for (size_t i = 1; rml_names_find(taken, text, strlen(text), &there); i++)
        snprintf(text + length, sizeof text - length, "_%zu", i);
    const char *copy = rml_arena_text(&e->w->graph.arena, text);
    if (!copy)
        rml_net_fail(e, RML_ERR_NOMEM, "out of memory for a name");
    else if (e->status == RML_OK)
        e->status = rml_names_add(taken, copy, strlen(copy), 0, &there, e->err);
    return copy ? copy : "";
}

const char *rml_net_name(rml_net_emitter *e, const char *wanted)
{
    return take(e, &e->blobs, wanted);
}

const char *rml_net_between(rml_net_emitter *e)
{
    char text[512];
    snprintf(text, sizeof text, "%.400s_part", e->node ? rml_net_out(e, 0) : "given");
    return rml_net_name(e, text);
}

const char *rml_net_out(rml_net_emitter *e, int output)
{
    return e->blob[e->node->out + (rml_value_id)output];
}

static const char *load_constant(rml_net_emitter *e, rml_value_id id)
{
    const rml_value *value = &e->graph->values[id];
    size_t count;
    const float *numbers = rml_net_numbers(e, id, &count);
    return numbers ? rml_net_load(e, numbers, &value->shape, !rml_dtype_is_float(value->dtype))
                   : "";
}

const char *rml_net_blob(rml_net_emitter *e, rml_value_id value)
{
    if (!e->blob[value])
        e->blob[value] = load_constant(e, value);
    return e->blob[value];
}

const char *rml_net_in(rml_net_emitter *e, int input)
{
    return rml_net_blob(e, e->node->in[input]);
}

// ---- layers -------------------------------------------------------------------------------------

void rml_net_layer(rml_net_emitter *e, uint32_t kind, const char *const *in, int in_count,
                   const char *const *out, int out_count)
{
    // The layer that gives a node's output has its name.
    const bool last = e->node && out[0] == rml_net_out(e, 0);
    rml_fields_begin(&e->m, 1);
    rml_fields_text(&e->m, 1, take(e, &e->layers, last ? e->node->name : out[0]));
    for (int i = 0; i < in_count; i++)
        rml_fields_text(&e->m, 2, in[i]);
    for (int i = 0; i < out_count; i++)
        rml_fields_text(&e->m, 3, out[i]);
    rml_fields_begin(&e->m, kind);
}

void rml_net_end(rml_net_emitter *e)
{
    rml_fields_end(&e->m);
    rml_fields_end(&e->m);
}

void rml_net_one(rml_net_emitter *e, uint32_t kind, const char *in, const char *out)
{
    rml_net_layer(e, kind, &in, 1, &out, 1);
}

void rml_net_plain(rml_net_emitter *e, uint32_t kind, const char *const *in, int in_count,
                   const char *out)
{
    rml_net_layer(e, kind, in, in_count, &out, 1);
    rml_net_end(e);
}

void rml_net_linear(rml_net_emitter *e, const char *in, float alpha, float beta, const char *out)
{
    rml_net_one(e, RML_NET_ACTIVATION, in, out);
    rml_fields_begin(&e->m, 5);
    rml_net_float(e, 1, alpha);
    rml_net_float(e, 2, beta);
    rml_fields_end(&e->m);
    rml_net_end(e);
}

void rml_net_unary(rml_net_emitter *e, int type, const char *in, float alpha, float epsilon,
                   const char *out)
{
    rml_net_one(e, RML_NET_UNARY, in, out);
    rml_net_int(e, 1, type);
    rml_net_float(e, 2, alpha);
    rml_net_float(e, 3, epsilon);
    rml_fields_float(&e->m, 5, 1);
    rml_net_end(e);
}

void rml_net_reshape(rml_net_emitter *e, const char *in, const rml_shape *shape, const char *out)
{
    const rml_shape planes = rml_net_planes(shape);
    int64_t sizes[RML_MAX_RANK];
    int count;
    if (!rml_net_target_shape(e->old ? &planes : shape, sizes, &count))
        rml_net_fail(e, RML_ERR_UNSUPPORTED, "%s: several sizes are not known before a run",
                     e->node->name);
    rml_net_one(e, e->old ? RML_NET_OLD_RESHAPE : RML_NET_RESHAPE, in, out);
    rml_fields_ints(&e->m, 1, sizes, (size_t)count);
    rml_net_end(e);
}

void rml_net_transpose(rml_net_emitter *e, const char *in, const int *order, int rank,
                       const char *out)
{
    int64_t axes[RML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        axes[i] = order[i];
    rml_net_one(e, RML_NET_TRANSPOSE, in, out);
    rml_fields_ints(&e->m, 1, axes, (size_t)rank);
    rml_net_end(e);
}

void rml_net_binary(rml_net_emitter *e, uint32_t kind, const char *a, const char *b,
                    const char *out)
{
    rml_net_plain(e, kind, (const char *const[]){a, b}, 2, out);
}

void rml_net_same(rml_net_emitter *e, int input, int output)
{
    const rml_value_id out = e->node->out + (rml_value_id)output;
    if (rml_graph_is_output(e->graph, out))
        rml_net_linear(e, rml_net_in(e, input), 1, 0, rml_net_out(e, output));
    else
        e->blob[out] = rml_net_in(e, input);
}

const char *rml_net_load(rml_net_emitter *e, const float *numbers, const rml_shape *shape,
                         bool whole)
{
    int64_t sizes[RML_MAX_RANK];
    int rank;
    size_t count = 0;
    const char *out = rml_net_between(e);
    const rml_shape planes = rml_net_planes(shape);
    rml_net_target_shape(e->old ? &planes : shape, sizes, &rank);
    rml_shape_count(shape, &count);
    rml_net_layer(e, e->old ? RML_NET_OLD_CONSTANT : RML_NET_CONSTANT, NULL, 0, &out, 1);
    rml_fields_ints(&e->m, 1, sizes, (size_t)rank);
    rml_net_vector(e, 2, numbers, count, whole);
    rml_net_end(e);
    return out;
}

// ---- fields -------------------------------------------------------------------------------------

void rml_net_int(rml_net_emitter *e, uint32_t field, int64_t value)
{
    if (value)
        rml_fields_int(&e->m, field, value);
}

void rml_net_float(rml_net_emitter *e, uint32_t field, float value)
{
    if (value != 0)
        rml_fields_float(&e->m, field, value);
}

void rml_net_choose(rml_net_emitter *e, uint32_t field)
{
    rml_fields_begin(&e->m, field);
    rml_fields_end(&e->m);
}

void rml_net_needs(rml_net_emitter *e, int spec)
{
    e->spec = spec > e->spec ? spec : e->spec;
}
