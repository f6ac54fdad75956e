/* pairs.c: a folder of images, each with its mask, as a source.
 *
 * An image is a png, jpg or jpeg whose stem does not end in the suffix; its mask has the
 * stem, the suffix and one of the three extensions, the image's own first. Everything that
 * could silently pair the wrong files is an error that names them.
 */
#define _GNU_SOURCE /* qsort_r */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "names.h"
#include "source.h"

typedef struct pair {
  size_t stem, image, mask; /* indices into pairs.names */
} pair;

typedef struct pairs {
  ln_source base;
  ln_names names; /* stems and paths */
  pair *list;     /* base.count of them */
} pairs;

static const char *text_of(const ln_source *self, size_t name) {
  return ln_name(&((const pairs *)self)->names, name);
}

static void pairs_stem(const ln_source *self, size_t i, char *text, size_t size) {
  snprintf(text, size, "%s", text_of(self, ((const pairs *)self)->list[i].stem));
}

static void pairs_paths(const ln_source *self, size_t i, const char **image, const char **mask) {
  const pair *p = &((const pairs *)self)->list[i];
  *image = text_of(self, p->image);
  *mask = text_of(self, p->mask);
}

static void pairs_close(ln_source *self) {
  pairs *p = (pairs *)self;
  ln_names_free(&p->names);
  ln_free(self->mem, p->list);
  ln_free(self->mem, p);
}

static ln_code same_size(const char *image, const ln_image *a, const char *mask, const ln_image *b, ln_error *err) {
  if (ln_same_shape(&a->meta, &b->meta)) return LN_OK;
  return ln_fail(err, LN_EFORMAT, "%s has %lldx%lld pixels and its mask %s has %lldx%lld", image,
                 (long long)a->meta.dim[1], (long long)a->meta.dim[0], mask,
                 (long long)b->meta.dim[1], (long long)b->meta.dim[0]);
}

typedef ln_code (*read_fn)(ln_mem *, const char *, ln_image *, ln_error *);

static ln_code read_pair(const ln_source *self, ln_mem *mem, size_t i, read_fn read, ln_sample *out, ln_error *err) {
  const char *image, *mask;
  pairs_paths(self, i, &image, &mask);
  memset(out, 0, sizeof *out);
  ln_code code = read(mem, image, &out->image, err);
  if (code == LN_OK) code = read(mem, mask, &out->mask, err);
  if (code == LN_OK) code = same_size(image, &out->image, mask, &out->mask, err);
  if (code != LN_OK) ln_sample_free(mem, out);
  return code;
}

static ln_code pairs_load(const ln_source *self, ln_mem *mem, size_t i, ln_sample *out, ln_error *err) {
  return read_pair(self, mem, i, ln_image_read, out, err);
}

/* A later error would come an hour into the training. */
static ln_code check_sizes(pairs *p, ln_error *err) {
  ln_code code = LN_OK;
  for (size_t i = 0; i < p->base.count && code == LN_OK; i++) {
    ln_sample header;
    code = read_pair(&p->base, p->base.mem, i, ln_image_read_header, &header, err);
  }
  return code;
}

/* -- pairing */

typedef struct pairing {
  pairs *p;
  const ln_pairs_options *options;
  const char *masks, *suffix;  /* with defaults filled in */
  ln_names images, mask_names; /* names in the two folders, sorted */
  ln_error *err;
} pairing;

/* Adds folder/name to the strings that stay. */
static ln_code add_path(pairing *w, const char *folder, const char *name, size_t *index) {
  char path[4096];
  size_t length = strlen(folder);
  const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
  int bytes = snprintf(path, sizeof path, "%s%s%s", folder, slash, name);
  if (bytes < 0 || (size_t)bytes >= sizeof path)
    return ln_fail(w->err, LN_EIO, "%s/%s: the path is too long", folder, name);
  *index = w->p->names.count;
  return ln_names_add(&w->p->names, path, (size_t)bytes, w->err);
}

/* 0 is best: the image's own extension, then png, jpg, jpeg. */
static int extension_rank(const char *extension, const char *own) {
  if (strcasecmp(extension, own) == 0) return 0;
  if (strcasecmp(extension, "png") == 0) return 1;
  return strcasecmp(extension, "jpg") == 0 ? 2 : 3;
}

static const char *find_mask(const pairing *w, const char *mask_stem, const char *own) {
  size_t length = strlen(mask_stem);
  const char *best = NULL;
  int best_rank = 4;
  for (size_t i = ln_names_lower_bound(&w->mask_names, mask_stem); i < w->mask_names.count; i++) {
    const char *name = ln_name(&w->mask_names, i);
    if (strncmp(name, mask_stem, length) != 0) break;
    if (ln_stem_length(name) != length) continue;
    int rank = extension_rank(name + length + 1, own);
    if (rank < best_rank) best = name, best_rank = rank;
  }
  return best;
}

static ln_code add_pair(pairing *w, const char *image) {
  char mask_stem[1024];
  size_t length = ln_stem_length(image);
  int bytes = snprintf(mask_stem, sizeof mask_stem, "%.*s%s", (int)length, image, w->suffix);
  if (bytes < 0 || (size_t)bytes >= sizeof mask_stem)
    return ln_fail(w->err, LN_EIO, "%s%s: the name is too long", image, w->suffix);
  const char *mask = find_mask(w, mask_stem, image + length + 1);
  if (mask == NULL)
    return ln_fail(w->err, LN_EIO, "%s/%s has no mask: no %s.png, .jpg or .jpeg in %s", w->options->images,
                   image, mask_stem, w->masks);
  pair *next = &w->p->list[w->p->base.count];
  next->stem = w->p->names.count;
  ln_code code = ln_names_add(&w->p->names, image, length, w->err);
  if (code == LN_OK) code = add_path(w, w->options->images, image, &next->image);
  if (code == LN_OK) code = add_path(w, w->masks, mask, &next->mask);
  if (code == LN_OK) w->p->base.count++;
  return code;
}

