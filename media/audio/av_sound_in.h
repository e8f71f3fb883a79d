// The decoded frames of a sound stream, and the silence between them: a file says when each frame
// is heard, and may begin late or have holes. Included by av_*.c only.
#ifndef RML_MEDIA_AUDIO_AV_SOUND_IN_H
#define RML_MEDIA_AUDIO_AV_SOUND_IN_H

#include "media/video/av_source.h"

typedef struct rml_av_sound_in {
    rml_av_source source;
    AVFrame *frame;  // the one now, with samples, a rate and channels within the limits
    int64_t silence; // samples of silence in front of it, at its rate
    AVFrame *ahead;  // the frame after it, or empty when it is not decoded yet
    bool ended;      // there is none after it
    bool untimed;    // times are ignored: frames follow one another
    bool lost;       // the frame before had no time
    int first_rate;  // of the frames, in Hz
    // All in seconds:
    double origin;   // of the file's clock
    double shift;    // added to its times
    double position; // where the next frame begins if there is no hole
    double longest;  // hole that is one; beyond it the clock has jumped
    double late;     // the first frame is heard so much later than its samples lie here: less than
                     // is taken for a hole; 0 for sound without pictures
} rml_av_sound_in;

// Opens the best audio stream of `path`, which must outlive it, and decodes its first frame.
// untimed: as upstream hears it. On failure it is closed.
rml_status rml_av_sound_in_open(rml_av_sound_in *in, const char *path, bool untimed,
                                rml_error *err);

// Makes `frame` and `silence` the next, or *end = true. Rate and channels may change.
//
// Silence is put in where the file's clock is ahead of the samples by more than encoders, jitter
// and rounding explain. A clock that falls behind (files joined, overlaps), or leaps, only starts
// anew: no sound is dropped. Frames whose neighbours know nothing of such a jump are astray.
rml_status rml_av_sound_in_next(rml_av_sound_in *in, bool *end, rml_error *err);

void rml_av_sound_in_close(rml_av_sound_in *in);

int rml_av_channels(const AVFrame *frame);

#endif
