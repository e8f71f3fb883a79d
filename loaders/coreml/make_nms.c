// Boxes of several classes thinned out, to lists of one length: both families' layer of that name.
#include "loaders/coreml/make.h"

#include "tensor/tensor.h"

#include <math.h>
#include <stdint.h>

// Numbers (1) of i64, of the file or of a run.
typedef struct sizes {
    rml_value_id images, boxes, classes;
    rml_value_id kept, more; // rows of the lists before they are padded, and rows of padding
} sizes;

static rml_value_id where(rml_coreml_maker *make, rml_value_id test, rml_value_id a, rml_value_id b)
{
    const rml_value_id in[] = {test, a, b};
    return rml_coreml_node(make, RML_OP_WHERE, NULL, in, 3);
}

// 0, 1, ... as many as `count` (1) says, along dimension `axis` of `rank`, where the others are 1.
static rml_value_id counted(rml_coreml_maker *make, rml_value_id count, int axis, int rank)
{
    rml_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = i == axis ? -1 : 1;
    const rml_value_id limits[] = {rml_coreml_number(make, 0, RML_I64),
                                   rml_coreml_reshape(make, count, &(rml_shape){0}),
                                   rml_coreml_number(make, 1, RML_I64)};
    return rml_coreml_reshape(make, rml_coreml_node(make, RML_OP_RANGE, NULL, limits, 3), &shape);
}

// The size of a dimension.
static rml_value_id size_of(rml_coreml_maker *make, rml_value_id x, int axis)
{
    const rml_shape shape = rml_coreml_fact(make, x).shape;
    if (make->refused || shape.dim[axis] >= 0)
        return rml_coreml_ints(make, &shape.dim[axis], 1);
    return rml_graph_slice(make->graph, rml_coreml_sizes(make, x), 0, axis, axis + 1, 1,
                           make->name);
}

// x with `more` of `value` behind dimension 1 of `rank`.
static rml_value_id padded(rml_coreml_maker *make, rml_value_id x, int rank, rml_value_id more,
                           rml_value_id value)
{
    const int64_t zeros[4] = {0};
    const rml_value_id parts[] = {rml_coreml_ints(make, zeros, rank + 1), more,
                                  rml_coreml_ints(make, zeros, rank - 2)};
    const rml_value_id in[] = {x, rml_coreml_concat(make, parts, rank > 2 ? 3 : 2, 0, false),
                               value};
    const rml_op_attr constant = {.pad = {RML_PAD_CONSTANT}};
    int64_t known;
    if (rml_coreml_known(make, more, 0, &known) && known == 0)
        return x;
    return rml_coreml_node(make, RML_OP_PAD, &constant, in, 3);
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
    const rml_value_id places = counted(make, s->boxes, 2, 3);
    const rml_value_id first =
        rml_coreml_binary(make, RML_BINARY_EQUAL, places, arg(make, best, 2));
    const rml_value_id instead = rml_coreml_binary(make, RML_BINARY_AND, none, first);
    return where(make, rml_coreml_binary(make, RML_BINARY_OR, enough, instead), best, nan);
}

// Scores by which boxes are thinned out: of one kind, or each of its best class alone (B,C,N).
static rml_value_id by_class(rml_coreml_maker *make, rml_value_id scores, rml_value_id own,
                             const sizes *s)
{
    const rml_value_id classes = counted(make, s->classes, 1, 3);
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
    const int64_t one = 1;
    const rml_value_id rows = counted(make, size_of(make, list, 0), 0, 2);
    const rml_value_id real = rml_coreml_binary(make, RML_BINARY_LESS, rows, count);
    rml_value_id parts[2];
    parts[0] = rml_graph_slice(graph, list, 1, 0, 1, 1, make->name);
    parts[1] = where(make, real, rml_graph_slice(graph, list, 1, 2, 3, 1, make->name), s->boxes);
    const rml_value_id places = rml_coreml_concat(make, parts, 2, 1, false);
    const rml_value_id middle[] = {own, rml_coreml_ints(make, &one, 1)};
    const rml_value_id flat = rml_coreml_node(make, RML_OP_SQUEEZE, NULL, middle, 2);
    const rml_value_id minus = rml_coreml_number(make, -INFINITY, RML_F32);
    const rml_value_id wide = padded(make, flat, 2, middle[1], minus); // (B,N+1)
    const rml_value_id from[] = {wide, places};
    const rml_value_id updates = rml_coreml_node(make, RML_OP_GATHER_ND, NULL, from, 2);
    const rml_value_id full[] = {minus, RML_NO_VALUE, rml_coreml_sizes(make, wide)};
    const rml_value_id empty = rml_coreml_node(make, RML_OP_EXPAND, NULL, full, 3);
    const rml_value_id all = rml_coreml_scatter_nd(make, empty, places, updates, RML_COREML_UPDATE);
    return rml_graph_slice(graph, all, 1, 0, -1, 1, make->name);
}

