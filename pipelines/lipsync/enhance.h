// A new face through a restorer of the user's (GFPGAN, CodeFormer and their kin), which takes faces
// aligned as in the FFHQ set.
#ifndef RML_PIPELINES_LIPSYNC_ENHANCE_H
#define RML_PIPELINES_LIPSYNC_ENHANCE_H

#include "media/image/planes.h"
#include "pipelines/lipsync/picture_net.h"

#define RML_ENHANCE_SIDE 512 // of networks that leave it open

// Keeps its room for the next face. One is used by one thread at a time.
typedef struct rml_enhancer rml_enhancer;

// `net` gives pictures, and must outlive the enhancer.
rml_status rml_enhancer_create(rml_enhancer **out, rml_picture_net *net,
                               const rml_allocator *allocator, rml_error *err);
void rml_enhancer_destroy(rml_enhancer **enhancer);

// Adds to `made`, the new face at the size of `shown` (as shown, inside the picture), three planes
// R', G', B', what the restorer changes of it. It sees a square, turned and scaled so that the five
// `marks` (as in rml_face, of the picture as shown) lie where the template has them; without marks,
// or where they are those of no face, an upright one by the usual proportions of a face's box. The
// film is in the square, and the new face in front of it; outside the picture its last pixels are
// repeated. Towards the edges of the square what is added fades.
rml_status rml_enhance(rml_enhancer *enhancer, const rml_planes *picture, rml_part shown,
                       const float (*marks)[2], float *made, rml_error *err);

#endif
