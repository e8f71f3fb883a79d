// The store and its readers on well-formed files, and the sentence each other kind of file gets.
#define _DEFAULT_SOURCE
#include "tests/support/loader_files.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "loaders/weights/weights.h"

#include <sys/stat.h>
#include <unistd.h>

static rml_error error;
static char folder[] = "/tmp/rml_test_weights_XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void check_values(const rml_weights *w, const char *name, int rank, const int64_t *dim,
                         rml_dtype dtype, const float *values, size_t count)
{
    float got[16] = {0};
    const rml_weight *weight = rml_weights_find(w, name);
    CHECK_MSG(weight, "%s is missing", name);
    if (!weight)
        return;
    CHECK_MSG(weight->stored.dtype == dtype && weight->stored.shape.rank == rank, "%s", name);
    for (int i = 0; i < rank; i++)
        CHECK(weight->stored.shape.dim[i] == dim[i]);
    rml_stored_read_all(&weight->stored, got);
    for (size_t i = 0; i < count; i++)
        CHECK_MSG(got[i] == values[i], "%s[%zu] is %g, expected %g", name, i, (double)got[i],
                  (double)values[i]);
}

static void check_checkpoint(const rml_weights *w)
{
    CHECK_MSG(rml_weights_count(w) == 5, "%zu tensors", rml_weights_count(w));
    check_values(w, "a.weight", 2, (int64_t[]){2, 3}, RML_F32, files_a, 6);
    check_values(w, "b", 2, (int64_t[]){2, 2}, RML_F16, (float[]){1, 3, 2, 4}, 4);
    check_values(w, "c", 0, NULL, RML_I64, (float[]){7}, 1);
    check_values(w, "d", 1, (int64_t[]){2}, RML_F32, (float[]){3, 4}, 2);
    check_values(w, "e", 2, (int64_t[]){0, 4}, RML_F32, NULL, 0);
    CHECK(!rml_weights_find(w, "module.b"));
    CHECK(!rml_weights_find(w, "momentum"));
    CHECK(!rml_weights_entry(w, 5) && !rml_weights_at(w, 5).name);
}

static void check_file(const char *name, blob contents, const char *format)
{
    rml_weights *w = NULL;
    CHECK(write_file(in_folder(name), contents.data, contents.size));
    rml_status status = rml_weights_open(&w, in_folder(name), NULL, &error);
    CHECK_MSG(status == RML_OK, "%s: %s", name, error.message);
    if (w) {
        CHECK_MSG(strcmp(rml_weights_format(w), format) == 0, "%s", rml_weights_format(w));
        check_checkpoint(w);
    }
    rml_weights_close(&w);
    CHECK(w == NULL);
    unlink(in_folder(name));
    blob_free(&contents);
}

static void check_kind(const char *name, const char *want)
{
    const char *kind = "";
    const rml_status status = rml_file_kind(&kind, in_folder(name), &error);
    CHECK((status == RML_OK) == (want != NULL));
    CHECK_MSG(want ? kind && strcmp(kind, want) == 0 : !kind && strstr(error.message, name),
              "%s: %s", name, kind ? kind : error.message);
}

static void check_kind_of(const void *data, size_t bytes, const char *want)
{
    CHECK(write_file(in_folder("kind"), data, bytes));
    check_kind("kind", want);
    unlink(in_folder("kind"));
}

static void test_kinds(void)
{
    blob zip = make_torch_zip(false), tensors = make_safetensors();
    check_kind_of(zip.data, zip.size, "weights");
    check_kind_of(tensors.data, tensors.size, "weights");
    check_kind_of("{\"weight_map\": {}}", 18, "weights");
    check_kind_of("\x08\x08\x12\x04test", 8, "onnx");
    check_kind_of("\x08\x04\x12\x00\xA2\x1F\x00", 7, "coreml"); // a neural network without layers
    check_kind_of("<html></html>", 13, NULL);
    check_kind_of("", 0, NULL);
    check_kind("nothing", NULL);
    CHECK(mkdir(in_folder("hub"), 0700) == 0);
    check_kind("hub", "weights");
    CHECK(write_file(in_folder("hub/Manifest.json"), "{}", 2));
    check_kind("hub", "coreml");
    check_kind("hub/Manifest.json", "coreml");
    unlink(in_folder("hub/Manifest.json"));
    CHECK(rmdir(in_folder("hub")) == 0);
    CHECK(rml_file_kind(&(const char *){""}, "", &error) == RML_ERR_ARG);
    blob_free(&zip);
    blob_free(&tensors);
}

