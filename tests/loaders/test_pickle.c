// The pickle machine: what each opcode builds. What it refuses is in test_weights_hostile.c.
#include "loaders/formats/pickle.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

static rml_error error;
static counting count;
static rml_allocator allocator;

#define READ(pickle, literal)                                                                      \
    CHECK_MSG(rml_pickle_read(pickle, (const uint8_t *)literal, sizeof literal - 1, &allocator,    \
                              &error) == RML_OK,                                                   \
              "%s", error.message)

static const rml_pickle_value *root(const rml_pickle *p)
{
    return &p->value[p->root];
}

static const rml_pickle_value *item(const rml_pickle *p, const rml_pickle_value *container,
                                    size_t index)
{
    CHECK(index < container->count);
    return &p->value[rml_pickle_item(p, container, index)];
}

static void test_plain_values(void)
{
    rml_pickle p;
    READ(&p, "\x80\x02(NK\xFFM\xFF\xFFJ\xFE\xFF\xFF\xFF\x8A\x00\x8A\x01\x80\x8A\x08"
             "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x8B\x02\0\0\0\x00\x01\x88\x89"
             "G\xC0\x04\0\0\0\0\0\0t.");
    static const int64_t integers[] = {255, 65535, -2, 0, -128, INT64_MAX, 256};
    CHECK(root(&p)->kind == RML_PICKLE_TUPLE && root(&p)->count == 11);
    CHECK(item(&p, root(&p), 0)->kind == RML_PICKLE_NONE);
    for (size_t i = 0; i < 7; i++)
        CHECK(item(&p, root(&p), 1 + i)->kind == RML_PICKLE_INT &&
              item(&p, root(&p), 1 + i)->u.integer == integers[i]);
    CHECK(item(&p, root(&p), 8)->kind == RML_PICKLE_BOOL && item(&p, root(&p), 8)->u.integer == 1);
    CHECK(item(&p, root(&p), 9)->u.integer == 0);
    CHECK(item(&p, root(&p), 10)->kind == RML_PICKLE_FLOAT &&
          item(&p, root(&p), 10)->u.number == -2.5);
    rml_pickle_release(&p);

    READ(&p, "\x80\x05\x95\x30\0\0\0\0\0\0\0(\x8C\x01"
             "aX\x02\0\0\0bc\x8D\x01\0\0\0\0\0\0\0dU\x01"
             "eT\x01\0\0\0f"
             "C\x01gB\x01\0\0\0h\x8E\x01\0\0\0\0\0\0\0i\x96\x01\0\0\0\0\0\0\0jl.");
    static const char *const texts[] = {"a", "bc", "d", "e", "f"};
    CHECK(root(&p)->kind == RML_PICKLE_LIST && root(&p)->count == 9);
    for (size_t i = 0; i < 5; i++)
        CHECK(rml_pickle_text_is(item(&p, root(&p), i), texts[i]));
    for (size_t i = 5; i < 9; i++)
        CHECK(item(&p, root(&p), i)->kind == RML_PICKLE_BYTES && item(&p, root(&p), i)->count == 1);
    rml_pickle_release(&p);

    READ(&p, "\x80\x02\x8A\x09\0\0\0\0\0\0\0\0\x01.tail");
    CHECK(root(&p)->kind == RML_PICKLE_LONG && root(&p)->count == 9);
    CHECK(p.used_bytes == 14);
    rml_pickle_release(&p);
}

static void test_containers_and_memo(void)
{
    rml_pickle p;
    // [(), (1,), (1,2), (1,2,3), {4}, frozenset, the same list's memo]
    READ(&p, "\x80\x04]\x94()K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87\x8F(K\x04\x90(K\x05\x91"
             "h\0e.");
    CHECK(root(&p)->count == 7);
    for (size_t i = 0; i < 4; i++)
        CHECK(item(&p, root(&p), i)->kind == RML_PICKLE_TUPLE && item(&p, root(&p), i)->count == i);
    CHECK(item(&p, root(&p), 4)->kind == RML_PICKLE_SET && item(&p, root(&p), 4)->count == 1);
    CHECK(item(&p, root(&p), 5)->kind == RML_PICKLE_SET);
    CHECK(item(&p, root(&p), 6) == root(&p)); // a list inside itself
    rml_pickle_release(&p);

    // POP, POP_MARK, DUP, LONG_BINPUT, LONG_BINGET, DICT, SETITEM, APPEND
    READ(&p, "\x80\x02K\x07r\x03\0\0\0"
             "0(K\x01K\x02"
             "1(K\x01j\x03\0\0\0d]K\x09"
             "a2s.");
    rml_pickle_release(&p);
}

