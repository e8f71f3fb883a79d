// XMP in files of video: written and found again, and files that are cut or damaged.
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"
#include "media/files/xmp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/rml_xmp_XXXXXX";
static rml_video_format format; // of the file looked at last
static const char packet[] = "<x:xmpmeta>what it is</x:xmpmeta>";

enum { MOST = 1024 };

typedef struct file {
    uint8_t bytes[MOST];
    size_t size;
} file;

static void add(file *f, const void *bytes, size_t size)
{
    memcpy(f->bytes + f->size, bytes, size);
    f->size += size;
}

static void write_file(const uint8_t *bytes, size_t size)
{
    FILE *out = fopen(path, "wb");
    CHECK(out && fwrite(bytes, 1, size, out) == size && fclose(out) == 0);
}

static size_t read_file(uint8_t *bytes)
{
    FILE *in = fopen(path, "rb");
    const size_t size = in ? fread(bytes, 1, MOST, in) : 0;
    if (in)
        fclose(in);
    return size;
}

// Whether the file on the disk has this packet; "" for none.
static bool has(const char *wanted)
{
    char *text;
    rml_error err = {0};
    CHECK_MSG(rml_xmp_find(&text, &format, path, rml_allocator_default(), &err) == RML_OK, "%s",
              err.message);
    const bool same = strcmp(text ? text : "", wanted) == 0;
    rml_free(rml_allocator_default(), text);
    return same;
}

// Cut at every byte and with every byte changed it must be read without harm; cut it has no packet.
static void spoil(void)
{
    uint8_t whole[MOST], changed[MOST];
    const size_t size = read_file(whole);
    const rml_video_format before = format;
    for (size_t cut = 0; cut < size; cut++) {
        write_file(whole, cut);
        // What is left of a padding byte or of an element's end holds nothing.
        CHECK(has("") || cut + 1 == size);
    }
    for (size_t i = 0; i < size; i++) {
        memcpy(changed, whole, size);
        for (int turn = 0; turn < 2; turn++) {
            changed[i] = (uint8_t)(turn ? 0xFF : 0);
            write_file(changed, size);
            char *text;
            CHECK(rml_xmp_find(&text, &format, path, rml_allocator_default(), NULL) == RML_OK);
            rml_free(rml_allocator_default(), text);
        }
    }
    write_file(whole, size);
    CHECK(has(packet) && format == before);
}

static void test_mp4(void)
{
    file f = {0};
    add(&f,
        "\0\0\0\x10"
        "ftypisom\0\0\2\0",
        16);
    add(&f,
        "\0\0\0\1mdat\0\0\0\0\0\0\0\x14"
        "abcd",
        20);
    add(&f, "\0\0\0\x1Cuuid0123456789abcdefxxxx", 28); // of another kind
    write_file(f.bytes, f.size);
    CHECK(has("") && format == RML_VIDEO_MP4);
    CHECK(rml_xmp_append(path, format, packet, NULL) == RML_OK && has(packet));
    uint8_t bytes[MOST];
    CHECK(read_file(bytes) == f.size + 24 + strlen(packet));
    CHECK(memcmp(bytes, f.bytes, f.size) == 0);
    spoil();
}

// Two lists, as large files have; the packet goes into the second one.
static void test_avi(void)
{
    file f = {0};
    add(&f, "RIFF\x12\0\0\0AVI idx1\5\0\0\0abcde\0", 26);
    add(&f, "RIFF\x10\0\0\0AVIXmovi\4\0\0\0abcd", 24);
    write_file(f.bytes, f.size);
    CHECK(has("") && format == RML_VIDEO_AVI);
    CHECK(rml_xmp_append(path, format, packet, NULL) == RML_OK && has(packet));
    uint8_t bytes[MOST];
    const size_t size = read_file(bytes), length = strlen(packet), padded = length + length % 2;
    CHECK(size == f.size + 8 + padded && bytes[4] == 0x12);
    CHECK(bytes[26 + 4] == 0x10 + 8 + padded);
    spoil();
    // Something behind the lists: where the new size would have to be put is not known.
    add(&f, "xxxxxxxxxxxx", 12);
    write_file(f.bytes, f.size);
    rml_error err;
    CHECK(rml_xmp_append(path, format, packet, &err) == RML_ERR_IO && strstr(err.message, path));
}

static void element(file *f, const char *id, size_t size)
{
    const uint8_t length[2] = {(uint8_t)(0x40 | size >> 8), (uint8_t)size};
    add(f, id, strlen(id));
    add(f, length, 2);
}

static void test_matroska(void)
{
    const size_t length = strlen(packet), simple = 2 + 2 + 3 + 2 + 2 + length;
    file f = {0};
    element(&f, "\x1A\x45\xDF\xA3", 8);
    add(&f, "\x42\x82\x85webm!", 8);
    element(&f, "\x18\x53\x80\x67", 6 + 3 + 4 + 2 + 2 + 2 + 4 * 2 + 10 + simple - 4);
    element(&f, "\x15\x49\xA9\x66", 3); // the segment's information
    add(&f, "abc", 3);
    element(&f, "\x12\x54\xC3\x67", 2 * 4 + 10 + simple);
    element(&f, "\x73\x73", 4 + 10 + simple);
    element(&f, "\x67\xC8", 6); // a tag of another name
    element(&f, "\x45\xA3", 2);
    add(&f, "XM", 2);
    element(&f, "\x67\xC8", simple);
    element(&f, "\x45\xA3", 3);
    add(&f, RML_XMP_TAG, 3);
    element(&f, "\x44\x87", length);
    add(&f, packet, length);
    write_file(f.bytes, f.size);
    CHECK(has(packet) && format == RML_VIDEO_MATROSKA);
    spoil();
    CHECK(rml_xmp_append(path, format, packet, NULL) == RML_ERR_UNSUPPORTED);
}

static void test_others(void)
{
    write_file((const uint8_t *)"RIFFxxxxWAVEfmt ", 16);
    CHECK(has("") && format == RML_VIDEO_NONE);
    CHECK(rml_xmp_append(path, format, packet, NULL) == RML_ERR_UNSUPPORTED);
    CHECK(remove(path) == 0);
}

int main(void)
{
    const int made = mkstemp(path);
    CHECK(made >= 0 && close(made) == 0);
    test_mp4();
    test_avi();
    test_matroska();
    test_others();
    return check_result();
}
