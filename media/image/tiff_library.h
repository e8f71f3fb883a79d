// libtiff, loaded when the first TIFF comes. It brings nine libraries with it, C++'s among them:
// linked, they would cost every command of the program a millisecond before it begins.
#ifndef RML_MEDIA_IMAGE_TIFF_LIBRARY_H
#define RML_MEDIA_IMAGE_TIFF_LIBRARY_H

#include "runmodel.h"

#include <tiffio.h>

#define RML_TIFF_FUNCTIONS(F)                                                                      \
    F(TIFFClientOpenExt)                                                                           \
    F(TIFFClose)                                                                                   \
    F(TIFFComputeStrip)                                                                            \
    F(TIFFComputeTile)                                                                             \
    F(TIFFDefaultStripSize)                                                                        \
    F(TIFFGetField)                                                                                \
    F(TIFFGetFieldDefaulted)                                                                       \
    F(TIFFIsTiled)                                                                                 \
    F(TIFFLastDirectory)                                                                           \
    F(TIFFOpenOptionsAlloc)                                                                        \
    F(TIFFOpenOptionsFree)                                                                         \
    F(TIFFOpenOptionsSetErrorHandlerExtR)                                                          \
    F(TIFFOpenOptionsSetMaxSingleMemAlloc)                                                         \
    F(TIFFOpenOptionsSetWarningHandlerExtR)                                                        \
    F(TIFFRGBAImageBegin)                                                                          \
    F(TIFFRGBAImageEnd)                                                                            \
    F(TIFFRGBAImageGet)                                                                            \
    F(TIFFReadDirectory)                                                                           \
    F(TIFFReadEncodedStrip)                                                                        \
    F(TIFFReadEncodedTile)                                                                         \
    F(TIFFSetField)                                                                                \
    F(TIFFStripSize64)                                                                             \
    F(TIFFTileSize64)                                                                              \
    F(TIFFWriteScanline)

// Each by its own name; declared in tiffio.h.
typedef struct rml_tiff_library {
#define RML_TIFF_POINTER(name) __typeof__(name) *name;
    RML_TIFF_FUNCTIONS(RML_TIFF_POINTER)
#undef RML_TIFF_POINTER
} rml_tiff_library;

// From any thread. The library stays loaded.
rml_status rml_tiff_library_load(rml_tiff_library *out, rml_error *err);

#endif
