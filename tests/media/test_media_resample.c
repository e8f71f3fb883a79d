// Lanczos resampling of planes: against sums in double, on its own rules, and with every
// allocation failing. tests/media/test_media.py compares it with Pillow.
#include "media/image/resample.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/uniform.h"

#define PI 3.14159265358979323846
enum { MOST = 64 * 64 * 3 };

static rml_error err;

static double lanczos(double x)
{
    if (x == 0)
        return 1;
    return fabs(x) < 3 ? 3 * sin(PI * x) * sin(PI * x / 3) / (PI * PI * x * x) : 0;
}

// Weights of the samples that sample `index` of `to` is made of.
static void weights_of(int index, int from, int to, double *weights)
{
    const double scale = (double)from / to, wide = scale > 1 ? scale : 1;
    const double center = (index + 0.5) * scale;
    int begin = (int)(center - 3 * wide + 0.5), end = (int)(center + 3 * wide + 0.5);
    begin = begin < 0 ? 0 : begin;
    end = end > from ? from : end;
    double sum = 0;
    for (int i = 0; i < from; i++) {
        weights[i] = i >= begin && i < end ? lanczos((i + 0.5 - center) / wide) : 0;
        sum += weights[i];
    }
    for (int i = 0; i < from; i++)
        weights[i] /= sum;
}

static double expected(const float *src, int sw, int sh, int dw, int dh, int x, int y)
{
    double across[64], down[64], sum = 0;
    weights_of(x, sw, dw, across);
    weights_of(y, sh, dh, down);
    for (int j = 0; j < sh; j++)
        for (int i = 0; i < sw; i++)
            sum += down[j] * across[i] * (double)src[j * sw + i];
    return sum;
}

// Parts of the result have its bits: a corner, the middle, the last row and column.
static void compare_parts(rml_image_resampler *r, const float *src, const int size[4],
                          const float *whole)
{
    const int dw = size[2], dh = size[3];
    const rml_part parts[] = {{0, 0, (dw + 1) / 2, (dh + 1) / 2},
                              {dw / 3, dh / 3, dw - dw / 3 * 2, dh - dh / 3 * 2},
                              {0, dh - 1, dw, 1},
                              {dw - 1, 0, 1, dh}};
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) {
        const rml_part *p = &parts[k];
        const int width = p->width, plane = p->width * p->height;
        float *dst = malloc(sizeof *dst * (size_t)(plane * 3)); // no larger, for sanitizers
        CHECK(rml_image_resample_part(r, src, size[0], size[1], dst, dw, dh, p, 3, &err) == RML_OK);
        bool same = true;
        for (int i = 0; i < plane * 3; i++)
            same = same &&
                   dst[i] ==
                       whole[(i / plane * dh + p->y + i % plane / width) * dw + p->x + i % width];
        CHECK_MSG(same, "part %zu of %dx%d to %dx%d", k, size[0], size[1], dw, dh);
        free(dst);
    }
}

static void test_sums(void)
{
    static const int sizes[][4] = {
        {7, 5, 7, 5},   {7, 5, 7, 9},   {7, 5, 7, 2},     {7, 5, 12, 5},   {7, 5, 3, 5},
        {64, 50, 9, 7}, {9, 7, 64, 50}, {9, 50, 30, 11},  {50, 9, 11, 30}, {1, 1, 8, 9},
        {13, 17, 1, 1}, {1, 20, 20, 1}, {33, 41, 32, 40}, {2, 3, 64, 64}};
    rml_image_resampler *r;
    CHECK(rml_image_resampler_create(&r, rml_allocator_default(), &err) == RML_OK);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int sw = sizes[s][0], sh = sizes[s][1], dw = sizes[s][2], dh = sizes[s][3];
        float *src = malloc(sizeof *src * (size_t)(sw * sh * 3));
        float *dst = malloc(sizeof *dst * (size_t)(dw * dh * 3));
        uniform_fill(src, (size_t)(sw * sh * 3), s, 'p');
        CHECK(rml_image_resample(r, src, sw, sh, dst, dw, dh, 3, &err) == RML_OK);
        double worst = 0;
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < dh; y += 1 + dh / 9)
                for (int x = 0; x < dw; x += 1 + dw / 9) {
                    const double want = expected(src + c * sw * sh, sw, sh, dw, dh, x, y);
                    const double off = fabs((double)dst[(c * dh + y) * dw + x] - want);
                    worst = off > worst ? off : worst;
                }
        CHECK_MSG(worst < 2e-6, "%dx%d to %dx%d: off by %g", sw, sh, dw, dh, worst);
        if (sw == dw && sh == dh)
            CHECK(memcmp(src, dst, sizeof *src * (size_t)(sw * sh * 3)) == 0);
        compare_parts(r, src, sizes[s], dst);
        free(src);
        free(dst);
    }
    rml_image_resampler_destroy(&r);
    CHECK(r == NULL);
}

