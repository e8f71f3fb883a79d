// The images below a folder. What a file begins like decides, and its name where that says nothing.
#ifndef RML_MEDIA_IMAGE_PICTURE_FOLDER_H
#define RML_MEDIA_IMAGE_PICTURE_FOLDER_H

#include "media/files/files.h"
#include "media/image/picture.h"

// A zeroed folder is empty and valid.
typedef struct rml_picture_folder {
    rml_file_list files;   // also of kinds that are not read, whose reader tells so
    rml_image_kind *kinds; // of each, by its content; NONE where that says nothing
} rml_picture_folder;

// Lists the images below `folder` as rml_folder_list does.
rml_status rml_picture_folder_list(rml_picture_folder *out, const char *folder,
                                   const rml_folder_rules *rules, const rml_allocator *allocator,
                                   rml_error *err);
void rml_picture_folder_release(rml_picture_folder *folder);

#endif
