#include "pipelines/faces/face_fit.h"

#include "pipelines/faces/face_shape.h"

#include <math.h>

// Of each pair the first is asked of a face that fitted before, the second of one that did not.

// How far the nose may be from between the eyes, as a share of their distance.
static const float nose_beside[2] = {0.05f, -0.05f};
// The least distance of the eyes, as a share of the diagonal of the box; from the front it is 0.25.
static const float eyes_apart[2] = {0.07f, 0.1f};
// How far the lower lip has to be from the edge of the picture, by the distance of eyes and mouth.
static const float inside[2] = {0, 0.1f};
#define LIP_SHARE 0.2f // that the lip is below the middle of the mouth
// The least height and width of a box: the mouth takes half of it.
static const int least_side[2] = {16, 20};

static bool is_turned(const rml_face *face, bool again)
{
    const float(*m)[2] = face->marks;
    const float x = m[1][0] - m[0][0], y = m[1][1] - m[0][1], square = x * x + y * y;
    const float wide = (float)(face->box.x2 - face->box.x1);
    const float high = (float)(face->box.y2 - face->box.y1);
    if (!(sqrtf(square) > eyes_apart[again] * hypotf(wide, high)))
        return true;
    const float nose = ((m[2][0] - m[0][0]) * x + (m[2][1] - m[0][1]) * y) / square;
    return !(nose > -nose_beside[again] && nose < 1 + nose_beside[again]);
}

static bool is_cut_off(const rml_face *face, int width, int height, bool again)
{
    const rml_box *b = &face->box;
    const float high = (float)(b->y2 - b->y1);
    rml_face_shape s = {.x = (float)(b->x1 + b->x2) / 2,
                        .y = (float)b->y1 + RML_BOX_MOUTH_Y * high,
                        .down_y = RML_BOX_DISTANCE * high};
    if (face->has_marks)
        s = rml_face_shape_of(face->marks);
    const float margin = inside[again] * hypotf(s.down_x, s.down_y);
    const float x = s.x + LIP_SHARE * s.down_x, y = s.y + LIP_SHARE * s.down_y;
    return !(x >= margin && y >= margin && x <= (float)width - margin &&
             y <= (float)height - margin);
}

rml_face_fit rml_face_fit_of(const rml_face *face, int width, int height, rml_face_fit before)
{
    if (face->source != RML_FACE_DETECTED)
        return RML_FACE_FITS;
    const int wide = face->box.x2 - face->box.x1, high = face->box.y2 - face->box.y1;
    const int side = least_side[before == RML_FACE_SMALL];
    if (wide < side || high < side)
        return RML_FACE_SMALL;
    if (is_cut_off(face, width, height, before == RML_FACE_CUT_OFF))
        return RML_FACE_CUT_OFF;
    if (face->has_marks && is_turned(face, before == RML_FACE_TURNED))
        return RML_FACE_TURNED;
    return RML_FACE_FITS;
}