/* With one folder, names that end in the suffix are masks. With two, a suffix still marks
 * masks that lie among the images. */
static bool is_mask_name(const pairing *w, const char *name) {
  size_t stem = ln_stem_length(name), suffix = strlen(w->suffix);
  return suffix > 0 && stem >= suffix && memcmp(name + stem - suffix, w->suffix, suffix) == 0;
}

static ln_code add_pairs(pairing *w) {
  pairs *p = w->p;
  p->list = ln_alloc(p->base.mem, ln_mul(w->images.count, sizeof *p->list));
  if (p->list == NULL) return ln_fail(w->err, LN_ENOMEM, "no memory for %zu pairs", w->images.count);
  ln_code code = LN_OK;
  for (size_t i = 0; i < w->images.count && code == LN_OK; i++)
    if (!is_mask_name(w, ln_name(&w->images, i))) code = add_pair(w, ln_name(&w->images, i));
  if (code == LN_OK && p->base.count == 0)
    code = ln_fail(w->err, LN_EIO, "no images (png, jpg, jpeg) in %s", w->options->images);
  return code;
}

static int by_bytes(const void *a, const void *b, void *self) {
  return strcmp(text_of(self, ((const pair *)a)->stem), text_of(self, ((const pair *)b)->stem));
}

static int by_number(const void *a, const void *b, void *self) {
  return ln_compare_numbers(text_of(self, ((const pair *)a)->stem), text_of(self, ((const pair *)b)->stem));
}

static ln_code sort_pairs(pairing *w) {
  pairs *p = w->p;
  size_t n = p->base.count;
  qsort_r(p->list, n, sizeof *p->list, by_bytes, p);
  for (size_t i = 1; i < n; i++)
    if (by_bytes(&p->list[i - 1], &p->list[i], p) == 0)
      return ln_fail(w->err, LN_EFORMAT, "two images have the stem '%s': %s and %s",
                     text_of(&p->base, p->list[i].stem), text_of(&p->base, p->list[i - 1].image),
                     text_of(&p->base, p->list[i].image));
  bool numeric = w->options->numeric;
  for (size_t i = 0; i < n && numeric; i++) numeric = ln_is_number(text_of(&p->base, p->list[i].stem));
  if (numeric) qsort_r(p->list, n, sizeof *p->list, by_number, p);
  return LN_OK;
}

static ln_code choose(pairing *w) {
  pairs *p = w->p;
  size_t *kept, n;
  ln_code code = ln_choose(&p->base, w->options->only, w->options->exclude, &kept, &n, w->err);
  if (code != LN_OK || kept == NULL) return code;
  for (size_t i = 0; i < n; i++) p->list[i] = p->list[kept[i]]; /* i <= kept[i] */
  p->base.count = n;
  ln_free(p->base.mem, kept);
  return LN_OK;
}

static ln_code make_list(pairing *w) {
  ln_code code = ln_names_of_images(&w->images, w->options->images, w->err);
  if (code == LN_OK) code = ln_names_of_images(&w->mask_names, w->masks, w->err);
  if (code == LN_OK) code = add_pairs(w);
  if (code == LN_OK) code = sort_pairs(w);
  if (code != LN_OK) return code;
  if (w->options->limit > 0 && w->options->limit < w->p->base.count) w->p->base.count = w->options->limit;
  code = choose(w);
  return code == LN_OK ? check_sizes(w->p, w->err) : code;
}

/* One folder by whatever spelling: a/b and a/b/ and a symbolic link to it. */
static bool same_folder(const char *a, const char *b) {
  char *x = realpath(a, NULL), *y = realpath(b, NULL);
  bool same = x != NULL && y != NULL && strcmp(x, y) == 0;
  free(x);
  free(y);
  return same;
}

ln_code ln_pairs_open(ln_mem *mem, const ln_pairs_options *options, ln_source **out, ln_error *err) {
  if (options->images == NULL) return ln_fail(err, LN_EINVAL, "a folder of images is needed");
  pairing w = {.options = options, .err = err, .images = {.mem = mem}, .mask_names = {.mem = mem}};
  w.masks = options->masks != NULL ? options->masks : options->images;
  w.suffix = options->suffix != NULL ? options->suffix : "";
  if (w.suffix[0] == '\0' && (options->masks == NULL || same_folder(options->images, options->masks)))
    return ln_fail(err, LN_EINVAL, "images and masks lie in one folder, %s: a suffix must tell them apart", options->images);
  w.p = ln_calloc(mem, 1, sizeof *w.p);
  if (w.p == NULL) return ln_fail(err, LN_ENOMEM, "no memory for a list of pairs");
  w.p->base = (ln_source){.stem = pairs_stem, .paths = pairs_paths, .load = pairs_load, .close = pairs_close, .mem = mem};
  atomic_init(&w.p->base.refs, 1);
  w.p->names.mem = mem;
  ln_code code = make_list(&w);
  ln_names_free(&w.images);
  ln_names_free(&w.mask_names);
  if (code == LN_OK) *out = &w.p->base;
  else pairs_close(&w.p->base);
  return code;
}
