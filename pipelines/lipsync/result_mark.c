#include "pipelines/lipsync/result_mark.h"

#include "media/files/files.h"
#include "media/video/digest.h"
#include "pipelines/ring.h"
#include "tensor/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PACKET_BYTES = 1 << 18 };

typedef struct text {
    char *data;    // of PACKET_BYTES
    size_t length; // PACKET_BYTES: it did not fit
} text;

struct rml_result_mark {
    const rml_allocator *allocator;
    const rml_mark_facts *facts;
    rml_stage *stage;
    rml_status status;
    rml_error err;
    text packet, manifest;
    int files; // that have been named
};

static void put(text *to, const char *format, ...)
{
    const size_t left = PACKET_BYTES - to->length;
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(left ? to->data + to->length : NULL, left, format, arguments);
    va_end(arguments);
    to->length = wanted >= 0 && (size_t)wanted < left ? to->length + (size_t)wanted : PACKET_BYTES;
}

// Text of XML: what has a meaning there, and what is no character of it, is replaced.
static void put_xml(text *to, const char *from)
{
    for (; *from; from++) {
        const unsigned char c = (unsigned char)*from;
        if (c == '&' || c == '<' || c == '>')
            put(to, "&#%d;", c);
        else
            put(to, "%c", c < 0x20 || c == 0x7F ? '?' : c);
    }
}

// The same of JSON, in its quotes.
static void put_json(text *to, const char *from)
{
    put(to, "\"");
    for (; *from; from++) {
        const unsigned char c = (unsigned char)*from;
        put(to, c == '"' || c == '\\' ? "\\%c" : "%c", c < 0x20 || c == 0x7F ? '?' : c);
    }
    put(to, "\"");
}

static rml_status put_file(rml_result_mark *m, const char *name, const char *path, rml_error *err)
{
    char digest[RML_SHA256_TEXT];
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    RML_TRY(rml_file_sha256(digest, path, err));
    put(&m->packet, "<rdf:li>");
    put_xml(&m->packet, name);
    put(&m->packet, " ");
    put_xml(&m->packet, file);
    put(&m->packet, " sha256:%s</rdf:li>\n", digest);
    put(&m->manifest, "%s{\"name\":", m->files++ ? "," : "");
    put_json(&m->manifest, name);
    put(&m->manifest, ",\"file\":");
    put_json(&m->manifest, file);
    put(&m->manifest, ",\"sha256\":\"%s\"}", digest);
    return RML_OK;
}

