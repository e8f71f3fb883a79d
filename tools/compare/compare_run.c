// Runs both sides of a comparison on the same inputs.
#include "pipelines/made_up.h"
#include "tools/compare/compare.h"
#include "tools/report.h"

#include <stdlib.h>
#include <string.h>

// An input of a wrong name would silently be made up.
static rml_status check_inputs(const compare_settings *s, const side *a, rml_error *err)
{
    for (int i = 0; i < s->inputs.count; i++)
        if (rml_model_find_input(a->model, s->inputs.items[i].name) == RML_NO_PORT)
            return rml_fail(err, RML_ERR_ARG, "--input %s=%s: %s has no input of this name",
                            s->inputs.items[i].name, s->inputs.items[i].value, a->path);
    return RML_OK;
}

static int64_t size_of(const rml_shape *shape, const rml_shape *like, int k)
{
    return shape->rank == like->rank ? shape->dim[k] : -1;
}

// Sizes that are free are those that the other side fixes, or what a file says they usually are, or
// assumed.
static rml_shape choose_sizes(const rml_port *port, const rml_port *other)
{
    rml_shape shape = port->shape;
    if (shape.rank < 0 && port->limits)
        shape = port->limits->usual;
    for (int k = 0; k < shape.rank; k++) {
        int64_t *size = &shape.dim[k];
        if (*size < 0)
            *size = size_of(&other->shape, &shape, k);
        if (*size < 0 && port->limits)
            *size = size_of(&port->limits->usual, &shape, k);
        if (*size < 0 && other->limits)
            *size = size_of(&other->limits->usual, &shape, k);
        if (*size < 0)
            *size = rml_open_size(k);
    }
    return shape;
}

// Levels of pixels, where both take them.
static bool are_images(const rml_port *a, const rml_port *b)
{
    return a->meaning && b->meaning && a->meaning->kind == RML_MEANS_IMAGE &&
           b->meaning->kind == RML_MEANS_IMAGE;
}

// The same numbers for both sides: from --input, from the stored tensors, or made up. `other` is
// what the other side takes.
static rml_status make_input(const compare_settings *s, const rml_port *port, const rml_port *other,
                             const side *stored, rml_layer *out, rml_error *err)
{
    const char *file = option_list_find(&s->inputs, port->name);
    const rml_layer *kept = stored ? rml_layers_find_name(&stored->layers, port->name) : NULL;
    rml_npy *npy = NULL;
    out->shape = choose_sizes(port, other);
    if (file) {
        TRY(rml_npy_open(&npy, file, NULL, err));
        out->shape = rml_npy_shape(npy);
    } else if (kept) {
        out->shape = kept->shape;
    }
    if (!count_elements(&out->shape, &out->count))
        return rml_fail(err, RML_ERR_ARG, "input %s: give --input %s=FILE.npy", port->name,
                        port->name);
    out->data = calloc(out->count + 1, sizeof *out->data);
    if (!out->data)
        return no_memory(err, out->count * sizeof *out->data, "an input");
    if (file) {
        const rml_status status =
            rml_npy_read(npy, RML_F32, out->data, out->count * sizeof *out->data, err);
        rml_npy_close(&npy);
        TRY(status);
    } else if (kept) {
        memcpy(out->data, kept->data, out->count * sizeof *out->data);
    } else {
        rml_make_up(out->data, out->count, port->dtype, are_images(port, other), &RML_MADE_UP);
    }
    return RML_OK;
}

// The input of `s` that is number `index` of `a`: the one of its name, or else at its place.
static size_t place_of(const side *s, const side *a, size_t index)
{
    const size_t found = rml_model_find_input(s->model, rml_model_input(a->model, index).name);
    return found == RML_NO_PORT ? index : found;
}

rml_status side_run(side *s, const side *a, const rml_layer *inputs, rml_error *err)
{
    const size_t count = rml_model_input_count(a->model);
    for (size_t i = 0; i < count; i++)
        TRY(rml_session_resize_at(s->session, place_of(s, a, i), inputs[i].shape, err));
    TRY(rml_session_prepare(s->session, err));
    for (size_t i = 0; i < count; i++) {
        const size_t at = place_of(s, a, i);
        void *data = rml_session_input_at(s->session, at, NULL);
        rml_dtype_convert(RML_F32, inputs[i].data, rml_model_input(s->model, at).dtype, data,
                          inputs[i].count);
    }
    TRY(rml_session_run(s->session, err));
    for (size_t i = 0; i < rml_model_output_count(s->model); i++) {
        const rml_port port = rml_model_output(s->model, i);
        rml_shape shape;
        const void *data = rml_session_output(s->session, port.name, &shape);
        if (data)
            rml_layers_keep(&s->layers, port.name, NULL, port.dtype, &shape, data);
    }
    return s->layers.out_of_memory ? no_memory(err, 0, "the values of a run") : RML_OK;
}

rml_status compare_run(const compare_settings *s, side *a, side *b, rml_layer *inputs,
                       rml_error *err)
{
    const size_t count = rml_model_input_count(a->model);
    const side *stored = b->model ? NULL : b;
    TRY(check_inputs(s, a, err));
    if (b->model && rml_model_input_count(b->model) != count)
        return rml_fail(err, RML_ERR_SHAPE, "%s has %zu inputs and %s %zu", a->path, count, b->path,
                        rml_model_input_count(b->model));
    for (size_t i = 0; i < count; i++) {
        const rml_port port = rml_model_input(a->model, i);
        const rml_port other = b->model ? rml_model_input(b->model, place_of(b, a, i)) : port;
        TRY(make_input(s, &port, &other, stored, &inputs[i], err));
    }
    TRY(side_run(a, a, inputs, err));
    return b->model ? side_run(b, a, inputs, err) : RML_OK;
}

rml_status compare_run_others(const compare_settings *s, side *a, side *b, rml_layer *inputs,
                              bool *made, rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(a->model); i++) {
        const rml_port port = rml_model_input(a->model, i);
        const rml_port other = rml_model_input(b->model, place_of(b, a, i));
        if (option_list_find(&s->inputs, port.name))
            continue;
        rml_make_up(inputs[i].data, inputs[i].count, port.dtype, are_images(&port, &other),
                    &RML_MADE_UP_OTHER);
        *made = true;
    }
    if (!*made)
        return RML_OK;
    rml_layers_release(&a->layers);
    rml_layers_release(&b->layers);
    TRY(side_run(a, a, inputs, err));
    return side_run(b, a, inputs, err);
}
