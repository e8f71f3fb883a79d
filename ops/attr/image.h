// Attributes of operators on images of any number of dimensions: [N, C, spatial axes...].
#ifndef RML_OPS_ATTR_IMAGE_H
#define RML_OPS_ATTR_IMAGE_H

#include "ops/attr/basic.h"

#define RML_MAX_SPATIAL (RML_MAX_RANK - 2)

typedef enum rml_auto_pad {
    RML_AUTO_PAD_NONE,       // as given
    RML_AUTO_PAD_SAME_UPPER, // size / stride, rounded up, outputs; what is odd comes behind
    RML_AUTO_PAD_SAME_LOWER, // ... or before
    RML_AUTO_PAD_VALID,      // no padding
} rml_auto_pad;

// Windows that walk over an image. Lists go by spatial axis; those that are not given hold kernel 0
// (that of the weight), stride and dilation 1, padding 0.
typedef struct rml_window_attr {
    int rank; // entries given; 0: no list was given, the image has the rank it has
    int64_t kernel[RML_MAX_SPATIAL], stride[RML_MAX_SPATIAL], dilation[RML_MAX_SPATIAL];
    int64_t before[RML_MAX_SPATIAL], after[RML_MAX_SPATIAL]; // padding
    rml_auto_pad auto_pad;
    bool ceil_mode; // a last window that is not whole counts, if it begins in front of the padding
} rml_window_attr;

// Convolution, its transpose and deformable convolution. `twice`: for an even row of the output,
// rows 1 and 2 of the kernel read the same pixels, and so it is with columns.
typedef struct rml_conv_attr {
    rml_window_attr window;
    int64_t groups;
    int64_t out_pad[RML_MAX_SPATIAL];  // transpose only
    int64_t out_size[RML_MAX_SPATIAL]; // transpose only, in place of the padding; 0: not given
    int64_t offset_groups;             // deform_conv only
    rml_activation act;                // after bias and residual
    bool twice;
} rml_conv_attr;

// A 1x1 convolution, a depthwise one, a 1x1 one; see ops/conv/inverted_residual.c. They live as
// long as the graph.
typedef struct rml_inverted_attr {
    const rml_conv_attr *expand, *depthwise, *project;
} rml_inverted_attr;

typedef enum rml_pool_kind { RML_POOL_MAX, RML_POOL_AVERAGE, RML_POOL_LP } rml_pool_kind;

typedef struct rml_pool_attr {
    rml_pool_kind kind;
    rml_window_attr window;
    bool global;       // one window over the whole image
    bool count_pad;    // average: padding counts as elements (torch's count_include_pad)
    bool indices;      // max: a second output tells where the largest element lies
    bool column_major; // ... with the first spatial axis running fastest
    double p;          // of LP
} rml_pool_attr;

typedef struct rml_unpool_attr {
    rml_window_attr window;
} rml_unpool_attr;

typedef struct rml_col2im_attr {
    rml_window_attr window; // the kernel is an input
} rml_col2im_attr;

// How output coordinates lie in the input, see ops/image/resize_axis.c.
typedef enum rml_coordinates {
    RML_COORDINATES_HALF_PIXEL,
    RML_COORDINATES_HALF_PIXEL_SYMMETRIC,
    RML_COORDINATES_PYTORCH_HALF_PIXEL,
    RML_COORDINATES_ALIGN_CORNERS,
    RML_COORDINATES_ASYMMETRIC,
    RML_COORDINATES_HALF_PIXEL_FOR_NEAREST, // tf_half_pixel_for_nn
    RML_COORDINATES_CROP,                   // of a part of the input, tf_crop_and_resize
} rml_coordinates;

typedef enum rml_interpolation {
    RML_INTERPOLATION_NEAREST,
    RML_INTERPOLATION_LINEAR,
    RML_INTERPOLATION_CUBIC
} rml_interpolation;

typedef enum rml_nearest {
    RML_NEAREST_ROUND_PREFER_FLOOR,
    RML_NEAREST_ROUND_PREFER_CEIL,
    RML_NEAREST_FLOOR,
    RML_NEAREST_CEIL,
    RML_NEAREST_OLD // before opset 11: up where the scale is below 1, else down
} rml_nearest;

typedef enum rml_aspect {
    RML_ASPECT_STRETCH,
    RML_ASPECT_NOT_LARGER,
    RML_ASPECT_NOT_SMALLER
} rml_aspect;

typedef struct rml_resize_attr {
    rml_coordinates coordinates;
    rml_interpolation mode;
    rml_nearest nearest;
    rml_aspect aspect;
    bool antialias, exclude_outside;
    double cubic, extrapolation; // the cubic's coefficient; the value outside a crop
    int axis_count;              // 0: all axes in order
    int axis[RML_MAX_RANK];      // negative counts from the end
    double scale[2];             // of height and width, where no input has scales or sizes
    int64_t size[2];             // in place of the scale; 0: not given
} rml_resize_attr;

typedef enum rml_outside {
    RML_OUTSIDE_ZEROS,
    RML_OUTSIDE_BORDER,
    RML_OUTSIDE_REFLECTION, // at the middle of the last elements by align_corners, else their ends
    RML_OUTSIDE_OTHER_REFLECTION // the other way round
} rml_outside;

typedef struct rml_grid_sample_attr {
    rml_interpolation mode;
    rml_outside outside;
    bool align_corners;
} rml_grid_sample_attr;

typedef struct rml_affine_grid_attr {
    bool align_corners;
} rml_affine_grid_attr;

// Both kinds of pooling of regions.
typedef struct rml_roi_attr {
    int64_t height, width; // of the output
    double scale;          // of the regions' coordinates to the image's
    int64_t samples;       // roi_align: a side of each bin; 0: as many as it has pixels
    bool max;              // roi_align: the largest sample instead of the mean
    bool half_pixel;       // roi_align: coordinates are shifted by half a pixel
} rml_roi_attr;

typedef struct rml_center_attr {
    int axis_count; // 0: all axes in order
    int axis[RML_MAX_RANK];
} rml_center_attr;

#endif
