// The zip table: where entries lie, zip64, comments, and tables that contradict themselves.
#include "tests/support/loader_files.h"

#include "loaders/formats/zip.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

static rml_error error;
static counting count;
static rml_allocator allocator;

static blob two_entries(bool zip64)
{
    zip_writer z = {.zip64 = zip64};
    zip_add(&z, "a/first", "hello", 5);
    zip_add(&z, "a/empty", "", 0);
    return zip_finish(&z);
}

static rml_status contents_of(const rml_zip *zip, const char *name, const uint8_t **data,
                              size_t *bytes)
{
    const rml_zip_entry *entry = rml_zip_find(zip, name, strlen(name));
    return entry ? rml_zip_contents(zip, entry, data, bytes, &error) : RML_ERR_ARG;
}

static void check_good(blob file)
{
    rml_zip zip;
    const uint8_t *data = NULL;
    size_t bytes = 99;
    rml_status status = rml_zip_open(&zip, file.data, file.size, &allocator, &error);
    CHECK_MSG(status == RML_OK, "%s", error.message);
    if (status == RML_OK) {
        CHECK(zip.count == 2);
        CHECK(contents_of(&zip, "a/first", &data, &bytes) == RML_OK && bytes == 5);
        CHECK(memcmp(data, "hello", 5) == 0);
        CHECK(contents_of(&zip, "a/empty", &data, &bytes) == RML_OK && bytes == 0);
        CHECK(!rml_zip_find(&zip, "a/firs", 6) && !rml_zip_find(&zip, "a/first", 6));
        rml_zip_release(&zip);
    }
    blob_free(&file);
}

// A comment after the end record; its text may even look like an end record.
static blob with_comment(const char *comment)
{
    size_t bytes = strlen(comment);
    blob file = two_entries(false);
    file.data[file.size - 2] = (uint8_t)bytes;
    put(&file, comment, bytes);
    return file;
}

// Opens and asks for "a/first" after the bytes at `at` (from the end when negative) are replaced.
static void check_changed(bool zip64, long at, uint64_t number, size_t bytes, const char *part)
{
    blob file = two_entries(zip64);
    size_t place = at < 0 ? file.size - (size_t)-at : (size_t)at;
    for (size_t i = 0; i < bytes; i++)
        file.data[place + i] = (uint8_t)(number >> (8 * i));
    rml_zip zip;
    const uint8_t *data = NULL;
    size_t size = 0;
    rml_status status = rml_zip_open(&zip, file.data, file.size, &allocator, &error);
    if (status == RML_OK) {
        status = contents_of(&zip, "a/first", &data, &size);
        rml_zip_release(&zip);
    }
    CHECK_MSG(status != RML_OK && strstr(error.message, part), "expected \"%s\", got %s", part,
              status == RML_OK ? "success" : error.message);
    blob_free(&file);
}

static void test_contradictions(void)
{
    const long end = -22, central = 30 + 7 + 5 + 5 + 30 + 7 + 5; // of the plain archive
    check_changed(false, end + 10, 3, 2, "3 entries do not fit a table");
    check_changed(false, end + 10, 9999, 2, "9999 entries do not fit");
    check_changed(false, end + 12, 0xFFFFFF, 4, "does not fit before byte");
    check_changed(false, end + 16, 0xFFFFFF, 4, "does not fit before byte");
    check_changed(false, end + 16, 0xFFFFFFFF, 4, "zip64 locator is missing");
    check_changed(false, end + 20, 1, 2, "cut short");
    check_changed(false, central, 0, 4, "entry 1 of 2 is not one");
    check_changed(false, central + 28, 0xFFFF, 2, "leaves the table");
    check_changed(false, central + 42, 0xFFFFFF, 4, "no header of \"a/first\"");
    check_changed(false, central + 42, 4, 4, "no header of \"a/first\"");
    check_changed(false, central + 20, 0xFFFFFF, 4, "leave a file of");
    check_changed(false, central + 10, 8, 2, "compressed zip archive: \"a/first\" uses method 8");
    check_changed(false, central + 8, 1, 2, "encrypted zip archive");
    check_changed(false, 26, 6, 2, "header and table disagree");
    check_changed(false, 30, 'x', 1, "header and table disagree");
    check_changed(true, end - 20 + 8, UINT64_MAX, 8, "no zip64 end record");
    check_changed(true, end - 20 - 56 + 32, UINT64_MAX, 8, "entries, the limit is 1048576");
    check_changed(true, end - 20 - 56 + 48, UINT64_MAX, 8, "does not fit before byte");
    check_changed(true, central + 46 + 7 + 2, 8, 2, "bad extra field of \"a/first\"");
    check_changed(true, central + 46 + 7 + 4, UINT64_MAX, 8, "leave a file of");
    check_changed(true, central + 46 + 7 + 20, UINT64_MAX, 8, "no header of \"a/first\"");
}

int main(void)
{
    allocator = counting_allocator(&count);
    check_good(two_entries(false));
    check_good(two_entries(true));
    check_good(with_comment("a note"));
    check_good(with_comment("PK\x05\x06 is how an end record begins"));
    test_contradictions();
    CHECK(count.live_bytes == 0);
    return check_result();
}
