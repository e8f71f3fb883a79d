// Weights as codes of 8 bits: the nearest ones, and never beyond 127.
#include "tests/support/check.h"
#include "writers/quantize.h"

#include <math.h>

enum { BEFORE = 2, OUTPUTS = 3, BEHIND = 5, COUNT = BEFORE * OUTPUTS * BEHIND };

static const rml_shape shape = {3, {BEFORE, OUTPUTS, BEHIND}};

static void check_codes(const float *from, const float most[OUTPUTS])
{
    int8_t code[COUNT];
    float scale[OUTPUTS];
    rml_quantize(from, &shape, 1, code, scale);
    for (int i = 0; i < COUNT; i++) {
        const int k = i / BEHIND % OUTPUTS;
        CHECK(code[i] >= -127 && code[i] <= 127);
        CHECK(scale[k] > 0 && scale[k] * 127 <= fmaxf(most[k] * 1.000001f, 127));
        if (most[k] > 1e-30f)
            CHECK(fabsf((float)code[i] * scale[k] - from[i]) <= scale[k] * 0.5001f);
    }
}

static void test_nearest(void)
{
    static const float most[OUTPUTS] = {1, 1e-3f, 3e38f};
    float from[COUNT];
    for (int i = 0; i < COUNT; i++)
        from[i] = most[i / BEHIND % OUTPUTS] * ((float)(i % 11 - 5) / 5);
    check_codes(from, most);
}

// Of numbers near the smallest float the scale is 0 or rounded itself.
static void test_smallest(void)
{
    for (int units = 0; units < 400; units++) {
        const float most = (float)units * 1.4e-45f;
        float from[COUNT];
        for (int i = 0; i < COUNT; i++)
            from[i] = i % 2 ? most : -most;
        check_codes(from, (const float[OUTPUTS]){most, most, most});
    }
}

static void test_finite(void)
{
    CHECK(rml_are_finite((const float[]){0, -3e38f, 1e-45f}, 3));
    CHECK(!rml_are_finite((const float[]){0, INFINITY}, 2));
    CHECK(!rml_are_finite((const float[]){NAN, 0}, 2));
    CHECK(rml_are_finite(NULL, 0));
}

int main(void)
{
    test_nearest();
    test_smallest();
    test_finite();
    return check_result();
}
