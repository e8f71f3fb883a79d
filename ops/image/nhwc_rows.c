// Images as matrices and back: a row a pixel, its channels the columns. A channels-last image lies
// in memory like that already, so these cost nothing where the planner gives input and output one
// place.
//   pixels_to_rows:  x [N,C,h,w] -> [N,h*w,C]
//   rows_to_pixels:  rows [N,h*w,C], like [N,any,h,w] -> [N,C,h,w]; of `like` only the shape counts
#include "ops/op.h"

#include "tensor/size.h"

#include <string.h>

#define CHUNK_ROWS 64

static int64_t product(int64_t a, int64_t b)
{
    int64_t all;
    return a < 0                     ? rml_size_symbol(a, b, 0)
           : b < 0                   ? rml_size_symbol(b, a, 1)
           : rml_i64_mul(a, b, &all) ? all
                                     : -1;
}

static rml_status infer_rows(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(&node->shape[0], text));
    *out =
        (rml_shape){3,
                    {node->shape[0].dim[0], product(node->shape[0].dim[2], node->shape[0].dim[3]),
                     node->shape[0].dim[1]}};
    return RML_OK;
}

static rml_status infer_pixels(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const rml_shape *rows = &node->shape[0], *like = &node->shape[1];
    bool fits = rows->rank == 3 && like->rank == 4;
    if (fits) {
        const int64_t pixels = product(like->dim[2], like->dim[3]);
        fits = (rows->dim[0] == like->dim[0] || rows->dim[0] < 0 || like->dim[0] < 0) &&
               (rows->dim[1] == pixels || rows->dim[1] < 0 || pixels < 0);
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "rows %s are not the pixels of an image like %s",
                        rml_shape_text(rows, a), rml_shape_text(like, b));
    *out = (rml_shape){4, {rows->dim[0], rows->dim[2], like->dim[2], like->dim[3]}};
    return RML_OK;
}

typedef struct copy {
    const float *src;
    float *dst;
    int64_t src_step, dst_step;
    size_t bytes;
} copy;

static void copy_rows(void *context, size_t begin, size_t end, int worker)
{
    const copy *at = context;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        memcpy(at->dst + (int64_t)i * at->dst_step, at->src + (int64_t)i * at->src_step, at->bytes);
}

// From a pixel, or a row, to the next one: the same step everywhere.
static int64_t step_of(const rml_tensor *view)
{
    return view->stride[view->rank == 4 ? 3 : 1];
}

static void run(const rml_op_args *args)
{
    const rml_tensor *in = &args->in[0], *out = &args->out[0];
    const rml_tensor *rows = in->rank == 3 ? in : out;
    copy at = {in->data, out->data, step_of(in), step_of(out),
               (size_t)rows->dim[2] * sizeof(float)};
    if (in->data == out->data) // then both steps are the number of channels
        return;
    rml_pool_run(args->pool, (size_t)(rows->dim[0] * rows->dim[1]), CHUNK_ROWS, copy_rows, &at);
}

static const rml_algorithm algorithms[] = {{.name = "copy", .run = run}};

const rml_op rml_op_pixels_to_rows = {.id = RML_OP_PIXELS_TO_ROWS,
                                      .name = "pixels_to_rows",
                                      .inputs = {1, 1},
                                      .layout = RML_OP_CHANNELS_LAST,
                                      .in_place = true,
                                      .keeps_memory = true,
                                      .infer = infer_rows,
                                      .algorithms = algorithms};

const rml_op rml_op_rows_to_pixels = {.id = RML_OP_ROWS_TO_PIXELS,
                                      .name = "rows_to_pixels",
                                      .inputs = {2, 2},
                                      .layout = RML_OP_CHANNELS_LAST,
                                      .in_place = true,
                                      .keeps_memory = true,
                                      .infer = infer_pixels,
                                      .algorithms = algorithms};
