#include "media/audio/resample.h"

#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;
static const double kaiser_beta = 14.769656459379492;
static const double rolloff = 0.9475937167399596; // of the lower Nyquist frequency

enum {
    ZERO_CROSSINGS = 64,
    PER_CROSSING = 512,
    TABLE = ZERO_CROSSINGS * PER_CROSSING + 1,
    BLOCK = 4096, // samples in and out at a time
};

// One half of the filter, sampled, with the step to the next sample for interpolation.
typedef struct entry {
    double value, step;
} entry;

struct rml_resampler {
    const rml_allocator *allocator;
    int rate_in, rate_out;
    double ratio, scale, increment; // out / in, min(1, ratio), 1 / ratio
    int stride; // of the table, per input sample: cut to an integer as in resampy
    int reach;  // taps on either side at most
    entry *table;
    float *kept; // the last inputs; kept[0] is sample number kept_from
    int kept_capacity, kept_count;
    int64_t kept_from, received, delivered;
    double time; // of the next output, in input samples
    float out[BLOCK];
};

// Modified Bessel function of order zero, by its power series.
static double bessel_i0(double x)
{
    double sum = 1.0, term = 1.0;
    for (int k = 1; term > sum * 1e-17; k++) {
        double factor = x / (2.0 * k);
        term *= factor * factor;
        sum += term;
    }
    return sum;
}

static void fill_table(entry *table, double gain)
{
    double norm = bessel_i0(kaiser_beta);
    for (int i = 0; i < TABLE; i++) {
        double t = (double)i / PER_CROSSING, x = pi * rolloff * t;
        double edge = (double)i / (TABLE - 1);
        double window = bessel_i0(kaiser_beta * sqrt(1.0 - edge * edge)) / norm;
        table[i].value = gain * rolloff * (i ? sin(x) / x : 1.0) * window;
    }
    for (int i = 0; i + 1 < TABLE; i++)
        table[i].step = table[i + 1].value - table[i].value;
    table[TABLE - 1].step = 0.0;
}

void rml_resampler_reset(rml_resampler *resampler)
{
    rml_resampler *r = resampler;
    r->kept_count = 0;
    r->kept_from = r->received = r->delivered = 0;
    r->time = 0.0;
}

rml_status rml_resampler_create(rml_resampler **out, int rate_in, int rate_out,
                                const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    if (rate_in < 1 || rate_out < 1 || rate_in > (int64_t)PER_CROSSING * rate_out)
        return rml_fail(err, RML_ERR_ARG, "cannot change a sample rate of %d Hz to %d Hz", rate_in,
                        rate_out);
    rml_resampler *r;
    RML_TRY(rml_make(allocator, &r, 1, sizeof *r, "a resampler", err));
    r->allocator = allocator;
    r->rate_in = rate_in;
    r->rate_out = rate_out;
    r->ratio = (double)rate_out / rate_in;
    r->scale = r->ratio < 1.0 ? r->ratio : 1.0;
    r->increment = 1.0 / r->ratio;
    r->stride = (int)(r->scale * PER_CROSSING);
    r->reach = TABLE / r->stride;
    r->kept_capacity = 2 * r->reach + BLOCK;
    r->table = rml_alloc_zero(allocator, TABLE, sizeof(entry));
    r->kept = rml_alloc_zero(allocator, (size_t)r->kept_capacity, sizeof(float));
    if (!r->table || !r->kept) {
        rml_resampler_destroy(&r);
        return rml_fail_nomem(err, TABLE * sizeof(entry), "a resampling filter");
    }
    fill_table(r->table, r->scale);
    *out = r;
    return RML_OK;
}

void rml_resampler_destroy(rml_resampler **resampler)
{
    rml_resampler *old = *resampler;
    *resampler = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->table);
    rml_free(old->allocator, old->kept);
    rml_free(old->allocator, old);
}

