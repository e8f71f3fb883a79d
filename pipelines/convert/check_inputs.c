// Numbers for the inputs of a network that was converted, in the form in which the file takes them.
#include "pipelines/convert/convert.h"

#include "engine/model.h"
#include "pipelines/made_up.h"
#include "tensor/alloc.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

const rml_write_port *rml_conversion_port(const rml_conversion *c, const char *name)
{
    for (size_t i = 0; i < c->write->port_count; i++)
        if (strcmp(c->write->ports[i].name, name) == 0)
            return &c->write->ports[i];
    return NULL;
}

static rml_check_input find(const rml_conversion *c, const char *name)
{
    for (size_t i = 0; i < c->input_count; i++)
        if (strcmp(c->inputs[i].name, name) == 0)
            return c->inputs[i];
    return (rml_check_input){.name = name, .low = 0, .high = 1};
}

const char *const *rml_size_names(const rml_model *model, const char *input)
{
    const rml_graph *graph = &model->graph;
    const size_t index = rml_graph_find_input(graph, input);
    return index == SIZE_MAX ? NULL : graph->values[graph->inputs[index]].dim_names;
}

// The size called `name` of an input that has numbers; -1: there is none.
static int64_t find_size(const rml_conversion *c, const rml_layers *inputs, const char *name)
{
    for (size_t i = 0; i < inputs->count; i++) {
        const rml_layer *input = &inputs->items[i];
        const char *const *names = input->data ? rml_size_names(c->as_written, input->name) : NULL;
        for (int k = 0; names && k < input->shape.rank; k++)
            if (names[k] && strcmp(names[k], name) == 0)
                return input->shape.dim[k];
    }
    return -1;
}

// A size for each dimension: the file's, or one that it usually has there or in the source, or that
// of another input of its name, or assumed.
static rml_shape choose_shape(const rml_conversion *c, const rml_layers *inputs,
                              const rml_port *input, const rml_write_port *port)
{
    const char *const *names = rml_size_names(c->as_written, input->name);
    rml_shape shape = port && port->shape ? *port->shape : input->shape;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] < 0 && port && port->usual)
            shape.dim[i] = port->usual->dim[i];
        if (shape.dim[i] < 0 && names && names[i])
            shape.dim[i] = find_size(c, inputs, names[i]);
        if (shape.dim[i] < 0 && input->limits && input->limits->usual.rank == shape.rank)
            shape.dim[i] = input->limits->usual.dim[i];
        if (shape.dim[i] < 0)
            shape.dim[i] = rml_open_size(i);
    }
    return shape;
}

static bool is_image(const rml_write_port *port)
{
    return port && port->colours != RML_COLOURS_NONE;
}

// Numbers that an input of halves has: a file that takes floats is to get the same.
static void round_to(rml_layer *input, rml_dtype dtype)
{
    uint16_t half;
    for (size_t i = 0; i < input->count && (dtype == RML_F16 || dtype == RML_BF16); i++) {
        rml_dtype_convert(RML_F32, &input->data[i], dtype, &half, 1);
        rml_dtype_convert(dtype, &half, RML_F32, &input->data[i], 1);
    }
}

// Dimensions of size 1 in front may be missing.
static bool fits(const rml_shape *given, const rml_shape *wanted)
{
    const int missing = wanted->rank - given->rank;
    bool fit = missing >= 0;
    for (int i = 0; i < wanted->rank && fit; i++)
        fit = rml_dims_agree(wanted->dim[i], i < missing ? 1 : given->dim[i - missing]);
    return fit;
}

static rml_status read_shape(const rml_npy *array, const rml_port *input,
                             const rml_write_port *port, rml_layer *out, rml_error *err)
{
    const rml_shape given = rml_npy_shape(array);
    const rml_shape wanted = port && port->shape ? *port->shape : input->shape;
    char have[RML_SHAPE_TEXT_BYTES], want[RML_SHAPE_TEXT_BYTES];
    if (wanted.rank < 0) {
        out->shape = given;
        return RML_OK;
    }
    if (!fits(&given, &wanted))
        return rml_fail(err, RML_ERR_SHAPE, "is %s, and the input %s is %s",
                        rml_shape_text(&given, have), input->name, rml_shape_text(&wanted, want));
    out->shape.rank = wanted.rank;
    for (int i = 0; i < wanted.rank; i++) {
        const int from = i - (wanted.rank - given.rank);
        out->shape.dim[i] = from < 0 ? 1 : given.dim[from];
    }
    return RML_OK;
}

static rml_status make_room(rml_layers *inputs, rml_layer *input, rml_error *err)
{
    if (!rml_shape_count(&input->shape, &input->count))
        return rml_fail(err, RML_ERR_ARG, "how many dimensions the input has is not told");
    RML_TRY(rml_make(inputs->allocator, &input->data, input->count + 1, sizeof *input->data,
                     "an input", err));
    return RML_OK;
}

