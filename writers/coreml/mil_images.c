// Resizing and sampling of images, the last two dimensions.
#include "writers/coreml/mil.h"

#include "ops/image/resize.h"

#include "tensor/dtype.h"

#include <math.h>
#include <string.h>

enum { X, ROI, SCALES, SIZES }; // inputs of a resize

// Numbers of a constant list as doubles; how many, -1: none.
static int numbers_of(const rml_graph *graph, const rml_node *node, int index, double *list)
{
    size_t count;
    if (!rml_emit_constant(graph, node, index))
        return -1;
    const rml_fact fact = rml_graph_fact(graph, node->in[index]);
    if (!fact.data || !rml_shape_count(&fact.shape, &count) || count > RML_MAX_RANK)
        return -1;
    rml_dtype_convert(fact.dtype, fact.data, RML_F64, list, count);
    return (int)count;
}

// How a dimension goes from size to size, for the last two. False: something else is resized, too,
// or sizes are not known.
static bool axes_of(const rml_graph *graph, const rml_node *node, rml_resize_axis axis[2])
{
    const rml_resize_attr *attr = &node->attr.resize;
    const rml_shape *x = rml_emit_shape(graph, node->in[X]);
    rml_fact out;
    double scales[RML_MAX_RANK];
    if (x->rank < 3 || rml_graph_infer_here(graph, node, &out, NULL) != RML_OK ||
        !rml_shape_known(&out.shape) || !rml_shape_known(x))
        return false;
    for (int i = 0; i < x->rank; i++) {
        const int64_t from = x->dim[i], to = out.shape.dim[i];
        if (i < x->rank - 2 ? from != to : from < 1 || to < 1)
            return false;
        if (i >= x->rank - 2)
            axis[i - x->rank + 2] = (rml_resize_axis){from, to, (double)to / (double)from, 0, 1};
    }
    const int count = numbers_of(graph, node, SCALES, scales);
    for (int i = 0; i < count; i++) {
        const int at = attr->axis_count ? rml_emit_axis(attr->axis[i], x->rank) : i;
        if (at >= x->rank - 2)
            axis[at - x->rank + 2].scale = scales[i];
    }
    for (int i = 0; i < 2 && count < 0 && !rml_input_given(node, SIZES); i++)
        if (attr->size[i] == 0 && attr->coordinates != RML_COORDINATES_ALIGN_CORNERS &&
            attr->scale[i] > 0)
            axis[i].scale = attr->scale[i];
    return true;
}

// The operation that takes the same pixels, or NULL.
static const char *nearest_type(const rml_resize_attr *attr, const rml_resize_axis axis[2])
{
    bool start = true, middle = true;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < axis[k].out; i++) {
            const int64_t at = rml_resize_nearest(attr, &axis[k], i);
            start = start && at == i * axis[k].in / axis[k].out;
            middle = middle && at == (2 * i + 1) * axis[k].in / (2 * axis[k].out);
        }
    return start ? "upsample_nearest_neighbor" : middle ? "resize_nearest_neighbor" : NULL;
}

// The sampling_mode of the same positions, or NULL.
static const char *linear_mode(const rml_resize_attr *attr, const rml_resize_axis axis[2])
{
    rml_coordinates coordinates = attr->coordinates;
    for (int k = 0; k < 2; k++) {
        if (fabs(axis[k].scale * (double)axis[k].in - (double)axis[k].out) > 1e-6)
            return NULL; // positions go by a scale that is not that of the sizes
        if (attr->antialias && axis[k].scale < 1)
            return NULL;
        if (coordinates == RML_COORDINATES_PYTORCH_HALF_PIXEL && axis[k].out == 1 &&
            axis[k].in != 1)
            return NULL;
    }
    switch (coordinates) {
    case RML_COORDINATES_HALF_PIXEL:
    case RML_COORDINATES_HALF_PIXEL_SYMMETRIC:
    case RML_COORDINATES_PYTORCH_HALF_PIXEL:
        return "UNALIGN_CORNERS";
    case RML_COORDINATES_ALIGN_CORNERS:
        return "STRICT_ALIGN_CORNERS";
    case RML_COORDINATES_ASYMMETRIC:
        return "DEFAULT";
    default:
        return NULL;
    }
}

