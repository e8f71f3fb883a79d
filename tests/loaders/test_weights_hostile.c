// Damaged and hostile files: every truncation, random mutations, checkpoints made to deceive, every
// allocation failing in turn. Run under AddressSanitizer and UndefinedBehaviorSanitizer to see all
// of it. RML_TEST_MUTATIONS changes the number of mutations for each format (default 10000).
#include "tests/support/loader_files.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/support/mutations.h"
#include "loaders/weights/weights.h"
#include "tensor/tensor.h"

#include <time.h>

#define LARGEST_COPY ((size_t)1 << 20)

static rml_error error;
static float copy[LARGEST_COPY];

// Every tensor that is offered must be readable from its first to its last element, or say that it
// is not.
static void read_all(const rml_weights *w)
{
    for (size_t i = 0; i < rml_weights_count(w); i++) {
        const rml_weight_info info = rml_weights_at(w, i);
        size_t count = 0;
        CHECK(info.name && info.type && (info.same_as == 0 || info.same_as <= i));
        if (info.unreadable) {
            CHECK(rml_weights_read_f32(w, i, copy, 1, &error) == RML_ERR_UNSUPPORTED);
            continue;
        }
        CHECK(rml_shape_count(&info.shape, &count));
        if (count <= LARGEST_COPY)
            CHECK(rml_weights_read_f32(w, i, copy, count, &error) == RML_OK);
    }
    for (size_t i = 0; i < rml_weights_beside_count(w); i++) {
        const rml_weight_info info = rml_weights_beside_at(w, i);
        CHECK(info.name && info.type && info.same_as <= rml_weights_count(w));
    }
}

// Opens bytes in a block of exactly their size, so that a sanitizer sees any read past the end, and
// holds the reader to its promise about memory.
static rml_status open_bytes(const uint8_t *data, size_t size, size_t *peak)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_weights *w = NULL;
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(1);
    memcpy(exact, data, size);
    error.message[0] = 0;
    rml_status status = rml_weights_open_memory(&w, exact, size, &allocator, &error);
    CHECK((status == RML_OK) == (w != NULL));
    CHECK(status == RML_OK || (error.message[0] && error.status == status));
    CHECK_MSG(c.peak_bytes <= RML_WEIGHTS_MIN_BYTES + RML_WEIGHTS_BYTES_PER_BYTE * size,
              "%zu bytes of memory for a file of %zu", c.peak_bytes, size);
    if (w)
        read_all(w);
    rml_weights_close(&w);
    CHECK_MSG(c.live_bytes == 0, "%zu bytes leak", c.live_bytes);
    if (peak && c.peak_bytes > *peak)
        *peak = c.peak_bytes;
    free(exact);
    return status;
}

static void truncate_everywhere(const char *what, blob file)
{
    for (size_t size = 0; size < file.size; size++) {
        rml_status status = open_bytes(file.data, size, NULL);
        CHECK_MSG(status == RML_ERR_FORMAT || status == RML_ERR_UNSUPPORTED,
                  "%s cut to %zu of %zu bytes: %s, %s", what, size, file.size,
                  rml_status_name(status), error.message);
    }
    CHECK_MSG(open_bytes(file.data, file.size, NULL) == RML_OK, "%s: %s", what, error.message);
    blob_free(&file);
}

// Mutations of what is given, opened after `wrap` has put it into a file.
static void mutate_often(const char *what, blob inner, blob (*wrap)(const blob *))
{
    long count = mutations_wanted(), opened = 0;
    size_t peak = 0;
    double slowest = 0;
    for (long i = 0; i < count; i++) {
        blob changed = same(&inner);
        mutate(&changed);
        blob file = wrap(&changed);
        clock_t start = clock();
        opened += open_bytes(file.data, file.size, &peak) == RML_OK;
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (seconds > slowest)
            slowest = seconds;
        blob_free(&changed);
        blob_free(&file);
    }
    printf("%s: %ld mutations of %zu bytes, %ld open, at most %zu bytes of memory, %.1f ms\n", what,
           count, inner.size, opened, peak, slowest * 1e3);
    CHECK_MSG(slowest < 2.0, "%s: %.3f s", what, slowest);
    blob_free(&inner);
}

static blob zip_of(const blob *pickle);

static blob wrap_header(const blob *header)
{
    blob out = {NULL, 0, 0};
    put_number(&out, header->size, 8);
    put(&out, header->data, header->size);
    put(&out, files_a, sizeof files_a);
    put(&out, files_a, sizeof files_a);
    return out;
}