// A plane of one value stays it, and sizes that come back give the same bits.
static void test_sizes_change(void)
{
    static float flat[MOST], noise[MOST], first[MOST], again[MOST];
    rml_image_resampler *r;
    CHECK(rml_image_resampler_create(&r, rml_allocator_default(), &err) == RML_OK);
    for (int i = 0; i < MOST; i++)
        flat[i] = 0.25f;
    uniform_fill(noise, MOST, 5, 'u');
    CHECK(rml_image_resample(r, noise, 61, 64, first, 20, 21, 3, &err) == RML_OK);
    for (int side = 1; side <= 64; side += 7) {
        float worst = 0;
        CHECK(rml_image_resample(r, flat, 30, 20, again, side, 65 - side, 1, &err) == RML_OK);
        for (int i = 0; i < side * (65 - side); i++)
            worst = fmaxf(worst, fabsf(again[i] - 0.25f));
        CHECK_MSG(worst < 1e-6f, "%d: off by %g", side, (double)worst);
    }
    CHECK(rml_image_resample(r, noise, 61, 64, again, 20, 21, 3, &err) == RML_OK);
    CHECK(memcmp(first, again, 20 * 21 * 3 * sizeof *first) == 0);
    rml_image_resampler_destroy(&r);
}

static void test_refused(void)
{
    float value = 0;
    rml_image_resampler *r;
    CHECK(rml_image_resampler_create(&r, rml_allocator_default(), &err) == RML_OK);
    static const int bad[][5] = {
        {0, 1, 1, 1, 1}, {1, 16385, 1, 1, 1}, {1, 1, -1, 1, 1}, {1, 1, 1, 0, 1}, {1, 1, 1, 1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int *b = bad[i];
        CHECK(rml_image_resample(r, &value, b[0], b[1], &value, b[2], b[3], b[4], &err) ==
              RML_ERR_ARG);
        CHECK(strstr(err.message, "resample: cannot scale"));
    }
    rml_image_resampler_destroy(&r);
    rml_image_resampler_destroy(&r);
}

// Fails at each allocation in turn; the resampler works when it is asked again.
static void test_no_memory(void)
{
    static float src[64 * 64], dst[64 * 64], known[64 * 64];
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    rml_image_resampler *r;
    uniform_fill(src, 64 * 64, 7, 'u');
    count.fail_at = 1;
    CHECK(rml_image_resampler_create(&r, &allocator, &err) == RML_ERR_NOMEM && r == NULL);
    count.fail_at = 0;
    CHECK(rml_image_resampler_create(&r, &allocator, &err) == RML_OK);
    CHECK(rml_image_resample(r, src, 40, 50, known, 60, 20, 1, &err) == RML_OK);
    rml_image_resampler_destroy(&r);
    size_t failures = 0;
    for (rml_status status = RML_ERR_NOMEM; status != RML_OK; failures++) {
        CHECK(rml_image_resampler_create(&r, &allocator, &err) == RML_OK);
        CHECK(rml_image_resample(r, src, 9, 9, dst, 5, 5, 1, &err) == RML_OK);
        count.fail_at = count.calls + failures + 1;
        status = rml_image_resample(r, src, 40, 50, dst, 60, 20, 1, &err);
        CHECK(status == RML_OK || (status == RML_ERR_NOMEM && strstr(err.message, "resampling")));
        count.fail_at = 0;
        CHECK(rml_image_resample(r, src, 40, 50, dst, 60, 20, 1, &err) == RML_OK);
        CHECK(memcmp(dst, known, 60 * 20 * sizeof *dst) == 0);
        rml_image_resampler_destroy(&r);
    }
    CHECK_MSG(failures > 4, "%zu", failures);
    CHECK(count.live_bytes == 0);
}

int main(void)
{
    test_sums();
    test_sizes_change();
    test_refused();
    test_no_memory();
    return check_result();
}
