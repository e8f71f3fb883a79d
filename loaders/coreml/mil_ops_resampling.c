// Resizing and sampling of images, which lie in the last two dimensions.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <math.h>

// How positions of the output lie in the input, along each axis.
typedef struct sampling {
    rml_interpolation mode;
    rml_coordinates coordinates[2];
    int64_t size[2];          // of the output
    double first[2], last[2]; // positions of both ends, of RML_COORDINATES_CROP
} sampling;

// Height and width of x; refuses one that only a run tells.
static void image_size(rml_mil_call *call, rml_value_id x, int64_t size[2])
{
    const int rank = rml_mil_rank(call, x);
    const rml_shape shape = rml_mil_fact(call, x).shape;
    size[0] = size[1] = 1;
    if (rank < 3)
        rml_mil_refuse(call, "an image of %d dimensions", rank);
    for (int i = 0; i < 2 && !call->refused; i++)
        if ((size[i] = shape.dim[rank - 2 + i]) < 1)
            rml_mil_refuse(call, "an image whose size only the run tells");
}

static rml_value_id resized(rml_mil_call *call, rml_value_id x, const sampling *s, int first,
                            int count)
{
    rml_op_attr attr = {.resize = {.mode = s->mode,
                                   .coordinates = s->coordinates[first],
                                   .nearest = RML_NEAREST_FLOOR,
                                   .axis_count = count}};
    rml_value_id in[] = {x, RML_NO_VALUE, RML_NO_VALUE,
                         rml_mil_ints_value(call, s->size + first, count)};
    for (int i = 0; i < count; i++)
        attr.resize.axis[i] = first + i - 2;
    if (s->coordinates[first] == RML_COORDINATES_CROP) {
        float *ends = rml_mil_alloc(call, 4, sizeof *ends);
        for (int i = 0; ends && i < count; i++) {
            ends[i] = (float)s->first[first + i];
            ends[count + i] = (float)s->last[first + i];
        }
        in[1] = rml_mil_floats(call, ends, &(rml_shape){1, {2 * count}});
    }
    return rml_mil_node(call, RML_OP_RESIZE, &attr, in, 4);
}

static void resize(rml_mil_call *call, rml_value_id x, const sampling *s)
{
    for (int i = 0; i < 2; i++)
        if (s->size[i] < 1)
            rml_mil_refuse(call, "it makes an image of %lldx%lld", (long long)s->size[1],
                           (long long)s->size[0]);
    if (s->coordinates[0] == s->coordinates[1])
        call->out[0] = resized(call, x, s, 0, 2);
    else
        call->out[0] = resized(call, resized(call, x, s, 0, 1), s, 1, 1);
}

// ---- by names of sampling -----------------------------------------------------------------------

enum { DEFAULT, STRICT_ALIGN, ALIGN, UNALIGN, OFFSET };

static int sampling_mode(rml_mil_call *call)
{
    return rml_mil_word(call, "sampling_mode",
                        "DEFAULT STRICT_ALIGN_CORNERS ALIGN_CORNERS UNALIGN_CORNERS OFFSET_CORNERS",
                        DEFAULT);
}

static void set_sampling(sampling *s, int mode, const int64_t in[2])
{
    static const rml_coordinates coordinates[] = {
        RML_COORDINATES_ASYMMETRIC, RML_COORDINATES_ALIGN_CORNERS, RML_COORDINATES_ALIGN_CORNERS,
        RML_COORDINATES_HALF_PIXEL, RML_COORDINATES_CROP};
    for (int i = 0; i < 2; i++) {
        s->coordinates[i] = coordinates[mode];
        if (mode == ALIGN && s->size[i] == 1) // the middle
            s->coordinates[i] = RML_COORDINATES_HALF_PIXEL;
        const double most = in[i] > 1 ? (double)(in[i] - 1) : 1;
        const double spacing = most / (double)s->size[i];
        s->first[i] = in[i] > 1 ? spacing / 2 / most : 0;
        s->last[i] =
            in[i] > 1 ? s->first[i] + spacing * (double)(s->size[i] - 1) / most : s->first[i];
    }
}

