#include "media/image/resize_pillow.h"

#include "tensor/alloc.h"

#include <math.h>

// Pillow's weights are whole numbers of 22 bits, and what comes out of the first pass is rounded to
// 8 bits before the second one. Weights, the order of the passes and both roundings decide bits.
enum { WEIGHT_BITS = 22, WEIGHT_ONE = 1 << WEIGHT_BITS, HALF = WEIGHT_ONE / 2 };

// The source samples that each wanted sample of one direction is a mean of.
typedef struct axis {
    int count; // of wanted samples
    int taps;  // room for weights of each
    int *first, *used;
    int32_t *weights; // count x taps
} axis;

typedef struct tables {
    const rml_allocator *allocator;
    axis columns, rows;
    uint8_t *between; // what the first pass makes and the second one needs
} tables;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static void weigh(axis *a, int index, int whole, double center, double support, double sharpness)
{
    int from = (int)(center - support + 0.5), to = (int)(center + support + 0.5);
    from = from < 0 ? 0 : from;
    to = to > whole ? whole : to;
    double sum = 0;
    for (int i = from; i < to; i++)
        sum += triangle((i - center + 0.5) * sharpness);
    int32_t *weights = a->weights + (size_t)index * (size_t)a->taps;
    for (int i = from; i < to; i++) {
        const double weight = triangle((i - center + 0.5) * sharpness) / sum;
        weights[i - from] = (int32_t)(0.5 + weight * WEIGHT_ONE);
    }
    a->first[index] = from;
    a->used[index] = to - from;
}

// For `count` samples from `start` on of `whole` samples that become `result`.
static rml_status axis_make(axis *a, int whole, int result, int start, int count,
                            const rml_allocator *allocator, rml_error *err)
{
    const double scale = (double)whole / result, support = scale < 1 ? 1 : scale;
    a->count = count;
    a->taps = (int)ceil(support) * 2 + 1;
    // Sides are at most RML_FRAME_MAX_SIDE, and taps twice that: no product here can overflow.
    const size_t weights = (size_t)count * (size_t)a->taps;
    a->first = rml_alloc(allocator, (size_t)count * sizeof *a->first);
    a->used = rml_alloc(allocator, (size_t)count * sizeof *a->used);
    a->weights = rml_alloc(allocator, weights * sizeof *a->weights);
    if (!a->first || !a->used || !a->weights)
        return rml_fail_nomem(err, weights * sizeof *a->weights, "weights of a resize");
    for (int i = 0; i < count; i++)
        weigh(a, i, whole, (start + i + 0.5) * scale, support, 1 / support);
    return RML_OK;
}

static void release(tables *t)
{
    axis *const both[2] = {&t->columns, &t->rows};
    for (int i = 0; i < 2; i++) {
        rml_free(t->allocator, both[i]->first);
        rml_free(t->allocator, both[i]->used);
        rml_free(t->allocator, both[i]->weights);
    }
    rml_free(t->allocator, t->between);
}

// The sum of rounded weights can be a little more than one.
static uint8_t level(int32_t sum)
{
    const int32_t value = sum >> WEIGHT_BITS;
    return (uint8_t)(value > 255 ? 255 : value);
}

// Scales a row whose first sample is number `offset` of the source.
static void scale_row(const axis *columns, const uint8_t *src, int offset, uint8_t *dst,
                      int channels)
{
    for (int x = 0; x < columns->count; x++) {
        const int32_t *weights = columns->weights + (size_t)x * (size_t)columns->taps;
        const uint8_t *from = src + (size_t)(columns->first[x] - offset) * (size_t)channels;
        int32_t sums[4] = {HALF, HALF, HALF, HALF};
        if (channels == 3) // the common case, with the colours in registers
            for (int i = 0; i < columns->used[x]; i++, from += 3) {
                sums[0] += from[0] * weights[i];
                sums[1] += from[1] * weights[i];
                sums[2] += from[2] * weights[i];
            }
        else
            for (int i = 0; i < columns->used[x]; i++)
                for (int c = 0; c < channels; c++)
                    sums[c] += *from++ * weights[i];
        for (int c = 0; c < channels; c++)
            *dst++ = level(sums[c]);
    }
}

