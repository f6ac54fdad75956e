/* safetensors_read.c: see safetensors.h. Nothing in the file is believed: the header's
 * length is bounded by the file and by 100 MB, its JSON must have exactly the types the
 * format says, and the tensors must tile the data without gap or overlap. Only then is
 * data read, tensor by tensor, with pread.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "safetensors.h"

enum { MAX_HEADER = 100000000, SHOWN = 160 };

typedef struct entry {
  const char *name; /* in the header */
  ln_meta meta;
  uint64_t begin, end; /* in the data */
  bool half;           /* stored as F16 */
} entry;

struct ln_safetensors {
  ln_mem *mem;
  char *path;
  int fd;
  uint64_t data, bytes; /* where the data begins in the file, and its size */
  json_t *header;
  entry *entries;
  size_t count;
  ln_note *notes;
  size_t note_count;
};

/* A name fit for a message: short, and without bytes that would steer a terminal. */
static const char *shown(const char *name, char out[SHOWN]) {
  size_t n = 0;
  for (; name[n] != '\0' && n < SHOWN - 1; n++) {
    out[n] = (unsigned char)name[n] < 32 || name[n] == 127 ? '?' : name[n];
  }
  out[n] = '\0';
  return out;
}

static ln_code bad(const ln_safetensors *f, const char *name, ln_error *err, const char *what) {
  char text[SHOWN];
  if (name == NULL) {
    return ln_fail(err, LN_EFORMAT, "'%s' is no valid safetensors file: %s", f->path, what);
  }
  return ln_fail(err, LN_EFORMAT, "'%s' is no valid safetensors file: tensor '%s': %s", f->path,
                 shown(name, text), what);
}

static ln_code read_at(const ln_safetensors *f, uint64_t offset, void *data, size_t size,
                       ln_error *err) {
  char *next = data;
  while (size > 0) {
    ssize_t n = pread(f->fd, next, size < 1u << 30 ? size : 1u << 30, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ln_fail(err, LN_EIO, "cannot read '%s': %s", f->path, strerror(errno));
    if (n == 0) return bad(f, NULL, err, "it ends early");
    next += n;
    offset += (uint64_t)n;
    size -= (size_t)n;
  }
  return LN_OK;
}

/* -- The header --------------------------------------------------------------------- */

static ln_code load_header(ln_safetensors *f, uint64_t file_size, ln_error *err) {
  uint64_t length;
  if (file_size < sizeof length) return bad(f, NULL, err, "it is shorter than 8 bytes");
  ln_code code = read_at(f, 0, &length, sizeof length, err);
  if (code != LN_OK) return code;
  if (length > MAX_HEADER) return bad(f, NULL, err, "its header claims more than 100 MB");
  if (length > file_size - sizeof length) {
    return bad(f, NULL, err, "its header reaches beyond the end of the file");
  }
  f->data = sizeof length + length;
  f->bytes = file_size - f->data;
  char *text = ln_alloc(f->mem, length + 1);
  if (text == NULL) return ln_fail(err, LN_ENOMEM, "'%s': no memory for the header", f->path);
  code = read_at(f, sizeof length, text, length, err);
  if (code == LN_OK) {
    json_error_t parse;
    f->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &parse);
    if (f->header == NULL) {
      char what[SHOWN + 64], reason[SHOWN];
      snprintf(what, sizeof what, "its header is not JSON: %s", shown(parse.text, reason));
      code = bad(f, NULL, err, what);
    } else if (!json_is_object(f->header)) {
      code = bad(f, NULL, err, "its header is no JSON object");
    }
  }
  ln_free(f->mem, text);
  return code;
}

static ln_code parse_dtype(const ln_safetensors *f, entry *e, const json_t *value,
                           ln_error *err) {
  static const struct {
    const char *name;
    ln_dtype dtype;
  } table[] = {{"F32", LN_F32}, {"F16", LN_F32}, {"BF16", LN_BF16}, {"F64", LN_F64},
               {"I64", LN_I64}, {"I32", LN_I32}, {"U8", LN_U8},     {"BOOL", LN_BOOL}};
  const char *text = json_string_value(value);
  if (text == NULL) return bad(f, e->name, err, "dtype is missing or no string");
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].name, text) != 0) continue;
    e->meta.dtype = table[i].dtype;
    e->half = strcmp(text, "F16") == 0;
    return LN_OK;
  }
  char name[SHOWN], what[SHOWN + 96];
  snprintf(what, sizeof what, "dtype '%.32s' is none of F32 F16 BF16 F64 I64 I32 U8 BOOL",
           shown(text, name));
  return bad(f, e->name, err, what);
}

