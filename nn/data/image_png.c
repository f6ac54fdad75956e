/* image_png.c: PNG to 8-bit grey through libpng.
 *
 * libpng reports errors by longjmp. The jump stays inside this file: everything that must
 * survive it lives in struct reader, and the only function with a setjmp does nothing
 * else. Rows are turned to grey one by one, and the passes of an interlaced file are
 * spread here (grey conversion is per pixel, so the order does not matter); no more than
 * one row of colour is ever held.
 */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "decode.h"

typedef struct reader {
  ln_decode *d;
  png_structp png;
  png_infop info;
  uint8_t *row, *grey;  /* one row as decoded, and as grey */
  uint8_t level[256];   /* grey of a sample or palette index, up to 8 bits */
  ln_code code;
  jmp_buf escape;
} reader;

static void on_error(png_structp png, png_const_charp text) {
  reader *r = png_get_error_ptr(png);
  if (r->code == LN_OK) r->code = ln_fail(r->d->err, LN_EFORMAT, "%s: damaged PNG: %s", r->d->path, text);
  longjmp(r->escape, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static png_voidp on_alloc(png_structp png, png_alloc_size_t bytes) {
  reader *r = png_get_mem_ptr(png);
  void *block = ln_alloc(r->d->mem, bytes);
  if (block == NULL) r->code = ln_fail(r->d->err, LN_ENOMEM, "%s: no memory to decode the PNG", r->d->path);
  return block;
}

static void on_free(png_structp png, png_voidp block) {
  reader *r = png_get_mem_ptr(png);
  ln_free(r->d->mem, block);
}

static void on_read(png_structp png, png_bytep data, size_t bytes) {
  reader *r = png_get_io_ptr(png);
  if (fread(data, 1, bytes, r->d->file) == bytes) return;
  if (ferror(r->d->file))
    r->code = ln_fail(r->d->err, LN_EIO, "%s: cannot be read: %s", r->d->path, strerror(errno));
  else
    r->code = ln_fail(r->d->err, LN_EFORMAT, "%s: truncated PNG", r->d->path);
  png_error(png, "read");
}

static void check(reader *r, ln_code code) {
  if (code == LN_OK) return;
  r->code = code;
  png_error(r->png, "stopped");
}

static void open_png(reader *r) {
  r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, on_error, on_warning, r, on_alloc, on_free);
  if (r->png != NULL) r->info = png_create_info_struct(r->png);
  if (r->info == NULL && r->code == LN_OK)
    r->code = ln_fail(r->d->err, LN_ENOMEM, "%s: no memory to decode the PNG", r->d->path);
  if (r->code != LN_OK) longjmp(r->escape, 1);
  png_set_read_fn(r->png, r, on_read);
  /* The size is limited by pixels in ln_decode_begin; a wrong checksum anywhere is an
   * error; profiles, texts and the like are skipped unread. */
  png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff);
  png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_set_benign_errors(r->png, 1);
}

/* Grey levels of samples of up to 8 bits, as Pillow scales them. */
static void fill_levels(reader *r, int depth, int color) {
  if (color == PNG_COLOR_TYPE_PALETTE) {
    png_colorp palette = NULL;
    int entries = 0;
    png_get_PLTE(r->png, r->info, &palette, &entries);
    /* Pillow shows an index beyond the palette as black; level is zeroed. */
    for (int i = 0; i < entries; i++) r->level[i] = ln_luma(palette[i].red, palette[i].green, palette[i].blue);
    return;
  }
  int top = (1 << (depth < 8 ? depth : 8)) - 1;
  for (int i = 0; i <= top; i++) r->level[i] = (uint8_t)(i * 255 / top);
}

/* 16-bit big-endian grey, clipped as convert("L") clips mode I;16. */
static unsigned clip_row(const uint8_t *row, int64_t width, uint8_t *grey) {
  unsigned clipped = 0;
  for (int64_t x = 0; x < width; x++) {
    grey[x] = row[2 * x] != 0 ? 255 : row[2 * x + 1];
    clipped |= row[2 * x];
  }
  return clipped != 0 ? LN_IMAGE_CLIPPED : 0;
}

static void grey_row(reader *r, int depth, int color, int64_t width, uint8_t *grey) {
  if (color == PNG_COLOR_TYPE_RGB || color == PNG_COLOR_TYPE_RGB_ALPHA) ln_luma_row(r->row, 3, width, grey);
  else if (color == PNG_COLOR_TYPE_GRAY && depth == 16) r->d->out->flags |= clip_row(r->row, width, grey);
  else
    for (int64_t x = 0; x < width; x++) grey[x] = r->level[r->row[x]];
}

static void read_plain(reader *r, int depth, int color) {
  int64_t height = r->d->out->meta.dim[0], width = r->d->out->meta.dim[1];
  for (int64_t y = 0; y < height; y++) {
    png_read_row(r->png, r->row, NULL);
    grey_row(r, depth, color, width, r->d->out->data + y * width);
  }
}

/* Without png_set_interlace_handling, libpng gives each Adam7 pass as its own small image. */
static void read_interlaced(reader *r, int depth, int color) {
  int height = (int)r->d->out->meta.dim[0], width = (int)r->d->out->meta.dim[1];
  for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
    int rows = PNG_PASS_ROWS(height, pass), cols = PNG_PASS_COLS(width, pass);
    if (cols == 0) continue;
    for (int j = 0; j < rows; j++) {
      png_read_row(r->png, r->row, NULL);
      grey_row(r, depth, color, cols, r->grey);
      uint8_t *out = r->d->out->data + (int64_t)PNG_ROW_FROM_PASS_ROW(j, pass) * width;
      for (int i = 0; i < cols; i++) out[PNG_COL_FROM_PASS_COL(i, pass)] = r->grey[i];
    }
  }
}

static void read_png(reader *r) {
  open_png(r);
  png_read_info(r->png, r->info);
  png_uint_32 width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
  int depth = png_get_bit_depth(r->png, r->info), color = png_get_color_type(r->png, r->info);
  check(r, ln_decode_begin(r->d, height, width));
  if (r->d->header_only) return;
  /* Pillow keeps 16-bit grey as it is, and the high bytes of every other 16-bit format. */
  if (color != PNG_COLOR_TYPE_GRAY) png_set_strip_16(r->png);
  png_set_strip_alpha(r->png);
  png_set_packing(r->png);
  png_read_update_info(r->png, r->info);
  fill_levels(r, depth, color);
  r->row = png_malloc(r->png, png_get_rowbytes(r->png, r->info));
  if (png_get_interlace_type(r->png, r->info) == PNG_INTERLACE_ADAM7) {
    r->grey = png_malloc(r->png, width);
    read_interlaced(r, depth, color);
  } else {
    read_plain(r, depth, color);
  }
  png_read_end(r->png, NULL); /* the last checksums */
}

static void run(reader *r) {
  if (setjmp(r->escape) == 0) read_png(r);
}

ln_code ln_decode_png(ln_decode *d) {
  reader r = {.d = d};
  run(&r);
  ln_free(d->mem, r.row);
  ln_free(d->mem, r.grey);
  if (r.png != NULL) png_destroy_read_struct(&r.png, r.info != NULL ? &r.info : NULL, NULL);
  return r.code;
}
