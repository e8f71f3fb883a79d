// What the writer of protobuf messages writes is what the reader of them reads.
#include "loaders/formats/protobuf.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "writers/fields.h"

#include <stdio.h>
#include <string.h>

#define LONG 300 // bytes: a length of two bytes

static void fill(rml_fields *m, const uint8_t *large)
{
    const float numbers[] = {1.5f, -2.0f};
    rml_fields_int(m, 1, -1);
    rml_fields_begin(m, 2);
    rml_fields_text(m, 1, "name");
    rml_fields_begin(m, 900);
    rml_fields_borrow(m, 7, large, LONG);
    rml_fields_ints(m, 8, (const int64_t[]){0, 300, INT64_MIN}, 3);
    rml_fields_borrow(m, 9, large, 1);
    rml_fields_end(m);
    rml_fields_float(m, 3, 0.25f);
    rml_fields_end(m);
    rml_fields_floats(m, 4, numbers, 2);
    rml_fields_ints(m, 5, NULL, 0);
    rml_fields_double(m, 6, -1.0);
}

static size_t write_file(const rml_fields *m, const char *path, uint8_t *bytes, size_t capacity)
{
    rml_outfile file;
    rml_error err = {0};
    CHECK(rml_outfile_open(&file, path, rml_allocator_default(), &err) == RML_OK);
    CHECK(rml_outfile_finish(&file, rml_fields_write(m, &file, &err), &err) == RML_OK);
    FILE *back = fopen(path, "rb");
    CHECK(back != NULL);
    const size_t size = back ? fread(bytes, 1, capacity, back) : 0;
    if (back)
        fclose(back);
    remove(path);
    return size;
}

static rml_protobuf_field next(rml_protobuf *m, uint32_t number)
{
    rml_protobuf_field field = {0};
    rml_error err = {0};
    bool more = false;
    CHECK(rml_protobuf_next(m, &field, &more, &err) == RML_OK && more);
    CHECK_MSG(field.number == number, "field %u, not %u", field.number, number);
    return field;
}

static void test_read_back(void)
{
    uint8_t large[LONG], bytes[1024];
    rml_fields m;
    rml_error err = {0};
    for (size_t i = 0; i < LONG; i++)
        large[i] = (uint8_t)(i * 7);
    rml_fields_init(&m, rml_allocator_default());
    fill(&m, large);
    CHECK(m.status == RML_OK && m.depth == 0);
    const size_t size = write_file(&m, "test_fields.tmp", bytes, sizeof bytes);
    CHECK(size == rml_fields_size(&m));
    rml_protobuf all, inner, deep;
    rml_protobuf_begin(&all, bytes, size);
    CHECK(next(&all, 1).value == UINT64_MAX);
    rml_protobuf_field field = next(&all, 2);
    CHECK(rml_protobuf_enter(&all, &field, "a", &inner, &err) == RML_OK);
    field = next(&inner, 1);
    CHECK(field.bytes == 4 && memcmp(field.data, "name", 4) == 0);
    field = next(&inner, 900);
    CHECK(rml_protobuf_enter(&inner, &field, "b", &deep, &err) == RML_OK);
    field = next(&deep, 7);
    CHECK(field.bytes == LONG && memcmp(field.data, large, LONG) == 0);
    field = next(&deep, 8);
    CHECK(field.bytes == 1 + 2 + 10);
    field = next(&deep, 9);
    CHECK(field.bytes == 1 && field.data[0] == large[0]);
    CHECK(rml_protobuf_f32(next(&inner, 3).value) == 0.25f);
    CHECK(next(&all, 4).bytes == 8);
    CHECK(next(&all, 6).value == (uint64_t)0xBFF << 52);
    CHECK(all.at == all.end);
    rml_fields_release(&m);
}

// Every allocation fails once: the failure is kept and told.
static void test_memory(void)
{
    const uint8_t large[LONG] = {0};
    for (size_t n = 1;; n++) {
        counting counter;
        const rml_allocator allocator = counting_allocator(&counter);
        counter.fail_at = n;
        rml_fields m;
        rml_fields_init(&m, &allocator);
        fill(&m, large);
        const bool done = m.status == RML_OK;
        CHECK(done || m.status == RML_ERR_NOMEM);
        rml_fields_release(&m);
        CHECK(counter.live_bytes == 0);
        if (done)
            break;
        CHECK(n < 100);
    }
}

static void test_limits(void)
{
    rml_fields m;
    rml_outfile file = {0};
    rml_error err = {0};
    rml_fields_init(&m, rml_allocator_default());
    rml_fields_borrow(&m, 1, &m, (size_t)1 << 31);
    CHECK(rml_fields_write(&m, &file, &err) == RML_ERR_LIMIT);
    rml_fields_release(&m);
    rml_fields_init(&m, rml_allocator_default());
    for (int i = 0; i <= RML_FIELDS_MAX_DEPTH; i++)
        rml_fields_begin(&m, 1);
    CHECK(m.status == RML_ERR_LIMIT);
    rml_fields_release(&m);
}

int main(void)
{
    test_read_back();
    test_memory();
    test_limits();
    return check_result();
}
