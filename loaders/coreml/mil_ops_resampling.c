// Resizing and sampling of images, which lie in the last two dimensions.
#include "loaders/coreml/mil_handler.h"

#include "tensor/tensor.h"

#include <math.h>

// ---- by names of sampling -----------------------------------------------------------------------

rml_coreml_sampling rml_mil_sampling(rml_mil_call *call)
{
    return (rml_coreml_sampling)rml_mil_word(
        call, "sampling_mode",
        "DEFAULT STRICT_ALIGN_CORNERS ALIGN_CORNERS UNALIGN_CORNERS OFFSET_CORNERS",
        RML_COREML_DEFAULT);
}

static void target_size(rml_mil_call *call, int64_t size[2])
{
    size[0] = rml_mil_int(call, "target_size_height", 1);
    size[1] = rml_mil_int(call, "target_size_width", 1);
}

static void import_resize_bilinear(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    int64_t size[2];
    target_size(call, size);
    call->out[0] = rml_coreml_resize(&call->make, x, size, rml_mil_sampling(call));
}

static void import_resize_nearest(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    int64_t size[2];
    target_size(call, size);
    call->out[0] = rml_coreml_resize(&call->make, x, size, RML_COREML_NEAREST_MIDDLE);
}

// The last `dims` numbers of `shape`, and those of x where they are 0.
static rml_value_id asked_sizes(rml_mil_call *call, rml_value_id x, rml_value_id shape,
                                int64_t rank, int64_t dims)
{
    rml_coreml_maker *make = &call->make;
    rml_value_id asked = rml_graph_slice(make->graph, shape, 0, rank - dims, rank, 1, make->name);
    asked = rml_coreml_cast(make, asked, RML_I64);
    const rml_value_id keeps =
        rml_coreml_binary(make, RML_BINARY_EQUAL, asked, rml_coreml_number_like(make, asked, 0));
    const rml_value_id in[] = {keeps, rml_coreml_last_sizes(make, x, (int)dims), asked};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

// The last `resized_dims` sizes of `shape`; 0 keeps one.
static void import_resize(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), shape = rml_mil_in(call, "shape");
    const int64_t dims = rml_mil_int(call, "resized_dims", 0);
    const bool nearest = rml_mil_word(call, "interpolation_mode", "LINEAR NEAREST_NEIGHBOR", 0);
    const rml_coreml_sampling sampling = rml_mil_sampling(call);
    const int64_t rank = rml_coreml_rank(&call->make, shape) == 1
                             ? rml_coreml_fact(&call->make, shape).shape.dim[0]
                             : 0;
    const int of = rml_coreml_rank(&call->make, x);
    const rml_shape all = rml_coreml_fact(&call->make, x).shape;
    rml_value_id sizes = RML_NO_VALUE;
    int64_t size[RML_MAX_RANK], given;
    if (dims < 1 || dims > of || rank < dims)
        rml_coreml_refuse(&call->make, "it resizes %lld dimensions of %d, and has %lld sizes",
                          (long long)dims, of, (long long)rank);
    for (int64_t i = 0; i < dims && !call->make.refused; i++) {
        size[i] = -1;
        if (rml_coreml_known(&call->make, shape, (size_t)(rank - dims + i), &given))
            size[i] = given ? given : all.dim[of - dims + i];
        if (size[i] < 0 && sizes == RML_NO_VALUE)
            sizes = asked_sizes(call, x, shape, rank, dims);
    }
    if (!call->make.refused)
        call->out[0] = rml_coreml_resize_axes(&call->make, x, size, sizes, (int)dims,
                                              nearest ? RML_COREML_NEAREST_MIDDLE : sampling);
}

// ---- by factors ---------------------------------------------------------------------------------

// Sizes are rounded down, and positions go by sizes.
static rml_value_id rescaled(rml_mil_call *call, rml_value_id x, rml_coreml_sampling sampling)
{
    const double factor[] = {(double)(float)rml_mil_float(call, "scale_factor_height", 1),
                             (double)(float)rml_mil_float(call, "scale_factor_width", 1)};
    return rml_coreml_rescale(&call->make, x, factor, sampling);
}

