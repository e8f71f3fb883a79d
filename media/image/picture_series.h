// Pictures that follow one another in files of their own: a folder of them, or a pattern of their
// names, "shots/%04d.png".
#ifndef RML_MEDIA_IMAGE_PICTURE_SERIES_H
#define RML_MEDIA_IMAGE_PICTURE_SERIES_H

#include "media/image/picture_folder.h"

// Whether the path means pictures in files of their own: a folder, a name that ends in '/', or one
// that holds %d or %04d where no file has that name.
bool rml_names_series(const char *path);

// The folder they lie in, to be freed by the caller; "." where none is named.
rml_status rml_series_folder(char **out, const char *path, const rml_allocator *allocator,
                             rml_error *err);

// The name of picture `number` in its folder, into `name`: by the pattern, in a folder 000001.png.
// False where it is too long.
bool rml_series_name(const char *path, int64_t number, char *name, size_t size);

// A zeroed series is empty and valid.
typedef struct rml_picture_series {
    rml_arena arena;
    const char **paths; // in the order of the numbers in their names
    size_t count;
    rml_image_kind kind; // of all
} rml_picture_series;

// Lists the pictures that lie in the folder itself, or those that the pattern names. None, or such
// of several kinds, are an error.
rml_status rml_picture_series_list(rml_picture_series *out, const char *path,
                                   const rml_allocator *allocator, rml_error *err);
void rml_picture_series_release(rml_picture_series *series);

#endif
