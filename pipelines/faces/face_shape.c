#include "pipelines/faces/face_shape.h"

rml_face_shape rml_face_shape_of(const float (*marks)[2])
{
    const float eyes_x = marks[1][0] - marks[0][0], eyes_y = marks[1][1] - marks[0][1];
    const float corners_x = marks[4][0] - marks[3][0], corners_y = marks[4][1] - marks[3][1];
    rml_face_shape s = {.x = (marks[3][0] + marks[4][0]) / 2, .y = (marks[3][1] + marks[4][1]) / 2};
    s.down_x = s.x - (marks[0][0] + marks[1][0]) / 2;
    s.down_y = s.y - (marks[0][1] + marks[1][1]) / 2;
    // All three tell how the head is tilted, and a turned one bends each another way.
    s.right_x = eyes_x + corners_x + s.down_y;
    s.right_y = eyes_y + corners_y - s.down_x;
    return s;
}
