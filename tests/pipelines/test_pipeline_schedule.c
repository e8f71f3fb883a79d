// Which frame, which columns, which time: counts at all usual rates, repetition, variable rate.
#include "media/audio/mel.h"
#include "pipelines/lipsync/schedule.h"

#include "tests/support/check.h"

static void test_repeat(void)
{
    static const int64_t ping_pong[] = {0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2};
    static const int64_t doubled[] = {0, 1, 2, 3, 3, 2, 1, 0, 0, 1, 2};
    for (int i = 0; i < 11; i++) {
        CHECK(rml_repeat_source(RML_REPEAT_DOUBLED, 4, i) == doubled[i]);
        CHECK(rml_repeat_source(RML_REPEAT_PING_PONG, 4, i) == ping_pong[i]);
        CHECK(rml_repeat_source(RML_REPEAT_CYCLIC, 4, i) == i % 4);
        CHECK(rml_repeat_source(RML_REPEAT_STILL, 4, i) == 0);
        CHECK(rml_repeat_source(RML_REPEAT_PING_PONG, 1, i) == 0);
        CHECK(rml_repeat_source(RML_REPEAT_PING_PONG, 0, i) == i);
        CHECK(rml_repeat_source(RML_REPEAT_PING_PONG, 2, i) == i % 2);
    }
}

// Plays a clip of `source_count` frames with the times `pts`, of which the last is its end, until
// the schedule has enough.
static int64_t play(rml_schedule *s, rml_repeat repeat, const int64_t *pts, int64_t source_count,
                    rml_slot_plan *plans, int64_t capacity)
{
    int64_t count = 0;
    for (int64_t i = 0; !s->done; i++) {
        const int64_t source = rml_repeat_source(repeat, source_count, i);
        rml_schedule_show(s, pts[source], pts[source + 1]);
        while (count < capacity && rml_schedule_next(s, &plans[count]))
            count++;
        if (count == capacity)
            break;
    }
    return count;
}

static rml_slot_plan plans[200000];
static int64_t times[200001];

static void test_length(rml_rational rate, rml_rational base, double seconds, int64_t source_count)
{
    double fps = rml_rational_value(rate);
    for (int64_t i = 0; i <= source_count; i++)
        times[i] = llround((double)i / fps / rml_rational_value(base));
    rml_schedule_settings settings = {
        .frame_rate = rate, .time_base = base, .audio_seconds = seconds};
    rml_schedule s;
    CHECK(rml_schedule_init(&s, &settings, NULL) == RML_OK);
    int64_t n = play(&s, RML_REPEAT_PING_PONG, times, source_count, plans, 200000);
    CHECK_MSG(fabs((double)n / fps - seconds) <= 0.5 / fps + 1e-9, "%lld frames at %.3f for %.4f s",
              (long long)n, fps, seconds);
    CHECK(n == s.total);
    // Every frame lies on the grid to the tick, whatever the source's clock is.
    for (int64_t i = 0; i < n; i++)
        if (plans[i].pts != i * s.frame_ticks) {
            CHECK_MSG(false, "frame %lld of %.3f fps, base 1/%lld: %lld ticks, grid %lld",
                      (long long)i, fps, (long long)base.den, (long long)plans[i].pts,
                      (long long)(i * s.frame_ticks));
            break;
        }
    double exact = (double)s.frame_ticks * rml_rational_value(s.time_base) * fps;
    CHECK(fabs(exact - 1) < 1e-12);
}

static void test_rates(void)
{
    static const rml_rational rates[] = {{24000, 1001}, {24, 1}, {25, 1},       {30000, 1001},
                                         {30, 1},       {50, 1}, {60000, 1001}, {60, 1}};
    static const rml_rational bases[] = {
        {1, 1000}, {1, 12800}, {1, 90000}, {1, 15360}, {1001, 30000}};
    static const double lengths[] = {0.1875, 1, 3.3333, 9.99, 61.037};
    for (int r = 0; r < 8; r++) {
        for (int l = 0; l < 5; l++) {
            test_length(rates[r], (rml_rational){rates[r].den, rates[r].num}, lengths[l], 100);
            test_length(rates[r], bases[0], lengths[l], 1000);
            test_length(rates[r], bases[2], lengths[l], 7);
        }
    }
    test_length(rates[2], bases[1], 10, 250);
    test_length(rates[4], bases[3], 10, 250);
    test_length(rates[3], bases[4], 10, 250);
}

static rml_schedule begun(rml_rational rate, rml_rational base, double seconds, bool constant)
{
    const rml_schedule_settings settings = {
        .frame_rate = rate, .time_base = base, .audio_seconds = seconds, .constant_rate = constant};
    rml_schedule s;
    CHECK(rml_schedule_init(&s, &settings, NULL) == RML_OK);
    return s;
}

