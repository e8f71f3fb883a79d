// run-model exec --steps: a network on the steps of a sequence.
#include "tools/exec/exec_parts.h"

#include "tools/arrays.h"

#include "pipelines/images/port_picture.h"

#include <stdlib.h>
#include <string.h>

// All steps of an input or output, in the network's type.
typedef struct sequence {
    const char *name, *file;
    size_t port, bytes; // of one step
    rml_shape shape;    // of one step
    rml_dtype dtype;
    char *data;
} sequence;

typedef struct sequences {
    sequence *in, *out;
    int in_count, out_count;
    int64_t steps;
} sequences;

rml_shape exec_steps_shape(const rml_shape *step, int64_t steps)
{
    rml_shape all = {.rank = step->rank + 1, .dim = {steps}};
    memcpy(all.dim + 1, step->dim, (size_t)step->rank * sizeof *step->dim);
    return all;
}

static rml_status allocate(sequence *at, int64_t steps, rml_error *err)
{
    size_t count;
    const rml_shape all = exec_steps_shape(&at->shape, steps);
    if (at->shape.rank >= RML_MAX_RANK || !count_elements(&all, &count))
        return rml_fail(err, RML_ERR_LIMIT, "%s: %lld steps are too large", at->name,
                        (long long)steps);
    at->bytes = count / (size_t)steps * rml_dtype_size(at->dtype);
    at->data = malloc(count * rml_dtype_size(at->dtype) + 1);
    return at->data ? RML_OK : no_memory(err, count * rml_dtype_size(at->dtype), at->name);
}

static rml_status read_input(network *n, sequence *at, int64_t *steps, rml_error *err)
{
    rml_npy *array = NULL;
    TRY(rml_npy_open(&array, at->file, NULL, err));
    rml_shape whole = rml_npy_shape(array), step = {.rank = whole.rank - 1};
    rml_status status = RML_OK;
    if (whole.rank < 1 || whole.dim[0] < 1 || (*steps && whole.dim[0] != *steps))
        status = rml_fail(err, RML_ERR_ARG, "%s: %lld steps in its first dimension, expected %lld",
                          at->file, whole.rank < 1 ? 0LL : (long long)whole.dim[0],
                          *steps ? (long long)*steps : 1LL);
    if (status == RML_OK) {
        *steps = whole.dim[0];
        memcpy(step.dim, whole.dim + 1, (size_t)step.rank * sizeof *step.dim);
        at->shape = array_shape_of(&step, n->model, at->port);
        at->dtype = rml_model_input(n->model, at->port).dtype;
        status = rml_session_resize_at(n->session, at->port, at->shape, err);
    }
    if (status == RML_OK)
        status = allocate(at, *steps, err);
    if (status == RML_OK)
        status = named(rml_npy_read(array, at->dtype, at->data, at->bytes * (size_t)*steps, err),
                       err, at->file);
    rml_npy_close(&array);
    return status;
}

static rml_status keep_output(network *n, sequence *at, int64_t step, int64_t steps, rml_error *err)
{
    rml_shape shape;
    const void *data = rml_session_output_at(n->session, at->port, &shape);
    if (!data)
        return rml_fail(err, RML_ERR_INTERNAL, "output %s was not made", at->name);
    if (step == 0) {
        at->shape = shape;
        at->dtype = rml_model_output(n->model, at->port).dtype;
        TRY(allocate(at, steps, err));
    } else if (shape.rank != at->shape.rank ||
               memcmp(shape.dim, at->shape.dim, (size_t)shape.rank * sizeof *shape.dim) != 0) {
        return rml_fail(err, RML_ERR_SHAPE, "output %s has another shape in step %lld than before",
                        at->name, (long long)step);
    }
    memcpy(at->data + (size_t)step * at->bytes, data, at->bytes);
    return RML_OK;
}

static rml_status run_step(exec_settings *s, sequences *all, int64_t step, rml_error *err)
{
    network *n = &s->network;
    exec_fill_missing(s);
    for (int i = 0; i < all->in_count; i++)
        memcpy(rml_session_input_at(n->session, all->in[i].port, NULL),
               all->in[i].data + (size_t)step * all->in[i].bytes, all->in[i].bytes);
    TRY(rml_session_run(n->session, err));
    for (int i = 0; i < all->out_count; i++)
        TRY(keep_output(n, &all->out[i], step, all->steps, err));
    return RML_OK;
}

static rml_status run_all(exec_settings *s, sequences *all, rml_error *err)
{
    network *n = &s->network;
    for (int i = 0; i < all->in_count; i++)
        TRY(read_input(n, &all->in[i], &all->steps, err));
    if (all->steps == 0)
        return rml_fail(err, RML_ERR_ARG, "without an input there are no steps");
    TRY(rml_session_prepare(n->session, err));
    for (int64_t step = 0; step < all->steps; step++)
        TRY(run_step(s, all, step, err));
    return RML_OK;
}

static rml_status write_all(const sequences *all, rml_error *err)
{
    for (int i = 0; i < all->out_count; i++) {
        const sequence *at = &all->out[i];
        const rml_shape shape = exec_steps_shape(&at->shape, all->steps);
        TRY(rml_npy_write(at->file, at->dtype, at->data, &shape, err));
    }
    return RML_OK;
}

rml_status exec_steps(exec_settings *s, rml_error *err)
{
    network *n = &s->network;
    const option_list *inputs = &s->inputs, *outputs = &s->outputs;
    for (int i = 0; i < outputs->count; i++)
        if (rml_names_picture(outputs->items[i].value))
            return rml_fail(err, RML_ERR_ARG,
                            "output %s of all steps is an array (.npy), and no picture: %s",
                            outputs->items[i].name, outputs->items[i].value);
    sequences all = {.in_count = inputs->count, .out_count = outputs->count};
    const size_t count = (size_t)(all.in_count + all.out_count);
    sequence *list = calloc(count + 1, sizeof *list);
    if (!list)
        return no_memory(err, count * sizeof *list, "the steps");
    all.in = list;
    all.out = list + all.in_count;
    for (int i = 0; i < all.in_count; i++)
        all.in[i] = (sequence){.name = inputs->items[i].name,
                               .file = inputs->items[i].value,
                               .port = rml_model_find_input(n->model, inputs->items[i].name)};
    for (int i = 0; i < all.out_count; i++)
        all.out[i] = (sequence){.name = outputs->items[i].name,
                                .file = outputs->items[i].value,
                                .port = rml_model_find_output(n->model, outputs->items[i].name)};
    rml_status status = named(run_all(s, &all, err), err, s->model);
    if (status == RML_OK)
        status = write_all(&all, err);
    s->step_count = all.steps;
    for (size_t i = 0; i < count; i++)
        free(list[i].data);
    free(list);
    return status;
}
