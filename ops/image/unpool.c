// Puts elements back where max pooling found them, zeros elsewhere.
//   x [N,C,...] of any type   where [N,C,...] of i64, places in the image that was pooled, counted
//   over all images and channels   size [rank] of i64, optional: of the output, if it is not what
//   the windows tell   y [N,C,...]
// Source: ONNX MaxUnpool; torch.nn.MaxUnpool2d.
#include "ops/conv/window.h"
#include "ops/index/list.h"

#include "tensor/size.h"

#include <string.h>

enum { X, WHERE, SIZE };

// Where element `place` of an image of one shape lies in one of another, to *at (may be NULL).
// False: it does not.
static bool lies_in(const rml_shape *pooled, size_t place, const rml_shape *out, size_t *at)
{
    int64_t index[RML_MAX_RANK], to = 0;
    rml_sizes_seek(pooled->dim, pooled->rank, place, index);
    for (int d = 0; d < pooled->rank; d++) {
        if (index[d] >= out->dim[d])
            return false;
        to = to * out->dim[d] + index[d];
    }
    if (at)
        *at = (size_t)to;
    return true;
}

// The image that was pooled, if its size is known.
static rml_status pooled_shape(const rml_unpool_attr *unpool, const rml_shape *x, rml_shape *shape,
                               rml_error *err)
{
    rml_shape any = *x;
    rml_window w;
    for (int i = 2; i < any.rank; i++)
        any.dim[i] = -1;
    RML_TRY(rml_window_make(&unpool->window, &any, NULL, &w, err));
    *shape = *x;
    for (int i = 0; i < w.rank; i++) {
        int64_t size;
        if (x->dim[i + 2] < 0)
            continue;
        if (!rml_i64_mul(x->dim[i + 2] > 0 ? x->dim[i + 2] - 1 : 0, w.stride[i], &size) ||
            size > (int64_t)1 << 62)
            return rml_fail(err, RML_ERR_LIMIT, "axis %d: the output is too large", i + 2);
        size += w.kernel[i] - w.before[i] - w.after[i];
        if (size < 0)
            return rml_fail(err, RML_ERR_SHAPE, "axis %d: size %lld gives an output of %lld", i + 2,
                            (long long)x->dim[i + 2], (long long)size);
        shape->dim[i + 2] = x->dim[i + 2] == 0 ? 0 : size;
    }
    return RML_OK;
}

// Refuses places outside of the image that was pooled or of the output.
static rml_status check_places(const rml_fact *where, const rml_shape *pooled, const rml_shape *out,
                               rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    size_t count, places;
    if (!where->data || !rml_shape_known(pooled) || !rml_shape_known(out) ||
        !rml_shape_count(&where->shape, &count) || !rml_shape_count(pooled, &places))
        return RML_OK;
    for (size_t i = 0; i < count; i++) {
        const int64_t place = ((const int64_t *)where->data)[i];
        if (place < 0 || (uint64_t)place >= places || !lies_in(pooled, (size_t)place, out, NULL))
            return rml_fail(err, RML_ERR_SHAPE, "index %lld is outside of output %s",
                            (long long)place, rml_shape_text(out, text));
    }
    return RML_OK;
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    const rml_shape *x = &node->in[X].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    *out = (rml_shape){.rank = RML_RANK_UNKNOWN};
    if (x->rank == RML_RANK_UNKNOWN || node->in[WHERE].shape.rank == RML_RANK_UNKNOWN)
        return RML_OK;
    bool fits = x->rank >= 3 && node->in[WHERE].shape.rank == x->rank;
    for (int i = 0; i < x->rank && fits; i++)
        fits = x->dim[i] < 0 || node->in[WHERE].shape.dim[i] < 0 ||
               x->dim[i] == node->in[WHERE].shape.dim[i];
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s and the places %s", rml_shape_text(x, a),
                        rml_shape_text(&node->in[WHERE].shape, b));
    RML_TRY(pooled_shape(&node->attr->unpool, x, out, err));
    const rml_shape pooled = *out;
    rml_list size;
    RML_TRY(rml_list_infer(node, SIZE, "the output's sizes", &size, err));
    if (size.count >= 0 && size.given && size.count != x->rank)
        return rml_fail(err, RML_ERR_SHAPE, "%d sizes of the output for input %s", size.count,
                        rml_shape_text(x, b));
    for (int i = 0; i < x->rank && size.given; i++) {
        out->dim[i] = size.known ? size.at[i] : -1;
        if (size.known && size.at[i] < 0)
            return rml_fail(err, RML_ERR_SHAPE, "the output's size is negative");
    }
    return check_places(&node->in[WHERE], &pooled, out, err);
}

// On one thread: any element may go anywhere, and of two that go to one place the later one stays.
static void run(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[X], *out = &args->out[0];
    const rml_shape shape = rml_tensor_shape(x), result = rml_tensor_shape(out);
    const size_t bytes = rml_dtype_size(x->dtype), count = rml_tensor_count(x);
    const int64_t *where = args->in[WHERE].raw;
    rml_shape pooled;
    memset(out->raw, 0, rml_tensor_count(out) * bytes);
    if (pooled_shape(&args->attr->unpool, &shape, &pooled, NULL) != RML_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        size_t to;
        if (lies_in(&pooled, (size_t)where[i], &result, &to))
            memcpy((char *)out->raw + to * bytes, (const char *)x->raw + i * bytes, bytes);
    }
}

const rml_op rml_op_unpool = {.id = RML_OP_UNPOOL,
                              .name = "unpool",
                              .inputs = {2, 3},
                              .checks_elements = true,
                              .signature = "*l>0",
                              .infer_values = infer,
                              .algorithms = RML_ONE_WAY("scatter", run)};