static void import_resize_bilinear(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    int64_t in[2];
    sampling s = {.mode = RML_INTERPOLATION_LINEAR,
                  .size = {rml_mil_int(call, "target_size_height", 1),
                           rml_mil_int(call, "target_size_width", 1)}};
    const int mode = sampling_mode(call);
    image_size(call, x, in);
    set_sampling(&s, mode, in);
    resize(call, x, &s);
}

static void set_nearest(sampling *s)
{
    s->mode = RML_INTERPOLATION_NEAREST;
    s->coordinates[0] = s->coordinates[1] = RML_COORDINATES_HALF_PIXEL_FOR_NEAREST;
}

static void import_resize_nearest(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    sampling s = {.size = {rml_mil_int(call, "target_size_height", 1),
                           rml_mil_int(call, "target_size_width", 1)}};
    set_nearest(&s);
    resize(call, x, &s);
}

// The last `resized_dims` sizes of `shape`; 0 keeps one.
static void import_resize(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const rml_value_id shape = rml_mil_in(call, "shape");
    const int64_t dims = rml_mil_int(call, "resized_dims", 0);
    const int nearest = rml_mil_word(call, "interpolation_mode", "LINEAR NEAREST_NEIGHBOR", 0);
    const int mode = sampling_mode(call);
    const int rank =
        rml_mil_rank(call, shape) == 1 ? (int)rml_mil_fact(call, shape).shape.dim[0] : 0;
    int64_t in[2];
    sampling s = {.mode = RML_INTERPOLATION_LINEAR};
    image_size(call, x, in);
    if (dims < 0 || dims > 2)
        rml_mil_refuse(call, "it resizes %lld dimensions, at most 2 are supported",
                       (long long)dims);
    for (int i = 0; i < 2 && !call->refused; i++) {
        s.size[i] = 0;
        if (i >= 2 - dims && !rml_mil_known(call, shape, (size_t)(rank - 2 + i), &s.size[i]))
            rml_mil_refuse(call, "its sizes are not constant");
        s.size[i] = s.size[i] ? s.size[i] : in[i];
    }
    if (nearest)
        set_nearest(&s);
    else
        set_sampling(&s, mode, in);
    resize(call, x, &s);
}

// ---- by factors ---------------------------------------------------------------------------------

// Sizes are rounded down, and positions go by sizes.
static void scaled_size(rml_mil_call *call, const int64_t in[2], int64_t size[2])
{
    static const char *const names[] = {"scale_factor_height", "scale_factor_width"};
    for (int i = 0; i < 2; i++) {
        const double wide = floor((double)in[i] * (double)(float)rml_mil_float(call, names[i], 1));
        size[i] = wide >= 1 && wide < 0x1p40 ? (int64_t)wide : 0;
    }
}

static void import_upsample_nearest(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    int64_t in[2];
    sampling s = {.mode = RML_INTERPOLATION_NEAREST,
                  .coordinates = {RML_COORDINATES_ASYMMETRIC, RML_COORDINATES_ASYMMETRIC}};
    image_size(call, x, in);
    scaled_size(call, in, s.size);
    resize(call, x, &s);
}

static void import_upsample_bilinear(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const bool align = rml_mil_flag(call, "align_corners", true);
    const bool half = rml_mil_flag(call, "half_pixel_centers", !align);
    int64_t in[2];
    sampling s = {.mode = RML_INTERPOLATION_LINEAR};
    s.coordinates[0] = s.coordinates[1] = align  ? RML_COORDINATES_ALIGN_CORNERS
                                          : half ? RML_COORDINATES_HALF_PIXEL
                                                 : RML_COORDINATES_ASYMMETRIC;
    image_size(call, x, in);
    scaled_size(call, in, s.size);
    resize(call, x, &s);
}

// ---- at given places ----------------------------------------------------------------------------

enum { CONSTANT, BORDER, REFLECTION };

