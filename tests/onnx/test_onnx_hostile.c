// Damaged ONNX files: every truncation, random mutations, every allocation failing in turn, memory
// within its promise. What is refused and how it is told is tested by test_onnx_file.py.
// RML_TEST_MUTATIONS changes the number of mutations (default 10000).
#include "tests/support/onnx_files.h"

#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"
#include "tests/fuzz/fuzz_onnx.h"
#include "tests/support/mutations.h"

#include <time.h>

static rml_error error;

// Opens bytes in a block of exactly their size, so that a sanitizer sees any read past the end, and
// holds the reader to its promise about memory.
static rml_status open_bytes(const uint8_t *data, size_t size, size_t *peak)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    rml_onnx *file = NULL;
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        exit(1);
    if (size)
        memcpy(exact, data, size);
    error.message[0] = 0;
    rml_status status = rml_onnx_open_memory(&file, exact, size, &allocator, &error);
    CHECK((status == RML_OK) == (file != NULL));
    CHECK(status == RML_OK || (error.message[0] && error.status == status));
    CHECK_MSG(c.peak_bytes <= RML_ONNX_MIN_BYTES + RML_ONNX_BYTES_PER_BYTE * size,
              "%zu bytes of memory for a file of %zu", c.peak_bytes, size);
    if (file)
        fuzz_onnx_look(file);
    rml_onnx_close(&file);
    CHECK_MSG(c.live_bytes == 0, "%zu bytes leak", c.live_bytes);
    if (peak && c.peak_bytes > *peak)
        *peak = c.peak_bytes;
    free(exact);
    return status;
}

static void test_truncation(void)
{
    blob file = make_onnx();
    for (size_t size = 0; size < file.size; size++) {
        rml_status status = open_bytes(file.data, size, NULL);
        CHECK_MSG(status == RML_ERR_FORMAT, "cut to %zu of %zu bytes: %s, %s", size, file.size,
                  rml_status_name(status), error.message);
        if (size > 8)
            CHECK_MSG(strstr(error.message, "cut short") || strstr(error.message, "with 0 graphs"),
                      "cut to %zu of %zu bytes: %s", size, file.size, error.message);
    }
    CHECK_MSG(open_bytes(file.data, file.size, NULL) == RML_OK, "%s", error.message);
    blob_free(&file);
}

static void test_mutations(void)
{
    blob file = make_onnx();
    const long count = mutations_wanted();
    long opened = 0;
    size_t peak = 0;
    double slowest = 0;
    for (long i = 0; i < count; i++) {
        blob changed = same(&file);
        mutate(&changed);
        const clock_t start = clock();
        opened += open_bytes(changed.data, changed.size, &peak) == RML_OK;
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (seconds > slowest)
            slowest = seconds;
        blob_free(&changed);
    }
    printf("%ld mutations of %zu bytes, %ld open, at most %zu bytes of memory, %.1f ms\n", count,
           file.size, opened, peak, slowest * 1e3);
    CHECK_MSG(slowest < 2.0, "%.3f s", slowest);
    blob_free(&file);
}

static void test_allocations(void)
{
    counting c;
    const rml_allocator allocator = counting_allocator(&c);
    blob file = make_onnx();
    rml_status status = RML_ERR_NOMEM;
    size_t fail_at = 0;
    while (status == RML_ERR_NOMEM && fail_at < 10000) {
        rml_onnx *onnx = NULL;
        c.calls = 0;
        c.fail_at = ++fail_at;
        status = rml_onnx_open_memory(&onnx, file.data, file.size, &allocator, &error);
        CHECK((status == RML_OK) == (onnx != NULL));
        rml_onnx_close(&onnx);
        CHECK_MSG(c.live_bytes == 0, "%zu bytes leak when allocation %zu fails", c.live_bytes,
                  fail_at);
    }
    CHECK_MSG(status == RML_OK && fail_at > 5, "%s after %zu", error.message, fail_at);
    blob_free(&file);
}

// ---- what costs the most for its bytes --------------------------------------------------------

static blob with_graph(blob graph)
{
    blob file = {NULL, 0, 0};
    pb_int(&file, 1, 8);
    pb_message(&file, 7, graph);
    return file;
}

