#include "loaders/formats/npy.h"

#include "tensor/dtype.h"
#include "tensor/outfile.h"
#include "tensor/size.h"
#include "tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define LONGEST_ELEMENT 8 // bytes; parse_descr refuses longer ones
// The header is padded so that the elements start at a multiple of this.
#define DATA_ALIGNMENT 64

// The header is the text of a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape': (2,
// 3)}
typedef struct {
    const char *at;
    const char *end;
} cursor;

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
        c->at++;
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    skip_space(c);
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool take_string(cursor *c, char *text, size_t capacity)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"'))
        return false;
    char quote = *c->at++;
    size_t length = 0;
    while (c->at < c->end && *c->at != quote) {
        if (length + 1 >= capacity)
            return false;
        text[length++] = *c->at++;
    }
    text[length] = 0;
    return take(c, quote);
}

static bool take_size(cursor *c, int64_t *value)
{
    skip_space(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9')
        return false;
    int64_t number = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        int digit = *c->at++ - '0';
        if (number > (INT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *value = number;
    return true;
}

static bool take_shape(cursor *c, rml_shape *shape)
{
    shape->rank = 0;
    if (!take(c, '('))
        return false;
    while (!take(c, ')')) {
        int64_t size;
        if (!take_size(c, &size))
            return false;
        if (shape->rank < RML_MAX_RANK)
            shape->dim[shape->rank] = size;
        shape->rank++; // the header has 64 KB
        if (!take(c, ',')) {
            if (!take(c, ')'))
                return false;
            break;
        }
    }
    return true;
}

// Element types behind the mark of the byte order, as NumPy spells them. What is written is taken
// from here too.
static const struct {
    const char *descr;
    rml_dtype dtype;
} types[] = {
    {"f4", RML_F32}, {"f2", RML_F16}, {"f8", RML_F64}, {"i1", RML_I8},
    {"i2", RML_I16}, {"i4", RML_I32}, {"i8", RML_I64}, {"u1", RML_U8},
    {"u2", RML_U16}, {"u4", RML_U32}, {"u8", RML_U64}, {"b1", RML_BOOL},
};
#define TYPES (sizeof types / sizeof *types)

bool rml_npy_type(const char *code, rml_dtype *dtype)
{
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(code, types[i].descr) == 0) {
            *dtype = types[i].dtype;
            return true;
        }
    return false;
}

static rml_status parse_descr(rml_npy *npy, const char *path, rml_error *err)
{
    const char *descr = npy->descr;
    if (*descr && strchr("<>=|", *descr) && rml_npy_type(descr + 1, &npy->dtype)) {
        npy->element_bytes = rml_dtype_size(npy->dtype);
        npy->swapped = *descr == '>';
        return RML_OK;
    }
    return rml_fail(err, RML_ERR_UNSUPPORTED,
                    "%s: elements are %s; f2, f4, f8, integers and booleans can be read", path,
                    descr);
}

static rml_status parse_header(rml_npy *npy, const char *text, size_t length, const char *path,
                               rml_error *err)
{
    cursor c = {text, text + length};
    bool seen_descr = false, seen_order = false, seen_shape = false;
    bool ok = take(&c, '{');
    while (ok && !take(&c, '}')) {
        char key[32];
        ok = take_string(&c, key, sizeof key) && take(&c, ':');
        if (!ok)
            break;
        if (strcmp(key, "descr") == 0) {
            skip_space(&c);
            strcpy(npy->descr, "records");
            if (c.at < c.end && *c.at == '[')
                return rml_fail(err, RML_ERR_UNSUPPORTED,
                                "%s: holds records with named fields; a plain array is needed",
                                path);
            ok = seen_descr = take_string(&c, npy->descr, sizeof npy->descr);
        } else if (strcmp(key, "fortran_order") == 0) {
            npy->fortran = take_word(&c, "True");
            ok = seen_order = npy->fortran || take_word(&c, "False");
        } else if (strcmp(key, "shape") == 0) {
            ok = seen_shape = take_shape(&c, &npy->shape);
        } else {
            ok = false;
        }
        if (ok && !take(&c, ',')) {
            ok = take(&c, '}');
            break;
        }
    }
    if (!ok || !seen_descr || !seen_order || !seen_shape)
        return rml_fail(err, RML_ERR_FORMAT, "%s: the header of this .npy file is damaged", path);
    return parse_descr(npy, path, err);
}

rml_status rml_npy_parse(rml_npy *npy, const uint8_t *bytes, size_t size, const char *path,
                         rml_error *err)
{
    if (size < MAGIC_BYTES + 4 || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return rml_fail(err, RML_ERR_FORMAT, "%s: not a .npy file", path);
    int version = bytes[MAGIC_BYTES];
    if (version < 1 || version > 3)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "%s: .npy version %d; versions 1 to 3 can be read", path, version);
    size_t start = version == 1 ? MAGIC_BYTES + 4 : MAGIC_BYTES + 6;
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (version > 1 && size >= start)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (!rml_range_inside(start, length, size))
        return rml_fail(err, RML_ERR_FORMAT, "%s: cut short inside the header, at byte %zu", path,
                        size);
    if (length > RML_NPY_MAX_HEADER_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "%s: a header of %zu bytes; the limit is %d", path,
                        length, RML_NPY_MAX_HEADER_BYTES);
    RML_TRY(parse_header(npy, (const char *)bytes + start, length, path, err));

    if (npy->shape.rank > RML_MAX_RANK)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: an array of %d dimensions; the limit is %d",
                        path, npy->shape.rank, RML_MAX_RANK);
    char text[RML_SHAPE_TEXT_BYTES];
    size_t need;
    if (!rml_shape_count(&npy->shape, &npy->count) ||
        !rml_size_mul(npy->count, npy->element_bytes, &need))
        return rml_fail(err, RML_ERR_LIMIT, "%s: an array of shape %s does not fit in memory", path,
                        rml_shape_text(&npy->shape, text));
    size_t have = size - start - length;
    if (have < need)
        return rml_fail(err, RML_ERR_FORMAT,
                        "%s: cut short: shape %s needs %zu bytes, the file holds %zu", path,
                        rml_shape_text(&npy->shape, text), need, have);
    npy->data = bytes + start + length;
    return RML_OK;
}

rml_status rml_npy_open(rml_npy **out, const char *path, const rml_allocator *allocator,
                        rml_error *err)
{
    allocator = allocator ? allocator : rml_allocator_default();
    RML_TRY(rml_make(allocator, out, 1, sizeof **out, "a .npy file", err));
    (*out)->allocator = allocator;
    rml_status status = rml_mapfile_open(&(*out)->file, path, err);
    if (status == RML_OK)
        status = rml_npy_parse(*out, (*out)->file.data, (*out)->file.size, path, err);
    if (status != RML_OK)
        rml_npy_close(out);
    return status;
}

void rml_npy_close(rml_npy **npy)
{
    if (!*npy)
        return;
    rml_mapfile_close(&(*npy)->file);
    rml_free((*npy)->allocator, *npy);
    *npy = NULL;
}

rml_shape rml_npy_shape(const rml_npy *npy)
{
    return npy->shape;
}

rml_dtype rml_npy_dtype(const rml_npy *npy)
{
    return npy->dtype;
}

// `element` in its own type and byte order to `dtype`; false when it is another number there.
static bool convert(rml_dtype from, const void *element, rml_dtype to, void *dst)
{
    rml_dtype_convert(from, element, to, dst, 1);
    if (rml_dtype_is_float(to) || from == to)
        return true;
    if (rml_dtype_is_float(from)) {
        double had, got;
        rml_dtype_convert(from, element, RML_F64, &had, 1);
        rml_dtype_convert(to, dst, RML_F64, &got, 1);
        return had == got;
    }
    // The same 64 bits either way, and the same sign: -1 and 2^64 - 1 differ in that alone.
    int64_t had, got;
    rml_dtype_convert(from, element, RML_I64, &had, 1);
    rml_dtype_convert(to, dst, RML_I64, &got, 1);
    return had == got && (had >= 0 || (from == RML_U64) == (to == RML_U64));
}

rml_status rml_npy_read(const rml_npy *npy, rml_dtype dtype, void *dst, size_t dst_bytes,
                        rml_error *err)
{
    const rml_dtype from = rml_npy_dtype(npy);
    const size_t bytes = rml_dtype_size(dtype);
    if (bytes == 0 || dst_bytes / bytes < npy->count)
        return rml_fail(err, RML_ERR_ARG, "an array of %zu elements of %zu bytes, for %zu bytes",
                        npy->count, bytes, dst_bytes);
    if (npy->count == 0)
        return RML_OK;
    if (from == dtype && from != RML_BOOL && !npy->swapped && !npy->fortran) {
        memcpy(dst, npy->data, npy->count * bytes);
        return RML_OK;
    }
    // `source` is where the element of index `at` (in C order) lies in the file.
    int rank = npy->shape.rank;
    int64_t at[RML_MAX_RANK] = {0};
    size_t step[RML_MAX_RANK];
    size_t distance = 1;
    for (int i = 0; i < rank; i++) {
        int axis = npy->fortran ? i : rank - 1 - i;
        step[axis] = distance;
        distance *= (size_t)npy->shape.dim[axis];
    }
    size_t source = 0;
    for (size_t i = 0; i < npy->count; i++) {
        const uint8_t *src = npy->data + source * npy->element_bytes;
        _Alignas(8) uint8_t element[LONGEST_ELEMENT];
        const size_t element_bytes = rml_min_size(npy->element_bytes, LONGEST_ELEMENT);
        for (size_t k = 0; k < element_bytes; k++)
            element[k] = src[npy->swapped ? element_bytes - 1 - k : k];
        if (!convert(from, element, dtype, (char *)dst + i * bytes)) {
            double number;
            rml_dtype_convert(from, element, RML_F64, &number, 1);
            return rml_fail(err, RML_ERR_ARG, "element %zu of the array is %.17g, which is no %s",
                            i, number, rml_dtype_name(dtype));
        }
        for (int axis = rank - 1; axis >= 0; axis--) {
            source += step[axis];
            if (++at[axis] < npy->shape.dim[axis])
                break;
            source -= step[axis] * (size_t)npy->shape.dim[axis];
            at[axis] = 0;
        }
    }
    return RML_OK;
}

// bf16 is written as f32.
static const char *descr_of(rml_dtype dtype)
{
    size_t i = 0;
    while (i < TYPES && types[i].dtype != dtype)
        i++;
    return types[i < TYPES ? i : 0].descr;
}

static size_t make_header(char *text, size_t capacity, const char *descr, const rml_shape *shape)
{
    size_t used = MAGIC_BYTES + 4;
    memcpy(text, MAGIC "\x01\x00\x00\x00", used);
    used += (size_t)snprintf(text + used, capacity - used,
                             "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                             descr[1] == '1' ? '|' : '<', descr);
    for (int i = 0; i < shape->rank; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%lld%s", (long long)shape->dim[i],
                                 shape->rank == 1      ? ","
                                 : i + 1 < shape->rank ? ", "
                                                       : "");
    used += (size_t)snprintf(text + used, capacity - used, "), }");
    size_t total = rml_round_up(used + 1, DATA_ALIGNMENT);
    memset(text + used, ' ', total - used - 1);
    text[total - 1] = '\n';
    size_t length = total - MAGIC_BYTES - 4;
    text[8] = (char)(length & 0xFF);
    text[9] = (char)(length >> 8);
    return total;
}

// bf16 as the f32 that it is the upper half of.
static void write_elements(rml_outfile *file, rml_dtype dtype, const void *data, size_t count)
{
    const uint16_t *half = data;
    if (dtype != RML_BF16)
        rml_outfile_write(file, data, count * rml_dtype_size(dtype));
    for (size_t i = 0; dtype == RML_BF16 && i < count; i++) {
        float number;
        rml_dtype_convert(RML_BF16, &half[i], RML_F32, &number, 1);
        rml_outfile_write(file, &number, sizeof number);
    }
}

rml_status rml_npy_write(const char *path, rml_dtype dtype, const void *data,
                         const rml_shape *shape, rml_error *err)
{
    size_t count;
    rml_outfile file;
    char header[1024];
    if (!rml_shape_count(shape, &count))
        return rml_fail(err, RML_ERR_LIMIT, "%s: the array is too large", path);
    RML_TRY(rml_outfile_open(&file, path, rml_allocator_default(), err));
    rml_outfile_write(&file, header, make_header(header, sizeof header, descr_of(dtype), shape));
    write_elements(&file, dtype, data, count);
    return rml_outfile_finish(&file, RML_OK, err);
}
