#define _POSIX_C_SOURCE 200809L
// .npy files: every element type and order, a written file read back, every truncation refused.
#include "loaders/formats/npy.h"

#include "tests/support/check.h"

#include <unistd.h>

static char path[] = "/tmp/test_npy_XXXXXX";
static rml_error err;

// Writes a file of version 1 with this header and these bytes after it.
static void write_file(const char *header, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    size_t length = strlen(header);
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    putc((int)(length & 255), file);
    putc((int)(length >> 8), file);
    fwrite(header, 1, length, file);
    fwrite(data, 1, bytes, file);
    fclose(file);
}

static void check_values(const char *header, const void *data, size_t bytes, const float *expected,
                         size_t count)
{
    write_file(header, data, bytes);
    rml_npy *npy;
    float values[16];
    rml_status status = rml_npy_open(&npy, path, NULL, &err);
    CHECK_MSG(status == RML_OK, "%s: %s", header, err.message);
    if (status != RML_OK)
        return;
    CHECK(npy->count == count);
    CHECK(rml_npy_read(npy, RML_F32, values, sizeof values, NULL) == RML_OK);
    for (size_t i = 0; i < count; i++)
        CHECK_MSG(values[i] == expected[i], "%s: element %zu is %g, not %g", header, i, values[i],
                  expected[i]);
    rml_npy_close(&npy);
}

static void test_types(void)
{
    static const float f4[6] = {0, 1, 2, -3, 4.5f, 1e30f};
    check_values("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", f4, sizeof f4, f4,
                 6);
    static const float transposed[6] = {0, 2, 4.5f, 1, -3, 1e30f};
    check_values("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", f4, sizeof f4,
                 transposed, 6);
    static const double f8[3] = {0.5, -1e10, 3};
    static const float f8_as_f4[3] = {0.5f, -1e10f, 3};
    check_values("{\"shape\": (3,), \"fortran_order\": False, \"descr\": \"<f8\"}", f8, sizeof f8,
                 f8_as_f4, 3);
    static const uint16_t f2[2] = {0x3C00, 0xC500}; // 1, -5
    static const float f2_as_f4[2] = {1, -5};
    check_values("{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", f2, sizeof f2,
                 f2_as_f4, 2);
    static const int64_t i8[2] = {-7, 1 << 20};
    static const float i8_as_f4[2] = {-7, 1 << 20};
    check_values("{'descr': '<i8', 'fortran_order': False, 'shape': (1, 2), }", i8, sizeof i8,
                 i8_as_f4, 2);
    static const uint8_t big[4] = {0x00, 0x02, 0xFF, 0xFE};
    static const float big_signed[2] = {2, -2}, big_unsigned[2] = {2, 65534};
    check_values("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", big, sizeof big,
                 big_signed, 2);
    check_values("{'descr': '>u2', 'fortran_order': False, 'shape': (2,), }", big, sizeof big,
                 big_unsigned, 2);
    static const uint8_t u1[3] = {0, 200, 1};
    static const float u1_as_f4[3] = {0, 200, 1};
    check_values("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", u1, 3, u1_as_f4, 3);
    check_values("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", f4 + 4, 4, f4 + 4, 1);
    check_values("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0, 3), }", f4, 0, f4, 0);
}

static void check_refused(const char *header, rml_status status, const char *word)
{
    static const float data[6] = {0};
    write_file(header, data, sizeof data);
    rml_npy *npy;
    CHECK_MSG(rml_npy_open(&npy, path, NULL, &err) == status, "%s: %s", header, err.message);
    CHECK_MSG(strstr(err.message, path) && strstr(err.message, word), "%s: %s", header,
              err.message);
    CHECK(!npy);
}

static void test_refused(void)
{
    check_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", RML_ERR_FORMAT,
                  "needs 28 bytes");
    check_refused("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", RML_ERR_UNSUPPORTED,
                  "<c8");
    check_refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
                  RML_ERR_UNSUPPORTED, "named fields");
    check_refused("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", RML_ERR_UNSUPPORTED,
                  "|O");
    check_refused("{'descr': '<f4', 'shape': (2,), }", RML_ERR_FORMAT, "damaged");
    check_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", RML_ERR_FORMAT,
                  "damaged");
    check_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
                  RML_ERR_LIMIT, "does not fit");
    check_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
                  RML_ERR_FORMAT, "damaged");
    check_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }",
                  RML_ERR_UNSUPPORTED, "9 dimensions; the limit is 8");
    check_refused("{", RML_ERR_FORMAT, "damaged");
    check_refused("", RML_ERR_FORMAT, "damaged");
}

static void test_written(void)
{
    static const float data[6] = {1, 2, 3, 4, 5, -6};
    rml_shape shape = {.rank = 3, .dim = {1, 2, 3}};
    CHECK(rml_npy_write(path, RML_F32, data, &shape, &err) == RML_OK);
    rml_npy *npy;
    CHECK(rml_npy_open(&npy, path, NULL, &err) == RML_OK);
    CHECK(npy->shape.rank == 3 && npy->shape.dim[1] == 2 && npy->shape.dim[2] == 3);
    CHECK((npy->data - npy->file.data) % 64 == 0);
    float back[6];
    CHECK(rml_npy_read(npy, RML_F32, back, sizeof back, NULL) == RML_OK);
    CHECK(memcmp(back, data, sizeof data) == 0);
    size_t size = npy->file.size;
    rml_npy_close(&npy);

    unsigned char bytes[1024];
    FILE *file = fopen(path, "rb");
    CHECK(size < sizeof bytes && fread(bytes, 1, size, file) == size);
    fclose(file);
    for (size_t cut = 0; cut < size; cut++) {
        file = fopen(path, "wb");
        fwrite(bytes, 1, cut, file);
        fclose(file);
        CHECK(rml_npy_open(&npy, path, NULL, &err) != RML_OK);
    }
    CHECK(rml_npy_write("/nonexistent/folder/x.npy", RML_F32, data, &shape, &err) == RML_ERR_IO);
}

int main(void)
{
    int file = mkstemp(path);
    if (file < 0)
        return 1;
    close(file);
    test_types();
    test_refused();
    test_written();
    remove(path);
    return check_result();
}
