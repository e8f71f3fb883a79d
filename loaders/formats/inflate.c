#include "loaders/formats/inflate.h"

#include <string.h>

enum { MAX_BITS = 15, TABLE = 1 << MAX_BITS };                       // of a code
enum { LITERALS = 288, DISTANCES = 32, LENGTHS = 19, END = 256 };    // codes of each kind
enum { STORED, FIXED, DYNAMIC };                                     // kinds of blocks
enum { COPY_LENGTH = 16, SHORT_ZEROS = 17, LONG_ZEROS = 18 };        // codes of lengths of codes
enum { MAX_LITERALS = 286, MAX_DISTANCES = 30, FIRST_LENGTH = 257 }; // that data may have

// What the next MAX_BITS bits say: a symbol, and how many of them it takes; 0 bits: no code begins
// so.
typedef struct inflating {
    const uint8_t *at, *end;
    uint64_t hold; // bits that were read and not taken, the next one lowest
    unsigned held;
    uint8_t *out;
    size_t used, room;
    uint16_t literal[TABLE], distance[TABLE]; // symbol << 4 | bits
} inflating;

// ---- bits ---------------------------------------------------------------------------------------

static void fill(inflating *s)
{
    while (s->held <= 56 && s->at < s->end) {
        s->hold |= (uint64_t)*s->at++ << s->held;
        s->held += 8;
    }
}

// False where the data ends before.
static bool take(inflating *s, unsigned bits, unsigned *out)
{
    if (s->held < bits)
        fill(s);
    if (s->held < bits)
        return false;
    *out = (unsigned)(s->hold & ((1u << bits) - 1));
    s->hold >>= bits;
    s->held -= bits;
    return true;
}

static bool take_symbol(inflating *s, const uint16_t *table, unsigned *symbol)
{
    if (s->held < MAX_BITS)
        fill(s);
    const uint16_t entry = table[s->hold & (TABLE - 1)];
    const unsigned bits = entry & 15;
    *symbol = entry >> 4;
    if (bits == 0 || bits > s->held)
        return false;
    s->hold >>= bits;
    s->held -= bits;
    return true;
}

// ---- codes --------------------------------------------------------------------------------------

// Codes of each length follow one another, in the order of their symbols; their first bit comes
// first. False where there are more than fit.
static bool make_table(uint16_t *table, const uint8_t *bits, unsigned count)
{
    unsigned of_length[MAX_BITS + 1] = {0}, next[MAX_BITS + 2] = {0};
    int left = 1;
    for (unsigned i = 0; i < count; i++)
        of_length[bits[i]]++;
    of_length[0] = 0;
    for (unsigned n = 1; n <= MAX_BITS; n++) {
        left = 2 * left - (int)of_length[n];
        if (left < 0)
            return false;
        next[n + 1] = (next[n] + of_length[n]) << 1;
    }
    memset(table, 0, TABLE * sizeof *table);
    for (unsigned i = 0; i < count; i++) {
        const unsigned length = bits[i];
        if (!length)
            continue;
        unsigned code = next[length]++, reversed = 0;
        for (unsigned k = 0; k < length; k++, code >>= 1)
            reversed = reversed << 1 | (code & 1);
        for (unsigned k = reversed; k < TABLE; k += 1u << length)
            table[k] = (uint16_t)(i << 4 | length);
    }
    return true;
}

