/* png_filter.h: undoing PNG's row filters, for samples of 8 bits. */
#ifndef LN_DATA_PNG_FILTER_H
#define LN_DATA_PNG_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes behind row and above that are read (never written, and without effect). */
enum { LN_PNG_PAD = 3 };

/* Row of `bytes`, in place; above is the finished row above it (zeros for the first) and
 * pixel the bytes of a pixel, 1 to 4. False: there is no such filter. */
bool ln_png_unfilter(int filter, uint8_t *row, const uint8_t *above, size_t bytes, int pixel);

#endif
