#include "pipelines/faces/light_detector.h"

#include "tensor/alloc.h"

#include <math.h>
#include <stdlib.h>

#define SAME_FACE_OVERLAP 0.3f
#define FIRST_STRIDE 8
// Boxes beyond this are of weights of little worth, and whole numbers would not hold them.
#define CORNER_LIMIT 1e6f

typedef struct candidate {
    rml_light_face face;
    size_t order; // of discovery: makes the sort stable
} candidate;

typedef struct candidates {
    const rml_allocator *allocator;
    candidate *items;
    size_t count, capacity;
} candidates;

static bool in_range(float value)
{
    return value > -CORNER_LIMIT && value < CORNER_LIMIT; // not for what is not a number
}

static rml_status add(candidates *c, const rml_light_face *face, rml_error *err)
{
    if (!in_range(face->x) || !in_range(face->y) || !in_range(face->width) ||
        !in_range(face->height))
        return RML_OK;
    RML_TRY(rml_reserve(c->allocator, &c->items, &c->capacity, c->count + 1, sizeof *c->items,
                        "the faces found", err));
    c->items[c->count] = (candidate){*face, c->count};
    c->count++;
    return RML_OK;
}

static int best_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->face.score != y->face.score)
        return x->face.score > y->face.score ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int shared(int a, int a_length, int b, int b_length)
{
    const int from = a > b ? a : b;
    const int to = a + a_length < b + b_length ? a + a_length : b + b_length;
    return to > from ? to - from : 0;
}

// Intersection over union of boxes cut to whole pixels, as OpenCV suppresses.
static float overlap(const rml_light_face *a, const rml_light_face *b)
{
    const int aw = (int)a->width, ah = (int)a->height, bw = (int)b->width, bh = (int)b->height;
    const double both =
        (double)shared((int)a->x, aw, (int)b->x, bw) * (double)shared((int)a->y, ah, (int)b->y, bh);
    const double all = (double)aw * ah + (double)bw * bh - both;
    return all > 0 ? (float)(both / all) : 0;
}

static int suppress(candidates *c, rml_light_face *faces, int capacity)
{
    int kept = 0;
    if (c->count > 1)
        qsort(c->items, c->count, sizeof *c->items, best_first);
    for (size_t i = 0; i < c->count && kept < capacity; i++) {
        bool same = false;
        for (int k = 0; k < kept && !same; k++)
            same = overlap(&faces[k], &c->items[i].face) > SAME_FACE_OVERLAP;
        if (!same)
            faces[kept++] = c->items[i].face;
    }
    return kept;
}

static float clamp01(float value)
{
    return value > 0 ? (value < 1 ? value : 1) : 0;
}

static rml_light_face yunet_face(const rml_yunet_level *level, int row, int column, int stride,
                                 float score)
{
    const size_t cell = (size_t)row * (size_t)level->columns + (size_t)column;
    const float *box = level->box + 4 * cell, *marks = level->marks + 2 * RML_FACE_MARKS * cell;
    const float side = (float)stride, x = (float)column, y = (float)row;
    rml_light_face face = {.width = expf(box[2]) * side, .height = expf(box[3]) * side};
    face.x = (x + box[0]) * side - face.width / 2;
    face.y = (y + box[1]) * side - face.height / 2;
    face.score = score;
    for (int i = 0; i < RML_FACE_MARKS; i++) {
        face.marks[i][0] = (marks[2 * i] + x) * side;
        face.marks[i][1] = (marks[2 * i + 1] + y) * side;
    }
    return face;
}

rml_status rml_yunet_decode(const rml_yunet_level levels[RML_YUNET_LEVELS], float least_score,
                            rml_light_face *faces, int capacity, int *count,
                            const rml_allocator *allocator, rml_error *err)
{
    candidates found = {.allocator = allocator};
    rml_status status = RML_OK;
    for (int i = 0; i < RML_YUNET_LEVELS; i++)
        for (int row = 0; row < levels[i].rows; row++)
            for (int column = 0; column < levels[i].columns && status == RML_OK; column++) {
                const size_t cell = (size_t)row * (size_t)levels[i].columns + (size_t)column;
                const float score =
                    sqrtf(clamp01(levels[i].cls[cell]) * clamp01(levels[i].obj[cell]));
                if (!(score >= least_score))
                    continue;
                const rml_light_face face =
                    yunet_face(&levels[i], row, column, FIRST_STRIDE << i, score);
                status = add(&found, &face, err);
            }
    *count = status == RML_OK ? suppress(&found, faces, capacity) : 0;
    rml_free(allocator, found.items);
    return status;
}

rml_status rml_ulfd_decode(const float *scores, const float *corners, int boxes, int width,
                           int height, float least_score, rml_light_face *faces, int capacity,
                           int *count, const rml_allocator *allocator, rml_error *err)
{
    candidates found = {.allocator = allocator};
    rml_status status = RML_OK;
    for (size_t i = 0; i < (size_t)boxes && status == RML_OK; i++) {
        const float *c = corners + 4 * i;
        if (!(scores[2 * i + 1] >= least_score))
            continue;
        const rml_light_face face = {.x = c[0] * (float)width,
                                     .y = c[1] * (float)height,
                                     .width = (c[2] - c[0]) * (float)width,
                                     .height = (c[3] - c[1]) * (float)height,
                                     .score = scores[2 * i + 1]};
        status = add(&found, &face, err);
    }
    *count = status == RML_OK ? suppress(&found, faces, capacity) : 0;
    rml_free(allocator, found.items);
    return status;
}
