// Status, checked sizes, shapes, views, stored tensors, arena, allocation, file mapping.
#define _POSIX_C_SOURCE 200809L
#include "tensor/alloc.h"
#include "tensor/arena.h"
#include "tensor/dtype.h"
#include "tensor/mapfile.h"
#include "tensor/size.h"
#include "tensor/status.h"
#include "tensor/stored.h"
#include "ops/op.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <sys/stat.h>
#include <unistd.h>

static void test_status(void)
{
    rml_error err = {0};
    for (int i = RML_OK; i <= RML_ERR_INTERNAL; i++)
        for (int k = 0; k < i; k++)
            CHECK(strcmp(rml_status_name((rml_status)i), rml_status_name((rml_status)k)) != 0);
    CHECK(strcmp(rml_status_name((rml_status)99), "unknown status") == 0);
    CHECK(rml_fail(NULL, RML_ERR_IO, "%s", "x") == RML_ERR_IO);
    CHECK(rml_fail(&err, RML_ERR_SHAPE, "%s is %d", "w", 3) == RML_ERR_SHAPE);
    CHECK(err.status == RML_ERR_SHAPE && strcmp(err.message, "w is 3") == 0);
    rml_error_prefix(&err, "conv1");
    CHECK(err.status == RML_ERR_SHAPE && strcmp(err.message, "conv1: w is 3") == 0);
    rml_error_prefix(NULL, "conv1");
    rml_fail(&err, RML_ERR_FORMAT, "%s",
             "a\nb\x1B[31m \xC3\xA4\x7F"); // one line, whatever is named
    CHECK(strcmp(err.message, "a?b?[31m \xC3\xA4?") == 0);
    // cut at every phase of characters of two, three and four bytes: whole characters are left
    static const char *const letters[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t l = 0; l < 3; l++)
        for (size_t shift = 0; shift < 5; shift++) {
            char text[RML_MESSAGE_BYTES + 100];
            const size_t bytes = strlen(letters[l]);
            size_t at = shift;
            memset(text, 'a', shift);
            for (; at + bytes < sizeof text; at += bytes)
                memcpy(text + at, letters[l], bytes);
            text[at] = 0;
            rml_fail(&err, RML_ERR_IO, "%s", text);
            const size_t length = strlen(err.message);
            CHECK_MSG(length < RML_MESSAGE_BYTES && length + 5 > RML_MESSAGE_BYTES, "%zu", length);
            CHECK_MSG((length - shift) % bytes == 0, "cut inside a character of %zu bytes", bytes);
        }
    // a message that ends on a whole character at the limit stays whole
    char exact[RML_MESSAGE_BYTES];
    memset(exact, 'a', sizeof exact);
    memcpy(exact + sizeof exact - 3, "\xC3\xA4", 3);
    rml_fail(&err, RML_ERR_IO, "%s", exact);
    CHECK_MSG(strcmp(err.message, exact) == 0, "%zu of %zu bytes", strlen(err.message),
              strlen(exact));
}

static void test_size(void)
{
    static const size_t edge[] = {0,       1, 2, 63, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX - 1,
                                  SIZE_MAX};
    for (size_t i = 0; i < 8; i++)
        for (size_t k = 0; k < 8; k++) {
            const size_t a = edge[i], b = edge[k];
            const bool adds = a + b >= a, multiplies = a == 0 || a * b / a == b; // wraps around
            size_t out = 7;
            CHECK(rml_size_add(a, b, &out) == adds && out == (adds ? a + b : 7));
            out = 7;
            CHECK(rml_size_mul(a, b, &out) == multiplies && out == (multiplies ? a * b : 7));
            CHECK(rml_range_inside(a, b, 100) == (adds && a + b <= 100));
        }
    int64_t out;
    CHECK(rml_i64_mul(INT64_MAX, 1, &out) && out == INT64_MAX && rml_i64_mul(0, INT64_MAX, &out));
    CHECK(!rml_i64_mul(INT64_MAX / 2 + 1, 2, &out) && !rml_i64_mul(-1, 1, &out));
    CHECK(rml_round_up(0, 64) == 0 && rml_round_up(1, 64) == 64 && rml_round_up(64, 64) == 64);
}

