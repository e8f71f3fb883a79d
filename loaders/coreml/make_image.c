// Resizing of images, which lie in the last two dimensions.
#include "loaders/coreml/make.h"

#include "tensor/tensor.h"

void rml_coreml_image_size(rml_coreml_maker *make, rml_value_id x, int64_t size[2])
{
    const int rank = rml_coreml_rank(make, x);
    const rml_shape shape = rml_coreml_fact(make, x).shape;
    size[0] = size[1] = 1;
    if (rank < 3)
        rml_coreml_refuse(make, "an image of %d dimensions", rank);
    for (int i = 0; i < 2 && !make->refused; i++)
        if ((size[i] = shape.dim[rank - 2 + i]) < 1)
            rml_coreml_refuse(make, "an image whose size only the run tells");
}

// Places of both ends of the output in the input, as parts of it, where no name of ours tells them.
static void offset_ends(int64_t in, int64_t out, float *first, float *last)
{
    const double most = in > 1 ? (double)(in - 1) : 1, spacing = most / (double)out;
    *first = (float)(in > 1 ? spacing / 2 / most : 0);
    *last = (float)(in > 1 ? (spacing / 2 + spacing * (double)(out - 1)) / most : 0);
}

// `count` of the last `all` axes, from number `first` of them on.
static rml_value_id resized(rml_coreml_maker *make, rml_value_id x, const int64_t *size,
                            const int64_t *from, const rml_resize_attr *like, int first, int count,
                            int all)
{
    rml_op_attr attr = {.resize = *like};
    rml_value_id in[] = {x, RML_NO_VALUE, RML_NO_VALUE, rml_coreml_ints(make, size + first, count)};
    attr.resize.axis_count = count;
    for (int i = 0; i < count; i++)
        attr.resize.axis[i] = first + i - all;
    if (like->coordinates == RML_COORDINATES_CROP) {
        float *ends = rml_coreml_alloc(make, 2 * (size_t)count, sizeof *ends);
        for (int i = 0; ends && i < count; i++)
            offset_ends(from[first + i], size[first + i], &ends[i], &ends[count + i]);
        in[1] = rml_coreml_floats(make, ends, &(rml_shape){1, {2 * count}});
    }
    return rml_coreml_node(make, RML_OP_RESIZE, &attr, in, 4);
}

rml_value_id rml_coreml_resize(rml_coreml_maker *make, rml_value_id x, const int64_t size[2],
                               rml_coreml_sampling sampling)
{
    int64_t from[2];
    rml_coreml_image_size(make, x, from);
    return rml_coreml_resize_axes(make, x, size, from, 2, sampling);
}

rml_value_id rml_coreml_resize_axes(rml_coreml_maker *make, rml_value_id x, const int64_t *size,
                                    const int64_t *from, int count, rml_coreml_sampling sampling)
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
    rml_resize_attr attr[RML_MAX_RANK];
    for (int i = 0; i < count; i++) {
        attr[i] = (rml_resize_attr){.mode = sampling < RML_COREML_NEAREST_MIDDLE
                                                ? RML_INTERPOLATION_LINEAR
                                                : RML_INTERPOLATION_NEAREST,
                                    .coordinates = coordinates[sampling],
                                    .nearest = RML_NEAREST_FLOOR};
        if (sampling == RML_COREML_ALIGN && size[i] == 1) // the middle
            attr[i].coordinates = RML_COORDINATES_HALF_PIXEL;
        if (size[i] < 1)
            rml_coreml_refuse(make, "it makes a size of %lld", (long long)size[i]);
    }
    for (int first = 0, stop; first < count; first = stop) { // axes of one kind together
        for (stop = first + 1; stop < count && attr[stop].coordinates == attr[first].coordinates;)
            stop++;
        x = resized(make, x, size, from, &attr[first], first, stop - first, count);
    }
    return x;
}
