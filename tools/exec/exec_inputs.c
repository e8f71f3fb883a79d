// Inputs of run-model exec: arrays, pictures, numbers.
#include "tools/arrays.h"
#include "tools/exec/exec_parts.h"

#include "pipelines/images/port_picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// An array, a picture, or numbers.
typedef struct feed {
    const char *name, *path;
    size_t index; // of the input
    rml_npy *array;
    rml_picture picture;
    rml_meaning meaning; // of the picture
    double *numbers;     // of the command line
    size_t count;
} feed;

rml_meaning exec_image_meaning(const exec_settings *s, const rml_meaning *told,
                               const rml_shape *shape)
{
    const int planes = rml_port_planes(shape);
    if (told && told->kind == RML_MEANS_IMAGE)
        return *told;
    return s->has_values && planes ? rml_values_meaning(planes, s->mean, s->deviation)
                                   : (rml_meaning){0};
}

static bool file_exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

// The picture, scaled to the sizes that `wanted` fixes where that is asked for, and its shape.
static rml_status load_picture(const exec_settings *s, feed *f, const rml_shape *wanted,
                               rml_shape *shape, rml_error *err)
{
    TRY(rml_port_picture_load(&f->picture, f->path, f->name, wanted, &f->meaning, s->resize,
                              rml_allocator_default(), err));
    *shape = *wanted;
    for (int i = 0; i < shape->rank - 3; i++)
        shape->dim[i] = 1;
    shape->dim[shape->rank - 2] = f->picture.height;
    shape->dim[shape->rank - 1] = f->picture.width;
    return RML_OK;
}

static rml_status open_picture(const exec_settings *s, feed *f, rml_shape *shape, rml_error *err)
{
    const rml_port port = rml_model_input(s->network.model, f->index);
    f->meaning = exec_image_meaning(s, port.meaning, &port.shape);
    if (!f->meaning.kind && !rml_port_planes(&port.shape))
        return rml_fail(err, RML_ERR_SHAPE,
                        "%s is a picture, and input %s is no image: give an array (.npy)", f->path,
                        f->name);
    if (!f->meaning.kind)
        return rml_fail(err, RML_ERR_ARG,
                        "%s is a picture, and nothing says what its levels are in input %s: say it "
                        "with --values, or give an array (.npy)",
                        f->path, f->name);
    TRY(load_picture(s, f, &port.shape, shape, err));
    if (!s->resize || !port.limits ||
        rml_session_resize_at(s->network.session, f->index, *shape, NULL) == RML_OK)
        return RML_OK;
    rml_picture_release(&f->picture); // of a size that is not allowed: the usual one, then
    return load_picture(s, f, &port.limits->usual, shape, err);
}

// "0.1" or "1,2,3": how many numbers, to out[] where that is given; 0 where the text is none.
static size_t parse_numbers(const char *text, double *out)
{
    for (size_t count = 0;; text++) {
        char *end;
        const double number = strtod(text, &end);
        if (end == text)
            return 0;
        if (out)
            out[count] = number;
        count++;
        text = end;
        if (*text != ',')
            return *text ? 0 : count;
    }
}

// The input's shape, where sizes that may change are 1, or the only one of them what the numbers
// make it.
static rml_status open_numbers(const exec_settings *s, feed *f, rml_shape *shape, rml_error *err)
{
    int free_sizes = 0, at = 0;
    bool is_empty = false;
    size_t fixed = 1;
    *shape = rml_model_input(s->network.model, f->index).shape;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 0)
            at = free_sizes++ ? at : i;
        else if (shape->dim[i] == 0)
            is_empty = true;
        else if (fixed <= SIZE_MAX / (size_t)shape->dim[i])
            fixed *= (size_t)shape->dim[i];
    }
    const bool fills = f->count == 1 && !free_sizes; // as bench has it
    if (fills)
        f->count = fixed;
    if (shape->rank < 0 || is_empty || free_sizes > 1 ||
        (free_sizes ? f->count % fixed : f->count != fixed))
        return rml_fail(err, RML_ERR_SHAPE,
                        "%zu numbers do not fill input %s, whose sizes run-model info tells; give "
                        "an array (.npy)",
                        f->count, f->name);
    if (free_sizes)
        shape->dim[at] = (int64_t)(f->count / fixed);
    f->numbers = calloc(f->count, sizeof *f->numbers);
    if (!f->numbers)
        return no_memory(err, f->count * sizeof *f->numbers, "the numbers");
    parse_numbers(f->path, f->numbers);
    for (size_t i = 1; i < f->count && fills; i++)
        f->numbers[i] = f->numbers[0];
    return RML_OK;
}