static void test_shape(void)
{
    char text[RML_SHAPE_TEXT_BYTES];
    size_t count;
    rml_shape shape = {3, {2, -1, 5}};
    CHECK(strcmp(rml_shape_text(&shape, text), "(2,?,5)") == 0 && !rml_shape_known(&shape));
    CHECK(!rml_shape_count(&shape, &count));
    shape = (rml_shape){0};
    CHECK(strcmp(rml_shape_text(&shape, text), "()") == 0);
    CHECK(rml_shape_known(&shape) && rml_shape_count(&shape, &count) && count == 1);
    shape.rank = RML_MAX_RANK;
    for (int i = 0; i < RML_MAX_RANK; i++)
        shape.dim[i] = INT64_MAX;
    CHECK(strlen(rml_shape_text(&shape, text)) == 2 + 8 * 19 + 7);
    CHECK(!rml_shape_count(&shape, &count));
    shape = (rml_shape){2, {0, (int64_t)1 << 28}};
    CHECK(rml_shape_count(&shape, &count) && count == 0);
    shape = (rml_shape){3, {INT64_MAX, INT64_MAX, 0}}; // empty, and its strides do not fit
    CHECK(!rml_shape_count(&shape, &count));
    shape = (rml_shape){2, {(int64_t)1 << 31, (int64_t)1 << 30}}; // 2^61 * 8 does not fit
    CHECK(!rml_shape_count(&shape, &count));
    const rml_shape a = {2, {3, 4}}, b = {3, {3, 4, 1}}, c = {2, {3, 5}};
    CHECK(rml_shape_equal(&a, &a) && !rml_shape_equal(&a, &b) && !rml_shape_equal(&a, &c));
}

static void test_view(void)
{
    const rml_shape shape = {4, {2, 3, 4, 5}};
    rml_tensor plain = rml_tensor_make(NULL, &shape, RML_LAYOUT_PLAIN);
    rml_tensor last = rml_tensor_make(NULL, &shape, RML_LAYOUT_CHANNELS_LAST);
    CHECK(plain.stride[0] == 60 && plain.stride[1] == 20 && plain.stride[3] == 1);
    CHECK(last.stride[0] == 60 && last.stride[1] == 1 && last.stride[2] == 15 &&
          last.stride[3] == 3);
    CHECK(rml_tensor_is_plain(&plain) && !rml_tensor_is_plain(&last));
    CHECK(rml_tensor_count(&last) == 120);
    const rml_shape thin = {4, {2, 1, 4, 5}}, flat = {2, {3, 4}};
    last = rml_tensor_make(NULL, &thin, RML_LAYOUT_CHANNELS_LAST);
    CHECK(rml_tensor_is_plain(&last)); // one channel: both orders are the same
    last = rml_tensor_make(NULL, &flat, RML_LAYOUT_CHANNELS_LAST);
    CHECK(last.stride[0] == 4 && last.stride[1] == 1); // not an image
}

// Every slice along every axis of a strided tensor, against the definition.
static void check_stored(const rml_stored *stored, const char *what)
{
    const rml_shape *shape = &stored->shape;
    for (int axis = 0; axis < shape->rank; axis++)
        for (int64_t first = 0; first < shape->dim[axis]; first++)
            for (int64_t count = 0; first + count <= shape->dim[axis]; count++) {
                float got[512];
                size_t total = 1, wrong = 0;
                memset(got, 0x7F, sizeof got);
                for (int i = 0; i < shape->rank; i++)
                    total *= (size_t)(i == axis ? count : shape->dim[i]);
                rml_stored_read(stored, axis, first, count, got);
                for (size_t e = 0; e < total; e++) {
                    int64_t rest = (int64_t)e, offset = first * stored->stride[axis];
                    for (int i = shape->rank - 1; i >= 0; i--) {
                        const int64_t dim = i == axis ? count : shape->dim[i];
                        offset += rest % dim * stored->stride[i];
                        rest /= dim;
                    }
                    const size_t bytes = rml_dtype_size(stored->dtype);
                    const float want =
                        rml_dtype_load_f32(stored->dtype, stored->data + (size_t)offset * bytes);
                    wrong += memcmp(&got[e], &want, sizeof want) != 0;
                }
                unsigned behind;
                memcpy(&behind, &got[total], sizeof behind);
                CHECK_MSG(wrong == 0 && behind == 0x7F7F7F7F, "%s, axis %d, [%d, %d): %zu wrong",
                          what, axis, (int)first, (int)(first + count), wrong);
            }
}

