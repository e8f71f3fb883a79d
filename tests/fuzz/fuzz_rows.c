// Rows of numbers, from any bytes.
#define _POSIX_C_SOURCE 200809L
#include "tests/fuzz/fuzz.h"

#include "pipelines/sequence/number_rows.h"

#include <math.h>
#include <stdlib.h>

static void read_rows(FILE *file, bool header)
{
    rml_number_rows *rows;
    const rml_number_row *row;
    rml_error error;
    if (rml_number_rows_create(&rows, file, header, rml_allocator_default(), &error) != RML_OK)
        return;
    int64_t last = 0;
    while (rml_number_rows_next(rows, &row, &error) == RML_OK && row) {
        if (row->line <= last || (row->status == RML_OK) != (row->error.status == RML_OK) ||
            (row->status == RML_OK && row->count == 0))
            abort();
        for (size_t i = 0; i < row->count; i++)
            if (!isfinite(row->values[i]))
                abort();
        last = row->line;
    }
    rml_number_rows_destroy(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    if (!file)
        return 0;
    read_rows(file, true);
    rewind(file);
    read_rows(file, false);
    fclose(file);
    return 0;
}