static void test_variable_rate(void)
{
    // Milliseconds of a phone: nothing on a grid; played forward, back, forward. Each frame lasts
    // as long as it does forward.
    static const int64_t pts[] = {0, 41, 70, 137, 150, 211, 241};
    rml_schedule s = begun((rml_rational){30, 1}, (rml_rational){1, 1000}, 0.6, false);
    int64_t n = play(&s, RML_REPEAT_PING_PONG, pts, 6, plans, 100);
    static const int64_t expected[] = {0,   41,  70,  137, 150, 211, 241, 302,
                                       315, 382, 411, 452, 481, 548, 561};
    double tick_ms = rml_rational_value(s.time_base) * 1000;
    CHECK_MSG(n == 15, "%lld frames", (long long)n);
    for (int i = 0; i < 15 && i < n; i++)
        CHECK_MSG(fabs((double)plans[i].pts * tick_ms - (double)expected[i]) < 0.5,
                  "frame %d at %.3f ms, expected %lld", i, (double)plans[i].pts * tick_ms,
                  (long long)expected[i]);
    // A clock fine enough for the grid is taken as it is, without snapping.
    static const int64_t fine[] = {0, 512 + 3, 1024 - 2, 2047, 2559};
    s = begun((rml_rational){25, 1}, (rml_rational){1, 12800}, 0.16, false);
    CHECK(s.time_base.den == 12800);
    n = play(&s, RML_REPEAT_PING_PONG, fine, 4, plans, 4);
    CHECK(n >= 3 && plans[1].pts == 515 && plans[2].pts == 1022);
}

// Clocks too fine for a time base of the output keep their times to half a microsecond.
static void test_fine_clocks(void)
{
    static const int64_t dens[] = {1000000, 1000000000, 30000000, 10000000, 999983};
    static const rml_rational rates[] = {{25, 1}, {30000, 1001}, {24000, 1001}, {2997, 100}};
    for (size_t d = 0; d < sizeof dens / sizeof *dens; d++)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
            const double frame = 1 / rml_rational_value(rates[r]);
            for (int64_t i = 0; i <= 200; i++)
                times[i] = llround(((double)i + 0.3 * sin((double)i)) * frame * (double)dens[d]);
            rml_schedule s = begun(rates[r], (rml_rational){1, dens[d]}, 190 * frame, false);
            CHECK(s.time_base.den <= 10000000);
            const int64_t n = play(&s, RML_REPEAT_PING_PONG, times, 200, plans, 1000);
            CHECK(n >= 189 && n <= 191);
            for (int64_t i = 0; i < n; i++) {
                const double late = (double)plans[i].pts * rml_rational_value(s.time_base) -
                                    (double)times[i] / (double)dens[d];
                CHECK_MSG(fabs(late) < 0.6e-6, "1/%lld: frame %lld is off by %g s",
                          (long long)dens[d], (long long)i, late);
            }
        }
}

// From the beginning of the first frame to the end of the last.
static double length_of(const rml_schedule *s, int64_t n)
{
    return (double)(plans[n - 1].pts + s->frame_ticks) * rml_rational_value(s->time_base);
}

// Frames that last longer than two go on at the frame rate, whatever comes after them: the end of
// the sound within them too.
static void test_holds(void)
{
    static const int64_t pts[] = {0, 40, 80, 1720, 1760, 1860, 1867, 1868, 1900, 3000};
    for (int ms = 30; ms < 9000; ms += 7)
        for (int constant = 0; constant < 2; constant++) {
            const double seconds = ms / 1e3;
            rml_schedule s =
                begun((rml_rational){25, 1}, (rml_rational){1, 1000}, seconds, constant);
            const int64_t n = play(&s, RML_REPEAT_PING_PONG, pts, 9, plans, 1000);
            CHECK_MSG(fabs(length_of(&s, n) - seconds) <= 0.02 + 1e-9, "%.3f s for %.3f s",
                      length_of(&s, n), seconds);
            for (int64_t i = 1; i < n; i++) {
                const double gap =
                    (double)(plans[i].pts - plans[i - 1].pts) * rml_rational_value(s.time_base);
                CHECK_MSG(gap > 0.00099 && gap < (constant ? 0.0401 : 0.0901), "%.4f s at %.3f s",
                          gap, (double)plans[i].pts * rml_rational_value(s.time_base));
            }
            CHECK(!constant || n == s.total);
        }
}

// With a constant rate frames are dropped and repeated by time, never by count.
static void test_constant_rate(void)
{
    rml_schedule s = begun((rml_rational){25, 1}, (rml_rational){1, 1000}, 4, true);
    static const int64_t pts[] = {0, 15, 28, 41, 160, 197, 243, 1000};
    static const int shown[] = {1, 3, 3, 3, 4, 5};
    int count = 0;
    for (int source = 0; source < 7; source++) {
        rml_schedule_show(&s, pts[source], pts[source + 1]);
        for (; rml_schedule_next(&s, &plans[count]); count++) {
            CHECK(count >= 6 ? source == 6 : source == shown[count]);
            CHECK(plans[count].pts == count * s.frame_ticks && plans[count].index == count);
        }
    }
    CHECK(count == 25);
}

