// Attention: y = softmax(q k^T * scale + mask) v, for every item and head.
//   q [B,H,L,D]   k [B,G,S,D]   v [B,G,S,E]   ->   y [B,H,L,E], scores [B,H,L,S] where wanted
//   mask: floats that are added, or bools that say what is seen; broadcast to [B,H,L,S], and where
//   its last dimension is shorter, the keys behind it are hidden
//   past [.,.,P,.]: its length is all that counts   lengths i64 [B]: keys that are there
// An operand may also be [B,L,H*D], its heads side by side; y is as q. G divides H; head h reads k
// and v of head h / (H / G). Query i stands at place i + P, or, with lengths, at i + length - L.
// One that sees no key gives zeros.
#include "ops/attention/attention.h"

#include "ops/matmul/bf16.h"

enum {
    Q = RML_ATTENTION_Q,
    K = RML_ATTENTION_K,
    V = RML_ATTENTION_V,
    MASK = RML_ATTENTION_MASK,
    PAST = RML_ATTENTION_PAST,
    LENGTHS = RML_ATTENTION_LENGTHS
};

static int outputs(const rml_op_attr *attr)
{
    return attr->attention.scores == RML_ATTENTION_NO_SCORES ? 1 : 2;
}

// The sizes of one operand, as [items, heads, rows, depth].
static bool split(const rml_shape *shape, int64_t heads, int64_t out[4])
{
    const int64_t last = shape->dim[shape->rank - 1];
    if (shape->rank == 4) {
        for (int i = 0; i < 4; i++)
            out[i] = shape->dim[i];
        return true;
    }
    if (shape->rank != 3 || heads < 1 || (last > 0 && last % heads != 0))
        return false;
    out[0] = shape->dim[0];
    out[1] = heads;
    out[2] = shape->dim[1];
    out[3] = last < 0 ? -1 : last / heads;
    return true;
}

static bool dims_of(const rml_attention_attr *attr, const rml_shape *in, rml_attention_dims *d)
{
    int64_t q[4], k[4], v[4];
    const int64_t key_heads = attr->key_heads ? attr->key_heads : attr->heads;
    if (in[Q].rank < 1 || in[K].rank < 1 || in[V].rank < 1 || !split(&in[Q], attr->heads, q) ||
        !split(&in[K], key_heads, k) || !split(&in[V], key_heads, v))
        return false;
    *d = (rml_attention_dims){q[0], q[1], k[1], q[2], k[2], q[3], v[3]};
    return rml_dims_agree(q[0], k[0]) && rml_dims_agree(k[0], v[0]) && rml_dims_agree(k[1], v[1]) &&
           rml_dims_agree(k[2], v[2]) && rml_dims_agree(q[3], k[3]) &&
           (q[1] < 1 || k[1] < 0 || (k[1] > 0 && q[1] % k[1] == 0));
}

