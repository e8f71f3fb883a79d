// Settings from a config.json: types, defaults, bounds, and the sentence for each thing that does
// not fit.
#define _DEFAULT_SOURCE
#include "loaders/weights/config.h"
#include "tests/support/check.h"
#include "tests/support/counting_allocator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

static const char text[] =
    "{\"_class_name\": \"AutoencoderKL\", \"layers_per_block\": 2, \"norm_eps\": 1e-05,"
    " \"block_out_channels\": [32, 64, 64], \"heads\": 8.0, \"nothing\": null, \"flag\": true,"
    " \"types\": [\"Down\", \"Up\", \"Down\"], \"nested\": {\"flag\": false, \"list\": [[1]]},"
    " \"lists\": [1, [2]], \"empty\": [], \"twice\": 1, \"twice\": 2, \"half\": 0.5,"
    " \"huge\": 1e300, \"mixed\": [1, \"a\"]}";

static const char *const names[] = {"Down", "Up", NULL};

static void begin(rml_config *config)
{
    rml_config_init(config, rml_allocator_default());
    rml_config_read(config, text);
    CHECK_MSG(config->error.status == RML_OK && config->given, "%s", config->error.message);
}

static void test_values(void)
{
    rml_config c;
    int64_t ints[4] = {0};
    int choices[4] = {9, 9, 9, 9};
    begin(&c);
    CHECK(rml_config_int(&c, "layers_per_block", 7, 1, 8) == 2);
    CHECK(rml_config_int(&c, "heads", 7, 1, 8) == 8);
    CHECK(rml_config_int(&c, "twice", 7, 1, 8) == 2); // the last one counts, as in Python
    CHECK(rml_config_int(&c, "missing", 7, 1, 8) == 7);
    CHECK(rml_config_int(&c, "nothing", 7, 1, 8) == 7);
    CHECK(rml_config_number(&c, "norm_eps", 1.0) == 1e-5);
    CHECK(rml_config_number(&c, "layers_per_block", 1.0) == 2.0);
    CHECK(rml_config_number(&c, "missing", 0.25) == 0.25);
    CHECK(rml_config_bool(&c, "flag", false) && rml_config_bool(&c, "missing", true));
    CHECK(rml_config_ints(&c, "block_out_channels", 1, 64, ints, 4) == 3);
    CHECK(ints[0] == 32 && ints[1] == 64 && ints[2] == 64);
    CHECK(rml_config_ints(&c, "heads", 1, 64, ints, 4) == 1 && ints[0] == 8);
    CHECK(rml_config_ints(&c, "empty", 1, 64, ints, 4) == 0);
    CHECK(rml_config_ints(&c, "missing", 1, 64, ints, 4) == 0);
    CHECK(rml_config_choices(&c, "types", names, choices, 4) == 3);
    CHECK(choices[0] == 0 && choices[1] == 1 && choices[2] == 0 && choices[3] == 9);
    CHECK(rml_config_choice(&c, "missing", names, 1) == 1);
    CHECK_MSG(c.error.status == RML_OK, "%s", c.error.message);
    rml_config_release(&c);
}

enum { AN_INT, A_NUMBER, A_BOOL, A_CHOICE, INTS, CHOICES };

static void test_misfits(void)
{
    static const struct {
        int kind;
        const char *key;
        rml_status status;
        const char *words;
    } cases[] = {
        {AN_INT, "flag", RML_ERR_FORMAT, "flag is not a whole number"},
        {AN_INT, "half", RML_ERR_FORMAT, "half is not a whole number"},
        {AN_INT, "huge", RML_ERR_FORMAT, "huge is not a whole number"},
        {AN_INT, "block_out_channels", RML_ERR_UNSUPPORTED, "is a list"},
        {AN_INT, "nested", RML_ERR_UNSUPPORTED, "nested is no plain value"},
        {AN_INT, "heads", RML_ERR_UNSUPPORTED, "heads is 8, and must be from 1 to 4"},
        {A_NUMBER, "flag", RML_ERR_FORMAT, "flag is not a number"},
        {A_BOOL, "heads", RML_ERR_FORMAT, "neither true nor false"},
        {A_CHOICE, "_class_name", RML_ERR_UNSUPPORTED,
         "config.json: _class_name \"AutoencoderKL\" is not supported; supported: Down, Up"},
        {A_CHOICE, "heads", RML_ERR_FORMAT, "heads is no text"},
        {INTS, "lists", RML_ERR_UNSUPPORTED, "lists is no plain value"},
        {INTS, "mixed", RML_ERR_FORMAT, "mixed is not a whole number"},
        {INTS, "types", RML_ERR_LIMIT, "types has 3 items, the limit is 2"},
        {CHOICES, "mixed", RML_ERR_FORMAT, "mixed is no text"},
    };
    int64_t ints[2];
    int choices[2];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rml_config c;
        begin(&c);
        switch (cases[i].kind) {
        case AN_INT:
            rml_config_int(&c, cases[i].key, 1, 1, 4);
            break;
        case A_NUMBER:
            CHECK(rml_config_number(&c, cases[i].key, 3.0) == 3.0);
            break;
        case A_BOOL:
            CHECK(rml_config_bool(&c, cases[i].key, true));
            break;
        case A_CHOICE:
            CHECK(rml_config_choice(&c, cases[i].key, names, 1) == 0);
            break;
        case INTS:
            CHECK(rml_config_ints(&c, cases[i].key, 1, 4, ints, 2) == 0);
            break;
        case CHOICES:
            CHECK(rml_config_choices(&c, cases[i].key, names, choices, 2) == 0);
            break;
        }
        CHECK_MSG(c.error.status == cases[i].status && strstr(c.error.message, cases[i].words),
                  "%s: \"%s\" is not in: %s", cases[i].key, cases[i].words, c.error.message);
        // the first error stays, and later calls give defaults
        CHECK(rml_config_int(&c, "layers_per_block", 5, 1, 8) == 5);
        CHECK(strstr(c.error.message, cases[i].words));
        rml_config_release(&c);
    }
}

