#include "media/image/blend.h"

#include "tensor/alloc.h"

#include <string.h>

struct rml_blender {
    const rml_allocator *allocator;
    int width, height; // what the ramps are for
    rml_feather feather;
    bool ready;
    uint8_t *across, *down; // weights along x and y
    size_t across_capacity, down_capacity;
};

rml_status rml_blender_create(rml_blender **out, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_blender *blender;
    RML_TRY(rml_make(allocator, &blender, 1, sizeof *blender, "a blender", err));
    blender->allocator = allocator;
    *out = blender;
    return RML_OK;
}

void rml_blender_destroy(rml_blender **blender)
{
    rml_blender *old = *blender;
    *blender = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->across);
    rml_free(old->allocator, old->down);
    rml_free(old->allocator, old);
}

static uint8_t ramp_weight(int distance, int margin)
{
    if (distance >= margin)
        return 255;
    double t = (distance + 0.5) / margin;
    return (uint8_t)(255.0 * t * t * (3.0 - 2.0 * t) + 0.5);
}

static void fill_ramp(uint8_t *ramp, int length, int begin, int end)
{
    int64_t both = (int64_t)begin + end;
    if (both > length) {
        begin = (int)(begin * (int64_t)length / both);
        end = length - begin;
    }
    for (int i = 0; i < length; i++) {
        uint8_t from_begin = ramp_weight(i, begin), from_end = ramp_weight(length - 1 - i, end);
        ramp[i] = from_begin < from_end ? from_begin : from_end;
    }
}

static bool same_feather(const rml_feather *a, const rml_feather *b)
{
    return a->top == b->top && a->bottom == b->bottom && a->left == b->left && a->right == b->right;
}

static uint8_t *reserve_ramp(rml_blender *b, uint8_t *ramp, size_t *capacity, int length)
{
    if ((size_t)length <= *capacity)
        return ramp;
    rml_free(b->allocator, ramp);
    ramp = rml_alloc(b->allocator, (size_t)length);
    *capacity = ramp ? (size_t)length : 0;
    return ramp;
}

static rml_status prepare(rml_blender *b, int width, int height, const rml_feather *feather,
                          rml_error *err)
{
    if (b->ready && b->width == width && b->height == height && same_feather(&b->feather, feather))
        return RML_OK;
    b->ready = false;
    b->across = reserve_ramp(b, b->across, &b->across_capacity, width);
    b->down = reserve_ramp(b, b->down, &b->down_capacity, height);
    if (!b->across || !b->down)
        return rml_fail_nomem(err, (size_t)width + (size_t)height, "blend weights");
    fill_ramp(b->across, width, feather->left, feather->right);
    fill_ramp(b->down, height, feather->top, feather->bottom);
    b->width = width;
    b->height = height;
    b->feather = *feather;
    b->ready = true;
    return RML_OK;
}

// value / 255 rounded to nearest, exact for 0 .. 255 * 255.
static unsigned divide_255(unsigned value)
{
    value += 128;
    return (value + (value >> 8)) >> 8;
}

static void blend_row(uint8_t *canvas, const uint8_t *patch, const uint8_t *across, unsigned down,
                      int count)
{
    for (int x = 0; x < count; x++) {
        unsigned w = divide_255(across[x] * down);
        for (int c = 0; c < RML_FRAME_CHANNELS; c++, canvas++, patch++)
            *canvas = (uint8_t)divide_255(*canvas * (255 - w) + *patch * w);
    }
}

static bool margin_is_valid(int margin)
{
    return margin >= 0 && margin <= RML_FRAME_MAX_SIDE;
}

rml_status rml_blend_paste(rml_blender *blender, rml_frame *canvas, int x, int y, rml_pixels patch,
                           rml_feather feather, rml_error *err)
{
    if (patch.width < 1 || patch.height < 1 || patch.width > RML_FRAME_MAX_SIDE ||
        patch.height > RML_FRAME_MAX_SIDE)
        return rml_fail(err, RML_ERR_ARG, "paste: the patch is %dx%d", patch.width, patch.height);
    if (!margin_is_valid(feather.top) || !margin_is_valid(feather.bottom) ||
        !margin_is_valid(feather.left) || !margin_is_valid(feather.right))
        return rml_fail(err, RML_ERR_ARG, "paste: soft edges of %d, %d, %d, %d pixels", feather.top,
                        feather.bottom, feather.left, feather.right);
    RML_TRY(prepare(blender, patch.width, patch.height, &feather, err));

    // The part of the patch that lies on the canvas.
    int64_t left = x < 0 ? -(int64_t)x : 0, top = y < 0 ? -(int64_t)y : 0;
    int64_t right = (int64_t)canvas->width - x, bottom = (int64_t)canvas->height - y;
    if (right > patch.width)
        right = patch.width;
    if (bottom > patch.height)
        bottom = patch.height;
    if (left >= right || top >= bottom)
        return RML_OK;
    bool hard = !feather.top && !feather.bottom && !feather.left && !feather.right;
    for (int64_t row = top; row < bottom; row++) {
        uint8_t *to = canvas->data + (size_t)(y + row) * canvas->pitch +
                      (size_t)(x + left) * RML_FRAME_CHANNELS;
        const uint8_t *from =
            patch.data + (size_t)row * patch.pitch + (size_t)left * RML_FRAME_CHANNELS;
        if (hard)
            memcpy(to, from, (size_t)(right - left) * RML_FRAME_CHANNELS);
        else
            blend_row(to, from, blender->across + left, blender->down[row], (int)(right - left));
    }
    return RML_OK;
}
