// Group norm: y = (x - mean) / sqrt(variance + eps) * gamma + beta, then an activation. Mean and
// variance are those of a group of neighbouring channels of one item, over all places.
//   x [N,C,...]   gamma, beta [C] or [groups], optional. Source: torch.nn.GroupNorm.
//   offset [N or 1,C], optional: added to x before, which costs nothing here.
//
// Moments are taken of blocks of a size that depends on the shape alone: in f32 around the mean of
// the block itself, and joined in double. So the memory is read once for them, large means cost no
// digits, and the bits do not depend on threads or on the batch.
#include "ops/norm/group_norm.h"

#include "ops/elementwise/widen.h"

#include "tensor/size.h"

#include <math.h>

#define BLOCK_PIXELS RML_NORM_BLOCK // of channels-last images
#define RUN 64                      // a plane is folded to rows of this many numbers ...
#define RUN_ROWS 128                // ... and blocks of this many rows
#define CHUNK_PIXELS 32

static rml_status infer(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    const int64_t channels = node->shape[0].rank < 2 ? 0 : node->shape[0].dim[1];
    const int64_t groups = node->attr->group_norm.groups ? node->attr->group_norm.groups : channels;
    if (node->shape[0].rank < 2 || node->attr->group_norm.groups < 0 ||
        (channels >= 0 && groups != channels && channels % groups != 0))
        return rml_fail(err, RML_ERR_SHAPE, "the channels of %s do not make %lld groups",
                        rml_shape_text(&node->shape[0], a), (long long)groups);
    for (int i = 1; i < node->in_count && i < 3; i++)
        if (node->shape[i].rank >= 0 &&
            (node->shape[i].rank != 1 || (!rml_dims_agree(node->shape[i].dim[0], channels) &&
                                          !rml_dims_agree(node->shape[i].dim[0], groups))))
            return rml_fail(err, RML_ERR_SHAPE, "input is %s, gamma or beta %s",
                            rml_shape_text(&node->shape[0], a), rml_shape_text(&node->shape[i], b));
    if (node->in_count > 3 && node->shape[3].rank >= 0 &&
        (node->shape[3].rank != 2 || node->shape[3].dim[1] != node->shape[0].dim[1] ||
         (node->shape[3].dim[0] != 1 &&
          !rml_dims_agree(node->shape[3].dim[0], node->shape[0].dim[0]))))
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, offset %s",
                        rml_shape_text(&node->shape[0], a), rml_shape_text(&node->shape[3], b));
    *out = node->shape[0];
    return RML_OK;
}

size_t rml_group_norm_groups(const rml_op_args *args)
{
    const int64_t groups = args->attr->group_norm.groups;
    return (size_t)(groups ? groups : args->in[0].dim[1]);
}

// A block is `rows` rows of `lanes` numbers each. Of channels-last images lanes are channels; of
// plain ones the numbers of a plane are folded to rows.
typedef struct sizes {
    size_t items, channels, places, lanes;
    size_t blocks; // of an item (channels-last) or of a plane
    bool last;
} sizes;

static sizes sizes_of(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    sizes s = {.items = (size_t)x->dim[0], .channels = (size_t)x->dim[1], .places = 1};
    for (int i = 2; i < x->rank; i++)
        s.places *= (size_t)x->dim[i];
    s.last = x->rank == 4 && x->stride[1] == 1 && !rml_tensor_is_plain(x);
    s.lanes = s.last ? s.channels : RUN;
    // behind the blocks of a plane, one for what is left of a row
    s.blocks = s.last ? (s.places + BLOCK_PIXELS - 1) / BLOCK_PIXELS
                      : (s.places / RUN + RUN_ROWS - 1) / RUN_ROWS + 1;
    return s;
}

// Scratch: means, then spreads, of every lane of every block; then scale, then shift, of every
// channel of every item.
static size_t moments_count(const sizes *s)
{
    return rml_sat_mul(rml_sat_mul(s->items, s->blocks),
                       rml_sat_mul(s->last ? 1 : s->channels, s->lanes));
}

size_t rml_group_norm_scratch(const rml_op_args *args)
{
    const sizes s = sizes_of(args);
    return rml_sat_mul(rml_sat_add(moments_count(&s), rml_sat_mul(s.items, s.channels)),
                       2 * sizeof(float));
}

typedef struct job {
    const rml_op_args *args;
    sizes s;
    float *mean, *spread, *scale, *shift;
    // Of channels-last images: items of work are counted from `first` on, and pixel `base` of all
    // is the first one of `src` and `dst`.
    size_t first, base;
    const float *src;
    float *dst;
    size_t src_step, dst_step; // from pixel to pixel, also from row to row and item to item
} job;

static float *plane_at(const rml_tensor *x, size_t item, size_t channel)
{
    return x->data + (int64_t)item * x->stride[0] + (int64_t)channel * x->stride[1];
}

