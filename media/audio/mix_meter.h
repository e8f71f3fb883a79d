// Tells whether the average of several channels keeps what they hold.
#ifndef RML_MEDIA_AUDIO_MIX_METER_H
#define RML_MEDIA_AUDIO_MIX_METER_H

#include "media/audio/audio_in.h"

// A zeroed meter has heard nothing.
typedef struct rml_mix_meter {
    // Sums of squares in the window now, of which so many samples have been heard.
    double channel[RML_AUDIO_MAX_CHANNELS], average;
    int64_t count;
    int channels;
    double whole[RML_AUDIO_MAX_CHANNELS]; // sums of squares of all windows
    double loud, lost; // the loudest channel in all windows, and in those that the average loses
} rml_mix_meter;

// Before samples are added: they have this rate and number of channels. Begins a new window when
// the number changes, or the last one is long enough.
void rml_mix_meter_window(rml_mix_meter *meter, int rate, int channels);

// One sample of each channel, and their average.
static inline void rml_mix_meter_add(rml_mix_meter *meter, const float *samples, size_t channels,
                                     float average)
{
    for (size_t c = 0; c < channels; c++)
        meter->channel[c] += (double)samples[c] * samples[c];
    meter->average += (double)average * average;
    meter->count++;
}

// When all is heard: the channel to be heard alone, from 1 on; 0 when the average keeps the sound.
int rml_mix_meter_choice(rml_mix_meter *meter);

#endif
