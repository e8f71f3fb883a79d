#include "pipelines/sequence/number_rows.h"

#include "tensor/names.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct rml_number_rows {
    const rml_allocator *allocator;
    FILE *file;
    bool may_be_header;
    int64_t line, header;
    char *text;
    size_t text_capacity;
    float *values;
    size_t values_capacity;
    rml_number_row row;
};

rml_status rml_number_rows_create(rml_number_rows **out, FILE *file, bool header,
                                  const rml_allocator *allocator, rml_error *err)
{
    RML_TRY(rml_make(allocator, out, 1, sizeof **out, "a reader of rows", err));
    (*out)->allocator = allocator;
    (*out)->file = file;
    (*out)->may_be_header = header;
    return RML_OK;
}

void rml_number_rows_destroy(rml_number_rows **at)
{
    rml_number_rows *r = *at;
    if (!r)
        return;
    rml_free(r->allocator, r->text);
    rml_free(r->allocator, r->values);
    rml_free(r->allocator, r);
    *at = NULL;
}

int64_t rml_number_rows_header(const rml_number_rows *rows)
{
    return rows->header;
}

bool rml_number_parse(const char *text, float *value)
{
    char *end;
    *value = strtof(text, &end);
    return end != text && !*end && isfinite(*value);
}

// ---- lines ------------------------------------------------------------------------------------

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

// Reads a line without its end; *more is false behind the last one. A zero byte, which would end
// the text early, becomes a character that is no number.
static rml_status read_line(rml_number_rows *r, bool *more, rml_error *err)
{
    size_t length = 0;
    int c;
    while ((c = getc(r->file)) != EOF && c != '\n') {
        if (length == RML_ROW_MAX_BYTES)
            return rml_fail(err, RML_ERR_LIMIT, "line %lld is longer than %zu bytes",
                            (long long)r->line + 1, RML_ROW_MAX_BYTES);
        RML_TRY(
            rml_reserve(r->allocator, &r->text, &r->text_capacity, length + 2, 1, "a line", err));
        r->text[length++] = (char)(c ? c : '?');
    }
    if (c == EOF && ferror(r->file))
        return rml_fail(err, RML_ERR_IO, "cannot be read behind line %lld: %s", (long long)r->line,
                        rml_errno_text(errno, (char[RML_ERRNO_BYTES]){0}));
    *more = c != EOF || length > 0;
    if (length > 0)
        r->text[length] = 0;
    r->row.text = length > 0 ? r->text : "";
    r->line++;
    return RML_OK;
}

static void trim(rml_number_rows *r)
{
    char *text = r->text;
    size_t length = strlen(r->row.text);
    if (length == 0)
        return;
    if (r->line == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        length -= 3;
    }
    while (length > 0 && is_blank(text[length - 1]))
        text[--length] = 0;
    while (is_blank(*text))
        text++;
    r->row.text = text;
}

// ---- numbers ----------------------------------------------------------------------------------

// What lies between two separators, without blanks and quotes around it.
typedef struct field {
    const char *text;
    size_t length;
    const char *next; // NULL behind the last one
} field;

static field take_field(const char *text)
{
    while (is_blank(*text))
        text++;
    const size_t length = strcspn(text, ",; \t");
    const char *next = text + length;
    field f = {text, length, NULL};
    if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
        f.text++;
        f.length -= 2;
    }
    while (is_blank(*next))
        next++;
    if (*next == ',' || *next == ';')
        f.next = next + 1; // behind it there is a field, if an empty one
    else if (*next)
        f.next = next;
    return f;
}

static bool to_number(const field *f, float *value)
{
    char *end;
    *value = strtof(f->text, &end);
    return f->length > 0 && end == f->text + f->length;
}

// False for a text that is like a number at its beginning only, or not at all.
static bool any_number(const char *text)
{
    while (text) {
        const field f = take_field(text);
        float value;
        if (to_number(&f, &value))
            return true;
        text = f.next;
    }
    return false;
}

static rml_status parse(rml_number_rows *r, rml_error *err)
{
    rml_number_row *row = &r->row;
    row->count = 0;
    row->status = row->error.status = RML_OK;
    for (const char *text = row->text; text && row->status == RML_OK;) {
        const field f = take_field(text);
        float value;
        RML_TRY(rml_reserve(r->allocator, &r->values, &r->values_capacity, row->count + 1,
                            sizeof value, "numbers of a row", err));
        char quoted[RML_QUOTE_BYTES];
        if (f.length == 0)
            row->status = rml_fail(&row->error, RML_ERR_FORMAT, "line %lld: field %zu is empty",
                                   (long long)row->line, row->count + 1);
        else if (!to_number(&f, &value) || !isfinite(value))
            row->status =
                rml_fail(&row->error, RML_ERR_FORMAT, "line %lld: '%s' is not a finite number",
                         (long long)row->line, rml_quote(quoted, f.text, f.length));
        else
            r->values[row->count++] = value;
        text = f.next;
    }
    row->values = r->values;
    return RML_OK;
}

rml_status rml_number_rows_next(rml_number_rows *r, const rml_number_row **row, rml_error *err)
{
    *row = NULL;
    for (;;) {
        bool more = false;
        RML_TRY(read_line(r, &more, err));
        if (!more)
            return RML_OK;
        trim(r);
        if (!*r->row.text)
            continue;
        r->row.line = r->line;
        const bool header = r->may_be_header && !any_number(r->row.text);
        r->may_be_header = false;
        if (!header)
            break;
        r->header = r->line;
    }
    RML_TRY(parse(r, err));
    *row = &r->row;
    return RML_OK;
}
