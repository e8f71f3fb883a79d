// Each known face is expected where its motion leads. What it has in common with a face found there
// is the overlap with that place and the likeness of both; the pairs are chosen whose sum is the
// largest (Hungarian algorithm).
//
// Trap: of two faces that cross one is hidden for some pictures, and the place of both is the same:
// then looks decide. While two overlap neither looks nor motion are learned, since both are those
// of a mixture.
#include "pipelines/faces/face_identity.h"

#include "tensor/alloc.h"

#include <math.h>
#include <string.h>

// Faces found are a pair with a known one from such values on: both, or one of them alone.
#define LEAST_OVERLAP 0.1
#define LEAST_LIKENESS 0.3
#define SURE_OVERLAP 0.5
#define SURE_LIKENESS 0.85
// A face that is seen again where it was, however it looks by now, has been away no longer.
#define BRIEF 5
// So many pictures a hidden face is expected to go on moving.
#define COAST 25
// Shares of a new picture in what is known of a face.
#define LOOKS_SHARE 0.1f
#define MOTION_SHARE 0.4
// Two faces that have so much in common hide each other.
#define CROSSING 0.1

typedef struct known_face {
    int number;
    rml_box box;      // where it was seen last
    double dx, dy;    // its motion, a picture
    int64_t away;     // pictures since it was seen last; 0: in the last one
    bool lost;        // the picture was cut since: its place says nothing
    bool crossing;    // with another, in this picture
    rml_box expected; // in this picture
    rml_face_looks looks;
} known_face;

struct rml_face_identities {
    const rml_allocator *allocator;
    int count, last_number;
    known_face known[RML_IDENTITIES_MOST];
    // Of the assignment: rows are faces found, columns are known ones and as many nobodies; both
    // from 1 on.
    double cost[RML_IDENTITIES_MOST + 1][2 * RML_IDENTITIES_MOST + 1];
    int row_of[2 * RML_IDENTITIES_MOST + 1];
};

// ---- who is who -----------------------------------------------------------------------------

rml_status rml_face_identities_create(rml_face_identities **out, const rml_allocator *allocator,
                                      rml_error *err)
{
    *out = NULL;
    rml_face_identities *t;
    RML_TRY(rml_make(allocator, &t, 1, sizeof *t, "the faces that are followed", err));
    t->allocator = allocator;
    *out = t;
    return RML_OK;
}

void rml_face_identities_destroy(rml_face_identities **identities)
{
    if (*identities)
        rml_free((*identities)->allocator, *identities);
    *identities = NULL;
}

static double middle_x(rml_box b)
{
    return 0.5 * ((double)b.x1 + b.x2);
}

static double middle_y(rml_box b)
{
    return 0.5 * ((double)b.y1 + b.y2);
}

// Where all known faces should be in the picture that comes.
static void expect(rml_face_identities *t, bool cut)
{
    for (int i = 0; i < t->count; i++) {
        known_face *k = &t->known[i];
        k->lost = k->lost || cut;
        k->away++;
        const double steps = (double)(k->away < COAST ? k->away : COAST);
        const int dx = (int)lround(steps * k->dx), dy = (int)lround(steps * k->dy);
        k->expected = (rml_box){k->box.x1 + dx, k->box.y1 + dy, k->box.x2 + dx, k->box.y2 + dy};
    }
    for (int i = 0; i < t->count; i++) {
        t->known[i].crossing = false;
        for (int j = 0; j < t->count; j++)
            if (i != j && !t->known[i].lost && !t->known[j].lost && t->known[j].away <= COAST &&
                rml_box_overlap(t->known[i].expected, t->known[j].expected) > CROSSING)
                t->known[i].crossing = true;
    }
}

// What a known face and one found have in common, 0..2; below 0: they are not the same.
static double common(const known_face *k, rml_box box, const rml_face_looks *looks)
{
    const double overlap = k->lost ? 0 : rml_box_overlap(k->expected, box);
    const double likeness = rml_face_likeness(&k->looks, looks);
    const bool here = overlap >= SURE_OVERLAP && k->away <= BRIEF && !k->crossing;
    const bool both = overlap >= LEAST_OVERLAP && likeness >= LEAST_LIKENESS;
    // Who is half hidden looks like nobody.
    const bool half = overlap >= LEAST_OVERLAP && k->away <= COAST && k->crossing;
    if (!here && !both && !half && likeness < SURE_LIKENESS)
        return -1;
    return overlap + (likeness > 0 ? likeness : 0);
}