static void test_formats(void)
{
    // endings say nothing: every name here is wrong on purpose
    check_file("a.safetensors", make_torch_zip(false), "pytorch zip");
    check_file("b.html", make_torch_zip(true), "pytorch zip");
    check_file("c.zip", make_torch_legacy(), "pytorch legacy");
    check_file("d.pth", make_safetensors(), "safetensors");
}

// Files before PyTorch 0.4 name a part of a storage by (key, offset, elements).
static void test_views(void)
{
    rml_weights *w = NULL;
    blob b = {NULL, 0, 0};
    put_legacy_head(&b, true);
    put_text(&b, "\x80\x02}");
    p_text(&b, "v");
    p_global(&b, "torch._utils", "_rebuild_tensor");
    put_text(&b, "((");
    p_text(&b, "storage");
    p_global(&b, "torch.cuda", "FloatStorage");
    p_text(&b, "7");
    p_text(&b, "cuda:0");
    p_int(&b, 6);
    put_text(&b, "(");
    p_text(&b, "8");
    p_int(&b, 2);
    p_int(&b, 3);
    put_text(&b, "ttQK\x01K\x02\x85K\x01\x85tRs.\x80\x02]");
    p_text(&b, "7");
    put_text(&b, "a.");
    put_number(&b, 6, 8);
    put(&b, files_a, sizeof files_a);
    rml_status status = rml_weights_open_memory(&w, b.data, b.size, NULL, &error);
    CHECK_MSG(status == RML_OK, "%s", error.message);
    if (w)
        check_values(w, "v", 1, (int64_t[]){2}, RML_F32, (float[]){3, 4}, 2);
    rml_weights_close(&w);
    blob_free(&b);
}

static void write_blob(const char *name, blob contents)
{
    CHECK(write_file(in_folder(name), contents.data, contents.size));
    blob_free(&contents);
}

static void write_shards(void)
{
    static const uint16_t b_plain[4] = {0x3C00, 0x4200, 0x4000, 0x4400};
    blob data = {NULL, 0, 0};
    put(&data, files_a, sizeof files_a);
    put(&data, files_a + 3, 8);
    write_blob("m-1.safetensors",
               make_safetensors_raw(
                   "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                   "\"d\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[24,32]}}",
                   data.data, data.size));
    data.size = 0;
    put(&data, b_plain, sizeof b_plain);
    put(&data, &files_c, sizeof files_c);
    put(&data, files_a, 8); // a second "d", which the index does not mean
    write_blob(
        "m-2.safetensors",
        make_safetensors_raw("{\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
                             "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[8,16]},"
                             "\"d\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]},"
                             "\"e\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[24,24]}}",
                             data.data, data.size));
    blob_free(&data);
}

static const char index_json[] =
    "{\"metadata\": {\"total_size\": 48},\n \"weight_map\": {\"a.weight\": \"m-1.safetensors\", "
    "\"b\": \"m-2.safetensors\", \"c\": \"m-2.safetensors\", \"d\": \"m-1.safetensors\", "
    "\"e\": \"m-2.safetensors\"}}";

static void expect_message(const char *path, rml_status expected, const char *part)
{
    rml_weights *w = (rml_weights *)&error;
    error.message[0] = 0;
    rml_status status = rml_weights_open(&w, path, NULL, &error);
    CHECK_MSG(status == expected && w == NULL, "%s: status %s, %s", part, rml_status_name(status),
              error.message);
    CHECK_MSG(strstr(error.message, part), "expected \"%s\" in \"%s\"", part, error.message);
    CHECK_MSG(strncmp(error.message, folder, strlen(folder)) == 0, "no path in \"%s\"",
              error.message);
    CHECK(rml_weights_open(&w, path, NULL, NULL) == expected); // without an rml_error
}

