// Boxes of several classes thinned out, to lists of one length: both families' layer of that name.
#include "loaders/coreml/make.h"

#include "tensor/tensor.h"

#include <math.h>
#include <stdint.h>

typedef struct sizes {
    int64_t images, boxes, classes, kept; // `kept` of the lists before they are padded
} sizes;

static rml_value_id where(rml_coreml_maker *make, rml_value_id test, rml_value_id a, rml_value_id b)
{
    const rml_value_id in[] = {test, a, b};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

// 0, 1, ... as a constant of this shape.
static rml_value_id counted(rml_coreml_maker *make, int64_t count, const rml_shape *shape)
{
    int64_t *list = rml_coreml_alloc(make, (size_t)count, sizeof *list);
    for (int64_t i = 0; list && i < count; i++)
        list[i] = i;
    if (!list)
        return RML_NO_VALUE;
    const rml_stored stored = rml_stored_plain(list, RML_I64, shape);
    return rml_graph_typed_constant(make->graph, make->name, &stored);
}

static rml_value_id arg(rml_coreml_maker *make, rml_value_id x, int axis)
{
    const rml_op_attr attr = {.arg = {.axis = axis, .keep = true}};
    return rml_coreml_node(make, RML_OP_ARG, &attr, &x, 1);
}

// The score of every box (B,1,N), not a number where it is below the threshold: those are left out.
// Where all are, the best one stays.
static rml_value_id eligible(rml_coreml_maker *make, rml_value_id best, rml_value_id threshold,
                             const sizes *s)
{
    static const int last = 2;
    const rml_value_id nan = rml_coreml_number(make, NAN, RML_F32);
    const rml_value_id enough = rml_coreml_binary(make, RML_BINARY_GREATER_EQUAL, best, threshold);
    const rml_value_id most = rml_coreml_reduce(make, RML_REDUCE_MAX, best, &last, 1, true);
    const rml_value_id none = rml_coreml_binary(make, RML_BINARY_LESS, most, threshold);
    const rml_value_id places = counted(make, s->boxes, &(rml_shape){3, {1, 1, s->boxes}});
    const rml_value_id first =
        rml_coreml_binary(make, RML_BINARY_EQUAL, places, arg(make, best, 2));
    const rml_value_id instead = rml_coreml_binary(make, RML_BINARY_AND, none, first);
    return where(make, rml_coreml_binary(make, RML_BINARY_OR, enough, instead), best, nan);
}

// Scores by which boxes are thinned out: of one kind, or each of its best class alone (B,C,N).
static rml_value_id by_class(rml_coreml_maker *make, rml_value_id scores, rml_value_id own,
                             const sizes *s)
{
    const rml_value_id classes = counted(make, s->classes, &(rml_shape){3, {1, s->classes, 1}});
    const rml_value_id is_own =
        rml_coreml_binary(make, RML_BINARY_EQUAL, classes, arg(make, scores, 1));
    return where(make, is_own, own, rml_coreml_number(make, NAN, RML_F32));
}

// Scores (B,N) of what was selected, -inf elsewhere. The list of what is selected has rows without
// meaning at its end: they go to a column of their own.
static rml_value_id selected(rml_coreml_maker *make, rml_value_id list, rml_value_id count,
                             rml_value_id own, const sizes *s)
{
    rml_graph *graph = make->graph;
    const rml_shape shape = rml_coreml_fact(make, list).shape;
    if (shape.rank != 2 || shape.dim[0] < 1)
        return RML_NO_VALUE;
    const rml_value_id rows = counted(make, shape.dim[0], &(rml_shape){2, {shape.dim[0], 1}});
    const rml_value_id real = rml_coreml_binary(make, RML_BINARY_LESS, rows, count);
    rml_value_id parts[2];
    parts[0] = rml_graph_slice(graph, list, 1, 0, 1, 1, make->name);
    parts[1] = where(make, real, rml_graph_slice(graph, list, 1, 2, 3, 1, make->name),
                     rml_coreml_number(make, (double)s->boxes, RML_I64));
    const rml_value_id places = rml_coreml_concat(make, parts, 2, 1, false);
    const int64_t list_of[] = {0, 0, 0, 1}, flat_of[] = {s->images, s->boxes};
    const rml_value_id flat = rml_coreml_reshape(make, own, &(rml_shape){2, {flat_of[0], -1}});
    const rml_value_id minus = rml_coreml_number(make, -INFINITY, RML_F32);
    const rml_value_id in[] = {flat, rml_coreml_ints(make, list_of, 4), minus};
    const rml_op_attr constant = {.pad = {RML_PAD_CONSTANT}};
    const rml_value_id wide = rml_coreml_node(make, RML_OP_PAD, &constant, in, 3); // (B,N+1)
    const rml_value_id from[] = {wide, places};
    const rml_value_id updates = rml_coreml_node(make, RML_OP_GATHER_ND, NULL, from, 2);
    const rml_value_id empty = rml_graph_expand(
        graph, minus, &(rml_shape){2, {s->images, s->boxes + 1}}, RML_NO_VALUE, make->name);
    const rml_value_id all = rml_coreml_scatter_nd(make, empty, places, updates, RML_COREML_UPDATE);
    return rml_graph_slice(graph, all, 1, 0, s->boxes, 1, make->name);
}

// Rows of x (B,N,k) at places (B,K), those that are not kept with `pad`, and more of them up to
// `length`: (B,length,k).
static rml_value_id rows_of(rml_coreml_maker *make, rml_value_id x, rml_value_id places,
                            rml_value_id kept, const sizes *s, int64_t length)
{
    const int64_t last = 2, amounts[] = {0, 0, 0, 0, length - s->kept, 0};
    const rml_op_attr batch = {.gather_nd = {.batch = 1}}, constant = {.pad = {RML_PAD_CONSTANT}};
    const rml_value_id zero = rml_coreml_number(make, 0, RML_F32);
    const rml_value_id from[] = {x, rml_coreml_insert_dims(make, places, &last, 1)};
    x = rml_coreml_node(make, RML_OP_GATHER_ND, &batch, from, 2);
    x = where(make, rml_coreml_insert_dims(make, kept, &last, 1), x, zero);
    const rml_value_id in[] = {x, rml_coreml_ints(make, amounts, 6), zero};
    return length > s->kept ? rml_coreml_node(make, RML_OP_PAD, &constant, in, 3) : x;
}

static bool take_sizes(rml_coreml_maker *make, rml_value_id boxes, rml_value_id scores,
                       int64_t most, sizes *out)
{
    const rml_shape b = rml_coreml_fact(make, boxes).shape, c = rml_coreml_fact(make, scores).shape;
    if (!make->refused &&
        (b.rank != 3 || c.rank != 3 || !rml_shape_known(&b) || !rml_shape_known(&c)))
        rml_coreml_refuse(make, "boxes and scores of 3 dimensions that are known are expected");
    if (!make->refused && (b.dim[2] != 4 || b.dim[0] != c.dim[0] || b.dim[1] != c.dim[1] ||
                           b.dim[0] < 1 || b.dim[1] < 1 || c.dim[2] < 1))
        rml_coreml_refuse(make, "%lld boxes of %lld numbers and %lld scores of %lld classes",
                          (long long)b.dim[1], (long long)b.dim[2], (long long)c.dim[1],
                          (long long)c.dim[2]);
    if (most < 1 || most > INT32_MAX)
        rml_coreml_refuse(make, "at most %lld boxes", (long long)most);
    *out = (sizes){b.dim[0], b.dim[1], c.dim[2], b.dim[1] < most ? b.dim[1] : most};
    return !make->refused;
}

void rml_coreml_nms(rml_coreml_maker *make, rml_value_id boxes, rml_value_id scores,
                    const rml_coreml_nms_limits *limits, rml_value_id out[4])
{
    static const int turned[] = {0, 2, 1}, one = 1;
    sizes s;
    if (!take_sizes(make, boxes, scores, limits->most, &s))
        return;
    rml_graph *graph = make->graph;
    const rml_value_id classes = rml_graph_transpose(graph, scores, turned, 3, make->name);
    const rml_value_id best = rml_coreml_reduce(make, RML_REDUCE_MAX, classes, &one, 1, true);
    const rml_value_id own =
        limits->threshold == RML_NO_VALUE ? best : eligible(make, best, limits->threshold, &s);
    const rml_op_attr centred = {.nms = {.centered = true}};
    const rml_value_id in[] = {boxes, limits->per_class ? by_class(make, classes, own, &s) : own,
                               rml_coreml_ints(make, &(int64_t){INT32_MAX}, 1), limits->overlap,
                               rml_coreml_number(make, -INFINITY, RML_F32)};
    const rml_value_id found = rml_coreml_node(make, RML_OP_NMS, &centred, in, 5);
    if (found == RML_NO_VALUE)
        return;
    const rml_value_id chosen = selected(make, found, found + 1, own, &s);
    const rml_value_id of[] = {chosen, rml_coreml_ints(make, &s.kept, 1)};
    const rml_op_attr along = {.topk = {.axis = 1}}, constant = {.pad = {RML_PAD_CONSTANT}};
    const rml_value_id top = rml_coreml_node(make, RML_OP_TOPK, &along, of, 2);
    if (top == RML_NO_VALUE)
        return;
    const rml_value_id kept = rml_coreml_binary(make, RML_BINARY_GREATER, top,
                                                rml_coreml_number(make, -INFINITY, RML_F32));
    out[0] = rows_of(make, boxes, top + 1, kept, &s, limits->most);
    out[1] = rows_of(make, scores, top + 1, kept, &s, limits->most);
    const rml_value_id none = rml_coreml_number(make, -1, RML_I64);
    const int64_t amounts[] = {0, 0, 0, limits->most - s.kept};
    const rml_value_id padded[] = {where(make, kept, top + 1, none),
                                   rml_coreml_ints(make, amounts, 4), none};
    out[2] = rml_coreml_node(make, RML_OP_PAD, &constant, padded, 3);
    out[3] = rml_coreml_reduce(make, RML_REDUCE_SUM, rml_coreml_cast(make, kept, RML_F32), &one, 1,
                               false);
}
