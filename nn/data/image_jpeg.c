/* image_jpeg.c: JPEG to 8-bit grey through libjpeg-turbo.
 *
 * As in image_png.c, the jump out of an error stays inside this file. Colour goes the way
 * Pillow takes it: to RGB and then to luma (the file's own Y differs by rounding), and
 * four components are CMYK in Adobe's inverted convention, by way of RGB too.
 */
#include <stdio.h> /* jpeglib.h needs it and does not say so */

#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>
#include <string.h>

#include "decode.h"

typedef struct reader {
  ln_decode *d;
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  uint8_t *row;
  ln_code code;
  jmp_buf escape;
} reader;

static void on_error(j_common_ptr jpeg) {
  reader *r = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];
  jpeg->err->format_message(jpeg, text);
  bool memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
  r->code = memory ? ln_fail(r->d->err, LN_ENOMEM, "%s: no memory to decode the JPEG", r->d->path)
                   : ln_fail(r->d->err, LN_EFORMAT, "%s: damaged JPEG: %s", r->d->path, text);
  longjmp(r->escape, 1);
}

/* Level -1 is a warning: libjpeg goes on with grey or garbage where data is missing. Such
 * an image must not be trained on. Other warnings (stray bytes between markers) are harmless. */
static void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  reader *r = jpeg->client_data;
  switch (jpeg->err->msg_code) {
  case JWRN_JPEG_EOF:
  case JWRN_HIT_MARKER:
    r->code = ln_fail(r->d->err, LN_EFORMAT, "%s: truncated JPEG", r->d->path);
    longjmp(r->escape, 1);
  case JWRN_HUFF_BAD_CODE:
  case JWRN_ARITH_BAD_CODE:
    on_error(jpeg);
  }
}

static void on_output(j_common_ptr jpeg) { (void)jpeg; }

/* Pillow's cmyk2rgb on the inverted samples of an Adobe file, then luma. */
static void cmyk_row(const uint8_t *row, int64_t width, uint8_t *grey) {
  for (int64_t x = 0; x < width; x++) {
    unsigned k = row[4 * x + 3], rgb[3];
    for (int c = 0; c < 3; c++) {
      unsigned product = (255u - row[4 * x + c]) * k + 128u;
      rgb[c] = k - (((product >> 8) + product) >> 8);
    }
    grey[x] = ln_luma(rgb[0], rgb[1], rgb[2]);
  }
}

static void choose_colors(reader *r) {
  switch (r->jpeg.num_components) {
  case 1: r->jpeg.out_color_space = JCS_GRAYSCALE; return;
  case 3: r->jpeg.out_color_space = JCS_RGB; return;
  case 4: r->jpeg.out_color_space = JCS_CMYK; return;
  }
  r->code = ln_fail(r->d->err, LN_EFORMAT, "%s: a JPEG of %d components; 1, 3 and 4 are understood",
                    r->d->path, r->jpeg.num_components);
  longjmp(r->escape, 1);
}

static void read_rows(reader *r) {
  int64_t width = r->d->out->meta.dim[1];
  int components = r->jpeg.num_components;
  while (r->jpeg.output_scanline < r->jpeg.output_height) {
    uint8_t *grey = r->d->out->data + (int64_t)r->jpeg.output_scanline * width;
    JSAMPROW target = components == 1 ? grey : r->row;
    jpeg_read_scanlines(&r->jpeg, &target, 1);
    if (components == 3) ln_luma_row(r->row, 3, width, grey);
    if (components == 4) cmyk_row(r->row, width, grey);
  }
}

static void read_jpeg(reader *r) {
  jpeg_create_decompress(&r->jpeg);
  jpeg_stdio_src(&r->jpeg, r->d->file);
  jpeg_read_header(&r->jpeg, TRUE);
  r->code = ln_decode_begin(r->d, r->jpeg.image_height, r->jpeg.image_width);
  if (r->code != LN_OK || r->d->header_only) return;
  choose_colors(r);
  jpeg_start_decompress(&r->jpeg);
  size_t bytes = (size_t)r->jpeg.output_width * (size_t)r->jpeg.output_components;
  r->row = ln_alloc(r->d->mem, bytes);
  if (r->row == NULL) {
    r->code = ln_fail(r->d->err, LN_ENOMEM, "%s: no memory to decode the JPEG", r->d->path);
    return;
  }
  read_rows(r);
  jpeg_finish_decompress(&r->jpeg); /* a file cut off after its last row is found out here */
}

static void run(reader *r) {
  if (setjmp(r->escape) == 0) read_jpeg(r);
}

ln_code ln_decode_jpeg(ln_decode *d) {
  reader r = {.d = d};
  r.jpeg.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = on_error;
  r.errors.emit_message = on_message;
  r.errors.output_message = on_output;
  r.jpeg.client_data = &r;
  run(&r);
  ln_free(d->mem, r.row);
  jpeg_destroy_decompress(&r.jpeg);
  return r.code;
}