static void test_folder_and_shards(void)
{
    rml_weights *w = NULL;
    const char *index = "model.safetensors.index.json";
    expect_message(folder, RML_ERR_IO, "looked for model.safetensors, diffusion_pytorch_model");
    write_shards();
    CHECK(write_file(in_folder(index), index_json, strlen(index_json)));
    CHECK(rml_weights_open(&w, folder, NULL, &error) == RML_OK);
    if (w) {
        check_checkpoint(w);
        CHECK(strcmp(rml_weights_format(w), "safetensors shards") == 0);
        rml_weights_drop_pages(w);
        check_checkpoint(w);
    }
    rml_weights_close(&w);

    unlink(in_folder("m-2.safetensors"));
    expect_message(folder, RML_ERR_IO, "m-2.safetensors: shard 2 of 2 is missing");
    write_blob("m-2.safetensors", make_safetensors_raw("{}", NULL, 0));
    expect_message(folder, RML_ERR_FORMAT, "puts \"b\" into m-2.safetensors, which lacks it");
    const char *escape = "{\"weight_map\": {\"a\": \"../m-1.safetensors\"}}";
    CHECK(write_file(in_folder(index), escape, strlen(escape)));
    expect_message(folder, RML_ERR_FORMAT, "not a file beside it");
    const char *no_map = "{\"hidden_size\": 768}";
    CHECK(write_file(in_folder(index), no_map, strlen(no_map)));
    expect_message(folder, RML_ERR_FORMAT, "without \"weight_map\"");
    CHECK(write_file(in_folder("model_index.json"), "{}", 2));
    unlink(in_folder(index));
    expect_message(folder, RML_ERR_IO, "pipeline of several models");
    unlink(in_folder("model_index.json"));
    CHECK(write_file(in_folder("mp_rank_00_model_states.pt"), "{}", 2));
    expect_message(folder, RML_ERR_UNSUPPORTED, "zero_to_fp32.py");
    unlink(in_folder("mp_rank_00_model_states.pt"));

    // a whole file comes before shards
    write_blob("pytorch_model.bin", make_torch_legacy());
    CHECK(rml_weights_open(&w, folder, NULL, &error) == RML_OK);
    CHECK(w && strcmp(rml_weights_format(w), "pytorch legacy") == 0);
    rml_weights_close(&w);
    unlink(in_folder("pytorch_model.bin"));
    unlink(in_folder("m-1.safetensors"));
    unlink(in_folder("m-2.safetensors"));
}

static void expect_sentence(const void *data, size_t size, rml_status expected, const char *part)
{
    CHECK(write_file(in_folder("x.pth"), data, size));
    expect_message(in_folder("x.pth"), expected, part);
    unlink(in_folder("x.pth"));
}

static void test_other_kinds(void)
{
#define SENTENCE(literal, status, part) expect_sentence(literal, sizeof literal - 1, status, part)
    const rml_status format = RML_ERR_FORMAT, unsupported = RML_ERR_UNSUPPORTED;
    expect_message(in_folder("nothing"), RML_ERR_IO, "cannot open");
    SENTENCE("", format, "empty file");
    SENTENCE("<!DOCTYPE html><html>", format, "web page");
    SENTENCE("\n <HTML lang=en>", format, "web page");
    SENTENCE("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 435801856\n", format,
             "stands for a file of 435801856 bytes");
    SENTENCE("\x89HDF\r\n\x1A\n........", unsupported, "HDF5");
    SENTENCE("GGUF\x03\0\0\0........", unsupported, "GGUF");
    SENTENCE("\x1F\x8B\x08........", unsupported, "gzip");
    SENTENCE("\x93NUMPY\x01\0........", unsupported, "NumPy array");
    SENTENCE("\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8C\x01\x61K\x01s.", format,
             "plain Python pickle");
    SENTENCE("{\"data\":{}}", format, "without \"weight_map\"");
    SENTENCE("[1, 2, 3]", format, "begin with 5b 31");
    static char tar[512];
    memcpy(tar + 257, "ustar", 5);
    expect_sentence(tar, sizeof tar, unsupported, "tar archive");

    blob good = make_torch_zip(false);
    expect_sentence(good.data, good.size - 1, format, "cut short: the file ends at byte");
    blob_free(&good);
    good = make_torch_legacy();
    char part[64];
    snprintf(part, sizeof part, "cut short: the file ends at byte %zu of %zu;", good.size - 20,
             good.size);
    expect_sentence(good.data, good.size - 20, format, part);
    blob_free(&good);
    good = make_safetensors();
    snprintf(part, sizeof part, "cut short: the file ends at byte %zu of %zu;", good.size - 9,
             good.size);
    expect_sentence(good.data, good.size - 9, format, part);
    snprintf(part, sizeof part, "cut short: the file ends at byte 100, and its header");
    expect_sentence(good.data, 100, format, part);
    blob_free(&good);
}

static void expect_zip(zip_writer *z, rml_status status, const char *part)
{
    blob file = zip_finish(z);
    expect_sentence(file.data, file.size, status, part);
    blob_free(&file);
}

