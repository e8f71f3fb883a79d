// Linear attention: instead of keys and values, a matrix of state a head is kept, into which each
// step writes and from which each query reads.
//   q [B,T,H*D]   k [B,T,G*D]   v [B,T,G*E]   state [B,G,D,E], optional: zeros
//   decay [B,T,G] or [B,T,G*D], its logarithm   rate [B,T,G] or [B,T,1]
//   ->  y [B,T,H*E]   state behind the last step [B,G,D,E]
// A step makes  S = exp(decay) S;  S = S + k (rate (v - S^T k))^T;  y = scale S^T q  where the rule
// has decay and correction; without correction v itself is written. Computed in double.
#include "ops/op.h"

#include "ops/elementwise/widen.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, STATE, DECAY, RATE };

static int outputs(const rml_op_attr *attr)
{
    (void)attr;
    return 2;
}

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    static const rml_op floats = {.signature = "r>0"};
    RML_TRY(rml_op_types(&floats, node, out, err));
    out[1] = rml_op_given(node, STATE) ? node->in[STATE].dtype : node->in[Q].dtype;
    return RML_OK;
}

static int64_t part(int64_t whole, int64_t parts)
{
    return whole < 0 ? -1 : whole / parts;
}

static bool rows_fit(const rml_shape *a, const rml_shape *q, int64_t parts)
{
    return a->rank == 3 && rml_dims_agree(a->dim[0], q->dim[0]) &&
           rml_dims_agree(a->dim[1], q->dim[1]) && (a->dim[2] < 0 || a->dim[2] % parts == 0);
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_linear_attention_attr *at = &node->attr->linear_attention;
    const rml_shape *q = &node->shape[Q];
    const bool decays = at->rule == RML_FADING_GATED || at->rule == RML_FADING_GATED_DELTA;
    const bool corrects = at->rule == RML_FADING_DELTA || at->rule == RML_FADING_GATED_DELTA;
    char text[RML_SHAPE_TEXT_BYTES];
    if (at->heads < 1 || at->key_heads < 1 || at->heads % at->key_heads != 0)
        return rml_fail(err, RML_ERR_SHAPE, "%lld heads share %lld of keys", (long long)at->heads,
                        (long long)at->key_heads);
    bool fits = rows_fit(q, q, at->heads) && rows_fit(&node->shape[K], q, at->key_heads) &&
                rows_fit(&node->shape[V], q, at->key_heads);
    if (!fits || decays != rml_op_given(node, DECAY) || corrects != rml_op_given(node, RATE))
        return rml_fail(err, RML_ERR_SHAPE,
                        "queries %s do not fit keys and values, or the rule its inputs",
                        rml_shape_text(q, text));
    const int64_t depth = part(q->dim[2], at->heads),
                  width = part(node->shape[V].dim[2], at->key_heads);
    fits = rml_dims_agree(part(node->shape[K].dim[2], at->key_heads), depth);
    if (decays && fits)
        fits = rows_fit(&node->shape[DECAY], q, at->key_heads) &&
               (node->shape[DECAY].dim[2] == at->key_heads ||
                rml_dims_agree(part(node->shape[DECAY].dim[2], at->key_heads), depth));
    if (corrects && fits)
        fits = rows_fit(&node->shape[RATE], q, 1) &&
               (node->shape[RATE].dim[2] == 1 ||
                rml_dims_agree(node->shape[RATE].dim[2], at->key_heads));
    const rml_shape state = {4, {q->dim[0], at->key_heads, depth, width}};
    if (rml_op_given(node, STATE) && fits)
        fits = rml_shapes_agree(&node->shape[STATE], &state);
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "state, decay or rate do not fit a state of %s",
                        rml_shape_text(&state, text));
    out[0] = *q;
    if (width > 0 && at->heads > INT64_MAX / width)
        return rml_fail(err, RML_ERR_LIMIT, "too many heads");
    out[0].dim[2] = width < 0 ? -1 : width * at->heads;
    out[1] = state;
    return RML_OK;
}

typedef struct linear_job {
    const rml_op_args *args;
    size_t heads, key_heads, steps, depth, width;
    double scale;
} linear_job;

static linear_job job_of(const rml_op_args *args)
{
    const rml_linear_attention_attr *at = &args->attr->linear_attention;
    linear_job job = {.args = args,
                      .heads = (size_t)at->heads,
                      .key_heads = (size_t)at->key_heads,
                      .steps = (size_t)args->in[Q].dim[1]};
    job.depth = (size_t)args->in[Q].dim[2] / job.heads;
    job.width = (size_t)args->in[V].dim[2] / job.key_heads;
    job.scale = at->scale != 0 ? at->scale : 1 / sqrt((double)job.depth);
    return job;
}