#define PLAIN                                                                                      \
    {                                                                                              \
        RML_CODING_NONE, false, 0, 0                                                               \
    }

static void test_stored(void)
{
    unsigned char bytes[4096];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + i / 256);
    const rml_stored cases[] = {
        {RML_F32, {3, {2, 3, 4}}, {12, 4, 1}, bytes + 4, PLAIN},    // contiguous
        {RML_F16, {3, {2, 3, 4}}, {12, 4, 1}, bytes + 1, PLAIN},    // at an odd address
        {RML_F64, {2, {3, 4}}, {1, 3}, bytes + 3, PLAIN},           // transposed
        {RML_BF16, {3, {3, 2, 4}}, {20, 9, 2}, bytes, PLAIN},       // with gaps
        {RML_U8, {3, {3, 4, 2}}, {0, 2, 1}, bytes, PLAIN},          // expanded
        {RML_I16, {4, {2, 1, 3, 1}}, {7, 999, 2, 5}, bytes, PLAIN}, // strides of dimensions of 1
        {RML_I64, {1, {5}}, {0}, bytes + 8, PLAIN},                 // one number five times
        {RML_I32, {4, {2, 0, 3, 4}}, {12, 12, 4, 1}, bytes, PLAIN}, // nothing
        {RML_BOOL, {2, {4, 6}}, {6, 1}, bytes, PLAIN},
        {RML_I8, {8, {1, 2, 1, 2, 1, 2, 1, 2}}, {0, 8, 0, 4, 0, 2, 0, 1}, bytes, PLAIN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_stored(&cases[i], rml_dtype_name(cases[i].dtype));
    const float number = 3.5f;
    const rml_shape scalar = {0, PLAIN}, two = {2, {2, 3}};
    const rml_stored one = rml_stored_f32(&number, &scalar);
    float got = 0;
    rml_stored_read(&one, 0, 0, 1, &got);
    CHECK(got == 3.5f);
    got = 0;
    rml_stored_read_all(&one, &got);
    CHECK(got == 3.5f);
    const rml_stored plain = rml_stored_f32(&number, &two);
    CHECK(plain.stride[0] == 3 && plain.stride[1] == 1 && plain.dtype == RML_F32);
}

// 8-bit floats are checked against PyTorch, code by code, in test_loaders.py.
static void test_coded(void)
{
    static const uint8_t big[] = {0x40, 0x60, 0, 0, 0xC0, 0, 0, 0}; // 3.5 and -2
    static const int8_t codes[] = {-128, 127, 4, 0};
    const rml_shape two = {1, {2}}, four = {1, {4}};
    float got[4];
    rml_stored stored = rml_stored_plain(big, RML_F32, &two);
    stored.coding.swapped = true;
    rml_stored_read_all(&stored, got);
    CHECK(got[0] == 3.5f && got[1] == -2.0f);
    rml_stored_copy(&stored, got);
    CHECK(got[0] == 3.5f && got[1] == -2.0f);
    stored = rml_stored_plain(codes, RML_I8, &four);
    stored.coding = (rml_coding){RML_CODING_AFFINE, false, 0.25, 4};
    rml_stored_read(&stored, 0, 1, 2, got);
    CHECK(got[0] == 30.75f && got[1] == 0.0f);
    stored.shape.dim[0] = 1;
    double number = 0;
    CHECK(rml_constant_number(&(rml_constant){.stored = stored}, &number) && number == -33.0);
}

// An arena takes little more than what is asked of it: small devices have no more.
static void test_arena_bytes(void)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_arena arena;
    rml_arena_init(&arena, &allocator);
    CHECK(rml_arena_alloc(&arena, 10, 1) && count.live_bytes <= 1024);
    CHECK(rml_arena_alloc(&arena, 40000, 1) && count.live_bytes <= 1024 + 40000 + 64);
    // What is large has left the room of the first block to these.
    for (int i = 0; i < 50; i++)
        CHECK(rml_arena_alloc(&arena, 16, 1));
    CHECK(count.calls == 2);
    size_t asked = 41000;
    for (int i = 0; i < 1000; i++, asked += 208)
        CHECK(rml_arena_alloc(&arena, 208, 1));
    CHECK(count.live_bytes < asked + asked / 2 && count.calls < 40);
    rml_arena_release(&arena);
    CHECK(count.live_bytes == 0);
}

