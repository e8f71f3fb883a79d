// The largest or smallest elements along an axis, best first; of equal ones the first comes first.
#include "ops/elementwise/widen.h"
#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

#define LANES 32         // of a sieve
#define MOST_SIEVED 8    // elements that are wanted: few pass it
#define LEAST_SIEVED 128 // elements of a row

static rml_status infer_topk(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->in[0].shape;
    const int64_t *wanted = node->in[1].data;
    char text[RML_SHAPE_TEXT_BYTES];
    int axis;
    RML_TRY(rml_scalar_check(node, 1, "number of elements", err));
    out[0] = out[1] = *x;
    if (x->rank < 0)
        return RML_OK;
    RML_TRY(rml_axis_check(node->attr->topk.axis, x, &axis, err));
    if (wanted && (*wanted < 0 || (x->dim[axis] >= 0 && *wanted > x->dim[axis])))
        return rml_fail(err, RML_ERR_SHAPE, "%lld elements are wanted of axis %d of %s",
                        (long long)*wanted, axis, rml_shape_text(x, text));
    out[0].dim[axis] = out[1].dim[axis] = wanted ? *wanted : -1;
    return RML_OK;
}

typedef struct job {
    const rml_op_args *args;
    size_t count, inner, wanted; // of the axis, behind it, and of the axis in the outputs
    bool sieved;
    rml_wide wide;
} job;

static job make_job(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const int axis = rml_axis_of(args->attr->topk.axis, in->rank);
    const rml_lines lines = rml_lines_along(in, axis);
    const size_t wanted = (size_t)args->out[0].dim[axis];
    const bool sieved = in->dtype == RML_F32 && lines.inner == 1 && wanted <= MOST_SIEVED &&
                        lines.count >= LEAST_SIEVED;
    return (job){args, lines.count, lines.inner, wanted, sieved, rml_wide_of(in->dtype)};
}

// Of a worker: the keys of a row, and a heap of indices with the worst of the best on top.
static size_t worker_bytes(const rml_op_args *args)
{
    const job at = make_job(args);
    return rml_aligned_bytes(rml_sat_add(at.count, at.wanted), sizeof(uint64_t));
}

// The keys of a row of f32 side by side; 0 and -0 are one, and NaN is above everything.
static void read_keys_f32(const float *x, size_t count, uint64_t flip, uint64_t *key)
{
    for (size_t k = 0; k < count; k++) {
        const float number = x[k] + 0.0f;
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        bits ^= bits >> 31 ? UINT32_MAX : (uint32_t)1 << 31;
        key[k] = flip ^ (number != number ? UINT32_MAX : bits);
    }
}

static void read_keys(const job *at, size_t first, uint64_t *key)
{
    const uint64_t flip = at->args->attr->topk.smallest ? UINT64_MAX : 0;
    const rml_tensor *in = &at->args->in[0];
    if (in->dtype == RML_F32 && at->inner == 1) {
        read_keys_f32(in->data + first, at->count, flip, key);
        return;
    }
    if (in->dtype == RML_I64 && at->inner == 1) {
        for (size_t k = 0; k < at->count; k++)
            key[k] = flip ^ ((const uint64_t *)in->raw)[first + k] ^ (uint64_t)1 << 63;
        return;
    }
    for (size_t k = 0; k < at->count; k += RML_WIDEN_COUNT) {
        const size_t count = rml_min_size(RML_WIDEN_COUNT, at->count - k);
        rml_widen chunk;
        if (at->inner == 1)
            rml_widen_read(&at->args->in[0], first + k, count, at->wide, &chunk);
        for (size_t i = 0; i < count && at->inner > 1; i++) {
            rml_widen one;
            rml_widen_read(&at->args->in[0], first + (k + i) * at->inner, 1, at->wide, &one);
            chunk.u64[i] = one.u64[0];
        }
        rml_widen_keys(at->wide, count, &chunk);
        for (size_t i = 0; i < count; i++)
            key[k + i] = at->args->attr->topk.smallest ? ~chunk.u64[i] : chunk.u64[i];
    }
}

static bool worse(const uint64_t *key, uint64_t a, uint64_t b)
{
    return key[a] < key[b] || (key[a] == key[b] && a > b);
}

// Puts `item` where it belongs below the top of a heap of `count`.
static void sift(const uint64_t *key, uint64_t *heap, size_t count, uint64_t item)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && worse(key, heap[child + 1], heap[child]))
            child++;
        if (!worse(key, heap[child], item))
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

// The best so far of keys that come in rising order.
typedef struct best {
    uint64_t *heap;
    size_t count, wanted;
    uint64_t least; // key of the worst, once there are as many as are wanted
} best;

