#include "pipelines/faces/face_box.h"

const char *rml_face_source_name(rml_face_source source)
{
    switch (source) {
    case RML_FACE_NONE:
        return "none";
    case RML_FACE_DETECTED:
        return "detected";
    case RML_FACE_BY_HAND:
        return "by hand";
    }
    return "?";
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static double box_area(rml_box b)
{
    return b.x2 > b.x1 && b.y2 > b.y1 ? (double)(b.x2 - b.x1) * (double)(b.y2 - b.y1) : 0;
}

double rml_box_overlap(rml_box a, rml_box b)
{
    rml_box common = {max_int(a.x1, b.x1), max_int(a.y1, b.y1), min_int(a.x2, b.x2),
                      min_int(a.y2, b.y2)};
    double both = box_area(common);
    double all = box_area(a) + box_area(b) - both;
    return all > 0 ? both / all : 0;
}
