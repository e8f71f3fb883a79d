// Resizing.
//   x of any type (nearest) or f32 and f64   roi [2*axes] of a float type, optional: where the part
//   begins on each axis, then where it ends   scales [axes] of a float type, or sizes [axes] of
//   i64: one of both, or none (a list without elements is none) when the attributes have them like
//   [.,.,H,W], optional: with the attributes' scale the result has its height and width
// Source: ONNX Resize; torch.nn.functional.interpolate.
#include "ops/image/resize.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>

enum { X, ROI, SCALES, SIZES, LIKE };

// ---- sizes --------------------------------------------------------------------------------------

static bool is_there(const rml_fact *in, int in_count, int index)
{
    return in_count > index && in[index].shape.rank != -1 &&
           !(in[index].shape.rank == 1 && in[index].shape.dim[0] == 0);
}

// The list at input `index` as doubles, `count` long. False: not known yet.
static rml_status read_list(const rml_fact *in, int index, int64_t count, double *list, bool *known,
                            rml_error *err)
{
    const rml_shape *shape = &in[index].shape;
    char text[RML_SHAPE_TEXT_BYTES];
    *known = in[index].data != NULL;
    if (shape->rank >= 0 && (shape->rank != 1 || (shape->dim[0] >= 0 && shape->dim[0] != count)))
        return rml_fail(err, RML_ERR_SHAPE, "input %d is %s, expected (%lld)", index,
                        rml_shape_text(shape, text), (long long)count);
    if (*known)
        rml_dtype_convert(in[index].dtype, in[index].data, RML_F64, list, (size_t)count);
    return RML_OK;
}

static rml_status find_axes(const rml_resize_attr *attr, int rank, int *axis, int *count,
                            rml_error *err)
{
    *count = attr->axis_count ? attr->axis_count : rank;
    for (int i = 0; i < *count; i++) {
        axis[i] = !attr->axis_count ? i : attr->axis[i] < 0 ? attr->axis[i] + rank : attr->axis[i];
        if (axis[i] < 0 || axis[i] >= rank)
            return rml_fail(err, RML_ERR_SHAPE, "axis %d is not one of %d", attr->axis[i], rank);
    }
    return RML_OK;
}

static rml_status by_scales(rml_resize_plan *p, const int *axis, int count, const double *scales,
                            rml_error *err)
{
    for (int i = 0; i < count; i++) {
        rml_resize_axis *a = &p->axis[axis[i]];
        if (!(scales[i] > 0) || scales[i] > 1e12)
            return rml_fail(err, RML_ERR_ARG, "scale %g is not in range", scales[i]);
        a->scale = scales[i];
        const double size = floor(scales[i] * (double)a->in);
        if (size > 0x1p52)
            return rml_fail(err, RML_ERR_LIMIT, "the output is too large");
        a->out = a->in < 0 ? -1 : (int64_t)size;
    }
    return RML_OK;
}

static rml_status by_sizes(const rml_resize_attr *attr, rml_resize_plan *p, const int *axis,
                           int count, const double *sizes, rml_error *err)
{
    double least = INFINITY, most = 0;
    bool known = true;
    for (int i = 0; i < count; i++) {
        rml_resize_axis *a = &p->axis[axis[i]];
        if (!(sizes[i] >= 0) || sizes[i] > 0x1p52 || (a->in == 0 && sizes[i] > 0))
            return rml_fail(err, RML_ERR_SHAPE, "axis %d: size %lld cannot become %g", axis[i],
                            (long long)a->in, sizes[i]);
        a->out = (int64_t)sizes[i];
        known = known && a->in >= 0;
        a->scale = a->in > 0 ? sizes[i] / (double)a->in : 1;
        least = a->scale < least ? a->scale : least;
        most = a->scale > most ? a->scale : most;
    }
    for (int i = 0; i < count && attr->aspect != RML_ASPECT_STRETCH; i++) {
        rml_resize_axis *a = &p->axis[axis[i]];
        a->scale = attr->aspect == RML_ASPECT_NOT_LARGER ? least : most;
        a->out = known ? (int64_t)floor(a->scale * (double)a->in + 0.5) : -1;
    }
    return RML_OK;
}

