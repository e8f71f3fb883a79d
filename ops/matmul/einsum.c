// Sums of products over named dimensions, as numpy.einsum: operands are joined from left to right,
// each time by one batched matrix product of copies whose dimensions are put in order.
#include "ops/matmul/product.h"

#include "ops/elementwise/widen.h"
#include "tensor/dtype.h"
#include "tensor/size.h"

#include <string.h>

enum {
    MAX_OPERANDS = 16,
    MAX_LABELS = 24, // of one joining
    LETTERS = 52,
    ALL_LABELS = LETTERS + RML_MAX_RANK // the last ones: dimensions that "..." stands for
};

#define MOST_ELEMENTS (SIZE_MAX >> 18) // of a copy or product: its scratch can be addressed

typedef struct term {
    int rank;
    uint8_t label[MAX_LABELS];
} term;

typedef struct equation {
    int operands;
    term in[MAX_OPERANDS], out;
    int64_t size[ALL_LABELS]; // -1: not known, or in no operand
    int64_t size_of[MAX_OPERANDS][RML_MAX_RANK];
} equation;

// ---- parsing ------------------------------------------------------------------------------------

static int letter(char c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? (int)(at - letters) : -1;
}

// One term of `rank` dimensions, or the output (rank -1) with `ellipsis` dimensions for its "...".
// Returns the text behind it, or NULL.
static const char *parse_term(const char *text, int rank, int *ellipsis, term *out)
{
    int letters = 0;
    const char *at = text;
    for (; *at && *at != ',' && *at != '-'; at++)
        letters += *at != '.';
    if (rank >= 0)
        *ellipsis = strchr(text, '.') && strchr(text, '.') < at ? rank - letters : 0;
    if (letters > RML_MAX_RANK || *ellipsis < 0 || *ellipsis > RML_MAX_RANK)
        return NULL;
    bool dotted = false;
    out->rank = 0;
    while (text < at) {
        if (strncmp(text, "...", 3) == 0 && !dotted) {
            dotted = true;
            for (int i = 0; i < *ellipsis; i++)
                out->label[out->rank++] = (uint8_t)(ALL_LABELS - *ellipsis + i);
            text += 3;
        } else if (letter(*text) >= 0) {
            out->label[out->rank++] = (uint8_t)letter(*text++);
        } else {
            return NULL;
        }
    }
    return rank >= 0 && out->rank != rank ? NULL : at;
}

// Without "->": the dimensions of "...", then the letters that occur once, in order.
static void implicit_output(equation *eq, int ellipsis)
{
    int seen[ALL_LABELS] = {0};
    for (int k = 0; k < eq->operands; k++)
        for (int i = 0; i < eq->in[k].rank; i++)
            seen[eq->in[k].label[i]]++;
    eq->out.rank = 0;
    for (int i = -ellipsis; i < LETTERS && eq->out.rank < MAX_LABELS; i++)
        if (i < 0 || seen[i] == 1)
            eq->out.label[eq->out.rank++] = (uint8_t)(i < 0 ? ALL_LABELS + i : i);
}

static bool parse(const char *text, const rml_shape *in, int in_count, equation *eq)
{
    int ellipsis = 0;
    eq->operands = in_count;
    if (in_count > MAX_OPERANDS)
        return false;
    for (int k = 0; k < in_count; k++) {
        int own = 0;
        text = parse_term(text, in[k].rank, &own, &eq->in[k]);
        if (!text || (k + 1 < in_count ? *text != ',' : *text == ','))
            return false;
        ellipsis = own > ellipsis ? own : ellipsis;
        text += k + 1 < in_count;
    }
    if (!*text) {
        implicit_output(eq, ellipsis);
    } else {
        if (text[0] != '-' || text[1] != '>')
            return false;
        text = parse_term(text + 2, -1, &ellipsis, &eq->out);
        if (!text || *text)
            return false;
    }
    for (int i = 0; i < eq->out.rank; i++)
        for (int j = 0; j < i; j++)
            if (eq->out.label[i] == eq->out.label[j])
                return false;
    return eq->out.rank <= RML_MAX_RANK;
}