static void import_upsample_nearest(rml_mil_call *call)
{
    call->out[0] = rescaled(call, rml_mil_in(call, "x"), RML_COREML_NEAREST);
}

static void import_upsample_bilinear(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x");
    const bool align = rml_mil_flag(call, "align_corners", true);
    const bool half = rml_mil_flag(call, "half_pixel_centers", !align);
    call->out[0] = rescaled(call, x,
                            align  ? RML_COREML_STRICT_ALIGN
                            : half ? RML_COREML_UNALIGN
                                   : RML_COREML_DEFAULT);
}

// ---- at given places ----------------------------------------------------------------------------

enum { CONSTANT, BORDER, REFLECTION, SYMMETRIC };

// "reflection" mirrors at the middle of the last pixels, "symmetric" at their ends, whatever
// align_corners says of coordinates.
static rml_grid_sample_attr grid_attr(rml_mil_call *call)
{
    static const rml_outside outside[] = {RML_OUTSIDE_ZEROS, RML_OUTSIDE_BORDER,
                                          RML_OUTSIDE_REFLECTION, RML_OUTSIDE_OTHER_REFLECTION};
    static const rml_interpolation modes[] = {RML_INTERPOLATION_LINEAR, RML_INTERPOLATION_NEAREST};
    const int mode = rml_mil_word(call, "sampling_mode", "bilinear nearest", 0);
    const bool align = rml_mil_flag(call, "align_corners", true);
    int padding =
        rml_mil_word(call, "padding_mode", "constant border reflection symmetric", CONSTANT);
    if (padding >= REFLECTION && !align) // where the operator's own reflection is at the ends
        padding = padding == REFLECTION ? SYMMETRIC : REFLECTION;
    return (rml_grid_sample_attr){
        .mode = modes[mode], .outside = outside[padding], .align_corners = align};
}

// x where the grid says. What lies outside of the image is padding_value: as much of it as is
// missing of an image of ones.
static rml_value_id sampled(rml_mil_call *call, rml_value_id x, rml_value_id grid,
                            const rml_grid_sample_attr *like)
{
    const rml_op_attr attr = {.grid_sample = *like};
    const double padding = rml_mil_float(call, "padding_value", 0);
    const rml_value_id in[] = {x, grid};
    const rml_value_id out = rml_coreml_node(&call->make, RML_OP_GRID_SAMPLE, &attr, in, 2);
    if (!isfinite(padding))
        rml_coreml_refuse(&call->make, "its padding_value is %g", padding);
    if (padding == 0 || like->outside != RML_OUTSIDE_ZEROS || call->make.refused)
        return out;
    const rml_value_id one = rml_coreml_number(&call->make, 1, RML_F32);
    const rml_value_id plane = rml_coreml_reshape(&call->make, one, &(rml_shape){4, {1, 1, 1, 1}});
    const rml_value_id ones[] = {rml_graph_expand(call->make.graph, plane,
                                                  &(rml_shape){4, {0, 1, 0, 0}}, x,
                                                  call->make.name),
                                 grid};
    const rml_value_id there = rml_coreml_node(&call->make, RML_OP_GRID_SAMPLE, &attr, ones, 2);
    const rml_value_id missing = rml_coreml_binary(&call->make, RML_BINARY_SUB, one, there);
    return rml_coreml_binary(&call->make, RML_BINARY_ADD, out,
                             rml_coreml_binary(&call->make, RML_BINARY_MUL, missing,
                                               rml_coreml_number(&call->make, padding, RML_F32)));
}

