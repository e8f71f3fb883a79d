// Small checkpoints made byte by byte, so that the tests of the readers need no Python. Parity with
// what PyTorch and safetensors write is checked by test_loaders.py.
#ifndef RML_TESTS_SUPPORT_LOADER_FILES_H
#define RML_TESTS_SUPPORT_LOADER_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct blob {
    uint8_t *data;
    size_t size, capacity;
} blob;

static inline void put(blob *b, const void *bytes, size_t count)
{
    if (b->size + count > b->capacity) {
        b->capacity = (b->size + count) * 2 + 256;
        b->data = realloc(b->data, b->capacity);
        if (!b->data)
            exit(1);
    }
    if (count)
        memcpy(b->data + b->size, bytes, count);
    b->size += count;
}

static inline void put_number(blob *b, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        put(b, &(uint8_t){i < 8 ? (uint8_t)(number >> (8 * i)) : 0}, 1);
}

static inline void put_text(blob *b, const char *text)
{
    put(b, text, strlen(text));
}

static inline void blob_free(blob *b)
{
    free(b->data);
    *b = (blob){NULL, 0, 0};
}

// ---- zip --------------------------------------------------------------------------------------

typedef struct zip_writer {
    blob file, table;
    unsigned entries, method, flags; // method and flags of the entries to come
    bool zip64;
} zip_writer;

static inline void zip_add(zip_writer *z, const char *name, const void *bytes, size_t count)
{
    size_t header_at = z->file.size, name_bytes = strlen(name);
    put_text(&z->file, "PK\x03\x04");
    put_number(&z->file, 0, 2); // version
    put_number(&z->file, z->flags, 2);
    put_number(&z->file, z->method, 2);
    put_number(&z->file, 0, 4 + 4); // time, checksum
    put_number(&z->file, count, 4);
    put_number(&z->file, count, 4);
    put_number(&z->file, name_bytes, 2);
    put_number(&z->file, 5, 2); // an extra field that only the local header has, as torch pads
    put(&z->file, name, name_bytes);
    put(&z->file, "FB\x01\x00Z", 5);
    put(&z->file, bytes, count);

    put_text(&z->table, "PK\x01\x02");
    put_number(&z->table, 0, 4);
    put_number(&z->table, z->flags, 2);
    put_number(&z->table, z->method, 2);
    put_number(&z->table, 0, 4 + 4);
    put_number(&z->table, z->zip64 ? 0xFFFFFFFFu : count, 4);
    put_number(&z->table, z->zip64 ? 0xFFFFFFFFu : count, 4);
    put_number(&z->table, name_bytes, 2);
    put_number(&z->table, z->zip64 ? 28 : 0, 2);
    put_number(&z->table, 0, 2 + 2 + 2 + 4);
    put_number(&z->table, z->zip64 ? 0xFFFFFFFFu : header_at, 4);
    put(&z->table, name, name_bytes);
    if (z->zip64) {
        put_number(&z->table, 1, 2);
        put_number(&z->table, 24, 2);
        put_number(&z->table, count, 8);
        put_number(&z->table, count, 8);
        put_number(&z->table, header_at, 8);
    }
    z->entries++;
}

// The finished archive; the writer is empty afterwards.
static inline blob zip_finish(zip_writer *z)
{
    blob *file = &z->file;
    size_t table_at = file->size, table_bytes = z->table.size;
    put(file, z->table.data, table_bytes);
    if (z->zip64) {
        size_t end_at = file->size;
        put_text(file, "PK\x06\x06");
        put_number(file, 44, 8);
        put_number(file, 0, 2 + 2 + 4);
        put_number(file, 0, 4);
        put_number(file, z->entries, 8);
        put_number(file, z->entries, 8);
        put_number(file, table_bytes, 8);
        put_number(file, table_at, 8);
        put_text(file, "PK\x06\x07");
        put_number(file, 0, 4);
        put_number(file, end_at, 8);
        put_number(file, 1, 4);
    }
    put_text(file, "PK\x05\x06");
    put_number(file, 0, 4);
    put_number(file, z->zip64 ? 0xFFFF : z->entries, 2);
    put_number(file, z->zip64 ? 0xFFFF : z->entries, 2);
    put_number(file, z->zip64 ? 0xFFFFFFFFu : table_bytes, 4);
    put_number(file, z->zip64 ? 0xFFFFFFFFu : table_at, 4);
    put_number(file, 0, 2);
    blob out = *file;
    blob_free(&z->table);
    *z = (zip_writer){.entries = 0};
    return out;
}

// ---- pickles ----------------------------------------------------------------------------------

static inline void p_text(blob *b, const char *text)
{
    put_text(b, "X");
    put_number(b, strlen(text), 4);
    put_text(b, text);
}

static inline void p_int(blob *b, int32_t number)
{
    put_text(b, "J");
    put_number(b, (uint32_t)number, 4);
}

