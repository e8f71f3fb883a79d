// The membrane along a mask's edge: against Laplace's equation solved in double, and what it
// promises of steps, of what differs inside, and of what it leaves alone.
#include "pipelines/lipsync/seam.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/uniform.h"

enum { WIDTH = 90, HEIGHT = 110, PLANE = WIDTH * HEIGHT, COUNT = 3 * PLANE };
#define LEVEL (1.0f / 255.0f)

static const rml_mask_border nowhere = {false, false, false, false};
static const rml_mask_border everywhere = {true, true, true, true};
static float mask[PLANE], old[COUNT], made[COUNT], result[COUNT], difference[COUNT];
static rml_error err;
static rml_seam *seam;
static float step; // of the last match

static void draw(int width, int height, rml_mask_kind kind, float feather, rml_mask_border border)
{
    const rml_mask_settings settings = {kind, feather, border, NULL};
    CHECK(rml_mask_draw(mask, width, height, &settings, &err) == RML_OK);
}

// The film is noise, and the new face is that less `difference`.
static void match(int width, int height, rml_mask_border border)
{
    const size_t count = (size_t)(3 * width * height);
    uniform_fill(old, count, 3, 'p');
    for (size_t i = 0; i < count; i++)
        result[i] = made[i] = old[i] - difference[i];
    CHECK_MSG(rml_seam_match(seam, result, old, mask, width, height, border, &step, &err) == RML_OK,
              "%s", err.message);
    const size_t plane = (size_t)(width * height);
    for (size_t i = 0; i < count; i++)
        if (mask[i % plane] == 0)
            CHECK(result[i] == made[i]);
}

// Most that is left of the difference, in levels.
static float left_over(int width, int height)
{
    float most = 0;
    const int plane = width * height;
    for (int i = 0; i < 3 * plane; i++)
        if (mask[i % plane] > 0)
            most = fmaxf(most, fabsf(result[i] - old[i]) / LEVEL);
    return most;
}

static void test_even_differences(void)
{
    static const float feathers[] = {0, 0.1f};
    for (int kind = RML_MASK_MOUTH; kind <= RML_MASK_BOX; kind++)
        for (int f = 0; f < 2; f++)
            for (unsigned sides = 0; sides < 15; sides++) {
                const rml_mask_border border = {sides & 1, sides & 2, sides & 4, sides & 8};
                draw(WIDTH, HEIGHT, (rml_mask_kind)kind, feathers[f], border);
                for (int i = 0; i < COUNT; i++)
                    difference[i] = 0.1f * (float)(1 + i / PLANE);
                match(WIDTH, HEIGHT, border);
                CHECK_MSG(left_over(WIDTH, HEIGHT) < 0.05f, "constant, kind %d, sides %u: %g", kind,
                          sides, (double)left_over(WIDTH, HEIGHT));
                // The mean of 0.1, 0.2 and 0.3; a box without an edge has none.
                const float told = kind == RML_MASK_BOX && sides == 15 ? 0 : 0.2f;
                CHECK_MSG(fabsf(step - told) < 1e-4f, "kind %d, sides %u: %g", kind, sides,
                          (double)step);
                // 25 levels down and 13 across the crop; where a side is free it cannot be known.
                for (int i = 0; i < COUNT; i++)
                    difference[i] = 0.1f * (float)(i % PLANE / WIDTH) / HEIGHT -
                                    0.05f * (float)(i % WIDTH) / WIDTH;
                match(WIDTH, HEIGHT, border);
                if (sides == 0)
                    CHECK_MSG(left_over(WIDTH, HEIGHT) < 0.6f, "ramp, kind %d: %g", kind,
                              (double)left_over(WIDTH, HEIGHT));
            }
}

static bool on_edge(int x, int y, bool whole)
{
    if (mask[y * WIDTH + x] == 0)
        return false;
    if (x == 0 || y == 0 || x == WIDTH - 1 || y == HEIGHT - 1)
        return whole;
    return mask[y * WIDTH + x - 1] == 0 || mask[y * WIDTH + x + 1] == 0 ||
           mask[(y - 1) * WIDTH + x] == 0 || mask[(y + 1) * WIDTH + x] == 0;
}