// The sizes of an image by the attributes alone, or of another image.
static rml_status by_attr(const rml_resize_attr *attr, const rml_fact *in, int in_count,
                          rml_resize_plan *p, rml_error *err)
{
    static const int image[2] = {2, 3};
    char text[RML_SHAPE_TEXT_BYTES];
    if (p->rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(&in[X].shape, text));
    for (int i = 0; i < 2; i++) {
        rml_resize_axis *a = &p->axis[2 + i];
        const double size = (double)attr->size[i];
        RML_TRY(attr->size[i] > 0 ? by_sizes(attr, p, &image[i], 1, &size, err)
                                  : by_scales(p, &image[i], 1, &attr->scale[i], err));
        if (attr->coordinates == RML_COORDINATES_ALIGN_CORNERS && a->in > 0)
            a->scale = (double)a->out / (double)a->in;
        if (in_count > LIKE && in[LIKE].shape.rank >= 0)
            a->out = in[LIKE].shape.rank == 4 ? in[LIKE].shape.dim[2 + i] : -1;
        if (a->in == 0 && a->out > 0)
            return rml_fail(err, RML_ERR_SHAPE, "input %s has no pixels to take",
                            rml_shape_text(&in[X].shape, text));
    }
    return RML_OK;
}

// Everything that shapes and the elements of the lists tell. Sizes not known are -1.
static rml_status make_plan(const rml_resize_attr *attr, const rml_fact *in, int in_count,
                            rml_resize_plan *p, rml_error *err)
{
    const rml_shape *x = &in[X].shape;
    const bool sized = is_there(in, in_count, SIZES), scaled = is_there(in, in_count, SCALES);
    double list[2 * RML_MAX_RANK];
    int axis[RML_MAX_RANK], count;
    bool known = false;
    p->rank = x->rank;
    for (int i = 0; i < x->rank; i++)
        p->axis[i] = (rml_resize_axis){x->dim[i], x->dim[i], 1, 0, 1};
    if (!sized && !scaled && (attr->size[0] || attr->scale[0] != 0))
        return by_attr(attr, in, in_count, p, err);
    RML_TRY(find_axes(attr, x->rank, axis, &count, err));
    if (sized == scaled)
        return rml_fail(err, RML_ERR_SHAPE, "expected either scales or sizes");
    RML_TRY(read_list(in, sized ? SIZES : SCALES, count, list, &known, err));
    if (known)
        RML_TRY(sized ? by_sizes(attr, p, axis, count, list, err)
                      : by_scales(p, axis, count, list, err));
    for (int i = 0; i < count && !known; i++)
        p->axis[axis[i]].out = -1;
    if (attr->coordinates != RML_COORDINATES_CROP || !is_there(in, in_count, ROI))
        return RML_OK;
    RML_TRY(read_list(in, ROI, 2 * (int64_t)count, list, &known, err));
    for (int i = 0; i < count && known; i++) {
        p->axis[axis[i]].begin = list[i];
        p->axis[axis[i]].end = list[count + i];
    }
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    rml_resize_plan p;
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (node->attr->resize.mode != RML_INTERPOLATION_NEAREST && node->in[X].dtype != RML_F32 &&
        node->in[X].dtype != RML_F64)
        return rml_fail(err, RML_ERR_UNSUPPORTED, "input 0 is %s",
                        rml_dtype_name(node->in[X].dtype));
    if (node->in[X].shape.rank < 0)
        return RML_OK;
    // A list whose length is not known may be none.
    for (int i = SCALES; i <= SIZES && i < node->in_count; i++)
        if (node->in[i].shape.rank == RML_RANK_UNKNOWN ||
            (node->in[i].shape.rank == 1 && node->in[i].shape.dim[0] < 0)) {
            *out = node->in[X].shape;
            for (int d = 0; d < out->rank; d++)
                out->dim[d] = -1;
            return RML_OK;
        }
    RML_TRY(make_plan(&node->attr->resize, node->in, node->in_count, &p, err));
    *out = node->in[X].shape;
    for (int i = 0; i < p.rank; i++) {
        size_t count;
        out->dim[i] = p.axis[i].out;
        // Axes are resized one after the other: what is there between two must be addressable too.
        if (rml_shape_known(&node->in[X].shape) && rml_shape_known(out) &&
            !rml_shape_count(out, &count))
            return rml_fail(err, RML_ERR_LIMIT,
                            "the tensor is too large with its first %d axes "
                            "resized",
                            i + 1);
    }
    return RML_OK;
}

