// run-model ffdnet: takes noise out of images.
#include "tools/commands.h"
#include "tools/find_weights.h"
#include "tools/options.h"
#include "tools/report.h"

#include "pipelines/denoise/denoise_list.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "ffdnet"
#define MEMORY_MB 1024

// A network that is opened when the first picture asks for it.
typedef struct denoiser {
    network network; // its weights alone
    rml_denoiser *denoiser;
} denoiser;

typedef struct settings {
    common_options common;
    const char *in, *out, *sigma, *reference;
    double memory_mb;
    bool truncate, overwrite;
    bool noted;            // where results lie
    denoiser colour, gray; // with weights that are named, `colour` serves for all
    rml_picture map;
    rml_denoise_list list;
    size_t failed;
} settings;

// ---- networks ---------------------------------------------------------------------------------

static rml_status denoiser_open(denoiser *n, const settings *s, rml_error *err)
{
    rml_denoiser_settings wanted = {.session = session_settings(&s->common),
                                    .truncate = s->truncate};
    wanted.session.memory_limit = (size_t)(s->memory_mb * 1e6);
    TRY(weights_source_open(&n->network.weights, &n->network.source, s->common.quiet, err));
    return rml_denoiser_create(&n->denoiser, n->network.weights, &wanted, err);
}

static void denoiser_close(denoiser *n)
{
    rml_denoiser_destroy(&n->denoiser);
    network_close(&n->network);
}

static rml_denoiser *pick(void *user, int colours, rml_error *err)
{
    settings *s = user;
    const bool gray = s->gray.network.source.path, colour = s->colour.network.source.path;
    denoiser *n = (colours == 1 && gray) || !colour ? &s->gray : &s->colour;
    if (!n->denoiser && denoiser_open(n, s, err) != RML_OK)
        return NULL;
    return n->denoiser;
}

// ---- results ----------------------------------------------------------------------------------

static const char *kind_name(int channels)
{
    static const char *const names[] = {"", "gray", "gray and alpha", "RGB", "RGB and alpha"};
    return names[channels];
}

static void print_json(const rml_denoise_result *r)
{
    json_field("{\"input\":", r->file->in);
    if (r->status != RML_OK) {
        json_field(",\"error\":", r->error.message);
        printf("}\n");
        return;
    }
    json_field(",\"file\":", r->file->out);
    printf(",\"width\":%d,\"height\":%d,\"channels\":%d,\"bits\":%d,\"sigma\":%.4f,\"tiles\":%d,"
           "\"seconds\":%.4f",
           r->width, r->height, r->channels, r->bits, r->sigma * 255, r->bands, r->seconds);
    if (r->compared) {
        printf(isfinite(r->quality.psnr) ? ",\"psnr\":%.4f" : ",\"psnr\":null", r->quality.psnr);
        printf(isfinite(r->quality.ssim) ? ",\"ssim\":%.6f" : ",\"ssim\":null", r->quality.ssim);
    }
    if (r->remark[0])
        json_field(",\"remark\":", r->remark);
    printf("}\n");
}

// What of a folder is left out.
static void tell(void *user, const rml_error *why, bool failed)
{
    settings *s = user;
    s->failed += failed;
    if (failed)
        failure(COMMAND, why);
    else if (!s->common.quiet)
        fprintf(stderr, "%s\n", why->message);
}

static void done(void *user, const rml_denoise_result *r)
{
    settings *s = user;
    s->failed += r->status != RML_OK;
    if (r->status != RML_OK)
        failure(COMMAND, &r->error);
    else if (r->remark[0] && !s->common.quiet)
        fprintf(stderr, "%s: %s\n", r->file->in, r->remark);
    if (r->status == RML_OK && !s->noted) {
        rml_denoise_list_note(&s->list);
        s->noted = true;
    }
    if (s->common.json)
        print_json(r);
    else if (r->status == RML_OK && !s->common.quiet) {
        printf("%s: %dx%d %s, %d bits, sigma %.2f, %.2f s", r->file->out, r->width, r->height,
               kind_name(r->channels), r->bits, r->sigma * 255, r->seconds);
        if (r->bands > 1)
            printf(" in %d bands", r->bands);
        if (r->compared)
            printf(", PSNR %.2f dB, SSIM %.4f", r->quality.psnr, r->quality.ssim);
        printf("\n");
    }
    fflush(stdout);
}

// ---- the command ------------------------------------------------------------------------------

// False when the text is no number, and so names a map.
static bool parse_number(const char *text, double *value)
{
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end;
}