// Light that differs by up to a level from pixel to pixel leaves no step: what is left on the first
// pixels inside the edge is under a level.
static void test_step_at_the_edge(void)
{
    for (int kind = RML_MASK_MOUTH; kind <= RML_MASK_BOX; kind++) {
        draw(WIDTH, HEIGHT, (rml_mask_kind)kind, 0, nowhere);
        for (int i = 0; i < COUNT; i++)
            difference[i] = 0.1f * sinf((float)(i % WIDTH) / 38 + (float)(i / PLANE)) *
                                cosf((float)(i % PLANE / WIDTH) / 46) -
                            0.05f;
        match(WIDTH, HEIGHT, nowhere);
        float before = 0, after = 0;
        for (int i = 0; i < COUNT; i++)
            if (on_edge(i % WIDTH, i % PLANE / WIDTH, true)) {
                before = fmaxf(before, fabsf(difference[i]) / LEVEL);
                after = fmaxf(after, fabsf(result[i] - old[i]) / LEVEL);
            }
        CHECK_MSG(before > 20 && after < 1, "kind %d: a step of %g, before of %g", kind,
                  (double)after, (double)before);
    }
}

// What the mouth does, far from the edge, is the same to the bit.
static void test_inside(void)
{
    draw(WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere);
    memset(difference, 0, sizeof difference);
    for (int c = 0; c < 3; c++)
        for (int y = 75; y < 90; y++)
            for (int x = 35; x < 55; x++)
                difference[c * PLANE + y * WIDTH + x] = 0.5f;
    match(WIDTH, HEIGHT, nowhere);
    CHECK(memcmp(result, made, sizeof made) == 0);
    // And it stays what it is where the light is brought to that of the film.
    for (int i = 0; i < COUNT; i++)
        difference[i] += 0.1f;
    match(WIDTH, HEIGHT, nowhere);
    float worst = 0;
    for (int i = 0; i < COUNT; i++)
        if (mask[i % PLANE] > 0) {
            const float own = difference[i] > 0.3f ? 0.5f : 0;
            worst = fmaxf(worst, fabsf(result[i] - (old[i] - own)));
        }
    CHECK_MSG(worst < 0.05f * LEVEL, "off by %g levels", (double)(worst / LEVEL));
}

// ---- Laplace's equation -------------------------------------------------------------------------

static double *solution; // of one plane, by Gauss-Seidel

static bool is_free(int x, int y, int width, int height, rml_mask_border b)
{
    return mask[y * width + x] > 0 && (x > 0 || b.left) && (x < width - 1 || b.right) &&
           (y > 0 || b.top) && (y < height - 1 || b.bottom);
}

static void relax(int width, int height, rml_mask_border b)
{
    for (int round = 0; round < 1500; round++)
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                if (!is_free(x, y, width, height, b))
                    continue;
                double *at = solution + y * width + x;
                const double left = x > 0 ? at[-1] : at[0], up = y > 0 ? at[-width] : at[0];
                const double right = x < width - 1 ? at[1] : at[0];
                const double down = y < height - 1 ? at[width] : at[0];
                *at += 1.8 * ((left + right + up + down) / 4 - *at);
            }
}

static void check_equation(int width, int height, rml_mask_kind kind, rml_mask_border border)
{
    const int plane = width * height;
    draw(width, height, kind, 0.1f, border);
    for (int i = 0; i < 3 * plane; i++) {
        const double x = (double)(i % width) / width, y = (double)(i % plane / width) / height;
        difference[i] = (float)(0.2 * cos(3 * x + i / plane) * sin(4 * y) + 0.1 * x);
    }
    match(width, height, border);
    solution = malloc(sizeof *solution * (size_t)plane);
    for (int c = 0; c < 3; c++) {
        double most = 0, worst = 0;
        for (int i = 0; i < plane; i++) {
            solution[i] = (double)difference[c * plane + i];
            most = fmax(most, fabs(solution[i]));
        }
        for (int i = 0; i < plane; i++)
            if (is_free(i % width, i / width, width, height, border))
                solution[i] = 0;
        relax(width, height, border);
        for (int i = 0; i < plane; i++)
            if (mask[i] > 0) {
                const double membrane = (double)result[c * plane + i] - (double)made[c * plane + i];
                worst = fmax(worst, fabs(membrane - solution[i]));
            }
        CHECK_MSG(worst < 0.04 * most, "%dx%d, kind %d: off by %g of %g", width, height, (int)kind,
                  worst, most);
    }
    free(solution);
}

