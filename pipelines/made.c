#include "pipelines/made.h"

#include "media/files/xmp.h"
#include "tensor/status.h"

#include <string.h>
#include <strings.h>

bool rml_made_is_video(const char *path)
{
    static const char *const endings[] = {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

rml_status rml_made_read(char **packet, const char **format, const char *path, rml_error *err)
{
    rml_video_format is;
    *format = NULL;
    RML_TRY(rml_xmp_find(packet, &is, path, rml_allocator_default(), err));
    *format = is == RML_VIDEO_NONE ? NULL : rml_video_format_name(is);
    return RML_OK;
}

void rml_made_free(char *packet)
{
    rml_free(rml_allocator_default(), packet);
}
