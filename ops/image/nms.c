// Non-maximum suppression: of boxes that overlap, the one with the best score stays.
//   boxes [N,B,4]   scores [N,C,B]   limit, overlap, threshold: one number each, optional
//   -> selected [N*C*min(B,limit),3] i64 (image, class, box) with zeros behind   count [1] i64
// The number selected is an output of its own, so that the operator has a plan; a slice makes the
// list as long as it is. No limit given: nothing is selected. Boxes are taken by falling score, of
// equal scores the first one; one stays whose overlap with no taken one is above `overlap`, and
// whose score is above `threshold`. Scores that are not numbers are left out.
#include "ops/index/list.h"

#include "tensor/dtype.h"
#include "tensor/size.h"

#include <math.h>
#include <string.h>

static bool agree(int64_t a, int64_t b)
{
    return a == b || a < 0 || b < 0;
}

static rml_status infer_nms(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    static const char *const names[] = {"", "", "limit", "overlap", "threshold"};
    const rml_shape *boxes = &node->in[0].shape, *scores = &node->in[1].shape;
    char a[RML_SHAPE_TEXT_BYTES], b[RML_SHAPE_TEXT_BYTES];
    int64_t limit = 0;
    for (int i = 2; i < 5; i++)
        RML_TRY(rml_scalar_check(node, i, names[i], err));
    out[0] = (rml_shape){2, {-1, 3}};
    out[1] = (rml_shape){1, {1}};
    if (boxes->rank == RML_RANK_UNKNOWN || scores->rank == RML_RANK_UNKNOWN)
        return RML_OK;
    if (boxes->rank != 3 || scores->rank != 3 || !agree(boxes->dim[2], 4) ||
        !agree(boxes->dim[0], scores->dim[0]) || !agree(boxes->dim[1], scores->dim[2]))
        return rml_fail(err, RML_ERR_SHAPE, "boxes %s and scores %s do not fit together",
                        rml_shape_text(boxes, a), rml_shape_text(scores, b));
    const bool told = rml_op_given(node, 2);
    int64_t most = scores->dim[2];
    if (most > UINT32_MAX)
        return rml_fail(err, RML_ERR_LIMIT, "boxes %s are too many", rml_shape_text(boxes, a));
    if (!told || rml_scalar_known(node, 2, &limit))
        most = most >= 0 && limit >= most ? most : limit > 0 ? limit : 0;
    RML_TRY(rml_dim_mul(scores->dim[0], scores->dim[1], &out[0].dim[0], err));
    return rml_dim_mul(out[0].dim[0], scores->dim[2] < 0 ? -1 : most, &out[0].dim[0], err);
}

typedef struct box {
    float low[2], high[2], area;
} box;

static box box_of(const float *at, bool centered)
{
    box result;
    for (int i = 0; i < 2; i++) {
        const float a = centered ? at[i] - at[i + 2] / 2 : at[i];
        const float b = centered ? at[i] + at[i + 2] / 2 : at[i + 2];
        result.low[i] = centered || a < b ? a : b;
        result.high[i] = centered || a < b ? b : a;
    }
    result.area = (result.high[0] - result.low[0]) * (result.high[1] - result.low[1]);
    return result;
}

static bool overlaps(const box *a, const box *b, float overlap)
{
    float common = 1;
    for (int i = 0; i < 2; i++) {
        const float low = a->low[i] > b->low[i] ? a->low[i] : b->low[i];
        const float high = a->high[i] < b->high[i] ? a->high[i] : b->high[i];
        if (!(high > low))
            return false;
        common *= high - low;
    }
    const float all = a->area + b->area - common;
    return a->area > 0 && b->area > 0 && all > 0 && common / all > overlap;
}

// A heap of candidates with the best one on top.
static bool better(const float *scores, uint32_t a, uint32_t b)
{
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
}

static void sink(const float *scores, uint32_t *heap, size_t count, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && better(scores, heap[child + 1], heap[child]))
            child++;
        if (!better(scores, heap[child], heap[at]))
            return;
        const uint32_t swapped = heap[at];
        heap[at] = heap[child];
        heap[child] = swapped;
    }
}

