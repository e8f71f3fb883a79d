// Attention with online softmax: keys are walked in blocks of fixed size with a running maximum and
// sum, so that the scores of a few queries and one block of keys are all that is ever stored of the
// L x S matrix. A query's numbers do not depend on the queries beside it, so neither threads nor
// batches change bits.
//
// In bf16 both products take operands of bf16; scores and softmax stay f32.
#include "ops/attention/attention.h"

#include "kernels/pack.h"
#include "ops/matmul/bf16.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define BLOCK_KEYS 512          // a multiple of every level's nr
#define PITCH (BLOCK_KEYS + 16) // rows whole pages apart would share sets of the first-level cache
#define MOST_TILES 16           // of queries in a work item
#define GROUP_BYTES ((size_t)8 << 20) // of packed keys and values that are made ready at a time

typedef struct sizes {
    size_t items, heads, key_heads, queries, keys, depth, width;
    bool bf16;
    const rml_gemm *gemm;
    size_t deep;                // depth as the product wants it
    size_t key_bytes, kv_bytes; // packed keys of a head; keys and values
    size_t group;               // heads of k and v that are packed at a time
    size_t tiles;               // of queries in a work item
} sizes;

bool rml_attention_online_accepts(const rml_op_args *args)
{
    const rml_attention_attr *attr = &args->attr->attention;
    const rml_tensor *mask = rml_op_input(args, RML_ATTENTION_MASK);
    if (attr->softcap != 0 || attr->window[0] || attr->window[1] || attr->wide ||
        attr->scores != RML_ATTENTION_NO_SCORES || rml_op_input(args, RML_ATTENTION_LENGTHS) ||
        (attr->causal && rml_op_input(args, RML_ATTENTION_PAST)))
        return false;
    for (int i = RML_ATTENTION_Q; i <= RML_ATTENTION_V; i++)
        if (args->in[i].dtype != RML_F32)
            return false;
    return !mask || ((mask->dtype == RML_F32 || mask->dtype == RML_BOOL) &&
                     mask->dim[mask->rank - 1] == rml_attention_dims_of(args).keys);
}

static sizes sizes_of(const rml_op_args *args)
{
    const rml_attention_dims d = rml_attention_dims_of(args);
    sizes s = {.items = (size_t)d.items,
               .heads = (size_t)d.heads,
               .key_heads = (size_t)d.key_heads,
               .queries = (size_t)d.queries,
               .keys = (size_t)d.keys,
               .depth = (size_t)d.depth,
               .width = (size_t)d.width,
               .bf16 = rml_runs_bf16(args),
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

// Of one worker: the scores of a tile of queries, a row of a mask of bools, and in bf16
// the queries.
static size_t worker_bytes(const sizes *s)
{
    const size_t queries = s->bf16 ? rml_sat_mul(s->gemm->mr, s->deep) : 0;
    return rml_sat_add((s->gemm->mr + 1) * PITCH * sizeof(float),
                       rml_aligned_bytes(queries, sizeof(uint16_t)));
}

size_t rml_attention_online_scratch(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    return rml_sat_add(rml_sat_mul(s.group, s.kv_bytes),
                       rml_sat_mul((size_t)args->threads, worker_bytes(&s)));
}

typedef struct job {
    const rml_op_args *args;
    sizes s;
    rml_heads q, k, v, y;
    rml_heads mask; // tensor NULL: none
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
    RML_KERNEL(at->args->kernels, transpose)(src, step, dst, pitch, count, at->s.depth);
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
            pack_keys(at, rml_heads_row(&at->k, item, head, first),
                      rml_min_size(nr, s->keys - first),
                      rml_pack_at(s->gemm, dst, first * s->deep));
        } else {
            const size_t column = (panel - key_panels) * nr;
            rml_pack_panel(
                s->gemm,
                rml_pack_at(s->gemm, dst + s->key_bytes, column * rml_pack_depth(s->gemm, s->keys)),
                (const float *)rml_heads_row(&at->v, item, head, 0) + column, 1, s->keys,
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
    if (!at->mask.tensor)
        return NULL;
    const void *row = rml_heads_row(&at->mask, t->item, t->head, query);
    if (at->mask.tensor->dtype == RML_F32)
        return (const float *)row + key;
    for (size_t i = 0; i < count; i++)
        t->mask[i] = ((const uint8_t *)row)[key + i] ? 0 : -INFINITY;
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
        const float factor = RML_KERNEL(kernels, softmax_step)(
            row, at->scale, mask_row(at, t, query, key, seen), row, seen, &t->top[i], &t->sum[i]);
        memset(row + seen, 0, (count - seen) * sizeof *row);
        if (at->s.bf16) // in place: they are written behind what is read
            RML_KERNEL(kernels, to_bf16)
        (row, count, rml_pack_depth(at->s.gemm, count), (uint16_t *)(void *)row);
        if (key > 0 && factor != 1.0f)
            RML_KERNEL(kernels, binary_scalar[RML_BINARY_MUL])
        (t->y[i], factor, t->y[i], at->s.width, false);
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
        const float *q = rml_heads_row(&at->q, t->item, t->head, t->first + i);
        t->q[i] = s->bf16 ? (const void *)(t->rounded + i * s->deep) : q;
        if (s->bf16)
            RML_KERNEL(kernels, to_bf16)(q, s->depth, s->deep, t->rounded + i * s->deep);
        t->y[i] = rml_heads_row(&at->y, t->item, t->head, t->first + i);
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
            RML_KERNEL(kernels, binary_scalar[RML_BINARY_DIV])
    (t->y[i], t->sum[i], t->y[i], s->width, false);
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

void rml_attention_online_run(const rml_op_args *args)
{
    const rml_tensor *mask = rml_op_input(args, RML_ATTENTION_MASK);
    job at = {.args = args, .s = sizes_of(args), .scale = args->attr->attention.scale};
    const sizes *s = &at.s;
    if (s->items * s->heads * s->queries * s->width == 0)
        return;
    if (at.scale == 0.0f)
        at.scale = s->depth ? (float)(1.0 / sqrt((double)s->depth)) : 1.0f;
    at.q = rml_heads_of(&args->in[RML_ATTENTION_Q], (int64_t)s->depth);
    at.k = rml_heads_of(&args->in[RML_ATTENTION_K], (int64_t)s->depth);
    at.v = rml_heads_of(&args->in[RML_ATTENTION_V], (int64_t)s->width);
    at.y = rml_heads_of(&args->out[0], (int64_t)s->width);
    at.share = s->heads / s->key_heads;
    if (mask)
        at.mask = rml_heads_of_mask(mask);
    const size_t block = s->tiles * s->gemm->mr;
    const size_t panels = rml_pack_panels(s->gemm, s->keys) + rml_pack_panels(s->gemm, s->width);
    const size_t blocks = (s->queries + block - 1) / block;
    for (; at.first < s->items * s->key_heads; at.first += at.pairs) {
        at.pairs = rml_min_size(s->group, s->items * s->key_heads - at.first);
        rml_pool_run(args->pool, at.pairs * panels, 4, pack_panels, &at);
        rml_pool_run(args->pool, at.pairs * at.share * blocks, 1, run_queries, &at);
    }
}
