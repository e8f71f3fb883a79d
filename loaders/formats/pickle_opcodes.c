#include "loaders/formats/pickle.h"

#include "loaders/formats/bytes.h"
#include "loaders/formats/pickle_machine.h"
#include "tensor/size.h"

#include <string.h>

// Opcodes of Python's pickletools; the ones missing here (text forms of protocol 0, INST, OBJ,
// extension registry, out-of-band buffers) never occur in files of torch.save.
enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_POP = '0',
    OP_POP_MARK = '1',
    OP_DUP = '2',
    OP_BINFLOAT = 'G',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_NONE = 'N',
    OP_BINPERSID = 'Q',
    OP_REDUCE = 'R',
    OP_BINSTRING = 'T',
    OP_SHORT_BINSTRING = 'U',
    OP_BINUNICODE = 'X',
    OP_APPEND = 'a',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_DICT = 'd',
    OP_EMPTY_DICT = '}',
    OP_APPENDS = 'e',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_LIST = 'l',
    OP_EMPTY_LIST = ']',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_EMPTY_TUPLE = ')',
    OP_SETITEMS = 'u',
    OP_BINBYTES = 'B',
    OP_SHORT_BINBYTES = 'C',
    OP_PROTO = 0x80,
    OP_NEWOBJ = 0x81,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8A,
    OP_LONG4 = 0x8B,
    OP_SHORT_BINUNICODE = 0x8C,
    OP_BINUNICODE8 = 0x8D,
    OP_BINBYTES8 = 0x8E,
    OP_EMPTY_SET = 0x8F,
    OP_ADDITEMS = 0x90,
    OP_FROZENSET = 0x91,
    OP_NEWOBJ_EX = 0x92,
    OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95,
    OP_BYTEARRAY8 = 0x96,
};

// Text and bytes: a length of `length_bytes`, then the contents.
static rml_status push_counted(rml_pickle_machine *m, rml_pickle_kind kind, size_t length_bytes)
{
    uint64_t length = 0;
    const uint8_t *from = NULL;
    RML_TRY(rml_pickle_take_number(m, length_bytes, &length));
    RML_TRY(rml_pickle_take(m, length, &from));
    return rml_pickle_push_value(m, (rml_pickle_value){.kind = (uint8_t)kind,
                                                       .count = (uint32_t)length,
                                                       .u.text = (const char *)from});
}

static rml_status push_int(rml_pickle_machine *m, int64_t integer)
{
    return rml_pickle_push_value(m,
                                 (rml_pickle_value){.kind = RML_PICKLE_INT, .u.integer = integer});
}

// Two's complement of any length.
static rml_status push_long(rml_pickle_machine *m, size_t length_bytes)
{
    uint64_t length = 0;
    const uint8_t *from = NULL;
    RML_TRY(rml_pickle_take_number(m, length_bytes, &length));
    RML_TRY(rml_pickle_take(m, length, &from));
    if (length > RML_PICKLE_MAX_INT_BYTES)
        return rml_pickle_push_value(m, (rml_pickle_value){.kind = RML_PICKLE_LONG,
                                                           .count = (uint32_t)length,
                                                           .u.text = (const char *)from});
    uint64_t bits = rml_le(from, (size_t)length);
    if (length > 0 && length < 8 && (from[length - 1] & 0x80))
        bits |= UINT64_MAX << (8 * length);
    return push_int(m, (int64_t)bits);
}

static rml_status push_float(rml_pickle_machine *m)
{
    const uint8_t *from = NULL;
    RML_TRY(rml_pickle_take(m, 8, &from));
    uint64_t bits = 0; // the only big-endian number of the format
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | from[i];
    rml_pickle_value value = {.kind = RML_PICKLE_FLOAT};
    memcpy(&value.u.number, &bits, sizeof bits);
    return rml_pickle_push_value(m, value);
}

// ---- containers and calls ---------------------------------------------------------------------

