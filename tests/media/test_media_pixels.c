// Resize and paste against their definitions, written out the slow way.
#include "tests/support/check.h"
#include "media/image/blend.h"
#include "media/image/resize_opencv.h"

#include <limits.h>

static const rml_allocator *allocator;
static uint32_t state = 1;

static uint32_t next_random(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

// One output sample, straight from the formulas of the specification.
static int slow_sample(const uint8_t *src, size_t pitch, int sw, int sh, int dw, int dh,
                       int channels, int x, int y, int c)
{
    float fx = (float)((x + 0.5) * ((double)sw / dw) - 0.5);
    float fy = (float)((y + 0.5) * ((double)sh / dh) - 0.5);
    int sx = (int)floorf(fx), sy = (int)floorf(fy);
    float ax = fx - (float)sx, ay = fy - (float)sy;
    if (sx < 0)
        sx = 0, ax = 0;
    if (sx >= sw - 1)
        sx = sw - 1, ax = 0;
    int a0 = (int)lrintf((1.0f - ax) * 2048), a1 = (int)lrintf(ax * 2048);
    int b0 = (int)lrintf((1.0f - ay) * 2048), b1 = (int)lrintf(ay * 2048);
    int right = clamp(sx + 1, 0, sw - 1);
    const uint8_t *row0 = src + (size_t)clamp(sy, 0, sh - 1) * pitch;
    const uint8_t *row1 = src + (size_t)clamp(sy + 1, 0, sh - 1) * pitch;
    int h0 = row0[sx * channels + c] * a0 + row0[right * channels + c] * a1;
    int h1 = row1[sx * channels + c] * a0 + row1[right * channels + c] * a1;
    return (((b0 * (h0 >> 4)) >> 16) + ((b1 * (h1 >> 4)) >> 16) + 2) >> 2;
}

static void test_resize(void)
{
    enum { MAX = 70, PITCH = MAX * 4 + 9 };
    static uint8_t src[MAX * PITCH], dst[MAX * PITCH];
    rml_resizer *resizer;
    CHECK(rml_resizer_create(&resizer, allocator, NULL) == RML_OK);
    int wrong = 0, outside = 0;
    for (int round = 0; round < 400; round++) {
        static const int channel_choice[] = {1, 3, 4};
        int channels = channel_choice[next_random() % 3];
        int sw = 1 + (int)(next_random() % MAX), sh = 1 + (int)(next_random() % MAX);
        int dw = 1 + (int)(next_random() % MAX), dh = 1 + (int)(next_random() % MAX);
        for (size_t i = 0; i < sizeof src; i++)
            src[i] = (uint8_t)next_random();
        memset(dst, 0xA5, sizeof dst);
        CHECK(rml_resize_opencv(resizer, (rml_pixels){src, PITCH, sw, sh},
                                (rml_pixels_out){dst, PITCH, dw, dh}, channels, NULL) == RML_OK);
        for (int y = 0; y < MAX; y++)
            for (int i = 0; i < PITCH; i++) {
                int got = dst[y * PITCH + i];
                if (y >= dh || i >= dw * channels)
                    outside += got != 0xA5;
                else if (sw == dw && sh == dh)
                    wrong += got != src[y * PITCH + i];
                else
                    wrong += got != slow_sample(src, PITCH, sw, sh, dw, dh, channels, i / channels,
                                                y, i % channels);
            }
    }
    CHECK_MSG(wrong == 0, "%d samples differ", wrong);
    CHECK_MSG(outside == 0, "%d bytes outside the rectangle were written", outside);
    rml_error err = {0};
    CHECK(rml_resize_opencv(resizer, (rml_pixels){src, PITCH, 0, 4},
                            (rml_pixels_out){dst, PITCH, 4, 4}, 3, &err) == RML_ERR_ARG);
    CHECK(strstr(err.message, "0x4") != NULL);
    CHECK(rml_resize_opencv(resizer, (rml_pixels){src, PITCH, 4, 4},
                            (rml_pixels_out){dst, PITCH, 4, 4}, 2, NULL) == RML_ERR_ARG);
    rml_resizer_destroy(&resizer);
    CHECK(resizer == NULL);
}

static double slow_ramp(int i, int length, int begin, int end)
{
    double weight = 255;
    if (i < begin) {
        double t = (i + 0.5) / begin;
        weight = 255 * (3 * t * t - 2 * t * t * t);
    }
    int back = length - 1 - i;
    if (back < end) {
        double t = (back + 0.5) / end, other = 255 * (3 * t * t - 2 * t * t * t);
        weight = other < weight ? other : weight;
    }
    return floor(weight + 0.5);
}

static void test_paste(void)
{
    enum { W = 50, H = 40, PW = 21, PH = 17 };
    static uint8_t patch[PW * PH * 3];
    static const rml_feather feathers[] = {{0, 0, 0, 0}, {3, 5, 2, 4}, {0, 6, 0, 0}, {1, 1, 1, 1}};
    rml_blender *blender;
    CHECK(rml_blender_create(&blender, allocator, NULL) == RML_OK);
    rml_frame canvas = {0}, before = {0};
    CHECK(rml_frame_reserve(&canvas, W, H, allocator, NULL) == RML_OK);
    int wrong = 0, outside = 0;
    for (int round = 0; round < 200; round++) {
        const rml_feather *f = &feathers[round % 4];
        for (size_t i = 0; i < sizeof patch; i++)
            patch[i] = (uint8_t)next_random();
        for (size_t i = 0; i < canvas.pitch * H; i++)
            canvas.data[i] = (uint8_t)next_random();
        CHECK(rml_frame_copy(&before, &canvas, allocator, NULL) == RML_OK);
        int x0 = (int)(next_random() % (W + 2 * PW)) - PW;
        int y0 = (int)(next_random() % (H + 2 * PH)) - PH;
        CHECK(rml_blend_paste(blender, &canvas, x0, y0, (rml_pixels){patch, PW * 3, PW, PH}, *f,
                              NULL) == RML_OK);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                for (int c = 0; c < 3; c++) {
                    int old = before.data[(size_t)y * before.pitch + (size_t)(x * 3 + c)];
                    int got = canvas.data[(size_t)y * canvas.pitch + (size_t)(x * 3 + c)];
                    int px = x - x0, py = y - y0;
                    if (px < 0 || py < 0 || px >= PW || py >= PH) {
                        outside += got != old;
                        continue;
                    }
                    double w = slow_ramp(px, PW, f->left, f->right) *
                               slow_ramp(py, PH, f->top, f->bottom) / 255;
                    w = floor(w + 0.5);
                    int new = patch[(py * PW + px) * 3 + c];
                    wrong += got != (int)floor((old * (255 - w) + new *w) / 255 + 0.5);
                }
    }
    CHECK_MSG(wrong == 0, "%d samples differ", wrong);
    CHECK_MSG(outside == 0, "%d samples outside the box changed", outside);
    // Far away, at the limits of int, and with margins larger than the patch.
    rml_pixels all = {patch, PW * 3, PW, PH};
    rml_feather wide = {100, 100, 100, 100};
    CHECK(rml_frame_copy(&before, &canvas, allocator, NULL) == RML_OK);
    CHECK(rml_blend_paste(blender, &canvas, INT_MIN, INT_MIN, all, wide, NULL) == RML_OK);
    CHECK(rml_blend_paste(blender, &canvas, INT_MAX, INT_MAX, all, wide, NULL) == RML_OK);
    for (int y = 0; y < H; y++)
        CHECK(memcmp(before.data + (size_t)y * before.pitch, canvas.data + (size_t)y * canvas.pitch,
                     W * 3) == 0);
    CHECK(rml_blend_paste(blender, &canvas, 1, 1, all, wide, NULL) == RML_OK);
    CHECK(rml_blend_paste(blender, &canvas, 1, 1, (rml_pixels){patch, 0, 0, 3}, wide, NULL) ==
          RML_ERR_ARG);
    CHECK(rml_blend_paste(blender, &canvas, 1, 1, all, (rml_feather){-1, 0, 0, 0}, NULL) ==
          RML_ERR_ARG);
    rml_frame_release(&canvas);
    rml_frame_release(&before);
    rml_blender_destroy(&blender);
}

int main(void)
{
    allocator = rml_allocator_default();
    test_resize();
    test_paste();
    return check_result();
}
