// Fine detail of the film: kept where the network changed nothing, gone where it moved the mouth,
// and in between as the formula says.
#include "pipelines/lipsync/detail.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/uniform.h"

enum {
    SIDE = 96,
    SMALL = SIDE * SIDE,
    WIDTH = 130,
    HEIGHT = 150,
    PLANE = WIDTH * HEIGHT,
    COUNT = 3 * PLANE
};
static float given[3 * SMALL], gen[3 * SMALL];
static float old[COUNT], smooth[COUNT], made[COUNT], result[COUNT];
static const rml_part all = {0, 0, WIDTH, HEIGHT};
static rml_error err;
static rml_image_resampler *up;
static rml_detail *detail;

static void scale_up(const float *src, float *dst)
{
    CHECK(rml_image_resample(up, src, SIDE, SIDE, dst, WIDTH, HEIGHT, 3, &err) == RML_OK);
}

static void keep(void)
{
    const rml_detail_net net = {given, gen, SIDE, SIDE};
    scale_up(given, smooth);
    scale_up(gen, made);
    memcpy(result, made, sizeof result);
    CHECK_MSG(rml_detail_keep(detail, up, &net, result, old, smooth, WIDTH, HEIGHT, &all, &err) ==
                  RML_OK,
              "%s", err.message);
}

static float largest(const float *a, const float *b, int from_row, int to_row)
{
    float most = 0;
    for (int i = 0; i < COUNT; i++)
        if (i % PLANE / WIDTH >= from_row && i % PLANE / WIDTH < to_row)
            most = fmaxf(most, fabsf(a[i] - b[i]));
    return most;
}

static void test_returned(void)
{
    memcpy(gen, given, sizeof gen);
    keep();
    CHECK_MSG(largest(result, old, 0, HEIGHT) < 1e-6f, "off by %g",
              (double)largest(result, old, 0, HEIGHT));
    CHECK(largest(made, old, 0, HEIGHT) > 0.2f);
}

// The lower third of the face has moved, by stripes that cross the old ones: nothing of the film
// is left there, and all of it further up.
static void test_moved(void)
{
    memcpy(gen, given, sizeof gen);
    for (int c = 0; c < 3; c++)
        for (int y = 64; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                gen[c * SMALL + y * SIDE + x] += 0.2f * sinf((float)x * 0.5f);
    keep();
    CHECK(largest(result, made, HEIGHT * 66 / 96, HEIGHT) == 0);
    CHECK(largest(result, old, 0, HEIGHT * 54 / 96) < 1e-5f);
}

// Every colour counts by itself.
static void test_share(void)
{
    for (int levels = 0; levels <= 10; levels++) {
        memcpy(gen, given, sizeof gen);
        const int colour = levels % 3;
        for (int i = 0; i < SMALL; i++)
            gen[colour * SMALL + i] += (levels % 2 ? -1.0f : 1.0f) * (float)levels / 255;
        keep();
        const double t = levels < 8 ? levels / 8.0 : 1, k = 1 - t * t * (3 - 2 * t);
        double worst = 0;
        for (int i = 0; i < COUNT; i++) {
            const double want = (double)made[i] + k * ((double)old[i] - (double)smooth[i]);
            worst = fmax(worst, fabs((double)result[i] - want));
        }
        CHECK_MSG(worst < 1e-5, "%d levels: off by %g", levels, worst);
    }
}

// The mean over `reach` pixels to each side, of those there are, along one direction.
static void mean(const double *src, double *dst, int dx, int dy, int reach)
{
    for (int i = 0; i < SMALL; i++) {
        double sum = 0;
        int count = 0;
        for (int k = -reach; k <= reach; k++) {
            const int x = i % SIDE + k * dx, y = i / SIDE + k * dy;
            if (x >= 0 && y >= 0 && x < SIDE && y < SIDE) {
                sum += src[y * SIDE + x];
                count++;
            }
        }
        dst[i] = sum / count;
    }
}

static void test_formula(void)
{
    static double a[SMALL], b[SMALL];
    static float share[SMALL], kept[PLANE];
    for (int i = 0; i < 3 * SMALL; i++)
        gen[i] = given[i] + 0.04f * uniform_f32(9, (size_t)i) * (float)(i % SIDE) / SIDE;
    keep();
    for (int i = 0; i < SMALL; i++) {
        a[i] = 0;
        for (int c = 0; c < 3; c++)
            a[i] = fmax(a[i], fabs((double)gen[c * SMALL + i] - (double)given[c * SMALL + i]));
    }
    mean(a, b, 1, 0, 2);
    mean(b, a, 1, 0, 2);
    mean(a, b, 0, 1, 2);
    mean(b, a, 0, 1, 2);
    for (int i = 0; i < SMALL; i++) {
        const double t = fmin(a[i] * 255 / 8, 1);
        share[i] = (float)(1 - t * t * (3 - 2 * t));
    }
    CHECK(rml_image_resample(up, share, SIDE, SIDE, kept, WIDTH, HEIGHT, 1, &err) == RML_OK);
    double worst = 0;
    for (int i = 0; i < COUNT; i++) {
        const double k = fmin(fmax((double)kept[i % PLANE], 0), 1);
        const double want = (double)made[i] + k * ((double)old[i] - (double)smooth[i]);
        worst = fmax(worst, fabs((double)result[i] - want));
    }
    CHECK_MSG(worst < 1e-5, "off by %g", worst);
}

// A part has the bits of the whole.
static void test_part(void)
{
    static const rml_part parts[] = {{0, 0, 1, 1}, {29, 70, 80, 79}, {129, 0, 1, 150}};
    static float part_old[COUNT], part_smooth[COUNT], part_made[COUNT];
    const rml_detail_net net = {given, gen, SIDE, SIDE};
    keep();
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        const rml_part *p = &parts[k];
        const int width = p->width, plane = p->width * p->height;
        for (int i = 0; i < 3 * plane; i++) {
            const int y = p->y + i % plane / width, x = p->x + i % width;
            part_old[i] = old[i / plane * PLANE + y * WIDTH + x];
            part_smooth[i] = smooth[i / plane * PLANE + y * WIDTH + x];
            part_made[i] = made[i / plane * PLANE + y * WIDTH + x];
        }
        CHECK(rml_detail_keep(detail, up, &net, part_made, part_old, part_smooth, WIDTH, HEIGHT, p,
                              &err) == RML_OK);
        bool same = true;
        for (int i = 0; i < 3 * plane; i++)
            same = same &&
                   part_made[i] == result[i / plane * PLANE + (p->y + i % plane / width) * WIDTH +
                                          p->x + i % width];
        CHECK_MSG(same, "part %zu", k);
    }
}

