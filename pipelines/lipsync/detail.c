#include "pipelines/lipsync/detail.h"

#include "tensor/alloc.h"

#include <math.h>

enum { COLOURS = 3 };
// The reach of each of two box filters, as a share of the network's width: 2 pixels of 96. Where a
// moved mouth happens to cross the old one it is unlike it all around.
#define LOW_PASS_SHARE 48

struct rml_detail {
    const rml_allocator *allocator;
    float *net; // two planes of the network's size
    float *keep;
    size_t net_capacity, keep_capacity;
};

rml_status rml_detail_create(rml_detail **out, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_detail *detail;
    RML_TRY(rml_make(allocator, &detail, 1, sizeof *detail, "fine detail", err));
    detail->allocator = allocator;
    *out = detail;
    return RML_OK;
}

void rml_detail_destroy(rml_detail **detail)
{
    rml_detail *old = *detail;
    *detail = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->net);
    rml_free(old->allocator, old->keep);
    rml_free(old->allocator, old);
}

// The largest difference of the three colours.
static void differ(const rml_detail_net *net, float *out)
{
    const size_t plane = (size_t)net->width * (size_t)net->height;
    const float *a = net->in, *b = net->gen;
    for (size_t i = 0; i < plane; i++) {
        const float red = fabsf(b[i] - a[i]), green = fabsf(b[plane + i] - a[plane + i]);
        const float blue = fabsf(b[2 * plane + i] - a[2 * plane + i]);
        const float most = red > green ? red : green;
        out[i] = most > blue ? most : blue;
    }
}

// The mean of each value and those up to `reach` beside it, of those there are; `step` is the
// distance from one to the next.
static void box_filter(const float *src, float *dst, int count, size_t step, int reach)
{
    float sum = 0;
    int inside = 0;
    for (int i = -reach; i < count; i++) {
        if (i + reach < count) {
            sum += src[(size_t)(i + reach) * step];
            inside++;
        }
        if (i > reach) {
            sum -= src[(size_t)(i - reach - 1) * step];
            inside--;
        }
        if (i >= 0)
            dst[(size_t)i * step] = sum / (float)inside;
    }
}

static int filter_reach(int width)
{
    return width < LOW_PASS_SHARE ? 1 : width / LOW_PASS_SHARE;
}

int rml_detail_reach(int net_width)
{
    return 2 * filter_reach(net_width); // two filters
}

static void low_pass(float *values, float *spare, int width, int height)
{
    const int reach = filter_reach(width);
    const size_t pitch = (size_t)width;
    for (int y = 0; y < height; y++) {
        float *row = values + (size_t)y * pitch, *other = spare + (size_t)y * pitch;
        box_filter(row, other, width, 1, reach);
        box_filter(other, row, width, 1, reach);
    }
    for (int x = 0; x < width; x++) {
        box_filter(values + x, spare + x, height, pitch, reach);
        box_filter(spare + x, values + x, height, pitch, reach);
    }
}

// Running sums that go back to nothing keep a little of their rounding; its square is nothing.
static float share_kept(float difference)
{
    const float t = difference / RML_DETAIL_REACH;
    return t <= 0 ? 1 : t < 1 ? 1 - t * t * (3 - 2 * t) : 0;
}

static bool side_is_valid(int side)
{
    return side >= 1 && side <= RML_FRAME_MAX_SIDE;
}

rml_status rml_detail_keep(rml_detail *detail, rml_image_resampler *up, const rml_detail_net *net,
                           float *made, const float *old, const float *smooth, int width,
                           int height, const rml_part *part, rml_error *err)
{
    if (!side_is_valid(net->width) || !side_is_valid(net->height) || !side_is_valid(width) ||
        !side_is_valid(height))
        return rml_fail(err, RML_ERR_ARG, "detail: a network of %dx%d for a face of %dx%d",
                        net->width, net->height, width, height);
    const size_t small = (size_t)net->width * (size_t)net->height;
    const size_t plane = (size_t)part->width * (size_t)part->height;
    RML_TRY(rml_reserve(detail->allocator, &detail->net, &detail->net_capacity, 2 * small,
                        sizeof *detail->net, "the detail of a face", err));
    RML_TRY(rml_reserve(detail->allocator, &detail->keep, &detail->keep_capacity, plane,
                        sizeof *detail->keep, "the detail of a face", err));
    float *values = detail->net, *keep = detail->keep;
    differ(net, values);
    low_pass(values, values + small, net->width, net->height);
    for (size_t i = 0; i < small; i++)
        values[i] = share_kept(values[i]);
    RML_TRY(rml_image_resample_part(up, values, net->width, net->height, keep, width, height, part,
                                    1, err));
    for (size_t i = 0; i < plane; i++)
        keep[i] = keep[i] < 0 ? 0 : keep[i] > 1 ? 1 : keep[i];
    for (int c = 0; c < COLOURS; c++, made += plane, old += plane, smooth += plane)
        for (size_t i = 0; i < plane; i++)
            made[i] += keep[i] * (old[i] - smooth[i]);
    return RML_OK;
}
