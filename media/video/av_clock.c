#include "media/video/av_clock.h"

#include "media/video/av_source.h"

#include <libavutil/mathematics.h>

// In streams whose clock may start anew, a longer step forward is taken for that.
#define CLOCK_JUMP_SECONDS 10
// Rates that cameras and screens have, with a little room. Beyond them a grid says only how fine
// the clock is.
#define USUAL_RATE 62.0
// A video of varying rate whose mean is lower than this stands still at times; below the other one
// any video does.
#define MOVING_RATE 20.0
#define SLOWEST_RATE 5.0
// The mean of a video without gaps is its rate, but for what is cut off at the ends.
#define SAME_RATE 0.9
// Beyond this, frames have no time of their own but what their clock can tell apart.
#define FASTEST_RATE 1000.0
// Fractions of larger numbers are means of times, not rates that somebody chose.
#define MAX_TERM 1000000
// Without any rate at all frames are taken as 25 a second, as raw streams are.
#define RAW_RATE 25

rml_av_clock rml_av_clock_of(const AVFormatContext *format, const AVStream *stream,
                             rml_rational rate)
{
    const bool known = rate.num > 0 && rml_rational_value(rate) <= FASTEST_RATE;
    const AVRational frame =
        known ? (AVRational){(int)rate.den, (int)rate.num} : (AVRational){1, RAW_RATE};
    const int64_t step = av_rescale_q(1, frame, stream->time_base);
    const bool ends = stream->duration > 0 && stream->start_time != AV_NOPTS_VALUE;
    return (rml_av_clock){.base = stream->time_base,
                          .frame = frame,
                          .may_jump = format->iformat && format->iformat->flags & AVFMT_TS_DISCONT,
                          .step = FFMAX(step, 1),
                          .end = ends ? av_sat_add64(stream->start_time, stream->duration)
                                      : AV_NOPTS_VALUE};
}

static int64_t time_of(rml_av_clock *c, int64_t stated)
{
    const bool known = stated != AV_NOPTS_VALUE;
    if (!c->any) {
        c->shift = known ? av_sat_sub64(0, stated) : 0;
        return 0;
    }
    const int64_t time = known ? av_sat_add64(stated, c->shift) : av_sat_add64(c->last, c->step);
    const bool jump = c->may_jump && av_compare_ts(av_sat_sub64(time, c->last), c->base,
                                                   CLOCK_JUMP_SECONDS, (AVRational){1, 1}) > 0;
    if (time > c->last && !jump)
        return time;
    // One stray time is pushed behind its neighbour, with room for the next; a clock that starts
    // anew (joined files) moves all that follow.
    if (!jump && av_sat_sub64(c->last, time) < 2 * c->step)
        return c->last + (c->step + 1) / 2;
    c->shift = av_sat_add64(c->shift, av_sat_sub64(c->last + c->step, time));
    return c->last + c->step;
}

// As long as the frame says, but not beyond the end that the file states.
static int64_t stated_duration(const rml_av_clock *c, const AVFrame *frame)
{
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
    const int64_t duration = frame->duration;
#else
    const int64_t duration = frame->pkt_duration;
#endif
    const int64_t stated = frame->best_effort_timestamp;
    if (duration <= 0)
        return c->step;
    if (c->end == AV_NOPTS_VALUE || stated == AV_NOPTS_VALUE)
        return duration;
    const int64_t left = av_sat_sub64(c->end, stated);
    return FFMIN(duration, FFMAX(left, c->step));
}

static int64_t duration_of(const rml_av_clock *c, const AVFrame *frame)
{
    const int64_t duration = stated_duration(c, frame);
    if (duration < c->step - 1 || duration > c->step + 1)
        return duration;
    // A nominal frame: where its time is on the grid of the rate, rounded, so is its end.
    const int64_t index = av_rescale_q(c->last, c->base, c->frame);
    const int64_t off = c->last - av_rescale_q(index, c->frame, c->base);
    return off == 0 ? av_rescale_q(index + 1, c->frame, c->base) - c->last : c->step;
}

int64_t rml_av_clock_next(rml_av_clock *clock, const AVFrame *frame)
{
    clock->last = time_of(clock, frame->best_effort_timestamp);
    clock->duration = duration_of(clock, frame);
    clock->any = true;
    return clock->last;
}

static rml_rational simple(AVRational rate)
{
    int num, den;
    av_reduce(&num, &den, rate.num, rate.den, MAX_TERM);
    return num > 0 && den > 0 ? (rml_rational){num, den} : (rml_rational){0, 0};
}

rml_rational rml_av_nominal_rate(AVFormatContext *format, AVStream *stream)
{
    return simple(av_guess_frame_rate(format, stream, NULL));
}

rml_rational rml_av_steady_rate(const AVStream *stream, rml_rational nominal)
{
    const double grid = av_q2d(stream->r_frame_rate);
    const double mean = av_q2d(stream->avg_frame_rate);
    double rate = rml_rational_value(nominal);
    rml_rational steady = nominal;
    const bool varies = mean > 0 && mean < SAME_RATE * grid;
    if (varies && rate > USUAL_RATE) {
        steady = simple(stream->avg_frame_rate);
        rate = mean;
    }
    const bool moves = rate >= (varies && grid > USUAL_RATE ? MOVING_RATE : SLOWEST_RATE);
    return moves && rate <= FASTEST_RATE ? steady : (rml_rational){0, 0};
}

void rml_av_time_info(rml_video_info *info, AVFormatContext *format, AVStream *stream,
                      int64_t first)
{
    info->time_base = rml_av_rational(stream->time_base);
    info->frame_rate = rml_av_nominal_rate(format, stream);
    info->average_rate = rml_av_rational(stream->avg_frame_rate);
    info->steady_rate = rml_av_steady_rate(stream, info->frame_rate);
    if (info->average_rate.num <= 0 || info->average_rate.den <= 0)
        info->average_rate = (rml_rational){0, 0};
    if (first != AV_NOPTS_VALUE && format->start_time != AV_NOPTS_VALUE)
        info->start_seconds =
            (double)first * av_q2d(stream->time_base) - (double)format->start_time / AV_TIME_BASE;
    if (stream->duration > 0)
        info->seconds = (double)stream->duration * av_q2d(stream->time_base);
    else if (format->duration > 0)
        info->seconds = (double)format->duration / AV_TIME_BASE;
    info->frames_estimate = stream->nb_frames;
    if (info->frames_estimate <= 0) {
        rml_rational rate = info->average_rate.den ? info->average_rate : info->frame_rate;
        double estimate = info->seconds * rml_rational_value(rate) + 0.5;
        info->frames_estimate = estimate < 1e15 ? (int64_t)estimate : 0;
    }
}