// A zip's table and a safetensors header of wrong length hide most of what lies behind them: the
// parts are mutated by themselves, too.
static void mutate_parts(void)
{
    blob pickle = {NULL, 0, 0}, odd = {NULL, 0, 0}, header = make_safetensors();
    p_odd(&odd);
    mutate_often("odd pickle in a zip", odd, zip_of);
    p_checkpoint(&pickle, false);
    mutate_often("pickle in a zip", pickle, zip_of);
    header.size -= 48;
    memmove(header.data, header.data + 8, header.size -= 8);
    mutate_often("header of safetensors", header, wrap_header);
}

static void fail_every_allocation(const char *what, blob file)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_status status = RML_ERR_NOMEM;
    size_t fail_at = 0;
    while (status == RML_ERR_NOMEM && fail_at < 10000) {
        rml_weights *w = NULL;
        c.calls = 0;
        c.fail_at = ++fail_at;
        status = rml_weights_open_memory(&w, file.data, file.size, &allocator, &error);
        CHECK((status == RML_OK) == (w != NULL));
        rml_weights_close(&w);
        CHECK_MSG(c.live_bytes == 0, "%s: %zu bytes leak when allocation %zu fails", what,
                  c.live_bytes, fail_at);
    }
    CHECK_MSG(status == RML_OK && fail_at > 5, "%s: %s after %zu", what, error.message, fail_at);
    blob_free(&file);
}

// ---- checkpoints made to deceive --------------------------------------------------------------

// A zip checkpoint with this pickle, and the storages of p_checkpoint.
static blob zip_of(const blob *pickle)
{
    zip_writer z = {.entries = 0};
    zip_add(&z, "net/data.pkl", pickle->data, pickle->size);
    zip_add(&z, "net/data/0", files_a, sizeof files_a);
    zip_add(&z, "net/data/1", files_b, sizeof files_b);
    zip_add(&z, "net/data/2", &files_c, sizeof files_c);
    zip_add(&z, "net/data/3", "", 0);
    return zip_finish(&z);
}

static void expect(blob *pickle, rml_status status, const char *part)
{
    blob file = zip_of(pickle);
    blob_free(pickle);
    rml_status got = open_bytes(file.data, file.size, NULL);
    CHECK_MSG(got == status && strstr(error.message, part), "expected \"%s\", got %s: %s", part,
              rml_status_name(got), error.message);
    blob_free(&file);
}

static void expect_tensor(p_tensor_spec spec, rml_status status, const char *part)
{
    blob p = {NULL, 0, 0};
    put_text(&p, "\x80\x02}");
    p_text(&p, "w");
    p_tensor(&p, &spec);
    put_text(&p, "s.");
    expect(&p, status, part);
}

static void test_tensors(void)
{
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 0, 2, {2, 3}, {3, 1}, false, false},
                  RML_OK, "");
    expect_tensor((p_tensor_spec){"FloatStorage",
                                  "0",
                                  6,
                                  0,
                                  4,
                                  {0, 2000000000, 2000000000, 2000000000},
                                  {0, 0, 0, 0},
                                  false,
                                  false},
                  RML_ERR_LIMIT, "too large to address");
    // as many elements as the file holds: CVE-2026-24747
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 600, 0, 1, {600}, {1}, false, false},
                  RML_ERR_FORMAT, "announced with 600 elements of 4 bytes, and the file holds 24");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 5, 0, 1, {5}, {1}, false, false},
                  RML_ERR_FORMAT, "announced with 5 elements");
    expect_tensor((p_tensor_spec){"DoubleStorage", "0", 6, 0, 1, {6}, {1}, false, false},
                  RML_ERR_FORMAT, "announced with 6 elements of 8 bytes");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 0, 2, {2, 4}, {3, 1}, false, false},
                  RML_ERR_FORMAT, "\"w\" of shape (2,4) leaves its storage");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 1, 1, {6}, {1}, false, false},
                  RML_ERR_FORMAT, "leaves its storage");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 7, 1, {1}, {1}, false, false},
                  RML_ERR_FORMAT, "starts past the end");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, -1, 1, {1}, {1}, false, false},
                  RML_ERR_FORMAT, "no storage or no offset");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {-6}, {1}, false, false},
                  RML_ERR_FORMAT, "no whole number");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 5, 1, {6}, {-1}, false, false},
                  RML_ERR_FORMAT, "no whole number");
    expect_tensor((p_tensor_spec){"FloatStorage",
                                  "0",
                                  6,
                                  0,
                                  3,
                                  {2000000000, 2000000000, 2000000000},
                                  {0, 0, 0},
                                  false,
                                  false},
                  RML_ERR_LIMIT, "too large to address");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {2000000000}, {0}, false, false},
                  RML_ERR_LIMIT,
                  SIZE_MAX > UINT32_MAX ? "repeats 6 stored elements" : "too large to address");
    expect_tensor((p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {1000}, {0}, false, false}, RML_OK,
                  "");
    expect_tensor((p_tensor_spec){"FloatStorage", "9", 6, 0, 1, {6}, {1}, false, false},
                  RML_ERR_FORMAT, "storage \"9\" is missing");
    expect_tensor((p_tensor_spec){"FloatStorage", "../data.pkl", 6, 0, 1, {6}, {1}, false, false},
                  RML_ERR_FORMAT, "is missing");
    expect_tensor((p_tensor_spec){"ComplexFloatStorage", "0", 3, 0, 1, {3}, {1}, false, false},
                  RML_OK, "");
    expect_tensor((p_tensor_spec){"StrangeStorage", "0", 6, 0, 1, {6}, {1}, false, false}, RML_OK,
                  "");
}

