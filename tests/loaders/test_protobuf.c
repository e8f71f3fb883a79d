// The wire format: numbers, lengths, packed and single numbers, nesting, and what contradicts it.
#include "loaders/formats/protobuf.h"

#include "tests/support/check.h"
#include "tests/support/protobuf_files.h"

static rml_error error;

// The fields of a message as one line, "!" for a failure: "1=5 2:3" is number 1 with value 5, then
// number 2 with 3 bytes.
static const char *fields_of(const void *bytes, size_t size)
{
    static char out[512];
    size_t at = 0;
    bool more = true;
    uint8_t *exact = malloc(size ? size : 1); // so that a sanitizer sees reads past the end
    if (!exact)
        exit(1);
    if (size)
        memcpy(exact, bytes, size);
    rml_protobuf message;
    rml_protobuf_field field;
    rml_protobuf_begin(&message, exact, size);
    out[0] = 0;
    while (more && at < sizeof out - 64) {
        const char *space = at ? " " : "";
        if (rml_protobuf_next(&message, &field, &more, &error) != RML_OK) {
            snprintf(out + at, sizeof out - at, "%s!", space);
            break;
        }
        if (!more)
            break;
        CHECK(field.data == exact + field.at && field.at + field.bytes <= size);
        at += (size_t)(field.wire == RML_PROTOBUF_BYTES
                           ? snprintf(out + at, 64, "%s%u:%zu", space, field.number, field.bytes)
                           : snprintf(out + at, 64, "%s%u=%llu", space, field.number,
                                      (unsigned long long)field.value));
    }
    free(exact);
    return out;
}

