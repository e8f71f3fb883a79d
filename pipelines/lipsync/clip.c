#include "pipelines/lipsync/clip.h"

#include "media/image/picture.h"
#include "tensor/alloc.h"

#include <string.h>

struct rml_clip {
    const rml_allocator *allocator;
    rml_clip_settings settings;
    char *path;
    rml_clip_info info;
    rml_video_in *video; // NULL for a still, and for --static once the first frame is there
    rml_clip_shape shape;
    int64_t count;   // 0: not known yet
    int64_t next;    // index in playing order
    rml_frame coded; // on the way to a delivered frame
    rml_shot first;  // of stills and with --static the only one
};

// The next shot of the decoder.
static rml_status decode(rml_clip *clip, rml_shot *out, bool *end, rml_error *err)
{
    if (clip->settings.bgr) {
        // Whole frames go straight to where they are wanted.
        const bool plain = rml_clip_shape_is_plain(&clip->settings);
        rml_frame *to = plain ? &out->frame : &clip->coded;
        RML_TRY(rml_video_in_read(clip->video, to, end, err));
        if (!*end && !plain)
            RML_TRY(rml_clip_shape_frame(&clip->shape, to, &out->frame, err));
        if (!*end)
            rml_shot_use_frame(out);
        return RML_OK;
    }
    bool done;
    RML_TRY(rml_video_in_read_shot(clip->video, out, end, err));
    if (*end)
        return RML_OK;
    RML_TRY(rml_clip_shape_shot(&clip->shape, out, &done, err));
    if (done)
        return RML_OK;
    // All shots are alike, and this is the first.
    clip->settings.bgr = true;
    rml_video_in_seek(clip->video, 0);
    return decode(clip, out, end, err);
}

// A still in its own samples where frames of BGR do not hold all of it.
static rml_status read_still(rml_clip *clip, rml_error *err)
{
    rml_picture picture = {0};
    RML_TRY(rml_picture_load(&picture, clip->path, clip->allocator, err));
    const bool more = picture.channels % 2 == 0 || picture.bits > 8; // alpha, or deep
    rml_status status;
    if (more && !clip->settings.bgr) {
        status = rml_shot_from_picture(&clip->first, &picture, err);
    } else {
        status = rml_frame_from_picture(&clip->first.frame, &picture, clip->allocator, err);
        rml_shot_use_frame(&clip->first);
    }
    rml_picture_release(&picture);
    return status;
}

static rml_status read_first(rml_clip *clip, rml_error *err)
{
    bool end = false;
    if (clip->info.still) {
        RML_TRY(read_still(clip, err));
    } else {
        RML_TRY(decode(clip, &clip->first, &end, err));
        if (end)
            return rml_fail(err, RML_ERR_FORMAT, "%s: holds no picture", clip->path);
    }
    clip->info.width = rml_planes_width(&clip->first.planes);
    clip->info.height = rml_planes_height(&clip->first.planes);
    return RML_OK;
}

static rml_status open_video(rml_clip *clip, rml_error *err)
{
    rml_video_in_settings wanted = rml_video_in_settings_default();
    wanted.threads = clip->settings.threads;
    wanted.deinterlace = clip->settings.deinterlace;
    wanted.picture_rate = rml_rate_from_double(clip->settings.still_fps);
    RML_TRY(rml_video_in_open(&clip->video, clip->path, &wanted, clip->allocator, err));
    const rml_video_info *video = rml_video_in_info(clip->video);
    rml_clip_info *info = &clip->info;
    if (!clip->settings.nominal_rate) {
        info->frame_rate = video->steady_rate;
        if (info->frame_rate.num == 0)
            info->frame_rate = rml_rate_from_double(clip->settings.still_fps);
    } else {
        info->frame_rate = video->frame_rate.num ? video->frame_rate : video->average_rate;
        if (info->frame_rate.num == 0)
            return rml_fail(err, RML_ERR_FORMAT, "%s: does not say how many frames a second it has",
                            clip->path);
    }
    info->fps = rml_rational_value(info->frame_rate);
    info->start_seconds = video->start_seconds;
    info->time_base = video->time_base;
    info->pixel_aspect = video->pixel_aspect;
    if (clip->settings.rotate)
        info->pixel_aspect = (rml_rational){video->pixel_aspect.den, video->pixel_aspect.num};
    info->colour = video->colour;
    // Other lines than those of the fields are left after turning or scaling.
    if (!clip->settings.rotate && clip->settings.resize_factor == 1 &&
        video->orientation == RML_ORIENT_NORMAL && clip->settings.crop[0] % 2 == 0)
        info->fields = video->fields;
    info->frames_estimate = video->frames_estimate;
    return RML_OK;
}

static void take_as_still(rml_clip *clip)
{
    clip->settings.first_frame_only = true;
    clip->info.fps = clip->settings.still_fps;
    clip->info.frame_rate = rml_rate_from_double(clip->info.fps);
}