#define PICKLE(literal)                                                                            \
    (blob)                                                                                         \
    {                                                                                              \
        memcpy(malloc(sizeof literal), literal, sizeof literal), sizeof literal - 1,               \
            sizeof literal                                                                         \
    }

static void expect_pickle(blob pickle, rml_status status, const char *part)
{
    expect(&pickle, status, part);
}

static void test_pickles(void)
{
    const rml_status format = RML_ERR_FORMAT, unsupported = RML_ERR_UNSUPPORTED;
    // items put into what is no dictionary: CVE-2026-24747
    expect_pickle(PICKLE("\x80\x02]K\x01K\x02s."), format, "items are put into a list");
    expect_pickle(PICKLE("\x80\x02)K\x01K\x02s."), format, "items are put into a tuple");
    expect_pickle(PICKLE("\x80\x02K\x07(K\x01K\x02u."), format, "items are put into an integer");
    expect_pickle(PICKLE("\x80\x02}K\x01"
                         "a."),
                  format, "items are put into a dictionary");
    blob p = {NULL, 0, 0};
    put_text(&p, "\x80\x02");
    p_tensor(&p, &(p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {6}, {1}, false, false});
    put_text(&p, "K\x01K\x02s.");
    expect(&p, format, "items are put into torch._utils._rebuild_tensor_v2");

    expect_pickle(PICKLE("\x80\x02}(K\x01u."), format, "a key without a value");
    expect_pickle(PICKLE("\x80\x02h\x05."), format, "never stored");
    expect_pickle(PICKLE("\x80\x02}r\xFF\xFF\xFF\x7F."), RML_ERR_LIMIT, "memo index 2147483647");
    expect_pickle(PICKLE("\x80\x02u."), format, "needs a mark");
    expect_pickle(PICKLE("\x80\x02."), format, "values are left over");
    expect_pickle(PICKLE("\x80\x02}}."), format, "values are left over");
    expect_pickle(PICKLE("\x80\x02R."), format, "takes more than the stack holds");
    expect_pickle(PICKLE("\x80\x02(R."), format, "takes more than the stack holds");
    expect_pickle(PICKLE("\x80\x02K\x01)R."), format, "something is called that is no function");
    expect_pickle(PICKLE("\x80\x02K\x01K\x01\x93."), format, "name of a global is not text");
    expect_pickle(PICKLE("\x80\x02X\xFF\xFF\xFF\xFF"
                         "ab."),
                  format, "needs 4294967295 bytes");
    expect_pickle(PICKLE("\x80\x02\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF."), format, "cut short");
    expect_pickle(PICKLE("\x80\x01}."), unsupported, "protocol 1");
    expect_pickle(PICKLE("\x80\x02\x82\x01."), unsupported, "opcode 0x82");
    expect_pickle(PICKLE("\x80\x02K\x01}b."), format, "attributes are set on a value");
    // nothing is called: a program hidden in a pickle stays a note about a program
    expect_pickle(PICKLE("\x80\x02"
                         "cposix\nsystem\nX\x04\0\0\0true\x85R."),
                  format, "holds an object of posix.system, not a state_dict");
    expect_pickle(PICKLE("\x80\x02]."), format, "holds a list, not a state_dict");
    expect_pickle(PICKLE("\x80\x02}X\x05\0\0\0epochK\x01s."), format,
                  "no tensors; its entries are \"epoch\"");
    expect_pickle(PICKLE("\x80\x02}X\x04\0\0\0a\x1B[ms."), format, "takes more than");
    expect_pickle(PICKLE("\x80\x02}X\x05\0\0\0a\x1B[2JNs."), format, "\"a?[2J\"");
}

