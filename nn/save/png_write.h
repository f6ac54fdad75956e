/* png_write.h: 8-bit grey and RGB pictures as PNG files. */
#ifndef LN_SAVE_PNG_WRITE_H
#define LN_SAVE_PNG_WRITE_H

#include <stdint.h>

#include "../base/mem.h"
#include "../base/status.h"

/* pixels: height rows of width pixels of `channels` bytes, 1 (grey) or 3 (RGB). */
ln_code ln_png_write(ln_mem *mem, const char *path, const uint8_t *pixels, int width, int height,
                     int channels, ln_error *err);

/* Stretches values linearly so that the smallest becomes 0 and the largest 255, as
 * matplotlib shows a picture; all alike gives black. NaN becomes black too. */
void ln_stretch_u8(const float *values, size_t count, uint8_t *out);

#endif
