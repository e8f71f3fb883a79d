#include "loaders/formats/pickle.h"

#include "loaders/formats/bytes.h"
#include "loaders/formats/pickle_machine.h"
#include "tensor/size.h"

#include <string.h>

// What an opcode does; most do it with an argument from the table.
typedef enum action {
    REFUSE = 0,
    PUSH_CONSTANT, // which
    PUSH_INT,      // bytes, unsigned but for 4
    PUSH_LONG,     // bytes of its length
    PUSH_FLOAT,
    PUSH_TEXT,  // bytes of its length
    PUSH_BYTES, // the same
    PUSH_EMPTY, // kind
    PUSH_MARKED,
    PUSH_TUPLE, // items
    ADD_ONE,    // kind: an item, or a key and its value
    ADD_MARKED,
    MARK,
    POP,
    POP_MARK,
    DUPLICATE,
    MEMO_GET, // bytes of its index
    MEMO_PUT, // the same; 0: the next one
    GLOBAL,
    STACK_GLOBAL,
    CALL, // values of keywords
    BUILD,
    STORAGE,
    PROTOCOL,
    FRAME,
} action;

typedef struct operation {
    uint8_t action, argument;
} operation;

// Opcodes of Python's pickletools; the ones missing here (text forms of protocol 0, INST, OBJ,
// extension registry, out-of-band buffers) never occur in files of torch.save. '.' is STOP.
static const operation operations[256] = {
    ['('] = {MARK, 0},
    ['0'] = {POP, 0},
    ['1'] = {POP_MARK, 0},
    ['2'] = {DUPLICATE, 0},
    ['G'] = {PUSH_FLOAT, 0},
    ['J'] = {PUSH_INT, 4},
    ['K'] = {PUSH_INT, 1},
    ['M'] = {PUSH_INT, 2},
    ['N'] = {PUSH_CONSTANT, RML_PICKLE_REF_NONE},
    ['Q'] = {STORAGE, 0},   // BINPERSID
    ['R'] = {CALL, 0},      // REDUCE
    ['T'] = {PUSH_TEXT, 4}, // BINSTRING
    ['U'] = {PUSH_TEXT, 1}, // SHORT_BINSTRING
    ['X'] = {PUSH_TEXT, 4}, // BINUNICODE
    ['a'] = {ADD_ONE, RML_PICKLE_LIST},
    ['b'] = {BUILD, 0},
    ['c'] = {GLOBAL, 0},
    ['d'] = {PUSH_MARKED, RML_PICKLE_DICT},
    ['}'] = {PUSH_EMPTY, RML_PICKLE_DICT},
    ['e'] = {ADD_MARKED, RML_PICKLE_LIST},
    ['h'] = {MEMO_GET, 1},
    ['j'] = {MEMO_GET, 4},
    ['l'] = {PUSH_MARKED, RML_PICKLE_LIST},
    [']'] = {PUSH_EMPTY, RML_PICKLE_LIST},
    ['q'] = {MEMO_PUT, 1},
    ['r'] = {MEMO_PUT, 4},
    ['s'] = {ADD_ONE, RML_PICKLE_DICT},
    ['t'] = {PUSH_MARKED, RML_PICKLE_TUPLE},
    [')'] = {PUSH_CONSTANT, RML_PICKLE_REF_EMPTY},
    ['u'] = {ADD_MARKED, RML_PICKLE_DICT},
    ['B'] = {PUSH_BYTES, 4},
    ['C'] = {PUSH_BYTES, 1},
    [0x80] = {PROTOCOL, 0},
    [0x81] = {CALL, 0}, // NEWOBJ
    [0x85] = {PUSH_TUPLE, 1},
    [0x86] = {PUSH_TUPLE, 2},
    [0x87] = {PUSH_TUPLE, 3},
    [0x88] = {PUSH_CONSTANT, RML_PICKLE_REF_TRUE},
    [0x89] = {PUSH_CONSTANT, RML_PICKLE_REF_FALSE},
    [0x8A] = {PUSH_LONG, 1},
    [0x8B] = {PUSH_LONG, 4},
    [0x8C] = {PUSH_TEXT, 1},  // SHORT_BINUNICODE
    [0x8D] = {PUSH_TEXT, 8},  // BINUNICODE8
    [0x8E] = {PUSH_BYTES, 8}, // BINBYTES8
    [0x8F] = {PUSH_EMPTY, RML_PICKLE_SET},
    [0x90] = {ADD_MARKED, RML_PICKLE_SET},
    [0x91] = {PUSH_MARKED, RML_PICKLE_SET}, // FROZENSET
    [0x92] = {CALL, 1},                     // NEWOBJ_EX
    [0x93] = {STACK_GLOBAL, 0},
    [0x94] = {MEMO_PUT, 0}, // MEMOIZE
    [0x95] = {FRAME, 0},
    [0x96] = {PUSH_BYTES, 8}, // BYTEARRAY8
};

