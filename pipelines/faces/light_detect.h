// Looks for faces with YuNet or the Ultra-Light-Fast-Generic detector, on pictures scaled down so
// far that it is quick and faces stay findable.
#ifndef RML_PIPELINES_FACES_LIGHT_DETECT_H
#define RML_PIPELINES_FACES_LIGHT_DETECT_H

#include "media/image/resize_opencv.h"
#include "pipelines/faces/face_track.h"

// Where the network fixes no size: the picture's longer side becomes the first of these, and where
// no face is found there the second; the surroundings of a face become the third. A picture is
// never scaled up.
#define RML_LIGHT_LOOKS 3

// The network at one size. Sizes keep their own plans, since a clip goes back and forth between
// them.
typedef struct rml_light_look {
    rml_session *session;
    int side;          // longest of what is looked at
    int width, height; // of the network's input as it is planned
} rml_light_look;

typedef struct rml_light_detector {
    const rml_allocator *allocator;
    rml_model *model;
    rml_session_settings settings;
    bool yunet; // else Ultra-Light-Fast-Generic
    const char *input;
    int fixed_width, fixed_height; // of the network's input; 0: any
    rml_light_look looks[RML_LIGHT_LOOKS];
    rml_resizer *resizer;
    rml_frame scaled;
} rml_light_detector;

// A zeroed detector is empty and may be released. `model` must outlive it.
rml_status rml_light_detector_init(rml_light_detector *out, rml_model *model, bool yunet,
                                   const rml_session_settings *settings, rml_error *err);
void rml_light_detector_release(rml_light_detector *detector);

// The faces of a picture, the best first. `around`: it shows the surroundings of one face. Corners
// are rounded to whole pixels and may lie outside the picture to the right and below.
rml_status rml_light_detect(rml_light_detector *detector, const rml_frame *frame, bool around,
                            rml_face *faces, int capacity, int *count, rml_error *err);

#endif