static ln_code parse_shape(const ln_safetensors *f, entry *e, const json_t *value,
                           ln_error *err) {
  if (!json_is_array(value)) return bad(f, e->name, err, "shape is missing or no list");
  size_t rank = json_array_size(value);
  if (rank > LN_MAX_RANK) return bad(f, e->name, err, "it has more than 5 dimensions");
  e->meta.rank = (int)rank;
  for (size_t d = 0; d < rank; d++) {
    const json_t *dim = json_array_get(value, d);
    if (!json_is_integer(dim) || json_integer_value(dim) < 0) {
      return bad(f, e->name, err, "a dimension is no whole number of 0 or more");
    }
    e->meta.dim[d] = json_integer_value(dim);
  }
  return LN_OK;
}

static ln_code parse_offsets(const ln_safetensors *f, entry *e, const json_t *value,
                             ln_error *err) {
  const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
  if (json_array_size(value) != 2 || !json_is_integer(begin) || !json_is_integer(end)) {
    return bad(f, e->name, err, "data_offsets is missing or not two whole numbers");
  }
  json_int_t first = json_integer_value(begin), last = json_integer_value(end);
  if (first < 0 || last < first || (uint64_t)last > f->bytes) {
    return bad(f, e->name, err, "data_offsets lie outside the file's data");
  }
  e->begin = (uint64_t)first;
  e->end = (uint64_t)last;
  size_t bytes = ln_nbytes(&e->meta); /* SIZE_MAX on overflow, which no file holds */
  if (e->half && bytes != SIZE_MAX) bytes /= 2;
  if (bytes != e->end - e->begin) {
    return bad(f, e->name, err, "its shape and dtype do not give the size of its data");
  }
  return LN_OK;
}

static ln_code parse_notes(ln_safetensors *f, json_t *object, ln_error *err) {
  if (!json_is_object(object)) return bad(f, NULL, err, "__metadata__ is no JSON object");
  f->notes = ln_calloc(f->mem, json_object_size(object) + 1, sizeof *f->notes);
  if (f->notes == NULL) return ln_fail(err, LN_ENOMEM, "'%s': no memory for metadata", f->path);
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    if (!json_is_string(value)) return bad(f, NULL, err, "a value of __metadata__ is no string");
    f->notes[f->note_count++] = (ln_note){key, json_string_value(value)};
  }
  return LN_OK;
}

static ln_code parse_entries(ln_safetensors *f, ln_error *err) {
  f->entries = ln_calloc(f->mem, json_object_size(f->header) + 1, sizeof *f->entries);
  if (f->entries == NULL) return ln_fail(err, LN_ENOMEM, "'%s': no memory for the header", f->path);
  const char *key;
  json_t *value;
  json_object_foreach(f->header, key, value) {
    ln_code code;
    if (strcmp(key, "__metadata__") == 0) {
      code = parse_notes(f, value, err);
    } else {
      entry *e = &f->entries[f->count++];
      e->name = key;
      if (!json_is_object(value)) return bad(f, key, err, "its entry is no JSON object");
      code = parse_dtype(f, e, json_object_get(value, "dtype"), err);
      if (code == LN_OK) code = parse_shape(f, e, json_object_get(value, "shape"), err);
      if (code == LN_OK) code = parse_offsets(f, e, json_object_get(value, "data_offsets"), err);
    }
    if (code != LN_OK) return code;
  }
  return LN_OK;
}

static int by_offset(const void *a, const void *b) {
  const entry *x = *(const entry *const *)a, *y = *(const entry *const *)b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end < y->end ? -1 : x->end > y->end;
}

/* The tensors must cover the data from end to end, each byte once. */
static ln_code check_tiling(const ln_safetensors *f, ln_error *err) {
  const entry **order = ln_alloc(f->mem, (f->count + 1) * sizeof *order);
  if (order == NULL) return ln_fail(err, LN_ENOMEM, "'%s': no memory for the header", f->path);
  for (size_t i = 0; i < f->count; i++) order[i] = &f->entries[i];
  qsort(order, f->count, sizeof *order, by_offset);
  ln_code code = LN_OK;
  uint64_t covered = 0;
  for (size_t i = 0; i < f->count && code == LN_OK; i++) {
    if (order[i]->begin < covered) code = bad(f, order[i]->name, err, "its data overlaps another's");
    if (order[i]->begin > covered) code = bad(f, order[i]->name, err, "there is a gap before its data");
    covered = order[i]->end;
  }
  if (code == LN_OK && covered != f->bytes) {
    code = bad(f, NULL, err, "there are bytes after the last tensor");
  }
  ln_free(f->mem, order);
  return code;
}

