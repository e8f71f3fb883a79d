#include "media/audio/fft.h"

#include "tensor/alloc.h"

#include <math.h>
#include <string.h>
#include <assert.h>

static const double pi = 3.14159265358979323846;

enum { MAX_FACTORS = 32 };

// A real transform of length n is a complex one of length n / 2 over pairs of samples, followed by
// a pass that takes the even and the odd samples' spectra apart.
struct rml_fft {
    const rml_allocator *allocator;
    int half;
    int factors[MAX_FACTORS]; // of half, 0 at the end
    double *twiddle;          // exp(-2 pi i k / half), k = 0..half-1
    double *split;            // exp(-2 pi i k / length), k = 0..half
    double *a, *b;            // half complex numbers each
    double *column;           // as many as the largest factor
};

static int factorise(int n, int *factors)
{
    int count = 0, largest = 1;
    static const int preferred[] = {4, 2, 3, 5};
    for (size_t i = 0; i < sizeof preferred / sizeof *preferred; i++)
        while (n % preferred[i] == 0) {
            factors[count++] = preferred[i];
            n /= preferred[i];
            largest = preferred[i] > largest ? preferred[i] : largest;
        }
    for (int f = 7; n > 1; f += 2) {
        if ((int64_t)f * f > n)
            f = n;
        while (n % f == 0) {
            factors[count++] = f;
            n /= f;
            largest = f > largest ? f : largest;
        }
    }
    factors[count] = 0;
    return largest;
}

static void fill_circle(double *out, int count, int length)
{
    for (int k = 0; k < count; k++) {
        out[2 * k] = cos(2.0 * pi * k / length);
        out[2 * k + 1] = -sin(2.0 * pi * k / length);
    }
}

rml_status rml_fft_create(rml_fft **out, int length, const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    if (length < 2 || length > RML_FFT_MAX_LENGTH || length % 2)
        return rml_fail(err, RML_ERR_ARG, "Fourier transform of length %d: must be even, 2..%d",
                        length, RML_FFT_MAX_LENGTH);
    rml_fft *fft;
    RML_TRY(rml_make(allocator, &fft, 1, sizeof *fft, "a Fourier transform", err));
    fft->allocator = allocator;
    fft->half = length / 2;
    size_t pairs = (size_t)fft->half;
    size_t largest = (size_t)factorise(fft->half, fft->factors);
    fft->twiddle = rml_alloc_zero(allocator, 2 * pairs, sizeof(double));
    fft->split = rml_alloc_zero(allocator, 2 * (pairs + 1), sizeof(double));
    fft->a = rml_alloc_zero(allocator, 2 * pairs, sizeof(double));
    fft->b = rml_alloc_zero(allocator, 2 * pairs, sizeof(double));
    fft->column = rml_alloc_zero(allocator, 2 * largest, sizeof(double));
    if (!fft->twiddle || !fft->split || !fft->a || !fft->b || !fft->column) {
        rml_fft_destroy(&fft);
        return rml_fail_nomem(err, 10 * pairs * sizeof(double), "a Fourier transform");
    }
    fill_circle(fft->twiddle, fft->half, fft->half);
    fill_circle(fft->split, fft->half + 1, length);
    *out = fft;
    return RML_OK;
}

void rml_fft_destroy(rml_fft **fft)
{
    rml_fft *old = *fft;
    *fft = NULL;
    if (!old)
        return;
    rml_free(old->allocator, old->twiddle);
    rml_free(old->allocator, old->split);
    rml_free(old->allocator, old->a);
    rml_free(old->allocator, old->b);
    rml_free(old->allocator, old->column);
    rml_free(old->allocator, old);
}

// Small transforms in place over `z`, complex numbers one after the other.

static void dft_2(double *z)
{
    double re = z[2], im = z[3];
    z[2] = z[0] - re;
    z[3] = z[1] - im;
    z[0] += re;
    z[1] += im;
}

static void dft_4(double *z)
{
    double sum02_re = z[0] + z[4], sum02_im = z[1] + z[5];
    double dif02_re = z[0] - z[4], dif02_im = z[1] - z[5];
    double sum13_re = z[2] + z[6], sum13_im = z[3] + z[7];
    double dif13_re = z[2] - z[6], dif13_im = z[3] - z[7];
    z[0] = sum02_re + sum13_re;
    z[1] = sum02_im + sum13_im;
    z[2] = dif02_re + dif13_im; // times -i
    z[3] = dif02_im - dif13_re;
    z[4] = sum02_re - sum13_re;
    z[5] = sum02_im - sum13_im;
    z[6] = dif02_re - dif13_im;
    z[7] = dif02_im + dif13_re;
}

