#include "media/video/digest.h"

#include "tensor/mapfile.h"
#include "tensor/status.h"

#include <libavutil/mem.h>
#include <libavutil/sha.h>

#include <stdio.h>

enum { BITS = 256, BYTES = BITS / 8 };

rml_status rml_file_sha256(char text[RML_SHA256_TEXT], const char *path, rml_error *err)
{
    uint8_t digest[BYTES];
    rml_mapfile file;
    RML_TRY(rml_mapfile_open(&file, path, err));
    struct AVSHA *sha = av_sha_alloc();
    if (sha) {
        (void)av_sha_init(sha, BITS);
        av_sha_update(sha, file.data, file.size);
        av_sha_final(sha, digest);
    }
    rml_mapfile_close(&file);
    if (!sha)
        return rml_fail_nomem(err, BYTES, "a digest");
    av_free(sha);
    for (int i = 0; i < BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    return RML_OK;
}