static void expect_bad(const char *json, rml_status status, const char *words)
{
    rml_config c;
    rml_config_init(&c, rml_allocator_default());
    rml_config_read(&c, json);
    CHECK_MSG(c.error.status == status && !c.given && strstr(c.error.message, words), "%s",
              c.error.message);
    CHECK(rml_config_int(&c, "a", 3, 1, 8) == 3);
    rml_config_release(&c);
}

static void test_bad_files(void)
{
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        char part[sizeof text];
        snprintf(part, sizeof part, "%.*s", (int)cut, text);
        expect_bad(part, RML_ERR_FORMAT, "config.json: ");
    }
    expect_bad("{} x", RML_ERR_FORMAT, "byte 3");
    expect_bad("/nonexistent/config.json", RML_ERR_IO, "/nonexistent/config.json");
    char *many = malloc(RML_CONFIG_MAX_BYTES + 16);
    char *at = many + sprintf(many, "{\"a\":1");
    for (int i = 0; i < RML_CONFIG_MAX_KEYS; i++)
        at += sprintf(at, ",\"%d\":1", i);
    strcpy(at, "}");
    expect_bad(many, RML_ERR_LIMIT, "more than 1024 keys");
    memset(many, ' ', RML_CONFIG_MAX_BYTES + 8);
    many[0] = '{';
    strcpy(many + RML_CONFIG_MAX_BYTES + 8, "}");
    expect_bad(many, RML_ERR_LIMIT, "the limit is 1048576");
    free(many);
}

static void write_text(const char *path, const char *contents)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(contents, file) >= 0 && fclose(file) == 0);
}

static void test_places(void)
{
    char folder[] = "/tmp/rml_test_config_XXXXXX", path[128], beside[128];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/config.json", folder);
    snprintf(beside, sizeof beside, "%s/weights.bin", folder);
    rml_config c;
    rml_config_init(&c, rml_allocator_default());
    rml_config_read_beside(&c, folder); // there is none yet
    CHECK(!c.given && c.error.status == RML_OK && rml_config_int(&c, "a", 3, 1, 8) == 3);
    write_text(path, "{\"a\": 5}");
    const char *const sources[] = {path, folder, beside, folder};
    for (int i = 0; i < 4; i++) {
        rml_config_release(&c);
        rml_config_init(&c, rml_allocator_default());
        if (i < 2)
            rml_config_read(&c, sources[i]);
        else
            rml_config_read_beside(&c, sources[i]);
        CHECK_MSG(c.given && rml_config_int(&c, "a", 3, 1, 8) == 5, "%s", c.error.message);
    }
    rml_config_int(&c, "a", 3, 1, 4);
    CHECK(strstr(c.error.message, path));
    rml_config_release(&c);
    unlink(path);
    rmdir(folder);
}

// Every allocation fails in turn: an error, nothing leaked.
static void test_no_memory(void)
{
    for (size_t fail_at = 1;; fail_at++) {
        counting counts;
        const rml_allocator allocator = counting_allocator(&counts);
        counts.fail_at = fail_at;
        rml_config c;
        rml_config_init(&c, &allocator);
        rml_config_read(&c, text);
        const bool read = c.given;
        CHECK(c.error.status == (read ? RML_OK : RML_ERR_NOMEM));
        rml_config_release(&c);
        CHECK(counts.live_bytes == 0);
        if (read)
            break;
    }
}

int main(void)
{
    test_values();
    test_misfits();
    test_bad_files();
    test_places();
    test_no_memory();
    return check_result();
}
