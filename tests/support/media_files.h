// Small media files that tests make for themselves.
#ifndef RML_TESTS_SUPPORT_MEDIA_FILES_H
#define RML_TESTS_SUPPORT_MEDIA_FILES_H

#include "media/video/encode.h"

#include "tests/support/check.h"
#include "tensor/alloc.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void write_bytes(const char *path, const uint8_t *bytes, size_t count)
{
    remove(path);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, count, file) == count);
    if (file)
        fclose(file);
}

static inline void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

// 16-bit mono WAV of a tone that decays again and again.
static inline void write_wav(const char *path, int rate, int samples)
{
    const size_t bytes = 2 * (size_t)samples;
    uint8_t *wav = malloc(44 + bytes);
    if (!wav)
        abort();
    memcpy(wav, "RIFF....WAVEfmt \20\0\0\0\1\0\1\0........\2\0\20\0data", 40);
    put_u32(wav + 4, (uint32_t)(36 + bytes));
    put_u32(wav + 24, (uint32_t)rate);
    put_u32(wav + 28, 2 * (uint32_t)rate);
    put_u32(wav + 40, (uint32_t)bytes);
    for (int i = 0; i < samples; i++) {
        int value = (int)(9000.0 * sin(i * 0.07) * exp(-(i % 30000) / 9000.0));
        wav[44 + 2 * i] = (uint8_t)value;
        wav[45 + 2 * i] = (uint8_t)((unsigned)value >> 8);
    }
    write_bytes(path, wav, 44 + bytes);
    free(wav);
}

// `count` frames, 25 a second, each of one colour: its number.
static inline rml_status write_clip(const char *path, rml_codec codec, int width, int height,
                                    int count, rml_error *err)
{
    rml_encode_settings settings = rml_encode_settings_default();
    settings.codec = codec;
    settings.width = width;
    settings.height = height;
    settings.frame_rate = (rml_rational){25, 1};
    settings.threads = 1;
    rml_encoder *encoder;
    rml_frame frame = {0};
    RML_TRY(rml_frame_reserve(&frame, width, height, rml_allocator_default(), err));
    rml_status status = rml_encoder_open(&encoder, path, &settings, rml_allocator_default(), err);
    for (int i = 0; i < count && status == RML_OK; i++) {
        memset(frame.data, i, frame.pitch * (size_t)height);
        frame.pts = i;
        frame.time_base = (rml_rational){1, 25};
        status = rml_encoder_write(encoder, &frame, err);
    }
    rml_frame_release(&frame);
    if (status == RML_OK)
        return rml_encoder_finish(&encoder, NULL, err);
    rml_encoder_abort(&encoder);
    return status;
}

#endif