static inline void p_global(blob *b, const char *module, const char *name)
{
    put_text(b, "c");
    put_text(b, module);
    put_text(b, "\n");
    put_text(b, name);
    put_text(b, "\n");
}

static inline void p_empty_ordered_dict(blob *b)
{
    p_global(b, "collections", "OrderedDict");
    put_text(b, ")R");
}

static inline void p_dims(blob *b, int rank, const int *dim)
{
    put_text(b, "(");
    for (int i = 0; i < rank; i++)
        p_int(b, dim[i]);
    put_text(b, "t");
}

typedef struct p_tensor_spec {
    const char *storage_type, *key;
    int elements; // of the storage
    int offset, rank, dim[4], stride[4];
    bool old;    // _rebuild_tensor with four arguments
    bool legacy; // six parts in the persistent id
} p_tensor_spec;

static inline void p_tensor(blob *b, const p_tensor_spec *spec)
{
    p_global(b, "torch._utils", spec->old ? "_rebuild_tensor" : "_rebuild_tensor_v2");
    put_text(b, "((");
    p_text(b, "storage");
    p_global(b, "torch", spec->storage_type);
    p_text(b, spec->key);
    p_text(b, "cuda:0");
    p_int(b, spec->elements);
    if (spec->legacy)
        put_text(b, "N");
    put_text(b, "tQ");
    p_int(b, spec->offset);
    p_dims(b, spec->rank, spec->dim);
    p_dims(b, spec->rank, spec->stride);
    if (!spec->old) {
        put_text(b, "\x89");
        p_empty_ordered_dict(b);
    }
    put_text(b, "tR");
}

// ---- one checkpoint in every format -----------------------------------------------------------

// What they all hold: "a.weight" f32 (2,3) 0..5; "b" f16 (2,2), the transpose of a stored one;
// "c" i64 scalar 7; "d" f32 (2), the last row's begin of a.weight's storage; "e" f32 (0,4).
static const float files_a[6] = {0, 1, 2, 3, 4, 5};
static const uint16_t files_b[4] = {0x3C00, 0x4000, 0x4200, 0x4400}; // 1 2 3 4
static const int64_t files_c = 7;