// Whole numbers are tried as floats, which have them all up to 2^24.
static rml_status check_whole(const rml_npy *array, const rml_allocator *allocator,
                              const rml_layer *given, rml_error *err)
{
    int64_t *whole;
    RML_TRY(rml_make(allocator, &whole, given->count + 1, sizeof *whole, "an input", err));
    rml_status status = rml_npy_read(array, RML_I64, whole, given->count * sizeof *whole, err);
    for (size_t i = 0; i < given->count && status == RML_OK; i++)
        if ((double)given->data[i] != (double)whole[i])
            status = rml_fail(err, RML_ERR_UNSUPPORTED,
                              "%lld is no number of floats, in which files are tried",
                              (long long)whole[i]);
    rml_free(allocator, whole);
    return status;
}

static rml_status read_given(const char *path, const rml_port *port, const rml_write_port *wanted,
                             rml_layers *inputs, rml_layer *out, rml_error *err)
{
    rml_npy *array = NULL;
    RML_TRY(rml_npy_open(&array, path, inputs->allocator, err));
    rml_status status = read_shape(array, port, wanted, out, err);
    if (status == RML_OK)
        status = make_room(inputs, out, err);
    if (status == RML_OK)
        status = rml_npy_read(array, RML_F32, out->data, out->count * sizeof *out->data, err);
    if (status == RML_OK && !rml_dtype_is_float(port->dtype))
        status = check_whole(array, inputs->allocator, out, err);
    rml_npy_close(&array);
    return rml_named(status, err, path);
}

// The numbers that are given, with the name.
static rml_status begin_input(const rml_conversion *c, const rml_port *port, rml_layers *inputs,
                              rml_error *err)
{
    rml_layer *input = &inputs->items[inputs->count++];
    const char *path = find(c, port->name).path;
    *input = (rml_layer){0};
    input->name = rml_alloc_text(inputs->allocator, port->name);
    if (!input->name)
        return rml_fail_nomem(err, strlen(port->name), "a name");
    return path ? read_given(path, port, rml_conversion_port(c, port->name), inputs, input, err)
                : RML_OK;
}

static rml_status make_input(const rml_conversion *c, const rml_port *port, rml_layers *inputs,
                             rml_layer *input, rml_error *err)
{
    const rml_write_port *wanted = rml_conversion_port(c, port->name);
    const rml_check_input check = find(c, port->name);
    input->shape = choose_shape(c, inputs, port, wanted);
    RML_TRY(rml_named(make_room(inputs, input, err), err, port->name));
    rml_made_up how = RML_MADE_UP;
    how.low = check.low;
    how.high = check.high;
    rml_make_up(input->data, input->count, port->dtype, is_image(wanted), &how);
    return RML_OK;
}

rml_status rml_check_inputs_make(const rml_conversion *c, rml_layers *inputs, rml_error *err)
{
    const size_t count = rml_model_input_count(c->source);
    RML_TRY(rml_reserve(inputs->allocator, &inputs->items, &inputs->capacity, count + 1,
                        sizeof *inputs->items, "inputs", err));
    for (size_t i = 0; i < count; i++) {
        const rml_port port = rml_model_input(c->source, i);
        RML_TRY(begin_input(c, &port, inputs, err));
    }
    for (size_t i = 0; i < count; i++) {
        const rml_port port = rml_model_input(c->source, i);
        if (!inputs->items[i].data)
            RML_TRY(make_input(c, &port, inputs, &inputs->items[i], err));
        round_to(&inputs->items[i], port.dtype);
    }
    return RML_OK;
}

static rml_status copy_input(const rml_conversion *c, const rml_layer *from, const rml_port *port,
                             const rml_allocator *allocator, rml_layer *out, bool *made,
                             rml_error *err)
{
    const rml_write_port *wanted = rml_conversion_port(c, port->name);
    const rml_check_input check = find(c, port->name);
    rml_made_up how = RML_MADE_UP_OTHER;
    *out = (rml_layer){.shape = from->shape, .count = from->count};
    out->name = rml_alloc_text(allocator, from->name);
    if (!out->name)
        return rml_fail_nomem(err, strlen(from->name), "a name");
    RML_TRY(rml_make(allocator, &out->data, out->count + 1, sizeof *out->data, "an input", err));
    how.low = check.low == 0 ? -check.high : check.low;
    how.high = check.high;
    if (check.path)
        memcpy(out->data, from->data, out->count * sizeof *out->data);
    else
        rml_make_up(out->data, out->count, port->dtype, is_image(wanted), &how);
    round_to(out, port->dtype);
    *made = *made || !check.path;
    return RML_OK;
}

rml_status rml_check_inputs_other(const rml_conversion *c, const rml_layers *inputs,
                                  rml_layers *others, rml_error *err)
{
    bool made = false;
    RML_TRY(rml_reserve(others->allocator, &others->items, &others->capacity, inputs->count + 1,
                        sizeof *others->items, "inputs", err));
    for (size_t i = 0; i < inputs->count; i++) {
        const rml_port port = rml_model_input(c->source, i);
        RML_TRY(copy_input(c, &inputs->items[i], &port, others->allocator,
                           &others->items[others->count++], &made, err));
    }
    if (!made)
        rml_layers_release(others);
    return RML_OK;
}
