/* dataset.c: see dataset.h.
 *
 * The cache is an array of atomic pointers. An item is published once and lives as long
 * as the data set, so readers need no lock and no reference count.
 */
#include "dataset.h"

#include <string.h>

#include "../base/clones.h"

struct ln_dataset {
  ln_mem *mem;
  ln_source *source;
  ln_dataset_options options;
  _Atomic(ln_item *) *cache; /* source->count entries */
  atomic_size_t cached;      /* bytes in the cache */
  atomic_size_t refs;
};

static const char *const target_names[LN_TARGET_COUNT] = {"fraction", "half", "any", "class"};

ln_code ln_target_named(const char *name, ln_target *target, ln_error *err) {
  for (int i = 0; i < LN_TARGET_COUNT; i++)
    if (strcmp(name, target_names[i]) == 0) return *target = (ln_target)i, LN_OK;
  return ln_fail(err, LN_EINVAL, "target is '%s'; it must be 'fraction', 'half', 'any' or 'class'", name);
}

static ln_code check_options(const ln_dataset_options *o, ln_error *err) {
  bool native = o->height == 0 && o->width == 0;
  if (!native && (o->height < 1 || o->width < 1 || o->height > LN_IMAGE_MAX_PIXELS / o->width))
    return ln_fail(err, LN_EINVAL, "size is %lldx%lld; both sides must be at least 1, and the pixels at most %d",
                   (long long)o->height, (long long)o->width, LN_IMAGE_MAX_PIXELS);
  if (o->target == LN_TARGET_CLASS && !native && o->mask_filter != LN_FILTER_NEAREST)
    return ln_fail(err, LN_EINVAL, "target 'class' needs mask_resize 'nearest': class indices cannot be averaged");
  return LN_OK;
}

ln_code ln_dataset_open(ln_mem *mem, ln_source *source, const ln_dataset_options *options,
                        ln_dataset **out, ln_error *err) {
  ln_code code = check_options(options, err);
  if (code != LN_OK) return code;
  ln_dataset *ds = ln_calloc(mem, 1, sizeof *ds);
  _Atomic(ln_item *) *cache = ln_alloc(mem, ln_mul(source->count, sizeof *cache));
  if (ds == NULL || cache == NULL) {
    ln_free(mem, ds);
    ln_free(mem, cache);
    return ln_fail(err, LN_ENOMEM, "no memory for a data set of %zu pairs", source->count);
  }
  for (size_t i = 0; i < source->count; i++) atomic_init(&cache[i], NULL);
  ds->mem = mem;
  ds->options = *options;
  ds->cache = cache;
  ds->source = source;
  ln_source_retain(source);
  atomic_init(&ds->cached, 0);
  atomic_init(&ds->refs, 1);
  *out = ds;
  return LN_OK;
}

void ln_dataset_retain(ln_dataset *ds) { atomic_fetch_add(&ds->refs, 1); }

void ln_dataset_release(ln_dataset *ds) {
  if (ds == NULL || atomic_fetch_sub(&ds->refs, 1) != 1) return;
  for (size_t i = 0; i < ds->source->count; i++) ln_free(ds->mem, atomic_load(&ds->cache[i]));
  ln_free(ds->mem, ds->cache);
  ln_source_release(ds->source);
  ln_free(ds->mem, ds);
}

ln_source *ln_dataset_source(const ln_dataset *ds) { return ds->source; }
const ln_dataset_options *ln_dataset_get_options(const ln_dataset *ds) { return &ds->options; }
bool ln_dataset_has(const ln_dataset *ds, size_t i) { return atomic_load(&ds->cache[i]) != NULL; }
size_t ln_dataset_cached_bytes(const ln_dataset *ds) { return atomic_load(&ds->cached); }

static ln_code resize(const ln_dataset *ds, const ln_sample *sample, ln_item *item, ln_error *err) {
  const int64_t *from = sample->image.meta.dim;
  ln_code code = ln_resize(ds->mem, ds->options.image_filter, sample->image.data, from[0], from[1],
                           item->pixels, item->height, item->width, err);
  if (code != LN_OK) return code;
  return ln_resize(ds->mem, ds->options.mask_filter, sample->mask.data, from[0], from[1],
                   item->pixels + item->height * item->width, item->height, item->width, err);
}

