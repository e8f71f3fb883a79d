// Runs a built-in network on a frame as decoders give it, from weights in memory, on threads that
// two sessions share, and stops one of them:
//
//   run_frames MODEL WEIGHTS        run_frames wav2lip wav2lip.pth
//
// Prints what each output begins with, and how the second session ended.
#include "runmodel.h"

#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

enum { SIDE = 64, MOST_PORTS = 16 };

static const float scale = 1 / 255.0f;

// What one session works with: its frames and its outputs are the program's memory.
typedef struct stream {
    rml_session *session;
    void *memory[MOST_PORTS];
    size_t used;
} stream;

static size_t element_count(const rml_shape *shape)
{
    size_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        count *= (size_t)shape->dim[i];
    return count;
}

static void *own(stream *s, size_t bytes)
{
    void *memory = s->used < MOST_PORTS ? calloc(1, bytes + 1) : NULL;
    if (memory)
        s->memory[s->used++] = memory;
    return memory;
}

// An image port (N,C,H,W) reads bytes with the channels of a pixel together, as 0..1.
static rml_status bind_frame(stream *s, size_t input, const rml_shape *shape, rml_error *err)
{
    const int64_t channels = shape->dim[1], row = shape->dim[3] * channels;
    rml_tensor_view view = rml_tensor_view_default();
    view.bytes = element_count(shape);
    view.data = own(s, view.bytes);
    if (!view.data)
        return rml_fail(err, RML_ERR_NOMEM, "out of memory for a frame");
    for (size_t i = 0; i < view.bytes; i++)
        ((unsigned char *)view.data)[i] = (unsigned char)(i % 251);
    view.dtype = RML_U8;
    view.rank = 4;
    view.stride[0] = shape->dim[2] * row;
    view.stride[1] = 1;
    view.stride[2] = row;
    view.stride[3] = channels;
    view.channels = 1;
    view.scale = &scale;
    return rml_session_bind_input(s->session, input, &view, err);
}

static rml_status open_stream(stream *s, rml_model *model, rml_pool *pool, rml_error *err)
{
    rml_session_settings settings = rml_session_settings_default();
    rml_status status;
    settings.pool = pool;
    status = rml_session_create(&s->session, model, &settings, err);
    for (size_t i = 0; i < rml_model_input_count(model) && status == RML_OK; i++) {
        rml_shape shape = rml_model_input(model, i).shape;
        for (int k = 0; k < shape.rank; k++)
            if (shape.dim[k] < 0)
                shape.dim[k] = k == 0 ? 1 : SIDE;
        status = rml_session_resize_at(s->session, i, shape, err);
    }
    if (status == RML_OK)
        status = rml_session_prepare(s->session, err);
    for (size_t i = 0; i < rml_model_input_count(model) && status == RML_OK; i++) {
        rml_shape shape;
        float *data = rml_session_input_at(s->session, i, &shape);
        if (shape.rank == 4)
            status = bind_frame(s, i, &shape, err);
        else
            for (size_t k = 0; k < element_count(&shape); k++)
                data[k] = 0.5f;
    }
    for (size_t i = 0; i < rml_model_output_count(model) && status == RML_OK; i++) {
        const rml_port port = rml_model_output(model, i);
        rml_shape shape;
        rml_session_output_at(s->session, i, &shape);
        const size_t bytes = element_count(&shape) * rml_dtype_size(port.dtype);
        status = rml_session_bind(s->session, port.name, own(s, bytes), bytes, err);
    }
    return status;
}

static void close_stream(stream *s)
{
    rml_session_destroy(&s->session);
    while (s->used)
        free(s->memory[--s->used]);
}

// Runs until it is told to stop.
static int run_on(void *argument)
{
    rml_status status;
    do
        status = rml_session_run(((stream *)argument)->session, NULL);
    while (status == RML_OK);
    return status;
}

static rml_status run(rml_model *model, stream *first, stream *second, rml_error *err)
{
    thrd_t thread;
    int stopped;
    if (thrd_create(&thread, run_on, second) != thrd_success)
        return rml_fail(err, RML_ERR_NOMEM, "no thread");
    rml_status status = rml_session_run(first->session, err); // the two take turns on the pool
    rml_session_cancel(second->session, true);
    thrd_join(thread, &stopped);
    for (size_t i = 0; i < rml_model_output_count(model) && status == RML_OK; i++)
        printf("%s: %.6f\n", rml_model_output(model, i).name,
               (double)*(const float *)rml_session_output_at(first->session, i, NULL));
    printf("the other session: %s\n", rml_status_name((rml_status)stopped));
    return status;
}

static void *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    void *data = NULL;
    long bytes = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    if (bytes > 0 && fseek(file, 0, SEEK_SET) == 0 && (data = malloc((size_t)bytes)) != NULL)
        *size = fread(data, 1, (size_t)bytes, file);
    if (file)
        fclose(file);
    return data;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: run_frames MODEL WEIGHTS\n");
        return 2;
    }
    static rml_error err;
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    rml_pool *pool = NULL;
    stream first = {0}, second = {0};
    size_t size = 0;
    void *file = read_file(argv[2], &size);
    rml_status status = rml_weights_open_memory(&weights, file, size, NULL, &err);
    if (status == RML_OK)
        status = rml_model_create(&model, argv[1], weights, NULL, &err);
    if (status == RML_OK)
        status = rml_pool_create(&pool, 0, NULL, &err);
    if (status == RML_OK)
        status = open_stream(&first, model, pool, &err);
    if (status == RML_OK)
        status = open_stream(&second, model, pool, &err);
    if (status == RML_OK)
        status = run(model, &first, &second, &err);
    if (status != RML_OK)
        fprintf(stderr, "run_frames: %s\n", err.message);
    close_stream(&second);
    close_stream(&first);
    rml_pool_destroy(&pool);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
    free(file);
    return status == RML_OK ? 0 : 1;
}