static void pixel_moments(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const sizes *s = &at->s;
    (void)worker;
    for (size_t i = at->first + begin; i < at->first + end; i++) {
        const size_t first = i % s->blocks * BLOCK_PIXELS;
        RML_KERNEL(at->args->kernels, moments)
        (at->src + (i / s->blocks * s->places + first - at->base) * at->src_step, at->src_step,
         rml_min_size(BLOCK_PIXELS, s->places - first), s->lanes, at->mean + i * s->lanes,
         at->spread + i * s->lanes);
    }
}

// Where block `block` of a plane starts, how many rows it has and how many numbers a row; the last
// block is what is left of a row.
static size_t plane_block(const sizes *s, size_t block, size_t *rows, size_t *lanes)
{
    const size_t whole = s->places / RUN;
    const bool rest = block + 1 == s->blocks;
    *rows = rest ? 1 : rml_min_size(RUN_ROWS, whole - block * RUN_ROWS);
    *lanes = rest ? s->places % RUN : RUN;
    return (rest ? whole : block * RUN_ROWS) * RUN;
}

static void plane_moments(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const sizes *s = &at->s;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t plane = i / s->blocks;
        size_t rows, lanes;
        const size_t first = plane_block(s, i % s->blocks, &rows, &lanes);
        const float *src = plane_at(&at->args->in[0], plane / s->channels, plane % s->channels);
        RML_KERNEL(at->args->kernels, moments)
        (src + first, RUN, rows, lanes, at->mean + i * RUN, at->spread + i * RUN);
    }
}

// A group's moments lie in strips: `width` lanes side by side, each of `count` elements. Returns
// the place of the strip in `mean`.
static size_t strip_at(const job *at, size_t item, size_t first_channel, size_t strip,
                       size_t channels, size_t *width, size_t *count)
{
    const sizes *s = &at->s;
    if (s->last) {
        *width = channels;
        *count = rml_min_size(BLOCK_PIXELS, s->places - strip * BLOCK_PIXELS);
        return (item * s->blocks + strip) * s->channels + first_channel;
    }
    plane_block(s, strip % s->blocks, count, width);
    return ((item * s->channels + first_channel) * s->blocks + strip) * RUN;
}

typedef struct moments {
    double mean, variance;
} moments;

static double offset_at(const job *at, size_t item, size_t channel)
{
    const rml_op_args *args = at->args;
    if (!rml_op_input(args, 3))
        return 0.0;
    return (double)args->in[3]
        .data[(args->in[3].dim[0] == 1 ? 0 : item * at->s.channels) + channel];
}

static moments join(const job *at, size_t item, size_t first, size_t channels)
{
    const sizes *s = &at->s;
    const size_t strips = s->last ? s->blocks : channels * s->blocks;
    double mean = 0.0, spread = 0.0;
    size_t width, count;
    for (size_t strip = 0; strip < strips; strip++) {
        const size_t k = strip_at(at, item, first, strip, channels, &width, &count);
        double sum = 0.0;
        for (size_t lane = 0; lane < width; lane++)
            sum += (double)at->mean[k + lane];
        mean += sum * (double)count;
    }
    mean /= (double)s->places;
    for (size_t c = first; c < first + channels; c++)
        mean += offset_at(at, item, c);
    mean /= (double)channels;
    for (size_t strip = 0; strip < strips; strip++) {
        const size_t k = strip_at(at, item, first, strip, channels, &width, &count);
        for (size_t lane = 0; lane < width; lane++) {
            const size_t channel = first + (s->last ? lane : strip / s->blocks);
            const double away = (double)at->mean[k + lane] + offset_at(at, item, channel) - mean;
            spread += (double)at->spread[k + lane] + (double)count * away * away;
        }
    }
    return (moments){mean, spread / ((double)channels * (double)s->places)};
}

// A number of the weights, which are of channels or of groups.
static double weight_at(const job *at, int input, size_t channel, double absent)
{
    const rml_tensor *w = rml_op_input(at->args, input);
    return w ? rml_number_f64(w, channel * (size_t)w->dim[0] / at->s.channels) : absent;
}

// Turns the moments of each group into a scale and a shift for each channel.
static void join_groups(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const sizes *s = &at->s;
    const rml_op_args *args = at->args;
    const size_t groups = rml_group_norm_groups(args), channels = s->channels / groups;
    (void)worker;
    for (size_t i = at->first + begin; i < at->first + end; i++) {
        const size_t item = i / groups, first = i % groups * channels;
        const moments m = join(at, item, first, channels);
        const double factor = 1.0 / sqrt(m.variance + (double)args->attr->group_norm.eps);
        for (size_t c = first; c < first + channels; c++) {
            const double scale = factor * weight_at(at, 1, c, 1.0);
            at->scale[item * s->channels + c] = (float)scale;
            at->shift[item * s->channels + c] =
                (float)(weight_at(at, 2, c, 0.0) + (offset_at(at, item, c) - m.mean) * scale);
        }
    }
}

static void activate(const rml_op_args *args, float *dst, size_t count)
{
    const rml_activation *act = &args->attr->group_norm.act;
    if (!rml_activation_is_none(act))
        RML_KERNEL(args->kernels, unary[act->kind])(dst, dst, count, act->param);
}

