// Rows of numbers from a text: CSV and its relatives, a row at a time.
//
// Between numbers stand commas, semicolons, tabs or blanks; a number may stand in double quotes.
// Empty lines are passed over. A first line without any number is a header.
#ifndef RML_PIPELINES_SEQUENCE_NUMBER_ROWS_H
#define RML_PIPELINES_SEQUENCE_NUMBER_ROWS_H

#include "runmodel.h"

#include <stdio.h>

#define RML_ROW_MAX_BYTES ((size_t)16 << 20) // of one line

// Valid until the next row is read.
typedef struct rml_number_row {
    int64_t line;     // in the file, from 1
    const char *text; // of the line, without blanks around it
    const float *values;
    size_t count;
    rml_status status; // RML_ERR_FORMAT when something in the line is not a finite number
    rml_error error;
} rml_number_row;

typedef struct rml_number_rows rml_number_rows;

// `file` stays the caller's. With `header`, one is passed over.
rml_status rml_number_rows_create(rml_number_rows **out, FILE *file, bool header,
                                  const rml_allocator *allocator, rml_error *err);
void rml_number_rows_destroy(rml_number_rows **rows);

// The next row, or NULL behind the last one. A row with a fault is a row; an error is what ends the
// reading: a line beyond the limit, a file that cannot be read, no memory.
rml_status rml_number_rows_next(rml_number_rows *rows, const rml_number_row **row, rml_error *err);

// The whole of `text` as a finite number.
bool rml_number_parse(const char *text, float *value);

// The line of the header that was passed over, or 0.
int64_t rml_number_rows_header(const rml_number_rows *rows);

#endif