static void test_equation(void)
{
    static const int sizes[][2] = {{40, 50}, {33, 31}, {64, 17}, {9, 60}, {3, 3}, {2, 5}, {1, 4}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = RML_MASK_MOUTH; kind <= RML_MASK_BOX; kind++) {
            check_equation(sizes[s][0], sizes[s][1], (rml_mask_kind)kind, nowhere);
            const rml_mask_border corner = {false, true, true, false};
            check_equation(sizes[s][0], sizes[s][1], (rml_mask_kind)kind, corner);
        }
}

// ---- nothing to do, and nothing to do it with ---------------------------------------------------

static void test_nothing(void)
{
    for (int i = 0; i < COUNT; i++)
        difference[i] = 0.2f;
    memset(mask, 0, sizeof mask);
    match(WIDTH, HEIGHT, nowhere);
    CHECK(memcmp(result, made, sizeof made) == 0);
    draw(WIDTH, HEIGHT, RML_MASK_BOX, 0, everywhere);
    match(WIDTH, HEIGHT, everywhere);
    CHECK(memcmp(result, made, sizeof made) == 0);
    CHECK(rml_seam_match(seam, made, old, mask, 0, 1, nowhere, NULL, &err) == RML_ERR_ARG);
    CHECK(rml_seam_match(seam, made, old, mask, 1, RML_FRAME_MAX_SIDE + 1, nowhere, NULL, &err) ==
          RML_ERR_ARG);
}

// Room that another face left behind changes nothing.
static void test_repeated(void)
{
    static float first[COUNT];
    draw(WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere);
    uniform_fill(difference, COUNT, 11, 'u');
    match(WIDTH, HEIGHT, nowhere);
    memcpy(first, result, sizeof first);
    draw(31, 17, RML_MASK_BOX, 0, nowhere);
    match(31, 17, nowhere);
    draw(WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere);
    match(WIDTH, HEIGHT, nowhere);
    CHECK(memcmp(first, result, sizeof first) == 0);
}

static void test_no_memory(void)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_seam *other;
    count.fail_at = 1;
    CHECK(rml_seam_create(&other, &allocator, &err) == RML_ERR_NOMEM && other == NULL);
    count.fail_at = 0;
    CHECK(rml_seam_create(&other, &allocator, &err) == RML_OK);
    draw(WIDTH, HEIGHT, RML_MASK_MOUTH, 0.1f, nowhere);
    match(WIDTH, HEIGHT, nowhere);
    static float again[COUNT];
    memcpy(again, made, sizeof again);
    count.fail_at = count.calls + 1;
    CHECK(rml_seam_match(other, again, old, mask, WIDTH, HEIGHT, nowhere, NULL, &err) ==
          RML_ERR_NOMEM);
    CHECK(memcmp(again, made, sizeof made) == 0 && strstr(err.message, "seam"));
    count.fail_at = 0;
    CHECK(rml_seam_match(other, again, old, mask, WIDTH, HEIGHT, nowhere, NULL, &err) == RML_OK);
    CHECK(memcmp(again, result, sizeof result) == 0);
    rml_seam_destroy(&other);
    rml_seam_destroy(&other);
    CHECK(count.live_bytes == 0);
}

int main(void)
{
    CHECK(rml_seam_create(&seam, rml_allocator_default(), &err) == RML_OK);
    test_even_differences();
    test_step_at_the_edge();
    test_inside();
    test_equation();
    test_nothing();
    test_repeated();
    test_no_memory();
    rml_seam_destroy(&seam);
    return check_result();
}
