// Which format a file has, from its first bytes; its name's ending says nothing.
#include "loaders/coreml/file.h"
#include "loaders/formats/bytes.h"
#include "loaders/formats/protobuf.h"
#include "loaders/weights/readers.h"
#include "tensor/size.h"

#include <ctype.h>
#include <string.h>

typedef struct sniffed {
    const uint8_t *data;
    size_t size;
} sniffed;

static bool begins(const sniffed *s, size_t at, const char *bytes, size_t count)
{
    return rml_range_inside(at, count, s->size) && memcmp(s->data + at, bytes, count) == 0;
}

#define BEGINS(s, at, literal) begins(s, at, literal, sizeof(literal) - 1)

// Files that are something else, told by fixed bytes.
static const struct {
    size_t at;
    const char *bytes;
    size_t count;
    const char *sentence;
} others[] = {
#define OTHER(at, literal, sentence)                                                               \
    {                                                                                              \
        at, literal, sizeof(literal) - 1, sentence                                                 \
    }
    OTHER(0, "\x89HDF\r\n\x1A\n",
          "HDF5 file, as Keras and TensorFlow write it, not PyTorch weights; convert it to "
          "safetensors"),
    OTHER(0, "GGUF", "GGUF file, which is not supported; use the safetensors or PyTorch original"),
    OTHER(0, "\x93NUMPY", "a single NumPy array, not a file of named weights"),
    OTHER(0, "\x1F\x8B", "compressed with gzip; unpack it first"),
    OTHER(0, "BZh", "compressed with bzip2; unpack it first"),
    OTHER(0,
          "\xFD"
          "7zXZ",
          "compressed with xz; unpack it first"),
    OTHER(0, "\x28\xB5\x2F\xFD", "compressed with Zstandard; unpack it first"),
    OTHER(0, "7z\xBC\xAF\x27\x1C", "7z archive; unpack it first"),
    OTHER(0, "Rar!", "RAR archive; unpack it first"),
    OTHER(4, "TFL3", "TensorFlow Lite model, not PyTorch weights"),
    OTHER(257, "ustar",
          "tar archive: either packed weights, which must be unpacked first, or a file of PyTorch "
          "before 0.1.10, which is not supported; load it in PyTorch and save it again"),
#undef OTHER
};

static bool is_web_page(const sniffed *s)
{
    static const char *const starts[] = {"<!doctype", "<html", "<head", "<?xml", "<!--"};
    size_t at = BEGINS(s, 0, "\xEF\xBB\xBF") ? 3 : 0;
    while (at < s->size && isspace(s->data[at]))
        at++;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        size_t same = 0;
        while (starts[i][same] && at + same < s->size &&
               tolower(s->data[at + same]) == starts[i][same])
            same++;
        if (!starts[i][same])
            return true;
    }
    return false;
}

// "version https://git-lfs...\noid sha256:...\nsize N\n"
static rml_status lfs_pointer(const sniffed *s, rml_error *err)
{
    unsigned long long bytes = 0;
    for (size_t at = 0; at + 6 < s->size; at++)
        if (BEGINS(s, at, "\nsize "))
            for (at += 6; at < s->size && isdigit(s->data[at]) && bytes < UINT64_MAX / 16; at++)
                bytes = bytes * 10 + (unsigned long long)(s->data[at] - '0');
    return rml_fail(err, RML_ERR_FORMAT,
                    "Git LFS pointer: a note of %zu bytes that stands for a file of %llu bytes; "
                    "fetch it with \"git lfs pull\"",
                    s->size, bytes);
}

// ONNX and Core ML models are protobuf messages that begin with a version. Then ONNX has its
// producer's name, a Core ML model its description, which is a message and so begins with a tag.
static bool is_protobuf_model(const sniffed *s)
{
    return s->size >= 8 && s->data[0] == 0x08 && s->data[1] > 0 && s->data[1] <= 32;
}

// By the first bytes, so that a file that is cut short is known.
static bool begins_as_onnx(const sniffed *s)
{
    if (!is_protobuf_model(s))
        return false;
    uint8_t tag = s->data[2], bytes = s->data[3], first = s->data[4];
    if (tag == 0x12)
        return bytes == 0 ? first == 0x1A || first == 0x3A || first == 0x42
                          : bytes < 0x80 && isalnum(first);
    return tag == 0x1A || tag == 0x22 || tag == 0x28 || tag == 0x32 || tag == 0x3A || tag == 0x42;
}