static void test_bombs(void)
{
    blob p = {NULL, 0, 0};
    put_text(&p, "\x80\x02");
    for (int i = 0; i < 5000; i++)
        put_text(&p, "(");
    expect(&p, RML_ERR_LIMIT, "nested deeper than 1024");

    // dictionaries that hold one another twice: 2^15 names for a few hundred bytes
    put_text(&p, "\x80\x02}");
    p_text(&p, "w");
    p_tensor(&p, &(p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {6}, {1}, false, false});
    put_text(&p, "s");
    for (int i = 0; i < 15; i++) {
        put(&p, "q", 1);
        put_number(&p, (uint64_t)i, 1);
        put_text(&p, "0}(");
        p_text(&p, "l");
        put(&p, "h", 1);
        put_number(&p, (uint64_t)i, 1);
        p_text(&p, "r");
        put(&p, "h", 1);
        put_number(&p, (uint64_t)i, 1);
        put_text(&p, "u");
    }
    put_text(&p, ".");
    expect(&p, RML_ERR_LIMIT, "names of");

    // what costs the most memory for its bytes: containers, and names of one tensor
    put_text(&p, "\x80\x02");
    for (int i = 0; i < 100000; i++)
        put_text(&p, "]");
    expect(&p, RML_ERR_FORMAT, "cut short");
    put_text(&p, "\x80\x02}(");
    p_text(&p, "w");
    p_tensor(&p, &(p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {6}, {1}, false, false});
    put(&p, "q\0", 2);
    for (int i = 0; i < 50000; i++) {
        const uint8_t entry[] = {'U',
                                 3,
                                 (uint8_t)('0' + i % 64),
                                 (uint8_t)('0' + i / 64 % 64),
                                 (uint8_t)('0' + i / 4096),
                                 'h',
                                 0};
        put(&p, entry, sizeof entry);
    }
    put_text(&p, "u.");
    expect(&p, RML_OK, "");

    // a dictionary inside itself
    put_text(&p, "\x80\x02}q");
    put_number(&p, 0, 1);
    p_text(&p, "w");
    p_tensor(&p, &(p_tensor_spec){"FloatStorage", "0", 6, 0, 1, {6}, {1}, false, false});
    put_text(&p, "s");
    p_text(&p, "self");
    put(&p, "h\0s.", 4);
    expect(&p, RML_OK, "");

    // one long list given to many dictionaries
    put_text(&p, "\x80\x02](");
    for (int i = 0; i < 4000; i++)
        put_text(&p, "NN\x86");
    put_text(&p, "eq");
    put_number(&p, 0, 1);
    put_text(&p, "0c"
                 "collections\nOrderedDict\nq\x01"
                 "0");
    for (int i = 0; i < 4000; i++) {
        put(&p, "h\x01h", 3);
        put_number(&p, 0, 1);
        put_text(&p, "\x85R0");
    }
    put_text(&p, "}.");
    expect(&p, RML_ERR_LIMIT, "items");
}

static const char pt2_config[] =
    "{\"config\": {\"a.b\": {\"path_name\": \"w0\", \"is_param\": true, \"use_pickle\": false, "
    "\"tensor_meta\": {\"dtype\": 7, \"sizes\": [{\"as_int\": 3}, {\"as_int\": 2}], \"layout\": 7, "
    "\"strides\": [{\"as_int\": 1}, {\"as_int\": 3}], \"storage_offset\": {\"as_int\": 0}}}, "
    "\"c\": {\"path_name\": \"w1\", \"tensor_meta\": {\"dtype\": 10, \"sizes\": [], \"strides\": "
    "[], \"storage_offset\": {\"as_expr\": \"s0\"}, \"layout\": 7}}}}";

// An exported program with this table of its weights.
static blob pt2_of(const blob *config)
{
    zip_writer z = {.entries = 0};
    zip_add(&z, "net/data/weights/w0", files_a, sizeof files_a);
    zip_add(&z, "net/data/weights/model_weights_config.json", config->data, config->size);
    return zip_finish(&z);
}

static blob make_pt2_config(void)
{
    blob config = {NULL, 0, 0};
    put_text(&config, pt2_config);
    return config;
}