static bool mask_fits(const rml_shape *mask, const rml_shape *scores)
{
    if (mask->rank < 1 || mask->rank > 4)
        return false;
    bool fits = scores->dim[3] < 0 || mask->dim[mask->rank - 1] <= scores->dim[3];
    for (int back = 2; back <= mask->rank && fits; back++)
        fits = mask->dim[mask->rank - back] == 1 ||
               rml_dims_agree(mask->dim[mask->rank - back], scores->dim[4 - back]);
    return fits;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char q[RML_SHAPE_TEXT_BYTES], k[RML_SHAPE_TEXT_BYTES], v[RML_SHAPE_TEXT_BYTES];
    rml_attention_dims d;
    if (!dims_of(&node->attr->attention, node->shape, &d))
        return rml_fail(err, RML_ERR_SHAPE, "queries %s, keys %s and values %s do not fit",
                        rml_shape_text(&node->shape[Q], q), rml_shape_text(&node->shape[K], k),
                        rml_shape_text(&node->shape[V], v));
    const rml_shape scores = {4, {d.items, d.heads, d.queries, d.keys}};
    if (rml_op_given(node, MASK) && !mask_fits(&node->shape[MASK], &scores))
        return rml_fail(err, RML_ERR_SHAPE, "mask %s does not fit scores %s",
                        rml_shape_text(&node->shape[MASK], q), rml_shape_text(&scores, k));
    if (rml_op_given(node, PAST) && node->shape[PAST].rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "past keys %s", rml_shape_text(&node->shape[PAST], q));
    if (rml_op_given(node, LENGTHS) &&
        (node->shape[LENGTHS].rank != 1 || !rml_dims_agree(node->shape[LENGTHS].dim[0], d.items)))
        return rml_fail(err, RML_ERR_SHAPE, "lengths %s of queries %s",
                        rml_shape_text(&node->shape[LENGTHS], q),
                        rml_shape_text(&node->shape[Q], k));
    out[0] = node->shape[Q];
    out[0].dim[node->shape[Q].rank - 1] =
        node->shape[Q].rank == 4 || d.width < 0 ? d.width : d.width * d.heads;
    if (outputs(node->attr) > 1)
        out[1] = scores;
    return RML_OK;
}

rml_attention_dims rml_attention_dims_of(const rml_op_args *args)
{
    const rml_shape in[3] = {rml_tensor_shape(&args->in[Q]), rml_tensor_shape(&args->in[K]),
                             rml_tensor_shape(&args->in[V])};
    rml_attention_dims d = {0};
    dims_of(&args->attr->attention, in, &d);
    return d;
}

rml_heads rml_heads_of(const rml_tensor *tensor, int64_t depth)
{
    const int64_t *stride = tensor->stride;
    return tensor->rank == 4 ? (rml_heads){tensor, stride[0], stride[1], stride[2]}
                             : (rml_heads){tensor, stride[0], depth, stride[1]};
}

rml_heads rml_heads_of_mask(const rml_tensor *mask)
{
    int64_t stride[4] = {0};
    for (int back = 1; back < mask->rank; back++)
        if (mask->dim[mask->rank - 1 - back] != 1)
            stride[3 - back] = mask->stride[mask->rank - 1 - back];
    return (rml_heads){mask, stride[0], stride[1], stride[2]};
}

static uint64_t macs(const rml_op_args *args)
{
    const rml_attention_dims d = rml_attention_dims_of(args);
    return (uint64_t)d.items * (uint64_t)d.heads * (uint64_t)d.queries * (uint64_t)d.keys *
           (uint64_t)(d.depth + d.width);
}

static bool accepts_bf16(const rml_op_args *args)
{
    const rml_attention_dims d = rml_attention_dims_of(args);
    return rml_attention_online_accepts(args) &&
           rml_bf16_gains(args, (size_t)d.depth, (size_t)d.keys) &&
           rml_bf16_gains(args, (size_t)d.keys, (size_t)d.width);
}

static const rml_algorithm algorithms[] = {{.name = "online-softmax-bf16",
                                            .precision = RML_PRECISION_BF16,
                                            .accepts = accepts_bf16,
                                            .scratch_bytes = rml_attention_online_scratch,
                                            .run = rml_attention_online_run},
                                           {.name = "online-softmax",
                                            .accepts = rml_attention_online_accepts,
                                            .scratch_bytes = rml_attention_online_scratch,
                                            .run = rml_attention_online_run},
                                           {.name = "score-rows",
                                            .scratch_bytes = rml_attention_rows_scratch,
                                            .run = rml_attention_rows_run}};

const rml_op rml_op_attention = {.id = RML_OP_ATTENTION,
                                 .name = "attention",
                                 .inputs = {3, 6},
                                 .outputs = outputs,
                                 .signature = "r0rm*l>0",
                                 .infer = infer,
                                 .macs = macs,
                                 .algorithms = algorithms};
