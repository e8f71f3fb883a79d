#include "tools/media/face_options.h"

#include "pipelines/faces/face_places.h"

#include <string.h>
#include <sys/stat.h>

#define DETECTOR "detector"

void face_options_list(face_options *faces, int box[4], const char **faces_path,
                       option rows[FACE_OPTION_COUNT])
{
    const option all[FACE_OPTION_COUNT] = {
        {"s3fd", 0, OPTION_TEXT, &faces->s3fd, "FILE", 0, 0,
         "S3FD weights, to find the face; without: a light detector\nthat is found, else S3FD "
         "weights that are"},
        {"detector", 0, OPTION_TEXT, &faces->named, "FILE.onnx", 0, 0,
         "instead of S3FD a light face detector, far faster: YuNet,\nor Ultra-Light-Fast-Generic"},
        {"detect_every", 0, OPTION_INT, &faces->every, "N", 1, 1 << 20,
         "search the whole picture in each N-th frame, and in between\naround the last faces only "
         "(1)"},
        {"which", 0, OPTION_TEXT, &faces->which, "FACE", 0, 0,
         "of several faces the largest, left or right one, that of a\nnumber (--faces tells them), "
         "or at:X,Y[@SECONDS]"},
        {"box", 0, OPTION_FOUR, box, "T B L R", 0, 0,
         "where the face is, in all frames: top bottom left right"},
        {"faces", 0, OPTION_TEXT, faces_path, "FILE.json", 0, 0,
         "faces found, with their numbers: read from there if it\nexists, else written"},
    };
    faces->every = 1;
    memcpy(rows, all, sizeof all);
}

static bool exists(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0;
}

// The one that is named, else a light one that lies where weights do, else S3FD.
static bool choose_detector(face_options *faces, bool heavy)
{
    weights_source *source = &faces->detector.source;
    if (faces->named || (!faces->s3fd && !heavy))
        if (weights_choose(source, DETECTOR, faces->named))
            return true;
    return weights_choose(source, "s3fd", faces->s3fd);
}

int face_options_check(face_options *faces, const char *command, const int box[4],
                       const char *faces_path, bool heavy, rml_face_choice *which)
{
    const bool has_box = box[0] != RML_NO_BOX;
    if (has_box && faces_path)
        return usage_error(command, "--box and --faces both say where the face is: give one");
    if (has_box && faces->which)
        return usage_error(command, "--box and --which both say which face: give one");
    if (faces->which && !rml_face_choice_parse(faces->which, which))
        return usage_error(command,
                           "--which is largest, left, right, a number from 1 on, or "
                           "at:X,Y[@SECONDS], not '%s'",
                           faces->which);
    if (faces->s3fd && faces->named)
        return usage_error(command, "--s3fd and --detector both find the face: give one");
    if (!has_box && !choose_detector(faces, heavy) && !exists(faces_path))
        return usage_error(command, "where is the face? Give --s3fd FILE (weights of the S3FD face "
                                    "detector), --detector FILE.onnx (a light one) or --box TOP "
                                    "BOTTOM LEFT RIGHT");
    return EXIT_DONE;
}

rml_status face_options_open(face_options *faces, const rml_session_settings *session, bool quiet,
                             rml_face_finder **finder, rml_error *err)
{
    const weights_source *source = &faces->detector.source;
    const bool s3fd = strcmp(source->what, DETECTOR) != 0;
    const rml_face_finder_settings wanted = {.session = *session, .every = faces->every};
    TRY(network_open(&faces->detector, s3fd ? source->what : NULL, NULL, quiet, err));
    return named(rml_face_finder_create(finder, faces->detector.model, &wanted, err), err,
                 source->path);
}
