// Attention: y = softmax(q k^T * scale + mask) v, for every item and head.
//   heads = 0:  q [B,H,L,D]  k [B,G,S,D]  v [B,G,S,E]  ->  y [B,H,L,E]
//   heads = H:  q [B,L,H*D]  k [B,S,G*D]  v [B,S,G*E]  ->  y [B,L,H*E]
//   mask, optional: added, broadcast to [B,H,L,S]; -infinity hides a key.
// G divides H; head h reads k and v of head h / (H / G). A query that sees no key gives zeros.
//
// Keys are walked in blocks of fixed size with a running maximum and sum, so that the scores of a
// few queries and one block of keys are all that is ever stored of the L x S matrix. A query's
// numbers do not depend on the queries beside it, so neither threads nor batches change bits.
//
// In bf16 queries, keys, weights and values are rounded; scores and softmax stay f32.
#include "ops/op.h"

#include "kernels/pack.h"
#include "ops/matmul/bf16.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define BLOCK_KEYS 512          // a multiple of every level's nr
#define PITCH (BLOCK_KEYS + 16) // rows whole pages apart would share sets of the first-level cache
#define MOST_TILES 16           // of queries in a work item
#define GROUP_BYTES ((size_t)8 << 20) // of packed keys and values that are made ready at a time

// ---- shapes -------------------------------------------------------------------------------------

typedef struct dims {
    int64_t items, heads, key_heads, queries, keys, depth, width; // width: of a head of v
} dims;

// -1 where unknown.
static int64_t part(int64_t whole, int64_t parts)
{
    return whole < 0 ? -1 : whole / parts;
}

static dims dims_of(const rml_attention_attr *attr, const rml_shape *q, const rml_shape *k,
                    const rml_shape *v)
{
    if (attr->heads == 0)
        return (dims){q->dim[0], q->dim[1], k->dim[1], q->dim[2], k->dim[2], q->dim[3], v->dim[3]};
    const int64_t key_heads = attr->key_heads ? attr->key_heads : attr->heads;
    return (dims){q->dim[0],
                  attr->heads,
                  key_heads,
                  q->dim[1],
                  k->dim[1],
                  part(q->dim[2], attr->heads),
                  part(v->dim[2], key_heads)};
}

static bool same(int64_t a, int64_t b)
{
    return a == b || a < 0 || b < 0;
}

static bool fits(const rml_attention_attr *attr, const rml_shape *in)
{
    const rml_shape *q = &in[0], *k = &in[1], *v = &in[2];
    const int rank = attr->heads ? 3 : 4;
    if (attr->heads < 0 || attr->key_heads < 0 || q->rank != rank || k->rank != rank ||
        v->rank != rank)
        return false;
    const dims d = dims_of(attr, q, k, v);
    if (attr->heads && (d.heads % d.key_heads != 0 || (q->dim[2] > 0 && q->dim[2] % d.heads != 0) ||
                        (v->dim[2] > 0 && v->dim[2] % d.key_heads != 0) ||
                        !same(k->dim[2], d.depth < 0 ? -1 : d.depth * d.key_heads)))
        return false;
    if (!attr->heads && (!same(q->dim[3], k->dim[3]) || !same(k->dim[1], v->dim[1]) ||
                         (d.heads > 0 && d.key_heads > 0 && d.heads % d.key_heads != 0) ||
                         (d.key_heads == 0 && d.heads > 0)))
        return false;
    return same(q->dim[0], k->dim[0]) && same(k->dim[0], v->dim[0]) &&
           same(d.keys, v->dim[rank - 2]);
}

