// What stands around a classifier: the best classes, softmax, labels, the part of a picture it
// sees.
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/mutations.h"
#include "tests/support/uniform.h"

#include "tensor/names.h"
#include "pipelines/classify/labels.h"
#include "pipelines/classify/picture_input.h"

static rml_error error;

// ---- classes ----------------------------------------------------------------------------------

static const float *compared;

static int by_value(const void *a, const void *b)
{
    const int i = *(const int *)a, j = *(const int *)b;
    const float x = compared[i], y = compared[j];
    const int order = isnan(x) || isnan(y) ? isnan(x) - isnan(y) : (x < y) - (x > y);
    return order ? order : i - j;
}

static void test_top(void)
{
    enum { MOST = 60 };
    for (int round = 0; round < 500; round++) {
        const int count = 1 + (int)(next_random() % MOST), most = 1 + (int)(next_random() % MOST);
        float values[MOST];
        int sorted[MOST];
        rml_top_class top[MOST];
        for (int i = 0; i < count; i++) {
            values[i] = (float)(next_random() % 10) - 5; // many are equal
            if (next_random() % 20 == 0)
                values[i] = NAN;
            sorted[i] = i;
        }
        compared = values;
        qsort(sorted, (size_t)count, sizeof *sorted, by_value);
        const int found = rml_top_classes(values, count, top, most);
        CHECK(found == (count < most ? count : most));
        int wrong = 0;
        for (int i = 0; i < found; i++)
            wrong += top[i].index != sorted[i];
        CHECK_MSG(wrong == 0, "%d of the best %d of %d are wrong", wrong, most, count);
    }
}

static void test_softmax(void)
{
    float values[9], wild[3] = {1, NAN, 2}, infinite[2] = {INFINITY, 0}, high[2] = {1e30f, 1e30f};
    double sum = 0, told = 0;
    for (int i = 0; i < 9; i++) {
        values[i] = 8 * uniform_f32(5, (size_t)i);
        sum += exp((double)values[i]);
    }
    float before[9];
    memcpy(before, values, sizeof before);
    rml_softmax(values, 9);
    for (int i = 0; i < 9; i++) {
        const double expected = exp((double)before[i]) / sum;
        CHECK(fabs((double)values[i] - expected) <= 1e-7 * expected);
        told += (double)values[i];
    }
    CHECK(fabs(told - 1) < 1e-6);
    rml_softmax(wild, 3);
    rml_softmax(infinite, 2);
    CHECK(isnan(wild[0]) && isnan(wild[2]) && isnan(infinite[0]) && isnan(infinite[1]));
    rml_softmax(high, 2);
    CHECK(high[0] == 0.5f && high[1] == 0.5f);
}

// ---- labels -----------------------------------------------------------------------------------

// The names joined by "|", "-" for none; or the message.
static const char *names_of(const char *text)
{
    static char joined[512];
    rml_labels labels;
    if (rml_labels_parse(&labels, text, strlen(text), rml_allocator_default(), &error) != RML_OK) {
        CHECK(labels.names == NULL && labels.count == 0);
        return error.message;
    }
    joined[0] = 0;
    for (int i = 0; i < labels.count; i++) {
        const char *name = rml_labels_name(&labels, i);
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s%s", i ? "|" : "",
                 name ? name : "-");
    }
    CHECK(!rml_labels_name(&labels, -1) && !rml_labels_name(&labels, labels.count));
    rml_labels_release(&labels);
    return joined;
}

static void check_names(const char *text, const char *expected)
{
    const char *found = names_of(text);
    CHECK_MSG(strcmp(found, expected) == 0, "%s gives %s, not %s", text, found, expected);
}

static void test_labels(void)
{
    check_names("a\nb c\r\n\n  d\t\n\n\n", "a|b c|-|d");
    check_names("\xEF\xBB\xBFone\ntwo", "one|two");
    check_names("", "");
    check_names("bell\x07 \xFF", "bell? ?");
    check_names("{\"1\":[\"n2\",\"b\"],\"0\":[\"n1\",\"a\"]}", "a|b");
    check_names(" {\"0\":\"a\",\"3\":\"d\"}", "a|-|-|d");
    check_names("[\"x\",\"y\"]\n", "x|y");
    static const struct {
        const char *text, *part;
    } wrong[] = {{"{\"0\":\"a\",\"0\":\"b\"}", "class 0 is named twice"},
                 {"{\"cat\":0}", "\"cat\" at byte 1 is not a class"},
                 {"{\"65536\":\"a\"}", "\"65536\" at byte 1 is not a class"},
                 {"{\"-1\":\"a\"}", "is not a class"},
                 {"{\"\":\"a\"}", "is not a class"},
                 {"{\"0\":7}", "class 0 has no name at byte 5"},
                 {"[\"a\",[\"b\"]]", "class 1 has no name"},
                 {"{\"0\":[\"a\"]}", ""},
                 {"{\"0\":[\"a\",\"b\",\"c\"]}", ""},
                 {"[\"a\"] \"b\"", ""},
                 {"[\"a\"", ""}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        error.message[0] = 0;
        const char *told = names_of(wrong[i].text);
        CHECK_MSG(told == error.message && *told && strstr(told, wrong[i].part), "%s gives %s",
                  wrong[i].text, told);
    }
}

