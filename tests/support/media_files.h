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

static inline rml_encode_settings clip_settings(rml_codec codec, int width, int height, int rate)
{
    rml_encode_settings settings = rml_encode_settings_default();
    settings.codec = codec;
    settings.width = width;
    settings.height = height;
    settings.frame_rate = (rml_rational){rate, 1};
    settings.threads = 1;
    return settings;
}

// `count` frames that `paint` makes of their numbers.
static inline rml_status encode_clip(const char *path, const rml_encode_settings *settings,
                                     int count, void (*paint)(rml_frame *frame, int index),
                                     rml_encode_summary *summary, rml_error *err)
{
    const rml_allocator *allocator = rml_allocator_default();
    rml_encoder *encoder;
    rml_frame frame = {0};
    rml_status status = rml_encoder_open(&encoder, path, settings, allocator, err);
    if (status == RML_OK)
        status = rml_frame_reserve(&frame, settings->width, settings->height, allocator, err);
    for (int i = 0; i < count && status == RML_OK; i++) {
        paint(&frame, i);
        frame.pts = i;
        frame.time_base = (rml_rational){1, settings->frame_rate.num};
        status = rml_encoder_write(encoder, &frame, err);
    }
    rml_frame_release(&frame);
    if (status == RML_OK)
        return rml_encoder_finish(&encoder, summary, err);
    rml_encoder_abort(&encoder);
    return status;
}

static inline void paint_number(rml_frame *frame, int index)
{
    memset(frame->data, index, frame->pitch * (size_t)frame->height);
}

// `count` frames, 25 a second, each of one colour: its number.
static inline rml_status write_clip(const char *path, rml_codec codec, int width, int height,
                                    int count, rml_error *err)
{
    const rml_encode_settings settings = clip_settings(codec, width, height, 25);
    return encode_clip(path, &settings, count, paint_number, NULL, err);
}

#endif
