// Discrete Fourier transforms of any length, in double: powers of two by halving, all others as a
// convolution of such a length.
#ifndef RML_OPS_SIGNAL_FOURIER_H
#define RML_OPS_SIGNAL_FOURIER_H

#include <stdbool.h>
#include <stddef.h>

#define RML_FOURIER_MAX ((size_t)1 << 28) // points

// Doubles of the tables of one length, and of a worker's memory beside its data.
size_t rml_fourier_table(size_t length);
size_t rml_fourier_work(size_t length);

// Fills the tables for transforms of `length` points, 1 to RML_FOURIER_MAX.
void rml_fourier_prepare(double *table, size_t length);

// Transforms data[length][2] (real, imaginary) in place. The inverse is divided by the length.
void rml_fourier_run(const double *table, size_t length, bool inverse, double *data, double *work);

#endif