// Half of the filter over `x`, going by `direction`, from `fraction` input samples (times scale)
// on.
static double wing(const rml_resampler *r, double fraction, const float *x, int direction,
                   int64_t available)
{
    double position = fraction * PER_CROSSING;
    int offset = (int)position;
    double eta = position - offset;
    int count = (TABLE - offset) / r->stride;
    if (count > available)
        count = (int)available;
    const entry *e = r->table + offset;
    double sum = 0.0;
    for (int i = 0; i < count; i++, e += r->stride, x += direction)
        sum += (e->value + eta * e->step) * *x;
    return sum;
}

// The output at r->time; input up to `end` (exclusive) exists.
static float output_at(const rml_resampler *r, int64_t end)
{
    int64_t n = (int64_t)r->time;
    double fraction = r->scale * (r->time - (double)n);
    const float *x = r->kept + (n - r->kept_from);
    double left = wing(r, fraction, x, -1, n + 1);
    double right = end > n + 1 ? wing(r, r->scale - fraction, x + 1, 1, end - n - 1) : 0.0;
    return (float)(left + right);
}

// Delivers outputs while all inputs that they need, up to `reach` ahead, are there; at the end of
// the clip (`last`) up to the number that resampy gives.
static rml_status deliver(rml_resampler *r, bool last, int64_t limit, rml_samples_sink sink,
                          void *user, rml_error *err)
{
    for (;;) {
        size_t count = 0;
        while (count < BLOCK && r->delivered < limit &&
               (last || (int64_t)r->time + r->reach + 1 < r->received)) {
            r->out[count++] = output_at(r, r->received);
            r->delivered++;
            r->time += r->increment; // summed up, not multiplied: resampy 0.2 drifts the same way
        }
        if (count == 0)
            return RML_OK;
        RML_TRY(sink(user, r->out, count, err));
    }
}

// Drops inputs that no later output needs.
static void drop_old(rml_resampler *r)
{
    int64_t first = (int64_t)r->time - r->reach;
    int64_t drop = first - r->kept_from;
    if (drop <= 0)
        return;
    if (drop > r->kept_count)
        drop = r->kept_count;
    r->kept_count -= (int)drop;
    r->kept_from += drop;
    memmove(r->kept, r->kept + drop, (size_t)r->kept_count * sizeof *r->kept);
}

rml_status rml_resampler_push(rml_resampler *resampler, const float *samples, size_t count,
                              rml_samples_sink sink, void *user, rml_error *err)
{
    rml_resampler *r = resampler;
    if (r->rate_in == r->rate_out)
        return count ? sink(user, samples, count, err) : RML_OK;
    while (count > 0) {
        size_t room = (size_t)(r->kept_capacity - r->kept_count);
        size_t take = count < room ? count : room;
        memcpy(r->kept + r->kept_count, samples, take * sizeof *samples);
        r->kept_count += (int)take;
        r->received += (int64_t)take;
        samples += take;
        count -= take;
        RML_TRY(deliver(r, false, INT64_MAX, sink, user, err));
        drop_old(r);
    }
    return RML_OK;
}

rml_status rml_resampler_finish(rml_resampler *resampler, rml_samples_sink sink, void *user,
                                rml_error *err)
{
    rml_resampler *r = resampler;
    rml_status status = RML_OK;
    if (r->rate_in != r->rate_out) {
        status = deliver(r, true, (int64_t)((double)r->received * r->ratio), sink, user, err);
        int64_t missing = rml_resample_count(r->received, r->rate_in, r->rate_out) - r->delivered;
        static const float silence[1] = {0.0f};
        for (; status == RML_OK && missing > 0; missing--)
            status = sink(user, silence, 1, err);
    }
    rml_resampler_reset(r);
    return status;
}

int64_t rml_resample_count(int64_t n, int rate_in, int rate_out)
{
    return rate_in == rate_out ? n : (int64_t)ceil((double)n * ((double)rate_out / rate_in));
}