static void test_zip_kinds(void)
{
    zip_writer z = {.method = 8};
    zip_add(&z, "net/data.pkl", "x", 1);
    expect_zip(&z, RML_ERR_UNSUPPORTED, "compressed zip archive");
    z.flags = 1;
    zip_add(&z, "net/data.pkl", "x", 1);
    expect_zip(&z, RML_ERR_UNSUPPORTED, "encrypted zip archive");
    z.method = 8; // TorchScript compresses its code; that must not be what is told about it
    zip_add(&z, "net/code/a.py", "x", 1);
    z.method = z.flags = 0;
    zip_add(&z, "net/data.pkl", "\x80\x02}.", 4);
    zip_add(&z, "net/constants.pkl", "x", 1);
    expect_zip(&z, RML_ERR_FORMAT, "holds no tensors");
    zip_add(&z, "model.weights.h5", "x", 1);
    expect_zip(&z, RML_ERR_UNSUPPORTED, "Keras");
    zip_add(&z, "a.npy", "x", 1);
    expect_zip(&z, RML_ERR_FORMAT, "a.npy: an array: not a .npy file");
    zip_add(&z, "folder/net.pth", "x", 1);
    expect_zip(&z, RML_ERR_UNSUPPORTED, "weights file inside");
    zip_add(&z, "readme.txt", "x", 1);
    expect_zip(&z, RML_ERR_FORMAT, "the first is \"readme.txt\"");
    expect_zip(&z, RML_ERR_FORMAT, "without entries");
    zip_add(&z, "net/data.pkl", "\x80\x02}.", 4);
    zip_add(&z, "net/byteorder", "middle", 6);
    expect_zip(&z, RML_ERR_UNSUPPORTED, "\"middle\" byte order");
}

static void test_safetensors_headers(void)
{
    static const struct {
        const char *header;
        rml_status status;
        const char *part;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         RML_ERR_FORMAT, "overlap at byte 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
         RML_ERR_FORMAT, "leave a gap at byte 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", RML_ERR_FORMAT,
         "4 bytes follow the last tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", RML_ERR_FORMAT,
         "needs 8 bytes and has the offsets 0 to 12"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,0]}}", RML_ERR_FORMAT,
         "needs 12 bytes"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[11],\"data_offsets\":[0,12]}}", RML_ERR_FORMAT,
         "needs 11 bytes"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[22],\"data_offsets\":[0,12]}}", RML_ERR_FORMAT,
         "needs 11 bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3]}}", RML_ERR_FORMAT, "lacks its dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-3],\"data_offsets\":[0,12]}}", RML_ERR_FORMAT,
         "no whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,8],\"data_offsets\":[0,0]}}",
         RML_ERR_LIMIT, "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904,8],\"data_offsets\":[0,0]}}",
         RML_ERR_LIMIT, "too large"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[0,6]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[6],\"data_offsets\":[6,12]}}",
         RML_ERR_FORMAT, "two tensors are named \"a\""},
        {"{\"a\":3}", RML_ERR_FORMAT, "expected a tensor's description"},
        {"{\"a\":{\"dtype\":\"U8\"", RML_ERR_FORMAT, "cut short: JSON ends"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        blob file = make_safetensors_raw(cases[i].header, "0123456789AB", 12);
        expect_sentence(file.data, file.size, cases[i].status, cases[i].part);
        blob_free(&file);
    }
}

// Tensors of one byte each under these names, in one file.
static rml_status open_names(rml_weights **w, blob *file, size_t count, const char *const *names)
{
    char header[1024];
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        at +=
            (size_t)snprintf(header + at, sizeof header - at,
                             "%s\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}",
                             i ? "," : "{", names[i], i, i + 1);
    snprintf(header + at, sizeof header - at, "}");
    *file = make_safetensors_raw(header, "0123456789", count);
    return rml_weights_open_memory(w, file->data, file->size, NULL, &error);
}

