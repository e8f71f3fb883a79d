#include "ops/signal/fourier.h"

#include <math.h>
#include <string.h>

static const double two_pi = 6.283185307179586476925286766559;

static bool is_power(size_t n)
{
    return (n & (n - 1)) == 0;
}

// Length of the transforms a length runs on: itself, or a power of two that holds the convolution.
static size_t inner_length(size_t length)
{
    size_t n = 1;
    if (is_power(length))
        return length;
    while (n < 2 * length - 1)
        n *= 2;
    return n;
}

// Tables: exp(-2 pi i k / inner), k < inner/2; where inner is not the length also the chirp
// exp(-pi i k^2 / length), k < length, and the transform of its reverse.
size_t rml_fourier_table(size_t length)
{
    const size_t inner = inner_length(length);
    return inner + (inner == length ? 0 : 2 * length + 2 * inner);
}

size_t rml_fourier_work(size_t length)
{
    const size_t inner = inner_length(length);
    return inner == length ? 0 : 2 * inner;
}

static void swap_bits(double *data, size_t n)
{
    for (size_t i = 0, j = 0; i < n; i++) {
        if (i < j)
            for (size_t part = 0; part < 2; part++) {
                const double value = data[2 * i + part];
                data[2 * i + part] = data[2 * j + part];
                data[2 * j + part] = value;
            }
        size_t bit = n / 2;
        while (bit && (j & bit)) {
            j ^= bit;
            bit /= 2;
        }
        j |= bit;
    }
}

// Forward, of a power of two.
static void transform(const double *turn, size_t n, double *data)
{
    swap_bits(data, n);
    for (size_t half = 1; half < n; half *= 2)
        for (size_t start = 0; start < n; start += 2 * half)
            for (size_t k = 0; k < half; k++) {
                const double *w = turn + 2 * (k * (n / 2 / half));
                double *a = data + 2 * (start + k), *b = a + 2 * half;
                const double re = w[0] * b[0] - w[1] * b[1], im = w[0] * b[1] + w[1] * b[0];
                b[0] = a[0] - re;
                b[1] = a[1] - im;
                a[0] += re;
                a[1] += im;
            }
}

void rml_fourier_prepare(double *table, size_t length)
{
    const size_t inner = inner_length(length);
    double *chirp = table + inner, *filter = chirp + 2 * length;
    for (size_t k = 0; k < inner / 2; k++) {
        table[2 * k] = cos(two_pi * (double)k / (double)inner);
        table[2 * k + 1] = -sin(two_pi * (double)k / (double)inner);
    }
    if (inner == length)
        return;
    memset(filter, 0, 2 * inner * sizeof *filter);
    for (size_t k = 0, square = 0; k < length; k++) { // square = k^2 modulo 2 * length
        const double angle = two_pi / 2 * (double)square / (double)length;
        chirp[2 * k] = cos(angle);
        chirp[2 * k + 1] = -sin(angle);
        for (int side = 0; side < 2; side++) {
            const size_t at = side && k ? inner - k : k;
            filter[2 * at] = chirp[2 * k];
            filter[2 * at + 1] = -chirp[2 * k + 1];
        }
        square = (square + 2 * k + 1) % (2 * length);
    }
    transform(table, inner, filter);
}

static void multiply(double *a, const double *b)
{
    const double re = a[0] * b[0] - a[1] * b[1];
    a[1] = a[0] * b[1] + a[1] * b[0];
    a[0] = re;
}

static void transform_chirped(const double *table, size_t length, double *data, double *work)
{
    const size_t inner = inner_length(length);
    const double *chirp = table + inner, *filter = chirp + 2 * length;
    memset(work, 0, 2 * inner * sizeof *work);
    memcpy(work, data, 2 * length * sizeof *work);
    for (size_t k = 0; k < length; k++)
        multiply(work + 2 * k, chirp + 2 * k);
    transform(table, inner, work);
    for (size_t k = 0; k < inner; k++) { // conjugated, for the way back
        multiply(work + 2 * k, filter + 2 * k);
        work[2 * k + 1] = -work[2 * k + 1];
    }
    transform(table, inner, work);
    for (size_t k = 0; k < length; k++) {
        data[2 * k] = work[2 * k] / (double)inner;
        data[2 * k + 1] = -work[2 * k + 1] / (double)inner;
        multiply(data + 2 * k, chirp + 2 * k);
    }
}

void rml_fourier_run(const double *table, size_t length, bool inverse, double *data, double *work)
{
    for (size_t k = 0; k < length && inverse; k++)
        data[2 * k + 1] = -data[2 * k + 1];
    if (inner_length(length) == length)
        transform(table, length, data);
    else
        transform_chirped(table, length, data, work);
    for (size_t k = 0; k < length && inverse; k++) {
        data[2 * k] /= (double)length;
        data[2 * k + 1] /= -(double)length;
    }
}
