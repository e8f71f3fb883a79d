#include "pipelines/lipsync/mouth.h"

#include "tensor/alloc.h"

#include <string.h>

#define FADE_FRAMES 3

// A voice's last face of silence.
typedef struct closed_face {
    uint8_t *open, *closed;    // before the network and after
    rml_part seen;             // as in the item
    bool known;                // there is one
    const rml_lip_item *maker; // while a batch runs: the item whose face comes to be `closed`
} closed_face;

struct rml_mouth {
    const rml_allocator *allocator;
    rml_mouth_settings settings;
    rml_lip_net *net;
    double frame_seconds;
    float *quiet; // what the network hears of silence
    // With a strength other than 1, of a batch: the faces of silence.
    rml_lip_item *rests, **rest_items;
    uint8_t *patches;
    // With RML_SILENCE_CLOSE, of a batch: what the network runs on.
    rml_lip_item **items;
    uint8_t **given;
    float *voiced;
    closed_face kept[RML_LIP_VOICES];
};

bool rml_silence_parse(const char *name, rml_silence *silence)
{
    static const char *const names[] = {
        [RML_SILENCE_NET] = "net", [RML_SILENCE_KEEP] = "keep", [RML_SILENCE_CLOSE] = "close"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *silence = (rml_silence)i;
            return true;
        }
    return false;
}

static size_t patch_bytes(const rml_mouth *m)
{
    return (size_t)m->net->side * (size_t)m->net->side * RML_FRAME_CHANNELS;
}

static rml_status make_rests(rml_mouth *m, int batch, rml_error *err)
{
    const size_t count = (size_t)batch;
    const char *what = "mouths at rest";
    RML_TRY(rml_make(m->allocator, &m->rests, count, sizeof *m->rests, what, err));
    RML_TRY(rml_make(m->allocator, &m->rest_items, count, sizeof *m->rest_items, what, err));
    RML_TRY(rml_make(m->allocator, &m->patches, count, patch_bytes(m), what, err));
    for (size_t i = 0; i < count; i++) {
        m->rests[i].patch = m->patches + i * patch_bytes(m);
        m->rests[i].sound = m->quiet;
        m->rest_items[i] = &m->rests[i];
    }
    return RML_OK;
}

static rml_status make_closed(rml_mouth *m, int voices, int batch, rml_error *err)
{
    const size_t count = (size_t)batch;
    const char *what = "closed mouths";
    RML_TRY(rml_make(m->allocator, &m->items, count, sizeof *m->items, what, err));
    RML_TRY(rml_make(m->allocator, &m->given, count, sizeof *m->given, what, err));
    RML_TRY(rml_make(m->allocator, &m->voiced, count, sizeof *m->voiced, what, err));
    for (int i = 0; i < voices; i++) {
        RML_TRY(rml_make(m->allocator, &m->kept[i].open, 1, patch_bytes(m), what, err));
        RML_TRY(rml_make(m->allocator, &m->kept[i].closed, 1, patch_bytes(m), what, err));
    }
    return RML_OK;
}

static rml_status make(rml_mouth *m, int voices, int batch, rml_error *err)
{
    const bool scaled = m->settings.strength != 1.0;
    if (!(m->settings.strength >= 0.0 && m->settings.strength <= RML_MOUTH_STRENGTH_MAX))
        return rml_fail(err, RML_ERR_ARG, "a mouth's strength of %g is outside 0..%g",
                        m->settings.strength, RML_MOUTH_STRENGTH_MAX);
    if (!scaled && m->settings.silence != RML_SILENCE_CLOSE)
        return RML_OK;
    RML_TRY(
        rml_make(m->allocator, &m->quiet, m->net->sound_count, sizeof *m->quiet, "silence", err));
    RML_TRY(m->net->hear_silence(m->net, m->quiet, err));
    if (m->settings.silence == RML_SILENCE_CLOSE)
        RML_TRY(make_closed(m, voices, batch, err));
    return scaled ? make_rests(m, batch, err) : RML_OK;
}

rml_status rml_mouth_create(rml_mouth **out, const rml_mouth_settings *settings, rml_lip_net *net,
                            int voices, int batch, double frame_seconds,
                            const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_mouth *m;
    RML_TRY(rml_make(allocator, &m, 1, sizeof *m, "the mouth", err));
    *m = (rml_mouth){
        .allocator = allocator, .settings = *settings, .net = net, .frame_seconds = frame_seconds};
    const rml_status status = make(m, voices, batch, err);
    if (status != RML_OK)
        rml_mouth_destroy(&m);
    *out = m;
    return status;
}

void rml_mouth_destroy(rml_mouth **mouth)
{
    rml_mouth *old = *mouth;
    *mouth = NULL;
    if (!old)
        return;
    for (int i = 0; i < RML_LIP_VOICES; i++) {
        rml_free(old->allocator, old->kept[i].closed);
        rml_free(old->allocator, old->kept[i].open);
    }
    rml_free(old->allocator, old->voiced);
    rml_free(old->allocator, old->given);
    rml_free(old->allocator, old->items);
    rml_free(old->allocator, old->patches);
    rml_free(old->allocator, old->rest_items);
    rml_free(old->allocator, old->rests);
    rml_free(old->allocator, old->quiet);
    rml_free(old->allocator, old);
}

