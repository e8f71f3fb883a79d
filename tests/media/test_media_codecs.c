// Decoders of images on files of many kinds (tests/fuzz/corpus/picture): cut at every byte, changed
// at random, and without memory. Files that are written keep what goes along.
#define _POSIX_C_SOURCE 200809L
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "media/image/picture_codecs.h"
#include "tensor/alloc.h"

#include <dirent.h>
#include <unistd.h>

#define CORPUS "tests/fuzz/corpus/picture"
#define MOST_BYTES (1 << 16)

static rml_error error;

static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

// From memory of exactly its size, so that a sanitizer sees reads past the end.
static rml_status decode(rml_picture *out, const char *name, const uint8_t *data, size_t size,
                         const rml_allocator *allocator)
{
    const bool tga = size > 0 && data[0] == 'T';
    uint8_t *exact = malloc(size + 1);
    if (!exact)
        exit(1);
    memcpy(exact + 1, data, size);
    const rml_image_kind kind = tga ? RML_IMAGE_TGA : rml_image_kind_of(name, exact + 1, size);
    const rml_picture_codec *codec = rml_picture_codec_of(kind);
    error.message[0] = 0;
    rml_status status = codec ? codec->decode(out, exact + 1 + tga, size - tga, allocator, &error)
                              : rml_fail(&error, RML_ERR_FORMAT, "no image");
    CHECK_MSG(status == RML_OK || error.message[0], "%s: no reason", name);
    if (status != RML_OK)
        rml_picture_release(out);
    free(exact);
    return status;
}

static bool same(const rml_picture *a, const rml_picture *b)
{
    return a->width == b->width && a->height == b->height && a->channels == b->channels &&
           a->bits == b->bits &&
           memcmp(a->data, b->data, rml_picture_pitch(a) * (size_t)a->height) == 0;
}

// A cut file is an error or, where only what holds no pixels is gone, the whole picture.
static void cut(const char *name, const uint8_t *data, size_t size)
{
    const rml_allocator *allocator = rml_allocator_default();
    rml_picture whole = {0}, part = {0};
    const bool good = decode(&whole, name, data, size, allocator) == RML_OK;
    size_t wrong = 0, taken = 0;
    for (size_t count = 0; count < size; count++) {
        if (decode(&part, name, data, count, allocator) == RML_OK) {
            taken++;
            if (data[0] == 'P' && data[1] == '3' && count + 3 > size)
                rml_picture_release(&part); // digits of the last number may be gone
            if (!part.data)
                continue;
            wrong += !good || !same(&whole, &part);
            if (good && !same(&whole, &part))
                printf("%s: cut at %zu of %zu gives another picture\n", name, count, size);
        }
        rml_picture_release(&part);
    }
    CHECK_MSG(wrong == 0, "%s: %zu cuts", name, wrong);
    CHECK_MSG(taken < size / 2, "%s: %zu cuts of %zu are taken", name, taken, size);
    rml_picture_release(&whole);
}

static void change(const char *name, const uint8_t *data, size_t size)
{
    static uint8_t changed[MOST_BYTES];
    rml_picture p = {0};
    for (int i = 0; i < (check_is_slow() ? 50 : 400); i++) {
        memcpy(changed, data, size);
        for (uint32_t k = next_random() % 4; k < 4; k++)
            changed[next_random() % size] = (uint8_t)next_random();
        if (decode(&p, name, changed, size, rml_allocator_default()) == RML_OK) {
            uint8_t *copy = malloc(rml_picture_pitch(&p) * (size_t)p.height);
            if (copy) // a sanitizer sees samples that were not written
                memcpy(copy, p.data, rml_picture_pitch(&p) * (size_t)p.height);
            free(copy);
        }
        rml_picture_release(&p);
    }
}

// Each of our allocations fails once: RML_ERR_NOMEM, and nothing is left behind.
static void starve(const char *name, const uint8_t *data, size_t size)
{
    rml_picture p = {0};
    for (size_t at = 1; at < 20; at++) {
        counting c = {.fail_at = at};
        const rml_allocator allocator = {counting_alloc, counting_release, &c};
        const rml_status status = decode(&p, name, data, size, &allocator);
        if (c.calls >= at)
            CHECK_MSG(status == RML_ERR_NOMEM, "%s: call %zu: %s", name, at, error.message);
        rml_picture_release(&p);
        CHECK_MSG(c.live_bytes == 0, "%s: %zu bytes are left", name, c.live_bytes);
        if (c.calls < at)
            return;
    }
}

static void test_corpus(void)
{
    static uint8_t data[MOST_BYTES];
    DIR *folder = opendir(CORPUS);
    CHECK(folder != NULL);
    int files = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL; files++) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, CORPUS "/%s", entry->d_name);
        FILE *file = fopen(path, "rb");
        const size_t size = file ? fread(data, 1, sizeof data, file) : 0;
        if (file)
            fclose(file);
        CHECK_MSG(size > 0 && size < MOST_BYTES, "%s: %zu bytes", path, size);
        cut(entry->d_name, data, size);
        change(entry->d_name, data, size);
        starve(entry->d_name, data, size);
    }
    CHECK(files > 20);
    if (folder)
        closedir(folder);
}

// ---- what goes along ----------------------------------------------------------------------------

