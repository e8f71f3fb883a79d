// How often sequences of words are found in each row of words, with none to `max_skip` words left
// out between any two of them, always as many.
//   x [C] or [N,C], i32 or i64   y [places] or [N,places], f32
#include "ops/op.h"

#include "tensor/dtype.h"

static rml_status infer_ngrams(const rml_op_node *node, rml_shape *out, rml_error *err)
{
    char text[RML_SHAPE_TEXT_BYTES];
    if (node->shape[0].rank != 1 && node->shape[0].rank != 2)
        return rml_fail(err, RML_ERR_SHAPE, "input is %s, expected 1 or 2 dimensions",
                        rml_shape_text(&node->shape[0], text));
    *out = node->shape[0];
    out->dim[out->rank - 1] = node->attr->tfidf.places;
    return RML_OK;
}

static int64_t word_at(const rml_tensor *x, int64_t index)
{
    return x->dtype == RML_I32 ? ((const int32_t *)x->raw)[index]
                               : ((const int64_t *)x->raw)[index];
}

static bool found_at(const rml_tensor *x, int64_t first, int64_t step, const rml_ngram *gram)
{
    for (int64_t k = 0; k < gram->length; k++)
        if (word_at(x, first + k * step) != gram->word[k])
            return false;
    return true;
}

static int64_t count_gram(const rml_tensor *x, int64_t row, const rml_ngram *gram, int64_t skip)
{
    const int64_t words = x->dim[x->rank - 1];
    int64_t count = 0, most = 1; // a single word has no gaps
    if (gram->length > words)
        return 0;
    if (gram->length > 1) {
        most = (words - 1) / (gram->length - 1);
        most = skip < most ? skip + 1 : most;
    }
    for (int64_t step = 1; step <= most; step++)
        for (int64_t i = 0; i + (gram->length - 1) * step < words; i++)
            count += found_at(x, row * words + i, step, gram);
    return count;
}

static void ngram_rows(const rml_op_args *args, size_t begin, size_t end)
{
    const rml_tfidf_attr *attr = &args->attr->tfidf;
    for (size_t row = begin; row < end; row++) {
        float *y = args->out[0].data + row * (size_t)attr->places;
        for (int64_t k = 0; k < attr->places; k++)
            y[k] = 0;
        for (size_t i = 0; i < attr->count; i++) {
            const rml_ngram *gram = &attr->gram[i];
            const int64_t count = count_gram(&args->in[0], (int64_t)row, gram, attr->max_skip);
            y[gram->place] += (float)((attr->once ? count > 0 : (double)count) * gram->weight);
        }
    }
}

static void run_ngrams(const rml_op_args *args)
{
    const rml_tensor *x = &args->in[0];
    rml_op_parallel(args, x->rank == 2 ? (size_t)x->dim[0] : 1, SIZE_MAX, ngram_rows);
}

const rml_op rml_op_tfidf = {.id = RML_OP_TFIDF,
                             .name = "tfidf",
                             .inputs = {1, 1},
                             .signature = "i>f",
                             .infer = infer_ngrams,
                             .algorithms = RML_ONE_WAY("search", run_ngrams)};
