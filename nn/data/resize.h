/* resize.h: Pillow's resampling of 8-bit grey, to the bit (Pillow up to 12.3). */
#ifndef LN_DATA_RESIZE_H
#define LN_DATA_RESIZE_H

#include "../base/mem.h"
#include "../base/status.h"

typedef enum ln_filter {
  LN_FILTER_NEAREST,  /* Image.resize(size, NEAREST) */
  LN_FILTER_BILINEAR, /* Image.resize(size, BILINEAR): antialiased when shrinking */
  LN_FILTER_COUNT
} ln_filter;

/* By its name, "nearest" or "bilinear". */
ln_code ln_filter_named(const char *name, ln_filter *filter, ln_error *err);

/* in is height x width, out is out_height x out_width, caller owned, not overlapping. */
ln_code ln_resize(ln_mem *mem, ln_filter filter, const uint8_t *in, int64_t height, int64_t width,
                  uint8_t *out, int64_t out_height, int64_t out_width, ln_error *err);

#endif