static rml_status push_container(rml_pickle_machine *m, rml_pickle_kind kind,
                                 const rml_pickle_ref *items, size_t count)
{
    if (kind == RML_PICKLE_DICT && count % 2 != 0)
        return rml_pickle_damaged(m, "a dictionary has a key without a value");
    rml_pickle_ref ref = 0;
    RML_TRY(rml_pickle_add(m->pickle, (rml_pickle_value){.kind = (uint8_t)kind}, &ref, m->err));
    RML_TRY(rml_pickle_extend(m->pickle, ref, items, count, m->err));
    return rml_pickle_push(m, ref);
}

static rml_status push_marked(rml_pickle_machine *m, rml_pickle_kind kind)
{
    const rml_pickle_ref *items = NULL;
    size_t count = 0;
    RML_TRY(rml_pickle_pop_to_mark(m, &items, &count));
    return push_container(m, kind, items, count);
}

static rml_status push_small_tuple(rml_pickle_machine *m, size_t count)
{
    if (rml_pickle_reachable(m) < count)
        return rml_pickle_damaged(m, "a tuple takes more than the stack holds");
    m->stack_count -= count;
    return push_container(m, RML_PICKLE_TUPLE, m->stack + m->stack_count, count);
}

// Adds to the container below the mark. An object of an unknown class may be a dictionary or a list
// by inheritance (AttributeDict, EasyDict): what is added to it is dropped, and it stays opaque.
// For everything that is known to be something else this is the type confusion of CVE-2026-24747.
static rml_status add_items(rml_pickle_machine *m, const rml_pickle_ref *items, size_t count,
                            rml_pickle_kind kind)
{
    rml_pickle_ref target = 0;
    RML_TRY(rml_pickle_top(m, &target));
    if (kind == RML_PICKLE_DICT && count % 2 != 0)
        return rml_pickle_damaged(m, "a dictionary has a key without a value");
    rml_pickle_value *value = &m->pickle->value[target];
    if (value->kind == kind)
        return rml_pickle_extend(m->pickle, target, items, count, m->err);
    if (value->kind == RML_PICKLE_OBJECT && !rml_pickle_global(m->pickle, value)) {
        for (size_t i = 0; i < count; i++)
            value->holds_storage |= m->pickle->value[items[i]].holds_storage;
        return RML_OK;
    }
    char what[RML_QUOTE_BYTES];
    return rml_fail(m->err, RML_ERR_FORMAT,
                    "damaged or hostile pickle: items are put into %s at byte %zu, which is not %s",
                    rml_pickle_describe(m->pickle, value, what), m->opcode_at,
                    kind == RML_PICKLE_DICT   ? "a dictionary"
                    : kind == RML_PICKLE_LIST ? "a list"
                                              : "a set");
}

static rml_status add_marked(rml_pickle_machine *m, rml_pickle_kind kind)
{
    const rml_pickle_ref *items = NULL;
    size_t count = 0;
    RML_TRY(rml_pickle_pop_to_mark(m, &items, &count));
    return add_items(m, items, count, kind);
}

static rml_status add_few(rml_pickle_machine *m, rml_pickle_kind kind, size_t count)
{
    if (rml_pickle_reachable(m) < count)
        return rml_pickle_damaged(m, "an opcode takes more than the stack holds");
    m->stack_count -= count;
    return add_items(m, m->stack + m->stack_count, count, kind);
}

// A GLOBAL's two lines stand in the pickle itself.
static rml_status take_line(rml_pickle_machine *m, rml_pickle_ref *ref)
{
    const uint8_t *from = m->data + m->at;
    const uint8_t *end = m->at < m->size ? memchr(from, '\n', m->size - m->at) : NULL;
    if (!end)
        return rml_fail(m->err, RML_ERR_FORMAT,
                        "cut short: a pickle ends at byte %zu inside the name of a global",
                        m->size);
    m->at += (size_t)(end - from) + 1;
    return rml_pickle_add(m->pickle,
                          (rml_pickle_value){.kind = RML_PICKLE_TEXT,
                                             .count = (uint32_t)(end - from),
                                             .u.text = (const char *)from},
                          ref, m->err);
}