// Pixels, x and y, as places from -1 to 1.
static rml_value_id from_pixels(rml_mil_call *call, rml_value_id x, rml_value_id at, bool align)
{
    static const int64_t turned[] = {1, 0}; // the width first
    rml_coreml_maker *make = &call->make;
    const rml_value_id one = rml_coreml_number(make, 1, RML_F32);
    const rml_value_id order[] = {rml_coreml_last_sizes(make, x, 2),
                                  rml_coreml_ints(make, turned, 2)};
    rml_value_id extent = rml_coreml_node(make, RML_OP_GATHER, NULL, order, 2);
    extent = rml_coreml_cast(make, extent, RML_F32);
    if (align) { // between the middles of the first and the last pixel
        extent = rml_coreml_binary(make, RML_BINARY_SUB, extent, one);
        extent = rml_coreml_binary(make, RML_BINARY_MAX, extent, one);
    }
    const rml_value_id factor =
        rml_coreml_binary(make, RML_BINARY_DIV, rml_coreml_number(make, 2, RML_F32), extent);
    rml_value_id begin = rml_coreml_number(make, -1, RML_F32);
    if (!align) // of the first pixel
        begin = rml_coreml_binary(make, RML_BINARY_ADD, begin,
                                  rml_coreml_binary(make, RML_BINARY_DIV, one, extent));
    at = rml_coreml_binary(make, RML_BINARY_MUL, at, factor);
    return rml_coreml_binary(make, RML_BINARY_ADD, at, begin);
}

static void import_resample(rml_mil_call *call)
{
    rml_value_id in[] = {rml_mil_in(call, "x"),
                         rml_coreml_cast(&call->make, rml_mil_in(call, "coordinates"), RML_F32)};
    const rml_grid_sample_attr attr = grid_attr(call);
    const int mode =
        rml_mil_word(call, "coordinates_mode",
                     "normalized_minus_one_to_one normalized_zero_to_one unnormalized", 0);
    if (mode == 1) {
        in[1] = rml_coreml_binary(&call->make, RML_BINARY_ADD, in[1], in[1]);
        in[1] = rml_coreml_binary(&call->make, RML_BINARY_SUB, in[1],
                                  rml_coreml_number(&call->make, 1, RML_F32));
    }
    if (mode == 2)
        in[1] = from_pixels(call, in[0], in[1], attr.align_corners);
    call->out[0] = sampled(call, in[0], in[1], &attr);
}

static void import_affine(rml_mil_call *call)
{
    const rml_value_id x = rml_mil_in(call, "x"), matrix = rml_mil_in(call, "transform_matrix");
    const rml_grid_sample_attr attr = grid_attr(call);
    const rml_op_attr grid = {.affine_grid = {.align_corners = attr.align_corners}};
    rml_coreml_maker *make = &call->make;
    const int64_t size[] = {rml_mil_int(call, "output_height", 0),
                            rml_mil_int(call, "output_width", 0)};
    rml_mil_word(call, "coordinates_mode", "normalized_minus_one_to_one", 0);
    if (rml_coreml_rank(make, x) != 4)
        rml_coreml_refuse(make, "an image of 4 dimensions is expected");
    if (make->refused)
        return;
    const int64_t matrix_size[] = {2, 3};
    const rml_value_id sizes = rml_coreml_sizes(make, x);
    const rml_value_id batch[] = {rml_graph_slice(make->graph, sizes, 0, 0, 1, 1, make->name),
                                  rml_coreml_ints(make, matrix_size, 2)};
    const rml_value_id out[] = {rml_graph_slice(make->graph, sizes, 0, 0, 2, 1, make->name),
                                rml_coreml_ints(make, size, 2)};
    // One matrix of all images, or of each.
    const rml_value_id rows = rml_coreml_reshape(make, matrix, &(rml_shape){3, {-1, 2, 3}});
    const rml_value_id to[] = {rows, RML_NO_VALUE,
                               rml_graph_concat(make->graph, batch, 2, 0, make->name)};
    const rml_value_id from[] = {rml_coreml_node(make, RML_OP_EXPAND, NULL, to, 3),
                                 rml_graph_concat(make->graph, out, 2, 0, make->name)};
    const rml_value_id points = rml_coreml_node(make, RML_OP_AFFINE_GRID, &grid, from, 2);
    call->out[0] = sampled(call, x, points, &attr);
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