static void test_refused_and_no_memory(void)
{
    rml_detail_net net = {given, gen, SIDE, 0};
    CHECK(rml_detail_keep(detail, up, &net, result, old, smooth, WIDTH, HEIGHT, &all, &err) ==
          RML_ERR_ARG);
    net.height = SIDE;
    CHECK(rml_detail_keep(detail, up, &net, result, old, smooth, -1, HEIGHT, &all, &err) ==
          RML_ERR_ARG);
    CHECK(strstr(err.message, "96x96"));
    static float again[COUNT];
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    size_t failures = 0;
    keep();
    for (rml_status status = RML_ERR_NOMEM; status != RML_OK; failures++) {
        rml_detail *other = NULL;
        rml_image_resampler *other_up = NULL;
        count.fail_at = count.calls + failures + 1;
        memcpy(again, made, sizeof again);
        status = rml_image_resampler_create(&other_up, &allocator, &err);
        if (status == RML_OK)
            status = rml_detail_create(&other, &allocator, &err);
        if (status == RML_OK)
            status = rml_detail_keep(other, other_up, &net, again, old, smooth, WIDTH, HEIGHT, &all,
                                     &err);
        CHECK(status == RML_OK || status == RML_ERR_NOMEM);
        CHECK(memcmp(again, status == RML_OK ? result : made, sizeof again) == 0);
        rml_detail_destroy(&other);
        rml_detail_destroy(&other);
        rml_image_resampler_destroy(&other_up);
        CHECK(count.live_bytes == 0);
    }
    CHECK(failures > 6);
}

int main(void)
{
    CHECK(rml_image_resampler_create(&up, rml_allocator_default(), &err) == RML_OK);
    CHECK(rml_detail_create(&detail, rml_allocator_default(), &err) == RML_OK);
    uniform_fill(given, 3 * SMALL, 1, 'p');
    uniform_fill(old, COUNT, 2, 'p');
    test_returned();
    test_moved();
    test_share();
    test_formula();
    test_part();
    test_refused_and_no_memory();
    rml_detail_destroy(&detail);
    rml_image_resampler_destroy(&up);
    return check_result();
}