rml_resize_plan rml_resize_plan_of(const rml_op_args *args)
{
    rml_fact facts[LIKE + 1];
    rml_resize_plan p;
    for (int i = 0; i < args->in_count; i++)
        facts[i] = (rml_fact){.dtype = args->in[i].dtype,
                              .shape = rml_tensor_shape(&args->in[i]),
                              .data = args->in[i].raw};
    make_plan(&args->attr->resize, facts, args->in_count, &p, NULL); // infer: it fits
    for (int i = 0; i < p.rank; i++)
        p.axis[i].out = args->out[0].dim[i];
    return p;
}

// ---- which way ----------------------------------------------------------------------------------

// Images whose lists are known, and say nothing of batch and channels.
static bool takes_images(const rml_op_attr *attr, const rml_fact *in, int in_count)
{
    const rml_resize_attr *resize = &attr->resize;
    rml_resize_plan p;
    bool takes = in[X].dtype == RML_F32 && in[X].shape.rank == 4 &&
                 resize->mode != RML_INTERPOLATION_CUBIC &&
                 resize->coordinates != RML_COORDINATES_CROP;
    for (int i = SCALES; i <= SIZES && takes; i++)
        takes = !is_there(in, in_count, i) || in[i].data;
    if (!takes || make_plan(resize, in, in_count, &p, NULL) != RML_OK)
        return false;
    for (int i = 0; i < 4; i++) {
        const rml_resize_axis *a = &p.axis[i];
        const bool shrinks = a->scale < 1 || (a->in < 0 && is_there(in, in_count, SIZES));
        takes = takes && (i < 2 ? rml_resize_axis_is_same(resize, a)
                                : resize->mode == RML_INTERPOLATION_NEAREST || !resize->antialias ||
                                      !shrinks);
    }
    return takes;
}

bool rml_resize_repeats(const rml_resize_attr *attr, const rml_fact *in, int in_count,
                        int64_t times[2])
{
    rml_resize_plan p;
    int exponent;
    if (attr->mode != RML_INTERPOLATION_NEAREST || in[X].shape.rank != 4 ||
        make_plan(attr, in, in_count, &p, NULL) != RML_OK)
        return false;
    for (int i = 0; i < 2; i++) {
        const rml_resize_axis *a = &p.axis[2 + i];
        const bool sized = is_there(in, in_count, SIZES) || attr->size[i];
        // Coordinates of half pixels are exact for powers of two only.
        const bool fits =
            attr->coordinates == RML_COORDINATES_ASYMMETRIC
                ? attr->nearest == RML_NEAREST_FLOOR || attr->nearest == RML_NEAREST_OLD
                : attr->coordinates == RML_COORDINATES_HALF_PIXEL &&
                      (attr->nearest == RML_NEAREST_ROUND_PREFER_FLOOR ||
                       attr->nearest == RML_NEAREST_ROUND_PREFER_CEIL) &&
                      frexp(a->scale, &exponent) == 0.5;
        if (!fits || (sized && a->in < 1) || !(a->scale >= 1 && a->scale <= 64) ||
            a->scale != floor(a->scale))
            return false;
        times[i] = (int64_t)a->scale;
    }
    return true;
}

static bool is_nearest(const rml_op_args *args)
{
    return args->attr->resize.mode == RML_INTERPOLATION_NEAREST;
}

static const rml_algorithm algorithms[] = {
    {.name = "pixel", .accepts = is_nearest, .run = rml_resize_image_nearest},
    {.name = "bilinear",
     .scratch_bytes = rml_resize_image_scratch_bytes,
     .run = rml_resize_image_linear},
    {.name = "nearest",
     .generic = true,
     .accepts = is_nearest,
     .scratch_bytes = rml_resize_nearest_scratch_bytes,
     .run = rml_resize_nearest_run},
    {.name = "axes",
     .generic = true,
     .scratch_bytes = rml_resize_axes_scratch_bytes,
     .run = rml_resize_axes_run}};

const rml_op rml_op_resize = {.id = RML_OP_RESIZE,
                              .name = "resize",
                              .inputs = {1, 5},
                              .layout = RML_OP_CHANNELS_LAST,
                              .takes_images = takes_images,
                              .signature = "*rrl*>0",
                              .infer_values = infer,
                              .algorithms = algorithms};
