// What concerns the libav libraries as a whole.
#ifndef RML_MEDIA_VIDEO_LIBAV_H
#define RML_MEDIA_VIDEO_LIBAV_H

// Stops the libav libraries from printing to stderr. Their log is one per process, so the program
// calls this once at its start; readers and writers here report through rml_error instead.
void rml_libav_quiet(void);

// "libavformat 59.27.100, libavcodec 59.37.100", or NULL in a build without them.
const char *rml_libav_version(void);

#endif