static void make(rml_picture *p, int channels)
{
    static uint8_t profile[400], exif[26] = "II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6";
    CHECK(rml_picture_create(p, 5, 3, channels, 8, rml_allocator_default(), NULL) == RML_OK);
    memset(p->data, 99, rml_picture_pitch(p) * 3);
    for (size_t i = 164; i < sizeof profile; i++)
        profile[i] = (uint8_t)next_random(); // libpng takes none that compresses to nothing
    memcpy(profile, (uint8_t[]){0, 0, 400 / 256, 400 % 256}, 4); // as libpng looks at it
    memcpy(profile + 12, "mntr", 4);
    memcpy(profile + 16, channels < 3 ? "GRAY" : "RGB ", 4);
    memcpy(profile + 20, "XYZ ", 4);
    memcpy(profile + 36, "acsp", 4);
    memcpy(profile + 68, (uint8_t[]){0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D}, 12);
    memcpy(profile + 131, (uint8_t[]){1, 'w', 't', 'p', 't', 0, 0, 0, 144, 0, 0, 0, 20}, 13);
    CHECK(rml_picture_keep(p, &p->profile, profile, sizeof profile, NULL) == RML_OK);
    CHECK(rml_picture_keep(p, &p->exif, exif, sizeof exif, NULL) == RML_OK);
}

static void test_notes(void)
{
    static const struct {
        const char *name;
        bool exif;
    } kinds[] = {{"a.png", true}, {"a.jpg", true}, {"a.tif", false}, {"a.webp", true}};
    char folder[] = "/tmp/rml_codecs_XXXXXX", path[64];
    CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const rml_picture_codec *codec = rml_picture_codec_of(rml_image_kind_named(kinds[i].name));
        if (!codec || !codec->profile)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, kinds[i].name);
        for (int channels = codec->gray ? 1 : 3; channels <= 3; channels += 2) {
            rml_picture p = {0}, back = {0};
            make(&p, channels);
            CHECK_MSG(rml_picture_save(&p, path, rml_allocator_default(), &error) == RML_OK, "%s",
                      error.message);
            CHECK_MSG(rml_picture_load(&back, path, rml_allocator_default(), &error) == RML_OK,
                      "%s", error.message);
            CHECK_MSG(back.profile.size == p.profile.size &&
                          memcmp(back.profile.data, p.profile.data, p.profile.size) == 0,
                      "%s of %d channels: a profile of %zu bytes", path, channels,
                      back.profile.size);
            CHECK_MSG((back.exif.size == p.exif.size) == kinds[i].exif, "%s", path);
            // It said that the picture lies on its side, and was turned.
            CHECK(!kinds[i].exif || (back.width == 3 && back.height == 5));
            CHECK(!kinds[i].exif ||
                  rml_exif_orientation(back.exif.data, back.exif.size) == RML_ORIENT_NORMAL);
            rml_picture_release(&p);
            rml_picture_release(&back);
            // Our allocations while it is written.
            make(&p, channels);
            for (size_t at = 1, calls = at; at <= calls; at++) {
                counting c = {.fail_at = at};
                const rml_allocator allocator = {counting_alloc, counting_release, &c};
                const rml_status status = rml_picture_save(&p, path, &allocator, &error);
                CHECK(c.live_bytes == 0 && (status == RML_OK) == (c.calls < at));
                calls = c.calls;
            }
            rml_picture_release(&p);
        }
        CHECK(remove(path) == 0);
    }
    CHECK(rmdir(folder) == 0); // no temporary files are left
}

static void test_exif(void)
{
    uint8_t block[64] = "MM\0*\0\0\0\x08\0\1\1\x12\0\4\0\0\0\1\0\0\0\x08";
    CHECK(rml_exif_orientation(block, 26) == RML_ORIENT_ROTATE_270);
    rml_exif_set_upright(block, 26);
    CHECK(rml_exif_orientation(block, 26) == RML_ORIENT_NORMAL && block[21] == 1);
    block[13] = 3; // a short one lies in the first two bytes
    CHECK(rml_exif_orientation(block, 26) == RML_ORIENT_NORMAL);
    memcpy(block + 18, (uint8_t[]){0, 5, 0, 0}, 4);
    CHECK(rml_exif_orientation(block, 26) == RML_ORIENT_TRANSPOSE);
    for (size_t size = 0; size < 22; size++)
        CHECK(rml_exif_orientation(block, size) == RML_ORIENT_NORMAL);
    for (int i = 0; i < 2000; i++) {
        const size_t size = next_random() % sizeof block;
        block[next_random() % sizeof block] = (uint8_t)next_random();
        (void)rml_exif_orientation(block, size);
        rml_exif_set_upright(block, size);
    }
    rml_exif_set_upright(NULL, 0);
}

// Of what this build reads; what moves goes to the reader of videos.
static void test_stills(void)
{
    static const struct {
        const char *path;
        rml_image_kind kind;
        bool still;
    } files[] = {
        {CORPUS "/rgb.png", RML_IMAGE_PNG, true},
        {CORPUS "/inks.jpg", RML_IMAGE_JPEG, true},
        {CORPUS "/runs8.bmp", RML_IMAGE_BMP, true},
        {CORPUS "/planes.tif", RML_IMAGE_TIFF, true},
        {CORPUS "/lossy.webp", RML_IMAGE_WEBP, true},
        {CORPUS "/lossless.webp", RML_IMAGE_WEBP, true},
        {CORPUS "/animated.webp", RML_IMAGE_WEBP, false},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        CHECK_MSG(rml_image_is_still(files[i].path) ==
                      (files[i].still && rml_picture_codec_of(files[i].kind)),
                  "%s", files[i].path);
}

int main(void)
{
    test_stills();
    test_exif();
    test_notes();
    test_corpus();
    return check_result();
}