static inline void p_checkpoint(blob *b, bool legacy)
{
    const p_tensor_spec a = {"FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}, legacy, legacy};
    const p_tensor_spec t = {"HalfStorage", "1", 4, 0, 2, {2, 2}, {1, 2}, false, legacy};
    const p_tensor_spec c = {"LongStorage", "2", 1, 0, 0, {0}, {0}, false, legacy};
    const p_tensor_spec d = {"FloatStorage", "0", 6, 3, 1, {2}, {1}, false, legacy};
    const p_tensor_spec e = {"FloatStorage", "3", 0, 0, 2, {0, 4}, {4, 1}, false, legacy};
    put_text(b, "\x80\x02}(");
    p_text(b, "epoch");
    p_int(b, 12);
    p_text(b, "state_dict");
    p_empty_ordered_dict(b);
    put_text(b, "q\x01(");
    p_text(b, "module.a.weight");
    p_tensor(b, &a);
    p_text(b, "module.b");
    p_tensor(b, &t);
    p_text(b, "module.c");
    p_tensor(b, &c);
    p_text(b, "module.d");
    p_tensor(b, &d);
    p_text(b, "module.e");
    p_tensor(b, &e);
    put_text(b, "u}"); // OrderedDict's attributes
    p_text(b, "_metadata");
    p_empty_ordered_dict(b);
    put_text(b, "sb");
    p_text(b, "optimizer"); // an unknown object, which must be survived and not looked at
    p_global(b, "some.module", "Optimizer");
    put_text(b, ")\x81}");
    p_text(b, "momentum");
    p_tensor(b, &a);
    put_text(b, "sbu.");
}

// A checkpoint of everything that is no state_dict: a module, lists, an object with attributes and
// items, an array, keys of other types, cycles, tensors that are only listed.
static inline void p_odd(blob *b)
{
    const p_tensor_spec a = {"FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}, false, false};
    const p_tensor_spec t = {"HalfStorage", "1", 4, 0, 2, {2, 2}, {1, 2}, false, false};
    const p_tensor_spec c = {"ComplexFloatStorage", "2", 1, 0, 1, {1}, {1}, false, false};
    put_text(b, "\x80\x02}q\x01(");
    p_text(b, "model");
    p_global(b, "some.module", "Net");
    put_text(b, ")\x81}(");
    p_text(b, "_parameters");
    p_empty_ordered_dict(b);
    p_text(b, "weight");
    p_global(b, "torch._utils", "_rebuild_parameter");
    put_text(b, "(");
    p_tensor(b, &a);
    put_text(b, "\x88");
    p_empty_ordered_dict(b);
    put_text(b, "tRs");
    p_text(b, "_buffers");
    put_text(b, "}(");
    p_text(b, "kept");
    p_tensor(b, &t);
    p_text(b, "passing");
    p_tensor(b, &a);
    put_text(b, "u");
    p_text(b, "_non_persistent_buffers_set");
    p_global(b, "__builtin__", "set");
    put_text(b, "]");
    p_text(b, "passing");
    put_text(b, "a\x85R");
    p_text(b, "_modules");
    put_text(b, "}ub");
    p_text(b, "list");
    put_text(b, "](");
    p_tensor(b, &a);
    p_tensor(b, &c);
    put_text(b, "h\x01"); // the whole again
    p_global(b, "some.module", "Point");
    p_tensor(b, &t);
    put_text(b, "\x85\x81}");
    p_text(b, "slot");
    p_tensor(b, &t);
    put_text(b, "sbe");
    p_int(b, 7);
    p_global(b, "torch._utils", "_rebuild_sparse_tensor");
    p_global(b, "torch.serialization", "_get_layout");
    p_text(b, "torch.sparse_coo");
    put_text(b, "\x85R(");
    p_tensor(b, &t);
    p_tensor(b, &a);
    p_dims(b, 2, (const int[]){4, 4});
    put_text(b, "t\x86R");
    p_text(b, "array");
    p_global(b, "numpy.core.multiarray", "_reconstruct");
    put_text(b, ")R(K\x01");
    p_dims(b, 1, (const int[]){3});
    p_global(b, "numpy", "dtype");
    p_text(b, "u2");
    put_text(b, "\x85R\x89");
    p_global(b, "_codecs", "encode");
    p_text(b, "\x01\xC2\x80\x02\x03\xC3\xBF\x05");
    p_text(b, "latin1");
    put_text(b, "\x86Rtbu.");
}

static inline blob make_torch_zip(bool zip64)
{
    blob pickle = {NULL, 0, 0};
    zip_writer z = {.zip64 = zip64};
    p_checkpoint(&pickle, false);
    zip_add(&z, "net/data.pkl", pickle.data, pickle.size);
    zip_add(&z, "net/byteorder", "little", 6);
    zip_add(&z, "net/data/0", files_a, sizeof files_a);
    zip_add(&z, "net/data/1", files_b, sizeof files_b);
    zip_add(&z, "net/data/2", &files_c, sizeof files_c);
    zip_add(&z, "net/data/3", "", 0);
    zip_add(&z, "net/version", "3\n", 2);
    blob_free(&pickle);
    return zip_finish(&z);
}

static inline void put_legacy_head(blob *b, bool little)
{
    put(b, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.", 15);
    put(b, "\x80\x02M\xE9\x03.", 6);
    put_text(b, "\x80\x02}");
    p_text(b, "little_endian");
    put_text(b, little ? "\x88s." : "\x89s.");
}

static inline blob make_torch_legacy(void)
{
    blob b = {NULL, 0, 0};
    put_legacy_head(&b, true);
    p_checkpoint(&b, true);
    put_text(&b, "\x80\x02](");
    for (int i = 0; i < 4; i++)
        p_text(&b, (const char *const[]){"0", "1", "2", "3"}[i]);
    put_text(&b, "e.");
    put_number(&b, 6, 8);
    put(&b, files_a, sizeof files_a);
    put_number(&b, 4, 8);
    put(&b, files_b, sizeof files_b);
    put_number(&b, 1, 8);
    put(&b, &files_c, sizeof files_c);
    put_number(&b, 0, 8);
    return b;
}

// A safetensors file with this header and data.
static inline blob make_safetensors_raw(const char *header, const void *data, size_t data_bytes)
{
    blob b = {NULL, 0, 0};
    put_number(&b, strlen(header), 8);
    put_text(&b, header);
    put(&b, data, data_bytes);
    return b;
}

static inline blob make_safetensors(void)
{
    static const uint16_t b_plain[4] = {0x3C00, 0x4200, 0x4000, 0x4400};
    blob data = {NULL, 0, 0};
    put(&data, files_a, sizeof files_a);
    put(&data, b_plain, sizeof b_plain);
    put(&data, &files_c, sizeof files_c);
    put(&data, files_a + 3, 8);
    blob out = make_safetensors_raw(
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"d\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[40,48]},"
        "\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[24,32]},"
        "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[32,40]},"
        "\"e\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[48,48]}}  ",
        data.data, data.size);
    blob_free(&data);
    return out;
}

// ---- files on disk ----------------------------------------------------------------------------

static inline bool write_file(const char *path, const void *data, size_t size)
{
    // a new file each time: cutting an old one to nothing makes some file systems write to the disk
    remove(path);
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    bool good = fwrite(data, 1, size, file) == size;
    return fclose(file) == 0 && good;
}

#endif
