// N-grams of words.
#include "loaders/onnx/make.h"
#include "loaders/onnx/scores.h"

#include <string.h>

// The lists of an n-gram operator.
typedef struct pool {
    const int64_t *word, *start, *place; // grams of one length begin at start[length - 1]
    size_t words, lengths, places;
    const float *weight;
    int64_t shortest, longest; // that are looked for
} pool;

// How many grams there are, of all lengths; false when the lists do not fit together.
static bool count_grams(const pool *from, size_t *count)
{
    *count = 0;
    for (size_t k = 0; k < from->lengths; k++) {
        const int64_t end = k + 1 < from->lengths ? from->start[k + 1] : (int64_t)from->words;
        if (from->start[k] < 0 || end < from->start[k] || end > (int64_t)from->words ||
            (size_t)(end - from->start[k]) % (k + 1) != 0)
            return false;
        *count += (size_t)(end - from->start[k]) / (k + 1);
    }
    return true;
}

static bool read_grams(rml_onnx_call *call, const pool *from, rml_tfidf_attr *attr)
{
    rml_ngram *grams = rml_onnx_room(call, from->places, sizeof *grams);
    int64_t *words = rml_onnx_room(call, from->words, sizeof *words);
    size_t index = 0;
    if (!grams || !words)
        return false;
    if (from->words)
        memcpy(words, from->word, from->words * sizeof *words);
    for (size_t k = 0; k < from->lengths; k++) {
        const int64_t length = (int64_t)k + 1;
        const int64_t end = k + 1 < from->lengths ? from->start[k + 1] : (int64_t)from->words;
        for (int64_t at = from->start[k]; at < end; at += length, index++) {
            const int64_t place = from->place[index];
            if (place < 0 || place >= INT32_MAX)
                return false;
            attr->places = place >= attr->places ? place + 1 : attr->places;
            if (length >= from->shortest && length <= from->longest)
                grams[attr->count++] = (rml_ngram){words + at, length, place,
                                                   from->weight ? (double)from->weight[index] : 1};
        }
    }
    attr->gram = grams;
    return true;
}

static void import_ngrams(rml_onnx_call *call)
{
    pool from = {0};
    size_t count, weights;
    const char *mode = rml_onnx_text_of(call, "mode", "");
    rml_tfidf_attr attr = {.max_skip = rml_onnx_int(call, "max_skip_count", 0)};
    from.shortest = rml_onnx_int(call, "min_gram_length", 1);
    from.longest = rml_onnx_int(call, "max_gram_length", 1);
    from.word = rml_onnx_ints(call, "pool_int64s", &from.words);
    from.start = rml_onnx_ints(call, "ngram_counts", &from.lengths);
    from.place = rml_onnx_ints(call, "ngram_indexes", &from.places);
    from.weight = rml_onnx_floats(call, "weights", &weights);
    attr.once = strcmp(mode, "IDF") == 0;
    if (strcmp(mode, "TF") == 0)
        from.weight = NULL;
    else if (!attr.once && strcmp(mode, "TFIDF") != 0)
        rml_onnx_refuse(call, "mode is \"%.40s\"", mode);
    if (!count_grams(&from, &count) || count != from.places || attr.max_skip < 0 ||
        (from.weight && weights != count) || !read_grams(call, &from, &attr)) {
        rml_onnx_refuse(call, "its lists of n-grams do not fit together");
        return;
    }
    rml_onnx_translate(call, RML_OP_TFIDF, &(rml_op_attr){.tfidf = attr}, 1);
}

const rml_onnx_entry rml_onnx_ngrams[] = {
    {.op_type = "TfIdfVectorizer", .import = import_ngrams, .since = 9},
    {.op_type = NULL},
};
