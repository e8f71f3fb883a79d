// Resizing and sampling of images.
#include "writers/onnx/lists.h"

#include <math.h>

enum { X, ROI, SCALES, SIZES, LIKE };

static bool is_given(const rml_node *node, int index)
{
    return index < node->in_count && node->in[index] != RML_NO_VALUE;
}

// ---- resize -------------------------------------------------------------------------------------

// Before opset 11 pixels were rounded up where the scale is below 1, else down. -1: not known.
static int old_rounding(const rml_graph *graph, const rml_node *node)
{
    const rml_fact fact = rml_to_onnx_fact(graph, node, SCALES);
    const float *scale = fact.data;
    bool up = false, down = false;
    size_t count = 0;
    if (!scale || fact.dtype != RML_F32 || !rml_shape_count(&fact.shape, &count))
        return -1;
    for (size_t i = 0; i < count; i++) {
        up = up || scale[i] < 1;
        down = down || scale[i] > 1;
    }
    return up && down ? -1 : up ? RML_NEAREST_CEIL : RML_NEAREST_FLOOR;
}

// What Resize has as inputs for some axes, which are known, as that of all.
typedef struct all_axes {
    float scale[RML_MAX_RANK], roi[2 * RML_MAX_RANK];
    int64_t size[RML_MAX_RANK]; // -1: that of the input
} all_axes;

static bool find_all_axes(const rml_graph *graph, const rml_node *node, all_axes *all)
{
    const rml_resize_attr *attr = &node->attr.resize;
    const rml_shape *x = &graph->values[node->in[X]].shape;
    const rml_fact scale = rml_to_onnx_fact(graph, node, SCALES);
    const rml_fact size = rml_to_onnx_fact(graph, node, SIZES);
    const rml_fact roi = rml_to_onnx_fact(graph, node, ROI);
    rml_to_onnx_known list = {0};
    const bool sized = is_given(node, SIZES), crops = attr->coordinates == RML_COORDINATES_CROP;
    if (x->rank < 0 || (crops && (!roi.data || roi.dtype != RML_F32)) ||
        (sized ? !rml_to_onnx_known_list(&size, &list) : !scale.data || scale.dtype != RML_F32))
        return false;
    for (int i = 0; i < x->rank; i++) {
        int at = -1;
        for (int k = 0; k < attr->axis_count; k++)
            at = (attr->axis[k] + x->rank) % x->rank == i ? k : at;
        all->size[i] = !sized ? 0 : at < 0 ? x->dim[i] : list.at[at];
        all->scale[i] = sized || at < 0 ? 1 : ((const float *)scale.data)[at];
        all->roi[i] = !crops || at < 0 ? 0 : ((const float *)roi.data)[at];
        all->roi[x->rank + i] =
            !crops || at < 0 ? 1 : ((const float *)roi.data)[attr->axis_count + at];
    }
    return true;
}

static const char *lacks_resize(const rml_to_onnx_ask *ask)
{
    const rml_resize_attr *attr = &ask->node->attr.resize;
    const bool listed = is_given(ask->node, SCALES) || is_given(ask->node, SIZES);
    if (is_given(ask->node, LIKE))
        return "it takes no size from another image";
    if ((attr->antialias || attr->aspect != RML_ASPECT_STRETCH) && ask->opset < 18)
        return "there are no antialias and keep_aspect_ratio_policy before opset 18";
    all_axes all;
    if (attr->axis_count && ask->opset < 18 && !find_all_axes(ask->graph, ask->node, &all))
        return "there are no axes before opset 18";
    if (attr->coordinates == RML_COORDINATES_HALF_PIXEL_SYMMETRIC && ask->opset < 19)
        return "there is no half_pixel_symmetric before opset 19";
    if (attr->mode == RML_INTERPOLATION_NEAREST && attr->nearest == RML_NEAREST_OLD &&
        old_rounding(ask->graph, ask->node) < 0)
        return "it rounds one way only";
    if (!listed && (attr->size[0] > 0) != (attr->size[1] > 0))
        return "it has sizes or scales";
    if (!listed && attr->size[0] > 0 &&
        (ask->graph->values[ask->node->in[X]].shape.dim[0] < 0 ||
         ask->graph->values[ask->node->in[X]].shape.dim[1] < 0) &&
        ask->opset < 18)
        return "it has sizes for some axes only since opset 18";
    return NULL;
}

// The scale, or where it is no float the sizes that it makes, if they are known.
static bool use_sizes(const rml_resize_attr *attr, const rml_shape *x, int64_t *sizes)
{
    bool exact = true, known = x->dim[0] >= 0 && x->dim[1] >= 0;
    for (int i = 0; i < 2; i++) {
        const double out = attr->scale[i] * (double)x->dim[2 + i];
        exact = exact && (double)(float)attr->scale[i] == attr->scale[i];
        known = known && x->dim[2 + i] > 0 && fabs(out - nearbyint(out)) < 1e-9;
        sizes[i] = (int64_t)nearbyint(out);
    }
    return known && !exact;
}

// Height and width by the attributes; with `part` sizes are those of axes 2 and 3.
static void by_attributes(rml_to_onnx *w, const rml_node *node, bool part, const char **in)
{
    const rml_resize_attr *attr = &node->attr.resize;
    const rml_shape *x = &w->graph->values[node->in[X]].shape;
    int64_t sizes[4] = {x->dim[0], x->dim[1], attr->size[0], attr->size[1]};
    const float scales[4] = {1, 1, (float)attr->scale[0], (float)attr->scale[1]};
    if (attr->size[0] > 0 || use_sizes(attr, x, &sizes[2]))
        in[SIZES] = rml_to_onnx_ints(w, node, "sizes", part ? &sizes[2] : sizes, part ? 2 : 4);
    else
        in[SCALES] =
            rml_to_onnx_constant_of(w, node, "scales", RML_F32, &(rml_shape){1, {4}}, scales);
}