// The state; a query or key and its decay; a value and what is read.
static size_t worker_bytes(const rml_op_args *args)
{
    const linear_job job = job_of(args);
    return rml_aligned_bytes(
        rml_sat_add(rml_sat_mul(job.depth, job.width), 2 * job.depth + 2 * job.width),
        sizeof(double));
}

// into[e] = sum over d of state[d][e] * by[d]
static void read_state(const linear_job *job, const double *state, const double *by, double *into)
{
    memset(into, 0, job->width * sizeof *into);
    for (size_t d = 0; d < job->depth; d++)
        for (size_t e = 0; e < job->width; e++)
            into[e] += state[d * job->width + e] * by[d];
}

static void fade(const linear_job *job, size_t row, size_t head, double *state, double *decay)
{
    const rml_tensor *in = &job->args->in[DECAY];
    const size_t each = (size_t)in->dim[2] == job->key_heads ? 1 : job->depth;
    rml_read_f64(in, (row * job->key_heads + head) * each, decay, each);
    for (size_t d = 0; d < job->depth; d++) {
        const double factor = exp(decay[each == 1 ? 0 : d]);
        for (size_t e = 0; e < job->width; e++)
            state[d * job->width + e] *= factor;
    }
}

static void run_step(const linear_job *job, size_t row, size_t head, double *state)
{
    const rml_op_args *args = job->args;
    const rml_fading_rule rule = args->attr->linear_attention.rule;
    double *k = state + job->depth * job->width, *decay = k + job->depth;
    double *v = decay + job->depth, *read = v + job->width;
    if (rule == RML_FADING_GATED || rule == RML_FADING_GATED_DELTA)
        fade(job, row, head, state, decay);
    rml_read_f64(&args->in[K], (row * job->key_heads + head) * job->depth, k, job->depth);
    rml_read_f64(&args->in[V], (row * job->key_heads + head) * job->width, v, job->width);
    if (rule == RML_FADING_DELTA || rule == RML_FADING_GATED_DELTA) {
        const size_t rates = (size_t)args->in[RATE].dim[2];
        double rate;
        rml_read_f64(&args->in[RATE], row * rates + (rates == 1 ? 0 : head), &rate, 1);
        read_state(job, state, k, read);
        for (size_t e = 0; e < job->width; e++)
            v[e] = rate * (v[e] - read[e]);
    }
    for (size_t d = 0; d < job->depth; d++)
        for (size_t e = 0; e < job->width; e++)
            state[d * job->width + e] += k[d] * v[e];
    const size_t group = job->heads / job->key_heads;
    for (size_t h = head * group; h < (head + 1) * group; h++) {
        rml_read_f64(&args->in[Q], (row * job->heads + h) * job->depth, k, job->depth);
        read_state(job, state, k, read);
        for (size_t e = 0; e < job->width; e++)
            read[e] *= job->scale;
        rml_write_f64(&args->out[0], (row * job->heads + h) * job->width, read, job->width);
    }
}

static void run_heads(void *context, size_t begin, size_t end, int worker)
{
    const linear_job *job = context;
    const rml_op_args *args = job->args;
    const size_t count = job->depth * job->width;
    double *state = rml_op_worker(args, worker);
    for (size_t item = begin; item < end; item++) {
        memset(state, 0, count * sizeof *state);
        if (rml_op_input(args, STATE))
            rml_read_f64(&args->in[STATE], item * count, state, count);
        for (size_t t = 0; t < job->steps; t++)
            run_step(job, item / job->key_heads * job->steps + t, item % job->key_heads, state);
        rml_write_f64(&args->out[1], item * count, state, count);
    }
}

static void run(const rml_op_args *args)
{
    linear_job job = job_of(args);
    if (!rml_tensor_count(&args->out[0]) && !rml_tensor_count(&args->out[1]))
        return; // however many heads there are of nothing
    rml_pool_run(args->pool, (size_t)args->in[Q].dim[0] * job.key_heads, 1, run_heads, &job);
}

const rml_op rml_op_linear_attention = {.id = RML_OP_LINEAR_ATTENTION,
                                        .name = "linear_attention",
                                        .inputs = {3, 6},
                                        .outputs = outputs,
                                        .types = types,
                                        .infer = infer,
                                        .algorithms = RML_ONE_WAY_EACH("steps", worker_bytes, run)};
