// Pixels to channels and back: pixel (dy, dx) of a block of b x b pixels of channel c is channel
// c*b*b + dy*b + dx (as torch.pixel_unshuffle and torch.pixel_shuffle have it), or of C channels
// (dy*b + dx)*C + c.
#include "ops/index/list.h"
#include "ops/elementwise/nd_iterator.h"

#define MAX_BLOCK 256

static rml_status check(const rml_op_attr *attr, const rml_shape *x, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (x->rank != 4)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 4 dimensions",
                        rml_shape_text(x, text));
    if (attr->shuffle.block < 1 || attr->shuffle.block > MAX_BLOCK)
        return rml_fail(err, RML_ERR_LIMIT, "block %lld is not from 1 to %d",
                        (long long)attr->shuffle.block, MAX_BLOCK);
    return RML_OK;
}

// ---- space to depth: a block that hangs over the edge repeats the last row and column ----------

static rml_status infer_space(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    const int64_t block = node->attr->shuffle.block;
    RML_TRY(check(node->attr, &node->shape[0], err));
    if (node->shape[0].dim[1] > INT64_MAX / (block * block))
        return rml_fail(err, RML_ERR_LIMIT, "input %s has too many channels",
                        rml_shape_text(&node->shape[0], text));
    *out = node->shape[0];
    if (node->shape[0].dim[1] >= 0)
        out->dim[1] = node->shape[0].dim[1] * block * block;
    for (int i = 2; i < 4; i++) {
        if (node->shape[0].dim[i] < 0)
            continue;
        out->dim[i] = node->shape[0].dim[i] / block + (node->shape[0].dim[i] % block != 0);
        if (node->attr->shuffle.exact && node->shape[0].dim[i] % block)
            return rml_fail(err, RML_ERR_SHAPE, "input %s is not made of blocks of %lldx%lld",
                            rml_shape_text(&node->shape[0], text), (long long)block,
                            (long long)block);
    }
    return RML_OK;
}

// Blocks along one axis that read input positions from, from + step, ...
typedef struct span {
    int64_t first, count, from, step;
} span;

// Offset `d` of every block: the blocks that have it, then the last one if it does not.
static void split(int64_t size, int64_t block, int64_t blocks, int64_t d, span out[2])
{
    const int64_t whole = d < size ? (size - d - 1) / block + 1 : 0;
    out[0] = (span){0, whole, d, block};
    out[1] = (span){whole, blocks - whole, size - 1, 0};
}

// The view of the channels that offset `d` of every block goes to or comes from.
static void take_channels(rml_tensor *view, const rml_shuffle_attr *shuffle, int64_t d,
                          int64_t channels)
{
    const int64_t area = shuffle->block * shuffle->block;
    rml_tensor_advance(view, d * view->stride[1] * (shuffle->pixels_first ? channels : 1));
    view->stride[1] *= shuffle->pixels_first ? 1 : area;
    view->dim[1] = channels;
}

// Moves all pixels of an image to the channels of another, or back. What a block lacks at the edge
// is repeated there, or left away on the way back.
static void move(const rml_op_args *args, const rml_tensor *image, const rml_tensor *deep)
{
    const int64_t block = args->attr->shuffle.block;
    const bool back = image == &args->out[0];
    for (int64_t d = 0; d < block * block; d++) {
        span rows[2], cols[2];
        split(image->dim[2], block, deep->dim[2], d / block, rows);
        split(image->dim[3], block, deep->dim[3], d % block, cols);
        for (int part = 0; part < (back ? 1 : 4); part++) {
            const span *row = &rows[part / 2], *col = &cols[part % 2];
            rml_tensor flat = *image, of = *deep;
            if (row->count == 0 || col->count == 0)
                continue;
            rml_tensor_advance(&flat, row->from * image->stride[2] + col->from * image->stride[3]);
            flat.stride[2] *= row->step;
            flat.stride[3] *= col->step;
            take_channels(&of, &args->attr->shuffle, d, image->dim[1]);
            rml_tensor_advance(&of, row->first * deep->stride[2] + col->first * deep->stride[3]);
            flat.dim[2] = of.dim[2] = row->count;
            flat.dim[3] = of.dim[3] = col->count;
            rml_copy_view(args, back ? &of : &flat, back ? &flat : &of);
        }
    }
}

static void run_space(const rml_op_args *args)
{
    move(args, &args->in[0], &args->out[0]);
}

const rml_op rml_op_space_to_depth = {.id = RML_OP_SPACE_TO_DEPTH,
                                      .name = "space_to_depth",
                                      .inputs = {1, 1},
                                      .signature = "*>0",
                                      .infer = infer_space,
                                      .algorithms = RML_ONE_WAY("copy", run_space)};

// ---- depth to space: cut to the height and width of a second input, when there is one ----------

static rml_status infer_depth(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const int64_t block = node->attr->shuffle.block;
    const rml_shape *like = node->in_count > 1 && node->shape[1].rank >= 0 ? &node->shape[1] : NULL;
    RML_TRY(check(node->attr, &node->shape[0], err));
    bool fits = node->shape[0].dim[1] < 0 || node->shape[0].dim[1] % (block * block) == 0;
    *out = node->shape[0];
    if (node->shape[0].dim[1] >= 0)
        out->dim[1] = node->shape[0].dim[1] / (block * block);
    for (int i = 2; i < 4 && fits; i++) {
        if (node->shape[0].dim[i] > INT64_MAX / block)
            fits = false;
        else if (node->shape[0].dim[i] >= 0)
            out->dim[i] = node->shape[0].dim[i] * block;
        if (!like || !fits)
            continue;
        fits = like->rank == 4 &&
               (like->dim[i] < 0 || out->dim[i] < 0 ||
                (like->dim[i] <= out->dim[i] && like->dim[i] > out->dim[i] - block));
        out->dim[i] = like->dim[i];
    }
    if (!fits)
        return rml_fail(err, RML_ERR_SHAPE, "input %s and size %s do not fit blocks of %lldx%lld",
                        rml_shape_text(&node->shape[0], a),
                        like ? rml_shape_text(like, b) : "of its own", (long long)block,
                        (long long)block);
    return RML_OK;
}

static void run_depth(const rml_op_args *args)
{
    move(args, &args->out[0], &args->in[0]);
}

const rml_op rml_op_depth_to_space = {.id = RML_OP_DEPTH_TO_SPACE,
                                      .name = "depth_to_space",
                                      .inputs = {1, 2},
                                      .signature = "*>0",
                                      .infer = infer_depth,
                                      .algorithms = RML_ONE_WAY("copy", run_depth)};
