// Files beside the model that hold the data of its tensors.
#include "loaders/formats/beside.h"
#include "loaders/onnx/reader.h"

static rml_status map_file(rml_onnx_reader *reader, const rml_text *location, size_t *place)
{
    rml_onnx *file = reader->file;
    size_t now = 0;
    if (!file->path)
        return rml_fail(reader->fields.err, RML_ERR_UNSUPPORTED,
                        "they lie in another file, and this model is read from memory");
    if (file->external_count >= RML_ONNX_MAX_EXTERNAL_FILES)
        return rml_fail(reader->fields.err, RML_ERR_LIMIT, "more than %d files of external data",
                        RML_ONNX_MAX_EXTERNAL_FILES);
    rml_mapfile *grown = rml_grow(file->allocator, file->external_file, &file->external_capacity,
                                  file->external_count + 1, sizeof *grown);
    if (!grown)
        return rml_fail_nomem(reader->fields.err, sizeof *grown, "a list of files");
    file->external_file = grown;
    *place = file->external_count;
    RML_TRY(rml_beside_map(file->path, location->text, location->bytes, &grown[*place],
                           reader->fields.err));
    file->external_count++;
    return rml_names_add(&file->external, location->text, location->bytes, *place, &now,
                         reader->fields.err);
}

rml_status rml_onnx_external(rml_onnx_reader *reader, const rml_text *location, uint64_t offset,
                             const uint8_t **data, size_t *available)
{
    const rml_onnx *file = reader->file;
    size_t place = 0;
    if (!rml_names_find(&file->external, location->text, location->bytes, &place))
        RML_TRY(map_file(reader, location, &place));
    const rml_mapfile *mapped = &file->external_file[place];
    const size_t begin = offset < mapped->size ? (size_t)offset : mapped->size;
    *data = begin < mapped->size ? mapped->data + begin : NULL;
    *available = mapped->size - begin;
    return RML_OK;
}
