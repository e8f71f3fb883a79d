// From a picture in planes to what the network is given, and from what it made back into the
// picture: only what the mask touches changes.
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
typedef struct rml_face_cutter rml_face_cutter;

rml_status rml_face_cutter_create(rml_face_cutter **out, const rml_allocator *allocator,
                                  rml_error *err);
void rml_face_cutter_destroy(rml_face_cutter **cutter);

// The face in `box` (as shown, inside the picture) as side x side pixels BGR, as networks know it.
rml_status rml_face_cut(rml_face_cutter *cutter, const rml_planes *picture, rml_box box, int side,
                        uint8_t *patch, rml_error *err);

typedef struct rml_face_paster rml_face_paster;

// Loads settings->picture; `settings` is copied.
rml_status rml_face_paster_create(rml_face_paster **out, const rml_paste_settings *settings,
                                  const rml_allocator *allocator, rml_error *err);
void rml_face_paster_destroy(rml_face_paster **paster);

// Puts what the network `made` of what it was `given` (both side x side pixels BGR) into `box` of
// the picture, whose samples can be written. `marks`, in pixels of the picture as shown, or NULL
// tell where the mouth is. Detail of the film stays where the network left the
// face as it was, and colours are matched along the mask's edge. `step`: how far apart they were
// there before (see seam.h); 0 where they are kept.
rml_status rml_face_paste(rml_face_paster *paster, const rml_planes *picture, rml_box box,
                          const float (*marks)[2], const uint8_t *given, const uint8_t *made,
                          int side, float *step, rml_error *err);

// The first row of what the network made that the mask lets through, or that the filters on the way
// reach: nobody looks at what is above, but for what it was given. May be asked by another thread.
int rml_face_paste_top(const rml_face_paster *paster, rml_box box, const float (*marks)[2],
                       int side);

#endif
