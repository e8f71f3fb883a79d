#include "engine/binding.h"

#include "tensor/size.h"

#include <math.h>
#include <string.h>

enum { PIECE = 256, TASK = 1 << 14 }; // elements converted at a time, and given to a worker

// Strides in bytes of a tensor in C order. Beside a dimension of 0 they may be more than there can
// be, and are of no use.
static void plain_strides(rml_dtype dtype, const rml_shape *shape, int64_t *stride)
{
    int64_t bytes = (int64_t)rml_dtype_size(dtype);
    for (int k = shape->rank - 1; k >= 0; k--) {
        stride[k] = bytes;
        if (!rml_i64_mul(bytes, shape->dim[k], &bytes))
            bytes = INT64_MAX;
    }
}

size_t rml_view_bytes(const rml_tensor_view *view, const rml_shape *shape)
{
    size_t end = rml_dtype_size(view->dtype), count, step;
    if (!rml_shape_count(shape, &count))
        return SIZE_MAX;
    if (count == 0 || view->rank == 0)
        return count * end;
    for (int k = 0; k < shape->rank; k++)
        if (!rml_size_mul((size_t)(shape->dim[k] - 1), (size_t)view->stride[k], &step) ||
            !rml_size_add(end, step, &end))
            return SIZE_MAX;
    return end;
}

bool rml_binding_is_direct(const rml_binding *bound, rml_dtype dtype, const rml_shape *shape)
{
    int64_t plain[RML_MAX_RANK] = {0};
    const rml_tensor_view *view = &bound->view;
    if (view->dtype != dtype || view->channels ||
        (uintptr_t)view->data % rml_dtype_size(dtype) != 0)
        return false;
    plain_strides(dtype, shape, plain);
    for (int k = 0; k < view->rank; k++)
        if (shape->dim[k] > 1 && view->stride[k] != plain[k])
            return false;
    return true;
}

// ---- copying ------------------------------------------------------------------------------------

typedef struct copying {
    const rml_binding *bound;
    const rml_tensor *inside;
    int64_t stride[RML_MAX_RANK]; // bytes, of the view
    int64_t first[RML_MAX_RANK];  // place of the inside's first element in the port
    char *outside;
    bool store; // to the view; else from it
} copying;

// Part of a row, of which elements lie `step` bytes apart outside.
typedef struct part {
    char *inside, *outside;
    size_t step, count;
    size_t channel; // whose factors it has, where `along` is not set: then each element has its own
    bool along;
} part;

// Moves elements that lie `step` bytes apart on either side.
static void move(size_t element, char *dst, size_t dst_step, const char *src, size_t src_step,
                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        switch (element) { // constant sizes become loads and stores
        case 1:
            dst[i * dst_step] = src[i * src_step];
            break;
        case 2:
            memcpy(dst + i * dst_step, src + i * src_step, 2);
            break;
        case 4:
            memcpy(dst + i * dst_step, src + i * src_step, 4);
            break;
        default:
            memcpy(dst + i * dst_step, src + i * src_step, 8);
        }
}

// The integer that stands for 1.
static float full_of(rml_dtype dtype)
{
    return dtype == RML_U8 ? UINT8_MAX : UINT16_MAX;
}

// Gathered, converted, scaled, in pieces that stay in the first cache.
static void load_row(const copying *c, const part *r)
{
    _Alignas(8) char piece[PIECE * 8];
    float floats[PIECE];
    const rml_tensor_view *view = &c->bound->view;
    const float *scale = c->bound->factors, *bias = scale + view->channels;
    const size_t from = rml_dtype_size(view->dtype), to = rml_dtype_size(c->inside->dtype);
    for (size_t at = 0; at < r->count; at += PIECE) {
        const size_t n = rml_min_size(PIECE, r->count - at);
        char *out = r->inside + at * to;
        move(from, piece, from, r->outside + at * r->step, r->step, n);
        if (!view->channels && !view->normalize) {
            rml_dtype_convert(view->dtype, piece, c->inside->dtype, out, n);
            continue;
        }
        rml_dtype_convert(view->dtype, piece, RML_F32, floats, n);
        for (size_t i = 0; i < n && view->normalize; i++)
            floats[i] /= full_of(view->dtype);
        for (size_t i = 0; i < n && view->channels && r->along; i++)
            floats[i] = floats[i] * scale[at + i] + bias[at + i];
        for (size_t i = 0; i < n && view->channels && !r->along; i++)
            floats[i] = floats[i] * scale[r->channel] + bias[r->channel];
        rml_dtype_convert(RML_F32, floats, c->inside->dtype, out, n);
    }
}

