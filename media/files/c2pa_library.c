#include "media/files/c2pa_library.h"

#include <dlfcn.h>

#define SONAME "libc2pa_c.so"

rml_status rml_c2pa_library_load(rml_c2pa_library *out, const char *path, rml_error *err)
{
    void *library = dlopen(path ? path : SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return path ? rml_fail(err, RML_ERR_UNSUPPORTED, "%s: is no library that can be loaded",
                               path)
                    : rml_fail(err, RML_ERR_UNSUPPORTED,
                               "C2PA needs the library %s, which is not installed here", SONAME);
    static const char *const names[] = {"c2pa_error",
                                        "c2pa_string_free",
                                        "c2pa_create_stream",
                                        "c2pa_release_stream",
                                        "c2pa_signer_from_info",
                                        "c2pa_signer_free",
                                        "c2pa_builder_from_json",
                                        "c2pa_builder_free",
                                        "c2pa_builder_sign",
                                        "c2pa_manifest_bytes_free"};
    void *functions[] = {&out->c2pa_error,
                         &out->c2pa_string_free,
                         &out->c2pa_create_stream,
                         &out->c2pa_release_stream,
                         &out->c2pa_signer_from_info,
                         &out->c2pa_signer_free,
                         &out->c2pa_builder_from_json,
                         &out->c2pa_builder_free,
                         &out->c2pa_builder_sign,
                         &out->c2pa_manifest_bytes_free};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(*(void **)functions[i] = dlsym(library, names[i])))
            return rml_fail(err, RML_ERR_UNSUPPORTED, "%s: is no C2PA library: it lacks %s",
                            path ? path : SONAME, names[i]);
    return RML_OK;
}
