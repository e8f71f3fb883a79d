// Rotary embedding: pairs of elements of each head are turned by angles that depend on the place.
//   x [B,H,L,D] or [B,L,H*D]   cosines and sines [B,L,R/2], or [places,R/2] with places i64 [B,L]
// The first R elements of a head are turned (0: all D). Computed in double.
#include "ops/op.h"

#include "ops/elementwise/widen.h"

#include <string.h>

enum { X, COSINES, SINES, PLACES };

// Sizes; -1 where unknown.
typedef struct rotary_dims {
    int64_t batch, heads, length, depth, rotated;
} rotary_dims;

static bool dims_of(const rml_rotary_attr *rotary, const rml_shape *x, rotary_dims *d)
{
    if (rotary->heads == 0 && x->rank == 4)
        *d = (rotary_dims){x->dim[0], x->dim[1], x->dim[2], x->dim[3], 0};
    else if (rotary->heads > 0 && x->rank == 3)
        *d = (rotary_dims){x->dim[0], rotary->heads, x->dim[1],
                           x->dim[2] < 0 ? -1 : x->dim[2] / rotary->heads, 0};
    else
        return false;
    d->rotated = rotary->rotated ? rotary->rotated : d->depth;
    if (x->rank == 3 && x->dim[2] >= 0 && x->dim[2] % rotary->heads != 0)
        return false;
    return d->depth < 0 || (d->rotated >= 0 && d->rotated <= d->depth && d->rotated % 2 == 0);
}

static rml_status check_places(const rml_fact *places, const rml_shape *table, rml_error *err)
{
    size_t count;
    if (!places->data || table->dim[0] < 0 || !rml_shape_count(&places->shape, &count))
        return RML_OK;
    for (size_t i = 0; i < count; i++) {
        const int64_t place = ((const int64_t *)places->data)[i];
        if (place < 0 || place >= table->dim[0])
            return rml_fail(err, RML_ERR_SHAPE, "place %lld of %lld", (long long)place,
                            (long long)table->dim[0]);
    }
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *x = &node->in[X].shape, *table = &node->in[COSINES].shape;
    const bool placed = rml_op_given(node, PLACES);
    rotary_dims d;
    *out = *x;
    for (int k = 0; k < node->in_count; k++)
        if (node->in[k].shape.rank == RML_RANK_UNKNOWN)
            return RML_OK;
    bool fits = dims_of(&node->attr->rotary, x, &d) && table->rank == (placed ? 2 : 3) &&
                rml_shapes_agree(table, &node->in[SINES].shape);
    if (fits)
        fits = rml_dims_agree(table->dim[table->rank - 1], d.rotated < 0 ? -1 : d.rotated / 2);
    const rml_shape *rows = placed ? &node->in[PLACES].shape : table;
    fits = fits && rows->rank >= 2 && rml_dims_agree(rows->dim[0], d.batch) &&
           rml_dims_agree(rows->dim[1], d.length);
    if (!fits || (placed && rows->rank != 2))
        return rml_fail(err, RML_ERR_SHAPE, "angles %s do not fit input %s",
                        rml_shape_text(table, a), rml_shape_text(x, b));
    return placed ? check_places(&node->in[PLACES], table, err) : RML_OK;
}

typedef struct rotary_job {
    const rml_op_args *args;
    size_t heads, length, depth, half;
    bool heads_last; // x is [B,L,H*D]
} rotary_job;

// Row of the tables for a place in a sequence.
static size_t table_row(const rml_op_args *args, size_t batch_place)
{
    if (!rml_op_input(args, PLACES))
        return batch_place;
    const int64_t last = args->in[COSINES].dim[0] - 1;
    const int64_t place = ((const int64_t *)args->in[PLACES].raw)[batch_place];
    return (size_t)(place < 0 || last < 0 ? 0 : place > last ? last : place);
}

static void run_rows(void *context, size_t begin, size_t end, int worker)
{
    const rotary_job *job = context;
    const rml_op_args *args = job->args;
    const rml_tensor *x = &args->in[X], *y = &args->out[0];
    const bool interleaved = args->attr->rotary.interleaved;
    const size_t bytes = rml_dtype_size(x->dtype);
    (void)worker;
    for (size_t row = begin; row < end; row++) {
        const size_t batch = row / (job->heads * job->length),
                     rest = row % (job->heads * job->length);
        const size_t place = job->heads_last ? rest / job->heads : rest % job->length;
        const size_t angles = table_row(args, batch * job->length + place) * job->half;
        const size_t start = row * job->depth;
        memcpy((char *)y->raw + start * bytes, (const char *)x->raw + start * bytes,
               job->depth * bytes);
        for (size_t i = 0; i < job->half; i++) {
            const size_t first = start + (interleaved ? 2 * i : i);
            const size_t second = interleaved ? first + 1 : first + job->half;
            const double c = rml_number_f64(&args->in[COSINES], angles + i);
            const double s = rml_number_f64(&args->in[SINES], angles + i);
            const double a = rml_number_f64(x, first), b = rml_number_f64(x, second);
            const double turned[2] = {c * a - s * b, s * a + c * b};
            rml_write_f64(y, first, &turned[0], 1);
            rml_write_f64(y, second, &turned[1], 1);
        }
    }
}

static void run(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[X];
    const rml_shape shape = rml_tensor_shape(x);
    rotary_dims d;
    if (!dims_of(&args->attr->rotary, &shape, &d) || rml_tensor_count(x) == 0)
        return;
    rotary_job job = {.args = args,
                      .heads = (size_t)d.heads,
                      .length = (size_t)d.length,
                      .depth = (size_t)d.depth,
                      .half = (size_t)d.rotated / 2,
                      .heads_last = x->rank == 3};
    if (rml_tensor_count(&args->in[COSINES]) == 0)
        job.half = 0;
    rml_pool_run(args->pool, (size_t)d.batch * job.heads * job.length, 16, run_rows, &job);
}

const rml_op rml_op_rotary = {.id = RML_OP_ROTARY,
                              .name = "rotary",
                              .inputs = {3, 4},
                              .checks_elements = true,
                              .signature = "r00l>0",
                              .infer_values = infer,
                              .algorithms = RML_ONE_WAY("rows", run)};
