// Audio decoding to mono float, block by block. Builds without libav have no reader.
#ifndef RML_MEDIA_AUDIO_AUDIO_IN_H
#define RML_MEDIA_AUDIO_AUDIO_IN_H

#include "runmodel.h"

#define RML_AUDIO_MAX_RATE 768000
#define RML_AUDIO_MIN_RATE 1000
#define RML_AUDIO_MAX_CHANNELS 64

typedef struct rml_audio_info {
    int rate, channels; // at the beginning
    double seconds;     // duration as the container states it; 0 when not known
    const char *codec;  // static, "pcm_s16le"
    int channel;        // heard alone, from 1 on; 0: the average of all
    double silence;     // seconds put in so far
    double late;        // the first sample is heard so many seconds later than it lies, less than
                        // silence is put in for, where a file has pictures too
} rml_audio_info;

typedef struct rml_audio_in rml_audio_in;

// Opens the best audio stream of a local file (sound, or a video with sound) and decodes its first
// samples, so that a file that cannot be decoded at all fails here. as_upstream: its times are
// ignored, and channels are averaged whatever becomes of them.
rml_status rml_audio_in_open(rml_audio_in **out, const char *path, bool as_upstream,
                             const rml_allocator *allocator, rml_error *err);

const rml_audio_info *rml_audio_in_info(const rml_audio_in *in);

// Up to `capacity` samples at the native rate into `mono`; *count = 0 at the end. *rate is theirs:
// files that were joined change it on the way. Integers are scaled as libsndfile does (int16 /
// 32768, (uint8 - 128) / 128, int32 / 2^31), and channels are averaged in float. Where the file
// begins late or has a hole there is silence. Damaged packets are skipped; a file that is cut ends
// early.
rml_status rml_audio_in_read(rml_audio_in *in, float *mono, size_t capacity, size_t *count,
                             int *rate, rml_error *err);

// To be asked when all has been read. Channels that cancel each other (one of them connected the
// wrong way round) leave nothing of a voice when they are averaged. True when that is so: from
// rml_audio_in_rewind on the loudest channel is heard alone.
bool rml_audio_in_choose_mix(rml_audio_in *in);

// Starts again from the first sample by opening the file anew.
rml_status rml_audio_in_rewind(rml_audio_in *in, rml_error *err);

void rml_audio_in_close(rml_audio_in **in);

#endif
