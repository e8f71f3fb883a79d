#include "pipelines/lipsync/schedule.h"

#include <math.h>

// MP4 stores the time base as 32 bits; one hour at this rate still fits 64-bit arithmetic easily.
#define MAX_TICKS_PER_SECOND 10000000
// Times computed along different ways differ by rounding; far less than any frame.
#define TIME_SLACK 1e-6

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static rml_rational reduced(rml_rational r)
{
    int64_t divisor = greatest_divisor(r.num, r.den);
    return divisor > 1 ? (rml_rational){r.num / divisor, r.den / divisor} : r;
}

rml_rational rml_rate_from_double(double fps)
{
    const int64_t den = 1000000;
    if (!(fps > 0) || fps > 1e6)
        return (rml_rational){0, 0};
    return reduced((rml_rational){llround(fps * (double)den), den});
}

int64_t rml_repeat_source(rml_repeat repeat, int64_t count, int64_t index)
{
    if (repeat == RML_REPEAT_STILL || count == 1)
        return 0;
    if (count <= 0)
        return index;
    if (repeat == RML_REPEAT_CYCLIC)
        return index % count;
    if (repeat == RML_REPEAT_DOUBLED) {
        int64_t place = index % (2 * count);
        return place < count ? place : 2 * count - 1 - place;
    }
    int64_t period = 2 * count - 2;
    int64_t at = index % period;
    return at < count ? at : period - at;
}

// Ticks per second that hold whole frames and whole ticks of the source.
static int64_t common_ticks(rml_rational rate, rml_rational source)
{
    int64_t frames = rate.num;
    if (source.num <= 0 || source.den <= 0 || source.den > MAX_TICKS_PER_SECOND)
        return frames;
    source = reduced(source);
    int64_t common = frames / greatest_divisor(frames, source.den) * source.den;
    return common <= MAX_TICKS_PER_SECOND ? common : frames;
}

rml_status rml_schedule_init(rml_schedule *schedule, const rml_schedule_settings *settings,
                             rml_error *err)
{
    rml_schedule s = {.settings = *settings, .last_source = -1};
    rml_rational rate = reduced(settings->frame_rate);
    if (rate.num <= 0 || rate.den <= 0 || rate.num > MAX_TICKS_PER_SECOND)
        return rml_fail(err, RML_ERR_ARG, "a frame rate of %lld/%lld cannot be used",
                        (long long)rate.num, (long long)rate.den);
    if (settings->compat) {
        s.time_base = (rml_rational){rate.den, rate.num};
        s.frame_ticks = 1;
        s.total = settings->chunks;
    } else {
        int64_t ticks = common_ticks(rate, settings->time_base);
        s.time_base = (rml_rational){1, ticks};
        s.frame_ticks = ticks / rate.num * rate.den;
        // A millisecond clock cannot hold 1/30 s: its times are the grid's, rounded.
        rml_rational source = reduced(settings->time_base);
        s.snap = source.den > 0 && (source.den * rate.den) % (source.num * rate.num) != 0;
        s.total =
            (int64_t)floor(settings->audio_seconds * rml_rational_value(rate) + 0.5 + TIME_SLACK);
    }
    if (s.total <= 0)
        return rml_fail(err, RML_ERR_ARG,
                        "the sound is too short: %.3f s give no frame at %.3f frames per second",
                        settings->audio_seconds, rml_rational_value(rate));
    *schedule = s;
    return RML_OK;
}

// The source's time in ticks of the output.
static int64_t source_ticks(const rml_schedule *s, int64_t pts)
{
    rml_rational base = s->settings.time_base;
    double seconds = (double)pts * rml_rational_value(base);
    if (s->snap) {
        double frames = seconds * rml_rational_value(s->settings.frame_rate);
        double nearest = floor(frames + 0.5);
        double distance = fabs(frames - nearest) / rml_rational_value(s->settings.frame_rate);
        if (distance <= 0.5 * rml_rational_value(base) + TIME_SLACK)
            return (int64_t)nearest * s->frame_ticks;
    }
    return llround(seconds * (double)s->time_base.den / (double)s->time_base.num);
}

bool rml_schedule_next(rml_schedule *s, int64_t source, int64_t source_pts, rml_slot_plan *plan)
{
    const rml_schedule_settings *set = &s->settings;
    const double tick_seconds = rml_rational_value(s->time_base);
    if (set->compat) {
        if (s->next >= s->total)
            return false;
        plan->index = plan->pts = s->next;
        plan->sound_seconds = (double)s->next * tick_seconds;
        s->next++;
        return true;
    }
    int64_t ticks = 0, here = source_ticks(s, source_pts);
    if (s->next > 0) {
        bool neighbours = source == s->last_source + 1 || source == s->last_source - 1;
        int64_t step = here - s->last_source_ticks;
        step = step < 0 ? -step : step;
        ticks = s->last_ticks + (neighbours && step > 0 ? step : s->frame_ticks);
    }
    double middle = ((double)ticks + 0.5 * (double)s->frame_ticks) * tick_seconds;
    if (s->next > 0 && middle > set->audio_seconds + TIME_SLACK)
        return false;
    plan->index = s->next;
    plan->pts = ticks;
    plan->sound_seconds = (double)ticks * tick_seconds - set->offset_seconds;
    s->last_source = source;
    s->last_source_ticks = here;
    s->last_ticks = ticks;
    s->next++;
    return true;
}
