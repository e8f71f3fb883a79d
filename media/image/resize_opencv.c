#include "media/image/resize_opencv.h"

#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

// OpenCV works with weights of 11 bits. Horizontally the products are kept whole; vertically they
// are cut to 15 bits before the second product, which is what makes results differ from an exact
// one.
enum {
    WEIGHT_BITS = 11,
    WEIGHT_ONE = 1 << WEIGHT_BITS,
};

typedef struct tap {
    int32_t at, next; // source positions; horizontally in samples, vertically in rows
    int32_t w0, w1;
} tap;

struct rml_resizer {
    const rml_allocator *allocator;
    int src_width, src_height, dst_width, dst_height, channels; // what the tables are for
    tap *columns; // one per destination sample (pixel and channel)
    size_t columns_capacity;
    tap *rows;
    size_t rows_capacity;
    int32_t *lines; // two source rows, scaled horizontally
    size_t lines_capacity;
};

rml_status rml_resizer_create(rml_resizer **out, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_resizer *resizer;
    RML_TRY(rml_make(allocator, &resizer, 1, sizeof *resizer, "a resizer", err));
    resizer->allocator = allocator;
    *out = resizer;
    return RML_OK;
}

void rml_resizer_destroy(rml_resizer **resizer)
{
    rml_resizer *old = *resizer;
    *resizer = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->columns);
    rml_free(old->allocator, old->rows);
    rml_free(old->allocator, old->lines);
    rml_free(old->allocator, old);
}

static int clamp_int(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

// Position of destination index `i` in the source, cut to float where OpenCV cuts it.
static float source_position(int i, int src, int dst, int *whole)
{
    float position = (float)(((double)i + 0.5) * ((double)src / dst) - 0.5);
    float below = floorf(position);
    *whole = (int)below;
    return position - below;
}

static void weigh(tap *t, float fraction)
{
    // lrintf rounds halves to even, as OpenCV does; the rounding mode is the default one.
    t->w0 = (int32_t)lrintf((1.0f - fraction) * WEIGHT_ONE);
    t->w1 = (int32_t)lrintf(fraction * WEIGHT_ONE);
}

static void fill_columns(tap *columns, int src, int dst, int channels)
{
    for (int x = 0; x < dst; x++) {
        int s;
        float fraction = source_position(x, src, dst, &s);
        if (s < 0 || s >= src - 1) {
            s = clamp_int(s, 0, src - 1);
            fraction = 0.0f;
        }
        int next = s + 1 < src ? s + 1 : src - 1;
        for (int c = 0; c < channels; c++) {
            tap *t = &columns[x * channels + c];
            t->at = s * channels + c;
            t->next = next * channels + c;
            weigh(t, fraction);
        }
    }
}

// Unlike columns, rows keep their fraction at the borders: both rows are then the same one.
static void fill_rows(tap *rows, int src, int dst)
{
    for (int y = 0; y < dst; y++) {
        int s;
        weigh(&rows[y], source_position(y, src, dst, &s));
        rows[y].at = clamp_int(s, 0, src - 1);
        rows[y].next = clamp_int(s + 1, 0, src - 1);
    }
}

// Makes room for `need` elements, whose old contents are not needed.
static void *replace(const rml_allocator *allocator, void *array, size_t *capacity, size_t need,
                     size_t element_bytes)
{
    if (need <= *capacity)
        return array;
    rml_free(allocator, array);
    void *fresh = rml_alloc(allocator, need * element_bytes);
    *capacity = fresh ? need : 0;
    return fresh;
}

static rml_status prepare(rml_resizer *r, const rml_pixels *src, const rml_pixels_out *dst,
                          int channels, rml_error *err)
{
    if (r->src_width == src->width && r->src_height == src->height && r->dst_width == dst->width &&
        r->dst_height == dst->height && r->channels == channels)
        return RML_OK;
    r->channels = 0; // no valid tables until all are made
    // Sides are at most RML_FRAME_MAX_SIDE and channels 4: no product here can overflow.
    size_t samples = (size_t)dst->width * (size_t)channels, height = (size_t)dst->height;
    r->columns = replace(r->allocator, r->columns, &r->columns_capacity, samples, sizeof(tap));
    r->rows = replace(r->allocator, r->rows, &r->rows_capacity, height, sizeof(tap));
    r->lines = replace(r->allocator, r->lines, &r->lines_capacity, 2 * samples, sizeof(int32_t));
    if (!r->columns || !r->rows || !r->lines)
        return rml_fail_nomem(err, (samples + height) * sizeof(tap), "resize tables");
    fill_columns(r->columns, src->width, dst->width, channels);
    fill_rows(r->rows, src->height, dst->height);
    r->src_width = src->width;
    r->src_height = src->height;
    r->dst_width = dst->width;
    r->dst_height = dst->height;
    r->channels = channels;
    return RML_OK;
}

static void scale_row(const tap *columns, const uint8_t *src, int32_t *line, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        const tap *t = &columns[i];
        line[i] = (src[t->at] * t->w0 + src[t->next] * t->w1) >> 4;
    }
}

// The sum of the two terms never exceeds 4 * 255 + 2, so no saturation is needed.
static void mix_rows(const int32_t *restrict line0, const int32_t *restrict line1, int32_t w0,
                     int32_t w1, uint8_t *restrict dst, size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        dst[i] = (uint8_t)((((w0 * line0[i]) >> 16) + ((w1 * line1[i]) >> 16) + 2) >> 2);
}

static bool side_is_valid(int side)
{
    return side >= 1 && side <= RML_FRAME_MAX_SIDE;
}

rml_status rml_resize_opencv(rml_resizer *resizer, rml_pixels src, rml_pixels_out dst, int channels,
                             rml_error *err)
{
    if (!side_is_valid(src.width) || !side_is_valid(src.height) || !side_is_valid(dst.width) ||
        !side_is_valid(dst.height) || (channels != 1 && channels != 3 && channels != 4))
        return rml_fail(err, RML_ERR_ARG, "resize: cannot scale %dx%d to %dx%d with %d channels",
                        src.width, src.height, dst.width, dst.height, channels);
    size_t samples = (size_t)dst.width * (size_t)channels;
    if (src.width == dst.width && src.height == dst.height) {
        for (int y = 0; y < dst.height; y++)
            memcpy(dst.data + (size_t)y * dst.pitch, src.data + (size_t)y * src.pitch, samples);
        return RML_OK;
    }
    RML_TRY(prepare(resizer, &src, &dst, channels, err));

    int32_t *line[2] = {resizer->lines, resizer->lines + samples};
    int held[2] = {-1, -1}; // source rows in line[0] and line[1]
    for (int y = 0; y < dst.height; y++) {
        const tap *t = &resizer->rows[y];
        if (held[0] != t->at && held[1] == t->at) { // one row down: the second becomes the first
            int32_t *first = line[0];
            line[0] = line[1];
            line[1] = first;
            held[1] = held[0];
            held[0] = t->at;
        }
        if (held[0] != t->at)
            scale_row(resizer->columns, src.data + (size_t)t->at * src.pitch, line[0], samples);
        held[0] = t->at;
        const int32_t *second = line[0];
        if (t->next != t->at) {
            if (held[1] != t->next)
                scale_row(resizer->columns, src.data + (size_t)t->next * src.pitch, line[1],
                          samples);
            held[1] = t->next;
            second = line[1];
        }
        mix_rows(line[0], second, t->w0, t->w1, dst.data + (size_t)y * dst.pitch, samples);
    }
    return RML_OK;
}
