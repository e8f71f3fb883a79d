#include "pipelines/faces/face_scout.h"

#include "pipelines/faces/scene_cut.h"
#include "tensor/alloc.h"

typedef struct scout {
    rml_face_places *places;
    rml_face_finder *detector;
    const rml_face_scout_settings *settings;
    const rml_allocator *allocator;
    rml_clip *clip;
    rml_shot shot;
    double first;                // seconds of the first frame
    bool ended;                  // the clip, or what is used of it
    bool known[RML_FINDER_MOST]; // of the numbers that are asked for: a face has it
    size_t scanned;              // records that have told
} scout;

// The numbers that are asked for; returns how many.
static int wanted_numbers(const rml_face_places *p, const int **numbers)
{
    const rml_face_choice *choice = &p->chooser.choice;
    *numbers = p->numbers ? p->numbers : &choice->number;
    return p->numbers ? p->number_count : choice->kind == RML_CHOOSE_NUMBER;
}

// The first number that is asked for and that no face has as yet; 0: none. Records that have been
// looked at are not looked at again.
static int missing_number(scout *s)
{
    const rml_face_list *list = &s->places->list;
    const int *numbers, count = wanted_numbers(s->places, &numbers);
    for (; s->scanned < list->count; s->scanned++)
        for (int i = 0; i < count; i++)
            s->known[i] = s->known[i] || list->records[s->scanned].face.number == numbers[i];
    for (int i = 0; i < count; i++)
        if (!s->known[i])
            return numbers[i];
    return 0;
}

static bool misses_place(const rml_face_places *p)
{
    const rml_face_choice *choice = &p->chooser.choice;
    return !p->numbers && choice->kind == RML_CHOOSE_AT && choice->seconds > 0 &&
           !p->chooser.followed;
}

// Numbers come in order from a detector, but not in a file that was edited.
static rml_status count_faces(const scout *s, int *count, int *highest, rml_error *err)
{
    const rml_face_list *list = &s->places->list;
    bool *is_there;
    *count = *highest = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->records[i].face.number > *highest)
            *highest = list->records[i].face.number;
    RML_TRY(rml_make(s->allocator, &is_there, (size_t)*highest + 1, sizeof *is_there,
                     "the numbers of faces", err));
    for (size_t i = 0; i < list->count; i++) {
        const int number = list->records[i].face.number;
        *count += number && !is_there[number];
        is_there[number] = true;
    }
    rml_free(s->allocator, is_there);
    return RML_OK;
}

static rml_status fail_number(const scout *s, int number, rml_error *err)
{
    const char *clip = s->settings->clip->path;
    const int64_t frames = s->places->list.frames;
    const char *unit = frames == 1 ? "frame" : "frames";
    int count, highest;
    RML_TRY(count_faces(s, &count, &highest, err));
    if (count == 0)
        return rml_fail(err, RML_ERR_ARG, "%s: no face has the number %d: none is seen in %lld %s",
                        clip, number, (long long)frames, unit);
    return rml_fail(err, RML_ERR_ARG,
                    "%s: no face has the number %d: %d %s seen in %lld %s, and the highest number "
                    "is %d",
                    clip, number, count, count == 1 ? "is" : "are", (long long)frames, unit,
                    highest);
}

static rml_status look_at(scout *s, int64_t index, rml_signature *last, rml_error *err)
{
    const rml_face_choice *choice = &s->places->chooser.choice;
    const rml_shot *still = rml_clip_still(s->clip);
    rml_face faces[RML_FINDER_MOST];
    rml_signature now;
    rml_clip_step step;
    RML_TRY(rml_clip_plan(s->clip, &step, err));
    const double seconds =
        (double)step.pts * rml_rational_value(rml_clip_info_of(s->clip)->time_base);
    s->first = index == 0 ? seconds : s->first;
    const bool over = step.source < index || step.place > step.source;
    if (over && misses_place(s->places))
        return rml_fail(err, RML_ERR_ARG,
                        "at:%g,%g@%g points behind the end: the video has %lld frames", choice->x,
                        choice->y, choice->seconds, (long long)index);
    s->ended = over || (!misses_place(s->places) && seconds - s->first > s->settings->seconds);
    if (s->ended)
        return RML_OK;
    if (!still)
        RML_TRY(rml_clip_read(s->clip, step.source, &s->shot, err));
    const rml_planes *picture = still ? &still->planes : &s->shot.planes;
    rml_signature_make(&now, picture);
    const bool cut = index > 0 && rml_signature_is_cut(last, &now);
    *last = now;
    const rml_place_frame frame = {index, seconds, picture, cut};
    return rml_face_places_find(s->places, s->detector, &frame, faces, s->allocator, err);
}

static rml_status search(scout *s, rml_error *err)
{
    const rml_face_scout_settings *settings = s->settings;
    rml_signature last;
    for (int64_t index = 0; missing_number(s) || misses_place(s->places); index++) {
        if (settings->cancelled && settings->cancelled(settings->user))
            return rml_fail(err, RML_ERR_IO, "stopped; nothing is left of the result");
        RML_TRY(look_at(s, index, &last, err));
        if (s->ended)
            return fail_number(s, missing_number(s), err);
    }
    return RML_OK;
}

rml_status rml_face_scout(rml_face_places *places, rml_face_finder *detector,
                          const rml_face_scout_settings *settings, const rml_allocator *allocator,
                          rml_error *err)
{
    scout s = {
        .places = places, .detector = detector, .settings = settings, .allocator = allocator};
    if (places->by_hand || !(missing_number(&s) || misses_place(places)))
        return RML_OK;
    rml_status status = rml_clip_open(&s.clip, settings->clip, allocator, err);
    if (status == RML_OK)
        status = search(&s, err);
    rml_shot_release(&s.shot);
    rml_clip_close(&s.clip);
    places->cursor = 0;
    return status;
}
