// Three fused convolutions: 1x1 expansion, depthwise, 1x1 projection (MobileNetV2, Sandler et al.
// 2018). The expanded tensors are the largest of such networks; here they are computed for a band
// of rows at a time, halo included, in scratch that stays in the cache, by the same algorithms as
// convolutions that stand alone, and so with the same bits.
//   x [N,C,H,W]   w1 [E,C,1,1]   w2 [E,1,Kh,Kw]   w3 [O,E,1,1]   b1 [E]   b2 [E]   b3 [O]
//   residual [N,O,Ho,Wo]   biases and residual are optional
#include "ops/op.h"

#include "ops/alone.h"
#include "ops/conv/conv.h"
#include "ops/matmul/bf16.h"
#include "tensor/size.h"

// Of the expanded tensors of a band; about half of a second-level cache.
#define BETWEEN_BYTES ((size_t)768 * 1024)

enum { EXPAND, DEPTHWISE, PROJECT, PARTS };

// One of the convolutions, ready to be asked for its ways.
typedef struct part {
    rml_op_attr attr;
    rml_tensor in[4], out;
    rml_op_args args;
    const rml_algorithm *algorithm; // `way`
    rml_algorithm way;
} part;

// A band: images and rows of the output that are computed together, and rows of the expanded tensor
// that they need, the halo among them.
typedef struct piece {
    int64_t images, rows, rows_between;
} piece;

static const rml_conv_attr *conv_of(const rml_op_attr *attr, int index)
{
    const rml_inverted_attr *all = &attr->inverted;
    return index == EXPAND ? all->expand : index == DEPTHWISE ? all->depthwise : all->project;
}

static size_t between_bytes(const rml_op_args *args, int64_t rows, int64_t rows_between)
{
    const size_t channels = (size_t)args->in[1].dim[0];
    const size_t pixels = rml_sat_add(rml_sat_mul((size_t)rows_between, (size_t)args->in[0].dim[3]),
                                      rml_sat_mul((size_t)rows, (size_t)args->out[0].dim[3]));
    return rml_sat_mul(rml_sat_mul(channels, sizeof(float)), pixels);
}

static piece choose_piece(const rml_op_args *args)
{
    const int64_t stride = conv_of(args->attr, DEPTHWISE)->window.stride[0];
    const int64_t height = args->in[0].dim[2], rows = args->out[0].dim[2];
    const size_t whole = between_bytes(args, rows, height);
    const int64_t images = args->in[0].dim[0], share = (images + args->threads - 1) / args->threads;
    piece p = {1, rows, height};
    if (whole <= BETWEEN_BYTES && images >= args->threads) {
        const int64_t fit = whole ? (int64_t)(BETWEEN_BYTES / whole) : 1;
        p.images = fit < share ? fit : share;
        return p;
    }
    do {
        p.rows = (p.rows + 1) / 2;
        p.rows_between = (p.rows - 1) * stride + args->in[2].dim[2];
    } while (p.rows > 1 && (between_bytes(args, p.rows, p.rows_between) > BETWEEN_BYTES ||
                            images * ((rows + p.rows - 1) / p.rows) < args->threads));
    p.rows_between = p.rows_between < height ? p.rows_between : height;
    return p;
}

// A piece is made by one worker alone: what it writes between stays in its own cache.
static void ask(const rml_op_args *args, part *p)
{
    p->args = *args;
    p->args.pool = NULL;
    p->args.threads = 1;
    p->args.attr = &p->attr;
    p->args.in = p->in;
    p->args.in_count = 4;
    p->args.out = &p->out;
    p->way = *rml_op_choose(&rml_op_conv_alone, &p->args);
    p->way.activate = args->algorithm ? args->algorithm->activate : NULL; // not yet chosen: no run
    p->algorithm = p->args.algorithm = &p->way;
}

// One of the three, between views that have `images` images and the rows given; without data.
static void make_part(const rml_op_args *args, const piece *p, int k, part *out)
{
    const rml_tensor none = {.rank = -1}, *x = &args->in[0], *y = &args->out[0];
    const rml_tensor *bias = rml_op_input(args, 4 + k), *residual = rml_op_input(args, 7);
    const int64_t channels = args->in[1].dim[0];
    const rml_shape up = {4, {p->images, channels, p->rows_between, x->dim[3]}};
    const rml_shape middle = {4, {p->images, channels, p->rows, y->dim[3]}};
    const rml_tensor expanded = rml_tensor_make(NULL, &up, RML_LAYOUT_CHANNELS_LAST);
    const rml_tensor filtered = rml_tensor_make(NULL, &middle, RML_LAYOUT_CHANNELS_LAST);
    out->attr.conv = *conv_of(args->attr, k);
    out->in[0] = k == EXPAND ? *x : k == DEPTHWISE ? expanded : filtered;
    out->in[1] = args->in[1 + k];
    out->in[2] = bias ? *bias : none;
    out->in[3] = k == PROJECT && residual ? *residual : none;
    out->out = k == EXPAND ? expanded : k == DEPTHWISE ? filtered : *y;
    ask(args, out);
}