static rml_status push_int(rml_pickle_machine *m, int64_t integer)
{
    return rml_pickle_push_value(m,
                                 (rml_pickle_value){.kind = RML_PICKLE_INT, .u.integer = integer});
}

// A length of `length_bytes`, then the contents: text, bytes, or an integer in two's complement.
static rml_status push_counted(rml_pickle_machine *m, rml_pickle_kind kind, size_t length_bytes)
{
    uint64_t length = 0;
    const uint8_t *from = NULL;
    RML_TRY(rml_pickle_take_number(m, length_bytes, &length));
    RML_TRY(rml_pickle_take(m, length, &from));
    if (kind == RML_PICKLE_LONG && length <= RML_PICKLE_MAX_INT_BYTES) {
        uint64_t bits = rml_le(from, (size_t)length);
        if (length > 0 && length < 8 && (from[length - 1] & 0x80))
            bits |= UINT64_MAX << (8 * length);
        return push_int(m, (int64_t)bits);
    }
    return rml_pickle_push_value(m, (rml_pickle_value){.kind = (uint8_t)kind,
                                                       .count = (uint32_t)length,
                                                       .u.text = (const char *)from});
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

// Takes `count` values off the stack, which stay readable until a push.
static rml_status take_items(rml_pickle_machine *m, size_t count, const char *refusal,
                             const rml_pickle_ref **items)
{
    if (rml_pickle_reachable(m) < count)
        return rml_pickle_damaged(m, refusal);
    m->stack_count -= count;
    *items = m->stack + m->stack_count;
    return RML_OK;
}

// Adds to the container below the mark. For everything that is known to be something else this is
// the type confusion of CVE-2026-24747.
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
    if (value->kind == RML_PICKLE_OBJECT && !rml_pickle_global(m->pickle, value))
        return rml_pickle_add_to_object(m->pickle, target, items, count, kind, m->err);
    char what[RML_QUOTE_BYTES];
    return rml_fail(m->err, RML_ERR_FORMAT,
                    "damaged or hostile pickle: items are put into %s at byte %zu, which is not %s",
                    rml_pickle_describe(m->pickle, value, what), m->opcode_at,
                    kind == RML_PICKLE_DICT   ? "a dictionary"
                    : kind == RML_PICKLE_LIST ? "a list"
                                              : "a set");
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
        m,
        (rml_pickle_value){.kind = RML_PICKLE_GLOBAL, .u.pair = {.first = module, .second = name}});
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
                              .holds_tensor = called->holds_tensor || given->holds_tensor ||
                                              (known && known->kind >= RML_GLOBAL_TENSOR_V1),
                              .u.pair = {.first = callable, .second = arguments}});
}

// Attributes set on an object (__setstate__) hang on it; those of a dictionary (an OrderedDict's
// _metadata) are dropped.
static rml_status build(rml_pickle_machine *m)
{
    rml_pickle_ref state = 0, target = 0;
    RML_TRY(rml_pickle_pop(m, &state));
    RML_TRY(rml_pickle_top(m, &target));
    rml_pickle_value *value = &m->pickle->value[target];
    if (value->kind == RML_PICKLE_OBJECT) {
        value->u.pair.state = state;
        value->holds_tensor |= m->pickle->value[state].holds_tensor;
    } else if (value->kind != RML_PICKLE_DICT) {
        return rml_pickle_damaged(m, "attributes are set on a value that has none");
    }
    return RML_OK;
}

