// Files that are no path: contents in memory and behind a read callback, weights and graphs. Every
// truncation, every read and every allocation that fails.
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/onnx_files.h"

#include "runmodel.h"

typedef struct storage {
    const blob *file;
    uint64_t next; // pieces come in order
    long calls, fail_at;
} storage;

static bool read_at(void *user, uint64_t offset, void *out, size_t bytes)
{
    storage *s = user;
    CHECK(offset == s->next && bytes > 0 && bytes <= 1 << 20 && offset + bytes <= s->file->size);
    s->next = offset + bytes;
    if (++s->calls == s->fail_at)
        return false;
    memcpy(out, s->file->data + offset, bytes);
    return true;
}

// Opened through memory, or a source, as weights or as a graph.
typedef struct way {
    const char *name;
    bool source, graph;
} way;

static const way ways[] = {{"weights in memory", false, false},
                           {"weights of a source", true, false},
                           {"a graph in memory", false, true},
                           {"a graph of a source", true, true}};

typedef struct opened {
    rml_weights *weights;
    rml_model *model;
} opened;

static void release(opened *o)
{
    rml_model_destroy(&o->model);
    rml_weights_close(&o->weights);
}

static rml_status open_way(const way *w, storage *s, size_t size, const rml_allocator *allocator,
                           opened *out, rml_error *err)
{
    const rml_source source = {size, read_at, s};
    rml_model_settings settings = rml_model_settings_default();
    settings.allocator = allocator;
    s->next = 0;
    s->calls = 0;
    *out = (opened){NULL, NULL};
    if (!w->graph)
        return w->source
                   ? rml_weights_open_source(&out->weights, &source, allocator, err)
                   : rml_weights_open_memory(&out->weights, s->file->data, size, allocator, err);
    return w->source ? rml_model_open_source(&out->model, &source, &settings, err)
                     : rml_model_open_memory(&out->model, s->file->data, size, &settings, err);
}

// y = mean of x over its pixels, (N,3): what the classifier of images may be.
static blob make_classifier(void)
{
    blob graph = {NULL, 0, 0}, file = {NULL, 0, 0};
    static const char *const names[] = {"image", "classLabelProbs"};
    pb_message(&graph, 1, onnx_node("GlobalAveragePool", "image", NULL, "mean"));
    pb_message(&graph, 1, onnx_node("Flatten", "mean", NULL, "classLabelProbs"));
    for (int k = 0; k < 2; k++) {
        static const int64_t dims[2][4] = {{0, 3, 0, 0}, {0, 3}};
        blob shape = {NULL, 0, 0}, tensor = {NULL, 0, 0}, type = {NULL, 0, 0}, info = {NULL, 0, 0};
        for (int i = 0; i < (k ? 2 : 4); i++) {
            blob dim = {NULL, 0, 0};
            if (dims[k][i])
                pb_int(&dim, 1, dims[k][i]);
            else
                pb_text(&dim, 2, i == 0 ? "N" : i == 2 ? "H" : "W");
            pb_message(&shape, 1, dim);
        }
        pb_int(&tensor, 1, 1); // f32
        pb_message(&tensor, 2, shape);
        pb_message(&type, 1, tensor);
        pb_text(&info, 1, names[k]);
        pb_message(&info, 2, type);
        pb_message(&graph, k ? 12 : 11, info);
    }
    pb_int(&file, 1, 8);
    pb_message(&file, 8, onnx_opset("", 17));
    pb_message(&file, 7, graph);
    return file;
}

static void check_opened(const opened *o)
{
    float a[6];
    if (o->weights) {
        CHECK(rml_weights_count(o->weights) == 5);
        for (size_t i = 0; i < rml_weights_count(o->weights); i++)
            if (strcmp(rml_weights_at(o->weights, i).name, "a.weight") == 0)
                CHECK(rml_weights_read_f32(o->weights, i, a, 6, NULL) == RML_OK && a[5] == 5);
        return;
    }
    rml_session *session;
    CHECK(rml_session_create(&session, o->model, NULL, NULL) == RML_OK);
    CHECK(rml_session_resize_at(session, 0, (rml_shape){4, {1, 3, 1, 2}}, NULL) == RML_OK);
    CHECK(rml_session_prepare(session, NULL) == RML_OK);
    for (int i = 0; i < 6; i++)
        ((float *)rml_session_input_at(session, 0, NULL))[i] = (float)i;
    CHECK(rml_session_run(session, NULL) == RML_OK);
    const float *y = rml_session_output_at(session, 0, NULL);
    CHECK(y[0] == 0.5f && y[1] == 2.5f && y[2] == 4.5f);
    rml_session_destroy(&session);
}

