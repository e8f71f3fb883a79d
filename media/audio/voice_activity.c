#include "media/audio/voice_activity.h"

#include "media/audio/mel.h"
#include "tensor/alloc.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
    LEVELS = 256,
    FIRST_BAND = 3,    // from 200 Hz
    END_BAND = 63,     // to 4 kHz
    LOUDEST = 40,      // columns that tell how loud the voice is, or
    LOUDEST_PART = 20, // where there is less sound, this part of it
    BLOCK = 20,        // columns, of which the quietest is kept
    BLOCKS_AROUND = 6,
    CLICK = 4,  // columns that are no speech
    BEFORE = 4, // columns that lips move before the sound
    AFTER = 8,  // and after it
    PAUSE = 24, // shorter ones belong to speech
};

// Mel stands for 100 decibels, and so do the levels.
#define LEVELS_PER_DB ((LEVELS - 1) / 100.0)
#define DB(x) ((int)((x)*LEVELS_PER_DB + 0.5))

rml_status rml_voice_activity_push(rml_voice_activity *a, const float *column, rml_error *err)
{
    const float db_per_unit = 100.0f / (-2.0f * RML_MEL_SILENCE);
    float power = 0;
    for (int b = FIRST_BAND; b < END_BAND; b++)
        power += powf(10.0f, 0.1f * db_per_unit * column[b]);
    const double db = 10.0 * log10((double)power / (END_BAND - FIRST_BAND)) + 50.0;
    const double level = db * LEVELS_PER_DB + 0.5;
    RML_TRY(
        rml_reserve(a->allocator, &a->columns, &a->capacity, a->count + 1, 1, "the voice", err));
    a->columns[a->count++] = (uint8_t)(level < 0 ? 0 : level > LEVELS - 1 ? LEVELS - 1 : level);
    return RML_OK;
}

// What the loudest columns have at least.
static int find_loud(const rml_voice_activity *a)
{
    size_t of[LEVELS] = {0}, wanted = a->count / LOUDEST_PART + 1, found = 0;
    wanted = wanted < LOUDEST ? wanted : LOUDEST;
    for (size_t i = 0; i < a->count; i++)
        of[a->columns[i]]++;
    int level = LEVELS - 1;
    while (level > 0 && (found += of[level]) < wanted)
        level--;
    return level;
}

// The quietest level of each block, and then of those around it.
static void find_quietest(const rml_voice_activity *a, uint8_t *blocks, uint8_t *floors,
                          size_t count)
{
    memset(blocks, LEVELS - 1, count);
    for (size_t i = 0; i < a->count; i++)
        if (a->columns[i] < blocks[i / BLOCK])
            blocks[i / BLOCK] = a->columns[i];
    for (size_t i = 0; i < count; i++) {
        const size_t end = i + BLOCKS_AROUND + 1 < count ? i + BLOCKS_AROUND + 1 : count;
        floors[i] = blocks[i];
        for (size_t k = i > BLOCKS_AROUND ? i - BLOCKS_AROUND : 0; k < end; k++)
            floors[i] = blocks[k] < floors[i] ? blocks[k] : floors[i];
    }
}

static int most(int a, int b)
{
    return a > b ? a : b;
}

static void threshold(rml_voice_activity *a, const uint8_t *floors)
{
    const int loud = find_loud(a);
    bool speaks = false;
    for (size_t i = 0; i < a->count; i++) {
        int floor = floors[i / BLOCK];
        floor = floor < loud - DB(12) ? floor : loud - DB(12); // a vowel held is no noise
        const int begins = most(most(floor + DB(7), loud - DB(28)), DB(25));
        const int goes_on = most(most(floor + DB(4), loud - DB(33)), DB(22));
        speaks = a->columns[i] >= (speaks ? goes_on : begins);
        a->columns[i] = speaks;
    }
}

// Runs of `value` shorter than `least` columns become the other value; those at the beginning and
// at the end only where `ends`.
static void drop_runs(rml_voice_activity *a, uint8_t value, size_t least, bool ends)
{
    for (size_t i = 0, end; i < a->count; i = end) {
        for (end = i + 1; end < a->count && a->columns[end] == a->columns[i];)
            end++;
        const bool inner = i > 0 && end < a->count;
        if (a->columns[i] == value && end - i < least && (inner || ends))
            memset(a->columns + i, !value, end - i);
    }
}

// `by` columns from each run of speech on belong to it; `step` -1 goes backwards, from `at`.
static void widen(rml_voice_activity *a, size_t at, ptrdiff_t step, int by)
{
    int left = -1;
    for (size_t i = 0; i < a->count; i++, at += (size_t)step) {
        left = a->columns[at] ? by : left - 1;
        a->columns[at] = left >= 0;
    }
}

rml_status rml_voice_activity_decide(rml_voice_activity *a, rml_error *err)
{
    const size_t count = a->count / BLOCK + 1;
    uint8_t *blocks;
    RML_TRY(rml_make(a->allocator, &blocks, 2 * count, 1, "the voice", err));
    find_quietest(a, blocks, blocks + count, count);
    threshold(a, blocks + count);
    rml_free(a->allocator, blocks);
    drop_runs(a, 1, CLICK, true);
    widen(a, 0, 1, AFTER);
    widen(a, a->count - 1, -1, BEFORE);
    drop_runs(a, 0, PAUSE, false);
    return RML_OK;
}

double rml_voice_activity_share(const rml_voice_activity *a, double from, double to)
{
    const double first = from * RML_MEL_COLUMNS_PER_SECOND, end = to * RML_MEL_COLUMNS_PER_SECOND;
    double sum = 0.0;
    for (double i = fmax(floor(first), 0.0); i < end && i < (double)a->count; i++)
        if (a->columns[(size_t)i])
            sum += fmin(end, i + 1) - fmax(first, i);
    return fmin(sum / (end - first), 1.0);
}

void rml_voice_activity_release(rml_voice_activity *a)
{
    rml_free(a->allocator, a->columns);
    *a = (rml_voice_activity){.allocator = a->allocator};
}
