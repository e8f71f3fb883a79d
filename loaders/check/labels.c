// Labels of classifiers.
#include "loaders/check/check.h"

#include <stdio.h>
#include <string.h>

// As texts: of integers their digits.
static rml_status add(rml_names *names, const char *text, size_t bytes, size_t at, size_t *twice,
                      rml_error *err)
{
    size_t now = 0;
    RML_TRY(rml_names_add(names, text, bytes, at, &now, err));
    *twice += now != at;
    return RML_OK;
}

rml_status rml_check_labels(rml_checker *checker, const rml_text *texts, size_t text_count,
                            const int64_t *numbers, size_t number_count)
{
    rml_names names;
    size_t twice = 0;
    char quoted[RML_QUOTE_BYTES] = "";
    rml_status status = RML_OK;
    rml_names_init(&names, checker->allocator);
    for (size_t i = 0; i < text_count && status == RML_OK; i++) {
        const size_t before = twice;
        status = add(&names, texts[i].text, texts[i].bytes, i, &twice, checker->err);
        if (twice > before && !*quoted)
            rml_quote(quoted, texts[i].text, texts[i].bytes);
    }
    for (size_t i = 0; i < number_count && status == RML_OK; i++) {
        const size_t before = twice;
        status = add(&names, (const char *)&numbers[i], sizeof numbers[i], i, &twice, checker->err);
        if (twice > before && !*quoted)
            snprintf(quoted, sizeof quoted, "%lld", (long long)numbers[i]);
    }
    rml_names_release(&names);
    if (status == RML_OK && twice)
        rml_check_warning(checker, "labels",
                          "%zu of them occur before, \"%s\" the first: a dictionary of "
                          "probabilities keeps one of each",
                          twice, quoted);
    return status;
}
