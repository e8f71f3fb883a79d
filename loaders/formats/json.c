#include "loaders/formats/json.h"

#include "tensor/names.h"

#include <string.h>

// What may come next.
enum state {
    EXPECT_VALUE,        // after a key or at the top
    EXPECT_FIRST_ITEM,   // after [
    EXPECT_NEXT_ITEM,    // after a comma in an array
    EXPECT_FIRST_KEY,    // after {
    EXPECT_NEXT_KEY,     // after a comma in an object
    EXPECT_COMMA_OR_END, // after a value inside a container
    EXPECT_NOTHING,      // after the top value
};

void rml_json_begin(rml_json *json, const void *data, size_t size, const rml_allocator *allocator)
{
    *json = (rml_json){.data = data, .size = size, .allocator = allocator, .state = EXPECT_VALUE};
    if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
        json->at = 3;
}

void rml_json_release(rml_json *json)
{
    rml_free(json->allocator, json->text);
    json->text = NULL;
    json->text_capacity = 0;
}

static rml_status bad(const rml_json *json, const char *what, rml_error *err)
{
    if (json->at >= json->size)
        return rml_fail(err, RML_ERR_FORMAT,
                        "cut short: JSON ends at byte %zu where %s is expected", json->size, what);
    char seen[RML_QUOTE_BYTES];
    size_t length = rml_utf8_length(json->data + json->at, json->size - json->at);
    return rml_fail(err, RML_ERR_FORMAT, "bad JSON at byte %zu: expected %s, found \"%s\"",
                    json->at, what, rml_quote(seen, json->data + json->at, length ? length : 1));
}

// The next character; 0 at the end, which no text may hold.
static char peek(const rml_json *json)
{
    return json->at < json->size ? json->data[json->at] : 0;
}

static bool take(rml_json *json, char wanted)
{
    const bool there = peek(json) == wanted && wanted;
    json->at += there;
    return there;
}

static void skip_blanks(rml_json *json)
{
    while (peek(json) == ' ' || peek(json) == '\t' || peek(json) == '\n' || peek(json) == '\r')
        json->at++;
}

// ---- texts ------------------------------------------------------------------------------------

static rml_status append(rml_json *json, size_t *bytes, const char *from, size_t count,
                         rml_error *err)
{
    if (count > RML_JSON_MAX_TEXT_BYTES - *bytes)
        return rml_fail(err, RML_ERR_LIMIT, "JSON text of more than %zu bytes",
                        RML_JSON_MAX_TEXT_BYTES);
    RML_TRY(rml_reserve(json->allocator, &json->text, &json->text_capacity, *bytes + count + 1, 1,
                        "a JSON text", err));
    memcpy(json->text + *bytes, from, count);
    *bytes += count;
    return RML_OK;
}

static rml_status hex4(rml_json *json, uint32_t *unit, rml_error *err)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    *unit = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        const char *digit = peek(json) ? strchr(digits, peek(json)) : NULL;
        if (!digit)
            return bad(json, "a hexadecimal digit", err);
        const uint32_t value = (uint32_t)(digit - digits);
        *unit = *unit * 16 + (value < 16 ? value : value - 6);
    }
    return RML_OK;
}

// "\uXXXX" after the backslash and u; two of them for characters beyond the first plane.
static rml_status unicode_escape(rml_json *json, char *out, size_t *count, rml_error *err)
{
    uint32_t code, low;
    RML_TRY(hex4(json, &code, err));
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (json->size - json->at < 2 || memcmp(json->data + json->at, "\\u", 2) != 0)
            return bad(json, "the second half of a surrogate pair", err);
        json->at += 2;
        RML_TRY(hex4(json, &low, err));
        if (low < 0xDC00 || low > 0xDFFF)
            return bad(json, "the second half of a surrogate pair before this", err);
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return bad(json, "the first half of a surrogate pair before this", err);
    }
    if (code == 0)
        return bad(json, "no zero character before this", err);
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0}; // by the bytes that follow
    const size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    out[0] = (char)(lead[more] | code >> 6 * more);
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> 6 * (more - i) & 0x3F));
    *count = more + 1;
    return RML_OK;
}

static rml_status escape(rml_json *json, size_t *bytes, rml_error *err)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char out[4];
    size_t count = 1;
    json->at++;
    char letter = peek(json);
    const char *known = letter ? strchr(letters, letter) : NULL;
    if (known) {
        json->at++;
        out[0] = meanings[known - letters];
    } else if (letter == 'u') {
        json->at++;
        RML_TRY(unicode_escape(json, out, &count, err));
    } else {
        return bad(json, "an escape", err);
    }
    return append(json, bytes, out, count, err);
}

