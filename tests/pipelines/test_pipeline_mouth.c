// A mouth that is closed: computed once as long as the face stands still, with the same bytes.
#include "pipelines/lipsync/mouth.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <string.h>

enum { SIDE = 2, BYTES = SIDE * SIDE * RML_FRAME_CHANNELS, BATCH = 6 };

typedef struct counter {
    int items, runs;
} counter;

// A face is what it was plus what is heard, in every byte.
static rml_status run(rml_lip_net *net, rml_lip_item *const *items, int count, bool round,
                      rml_error *err)
{
    (void)round;
    (void)err;
    counter *c = net->self;
    c->items += count;
    c->runs++;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < BYTES; k++)
            items[i]->patch[k] = (uint8_t)(items[i]->patch[k] + (int)items[i]->sound[0]);
    return RML_OK;
}

static rml_status hear_silence(rml_lip_net *net, float *sound, rml_error *err)
{
    (void)net;
    (void)err;
    sound[0] = 3;
    return RML_OK;
}

static counter count_of;
static bool voices;
static rml_lip_net net = {
    .self = &count_of, .side = SIDE, .sound_count = 1, .hear_silence = hear_silence, .run = run};
static rml_error err;

// Runs one batch: item i has a face of faces[i] and hears 20 times its share. Checks what comes out
// (`strength` times the way from the face of silence) and how many faces were computed. With
// `voices` they are in turn those of one and of the other.
static void batch(rml_mouth *mouth, const char *faces, const float *voiced, const int *tops,
                  double strength, int computed)
{
    uint8_t patches[BATCH][BYTES], given[BATCH][BYTES], *given_at[BATCH];
    float sounds[BATCH];
    rml_lip_item items[BATCH], *item_at[BATCH];
    const int count = (int)strlen(faces);
    for (int i = 0; i < count; i++) {
        memset(patches[i], faces[i], BYTES);
        memset(given[i], faces[i], BYTES);
        sounds[i] = 23;
        rml_mouth_fade_sound(mouth, voiced[i], &sounds[i]);
        items[i] = (rml_lip_item){.patch = patches[i],
                                  .sound = &sounds[i],
                                  .seen = {0, tops[i], SIDE, SIDE - tops[i]},
                                  .voice = voices ? i % 2 : 0};
        item_at[i] = &items[i];
        given_at[i] = given[i];
    }
    count_of.items = 0;
    CHECK(rml_mouth_run(mouth, item_at, given_at, voiced, count, true, &err) == RML_OK);
    CHECK_MSG(count_of.items == computed, "%s: %d computed, not %d", faces, count_of.items,
              computed);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < BYTES; k++)
            CHECK_MSG(patches[i][k] == faces[i] + 3 + (int)(strength * 20 * voiced[i]),
                      "%s: face %d is %d", faces, i, patches[i][k]);
}

static rml_mouth *create(rml_silence silence, double strength)
{
    const rml_mouth_settings settings = {silence, strength};
    rml_mouth *mouth;
    CHECK(rml_mouth_create(&mouth, &settings, &net, 2, BATCH, 0.04, rml_allocator_default(),
                           &err) == RML_OK);
    return mouth;
}

static const float silent[BATCH] = {0};
static const int tops[BATCH] = {0};

static void test_still(void)
{
    rml_mouth *mouth = create(RML_SILENCE_CLOSE, 1);
    const float mixed[BATCH] = {1, 0, 0.5f, 0, 1, 0};
    batch(mouth, "aaaa", silent, tops, 1, 1);
    count_of.runs = 0;
    batch(mouth, "aaaaaa", silent, tops, 1, 0);
    CHECK(count_of.runs == 0);
    batch(mouth, "aaaaaa", mixed, tops, 1, 3); // those with a voice
    batch(mouth, "bbbbbb", mixed, tops, 1, 4);
    batch(mouth, "b", silent, tops, 1, 0);
    rml_mouth_destroy(&mouth);
}

static void test_moving(void)
{
    rml_mouth *mouth = create(RML_SILENCE_CLOSE, 1);
    batch(mouth, "abc", silent, tops, 1, 3);
    batch(mouth, "abacca", silent, tops, 1, 5); // the first `a` was kept, and then `b` is
    batch(mouth, "bbab", silent, tops, 1, 2);   // then `a`
    batch(mouth, "ab", silent, tops, 1, 1);
    // Of another part that somebody looks at some may be missing.
    const int higher[BATCH] = {0, 1, 1}, high[BATCH] = {1, 1, 1};
    batch(mouth, "aaa", silent, higher, 1, 3);
    batch(mouth, "aaa", silent, high, 1, 1);
    rml_mouth_destroy(&mouth);
}

// Two who are silent in turn in one picture do not drive each other out.
static void test_two_voices(void)
{
    rml_mouth *mouth = create(RML_SILENCE_CLOSE, 1);
    const float one_speaks[BATCH] = {1, 0, 1, 0, 1, 0};
    voices = true;
    batch(mouth, "ababab", silent, tops, 1, 2);
    batch(mouth, "ababab", silent, tops, 1, 0);
    batch(mouth, "ababab", one_speaks, tops, 1, 3);
    batch(mouth, "babaab", silent, tops, 1, 4); // kept are `b` of one and `a` of the other
    batch(mouth, "bab", silent, tops, 1, 0);
    voices = false;
    rml_mouth_destroy(&mouth);
}

static void test_strength(void)
{
    rml_mouth *mouth = create(RML_SILENCE_CLOSE, 0.5);
    const float mixed[BATCH] = {1, 0, 1, 0};
    batch(mouth, "aaaa", mixed, tops, 0.5, 6); // three faces of the voice and of silence each
    batch(mouth, "aaaa", mixed, tops, 0.5, 4);
    rml_mouth_destroy(&mouth);
}

static void test_others_compute_all(void)
{
    rml_mouth *mouth = create(RML_SILENCE_NET, 1);
    const float all[BATCH] = {1, 1, 1};
    batch(mouth, "aaa", all, tops, 1, 3);
    rml_mouth_destroy(&mouth);
}

static void test_no_memory(void)
{
    const rml_mouth_settings settings = {RML_SILENCE_CLOSE, 0.5};
    rml_status status = RML_ERR_NOMEM;
    for (int fail = 1; status != RML_OK; fail++) {
        counting count;
        const rml_allocator allocator = counting_allocator(&count);
        rml_mouth *mouth;
        count.fail_at = fail;
        status = rml_mouth_create(&mouth, &settings, &net, 2, BATCH, 0.04, &allocator, &err);
        CHECK(status == (mouth ? RML_OK : RML_ERR_NOMEM));
        rml_mouth_destroy(&mouth);
        CHECK(count.live_bytes == 0);
    }
}

int main(void)
{
    test_still();
    test_moving();
    test_two_voices();
    test_strength();
    test_others_compute_all();
    test_no_memory();
    return check_result();
}