static rml_status push_storage(rml_pickle_machine *m)
{
    rml_pickle_ref identity = 0, ref = 0;
    RML_TRY(rml_pickle_pop(m, &identity));
    RML_TRY(rml_pickle_add(m->pickle,
                           (rml_pickle_value){.kind = RML_PICKLE_STORAGE,
                                              .holds_tensor = true,
                                              .u.pair = {.first = identity}},
                           &ref, m->err));
    RML_TRY(rml_pickle_add_storage(m->pickle, ref, m->err));
    return rml_pickle_push(m, ref);
}

// ---- the machine ------------------------------------------------------------------------------

static rml_status step(rml_pickle_machine *m, uint8_t opcode)
{
    const operation op = operations[opcode];
    const rml_pickle_kind kind = (rml_pickle_kind)op.argument; // where it is one
    const rml_pickle_ref *items = NULL;
    rml_pickle_ref a = 0, b = 0;
    uint64_t number = 0;
    size_t count = 0;
    switch ((action)op.action) {
    case PUSH_CONSTANT:
        return rml_pickle_push(m, op.argument);
    case PUSH_INT:
        RML_TRY(rml_pickle_take_number(m, op.argument, &number));
        return push_int(m, op.argument == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
    case PUSH_LONG:
        return push_counted(m, RML_PICKLE_LONG, op.argument);
    case PUSH_FLOAT:
        return push_float(m);
    case PUSH_TEXT:
        return push_counted(m, RML_PICKLE_TEXT, op.argument);
    case PUSH_BYTES:
        return push_counted(m, RML_PICKLE_BYTES, op.argument);
    case PUSH_EMPTY:
        return push_container(m, kind, NULL, 0);
    case PUSH_MARKED:
        RML_TRY(rml_pickle_pop_to_mark(m, &items, &count));
        return push_container(m, kind, items, count);
    case PUSH_TUPLE:
        RML_TRY(take_items(m, op.argument, "a tuple takes more than the stack holds", &items));
        return push_container(m, RML_PICKLE_TUPLE, items, op.argument);
    case ADD_ONE:
        count = kind == RML_PICKLE_DICT ? 2 : 1;
        RML_TRY(take_items(m, count, "an opcode takes more than the stack holds", &items));
        return add_items(m, items, count, kind);
    case ADD_MARKED:
        RML_TRY(rml_pickle_pop_to_mark(m, &items, &count));
        return add_items(m, items, count, kind);
    case MARK:
        return rml_pickle_push_mark(m);
    case POP:
        return rml_pickle_pop(m, &a);
    case POP_MARK:
        return rml_pickle_pop_to_mark(m, &items, &count);
    case DUPLICATE:
        RML_TRY(rml_pickle_top(m, &a));
        return rml_pickle_push(m, a);
    case MEMO_GET:
        RML_TRY(rml_pickle_take_number(m, op.argument, &number));
        return rml_pickle_memo_get(m, (size_t)number);
    case MEMO_PUT:
        number = m->memo_count;
        if (op.argument)
            RML_TRY(rml_pickle_take_number(m, op.argument, &number));
        return rml_pickle_memo_put(m, (size_t)number);
    case GLOBAL:
        RML_TRY(take_line(m, &a));
        RML_TRY(take_line(m, &b));
        return push_global(m, a, b);
    case STACK_GLOBAL:
        RML_TRY(rml_pickle_pop(m, &b));
        RML_TRY(rml_pickle_pop(m, &a));
        return push_global(m, a, b);
    case CALL:
        if (op.argument)
            RML_TRY(rml_pickle_pop(m, &a)); // keywords
        RML_TRY(rml_pickle_pop(m, &b));
        RML_TRY(rml_pickle_pop(m, &a));
        return push_call(m, a, b);
    case BUILD:
        return build(m);
    case STORAGE:
        return push_storage(m);
    case PROTOCOL:
        RML_TRY(rml_pickle_take_number(m, 1, &number));
        if (number >= 2 && number <= 5)
            return RML_OK;
        return rml_fail(m->err, RML_ERR_UNSUPPORTED, "pickle protocol %d, expected 2 to 5",
                        (int)number);
    case FRAME: // only a hint for reading ahead
        return rml_pickle_take_number(m, 8, &number);
    case REFUSE:
        break;
    }
    return rml_fail(m->err, RML_ERR_UNSUPPORTED,
                    "pickle opcode 0x%02x at byte %zu, which torch.save does not write", opcode,
                    m->opcode_at);
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
        if (*opcode == '.') {
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
