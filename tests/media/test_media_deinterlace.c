// Two fields made one picture: what stands still stays, lines of the first field stay, what moves
// is as it would have been without fields.
#include "media/image/deinterlace.h"

#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 61, HEIGHT = 40, MOST = 80 };

typedef struct {
    uint8_t *data;
    ptrdiff_t stride;
} plane;

// A picture of `bytes` a sample, that AddressSanitizer watches.
static plane plane_of(int width, int height, int bytes)
{
    const size_t stride = (size_t)width * (size_t)bytes;
    plane p = {malloc(stride * (size_t)height), (ptrdiff_t)stride};
    if (!p.data)
        abort();
    return p;
}

static int get(const plane *p, int bytes, int x, int y)
{
    const uint8_t *at = p->data + y * p->stride + x * bytes;
    uint16_t wide;
    if (bytes == 1)
        return *at;
    memcpy(&wide, at, sizeof wide);
    return wide;
}

static void put(plane *p, int bytes, int x, int y, int value)
{
    const uint16_t wide = (uint16_t)value;
    if (bytes == 1)
        p->data[y * p->stride + x] = (uint8_t)value;
    else
        memcpy(p->data + y * p->stride + x * bytes, &wide, sizeof wide);
}

// A smooth pattern that is `shift` pixels to the right.
static int pattern(int bytes, double shift, int x, int y)
{
    const double value = 0.5 + 0.25 * sin((x - shift) / 5.0) + 0.2 * sin(y / 4.0 + x / 9.0);
    return (int)(value * (bytes == 1 ? 255 : 4095));
}

// The picture at `time`, of which the second field is half a step later.
static void weave(plane *p, int bytes, int width, int height, double time, double speed,
                  bool top_first)
{
    for (int y = 0; y < height; y++) {
        const bool second = (y % 2 == 0) != top_first;
        for (int x = 0; x < width; x++)
            put(p, bytes, x, y, pattern(bytes, speed * (time + 0.5 * second), x, y));
    }
}

static void run(int width, int height, int bytes, int step, double speed, bool top_first)
{
    plane pictures[3], out = plane_of(width, height, bytes);
    for (int i = 0; i < 3; i++) {
        pictures[i] = plane_of(width, height, bytes);
        weave(&pictures[i], bytes, width, height, i - 1, speed, top_first);
    }
    const rml_woven_plane woven = {.before = pictures[0].data,
                                   .at = pictures[1].data,
                                   .after = pictures[2].data,
                                   .before_stride = pictures[0].stride,
                                   .stride = pictures[1].stride,
                                   .after_stride = pictures[2].stride,
                                   .width = width,
                                   .height = height,
                                   .step = step,
                                   .top_first = top_first};
    (bytes == 1 ? rml_deinterlace_u8 : rml_deinterlace_u16)(&woven, out.data, out.stride);
    double wrong = 0, combed = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const int truth = pattern(bytes, 0, x, y), got = get(&out, bytes, x, y);
            const bool kept = height < 2 || (y % 2 == 0) == top_first;
            CHECK(!kept || got == truth);
            wrong += pow(got - truth, 2);
            combed += pow(get(&pictures[1], bytes, x, y) - truth, 2);
        }
    CHECK_MSG(speed > 0 ? wrong < combed / 20 + 1 : wrong == 0, "%dx%d, %d bytes, %g: %g of %g",
              width, height, bytes, speed, wrong, combed);
    for (int i = 0; i < 3; i++)
        free(pictures[i].data);
    free(out.data);
}

int main(void)
{
    static const int sizes[][2] = {
        {WIDTH, HEIGHT}, {MOST, HEIGHT + 1}, {1, 1}, {5, 2}, {3, 3}, {7, 4}, {64, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int bytes = 1; bytes <= 2; bytes++)
            for (int step = 1; step <= 4; step += step)
                for (int top = 0; top < 2; top++) {
                    run(sizes[i][0], sizes[i][1], bytes, step, 0, top);
                    if (sizes[i][1] >= HEIGHT)
                        run(sizes[i][0], sizes[i][1], bytes, step, 8, top);
                }
    return check_result();
}
