/* image.h: images as the loaders see them, and how files become them.
 *
 * Every file is read as Pillow's Image.open(f).convert("L") reads it, to the bit: 8-bit
 * grey by ITU-601 weights in 16-bit fixed point, palettes through their colours, alpha
 * dropped, 16-bit grey clipped at 255. The paper's pipelines all start with that call.
 */
#ifndef LN_DATA_IMAGE_H
#define LN_DATA_IMAGE_H

#include "../base/mem.h"
#include "../base/status.h"
#include "../base/tensor.h"

/* Pillow refuses images above this many pixels as decompression bombs; so do we. */
enum { LN_IMAGE_MAX_PIXELS = 178956970 };

enum { /* ln_image.flags */
  LN_IMAGE_CLIPPED = 1 /* 16-bit grey held levels above 255, which became 255 */
};

/* Grey levels, dense and row-major. Files give rank 2 (height, width), dtype u8; volumes
 * will be rank 3 of the same struct. */
typedef struct ln_image {
  ln_meta meta;
  uint8_t *data;
  unsigned flags;
} ln_image;

/* PNG or JPEG, told apart by content. On failure *out is empty and the message names the
 * file. LN_EIO: the system would not give it; LN_EFORMAT: it is damaged, truncated, too
 * large or no image. */
ln_code ln_image_read(ln_mem *mem, const char *path, ln_image *out, ln_error *err);
/* The same from the header alone: out->meta is filled, out->data stays NULL. */
ln_code ln_image_read_header(ln_mem *mem, const char *path, ln_image *out, ln_error *err);
/* A fresh u8 image of rank 2. */
ln_code ln_image_new(ln_mem *mem, int64_t height, int64_t width, ln_image *out, ln_error *err);
void ln_image_free(ln_mem *mem, ln_image *image); /* an empty one is fine */

#endif
