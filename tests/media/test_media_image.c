// Images: round trips, orientation, and files that are cut or lie.
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"
#include "media/image/picture_codecs.h"
#include "media/image/orient.h"
#include "media/image/picture.h"

#include <unistd.h>

static const rml_allocator *allocator;
static char folder[] = "/tmp/rml_image_XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_noise(rml_frame *frame, int width, int height)
{
    CHECK(rml_frame_reserve(frame, width, height, allocator, NULL) == RML_OK);
    uint32_t state = 12345;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width * 3; x++) {
            state = state * 1664525u + 1013904223u;
            frame->data[(size_t)y * frame->pitch + (size_t)x] = (uint8_t)(state >> 24);
        }
}

static rml_status save(const rml_frame *frame, const char *path)
{
    rml_picture picture = {0};
    CHECK(rml_picture_create(&picture, frame->width, frame->height, 3, 8, allocator, NULL) ==
          RML_OK);
    uint8_t *to = picture.data;
    for (int y = 0; y < frame->height; y++)
        for (int x = 0; x < frame->width; x++)
            for (int c = 2; c >= 0; c--)
                *to++ = frame->data[(size_t)y * frame->pitch + (size_t)(3 * x + c)];
    rml_error err = {0};
    rml_status status = rml_picture_save(&picture, path, allocator, &err);
    CHECK_MSG(status == RML_OK, "%s", err.message);
    rml_picture_release(&picture);
    return status;
}

static bool same_pixels(const rml_frame *a, const rml_frame *b)
{
    if (a->width != b->width || a->height != b->height)
        return false;
    for (int y = 0; y < a->height; y++)
        if (memcmp(a->data + (size_t)y * a->pitch, b->data + (size_t)y * b->pitch,
                   (size_t)a->width * 3) != 0)
            return false;
    return true;
}

static size_t read_file(const char *path, uint8_t *bytes, size_t capacity)
{
    FILE *file = fopen(path, "rb");
    size_t count = file ? fread(bytes, 1, capacity, file) : 0;
    if (file)
        fclose(file);
    return count;
}

static void write_file(const char *path, const uint8_t *bytes, size_t count)
{
    remove(path); // some file systems flush a file that is cut to nothing and written again
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, count, file) == count);
    if (file)
        fclose(file);
}

static void test_round_trip(void)
{
    static const int sizes[][2] = {{1, 1}, {2, 3}, {5, 4}, {63, 17}, {64, 2}};
    rml_frame noise = {0}, back = {0};
    rml_error err = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_noise(&noise, sizes[i][0], sizes[i][1]);
        static const char *const names[] = {"a.png", "a.BMP"};
        for (int k = 0; k < 2; k++) {
            const char *path = in_folder(names[k]);
            CHECK(save(&noise, path) == RML_OK);
            CHECK(rml_image_is_still(path));
            CHECK_MSG(rml_image_load(&back, path, allocator, &err) == RML_OK, "%s", err.message);
            CHECK(same_pixels(&noise, &back));
        }
    }
    rml_frame_release(&noise);
    rml_frame_release(&back);
}

// Every cut of every format is an error that names the file; none is a half picture.
static void test_truncation(void)
{
    static uint8_t bytes[1 << 16];
    static const char *const names[] = {"t.png", "t.jpg", "t.bmp"};
    rml_frame noise = {0}, whole = {0}, back = {0};
    make_noise(&noise, 11, 9);
    for (int k = 0; k < 3; k++) {
        CHECK(save(&noise, in_folder(names[k])) == RML_OK);
        CHECK(rml_image_load(&whole, in_folder(names[k]), allocator, NULL) == RML_OK);
        size_t size = read_file(in_folder(names[k]), bytes, sizeof bytes);
        CHECK(size > 100 && size < sizeof bytes);
        size_t wrong = 0;
        for (size_t cut = 0; cut < size; cut++) {
            rml_error err = {0};
            write_file(in_folder("cut"), bytes, cut);
            rml_status status = rml_image_load(&back, in_folder("cut"), allocator, &err);
            wrong += status == RML_OK ? !same_pixels(&whole, &back) : !strstr(err.message, "/cut");
            // Only the last bytes, which hold no pixels, may be missed: PNG's end with the checksum
            // of its pixels' stream, the end of a JPEG and the bits that fill its last byte.
            wrong += status == RML_OK && cut + 20 < size;
            (void)rml_image_is_still(in_folder("cut"));
        }
        CHECK_MSG(wrong == 0, "%s: %zu cuts of %zu are taken or badly told", names[k], wrong, size);
        if (k == 1) { // a Huffman table with more than 256 codes makes stb write past it
            uint8_t *table = memchr(bytes, 0xC4, size);
            CHECK(table && table[-1] == 0xFF);
            memset(table + 4, 255, 4);
            write_file(in_folder("cut"), bytes, size);
            CHECK(rml_image_load(&back, in_folder("cut"), allocator, NULL) == RML_ERR_FORMAT);
            size = read_file(in_folder(names[k]), bytes, sizeof bytes);
        }
        // Changed bytes may give another picture, but nothing worse.
        uint32_t state = 7;
        for (int i = 0; i < 600; i++) {
            state = state * 1664525u + 1013904223u;
            size_t at = (state >> 8) % size;
            uint8_t old = bytes[at];
            bytes[at] = (uint8_t)(state >> 3);
            write_file(in_folder("cut"), bytes, size);
            (void)rml_image_load(&back, in_folder("cut"), allocator, NULL);
            bytes[at] = old;
        }
    }
    rml_frame_release(&noise);
    rml_frame_release(&whole);
    rml_frame_release(&back);
}