// The least sum of costs: t->row_of[column] is the row that has it, or 0. rows <= columns.
static void assign(rml_face_identities *t, int rows, int columns)
{
    double u[RML_IDENTITIES_MOST + 1] = {0}, v[2 * RML_IDENTITIES_MOST + 1] = {0};
    int way[2 * RML_IDENTITIES_MOST + 1] = {0};
    memset(t->row_of, 0, sizeof t->row_of);
    for (int row = 1; row <= rows; row++) {
        double least[2 * RML_IDENTITIES_MOST + 1];
        bool used[2 * RML_IDENTITIES_MOST + 1] = {false};
        for (int j = 0; j <= columns; j++)
            least[j] = HUGE_VAL;
        int at = 0;
        t->row_of[0] = row;
        do {
            const int from = t->row_of[at];
            double delta = HUGE_VAL;
            int next = 0;
            used[at] = true;
            for (int j = 1; j <= columns; j++) {
                if (used[j])
                    continue;
                const double reduced = t->cost[from][j] - u[from] - v[j];
                if (reduced < least[j]) {
                    least[j] = reduced;
                    way[j] = at;
                }
                if (least[j] < delta) {
                    delta = least[j];
                    next = j;
                }
            }
            for (int j = 0; j <= columns; j++) {
                if (used[j]) {
                    u[t->row_of[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            at = next;
        } while (t->row_of[at] != 0);
        for (; at; at = way[at])
            t->row_of[at] = t->row_of[way[at]];
    }
}

static void see(known_face *k, rml_box box, const rml_face_looks *looks)
{
    if (k->lost) {
        k->dx = k->dy = 0;
    } else if (!k->crossing) {
        const double steps = (double)k->away;
        k->dx += MOTION_SHARE * ((middle_x(box) - middle_x(k->box)) / steps - k->dx);
        k->dy += MOTION_SHARE * ((middle_y(box) - middle_y(k->box)) / steps - k->dy);
    }
    k->box = box;
    k->away = 0;
    k->lost = false;
    if (!k->crossing)
        rml_face_looks_mix(&k->looks, looks, LOOKS_SHARE);
}

// A place for a new face: where there is none left, that of the one that has been away longest.
static known_face *make_place(rml_face_identities *t)
{
    if (t->count < RML_IDENTITIES_MOST)
        return &t->known[t->count++];
    known_face *longest = &t->known[0];
    for (int i = 1; i < t->count; i++)
        if (t->known[i].away > longest->away)
            longest = &t->known[i];
    return longest;
}

static void meet(rml_face_identities *t, int number, rml_box box, const rml_face_looks *looks)
{
    *make_place(t) = (known_face){.number = number, .box = box, .looks = *looks};
    if (number > t->last_number)
        t->last_number = number;
}

void rml_face_identities_next(rml_face_identities *t, const rml_box *boxes,
                              const rml_face_looks *looks, int count, bool cut, int *numbers)
{
    const int known = t->count;
    expect(t, cut);
    for (int i = 0; i < count; i++) {
        numbers[i] = 0;
        for (int j = 0; j < known + count; j++) {
            // Nobody has nothing in common, which is better than those who are not the same.
            const double value = j < known ? common(&t->known[j], boxes[i], &looks[i]) : 0;
            t->cost[i + 1][j + 1] = -value;
        }
    }
    assign(t, count, known + count);
    for (int j = 0; j < known; j++) {
        const int i = t->row_of[j + 1] - 1;
        if (i < 0)
            continue;
        numbers[i] = t->known[j].number;
        see(&t->known[j], boxes[i], &looks[i]);
    }
    for (;;) {
        int left = -1;
        for (int i = 0; i < count; i++)
            if (numbers[i] == 0 && (left < 0 || boxes[i].x1 < boxes[left].x1))
                left = i;
        if (left < 0)
            return;
        numbers[left] = t->last_number + 1;
        meet(t, numbers[left], boxes[left], &looks[left]);
    }
}

void rml_face_identities_learn(rml_face_identities *t, const rml_box *boxes,
                               const rml_face_looks *looks, int count, bool cut, const int *numbers)
{
    expect(t, cut);
    for (int i = 0; i < count; i++) {
        known_face *same = NULL;
        for (int j = 0; j < t->count && !same; j++)
            if (t->known[j].number == numbers[i])
                same = &t->known[j];
        if (same)
            see(same, boxes[i], &looks[i]);
        else
            meet(t, numbers[i], boxes[i], &looks[i]);
    }
}
