#include "pipelines/lipsync/schedule.h"

#include <math.h>

// MP4 stores the time base as 32 bits; a year at this rate still fits 64-bit arithmetic easily.
#define MAX_TICKS_PER_SECOND 10000000
// Where whole ticks of the source do not fit, its times are off by half of such a tick at most.
#define FINE_TICKS_PER_SECOND 1000000
// Frames nearer to one another than a millisecond cannot be told apart in Matroska.
#define CLOSEST_PER_SECOND 1000
// Times computed along different ways differ by rounding; far less than any frame.
#define TIME_SLACK 1e-6
#define FARTHEST_SECONDS 1e8

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

// Ticks per second that hold whole frames and, if they can, whole ticks of the source.
static int64_t common_ticks(rml_rational rate, rml_rational source)
{
    const int64_t frames = rate.num;
    source = reduced(source);
    if (source.num > 0 && source.den > 0 && source.den <= MAX_TICKS_PER_SECOND) {
        const int64_t common = frames / greatest_divisor(frames, source.den) * source.den;
        if (common <= MAX_TICKS_PER_SECOND)
            return common;
    }
    return frames * ((FINE_TICKS_PER_SECOND + frames - 1) / frames);
}

rml_status rml_schedule_init(rml_schedule *schedule, const rml_schedule_settings *settings,
                             rml_error *err)
{
    rml_schedule s = {.settings = *settings};
    rml_rational rate = reduced(settings->frame_rate);
    if (rate.num <= 0 || rate.den <= 0 || rate.num > MAX_TICKS_PER_SECOND)
        return rml_fail(err, RML_ERR_ARG, "a frame rate of %lld/%lld cannot be used",
                        (long long)rate.num, (long long)rate.den);
    if (settings->compat) {
        s.time_base = (rml_rational){rate.den, rate.num};
        s.frame_ticks = 1;
        s.total = settings->chunks;
    } else {
        const int64_t ticks = common_ticks(rate, settings->time_base);
        s.time_base = (rml_rational){1, ticks};
        s.frame_ticks = ticks / rate.num * rate.den;
        // A millisecond clock cannot hold 1/30 s: its times are the grid's, rounded.
        rml_rational source = reduced(settings->time_base);
        s.lead = llround(fmin(settings->lead_seconds, FARTHEST_SECONDS) * (double)ticks);
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

// The source's time in ticks of the output. What lies years away, as a damaged file may say, is
// cut.
static int64_t source_ticks(const rml_schedule *s, int64_t pts)
{
    const rml_rational base = s->settings.time_base;
    const double seconds = fmin((double)pts * rml_rational_value(base), FARTHEST_SECONDS);
    if (s->snap) {
        double frames = seconds * rml_rational_value(s->settings.frame_rate);
        double nearest = floor(frames + 0.5);
        double distance = fabs(frames - nearest) / rml_rational_value(s->settings.frame_rate);
        if (distance <= 0.5 * rml_rational_value(base) + TIME_SLACK)
            return (int64_t)nearest * s->frame_ticks;
    }
    return llround(seconds * (double)s->time_base.den / (double)s->time_base.num);
}

// At least half of a frame that begins at `ticks` lies inside the sound, with so much to spare.
static bool is_heard(const rml_schedule *s, int64_t ticks, double spare)
{
    const double middle = ((double)ticks + 0.5 * (double)s->frame_ticks);
    return middle * rml_rational_value(s->time_base) <= s->settings.audio_seconds - spare;
}

// How long the frame that comes next is shown; 0: not at all, since it ends before the sound
// begins.
static int64_t shown_ticks(rml_schedule *s, int64_t pts, int64_t end_pts)
{
    // No clip ends without taking time, and none takes forever to be played again and again.
    const int64_t frame = s->frame_ticks, closest = s->time_base.den / CLOSEST_PER_SECOND;
    const int64_t least = closest < 1 ? 1 : closest < frame ? closest : frame;
    const int64_t length = source_ticks(s, end_pts) - source_ticks(s, pts);
    const int64_t left = (length > least ? length : least) + s->lead;
    s->lead = left < 0 ? left : 0;
    return left < least ? 0 : left;
}

void rml_schedule_show(rml_schedule *s, int64_t pts, int64_t end_pts)
{
    const int64_t frame = s->frame_ticks;
    s->start = s->end;
    if (s->settings.compat) {
        s->end = s->start + 1;
    } else {
        s->end = s->start + shown_ticks(s, pts, end_pts);
    }
    s->next = s->settings.constant_rate && !s->settings.compat ? s->count * frame : s->start;
}

// Whether the frame shown has an output frame at s->next.
static bool has_next(const rml_schedule *s)
{
    const int64_t frame = s->frame_ticks;
    if (s->settings.constant_rate && !s->settings.compat)
        return 2 * s->next < 2 * s->end - frame; // its middle lies in what is shown
    if (s->settings.compat || s->next >= s->end)
        return s->next < s->end;
    if (s->next == s->start)
        return s->count == 0 || is_heard(s, s->next, -TIME_SLACK);
    // Within a hold, or where the sound ends too, so that no other frame comes.
    const bool held = s->end - s->start > 2 * frame + frame / 4 && s->next + frame / 2 < s->end;
    return is_heard(s, s->next, TIME_SLACK) && (held || !is_heard(s, s->end, -TIME_SLACK));
}

bool rml_schedule_next(rml_schedule *s, rml_slot_plan *plan)
{
    const rml_schedule_settings *set = &s->settings;
    const bool numbered = set->compat || set->constant_rate;
    if (s->done || (numbered && s->count >= s->total) || !has_next(s)) {
        s->done =
            numbered ? s->count >= s->total : s->count > 0 && !is_heard(s, s->end, -TIME_SLACK);
        return false;
    }
    plan->index = s->count++;
    plan->pts = s->next;
    plan->sound_seconds = (double)s->next * rml_rational_value(s->time_base);
    if (!set->compat)
        plan->sound_seconds -= set->offset_seconds;
    s->next += s->frame_ticks;
    return true;
}