static blob make_pt2(void)
{
    blob config = make_pt2_config();
    blob file = pt2_of(&config);
    blob_free(&config);
    return file;
}

static void test_pt2(void)
{
    rml_weights *w = NULL;
    blob file = make_pt2();
    CHECK_MSG(rml_weights_open_memory(&w, file.data, file.size, NULL, &error) == RML_OK, "%s",
              error.message);
    CHECK(w && rml_weights_count(w) == 2 && rml_weights_read_f32(w, 0, copy, 6, &error) == RML_OK);
    CHECK(copy[0] == 0.0f && copy[1] == 3.0f && copy[2] == 1.0f && copy[5] == 5.0f);
    CHECK(w && rml_weights_at(w, 1).unreadable);
    CHECK(w && strcmp(rml_weights_at(w, 1).type, "complex64") == 0);
    rml_weights_close(&w);
    blob_free(&file);
}

static blob make_odd(void)
{
    blob pickle = {NULL, 0, 0};
    p_odd(&pickle);
    blob file = zip_of(&pickle);
    blob_free(&pickle);
    return file;
}

static void test_odd(void)
{
    static const char *const names[] = {"weight", "kept"};
    static const struct {
        const char *name, *type;
    } beside[] = {{"model.passing", "f32"}, {"list.0", "f32"},   {"list.1", "complex64"},
                  {"list.3.slot", "f16"},   {"list.3.0", "f16"}, {"7", "sparse_coo:f32"},
                  {"array", "u16"}};
    rml_weights *w = NULL;
    blob file = make_odd();
    CHECK_MSG(rml_weights_open_memory(&w, file.data, file.size, NULL, &error) == RML_OK, "%s",
              error.message);
    CHECK(w && rml_weights_count(w) == 2 && rml_weights_beside_count(w) == 7);
    for (size_t i = 0; w && i < rml_weights_count(w); i++)
        CHECK(i < 2 && strcmp(rml_weights_at(w, i).name, names[i]) == 0);
    for (size_t i = 0; w && i < rml_weights_beside_count(w); i++) {
        const rml_weight_info info = rml_weights_beside_at(w, i);
        CHECK_MSG(i < 7 && strcmp(info.name, beside[i].name) == 0 &&
                      strcmp(info.type, beside[i].type) == 0,
                  "%s %s", info.type, info.name);
    }
    CHECK(w && rml_weights_beside_at(w, 1).same_as == 1);
    rml_weights_close(&w);
    blob_free(&file);
}

static void test_zip_tables(void)
{
    blob file = make_torch_zip(false);
    zip_writer z = {.entries = 0};
    zip_add(&z, "net/data.pkl", "x", 1);
    zip_add(&z, "net/data.pkl", "y", 1);
    blob twice = zip_finish(&z);
    CHECK(open_bytes(twice.data, twice.size, NULL) == RML_ERR_FORMAT);
    CHECK_MSG(strstr(error.message, "two entries are named \"net/data.pkl\""), "%s", error.message);
    blob_free(&twice);
    // the table's place, size and count, in turn far too large
    for (size_t at = file.size - 14; at < file.size - 2; at += 2) {
        blob bad = {NULL, 0, 0};
        put(&bad, file.data, file.size);
        memset(bad.data + at, 0xF0, 2);
        CHECK(open_bytes(bad.data, bad.size, NULL) != RML_OK || at < file.size - 12);
        blob_free(&bad);
    }
    blob_free(&file);
}

int main(void)
{
    test_tensors();
    test_pickles();
    test_bombs();
    test_zip_tables();
    test_odd();
    test_pt2();
    truncate_everywhere("pt2", make_pt2());
    fail_every_allocation("pt2", make_pt2());
    mutate_often("table of pt2", make_pt2_config(), pt2_of);
    truncate_everywhere("odd", make_odd());
    fail_every_allocation("odd", make_odd());
    truncate_everywhere("zip", make_torch_zip(false));
    truncate_everywhere("zip64", make_torch_zip(true));
    truncate_everywhere("legacy", make_torch_legacy());
    truncate_everywhere("safetensors", make_safetensors());
    fail_every_allocation("zip", make_torch_zip(false));
    fail_every_allocation("legacy", make_torch_legacy());
    fail_every_allocation("safetensors", make_safetensors());
    mutate_often("zip", make_torch_zip(false), same);
    mutate_often("zip64", make_torch_zip(true), same);
    mutate_often("legacy", make_torch_legacy(), same);
    mutate_often("safetensors", make_safetensors(), same);
    mutate_parts();
    return check_result();
}
