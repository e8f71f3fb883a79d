// NumPy .npy files: one array in, one array out.
#ifndef RML_LOADERS_FORMATS_NPY_H
#define RML_LOADERS_FORMATS_NPY_H

#include "tensor/mapfile.h"
#include "tensor/status.h"

#define RML_NPY_MAX_HEADER_BYTES 65536

typedef struct rml_npy {
    rml_mapfile file;    // of rml_npy_open
    const uint8_t *data; // the elements as stored, any alignment
    rml_shape shape;     // as NumPy shows it, whatever the order in the file
    size_t count;        // elements
    bool fortran;        // the first index runs fastest in the file
    bool swapped;        // bytes of an element are in big-endian order
    char kind;           // 'f', 'i', 'u' or 'b'
    int element_bytes;
} rml_npy;

// Maps a file of versions 1 to 3 that holds f2, f4, f8, integers or booleans. Every number of the
// header is checked against the file's size before use. On failure `out` is zeroed.
rml_status rml_npy_open(rml_npy *out, const char *path, rml_error *err);

// The same for contents that lie in memory, of a file or an entry of an archive called `what`.
rml_status rml_npy_parse(rml_npy *out, const uint8_t *bytes, size_t size, const char *what,
                         rml_error *err);

// The element type that `npy` holds.
rml_dtype rml_npy_dtype(const rml_npy *npy);

// Converts to `dtype` in C order; `dst` holds `npy->count` elements. To floats everything converts;
// an integer must fit, and a fraction is no integer: both are errors that name the number.
rml_status rml_npy_read(const rml_npy *npy, rml_dtype dtype, void *dst, rml_error *err);

void rml_npy_close(rml_npy *npy);

// Writes elements in C order to a file beside `path`, then renames it to `path`: a reader never
// sees half an array, and on failure what was at `path` is untouched. bf16, which NumPy has not, is
// written as f32.
rml_status rml_npy_write(const char *path, rml_dtype dtype, const void *data,
                         const rml_shape *shape, rml_error *err);

#endif