// Rows of x (B,N,k) at places (B,K), those that are not kept with zeros, and more of them.
static rml_value_id rows_of(rml_coreml_maker *make, rml_value_id x, rml_value_id places,
                            rml_value_id kept, const sizes *s)
{
    const int64_t last = 2;
    const rml_op_attr batch = {.gather_nd = {.batch = 1}};
    const rml_value_id zero = rml_coreml_number(make, 0, RML_F32);
    const rml_value_id from[] = {x, rml_coreml_insert_dims(make, places, &last, 1)};
    x = rml_coreml_node(make, RML_OP_GATHER_ND, &batch, from, 2);
    x = where(make, rml_coreml_insert_dims(make, kept, &last, 1), x, zero);
    return padded(make, x, 3, s->more, zero);
}

// Whether two sizes may be the same number, which is at least 1.
static bool fit(int64_t a, int64_t b)
{
    return a != 0 && b != 0 && (a < 0 || b < 0 || a == b);
}

static bool take_sizes(rml_coreml_maker *make, rml_value_id boxes, rml_value_id scores,
                       rml_value_id most, sizes *out)
{
    const rml_shape b = rml_coreml_fact(make, boxes).shape, c = rml_coreml_fact(make, scores).shape;
    int64_t known = 1, count;
    if (!make->refused && (b.rank != 3 || c.rank != 3))
        rml_coreml_refuse(make, "boxes and scores of 3 dimensions are expected");
    if (!make->refused && (!fit(b.dim[2], 4) || !fit(b.dim[0], c.dim[0]) ||
                           !fit(b.dim[1], c.dim[1]) || !fit(c.dim[2], c.dim[2])))
        rml_coreml_refuse(make, "%lld boxes of %lld numbers and %lld scores of %lld classes",
                          (long long)b.dim[1], (long long)b.dim[2], (long long)c.dim[1],
                          (long long)c.dim[2]);
    const bool is_known = rml_coreml_known(make, most, 0, &known);
    if (known < 1 || known == INT32_MAX)
        rml_coreml_refuse(make, "at most %lld boxes", (long long)known);
    if (make->refused)
        return false;
    *out =
        (sizes){size_of(make, boxes, 0), size_of(make, boxes, 1), size_of(make, scores, 2), 0, 0};
    if (is_known && rml_coreml_known(make, out->boxes, 0, &count)) {
        const int64_t kept = count < known ? count : known, more = known - kept;
        out->kept = rml_coreml_ints(make, &kept, 1);
        out->more = rml_coreml_ints(make, &more, 1);
    } else {
        out->kept = rml_coreml_binary(make, RML_BINARY_MIN, out->boxes, most);
        out->more = rml_coreml_binary(make, RML_BINARY_SUB, most, out->kept);
    }
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
    const rml_value_id of[] = {chosen, s.kept};
    const rml_op_attr along = {.topk = {.axis = 1}};
    const rml_value_id top = rml_coreml_node(make, RML_OP_TOPK, &along, of, 2);
    if (top == RML_NO_VALUE)
        return;
    const rml_value_id kept = rml_coreml_binary(make, RML_BINARY_GREATER, top,
                                                rml_coreml_number(make, -INFINITY, RML_F32));
    out[0] = rows_of(make, boxes, top + 1, kept, &s);
    out[1] = rows_of(make, scores, top + 1, kept, &s);
    const rml_value_id none = rml_coreml_number(make, -1, RML_I64);
    out[2] = padded(make, where(make, kept, top + 1, none), 2, s.more, none);
    out[3] = rml_coreml_reduce(make, RML_REDUCE_SUM, rml_coreml_cast(make, kept, RML_F32), &one, 1,
                               false);
}
