// Ways of pooling that lie in files of their own.
#ifndef RML_OPS_IMAGE_POOL_H
#define RML_OPS_IMAGE_POOL_H

#include "ops/conv/window.h"

rml_window rml_pool_window(const rml_op_args *args);

// Row by row: what lies above one another first, then what lies side by side. f32; of plain images
// of any number of dimensions, or channels-last.
bool rml_pool_rows_accepts(const rml_op_args *args);
bool rml_pool_rows_accepts_plain(const rml_op_args *args);
size_t rml_pool_rows_bytes(const rml_op_args *args); // of a worker
void rml_pool_rows_run(const rml_op_args *args);

// Window by window, those of a row that no edge cuts in one call. f32; channels-last.
size_t rml_pool_window_bytes(const rml_op_args *args); // of a worker
void rml_pool_window_run(const rml_op_args *args);

// Plane by plane, as a whole: plain images that are small, and one window over all of an image.
bool rml_pool_plane_accepts(const rml_op_args *args);
size_t rml_pool_plane_bytes(const rml_op_args *args); // of a worker
void rml_pool_plane_run(const rml_op_args *args);
bool rml_pool_whole_accepts(const rml_op_args *args);
void rml_pool_whole_run(const rml_op_args *args);

// The mean of every channel of channels-last images, of any reduction over height and width, too.
bool rml_pool_pixels_accepts(const rml_op_args *args);
void rml_pool_pixels_run(const rml_op_args *args);

#define RML_POOL_SMALL_TAPS 5 // that are joined by one call, not by doubling

// dst[i] = max, or the sum, of src[i + t*step], t < taps, for i < count; by doubling. The result
// lies in `sum`, in a line of `level`, each of which has room for count + (taps - 1)*step floats,
// or in `src`, which may be one of these lines and is changed then.
const float *rml_pool_join(const rml_kernels *kernels, bool max, const float *src, size_t taps,
                           size_t step, size_t count, float *const level[2], float *sum);

#endif