static ln_code make_item(const ln_dataset *ds, size_t i, ln_item **out, ln_error *err) {
  ln_sample sample;
  ln_code code = ds->source->load(ds->source, ds->mem, i, &sample, err);
  if (code != LN_OK) return code;
  const ln_meta *meta = &sample.image.meta;
  int64_t height = ds->options.height > 0 ? ds->options.height : meta->dim[0];
  int64_t width = ds->options.width > 0 ? ds->options.width : meta->dim[1];
  size_t bytes = sizeof(ln_item) + 2 * (size_t)height * (size_t)width;
  ln_item *item = ln_alloc(ds->mem, bytes);
  if (item != NULL) {
    *item = (ln_item){.bytes = bytes, .height = height, .width = width,
                      .flags = sample.image.flags | sample.mask.flags};
    code = resize(ds, &sample, item, err);
  } else {
    code = ln_fail(err, LN_ENOMEM, "no memory for a pair of %lldx%lld pixels", (long long)width, (long long)height);
  }
  ln_sample_free(ds->mem, &sample);
  if (code == LN_OK) *out = item;
  else ln_free(ds->mem, item);
  return code;
}

/* Publishes the item unless the cache is full; returns the item that is now in the cache,
 * which is another thread's when that one was faster. */
static ln_item *publish(ln_dataset *ds, size_t i, ln_item *item, size_t cap) {
  size_t bytes = item->bytes;
  if (atomic_fetch_add(&ds->cached, bytes) + bytes > cap) {
    atomic_fetch_sub(&ds->cached, bytes);
    return item;
  }
  ln_item *there = NULL;
  item->cached = true;
  if (atomic_compare_exchange_strong(&ds->cache[i], &there, item)) return item;
  atomic_fetch_sub(&ds->cached, bytes);
  ln_free(ds->mem, item);
  return there;
}

ln_code ln_dataset_item(ln_dataset *ds, size_t i, bool keep, size_t cap, ln_item **out, ln_error *err) {
  *out = atomic_load(&ds->cache[i]);
  if (*out != NULL) return LN_OK;
  ln_code code = make_item(ds, i, out, err);
  if (code == LN_OK && keep) *out = publish(ds, i, *out, cap);
  return code;
}

void ln_dataset_done(ln_dataset *ds, ln_item *item) {
  if (item != NULL && !item->cached) ln_free(ds->mem, item);
}

void ln_dataset_meta(const ln_dataset *ds, int64_t count, const ln_item *item, ln_meta *image, ln_meta *mask) {
  int batch = count > 0 ? 1 : 0;
  *image = (ln_meta){.dtype = LN_F32, .rank = batch + 3};
  image->dim[0] = count;
  image->dim[batch] = 1;
  image->dim[batch + 1] = item->height;
  image->dim[batch + 2] = item->width;
  *mask = *image;
  if (ds->options.target != LN_TARGET_CLASS) return;
  *mask = (ln_meta){.dtype = LN_I64, .rank = batch + 2};
  mask->dim[0] = count;
  mask->dim[batch] = item->height;
  mask->dim[batch + 1] = item->width;
}

/* ToTensor divides; the product with 1/255 would differ in the last bit. */
LN_CLONES static void fractions(const uint8_t *restrict level, int64_t n, float *restrict out) {
  for (int64_t i = 0; i < n; i++) out[i] = (float)level[i] / 255.0f;
}

void ln_item_image(const ln_item *item, float *out) { fractions(item->pixels, item->height * item->width, out); }

void ln_item_mask(const ln_item *item, ln_target target, void *out) {
  int64_t n = item->height * item->width;
  const uint8_t *level = item->pixels + n;
  if (target == LN_TARGET_FRACTION) {
    fractions(level, n, out);
  } else if (target == LN_TARGET_CLASS) {
    for (int64_t i = 0; i < n; i++) ((int64_t *)out)[i] = level[i];
  } else {
    int least = target == LN_TARGET_HALF ? 128 : 1;
    for (int64_t i = 0; i < n; i++) ((float *)out)[i] = level[i] >= least ? 1.0f : 0.0f;
  }
}
