// Masks of a face: rectangles against their formula, the mouth by where its edge lies and how it
// turns with the head, gray pictures, bounds.
#include "pipelines/lipsync/face_mask.h"

#include "media/image/resize_pillow.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/uniform.h"

enum { WIDTH = 120, HEIGHT = 150, COUNT = WIDTH * HEIGHT };
static const rml_mask_border nowhere = {false, false, false, false};
static const rml_mask_border everywhere = {true, true, true, true};
static rml_error err;

// A face seen from the front: eyes and mouth are 40 apart.
static const float front[RML_MASK_MARKS][2] = {{40, 50}, {80, 50}, {60, 72}, {43, 90}, {77, 90}};
#define DISTANCE 40.0f

static void draw(float *mask, int width, int height, rml_mask_kind kind, float feather,
                 rml_mask_border border, const float (*marks)[2])
{
    const rml_mask_settings settings = {kind, feather, border, marks};
    CHECK_MSG(rml_mask_draw(mask, width, height, &settings, &err) == RML_OK, "%s", err.message);
    // It lies within what it is said to reach.
    const rml_part in = rml_mask_bounds(mask, width, height),
                   of = rml_mask_reach(width, height, &settings);
    CHECK(of.x >= 0 && of.y >= 0 && of.x + of.width <= width && of.y + of.height <= height);
    CHECK_MSG(!in.width || (in.x >= of.x && in.y >= of.y && in.x + in.width <= of.x + of.width &&
                            in.y + in.height <= of.y + of.height),
              "%dx%d from (%d,%d) reaches out of %dx%d from (%d,%d)", in.width, in.height, in.x,
              in.y, of.width, of.height, of.x, of.y);
}

static double smoothstep(double t)
{
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}

// The weight of a line `index` of `count` between two soft edges.
static double ramp(int index, int count, double first, double last)
{
    const double fit = first + last > count ? count / (first + last) : 1;
    const double a = first > 0 ? smoothstep((index + 0.5) / (first * fit)) : 1;
    const double b = last > 0 ? smoothstep((count - index - 0.5) / (last * fit)) : 1;
    return a * b;
}

static void check_rectangle(int width, int height, rml_mask_kind kind, float feather,
                            rml_mask_border border)
{
    static float mask[COUNT];
    draw(mask, width, height, kind, feather, border, NULL);
    const double soft = (double)feather * (width < height ? width : height);
    const int top = kind == RML_MASK_LOWER ? height / 2 : 0;
    double worst = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const double want =
                y < top ? 0
                        : ramp(y - top, height - top, border.top && !top ? 0 : soft,
                               border.bottom ? 0 : soft) *
                              ramp(x, width, border.left ? 0 : soft, border.right ? 0 : soft);
            worst = fmax(worst, fabs((double)mask[y * width + x] - want));
        }
    CHECK_MSG(worst < 1e-6, "%dx%d kind %d feather %g: off by %g", width, height, (int)kind,
              (double)feather, worst);
}

// A hard edge ends where the reach does, but for rounding and the curve's ends.
static void test_reach(void)
{
    static float mask[COUNT];
    const float(*const marks[])[2] = {front, NULL};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const rml_mask_settings settings = {RML_MASK_MOUTH, 0, everywhere, marks[i]};
        const rml_part of = rml_mask_reach(WIDTH, HEIGHT, &settings);
        draw(mask, WIDTH, HEIGHT, RML_MASK_MOUTH, 0, everywhere, marks[i]);
        const rml_part in = rml_mask_bounds(mask, WIDTH, HEIGHT);
        CHECK(in.x - of.x <= 1 && in.y - of.y <= 1 && of.width - in.width <= 2 &&
              of.height - in.height <= 2);
    }
}

static void test_rectangles(void)
{
    static const float feathers[] = {0, 0.001f, 0.1f, 0.37f, 0.5f};
    static const int sizes[][2] = {{WIDTH, HEIGHT}, {96, 60}, {7, 9}, {1, 1}, {1, 5}, {5, 1}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t f = 0; f < sizeof feathers / sizeof *feathers; f++)
            for (unsigned sides = 0; sides < 16; sides++) {
                const rml_mask_border border = {sides & 1, sides & 2, sides & 4, sides & 8};
                check_rectangle(sizes[s][0], sizes[s][1], RML_MASK_BOX, feathers[f], border);
                check_rectangle(sizes[s][0], sizes[s][1], RML_MASK_LOWER, feathers[f], border);
            }
}

static float at(const float *mask, float x, float y)
{
    return mask[(int)y * WIDTH + (int)x];
}

