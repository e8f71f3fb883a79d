// Slaney's filter bank: triangles on a scale that is linear below 1 kHz and logarithmic above.
#ifndef RML_MEDIA_AUDIO_SLANEY_H
#define RML_MEDIA_AUDIO_SLANEY_H

#define RML_SLANEY_MAX_BINS 401 // of a spectrum, and so of a band

typedef struct rml_slaney_band {
    int first, count; // bins; a band between two bins has none
    float weight[RML_SLANEY_MAX_BINS];
} rml_slaney_band;

// Fills `count` bands whose edges lie equally apart in mel from `low` to `high` Hz, for a spectrum
// of `bins` bins that are `bin_hz` apart. Each band has area 1 over frequency. `bins` is at most
// RML_SLANEY_MAX_BINS: few bands are as wide as the spectrum.
void rml_slaney_fill(rml_slaney_band *bands, int count, double low, double high, int bins,
                     double bin_hz);

#endif