// From the opening quote to behind the closing one.
static rml_status read_text(rml_json *json, rml_json_token *token, rml_error *err)
{
    size_t bytes = 0;
    json->at++;
    for (;;) {
        size_t run = json->at; // characters without an escape are copied at once
        while (json->at < json->size) {
            unsigned char c = (unsigned char)json->data[json->at];
            if (c == '"' || c == '\\' || c < 0x20)
                break;
            size_t length = rml_utf8_length(json->data + json->at, json->size - json->at);
            if (length == 0)
                return bad(json, "UTF-8", err);
            json->at += length;
        }
        RML_TRY(append(json, &bytes, json->data + run, json->at - run, err));
        if (json->at == json->size || (unsigned char)json->data[json->at] < 0x20)
            return bad(json, "the end of a text", err);
        if (json->data[json->at] == '"')
            break;
        RML_TRY(escape(json, &bytes, err));
    }
    json->at++;
    json->text[bytes] = 0;
    token->text = json->text;
    token->text_bytes = bytes;
    return RML_OK;
}

// ---- numbers ----------------------------------------------------------------------------------

// mantissa * 10^exponent. Exact up to 15 digits and 10^22, where both factors are; strtod would
// depend on the program's locale.
static double scale(uint64_t mantissa, int exponent)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double value = (double)mantissa;
    if (mantissa == 0)
        return 0.0;
    for (; exponent > 22 && value < 1e300; exponent -= 22)
        value *= 1e22;
    for (; exponent < -22 && value > 0.0; exponent += 22)
        value /= 1e22;
    if (exponent > 22)
        return value * 1e22 * 1e300; // infinity
    if (exponent < -22)
        return 0.0;
    return exponent < 0 ? value / power[-exponent] : value * power[exponent];
}

static bool is_digit(const rml_json *json)
{
    return peek(json) >= '0' && peek(json) <= '9';
}

typedef struct digits {
    uint64_t mantissa; // the first 19 digits
    int exponent;      // of ten, for what is left out and what stands behind the point
    bool overflow;     // more digits than the mantissa holds
} digits;

static rml_status read_digits(rml_json *json, digits *d, bool is_fraction, rml_error *err)
{
    if (!is_digit(json))
        return bad(json, "a digit", err);
    for (; is_digit(json); json->at++) {
        uint64_t digit = (uint64_t)(json->data[json->at] - '0');
        if (d->mantissa <= (UINT64_MAX - digit) / 10 && !d->overflow) {
            d->mantissa = d->mantissa * 10 + digit;
            d->exponent -= is_fraction;
        } else {
            d->overflow = true;
            d->exponent += !is_fraction && d->exponent < 100000;
        }
    }
    return RML_OK;
}

static rml_status read_number(rml_json *json, rml_json_token *token, rml_error *err)
{
    digits d = {0};
    bool negative = take(json, '-');
    bool leading_zero = peek(json) == '0';
    size_t first = json->at;
    RML_TRY(read_digits(json, &d, false, err));
    if (leading_zero && json->at > first + 1)
        return rml_fail(err, RML_ERR_FORMAT, "bad JSON at byte %zu: a number begins with 0", first);
    bool whole = !d.overflow && d.mantissa <= INT64_MAX;
    if (take(json, '.')) {
        whole = false;
        RML_TRY(read_digits(json, &d, true, err));
    }
    if (take(json, 'e') || take(json, 'E')) {
        whole = false;
        bool minus = take(json, '-');
        if (!minus)
            take(json, '+');
        int exponent = 0;
        if (!is_digit(json))
            return bad(json, "a digit", err);
        for (; is_digit(json); json->at++)
            if (exponent < 100000)
                exponent = exponent * 10 + (json->data[json->at] - '0');
        d.exponent += minus ? -exponent : exponent;
    }
    double value = scale(d.mantissa, d.exponent);
    token->type = RML_JSON_NUMBER;
    token->number = negative ? -value : value;
    token->is_integer = whole;
    token->integer = whole ? (negative ? -(int64_t)d.mantissa : (int64_t)d.mantissa) : 0;
    return RML_OK;
}

// ---- structure --------------------------------------------------------------------------------

