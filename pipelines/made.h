// What a file of video says of how it was made.
#ifndef RML_PIPELINES_MADE_H
#define RML_PIPELINES_MADE_H

#include "runmodel.h"

// By the ending of its name, so that other files are not opened for it.
bool rml_made_is_video(const char *path);

// Its XMP packet, for rml_made_free, or NULL; and the name of its format ("mp4"), NULL when it is
// none in which there can be one.
rml_status rml_made_read(char **packet, const char **format, const char *path, rml_error *err);
void rml_made_free(char *packet);

#endif
