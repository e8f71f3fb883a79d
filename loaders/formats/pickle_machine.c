// Stack, marks, memo and input of the pickle machine.
#include "loaders/formats/bytes.h"
#include "loaders/formats/pickle_machine.h"

rml_status rml_pickle_damaged(rml_pickle_machine *m, const char *what)
{
    return rml_fail(m->err, RML_ERR_FORMAT, "damaged pickle: %s at byte %zu", what, m->opcode_at);
}

static rml_status nomem(rml_pickle_machine *m)
{
    return rml_fail_nomem(m->err, m->pickle->value_count * sizeof(rml_pickle_value),
                          "the values of a pickle");
}

rml_status rml_pickle_push(rml_pickle_machine *m, rml_pickle_ref ref)
{
    if (m->stack_count >= RML_PICKLE_MAX_STACK)
        return rml_fail(m->err, RML_ERR_LIMIT, "pickle with more than %zu values on its stack",
                        RML_PICKLE_MAX_STACK);
    rml_pickle_ref *stack = rml_grow(m->pickle->allocator, m->stack, &m->stack_capacity,
                                     m->stack_count + 1, sizeof *m->stack);
    if (!stack)
        return nomem(m);
    m->stack = stack;
    m->stack[m->stack_count++] = ref;
    return RML_OK;
}

rml_status rml_pickle_push_value(rml_pickle_machine *m, rml_pickle_value value)
{
    rml_pickle_ref ref = 0;
    RML_TRY(rml_pickle_add(m->pickle, value, &ref, m->err));
    return rml_pickle_push(m, ref);
}

size_t rml_pickle_reachable(const rml_pickle_machine *m)
{
    return m->stack_count - (m->mark_count ? m->mark[m->mark_count - 1] : 0);
}

rml_status rml_pickle_pop(rml_pickle_machine *m, rml_pickle_ref *ref)
{
    if (rml_pickle_reachable(m) == 0)
        return rml_pickle_damaged(m, "an opcode takes more than the stack holds");
    *ref = m->stack[--m->stack_count];
    return RML_OK;
}

rml_status rml_pickle_top(rml_pickle_machine *m, rml_pickle_ref *ref)
{
    if (rml_pickle_reachable(m) == 0)
        return rml_pickle_damaged(m, "an opcode takes more than the stack holds");
    *ref = m->stack[m->stack_count - 1];
    return RML_OK;
}

rml_status rml_pickle_push_mark(rml_pickle_machine *m)
{
    if (m->mark_count >= RML_PICKLE_MAX_DEPTH)
        return rml_fail(m->err, RML_ERR_LIMIT, "pickle nested deeper than %d",
                        RML_PICKLE_MAX_DEPTH);
    size_t *mark = rml_grow(m->pickle->allocator, m->mark, &m->mark_capacity, m->mark_count + 1,
                            sizeof *m->mark);
    if (!mark)
        return nomem(m);
    m->mark = mark;
    m->mark[m->mark_count++] = m->stack_count;
    return RML_OK;
}

rml_status rml_pickle_pop_to_mark(rml_pickle_machine *m, const rml_pickle_ref **items,
                                  size_t *count)
{
    if (m->mark_count == 0)
        return rml_pickle_damaged(m, "an opcode needs a mark and there is none");
    size_t height = m->mark[--m->mark_count];
    *count = m->stack_count - height;
    *items = *count ? m->stack + height : NULL;
    m->stack_count = height;
    return RML_OK;
}

rml_status rml_pickle_memo_put(rml_pickle_machine *m, size_t index)
{
    rml_pickle_ref ref = 0;
    RML_TRY(rml_pickle_top(m, &ref));
    // Pickles number their memo without gaps, one opcode each, so that an honest index is below the
    // number of bytes; a small file cannot ask for a large memo.
    if (index >= m->size || index >= RML_PICKLE_MAX_MEMO)
        return rml_fail(m->err, RML_ERR_LIMIT, "pickle with memo index %zu in %zu bytes", index,
                        m->size);
    rml_pickle_ref *memo =
        rml_grow(m->pickle->allocator, m->memo, &m->memo_capacity, index + 1, sizeof *m->memo);
    if (!memo)
        return nomem(m);
    m->memo = memo;
    for (; m->memo_count <= index; m->memo_count++)
        m->memo[m->memo_count] = 0;
    m->memo[index] = ref + 1;
    return RML_OK;
}

rml_status rml_pickle_memo_get(rml_pickle_machine *m, size_t index)
{
    if (index >= m->memo_count || m->memo[index] == 0)
        return rml_pickle_damaged(m, "a value is fetched that was never stored");
    return rml_pickle_push(m, m->memo[index] - 1);
}

// ---- arguments inside the pickle --------------------------------------------------------------

rml_status rml_pickle_take(rml_pickle_machine *m, uint64_t bytes, const uint8_t **out)
{
    if (bytes > m->size - m->at)
        return rml_fail(m->err, RML_ERR_FORMAT,
                        "cut short: a pickle needs %llu bytes at byte %zu and has %zu",
                        (unsigned long long)bytes, m->at, m->size - m->at);
    *out = m->data + m->at;
    m->at += (size_t)bytes;
    return RML_OK;
}

rml_status rml_pickle_take_number(rml_pickle_machine *m, size_t bytes, uint64_t *out)
{
    const uint8_t *from = NULL;
    RML_TRY(rml_pickle_take(m, bytes, &from));
    *out = rml_le(from, bytes);
    return RML_OK;
}