static void test_mouth(void)
{
    static float mask[COUNT], flipped[COUNT], hard[COUNT];
    draw(mask, WIDTH, HEIGHT, RML_MASK_MOUTH, RML_MASK_FEATHER_DEFAULT, nowhere, front);
    CHECK(at(mask, 60, 90) == 1 && at(mask, 43, 90) == 1 && at(mask, 77, 90) == 1);
    CHECK(at(mask, 60, 90 + 0.6f * DISTANCE) == 1 && at(mask, 60, 84) == 1); // both lips, open
    CHECK(at(mask, 60, 90 + 0.75f * DISTANCE) > 0.5f);                       // the chin
    CHECK(at(mask, 60, 71) == 0 && at(mask, 40, 50) == 0 && at(mask, 80, 50) == 0);
    CHECK(at(mask, 10, 90) == 0 && at(mask, 110, 90) == 0 && at(mask, 60, 145) == 0);
    // The edge is as wide as it is said to be, above and below and to the side.
    const float soft = RML_MASK_FEATHER_DEFAULT * WIDTH;
    static const int ways[][2] = {{0, -1}, {0, 1}, {1, 0}, {-1, 0}};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        int solid = 0, end = 0;
        float last = 1;
        for (int i = 0; i < 60; i++) {
            const float weight = mask[(90 + i * ways[w][1]) * WIDTH + 60 + i * ways[w][0]];
            CHECK(weight <= last);
            last = weight;
            solid += weight > 0.999f;
            end += weight > 0.001f;
        }
        CHECK_MSG(fabsf((float)(end - solid) - soft) <= 1.5f, "way %zu: %d to %d", w, solid, end);
    }
    // What is mirrored stays so.
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            flipped[y * WIDTH + x] = mask[y * WIDTH + WIDTH - 1 - x];
    for (int i = 0; i < COUNT; i++)
        CHECK(fabsf(flipped[i] - mask[i]) < 1e-5f);
    // A hard edge lies where the soft one ends.
    draw(hard, WIDTH, HEIGHT, RML_MASK_MOUTH, 0, nowhere, front);
    for (int i = 0; i < COUNT; i++)
        CHECK(hard[i] == (mask[i] > 0 ? 1.0f : 0.0f));
}

// A tilted head has the same mask, tilted.
static void test_tilted(void)
{
    static float upright[COUNT], tilted[COUNT];
    draw(upright, WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, everywhere, front);
    for (int degrees = -90; degrees <= 180; degrees += 45) {
        const double angle = degrees * 3.14159265358979323846 / 180;
        const double c = cos(angle), s = sin(angle), mx = WIDTH / 2.0, my = HEIGHT / 2.0;
        float marks[RML_MASK_MARKS][2];
        for (int i = 0; i < RML_MASK_MARKS; i++) {
            const double x = (double)front[i][0] - mx, y = (double)front[i][1] - my;
            marks[i][0] = (float)(mx + c * x - s * y);
            marks[i][1] = (float)(my + s * x + c * y);
        }
        draw(tilted, WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, everywhere, (const float(*)[2])marks);
        double worst = 0;
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                const double dx = x + 0.5 - mx, dy = y + 0.5 - my;
                const double fx = mx + c * dx + s * dy - 0.5, fy = my - s * dx + c * dy - 0.5;
                const int ix = (int)floor(fx), iy = (int)floor(fy);
                if (ix < 0 || iy < 0 || ix >= WIDTH - 1 || iy >= HEIGHT - 1)
                    continue;
                const float *p = upright + iy * WIDTH + ix;
                const double a = fx - ix, b = fy - iy;
                const double want = (1 - b) * ((1 - a) * (double)p[0] + a * (double)p[1]) +
                                    b * ((1 - a) * (double)p[WIDTH] + a * (double)p[WIDTH + 1]);
                worst = fmax(worst, fabs(want - (double)tilted[y * WIDTH + x]));
            }
        CHECK_MSG(worst < 0.02, "%d degrees: off by %g", degrees, worst);
    }
}

// Marks of no face are as good as none; those of a face outside the crop give an empty mask.
static void test_strange_marks(void)
{
    static float known[COUNT], mask[COUNT];
    draw(known, WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere, NULL);
    const rml_part bounds = rml_mask_bounds(known, WIDTH, HEIGHT);
    CHECK(bounds.x > 0 && bounds.y > HEIGHT / 3 && bounds.width > WIDTH / 3);
    CHECK(known[(int)(0.75f * HEIGHT) * WIDTH + WIDTH / 2] == 1);
    static const float values[] = {NAN, INFINITY, -INFINITY, 1e6f, -3e38f};
    float marks[RML_MASK_MARKS][2];
    for (size_t v = 0; v < sizeof values / sizeof *values; v++)
        for (int i = 0; i < 2 * RML_MASK_MARKS; i++) {
            memcpy(marks, front, sizeof marks);
            marks[i / 2][i % 2] = values[v];
            draw(mask, WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere, (const float(*)[2])marks);
            CHECK(memcmp(mask, known, sizeof mask) == 0);
        }
    for (int i = 0; i < RML_MASK_MARKS; i++)
        marks[i][0] = marks[i][1] = 30;
    draw(mask, WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere, (const float(*)[2])marks);
    CHECK(memcmp(mask, known, sizeof mask) == 0);
    for (int i = 0; i < RML_MASK_MARKS; i++) {
        marks[i][0] = front[i][0] + 9e5f;
        marks[i][1] = front[i][1];
    }
    draw(mask, WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere, (const float(*)[2])marks);
    CHECK(rml_mask_bounds(mask, WIDTH, HEIGHT).width == 0);
    // Any marks give weights.
    for (uint64_t seed = 0; seed < 200; seed++) {
        for (int i = 0; i < 2 * RML_MASK_MARKS; i++)
            marks[i / 2][i % 2] = uniform_f32(seed, (size_t)i) * (seed % 2 ? 9.9e5f : 40);
        const int width = 1 + (int)(seed % 20), height = 1 + (int)(seed % 17);
        draw(mask, width, height, RML_MASK_MOUTH, 0.05f * (float)(seed % 11), nowhere,
             (const float(*)[2])marks);
        for (int i = 0; i < width * height; i++)
            CHECK(mask[i] >= 0 && mask[i] <= 1);
    }
}

