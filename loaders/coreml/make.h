// What the handlers of both families, operations of ML Programs and layers of neural networks,
// share: builder calls, and what is built of several.
#ifndef RML_LOADERS_COREML_MAKE_H
#define RML_LOADERS_COREML_MAKE_H

#include "graph/graph.h"

// Where nodes go, and whether the operation in hand is refused: then nothing more is made of it.
typedef struct rml_coreml_maker {
    rml_graph *graph;
    const char *name; // of the nodes made
    char *reason;     // of a refusal, RML_MESSAGE_BYTES
    bool refused;
    bool misfit; // ... since the file is damaged, or types or shapes do not go together
} rml_coreml_maker;

// The first reason stays.
void rml_coreml_refuse(rml_coreml_maker *make, const char *format, ...) RML_PRINTF(2, 3);
void rml_coreml_refuse_error(rml_coreml_maker *make, const rml_error *error);

// Takes the graph's error for the reason of a refusal, but for those that nothing can go on after:
// they are returned.
rml_status rml_coreml_take_error(rml_coreml_maker *make, rml_error *err);

// An integer of a file, held to 32 bits: no size and no place is larger, an open end stays open,
// and products of two fit.
static inline int64_t rml_coreml_held(int64_t value)
{
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value;
}

// ---- looking ------------------------------------------------------------------------------------

// What is known of a value: rank -1 where it is left out, data where it is small and constant.
rml_fact rml_coreml_fact(const rml_coreml_maker *make, rml_value_id value);

// Number `index` of a list of integers, held, where it is known before a run.
bool rml_coreml_known(const rml_coreml_maker *make, rml_value_id list, size_t index, int64_t *out);

// The rank of a value; refuses one that only a run tells, and then returns 0.
int rml_coreml_rank(rml_coreml_maker *make, rml_value_id value);

// An axis from the front; refuses one that is none of `rank` dimensions, and then returns 0.
int rml_coreml_axis_of(rml_coreml_maker *make, int64_t axis, int rank);

// ---- nodes --------------------------------------------------------------------------------------

rml_value_id rml_coreml_node(rml_coreml_maker *make, rml_op_id op, const rml_op_attr *attr,
                             const rml_value_id *in, int in_count);
rml_value_id rml_coreml_unary(rml_coreml_maker *make, rml_unary kind, rml_value_id x, double p,
                              double q);
rml_value_id rml_coreml_binary(rml_coreml_maker *make, rml_binary kind, rml_value_id a,
                               rml_value_id b);
rml_value_id rml_coreml_reduce(rml_coreml_maker *make, rml_reduce_kind kind, rml_value_id x,
                               const int *axes, int count, bool keep);
rml_value_id rml_coreml_cast(rml_coreml_maker *make, rml_value_id value, rml_dtype to);
rml_value_id rml_coreml_reshape(rml_coreml_maker *make, rml_value_id x, const rml_shape *shape);
// Sizes as (rank) of i64.
rml_value_id rml_coreml_sizes(rml_coreml_maker *make, rml_value_id x);
// What no node computes gets a copy, which a graph can give away as an output.
rml_value_id rml_coreml_own(rml_graph *graph, rml_value_id value, const char *name);

// Constants: lists (n) of i64, one number () of any type, floats that live as long as the graph.
rml_value_id rml_coreml_ints(rml_coreml_maker *make, const int64_t *values, int count);
rml_value_id rml_coreml_number(rml_coreml_maker *make, double value, rml_dtype dtype);
rml_value_id rml_coreml_number_like(rml_coreml_maker *make, rml_value_id like, double value);
rml_value_id rml_coreml_floats(rml_coreml_maker *make, const float *values, const rml_shape *shape);
// Memory that lives as long as the graph; NULL after an error.
void *rml_coreml_alloc(rml_coreml_maker *make, size_t count, size_t element_bytes);

// ---- several nodes ------------------------------------------------------------------------------

// New dimensions of size 1 at `axes` of the result.
rml_value_id rml_coreml_insert_dims(rml_coreml_maker *make, rml_value_id x, const int64_t *axes,
                                    int count);
// Two dimensions side by side as one.
rml_value_id rml_coreml_join_dims(rml_coreml_maker *make, rml_value_id x, int axis);

// All values along an axis; alternating, the first of each comes before the second of any.
rml_value_id rml_coreml_concat(rml_coreml_maker *make, const rml_value_id *in, int count, int axis,
                               bool alternate);
// ... along a new one.
rml_value_id rml_coreml_stack(rml_coreml_maker *make, const rml_value_id *in, int count, int axis);

// (x - mean) / sqrt(variance + eps) over any axes; x - mean alone without `scale`.
rml_value_id rml_coreml_normalise(rml_coreml_maker *make, rml_value_id x, const int *axes,
                                  int count, double eps, bool scale);

