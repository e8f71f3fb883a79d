#include "media/audio/mix_meter.h"

#include <string.h>

// Windows are half a second long, so that a part of a clip counts.
#define WINDOWS_PER_SECOND 2
// One channel alone has 1 / N^2 of its power in the average of N. An average with less than half of
// that has lost a voice to another channel.
#define LOST_SHARE 0.5
// So much of the sound must be lost.
#define LOST_PART 0.1
// Channels that differ by rounding are equally loud.
#define EQUAL_SHARE 0.9

static double loudest(const double power[RML_AUDIO_MAX_CHANNELS])
{
    double most = 0.0;
    for (int c = 0; c < RML_AUDIO_MAX_CHANNELS; c++)
        most = power[c] > most ? power[c] : most;
    return most;
}

static void close_window(rml_mix_meter *meter)
{
    const double loud = loudest(meter->channel);
    if (meter->average * meter->channels * meter->channels < LOST_SHARE * loud)
        meter->lost += loud;
    meter->loud += loud;
    for (int c = 0; c < meter->channels; c++)
        meter->whole[c] += meter->channel[c];
    memset(meter->channel, 0, sizeof meter->channel);
    meter->average = 0.0;
    meter->count = 0;
}

void rml_mix_meter_window(rml_mix_meter *meter, int rate, int channels)
{
    if (channels != meter->channels || meter->count >= rate / WINDOWS_PER_SECOND)
        close_window(meter);
    meter->channels = channels;
}

int rml_mix_meter_choice(rml_mix_meter *meter)
{
    close_window(meter);
    if (!(meter->lost > LOST_PART * meter->loud))
        return 0;
    const double enough = EQUAL_SHARE * loudest(meter->whole);
    int channel = 0;
    while (meter->whole[channel] < enough)
        channel++;
    return channel + 1;
}
