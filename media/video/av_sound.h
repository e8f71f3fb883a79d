// The sound track of a file being written: decoded from another file and encoded again, packet by
// packet. Included by av_*.c only.
#ifndef RML_MEDIA_VIDEO_AV_SOUND_H
#define RML_MEDIA_VIDEO_AV_SOUND_H

#include "media/audio/av_convert.h"
#include "media/audio/av_sound_in.h"
#include "media/video/encode.h"

#include <libavutil/audio_fifo.h>

typedef struct rml_av_sound {
    rml_av_sound_in in;
    bool pending; // the frame of `in` waits to be converted
    bool source_ended, flushed;
    AVFrame *quiet; // a block of the silence in front of it
    rml_av_convert convert;
    AVCodecContext *encoder;
    AVAudioFifo *fifo;         // converted, not yet encoded
    AVFrame *block;            // what goes into the encoder
    int64_t skip;              // converted samples still to be left out at the beginning
    int64_t silence;           // samples of silence still to be put in front of all
    int64_t limit;             // samples to write at most
    int64_t fed;               // samples given to the encoder
    struct rml_av_sound *also; // another that is added, which has the encoder of the first; or NULL
} rml_av_sound;

// Opens the best audio stream of `path` and an encoder at its rate and channels (the nearest that
// the codec has). `path` must outlive the sound. `offset` above 0 puts silence first, below 0
// leaves out the beginning; `seconds` limits the whole, 0 does not. untimed: see av_sound_in.h. On
// failure the sound is closed.
rml_status rml_av_sound_open(rml_av_sound *sound, const char *path, bool untimed,
                             rml_sound_codec codec, bool global_header, double offset,
                             double seconds, rml_error *err);

// Adds the best audio stream of `path`, which must outlive the sound, as it is at the encoder's
// rate and channels; levels beyond full scale are cut. Before the first packet.
rml_status rml_av_sound_mix(rml_av_sound *sound, const char *path, bool untimed, rml_error *err);

// Next packet in units of sound->encoder->time_base, or *end = true.
rml_status rml_av_sound_next(rml_av_sound *sound, AVPacket *packet, bool *end, rml_error *err);

void rml_av_sound_close(rml_av_sound *sound);

#endif