// Scaled, rounded (halves to even) and scattered.
static void store_normalized(const copying *c, const part *r)
{
    uint8_t bytes[PIECE];
    uint16_t words[PIECE];
    const rml_tensor_view *view = &c->bound->view;
    const float full = full_of(view->dtype), *src = (const float *)(const void *)r->inside;
    for (size_t at = 0; at < r->count; at += PIECE) {
        const size_t n = rml_min_size(PIECE, r->count - at);
        for (size_t i = 0; i < n; i++) {
            const float value = src[at + i];
            const float bounded = value > 0 ? (value < 1 ? value : 1) : 0; // not a number: 0
            const float level = bounded * full;
            words[i] = (uint16_t)(view->normalize == RML_NORMALIZE_ROUND ? rintf(level) : level);
            bytes[i] = (uint8_t)words[i];
        }
        if (view->dtype == RML_U8)
            move(1, r->outside + at * r->step, r->step, (const char *)bytes, 1, n);
        else
            move(2, r->outside + at * r->step, r->step, (const char *)words, 2, n);
    }
}

static void copy_rows(void *context, size_t begin, size_t end, int worker)
{
    const copying *c = context;
    const rml_tensor *inside = c->inside;
    const rml_tensor_view *view = &c->bound->view;
    const int last = inside->rank - 1;
    const size_t element = rml_dtype_size(inside->dtype);
    (void)worker;
    part r = {.step = last < 0 ? 0 : (size_t)c->stride[last],
              .count = last < 0 ? 1 : (size_t)inside->dim[last],
              .along = view->channels > 1 && view->channel_axis == last};
    for (size_t index = begin; index < end; index++) {
        size_t rest = index;
        r.outside = c->outside;
        r.inside = inside->raw;
        r.channel = 0;
        for (int k = last - 1; k >= 0; k--) {
            const size_t at = rest % (size_t)inside->dim[k];
            rest /= (size_t)inside->dim[k];
            r.outside += at * (size_t)c->stride[k];
            r.inside += at * (size_t)inside->stride[k] * element;
            if (view->channels > 1 && view->channel_axis == k)
                r.channel = at + (size_t)c->first[k];
        }
        if (view->dtype == inside->dtype && !view->channels)
            move(element, c->store ? r.outside : r.inside, c->store ? r.step : element,
                 c->store ? r.inside : r.outside, c->store ? element : r.step, r.count);
        else if (c->store)
            store_normalized(c, &r);
        else
            load_row(c, &r);
    }
}

void rml_binding_copy(const rml_binding *bound, const rml_shape *shape, int64_t image, int64_t row,
                      const rml_tensor *inside, bool store, rml_pool *pool)
{
    const size_t count = rml_tensor_count(inside);
    const size_t columns = inside->rank ? (size_t)inside->dim[inside->rank - 1] : 1;
    copying c = {.bound = bound, .inside = inside, .outside = bound->view.data, .store = store};
    if (count == 0)
        return;
    plain_strides(bound->view.dtype, shape, c.stride);
    if (bound->view.rank)
        memcpy(c.stride, bound->view.stride, sizeof c.stride);
    c.first[0] = image;
    c.first[2] = row;
    if (image || row)
        c.outside += image * c.stride[0] + row * c.stride[2];
    rml_pool_run(pool, count / columns, TASK / columns, copy_rows, &c);
}