/* -- Open, read, close ----------------------------------------------------------------- */

static ln_code open_file(ln_safetensors *f, ln_error *err) {
  struct stat st;
  f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
  if (f->fd < 0 || fstat(f->fd, &st) != 0) {
    return ln_fail(err, LN_EIO, "cannot read '%s': %s", f->path, strerror(errno));
  }
  if (!S_ISREG(st.st_mode)) return ln_fail(err, LN_EIO, "cannot read '%s': no regular file", f->path);
  ln_code code = load_header(f, (uint64_t)st.st_size, err);
  if (code == LN_OK) code = parse_entries(f, err);
  if (code == LN_OK) code = check_tiling(f, err);
  return code;
}

ln_code ln_safetensors_open(ln_mem *mem, const char *path, ln_safetensors **out, ln_error *err) {
  *out = NULL;
  ln_safetensors *f = ln_calloc(mem, 1, sizeof *f);
  if (f == NULL) return ln_fail(err, LN_ENOMEM, "no memory to open '%s'", path);
  f->mem = mem;
  f->fd = -1;
  f->path = ln_strdup(mem, path);
  ln_code code = f->path == NULL ? ln_fail(err, LN_ENOMEM, "no memory to open '%s'", path)
                                 : open_file(f, err);
  if (code == LN_OK) {
    *out = f;
  } else {
    ln_safetensors_close(f);
  }
  return code;
}

void ln_safetensors_close(ln_safetensors *f) {
  if (f == NULL) return;
  if (f->fd >= 0) close(f->fd);
  json_decref(f->header);
  ln_free(f->mem, f->entries);
  ln_free(f->mem, f->notes);
  ln_free(f->mem, f->path);
  ln_free(f->mem, f);
}

size_t ln_safetensors_count(const ln_safetensors *f) { return f->count; }
const char *ln_safetensors_name(const ln_safetensors *f, size_t i) { return f->entries[i].name; }
const ln_meta *ln_safetensors_meta(const ln_safetensors *f, size_t i) { return &f->entries[i].meta; }
size_t ln_safetensors_note_count(const ln_safetensors *f) { return f->note_count; }
ln_note ln_safetensors_note(const ln_safetensors *f, size_t i) { return f->notes[i]; }

static float half_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31u, rest = half & 1023u;
  float magnitude;
  if (exponent == 0) {
    magnitude = (float)rest * 0x1p-24f; /* zero and subnormal numbers */
  } else {
    uint32_t bits = exponent == 31 ? 0x7f800000u | rest << 13 : (exponent + 112) << 23 | rest << 13;
    memcpy(&magnitude, &bits, sizeof magnitude);
  }
  uint32_t bits;
  memcpy(&bits, &magnitude, sizeof bits);
  bits |= sign;
  memcpy(&magnitude, &bits, sizeof bits);
  return magnitude;
}

/* Half-precision data is read into the upper half of the room and widened upwards, so that
 * no float overwrites a half that is still to come. */
static ln_code read_half(ln_safetensors *f, const entry *e, float *out, ln_error *err) {
  size_t count = (size_t)((e->end - e->begin) / 2);
  char *halves = (char *)out + count * 2;
  ln_code code = read_at(f, f->data + e->begin, halves, count * 2, err);
  for (size_t i = 0; i < count && code == LN_OK; i++) {
    uint16_t half;
    memcpy(&half, halves + 2 * i, sizeof half);
    out[i] = half_to_float(half);
  }
  return code;
}

ln_code ln_safetensors_read(ln_safetensors *f, size_t i, void *data, ln_error *err) {
  const entry *e = &f->entries[i];
  if (e->half) return read_half(f, e, data, err);
  ln_code code = read_at(f, f->data + e->begin, data, (size_t)(e->end - e->begin), err);
  if (code == LN_OK && e->meta.dtype == LN_BOOL) {
    unsigned char *flag = data; /* anything but 0 means true; ours is 0 or 1 */
    for (uint64_t k = 0; k < e->end - e->begin; k++) flag[k] = flag[k] != 0;
  }
  return code;
}