// x / sqrt(sum of squares over the last three dimensions + eps).
rml_value_id rml_coreml_l2_norm(rml_coreml_maker *make, rml_value_id x, double eps);

// x where it is not below alpha, else 0; ONNX's operator of this name lets alpha itself go, too.
rml_value_id rml_coreml_thresholded_relu(rml_coreml_maker *make, rml_value_id x, double alpha);

// ---- cuts (make_cut.c) --------------------------------------------------------------------------

// x[begin : end : stride] of all axes. The three are lists, RML_NO_VALUE for strides of 1; their
// numbers may be a run's, but those of strides. An open end goes as far as there is; a squeezed
// axis is picked by its begin, and goes.
typedef struct rml_coreml_cut {
    rml_value_id begin, end, stride;
    int64_t begin_open[RML_MAX_RANK], end_open[RML_MAX_RANK], squeeze[RML_MAX_RANK];
} rml_coreml_cut;

rml_value_id rml_coreml_slice(rml_coreml_maker *make, rml_value_id x, const rml_coreml_cut *cut);

// The same of lists (rank) of i64 that a run may tell: begins, ends, strides, and what is not 0
// where begins are open, ends are, and axes are squeezed. Squeezes that are not known leave a rank
// that is not, either; where no axis is left, it is (1).
#define RML_COREML_CUT_LISTS 6
rml_value_id rml_coreml_slice_by_run(rml_coreml_maker *make, rml_value_id x,
                                     const rml_value_id lists[RML_COREML_CUT_LISTS]);

// x[from : to] of one axis, both (1) of integers.
rml_value_id rml_coreml_slice_axis(rml_coreml_maker *make, rml_value_id x, int axis,
                                   rml_value_id from, rml_value_id to);

// ---- by index (make_index.c) --------------------------------------------------------------------

// Whole slices of `data` along an axis take, or join with, those of `updates`: the dimensions of
// `indices` stand in the place of the axis.
typedef enum rml_coreml_scatter_mode {
    RML_COREML_UPDATE,
    RML_COREML_ADD,
    RML_COREML_SUB,
    RML_COREML_MUL,
    RML_COREML_DIV,
    RML_COREML_MAX,
    RML_COREML_MIN,
} rml_coreml_scatter_mode;

rml_value_id rml_coreml_scatter(rml_coreml_maker *make, rml_value_id data, rml_value_id indices,
                                rml_value_id updates, int64_t axis, rml_coreml_scatter_mode mode);
// ... single elements along an axis, and what the last dimension of the indices counts off.
rml_value_id rml_coreml_scatter_along(rml_coreml_maker *make, rml_value_id data,
                                      rml_value_id indices, rml_value_id updates, int64_t axis,
                                      rml_coreml_scatter_mode mode);
rml_value_id rml_coreml_scatter_nd(rml_coreml_maker *make, rml_value_id data, rml_value_id indices,
                                   rml_value_id updates, rml_coreml_scatter_mode mode);

// x[begin : begin + size] of one axis, both (1) of i64, a size below 0 as far as there is.
rml_value_id rml_coreml_slice_by_size(rml_coreml_maker *make, rml_value_id x, int axis,
                                      rml_value_id begin, rml_value_id size);

// The first elements of each sequence from the last to the first, as many as `lengths` says.
rml_value_id rml_coreml_reverse_sequence(rml_coreml_maker *make, rml_value_id x,
                                         rml_value_id lengths, int64_t batch_axis,
                                         int64_t time_axis);

// `on` where the index is the place along a new axis of `size`, else `off`; no index wraps around.
rml_value_id rml_coreml_one_hot(rml_coreml_maker *make, rml_value_id indices, int64_t size,
                                int64_t axis, rml_value_id on, rml_value_id off);

// Where x is not 0, (n, rank) of i64.
rml_value_id rml_coreml_non_zero(rml_coreml_maker *make, rml_value_id x);

// `lower` diagonals below the main one stay, and `upper` above; all for numbers below 0.
rml_value_id rml_coreml_band(rml_coreml_maker *make, rml_value_id x, int64_t lower, int64_t upper);
// What is above, or below, a diagonal, and that itself.
rml_value_id rml_coreml_triangle(rml_coreml_maker *make, rml_value_id x, bool upper,
                                 int64_t diagonal);

// Windows of a dimension as two: which, and the place in it.
rml_value_id rml_coreml_windows(rml_coreml_maker *make, rml_value_id x, int64_t axis, int64_t size,
                                int64_t step);

// The axes of `count` flags that are set, from the end.
rml_value_id rml_coreml_reverse(rml_coreml_maker *make, rml_value_id x, const bool *flags);

// ---- images (make_image.c) ----------------------------------------------------------------------

