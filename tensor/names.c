#include "tensor/names.h"

#include "tensor/size.h"

#include <string.h>

struct rml_names_slot {
    uint64_t hash;
    const char *text; // NULL: free
    size_t text_bytes;
    size_t value;
};

void rml_names_init(rml_names *names, const rml_allocator *allocator)
{
    *names = (rml_names){.allocator = allocator};
}

void rml_names_release(rml_names *names)
{
    rml_free(names->allocator, names->slot);
    rml_names_init(names, names->allocator);
}

static uint64_t hash_of(const char *text, size_t text_bytes)
{
    uint64_t hash = 0xCBF29CE484222325u; // FNV-1a
    for (size_t i = 0; i < text_bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
    // the low bits choose the slot, and FNV leaves its entropy in the high ones
    hash ^= hash >> 32;
    hash *= 0x9E3779B97F4A7C15u;
    return hash ^ (hash >> 29);
}

// The slot that holds the name, or the free one where it belongs; NULL when too many names collide.
static struct rml_names_slot *probe(const rml_names *names, const char *text, size_t text_bytes,
                                    uint64_t hash)
{
    size_t at = (size_t)hash & (names->capacity - 1);
    for (size_t step = 0; step < RML_NAMES_MAX_PROBES; step++) {
        struct rml_names_slot *slot = &names->slot[at];
        if (!slot->text)
            return slot;
        if (slot->hash == hash && slot->text_bytes == text_bytes &&
            memcmp(slot->text, text, text_bytes) == 0)
            return slot;
        at = (at + 1) & (names->capacity - 1);
    }
    return NULL;
}

static rml_status too_many_collisions(rml_error *err)
{
    return rml_fail(err, RML_ERR_LIMIT, "more than %d names collide in one hash table",
                    RML_NAMES_MAX_PROBES);
}

static rml_status grow(rml_names *names, rml_error *err)
{
    rml_names larger = {.allocator = names->allocator, .count = names->count};
    larger.capacity = names->capacity ? names->capacity * 2 : 64;
    RML_TRY(rml_make(names->allocator, &larger.slot, larger.capacity, sizeof *larger.slot,
                     "an index of names", err));
    for (size_t i = 0; i < names->capacity; i++) {
        const struct rml_names_slot *old = &names->slot[i];
        if (!old->text)
            continue;
        struct rml_names_slot *slot = probe(&larger, old->text, old->text_bytes, old->hash);
        if (!slot) {
            rml_names_release(&larger);
            return too_many_collisions(err);
        }
        *slot = *old;
    }
    rml_free(names->allocator, names->slot);
    *names = larger;
    return RML_OK;
}

rml_status rml_names_add(rml_names *names, const char *text, size_t text_bytes, size_t value,
                         size_t *now, rml_error *err)
{
    if ((names->count + 1) * 2 > names->capacity)
        RML_TRY(grow(names, err));
    uint64_t hash = hash_of(text, text_bytes);
    struct rml_names_slot *slot = probe(names, text, text_bytes, hash);
    if (!slot)
        return too_many_collisions(err);
    if (!slot->text) {
        *slot = (struct rml_names_slot){hash, text, text_bytes, value};
        names->count++;
    }
    *now = slot->value;
    return RML_OK;
}

bool rml_names_find(const rml_names *names, const char *text, size_t text_bytes, size_t *value)
{
    if (names->count == 0)
        return false;
    const struct rml_names_slot *slot = probe(names, text, text_bytes, hash_of(text, text_bytes));
    if (!slot || !slot->text)
        return false;
    *value = slot->value;
    return true;
}

size_t rml_utf8_length(const char *text, size_t text_bytes)
{
    const unsigned char *byte = (const unsigned char *)text;
    if (text_bytes == 0)
        return 0;
    if (byte[0] < 0x80)
        return 1;
    size_t length = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : 2;
    if (byte[0] < 0xC2 || byte[0] > 0xF4 || length > text_bytes)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((byte[i] & 0xC0) != 0x80)
            return 0;
    // overlong forms, UTF-16 surrogates and what lies past U+10FFFF
    if ((byte[0] == 0xE0 && byte[1] < 0xA0) || (byte[0] == 0xED && byte[1] > 0x9F) ||
        (byte[0] == 0xF0 && byte[1] < 0x90) || (byte[0] == 0xF4 && byte[1] > 0x8F))
        return 0;
    return length;
}

// C1 control characters (C2 80 to C2 9F) move a terminal's cursor, too.
static bool is_control(const char *text, size_t length)
{
    unsigned char first = (unsigned char)text[0];
    return first < 0x20 || first == 0x7F ||
           (first == 0xC2 && length == 2 && (unsigned char)text[1] < 0xA0);
}

bool rml_text_is_clean(const char *text, size_t text_bytes)
{
    for (size_t at = 0, length; at < text_bytes; at += length) {
        length = rml_utf8_length(text + at, text_bytes - at);
        if (length == 0 || is_control(text + at, length))
            return false;
    }
    return true;
}

const char *rml_text_clean(char *out, size_t capacity, const char *text, size_t text_bytes)
{
    const size_t room = capacity - sizeof "...";
    size_t from = 0, to = 0;
    while (from < text_bytes) {
        size_t length = rml_utf8_length(text + from, text_bytes - from);
        if (to + (length ? length : 1) > room) {
            memcpy(out + to, "...", 3);
            to += 3;
            break;
        }
        if (length == 0 || is_control(text + from, length)) {
            out[to++] = '?';
        } else {
            memcpy(out + to, text + from, length);
            to += length;
        }
        from += length ? length : 1;
    }
    out[to] = 0;
    return out;
}

const char *rml_quote(char *out, const char *text, size_t text_bytes)
{
    return rml_text_clean(out, RML_QUOTE_BYTES, text, text_bytes);
}
