#include "media/audio/slaney.h"

#include <assert.h>
#include <math.h>

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
