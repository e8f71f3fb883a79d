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

struct rml_result_mark {
    const rml_allocator *allocator;
    const rml_mark_facts *facts;
    rml_stage *stage;
    rml_status status;
    rml_error err;
    char *packet;
    size_t length; // PACKET_BYTES: it did not fit
};

static void put(rml_result_mark *m, const char *format, ...)
{
    const size_t left = PACKET_BYTES - m->length;
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(left ? m->packet + m->length : NULL, left, format, arguments);
    va_end(arguments);
    m->length = wanted >= 0 && (size_t)wanted < left ? m->length + (size_t)wanted : PACKET_BYTES;
}

// Text of XML: what has a meaning there, and what is no character of it, is replaced.
static void put_text(rml_result_mark *m, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '&' || c == '<' || c == '>')
            put(m, "&#%d;", c);
        else
            put(m, "%c", c < 0x20 || c == 0x7F ? '?' : c);
    }
}

static rml_status put_file(rml_result_mark *m, const char *name, const char *path, rml_error *err)
{
    char digest[RML_SHA256_TEXT];
    const char *slash = strrchr(path, '/');
    RML_TRY(rml_file_sha256(digest, path, err));
    put(m, "<rdf:li>");
    put_text(m, name);
    put(m, " ");
    put_text(m, slash ? slash + 1 : path);
    put(m, " sha256:%s</rdf:li>\n", digest);
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
// network made a part. There is no date in it: the same command writes the same bytes.
static rml_status put_all(rml_result_mark *m, rml_error *err)
{
    const rml_mark_facts *f = m->facts;
    put(m, "%s",
        "<?xpacket begin=\"\xEF\xBB\xBF\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
        "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
        "<rdf:Description rdf:about=\"\"\n"
        " xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
        " xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n"
        " xmlns:runmodel=\"urn:run-model:made:1/\">\n"
        "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/"
        "compositeWithTrainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>\n");
    put(m, "<xmp:CreatorTool>run-model %s</xmp:CreatorTool>\n", rml_version());
    put(m, "<runmodel:Command>%s</runmodel:Command>\n<runmodel:Settings><rdf:Seq>\n", f->command);
    for (int i = 0; i < f->setting_count; i++) {
        put(m, "<rdf:li>%s ", f->settings[i].name);
        put_text(m, f->settings[i].value);
        put(m, "</rdf:li>\n");
    }
    put(m, "</rdf:Seq></runmodel:Settings>\n<runmodel:Weights><rdf:Seq>\n");
    for (int i = 0; i < f->weights_count; i++)
        RML_TRY(put_weights(m, f->weights[i].name, f->weights[i].path, err));
    put(m, "</rdf:Seq></runmodel:Weights>\n</rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n"
           "<?xpacket end=\"r\"?>");
    return m->length < PACKET_BYTES
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
    m->packet = rml_alloc_zero(allocator, PACKET_BYTES, 1);
    rml_status status = m->packet
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

rml_status rml_result_mark_packet(void *mark, const char **packet, rml_error *err)
{
    rml_result_mark *m = mark;
    rml_stage_join(&m->stage);
    *packet = m->packet;
    return m->status == RML_OK ? RML_OK : rml_fail(err, m->status, "%s", m->err.message);
}

void rml_result_mark_end(rml_result_mark **mark)
{
    rml_result_mark *m = *mark;
    *mark = NULL;
    if (!m)
        return;
    rml_stage_join(&m->stage);
    rml_free(m->allocator, m->packet);
    rml_free(m->allocator, m);
}