// Gives labels their sizes; a dimension of 1 is repeated where another operand has more.
static bool set_sizes(const rml_shape *in, equation *eq)
{
    bool known[ALL_LABELS] = {false};
    for (int i = 0; i < ALL_LABELS; i++)
        eq->size[i] = -1;
    for (int k = 0; k < eq->operands; k++)
        for (int i = 0; i < eq->in[k].rank; i++) {
            const int label = eq->in[k].label[i];
            const int64_t dim = in[k].dim[i], have = eq->size[label];
            eq->size_of[k][i] = dim;
            if (!known[label] || have == 1 || (have < 0 && dim > 1))
                eq->size[label] = dim;
            else if (dim != have && dim != 1 && dim >= 0 && have >= 0)
                return false;
            known[label] = true;
        }
    for (int i = 0; i < eq->out.rank; i++)
        if (!known[eq->out.label[i]])
            return false;
    return true;
}

// ---- joining ------------------------------------------------------------------------------------

// The labels of one joining: those in both operands and kept, in the first only, in the second
// only, and summed over; and the products of their sizes.
enum { BATCH, M, N, K, PARTS };
typedef struct joining {
    term part[PARTS];
    size_t size[PARTS];
} joining;

static bool has(const term *of, int label)
{
    return memchr(of->label, label, (size_t)of->rank) != NULL;
}

// Operand `index`, or the number 1 behind the last one.
static const term *operand(const equation *eq, int index)
{
    static const term none = {0};
    return index < eq->operands ? &eq->in[index] : &none;
}

// Joins `left` with operand `next`. False when sizes cannot be addressed.
static bool join(const equation *eq, const term *left, int next, joining *j)
{
    const term *right = operand(eq, next);
    *j = (joining){.size = {1, 1, 1, 1}};
    for (int i = 0; i < left->rank + right->rank; i++) {
        const int label = i < left->rank ? left->label[i] : right->label[i - left->rank];
        bool kept = has(&eq->out, label);
        for (int k = next + 1; k < eq->operands && !kept; k++)
            kept = has(&eq->in[k], label);
        const int part = !kept ? K : !has(left, label) ? N : has(right, label) ? BATCH : M;
        term *to = &j->part[part];
        if (has(to, label))
            continue;
        if (to->rank == MAX_LABELS ||
            !rml_size_mul(j->size[part], (size_t)eq->size[label], &j->size[part]))
            return false;
        to->label[to->rank++] = (uint8_t)label;
    }
    return true;
}

static bool elements(const joining *j, int a, int b, size_t *most)
{
    size_t count;
    if (!rml_size_mul(j->size[BATCH], j->size[a], &count) ||
        !rml_size_mul(count, j->size[b], &count) || count > MOST_ELEMENTS)
        return false;
    *most = count > *most ? count : *most;
    return true;
}

static term result_of(const joining *j)
{
    term result = {0};
    for (int p = BATCH; p <= N; p++)
        for (int i = 0; i < j->part[p].rank && result.rank < MAX_LABELS; i++)
            result.label[result.rank++] = j->part[p].label[i];
    return result;
}

// The type that copies and products are in. Integers wrap, so that theirs is as good as a wider
// one.
static rml_dtype work_dtype(rml_dtype dtype)
{
    return rml_dtype_is_half(dtype) ? RML_F32 : dtype;
}

static rml_product product_of(const joining *j, rml_dtype dtype, void *a, void *b, void *y)
{
    const int64_t batch = (int64_t)j->size[BATCH], m = (int64_t)j->size[M], n = (int64_t)j->size[N],
                  k = (int64_t)j->size[K];
    return (rml_product){.a = rml_tensor_typed(a, dtype, &(rml_shape){3, {batch, m, k}}),
                         .b = rml_tensor_typed(b, dtype, &(rml_shape){3, {batch, k, n}}),
                         .y = rml_tensor_typed(y, dtype, &(rml_shape){3, {batch, m, n}})};
}

