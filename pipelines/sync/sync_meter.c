#include "pipelines/sync/sync_meter.h"

#include "tensor/alloc.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FILTER 9 // windows of the median over time
#define NUDGE 1e-6f

typedef struct distances {
    float at[RML_SYNC_SHIFTS];
    bool face;
} distances;

struct rml_sync_meter {
    const rml_allocator *allocator;
    size_t width;
    // The last RML_SYNC_SHIFTS windows, that of index i at i % RML_SYNC_SHIFTS.
    float *lips, *sounds;
    bool faces[RML_SYNC_SHIFTS];
    int64_t pushed;
    distances *all; // of the windows whose sounds on both sides are known
    size_t count, capacity;
    rml_sync_row *rows;
    rml_sync_score whole, pairs;
};

rml_status rml_sync_meter_create(rml_sync_meter **out, int64_t width,
                                 const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_sync_meter *m;
    RML_TRY(rml_make(allocator, &m, 1, sizeof *m, "the measure", err));
    m->allocator = allocator;
    m->width = (size_t)width;
    rml_status status = rml_make(allocator, &m->lips, RML_SYNC_SHIFTS, m->width * sizeof *m->lips,
                                 "the lips' vectors", err);
    if (status == RML_OK)
        status = rml_make(allocator, &m->sounds, RML_SYNC_SHIFTS, m->width * sizeof *m->sounds,
                          "the sound's vectors", err);
    if (status != RML_OK)
        rml_sync_meter_destroy(&m);
    *out = m;
    return status;
}

void rml_sync_meter_destroy(rml_sync_meter **meter)
{
    rml_sync_meter *m = *meter;
    if (!m)
        return;
    const rml_allocator *allocator = m->allocator;
    rml_free(allocator, m->lips);
    rml_free(allocator, m->sounds);
    rml_free(allocator, m->all);
    rml_free(allocator, m->rows);
    rml_free(allocator, m);
    *meter = NULL;
}

// ---- distances ----------------------------------------------------------------------------------

// `sound` NULL: a vector of zeros.
static float distance(const rml_sync_meter *m, const float *lips, const float *sound)
{
    double sum = 0;
    for (size_t i = 0; i < m->width; i++) {
        const double d = (double)(lips[i] - (sound ? sound[i] : 0) + NUDGE);
        sum += d * d;
    }
    return (float)sqrt(sum);
}

// The next row; all sounds up to index `known` are there.
static rml_status add_row(rml_sync_meter *m, int64_t known, rml_error *err)
{
    RML_TRY(rml_reserve(m->allocator, &m->all, &m->capacity, m->count + 1, sizeof *m->all,
                        "the distances", err));
    const int64_t i = (int64_t)m->count;
    const size_t place = (size_t)(i % RML_SYNC_SHIFTS);
    distances *row = &m->all[m->count++];
    memset(row, 0, sizeof *row);
    row->face = m->faces[place];
    for (int j = 0; j < RML_SYNC_SHIFTS && row->face; j++) {
        const int64_t at = i + j - RML_SYNC_REACH;
        const float *sound =
            at >= 0 && at <= known ? m->sounds + (size_t)(at % RML_SYNC_SHIFTS) * m->width : NULL;
        row->at[j] = distance(m, m->lips + place * m->width, sound);
    }
    return RML_OK;
}

rml_status rml_sync_meter_push(rml_sync_meter *m, const float *lips, const float *sound,
                               rml_error *err)
{
    const int64_t index = m->pushed++;
    const size_t place = (size_t)(index % RML_SYNC_SHIFTS);
    m->faces[place] = lips != NULL;
    if (lips)
        memcpy(m->lips + place * m->width, lips, m->width * sizeof *lips);
    memcpy(m->sounds + place * m->width, sound, m->width * sizeof *sound);
    // Of the row that is complete now the first sound is the oldest that is kept.
    return index >= RML_SYNC_REACH ? add_row(m, index, err) : RML_OK;
}

// ---- scores -------------------------------------------------------------------------------------

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

typedef struct sums {
    double at[RML_SYNC_SHIFTS];
    int64_t counts[RML_SYNC_SHIFTS], windows;
} sums;

static bool is_inside(const rml_sync_meter *m, int64_t row, int j)
{
    const int64_t at = row + j - RML_SYNC_REACH;
    return at >= 0 && at < (int64_t)m->count;
}

static void add(sums *s, const rml_sync_meter *m, int64_t row, int sign, bool pairs)
{
    const distances *d = &m->all[row];
    if (!d->face)
        return;
    s->windows += sign;
    for (int j = 0; j < RML_SYNC_SHIFTS; j++) {
        if (pairs && !is_inside(m, row, j))
            continue;
        s->at[j] += sign * (double)d->at[j];
        s->counts[j] += sign;
    }
}

