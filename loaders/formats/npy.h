// NumPy .npy files: one array in, one array out.
#ifndef RML_LOADERS_FORMATS_NPY_H
#define RML_LOADERS_FORMATS_NPY_H

#include "tensor/mapfile.h"

#define RML_NPY_MAX_HEADER_BYTES 65536

struct rml_npy {
    const rml_allocator *allocator; // of rml_npy_open
    rml_mapfile file;               // the same
    const uint8_t *data;            // the elements as stored, any alignment
    rml_shape shape;                // as NumPy shows it, whatever the order in the file
    size_t count;                   // elements
    bool fortran;                   // the first index runs fastest in the file
    char descr[32];                 // the type as NumPy calls it, read or not
    bool swapped;                   // bytes of an element are in big-endian order
    rml_dtype dtype;
    size_t element_bytes;
};

// The type that NumPy calls "f4"; false where this library has none such.
bool rml_npy_type(const char *code, rml_dtype *dtype);

// Reads the header of contents that lie in memory, of a file or an entry of an archive called
// `what`. Every number in it is checked against the size before use.
rml_status rml_npy_parse(rml_npy *out, const uint8_t *bytes, size_t size, const char *what,
                         rml_error *err);

#endif