// Bytes of the copies of first and second operands, of the products, and of the products' scratch.
// False when they are too many. Without `args` that is all it tells.
static bool plan(const equation *eq, const rml_op_args *args, size_t bytes[4])
{
    const rml_dtype dtype = args ? work_dtype(args->out[0].dtype) : RML_F64;
    term left = eq->in[0];
    size_t most[3] = {1, 1, 1}, scratch = 0;
    for (int next = 1; next == 1 || next < eq->operands; next++) { // also for one operand
        joining j;
        if (!join(eq, &left, next, &j) || !elements(&j, M, K, &most[0]) ||
            !elements(&j, K, N, &most[1]) || !elements(&j, M, N, &most[2]))
            return false;
        const rml_product product = product_of(&j, dtype, NULL, NULL, NULL);
        const size_t own = args ? rml_product_scratch(args, &product) : 0;
        scratch = own > scratch ? own : scratch;
        left = result_of(&j);
    }
    for (int i = 0; i < 3; i++)
        bytes[i] = rml_aligned_bytes(most[i], rml_dtype_size(dtype));
    bytes[3] = scratch;
    return true;
}

// ---- the operator -------------------------------------------------------------------------------

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const char *text = node->attr->einsum.equation;
    equation eq = {0};
    if (!parse(text, node->shape, node->in_count, &eq) || !set_sizes(node->shape, &eq))
        return rml_fail(err, RML_ERR_SHAPE, "equation \"%.100s\" does not fit the %d inputs", text,
                        node->in_count);
    out->rank = eq.out.rank;
    for (int i = 0; i < eq.out.rank; i++)
        out->dim[i] = eq.size[eq.out.label[i]];
    size_t bytes[4];
    for (int k = 0; k < node->in_count; k++)
        if (!rml_shape_known(&node->shape[k]))
            return RML_OK;
    if (!plan(&eq, NULL, bytes))
        return rml_fail(err, RML_ERR_LIMIT, "equation \"%.100s\" makes too large tensors", text);
    return RML_OK;
}

static equation equation_of(const rml_op_args *args)
{
    rml_shape in[MAX_OPERANDS];
    equation eq = {0};
    for (int k = 0; k < args->in_count; k++)
        in[k] = rml_tensor_shape(&args->in[k]);
    parse(args->attr->einsum.equation, in, args->in_count, &eq);
    set_sizes(in, &eq);
    return eq;
}

static size_t scratch_bytes(const rml_op_args *args)
{
    const equation eq = equation_of(args);
    size_t bytes[4] = {0};
    plan(&eq, args, bytes);
    return rml_sat_add(rml_sat_add(bytes[0], bytes[1]), rml_sat_add(bytes[2], bytes[3]));
}

// ---- copies with the dimensions in another order ------------------------------------------------

typedef struct copy_job {
    const char *src;
    char *dst; // plain
    rml_dtype from, to;
    int rank; // at least 1
    int64_t dim[MAX_LABELS + 1], stride[MAX_LABELS + 1];
} copy_job;

static void copy_runs(void *context, size_t begin, size_t end, int worker)
{
    const copy_job *job = context;
    const int last = job->rank - 1;
    const size_t run = (size_t)job->dim[last];
    const size_t from = rml_dtype_size(job->from), to = rml_dtype_size(job->to);
    const int64_t step = job->stride[last];
    (void)worker;
    for (size_t item = begin; item < end; item++) {
        size_t rest = item;
        int64_t at = 0;
        for (int i = last - 1; i >= 0; i--) {
            at += (int64_t)(rest % (size_t)job->dim[i]) * job->stride[i];
            rest /= (size_t)job->dim[i];
        }
        const char *src = job->src + at * (int64_t)from;
        char *dst = job->dst + item * run * to;
        if (job->from == RML_F32 && job->to == RML_F32) {
            for (size_t i = 0; i < run; i++)
                ((float *)(void *)dst)[i] = ((const float *)(const void *)src)[(int64_t)i * step];
            continue;
        }
        const rml_wide wide = rml_wide_of(job->to);
        for (size_t k = 0, some; k < run; k += some) {
            rml_widen chunk;
            some = rml_min_size(RML_WIDEN_COUNT, run - k);
            rml_widen_load(job->from, src, step, k, some, wide, &chunk);
            rml_widen_store(job->to, dst, 1, k, some, wide, &chunk);
        }
    }
}

