#include "media/image/resample.h"

#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

enum {
    LOBES = 3,
    LINES = 8, // rows that one horizontal pass scales together
    GROUP = 4  // samples that are added to a sum at once
};

// What each wanted sample of one direction is a weighted sum of.
typedef struct axis {
    int from, to;      // samples there are, and that are wanted (0: not made yet)
    int taps;          // room for weights of each; a multiple of GROUP, zero where not used
    int *first, *used; // of the samples there are
    float *weights;    // to x taps
    size_t first_capacity, used_capacity, weight_capacity;
} axis;

struct rml_image_resampler {
    const rml_allocator *allocator;
    axis columns, rows;
    float *lines;      // what the first pass makes
    float *columnwise; // LINES rows as columns: a vector for each sample
    size_t line_capacity, columnwise_capacity;
};

rml_status rml_image_resampler_create(rml_image_resampler **out, const rml_allocator *allocator,
                                      rml_error *err)
{
    *out = NULL;
    rml_image_resampler *r;
    RML_TRY(rml_make(allocator, &r, 1, sizeof *r, "a resampler", err));
    r->allocator = allocator;
    *out = r;
    return RML_OK;
}

static void release_axis(const rml_allocator *allocator, axis *a)
{
    rml_free(allocator, a->first);
    rml_free(allocator, a->used);
    rml_free(allocator, a->weights);
}

void rml_image_resampler_destroy(rml_image_resampler **resampler)
{
    rml_image_resampler *old = *resampler;
    *resampler = NULL;
    if (!old)
        return;
    release_axis(old->allocator, &old->columns);
    release_axis(old->allocator, &old->rows);
    rml_free(old->allocator, old->lines);
    rml_free(old->allocator, old->columnwise);
    rml_free(old->allocator, old);
}

// ---- weights ----------------------------------------------------------------------------------

static double sinc(double x)
{
    return x == 0 ? 1 : sin(PI * x) / (PI * x);
}

static double lanczos(double x)
{
    return fabs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
}

// The window of a wanted sample is centred between the samples it lies between, reaches `support`
// samples to both sides and is cut off at the ends, as Pillow does.
static void weigh(axis *a, int index, double scale, double sharpness)
{
    const double center = (index + 0.5) * scale, support = LOBES / sharpness;
    int from = (int)(center - support + 0.5), to = (int)(center + support + 0.5);
    from = from < 0 ? 0 : from;
    to = to > a->from ? a->from : to;
    double sum = 0;
    for (int i = from; i < to; i++)
        sum += lanczos((i - center + 0.5) * sharpness);
    float *weights = a->weights + (size_t)index * (size_t)a->taps;
    memset(weights, 0, (size_t)a->taps * sizeof *weights);
    for (int i = from; i < to; i++)
        weights[i - from] = (float)(lanczos((i - center + 0.5) * sharpness) / sum);
    a->first[index] = from;
    a->used[index] = to - from;
}

static rml_status axis_prepare(axis *a, int from, int to, const rml_allocator *allocator,
                               rml_error *err)
{
    if (a->from == from && a->to == to)
        return RML_OK;
    const double scale = (double)from / to, sharpness = scale > 1 ? 1 / scale : 1;
    const int room = 2 * (int)ceil(LOBES / sharpness) + 1;
    const size_t wanted = (size_t)to;
    a->from = from;
    a->to = 0;
    a->taps = ((room < from ? room : from) + GROUP - 1) / GROUP * GROUP;
    // Sides are at most RML_FRAME_MAX_SIDE, and taps about six times that by the samples wanted.
    RML_TRY(rml_reserve(allocator, &a->first, &a->first_capacity, wanted, sizeof *a->first,
                        "the weights of a resampling", err));
    RML_TRY(rml_reserve(allocator, &a->used, &a->used_capacity, wanted, sizeof *a->used,
                        "the weights of a resampling", err));
    RML_TRY(rml_reserve(allocator, &a->weights, &a->weight_capacity, wanted * (size_t)a->taps,
                        sizeof *a->weights, "the weights of a resampling", err));
    for (int i = 0; i < to; i++)
        weigh(a, i, scale, sharpness);
    a->to = to;
    return RML_OK;
}

// ---- passes -----------------------------------------------------------------------------------

// `width` samples of row y of the result, from rows `pitch` apart of which the first one is `top`.
// Rows beyond the last one of the window have weight 0.
static void mix_rows(const axis *rows, int y, const float *src, int top, size_t pitch, size_t width,
                     float *restrict dst)
{
    const float *w = rows->weights + (size_t)y * (size_t)rows->taps;
    const float *row = src + (size_t)(rows->first[y] - top) * pitch;
    const float *const last = row + (size_t)(rows->used[y] - 1) * pitch;
    memset(dst, 0, width * sizeof *dst);
    for (int i = 0; i < rows->used[y]; i += GROUP, w += GROUP, row += GROUP * pitch) {
        const size_t left = (size_t)(last - row);
        const float *a = row, *b = row + rml_min_size(pitch, left);
        const float *c = row + rml_min_size(2 * pitch, left);
        const float *d = row + rml_min_size(3 * pitch, left);
        const float wa = w[0], wb = w[1], wc = w[2], wd = w[3];
        for (size_t x = 0; x < width; x++)
            dst[x] += (wa * a[x] + wb * b[x]) + (wc * c[x] + wd * d[x]);
    }
}

