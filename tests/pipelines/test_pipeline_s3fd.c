// Decoding of S3FD's maps against the reference in Python, and the detector's input.
#include "pipelines/faces/s3fd.h"

#include "tests/support/check.h"
#include "tests/golden/s3fd_faces.h"

#define MAX_CELLS (24 * 32)

static const int sizes[RML_S3FD_LEVELS][2] = {{24, 32}, {12, 16}, {6, 8}, {7, 8}, {4, 4}, {2, 2}};

typedef struct {
    float cls[RML_S3FD_LEVELS][2 * MAX_CELLS], reg[RML_S3FD_LEVELS][4 * MAX_CELLS];
    rml_s3fd_level levels[RML_S3FD_LEVELS];
} maps;

static float next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 16) / 32768 - 1;
}

static void fill(maps *m, uint32_t seed, float bias)
{
    for (int i = 0; i < RML_S3FD_LEVELS; i++) {
        int cells = sizes[i][0] * sizes[i][1];
        for (int k = 0; k < 2 * cells; k++)
            m->cls[i][k] = next_number(&seed) * 4 + (k < cells ? bias : 0);
        for (int k = 0; k < 4 * cells; k++)
            m->reg[i][k] = next_number(&seed) * 2;
        m->levels[i] = (rml_s3fd_level){m->cls[i], m->reg[i], sizes[i][0], sizes[i][1]};
    }
}

static void test_golden(maps *m)
{
    static const float bias[3] = {5.5f, 3.0f, 9.0f};
    int at = 0;
    for (int k = 0; k < 3; k++) {
        rml_s3fd_face faces[2000];
        int count;
        fill(m, (uint32_t)k + 1, bias[k]);
        CHECK(rml_s3fd_decode(m->levels, faces, 2000, &count, rml_allocator_default(), NULL) ==
              RML_OK);
        CHECK_MSG(count == s3fd_golden_counts[k], "set %d: %d faces, expected %d", k, count,
                  s3fd_golden_counts[k]);
        for (int i = 0; i < count && i < s3fd_golden_counts[k]; i++) {
            const float got[5] = {faces[i].x1, faces[i].y1, faces[i].x2, faces[i].y2,
                                  faces[i].score};
            // The exponentials of two libraries differ in the last place.
            for (int v = 0; v < 5; v++)
                CHECK_MSG(fabsf(got[v] - s3fd_golden[at + i][v]) <=
                              2e-6f * (fabsf(s3fd_golden[at + i][v]) + 1),
                          "set %d face %d value %d: %.9g, expected %.9g", k, i, v, got[v],
                          s3fd_golden[at + i][v]);
        }
        at += s3fd_golden_counts[k];
        // Asking for fewer gives the best ones.
        rml_s3fd_face best;
        CHECK(rml_s3fd_decode(m->levels, &best, 1, &count, rml_allocator_default(), NULL) ==
              RML_OK);
        CHECK(count == (s3fd_golden_counts[k] > 0));
        if (count)
            CHECK(best.score == faces[0].score && best.x1 == faces[0].x1);
    }
}

static void test_hostile(maps *m)
{
    rml_s3fd_face faces[8];
    int count;
    for (int kind = 0; kind < 3; kind++) {
        fill(m, 1, 20);
        m->cls[1][0] = kind == 0 ? NAN : -100;
        m->cls[1][sizes[1][0] * sizes[1][1]] = kind == 1 ? INFINITY : 100;
        m->reg[1][2 * sizes[1][0] * sizes[1][1]] = 1e6f; // a width beyond float
        CHECK(rml_s3fd_decode(m->levels, faces, 8, &count, rml_allocator_default(), NULL) ==
              RML_OK);
        CHECK(count == 0);
    }
}

static void test_input(void)
{
    uint8_t pixels[2 * 12] = {0};
    pixels[0] = 1; // blue
    pixels[1] = 2;
    pixels[2] = 3; // red
    pixels[12 + 3] = 255;
    rml_frame frame = {.data = pixels, .width = 2, .height = 2, .pitch = 12};
    float input[12];
    rml_s3fd_input(&frame, input);
    CHECK(input[0] == 3 - 104 && input[4] == 2 - 117 && input[8] == 1 - 123);
    CHECK(input[3] == -104 && input[7] == -117 && input[11] == 255 - 123);
}

int main(void)
{
    maps *m = malloc(sizeof *m);
    if (!m)
        return 1;
    test_golden(m);
    test_hostile(m);
    test_input();
    free(m);
    return check_result();
}