static rml_status infer(const rml_op_attr *attr, const rml_shape *in, int in_count, rml_shape *out,
                        rml_error *err)
{
    char q[RML_SHAPE_TEXT_BYTES], k[RML_SHAPE_TEXT_BYTES], v[RML_SHAPE_TEXT_BYTES];
    if (!fits(&attr->attention, in))
        return rml_fail(err, RML_ERR_SHAPE, "queries %s, keys %s and values %s do not fit",
                        rml_shape_text(&in[0], q), rml_shape_text(&in[1], k),
                        rml_shape_text(&in[2], v));
    const dims d = dims_of(&attr->attention, &in[0], &in[1], &in[2]);
    const int64_t full[4] = {d.items, d.heads, d.queries, d.keys};
    for (int back = 0; in_count > 3 && back < in[3].rank; back++) {
        const int64_t dim = in[3].dim[in[3].rank - 1 - back];
        if (back > 3 || (dim != 1 && !same(dim, full[3 - back])))
            return rml_fail(err, RML_ERR_SHAPE, "mask %s does not fit queries %s and keys %s",
                            rml_shape_text(&in[3], v), rml_shape_text(&in[0], q),
                            rml_shape_text(&in[1], k));
    }
    *out = in[0];
    out->dim[out->rank - 1] =
        attr->attention.heads == 0 || d.width < 0 ? d.width : d.width * d.heads;
    return RML_OK;
}

// ---- running ------------------------------------------------------------------------------------

// Where the heads of an operand lie; rows are contiguous.
typedef struct heads_view {
    float *data;
    int64_t item, head, row;
} heads_view;

static heads_view heads_of(const rml_tensor *tensor, int64_t heads, int64_t depth)
{
    if (heads == 0)
        return (heads_view){tensor->data, tensor->stride[0], tensor->stride[1], tensor->stride[2]};
    return (heads_view){tensor->data, tensor->stride[0], depth, tensor->stride[1]};
}

static float *row_at(const heads_view *view, size_t item, size_t head, size_t row)
{
    return view->data + (int64_t)item * view->item + (int64_t)head * view->head +
           (int64_t)row * view->row;
}

typedef struct sizes {
    size_t items, heads, key_heads, queries, keys, depth, width;
    bool bf16;
    const rml_gemm *gemm;
    size_t deep;                // depth as the product wants it
    size_t key_bytes, kv_bytes; // packed keys of a head; keys and values
    size_t group;               // heads of k and v that are packed at a time
    size_t tiles;               // of queries in a work item
} sizes;

static sizes sizes_of(const rml_op_args *args)
{
    const rml_attention_attr *attr = &args->attr->attention;
    const rml_shape q = rml_tensor_shape(&args->in[0]), k = rml_tensor_shape(&args->in[1]),
                    v = rml_tensor_shape(&args->in[2]);
    const dims d = dims_of(attr, &q, &k, &v);
    sizes s = {.items = (size_t)d.items,
               .heads = (size_t)d.heads,
               .key_heads = (size_t)d.key_heads,
               .queries = (size_t)d.queries,
               .keys = (size_t)d.keys,
               .depth = (size_t)d.depth,
               .width = (size_t)d.width,
               .bf16 = rml_wants_bf16(args),
               .group = 1};
    s.gemm = rml_gemm_of(args, s.bf16);
    s.deep = rml_pack_depth(s.gemm, s.depth);
    s.key_bytes = rml_round_up(rml_pack_bytes(s.gemm, 1, s.depth, s.keys), RML_ALIGNMENT);
    s.kv_bytes = rml_sat_add(
        s.key_bytes, rml_round_up(rml_pack_bytes(s.gemm, 1, s.keys, s.width), RML_ALIGNMENT));
    const size_t most = s.kv_bytes ? GROUP_BYTES / s.kv_bytes : SIZE_MAX;
    while (s.group < s.items * s.key_heads && s.group + 1 <= most)
        s.group++;
    const size_t tiles = (s.queries + s.gemm->mr - 1) / s.gemm->mr;
    s.tiles = MOST_TILES;
    while (s.tiles > 1 &&
           (tiles + s.tiles - 1) / s.tiles * s.heads * s.items < 4 * (size_t)args->threads)
        s.tiles /= 2;
    return s;
}

static uint64_t macs(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    return (uint64_t)s.items * s.heads * s.queries * s.keys * (s.depth + s.width);
}

