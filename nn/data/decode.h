/* decode.h: what the file formats share: an open file and where its pixels go. Only the
 * image_*.c files include this.
 */
#ifndef LN_DATA_DECODE_H
#define LN_DATA_DECODE_H

#include <stdio.h>

#include "image.h"

typedef struct ln_decode {
  ln_mem *mem;
  FILE *file;        /* at the start of the content */
  const char *path;  /* for messages */
  ln_image *out;     /* the caller frees it when decoding fails */
  ln_error *err;
  bool header_only;
} ln_decode;

ln_code ln_decode_png(ln_decode *d);
/* The same without libpng, where the file is plain enough (image_png_plain.c). *done is
 * false when it is not, and then nothing has happened; the whole image is wanted. */
ln_code ln_decode_png_plain(ln_decode *d, bool *done);
ln_code ln_decode_jpeg(ln_decode *d);

/* Called by a format once it knows the size: refuses bombs, fills out->meta and, unless
 * only the header is wanted, allocates out->data. */
ln_code ln_decode_begin(ln_decode *d, int64_t height, int64_t width);

/* Pillow's L24: ITU-601 luma with weights of 16 fractional bits, rounded half up. */
static inline uint8_t ln_luma(unsigned r, unsigned g, unsigned b) {
  return (uint8_t)((r * 19595u + g * 38470u + b * 7471u + 0x8000u) >> 16);
}

/* Of a row of RGB (step 3), or of RGB and something (step 4). */
void ln_luma_row(const uint8_t *restrict pixel, int step, int64_t width, uint8_t *restrict grey);

#endif