static void test_names_and_refusals(void)
{
    rml_mask_kind kind;
    for (int i = RML_MASK_MOUTH; i <= RML_MASK_BOX; i++)
        CHECK(rml_mask_kind_parse(rml_mask_kind_name((rml_mask_kind)i), &kind) && (int)kind == i);
    CHECK(rml_mask_kind_parse("lower", &kind) && kind == RML_MASK_LOWER);
    CHECK(!rml_mask_kind_parse("", &kind) && !rml_mask_kind_parse("mouths", &kind));
    float value;
    static const float bad[] = {-0.01f, 0.51f, NAN, INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const rml_mask_settings settings = {.feather = bad[i]};
        CHECK(rml_mask_draw(&value, 1, 1, &settings, &err) == RML_ERR_ARG);
        CHECK(strstr(err.message, "soft edge"));
    }
    const rml_mask_settings settings = {.feather = 0};
    CHECK(rml_mask_draw(&value, 0, 1, &settings, &err) == RML_ERR_ARG);
    CHECK(rml_mask_draw(&value, 1, RML_FRAME_MAX_SIDE + 1, &settings, &err) == RML_ERR_ARG);
}

static void test_picture(void)
{
    enum { COLUMNS = 12, ROWS = 9 };
    static uint8_t gray[COLUMNS * ROWS], levels[COUNT];
    static float mask[COUNT];
    for (size_t i = 0; i < COLUMNS * ROWS; i++)
        gray[i] = i % 3 ? (uint8_t)uniform_bits(1, i) : i % 2 ? 255 : 0;
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    const rml_pixels picture = {gray, COLUMNS, COLUMNS, ROWS};
    const rml_resize_pillow_part whole = {.width = WIDTH, .height = HEIGHT};
    const rml_pixels_out out = {levels, WIDTH, WIDTH, HEIGHT};
    CHECK(rml_resize_pillow(picture, out, &whole, 1, &allocator, &err) == RML_OK);
    size_t failures = 0;
    for (rml_status status = RML_ERR_NOMEM; status != RML_OK; failures++) {
        count.fail_at = count.calls + failures + 1;
        status = rml_mask_stretch(mask, WIDTH, HEIGHT, picture, &allocator, &err);
        CHECK(status == RML_OK || (status == RML_ERR_NOMEM && err.message[0]));
        CHECK(count.live_bytes == 0);
    }
    CHECK(failures > 3);
    for (int i = 0; i < COUNT; i++)
        CHECK(mask[i] == (float)levels[i] / 255.0f);
    // At its own size it is itself, and white is 1.
    count.fail_at = 0;
    CHECK(rml_mask_stretch(mask, COLUMNS, ROWS, picture, &allocator, &err) == RML_OK);
    for (int i = 0; i < COLUMNS * ROWS; i++)
        CHECK(mask[i] == (float)gray[i] / 255.0f && (gray[i] < 255 || mask[i] == 1));
    const rml_pixels empty = {gray, COLUMNS, 0, ROWS};
    CHECK(rml_mask_stretch(mask, COLUMNS, ROWS, empty, &allocator, &err) == RML_ERR_ARG);
    CHECK(rml_mask_stretch(mask, 0, ROWS, picture, &allocator, &err) == RML_ERR_ARG);
}

static void test_bounds(void)
{
    enum { SIDE = 9 };
    float mask[SIDE * SIDE];
    for (uint64_t seed = 0; seed < 300; seed++) {
        int left = SIDE, right = -1, top = SIDE, bottom = -1;
        for (int i = 0; i < SIDE * SIDE; i++) {
            mask[i] = uniform_bits(seed, (size_t)i) % 90 < seed % 4 ? 0.01f : 0;
            if (mask[i] > 0) {
                left = i % SIDE < left ? i % SIDE : left;
                right = i % SIDE > right ? i % SIDE : right;
                top = i / SIDE < top ? i / SIDE : top;
                bottom = i / SIDE;
            }
        }
        const rml_part part = rml_mask_bounds(mask, SIDE, SIDE);
        if (right < 0)
            CHECK(part.x == 0 && part.y == 0 && part.width == 0 && part.height == 0);
        else
            CHECK(part.x == left && part.y == top && part.width == right - left + 1 &&
                  part.height == bottom - top + 1);
    }
}

int main(void)
{
    test_rectangles();
    test_reach();
    test_mouth();
    test_tilted();
    test_strange_marks();
    test_names_and_refusals();
    test_picture();
    test_bounds();
    return check_result();
}
