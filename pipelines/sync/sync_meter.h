// How far lips and sound are apart, from an embedding of each for every window: the measure of
// joonson/syncnet_python, SyncNetInstance.py, which LSE-D and LSE-C come from.
//
//   D[i][j] = || V[i] - A[i + j - 15] + 1e-6 ||, a sound outside the clip being a vector of zeros
//   M[j]    = mean of D[i][j] over the windows i that show a face
//   j*      = the first j with the least M;  LSE-D = M[j*];  LSE-C = median of M - M[j*]
//   offset  = 15 - j* frames: positive where the sound comes before its picture
//
// Rows are pushed one after the other; of the embeddings only the last 31 are kept.
#ifndef RML_PIPELINES_SYNC_SYNC_METER_H
#define RML_PIPELINES_SYNC_SYNC_METER_H

#include "runmodel.h"

#define RML_SYNC_REACH 15 // frames, each way
#define RML_SYNC_SHIFTS (2 * RML_SYNC_REACH + 1)
#define RML_SYNC_SPAN 100 // windows that the offset over time is made of, four seconds

// Of the whole, or of some windows.
typedef struct rml_sync_score {
    int64_t windows; // with a face
    int offset;      // frames; +-RML_SYNC_REACH: it may lie beyond, or nobody speaks
    double lse_d, lse_c;
} rml_sync_score;

// Of one window. All but the face are 0 where there is none.
typedef struct rml_sync_row {
    bool face;
    double distance;     // D at the offset of the whole
    double confidence;   // median of M less the distance, median-filtered over nine windows
    rml_sync_score near; // of the RML_SYNC_SPAN windows about this one
} rml_sync_row;

typedef struct rml_sync_meter rml_sync_meter;

// `width` of the embeddings.
rml_status rml_sync_meter_create(rml_sync_meter **out, int64_t width,
                                 const rml_allocator *allocator, rml_error *err);
void rml_sync_meter_destroy(rml_sync_meter **meter);

// The next window. `lips` is NULL where a face is missing.
rml_status rml_sync_meter_push(rml_sync_meter *meter, const float *lips, const float *sound,
                               rml_error *err);

// No more windows will come. RML_ERR_ARG when no window showed a face.
rml_status rml_sync_meter_finish(rml_sync_meter *meter, rml_error *err);

// All of the following are for a finished meter.

int64_t rml_sync_meter_count(const rml_sync_meter *meter); // windows pushed
rml_sync_score rml_sync_meter_whole(const rml_sync_meter *meter);
// The same from pairs alone that lie inside the clip: zeros pull the ends of short clips.
rml_sync_score rml_sync_meter_pairs(const rml_sync_meter *meter);
// Mean cosine of the pairs inside the clip at this offset in frames; 0 when there is none.
double rml_sync_meter_cosine(const rml_sync_meter *meter, int offset);
// Row `index` of them, in order.
const rml_sync_row *rml_sync_meter_row(const rml_sync_meter *meter, int64_t index);

#endif
