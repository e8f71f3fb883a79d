// Boxes cut out of images and resized, as points of the images that are sampled.
#include "loaders/coreml/make.h"

#include "tensor/tensor.h"

// Along one axis: the points of every box (N,n), and whether they lie in the image.
typedef struct axis_points {
    rml_value_id at, inside;
} axis_points;

static rml_value_id number(rml_coreml_maker *make, double value)
{
    return rml_coreml_number(make, value, RML_F32);
}

static rml_value_id binary(rml_coreml_maker *make, rml_binary kind, rml_value_id a, rml_value_id b)
{
    return rml_coreml_binary(make, kind, a, b);
}

// A number of every box, as (N,1).
static rml_value_id column(rml_coreml_maker *make, rml_value_id boxes, int index)
{
    return rml_graph_slice(make->graph, boxes, 1, index, index + 1, 1, make->name);
}

// How far point i lies behind the begin of a box, as factor[i] times what grows with its length.
static rml_value_id factors(rml_coreml_maker *make, rml_coreml_sampling sampling, int64_t count)
{
    float *list = rml_coreml_alloc(make, (size_t)count, sizeof *list);
    for (int64_t i = 0; list && i < count; i++) {
        const double middle = ((double)i + 0.5) / (double)count, step = (double)i / (double)count;
        const double ends = count > 1 ? (double)i / (double)(count - 1) : 0;
        list[i] = (float)(sampling == RML_COREML_DEFAULT               ? step
                          : sampling == RML_COREML_ALIGN && count == 1 ? 0.5
                          : sampling == RML_COREML_ALIGN               ? ends
                          : sampling == RML_COREML_STRICT_ALIGN        ? ends
                                                                       : middle);
    }
    return list ? rml_coreml_floats(make, list, &(rml_shape){2, {1, count}}) : RML_NO_VALUE;
}

// A box's pixels are one more than its length; points beyond its end are its end.
static rml_value_id distances(rml_coreml_maker *make, rml_value_id length,
                              rml_coreml_sampling sampling, int64_t count)
{
    const rml_value_id factor = factors(make, sampling, count);
    rml_value_id at, grows = length;
    if (sampling == RML_COREML_DEFAULT || sampling == RML_COREML_UNALIGN)
        grows = binary(make, RML_BINARY_ADD, length, number(make, 1));
    if (sampling == RML_COREML_OFFSET)
        grows = binary(make, RML_BINARY_MAX, length, number(make, 1));
    at = binary(make, RML_BINARY_MUL, grows, factor);
    if (sampling == RML_COREML_UNALIGN) {
        at = binary(make, RML_BINARY_SUB, at, number(make, 0.5));
        at = binary(make, RML_BINARY_MAX, at, number(make, 0));
    }
    return binary(make, RML_BINARY_MIN, at, length);
}

// The place of the last pixel along axis 2 or 3 of x.
static rml_value_id last_of(rml_coreml_maker *make, rml_value_id x, int axis)
{
    const int64_t size = rml_coreml_fact(make, x).shape.dim[axis];
    if (size >= 0)
        return number(make, (double)(size - 1));
    const rml_value_id in[] = {rml_coreml_sizes(make, x), rml_coreml_number(make, axis, RML_I64)};
    const rml_value_id told = rml_coreml_node(make, RML_OP_GATHER, NULL, in, 2);
    return binary(make, RML_BINARY_SUB, rml_coreml_cast(make, told, RML_F32), number(make, 1));
}

static axis_points points_along(rml_coreml_maker *make, rml_value_id boxes,
                                const rml_coreml_crop *crop, int axis, rml_value_id last)
{
    const int first = crop->width_first ? 1 - axis : axis;
    rml_value_id scale = number(make, crop->scale);
    if (crop->normalized)
        scale = binary(make, RML_BINARY_MUL, scale, last);
    rml_value_id a = column(make, boxes, first), b = column(make, boxes, first + 2);
    a = binary(make, RML_BINARY_MUL, a, scale);
    b = binary(make, RML_BINARY_MUL, b, scale);
    if (crop->centred) {
        const rml_value_id half = binary(make, RML_BINARY_MUL, b, number(make, 0.5));
        b = binary(make, RML_BINARY_ADD, a, half);
        a = binary(make, RML_BINARY_SUB, a, half);
    }
    const rml_value_id way = binary(make, RML_BINARY_SUB, b, a);
    const rml_value_id sign = rml_coreml_unary(make, RML_UNARY_SIGN, way, 0, 0);
    const rml_value_id length = rml_coreml_unary(make, RML_UNARY_ABS, way, 0, 0);
    const rml_value_id behind = distances(make, length, crop->sampling, crop->size[axis]);
    const rml_value_id at =
        binary(make, RML_BINARY_ADD, a, binary(make, RML_BINARY_MUL, behind, sign));
    const rml_value_id below = binary(make, RML_BINARY_GREATER_EQUAL, at, number(make, 0));
    const rml_value_id above = binary(make, RML_BINARY_LESS_EQUAL, at, last);
    return (axis_points){at, binary(make, RML_BINARY_AND, below, above)};
}

// As coordinates from -1 to 1, of all pixels of every box: (N,h,w).
static rml_value_id spread(rml_coreml_maker *make, rml_value_id at, const rml_coreml_crop *crop,
                           int axis, rml_value_id last)
{
    const rml_value_id most = binary(make, RML_BINARY_MAX, last, number(make, 1));
    const int64_t new_axis = axis == 0 ? 2 : 1;
    at = binary(make, RML_BINARY_MUL, at, binary(make, RML_BINARY_DIV, number(make, 2), most));
    at = binary(make, RML_BINARY_SUB, at, number(make, 1));
    at = rml_coreml_insert_dims(make, at, &new_axis, 1);
    const rml_shape all = {3, {0, crop->size[0], crop->size[1]}};
    return rml_graph_expand(make->graph, at, &all, at, make->name);
}