static rml_grid_sample_attr grid_attr(rml_mil_call *call)
{
    static const rml_outside outside[] = {RML_OUTSIDE_ZEROS, RML_OUTSIDE_BORDER,
                                          RML_OUTSIDE_REFLECTION};
    static const rml_interpolation modes[] = {RML_INTERPOLATION_LINEAR, RML_INTERPOLATION_NEAREST};
    const int mode = rml_mil_word(call, "sampling_mode", "bilinear nearest", 0);
    const int padding = rml_mil_word(call, "padding_mode", "constant border reflection", CONSTANT);
    if (rml_mil_float(call, "padding_value", 0) != 0 && padding == CONSTANT)
        rml_mil_refuse(call, "a padding_value that is not 0 is not supported");
    return (rml_grid_sample_attr){.mode = modes[mode],
                                  .outside = outside[padding],
                                  .align_corners = rml_mil_flag(call, "align_corners", true)};
}

// factor * x + offset, for x and y.
static rml_value_id affine_pair(rml_mil_call *call, rml_value_id x, const double factor[2],
                                const double offset[2])
{
    float *numbers = rml_mil_alloc(call, 4, sizeof *numbers);
    const rml_shape two = {1, {2}};
    for (int i = 0; i < 2 && numbers; i++) {
        numbers[i] = (float)factor[i];
        numbers[2 + i] = (float)offset[i];
    }
    if (!numbers)
        return RML_NO_VALUE;
    const rml_value_id scaled =
        rml_mil_binary(call, RML_BINARY_MUL, x, rml_mil_floats(call, numbers, &two));
    return rml_mil_binary(call, RML_BINARY_ADD, scaled, rml_mil_floats(call, numbers + 2, &two));
}

static void import_resample(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "x"), rml_mil_in(call, "coordinates")};
    const rml_op_attr attr = {.grid_sample = grid_attr(call)};
    const int mode =
        rml_mil_word(call, "coordinates_mode",
                     "normalized_minus_one_to_one normalized_zero_to_one unnormalized", 0);
    int64_t size[2];
    image_size(call, in[0], size);
    double factor[2] = {2, 2}, offset[2] = {-1, -1};
    for (int i = 0; i < 2 && mode == 2; i++) { // x first
        const double extent = (double)size[1 - i];
        const bool align = attr.grid_sample.align_corners;
        factor[i] = align ? (extent > 1 ? 2 / (extent - 1) : 0) : 2 / extent;
        offset[i] = align ? -1 : 1 / extent - 1;
    }
    if (mode > 0)
        in[1] = affine_pair(call, in[1], factor, offset);
    call->out[0] = rml_mil_node(call, RML_OP_GRID_SAMPLE, &attr, in, 2);
}

static void import_affine(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), matrix = rml_mil_in(call, "transform_matrix");
    const rml_op_attr attr = {.grid_sample = grid_attr(call)};
    const rml_op_attr grid = {.affine_grid = {.align_corners = attr.grid_sample.align_corners}};
    const rml_shape shape = rml_mil_fact(call, x).shape;
    const int64_t size[] = {shape.dim[0], shape.dim[1], rml_mil_int(call, "output_height", 0),
                            rml_mil_int(call, "output_width", 0)};
    rml_mil_word(call, "coordinates_mode", "normalized_minus_one_to_one", 0);
    if (shape.rank != 4 || size[0] < 1 || size[1] < 1)
        rml_mil_refuse(call, "an image whose size only the run tells");
    if (call->refused)
        return;
    const rml_shape rows = {3, {-1, 2, 3}}, all = {3, {size[0], 2, 3}};
    rml_value_id theta = rml_graph_reshape(call->graph, matrix, &rows, call->name);
    theta = rml_graph_expand(call->graph, theta, &all, RML_NO_VALUE, call->name);
    const rml_value_id from[] = {theta, rml_mil_ints_value(call, size, 4)};
    const rml_value_id in[] = {x, rml_mil_node(call, RML_OP_AFFINE_GRID, &grid, from, 2)};
    call->out[0] = rml_mil_node(call, RML_OP_GRID_SAMPLE, &attr, in, 2);
}

const rml_mil_entry rml_mil_resampling[] = {
    {"resize_bilinear", import_resize_bilinear, 0},
    {"resize_nearest_neighbor", import_resize_nearest, 0},
    {"resize", import_resize, 0},
    {"upsample_nearest_neighbor", import_upsample_nearest, 0},
    {"upsample_bilinear", import_upsample_bilinear, 0},
    {"resample", import_resample, 0},
    {"affine", import_affine, 0},
    {0},
};
