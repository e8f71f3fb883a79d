// What an image file is, by its first bytes and by its name.
#define _POSIX_C_SOURCE 200809L
#include "media/image/picture.h"

#include <string.h>
#include <strings.h>

static const struct {
    rml_image_kind kind;
    const char *name, *extensions; // each with a blank before and behind
} kinds[] = {
    {RML_IMAGE_PNG, "PNG", " png apng "},
    {RML_IMAGE_JPEG, "JPEG", " jpg jpeg jpe jfif jif "},
    {RML_IMAGE_BMP, "BMP", " bmp dib "},
    {RML_IMAGE_PNM, "PNM", " pnm pbm pgm ppm "},
    {RML_IMAGE_TGA, "TGA", " tga "},
    {RML_IMAGE_TIFF, "TIFF", " tif tiff "},
    {RML_IMAGE_WEBP, "WebP", " webp "},
    {RML_IMAGE_UNREAD, "",
     " gif heic heif hif avif jxl jp2 jpf jpx j2k jxr wdp psd psb xcf kra exr hdr pfm pam qoi ico "
     "cur icns pcx dds svg svgz dcm dng cr2 cr3 crw nef nrw arw srf sr2 orf rw2 raf pef srw 3fr "
     "erf "
     "kdc mrw rwl x3f iiq "},
};

// What images begin like that are not read.
static const struct {
    const char *name;
    size_t at, bytes;
    const char *mark;
} unread[] = {
    {"GIF", 0, 4, "GIF8"},
    {"HEIC", 4, 8, "ftypheic"},
    {"HEIC", 4, 8, "ftypheix"},
    {"HEIC", 4, 8, "ftyphevc"},
    {"HEIF", 4, 8, "ftypmif1"},
    {"HEIF", 4, 8, "ftypmsf1"},
    {"AVIF", 4, 8, "ftypavif"},
    {"AVIF", 4, 8, "ftypavis"},
    {"CR3", 4, 8, "ftypcrx "},
    {"CR2", 0, 10, "II*\0\x10\0\0\0CR"}, // within a TIFF
    {"JPEG XL", 0, 12, "\0\0\0\x0CJXL \r\n\x87\n"},
    {"JPEG XL", 0, 2, "\xFF\x0A"},
    {"JPEG 2000", 0, 12, "\0\0\0\x0CjP  \r\n\x87\n"},
    {"JPEG 2000", 0, 4, "\xFF\x4F\xFF\x51"},
    {"Photoshop", 0, 6, "8BPS\0\1"},
    {"OpenEXR", 0, 4, "\x76\x2F\x31\x01"},
    {"Radiance HDR", 0, 10, "#?RADIANCE"},
    {"RAF", 0, 15, "FUJIFILMCCD-RAW"},
    {"ORF", 0, 4, "IIRO"},
    {"RW2", 0, 4, "IIU\0"},
};

static const char *extension_of(const char *path)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    return dot && (!slash || dot > slash) ? dot + 1 : "";
}

// Whether the list has the word, in any case.
static bool lists(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; length > 0 && *at; at++)
        if (*at == ' ' && strncasecmp(at + 1, word, length) == 0 && at[1 + length] == ' ')
            return true;
    return false;
}

rml_image_kind rml_image_kind_named(const char *path)
{
    const char *extension = extension_of(path);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (lists(kinds[i].extensions, extension))
            return kinds[i].kind;
    return RML_IMAGE_NONE;
}

bool rml_image_names_stream(const char *path)
{
    return lists(" mjpg mjpeg ", extension_of(path));
}

static const char *unread_name(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (size >= unread[i].at + unread[i].bytes &&
            memcmp(data + unread[i].at, unread[i].mark, unread[i].bytes) == 0)
            return unread[i].name;
    return NULL;
}

const char *rml_image_kind_name(rml_image_kind kind, const uint8_t *data, size_t size)
{
    const char *name = kind == RML_IMAGE_UNREAD ? unread_name(data, size) : NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].kind == kind && kind != RML_IMAGE_UNREAD)
            name = kinds[i].name;
    return name ? name : "raw camera";
}

size_t rml_jpeg_start(const uint8_t *data, size_t size)
{
    const size_t most = size < RML_IMAGE_HEAD_BYTES ? size : RML_IMAGE_HEAD_BYTES;
    for (size_t at = 0; at + 4 <= most; at++) // the marker behind belongs to a header
        if (data[at] == 0xFF && data[at + 1] == 0xD8 && data[at + 2] == 0xFF &&
            data[at + 3] >= 0xC0)
            return at;
    return size;
}

static bool begins(const uint8_t *data, size_t size, const char *mark, size_t bytes)
{
    return size >= bytes && memcmp(data, mark, bytes) == 0;
}

static bool is_tiff(const uint8_t *data, size_t size)
{
    return begins(data, size, "II*\0", 4) || begins(data, size, "MM\0*", 4) ||
           begins(data, size, "II+\0", 4) || begins(data, size, "MM\0+", 4); // of 64 bits
}

// OS/2 packs bitmaps into arrays ("BA"), which are not read.
static bool is_bmp(const uint8_t *data, size_t size)
{
    // The size of the header behind tells it from a text that begins so.
    return size >= 26 && begins(data, size, "BM", 2) && data[15] == 0 && data[16] == 0 &&
           data[17] == 0 && data[14] >= 12;
}

// A blank and the width, or a comment: what follows tells it from a text that begins so.
static bool is_pnm(const uint8_t *data, size_t size)
{
    return size >= 4 && data[0] == 'P' && data[1] >= '1' && data[1] <= '6' && data[2] && data[3] &&
           strchr(" \t\r\n#", data[2]) && (data[2] == '#' || strchr(" \t\r\n#0123456789", data[3]));
}

rml_image_kind rml_image_kind_of(const char *path, const uint8_t *data, size_t size)
{
    const rml_image_kind named = rml_image_kind_named(path);
    if (begins(data, size, "\x89PNG\r\n\x1A\n", 8))
        return RML_IMAGE_PNG;
    if (begins(data, size, "\xFF\xD8\xFF", 3))
        return RML_IMAGE_JPEG;
    if (is_bmp(data, size))
        return RML_IMAGE_BMP;
    if (is_pnm(data, size))
        return RML_IMAGE_PNM;
    if (begins(data, size, "RIFF", 4) && size >= 12 && memcmp(data + 8, "WEBP", 4) == 0)
        return RML_IMAGE_WEBP;
    if (unread_name(data, size))
        return RML_IMAGE_UNREAD;
    // Raw files of cameras are TIFF outside, with a thumbnail where others have the picture.
    if (is_tiff(data, size))
        return named == RML_IMAGE_UNREAD ? RML_IMAGE_UNREAD : RML_IMAGE_TIFF;
    if (named == RML_IMAGE_JPEG && rml_jpeg_start(data, size) < size)
        return RML_IMAGE_JPEG;
    return named == RML_IMAGE_TGA ? RML_IMAGE_TGA : RML_IMAGE_NONE;
}
