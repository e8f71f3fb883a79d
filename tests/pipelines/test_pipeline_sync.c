// How far lips and sound are apart, from embeddings: the definition against the meter.
#include "pipelines/sync/sync_meter.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/uniform.h"

#include <math.h>

#define WIDTH 24
#define MOST 140

static float lips[MOST][WIDTH], sounds[MOST][WIDTH];
static rml_error err;

// Sounds are noise, lips those of `late` windows later with a little more of it: the sound comes
// before its picture.
static void make(int count, int late)
{
    for (int i = 0; i < count; i++) {
        double norm = 0;
        for (int k = 0; k < WIDTH; k++) {
            sounds[i][k] = fabsf(uniform_f32(3, (size_t)(i * WIDTH + k)));
            norm += (double)(sounds[i][k] * sounds[i][k]);
        }
        for (int k = 0; k < WIDTH; k++)
            sounds[i][k] /= (float)sqrt(norm);
    }
    for (int i = 0; i < count; i++)
        for (int k = 0; k < WIDTH; k++) {
            const int at = i + late >= 0 && i + late < count ? i + late : i;
            lips[i][k] = sounds[at][k] + 0.01f * uniform_f32(4, (size_t)(i * WIDTH + k));
        }
}

static rml_status push_all(rml_sync_meter **meter, int count, const bool *faces,
                           const rml_allocator *allocator)
{
    rml_status status = rml_sync_meter_create(meter, WIDTH, allocator, &err);
    for (int i = 0; i < count && status == RML_OK; i++)
        status = rml_sync_meter_push(*meter, !faces || faces[i] ? lips[i] : NULL, sounds[i], &err);
    if (status == RML_OK)
        status = rml_sync_meter_finish(*meter, &err);
    return status;
}

static double plain_distance(int i, int at, int count)
{
    double sum = 0;
    for (int k = 0; k < WIDTH; k++) {
        const double a = at >= 0 && at < count ? (double)sounds[at][k] : 0;
        sum += ((double)lips[i][k] - a + 1e-6) * ((double)lips[i][k] - a + 1e-6);
    }
    return sqrt(sum);
}

static void check_scores(int count, const bool *faces)
{
    double means[RML_SYNC_SHIFTS], sorted[RML_SYNC_SHIFTS];
    int best = 0, seen = 0;
    for (int i = 0; i < count; i++)
        seen += !faces || faces[i];
    for (int j = 0; j < RML_SYNC_SHIFTS; j++) {
        double sum = 0;
        for (int i = 0; i < count; i++)
            if (!faces || faces[i])
                sum += plain_distance(i, i + j - RML_SYNC_REACH, count);
        means[j] = sum / seen;
        best = means[j] < means[best] ? j : best;
        int at = j;
        for (; at > 0 && sorted[at - 1] > means[j]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = means[j];
    }
    rml_sync_meter *meter;
    CHECK(push_all(&meter, count, faces, rml_allocator_default()) == RML_OK);
    const rml_sync_score s = rml_sync_meter_whole(meter);
    CHECK(rml_sync_meter_count(meter) == count && s.windows == seen);
    CHECK_MSG(s.offset == RML_SYNC_REACH - best, "%d", s.offset);
    CHECK(fabs(s.lse_d - means[best]) < 1e-6);
    CHECK(fabs(s.lse_c - (sorted[15] - means[best])) < 1e-6);
    for (int i = 0; i < count; i++) {
        const rml_sync_row *row = rml_sync_meter_row(meter, i);
        CHECK(row->face == (!faces || faces[i]));
        if (row->face)
            CHECK(fabs(row->distance - plain_distance(i, i + best - RML_SYNC_REACH, count)) < 1e-6);
    }
    rml_sync_meter_destroy(&meter);
}

// A hundred windows are the whole of a clip of fifty, and a part of a longer one.
static void check_near(void)
{
    rml_sync_meter *meter;
    make(MOST, 2);
    for (int i = MOST / 2; i < MOST; i++) // the second half the other way
        for (int k = 0; k < WIDTH; k++)
            lips[i][k] = sounds[i - 4][k];
    CHECK(push_all(&meter, MOST, NULL, rml_allocator_default()) == RML_OK);
    CHECK(rml_sync_meter_row(meter, 0)->near.offset == -2);
    CHECK(rml_sync_meter_row(meter, MOST - 1)->near.offset == 4);
    CHECK(rml_sync_meter_row(meter, 0)->near.windows == RML_SYNC_SPAN / 2);
    CHECK(rml_sync_meter_row(meter, 60)->near.windows == RML_SYNC_SPAN);
    CHECK(rml_sync_meter_cosine(meter, -2) > 0.9 * MOST / 2 / (MOST - 2));
    rml_sync_meter_destroy(&meter);
}

static void check_nomem(void)
{
    counting counter = {0};
    const rml_allocator allocator = {counting_alloc, counting_release, &counter};
    rml_sync_meter *meter;
    make(50, 0);
    CHECK(push_all(&meter, 50, NULL, &allocator) == RML_OK);
    rml_sync_meter_destroy(&meter);
    const size_t calls = counter.calls;
    for (size_t call = 1; call <= calls; call++) {
        counter.calls = 0;
        counter.fail_at = call;
        CHECK(push_all(&meter, 50, NULL, &allocator) == RML_ERR_NOMEM);
        rml_sync_meter_destroy(&meter);
        CHECK(counter.live_bytes == 0);
    }
}

int main(void)
{
    static const int counts[] = {1, 2, 15, 16, 31, 32, 47, MOST};
    static const int lates[] = {0, 3, -5};
    bool some[MOST];
    for (int i = 0; i < MOST; i++)
        some[i] = i % 7 != 2 && (i < 20 || i > 29);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t k = 0; k < sizeof lates / sizeof *lates; k++) {
            make(counts[i], lates[k]);
            check_scores(counts[i], NULL);
            check_scores(counts[i], some);
        }
    }
    check_near();
    check_nomem();
    const bool none[4] = {0};
    rml_sync_meter *meter;
    make(4, 0);
    CHECK(push_all(&meter, 4, none, rml_allocator_default()) == RML_ERR_ARG);
    rml_sync_meter_destroy(&meter);
    return check_result();
}