// By its fields, in whatever order and with whatever version: only known ones, a graph among them.
static bool has_onnx_fields(const sniffed *s)
{
    static const uint32_t texts[] = {2, 3, 4, 6, 7, 8, 14, 20, 25, 26};
    rml_protobuf message;
    rml_protobuf_field field;
    bool more = true, has_graph = false;
    rml_protobuf_begin(&message, s->data, s->size);
    while (rml_protobuf_next(&message, &field, &more, NULL) == RML_OK && more) {
        bool is_known =
            field.wire == RML_PROTOBUF_VARINT && (field.number == 1 || field.number == 5);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            is_known |= field.wire == RML_PROTOBUF_BYTES && field.number == texts[i];
        if (!is_known)
            return false;
        has_graph |= field.number == 7;
    }
    return has_graph && !more;
}

static rml_status pickle_file(const sniffed *s, rml_file_format *format, rml_error *err)
{
    // LONG1 with 10 bytes, the magic number of torch.save, framed or not; as much of it as is there
    static const char head[] = "\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19";
    size_t at = BEGINS(s, 2, "\x95") ? rml_min_size(11, s->size) : 2;
    if (begins(s, at, head, rml_min_size(sizeof head - 1, s->size - at))) {
        *format = RML_FILE_TORCH_LEGACY;
        return RML_OK;
    }
    return rml_fail(err, RML_ERR_FORMAT,
                    "plain Python pickle that torch.save did not write; load it in Python and save "
                    "a state_dict with torch.save or safetensors");
}

static rml_status unknown(const sniffed *s, rml_error *err)
{
    char text[8 * 3 + 1] = "";
    static const char digits[] = "0123456789abcdef";
    size_t count = rml_min_size(s->size, 8);
    for (size_t i = 0; i < count; i++) {
        text[i * 3] = digits[s->data[i] >> 4];
        text[i * 3 + 1] = digits[s->data[i] & 15];
        text[i * 3 + 2] = i + 1 < count ? ' ' : 0;
    }
    return rml_fail(
        err, RML_ERR_FORMAT,
        "neither PyTorch weights nor safetensors nor ONNX nor Core ML: its %zu bytes begin with %s",
        s->size, text);
}

rml_status rml_file_sniff(const uint8_t *data, size_t size, rml_file_format *format, rml_error *err)
{
    const sniffed s = {data, size};
    if (size == 0)
        return rml_fail(err, RML_ERR_FORMAT, "empty file of 0 bytes");
    if (BEGINS(&s, 0, "PK\x03\x04") || BEGINS(&s, 0, "PK\x05\x06")) {
        *format = rml_coreml_is_model(data, size) ? RML_FILE_COREML : RML_FILE_TORCH_ZIP;
        return RML_OK;
    }
    if (size >= 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5)
        return pickle_file(&s, format, err);
    // a header's length never fills 8 bytes, a text's first 8 characters do
    if (size >= 9 && data[8] == '{' && data[7] == 0) {
        *format = RML_FILE_SAFETENSORS;
        return RML_OK;
    }
    if (BEGINS(&s, 0, "version https://git-lfs"))
        return lfs_pointer(&s, err);
    if (is_web_page(&s))
        return rml_fail(err, RML_ERR_FORMAT,
                        "web page (HTML or XML); the download went to a page about the "
                        "file instead of the file");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (begins(&s, others[i].at, others[i].bytes, others[i].count))
            return rml_fail(err, RML_ERR_UNSUPPORTED, "%s", others[i].sentence);
    if (rml_coreml_is_model(data, size)) {
        *format = RML_FILE_COREML;
        return RML_OK;
    }
    if (begins_as_onnx(&s) || has_onnx_fields(&s)) {
        *format = RML_FILE_ONNX;
        return RML_OK;
    }
    size_t at = BEGINS(&s, 0, "\xEF\xBB\xBF") ? 3 : 0;
    while (at < size && isspace(data[at]))
        at++;
    if (at < size && data[at] == '{') {
        *format = RML_FILE_JSON;
        return RML_OK;
    }
    return unknown(&s, err);
}
