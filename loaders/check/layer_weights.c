#include "loaders/check/layer_weights.h"

enum { FLOATS = 1, HALVES = 2, RAW = 30, BYTES = 31, QUANTIZATION = 40 };

// ---- fields -------------------------------------------------------------------------------------

// The last field of this number; false where it is absent or not to be read.
static bool field_of(const rml_protobuf *message, uint32_t number, rml_protobuf_field *out)
{
    rml_protobuf rest = *message;
    rml_protobuf_field field;
    bool more = message->data != NULL, found = false;
    while (more && rml_protobuf_next(&rest, &field, &more, NULL) == RML_OK && more)
        if (field.number == number) {
            *out = field;
            found = true;
        }
    return found;
}

int64_t rml_layer_int(rml_layer_check *check, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    (void)check;
    return field_of(message, number, &field) ? (int64_t)field.value : 0;
}

bool rml_layer_has(rml_layer_check *check, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    (void)check;
    return field_of(message, number, &field);
}

rml_protobuf rml_layer_inside(rml_layer_check *check, const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    rml_protobuf inside = {0};
    (void)check;
    if (field_of(message, number, &field) &&
        rml_protobuf_enter(message, &field, "a field", &inside, NULL) != RML_OK)
        inside = (rml_protobuf){0};
    return inside;
}

static const int64_t *list_of(rml_layer_check *check, const rml_protobuf *message, uint32_t number,
                              size_t *count)
{
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(check->file, &why);
    const int64_t *list = NULL;
    *count = 0;
    const rml_status status =
        message->data ? rml_message_ints(&reader, message, number, "a list", 64, &list, count)
                      : RML_OK;
    if (status != RML_OK)
        *count = 0;
    if (status == RML_ERR_NOMEM)
        check->status = rml_fail(check->checker->err, status, "%s", why.message);
    return list;
}

uint64_t rml_layer_times(uint64_t a, uint64_t b)
{
    return a != 0 && b > UINT64_MAX / a ? UINT64_MAX : a * b;
}

uint64_t rml_layer_product(rml_layer_check *check, const rml_protobuf *message, uint32_t number)
{
    size_t count;
    const int64_t *list = list_of(check, message, number, &count);
    uint64_t product = count ? 1 : 0;
    for (size_t i = 0; i < count; i++)
        product = rml_layer_times(product, (uint64_t)list[i]);
    return product;
}

uint64_t rml_layer_item(rml_layer_check *check, const rml_protobuf *message, uint32_t number,
                        size_t index, uint64_t absent)
{
    size_t count;
    const int64_t *list = list_of(check, message, number, &count);
    return index < count ? (uint64_t)list[index] : absent;
}

void rml_layer_needs(rml_layer_check *check, int64_t version, const char *what)
{
    if (check->version < version)
        rml_check_fault(check->checker, check->place,
                        "%s came with specification %lld, the model says %lld", what,
                        (long long)version, (long long)check->version);
}

// ---- weights ------------------------------------------------------------------------------------

static size_t bytes_of(const rml_protobuf *message, uint32_t number)
{
    rml_protobuf_field field;
    return field_of(message, number, &field) && field.wire == RML_PROTOBUF_BYTES ? field.bytes : 0;
}

static size_t floats_of(rml_layer_check *check, const rml_protobuf *message, uint32_t number)
{
    rml_error why;
    const rml_message_reader reader = rml_coreml_messages(check->file, &why);
    rml_protobuf first;
    size_t count = 0;
    if (!message->data || rml_message_count_numbers(&reader, message, number, RML_PROTOBUF_FIXED32,
                                                    "weights", &count, &first) != RML_OK)
        return 0;
    return count;
}

static void check_codes(rml_layer_check *check, const rml_protobuf *weights, const char *what,
                        uint64_t count, size_t bytes)
{
    const rml_protobuf quantization = rml_layer_inside(check, weights, QUANTIZATION);
    const rml_protobuf linear = rml_layer_inside(check, &quantization, 101);
    const rml_protobuf table = rml_layer_inside(check, &quantization, 102);
    const int64_t bits = rml_layer_int(check, &quantization, 1);
    const size_t entries = floats_of(check, &table, 1);
    rml_layer_needs(check, 3, "weights of fewer bits");
    if (bits < 1 || bits > 8) {
        rml_check_fault(check->checker, check->place, "%s of %lld bits, 1 to 8 are right", what,
                        (long long)bits);
        return;
    }
    const uint64_t wanted = rml_layer_times(count, (uint64_t)bits);
    if (bytes != wanted / 8 + (wanted % 8 != 0))
        rml_check_fault(check->checker, check->place,
                        "its %s are %zu bytes, and %llu numbers of %lld bits are expected", what,
                        bytes, (unsigned long long)count, (long long)bits);
    if (!linear.data && !table.data)
        rml_check_fault(check->checker, check->place, "its %s have neither scales nor a table",
                        what);
    if (table.data && entries != (size_t)1 << bits)
        rml_check_fault(check->checker, check->place,
                        "the table of its %s has %zu entries, not %zu", what, entries,
                        (size_t)1 << bits);
}

void rml_layer_weights(rml_layer_check *check, const rml_protobuf *message, uint32_t number,
                       const char *what, uint64_t count)
{
    const rml_protobuf weights = rml_layer_inside(check, message, number);
    const size_t floats = floats_of(check, &weights, FLOATS), halves = bytes_of(&weights, HALVES);
    const size_t raw = bytes_of(&weights, RAW), bytes = bytes_of(&weights, BYTES);
    const int kinds = (floats > 0) + (halves > 0) + (raw > 0) + (bytes > 0);
    if (kinds == 0) {
        rml_check_fault(check->checker, check->place, "its %s are missing", what);
        return;
    }
    if (kinds > 1)
        rml_check_fault(check->checker, check->place, "its %s are there in %d ways", what, kinds);
    check->wide = check->wide || floats;
    check->half = check->half || halves;
    if (halves)
        rml_layer_needs(check, 2, "weights of 16 bits");
    if (bytes)
        rml_layer_needs(check, 5, "weights of 8 bits that stay integers");
    if (raw)
        check_codes(check, &weights, what, count, raw);
    const uint64_t have = floats ? floats : halves ? halves / 2 : bytes ? bytes : count;
    if (have != count || halves % 2 != 0)
        rml_check_fault(check->checker, check->place, "its %s are %llu numbers, %llu are right",
                        what, (unsigned long long)have, (unsigned long long)count);
}