static void dft_5(double *z)
{
    static const double cos1 = 0.30901699437494742410, cos2 = -0.80901699437494742410;
    static const double sin1 = 0.95105651629515357212, sin2 = 0.58778525229247312917;
    double s1_re = z[2] + z[8], s1_im = z[3] + z[9], d1_re = z[2] - z[8], d1_im = z[3] - z[9];
    double s2_re = z[4] + z[6], s2_im = z[5] + z[7], d2_re = z[4] - z[6], d2_im = z[5] - z[7];
    double u1_re = z[0] + cos1 * s1_re + cos2 * s2_re, u1_im = z[1] + cos1 * s1_im + cos2 * s2_im;
    double u2_re = z[0] + cos2 * s1_re + cos1 * s2_re, u2_im = z[1] + cos2 * s1_im + cos1 * s2_im;
    double v1_re = sin1 * d1_re + sin2 * d2_re, v1_im = sin1 * d1_im + sin2 * d2_im;
    double v2_re = sin2 * d1_re - sin1 * d2_re, v2_im = sin2 * d1_im - sin1 * d2_im;
    z[0] += s1_re + s2_re;
    z[1] += s1_im + s2_im;
    z[2] = u1_re + v1_im;
    z[3] = u1_im - v1_re;
    z[8] = u1_re - v1_im;
    z[9] = u1_im + v1_re;
    z[4] = u2_re + v2_im;
    z[5] = u2_im - v2_re;
    z[6] = u2_re - v2_im;
    z[7] = u2_im + v2_re;
}

// One level of the decomposition, self-sorting (Stockham): `factor` numbers of `src`, `step` =
// half / factor apart, are transformed, turned, and stored `done` apart, where `done` is the length
// of the transforms finished so far. The turn comes first here: item r of block p by p * r *
// stride.
static void pass(const rml_fft *fft, const double *src, double *dst, int factor, int done)
{
    int half = fft->half, step = half / factor;
    int stride = half / (done * factor);
    double *z = fft->column;
    for (int i = 0; i < step; i++) {
        int p = i % done, q = i / done;
        for (int r = 0; r < factor; r++) {
            const double *x = src + 2 * (size_t)(i + r * step);
            const double *w = fft->twiddle + 2 * (size_t)((int64_t)p * r * stride % half);
            z[2 * r] = x[0] * w[0] - x[1] * w[1];
            z[2 * r + 1] = x[0] * w[1] + x[1] * w[0];
        }
        double *y = dst + 2 * ((size_t)q * (size_t)done * (size_t)factor + (size_t)p);
        size_t apart = 2 * (size_t)done;
        if (factor == 2)
            dft_2(z);
        else if (factor == 4)
            dft_4(z);
        else if (factor == 5)
            dft_5(z);
        else {
            for (int k = 0; k < factor; k++) {
                double re = 0.0, im = 0.0;
                for (int r = 0; r < factor; r++) {
                    const double *w =
                        fft->twiddle + 2 * ((size_t)((int64_t)k * r % factor) * (size_t)step);
                    re += z[2 * r] * w[0] - z[2 * r + 1] * w[1];
                    im += z[2 * r] * w[1] + z[2 * r + 1] * w[0];
                }
                y[apart * (size_t)k] = re;
                y[apart * (size_t)k + 1] = im;
            }
            continue;
        }
        for (int k = 0; k < factor; k++) {
            y[apart * (size_t)k] = z[2 * k];
            y[apart * (size_t)k + 1] = z[2 * k + 1];
        }
    }
}

void rml_fft_real(rml_fft *fft, const double *x, double *spectrum)
{
    int half = fft->half;
    double *src = fft->a, *dst = fft->b;
    memcpy(src, x, 2 * (size_t)half * sizeof *src);
    for (int i = 0, done = 1; fft->factors[i]; done *= fft->factors[i], i++) {
        pass(fft, src, dst, fft->factors[i], done);
        double *swap = src;
        src = dst;
        dst = swap;
    }
    for (int k = 0; k <= half; k++) {
        const double *z = src + 2 * (size_t)(k % half), *m = src + 2 * (size_t)((half - k) % half);
        double even_re = 0.5 * (z[0] + m[0]), even_im = 0.5 * (z[1] - m[1]);
        double odd_re = 0.5 * (z[1] + m[1]), odd_im = 0.5 * (m[0] - z[0]);
        const double *w = fft->split + 2 * (size_t)k;
        spectrum[2 * k] = even_re + odd_re * w[0] - odd_im * w[1];
        spectrum[2 * k + 1] = even_im + odd_re * w[1] + odd_im * w[0];
    }
}

// ---- filter bank -----------------------------------------------------------------------------

static double mel_of_hz(double hz)
{
    return hz < 1000.0 ? 3.0 * hz / 200.0 : 15.0 + 27.0 * log(hz / 1000.0) / log(6.4);
}

static double hz_of_mel(double mel)
{
    return mel < 15.0 ? mel * 200.0 / 3.0 : 1000.0 * exp((mel - 15.0) * log(6.4) / 27.0);
}

void rml_slaney_fill(rml_slaney_band *bands, int count, double low, double high, int bins,
                     double bin_hz)
{
    const double first = mel_of_hz(low), last = mel_of_hz(high);
    double edge[3];
    assert(bins <= RML_SLANEY_MAX_BINS);
    for (int i = 0; i < count; i++) {
        rml_slaney_band *b = &bands[i];
        for (int k = 0; k < 3; k++)
            edge[k] = hz_of_mel(first + (last - first) * (i + k) / (count + 1));
        const double area = 2.0 / (edge[2] - edge[0]);
        b->first = b->count = 0;
        for (int bin = 0; bin < bins; bin++) {
            const double hz = bin * bin_hz;
            const double up = (hz - edge[0]) / (edge[1] - edge[0]);
            const double down = (edge[2] - hz) / (edge[2] - edge[1]);
            const double height = up < down ? up : down;
            if (height <= 0.0)
                continue;
            if (b->count == 0)
                b->first = bin;
            b->weight[b->count++] = (float)(height * area);
        }
    }
}