static void offer(best *b, const uint64_t *key, size_t begin, size_t end)
{
    size_t i = begin;
    for (; i < end && b->count < b->wanted; i++) { // up from the bottom
        size_t place = b->count++;
        for (; place > 0 && worse(key, i, b->heap[(place - 1) / 2]); place = (place - 1) / 2)
            b->heap[place] = b->heap[(place - 1) / 2];
        b->heap[place] = i;
        b->least = key[b->heap[0]];
    }
    for (; i < end; i++)
        if (key[i] > b->least) { // of an equal one the index is larger
            sift(key, b->heap, b->wanted, i);
            b->least = key[b->heap[0]];
        }
}

// ---- a sieve ------------------------------------------------------------------------------------
//
// Each lane holds the best of every LANES-th element of a row of f32: as many lanes as elements are
// wanted have one no worse than the last of their best, and what is worse than that is not looked
// at. A NaN is in no lane and always looked at. Without branches, compilers make vectors.

#define SIEVE(name, beats, none)                                                                   \
    static void fill_##name(const float *x, size_t count, float lane[LANES])                       \
    {                                                                                              \
        for (size_t k = 0; k < LANES; k++)                                                         \
            lane[k] = none;                                                                        \
        for (size_t i = 0; i + LANES <= count; i += LANES)                                         \
            for (size_t k = 0; k < LANES; k++)                                                     \
                lane[k] = x[i + k] beats lane[k] ? x[i + k] : lane[k];                             \
    }                                                                                              \
    static size_t next_##name(const float *x, size_t begin, size_t count, float bound)             \
    {                                                                                              \
        for (; begin + LANES <= count; begin += LANES) {                                           \
            int some = 0;                                                                          \
            for (size_t i = 0; i < LANES; i++)                                                     \
                some |= !(bound beats x[begin + i]);                                               \
            if (some)                                                                              \
                break;                                                                             \
        }                                                                                          \
        return begin;                                                                              \
    }

SIEVE(largest, >, -INFINITY)
SIEVE(smallest, <, INFINITY)

static void offer_sieved(const job *at, const float *x, uint64_t *key, best *b)
{
    const bool smallest = at->args->attr->topk.smallest;
    const uint64_t flip = smallest ? UINT64_MAX : 0;
    best of_lanes = *b;
    float lane[LANES];
    (smallest ? fill_smallest : fill_largest)(x, at->count, lane);
    read_keys_f32(lane, LANES, flip, key);
    offer(&of_lanes, key, 0, LANES);
    const float bound = lane[b->heap[0]];
    for (size_t i = 0, end; i < at->count; i = end) {
        i = (smallest ? next_smallest : next_largest)(x, i, at->count, bound);
        end = rml_min_size(at->count, i + LANES);
        read_keys_f32(x + i, end - i, flip, key + i);
        offer(b, key, i, end);
    }
}

// heap[0 .. wanted), not empty: the indices of the best of a row, best first.
static void select_best(const job *at, size_t first, uint64_t *key, uint64_t *heap)
{
    best b = {.heap = heap, .wanted = at->wanted};
    if (at->sieved) {
        offer_sieved(at, at->args->in[0].data + first, key, &b);
    } else {
        read_keys(at, first, key);
        offer(&b, key, 0, at->count);
    }
    for (size_t left = at->wanted; left > 1; left--) { // the worst to the end
        const uint64_t last = heap[left - 1];
        heap[left - 1] = heap[0];
        sift(key, heap, left - 1, last);
    }
}

static void topk_rows(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const rml_tensor *in = &at->args->in[0];
    const size_t bytes = rml_dtype_size(in->dtype);
    uint64_t *key = rml_op_worker(at->args, worker);
    uint64_t *heap = key + at->count;
    int64_t *where = at->args->out[1].raw;
    for (size_t i = begin; i < end; i++) {
        const size_t outer = i / at->inner * at->inner, place = i % at->inner;
        const size_t from = outer * at->count + place, to = outer * at->wanted + place;
        select_best(at, from, key, heap);
        for (size_t k = 0; k < at->wanted; k++) {
            const size_t dst = to + k * at->inner;
            memcpy((char *)at->args->out[0].raw + dst * bytes,
                   (const char *)in->raw + (from + heap[k] * at->inner) * bytes, bytes);
            where[dst] = (int64_t)heap[k];
        }
    }
}

static void run_topk(const rml_op_args *args)
{
    job at = make_job(args);
    if (at.wanted)
        rml_pool_run(args->pool, rml_tensor_count(&args->in[0]) / at.count,
                     1 + 4096 / (at.count + 1), topk_rows, &at);
}

const rml_op rml_op_topk = {.id = RML_OP_TOPK,
                            .name = "topk",
                            .inputs = {2, 2},

                            .signature = "*l>0l",
                            .infer_values = infer_topk,
                            .algorithms = RML_ONE_WAY_EACH("heap", worker_bytes, run_topk)};
