#include "pipelines/faces/face_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NUMBER 1000000
#define MOST_PLACE 1e6

// A number that ends at one of `ends`, from 0 to `most`; NULL when there is none.
static const char *read_number(const char *text, const char *ends, double most, double *value)
{
    char *end;
    if (!((*text >= '0' && *text <= '9') || *text == '.'))
        return NULL;
    *value = strtod(text, &end);
    if (strspn(text, "0123456789.") != (size_t)(end - text) || !(*value <= most))
        return NULL;
    return *end == '\0' || strchr(ends, *end) ? end : NULL;
}

bool rml_face_choice_parse(const char *text, rml_face_choice *choice)
{
    static const char *const names[] = {
        [RML_CHOOSE_LARGEST] = "largest", [RML_CHOOSE_LEFT] = "left", [RML_CHOOSE_RIGHT] = "right"};
    *choice = (rml_face_choice){.kind = RML_CHOOSE_BEST};
    for (int i = RML_CHOOSE_LARGEST; i <= RML_CHOOSE_RIGHT; i++)
        if (strcmp(text, names[i]) == 0) {
            choice->kind = (rml_choice_kind)i;
            return true;
        }
    if (strncmp(text, "at:", 3) == 0) {
        choice->kind = RML_CHOOSE_AT;
        const char *at = read_number(text + 3, ",", MOST_PLACE, &choice->x);
        if (!at || *at != ',')
            return false;
        at = read_number(at + 1, "@", MOST_PLACE, &choice->y);
        if (at && *at == '@')
            at = read_number(at + 1, "", MOST_PLACE, &choice->seconds);
        return at && *at == '\0';
    }
    double number;
    const char *end = strspn(text, "0123456789") == strlen(text)
                          ? read_number(text, "", MOST_NUMBER, &number)
                          : NULL;
    if (!end || number < 1)
        return false;
    choice->kind = RML_CHOOSE_NUMBER;
    choice->number = (int)number;
    return true;
}

const rml_numbered_face *rml_face_of_number(const rml_numbered_face *faces, int count, int number)
{
    for (int i = 0; i < count; i++)
        if (number && faces[i].number == number)
            return &faces[i];
    return NULL;
}

static bool is_stranger(const rml_face_chooser *c, int number)
{
    for (int i = 0; i < c->stranger_count; i++)
        if (c->strangers[i] == number)
            return true;
    return false;
}

// Who is in one picture with the face that is followed is somebody else for as long as the scene.
static void meet_strangers(rml_face_chooser *c, const rml_numbered_face *faces, int count)
{
    for (int i = 0; i < count; i++)
        if (faces[i].number != c->followed && !is_stranger(c, faces[i].number) &&
            c->stranger_count < RML_CHOICE_STRANGERS)
            c->strangers[c->stranger_count++] = faces[i].number;
}

// How much better than others a face is by the rule.
static double merit(rml_choice_kind kind, const rml_box *b)
{
    if (kind == RML_CHOOSE_LARGEST)
        return ((double)b->x2 - b->x1) * ((double)b->y2 - b->y1);
    const double middle = (double)b->x1 + b->x2;
    return kind == RML_CHOOSE_LEFT ? -middle : middle;
}

const rml_numbered_face *rml_face_choose(rml_face_chooser *c, const rml_numbered_face *faces,
                                         int count, bool cut)
{
    const rml_choice_kind kind = c->choice.kind;
    const rml_numbered_face *chosen = rml_face_of_number(
        faces, count, kind == RML_CHOOSE_NUMBER ? c->choice.number : c->followed);
    if (kind == RML_CHOOSE_NUMBER || kind == RML_CHOOSE_AT)
        return chosen;
    if (cut)
        c->stranger_count = 0;
    if (cut && !chosen)
        c->followed = 0;
    for (int i = 0; i < count && !chosen && kind == RML_CHOOSE_BEST; i++)
        if (!is_stranger(c, faces[i].number))
            chosen = &faces[i];
    for (int i = 0; i < count && kind != RML_CHOOSE_BEST && c->followed == 0; i++)
        if (!chosen || merit(kind, &faces[i].face.box) > merit(kind, &chosen->face.box))
            chosen = &faces[i];
    if (chosen) {
        c->followed = chosen->number;
        meet_strangers(c, faces, count);
    }
    return chosen;
}

const rml_numbered_face *rml_face_at(const rml_numbered_face *faces, int count, double x, double y)
{
    const rml_numbered_face *nearest = NULL;
    double least = HUGE_VAL;
    for (int i = 0; i < count; i++) {
        const rml_box b = faces[i].face.box;
        const double away = hypot(0.5 * ((double)b.x1 + b.x2) - x, 0.5 * ((double)b.y1 + b.y2) - y);
        if (x >= b.x1 && x < b.x2 && y >= b.y1 && y < b.y2 && away < least) {
            least = away;
            nearest = &faces[i];
        }
    }
    return nearest;
}