static rml_status open_feed(const exec_settings *s, feed *f, rml_error *err)
{
    const network *n = &s->network;
    rml_shape shape;
    bool is_picture = false;
    if (!file_exists(f->path))
        f->count = parse_numbers(f->path, NULL);
    if (!f->count)
        TRY(rml_is_picture(f->path, &is_picture, err));
    if (f->count) {
        TRY(open_numbers(s, f, &shape, err));
    } else if (is_picture) {
        TRY(open_picture(s, f, &shape, err));
    } else {
        TRY(rml_npy_open(&f->array, f->path, NULL, err));
        shape = array_shape(f->array, n->model, f->index);
    }
    return named(rml_session_resize_at(n->session, f->index, shape, err), err, s->model);
}

static rml_status read_picture(const exec_settings *s, const feed *f, rml_error *err)
{
    const rml_dtype dtype = rml_model_input(s->network.model, f->index).dtype;
    const size_t count =
        (size_t)f->picture.width * (size_t)f->picture.height * (size_t)f->picture.channels;
    void *to = rml_session_input_at(s->network.session, f->index, NULL);
    float *planes = dtype == RML_F32 ? to : calloc(count, sizeof *planes);
    if (!planes)
        return no_memory(err, count * sizeof *planes, "a picture");
    rml_port_picture_planes(&f->picture, &f->meaning, planes);
    if (planes != to) {
        rml_dtype_convert(RML_F32, planes, dtype, to, count);
        free(planes);
    }
    return RML_OK;
}

static rml_status read_numbers(const exec_settings *s, const feed *f, rml_error *err)
{
    const rml_port port = rml_model_input(s->network.model, f->index);
    char *to = rml_session_input_at(s->network.session, f->index, NULL);
    for (size_t i = 0; i < f->count; i++)
        TRY(array_number(f->numbers[i], &port, to + i * rml_dtype_size(port.dtype), err));
    return RML_OK;
}

static rml_status read_feed(const exec_settings *s, const feed *f, rml_error *err)
{
    const network *n = &s->network;
    if (f->array)
        return array_read(f->array, f->path, n->session, n->model, f->index, err);
    return f->numbers ? read_numbers(s, f, err) : read_picture(s, f, err);
}

void exec_fill_missing(const exec_settings *s)
{
    const network *n = &s->network;
    for (size_t i = 0; i < rml_model_input_count(n->model); i++) {
        const rml_port port = rml_model_input(n->model, i);
        const size_t bytes = rml_dtype_size(port.dtype);
        rml_shape shape;
        size_t count;
        double one[1];
        if (option_list_find(&s->inputs, port.name))
            continue;
        char *data = rml_session_input_at(n->session, i, &shape);
        count_elements(&shape, &count);
        rml_dtype_convert(RML_F64, &port.limits->fill, port.dtype, one, 1);
        for (size_t k = 0; k < count; k++)
            memcpy(data + k * bytes, one, bytes);
    }
}

// Sizes first: they are planned together, and then there is room to read into.
rml_status exec_read_inputs(const exec_settings *s, rml_error *err)
{
    const network *n = &s->network;
    const size_t count = (size_t)s->inputs.count;
    feed *feeds = calloc(count + 1, sizeof *feeds);
    if (!feeds)
        return no_memory(err, count * sizeof *feeds, "the inputs");
    rml_status status = RML_OK;
    for (size_t i = 0; i < count && status == RML_OK; i++) {
        feeds[i].name = s->inputs.items[i].name;
        feeds[i].path = s->inputs.items[i].value;
        feeds[i].index = rml_model_find_input(n->model, feeds[i].name);
        status = open_feed(s, &feeds[i], err);
    }
    if (status == RML_OK)
        status = named(rml_session_prepare(n->session, err), err, s->model);
    if (status == RML_OK)
        exec_fill_missing(s);
    for (size_t i = 0; i < count; i++) {
        feed *f = &feeds[i];
        if (status == RML_OK)
            status = read_feed(s, f, err);
        rml_npy_close(&f->array);
        rml_picture_release(&f->picture);
        free(f->numbers);
    }
    free(feeds);
    return status;
}
