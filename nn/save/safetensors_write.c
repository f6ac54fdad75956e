/* safetensors_write.c: see safetensors.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "safetensors.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format's data is little-endian");

static const char *dtype_name(ln_dtype dtype) {
  switch (dtype) {
    case LN_BOOL: return "BOOL";
    case LN_U8: return "U8";
    case LN_I32: return "I32";
    case LN_I64: return "I64";
    case LN_BF16: return "BF16";
    case LN_F32: return "F32";
    case LN_F64: return "F64";
    case LN_NONE:
    case LN_DTYPE_COUNT: break;
  }
  return NULL;
}

/* Widths in the order in which the data is laid out. */
static const size_t widths[] = {8, 4, 2, 1};
enum { WIDTHS = sizeof widths / sizeof widths[0] };

static ln_code add_notes(json_t *header, const char *path, const ln_note *notes, size_t count,
                         ln_error *err) {
  if (count == 0) return LN_OK;
  json_t *object = json_object();
  if (json_object_set_new(header, "__metadata__", object) != 0) {
    return ln_fail(err, LN_ENOMEM, "'%s': no memory for the header", path);
  }
  for (size_t i = 0; i < count; i++) {
    if (json_object_set_new(object, notes[i].key, json_string(notes[i].text)) != 0) {
      return ln_fail(err, LN_EINVAL, "'%s': metadata '%s' is not valid UTF-8", path, notes[i].key);
    }
  }
  return LN_OK;
}

static json_t *describe(const ln_named_tensor *t, uint64_t begin) {
  json_t *shape = json_array();
  for (int d = 0; d < t->meta.rank; d++) json_array_append_new(shape, json_integer(t->meta.dim[d]));
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(t->meta.dtype), "shape", shape,
                   "data_offsets", (json_int_t)begin,
                   (json_int_t)(begin + ln_nbytes(&t->meta)));
}

static ln_code add_tensors(json_t *header, const char *path, const ln_named_tensor *tensors,
                           size_t count, ln_error *err) {
  uint64_t next[WIDTHS] = {0}, total = 0; /* where the next tensor of each width begins */
  for (size_t i = 0; i < count; i++) {
    if (dtype_name(tensors[i].meta.dtype) == NULL) {
      return ln_fail(err, LN_EINVAL, "'%s': tensor '%s' has no dtype", path, tensors[i].name);
    }
  }
  for (int w = 0; w < WIDTHS; w++) {
    next[w] = total;
    for (size_t i = 0; i < count; i++) {
      if (ln_dtype_size(tensors[i].meta.dtype) == widths[w]) total += ln_nbytes(&tensors[i].meta);
    }
  }
  for (size_t i = 0; i < count; i++) {
    const ln_named_tensor *t = &tensors[i];
    if (strcmp(t->name, "__metadata__") == 0 || json_object_get(header, t->name) != NULL) {
      return ln_fail(err, LN_EINVAL, "'%s': the tensor name '%s' is %s", path, t->name,
                     strcmp(t->name, "__metadata__") == 0 ? "reserved" : "there twice");
    }
    int w = 0;
    while (widths[w] != ln_dtype_size(t->meta.dtype)) w++;
    if (json_object_set_new(header, t->name, describe(t, next[w])) != 0) {
      return ln_fail(err, LN_EINVAL, "'%s': the tensor name '%s' is not valid UTF-8", path, t->name);
    }
    next[w] += ln_nbytes(&t->meta);
  }
  return LN_OK;
}

static ln_code write_header(ln_file *file, const json_t *header, ln_error *err) {
  char *text = json_dumps(header, JSON_COMPACT);
  if (text == NULL) {
    ln_code code = ln_fail(err, LN_ENOMEM, "'%s': no memory for the header", file->path);
    ln_file_abandon(file);
    return code;
  }
  uint64_t length = strlen(text), padded = (length + 7) / 8 * 8; /* the data starts aligned */
  ln_code code = ln_file_write(file, &padded, sizeof padded, err);
  if (code == LN_OK) code = ln_file_write(file, text, length, err);
  if (code == LN_OK) code = ln_file_write(file, "       ", padded - length, err);
  free(text);
  return code;
}

static ln_code write_data(ln_file *file, const ln_named_tensor *tensors, size_t count,
                          ln_error *err) {
  ln_code code = LN_OK;
  for (int w = 0; w < WIDTHS; w++) {
    for (size_t i = 0; i < count && code == LN_OK; i++) {
      if (ln_dtype_size(tensors[i].meta.dtype) != widths[w]) continue;
      code = ln_file_write(file, tensors[i].data, ln_nbytes(&tensors[i].meta), err);
    }
  }
  return code;
}

ln_code ln_safetensors_write(ln_mem *mem, const char *path, const ln_named_tensor *tensors,
                             size_t count, const ln_note *notes, size_t note_count,
                             ln_error *err) {
  json_t *header = json_object();
  if (header == NULL) return ln_fail(err, LN_ENOMEM, "'%s': no memory for the header", path);
  ln_file file;
  ln_code code = add_notes(header, path, notes, note_count, err);
  if (code == LN_OK) code = add_tensors(header, path, tensors, count, err);
  if (code == LN_OK) code = ln_file_begin(mem, path, &file, err);
  if (code == LN_OK) code = write_header(&file, header, err);
  if (code == LN_OK) code = write_data(&file, tensors, count, err);
  if (code == LN_OK) code = ln_file_commit(&file, err);
  json_decref(header);
  return code;
}