float rml_mouth_voiced(const rml_mouth *m, const rml_speech *speech, const rml_slot_plan *plan)
{
    if (m->settings.silence == RML_SILENCE_NET)
        return 1.0f;
    const double middle = plan->sound_seconds + 0.5 * m->frame_seconds;
    const double half = 0.5 * FADE_FRAMES * m->frame_seconds;
    return (float)rml_speech_activity(speech, middle - half, middle + half);
}

bool rml_mouth_moves(const rml_mouth *m, float voiced)
{
    return voiced > 0.0f || m->settings.silence != RML_SILENCE_KEEP;
}

void rml_mouth_fade_sound(const rml_mouth *m, float voiced, float *sound)
{
    if (m->settings.silence != RML_SILENCE_CLOSE || voiced == 1.0f)
        return;
    for (size_t i = 0; i < m->net->sound_count; i++)
        sound[i] = m->quiet[i] + voiced * (sound[i] - m->quiet[i]);
}

// patch = from + share * (patch - from)
static void blend(uint8_t *patch, const uint8_t *from, float share, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        patch[i] = rml_lip_byte((float)from[i] + share * (float)(patch[i] - from[i]), true);
}

void rml_mouth_fade_face(const rml_mouth *m, uint8_t *patch, const uint8_t *given, float share)
{
    if (share < 1.0f)
        blend(patch, given, share, patch_bytes(m));
}

// The faces of silence of all items, and from there times the strength to those of the voice.
static rml_status scale(rml_mouth *m, rml_lip_item *const *items, uint8_t *const *given, int count,
                        bool round, rml_error *err)
{
    for (int i = 0; i < count; i++) {
        m->rests[i].source = items[i]->source;
        m->rests[i].box = items[i]->box;
        m->rests[i].seen = items[i]->seen;
        memcpy(m->rests[i].patch, given[i], patch_bytes(m));
    }
    RML_TRY(m->net->run(m->net, m->rest_items, count, round, err));
    for (int i = 0; i < count; i++)
        blend(items[i]->patch, m->rests[i].patch, (float)m->settings.strength, patch_bytes(m));
    return RML_OK;
}

static rml_status run_all(rml_mouth *m, rml_lip_item *const *items, uint8_t *const *given,
                          const float *voiced, int count, bool round, rml_error *err)
{
    RML_TRY(m->net->run(m->net, items, count, round, err));
    if (m->settings.strength != 1.0)
        RML_TRY(scale(m, items, given, count, round, err));
    if (m->settings.silence == RML_SILENCE_KEEP)
        for (int i = 0; i < count; i++)
            rml_mouth_fade_face(m, items[i]->patch, given[i], voiced[i]);
    return RML_OK;
}

static bool is_kept(const rml_mouth *m, const closed_face *kept, const rml_lip_item *item,
                    const uint8_t *given)
{
    return kept->known && rml_part_equal(item->seen, kept->seen) &&
           memcmp(given, kept->open, patch_bytes(m)) == 0;
}

static void keep(const rml_mouth *m, closed_face *kept, const rml_lip_item *item,
                 const uint8_t *given)
{
    kept->maker = item;
    kept->seen = item->seen;
    kept->known = true;
    memcpy(kept->open, given, patch_bytes(m));
}

static void take(const rml_mouth *m, const rml_lip_item *item)
{
    memcpy(item->patch, m->kept[item->voice].closed, patch_bytes(m));
}

// In silence the network hears the same in every frame, and makes the same of a face that stands
// still: once. Of several such faces of a voice in a batch the first is kept.
static rml_status run_but_closed(rml_mouth *m, rml_lip_item *const *items, uint8_t *const *given,
                                 const float *voiced, int count, bool round, rml_error *err)
{
    int left = 0, waiting = 0; // those for a face of this batch, at the end of m->items
    for (int i = 0; i < count; i++) {
        closed_face *kept = &m->kept[items[i]->voice];
        const bool silent = voiced[i] == 0.0f;
        if (silent && is_kept(m, kept, items[i], given[i])) {
            if (kept->maker)
                m->items[count - ++waiting] = items[i];
            else
                take(m, items[i]);
            continue;
        }
        if (silent && !kept->maker)
            keep(m, kept, items[i], given[i]);
        m->items[left] = items[i];
        m->given[left] = given[i];
        m->voiced[left++] = voiced[i];
    }
    if (left > 0)
        RML_TRY(run_all(m, m->items, m->given, m->voiced, left, round, err));
    for (int i = 0; i < RML_LIP_VOICES; i++) {
        if (m->kept[i].maker)
            memcpy(m->kept[i].closed, m->kept[i].maker->patch, patch_bytes(m));
        m->kept[i].maker = NULL;
    }
    while (waiting > 0)
        take(m, m->items[count - waiting--]);
    return RML_OK;
}

rml_status rml_mouth_run(rml_mouth *m, rml_lip_item *const *items, uint8_t *const *given,
                         const float *voiced, int count, bool round, rml_error *err)
{
    return m->settings.silence == RML_SILENCE_CLOSE
               ? run_but_closed(m, items, given, voiced, count, round, err)
               : run_all(m, items, given, voiced, count, round, err);
}