static void test_way(const way *w, const blob *file)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_error err = {0};
    opened o;
    storage s = {.file = file};
    CHECK_MSG(open_way(w, &s, file->size, &allocator, &o, &err) == RML_OK, "%s: %s", w->name,
              err.message);
    check_opened(&o);
    release(&o);
    const long calls = s.calls;
    CHECK((calls > 0) == w->source);
    // cut short, in a block of its own, so that a sanitizer sees what is read past it
    for (size_t size = 0; size < file->size; size++) {
        blob cut = {malloc(size ? size : 1), size, size};
        memcpy(cut.data, file->data, size);
        storage part = {.file = &cut};
        err.message[0] = 0;
        CHECK_MSG(open_way(w, &part, size, &allocator, &o, &err) != RML_OK && err.message[0],
                  "%s opens cut to %zu bytes", w->name, size);
        CHECK(!o.weights && !o.model && c.live_bytes == 0);
        free(cut.data);
    }
    for (s.fail_at = 1; s.fail_at <= calls; s.fail_at++) {
        CHECK(open_way(w, &s, file->size, &allocator, &o, &err) == RML_ERR_IO);
        CHECK_MSG(strstr(err.message, "cannot be read") && c.live_bytes == 0, "%s", err.message);
    }
    s.fail_at = 0;
    rml_status status = RML_ERR_NOMEM;
    for (c.fail_at = 1; status == RML_ERR_NOMEM && c.fail_at < 10000; c.fail_at++) {
        c.calls = 0;
        status = open_way(w, &s, file->size, &allocator, &o, &err);
        CHECK(status == RML_OK || (!o.weights && !o.model && c.live_bytes == 0));
    }
    CHECK_MSG(status == RML_OK && c.fail_at > 3, "%s: %s", w->name, err.message);
    c.fail_at = 0;
    release(&o);
    CHECK(c.live_bytes == 0);
}

// A graph file in memory takes the place of a built-in network, as one with a path does.
static void test_adopt(const blob *file)
{
    rml_error err = {0};
    opened o = {0};
    CHECK(rml_weights_open_memory(&o.weights, file->data, file->size, NULL, &err) == RML_OK);
    CHECK(strcmp(rml_weights_format(o.weights), "onnx") == 0);
    CHECK_MSG(rml_model_create(&o.model, "mobilenetv2", o.weights, NULL, &err) == RML_OK, "%s",
              err.message);
    CHECK(strcmp(rml_model_input(o.model, 0).name, "image") == 0);
    CHECK(rml_model_output(o.model, 0).shape.dim[1] == 3);
    rml_model_destroy(&o.model);
    CHECK(rml_model_create(&o.model, "s3fd", o.weights, NULL, &err) != RML_OK && !o.model);
    release(&o);
}

static void test_misuse(void)
{
    rml_error err = {0};
    opened o = {0};
    rml_source source = {UINT64_MAX, read_at, NULL};
    CHECK(rml_weights_open_source(&o.weights, NULL, NULL, &err) == RML_ERR_ARG);
    CHECK(rml_weights_open_source(&o.weights, &source, NULL, &err) == RML_ERR_LIMIT);
    source.read_at = NULL;
    CHECK(rml_model_open_source(&o.model, &source, NULL, &err) == RML_ERR_ARG);
    CHECK(rml_model_open_memory(&o.model, NULL, 0, NULL, &err) == RML_ERR_FORMAT &&
          strstr(err.message, "empty file"));
    CHECK(!o.weights && !o.model);
}

// More than a piece: a tensor of 2.5 MB.
static void test_pieces(void)
{
    enum { COUNT = 655360 };
    rml_error err = {0};
    opened o;
    char header[128];
    float *numbers = malloc(COUNT * sizeof *numbers);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = (float)i;
    snprintf(header, sizeof header,
             "{\"a\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", COUNT,
             COUNT * 4);
    blob file = make_safetensors_raw(header, numbers, COUNT * sizeof *numbers);
    storage s = {.file = &file};
    CHECK_MSG(open_way(&ways[1], &s, file.size, NULL, &o, &err) == RML_OK, "%s", err.message);
    CHECK(s.calls == 3 && s.next == file.size);
    memset(numbers, 0, COUNT * sizeof *numbers);
    CHECK(rml_weights_read_f32(o.weights, 0, numbers, COUNT, &err) == RML_OK);
    CHECK(numbers[0] == 0 && numbers[COUNT - 1] == COUNT - 1);
    release(&o);
    free(numbers);
    blob_free(&file);
}

int main(void)
{
    blob weights = make_safetensors(), graph = make_classifier();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        test_way(&ways[i], ways[i].graph ? &graph : &weights);
    test_adopt(&graph);
    test_misuse();
    test_pieces();
    blob_free(&weights);
    blob_free(&graph);
    return check_result();
}