static void expect(blob file, rml_status status, const char *part)
{
    const clock_t start = clock();
    rml_status got = open_bytes(file.data, file.size, NULL);
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK_MSG(got == status && strstr(error.message, part), "expected \"%s\", got %s: %s", part,
              rml_status_name(got), error.message);
    CHECK_MSG(seconds < 5.0, "%.3f s for %zu bytes", seconds, file.size);
    blob_free(&file);
}

static void test_costs(void)
{
    blob graph = {NULL, 0, 0}, node = graph, attribute, part;
    for (int i = 0; i < 100000; i++) { // nodes that compute nothing
        const uint8_t bytes[] = {0x0A, 3, 0x22, 1, 'A'};
        put(&graph, bytes, sizeof bytes);
    }
    expect(with_graph(graph), RML_OK, "");

    graph = (blob){NULL, 0, 0};
    for (int i = 0; i < 100000; i++) { // values of short names
        const uint8_t bytes[] = {0x12, 3, (uint8_t)('0' + i % 64), (uint8_t)('0' + i / 64 % 64),
                                 (uint8_t)('0' + i / 4096)};
        put(&node, bytes, sizeof bytes);
    }
    pb_text(&node, 4, "A");
    pb_message(&graph, 1, node);
    expect(with_graph(graph), RML_OK, "");

    graph = node = (blob){NULL, 0, 0};
    attribute = onnx_attribute("a", 8); // empty texts
    for (int i = 0; i < 100000; i++)
        put(&attribute, "\x4A", 2);
    pb_text(&node, 4, "A");
    pb_message(&node, 5, attribute);
    pb_message(&graph, 1, node);
    expect(with_graph(graph), RML_OK, "");

    graph = node = (blob){NULL, 0, 0};
    attribute = onnx_attribute("a", 10); // empty graphs
    for (int i = 0; i < 100000; i++)
        put(&attribute, "\x5A", 2);
    pb_text(&node, 4, "A");
    pb_message(&node, 5, attribute);
    pb_message(&graph, 1, node);
    expect(with_graph(graph), RML_OK, "");

    graph = (blob){NULL, 0, 0}; // one byte for each element of eight
    part = (blob){NULL, 0, 0};
    for (int i = 0; i < 100000; i++)
        put(&part, "", 1);
    pb_message(&graph, 5, onnx_tensor("w", 7, 100000, 7, part.data, part.size));
    blob_free(&part);
    expect(with_graph(graph), RML_OK, "");

    for (int cycle = 0; cycle < 2; cycle++) { // a chain in the wrong order, and a ring
        graph = (blob){NULL, 0, 0};
        for (int i = 20000; i > 0; i--) {
            char in[16], out[16];
            snprintf(in, sizeof in, "v%d", i > 1 ? i - 1 : 20000);
            snprintf(out, sizeof out, "v%d", i);
            pb_message(&graph, 1, onnx_node("A", i > 1 || cycle ? in : NULL, NULL, out));
        }
        expect(with_graph(graph), cycle ? RML_ERR_FORMAT : RML_OK, cycle ? "has a cycle" : "");
    }

    graph = node = (blob){NULL, 0, 0};
    for (int i = 0; i < RML_ONNX_MAX_ATTRIBUTES + 1; i++)
        pb_message(&node, 5, onnx_attribute("a", 2));
    pb_text(&node, 4, "A");
    pb_message(&graph, 1, node);
    expect(with_graph(graph), RML_ERR_LIMIT, "129 attributes, the limit is 128");

    graph = (blob){NULL, 0, 0};
    part = onnx_tensor("w", 1, 1, 99, "", 0);
    pb_int(&part, 14, 1);
    blob entry = {NULL, 0, 0};
    pb_text(&entry, 1, "location");
    pb_text(&entry, 2, "w.bin");
    pb_message(&part, 13, entry);
    pb_message(&graph, 5, part);
    expect(with_graph(graph), RML_ERR_UNSUPPORTED,
           "external data of \"w\": they lie in another file, and this model is read from memory");
}

int main(void)
{
    test_truncation();
    test_mutations();
    test_allocations();
    test_costs();
    return check_result();
}