static bool holds_weights(const char *path)
{
    static const char *const endings[] = {".safetensors", ".bin",  ".pth",    ".pt",
                                          ".ckpt",        ".onnx", ".mlmodel"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static rml_status put_weights(rml_result_mark *m, const char *name, const char *path,
                              rml_error *err)
{
    if (!rml_is_folder(path))
        return put_file(m, name, path, err);
    rml_file_list list = {0};
    const rml_folder_rules rules = {0};
    rml_status status = rml_folder_list(&list, path, &rules, m->allocator, err);
    for (size_t i = 0; status == RML_OK && i < list.count; i++) {
        if (!holds_weights(list.paths[i]))
            continue;
        char *file = rml_path_join(&list.arena, path, list.paths[i]);
        status = file ? put_file(m, name, file, err)
                      : rml_fail_nomem(err, strlen(list.paths[i]), "a file name");
    }
    rml_file_list_release(&list);
    return status;
}

// https://cv.iptc.org/newscodes/digitalsourcetype/: a picture that was taken, of which a trained
// network made a part.
#define SOURCE_TYPE                                                                                \
    "http://cv.iptc.org/newscodes/digitalsourcetype/"                                              \
    "compositeWithTrainedAlgorithmicMedia"
#define AGENT "{\"name\":\"run-model\",\"version\":\"%s\"}"

static void begin_packet(rml_result_mark *m)
{
    const rml_mark_facts *f = m->facts;
    text *to = &m->packet;
    put(to, "%s",
        "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
        "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
        "<rdf:Description rdf:about=\"\"\n"
        " xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
        " xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n"
        " xmlns:runmodel=\"urn:run-model:made:1/\">\n"
        "<Iptc4xmpExt:DigitalSourceType>" SOURCE_TYPE "</Iptc4xmpExt:DigitalSourceType>\n");
    put(to, "<xmp:CreatorTool>run-model %s</xmp:CreatorTool>\n", rml_version());
    put(to, "<runmodel:Command>%s</runmodel:Command>\n<runmodel:Settings><rdf:Seq>\n", f->command);
    for (int i = 0; i < f->setting_count; i++) {
        put(to, "<rdf:li>%s ", f->settings[i].name);
        put_xml(to, f->settings[i].value);
        put(to, "</rdf:li>\n");
    }
    put(to, "</rdf:Seq></runmodel:Settings>\n<runmodel:Weights><rdf:Seq>\n");
}

static void begin_manifest(rml_result_mark *m)
{
    const rml_mark_facts *f = m->facts;
    text *to = &m->manifest;
    put(to, "{\"claim_generator_info\":[" AGENT "],\"assertions\":[", rml_version());
    put(to,
        "{\"label\":\"c2pa.actions\",\"data\":{\"actions\":[{\"action\":\"c2pa.created\","
        "\"digitalSourceType\":\"" SOURCE_TYPE "\",\"softwareAgent\":" AGENT "},"
        "{\"action\":\"c2pa.edited\",\"digitalSourceType\":\"" SOURCE_TYPE "\","
        "\"softwareAgent\":" AGENT
        ",\"description\":\"a network made the mouth, which follows a voice\"}]}},",
        rml_version(), rml_version());
    put(to, "{\"label\":\"run-model.made\",\"data\":{\"command\":\"%s\",\"settings\":{",
        f->command);
    for (int i = 0; i < f->setting_count; i++) {
        put(to, "%s\"%s\":", i ? "," : "", f->settings[i].name);
        put_json(to, f->settings[i].value);
    }
    put(to, "},\"weights\":[");
}

// There is no date in them: the same command writes the same bytes.
static rml_status put_all(rml_result_mark *m, rml_error *err)
{
    const rml_mark_facts *f = m->facts;
    begin_packet(m);
    begin_manifest(m);
    for (int i = 0; i < f->weights_count; i++)
        RML_TRY(put_weights(m, f->weights[i].name, f->weights[i].path, err));
    put(&m->packet, "</rdf:Seq></runmodel:Weights>\n</rdf:Description>\n</rdf:RDF>\n"
                    "</x:xmpmeta>\n<?xpacket end=\"r\"?>");
    put(&m->manifest, "]}}]}");
    return m->packet.length < PACKET_BYTES && m->manifest.length < PACKET_BYTES
               ? RML_OK
               : rml_fail(err, RML_ERR_LIMIT,
                          "%s: more files of weights than can be named in the result (--no-mark)",
                          f->weights[0].path);
}

static void make_packet(void *user)
{
    rml_result_mark *m = user;
    m->status = put_all(m, &m->err);
}

rml_status rml_result_mark_start(rml_result_mark **out, const rml_mark_facts *facts,
                                 const rml_allocator *allocator, rml_error *err)
{
    rml_result_mark *m;
    *out = NULL;
    RML_TRY(rml_make(allocator, &m, 1, sizeof *m, "what the result says of itself", err));
    m->allocator = allocator;
    m->facts = facts;
    m->packet.data = rml_alloc_zero(allocator, PACKET_BYTES, 1);
    m->manifest.data = rml_alloc_zero(allocator, PACKET_BYTES, 1);
    rml_status status = m->packet.data && m->manifest.data
                            ? rml_stage_start(&m->stage, make_packet, m, allocator, err)
                            : rml_fail_nomem(err, PACKET_BYTES, "what the result says of itself");
    if (status == RML_ERR_UNSUPPORTED) { // a build without threads
        make_packet(m);
        status = RML_OK;
    }
    *out = m;
    if (status != RML_OK)
        rml_result_mark_end(out);
    return status;
}

static rml_status wait_for(rml_result_mark *m, const text *from, const char **out, rml_error *err)
{
    rml_stage_join(&m->stage);
    *out = from->data;
    return m->status == RML_OK ? RML_OK : rml_fail(err, m->status, "%s", m->err.message);
}

rml_status rml_result_mark_packet(void *mark, const char **packet, rml_error *err)
{
    rml_result_mark *m = mark;
    return wait_for(m, &m->packet, packet, err);
}

rml_status rml_result_mark_manifest(rml_result_mark *m, const char **manifest, rml_error *err)
{
    return wait_for(m, &m->manifest, manifest, err);
}

void rml_result_mark_end(rml_result_mark **mark)
{
    rml_result_mark *m = *mark;
    *mark = NULL;
    if (!m)
        return;
    rml_stage_join(&m->stage);
    rml_free(m->allocator, m->packet.data);
    rml_free(m->allocator, m->manifest.data);
    rml_free(m->allocator, m);
}
