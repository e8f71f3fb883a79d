// The JSON parser: tokens, texts, numbers, what is refused and where.
#include "loaders/formats/json.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

static rml_error error;

// The tokens of a document as one line, "!" for a failure.
static const char *tokens_of(const char *text, size_t size)
{
    static char out[512];
    static const char letters[] = ".{}[]kt#TFN";
    size_t at = 0;
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_json json;
    rml_json_token token;
    char *exact = malloc(size ? size : 1); // so that a sanitizer sees reads past the end
    if (!exact)
        exit(1);
    memcpy(exact, text, size);
    rml_json_begin(&json, exact, size, &allocator);
    do {
        rml_status status = rml_json_next(&json, &token, &error);
        out[at++] = status == RML_OK ? letters[token.type] : '!';
        if (status != RML_OK)
            break;
    } while (token.type != RML_JSON_END && at < sizeof out - 1);
    out[at] = 0;
    rml_json_release(&json);
    CHECK(c.live_bytes == 0);
    free(exact);
    return out;
}

static void test_structure(void)
{
    static const struct {
        const char *text, *tokens;
    } cases[] = {
        {"{}", "{}."},
        {"[]", "[]."},
        {" [1, [2], {\"a\" : {}, \"b\":[ ]}] ", "[#[#]{k{}k[]}]."},
        {"\xEF\xBB\xBF\"x\"", "t."},
        {"[true,false,null]", "[TFN]."},
        {"{\"a\":\"b\",\"c\":1.5}", "{ktk#}."},
        {"-0", "#."},
        {"", "!"},
        {" ", "!"},
        {"[", "[!"},
        {"[1", "[#!"},
        {"[1,]", "[#!"},
        {"[,1]", "[!"},
        {"[1 2]", "[#!"},
        {"{\"a\"}", "{!"},
        {"{\"a\":1,}", "{k#!"},
        {"{a:1}", "{!"},
        {"{\"a\":1]", "{k#!"},
        {"[1}", "[#!"},
        {"{} {}", "{}!"},
        {"tru", "!"},
        {"trux", "!"},
        {"nulL", "!"},
        {"01", "!"},
        {"-", "!"},
        {"1.", "!"},
        {".5", "!"},
        {"1e", "!"},
        {"1e+", "!"},
        {"+1", "!"},
        {"NaN", "!"},
        {"\"a", "!"},
        {"\"\\", "!"},
        {"\"\\x\"", "!"},
        {"\"\\u12\"", "!"},
        {"\"\\u0000\"", "!"},
        {"\"\\ud800\"", "!"},
        {"\"\\ud800\\u0041\"", "!"},
        {"\"\\udc00\"", "!"},
        {"\"\t\"", "!"},
        {"\"\xFF\"", "!"},
        {"\"\xC0\x80\"", "!"},
        {"\"\xED\xA0\x80\"", "!"},
        {"\"\xF5\x80\x80\x80\"", "!"},
        {"\"\xC3\"", "!"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = tokens_of(cases[i].text, strlen(cases[i].text));
        CHECK_MSG(strcmp(got, cases[i].tokens) == 0, "%s gives %s, expected %s", cases[i].text, got,
                  cases[i].tokens);
    }
    char deep[RML_JSON_MAX_DEPTH + 1];
    memset(deep, '[', sizeof deep);
    const char *got = tokens_of(deep, RML_JSON_MAX_DEPTH);
    CHECK(strlen(got) == RML_JSON_MAX_DEPTH + 1 && error.status == RML_ERR_FORMAT);
    got = tokens_of(deep, sizeof deep);
    CHECK(error.status == RML_ERR_LIMIT && strstr(error.message, "nested deeper than 64"));
    tokens_of("[1, x]", 6);
    CHECK_MSG(strcmp(error.message, "bad JSON at byte 4: expected a value, found \"x\"") == 0, "%s",
              error.message);
    tokens_of("[1", 2);
    CHECK_MSG(strstr(error.message, "cut short: JSON ends at byte 2"), "%s", error.message);
}

static void first_token(const char *text, rml_json *json, rml_json_token *token)
{
    rml_json_begin(json, text, strlen(text), rml_allocator_default());
    CHECK_MSG(rml_json_next(json, token, &error) == RML_OK, "%s: %s", text, error.message);
}

static void test_texts(void)
{
    rml_json json;
    rml_json_token token;
    first_token("\"a\\n\\\"\\\\\\/\\u0041\\u00e9\\u20AC\\ud83d\\ude00z\"", &json, &token);
    CHECK(strcmp(token.text, "a\n\"\\/A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z") == 0);
    CHECK(token.text_bytes == strlen(token.text));
    rml_json_release(&json);
    first_token("\"\"", &json, &token);
    CHECK(token.text && token.text_bytes == 0 && !token.text[0]);
    rml_json_release(&json);
}

static void test_numbers(void)
{
    static const struct {
        const char *text;
        double number;
        bool is_integer;
        int64_t integer;
    } cases[] = {
        {"0", 0, true, 0},
        {"-7", -7, true, -7},
        {"9223372036854775807", 9223372036854775807.0, true, INT64_MAX},
        {"9223372036854775808", 9223372036854775808.0, false, 0},
        {"1e2", 100, false, 0},
        {"1.0", 1, false, 0},
        {"0.18215", 0.18215, false, 0},
        {"1e-05", 1e-05, false, 0},
        {"-2.5E+3", -2500, false, 0},
        {"1e22", 1e22, false, 0},
        {"123456789012345", 123456789012345.0, true, 123456789012345},
    };
    rml_json json;
    rml_json_token token;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        first_token(cases[i].text, &json, &token);
        CHECK_MSG(token.type == RML_JSON_NUMBER && token.number == cases[i].number &&
                      token.is_integer == cases[i].is_integer && token.integer == cases[i].integer,
                  "%s: %.17g %lld", cases[i].text, token.number, (long long)token.integer);
    }
    static const char *const wide[] = {
        "3.14159265358979323846264338327950288", "1e-300",   "1e300",
        "123456789012345678901234567890",        "4.9e-324", "2.5e-310"};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        first_token(wide[i], &json, &token);
        double expected = strtod(wide[i], NULL);
        CHECK_MSG(fabs(token.number - expected) <= expected * 1e-14 + 5e-324, "%s: %.17g", wide[i],
                  token.number);
    }
    first_token("1e999", &json, &token);
    CHECK(isinf(token.number));
    first_token("1e-99999999999999", &json, &token);
    CHECK(token.number == 0.0);
}