// Scales `count` rows, at most LINES, to the columns of the part. They are laid side by side first,
// so that the same arithmetic serves all of them.
static void scale_rows(const axis *columns, const rml_part *part, const float *src, int count,
                       float *columnwise, float *dst)
{
    const size_t from = (size_t)columns->from, width = (size_t)part->width;
    for (int line = 0; line < count; line++)
        for (size_t x = 0; x < from; x++)
            columnwise[x * LINES + (size_t)line] = src[(size_t)line * from + x];
    // A window that ends with the row reads samples of weight 0 behind it.
    memset(columnwise + from * LINES, 0, GROUP * LINES * sizeof *columnwise);
    for (size_t x = 0; x < width; x++) {
        const size_t column = (size_t)part->x + x;
        const float *w = columns->weights + column * (size_t)columns->taps;
        const float *a = columnwise + (size_t)columns->first[column] * LINES;
        float sums[LINES] = {0};
        for (int i = 0; i < columns->used[column]; i += GROUP, w += GROUP, a += GROUP * LINES)
            for (int k = 0; k < LINES; k++)
                sums[k] += (w[0] * a[k] + w[1] * a[LINES + k]) +
                           (w[2] * a[2 * LINES + k] + w[3] * a[3 * LINES + k]);
        for (int line = 0; line < count; line++)
            dst[(size_t)line * width + x] = sums[line];
    }
}

// Scales `height` rows to the columns of the part.
static void scale_columns(const rml_image_resampler *r, const rml_part *part, const float *src,
                          int height, float *dst)
{
    const size_t from = (size_t)r->columns.from, width = (size_t)part->width;
    for (int y = 0; y < height; y += LINES)
        scale_rows(&r->columns, part, src + (size_t)y * from,
                   height - y < LINES ? height - y : LINES, r->columnwise, dst + (size_t)y * width);
}

// Rows `y` to `y + count` of the result, as in mix_rows.
static void scale_height(const rml_image_resampler *r, const float *src, int top, size_t pitch,
                         size_t width, int y, int count, float *dst)
{
    for (int line = 0; line < count; line++)
        mix_rows(&r->rows, y + line, src, top, pitch, width, dst + (size_t)line * width);
}

// The slower pass, along the rows, goes over as few of them as there are.
static void scale_plane(const rml_image_resampler *r, const rml_part *part, const float *src,
                        float *dst)
{
    const axis *columns = &r->columns, *rows = &r->rows;
    const size_t from = (size_t)columns->from, width = (size_t)part->width;
    const int last = part->y + part->height - 1;
    if (columns->from == columns->to && rows->from == rows->to) {
        for (size_t y = 0; y < (size_t)part->height; y++)
            memcpy(dst + y * width, src + ((size_t)part->y + y) * from + (size_t)part->x,
                   width * sizeof *dst);
    } else if (rows->from == rows->to) {
        scale_columns(r, part, src + (size_t)part->y * from, part->height, dst);
    } else if (columns->from == columns->to) {
        scale_height(r, src + (size_t)part->x, 0, from, width, part->y, part->height, dst);
    } else if (rows->from <= rows->to) {
        const int top = rows->first[part->y], end = rows->first[last] + rows->used[last];
        scale_columns(r, part, src + (size_t)top * from, end - top, r->lines);
        scale_height(r, r->lines, top, width, width, part->y, part->height, dst);
    } else {
        for (int y = 0; y < part->height; y += LINES) {
            const int count = part->height - y < LINES ? part->height - y : LINES;
            scale_height(r, src, 0, from, from, part->y + y, count, r->lines);
            scale_columns(r, part, r->lines, count, dst + (size_t)y * width);
        }
    }
}

static rml_status prepare(rml_image_resampler *r, int src_width, int src_height, int dst_width,
                          int dst_height, rml_error *err)
{
    RML_TRY(axis_prepare(&r->columns, src_width, dst_width, r->allocator, err));
    RML_TRY(axis_prepare(&r->rows, src_height, dst_height, r->allocator, err));
    const size_t lines = src_height > dst_height ? (size_t)LINES * (size_t)src_width
                                                 : (size_t)src_height * (size_t)dst_width;
    RML_TRY(rml_reserve(r->allocator, &r->lines, &r->line_capacity, lines, sizeof *r->lines,
                        "one pass of a resampling", err));
    return rml_reserve(r->allocator, &r->columnwise, &r->columnwise_capacity,
                       ((size_t)src_width + GROUP) * LINES, sizeof *r->columnwise,
                       "the rows of a resampling", err);
}

static bool side_is_valid(int side)
{
    return side >= 1 && side <= RML_FRAME_MAX_SIDE;
}

rml_status rml_image_resample_part(rml_image_resampler *r, const float *src, int src_width,
                                   int src_height, float *dst, int dst_width, int dst_height,
                                   const rml_part *part, int planes, rml_error *err)
{
    if (!side_is_valid(src_width) || !side_is_valid(src_height) || !side_is_valid(dst_width) ||
        !side_is_valid(dst_height) || planes < 1)
        return rml_fail(err, RML_ERR_ARG, "resample: cannot scale %d planes of %dx%d to %dx%d",
                        planes, src_width, src_height, dst_width, dst_height);
    RML_TRY(prepare(r, src_width, src_height, dst_width, dst_height, err));
    const size_t src_plane = (size_t)src_width * (size_t)src_height;
    const size_t dst_plane = (size_t)part->width * (size_t)part->height;
    for (int i = 0; i < planes; i++)
        scale_plane(r, part, src + (size_t)i * src_plane, dst + (size_t)i * dst_plane);
    return RML_OK;
}

rml_status rml_image_resample(rml_image_resampler *r, const float *src, int src_width,
                              int src_height, float *dst, int dst_width, int dst_height, int planes,
                              rml_error *err)
{
    const rml_part all = {0, 0, dst_width, dst_height};
    return rml_image_resample_part(r, src, src_width, src_height, dst, dst_width, dst_height, &all,
                                   planes, err);
}