// Of one worker: the scores of a tile of queries, a row of the mask when it has steps, and in bf16
// the queries.
static size_t worker_bytes(const sizes *s)
{
    const size_t queries = s->bf16 ? rml_sat_mul(s->gemm->mr, s->deep) : 0;
    return rml_sat_add((s->gemm->mr + 1) * PITCH * sizeof(float),
                       rml_aligned_bytes(queries, sizeof(uint16_t)));
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    return rml_sat_add(rml_sat_mul(s.group, s.kv_bytes),
                       rml_sat_mul((size_t)args->threads, worker_bytes(&s)));
}

typedef struct job {
    const rml_op_args *args;
    sizes s;
    heads_view q, k, v, y;
    heads_view mask; // data NULL: none
    int64_t mask_step;
    float scale;
    size_t first; // pair of item and head of k that the scratch starts with
    size_t pairs; // in the scratch
    size_t share; // heads of q that read a head of k
} job;

static float *worker_at(const job *at, int worker)
{
    return (float *)(at->args->scratch + at->s.group * at->s.kv_bytes +
                     (size_t)worker * worker_bytes(&at->s));
}

static char *packed_at(const job *at, size_t pair)
{
    return at->args->scratch + pair * at->s.kv_bytes;
}

// The panel of keys [first, first + count), transposed.
static void pack_keys(const job *at, const float *src, size_t count, void *memory)
{
    const size_t pitch = rml_pack_pitch(at->s.gemm, count), step = (size_t)at->k.row;
    if (at->s.bf16) {
        rml_pack_panel(at->s.gemm, memory, src, 1, at->s.depth, count, 0, 1, step);
        return;
    }
    float *dst = memory;
    at->args->kernels->transpose(src, step, dst, pitch, count, at->s.depth);
    for (size_t d = 0; count < pitch && d < at->s.depth; d++)
        memset(dst + d * pitch + count, 0, (pitch - count) * sizeof *dst);
}

static void pack_panels(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const sizes *s = &at->s;
    const size_t nr = s->gemm->nr, key_panels = rml_pack_panels(s->gemm, s->keys);
    const size_t panels = key_panels + rml_pack_panels(s->gemm, s->width);
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t pair = at->first + i / panels, panel = i % panels;
        const size_t item = pair / s->key_heads, head = pair % s->key_heads;
        char *dst = packed_at(at, i / panels);
        if (panel < key_panels) {
            const size_t first = panel * nr;
            pack_keys(at, row_at(&at->k, item, head, first), rml_min_size(nr, s->keys - first),
                      rml_pack_at(s->gemm, dst, first * s->deep));
        } else {
            const size_t column = (panel - key_panels) * nr;
            rml_pack_panel(
                s->gemm,
                rml_pack_at(s->gemm, dst + s->key_bytes, column * rml_pack_depth(s->gemm, s->keys)),
                row_at(&at->v, item, head, 0) + column, 1, s->keys,
                rml_min_size(nr, s->width - column), 0, (size_t)at->v.row, 1);
        }
    }
}

// A few queries of one head and what is known of them so far.
typedef struct tile {
    size_t item, head, first, rows; // first: query
    const char *packed;
    float *scores;     // [mr][PITCH]
    float *mask;       // [BLOCK_KEYS]
    uint16_t *rounded; // [mr][deep] in bf16: the queries
    const void *q[RML_GEMM_MAX_MR];
    float *y[RML_GEMM_MAX_MR];
    float top[RML_GEMM_MAX_MR], sum[RML_GEMM_MAX_MR];
} tile;

static void score(const job *at, const tile *t, size_t key, size_t count)
{
    const rml_gemm *gemm = at->s.gemm;
    float *c[RML_GEMM_MAX_MR];
    rml_gemm_tile product = {.a = t->q,
                             .taps = 1,
                             .depth = at->s.deep,
                             .rows = t->rows,
                             .c = c,
                             .low = -INFINITY,
                             .high = INFINITY};
    for (size_t done = 0; done < count; done += gemm->nr) {
        product.b = rml_pack_at(gemm, t->packed, (key + done) * at->s.deep);
        // the whole panel, also where causal queries see a part of it: its pitch goes by its width
        product.cols = rml_min_size(gemm->nr, at->s.keys - key - done);
        for (size_t i = 0; i < t->rows; i++)
            c[i] = t->scores + i * PITCH + done;
        gemm->run(&product);
    }
}