static void value_is_over(rml_json *json)
{
    json->state = json->depth ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static rml_status open_container(rml_json *json, bool is_object, rml_json_token *token,
                                 rml_error *err)
{
    if (json->depth == RML_JSON_MAX_DEPTH)
        return rml_fail(err, RML_ERR_LIMIT, "JSON nested deeper than %d at byte %zu",
                        RML_JSON_MAX_DEPTH, json->at);
    json->in_object[json->depth++] = is_object;
    json->at++;
    json->state = is_object ? EXPECT_FIRST_KEY : EXPECT_FIRST_ITEM;
    token->type = is_object ? RML_JSON_OBJECT_BEGIN : RML_JSON_ARRAY_BEGIN;
    return RML_OK;
}

static rml_status close_container(rml_json *json, rml_json_token *token)
{
    json->depth--;
    json->at++;
    token->type = json->in_object[json->depth] ? RML_JSON_OBJECT_END : RML_JSON_ARRAY_END;
    value_is_over(json);
    return RML_OK;
}

static rml_status read_word(rml_json *json, const char *word, rml_json_type type,
                            rml_json_token *token, rml_error *err)
{
    for (; *word; word++)
        if (!take(json, *word))
            return bad(json, "true, false or null", err);
    token->type = type;
    return RML_OK;
}

static rml_status read_value(rml_json *json, rml_json_token *token, rml_error *err)
{
    char c = peek(json);
    rml_status status;
    switch (c) {
    case '{':
    case '[':
        return open_container(json, c == '{', token, err);
    case '"':
        token->type = RML_JSON_TEXT;
        status = read_text(json, token, err);
        break;
    case 't':
        status = read_word(json, "true", RML_JSON_TRUE, token, err);
        break;
    case 'f':
        status = read_word(json, "false", RML_JSON_FALSE, token, err);
        break;
    case 'n':
        status = read_word(json, "null", RML_JSON_NULL, token, err);
        break;
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return bad(json, "a value", err);
        status = read_number(json, token, err);
    }
    value_is_over(json);
    return status;
}

static rml_status read_key(rml_json *json, rml_json_token *token, rml_error *err)
{
    if (peek(json) != '"')
        return bad(json, "a key", err);
    token->type = RML_JSON_KEY;
    RML_TRY(read_text(json, token, err));
    skip_blanks(json);
    if (!take(json, ':'))
        return bad(json, "\":\"", err);
    json->state = EXPECT_VALUE;
    return RML_OK;
}

rml_status rml_json_next(rml_json *json, rml_json_token *token, rml_error *err)
{
    if (json->size > RML_JSON_MAX_BYTES)
        return rml_fail(err, RML_ERR_LIMIT, "JSON of %zu bytes, the limit is %zu", json->size,
                        RML_JSON_MAX_BYTES);
    skip_blanks(json);
    *token = (rml_json_token){.at = json->at};
    char c = peek(json);
    if (json->state == EXPECT_COMMA_OR_END) {
        bool in_object = json->in_object[json->depth - 1];
        if (c == (in_object ? '}' : ']'))
            return close_container(json, token);
        if (c != ',')
            return bad(json, in_object ? "\",\" or \"}\"" : "\",\" or \"]\"", err);
        json->at++;
        json->state = in_object ? EXPECT_NEXT_KEY : EXPECT_NEXT_ITEM;
        skip_blanks(json);
        token->at = json->at;
        c = peek(json);
    }
    switch (json->state) {
    case EXPECT_FIRST_KEY:
        if (c == '}')
            return close_container(json, token);
        return read_key(json, token, err);
    case EXPECT_NEXT_KEY:
        return read_key(json, token, err);
    case EXPECT_FIRST_ITEM:
        if (c == ']')
            return close_container(json, token);
        return read_value(json, token, err);
    case EXPECT_NOTHING:
        if (json->at < json->size)
            return bad(json, "the end", err);
        token->type = RML_JSON_END;
        return RML_OK;
    default:
        return read_value(json, token, err);
    }
}

rml_status rml_json_skip(rml_json *json, const rml_json_token *token, rml_error *err)
{
    rml_json_token next = *token;
    int depth = 0;
    for (;;) {
        if (next.type == RML_JSON_OBJECT_BEGIN || next.type == RML_JSON_ARRAY_BEGIN)
            depth++;
        else if (next.type == RML_JSON_OBJECT_END || next.type == RML_JSON_ARRAY_END)
            depth--;
        if (depth <= 0 && next.type != RML_JSON_KEY)
            return RML_OK;
        RML_TRY(rml_json_next(json, &next, err));
    }
}

rml_status rml_json_expect(rml_json *json, rml_json_type type, const char *what,
                           rml_json_token *token, rml_error *err)
{
    RML_TRY(rml_json_next(json, token, err));
    if (token->type != type)
        return rml_fail(err, RML_ERR_FORMAT, "unexpected JSON at byte %zu: expected %s", token->at,
                        what);
    return RML_OK;
}
