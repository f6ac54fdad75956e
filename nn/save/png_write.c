/* png_write.c: PNG through libpng's simplified interface, which needs no setjmp. The file
 * is encoded in memory and stored whole.
 */
#include "png_write.h"

#include <math.h>
#include <png.h>

#include "file.h"

ln_code ln_png_write(ln_mem *mem, const char *path, const uint8_t *pixels, int width, int height,
                     int channels, ln_error *err) {
  if (width < 1 || height < 1 || width > 32768 || height > 32768) {
    return ln_fail(err, LN_EINVAL, "'%s': a picture of %dx%d pixels is outside 1..32768 a side",
                   path, width, height);
  }
  if (channels != 1 && channels != 3) {
    return ln_fail(err, LN_EINVAL, "'%s': %d channels; a PNG is written with 1 or 3", path, channels);
  }
  png_image image = {.version = PNG_IMAGE_VERSION, .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  void *encoded = ln_alloc(mem, size);
  if (encoded == NULL) {
    return ln_fail(err, LN_ENOMEM, "'%s': no memory to encode %dx%d pixels", path, width, height);
  }
  ln_code code;
  if (png_image_write_to_memory(&image, encoded, &size, 0, pixels, width * channels, NULL)) {
    code = ln_file_store(mem, path, encoded, size, err);
  } else {
    code = ln_fail(err, LN_ENOMEM, "'%s': libpng: %s", path, image.message);
    png_image_free(&image);
  }
  ln_free(mem, encoded);
  return code;
}

void ln_stretch_u8(const float *values, size_t count, uint8_t *out) {
  float low = INFINITY, high = -INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(values[i])) continue;
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  double range = high > low ? (double)high - (double)low : INFINITY;
  for (size_t i = 0; i < count; i++) {
    double level = ((double)values[i] - (double)low) / range * 255.0 + 0.5;
    out[i] = level >= 255.0 ? 255 : level > 0.0 ? (uint8_t)level : 0;
  }
}