// Copies a value whose dimensions are `of`, of the given sizes and strides, to those of the parts
// of `order` one after another.
static void copy_ordered(const rml_op_args *args, const equation *eq, const term *of,
                         const int64_t *size, const int64_t *stride, const term *order,
                         const int *part, int parts, copy_job *job)
{
    size_t count = 1;
    job->rank = 1; // one of size 1 in front, for what has no dimensions
    job->dim[0] = job->stride[0] = 1;
    for (int p = 0; p < parts; p++)
        for (int i = 0; i < order[part[p]].rank; i++) {
            const int label = order[part[p]].label[i];
            int64_t step = 0; // a label that comes twice is the diagonal
            for (int d = 0; d < of->rank; d++)
                if (of->label[d] == label && size[d] != 1)
                    step += stride[d];
            count *= (size_t)job->dim[job->rank - 1];
            job->dim[job->rank] = eq->size[label];
            job->stride[job->rank++] = step;
        }
    if (job->dim[job->rank - 1] > 0)
        rml_pool_run(args->pool, count, 64, copy_runs, job);
}

static void plain_strides(const equation *eq, const term *of, int64_t *size, int64_t *stride)
{
    int64_t step = 1;
    for (int i = of->rank - 1; i >= 0; i--) {
        size[i] = eq->size[of->label[i]];
        stride[i] = step;
        step = (int64_t)((uint64_t)step * (uint64_t)size[i]); // of nothing it may not fit
    }
}

static void run(const rml_op_args *args)
{
    static const int first_order[] = {BATCH, M, K}, second_order[] = {BATCH, K, N};
    const equation eq = equation_of(args);
    size_t bytes[4] = {0};
    const rml_dtype dtype = args->out[0].dtype, work = work_dtype(dtype);
    plan(&eq, args, bytes);
    char *first = args->scratch, *second = first + bytes[0], *sums = second + bytes[1];
    const double one = 1;
    int64_t size[MAX_LABELS], stride[MAX_LABELS];
    term left = eq.in[0];
    copy_job source = {.src = args->in[0].raw, .dst = first, .from = dtype, .to = work};
    memcpy(size, eq.size_of[0], sizeof eq.size_of[0]);
    memcpy(stride, args->in[0].stride, sizeof args->in[0].stride);
    for (int next = 1; next == 1 || next < eq.operands; next++) {
        joining j;
        join(&eq, &left, next, &j);
        copy_ordered(args, &eq, &left, size, stride, j.part, first_order, 3, &source);
        copy_job job = {.src = (const char *)&one, .dst = second, .from = RML_F64, .to = work};
        if (next < eq.operands) { // else the number 1, everywhere
            job.src = args->in[next].raw;
            job.from = dtype;
        }
        copy_ordered(args, &eq, operand(&eq, next), eq.size_of[next],
                     args->in[next < eq.operands ? next : 0].stride, j.part, second_order, 3, &job);
        const rml_product product = product_of(&j, work, first, second, sums);
        rml_product_run(args, &product, sums + bytes[2]);
        left = result_of(&j);
        plain_strides(&eq, &left, size, stride);
        source.src = sums;
        source.from = work;
    }
    source.dst = args->out[0].raw;
    source.to = dtype;
    copy_ordered(args, &eq, &left, size, stride, &eq.out, first_order, 1, &source);
}

const rml_op rml_op_einsum = {.name = "einsum",
                              .inputs = {1, -1},
                              .signature = "*0>0",
                              .infer = infer,
                              .algorithms = RML_ONE_WAY_IN("products", scratch_bytes, run)};
