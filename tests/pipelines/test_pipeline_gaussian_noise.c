// Normal deviates: the generator's published answers, the distribution, and that nothing but seed,
// frame, stream and place decides a deviate.
#include "pipelines/lipsync/latent_layout.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Known answers that the authors of Philox publish with it (Random123, kat_vectors).
static void test_published_answers(void)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        rml_philox4x32(known[i].counter, known[i].key, out);
        CHECK(memcmp(out, known[i].out, sizeof out) == 0);
    }
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Moments within five standard deviations of what they are of as many true deviates, and
// Kolmogorov's distance below what one in a million sets of them exceeds.
static void test_distribution(void)
{
    enum { COUNT = 200000 };
    float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
    double sum[5] = {0}, across = 0, beside = 0, distance = 0;
    rml_gaussian_noise(7, 3, 1, x, COUNT);
    rml_gaussian_noise(7, 4, 1, y, COUNT);
    for (int i = 0; i < COUNT; i++) {
        for (int k = 1; k < 5; k++)
            sum[k] += pow((double)x[i], k);
        across += (double)x[i] * (double)y[i];
        beside += i ? (double)x[i] * (double)x[i - 1] : 0.0;
    }
    const double root = sqrt((double)COUNT);
    CHECK(fabs(sum[1]) < 5 * root);                            // variance 1
    CHECK(fabs(sum[2] - COUNT) < 5 * sqrt(2.0) * root);        // of squares: 2
    CHECK(fabs(sum[3]) < 5 * sqrt(15.0) * root);               // of cubes: 15
    CHECK(fabs(sum[4] - 3.0 * COUNT) < 5 * sqrt(96.0) * root); // of fourth powers: 96
    CHECK(fabs(across) < 5 * root && fabs(beside) < 5 * root); // neighbours in frame and place
    qsort(x, COUNT, sizeof *x, by_value);
    for (int i = 0; i < COUNT; i++) {
        const double share = 0.5 * erfc(-(double)x[i] * sqrt(0.5));
        const double low = fabs(share - (double)i / COUNT);
        const double high = fabs(share - (double)(i + 1) / COUNT);
        distance = fmax(distance, fmax(low, high));
    }
    CHECK_MSG(distance * root < 2.7, "distance %g", distance * root);
    free(x);
    free(y);
}

static void test_indexed(void)
{
    float long_run[67], short_run[68], other[67];
    rml_gaussian_noise(1, 2, 0, long_run, 67);
    for (size_t count = 0; count < 67; count++) {
        short_run[count] = 99.0f;
        rml_gaussian_noise(1, 2, 0, short_run, count);
        CHECK(memcmp(short_run, long_run, count * sizeof *short_run) == 0);
        CHECK(short_run[count] == 99.0f);
    }
    const uint64_t changed[][3] = {{2, 2, 0},
                                   {1, 3, 0},
                                   {1, 2, 1},
                                   {1, 2, 255},
                                   {1 + ((uint64_t)1 << 32), 2, 0},
                                   {1, 2 + ((uint64_t)1 << 32), 0}};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        rml_gaussian_noise(changed[i][0], changed[i][1], (uint32_t)changed[i][2], other, 67);
        int same = 0;
        for (int k = 0; k < 67; k++)
            same += other[k] == long_run[k];
        CHECK(same == 0);
    }
}

int main(void)
{
    test_published_answers();
    test_distribution();
    test_indexed();
    return check_result();
}
