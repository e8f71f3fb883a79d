// Pictures of every kind: there and back, cut short, changed at random, and files that lie.
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"
#include "media/image/picture.h"
#include "media/image/picture_codecs.h"

#include <stdlib.h>
#include <unistd.h>

static const rml_allocator *allocator;
static char folder[] = "/tmp/rml_picture_XXXXXX";
static rml_error error;

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

// Smooth with a little noise, so that every filter of PNG is chosen somewhere.
static void make_picture(rml_picture *out, int width, int height, int channels, int bits)
{
    CHECK(rml_picture_create(out, width, height, channels, bits, allocator, NULL) == RML_OK);
    const size_t count = (size_t)width * (size_t)height * (size_t)channels;
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = (uint32_t)(i / 7 * 300) + next_random() % (i % 5 == 0 ? 4096 : 3);
        if (bits == 16)
            ((uint16_t *)out->data)[i] = (uint16_t)value;
        else
            ((uint8_t *)out->data)[i] = (uint8_t)(value >> 6);
    }
}

static bool same(const rml_picture *a, const rml_picture *b)
{
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           a->bits == b->bits &&
           memcmp(a->data, b->data, rml_picture_pitch(a) * (size_t)a->height) == 0;
}

// Sizes below 16 bits where the kind holds no more, and RGB where it holds no gray.
static void test_keeps_everything(const char *name, int kinds)
{
    static const int sizes[][2] = {{1, 1}, {2, 3}, {63, 17}, {300, 200}};
    for (int bits = 8; bits <= (kinds == 1 ? 8 : 16); bits += 8)
        for (int channels = kinds == 1 ? 3 : 1; channels <= 4; channels++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                rml_picture made = {0}, back = {0};
                make_picture(&made, sizes[i][0], sizes[i][1], channels, bits);
                const char *path = in_folder(name);
                CHECK_MSG(rml_picture_save(&made, path, allocator, &error) == RML_OK, "%s",
                          error.message);
                CHECK_MSG(rml_picture_load(&back, path, allocator, &error) == RML_OK, "%s",
                          error.message);
                CHECK_MSG(same(&made, &back), "%s: %d channels of %d bits, %dx%d", name, channels,
                          bits, sizes[i][0], sizes[i][1]);
                CHECK(!back.remark[0]);
                rml_picture_release(&made);
                rml_picture_release(&back);
            }
    remove(in_folder(name));
}

// BMP holds gray, RGB, and RGB with alpha, of 8 bits.
static void test_bmp(void)
{
    for (int channels = 1; channels <= 4; channels++) {
        rml_picture made = {0}, back = {0};
        make_picture(&made, 31, 9, channels, 16);
        CHECK(rml_picture_save(&made, in_folder("a.bmp"), allocator, &error) == RML_OK);
        CHECK(rml_picture_load(&back, in_folder("a.bmp"), allocator, &error) == RML_OK);
        CHECK(back.bits == 8 && back.channels == (channels == 2 ? 4 : channels));
        int wrong = 0;
        for (int i = 0; i < 31 * 9 && back.data; i++)
            for (int c = 0; c < back.channels; c++) {
                const bool gray = channels < 3, alpha = c == 3;
                const int from = alpha ? channels - 1 : gray ? 0 : c;
                const int wide = ((uint16_t *)made.data)[i * channels + from];
                wrong +=
                    ((uint8_t *)back.data)[i * back.channels + c] != (wide * 255 + 32767) / 65535;
            }
        CHECK_MSG(wrong == 0, "%d channels: %d samples", channels, wrong);
        rml_picture_release(&made);
        rml_picture_release(&back);
    }
    remove(in_folder("a.bmp"));
}

static void write_file(const char *path, const void *bytes, size_t count)
{
    remove(path);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, count, file) == count);
    if (file)
        fclose(file);
}

static rml_status load_bytes(rml_picture *out, const char *name, const void *bytes, size_t count)
{
    write_file(in_folder(name), bytes, count);
    error.message[0] = 0;
    rml_status status = rml_picture_load(out, in_folder(name), allocator, &error);
    CHECK_MSG(status == RML_OK || (strstr(error.message, name) && !out->data), "%s", error.message);
    remove(in_folder(name));
    return status;
}

