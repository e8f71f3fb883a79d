// The table of ONNX's signatures, and how it is read.
#include "loaders/check/onnx_signatures.h"

#include <stdlib.h>
#include <string.h>

// Versions of an operator with " | " between them, each of four parts with ";" between them: the
// operator set that has it first; inputs and outputs with ">" between them; types; attributes. "="
// is a part as in the version before, "x" an operator that is gone.
//   0 1? 2* 3~   inputs by the number of their type; "?" may be missing, "*" any number from 1,
//                "~" any number; "!" their types differ
//   0=fh         types of a number: `letters` below, none where they are no tensors of numbers
//   axes:I!      attributes by kind, which are wanted with "!"
static const struct {
    const char *name, *versions;
} rows[] = {
#define ROW(name, versions) {name, versions},
#include "loaders/check/onnx_signatures.inc"
#undef ROW
};

static const char letters[] = {
    [RML_F32] = 'f', [RML_F16] = 'h', [RML_BF16] = 'w', [RML_F64] = 'd', [RML_I8] = 'b',
    [RML_U8] = 'B',  [RML_I16] = 's', [RML_I32] = 'i',  [RML_I64] = 'l', [RML_BOOL] = 'o',
    [RML_U16] = 'S', [RML_U32] = 'I', [RML_U64] = 'L',
};

char rml_onnx_type_letter(rml_dtype dtype)
{
    return letters[dtype];
}

// Takes what stands before the first `end` (of 1 or more characters) off the front of a text.
static rml_text take(rml_text *rest, const char *end)
{
    const size_t length = strlen(end);
    size_t i = 0;
    while (i < rest->bytes && (rest->bytes - i < length || memcmp(rest->text + i, end, length)))
        i++;
    const rml_text taken = {rest->text, i};
    i = i < rest->bytes ? i + length : i;
    *rest = (rml_text){rest->text + i, rest->bytes - i};
    return taken;
}

static bool is_same(rml_text text)
{
    return text.bytes == 1 && *text.text == '=';
}

static const char *find_row(const char *domain, const char *op_type)
{
    const size_t length = strlen(domain);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *name = rows[i].name;
        if (length == 0 && strcmp(name, op_type) == 0)
            return rows[i].versions;
        if (length && strncmp(name, domain, length) == 0 && name[length] == '.' &&
            strcmp(name + length + 1, op_type) == 0)
            return rows[i].versions;
    }
    return NULL;
}

rml_onnx_found rml_onnx_signature_find(const char *domain, const char *op_type, int64_t opset,
                                       rml_onnx_signature *out)
{
    const char *versions = find_row(domain, op_type);
    *out = (rml_onnx_signature){0};
    if (!versions)
        return RML_ONNX_NO_OPERATOR;
    rml_text rest = {versions, strlen(versions)};
    while (rest.bytes) {
        rml_text version = take(&rest, " | ");
        const int64_t since = atoll(take(&version, ";").text);
        if (since > opset && out->since == 0)
            out->since = since;
        if (since > opset)
            break;
        const rml_text sides = take(&version, ";"), types = take(&version, ";");
        out->since = since;
        out->removed = sides.bytes == 1 && *sides.text == 'x';
        if (!is_same(sides)) {
            out->output = sides;
            out->input = take(&out->output, ">");
        }
        out->types = is_same(types) ? out->types : types;
        out->attribute = is_same(version) ? out->attribute : version;
    }
    return out->since > opset ? RML_ONNX_LATER : RML_ONNX_FOUND;
}

// ---- inputs and outputs -------------------------------------------------------------------------

static bool has(rml_text word, char mark)
{
    return word.bytes && memchr(word.text, mark, word.bytes);
}

void rml_onnx_signature_count(rml_text side, size_t *least, size_t *most)
{
    *least = *most = 0;
    for (size_t i = 0; side.bytes; i++) {
        const rml_text word = take(&side, " ");
        const bool any = has(word, '*') || has(word, '~');
        if (!has(word, '?'))
            *least = has(word, '~') ? i : i + 1;
        *most = any ? SIZE_MAX : i + 1;
    }
}

bool rml_onnx_signature_formal(rml_text side, size_t index, rml_onnx_formal *out)
{
    rml_text word = {"", 0};
    size_t count = 0;
    while (side.bytes && count <= index) {
        word = take(&side, " ");
        count++;
    }
    const bool any = has(word, '*') || has(word, '~');
    if (count == 0 || (count <= index && !any))
        return false;
    *out = (rml_onnx_formal){*word.text, has(word, '?') || has(word, '!'), !has(word, '!')};
    return true;
}

rml_text rml_onnx_signature_types(const rml_onnx_signature *signature, int letter)
{
    rml_text rest = signature->types;
    while (rest.bytes) {
        rml_text word = take(&rest, " ");
        if (word.bytes < 2 || word.text[0] != letter)
            continue;
        word = (rml_text){word.text + 2, word.bytes - 2};
        if (word.bytes == 1 && (*word.text == '*' || *word.text == '#')) // all, and all but flags
            return (rml_text){"BILSbdfhilswo", *word.text == '*' ? 13 : 12};
        return word;
    }
    return (rml_text){"", 0};
}

// ---- attributes ---------------------------------------------------------------------------------

char rml_onnx_signature_next(const rml_onnx_signature *signature, size_t *at, rml_text *name,
                             bool *wanted)
{
    rml_text rest = {signature->attribute.text + *at, signature->attribute.bytes - *at};
    if (rest.bytes == 0)
        return 0;
    rml_text word = take(&rest, " ");
    *at = signature->attribute.bytes - rest.bytes;
    *name = take(&word, ":");
    *wanted = has(word, '!');
    return *word.text;
}

char rml_onnx_signature_attribute(const rml_onnx_signature *signature, const char *name)
{
    size_t at = 0;
    rml_text found;
    bool wanted;
    for (;;) {
        const char kind = rml_onnx_signature_next(signature, &at, &found, &wanted);
        if (!kind || (strlen(name) == found.bytes && memcmp(name, found.text, found.bytes) == 0))
            return kind;
    }
}
