// The index of names, and names made fit for a message.
#include "tensor/names.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

static rml_error error;

static void test_index(void)
{
    enum { COUNT = 5000, BYTES = 16 };
    static char text[COUNT][BYTES];
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_names names;
    size_t value = 0;
    rml_names_init(&names, &allocator);
    CHECK(!rml_names_find(&names, "x", 1, &value));
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(text[i], BYTES, "layer.%zu", i);
        CHECK(rml_names_add(&names, text[i], strlen(text[i]), i, &value, &error) == RML_OK);
        CHECK(value == i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        CHECK(rml_names_find(&names, text[i], strlen(text[i]), &value) && value == i);
        CHECK(rml_names_add(&names, text[i], strlen(text[i]), 7, &value, &error) == RML_OK);
        CHECK(value == i); // the first one stays
    }
    CHECK(names.count == COUNT);
    CHECK(!rml_names_find(&names, "layer.", 6, &value));
    CHECK(!rml_names_find(&names, "layer.10", 7, &value) || value == 1);
    CHECK(rml_names_add(&names, "", 0, 9, &value, &error) == RML_OK && value == 9);
    CHECK(rml_names_find(&names, "", 0, &value) && value == 9);
    rml_names_release(&names);
    CHECK(c.live_bytes == 0);
}

static void check_quote(const char *text, size_t bytes, const char *expected)
{
    char out[RML_QUOTE_BYTES];
    CHECK_MSG(strcmp(rml_quote(out, text, bytes), expected) == 0, "\"%s\", expected \"%s\"", out,
              expected);
}

static void test_quote(void)
{
    check_quote("a.b", 3, "a.b");
    check_quote("", 0, "");
    check_quote("a\x1B[2J\n\x7F", 7, "a?[2J??");
    check_quote("\xC3\xA9\xFF\xC3", 4, "\xC3\xA9??");
    check_quote("\xC2\x9Bm", 3, "?m"); // one of the C1 control characters
    check_quote("\xF0\x9F\x98\x80", 4, "\xF0\x9F\x98\x80");
    check_quote("\xC0\xAF", 2, "??");
    char many[400], out[RML_QUOTE_BYTES];
    for (size_t i = 0; i < sizeof many; i += 2)
        memcpy(many + i, "\xC3\xA9", 2);
    for (size_t bytes = 0; bytes <= sizeof many; bytes++) { // never cut inside a character
        rml_quote(out, many, bytes);
        CHECK(strlen(out) < RML_QUOTE_BYTES);
        CHECK(rml_text_is_clean(out, strlen(out)));
    }
    CHECK(strcmp(out + strlen(out) - 3, "...") == 0);
}

static void test_utf8(void)
{
    CHECK(rml_utf8_length("", 0) == 0 && rml_utf8_length("a", 1) == 1);
    CHECK(rml_utf8_length("\xE2\x82\xAC", 3) == 3 && rml_utf8_length("\xE2\x82\xAC", 2) == 0);
    CHECK(rml_utf8_length("\xE0\x80\x80", 3) == 0); // overlong
    CHECK(rml_utf8_length("\xED\xA0\x80", 3) == 0); // half of a surrogate pair
    CHECK(rml_utf8_length("\xF4\x8F\xBF\xBF", 4) == 4 && !rml_utf8_length("\xF4\x90\x80\x80", 4));
    CHECK(rml_text_is_clean("a\xC3\xA9", 3) && !rml_text_is_clean("a\n", 2));
    CHECK(!rml_text_is_clean("a\0b", 3) && rml_text_is_clean("", 0));
}

int main(void)
{
    test_index();
    test_quote();
    test_utf8();
    return check_result();
}
