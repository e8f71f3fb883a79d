// Resize and paste against their definitions, written out the slow way.
#include "tests/support/check.h"
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

int main(void)
{
    allocator = rml_allocator_default();
    test_resize();
    return check_result();
}
