// The SHA-256 of a file.
#ifndef RML_MEDIA_VIDEO_DIGEST_H
#define RML_MEDIA_VIDEO_DIGEST_H

#include "runmodel.h"

#define RML_SHA256_TEXT 65 // digits and the end of the text

rml_status rml_file_sha256(char text[RML_SHA256_TEXT], const char *path, rml_error *err);

#endif