static void test_fields(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *fields, *part; // part of the message of a failure
    } cases[] = {
#define CASE(literal, fields, part) {literal, sizeof(literal) - 1, fields, part}
        CASE("", "", NULL),
        CASE("\x08\x05", "1=5", NULL),
        CASE("\x08\x96\x01", "1=150", NULL),
        CASE("\x08\x80\x00", "1=0", NULL), // longer than need be, as some writers leave room
        CASE("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "1=18446744073709551615", NULL),
        CASE("\x12\x03"
             "abc\x08\x01",
             "2:3 1=1", NULL),
        CASE("\x12\x00", "2:0", NULL),
        CASE("\x0D\x01\x02\x03\x04", "1=67305985", NULL),
        CASE("\x09\x01\x00\x00\x00\x00\x00\x00\x80", "1=9223372036854775809", NULL),
        CASE("\xF8\xFF\xFF\xFF\x0F\x01", "536870911=1", NULL),
        CASE("\x08", "!", "cut short: the file ends at byte 1"),
        CASE("\x08\x80", "!", "cut short"),
        CASE("\x80", "!", "cut short"),
        CASE("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", "!",
             "number at byte 1 has more than 64 bits"),
        CASE("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "!", "more than 64 bits"),
        CASE("\x12\x04"
             "abc",
             "!", "the file ends at byte 5, and 4 bytes are announced at byte 2"),
        CASE("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", "!",
             "18446744073709551615 bytes are announced at byte 11"),
        CASE("\x0D\x01\x02\x03", "!", "cut short"),
        CASE("\x09\x01\x02\x03\x04\x05\x06\x07", "!", "cut short"),
        CASE("\x08\x01\x0B\x0C", "1=1 !",
             "field 1 at byte 2 is encoded as kind 3, which is a group"),
        CASE("\x0C", "!", "kind 4, which is a group"),
        CASE("\x0E", "!", "kind 6, which is none"),
        CASE("\x0F", "!", "kind 7"),
        CASE("\x00\x00", "!", "field number 0 at byte 0"),
        CASE("\x80\x80\x80\x80\x10\x00", "!", "field number 536870912"),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = fields_of(cases[i].bytes, cases[i].size);
        CHECK_MSG(strcmp(got, cases[i].fields) == 0, "case %zu gives \"%s\", expected \"%s\"", i,
                  got, cases[i].fields);
        if (cases[i].part)
            CHECK_MSG(error.status == RML_ERR_FORMAT && strstr(error.message, cases[i].part),
                      "case %zu: \"%s\", expected \"%s\"", i, error.message, cases[i].part);
    }
}

// All numbers of one field, as one line.
static const char *numbers_of(const void *bytes, size_t size, rml_protobuf_wire wire)
{
    static char out[256];
    rml_protobuf message, numbers;
    rml_protobuf_field field;
    bool more;
    size_t count = 0, at = 0;
    uint64_t value = 0;
    rml_protobuf_begin(&message, bytes, size);
    out[0] = 0;
    while (rml_protobuf_next(&message, &field, &more, &error) == RML_OK && more) {
        if (rml_protobuf_numbers(&message, &field, wire, "dims", &numbers, &count, &error))
            return "!";
        for (size_t i = 0; i < count; i++) {
            if (rml_protobuf_number(&numbers, wire, &value, &error))
                return "!!";
            at += (size_t)snprintf(out + at, sizeof out - at, "%s%lld", at ? " " : "",
                                   (long long)value);
        }
        CHECK(numbers.at == numbers.end);
    }
    return out;
}

static void test_numbers(void)
{
    blob b = {NULL, 0, 0}, packed = {NULL, 0, 0};
    pb_int(&b, 1, 7);
    pb_varint(&packed, 300);
    pb_varint(&packed, UINT64_MAX);
    pb_message(&b, 1, packed);
    pb_bytes(&b, 1, "", 0);
    pb_int(&b, 1, -2);
    const char *got = numbers_of(b.data, b.size, RML_PROTOBUF_VARINT);
    CHECK_MSG(strcmp(got, "7 300 -1 -2") == 0, "%s", got);
    blob_free(&b);
    CHECK(strcmp(numbers_of("\x0A\x08\1\0\0\0\2\0\0\0\x0D\3\0\0\0", 15, RML_PROTOBUF_FIXED32),
                 "1 2 3") == 0);
    CHECK(strcmp(numbers_of("\x09\1\0\0\0\0\0\0\0", 9, RML_PROTOBUF_FIXED64), "1") == 0);

    CHECK(strcmp(numbers_of("\x0A\x03\1\0\0", 5, RML_PROTOBUF_FIXED32), "!") == 0);
    CHECK_MSG(strstr(error.message, "dims at byte 2 has 3 bytes, which is no multiple of 4"), "%s",
              error.message);
    CHECK(strcmp(numbers_of("\x0A\x02\1\x80", 4, RML_PROTOBUF_VARINT), "!") == 0);
    CHECK_MSG(strstr(error.message, "the numbers of dims at byte 2 end within one"), "%s",
              error.message);
    CHECK(strcmp(numbers_of("\x0A\x0B\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 13,
                            RML_PROTOBUF_VARINT),
                 "!!") == 0);
    CHECK(strcmp(numbers_of("\x0D\1\0\0\0", 5, RML_PROTOBUF_VARINT), "!") == 0);
    CHECK_MSG(strstr(error.message, "dims at byte 1 is encoded as 4 bytes, not as a whole number"),
              "%s", error.message);
    CHECK(rml_protobuf_f32(0x40490FDB) == 3.14159274f);
}

static void test_nesting(void)
{
    blob b = {NULL, 0, 0};
    pb_int(&b, 1, 1);
    for (int i = 1; i < RML_PROTOBUF_MAX_DEPTH + 1; i++) {
        blob outer = {NULL, 0, 0};
        pb_message(&outer, 3, b);
        b = outer;
    }
    rml_protobuf message, inside;
    rml_protobuf_field field;
    bool more;
    int depth = 0;
    rml_protobuf_begin(&message, b.data, b.size);
    rml_status status = RML_OK;
    for (; status == RML_OK; depth++, message = inside) {
        CHECK(rml_protobuf_next(&message, &field, &more, &error) == RML_OK && more);
        status = rml_protobuf_enter(&message, &field, "graph", &inside, &error);
    }
    CHECK_MSG(status == RML_ERR_LIMIT && depth == RML_PROTOBUF_MAX_DEPTH &&
                  strstr(error.message, "is nested deeper than 100 messages"),
              "%d: %s", depth, error.message);
    blob_free(&b);

    // a message inside must not read on past its own end
    CHECK(rml_protobuf_next(&(rml_protobuf){(const uint8_t *)"\x12\x03"
                                                             "abc",
                                            0, 3, 5, 1},
                            &field, &more, &error) == RML_ERR_FORMAT);
    CHECK_MSG(strstr(error.message, "3 bytes at byte 2 leave their message, which ends at byte 3"),
              "%s", error.message);
    rml_protobuf_begin(&message, "\x08\x01", 2);
    CHECK(rml_protobuf_next(&message, &field, &more, &error) == RML_OK);
    CHECK(rml_protobuf_enter(&message, &field, "graph", &inside, &error) == RML_ERR_FORMAT);
    CHECK_MSG(strstr(error.message, "graph at byte 1 is encoded as a whole number"), "%s",
              error.message);
}

int main(void)
{
    test_fields();
    test_numbers();
    test_nesting();
    return check_result();
}