static void of_all_axes(rml_to_onnx *w, const rml_node *node, const char **in)
{
    const int rank = w->graph->values[node->in[X]].shape.rank;
    const rml_shape each = {1, {rank}}, both = {1, {2 * rank}};
    all_axes all;
    if (!find_all_axes(w->graph, node, &all))
        return;
    if (node->attr.resize.coordinates == RML_COORDINATES_CROP)
        in[ROI] = rml_to_onnx_constant_of(w, node, "roi", RML_F32, &both, all.roi);
    if (is_given(node, SIZES))
        in[SIZES] = rml_to_onnx_sizes(w, node, in[X], all.size, rank);
    else
        in[SCALES] = rml_to_onnx_constant_of(w, node, "scales", RML_F32, &each, all.scale);
}

static void write_resize(rml_to_onnx *w, const rml_node *node)
{
    static const int image[2] = {2, 3};
    const rml_resize_attr *attr = &node->attr.resize;
    const rml_shape *x = &w->graph->values[node->in[X]].shape;
    const bool listed = is_given(node, SCALES) || is_given(node, SIZES);
    const bool part = !listed && attr->size[0] > 0 && (x->dim[0] < 0 || x->dim[1] < 0);
    const bool crops = attr->coordinates == RML_COORDINATES_CROP;
    const char *in[4] = {rml_to_onnx_name(w, node->in[X]), "", "", ""};
    const bool widened = attr->axis_count && w->opset < 18;
    if (crops && is_given(node, ROI) && !widened)
        in[ROI] = rml_to_onnx_name(w, node->in[ROI]);
    if (widened)
        of_all_axes(w, node, in);
    else if (is_given(node, SCALES))
        in[SCALES] = rml_to_onnx_name(w, node->in[SCALES]);
    if (is_given(node, SIZES) && !widened)
        in[SIZES] = rml_to_onnx_list(w, node, SIZES);
    if (!listed)
        by_attributes(w, node, part, in);
    int nearest = (int)attr->nearest;
    if (attr->nearest == RML_NEAREST_OLD)
        nearest = attr->mode == RML_INTERPOLATION_NEAREST ? old_rounding(w->graph, node) : 0;
    rml_to_onnx_begin(w, "Resize", in, 4);
    rml_to_onnx_word(w, "mode", "nearest linear cubic", (int)attr->mode);
    rml_to_onnx_word(w, "coordinate_transformation_mode",
                     "half_pixel half_pixel_symmetric pytorch_half_pixel align_corners asymmetric "
                     "tf_half_pixel_for_nn tf_crop_and_resize",
                     (int)attr->coordinates);
    rml_to_onnx_word(w, "nearest_mode", "round_prefer_floor round_prefer_ceil floor ceil", nearest);
    if (attr->mode == RML_INTERPOLATION_CUBIC)
        rml_to_onnx_float(w, "cubic_coeff_a", attr->cubic);
    if (attr->exclude_outside)
        rml_to_onnx_int(w, "exclude_outside", 1);
    if (crops)
        rml_to_onnx_float(w, "extrapolation_value", attr->extrapolation);
    if (attr->antialias)
        rml_to_onnx_int(w, "antialias", 1);
    if (attr->aspect != RML_ASPECT_STRETCH)
        rml_to_onnx_word(w, "keep_aspect_ratio_policy", "stretch not_larger not_smaller",
                         (int)attr->aspect);
    if ((attr->axis_count && !widened) || part)
        rml_to_onnx_axes(w, "axes", part ? image : attr->axis, part ? 2 : attr->axis_count);
    rml_to_onnx_close(w, node);
}

// ---- sampling -----------------------------------------------------------------------------------

static const char *lacks_grid_sample(const rml_to_onnx_ask *ask)
{
    return ask->node->attr.grid_sample.outside == RML_OUTSIDE_OTHER_REFLECTION
               ? "reflection is at the ends of the image that align_corners tells"
               : NULL;
}

// The modes have other names since opset 20.
static void write_grid_sample(rml_to_onnx *w, const rml_node *node)
{
    const rml_grid_sample_attr *attr = &node->attr.grid_sample;
    rml_to_onnx_open(w, node, "GridSample");
    rml_to_onnx_word(w, "mode", w->opset < 20 ? "nearest bilinear bicubic" : "nearest linear cubic",
                     (int)attr->mode);
    rml_to_onnx_word(w, "padding_mode", "zeros border reflection", (int)attr->outside);
    rml_to_onnx_int(w, "align_corners", attr->align_corners);
    rml_to_onnx_close(w, node);
}

static void write_center_crop_pad(rml_to_onnx *w, const rml_node *node)
{
    const rml_center_attr *attr = &node->attr.center;
    rml_to_onnx_open(w, node, "CenterCropPad");
    if (attr->axis_count)
        rml_to_onnx_axes(w, "axes", attr->axis, attr->axis_count);
    rml_to_onnx_close(w, node);
}

static const rml_to_onnx_field affine_grid[] = {
    RML_TO(FLAG, "align_corners", affine_grid.align_corners), {0}};

const rml_to_onnx_entry rml_to_onnx_resampling[] = {
    {.op = RML_OP_AFFINE_GRID, .op_type = "AffineGrid", .fields = affine_grid, .since = 20},
    {.op = RML_OP_CENTER_CROP_PAD, .since = 18, .write = write_center_crop_pad},
    {.op = RML_OP_GRID_SAMPLE, .since = 16, .lacks = lacks_grid_sample, .write = write_grid_sample},
    {.op = RML_OP_RESIZE, .lacks = lacks_resize, .write = write_resize},
    {0},
};