static rml_status push_global(rml_pickle_machine *m, rml_pickle_ref module, rml_pickle_ref name)
{
    if (m->pickle->value[module].kind != RML_PICKLE_TEXT ||
        m->pickle->value[name].kind != RML_PICKLE_TEXT)
        return rml_pickle_damaged(m, "the name of a global is not text");
    return rml_pickle_push_value(
        m, (rml_pickle_value){.kind = RML_PICKLE_GLOBAL, .u.pair = {module, name}});
}

// "callable(*arguments)", recorded and not done. Dictionaries are the one type made here.
static rml_status push_call(rml_pickle_machine *m, rml_pickle_ref callable,
                            rml_pickle_ref arguments)
{
    const rml_pickle_value *called = &m->pickle->value[callable];
    const rml_pickle_value *given = &m->pickle->value[arguments];
    // a class may also be a persistent id: whole models of old files keep their source that way
    if (called->kind != RML_PICKLE_GLOBAL && called->kind != RML_PICKLE_OBJECT &&
        called->kind != RML_PICKLE_STORAGE)
        return rml_pickle_damaged(m, "something is called that is no function");
    if (given->kind != RML_PICKLE_TUPLE)
        return rml_pickle_damaged(m, "the arguments of a call are not a tuple");
    const rml_global *known =
        called->kind == RML_PICKLE_GLOBAL ? rml_pickle_global(m->pickle, called) : NULL;
    if (known && known->kind == RML_GLOBAL_DICT) {
        rml_pickle_ref ref = 0;
        RML_TRY(
            rml_pickle_add(m->pickle, (rml_pickle_value){.kind = RML_PICKLE_DICT}, &ref, m->err));
        RML_TRY(rml_pickle_fill_from_pairs(m->pickle, ref, arguments, m->err));
        return rml_pickle_push(m, ref);
    }
    return rml_pickle_push_value(
        m, (rml_pickle_value){.kind = RML_PICKLE_OBJECT,
                              .holds_storage = called->holds_storage || given->holds_storage,
                              .u.pair = {callable, arguments}});
}

static rml_status reduce(rml_pickle_machine *m, bool with_keywords)
{
    rml_pickle_ref keywords = 0, arguments = 0, callable = 0;
    if (with_keywords)
        RML_TRY(rml_pickle_pop(m, &keywords));
    RML_TRY(rml_pickle_pop(m, &arguments));
    RML_TRY(rml_pickle_pop(m, &callable));
    return push_call(m, callable, arguments);
}

// Attributes set on an object (__setstate__) are dropped: an OrderedDict's _metadata, an
// optimizer's insides. Only whether a storage hangs on them is kept.
static rml_status build(rml_pickle_machine *m)
{
    rml_pickle_ref state = 0, target = 0;
    RML_TRY(rml_pickle_pop(m, &state));
    RML_TRY(rml_pickle_top(m, &target));
    rml_pickle_value *value = &m->pickle->value[target];
    if (value->kind == RML_PICKLE_OBJECT)
        value->holds_storage |= m->pickle->value[state].holds_storage;
    else if (value->kind != RML_PICKLE_DICT)
        return rml_pickle_damaged(m, "attributes are set on a value that has none");
    return RML_OK;
}

static rml_status push_storage(rml_pickle_machine *m)
{
    rml_pickle_ref identity = 0, ref = 0;
    RML_TRY(rml_pickle_pop(m, &identity));
    RML_TRY(rml_pickle_add(m->pickle,
                           (rml_pickle_value){.kind = RML_PICKLE_STORAGE,
                                              .holds_storage = true,
                                              .u.pair = {identity, 0}},
                           &ref, m->err));
    RML_TRY(rml_pickle_add_storage(m->pickle, ref, m->err));
    return rml_pickle_push(m, ref);
}

