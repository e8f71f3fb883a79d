// Resizing of images, which lie in the last two dimensions.
#include "loaders/coreml/make.h"

#include <math.h>

static int image_rank(rml_coreml_maker *make, rml_value_id x)
{
    const int rank = rml_coreml_rank(make, x);
    if (rank < 3)
        rml_coreml_refuse(make, "an image of %d dimensions", rank);
    return rank;
}

rml_value_id rml_coreml_last_sizes(rml_coreml_maker *make, rml_value_id x, int count)
{
    const int rank = rml_coreml_rank(make, x);
    const rml_value_id sizes = rml_coreml_sizes(make, x);
    return make->refused
               ? RML_NO_VALUE
               : rml_graph_slice(make->graph, sizes, 0, rank - count, rank, 1, make->name);
}

// Places of both ends of the output in the input, as parts of it.
static rml_value_id ends_of(rml_coreml_maker *make, const int64_t *size, rml_value_id sizes,
                            int count, rml_coreml_sampling sampling)
{
    const rml_shape shape = {1, {2 * count}};
    float *ends = rml_coreml_alloc(make, 2 * (size_t)count, sizeof *ends);
    bool known = true;
    for (int i = 0; ends && i < count; i++) {
        const bool offset = sampling == RML_COREML_OFFSET;
        known = known && (!offset || size[i] >= 0);
        ends[i] = (float)(offset ? 0.5 / (double)size[i] : 0);
        ends[count + i] = (float)(offset ? ((double)size[i] - 0.5) / (double)size[i] : 1);
    }
    if (known || make->refused)
        return rml_coreml_floats(make, ends, &shape);
    const rml_value_id half = rml_coreml_number(make, 0.5, RML_F32);
    const rml_value_id first =
        rml_coreml_binary(make, RML_BINARY_DIV, half, rml_coreml_cast(make, sizes, RML_F32));
    const rml_value_id one = rml_coreml_number(make, 1, RML_F32);
    const rml_value_id both[] = {first, rml_coreml_binary(make, RML_BINARY_SUB, one, first)};
    return rml_graph_concat(make->graph, both, 2, 0, make->name);
}

// How axes are sampled whose output is `size`, or -1.
static rml_coordinates coordinates_of(rml_coreml_sampling sampling, int64_t size)
{
    static const rml_coordinates coordinates[] = {
        [RML_COREML_DEFAULT] = RML_COORDINATES_ASYMMETRIC,
        [RML_COREML_STRICT_ALIGN] = RML_COORDINATES_ALIGN_CORNERS,
        [RML_COREML_ALIGN] = RML_COORDINATES_ALIGN_CORNERS,
        [RML_COREML_UNALIGN] = RML_COORDINATES_HALF_PIXEL,
        [RML_COREML_OFFSET] = RML_COORDINATES_CROP,
        [RML_COREML_NEAREST_MIDDLE] = RML_COORDINATES_HALF_PIXEL_FOR_NEAREST,
        [RML_COREML_NEAREST] = RML_COORDINATES_ASYMMETRIC,
    };
    if (sampling == RML_COREML_ALIGN && size == 1) // the middle
        return RML_COORDINATES_HALF_PIXEL;
    if (sampling == RML_COREML_ALIGN && size < 0) // the middle if it is 1: of a crop that is all
        return RML_COORDINATES_CROP;
    return coordinates[sampling];
}

rml_value_id rml_coreml_resize(rml_coreml_maker *make, rml_value_id x, const int64_t size[2],
                               rml_coreml_sampling sampling)
{
    image_rank(make, x);
    return rml_coreml_resize_axes(make, x, size, RML_NO_VALUE, 2, sampling);
}

rml_value_id rml_coreml_rescale(rml_coreml_maker *make, rml_value_id x, const double factor[2],
                                rml_coreml_sampling sampling)
{
    const int rank = image_rank(make, x);
    const rml_shape shape = rml_coreml_fact(make, x).shape;
    rml_value_id sizes = RML_NO_VALUE;
    int64_t size[2];
    float *factors = rml_coreml_alloc(make, 2, sizeof *factors);
    for (int i = 0; i < 2 && factors && !make->refused; i++) {
        const int64_t from = shape.dim[rank - 2 + i];
        const double wide = floor((double)from * factor[i]);
        factors[i] = (float)factor[i];
        if (!(factor[i] > 0 && factor[i] < 0x1p31) || (from > 0 && !(wide >= 1 && wide < 0x1p40)))
            rml_coreml_refuse(make, "a factor of %g for a size of %lld", factor[i],
                              (long long)from);
        size[i] = from < 0 ? -1 : (int64_t)wide;
    }
    if (make->refused || !factors)
        return RML_NO_VALUE;
    if (size[0] < 0 || size[1] < 0) { // in f64, as above
        sizes = rml_coreml_cast(make, rml_coreml_last_sizes(make, x, 2), RML_F64);
        const rml_value_id by =
            rml_coreml_cast(make, rml_coreml_floats(make, factors, &(rml_shape){1, {2}}), RML_F64);
        sizes = rml_coreml_binary(make, RML_BINARY_MUL, sizes, by);
        sizes =
            rml_coreml_cast(make, rml_coreml_unary(make, RML_UNARY_FLOOR, sizes, 0, 0), RML_I64);
    }
    return rml_coreml_resize_axes(make, x, size, sizes, 2, sampling);
}

rml_value_id rml_coreml_resize_axes(rml_coreml_maker *make, rml_value_id x, const int64_t *size,
                                    rml_value_id sizes, int count, rml_coreml_sampling sampling)
{
    for (int i = 0; i < count; i++)
        if (size[i] == 0 || size[i] < -1)
            rml_coreml_refuse(make, "it makes a size of %lld", (long long)size[i]);
    for (int first = 0, stop; first < count && !make->refused; first = stop) {
        const rml_coordinates coordinates = coordinates_of(sampling, size[first]);
        bool known = size[first] >= 0;
        for (stop = first + 1; stop < count; stop++) { // axes of one kind together
            if (coordinates_of(sampling, size[stop]) != coordinates)
                break;
            known = known && size[stop] >= 0;
        }
        const int some = stop - first;
        rml_op_attr attr = {.resize = {.mode = sampling < RML_COREML_NEAREST_MIDDLE
                                                   ? RML_INTERPOLATION_LINEAR
                                                   : RML_INTERPOLATION_NEAREST,
                                       .coordinates = coordinates,
                                       .nearest = RML_NEAREST_FLOOR,
                                       .axis_count = some}};
        rml_value_id in[] = {
            x, RML_NO_VALUE, RML_NO_VALUE,
            known ? rml_coreml_ints(make, size + first, some)
                  : rml_graph_slice(make->graph, sizes, 0, first, stop, 1, make->name)};
        for (int i = 0; i < some; i++)
            attr.resize.axis[i] = first + i - count;
        if (coordinates == RML_COORDINATES_CROP)
            in[1] = ends_of(make, size + first, in[3], some, sampling);
        x = rml_coreml_node(make, RML_OP_RESIZE, &attr, in, 4);
    }
    return x;
}