static void test_dictionaries(void)
{
    rml_pickle p;
    READ(&p, "\x80\x02"
             "ccollections\nOrderedDict\n)R(U\x01"
             "aK\x01U\x01"
             "bK\x02u.");
    CHECK(root(&p)->kind == RML_PICKLE_DICT && root(&p)->count == 4);
    CHECK(rml_pickle_get(&p, root(&p), "b")->u.integer == 2);
    CHECK(!rml_pickle_get(&p, root(&p), "c"));
    rml_pickle_release(&p);
    // as Python 2 writes it: OrderedDict([["a", 1], ["a", 2]])
    READ(&p, "\x80\x02"
             "ccollections\nOrderedDict\n](](U\x01"
             "aK\x01"
             "e](U\x01"
             "aK\x02"
             "ee\x85R.");
    CHECK(root(&p)->kind == RML_PICKLE_DICT && root(&p)->count == 4);
    CHECK(rml_pickle_get(&p, root(&p), "a")->u.integer == 2); // the last one counts
    rml_pickle_release(&p);
    READ(&p, "\x80\x02"
             "ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RU\x01"
             "a]s.");
    CHECK(root(&p)->kind == RML_PICKLE_DICT && root(&p)->count == 2);
    rml_pickle_release(&p);
}

static void test_opaque(void)
{
    rml_pickle p;
    char text[RML_QUOTE_BYTES];
    // an unknown class that inherits from dict and list, with attributes
    READ(&p, "\x80\x04\x8C\x03"
             "a.b\x8C\x01"
             "C\x93)\x81K\x01K\x02s(K\x03"
             "e}b.");
    CHECK(root(&p)->kind == RML_PICKLE_OBJECT && !root(&p)->holds_tensor);
    CHECK(!rml_pickle_global(&p, root(&p)));
    CHECK(strcmp(rml_pickle_describe(&p, root(&p), text), "a.b.C") == 0);
    rml_pickle_release(&p);
    READ(&p, "\x80\x04"
             "ca\nb\n)}\x92.");
    CHECK(root(&p)->kind == RML_PICKLE_OBJECT);
    rml_pickle_release(&p);
    // a storage is noticed at any depth, also inside what stays opaque
    READ(&p, "\x80\x02"
             "ca\nC\n)\x81}U\x01k](NQesb.");
    CHECK(root(&p)->holds_tensor && p.storage_count == 1);
    rml_pickle_release(&p);
    READ(&p, "\x80\x02"
             "ctorch._utils\n_rebuild_tensor_v2\n)R.");
    const rml_global *known = rml_pickle_global(&p, root(&p));
    CHECK(known && known->kind == RML_GLOBAL_TENSOR_V2);
    rml_pickle_release(&p);
}

// Lists that grow in turn move often; nothing may get lost.
static void test_growth(void)
{
    uint8_t data[20000];
    size_t at = 0;
    rml_pickle p;
    memcpy(data, "\x80\x02]q\x00]q\x01", 8);
    at = 8;
    for (int i = 0; i < 1000; i++) {
        const uint8_t step[] = {'h', 0, 'M', (uint8_t)i, (uint8_t)(i >> 8), 'a', '0',
                                'h', 1, 'M', (uint8_t)i, (uint8_t)(i >> 8), 'a', '0'};
        memcpy(data + at, step, sizeof step);
        at += sizeof step;
    }
    data[at++] = 0x86; // (first, second)
    data[at++] = '.';
    CHECK_MSG(rml_pickle_read(&p, data, at, &allocator, &error) == RML_OK, "%s", error.message);
    for (size_t list = 0; list < 2; list++) {
        const rml_pickle_value *value = item(&p, root(&p), list);
        CHECK(value->count == 1000);
        for (size_t i = 0; i < value->count; i++)
            CHECK(item(&p, value, i)->u.integer == (int64_t)i);
    }
    rml_pickle_release(&p);
}

int main(void)
{
    allocator = counting_allocator(&count);
    test_plain_values();
    test_containers_and_memo();
    test_dictionaries();
    test_opaque();
    test_growth();
    CHECK(count.live_bytes == 0);
    return check_result();
}
