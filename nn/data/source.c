/* source.c: what all sources share, and the source of phantoms. */
#include "source.h"

#include <stdio.h>
#include <string.h>

void ln_source_retain(ln_source *source) { atomic_fetch_add(&source->refs, 1); }

void ln_source_release(ln_source *source) {
  if (source != NULL && atomic_fetch_sub(&source->refs, 1) == 1) source->close(source);
}

void ln_sample_free(ln_mem *mem, ln_sample *sample) {
  ln_image_free(mem, &sample->image);
  ln_image_free(mem, &sample->mask);
}

typedef struct drawn {
  ln_source base;
  ln_phantom_family family;
  uint64_t seed;
  int width, height;
  size_t *index; /* item i is picture index[i]; NULL: picture i */
} drawn;

static size_t picture(const drawn *d, size_t i) { return d->index != NULL ? d->index[i] : i; }

static void drawn_stem(const ln_source *self, size_t i, char *text, size_t size) {
  const drawn *d = (const drawn *)self;
  snprintf(text, size, "%s_%04zu", ln_phantom_name(d->family), picture(d, i));
}

static ln_code drawn_load(const ln_source *self, ln_mem *mem, size_t i, ln_sample *out, ln_error *err) {
  const drawn *d = (const drawn *)self;
  memset(out, 0, sizeof *out);
  ln_code code = ln_image_new(mem, d->height, d->width, &out->image, err);
  if (code == LN_OK) code = ln_image_new(mem, d->height, d->width, &out->mask, err);
  if (code == LN_OK)
    code = ln_phantom_draw(mem, d->family, d->seed, picture(d, i), d->width, d->height, out->image.data, out->mask.data,
                           err);
  if (code != LN_OK) ln_sample_free(mem, out);
  return code;
}

static void drawn_close(ln_source *self) {
  ln_free(self->mem, ((drawn *)self)->index);
  ln_free(self->mem, self);
}

static bool drawable(int side) { return side >= LN_PHANTOM_MIN_SIDE && side <= LN_PHANTOM_MAX_SIDE; }

ln_code ln_drawn_open(ln_mem *mem, const ln_drawn_options *options, ln_source **out, ln_error *err) {
  int width = options->width, height = options->height;
  if (width == 0 && height == 0) ln_phantom_native_size(options->family, &width, &height);
  if (!drawable(width) || !drawable(height))
    return ln_fail(err, LN_EINVAL, "phantoms of %dx%d pixels; each side must be %d to %d", width, height,
                   LN_PHANTOM_MIN_SIDE, LN_PHANTOM_MAX_SIDE);
  if (options->count == 0) return ln_fail(err, LN_EINVAL, "the number of phantoms must be at least 1");
  drawn *d = ln_calloc(mem, 1, sizeof *d);
  if (d == NULL) return ln_fail(err, LN_ENOMEM, "no memory for a list of phantoms");
  d->base = (ln_source){
      .count = options->count, .stem = drawn_stem, .load = drawn_load, .close = drawn_close, .mem = mem};
  atomic_init(&d->base.refs, 1);
  d->family = options->family;
  d->seed = options->seed;
  d->width = width;
  d->height = height;
  size_t n, *index; /* the choice asks for stems, so d->index is set after it */
  ln_code code = ln_choose(&d->base, options->only, options->exclude, &index, &n, err);
  d->index = index;
  d->base.count = n;
  if (code == LN_OK) *out = &d->base;
  else drawn_close(&d->base);
  return code;
}
