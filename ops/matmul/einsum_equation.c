#include "ops/matmul/einsum_equation.h"

#include "tensor/size.h"

#include <string.h>

static int letter(char c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? (int)(at - letters) : -1;
}

// One rml_einsum_term of `rank` dimensions, or the output (rank -1) with `ellipsis` dimensions for
// its "...". Returns the text behind it, or NULL.
static const char *parse_term(const char *text, int rank, int *ellipsis, rml_einsum_term *out)
{
    int letters = 0;
    const char *at = text;
    for (; *at && *at != ',' && *at != '-'; at++)
        letters += *at != '.';
    if (rank >= 0)
        *ellipsis = strchr(text, '.') && strchr(text, '.') < at ? rank - letters : 0;
    if (letters > RML_MAX_RANK || *ellipsis < 0 || *ellipsis > RML_MAX_RANK)
        return NULL;
    bool dotted = false;
    out->rank = 0;
    while (text < at) {
        if (strncmp(text, "...", 3) == 0 && !dotted) {
            dotted = true;
            for (int i = 0; i < *ellipsis; i++)
                out->label[out->rank++] = (uint8_t)(RML_EINSUM_ALL - *ellipsis + i);
            text += 3;
        } else if (letter(*text) >= 0) {
            out->label[out->rank++] = (uint8_t)letter(*text++);
        } else {
            return NULL;
        }
    }
    return rank >= 0 && out->rank != rank ? NULL : at;
}

// Without "->": the dimensions of "...", then the letters that occur once, in order.
static void implicit_output(rml_einsum *eq, int ellipsis)
{
    int seen[RML_EINSUM_ALL] = {0};
    for (int k = 0; k < eq->operands; k++)
        for (int i = 0; i < eq->in[k].rank; i++)
            seen[eq->in[k].label[i]]++;
    eq->out.rank = 0;
    for (int i = -ellipsis; i < RML_EINSUM_LETTERS && eq->out.rank < RML_EINSUM_LABELS; i++)
        if (i < 0 || seen[i] == 1)
            eq->out.label[eq->out.rank++] = (uint8_t)(i < 0 ? RML_EINSUM_ALL + i : i);
}

static bool parse(const char *text, const rml_shape *in, int in_count, rml_einsum *eq)
{
    int ellipsis = 0;
    eq->operands = in_count;
    if (in_count > RML_EINSUM_OPERANDS)
        return false;
    for (int k = 0; k < in_count; k++) {
        int own = 0;
        text = parse_term(text, in[k].rank, &own, &eq->in[k]);
        if (!text || (k + 1 < in_count ? *text != ',' : *text == ','))
            return false;
        ellipsis = own > ellipsis ? own : ellipsis;
        text += k + 1 < in_count;
    }
    if (!*text) {
        implicit_output(eq, ellipsis);
    } else {
        if (text[0] != '-' || text[1] != '>')
            return false;
        text = parse_term(text + 2, -1, &ellipsis, &eq->out);
        if (!text || *text)
            return false;
    }
    for (int i = 0; i < eq->out.rank; i++)
        for (int j = 0; j < i; j++)
            if (eq->out.label[i] == eq->out.label[j])
                return false;
    return eq->out.rank <= RML_MAX_RANK;
}

// Gives labels their sizes; a dimension of 1 is repeated where another operand has more.
static bool set_sizes(const rml_shape *in, rml_einsum *eq)
{
    bool known[RML_EINSUM_ALL] = {false};
    for (int i = 0; i < RML_EINSUM_ALL; i++)
        eq->size[i] = -1;
    for (int k = 0; k < eq->operands; k++)
        for (int i = 0; i < eq->in[k].rank; i++) {
            const int label = eq->in[k].label[i];
            const int64_t dim = in[k].dim[i], have = eq->size[label];
            eq->size_of[k][i] = dim;
            if (!known[label] || have == 1 || (have < 0 && dim > 1))
                eq->size[label] = dim;
            else if (dim != have && dim != 1 && dim >= 0 && have >= 0)
                return false;
            known[label] = true;
        }
    for (int i = 0; i < eq->out.rank; i++)
        if (!known[eq->out.label[i]])
            return false;
    return true;
}

bool rml_einsum_parse(const char *text, const rml_shape *in, int in_count, rml_einsum *eq)
{
    *eq = (rml_einsum){0};
    return parse(text, in, in_count, eq) && set_sizes(in, eq);
}

bool rml_einsum_has(const rml_einsum_term *of, int label)
{
    return memchr(of->label, label, (size_t)of->rank) != NULL;
}

bool rml_einsum_keeps(const rml_einsum *eq, int label, int next)
{
    bool kept = rml_einsum_has(&eq->out, label);
    for (int k = next; k < eq->operands && !kept; k++)
        kept = rml_einsum_has(&eq->in[k], label);
    return kept;
}

bool rml_einsum_join(const rml_einsum *eq, const rml_einsum_term *left,
                     const rml_einsum_term *right, int next, rml_einsum_joining *j)
{
    *j = (rml_einsum_joining){.size = {1, 1, 1, 1}};
    for (int i = 0; i < left->rank + right->rank; i++) {
        const int label = i < left->rank ? left->label[i] : right->label[i - left->rank];
        const int part = !rml_einsum_keeps(eq, label, next) ? RML_EINSUM_K
                         : !rml_einsum_has(left, label)     ? RML_EINSUM_N
                         : rml_einsum_has(right, label)     ? RML_EINSUM_BATCH
                                                            : RML_EINSUM_M;
        rml_einsum_term *to = &j->part[part];
        if (rml_einsum_has(to, label))
            continue;
        if (to->rank == RML_EINSUM_LABELS ||
            !rml_size_mul(j->size[part], (size_t)eq->size[label], &j->size[part]))
            return false;
        to->label[to->rank++] = (uint8_t)label;
    }
    return true;
}

rml_einsum_term rml_einsum_joined(const rml_einsum_joining *j)
{
    rml_einsum_term result = {0};
    for (int p = RML_EINSUM_BATCH; p <= RML_EINSUM_N; p++)
        for (int i = 0; i < j->part[p].rank && result.rank < RML_EINSUM_LABELS; i++)
            result.label[result.rank++] = j->part[p].label[i];
    return result;
}
