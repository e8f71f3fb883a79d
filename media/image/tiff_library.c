#include "runmodel.h"

#ifdef RML_WITH_TIFF
#include "media/image/tiff_library.h"

#include <dlfcn.h>

#define SONAME RML_TIFF_SONAME // of the libtiff whose header was compiled with

rml_status rml_tiff_library_load(rml_tiff_library *out, rml_error *err)
{
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return rml_fail(err, RML_ERR_UNSUPPORTED,
                        "TIFF needs the library %s, which is not installed here", SONAME);
    static const char *const names[] = {
#define NAME(name) #name,
        RML_TIFF_FUNCTIONS(NAME)};
    void *functions[] = {
#define PLACE(name) &out->name,
        RML_TIFF_FUNCTIONS(PLACE)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!(*(void **)functions[i] = dlsym(library, names[i])))
            return rml_fail(err, RML_ERR_UNSUPPORTED, "TIFF needs a newer %s: it lacks %s", SONAME,
                            names[i]);
    return RML_OK;
}

#endif
