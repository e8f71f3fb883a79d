// run-model info of a video: what its XMP says of how it was made.
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/report.h"

#include "pipelines/made.h"

#include <string.h>

// Takes the text between <name> and </name> out of *rest, which goes on behind it; NULL where there
// is none. The text is changed in place: it ends there, and its entities are characters.
static char *take(char **rest, const char *name)
{
    char open[80], close[80];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    char *text = strstr(*rest, open);
    char *end = text ? strstr(text, close) : NULL;
    if (!end)
        return NULL;
    text += strlen(open);
    *end = '\0';
    *rest = end + strlen(close);
    return text;
}

static void plain(char *text)
{
    static const struct {
        const char *entity;
        char character;
    } known[] = {{"&#38;", '&'}, {"&#60;", '<'}, {"&#62;", '>'},  {"&amp;", '&'},
                 {"&lt;", '<'},  {"&gt;", '>'},  {"&quot;", '"'}, {"&apos;", '\''}};
    char *to = text;
    while (*text) {
        size_t i = 0, length = 1;
        *to = (unsigned char)*text < ' ' || *text == 0x7F ? '?' : *text;
        while (i < sizeof known / sizeof *known &&
               strncmp(text, known[i].entity, strlen(known[i].entity)) != 0)
            i++;
        if (i < sizeof known / sizeof *known) {
            *to = known[i].character;
            length = strlen(known[i].entity);
        }
        to++;
        text += length;
    }
    *to = '\0';
}

// A list in *rest, an entry a line, or as a JSON array.
static void print_list(char **rest, const char *name, const char *what, bool json)
{
    char *list = take(rest, name), *entry;
    if (json)
        printf(",\"%s\":[", what);
    for (bool first = true; list && (entry = take(&list, "rdf:li")); first = false) {
        plain(entry);
        if (json)
            json_field(first ? "" : ",", entry);
        else
            printf("%s: %s\n", what, entry);
    }
    if (json)
        printf("]");
}

static void print_field(char **rest, const char *name, const char *what, bool json)
{
    char *text = take(rest, name);
    if (!text)
        return;
    plain(text);
    if (json) {
        printf(",\"%s\":", what);
        json_text(text);
    } else {
        printf("%s: %s\n", what, text);
    }
}

rml_status info_video(const char *path, bool json, bool *is_video, rml_error *err)
{
    char *packet;
    const char *format;
    TRY(rml_made_read(&packet, &format, path, err));
    *is_video = format != NULL;
    if (!format)
        return RML_OK;
    if (json) {
        json_field("{\"file\":", path);
        json_field(",\"format\":", format);
        printf(",\"xmp\":%s", packet ? "true" : "false");
    } else {
        printf("%s: %s, %s\n", path, format,
               packet ? "which says of itself:" : "which does not say how it was made");
    }
    if (packet) {
        char *rest = packet;
        print_field(&rest, "Iptc4xmpExt:DigitalSourceType",
                    json ? "digital_source_type" : "digital source type", json);
        print_field(&rest, "xmp:CreatorTool", "program", json);
        print_field(&rest, "runmodel:Command", "command", json);
        print_list(&rest, "runmodel:Settings", json ? "settings" : "setting", json);
        print_list(&rest, "runmodel:Weights", "weights", json);
    }
    if (json)
        printf("}\n");
    rml_made_free(packet);
    return RML_OK;
}
