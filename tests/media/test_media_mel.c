// Transform, resampler and mel front end: definitions, block sizes, ends, hostile samples.
#include "tests/support/check.h"
#include "media/audio/fft.h"
#include "media/audio/mel.h"
#include "media/audio/resample.h"

static const rml_allocator *allocator;
static const double pi = 3.14159265358979323846;
static uint32_t state = 1;

static double next_random(void)
{
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / (1 << 23) - 1.0;
}

static void test_fft(void)
{
    static const int lengths[] = {2,  4,   6,   10,  14,  16,  22,  30,
                                  98, 128, 200, 242, 400, 480, 800, 866};
    static double x[1000], spectrum[1002];
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        int n = lengths[l];
        rml_fft *fft;
        CHECK(rml_fft_create(&fft, n, allocator, NULL) == RML_OK);
        for (int i = 0; i < n; i++)
            x[i] = next_random();
        rml_fft_real(fft, x, spectrum);
        double worst = 0.0;
        for (int k = 0; k <= n / 2; k++) {
            double re = 0.0, im = 0.0;
            for (int i = 0; i < n; i++) {
                double angle = 2.0 * pi * (double)((int64_t)i * k % n) / n;
                re += x[i] * cos(angle);
                im -= x[i] * sin(angle);
            }
            worst = fmax(worst, hypot(re - spectrum[2 * k], im - spectrum[2 * k + 1]));
        }
        CHECK_MSG(worst < 1e-15 * n, "length %d: %g", n, worst);
        rml_fft_destroy(&fft);
    }
    rml_fft *fft;
    CHECK(rml_fft_create(&fft, 7, allocator, NULL) == RML_ERR_ARG && fft == NULL);
    CHECK(rml_fft_create(&fft, 0, allocator, NULL) == RML_ERR_ARG && fft == NULL);
}

typedef struct collected {
    float values[200000];
    size_t count;
} collected;

static rml_status collect(void *user, const float *samples, size_t count, rml_error *err)
{
    (void)err;
    collected *c = user;
    memcpy(c->values + c->count, samples, count * sizeof *samples);
    c->count += count;
    return RML_OK;
}

static rml_status collect_column(void *user, int64_t index, const float *column, rml_error *err)
{
    collected *c = user;
    CHECK((size_t)index * RML_MEL_BANDS == c->count);
    return collect(user, column, RML_MEL_BANDS, err);
}

static void resample_all(collected *out, int rate_in, const float *x, size_t count, size_t block)
{
    rml_resampler *resampler;
    out->count = 0;
    CHECK(rml_resampler_create(&resampler, rate_in, 16000, allocator, NULL) == RML_OK);
    for (size_t i = 0; i < count; i += block)
        CHECK(rml_resampler_push(resampler, x + i, count - i < block ? count - i : block, collect,
                                 out, NULL) == RML_OK);
    CHECK(rml_resampler_finish(resampler, collect, out, NULL) == RML_OK);
    rml_resampler_destroy(&resampler);
}

static void test_resample(void)
{
    static const int rates[] = {8000, 11025, 16000, 22050, 44100, 48000, 96000, 768000};
    static float x[30000];
    static collected whole, blocks;
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        int rate = rates[r];
        size_t count = 30000 - r;
        for (size_t i = 0; i < count; i++) // 440 Hz, well inside every band
            x[i] = (float)sin(2.0 * pi * 440.0 * (double)i / rate);
        resample_all(&whole, rate, x, count, count);
        CHECK((int64_t)whole.count == rml_resample_count((int64_t)count, rate, 16000));
        resample_all(&blocks, rate, x, count, 61);
        CHECK(whole.count == blocks.count &&
              memcmp(whole.values, blocks.values, whole.count * sizeof(float)) == 0);
        double worst = 0.0;
        size_t margin = whole.count / 4;
        for (size_t i = margin; i < whole.count - margin; i++)
            worst = fmax(worst, fabs(whole.values[i] - sin(2.0 * pi * 440.0 * (double)i / 16000)));
        // 768 kHz cuts the table step from 10.67 to 10: six percent of gain, as in resampy.
        CHECK_MSG(worst < (rate > 96000 ? 0.08 : 0.012), "%d Hz: %g", rate, worst);
    }
    rml_resampler *resampler;
    CHECK(rml_resampler_create(&resampler, 0, 16000, allocator, NULL) == RML_ERR_ARG);
    CHECK(rml_resampler_create(&resampler, 16000 * 513, 16000, allocator, NULL) == RML_ERR_ARG);
    resample_all(&whole, 44100, x, 0, 1);
    CHECK(whole.count == 0);
    resample_all(&whole, 44100, x, 1, 1);
    CHECK(whole.count == 1 && whole.values[0] == 0.0f);
}