// How positions of the output lie in the input, for both axes alike.
typedef enum rml_coreml_sampling {
    RML_COREML_DEFAULT,        // i * in / out
    RML_COREML_STRICT_ALIGN,   // i * (in - 1) / (out - 1)
    RML_COREML_ALIGN,          // the same; the middle where out is 1
    RML_COREML_UNALIGN,        // (i + 0.5) * in / out - 0.5
    RML_COREML_OFFSET,         // (i + 0.5) * max(1, in - 1) / out
    RML_COREML_NEAREST_MIDDLE, // the nearest to (i + 0.5) * in / out, rounded down
    RML_COREML_NEAREST,        // ... to i * in / out
} rml_coreml_sampling;

// An image, the last two dimensions, made `size` high and wide; or `factor` times as high and wide,
// rounded down.
rml_value_id rml_coreml_resize(rml_coreml_maker *make, rml_value_id x, const int64_t size[2],
                               rml_coreml_sampling sampling);
rml_value_id rml_coreml_rescale(rml_coreml_maker *make, rml_value_id x, const double factor[2],
                                rml_coreml_sampling sampling);

// The last `count` dimensions made `size`, or where that is -1 what `sizes` (count) of i64 says in
// a run; it may be RML_NO_VALUE where all are known.
rml_value_id rml_coreml_resize_axes(rml_coreml_maker *make, rml_value_id x, const int64_t *size,
                                    rml_value_id sizes, int count, rml_coreml_sampling sampling);

// Sizes of the last `count` dimensions, as (count) of i64.
rml_value_id rml_coreml_last_sizes(rml_coreml_maker *make, rml_value_id x, int count);

// ---- boxes (make_crop.c, make_nms.c) ------------------------------------------------------------

// How boxes (N,4) of images are told: begin and end, or centre and size, of the height first; and
// what is made of them. Begin and end are pixels of the box. One that ends before it begins is
// turned round.
typedef struct rml_coreml_crop {
    rml_coreml_sampling sampling; // ... of the pixels of a box
    bool centred, width_first;
    bool normalized;   // a 1 is the last pixel
    double scale, pad; // `pad` is what lies outside of the image
    int64_t size[2];
} rml_coreml_crop;

// x (B,C,H,W): each box of its image, `images` (N) of integers -> (N,C,h,w); or, RML_NO_VALUE, of
// all images -> (N,B,C,h,w).
rml_value_id rml_coreml_crop_resize(rml_coreml_maker *make, rml_value_id x, rml_value_id boxes,
                                    rml_value_id images, const rml_coreml_crop *crop);

// The same of rois (N,1,4,1,1), of every image; or (N,1,5,1,1), the first number of which is the
// image -> (N,1,C,h,w).
rml_value_id rml_coreml_crop_rois(rml_coreml_maker *make, rml_value_id x, rml_value_id rois,
                                  const rml_coreml_crop *crop);

// Limits of thinning: numbers of the graph, `threshold` RML_NO_VALUE for none.
typedef struct rml_coreml_nms_limits {
    rml_value_id overlap, threshold;
    rml_value_id most; // boxes of an image, (1) of i64
    bool per_class;
} rml_coreml_nms_limits;

// boxes (B,N,4), centre and size; scores (B,N,C). To out: boxes (B,most,4), scores (B,most,C),
// places (B,most) of i64, how many (B) of f32; the surest first. Behind them zeros, and -1 for
// places.
void rml_coreml_nms(rml_coreml_maker *make, rml_value_id boxes, rml_value_id scores,
                    const rml_coreml_nms_limits *limits, rml_value_id out[4]);

// ---- graphs inside nodes (make_control.c) -------------------------------------------------------

// An empty graph inside; false when memory is out, or `*begun` (of a file) is at its limit.
bool rml_coreml_begin_body(rml_coreml_maker *make, size_t *begun, rml_graph_body *out);

// Makes a value output `number` of the graph inside.
void rml_coreml_give(rml_graph *graph, size_t number, rml_value_id value);

// Inputs of a loop's graph: the turn, the condition, and `count` states, to state[].
void rml_coreml_begin_turn(rml_graph *graph, const rml_fact *facts, size_t count,
                           rml_value_id *state);

// An if of two bodies with the same outputs: the first one's id. RML_NO_VALUE where it is refused.
rml_value_id rml_coreml_if(rml_coreml_maker *make, rml_value_id test,
                           const rml_graph_body bodies[2], size_t outputs);

// A loop over states whose facts are what every turn has in common. in: the most turns and the
// first condition, either may be RML_NO_VALUE, then the states.
rml_value_id rml_coreml_loop(rml_coreml_maker *make, const rml_value_id *in,
                             const rml_graph_body *body, const rml_fact *facts, size_t count);

// What a body gives: output `index`.
rml_fact rml_coreml_given(const rml_graph_body *body, size_t index);

// The error of what was imported inside becomes a refusal, or the graph's where nothing can go on.
void rml_coreml_keep_error(rml_coreml_maker *make, rml_status status, const rml_error *error);

#endif