static bool make_fixed(inflating *s)
{
    uint8_t bits[LITERALS], far[DISTANCES];
    for (unsigned i = 0; i < LITERALS; i++)
        bits[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    memset(far, 5, sizeof far);
    return make_table(s->literal, bits, LITERALS) && make_table(s->distance, far, DISTANCES);
}

// Lengths of the codes, themselves in codes: how often the last one or 0 is repeated.
static bool read_lengths(inflating *s, uint8_t *bits, unsigned count)
{
    for (unsigned i = 0; i < count;) {
        unsigned symbol, more = 0, times = 1, value;
        if (!take_symbol(s, s->distance, &symbol))
            return false;
        value = symbol < COPY_LENGTH ? symbol : 0;
        if (symbol == COPY_LENGTH) {
            if (i == 0 || !take(s, 2, &more))
                return false;
            value = bits[i - 1];
            times = 3 + more;
        } else if (symbol == SHORT_ZEROS || symbol == LONG_ZEROS) {
            if (!take(s, symbol == SHORT_ZEROS ? 3 : 7, &more))
                return false;
            times = (symbol == SHORT_ZEROS ? 3 : 11) + more;
        }
        if (times > count - i)
            return false;
        memset(bits + i, (int)value, times);
        i += times;
    }
    return true;
}

static bool make_dynamic(inflating *s)
{
    static const uint8_t order[LENGTHS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                           11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t bits[LITERALS + DISTANCES] = {0}, lengths[LENGTHS] = {0};
    unsigned literals, distances, count, length;
    if (!take(s, 5, &literals) || !take(s, 5, &distances) || !take(s, 4, &count))
        return false;
    literals += FIRST_LENGTH;
    distances += 1;
    if (literals > MAX_LITERALS || distances > MAX_DISTANCES)
        return false;
    for (unsigned i = 0; i < count + 4; i++) {
        if (!take(s, 3, &length))
            return false;
        lengths[order[i]] = (uint8_t)length;
    }
    return make_table(s->distance, lengths, LENGTHS) &&
           read_lengths(s, bits, literals + distances) && bits[END] != 0 &&
           make_table(s->literal, bits, literals) &&
           make_table(s->distance, bits + literals, distances);
}

// ---- blocks -------------------------------------------------------------------------------------

static bool copy_stored(inflating *s)
{
    unsigned bytes, inverse, none;
    if (!take(s, s->held % 8, &none) || !take(s, 16, &bytes) || !take(s, 16, &inverse) ||
        bytes != (inverse ^ 0xFFFF))
        return false;
    s->at -= s->held / 8; // what was read ahead
    s->held = 0;
    s->hold = 0;
    if (bytes > (size_t)(s->end - s->at) || bytes > s->room - s->used)
        return false;
    memcpy(s->out + s->used, s->at, bytes);
    s->at += bytes;
    s->used += bytes;
    return true;
}

// A length behind a literal's place, and how far back the bytes are that are repeated.
static bool copy_match(inflating *s, unsigned symbol)
{
    unsigned length = symbol - FIRST_LENGTH, distance, more;
    const unsigned length_bits = length < 8 || length == 28 ? 0 : length / 4 - 1;
    if (length > 28 || !take(s, length_bits, &more))
        return false;
    length = length == 28 ? 258
             : length < 8 ? length + 3
                          : 3 + ((4 + length % 4) << length_bits) + more;
    if (!take_symbol(s, s->distance, &distance) || distance >= MAX_DISTANCES)
        return false;
    const unsigned bits = distance < 4 ? 0 : distance / 2 - 1;
    if (!take(s, bits, &more))
        return false;
    const size_t back =
        distance < 4 ? distance + 1 : 1 + ((size_t)(2 + distance % 2) << bits) + more;
    if (back > s->used || length > s->room - s->used)
        return false;
    uint8_t *to = s->out + s->used;
    for (unsigned i = 0; i < length; i++) // what is repeated may be part of it
        to[i] = to[(ptrdiff_t)i - (ptrdiff_t)back];
    s->used += length;
    return true;
}

static bool copy_codes(inflating *s)
{
    for (unsigned symbol;;) {
        if (!take_symbol(s, s->literal, &symbol))
            return false;
        if (symbol == END)
            return true;
        if (symbol > END) {
            if (!copy_match(s, symbol))
                return false;
        } else {
            if (s->used == s->room)
                return false;
            s->out[s->used++] = (uint8_t)symbol;
        }
    }
}

static bool read_blocks(inflating *s)
{
    for (unsigned last = 0, kind; !last;) {
        if (!take(s, 1, &last) || !take(s, 2, &kind))
            return false;
        if (kind == STORED ? !copy_stored(s)
                           : kind > DYNAMIC || !(kind == FIXED ? make_fixed(s) : make_dynamic(s)) ||
                                 !copy_codes(s))
            return false;
    }
    return s->used == s->room;
}

rml_status rml_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t bytes,
                       const rml_allocator *allocator, rml_error *err)
{
    inflating *s = rml_alloc(allocator, sizeof *s);
    if (!s)
        return rml_fail_nomem(err, sizeof *s, "what is compressed");
    s->at = data;
    s->end = data + size;
    s->hold = 0;
    s->held = 0;
    s->out = out;
    s->used = 0;
    s->room = bytes;
    const bool whole = read_blocks(s);
    const size_t used = s->used;
    rml_free(allocator, s);
    return whole ? RML_OK
                 : rml_fail(err, RML_ERR_FORMAT,
                            "what is compressed is damaged behind %zu of %zu bytes", used, bytes);
}