static rml_status mel_all(rml_mel *mel, collected *out, const float *x, size_t count, size_t block,
                          rml_error *err)
{
    out->count = 0;
    for (size_t i = 0; i < count; i += block)
        RML_TRY(rml_mel_push(mel, x + i, count - i < block ? count - i : block, collect_column, out,
                             err));
    return rml_mel_finish(mel, collect_column, out, err);
}

static void test_mel(void)
{
    static float x[20000];
    static collected whole, blocks;
    rml_mel *mel;
    rml_error err = {0};
    CHECK(rml_mel_create(&mel, allocator, NULL) == RML_OK);
    for (size_t i = 0; i < 20000; i++)
        x[i] = (float)(0.3 * next_random());
    for (size_t count = 3000; count < 20000; count += 611) {
        CHECK(mel_all(mel, &whole, x, count, count, &err) == RML_OK);
        CHECK((int64_t)(whole.count / RML_MEL_BANDS) == 1 + (int64_t)count / 200);
        CHECK(mel_all(mel, &blocks, x, count, 1 + count % 37, &err) == RML_OK);
        CHECK(whole.count == blocks.count &&
              memcmp(whole.values, blocks.values, whole.count * sizeof(float)) == 0);
    }
    CHECK(mel_all(mel, &whole, x, 2999, 100, &err) == RML_ERR_ARG);
    CHECK(strstr(err.message, "too short") != NULL);
    CHECK(mel_all(mel, &whole, x, 0, 1, &err) == RML_ERR_ARG);

    memset(x, 0, sizeof x);
    CHECK(mel_all(mel, &whole, x, 5000, 1000, &err) == RML_OK);
    size_t loud = 0;
    for (size_t i = 0; i < whole.count; i++)
        loud += whole.values[i] != RML_MEL_SILENCE;
    CHECK(loud == 0);
    for (size_t i = 0; i < 5000; i++)
        x[i] = i % 2 ? 1e30f : -1e30f;
    CHECK(mel_all(mel, &whole, x, 5000, 1000, &err) == RML_OK);
    for (size_t i = 0; i < whole.count; i++)
        loud += !(whole.values[i] <= 4.0f);
    CHECK(loud == 0);
    x[4800] = NAN;
    CHECK(mel_all(mel, &whole, x, 5000, 1000, &err) == RML_ERR_FORMAT);
    CHECK_MSG(strstr(err.message, "0.300 s") != NULL, "%s", err.message);
    rml_mel_reset(mel);
    x[4800] = INFINITY;
    CHECK(mel_all(mel, &whole, x, 5000, 1000, &err) == RML_ERR_FORMAT);
    rml_mel_destroy(&mel);
}

static void test_chunks(void)
{
    CHECK(rml_mel_chunk_count(161, 25.0) == 47);
    CHECK(rml_mel_chunk_count(161, 30.0) == 56);
    CHECK(rml_mel_chunk_count(161, 24.0) == 45);
    CHECK(rml_mel_chunk_count(15, 25.0) == 0);
    CHECK(rml_mel_chunk_count(16, 25.0) == 2); // the first fits, the second is the last 16 again
    CHECK(rml_mel_chunk_count(100, 0.0) == 0 && rml_mel_chunk_count(100, -1.0) == 0);
    CHECK(rml_mel_chunk_count(100, NAN) == 0 && rml_mel_chunk_count(100, INFINITY) == 0);
    static const double rates[] = {0.5, 12.5, 24000.0 / 1001, 25, 30000.0 / 1001, 30, 50, 60, 240};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
        for (int64_t columns = 16; columns < 900; columns += 7) {
            double step = 80.0 / rates[r];
            int64_t i = 0;
            for (;; i++) { // upstream's loop
                int64_t start = (int64_t)((double)i * step);
                bool last = start + 16 > columns;
                int64_t want = last ? columns - 16 : start;
                if (rml_mel_chunk_start(columns, rates[r], i) != want)
                    CHECK_MSG(false, "rate %g, %d columns, chunk %d", rates[r], (int)columns,
                              (int)i);
                if (last)
                    break;
            }
            if (rml_mel_chunk_count(columns, rates[r]) != i + 1)
                CHECK_MSG(false, "rate %g, %d columns: count", rates[r], (int)columns);
        }
    // 24000/1001: the bracket of 80.0 / fps decides here.
    double film = 23.976023976;
    CHECK(rml_mel_chunk_start(100000, film, 3900) == (int64_t)(3900 * (80.0 / film)));
}

int main(void)
{
    allocator = rml_allocator_default();
    test_fft();
    test_resample();
    test_mel();
    test_chunks();
    return check_result();
}