// Every cut is refused and every random change gives a picture or one sentence.
static void torment(const char *name, const uint8_t *bytes, size_t size)
{
    rml_picture whole = {0}, cut = {0};
    CHECK_MSG(load_bytes(&whole, name, bytes, size) == RML_OK, "%s", error.message);
    for (size_t count = 0; count < size; count++)
        CHECK_MSG(load_bytes(&cut, name, bytes, count) != RML_OK, "%s cut at %zu", name, count);
    uint8_t *changed = malloc(size);
    for (int i = 0; changed && i < 3000; i++) {
        memcpy(changed, bytes, size);
        for (uint32_t k = next_random() % 4; k < 4; k++)
            changed[next_random() % size] = (uint8_t)next_random();
        (void)load_bytes(&cut, name, changed, size - next_random() % 3);
        rml_picture_release(&cut);
    }
    free(changed);
    rml_picture_release(&whole);
}

static void check_samples(const rml_picture *p, int channels, int bits, const int *expected)
{
    CHECK(p->width == 2 && p->height == 2 && p->channels == channels && p->bits == bits);
    for (int i = 0; p->data && i < 4 * channels; i++) {
        const int got = bits == 16 ? ((uint16_t *)p->data)[i] : ((uint8_t *)p->data)[i];
        CHECK_MSG(got == expected[i], "sample %d is %d, expected %d", i, got, expected[i]);
    }
}

static void test_pnm(void)
{
    rml_picture p = {0};
#define PNM(literal) (const uint8_t *)(literal), sizeof(literal) - 1
    CHECK(load_bytes(&p, "a.x", PNM("P5 2 2 255\n\x00\x01\xFE\xFF")) == RML_OK);
    check_samples(&p, 1, 8, (int[]){0, 1, 254, 255});
    rml_picture_release(&p);
    CHECK(load_bytes(&p, "a.x", PNM("P5#c\n2\t2 # d\n1023\n\x00\x00\x00\x01\x03\xFE\x03\xFF")) ==
          RML_OK);
    check_samples(&p, 1, 16, (int[]){0, 64, 65471, 65535});
    rml_picture_release(&p);
    CHECK(load_bytes(&p, "a.x", PNM("P3\n2 2\n15\n0 1 2 3 4 5 6 7 8 9 10 15\n")) == RML_OK);
    check_samples(&p, 3, 8, (int[]){0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 255});
    rml_picture_release(&p);
    CHECK(load_bytes(&p, "a.x", PNM("P2 2 2 15 0 1 2 16")) == RML_ERR_FORMAT);
    CHECK(strstr(error.message, "sample 4 of 4"));
    CHECK(load_bytes(&p, "a.x", PNM("P6 99999999999 2 255\n")) == RML_ERR_FORMAT);
    CHECK(load_bytes(&p, "a.x", PNM("P6 16000 8000 255\n")) == RML_ERR_FORMAT);
    CHECK(load_bytes(&p, "a.x", PNM("P6 20000 20000 255\n")) == RML_ERR_LIMIT);
    CHECK(load_bytes(&p, "a.x", PNM("P5 0 2 255\n")) == RML_ERR_FORMAT);
    torment("t.pgm", PNM("P5 3 2 65535\n\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B"));
    torment("t.ppm", PNM("P6 2 2 255\n\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B"));
}

static size_t put_header(uint8_t *out, int kind, int bits, int descriptor, int palette)
{
    memset(out, 0, 18);
    out[1] = palette != 0;
    out[2] = (uint8_t)kind;
    out[5] = (uint8_t)palette;
    out[7] = palette ? 24 : 0;
    out[12] = out[14] = 2;
    out[16] = (uint8_t)bits;
    out[17] = (uint8_t)descriptor;
    return 18;
}

