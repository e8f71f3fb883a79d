// Upstream keeps every cell above 0.05, suppresses, and only then drops what is not above 0.5. A
// box can suppress only those with lower scores, so leaving out the low ones first gives the same
// faces without comparing the hundred thousand candidates that weights of little worth bring.
#include "pipelines/faces/s3fd.h"

#include "tensor/alloc.h"

#include <math.h>
#include <stdlib.h>

#define FACE_SCORE 0.5f
#define SAME_FACE_OVERLAP 0.3f
#define CENTRE_VARIANCE 0.1f
#define SIZE_VARIANCE 0.2f
#define FIRST_STRIDE 4
#define ANCHOR_STRIDES 4 // side of an anchor in strides

typedef struct {
    rml_s3fd_face face;
    size_t order; // of discovery: makes the sort stable
} candidate;

static float face_probability(float background, float face)
{
    float largest = background > face ? background : face;
    float b = expf(background - largest), f = expf(face - largest);
    return f / (b + f);
}

static rml_s3fd_face decode_box(const rml_s3fd_level *level, size_t cell, int stride)
{
    size_t plane = (size_t)level->height * (size_t)level->width;
    float side = (float)(stride * ANCHOR_STRIDES);
    float anchor_x = (float)(stride / 2 + (int)(cell % (size_t)level->width) * stride);
    float anchor_y = (float)(stride / 2 + (int)(cell / (size_t)level->width) * stride);
    const float *reg = level->reg + cell;
    float x = anchor_x + reg[0] * CENTRE_VARIANCE * side;
    float y = anchor_y + reg[plane] * CENTRE_VARIANCE * side;
    float w = side * expf(reg[2 * plane] * SIZE_VARIANCE);
    float h = side * expf(reg[3 * plane] * SIZE_VARIANCE);
    rml_s3fd_face face = {.x1 = x - w / 2, .y1 = y - h / 2};
    face.x2 = face.x1 + w;
    face.y2 = face.y1 + h;
    return face;
}

static int best_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->face.score != y->face.score)
        return x->face.score > y->face.score ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

// Intersection over union where a side from pixel a to pixel b is b - a + 1 long.
static float overlap(const rml_s3fd_face *a, const rml_s3fd_face *b)
{
    float w = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1) + 1;
    float h = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1) + 1;
    float both = fmaxf(0, w) * fmaxf(0, h);
    float area_a = (a->x2 - a->x1 + 1) * (a->y2 - a->y1 + 1);
    float area_b = (b->x2 - b->x1 + 1) * (b->y2 - b->y1 + 1);
    return both / (area_a + area_b - both);
}

rml_status rml_s3fd_decode(const rml_s3fd_level levels[RML_S3FD_LEVELS], rml_s3fd_face *faces,
                           int capacity, int *count, const rml_allocator *allocator, rml_error *err)
{
    candidate *found = NULL;
    size_t room = 0, used = 0;
    *count = 0;
    for (int i = 0; i < RML_S3FD_LEVELS; i++) {
        const rml_s3fd_level *level = &levels[i];
        size_t plane = (size_t)level->height * (size_t)level->width;
        for (size_t cell = 0; cell < plane; cell++) {
            float score = face_probability(level->cls[cell], level->cls[plane + cell]);
            if (!(score > FACE_SCORE))
                continue;
            rml_s3fd_face face = decode_box(level, cell, FIRST_STRIDE << i);
            if (!isfinite(face.x1) || !isfinite(face.y1) || !isfinite(face.x2) ||
                !isfinite(face.y2))
                continue;
            candidate *grown = rml_grow(allocator, found, &room, used + 1, sizeof *found);
            if (!grown) {
                rml_free(allocator, found);
                return rml_fail_nomem(err, (used + 1) * sizeof *found, "the faces found");
            }
            found = grown;
            face.score = score;
            found[used] = (candidate){face, used};
            used++;
        }
    }
    if (used > 1)
        qsort(found, used, sizeof *found, best_first);
    for (size_t i = 0; i < used && *count < capacity; i++) {
        bool same = false;
        for (int k = 0; k < *count && !same; k++)
            same = !(overlap(&faces[k], &found[i].face) <= SAME_FACE_OVERLAP);
        if (!same)
            faces[(*count)++] = found[i].face;
    }
    rml_free(allocator, found);
    return RML_OK;
}