typedef struct nms_context {
    const rml_op_args *args;
    float overlap, threshold;
    bool has_threshold;
    size_t most; // selected of a class of an image
} nms_context;

static size_t heap_bytes(const rml_op_args *args)
{
    return rml_aligned_bytes((size_t)args->in[1].dim[2], sizeof(uint32_t));
}

// Item: a class of an image. Its part of the output is filled from the front; the third number of
// the first row that is not selected is -1.
static void select_class(const nms_context *at, size_t item, uint32_t *heap)
{
    const rml_tensor *boxes = &at->args->in[0], *all_scores = &at->args->in[1];
    const size_t count = (size_t)all_scores->dim[2], classes = (size_t)all_scores->dim[1];
    const bool centered = at->args->attr->nms.centered;
    const float *scores = all_scores->data + item * count;
    const float *from = boxes->data + item / classes * count * 4;
    int64_t *rows = (int64_t *)at->args->out[0].raw + item * at->most * 3;
    size_t left = 0, found = 0;
    for (size_t i = 0; i < count; i++)
        if (at->has_threshold ? scores[i] > at->threshold : !isnan(scores[i]))
            heap[left++] = (uint32_t)i;
    for (size_t i = left / 2; i-- > 0;)
        sink(scores, heap, left, i);
    while (left > 0 && found < at->most) {
        const uint32_t top = heap[0];
        const box mine = box_of(from + 4 * (size_t)top, centered);
        bool stays = true;
        heap[0] = heap[--left];
        sink(scores, heap, left, 0);
        for (size_t k = 0; k < found && stays; k++) {
            const box taken = box_of(from + 4 * rows[3 * k + 2], centered);
            stays = !overlaps(&mine, &taken, at->overlap);
        }
        if (stays) {
            rows[3 * found] = (int64_t)(item / classes);
            rows[3 * found + 1] = (int64_t)(item % classes);
            rows[3 * found++ + 2] = top;
        }
    }
    if (found < at->most)
        rows[3 * found + 2] = -1;
}

static void nms_part(void *context, size_t begin, size_t end, int worker)
{
    const nms_context *at = context;
    uint32_t *heap = rml_op_worker(at->args, worker);
    for (size_t item = begin; item < end; item++)
        select_class(at, item, heap);
}

static bool number_of(const rml_op_args *args, int index, float *value)
{
    if (index >= args->in_count || args->in[index].rank < 0)
        return false;
    *value = args->in[index].data[0];
    return true;
}

static void run_nms(const rml_op_args *args)
{
    const rml_tensor *scores = &args->in[1];
    const size_t items = (size_t)scores->dim[0] * (size_t)scores->dim[1];
    const size_t room = (size_t)args->out[0].dim[0];
    int64_t *rows = args->out[0].raw;
    nms_context context = {.args = args, .most = items ? room / items : 0};
    number_of(args, 3, &context.overlap);
    context.has_threshold = number_of(args, 4, &context.threshold);
    // The limit may have been unknown when room was made.
    const int64_t limit =
        rml_op_input(args, 2) ? rml_index_at(args->in[2].raw, args->in[2].dtype, 0) : 0;
    const size_t allowed = limit < 0 ? 0 : (size_t)limit;
    const size_t stride = context.most;
    size_t total = 0;
    if (stride > 0)
        rml_pool_run(args->pool, items, 1, nms_part, &context);
    for (size_t item = 0; item < items; item++)
        for (size_t k = 0; k < stride && k < allowed; k++) {
            const int64_t *row = rows + (item * stride + k) * 3;
            if (row[2] < 0)
                break;
            memmove(rows + 3 * total++, row, 3 * sizeof *row);
        }
    if (room > total)
        memset(rows + 3 * total, 0, (room - total) * 3 * sizeof *rows);
    *(int64_t *)args->out[1].raw = (int64_t)total;
}

const rml_op rml_op_nms = {.id = RML_OP_NMS,
                           .name = "nms",
                           .inputs = {2, 5},

                           .signature = "ffiff>ll",
                           .infer_values = infer_nms,
                           .algorithms = RML_ONE_WAY_EACH("heap", heap_bytes, run_nms)};