static const char *resize_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    const rml_resize_attr *attr = &node->attr.resize;
    rml_resize_axis axis[2];
    (void)opset;
    if (attr->mode == RML_INTERPOLATION_CUBIC)
        return "cubic interpolation";
    if (attr->coordinates == RML_COORDINATES_CROP)
        return "it resizes a part";
    if (!axes_of(graph, node, axis))
        return "it resizes more than the last two dimensions, or to sizes not known before a run";
    return attr->mode == RML_INTERPOLATION_NEAREST
               ? nearest_type(attr, axis) ? NULL : "the pixels that it takes"
           : linear_mode(attr, axis) ? NULL
                                     : "the positions that it interpolates at";
}

// A factor of which the size comes out, whatever rounding does to it.
static void factor(rml_emit_op *op, const char *key, const rml_resize_axis *axis)
{
    const double exact = (double)axis->out / (double)axis->in;
    const bool whole = axis->out % axis->in == 0;
    const char *name = rml_emit_joined(op->e, rml_emit_joined(op->e, op->out[0].name, key), "0");
    rml_emit_value(op, key,
                   rml_emit_number(op->e, name,
                                   whole ? exact : ((double)axis->out + 1e-4) / (double)axis->in,
                                   RML_F32));
}

static void emit_resize(rml_emitter *e, const rml_node *node)
{
    const rml_resize_attr *attr = &node->attr.resize;
    const rml_operand x = rml_emit_in(e, node, X), out = rml_emit_out(e, node, 0);
    rml_resize_axis axis[2];
    if (!axes_of(e->graph, node, axis))
        return;
    const bool nearest = attr->mode == RML_INTERPOLATION_NEAREST;
    const bool grows = axis[0].out >= axis[0].in && axis[1].out >= axis[1].in;
    const char *mode = nearest ? "" : linear_mode(attr, axis);
    const bool factors = nearest
                             ? strcmp(nearest_type(attr, axis), "upsample_nearest_neighbor") == 0
                             : grows && strcmp(mode, "DEFAULT") != 0;
    rml_emit_op op = rml_emit_begin(e,
                                    nearest   ? nearest_type(attr, axis)
                                    : factors ? "upsample_bilinear"
                                              : "resize_bilinear",
                                    out);
    rml_emit_value(&op, "x", x);
    if (factors) {
        factor(&op, "scale_factor_height", &axis[0]);
        factor(&op, "scale_factor_width", &axis[1]);
    } else {
        rml_emit_int(&op, "target_size_height", axis[0].out);
        rml_emit_int(&op, "target_size_width", axis[1].out);
    }
    if (!nearest && factors) {
        const bool align = strcmp(mode, "STRICT_ALIGN_CORNERS") == 0;
        rml_emit_flag(&op, "align_corners", align);
    } else if (!nearest) {
        rml_emit_text(&op, "sampling_mode", mode);
    }
    rml_emit_end(&op);
}

// ---- at given places ----------------------------------------------------------------------------

static const char *grid_sample_lacks(int opset, const rml_graph *graph, const rml_node *node)
{
    (void)opset;
    if (rml_emit_shape(graph, node->in[0])->rank != 4)
        return "an image that has not 4 dimensions";
    return node->attr.grid_sample.mode == RML_INTERPOLATION_CUBIC ? "cubic interpolation" : NULL;
}

static void emit_grid_sample(rml_emitter *e, const rml_node *node)
{
    const rml_grid_sample_attr *attr = &node->attr.grid_sample;
    const bool aligned = attr->align_corners;
    const char *const outside[] = {[RML_OUTSIDE_ZEROS] = "constant",
                                   [RML_OUTSIDE_BORDER] = "border",
                                   [RML_OUTSIDE_REFLECTION] = aligned ? "reflection" : "symmetric",
                                   [RML_OUTSIDE_OTHER_REFLECTION] =
                                       aligned ? "symmetric" : "reflection"};
    rml_emit_op op = rml_emit_begin(e, "resample", rml_emit_out(e, node, 0));
    rml_emit_value(&op, "x", rml_emit_in(e, node, 0));
    rml_emit_value(&op, "coordinates", rml_emit_in(e, node, 1));
    rml_emit_text(&op, "sampling_mode",
                  attr->mode == RML_INTERPOLATION_NEAREST ? "nearest" : "bilinear");
    rml_emit_text(&op, "padding_mode", outside[attr->outside]);
    rml_emit_real(&op, "padding_value", 0);
    rml_emit_text(&op, "coordinates_mode", "normalized_minus_one_to_one");
    rml_emit_flag(&op, "align_corners", aligned);
    rml_emit_end(&op);
}

const rml_emit_row rml_emit_images[] = {
    {RML_OP_RESIZE, resize_lacks, emit_resize},
    {RML_OP_GRID_SAMPLE, grid_sample_lacks, emit_grid_sample},
    {0},
};
