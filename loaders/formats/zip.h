// Bounded reader of a zip archive's table: entries of a mapped file, zip64 included.
#ifndef RML_LOADERS_FORMATS_ZIP_H
#define RML_LOADERS_FORMATS_ZIP_H

#include "tensor/arena.h"
#include "tensor/names.h"

#define RML_ZIP_MAX_ENTRIES ((size_t)1 << 20)

typedef struct rml_zip_entry {
    const char *name; // in the mapped file, not zero terminated
    size_t name_bytes;
    uint64_t header_offset; // of the local header
    uint64_t stored_bytes, plain_bytes;
    uint16_t method, flags;
} rml_zip_entry;

typedef struct rml_zip {
    const uint8_t *data;
    size_t size;
    const rml_allocator *allocator;
    rml_zip_entry *entry;
    size_t count;
    rml_names names;
} rml_zip;

// Reads the central directory of the archive in [data, data + size), which must stay valid. Entries
// may be compressed or encrypted; only asking for their contents fails. Entries of the same name
// and tables that leave the file are refused. On failure *out needs no release.
rml_status rml_zip_open(rml_zip *out, const uint8_t *data, size_t size,
                        const rml_allocator *allocator, rml_error *err);
void rml_zip_release(rml_zip *zip);

// Whether the bytes are those of an archive in which a file of this name lies, in whatever folder.
bool rml_zip_has(const uint8_t *data, size_t size, const char *last_name);

// The entry, or NULL when there is none.
const rml_zip_entry *rml_zip_find(const rml_zip *zip, const char *name, size_t name_bytes);

// Where the contents lie. RML_ERR_UNSUPPORTED for compressed and encrypted entries, RML_ERR_FORMAT
// when the local header contradicts the directory or the bytes leave the file.
rml_status rml_zip_contents(const rml_zip *zip, const rml_zip_entry *entry, const uint8_t **data,
                            size_t *bytes, rml_error *err);

// The same, of what is deflated unpacked into the arena.
rml_status rml_zip_unpack(const rml_zip *zip, const rml_zip_entry *entry, rml_arena *arena,
                          const uint8_t **data, size_t *bytes, rml_error *err);

#endif
