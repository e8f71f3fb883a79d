// What the inputs of a measured network are: their shapes, and what stands in them.
#include "pipelines/made_up.h"
#include "tools/bench/bench_parts.h"

#include "tools/arrays.h"
#include "tools/report.h"

#include <stdlib.h>
#include <string.h>

// Free sizes behind the batch, in order, as the networks are used: what --shape does not say.
static const struct {
    const char *model, *input;
    int64_t size[2];
} usual[] = {
    {"s3fd", "image", {480, 640}},
    {"ffdnet", "image", {512, 512}},
    {"ffdnet-map", "image", {512, 512}},
    {"ffdnet-map", "sigma", {256, 256}},
    {"mobilenetv2", "image", {224, 224}},
    {"lstm", "seq_input", {6}},
    {"lstm-stream", "seq_input", {1}},
    {"unet", "sample", {96, 96}},
    {"unet", "encoder_hidden_states", {10}},
    {"unet-step0", "sample", {96, 96}},
    {"unet-step0", "encoder_hidden_states", {10}},
    {"vae-encoder", "sample", {512, 512}},
    {"vae-decoder", "latent_sample", {64, 64}},
    {"wav2vec2", "input_values", {160000}},
};

static void fill_sizes(const char *model, rml_port *port)
{
    const int64_t *size = NULL;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strcmp(usual[i].model, model) == 0 && strcmp(usual[i].input, port->name) == 0)
            size = usual[i].size;
    int known = 0;
    for (int k = 0; k < port->shape.rank; k++)
        if (port->shape.dim[k] < 0)
            port->shape.dim[k] =
                k > 0 && size && known < 2 && size[known] ? size[known++] : rml_open_size(k);
}

// What is said of an input that does not exist would silently measure something else.
static rml_status check_names(const bench_settings *s, const rml_model *model,
                              const option_list *list, const char *what, rml_error *err)
{
    for (int k = 0; k < list->count; k++)
        if (rml_model_find_input(model, list->items[k].name) == RML_NO_PORT)
            return rml_fail(err, RML_ERR_ARG, "--%s %s=%s: %s has no input of this name", what,
                            list->items[k].name, list->items[k].value, s->model);
    return RML_OK;
}

// The value of --input that stands for every element; false: it names a file.
static bool parse_value(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end;
}

static rml_status file_shape(const char *path, const rml_model *model, size_t index,
                             rml_shape *shape, rml_error *err)
{
    rml_npy *array;
    TRY(rml_npy_open(&array, path, NULL, err));
    *shape = array_shape(array, model, index);
    rml_npy_close(&array);
    return RML_OK;
}

rml_status bench_set_shapes(const bench_settings *s, rml_session *session, const rml_model *model,
                            int batch, rml_error *err)
{
    TRY(check_names(s, model, &s->shapes, "shape", err));
    TRY(check_names(s, model, &s->inputs, "input", err));
    bool batch_taken = !batch;
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        rml_port port = rml_model_input(model, i);
        const bool any_batch = port.shape.rank > 0 && port.shape.dim[0] < 0;
        const char *given = option_list_find(&s->shapes, port.name);
        const char *input = option_list_find(&s->inputs, port.name);
        double value;
        const bool file = input && !parse_value(input, &value);
        if (port.limits)
            port.shape = port.limits->usual;
        fill_sizes(s->model, &port);
        if (given)
            parse_shape(given, false, &port.shape);
        if (file && given)
            return rml_fail(err, RML_ERR_ARG, "--shape %s=%s: %s has a shape of its own", port.name,
                            given, input);
        if (file)
            TRY(file_shape(input, model, i, &port.shape, err));
        if (file && batch && any_batch && (port.shape.rank < 1 || port.shape.dim[0] != batch))
            return rml_fail(err, RML_ERR_ARG, "--batch %d: %s holds another number of items", batch,
                            input);
        if (batch && any_batch)
            port.shape.dim[0] = batch;
        batch_taken = batch_taken || any_batch ||
                      (i == 0 && port.shape.rank > 0 && port.shape.dim[0] == batch);
        if (port.shape.rank < 0)
            return rml_fail(
                err, RML_ERR_ARG,
                "%s does not tell how many dimensions input %s has: give --shape %s=...", s->model,
                port.name, port.name);
        TRY(rml_session_resize_at(session, i, port.shape, err));
    }
    if (batch_taken)
        return RML_OK;
    return rml_fail(err, RML_ERR_ARG, "--batch %d: no input of %s has a batch that may change",
                    batch, s->model);
}

static rml_status fill_file(const char *path, rml_session *session, const rml_model *model,
                            size_t index, rml_error *err)
{
    rml_npy *array;
    TRY(rml_npy_open(&array, path, NULL, err));
    const rml_status status = array_read(array, path, session, model, index, err);
    rml_npy_close(&array);
    return status;
}

static rml_status fill_value(double value, const rml_port *port, char *data, size_t count,
                             rml_error *err)
{
    const size_t bytes = rml_dtype_size(port->dtype);
    double one[1];
    TRY(array_number(value, port, one, err));
    for (size_t k = 0; k < count; k++)
        memcpy(data + k * bytes, one, bytes);
    return RML_OK;
}

rml_status bench_fill_inputs(const bench_settings *s, rml_session *session, const rml_model *model,
                             rml_error *err)
{
    for (size_t i = 0; i < rml_model_input_count(model); i++) {
        const rml_port port = rml_model_input(model, i);
        const char *given = option_list_find(&s->inputs, port.name);
        rml_shape shape;
        void *data = rml_session_input_at(session, i, &shape);
        double value;
        size_t count;
        count_elements(&shape, &count);
        memset(data, 0, count * rml_dtype_size(port.dtype));
        if (given && parse_value(given, &value))
            TRY(fill_value(value, &port, data, count, err));
        else if (given)
            TRY(fill_file(given, session, model, i, err));
        else if (port.dtype == RML_F32)
            fill_floats(data, count);
    }
    return RML_OK;
}