static void apply_pixels(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const rml_op_args *args = at->args;
    const size_t channels = at->s.channels;
    (void)worker;
    for (size_t i = at->first + begin; i < at->first + end; i++) {
        const size_t item = i / at->s.places;
        float *dst = at->dst + (i - at->base) * at->dst_step;
        RML_KERNEL(args->kernels, affine)
        (at->src + (i - at->base) * at->src_step, at->scale + item * channels,
         at->shift + item * channels, dst, channels);
        activate(args, dst, channels);
    }
}

static void apply_planes(void *context, size_t begin, size_t end, int worker)
{
    const job *at = context;
    const rml_op_args *args = at->args;
    float scale[RUN], shift[RUN];
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t item = i / at->s.channels, channel = i % at->s.channels;
        const float *src = plane_at(&args->in[0], item, channel);
        float *dst = plane_at(&args->out[0], item, channel);
        for (size_t k = 0; k < RUN; k++) {
            scale[k] = at->scale[i];
            shift[k] = at->shift[i];
        }
        for (size_t done = 0; done < at->s.places; done += RUN) {
            const size_t count = rml_min_size(RUN, at->s.places - done);
            RML_KERNEL(args->kernels, affine)(src + done, scale, shift, dst + done, count);
            activate(args, dst + done, count);
        }
    }
}

static job job_of(const rml_op_args *args)
{
    job at = {.args = args, .s = sizes_of(args)};
    at.mean = (float *)args->scratch;
    at.spread = at.mean + moments_count(&at.s);
    at.scale = at.spread + moments_count(&at.s);
    at.shift = at.scale + at.s.items * at.s.channels;
    at.src = args->in[0].data;
    at.dst = args->out[0].data;
    at.src_step = (size_t)args->in[0].stride[3];
    at.dst_step = (size_t)args->out[0].stride[3];
    return at;
}

void rml_group_norm_run(const rml_op_args *args)
{
    job at = job_of(args);
    const sizes *s = &at.s;
    if (s->items * s->channels * s->places == 0)
        return;
    const size_t blocks = s->items * s->blocks * (s->last ? 1 : s->channels);
    rml_pool_run(args->pool, blocks, s->last ? 1 : 8, s->last ? pixel_moments : plane_moments, &at);
    rml_pool_run(args->pool, s->items * rml_group_norm_groups(args), 4, join_groups, &at);
    if (s->last)
        rml_pool_run(args->pool, s->items * s->places, CHUNK_PIXELS, apply_pixels, &at);
    else
        rml_pool_run(args->pool, s->items * s->channels, 1, apply_planes, &at);
}

// ---- in parts -----------------------------------------------------------------------------------

void rml_group_norm_blocks(const rml_op_args *args, size_t item, size_t first, size_t count,
                           const float *pixels)
{
    job at = job_of(args);
    at.first = item * at.s.blocks + first;
    at.base = item * at.s.places + first * BLOCK_PIXELS;
    at.src = pixels;
    at.src_step = at.s.channels;
    rml_pool_run(args->pool, count, 1, pixel_moments, &at);
}

void rml_group_norm_join(const rml_op_args *args, size_t item)
{
    job at = job_of(args);
    const size_t groups = rml_group_norm_groups(args);
    at.first = item * groups;
    rml_pool_run(args->pool, groups, 4, join_groups, &at);
}

void rml_group_norm_apply(const rml_op_args *args, size_t item, const float *src, float *dst,
                          size_t pixels)
{
    job at = job_of(args);
    at.first = at.base = item * at.s.places;
    at.src = src;
    at.dst = dst;
    at.src_step = at.dst_step = at.s.channels;
    rml_pool_run(args->pool, pixels, CHUNK_PIXELS, apply_pixels, &at);
}

static rml_status types(const rml_op_node *node, rml_dtype *out, rml_error *err)
{
    static const rml_op floats = {.signature = "rrrf>0"};
    RML_TRY(rml_op_types(&floats, node, out, err));
    return rml_op_given(node, 3) && *out != RML_F32
               ? rml_fail(err, RML_ERR_UNSUPPORTED, "an offset to %s", rml_dtype_name(*out))
               : RML_OK;
}

// Images, and an activation, are for the first one, whatever type the weights are of.
static bool is_f32(const rml_op_args *args)
{
    return args->in[0].dtype == RML_F32;
}

static const rml_algorithm algorithms[] = {{.name = "block-moments",
                                            .accepts = is_f32,
                                            .scratch_bytes = rml_group_norm_scratch,
                                            .run = rml_group_norm_run},
                                           {.name = "halves",
                                            .accepts = rml_group_norm_is_half,
                                            .scratch_bytes = rml_group_norm_half_scratch,
                                            .run = rml_group_norm_run_half},
                                           {.name = "widened", .run = rml_group_norm_run_wide}};

const rml_op rml_op_group_norm = {.id = RML_OP_GROUP_NORM,
                                  .name = "group_norm",
                                  .inputs = {1, 4},
                                  .layout = RML_OP_FOLLOW,
                                  .in_place = true,
                                  .types = types,
                                  .infer = infer,
                                  .algorithms = algorithms};