// Rows [first, first + rows) of `images` images from `image` on, of any view of them.
static rml_tensor part_of(const rml_tensor *view, int64_t image, int64_t images, int64_t first,
                          int64_t rows)
{
    rml_tensor piece_view = *view;
    piece_view.dim[0] = images;
    piece_view.dim[2] = rows;
    piece_view.data = view->data + image * view->stride[0] + first * view->stride[2];
    return piece_view;
}

// ---- weights ------------------------------------------------------------------------------------

static size_t part_bytes(const part *p)
{
    const size_t bytes = p->algorithm->packed_bytes ? p->algorithm->packed_bytes(&p->args) : 0;
    return rml_round_up(bytes, RML_ALIGNMENT);
}

static size_t packed_bytes(const rml_op_args *args)
{
    const piece p = choose_piece(args);
    part one;
    size_t bytes = 0;
    for (int k = 0; k < PARTS; k++) {
        make_part(args, &p, k, &one);
        bytes = rml_sat_add(bytes, part_bytes(&one));
    }
    return bytes;
}

static rml_status pack(const rml_op_args *args, const rml_constant *weight, void *packed,
                       const rml_allocator *allocator, rml_error *err)
{
    const piece p = choose_piece(args);
    part one;
    char *dst = packed;
    (void)weight; // the first of those in args->constants
    for (int k = 0; k < PARTS; k++) {
        make_part(args, &p, k, &one);
        RML_TRY(one.algorithm->pack(&one.args, args->constants[1 + k], dst, allocator, err));
        dst += part_bytes(&one);
    }
    return RML_OK;
}

// ---- running ------------------------------------------------------------------------------------

// The parts, which are much for the stack of a small device, and what lies between them.
#define PARTS_BYTES rml_aligned_bytes(PARTS, sizeof(part))

static size_t own_scratch(const rml_op_args *args, const piece *p)
{
    const size_t one = between_bytes(args, p->rows, p->rows_between);
    return rml_sat_add(PARTS_BYTES, rml_aligned_bytes((size_t)p->images, one));
}

static size_t worker_bytes(const rml_op_args *args)
{
    const piece p = choose_piece(args);
    part one;
    size_t most = 0;
    for (int k = 0; k < PARTS; k++) {
        make_part(args, &p, k, &one);
        const size_t bytes = one.way.scratch_bytes ? one.way.scratch_bytes(&one.args) : 0;
        most = bytes > most ? bytes : most;
    }
    return rml_sat_add(own_scratch(args, &p), rml_round_up(most, RML_ALIGNMENT));
}

static void run_piece(const rml_op_args *args, part *parts, int64_t image, int64_t images,
                      int64_t first, int64_t rows)
{
    const rml_window_attr *whole = &conv_of(args->attr, DEPTHWISE)->window;
    rml_window_attr *window = &parts[DEPTHWISE].attr.conv.window;
    const int64_t height = args->in[0].dim[2], reach = first * whole->stride[0] - whole->before[0];
    const int64_t top = reach < 0 ? 0 : reach;
    const int64_t end = reach + (rows - 1) * whole->stride[0] + args->in[2].dim[2];
    const int64_t count = (end < height ? end : height) - top;
    const rml_tensor *residual = rml_op_input(args, 7);
    rml_tensor *up = &parts[EXPAND].out, *middle = &parts[DEPTHWISE].out;
    parts[EXPAND].in[0] = part_of(&args->in[0], image, images, top, count);
    const rml_shape up_shape = {4, {images, up->dim[1], count, up->dim[3]}};
    *up = rml_tensor_make(up->data, &up_shape, RML_LAYOUT_CHANNELS_LAST);
    parts[DEPTHWISE].in[0] = *up;
    // rows above the image are zeros; those above the piece are in it
    window->before[0] = top - reach;
    window->after[0] = end > height ? end - height : 0;
    const rml_shape middle_shape = {4, {images, middle->dim[1], rows, middle->dim[3]}};
    *middle = rml_tensor_make(middle->data, &middle_shape, RML_LAYOUT_CHANNELS_LAST);
    parts[PROJECT].in[0] = *middle;
    parts[PROJECT].out = part_of(&args->out[0], image, images, first, rows);
    if (residual)
        parts[PROJECT].in[3] = part_of(residual, image, images, first, rows);
    for (int k = 0; k < PARTS; k++)
        parts[k].algorithm->run(&parts[k].args);
}