// *middle: the median of the means. No windows: all zero. A shift without a pair is none.
static rml_sync_score score(const sums *s, double *middle)
{
    double means[RML_SYNC_SHIFTS];
    rml_sync_score out = {.windows = s->windows};
    int count = 0;
    for (int j = 0; j < RML_SYNC_SHIFTS && s->windows; j++) {
        if (!s->counts[j])
            continue;
        const double mean = s->at[j] / (double)s->counts[j];
        if (count == 0 || mean < out.lse_d) {
            out.lse_d = mean;
            out.offset = RML_SYNC_REACH - j;
        }
        means[count++] = mean;
    }
    *middle = count ? median(means, count) : 0;
    out.lse_c = *middle - out.lse_d;
    return out;
}

static rml_sync_score score_all(const rml_sync_meter *m, bool pairs, double *middle)
{
    sums s = {0};
    for (size_t i = 0; i < m->count; i++)
        add(&s, m, (int64_t)i, 1, pairs);
    return score(&s, middle);
}

// ---- over time ----------------------------------------------------------------------------------

// Windows without a face are not there for the filter.
static rml_status fill_confidence(rml_sync_meter *m, double middle, rml_error *err)
{
    double *plain;
    size_t *places, found = 0;
    const int shift = RML_SYNC_REACH - m->whole.offset;
    RML_TRY(rml_make(m->allocator, &plain, m->count, sizeof *plain, "confidences", err));
    const rml_status status =
        rml_make(m->allocator, &places, m->count, sizeof *places, "confidences", err);
    for (size_t i = 0; i < m->count && status == RML_OK; i++) {
        m->rows[i].face = m->all[i].face;
        if (!m->all[i].face)
            continue;
        m->rows[i].distance = (double)m->all[i].at[shift];
        plain[found] = middle - m->rows[i].distance;
        places[found++] = i;
    }
    for (size_t k = 0; k < found && status == RML_OK; k++) {
        double near[FILTER] = {0}; // beyond the ends
        for (int i = 0; i < FILTER; i++) {
            const int64_t at = (int64_t)k + i - FILTER / 2;
            if (at >= 0 && at < (int64_t)found)
                near[i] = plain[at];
        }
        m->rows[places[k]].confidence = median(near, FILTER);
    }
    rml_free(m->allocator, plain);
    if (status == RML_OK)
        rml_free(m->allocator, places);
    return status;
}

static void fill_near(rml_sync_meter *m)
{
    const int64_t half = RML_SYNC_SPAN / 2, count = (int64_t)m->count;
    int64_t from = 0, to = 0;
    sums s = {0};
    double middle;
    for (int64_t i = 0; i < count; i++) {
        for (; to < count && to < i + half; to++)
            add(&s, m, to, 1, false);
        for (; from < i - half; from++)
            add(&s, m, from, -1, false);
        m->rows[i].near = score(&s, &middle);
    }
}

rml_status rml_sync_meter_finish(rml_sync_meter *m, rml_error *err)
{
    double middle, pairs;
    while ((int64_t)m->count < m->pushed)
        RML_TRY(add_row(m, m->pushed - 1, err));
    m->whole = score_all(m, false, &middle);
    m->pairs = score_all(m, true, &pairs);
    if (!m->whole.windows)
        return rml_fail(err, RML_ERR_ARG,
                        "no face is seen for five frames in a row, so there are no lips to compare "
                        "with the sound");
    RML_TRY(rml_make(m->allocator, &m->rows, m->count, sizeof *m->rows, "the measure", err));
    RML_TRY(fill_confidence(m, middle, err));
    fill_near(m);
    return RML_OK;
}

int64_t rml_sync_meter_count(const rml_sync_meter *meter)
{
    return (int64_t)meter->count;
}

rml_sync_score rml_sync_meter_whole(const rml_sync_meter *meter)
{
    return meter->whole;
}

rml_sync_score rml_sync_meter_pairs(const rml_sync_meter *meter)
{
    return meter->pairs;
}

double rml_sync_meter_cosine(const rml_sync_meter *m, int offset)
{
    const int j = RML_SYNC_REACH - offset;
    double sum = 0;
    int64_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (!m->all[i].face || !is_inside(m, (int64_t)i, j))
            continue;
        const double d = (double)m->all[i].at[j];
        sum += 1 - d * d / 2; // both are of length 1
        count++;
    }
    return count ? sum / (double)count : 0;
}

const rml_sync_row *rml_sync_meter_row(const rml_sync_meter *meter, int64_t index)
{
    return &meter->rows[index];
}