// Keys [key, key + count) of the mask's row for a query, or NULL.
static const float *mask_row(const job *at, const tile *t, size_t query, size_t key, size_t count)
{
    if (!at->mask.data)
        return NULL;
    const float *row = row_at(&at->mask, t->item, t->head, query);
    if (at->mask_step == 1)
        return row + key;
    for (size_t i = 0; i < count; i++)
        t->mask[i] = row[0];
    return t->mask;
}

static void weigh(const job *at, tile *t, size_t key, size_t count)
{
    const rml_kernels *kernels = at->args->kernels;
    for (size_t i = 0; i < t->rows; i++) {
        const size_t query = t->first + i;
        float *row = t->scores + i * PITCH;
        size_t seen = count;
        if (at->args->attr->attention.causal)
            seen = query < key ? 0 : rml_min_size(count, query - key + 1);
        const float factor = kernels->softmax_step(
            row, at->scale, mask_row(at, t, query, key, seen), row, seen, &t->top[i], &t->sum[i]);
        memset(row + seen, 0, (count - seen) * sizeof *row);
        if (at->s.bf16) // in place: they are written behind what is read
            kernels->to_bf16(row, count, rml_pack_depth(at->s.gemm, count),
                             (uint16_t *)(void *)row);
        if (key > 0 && factor != 1.0f)
            kernels->binary_scalar[RML_BINARY_MUL](t->y[i], factor, t->y[i], at->s.width, false);
    }
}

// Adds the block's values, weighted, to the rows of the result.
static void gather(const job *at, const tile *t, size_t key, size_t count)
{
    const rml_gemm *gemm = at->s.gemm;
    const size_t all = rml_pack_depth(gemm, at->s.keys);
    const void *a[RML_GEMM_MAX_MR];
    const float *residual[RML_GEMM_MAX_MR];
    float *c[RML_GEMM_MAX_MR];
    rml_gemm_tile product = {.a = a,
                             .taps = 1,
                             .depth = rml_pack_depth(gemm, count),
                             .rows = t->rows,
                             .c = c,
                             .residual = key > 0 ? residual : NULL,
                             .low = -INFINITY,
                             .high = INFINITY};
    for (size_t i = 0; i < t->rows; i++)
        a[i] = t->scores + i * PITCH;
    for (size_t column = 0; column < at->s.width; column += gemm->nr) {
        product.cols = rml_min_size(gemm->nr, at->s.width - column);
        product.b = rml_pack_at(gemm, t->packed + at->s.key_bytes,
                                column * all + key * rml_pack_pitch(gemm, product.cols));
        for (size_t i = 0; i < t->rows; i++)
            residual[i] = c[i] = t->y[i] + column;
        gemm->run(&product);
    }
}

static void run_tile(const job *at, tile *t)
{
    const rml_kernels *kernels = at->args->kernels;
    const sizes *s = &at->s;
    const bool causal = at->args->attr->attention.causal;
    const size_t keys = causal ? rml_min_size(s->keys, t->first + t->rows) : s->keys;
    for (size_t i = 0; i < t->rows; i++) {
        const float *q = row_at(&at->q, t->item, t->head, t->first + i);
        t->q[i] = s->bf16 ? (const void *)(t->rounded + i * s->deep) : q;
        if (s->bf16)
            kernels->to_bf16(q, s->depth, s->deep, t->rounded + i * s->deep);
        t->y[i] = row_at(&at->y, t->item, t->head, t->first + i);
        t->top[i] = -INFINITY;
        t->sum[i] = 0.0f;
    }
    for (size_t key = 0; key < keys; key += BLOCK_KEYS) {
        const size_t count = rml_min_size(BLOCK_KEYS, keys - key);
        score(at, t, key, count);
        weigh(at, t, key, count);
        gather(at, t, key, count);
    }
    for (size_t i = 0; i < t->rows; i++)
        if (t->sum[i] == 0.0f)
            memset(t->y[i], 0, s->width * sizeof(float));
        else
            kernels->binary_scalar[RML_BINARY_DIV](t->y[i], t->sum[i], t->y[i], s->width, false);
}

