// Where somebody speaks, from columns of mel: thresholds, hysteresis, clicks, pauses, shares.
#include "media/audio/voice_activity.h"
#include "media/audio/mel.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <math.h>

enum { SECOND = RML_MEL_COLUMNS_PER_SECOND };

typedef struct part {
    double seconds, db; // level in 0..100, of all bands
} part;

static uint32_t state = 1;

// A number from -1 to 1.
static float chance(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / (1 << 23) - 1.0f;
}

// The sound of the parts, each band up and down by `jitter` decibels.
static rml_voice_activity hear(const part *parts, int count, double jitter,
                               const rml_allocator *allocator)
{
    rml_voice_activity a = {.allocator = allocator};
    float column[RML_MEL_BANDS];
    for (int p = 0; p < count; p++)
        for (int i = 0; i < (int)(parts[p].seconds * SECOND + 0.5); i++) {
            for (int b = 0; b < RML_MEL_BANDS; b++)
                column[b] = fmaxf((float)(parts[p].db + jitter * chance() - 50.0) * 0.08f, -4.0f);
            CHECK(rml_voice_activity_push(&a, column, NULL) == RML_OK);
        }
    CHECK(rml_voice_activity_decide(&a, NULL) == RML_OK);
    return a;
}

static void check_share(const part *parts, int count, double jitter, double from, double to,
                        double least, double most, const rml_allocator *allocator)
{
    rml_voice_activity a = hear(parts, count, jitter, allocator);
    const double share = rml_voice_activity_share(&a, from, to);
    CHECK_MSG(share >= least && share <= most, "%g to %g s: %g, not in %g..%g\n", from, to, share,
              least, most);
    rml_voice_activity_release(&a);
}

int main(void)
{
    counting counter = {0};
    const rml_allocator allocator = counting_allocator(&counter), *at = &allocator;
    // 2 s without a voice: in digital silence, in noise 40, 20 and 10 dB below the voice
    for (int i = 0; i < 4; i++) {
        static const double noises[] = {0, 30, 50, 60};
        const double noise = noises[i], jitter = i ? 6 : 0;
        const part gap[] = {{1.5, 70}, {2, noise}, {1, 70}};
        check_share(gap, 3, jitter, 0.05, 1.5, 1, 1, at);
        check_share(gap, 3, jitter, 1.7, 3.4, 0, 0, at);
        check_share(gap, 3, jitter, 3.5, 4.5, 1, 1, at);
        check_share(gap, 3, jitter, 0, 4.5, 2.5 / 4.5, 2.8 / 4.5, at);
    }
    // a noise that rises is tracked
    const part rises[] = {{2, 30}, {1, 70}, {4, 30}, {4, 45}, {1, 70}, {2, 45}};
    check_share(rises, 6, 6, 9, 10.9, 0, 0, at);
    check_share(rises, 6, 6, 11, 12, 1, 1, at);
    // a click is no speech, a short pause belongs to it, a longer one does not
    const part click[] = {{1, 20}, {0.0375, 75}, {1, 20}, {1, 70}, {1, 20}};
    check_share(click, 5, 0, 0, 1.9, 0, 0, at);
    const part pause[] = {{1, 70}, {0.4, 20}, {1, 70}}, longer[] = {{1, 70}, {0.6, 20}, {1, 70}};
    check_share(pause, 3, 0, 0, 2.4, 1, 1, at);
    check_share(longer, 3, 0, 1.15, 1.5, 0, 0, at);
    // what has begun goes on where it would not begin: 5 dB above the noise
    const part fades[] = {{2, 40}, {1, 70}, {1, 45}, {2, 40}};
    check_share(fades, 4, 0, 3, 4, 1, 1, at);
    check_share(fades, 4, 0, 4.2, 6, 0, 0, at);
    const part both[] = {{2, 40}, {1, 45}, {2, 40}, {1, 70}, {2, 40}};
    check_share(both, 5, 0, 0, 4.9, 0, 0, at);
    // nothing but silence; nothing but a vowel, which is no noise
    const part silence[] = {{3, 0}}, vowel[] = {{5, 70}};
    check_share(silence, 1, 0, 0, 3, 0, 0, at);
    check_share(vowel, 1, 1, 0, 5, 1, 1, at);
    // shares of time: before the beginning and past the end nobody speaks
    check_share(vowel, 1, 0, -1, 1, 0.5, 0.5, at);
    check_share(vowel, 1, 0, 4.75, 5.75, 0.25, 0.25, at);
    check_share(vowel, 1, 0, 4.99, 5.01, 0.499999, 0.500001, at);
    check_share(vowel, 1, 0, 7, 8, 0, 0, at);
    check_share(vowel, 1, 0, 1.003, 1.006, 1, 1, at);
    CHECK(counter.live_bytes == 0);
    return check_result();
}
