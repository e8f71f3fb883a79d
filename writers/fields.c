#include "writers/fields.h"

#include "loaders/formats/protobuf.h"

#include <string.h>

void rml_fields_init(rml_fields *m, const rml_allocator *allocator)
{
    *m = (rml_fields){.allocator = allocator};
}

void rml_fields_release(rml_fields *m)
{
    rml_free(m->allocator, m->bytes);
    rml_free(m->allocator, m->pieces);
    *m = (rml_fields){0};
}

// `size` more bytes; NULL after a failure.
static uint8_t *append(rml_fields *m, size_t size)
{
    size_t need = 0;
    if (m->status == RML_OK && !rml_size_add(m->used, size, &need))
        m->status = rml_fail(&m->error, RML_ERR_LIMIT, "a message is too large to address");
    if (m->status == RML_OK)
        m->status = rml_reserve(m->allocator, &m->bytes, &m->capacity, need, 1,
                                "a message to be "
                                "written",
                                &m->error);
    if (m->status != RML_OK)
        return NULL;
    m->used = need;
    return m->bytes + need - size;
}

// At most 10 bytes; returns how many.
static size_t encode(uint8_t *to, uint64_t value)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        to[count++] = (uint8_t)(value | 0x80);
    to[count++] = (uint8_t)value;
    return count;
}

static void add_varint(rml_fields *m, uint64_t value)
{
    uint8_t code[10];
    const size_t count = encode(code, value);
    uint8_t *to = append(m, count);
    if (to)
        memcpy(to, code, count);
}

static void add_tag(rml_fields *m, uint32_t field, rml_protobuf_wire wire)
{
    add_varint(m, (uint64_t)field << 3 | (uint64_t)wire);
}

static void add_fixed(rml_fields *m, uint64_t bits, size_t bytes)
{
    uint8_t *to = append(m, bytes);
    for (size_t i = 0; to && i < bytes; i++)
        to[i] = (uint8_t)(bits >> 8 * i);
}

// Bytes of the borrowed pieces from `first` on.
static uint64_t borrowed(const rml_fields *m, size_t first)
{
    uint64_t bytes = 0;
    for (size_t i = first; i < m->piece_count; i++)
        bytes += m->pieces[i].size;
    return bytes;
}

void rml_fields_begin(rml_fields *m, uint32_t field)
{
    if (m->depth == RML_FIELDS_MAX_DEPTH && m->status == RML_OK)
        m->status = rml_fail(&m->error, RML_ERR_LIMIT, "messages are nested deeper than %d",
                             RML_FIELDS_MAX_DEPTH);
    if (m->status != RML_OK)
        return;
    m->open[m->depth].start = m->used;
    m->open[m->depth].piece = m->piece_count;
    m->open[m->depth++].field = field;
}

// Tag and length, which are known only now, go in front of the contents.
void rml_fields_end(rml_fields *m)
{
    if (m->status != RML_OK)
        return;
    m->depth--;
    const size_t start = m->open[m->depth].start, piece = m->open[m->depth].piece;
    const size_t own = m->used - start;
    uint8_t head[20];
    size_t count =
        encode(head, (uint64_t)m->open[m->depth].field << 3 | (uint64_t)RML_PROTOBUF_BYTES);
    count += encode(head + count, own + borrowed(m, piece));
    if (!append(m, count))
        return;
    memmove(m->bytes + start + count, m->bytes + start, own);
    memcpy(m->bytes + start, head, count);
    for (size_t i = piece; i < m->piece_count; i++)
        m->pieces[i].at += count;
}

void rml_fields_int(rml_fields *m, uint32_t field, int64_t value)
{
    add_tag(m, field, RML_PROTOBUF_VARINT);
    add_varint(m, (uint64_t)value);
}

void rml_fields_float(rml_fields *m, uint32_t field, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_tag(m, field, RML_PROTOBUF_FIXED32);
    add_fixed(m, bits, sizeof bits);
}

void rml_fields_double(rml_fields *m, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add_tag(m, field, RML_PROTOBUF_FIXED64);
    add_fixed(m, bits, sizeof bits);
}

void rml_fields_bytes(rml_fields *m, uint32_t field, const void *data, size_t size)
{
    add_tag(m, field, RML_PROTOBUF_BYTES);
    add_varint(m, size);
    uint8_t *to = size ? append(m, size) : NULL;
    if (to)
        memcpy(to, data, size);
}

void rml_fields_text(rml_fields *m, uint32_t field, const char *text)
{
    rml_fields_bytes(m, field, text, strlen(text));
}

void rml_fields_borrow(rml_fields *m, uint32_t field, const void *data, size_t size)
{
    add_tag(m, field, RML_PROTOBUF_BYTES);
    add_varint(m, size);
    if (m->status == RML_OK)
        m->status = rml_reserve(m->allocator, &m->pieces, &m->piece_capacity, m->piece_count + 1,
                                sizeof *m->pieces, "a message to be written", &m->error);
    if (m->status == RML_OK)
        m->pieces[m->piece_count++] = (rml_fields_piece){m->used, data, size};
}

void rml_fields_ints(rml_fields *m, uint32_t field, const int64_t *values, size_t count)
{
    if (count == 0)
        return;
    rml_fields_begin(m, field);
    for (size_t i = 0; i < count; i++)
        add_varint(m, (uint64_t)values[i]);
    rml_fields_end(m);
}

void rml_fields_floats(rml_fields *m, uint32_t field, const float *values, size_t count)
{
    if (count == 0)
        return;
    rml_fields_begin(m, field);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        add_fixed(m, bits, sizeof bits);
    }
    rml_fields_end(m);
}

uint64_t rml_fields_size(const rml_fields *m)
{
    return m->used + borrowed(m, 0);
}

rml_status rml_fields_write(const rml_fields *m, rml_outfile *file, rml_error *err)
{
    size_t at = 0;
    if (m->status != RML_OK)
        return rml_fail(err, m->status, "%s", m->error.message);
    if (rml_fields_size(m) > RML_FIELDS_MAX_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%llu bytes in one message; the limit is %llu",
                        (unsigned long long)rml_fields_size(m),
                        (unsigned long long)RML_FIELDS_MAX_BYTES);
    for (size_t i = 0; i < m->piece_count; i++) {
        rml_outfile_write(file, m->bytes + at, m->pieces[i].at - at);
        rml_outfile_write(file, m->pieces[i].data, m->pieces[i].size);
        at = m->pieces[i].at;
    }
    rml_outfile_write(file, m->bytes + at, m->used - at);
    return RML_OK;
}