static void test_skip(void)
{
    rml_json json;
    rml_json_token token;
    first_token("{\"a\": [1, {\"b\": [[]]}], \"c\": 2, \"d\": 3}", &json, &token);
    CHECK(rml_json_expect(&json, RML_JSON_KEY, "a key", &token, &error) == RML_OK);
    CHECK(rml_json_next(&json, &token, &error) == RML_OK);
    CHECK(rml_json_skip(&json, &token, &error) == RML_OK);
    CHECK(rml_json_next(&json, &token, &error) == RML_OK && strcmp(token.text, "c") == 0);
    CHECK(rml_json_next(&json, &token, &error) == RML_OK);
    CHECK(rml_json_skip(&json, &token, &error) == RML_OK);
    CHECK(rml_json_next(&json, &token, &error) == RML_OK && strcmp(token.text, "d") == 0);
    // skipping a key skips its value
    CHECK(rml_json_skip(&json, &token, &error) == RML_OK && token.type == RML_JSON_KEY);
    CHECK(rml_json_expect(&json, RML_JSON_NUMBER, "a number", &token, &error) == RML_ERR_FORMAT);
    rml_json_release(&json);
}

int main(void)
{
    test_structure();
    test_texts();
    test_numbers();
    test_skip();
    return check_result();
}
