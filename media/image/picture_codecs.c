#include "media/image/picture_codecs.h"

static const rml_picture_codec *const codecs[] = {
#ifdef RML_WITH_PNG
    &rml_png_codec,
#elif defined(RML_WITH_STB)
    &rml_stb_png_codec,
#endif
#ifdef RML_WITH_JPEG
    &rml_jpeg_codec,
#elif defined(RML_WITH_STB)
    &rml_stb_jpeg_codec,
#endif
#ifdef RML_WITH_TIFF
    &rml_tiff_codec,
#endif
#ifdef RML_WITH_WEBP
    &rml_webp_codec,
#endif
    &rml_bmp_codec,  &rml_pnm_codec, &rml_tga_codec,
};

const rml_picture_codec *rml_picture_codec_of(rml_image_kind kind)
{
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (codecs[i]->kind == kind)
            return codecs[i];
    return NULL;
}