static void test_alloc_and_arena(void)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    CHECK(!rml_alloc(&allocator, 0) && !rml_alloc_zero(&allocator, SIZE_MAX / 2, 4));
    rml_free(&allocator, NULL);
    size_t capacity = 0;
    int *list = NULL;
    for (int i = 0; i < 1000; i++) {
        int *grown = rml_grow(&allocator, list, &capacity, (size_t)i + 1, sizeof *list);
        CHECK(grown && capacity >= (size_t)i + 1);
        list = grown;
        list[i] = i;
    }
    int wrong = 0;
    for (int i = 0; i < 1000; i++)
        wrong += list[i] != i;
    CHECK(wrong == 0 && count.calls < 12);
    const size_t before = capacity;
    count.fail_at = count.calls + 1;
    CHECK(!rml_grow(&allocator, list, &capacity, 5000, sizeof *list) && capacity == before);
    CHECK(!rml_grow(&allocator, list, &capacity, SIZE_MAX, sizeof *list) && list[999] == 999);
    rml_free(&allocator, list);
    CHECK(count.live_bytes == 0);

    rml_arena arena;
    rml_arena_init(&arena, &allocator);
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4000, 70000, 1, 65536, 1000000, 3};
    char *blocks[11];
    for (size_t i = 0; i < 11; i++) {
        blocks[i] = rml_arena_alloc(&arena, sizes[i], 1);
        CHECK(blocks[i] && (uintptr_t)blocks[i] % (sizes[i] < 64 ? 16 : 64) == 0);
        for (size_t k = 0; k < sizes[i]; k++)
            wrong += blocks[i][k] != 0;
        memset(blocks[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < 11; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            wrong += blocks[i][k] != (char)(i + 1);
    CHECK(wrong == 0);
    CHECK(strcmp(rml_arena_text(&arena, "name"), "name") == 0);
    CHECK(!rml_arena_alloc(&arena, SIZE_MAX, 2) && !rml_arena_alloc(&arena, SIZE_MAX - 8, 1));
    count.fail_at = count.calls + 1;
    CHECK(!rml_arena_alloc(&arena, 200000, 1));
    rml_arena_release(&arena);
    CHECK(count.live_bytes == 0);
    char *text = rml_alloc_text(rml_allocator_default(), "abc");
    CHECK(text && strcmp(text, "abc") == 0 && (uintptr_t)text % RML_ALIGNMENT == 0);
    rml_free(rml_allocator_default(), text);
}

static void test_mapfile(void)
{
    char folder[] = "/tmp/rml-mapfile-XXXXXX", path[64];
    rml_mapfile file;
    rml_error err = {0};
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/data", folder);
    CHECK(rml_mapfile_open(&file, path, &err) == RML_ERR_IO && strstr(err.message, path));
    CHECK(!file.data && file.size == 0);
    CHECK(rml_mapfile_open(&file, folder, &err) == RML_ERR_IO && strstr(err.message, "folder"));
    FILE *out = fopen(path, "wb");
    CHECK(out != NULL);
    fclose(out);
    CHECK(rml_mapfile_open(&file, path, &err) == RML_OK && !file.data && file.size == 0);
    rml_mapfile_drop_pages(&file);
    rml_mapfile_close(&file);
    out = fopen(path, "wb");
    for (int i = 0; i < 10001; i++)
        fputc(i & 0xFF, out);
    fclose(out);
    CHECK(rml_mapfile_open(&file, path, &err) == RML_OK && file.size == 10001);
    rml_mapfile_drop_pages(&file);
    int wrong = 0;
    for (size_t i = 0; i < file.size; i++)
        wrong += file.data[i] != (i & 0xFF);
    CHECK(wrong == 0);
    rml_mapfile_close(&file);
    CHECK(!file.data && file.size == 0);
    // a pipe must not make the program wait for a writer
    CHECK(remove(path) == 0 && mkfifo(path, 0600) == 0);
    CHECK(rml_mapfile_open(&file, path, &err) == RML_ERR_IO && strstr(err.message, "regular"));
    CHECK(remove(path) == 0 && rmdir(folder) == 0);
}

int main(void)
{
    test_status();
    test_size();
    test_shape();
    test_view();
    test_stored();
    test_coded();
    test_alloc_and_arena();
    test_arena_bytes();
    test_mapfile();
    return check_result();
}