static void test_tga(void)
{
    static const uint8_t bgr[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const int upright[] = {3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10};
    static const int from_below[] = {9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4};
    rml_picture p = {0};
    uint8_t file[128];
    size_t at = put_header(file, 2, 24, 0x20, 0);
    memcpy(file + at, bgr, sizeof bgr);
    CHECK(load_bytes(&p, "a.tga", file, at + sizeof bgr) == RML_OK);
    check_samples(&p, 3, 8, upright);
    rml_picture_release(&p);
    torment("t.tga", file, at + sizeof bgr);
    CHECK(load_bytes(&p, "a.x", file, at + sizeof bgr) == RML_ERR_FORMAT); // told by its name
    put_header(file, 2, 24, 0, 0);
    CHECK(load_bytes(&p, "a.TGA", file, at + sizeof bgr) == RML_OK);
    check_samples(&p, 3, 8, from_below);
    rml_picture_release(&p);
    // Two single pixels, then one that repeats.
    put_header(file, 10, 32, 0x20, 0);
    static const uint8_t packets[] = {1, 1, 2, 3, 4, 5, 6, 7, 8, 0x81, 9, 10, 11, 12};
    memcpy(file + at, packets, sizeof packets);
    CHECK(load_bytes(&p, "a.tga", file, at + sizeof packets) == RML_OK);
    check_samples(&p, 4, 8, (int[]){3, 2, 1, 4, 7, 6, 5, 8, 11, 10, 9, 12, 11, 10, 9, 12});
    rml_picture_release(&p);
    torment("t.tga", file, at + sizeof packets);
    // A palette of two colours; a third is damage.
    put_header(file, 1, 8, 0x20, 2);
    memcpy(file + at, bgr, 6);
    memcpy(file + at + 6, (uint8_t[]){0, 1, 1, 0}, 4);
    CHECK(load_bytes(&p, "a.tga", file, at + 10) == RML_OK);
    check_samples(&p, 3, 8, (int[]){3, 2, 1, 6, 5, 4, 6, 5, 4, 3, 2, 1});
    rml_picture_release(&p);
    torment("t.tga", file, at + 10);
    file[at + 9] = 2;
    CHECK(load_bytes(&p, "a.tga", file, at + 10) == RML_ERR_FORMAT);
    // Gray, from right to left, and five bits a colour.
    put_header(file, 3, 8, 0x30, 0);
    CHECK(load_bytes(&p, "a.tga", file, at + 4) == RML_OK);
    check_samples(&p, 1, 8, (int[]){2, 1, 4, 3});
    rml_picture_release(&p);
    put_header(file, 2, 16, 0x20, 0);
    memcpy(file + at, (uint8_t[]){0, 0x7C, 0xE0, 3, 0x1F, 0, 0xFF, 0xFF}, 8);
    CHECK(load_bytes(&p, "a.tga", file, at + 8) == RML_OK);
    check_samples(&p, 3, 8, (int[]){255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255});
    rml_picture_release(&p);
    // A header that promises 16000x8000 pixels in ten bytes.
    put_header(file, 10, 24, 0, 0);
    memcpy(file + 12, (uint8_t[]){0x80, 0x3E, 0x40, 0x1F}, 4);
    CHECK(load_bytes(&p, "a.tga", file, at + 10) == RML_ERR_FORMAT);
}

static void test_refusals(void)
{
    rml_picture p = {0};
    make_picture(&p, 3, 3, 3, 8);
    CHECK(rml_picture_save(&p, in_folder("a.gif"), allocator, &error) == RML_ERR_UNSUPPORTED);
    CHECK(strstr(error.message, "a.gif") && strstr(error.message, "\".gif\""));
    CHECK(rml_picture_save(&p, in_folder("none/a.png"), allocator, &error) == RML_ERR_IO);
    CHECK(strstr(error.message, "none"));
    rml_picture_release(&p);
    CHECK(rml_picture_load(&p, in_folder("missing.png"), allocator, &error) == RML_ERR_IO);
    CHECK(load_bytes(&p, "a.png", "<html>not found</html>", 22) == RML_ERR_FORMAT);
    CHECK(load_bytes(&p, "a.png", "", 0) == RML_ERR_FORMAT);
}

int main(void)
{
    allocator = rml_allocator_default();
    CHECK(mkdtemp(folder) != NULL);
    test_pnm();
    test_tga();
    test_bmp();
    if (rml_image_kind_written(RML_IMAGE_PNG)) {
        test_keeps_everything("a.PNG", 4);
        test_refusals();
    }
    if (rml_image_kind_written(RML_IMAGE_TIFF))
        test_keeps_everything("a.tif", 4);
    if (rml_image_kind_written(RML_IMAGE_WEBP))
        test_keeps_everything("a.webp", 1);
    CHECK(rmdir(folder) == 0); // nothing else was left behind, temporary files among it
    return check_result();
}