// Times of a damaged file: years apart, or none at all.
static void test_absurd_times(void)
{
    static const int64_t far[] = {0, 1, INT64_MAX / 2, INT64_MAX};
    static const int64_t equal[] = {0, 0, 0, 0};
    for (int constant = 0; constant < 2; constant++) {
        rml_schedule s = begun((rml_rational){25, 1}, (rml_rational){1, 25}, 3, constant);
        CHECK(play(&s, RML_REPEAT_PING_PONG, far, 3, plans, 1000) == 75);
        s = begun((rml_rational){25, 1}, (rml_rational){1, 1000000000}, 3, constant);
        const int64_t n = play(&s, RML_REPEAT_CYCLIC, equal, 3, plans, 10000);
        CHECK(constant ? n == 75 : n > 2900 && n < 3000);
    }
}

static void test_sound(void)
{
    rml_schedule_settings settings = {
        .frame_rate = {25, 1}, .time_base = {1, 25}, .audio_seconds = 2};
    rml_schedule s;
    for (int64_t i = 0; i <= 100; i++)
        times[i] = i;
    CHECK(rml_schedule_init(&s, &settings, NULL) == RML_OK);
    CHECK(play(&s, RML_REPEAT_CYCLIC, times, 100, plans, 100) == 50);
    for (int i = 0; i < 50; i++)
        CHECK(plans[i].index == i && fabs(plans[i].sound_seconds - i / 25.0) < 1e-12);
    settings.offset_seconds = 0.1;
    CHECK(rml_schedule_init(&s, &settings, NULL) == RML_OK);
    play(&s, RML_REPEAT_CYCLIC, times, 100, plans, 100);
    CHECK(fabs(plans[0].sound_seconds + 0.1) < 1e-12);
    CHECK(fabs(plans[25].sound_seconds - 0.9) < 1e-12);

    // Upstream: T=161 gives 47 chunks at 25, 56 at 30, 45 at 24; the last one starts at T - 16.
    static const struct {
        int fps, count;
    } upstream[] = {{25, 47}, {30, 56}, {24, 45}};
    for (int k = 0; k < 3; k++) {
        settings.compat = true;
        settings.chunks = rml_mel_chunk_count(161, upstream[k].fps);
        settings.frame_rate = (rml_rational){upstream[k].fps, 1};
        CHECK(rml_schedule_init(&s, &settings, NULL) == RML_OK);
        int64_t n = play(&s, RML_REPEAT_CYCLIC, times, 10, plans, 100);
        CHECK(n == upstream[k].count && s.total == n);
        CHECK(plans[n - 1].index == n - 1 && plans[n - 1].pts == n - 1);
    }
}

static void test_refused(void)
{
    rml_schedule s;
    rml_error err;
    rml_schedule_settings settings = {.audio_seconds = 1};
    CHECK(rml_schedule_init(&s, &settings, &err) == RML_ERR_ARG);
    settings.frame_rate = (rml_rational){25, 1};
    settings.audio_seconds = 0;
    CHECK(rml_schedule_init(&s, &settings, &err) == RML_ERR_ARG);
    rml_rational r = rml_rate_from_double(29.97);
    CHECK(r.num == 2997 && r.den == 100);
    r = rml_rate_from_double(25);
    CHECK(r.num == 25 && r.den == 1);
    CHECK(rml_rate_from_double(-1).den == 0);
}

// Sound that begins before the picture holds its first frame, once; sound that begins later leaves
// out the beginning, once.
static void test_lead(void)
{
    static const double leads[] = {0.5, 0.06, -0.06, -0.13, 0.0};
    for (int64_t i = 0; i <= 10; i++)
        times[i] = i * 40;
    for (int k = 0; k < 10; k++) {
        const double lead = leads[k / 2];
        rml_schedule_settings settings = {.frame_rate = {25, 1},
                                          .time_base = {1, 1000},
                                          .audio_seconds = 2,
                                          .lead_seconds = lead,
                                          .constant_rate = k % 2};
        rml_schedule s;
        CHECK(rml_schedule_init(&s, &settings, NULL) == RML_OK);
        double shown = lead > 0 ? 0 : lead;
        int64_t count = 0;
        for (int64_t i = 0; !s.done; i++) {
            const int64_t source = rml_repeat_source(RML_REPEAT_PING_PONG, 10, i);
            rml_slot_plan plan;
            const double begins = shown, tolerance = k % 2 ? 0.0201 : 0.0006;
            shown += 0.04 + (i == 0 && lead > 0 ? lead : 0);
            rml_schedule_show(&s, times[source], times[source + 1]);
            for (; rml_schedule_next(&s, &plan); count++) {
                const double at = (double)plan.pts * rml_rational_value(s.time_base);
                CHECK_MSG(at >= begins - tolerance && at < shown + tolerance,
                          "lead %g: frame %lld at %g, of %g to %g", lead, (long long)i, at, begins,
                          shown);
            }
        }
        CHECK(count >= 48 && count <= 51);
    }
}

int main(void)
{
    test_repeat();
    test_rates();
    test_variable_rate();
    test_fine_clocks();
    test_holds();
    test_constant_rate();
    test_absurd_times();
    test_sound();
    test_lead();
    test_refused();
    return check_result();
}