static rml_status run(settings *s, rml_error *err)
{
    rml_denoise_job job = {.pick = pick, .done = done, .user = s};
    job.allocator = rml_allocator_default();
    job.estimate = !s->sigma || strcmp(s->sigma, "auto") == 0;
    if (!job.estimate && parse_number(s->sigma, &job.noise.sigma)) {
        job.noise.sigma /= job.noise.sigma > 1 ? 255 : 1;
    } else if (!job.estimate) {
        TRY(rml_picture_load(&s->map, s->sigma, job.allocator, err));
        job.noise.map = &s->map;
    }
    const rml_denoise_wish wish = {s->in, s->out, s->reference, s->overwrite, tell, s};
    TRY(rml_denoise_list_make(&s->list, &wish, job.allocator, err));
    job.files = s->list.files;
    job.count = s->list.count;
    TRY(rml_denoise_files(&job, err));
    for (int i = 0; i < 2 && s->common.profile; i++) {
        const denoiser *n = i ? &s->gray : &s->colour;
        if (n->denoiser)
            print_profile(stderr, rml_denoiser_session(n->denoiser));
    }
    if (s->list.there_already && !s->common.quiet)
        fprintf(stderr, "%zu of %zu images were there already (--overwrite makes them again)\n",
                s->list.there_already, s->list.there_already + s->list.count);
    return RML_OK;
}

int cmd_ffdnet(int argc, char **argv)
{
    settings s = {.memory_mb = MEMORY_MB};
    const char *weights = NULL;
    const option options[] = {
        {"output", 'o', OPTION_TEXT, &s.out, "FILE|FOLDER", 0, 0,
         "the result: .png, .jpg, .tif, .webp or .bmp\n(IN_denoised.png); of a folder a folder"},
        {"sigma", 's', OPTION_TEXT, &s.sigma, "S|auto|MAP.png", 0, 0,
         "standard deviation of the noise, in [0,1], or in 0..255\nwhen above 1; auto (without "
         "--sigma too): estimated from\neach image; or a gray image with the level of each pixel"},
        {"weights", 'w', OPTION_TEXT, &weights, "FILE|FOLDER", 0, 0,
         "FFDNet weights (.pth, .safetensors, .onnx, .mlmodel,\n.mlpackage); without: those that "
         "are "
         "found, for colour and\nfor gray images"},
        {"reference", 0, OPTION_TEXT, &s.reference, "FILE|FOLDER", 0, 0,
         "the clean image, to tell PSNR and SSIM of the result"},
        {"mem_limit", 0, OPTION_NUMBER, &s.memory_mb, "MB", 0, 1e9,
         "most memory for activations; larger images are computed\nin bands of rows, with the same "
         "bits "
         "(1024; 0: whole)"},
        {"compat_truncate", 0, OPTION_FLAG, &s.truncate, NULL, 0, 0,
         "cut results down to whole levels as IPOL's script does;\nwithout: round"},
        {"overwrite", 0, OPTION_FLAG, &s.overwrite, NULL, 0, 0,
         "of a folder, make again what is there already"},
    };
    command_line line = {
        .command = COMMAND,
        .usage = "IN [-o OUT] [--sigma S] [options]",
        .summary =
            "Takes noise out of an image, or of every image in a folder (FFDNet). PNG, JPEG, "
            "TIFF,\n"
            "WebP, BMP, TGA and PNM are read. Size, depth, gray, alpha, colour profile and EXIF\n"
            "stay as they are.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional = &s.in,
        .positional_max = 1,
        .common = &s.common,
    };
    int code = options_parse(&line, argc, argv);
    if (code != EXIT_DONE || s.common.help)
        return code;
    if (!s.in)
        return usage_error(COMMAND, "no image or folder is named");
    double level;
    if (s.sigma && parse_number(s.sigma, &level) && !(level >= 0 && level <= 255))
        return usage_error(COMMAND, "--sigma is from 0 to 255, not %s", s.sigma);
    const bool gray = !weights && weights_choose(&s.gray.network.source, "ffdnet_gray", NULL);
    if (!weights_choose(&s.colour.network.source, "ffdnet", weights) && !gray)
        return weights_missing(COMMAND, "ffdnet", "weights");
    rml_error err;
    const rml_status status = run(&s, &err);
    denoiser_close(&s.colour);
    denoiser_close(&s.gray);
    rml_picture_release(&s.map);
    rml_denoise_list_release(&s.list);
    return exit_code(COMMAND, status, &err, s.failed);
}