// A header of 60000x60000 pixels must not make anybody allocate 10 GB.
static void test_bomb(void)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0,    13,
                                  'I',  'H', 'D', 'R', 0,    0,    0xEA, 0x60, 0, 0, 0xEA, 0x60,
                                  8,    2,   0,   0,   0,    0,    0,    0,    0, 0, 0,    0};
    rml_frame frame = {0};
    rml_error err = {0};
    write_file(in_folder("bomb.png"), png, sizeof png);
    CHECK(rml_image_load(&frame, in_folder("bomb.png"), allocator, &err) != RML_OK);
    CHECK(frame.data == NULL);
    CHECK(rml_frame_reserve(&frame, 60000, 60000, allocator, &err) == RML_ERR_LIMIT);
    CHECK(rml_image_load(&frame, in_folder("missing.png"), allocator, &err) == RML_ERR_IO);
    CHECK(!rml_image_is_still(in_folder("missing.png")));
    write_file(in_folder("page.png"), (const uint8_t *)"<html>not found</html>", 22);
    CHECK(rml_image_load(&frame, in_folder("page.png"), allocator, &err) == RML_ERR_FORMAT);
    CHECK(!rml_image_is_still(in_folder("page.png")));
    rml_frame_release(&frame);
}

static uint8_t *pixel(const rml_frame *f, int x, int y)
{
    return f->data + (size_t)y * f->pitch + (size_t)x * 3;
}

// Where the source's pixel (x, y) must be afterwards, by the definition of each orientation.
static void expected_place(rml_orientation o, int w, int h, int x, int y, int *tx, int *ty)
{
    switch (o) {
    case RML_ORIENT_NORMAL:
        *tx = x, *ty = y;
        break;
    case RML_ORIENT_MIRROR_X:
        *tx = w - 1 - x, *ty = y;
        break;
    case RML_ORIENT_ROTATE_180:
        *tx = w - 1 - x, *ty = h - 1 - y;
        break;
    case RML_ORIENT_MIRROR_Y:
        *tx = x, *ty = h - 1 - y;
        break;
    case RML_ORIENT_TRANSPOSE:
        *tx = y, *ty = x;
        break;
    case RML_ORIENT_ROTATE_90:
        *tx = h - 1 - y, *ty = x;
        break;
    case RML_ORIENT_TRANSVERSE:
        *tx = h - 1 - y, *ty = w - 1 - x;
        break;
    case RML_ORIENT_ROTATE_270:
        *tx = y, *ty = w - 1 - x;
        break;
    }
}