// Row y of the result; `first` is the first of the rows that it is a mean of.
static void mix_rows(const axis *rows, int y, const uint8_t *first, size_t pitch, size_t samples,
                     uint8_t *dst)
{
    const int32_t *weights = rows->weights + (size_t)y * (size_t)rows->taps;
    for (size_t i = 0; i < samples; i++) {
        int32_t sum = HALF;
        for (int j = 0; j < rows->used[y]; j++)
            sum += first[(size_t)j * pitch + i] * weights[j];
        dst[i] = level(sum);
    }
}

// Where the samples that are needed begin and end.
static int needed_from(const axis *a)
{
    return a->first[0];
}

static int needed_to(const axis *a)
{
    return a->first[a->count - 1] + a->used[a->count - 1];
}

static void columns_first(tables *t, const rml_pixels *src, const rml_pixels_out *dst, int channels)
{
    const int from = needed_from(&t->rows), to = needed_to(&t->rows);
    const size_t samples = (size_t)dst->width * (size_t)channels;
    for (int y = from; y < to; y++)
        scale_row(&t->columns, src->data + (size_t)y * src->pitch, 0,
                  t->between + (size_t)(y - from) * samples, channels);
    for (int y = 0; y < dst->height; y++)
        mix_rows(&t->rows, y, t->between + (size_t)(t->rows.first[y] - from) * samples, samples,
                 samples, dst->data + (size_t)y * dst->pitch);
}

static void rows_first(tables *t, const rml_pixels *src, const rml_pixels_out *dst, int channels)
{
    const int from = needed_from(&t->columns), to = needed_to(&t->columns);
    const size_t samples = (size_t)(to - from) * (size_t)channels;
    for (int y = 0; y < dst->height; y++) {
        const uint8_t *first = src->data + (size_t)t->rows.first[y] * src->pitch;
        mix_rows(&t->rows, y, first + (size_t)from * (size_t)channels, src->pitch, samples,
                 t->between);
        scale_row(&t->columns, t->between, from, dst->data + (size_t)y * dst->pitch, channels);
    }
}

static rml_status scale(tables *t, const rml_pixels *src, const rml_pixels_out *dst,
                        const rml_resize_pillow_part *part, int channels, rml_error *err)
{
    // Pillow 13 shrinks rows first where far more of them go than columns; before it never did, and
    // there such pictures differ by a level here and there.
    const int fewer_rows = src->height - part->height, fewer_columns = src->width - part->width;
    const bool rows_come_first = fewer_rows > 0 && fewer_rows > 2 * fewer_columns;
    const axis *a = rows_come_first ? &t->columns : &t->rows;
    const int lines = needed_to(a) - needed_from(a);
    const size_t bytes =
        (size_t)lines * (rows_come_first ? 1 : (size_t)dst->width) * (size_t)channels;
    t->between = rml_alloc(t->allocator, bytes);
    if (!t->between)
        return rml_fail_nomem(err, bytes, "one pass of a resize");
    if (rows_come_first)
        rows_first(t, src, dst, channels);
    else
        columns_first(t, src, dst, channels);
    return RML_OK;
}

static bool side_is_valid(int side)
{
    return side >= 1 && side <= RML_FRAME_MAX_SIDE;
}

static bool inside(int start, int count, int whole)
{
    return side_is_valid(whole) && count >= 1 && start >= 0 && count <= whole &&
           start <= whole - count;
}

rml_status rml_resize_pillow(rml_pixels src, rml_pixels_out dst, const rml_resize_pillow_part *part,
                             int channels, const rml_allocator *allocator, rml_error *err)
{
    if (!side_is_valid(src.width) || !side_is_valid(src.height) ||
        !inside(part->left, dst.width, part->width) ||
        !inside(part->top, dst.height, part->height) ||
        (channels != 1 && channels != 3 && channels != 4))
        return rml_fail(err, RML_ERR_ARG,
                        "resize: cannot scale %dx%d to %dx%d at %d,%d of %dx%d with %d channels",
                        src.width, src.height, dst.width, dst.height, part->left, part->top,
                        part->width, part->height, channels);
    tables t = {.allocator = allocator};
    rml_status status =
        axis_make(&t.columns, src.width, part->width, part->left, dst.width, allocator, err);
    if (status == RML_OK)
        status =
            axis_make(&t.rows, src.height, part->height, part->top, dst.height, allocator, err);
    if (status == RML_OK)
        status = scale(&t, &src, &dst, part, channels, err);
    release(&t);
    return status;
}
