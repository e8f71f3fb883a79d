// Core ML neural networks that are written: every allocation fails once, and nothing is left.
#include "runmodel.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <stdio.h>
#include <string.h>

#define FILE_NAME "test_nn_writer.mlmodel"

static bool exists(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

static void test_memory(rml_write_weights kind, int ios)
{
    const rml_shape shape = {3, {1, 6, 1}};
    const rml_write_port port = {.name = "seq_input", .as = "x", .shape = &shape};
    rml_error err = {0};
    rml_weights *weights = NULL;
    rml_model *model = NULL;
    counting counter;
    const rml_allocator allocator = counting_allocator(&counter);
    rml_model_settings settings = rml_model_settings_default();
    rml_write_settings write = rml_write_settings_default();
    settings.as_written = true;
    settings.allocator = &allocator;
    write.weights = kind;
    write.palette_bits = 4;
    write.ios = ios;
    write.ports = &port;
    write.port_count = 1;
    CHECK(rml_weights_create_random(&weights, "lstm", 3, NULL, &err) == RML_OK);
    CHECK(rml_model_create(&model, "lstm", weights, &settings, &err) == RML_OK);
    const size_t live = counter.live_bytes;
    for (size_t n = 1;; n++) {
        counter.fail_at = counter.calls + n;
        const rml_status status = rml_model_write(model, FILE_NAME, &write, &err);
        const bool done = counter.calls < counter.fail_at;
        CHECK_MSG(status == (done ? RML_OK : RML_ERR_NOMEM), "allocation %zu: %s", n, err.message);
        CHECK(counter.live_bytes == live);
        CHECK(exists(FILE_NAME) == done);
        if (done)
            break;
        CHECK(n < 2000);
    }
    remove(FILE_NAME);
    rml_model_destroy(&model);
    rml_weights_close(&weights);
}

int main(void)
{
    test_memory(RML_WRITE_F32, 13);
    test_memory(RML_WRITE_F16, 12);
    test_memory(RML_WRITE_INT8, 13);
    test_memory(RML_WRITE_PALETTE, 13);
    return check_result();
}
