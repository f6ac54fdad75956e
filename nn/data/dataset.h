/* dataset.h: pairs made ready for a network: decoded, resized, kept in memory while there
 * is room, and turned into tensors' numbers.
 */
#ifndef LN_DATA_DATASET_H
#define LN_DATA_DATASET_H

#include "resize.h"
#include "source.h"

/* What becomes of a mask's grey levels. */
typedef enum ln_target {
  LN_TARGET_FRACTION, /* level / 255, as ToTensor: grey borders stay grey */
  LN_TARGET_HALF,     /* 1 where level >= 128, else 0 (a ToTensor value > 0.5) */
  LN_TARGET_ANY,      /* 1 where level >= 1 (a value > 0) */
  LN_TARGET_CLASS,    /* the level is a class index, i64, without a channel dimension */
  LN_TARGET_COUNT
} ln_target;

/* By its name, "fraction" and so on. */
ln_code ln_target_named(const char *name, ln_target *target, ln_error *err);

typedef struct ln_dataset_options {
  int64_t height, width; /* 0: as the files are */
  ln_filter image_filter, mask_filter;
  ln_target target;
} ln_dataset_options;

/* A decoded and resized pair; never changed once made. */
typedef struct ln_item {
  size_t bytes; /* of the whole struct with its pixels */
  int64_t height, width;
  unsigned flags;    /* of the image and the mask */
  bool cached;       /* owned by the data set's cache */
  uint8_t pixels[];  /* the image, then the mask */
} ln_item;

typedef struct ln_dataset ln_dataset; /* thread-safe, reference counted */

/* The data set keeps the source. */
ln_code ln_dataset_open(ln_mem *mem, ln_source *source, const ln_dataset_options *options,
                        ln_dataset **out, ln_error *err);
void ln_dataset_retain(ln_dataset *ds);
void ln_dataset_release(ln_dataset *ds); /* NULL is fine */
ln_source *ln_dataset_source(const ln_dataset *ds);
const ln_dataset_options *ln_dataset_get_options(const ln_dataset *ds);

/* Item i, from the cache or decoded now. With keep it stays in the cache while the cache
 * is under cap bytes. Give it back with ln_dataset_done. */
ln_code ln_dataset_item(ln_dataset *ds, size_t i, bool keep, size_t cap, ln_item **out, ln_error *err);
void ln_dataset_done(ln_dataset *ds, ln_item *item); /* NULL is fine */
bool ln_dataset_has(const ln_dataset *ds, size_t i);  /* in the cache? */
size_t ln_dataset_cached_bytes(const ln_dataset *ds);

/* Shape and type of `count` items of this size as one batch; count 0 means one item
 * without the batch dimension: image f32 [B,1,H,W], mask the same, or i64 [B,H,W]. */
void ln_dataset_meta(const ln_dataset *ds, int64_t count, const ln_item *item, ln_meta *image, ln_meta *mask);
/* Writes one item's numbers: height * width of them. */
void ln_item_image(const ln_item *item, float *out);
void ln_item_mask(const ln_item *item, ln_target target, void *out);

#endif