// ---- the machine ------------------------------------------------------------------------------

static rml_status protocol(rml_pickle_machine *m)
{
    uint64_t version = 0;
    RML_TRY(rml_pickle_take_number(m, 1, &version));
    if (version < 2 || version > 5)
        return rml_fail(m->err, RML_ERR_UNSUPPORTED, "pickle protocol %d, expected 2 to 5",
                        (int)version);
    return RML_OK;
}

static rml_status step_stack(rml_pickle_machine *m, uint8_t opcode)
{
    uint64_t number = 0;
    rml_pickle_ref a = 0, b = 0;
    const rml_pickle_ref *items = NULL;
    size_t count = 0;
    switch (opcode) {
    case OP_MARK:
        return rml_pickle_push_mark(m);
    case OP_POP:
        return rml_pickle_pop(m, &a);
    case OP_POP_MARK:
        return rml_pickle_pop_to_mark(m, &items, &count);
    case OP_DUP:
        RML_TRY(rml_pickle_top(m, &a));
        return rml_pickle_push(m, a);
    case OP_BINGET:
    case OP_LONG_BINGET:
        RML_TRY(rml_pickle_take_number(m, opcode == OP_BINGET ? 1 : 4, &number));
        return rml_pickle_memo_get(m, (size_t)number);
    case OP_BINPUT:
    case OP_LONG_BINPUT:
        RML_TRY(rml_pickle_take_number(m, opcode == OP_BINPUT ? 1 : 4, &number));
        return rml_pickle_memo_put(m, (size_t)number);
    case OP_MEMOIZE:
        return rml_pickle_memo_put(m, m->memo_count);
    case OP_GLOBAL:
        RML_TRY(take_line(m, &a));
        RML_TRY(take_line(m, &b));
        return push_global(m, a, b);
    case OP_STACK_GLOBAL:
        RML_TRY(rml_pickle_pop(m, &b));
        RML_TRY(rml_pickle_pop(m, &a));
        return push_global(m, a, b);
    case OP_REDUCE:
    case OP_NEWOBJ:
    case OP_NEWOBJ_EX:
        return reduce(m, opcode == OP_NEWOBJ_EX);
    case OP_BUILD:
        return build(m);
    case OP_BINPERSID:
        return push_storage(m);
    case OP_PROTO:
        return protocol(m);
    case OP_FRAME: // only a hint for reading ahead
        return rml_pickle_take_number(m, 8, &number);
    default:
        return rml_fail(m->err, RML_ERR_UNSUPPORTED,
                        "pickle opcode 0x%02x at byte %zu, which torch.save does not write", opcode,
                        m->opcode_at);
    }
}

