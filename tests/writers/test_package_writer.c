// Packages: the bytes of weight.bin, and writing one without memory.
#include "runmodel.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "writers/coreml/blob.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PACKAGE "test_package_writer.mlpackage"

static size_t read_file(const char *path, uint8_t *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    const size_t size = file ? fread(bytes, 1, capacity, file) : 0;
    if (file)
        fclose(file);
    return size;
}

static void test_blob(void)
{
    static const char name[] = "test_package_writer.bin";
    static const uint8_t wanted[] = {0xef, 0xbe, 0xad, 0xde, 2, 0, 0, 0,   0x30,
                                     0,    0,    0,    0,    0, 0, 0, 0x80};
    float data[12];
    uint8_t bytes[512];
    uint64_t offset = 0;
    rml_blobs blobs;
    rml_outfile file;
    rml_error err = {0};
    for (int i = 0; i < 12; i++)
        data[i] = (float)i;
    const rml_elements elements = {.data = data, .count = 12, .bytes = sizeof data};
    rml_blobs_init(&blobs, rml_allocator_default());
    CHECK(rml_blobs_add(&blobs, elements, RML_F32, &offset, &err) == RML_OK && offset == 64);
    CHECK(rml_blobs_add(&blobs, elements, RML_U8, &offset, &err) == RML_OK && offset == 192);
    CHECK(rml_outfile_open(&file, name, rml_allocator_default(), &err) == RML_OK);
    rml_blobs_write(&blobs, &file);
    CHECK(rml_outfile_finish(&file, RML_OK, &err) == RML_OK);
    rml_blobs_release(&blobs);
    CHECK(read_file(name, bytes, sizeof bytes) == 256 + sizeof data);
    CHECK(memcmp(bytes, (const uint8_t[8]){2, 0, 0, 0, 2}, 8) == 0);
    CHECK(memcmp(bytes + 64, wanted, sizeof wanted) == 0);
    CHECK(memcmp(bytes + 128, data, sizeof data) == 0);
    for (int i = 176; i < 192; i++)
        CHECK(bytes[i] == 0);
    CHECK(bytes[196] == 3);
    remove(name);
}

static void remove_package(void)
{
    remove(PACKAGE "/Data/com.apple.CoreML/weights/weight.bin");
    remove(PACKAGE "/Data/com.apple.CoreML/weights");
    remove(PACKAGE "/Data/com.apple.CoreML/model.mlmodel");
    remove(PACKAGE "/Data/com.apple.CoreML");
    remove(PACKAGE "/Data");
    remove(PACKAGE "/Manifest.json");
    remove(PACKAGE);
}

// Every allocation fails once: an error, and nothing is left.
static void test_no_memory(rml_write_weights kind, const char *file)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    const rml_shape shape = {3, {1, 6, 1}};
    const rml_write_port port = {.name = "seq_input", .shape = &shape};
    rml_model_settings settings = rml_model_settings_default();
    rml_write_settings wanted = rml_write_settings_default();
    rml_model *model = NULL;
    rml_error err = {0};
    struct stat at;
    settings.as_written = true;
    settings.allocator = &allocator;
    wanted.ios = file ? 0 : 16;
    wanted.weights = kind;
    wanted.palette_bits = 4;
    wanted.ports = &port;
    wanted.port_count = file ? 0 : 1;
    CHECK((file ? rml_model_open(&model, file, &settings, &err)
                : rml_model_create(&model, "lstm", NULL, &settings, &err)) == RML_OK);
    const size_t before = count.live_bytes;
    rml_status status = RML_ERR_NOMEM;
    size_t call = 1;
    for (; status != RML_OK && call < 10000; call++) {
        count.calls = 0;
        count.fail_at = call;
        status = rml_model_write(model, PACKAGE, &wanted, &err);
        CHECK_MSG(status == RML_OK || status == RML_ERR_NOMEM, "call %zu: %s", call, err.message);
        CHECK_MSG(count.live_bytes == before, "call %zu", call);
        CHECK((stat(PACKAGE, &at) == 0) == (status == RML_OK));
        CHECK(stat(PACKAGE ".part", &at) != 0);
    }
    CHECK(status == RML_OK && call > 20);
    // Over a package, of which nothing is left, and which stays until there is another.
    status = RML_ERR_NOMEM;
    for (size_t again = 1; status != RML_OK && again < 10000; again++) {
        CHECK(fclose(fopen(PACKAGE "/Data/former", "wb")) == 0);
        count.calls = 0;
        count.fail_at = again;
        status = rml_model_write(model, PACKAGE, &wanted, &err);
        CHECK_MSG(status == RML_OK || status == RML_ERR_NOMEM, "call %zu: %s", again, err.message);
        CHECK((stat(PACKAGE "/Data/former", &at) != 0) == (status == RML_OK));
        CHECK(stat(PACKAGE ".part", &at) != 0 && stat(PACKAGE ".old", &at) != 0);
    }
    // A run that was broken off had moved it, and this one fails: it is back.
    CHECK(mkdir(PACKAGE ".part", 0777) == 0 && rename(PACKAGE, PACKAGE ".part/old") == 0);
    count.calls = 0;
    count.fail_at = call / 2;
    CHECK(rml_model_write(model, PACKAGE, &wanted, &err) == RML_ERR_NOMEM);
    CHECK((stat(PACKAGE "/Manifest.json", &at) == 0) == (stat(PACKAGE ".part", &at) != 0));
    count.fail_at = 0;
    CHECK(rml_model_write(model, PACKAGE, &wanted, &err) == RML_OK);
    CHECK(stat(PACKAGE "/Manifest.json", &at) == 0 && stat(PACKAGE ".part", &at) != 0);
    rml_model_destroy(&model);
    remove_package();
}

int main(void)
{
    test_blob();
    test_no_memory(RML_WRITE_F32, NULL);
    test_no_memory(RML_WRITE_F32, "tests/fuzz/corpus/coreml/states.mlmodel");
    test_no_memory(RML_WRITE_F16, NULL);
    test_no_memory(RML_WRITE_PALETTE, NULL);
    return check_result();
}
