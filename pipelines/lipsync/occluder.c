#include "pipelines/lipsync/occluder.h"

#include "media/image/resample.h"
#include "tensor/alloc.h"

#include <math.h>

#define FRONT 0.25f
#define FACE 0.75f

struct rml_occluder {
    const rml_allocator *allocator;
    rml_picture_net *net;
    rml_image_resampler *scale;
    float *seen, *free; // what the network is given, and its mask; the mask at the size of the film
    size_t seen_capacity, free_capacity;
};

rml_status rml_occluder_create(rml_occluder **out, rml_picture_net *net,
                               const rml_allocator *allocator, rml_error *err)
{
    rml_occluder *o;
    *out = NULL;
    RML_TRY(rml_make(allocator, &o, 1, sizeof *o, "the occluder", err));
    o->allocator = allocator;
    o->net = net;
    const rml_status status = rml_image_resampler_create(&o->scale, allocator, err);
    if (status != RML_OK)
        rml_occluder_destroy(&o);
    *out = o;
    return status;
}

void rml_occluder_destroy(rml_occluder **at)
{
    rml_occluder *o = *at;
    *at = NULL;
    if (!o)
        return;
    rml_image_resampler_destroy(&o->scale);
    rml_free(o->allocator, o->seen);
    rml_free(o->allocator, o->free);
    rml_free(o->allocator, o);
}

// Between the two samples around a place: no filter that rings, for 0 is to stay 0.
static float between(const float *mask, int width, int height, float x, float y)
{
    x = x < 0 ? 0 : x > (float)(width - 1) ? (float)(width - 1) : x;
    y = y < 0 ? 0 : y > (float)(height - 1) ? (float)(height - 1) : y;
    const int left = (int)x, top = (int)y;
    const int right = left + 1 < width ? left + 1 : left, low = top + 1 < height ? top + 1 : top;
    const float *upper = mask + (size_t)top * (size_t)width;
    const float *lower = mask + (size_t)low * (size_t)width;
    const float across = x - (float)left, down = y - (float)top;
    const float a = upper[left] + across * (upper[right] - upper[left]);
    const float b = lower[left] + across * (lower[right] - lower[left]);
    return a + down * (b - a);
}

static void stretch(const rml_occluder *o, const float *mask, int width, int height)
{
    const int w = rml_picture_net_width(o->net), h = rml_picture_net_height(o->net);
    const float step_x = (float)w / (float)width, step_y = (float)h / (float)height;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const float level = between(mask, w, h, ((float)x + 0.5f) * step_x - 0.5f,
                                        ((float)y + 0.5f) * step_y - 0.5f);
            const float share = (level - FRONT) / (FACE - FRONT);
            o->free[(size_t)y * (size_t)width + (size_t)x] = share < 0 ? 0 : share > 1 ? 1 : share;
        }
}

// The mean of the pixel and the eight around it, of those there are.
static float soften(const float *mask, int width, int height, int x, int y)
{
    float sum = 0;
    int count = 0;
    for (int j = y > 0 ? y - 1 : 0; j <= y + 1 && j < height; j++)
        for (int i = x > 0 ? x - 1 : 0; i <= x + 1 && i < width; i++, count++)
            sum += mask[(size_t)j * (size_t)width + (size_t)i];
    return sum / (float)count;
}

rml_status rml_occlude(rml_occluder *o, const float *film, const float *mask, int width, int height,
                       float *result, rml_error *err)
{
    const int w = rml_picture_net_width(o->net), h = rml_picture_net_height(o->net);
    const size_t small = (size_t)w * (size_t)h, count = (size_t)width * (size_t)height;
    RML_TRY(rml_reserve(o->allocator, &o->seen, &o->seen_capacity, 4 * small, sizeof *o->seen,
                        "the occluder", err));
    RML_TRY(rml_reserve(o->allocator, &o->free, &o->free_capacity, count, sizeof *o->free,
                        "the occluder", err));
    RML_TRY(rml_image_resample(o->scale, film, width, height, o->seen, w, h, 3, err));
    RML_TRY(rml_picture_net_run(o->net, o->seen, o->seen + 3 * small, err));
    stretch(o, o->seen + 3 * small, width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const size_t at = (size_t)y * (size_t)width + (size_t)x;
            result[at] = mask[at] * fminf(o->free[at], soften(o->free, width, height, x, y));
        }
    return RML_OK;
}
