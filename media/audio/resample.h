// Change of sample rate with the windowed sinc that resampy calls kaiser_best, the one behind the
// original Wav2Lip, its truncated table step included; sums in double.
#ifndef RML_MEDIA_AUDIO_RESAMPLE_H
#define RML_MEDIA_AUDIO_RESAMPLE_H

#include "tensor/alloc.h"

typedef struct rml_resampler rml_resampler;

// Rates are 1 or more, rate_in at most 512 times rate_out.
rml_status rml_resampler_create(rml_resampler **out, int rate_in, int rate_out,
                                const rml_allocator *allocator, rml_error *err);
void rml_resampler_destroy(rml_resampler **resampler);

// Receives the next samples of the output.
typedef rml_status (*rml_samples_sink)(void *user, const float *samples, size_t count,
                                       rml_error *err);

// Takes any number of input samples and hands on what can be computed so far. Memory is bounded by
// the filter's length. An error of the sink is passed on. Equal rates hand the samples on
// unchanged.
rml_status rml_resampler_push(rml_resampler *resampler, const float *samples, size_t count,
                              rml_samples_sink sink, void *user, rml_error *err);

// End of input: hands on the rest, rml_resample_count(n, ...) samples in all, the last of them 0
// where the filter gives fewer (as librosa pads). Ready for a new clip after it.
rml_status rml_resampler_finish(rml_resampler *resampler, rml_samples_sink sink, void *user,
                                rml_error *err);

// Forgets what was pushed.
void rml_resampler_reset(rml_resampler *resampler);

// ceil(n * (rate_out / rate_in)) in double, rounding included, as librosa computes it.
int64_t rml_resample_count(int64_t n, int rate_in, int rate_out);

#endif