static void run_queries(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const sizes *s = &at->s;
    const size_t mr = s->gemm->mr, block = s->tiles * mr;
    const size_t blocks = (s->queries + block - 1) / block;
    tile t = {.scores = worker_at(at, worker)};
    t.mask = t.scores + mr * PITCH;
    t.rounded = (uint16_t *)(void *)(t.mask + PITCH);
    rml_gemm_begin(s->gemm);
    for (size_t i = begin; i < end; i++) {
        const size_t head = i / blocks, first = i % blocks * block; // head of those in the scratch
        const size_t pair = at->first + head / at->share;
        const size_t stop = rml_min_size(s->queries, first + block);
        t.item = pair / s->key_heads;
        t.head = pair % s->key_heads * at->share + head % at->share;
        t.packed = packed_at(at, head / at->share);
        for (t.first = first; t.first < stop; t.first += t.rows) {
            t.rows = rml_min_size(mr, stop - t.first);
            run_tile(at, &t);
        }
    }
    rml_gemm_end(s->gemm);
}

static void set_mask(job *at)
{
    const rml_op_args *args = at->args;
    const rml_tensor *mask = args->in_count > 3 && args->in[3].rank >= 0 ? &args->in[3] : NULL;
    int64_t stride[4] = {0};
    if (!mask)
        return;
    for (int back = 0; back < mask->rank; back++)
        if (mask->dim[mask->rank - 1 - back] != 1)
            stride[3 - back] = mask->stride[mask->rank - 1 - back];
    at->mask = (heads_view){mask->data, stride[0], stride[1], stride[2]};
    at->mask_step = stride[3];
}

static void run(const rml_op_args *args)
{
    const rml_attention_attr *attr = &args->attr->attention;
    const int64_t key_heads = attr->heads && attr->key_heads ? attr->key_heads : attr->heads;
    job at = {.args = args, .s = sizes_of(args), .scale = attr->scale};
    const sizes *s = &at.s;
    if (s->items * s->heads * s->queries * s->width == 0)
        return;
    if (at.scale == 0.0f)
        at.scale = s->depth ? (float)(1.0 / sqrt((double)s->depth)) : 1.0f;
    at.q = heads_of(&args->in[0], attr->heads, (int64_t)s->depth);
    at.k = heads_of(&args->in[1], key_heads, (int64_t)s->depth);
    at.v = heads_of(&args->in[2], key_heads, (int64_t)s->width);
    at.y = heads_of(&args->out[0], attr->heads, (int64_t)s->width);
    at.share = s->heads / s->key_heads;
    set_mask(&at);
    const size_t block = s->tiles * s->gemm->mr;
    const size_t panels = rml_pack_panels(s->gemm, s->keys) + rml_pack_panels(s->gemm, s->width);
    const size_t blocks = (s->queries + block - 1) / block;
    for (; at.first < s->items * s->key_heads; at.first += at.pairs) {
        at.pairs = rml_min_size(s->group, s->items * s->key_heads - at.first);
        rml_pool_run(args->pool, at.pairs * panels, 4, pack_panels, &at);
        rml_pool_run(args->pool, at.pairs * at.share * blocks, 1, run_queries, &at);
    }
}

static const rml_algorithm algorithms[] = {
    {.name = "streamed-bf16",
     .precision = RML_PRECISION_BF16,
     .accepts = rml_wants_bf16,
     .scratch_bytes = scratch_bytes,
     .run = run},
    {.name = "streamed", .scratch_bytes = scratch_bytes, .run = run}};

const rml_op rml_op_attention = {.name = "attention",
                                 .min_inputs = 3,
                                 .max_inputs = 4,
                                 .layout = RML_OP_PLAIN,
                                 .packed_input = -1,
                                 .infer = infer,
                                 .macs = macs,
                                 .algorithms = algorithms};
