// From what a network made of a face back into the picture in planes: only what the mask touches
// changes.
#ifndef RML_PIPELINES_LIPSYNC_FACE_PASTE_H
#define RML_PIPELINES_LIPSYNC_FACE_PASTE_H

#include "media/image/planes.h"
#include "media/image/resample.h"
#include "pipelines/faces/face_track.h"
#include "pipelines/lipsync/face_mask.h"
#include "pipelines/lipsync/picture_net.h"

typedef struct rml_paste_settings {
    rml_mask_kind mask;
    float feather;       // share of the crop's side
    bool keep_colours;   // of the network's: no membrane along the edge
    const char *picture; // an image file that is the mask, stretched over the crop; or NULL
    // Networks that outlive the paster, or NULL: what sees things in front of the face
    // (occluder.h), and what the new face goes through (enhance.h).
    rml_picture_net *occluder, *restorer;
} rml_paste_settings;

// Keeps its room for the next face. One is used by one thread at a time.
typedef struct rml_face_paster rml_face_paster;

// Loads settings->picture; `settings` is copied.
rml_status rml_face_paster_create(rml_face_paster **out, const rml_paste_settings *settings,
                                  const rml_allocator *allocator, rml_error *err);
void rml_face_paster_destroy(rml_face_paster **paster);

// Puts what the network `made` of what it was `given` (both side x side pixels BGR) into `box` of
// the picture, turned by `angle` as in face_cut.h, whose samples can be written. `marks`, in pixels
// of the picture as shown, or NULL tell where the mouth is. Detail of the film stays where the
// network left the face as it was, and colours are matched along the mask's edge. Of a turned face
// only the difference to the film is turned back, so that what is not changed is not blurred.
// `step`: how far apart the colours were along the edge before (see seam.h); 0 where they are kept.
rml_status rml_face_paste(rml_face_paster *paster, const rml_planes *picture, rml_box box,
                          float angle, const float (*marks)[2], const uint8_t *given,
                          const uint8_t *made, int side, float *step, rml_error *err);

// The part of what the network made that the mask lets through, or that the filters on the way
// reach, a pixel at least: nobody looks at what is outside, but for what it was given. May be asked
// by another thread.
rml_part rml_face_paste_seen(const rml_face_paster *paster, rml_box box, float angle,
                             const float (*marks)[2], int side);

// The part of a picture of width x height, as shown, that a paste can change.
rml_part rml_face_paste_part(rml_box box, float angle, int width, int height);

#endif