static rml_status step(rml_pickle_machine *m, uint8_t opcode)
{
    uint64_t number = 0;
    switch (opcode) {
    case OP_NONE:
        return rml_pickle_push(m, RML_PICKLE_REF_NONE);
    case OP_NEWTRUE:
        return rml_pickle_push(m, RML_PICKLE_REF_TRUE);
    case OP_NEWFALSE:
        return rml_pickle_push(m, RML_PICKLE_REF_FALSE);
    case OP_EMPTY_TUPLE:
        return rml_pickle_push(m, RML_PICKLE_REF_EMPTY);
    case OP_BININT:
        RML_TRY(rml_pickle_take_number(m, 4, &number));
        return push_int(m, (int32_t)(uint32_t)number);
    case OP_BININT1:
    case OP_BININT2:
        RML_TRY(rml_pickle_take_number(m, opcode == OP_BININT1 ? 1 : 2, &number));
        return push_int(m, (int64_t)number);
    case OP_LONG1:
    case OP_LONG4:
        return push_long(m, opcode == OP_LONG1 ? 1 : 4);
    case OP_BINFLOAT:
        return push_float(m);
    case OP_SHORT_BINUNICODE:
    case OP_SHORT_BINSTRING:
        return push_counted(m, RML_PICKLE_TEXT, 1);
    case OP_BINUNICODE:
    case OP_BINSTRING:
        return push_counted(m, RML_PICKLE_TEXT, 4);
    case OP_BINUNICODE8:
        return push_counted(m, RML_PICKLE_TEXT, 8);
    case OP_SHORT_BINBYTES:
        return push_counted(m, RML_PICKLE_BYTES, 1);
    case OP_BINBYTES:
        return push_counted(m, RML_PICKLE_BYTES, 4);
    case OP_BINBYTES8:
    case OP_BYTEARRAY8:
        return push_counted(m, RML_PICKLE_BYTES, 8);
    case OP_EMPTY_DICT:
        return push_container(m, RML_PICKLE_DICT, NULL, 0);
    case OP_EMPTY_LIST:
        return push_container(m, RML_PICKLE_LIST, NULL, 0);
    case OP_EMPTY_SET:
        return push_container(m, RML_PICKLE_SET, NULL, 0);
    case OP_DICT:
        return push_marked(m, RML_PICKLE_DICT);
    case OP_LIST:
        return push_marked(m, RML_PICKLE_LIST);
    case OP_TUPLE:
        return push_marked(m, RML_PICKLE_TUPLE);
    case OP_FROZENSET:
        return push_marked(m, RML_PICKLE_SET);
    case OP_TUPLE1:
        return push_small_tuple(m, 1);
    case OP_TUPLE2:
        return push_small_tuple(m, 2);
    case OP_TUPLE3:
        return push_small_tuple(m, 3);
    case OP_APPEND:
        return add_few(m, RML_PICKLE_LIST, 1);
    case OP_APPENDS:
        return add_marked(m, RML_PICKLE_LIST);
    case OP_ADDITEMS:
        return add_marked(m, RML_PICKLE_SET);
    case OP_SETITEM:
        return add_few(m, RML_PICKLE_DICT, 2);
    case OP_SETITEMS:
        return add_marked(m, RML_PICKLE_DICT);
    default:
        return step_stack(m, opcode);
    }
}

static rml_status run(rml_pickle_machine *m)
{
    for (;;) {
        const uint8_t *opcode = NULL;
        m->opcode_at = m->at;
        if (m->at == m->size)
            return rml_fail(m->err, RML_ERR_FORMAT,
                            "cut short: a pickle ends at byte %zu without its closing mark",
                            m->size);
        RML_TRY(rml_pickle_take(m, 1, &opcode));
        if (*opcode == OP_STOP) {
            if (m->stack_count != 1 || m->mark_count != 0)
                return rml_pickle_damaged(m, "values are left over");
            m->pickle->root = m->stack[0];
            m->pickle->used_bytes = m->at;
            return RML_OK;
        }
        RML_TRY(step(m, *opcode));
    }
}

rml_status rml_pickle_read(rml_pickle *out, const uint8_t *data, size_t size,
                           const rml_allocator *allocator, rml_error *err)
{
    *out = (rml_pickle){.allocator = allocator};
    rml_pickle_machine m = {.pickle = out, .data = data, .err = err};
    m.size = size < RML_PICKLE_MAX_BYTES ? size : RML_PICKLE_MAX_BYTES;
    // An opcode adds at most one item, and moving a container at most doubles that twice; only a
    // hostile pickle that copies one list over and over gets past it.
    out->item_limit = rml_min_size(RML_PICKLE_MAX_ITEMS, m.size * RML_PICKLE_ITEMS_PER_BYTE);
    rml_status status = rml_pickle_add_constants(out, err);
    if (status == RML_OK)
        status = run(&m);
    if (status != RML_OK && m.at == m.size && size > m.size)
        status =
            rml_fail(err, RML_ERR_LIMIT, "pickle of more than %zu bytes", RML_PICKLE_MAX_BYTES);
    rml_free(allocator, m.stack);
    rml_free(allocator, m.mark);
    rml_free(allocator, m.memo);
    if (status != RML_OK)
        rml_pickle_release(out);
    return status;
}