// Whatever bytes: a sentence, or names that may be printed.
static void test_labels_damaged(void)
{
    const char *const files[] = {
        "{\"0\":[\"n01440764\",\"tench\"],\"1\":[\"n01443537\",\"goldfish\"],\"2\":\"shark\"}",
        "zero\none\ntwo \xC3\xA9t\xC3\xA9\n\nfour and more\r\n", "[\"a\", \"b\\u00e9\", \"c\"]"};
    for (long round = 0; round < mutations_wanted(); round++) {
        blob b = {NULL, 0, 0};
        put(&b, files[round % 3], strlen(files[round % 3]));
        mutate(&b);
        rml_labels labels;
        error.message[0] = 0;
        if (rml_labels_parse(&labels, b.data, b.size, rml_allocator_default(), &error) != RML_OK)
            CHECK(error.message[0]);
        for (int i = 0; i < labels.count; i++) {
            const char *name = rml_labels_name(&labels, i);
            CHECK(!name || rml_text_is_clean(name, strlen(name)));
        }
        rml_labels_release(&labels);
        blob_free(&b);
    }
}

// ---- what the network sees --------------------------------------------------------------------

enum { VIEW_SIDE = 40 };
static float planes[3 * VIEW_SIDE * VIEW_SIDE];

static rml_status see(int width, int height, int channels, int bits, const rml_view *view)
{
    rml_picture p = {0};
    CHECK(rml_picture_create(&p, width, height, channels, bits, rml_allocator_default(), NULL) ==
          RML_OK);
    memset(p.data, 77, rml_picture_pitch(&p) * (size_t)height);
    const rml_status status = rml_view_picture(view, &p, planes, rml_allocator_default(), &error);
    rml_picture_release(&p);
    return status;
}

static void test_view(void)
{
    rml_view view = rml_view_default(224);
    CHECK(view.shorter == 256);
    view = rml_view_default(VIEW_SIDE);
    CHECK(view.shorter == 46);
    for (int bits = 8; bits <= 16; bits += 8)
        for (int channels = 1; channels <= 4; channels++) {
            CHECK(see(50, 31, channels, bits, &view) == RML_OK);
            int wrong = 0;
            for (int i = 0; i < 3 * VIEW_SIDE * VIEW_SIDE; i++) {
                const int c = i / (VIEW_SIDE * VIEW_SIDE);
                wrong += planes[i] != (77.0f / 255 - view.mean[c]) / view.deviation[c];
            }
            CHECK(wrong == 0);
        }
    CHECK(see(1, 1, 3, 8, &view) == RML_OK && see(400, 1, 1, 8, &view) == RML_ERR_LIMIT);
    CHECK_MSG(strstr(error.message, "400x1 pixels are too long and thin"), "%s", error.message);
    view.stretch = true;
    CHECK(see(400, 1, 1, 8, &view) == RML_OK);
    view.side = RML_VIEW_MIN_SIDE - 1;
    CHECK(rml_view_check(&view, &error) == RML_ERR_ARG);
    view = rml_view_default(VIEW_SIDE);
    view.shorter = VIEW_SIDE - 1;
    CHECK(see(50, 31, 3, 8, &view) == RML_ERR_ARG && strstr(error.message, "scaled to 39"));
}

// ---- memory -----------------------------------------------------------------------------------

static rml_status use(const rml_allocator *allocator)
{
    rml_labels labels;
    rml_picture p = {0};
    const rml_view view = rml_view_default(VIEW_SIDE);
    rml_status status = rml_labels_parse(&labels, "{\"9\":\"a\"}", 9, allocator, &error);
    rml_labels_release(&labels);
    if (status == RML_OK)
        status = rml_picture_create(&p, 64, 50, 4, 16, allocator, &error);
    if (status == RML_OK) {
        memset(p.data, 0, rml_picture_pitch(&p) * 50);
        status = rml_view_picture(&view, &p, planes, allocator, &error);
    }
    rml_picture_release(&p);
    return status;
}

static void test_memory(void)
{
    rml_status status = RML_ERR_NOMEM;
    size_t n = 1;
    for (; status != RML_OK; n++) {
        counting counter;
        const rml_allocator allocator = counting_allocator(&counter);
        counter.fail_at = n;
        status = use(&allocator);
        CHECK(status == RML_OK || status == RML_ERR_NOMEM);
        CHECK_MSG(counter.live_bytes == 0, "%zu bytes are left when call %zu fails",
                  counter.live_bytes, n);
    }
    CHECK_MSG(n > 10, "only %zu allocations", n - 2);
}

int main(void)
{
    test_top();
    test_softmax();
    test_labels();
    test_labels_damaged();
    test_view();
    test_memory();
    return check_result();
}