// A video of one frame is a still, as in formats that know no other: it has no rate of its own, or
// one that means nothing.
static rml_status check_single(rml_clip *clip, rml_error *err)
{
    bool end = false;
    if (!clip->info.still && !clip->settings.nominal_rate)
        RML_TRY(rml_video_in_peek(clip->video, &end, err));
    if (end)
        take_as_still(clip);
    return RML_OK;
}

rml_status rml_clip_open(rml_clip **out, const rml_clip_settings *settings,
                         const rml_allocator *allocator, rml_error *err)
{
    *out = NULL;
    rml_clip *clip;
    RML_TRY(rml_make(allocator, &clip, 1, sizeof *clip, "the clip", err));
    clip->allocator = allocator;
    clip->settings = *settings;
    clip->path = rml_alloc_text(allocator, settings->path);
    clip->settings.path = clip->path;
    rml_status status = clip->path
                            ? rml_clip_shape_init(&clip->shape, &clip->settings, allocator, err)
                            : rml_fail_nomem(err, strlen(settings->path), "a file name");
    if (status == RML_OK && rml_image_is_still(settings->path)) {
        clip->info.still = true;
        take_as_still(clip);
        clip->info.colour.matrix = RML_COLOUR_UNSPECIFIED;
    } else if (status == RML_OK) {
        status = open_video(clip, err);
    }
    if (status == RML_OK)
        status = read_first(clip, err);
    if (status == RML_OK)
        status = check_single(clip, err);
    if (status == RML_OK && clip->settings.first_frame_only) {
        clip->settings.repeat = RML_REPEAT_STILL;
        clip->count = 1;
        clip->info.frames_estimate = 1;
        clip->first.pts = 0;
        clip->info.time_base = (rml_rational){clip->info.frame_rate.den, clip->info.frame_rate.num};
        clip->first.time_base = clip->info.time_base;
        rml_video_in_close(&clip->video);
    }
    if (status != RML_OK)
        rml_clip_close(&clip);
    *out = clip;
    return status;
}

const rml_clip_info *rml_clip_info_of(const rml_clip *clip)
{
    return &clip->info;
}

rml_status rml_clip_plan(rml_clip *clip, rml_clip_step *step, rml_error *err)
{
    const rml_repeat repeat = clip->settings.repeat;
    // The first time through: what is decoded tells whether there is a frame, and how long it
    // lasts. Both are known of the first one, to which going back would be a second time.
    if (clip->count == 0 && clip->next > 0) {
        bool end;
        rml_video_in_seek(clip->video, clip->next);
        RML_TRY(rml_video_in_peek(clip->video, &end, err));
        if (end)
            clip->count = clip->next;
    }
    const int64_t source = rml_repeat_source(repeat, clip->count, clip->next);
    *step = (rml_clip_step){.place = clip->next, .source = source, .end_pts = 1};
    if (clip->video) {
        step->pts = rml_video_in_pts(clip->video, source);
        step->end_pts = rml_video_in_end_pts(clip->video, source);
    }
    clip->next++;
    const int64_t after = rml_repeat_source(repeat, clip->count, clip->next);
    step->back = clip->count > 1 && (after == source - 1 || after == source);
    return RML_OK;
}

rml_status rml_clip_read(rml_clip *clip, int64_t source, rml_shot *shot, rml_error *err)
{
    bool end;
    if (source == 0)
        return rml_shot_copy(shot, &clip->first, clip->allocator, err);
    rml_video_in_seek(clip->video, source);
    RML_TRY(decode(clip, shot, &end, err));
    if (end)
        return rml_fail(err, RML_ERR_IO, "%s: ended at frame %lld of %lld when decoded again",
                        clip->path, (long long)source, (long long)clip->count);
    const int width = rml_planes_width(&shot->planes), height = rml_planes_height(&shot->planes);
    if (width != clip->info.width || height != clip->info.height)
        return rml_fail(err, RML_ERR_INTERNAL, "%s: frame %lld is %dx%d, the first is %dx%d",
                        clip->path, (long long)source, width, height, clip->info.width,
                        clip->info.height);
    return RML_OK;
}

const rml_shot *rml_clip_first(const rml_clip *clip)
{
    return &clip->first;
}

const rml_shot *rml_clip_still(const rml_clip *clip)
{
    return clip->settings.first_frame_only ? &clip->first : NULL;
}

int64_t rml_clip_count(const rml_clip *clip)
{
    return clip->count;
}

int64_t rml_clip_decoded(const rml_clip *clip)
{
    return clip->video ? rml_video_in_decoded(clip->video) : 0;
}

int64_t rml_clip_damaged_packets(const rml_clip *clip)
{
    return clip->video ? rml_video_in_damaged_packets(clip->video) : 0;
}

void rml_clip_close(rml_clip **clip)
{
    rml_clip *c = *clip;
    if (!c)
        return;
    const rml_allocator *allocator = c->allocator;
    rml_video_in_close(&c->video);
    rml_clip_shape_release(&c->shape);
    rml_frame_release(&c->coded);
    rml_shot_release(&c->first);
    rml_free(allocator, c->path);
    rml_free(allocator, c);
    *clip = NULL;
}
