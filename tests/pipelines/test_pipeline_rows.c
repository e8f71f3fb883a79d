// The reader of rows: damaged texts, limits, memory; what it makes of good ones, Python compares.
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/mutations.h"

#include "pipelines/sequence/number_rows.h"

static rml_error error;

static FILE *file_of(const void *data, size_t size)
{
    FILE *file = tmpfile();
    CHECK(file && fwrite(data, 1, size, file) == size);
    rewind(file);
    return file;
}

// Every row is finite numbers or a sentence with its line, and lines go up.
static void read_all(FILE *file, bool header)
{
    rml_number_rows *rows;
    const rml_number_row *row;
    int64_t last = 0;
    CHECK(rml_number_rows_create(&rows, file, header, rml_allocator_default(), &error) == RML_OK);
    while (rml_number_rows_next(rows, &row, &error) == RML_OK && row) {
        int wrong = 0;
        for (size_t i = 0; i < row->count; i++)
            wrong += !isfinite(row->values[i]);
        CHECK(wrong == 0 && row->line > last && *row->text);
        CHECK(row->status != RML_OK || row->count > 0);
        CHECK(row->status == RML_OK || strncmp(row->error.message, "line ", 5) == 0);
        last = row->line;
    }
    rml_number_rows_destroy(&rows);
}

static void test_damaged(void)
{
    static const char *const texts[] = {"a,b\n1,2,3\n\"4\",5;6 7\r\n\n8\t9\n", "1 2 3 4 5 6 7 8 9",
                                        "\xEF\xBB\xBF-1e-3,+.5,0x1p3\n,,\n\"\",\"\n"};
    for (long round = 0; round < mutations_wanted() / 4; round++) {
        blob b = {NULL, 0, 0};
        put(&b, texts[round % 3], strlen(texts[round % 3]));
        if (round > 2)
            mutate(&b);
        FILE *file = file_of(b.data, b.size);
        read_all(file, round % 2 == 0);
        fclose(file);
        blob_free(&b);
    }
}

static void test_long_line(void)
{
    rml_number_rows *rows;
    const rml_number_row *row;
    FILE *file = tmpfile();
    fputs("1\n", file);
    for (size_t i = 0; i <= RML_ROW_MAX_BYTES; i++)
        putc('7', file);
    rewind(file);
    CHECK(rml_number_rows_create(&rows, file, false, rml_allocator_default(), &error) == RML_OK);
    CHECK(rml_number_rows_next(rows, &row, &error) == RML_OK && row && row->values[0] == 1);
    CHECK(rml_number_rows_next(rows, &row, &error) == RML_ERR_LIMIT && !row);
    CHECK_MSG(strcmp(error.message, "line 2 is longer than 16777216 bytes") == 0, "%s",
              error.message);
    rml_number_rows_destroy(&rows);
    fclose(file);
}

static rml_status use(FILE *file, const rml_allocator *allocator)
{
    rml_number_rows *rows;
    const rml_number_row *row = NULL;
    rewind(file);
    rml_status status = rml_number_rows_create(&rows, file, true, allocator, &error);
    do {
        if (status == RML_OK)
            status = rml_number_rows_next(rows, &row, &error);
    } while (status == RML_OK && row);
    rml_number_rows_destroy(&rows);
    return status;
}

static void test_memory(void)
{
    static const char text[] = "one\n1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20\nx\n";
    FILE *file = file_of(text, sizeof text - 1);
    rml_status status = RML_ERR_NOMEM;
    size_t n = 1;
    for (; status != RML_OK; n++) {
        counting counter;
        const rml_allocator allocator = counting_allocator(&counter);
        counter.fail_at = n;
        status = use(file, &allocator);
        CHECK(status == RML_OK || status == RML_ERR_NOMEM);
        CHECK_MSG(counter.live_bytes == 0, "%zu bytes are left when call %zu fails",
                  counter.live_bytes, n);
    }
    CHECK_MSG(n > 6, "only %zu allocations", n - 2);
    fclose(file);
}

int main(void)
{
    test_damaged();
    test_long_line();
    test_memory();
    return check_result();
}