static void run_pieces(void *context, size_t begin, size_t end, int worker)
{
    const rml_op_args *args = context;
    const piece p = choose_piece(args);
    const int64_t images = args->in[0].dim[0], height = args->out[0].dim[2];
    const int64_t bands = (height + p.rows - 1) / p.rows;
    char *scratch = rml_op_worker(args, worker);
    const char *packed = args->packed;
    part *parts = (part *)(void *)scratch;
    for (int k = 0; k < PARTS; k++) {
        make_part(args, &p, k, &parts[k]);
        parts[k].args.packed = packed;
        parts[k].args.scratch = scratch + own_scratch(args, &p);
        packed += part_bytes(&parts[k]);
    }
    parts[EXPAND].out.data = (float *)(void *)(scratch + PARTS_BYTES);
    parts[DEPTHWISE].out.data = parts[EXPAND].out.data +
                                p.images * p.rows_between * args->in[0].dim[3] * args->in[1].dim[0];
    for (size_t i = begin; i < end; i++) {
        const int64_t image = (int64_t)i / bands * p.images, row = (int64_t)i % bands * p.rows;
        run_piece(args, parts, image, p.images < images - image ? p.images : images - image, row,
                  p.rows < height - row ? p.rows : height - row);
    }
}

static void run(const rml_op_args *args)
{
    const piece p = choose_piece(args);
    const int64_t groups = (args->in[0].dim[0] + p.images - 1) / p.images;
    const int64_t bands = (args->out[0].dim[2] + p.rows - 1) / p.rows;
    rml_pool_run(args->pool, (size_t)(groups * bands), 1, run_pieces, (void *)(uintptr_t)args);
}

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    rml_shape between = node->shape[0];
    for (int k = 0; k < PARTS; k++) {
        const rml_shape none = {.rank = -1};
        const rml_shape shapes[4] = {between, node->shape[1 + k],
                                     4 + k < node->in_count ? node->shape[4 + k] : none,
                                     k == PROJECT && node->in_count > 7 ? node->shape[7] : none};
        RML_TRY(rml_conv_infer(conv_of(node->attr, k), shapes, 4, 2, false, &between, err));
    }
    *out = between;
    return RML_OK;
}

static uint64_t macs(const rml_op_args *args)
{
    const uint64_t inside = (uint64_t)(args->in[0].dim[0] * args->in[0].dim[2] *
                                       args->in[0].dim[3] * args->in[1].dim[0]);
    const rml_tensor *y = &args->out[0];
    const uint64_t outside = (uint64_t)(y->dim[0] * y->dim[2] * y->dim[3] * args->in[1].dim[0]);
    return inside * (uint64_t)args->in[0].dim[1] +
           outside * (uint64_t)(args->in[2].dim[2] * args->in[2].dim[3] + y->dim[1]);
}

// Whether a product of its runs in bf16.
static bool accepts_bf16(const rml_op_args *args)
{
    if (!rml_wants_bf16(args))
        return false;
    const piece p = choose_piece(args);
    part one;
    bool found = false;
    for (int k = 0; k < PARTS && !found; k += PROJECT) {
        make_part(args, &p, k, &one);
        found = one.way.precision == RML_PRECISION_BF16;
    }
    return found;
}

#define PIECES .packed_bytes = packed_bytes, .pack = pack, .worker_bytes = worker_bytes, .run = run

static const rml_algorithm algorithms[] = {{.name = "piecewise-bf16",
                                            .precision = RML_PRECISION_BF16,
                                            .accepts = accepts_bf16,
                                            .activate = rml_activate,
                                            PIECES},
                                           {.name = "piecewise", .activate = rml_activate, PIECES}};

#define INVERTED_WITH(ways)                                                                        \
    {                                                                                              \
        .id = RML_OP_INVERTED_RESIDUAL, .name = "inverted_residual", .inputs = {4, 8},             \
        .layout = RML_OP_CHANNELS_LAST, .packed_input = 1, .packed_also = 1u << 2 | 1u << 3,       \
        .infer = infer, .macs = macs, .algorithms = ways                                           \
    }

const rml_op rml_op_inverted_residual = INVERTED_WITH(algorithms);

static const rml_algorithm alone[] = {
    {.name = "piecewise-bf16", .precision = RML_PRECISION_BF16, .accepts = accepts_bf16, PIECES},
    {.name = "piecewise", PIECES}};

const rml_op rml_op_inverted_alone = INVERTED_WITH(alone);