static void test_orientation(void)
{
    rml_frame noise = {0}, turned = {0};
    make_noise(&noise, 37, 70);
    noise.pts = 5;
    noise.time_base = (rml_rational){1, 25};
    for (int o = RML_ORIENT_NORMAL; o <= RML_ORIENT_ROTATE_270; o++) {
        CHECK(rml_frame_orient(&turned, &noise, (rml_orientation)o, allocator, NULL) == RML_OK);
        CHECK(turned.pts == 5 && turned.time_base.den == 25);
        CHECK(turned.width == (o >= 5 ? 70 : 37) && turned.height == (o >= 5 ? 37 : 70));
        int wrong = 0;
        for (int y = 0; y < noise.height; y++)
            for (int x = 0; x < noise.width; x++) {
                int tx = 0, ty = 0;
                expected_place((rml_orientation)o, noise.width, noise.height, x, y, &tx, &ty);
                wrong += memcmp(pixel(&noise, x, y), pixel(&turned, tx, ty), 3) != 0;
            }
        CHECK_MSG(wrong == 0, "orientation %d: %d pixels", o, wrong);
    }
    enum { ONE = 1 << 16 };
    static const struct {
        int32_t matrix[9];
        rml_orientation orientation;
    } matrices[] = {
        {{ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30}, RML_ORIENT_NORMAL},
        {{0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30}, RML_ORIENT_ROTATE_90},
        {{-ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30}, RML_ORIENT_ROTATE_180},
        {{0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30}, RML_ORIENT_ROTATE_270},
        {{-ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30}, RML_ORIENT_MIRROR_X},
        {{ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30}, RML_ORIENT_MIRROR_Y},
        {{0, ONE, 0, ONE, 0, 0, 0, 0, 1 << 30}, RML_ORIENT_TRANSPOSE},
        {{0, -ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30}, RML_ORIENT_TRANSVERSE},
        {{INT32_MIN, 0, 0, 0, INT32_MIN, 0, 0, 0, 0}, RML_ORIENT_ROTATE_180},
    };
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
        CHECK(rml_orientation_from_matrix(matrices[i].matrix) == matrices[i].orientation);
    rml_frame_release(&noise);
    rml_frame_release(&turned);
}

// A JPEG whose EXIF block says "turned by 90 degrees" is delivered upright.
static void test_exif(void)
{
    static uint8_t bytes[1 << 16], tagged[1 << 16];
    static const uint8_t exif[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0,    0,    'M', 'M',
                                   0,    42,   0, 0,  0,   8,   0,   1,   0x01, 0x12, 0,   3,
                                   0,    0,    0, 1,  0,   6,   0,   0,   0,    0,    0,   0};
    rml_frame noise = {0}, plain = {0}, turned = {0}, expected = {0};
    make_noise(&noise, 40, 24);
    CHECK(save(&noise, in_folder("e.jpg")) == RML_OK);
    CHECK(rml_image_load(&plain, in_folder("e.jpg"), allocator, NULL) == RML_OK);
    size_t size = read_file(in_folder("e.jpg"), bytes, sizeof bytes);
    memcpy(tagged, bytes, 2);
    memcpy(tagged + 2, exif, sizeof exif);
    memcpy(tagged + 2 + sizeof exif, bytes + 2, size - 2);
    write_file(in_folder("e2.jpg"), tagged, size + sizeof exif);
    CHECK(rml_image_load(&turned, in_folder("e2.jpg"), allocator, NULL) == RML_OK);
    CHECK(rml_frame_orient(&expected, &plain, RML_ORIENT_ROTATE_90, allocator, NULL) == RML_OK);
    CHECK(same_pixels(&turned, &expected));
    CHECK(turned.width == 24 && turned.height == 40);
    CHECK(rml_jpeg_scan(tagged, size + sizeof exif).orientation == RML_ORIENT_ROTATE_90);
    CHECK(rml_jpeg_scan(bytes, size).complete && !rml_jpeg_scan(bytes, size - 1).complete);
    rml_frame_release(&noise);
    rml_frame_release(&plain);
    rml_frame_release(&turned);
    rml_frame_release(&expected);
}

int main(void)
{
    allocator = rml_allocator_default();
    if (!rml_image_kind_written(RML_IMAGE_PNG)) {
        rml_frame frame = {0};
        CHECK(mkdtemp(folder) != NULL);
        write_file(in_folder("a.png"), (const uint8_t *)"\x89PNG\r\n\x1A\n", 8);
        CHECK(rml_image_load(&frame, in_folder("a.png"), allocator, NULL) == RML_ERR_UNSUPPORTED);
        remove(in_folder("a.png"));
        CHECK(rmdir(folder) == 0);
        test_orientation();
        return check_result() ? 1 : 77;
    }
    CHECK(mkdtemp(folder) != NULL);
    test_round_trip();
    test_truncation();
    test_bomb();
    test_orientation();
    test_exif();
    static const char *const names[] = {"a.png", "a.BMP",    "t.png",    "t.jpg", "t.bmp",
                                        "cut",   "bomb.png", "page.png", "e.jpg", "e2.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(in_folder(names[i]));
    CHECK(rmdir(folder) == 0); // nothing else was left behind, temporary files among it
    return check_result();
}
