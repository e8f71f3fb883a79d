// An ONNX file with its tensors in a file of their own, and failures while one is written.
#include "engine/model.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "writers/elements.h"
#include "writers/onnx/write.h"

#include <stdio.h>
#include <string.h>

#define FILE_NAME "test_onnx_writer.onnx"
#define DATA_NAME FILE_NAME ".data"
#define PAGE 4096

static bool is_there(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

static rml_model *create(const rml_weights *weights, const rml_allocator *allocator)
{
    rml_error err = {0};
    rml_model *model = NULL;
    rml_model_settings settings = rml_model_settings_default();
    settings.allocator = allocator;
    settings.as_written = true;
    CHECK_MSG(rml_model_create(&model, "lstm", weights, &settings, &err) == RML_OK, "%s",
              err.message);
    return model;
}

// Tensors of 1024 bytes or more in the file of data where all have more than `most_bytes`.
static rml_status write(const rml_model *model, uint64_t most_bytes, rml_error *err)
{
    rml_writing w = {.model = model, .path = FILE_NAME, .allocator = model->allocator};
    w.settings = rml_write_settings_default();
    rml_graph_init(&w.graph, w.allocator);
    const rml_status status = rml_write_onnx_beyond(&w, most_bytes, err);
    rml_graph_release(&w.graph);
    return status;
}

static void run(rml_model *model, float out[3])
{
    rml_error err = {0};
    rml_session *session = NULL;
    const float x[6] = {3, 1, 4, 1, 5, 9};
    rml_shape shape = {3, {1, 6, 1}};
    CHECK(rml_session_create(&session, model, NULL, &err) == RML_OK);
    CHECK(rml_session_resize(session, "seq_input", shape, &err) == RML_OK);
    CHECK(rml_session_prepare(session, &err) == RML_OK);
    memcpy(rml_session_input(session, "seq_input", NULL), x, sizeof x);
    CHECK(rml_session_run(session, &err) == RML_OK);
    memcpy(out, rml_session_output(session, "my_output", &shape), 3 * sizeof *out);
    rml_session_destroy(&session);
    rml_model_destroy(&model);
}

static void read_back(float out[3])
{
    rml_error err = {0};
    rml_model *model = NULL;
    CHECK_MSG(rml_model_open(&model, FILE_NAME, NULL, &err) == RML_OK, "%s", err.message);
    run(model, out);
}

static void test_data_beside(const rml_weights *weights)
{
    rml_error err = {0};
    rml_model *model = create(weights, NULL), *plain = NULL;
    float inside[3], outside[3], source[3];
    CHECK(rml_model_create(&plain, "lstm", weights, NULL, &err) == RML_OK);
    run(plain, source);
    CHECK(write(model, 1 << 20, &err) == RML_OK && !is_there(DATA_NAME));
    read_back(inside);
    CHECK_MSG(write(model, 1 << 10, &err) == RML_OK, "%s", err.message);
    CHECK(is_there(DATA_NAME));
    read_back(outside);
    FILE *data = fopen(DATA_NAME, "rb");
    CHECK(data && fseek(data, 0, SEEK_END) == 0);
    if (data) { // the weight of the states, and both biases on a page of their own
        CHECK_MSG(ftell(data) == 10 * PAGE + 400 * (long)sizeof(float), "%ld", ftell(data));
        fclose(data);
    }
    CHECK(memcmp(inside, outside, sizeof inside) == 0);
    CHECK(memcmp(inside, source, sizeof inside) == 0);
    remove(FILE_NAME);
    remove(DATA_NAME);
    rml_model_destroy(&model);
}

// Nothing is left, not even the data, where the model cannot be written.
static void test_no_half(const rml_weights *weights)
{
    rml_error err = {0};
    rml_model *model = create(weights, NULL);
    rml_writing w = {.model = model, .path = "no/such/folder/net.onnx"};
    w.allocator = model->allocator;
    w.settings = rml_write_settings_default();
    rml_graph_init(&w.graph, w.allocator);
    CHECK(rml_write_onnx_beyond(&w, 0, &err) == RML_ERR_IO);
    rml_graph_release(&w.graph);
    rml_model_destroy(&model);
}

// Every allocation fails once: a plain failure, and no file.
static void test_memory(const rml_weights *weights, uint64_t most_bytes)
{
    counting counter;
    const rml_allocator allocator = counting_allocator(&counter);
    rml_model *model = create(weights, &allocator);
    const size_t before = counter.live_bytes;
    for (size_t n = 1;; n++) {
        rml_error err = {0};
        counter.calls = 0;
        counter.fail_at = n;
        const rml_status status = write(model, most_bytes, &err);
        CHECK(counter.live_bytes == before);
        CHECK_MSG(status == RML_OK || status == RML_ERR_NOMEM, "%zu: %s", n, err.message);
        if (status == RML_OK)
            break;
        CHECK(*err.message && !is_there(FILE_NAME) && !is_there(DATA_NAME));
        if (n > 10000)
            break;
    }
    counter.fail_at = 0;
    rml_model_destroy(&model);
    remove(FILE_NAME);
    remove(DATA_NAME);
}

// Files have their tensors at any address; who takes elements may compute with them.
static void test_odd_address(void)
{
    static uint8_t bytes[4 * sizeof(float) + 1];
    const float numbers[4] = {1, -2, 3, -4};
    const rml_shape shape = {1, {4}};
    rml_error err = {0};
    for (size_t skip = 0; skip < 2; skip++) {
        rml_constant constant = {.scale = NULL};
        rml_elements elements;
        memcpy(bytes + skip, numbers, sizeof numbers);
        constant.stored = rml_stored_plain(bytes + skip, RML_F32, &shape);
        const rml_value value = {.kind = RML_VALUE_CONSTANT,
                                 .name = "odd",
                                 .dtype = RML_F32,
                                 .shape = shape,
                                 .constant = &constant};
        CHECK(rml_elements_take(&elements, &value, RML_F32, rml_allocator_default(), &err) ==
              RML_OK);
        CHECK((uintptr_t)elements.data % sizeof(float) == 0);
        CHECK(memcmp(elements.data, numbers, sizeof numbers) == 0);
        rml_elements_release(&elements);
    }
}

int main(void)
{
    rml_error err = {0};
    rml_weights *weights = NULL;
    CHECK(rml_weights_create_random(&weights, "lstm", 7, NULL, &err) == RML_OK);
    test_odd_address();
    test_data_beside(weights);
    test_no_half(weights);
    test_memory(weights, 1 << 20);
    test_memory(weights, 0);
    rml_weights_close(&weights);
    return check_result();
}