static void test_prefix(void)
{
    rml_weights *w = NULL;
    blob file;
    const char *const plain[] = {"module.a",
                                 "b.module.c",
                                 "d.module.module.e",
                                 "modules.f",
                                 "_forward_module.unet.g",
                                 "_orig_mod.module.h"};
    CHECK(open_names(&w, &file, 6, plain) == RML_OK);
    CHECK(rml_weights_find(w, "unet.g") && rml_weights_find(w, "h"));
    CHECK(rml_weights_find(w, "a") && rml_weights_find(w, "b.c") && rml_weights_find(w, "d.e"));
    CHECK(rml_weights_find(w, "modules.f") && !rml_weights_find(w, "module.a"));
    rml_weights_close(&w);
    blob_free(&file);
    // taking the prefix away would make two names one: then all names stay
    const char *const both[] = {"module.a", "a", "module.b"};
    CHECK(open_names(&w, &file, 3, both) == RML_OK);
    CHECK(rml_weights_find(w, "a") && rml_weights_find(w, "module.a"));
    CHECK(rml_weights_find(w, "module.b") && !rml_weights_find(w, "b"));
    rml_weights_close(&w);
    blob_free(&file);
}

static void test_metadata(void)
{
    rml_weights *w = NULL;
    blob header = {NULL, 0, 0};
    put_text(&header, "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"\\u001b[2Jn\303\251\\n\",");
    put_text(&header, "\"note\":\"a second one\",\"odd\":{\"a\":[1]},\"long\":\"");
    for (int i = 0; i < 2000; i++)
        put_text(&header, "x");
    put_text(&header, "\"");
    for (int i = 0; i < RML_MAX_METADATA; i++) {
        char entry[32];
        snprintf(entry, sizeof entry, ",\"k%d\":\"%d\"", i, i);
        put_text(&header, entry);
    }
    put(&header, "}}", 3);
    blob file = make_safetensors_raw((const char *)header.data, "", 0);
    rml_status status = rml_weights_open_memory(&w, file.data, file.size, NULL, &error);
    CHECK_MSG(status == RML_OK, "%s", error.message);
    if (w) {
        CHECK(rml_weights_metadata_count(w) == RML_MAX_METADATA);
        CHECK(strcmp(rml_weights_metadata_at(w, 0).name, "format") == 0);
        CHECK(strcmp(rml_weights_metadata_at(w, 0).text, "pt") == 0);
        CHECK(strcmp(rml_weights_metadata_at(w, 1).text, "?[2Jn\303\251?") == 0);
        rml_metadata cut = rml_weights_metadata_at(w, 2);
        CHECK(strcmp(cut.name, "long") == 0 && strlen(cut.text) < RML_METADATA_TEXT_BYTES);
        CHECK(strcmp(cut.text + strlen(cut.text) - 4, "x...") == 0);
        CHECK(!rml_weights_metadata_at(w, RML_MAX_METADATA).name);
    }
    rml_weights_close(&w);
    blob_free(&file);
    blob_free(&header);
    // Nothing but an object is metadata, and none of it stops the file from being read.
    file = make_safetensors_raw("{\"__metadata__\":[\"a\",{}]}", "", 0);
    CHECK(rml_weights_open_memory(&w, file.data, file.size, NULL, &error) == RML_OK);
    CHECK(w && rml_weights_metadata_count(w) == 0);
    rml_weights_close(&w);
    blob_free(&file);
}

static void test_in_memory_store(void)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_weights *w = NULL;
    const rml_shape shape = {2, {3, 2}};
    float *data = NULL, copy[6];
    CHECK(rml_weights_create(&w, &allocator, &error) == RML_OK);
    CHECK(rml_weights_add_f32(w, "x", &shape, &data, &error) == RML_OK && data);
    for (int i = 0; data && i < 6; i++)
        data[i] = (float)i;
    CHECK(rml_weights_add_f32(w, "x", &shape, &data, &error) == RML_ERR_ARG && !data);
    CHECK(rml_weights_count(w) == 1 && rml_weights_find(w, "x"));
    CHECK(rml_weights_read_f32(w, 0, copy, 6, &error) == RML_OK && copy[5] == 5.0f);
    CHECK(rml_weights_read_f32(w, 0, copy, 5, &error) == RML_ERR_ARG);
    CHECK(rml_weights_read_f32(w, 1, copy, 6, &error) == RML_ERR_ARG);
    rml_weights_close(&w);
    CHECK(c.live_bytes == 0);
    CHECK(rml_weights_open(&w, NULL, NULL, &error) == RML_ERR_ARG && !w);
    CHECK(rml_weights_open(&w, "", NULL, &error) == RML_ERR_ARG && !w);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    test_kinds();
    test_formats();
    test_views();
    test_folder_and_shards();
    test_other_kinds();
    test_zip_kinds();
    test_safetensors_headers();
    test_prefix();
    test_metadata();
    test_in_memory_store();
    CHECK(rmdir(folder) == 0);
    return check_result();
}
