// Palettes: as good as the best there are, the same every time, exact where numbers are few.
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "writers/palette.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 400, BITS = 4, SIZE = 1 << BITS };

static float normal(uint32_t *state)
{
    float sum = 0;
    for (int i = 0; i < 12; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (float)(*state >> 8) / 16777216.0f;
    }
    return sum - 6;
}

static int compare(const void *a, const void *b)
{
    return (*(const float *)a > *(const float *)b) - (*(const float *)a < *(const float *)b);
}

// The least sum of squares that SIZE centres leave, over all ways to cut the sorted numbers.
static double least_error(const float *number)
{
    static double best[SIZE + 1][COUNT + 1];
    float sorted[COUNT];
    memcpy(sorted, number, sizeof sorted);
    qsort(sorted, COUNT, sizeof *sorted, compare);
    for (int n = 0; n <= COUNT; n++)
        best[0][n] = n ? INFINITY : 0;
    for (int k = 1; k <= SIZE; k++)
        for (int n = 0; n <= COUNT; n++) {
            double sum = 0, squares = 0;
            best[k][n] = n ? INFINITY : 0;
            for (int from = n - 1; from >= 0; from--) {
                sum += (double)sorted[from];
                squares += (double)sorted[from] * (double)sorted[from];
                const double error = squares - sum * sum / (n - from);
                best[k][n] = fmin(best[k][n], best[k - 1][from] + error);
            }
        }
    return best[SIZE][COUNT];
}

static double error_of(const float *number, const float *table, const uint8_t *place)
{
    double error = 0;
    for (int i = 0; i < COUNT; i++)
        error += pow((double)number[i] - (double)table[place[i]], 2);
    return error;
}

static void test_near_the_best(void)
{
    float number[COUNT], table[SIZE], again[SIZE];
    uint8_t place[COUNT];
    uint32_t state = 1;
    rml_error err = {0};
    for (int i = 0; i < COUNT; i++)
        number[i] = normal(&state);
    const rml_allocator *allocator = rml_allocator_default();
    CHECK(rml_palette_make(number, COUNT, BITS, table, place, allocator, &err) == RML_OK);
    const double error = error_of(number, table, place), least = least_error(number);
    CHECK_MSG(error < 1.02 * least, "%g, and %g would do", error, least);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < SIZE; k++)
            CHECK(fabsf(number[i] - table[place[i]]) <= fabsf(number[i] - table[k]) + 1e-6f);
    CHECK(rml_palette_make(number, COUNT, BITS, again, place, allocator, &err) == RML_OK);
    CHECK(memcmp(table, again, sizeof table) == 0);
}

static void test_few_numbers(void)
{
    const float few[] = {3, -1, 3, 0.5f, -1, 7}, one[] = {2, 2, 2};
    float table[SIZE];
    uint8_t place[6];
    rml_error err = {0};
    const rml_allocator *allocator = rml_allocator_default();
    CHECK(rml_palette_make(few, 6, BITS, table, place, allocator, &err) == RML_OK);
    for (int i = 0; i < 6; i++)
        CHECK(table[place[i]] == few[i]);
    CHECK(rml_palette_make(one, 3, 1, table, place, allocator, &err) == RML_OK);
    CHECK(table[place[0]] == 2 && place[2] == place[0]);
    CHECK(rml_palette_make(NULL, 0, 8, (float[256]){1}, NULL, allocator, &err) == RML_OK);
}

static void test_no_memory(void)
{
    counting count;
    const rml_allocator allocator = counting_allocator(&count);
    float table[2];
    uint8_t place[3];
    for (size_t call = 1; call <= 3; call++) {
        rml_error err = {0};
        count.calls = 0;
        count.fail_at = call;
        CHECK(rml_palette_make((const float[]){1, 2, 3}, 3, 1, table, place, &allocator, &err) ==
              RML_ERR_NOMEM);
        CHECK(count.live_bytes == 0);
    }
}

int main(void)
{
    test_near_the_best();
    test_few_numbers();
    test_no_memory();
    return check_result();
}
