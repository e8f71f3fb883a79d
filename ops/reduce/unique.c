// What is different among elements, or among slices along an axis. How many there are only a run
// tells, so the outputs have room for all n and a count of 0 behind the last:
//   first [n]    where the first of each kind was; 0 behind the last
//   place [n]    for each element or slice, which kind it is
//   count [n]    how many there are of each kind
// NaN is one kind, and so are 0 and -0.
#include "ops/elementwise/widen.h"
#include "ops/index/list.h"

#include "tensor/size.h"

#include <string.h>

static rml_status infer_unique(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->shape[0];
    size_t count;
    int axis;
    out[0] = (rml_shape){1, {-1}};
    if (node->attr->unique.flat) {
        out[0].dim[0] = rml_shape_count(x, &count) ? (int64_t)count : -1;
    } else {
        RML_TRY(rml_axis_check(node->attr->unique.axis, x, &axis, err));
        out[0].dim[0] = x->dim[axis];
    }
    out[1] = out[2] = out[0];
    return RML_OK;
}

typedef struct job {
    rml_lines lines;
    const uint64_t *key; // of all elements
} job;

static rml_lines lines_of(const rml_op_args *args)
{
    const rml_unique_attr *attr = &args->attr->unique;
    const rml_tensor *in = &args->in[0];
    return attr->flat ? (rml_lines){1, rml_tensor_count(in), 1}
                      : rml_lines_along(in, rml_axis_of(attr->axis, in->rank));
}

static size_t scratch_bytes(const rml_op_args *args)
{
    return rml_sat_mul(
        rml_sat_add(rml_tensor_count(&args->in[0]), rml_sat_mul(2, lines_of(args).count)),
        sizeof(uint64_t));
}

static int compare(const job *at, uint64_t a, uint64_t b)
{
    for (size_t o = 0; o < at->lines.outer; o++) {
        const uint64_t *x = at->key + (o * at->lines.count + a) * at->lines.inner;
        const uint64_t *y = at->key + (o * at->lines.count + b) * at->lines.inner;
        for (size_t i = 0; i < at->lines.inner; i++)
            if (x[i] != y[i])
                return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

// Merges from the bottom up, so that equal ones stay in order. Returns where the result lies.
static uint64_t *sort(const job *at, uint64_t *order, uint64_t *other)
{
    for (size_t i = 0; i < at->lines.count; i++)
        order[i] = i;
    for (size_t width = 1; width < at->lines.count; width *= 2) {
        for (size_t begin = 0; begin < at->lines.count; begin += 2 * width) {
            const size_t middle = rml_min_size(begin + width, at->lines.count);
            const size_t end = rml_min_size(begin + 2 * width, at->lines.count);
            size_t a = begin, b = middle;
            for (size_t k = begin; k < end; k++)
                other[k] = b >= end || (a < middle && compare(at, order[a], order[b]) <= 0)
                               ? order[a++]
                               : order[b++];
        }
        uint64_t *swap = order;
        order = other;
        other = swap;
    }
    return order;
}

static void run_unique(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0];
    const size_t total = rml_tensor_count(in);
    const rml_wide wide = rml_wide_of(in->dtype);
    job at = {.lines = lines_of(args)};
    uint64_t *key = (uint64_t *)args->scratch, *one = key + total, *two = one + at.lines.count;
    int64_t *first = args->out[0].raw, *place = args->out[1].raw, *count = args->out[2].raw;
    for (size_t i = 0, n; i < total; i += n) {
        rml_widen chunk;
        n = rml_min_size(RML_WIDEN_COUNT, total - i);
        rml_widen_read(in, i, n, wide, &chunk);
        rml_widen_keys(wide, n, &chunk);
        memcpy(key + i, &chunk, n * sizeof *key);
    }
    at.key = key;
    const uint64_t *order = sort(&at, one, two);
    uint64_t *leader = order == one ? two : one; // of each element, the first of its kind
    for (size_t k = 0; k < at.lines.count; k++)
        leader[order[k]] =
            k && compare(&at, order[k - 1], order[k]) == 0 ? leader[order[k - 1]] : order[k];
    size_t kinds = 0;
    for (size_t k = 0; k < at.lines.count; k++)
        first[k] = count[k] = 0;
    for (size_t k = 0; k < at.lines.count; k++) { // leaders come before the others either way
        const uint64_t i = args->attr->unique.sorted ? order[k] : k;
        if (leader[i] == i) {
            first[kinds] = (int64_t)i;
            place[i] = (int64_t)kinds++;
        }
        place[i] = place[leader[i]];
        count[place[i]]++;
    }
}

const rml_op rml_op_unique = {.id = RML_OP_UNIQUE,
                              .name = "unique",
                              .inputs = {1, 1},

                              .signature = "*>lll",
                              .infer = infer_unique,
                              .algorithms = RML_ONE_WAY_IN("sort", scratch_bytes, run_unique)};
