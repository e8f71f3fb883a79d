#include "pipelines/denoise/quality.h"

#include "tensor/alloc.h"

#include <math.h>

#define WINDOW 11
#define DEVIATION 1.5
enum { MEAN_A, MEAN_B, SQUARE_A, SQUARE_B, PRODUCT, SUMS };

static double psnr(const rml_picture *a, const rml_picture *b)
{
    const double full = rml_picture_full(a);
    const int colours = rml_picture_colours(a);
    double sum = 0;
    for (int y = 0; y < a->height; y++) {
        double row = 0; // sums of like size lose less
        for (int x = 0; x < a->width; x++)
            for (int c = 0; c < colours; c++) {
                const double d = rml_picture_sample(a, x, y, c) - rml_picture_sample(b, x, y, c);
                row += d * d;
            }
        sum += row;
    }
    const double mean = sum / ((double)a->width * a->height * colours);
    return 10 * log10(full * full / mean);
}

// The five windowed sums of one row of pixels: `sums` holds width - WINDOW + 1 of each.
static void row_sums(const rml_picture *a, const rml_picture *b, const double *weights, int y,
                     int channel, double *sums)
{
    const int count = a->width - WINDOW + 1;
    for (int x = 0; x < count; x++) {
        double *s = sums + (size_t)x * SUMS;
        for (int i = 0; i < SUMS; i++)
            s[i] = 0;
        for (int k = 0; k < WINDOW; k++) {
            const double u = rml_picture_sample(a, x + k, y, channel),
                         v = rml_picture_sample(b, x + k, y, channel);
            s[MEAN_A] += weights[k] * u;
            s[MEAN_B] += weights[k] * v;
            s[SQUARE_A] += weights[k] * u * u;
            s[SQUARE_B] += weights[k] * v * v;
            s[PRODUCT] += weights[k] * u * v;
        }
    }
}

static double similarity(const double *s, double full)
{
    const double c1 = 0.01 * full * 0.01 * full, c2 = 0.03 * full * 0.03 * full;
    const double means = s[MEAN_A] * s[MEAN_B];
    const double squares = s[MEAN_A] * s[MEAN_A] + s[MEAN_B] * s[MEAN_B];
    const double variances = s[SQUARE_A] + s[SQUARE_B] - squares;
    return (2 * means + c1) * (2 * (s[PRODUCT] - means) + c2) / ((squares + c1) * (variances + c2));
}

// `rows` is a ring of the sums of the last WINDOW rows.
static double ssim(const rml_picture *a, const rml_picture *b, int channel, double *rows)
{
    const double full = rml_picture_full(a);
    const int count = a->width - WINDOW + 1;
    const size_t row = (size_t)count * SUMS;
    double weights[WINDOW], total = 0, sum = 0;
    for (int k = 0; k < WINDOW; k++) {
        const double distance = k - WINDOW / 2;
        weights[k] = exp(-distance * distance / (2 * DEVIATION * DEVIATION));
        total += weights[k];
    }
    for (int k = 0; k < WINDOW; k++)
        weights[k] /= total;
    for (int y = 0; y < a->height; y++) {
        row_sums(a, b, weights, y, channel, rows + (size_t)(y % WINDOW) * row);
        if (y < WINDOW - 1)
            continue;
        double of_row = 0;
        for (int x = 0; x < count; x++) {
            double s[SUMS] = {0};
            for (int k = 0; k < WINDOW; k++) {
                const double *from = rows + (size_t)((y + 1 + k) % WINDOW) * row + (size_t)x * SUMS;
                for (int i = 0; i < SUMS; i++)
                    s[i] += weights[k] * from[i];
            }
            of_row += similarity(s, full);
        }
        sum += of_row;
    }
    return sum / ((double)count * (a->height - WINDOW + 1));
}

rml_status rml_quality_measure(rml_quality *out, const rml_picture *a, const rml_picture *b,
                               const rml_allocator *allocator, rml_error *err)
{
    if (a->width != b->width || a->height != b->height ||
        rml_picture_colours(a) != rml_picture_colours(b) || a->bits != b->bits)
        return rml_fail(err, RML_ERR_SHAPE,
                        "%dx%d pixels of %d colours and %d bits cannot be compared with %dx%d of "
                        "%d colours and %d bits",
                        a->width, a->height, rml_picture_colours(a), a->bits, b->width, b->height,
                        rml_picture_colours(b), b->bits);
    *out = (rml_quality){.psnr = psnr(a, b), .ssim = NAN};
    if (a->width < WINDOW || a->height < WINDOW)
        return RML_OK;
    const size_t bytes = (size_t)(a->width - WINDOW + 1) * SUMS * WINDOW * sizeof(double);
    double *rows = rml_alloc(allocator, bytes);
    if (!rows)
        return rml_fail_nomem(err, bytes, "sums of a picture");
    out->ssim = 0;
    for (int channel = 0; channel < rml_picture_colours(a); channel++)
        out->ssim += ssim(a, b, channel, rows) / rml_picture_colours(a);
    rml_free(allocator, rows);
    return RML_OK;
}
