// Files of weights: blobs that overlap.
#include "loaders/check/check.h"

#include <stdlib.h>

enum { DESCRIPTION_BYTES = 64 };

rml_status rml_check_heard_blob(rml_checker *checker, size_t file, uint64_t offset, uint64_t begin,
                                uint64_t bytes)
{
    RML_TRY(rml_reserve(checker->allocator, &checker->ranges, &checker->range_capacity,
                        checker->range_count + 2, sizeof *checker->ranges, "a list of weights",
                        checker->err));
    checker->ranges[checker->range_count++] =
        (rml_check_range){file, offset, DESCRIPTION_BYTES, offset};
    checker->ranges[checker->range_count++] = (rml_check_range){file, begin, bytes, offset};
    return RML_OK;
}

static int by_begin(const void *a, const void *b)
{
    const rml_check_range *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

// Values may share a blob; two blobs share no bytes.
void rml_check_blobs(rml_checker *checker)
{
    const rml_check_range *widest = checker->ranges; // of those so far the one that ends last
    if (checker->range_count)
        qsort(checker->ranges, checker->range_count, sizeof *checker->ranges, by_begin);
    for (size_t i = 1; i < checker->range_count; i++) {
        const rml_check_range *range = &checker->ranges[i];
        const bool overlaps =
            range->file == widest->file && range->begin - widest->begin < widest->bytes;
        const bool is_same = range->file == widest->file && range->offset == widest->offset &&
                             range->begin == widest->begin;
        if (overlaps && !is_same && range->bytes)
            rml_check_fault(checker, "weights",
                            "those described at bytes %llu and %llu of a file overlap",
                            (unsigned long long)widest->offset, (unsigned long long)range->offset);
        if (range->file != widest->file ||
            range->begin + range->bytes > widest->begin + widest->bytes)
            widest = range;
    }
    checker->range_count = 0;
}