// Points of all boxes in every image: the boxes one below another.
static rml_value_id sample_all(rml_coreml_maker *make, rml_value_id x, rml_value_id grid,
                               const rml_coreml_crop *crop)
{
    static const int order[] = {2, 0, 1, 3, 4};
    const rml_op_attr attr = {.grid_sample = {.mode = RML_INTERPOLATION_LINEAR,
                                              .outside = RML_OUTSIDE_BORDER,
                                              .align_corners = true}};
    const rml_shape column_of = {4, {1, -1, crop->size[1], 2}}, each = {4, {0, 1, 1, 1}};
    const rml_shape apart = {5, {0, 0, -1, crop->size[0], crop->size[1]}};
    grid = rml_coreml_reshape(make, grid, &column_of);
    if (make->refused)
        return RML_NO_VALUE;
    if (rml_coreml_fact(make, x).shape.dim[0] != 1)
        grid = rml_graph_expand(make->graph, grid, &each, x, make->name);
    const rml_value_id in[] = {x, grid};
    x = rml_coreml_node(make, RML_OP_GRID_SAMPLE, &attr, in, 2);
    x = rml_coreml_reshape(make, x, &apart);
    return rml_graph_transpose(make->graph, x, order, 5, make->name); // (N,B,C,h,w)
}

static rml_value_id sample_own(rml_coreml_maker *make, rml_value_id x, rml_value_id grid,
                               rml_value_id images)
{
    const rml_op_attr attr = {.grid_sample = {.mode = RML_INTERPOLATION_LINEAR,
                                              .outside = RML_OUTSIDE_BORDER,
                                              .align_corners = true}};
    const rml_value_id picked[] = {x, images};
    const rml_value_id in[] = {rml_coreml_node(make, RML_OP_GATHER, NULL, picked, 2), grid};
    return rml_coreml_node(make, RML_OP_GRID_SAMPLE, &attr, in, 2); // (N,C,h,w)
}

// What lies outside of the image becomes `pad`.
static rml_value_id padded(rml_coreml_maker *make, rml_value_id x, const axis_points points[2],
                           int rank, double pad)
{
    int64_t axes[2][RML_MAX_RANK];
    for (int i = 1; i < rank - 1; i++) {
        axes[0][i - 1] = i == rank - 2 ? rank - 1 : i;
        axes[1][i - 1] = i;
    }
    const rml_value_id inside = binary(
        make, RML_BINARY_AND, rml_coreml_insert_dims(make, points[0].inside, axes[0], rank - 2),
        rml_coreml_insert_dims(make, points[1].inside, axes[1], rank - 2));
    const rml_value_id in[] = {inside, x, number(make, pad)};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

rml_value_id rml_coreml_crop_resize(rml_coreml_maker *make, rml_value_id x, rml_value_id boxes,
                                    rml_value_id images, const rml_coreml_crop *crop)
{
    if (rml_coreml_rank(make, x) != 4 || rml_coreml_rank(make, boxes) != 2)
        rml_coreml_refuse(make, "images of 4 dimensions and boxes of 2 are expected");
    if (crop->size[0] < 1 || crop->size[1] < 1 || crop->size[0] > INT32_MAX ||
        crop->size[1] > INT32_MAX)
        rml_coreml_refuse(make, "it makes images of %lldx%lld", (long long)crop->size[1],
                          (long long)crop->size[0]);
    if (make->refused)
        return RML_NO_VALUE;
    boxes = rml_coreml_cast(make, boxes, RML_F32);
    axis_points points[2];
    rml_value_id pair[2];
    for (int i = 0; i < 2; i++) {
        const rml_value_id last = last_of(make, x, 2 + i);
        points[i] = points_along(make, boxes, crop, i, last);
        pair[1 - i] = spread(make, points[i].at, crop, i, last); // x comes first
    }
    const rml_value_id grid = rml_coreml_stack(make, pair, 2, 3);
    if (images != RML_NO_VALUE)
        return padded(make, sample_own(make, x, grid, images), points, 4, crop->pad);
    return padded(make, sample_all(make, x, grid, crop), points, 5, crop->pad);
}

rml_value_id rml_coreml_crop_rois(rml_coreml_maker *make, rml_value_id x, rml_value_id rois,
                                  const rml_coreml_crop *crop)
{
    const rml_shape shape = rml_coreml_fact(make, rois).shape;
    const int64_t numbers = shape.rank == 5 ? shape.dim[2] : 0, first_axis = 1;
    if (!make->refused && numbers != 4 && numbers != 5)
        rml_coreml_refuse(make, "boxes of (N,1,4,1,1) or (N,1,5,1,1) are expected");
    if (make->refused)
        return RML_NO_VALUE;
    rois = rml_coreml_reshape(make, rois, &(rml_shape){2, {-1, numbers}});
    if (numbers == 4)
        return rml_coreml_crop_resize(make, x, rois, RML_NO_VALUE, crop);
    rml_value_id images = rml_coreml_reshape(make, column(make, rois, 0), &(rml_shape){1, {-1}});
    images = rml_coreml_unary(make, RML_UNARY_ROUND, images, 0, 0);
    images = rml_coreml_cast(make, images, RML_I64);
    rois = rml_graph_slice(make->graph, rois, 1, 1, 5, 1, make->name);
    const rml_value_id out = rml_coreml_crop_resize(make, x, rois, images, crop);
    return rml_coreml_insert_dims(make, out, &first_axis, 1);
}
