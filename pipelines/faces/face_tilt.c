#include "pipelines/faces/face_tilt.h"

#include "pipelines/faces/face_shape.h"

#include <math.h>

// (w^2 - h^2) / (w^2 + h^2) of the box of an upright face, which is 0.78 as wide as it is high.
#define USUAL_SHAPE (-0.24)
// Marks that are this far apart are those of no face.
#define MOST_LENGTH 1e6f

float rml_face_tilt(const float (*marks)[2])
{
    const rml_face_shape shape = rml_face_shape_of(marks);
    const float length = hypotf(shape.right_x, shape.right_y);
    if (!(length >= 1 && length < MOST_LENGTH)) // nor what is not a number
        return 0;
    const float angle = atan2f(shape.right_y, shape.right_x), size = fabsf(angle);
    if (size <= RML_FACE_TILT_LEAST)
        return 0;
    if (size < 2 * RML_FACE_TILT_LEAST)
        return copysignf(2 * (size - RML_FACE_TILT_LEAST), angle);
    return angle;
}

// A face is an ellipse, whose bounding box of W x H has the same diagonal however it is turned:
//   W^2 = w^2 cos^2 + h^2 sin^2,  H^2 = w^2 sin^2 + h^2 cos^2,
//   W^2 + H^2 = w^2 + h^2,        W^2 - H^2 = (w^2 - h^2) cos 2a.
// Near 45 degrees the second tells nothing of its shape, so the usual one is mixed in there.
rml_box rml_face_turned_box(rml_box found, rml_box padded, float angle)
{
    if (angle == 0)
        return padded;
    const double a = (double)angle, across = cos(2 * a);
    const double wide = (double)(found.x2 - found.x1), high = (double)(found.y2 - found.y1);
    const double both = wide * wide + high * high;
    const double differ =
        (wide * wide - high * high) * across + (1 - across * across) * USUAL_SHAPE * both;
    const double left = found.x1 - padded.x1, right = padded.x2 - found.x2;
    const double top = found.y1 - padded.y1, bottom = padded.y2 - found.y2;
    const double width = fmax(1, round(sqrt((both + differ) / 2) + left + right));
    const double height = fmax(1, round(sqrt((both - differ) / 2) + top + bottom));
    const double to_x = (right - left) / 2, to_y = (bottom - top) / 2;
    const double x = (found.x1 + found.x2) / 2.0 + cos(a) * to_x - sin(a) * to_y;
    const double y = (found.y1 + found.y2) / 2.0 + sin(a) * to_x + cos(a) * to_y;
    const rml_box at = {(int)round(x - width / 2), (int)round(y - height / 2), 0, 0};
    return (rml_box){at.x1, at.y1, at.x1 + (int)width, at.y1 + (int)height};
}

float rml_track_turn(const rml_track *track, int64_t index, rml_box *box)
{
    float marks[RML_FACE_MARKS][2];
    *box = rml_track_box(track, index);
    if (!rml_track_marks(track, index, marks))
        return 0;
    const float angle = rml_face_tilt((const float(*)[2])marks);
    *box = rml_face_turned_box(rml_track_found(track, index), *box, angle);
    return angle;
}
