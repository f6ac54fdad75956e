/* image_png_plain.c: the plain PNGs, which most are, at three times libpng's speed.
 *
 * Plain: 8 bits a sample, not interlaced, no transparent colour, not huge. The file is read
 * whole, its IDAT chunks are moved together and inflated at once by libdeflate, and every
 * row is unfiltered and turned to grey while it is hot. What is not plain, and what shows
 * the least oddity (a checksum, an order, a size, trailing data in the stream), is left to
 * image_png.c: libpng's judgement and libpng's words hold, and this file has none of its
 * own. So it may only ever be stricter than libpng.
 *
 * One exception: libdeflate takes some streams that zlib refuses (lengths 286 and 287,
 * distances 30 and 31, a repeat past the last code length). No encoder writes them and no
 * accident can, since Adler's checksum of what libdeflate made of them has to hold.
 */
#include <libdeflate.h>
#include <string.h>
#include <sys/stat.h>

#include "decode.h"
#include "png_filter.h"

enum {
  GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6, /* IHDR's colour types */
  SIGNATURE = 8,
  CHUNK = 12,                /* a chunk's length, name and checksum */
  CHUNK_MOST = 8000000,      /* libpng refuses larger ones */
  MEMORY_MOST = 64 << 20     /* of the file, and of its pixels: libpng needs a row only */
};

typedef struct plain {
  ln_decode *d;
  struct libdeflate_decompressor *inflater;
  uint8_t *file, *stream, *rows; /* stream: in file; rows: a row of zeros, then the picture's, LN_PNG_PAD bytes more */
  size_t size, at, stream_bytes;
  int64_t width, height;
  int color, pixel;   /* bytes of a pixel */
  bool palette;
  uint8_t level[256]; /* grey of a palette index; Pillow shows one beyond the palette as black */
} plain;

static uint32_t big_endian(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* -- chunks */

typedef struct chunk {
  const uint8_t *name, *body;
  size_t bytes;
} chunk;

static bool letter(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* The next chunk, whole and with the right checksum. */
static bool next_chunk(plain *p, chunk *c) {
  if (p->size - p->at < CHUNK) return false;
  c->bytes = big_endian(p->file + p->at);
  if (c->bytes > CHUNK_MOST || c->bytes > p->size - p->at - CHUNK) return false;
  c->name = p->file + p->at + 4;
  c->body = c->name + 4;
  for (int i = 0; i < 4; i++)
    if (!letter(c->name[i])) return false;
  p->at += CHUNK + c->bytes;
  return libdeflate_crc32(0, c->name, 4 + c->bytes) == big_endian(c->body + c->bytes);
}

static bool is(const chunk *c, const char *name) { return memcmp(c->name, name, 4) == 0; }

/* Text, gamma, times and so on, which image_png.c skips as well. */
static bool skipped(const chunk *c) { return (c->name[0] & 32) != 0 && !is(c, "tRNS"); }

static size_t row_bytes(const plain *p) { return (size_t)p->width * (size_t)p->pixel; }

static bool read_header(plain *p) {
  static const uint8_t kind[] = {[GREY] = 1, [RGB] = 3, [PALETTE] = 1, [GREY_ALPHA] = 2, [RGBA] = 4};
  chunk c;
  if (!next_chunk(p, &c) || !is(&c, "IHDR") || c.bytes != 13) return false;
  uint32_t width = big_endian(c.body), height = big_endian(c.body + 4);
  p->color = c.body[9];
  if (c.body[8] != 8 || p->color >= (int)sizeof kind || kind[p->color] == 0) return false;
  if (c.body[10] != 0 || c.body[11] != 0 || c.body[12] != 0) return false; /* compression, filter, interlace */
  p->pixel = kind[p->color];
  if (width < 1 || height < 1 || width > MEMORY_MOST || height > MEMORY_MOST) return false;
  p->width = width;
  p->height = height;
  return (row_bytes(p) + 1) * (height + 1) <= MEMORY_MOST;
}

static bool read_palette(plain *p, const chunk *c) {
  if (p->color != PALETTE || p->palette || c->bytes == 0 || c->bytes % 3 != 0 || c->bytes > 3 * 256) return false;
  ln_luma_row(c->body, 3, (int64_t)(c->bytes / 3), p->level);
  return p->palette = true;
}

/* Up to the first chunk behind the IDATs, whose bodies are moved together. */
static bool gather(plain *p, chunk *c) {
  do {
    if (!next_chunk(p, c)) return false;
    if (is(c, "PLTE") ? !read_palette(p, c) : !is(c, "IDAT") && !skipped(c)) return false;
  } while (!is(c, "IDAT"));
  if (p->color == PALETTE && !p->palette) return false;
  p->stream = p->file + (c->body - p->file);
  while (is(c, "IDAT")) {
    memmove(p->stream + p->stream_bytes, c->body, c->bytes);
    p->stream_bytes += c->bytes;
    if (!next_chunk(p, c)) return false;
  }
  return true;
}

static bool read_chunks(plain *p) {
  p->at = SIGNATURE; /* image.c has looked at it */
  chunk c;
  if (!read_header(p) || !gather(p, &c)) return false;
  while (skipped(&c))
    if (!next_chunk(p, &c)) return false;
  return is(&c, "IEND") && c.bytes == 0;
}

/* -- pixels */

/* zlib refuses distances beyond the window that the header promises, libdeflate does not
 * look: it is all the same where the promise covers everything. */
static bool window_covers(const plain *p, size_t bytes) {
  unsigned log = p->stream_bytes > 0 ? 8u + (p->stream[0] >> 4) : 0;
  return log == 15 || (log >= 8 && log < 15 && bytes <= (size_t)1 << log);
}

static bool inflate(plain *p, uint8_t *out, size_t bytes) {
  size_t in_used, out_used;
  return window_covers(p, bytes) &&
         libdeflate_zlib_decompress_ex(p->inflater, p->stream, p->stream_bytes, out, bytes, &in_used, &out_used) ==
             LIBDEFLATE_SUCCESS &&
         in_used == p->stream_bytes && out_used == bytes;
}

static void grey_row(const plain *p, const uint8_t *row, uint8_t *grey) {
  switch (p->color) {
  case GREY: memcpy(grey, row, (size_t)p->width); return;
  case RGB:
  case RGBA: ln_luma_row(row, p->pixel, p->width, grey); return;
  case PALETTE:
    for (int64_t x = 0; x < p->width; x++) grey[x] = p->level[row[x]];
    return;
  case GREY_ALPHA:
    for (int64_t x = 0; x < p->width; x++) grey[x] = row[2 * x];
  }
}

static bool make_rows(const plain *p, uint8_t *row, size_t stride) {
  uint8_t *grey = p->d->out->data;
  for (int64_t y = 0; y < p->height; y++, row += stride, grey += p->width) {
    if (!ln_png_unfilter(row[0], row + 1, row + 1 - stride, stride - 1, p->pixel)) return false;
    grey_row(p, row + 1, grey);
  }
  return true;
}

static ln_code no_memory(const plain *p) {
  return ln_fail(p->d->err, LN_ENOMEM, "%s: no memory to decode the PNG", p->d->path);
}

/* done stays false when the file is not plain after all. */
static ln_code decode(plain *p, bool *done) {
  ln_mem *mem = p->d->mem;
  p->file = ln_alloc(mem, p->size);
  if (p->file == NULL) return no_memory(p);
  if (fread(p->file, 1, p->size, p->d->file) != p->size || !read_chunks(p)) return LN_OK;
  size_t stride = row_bytes(p) + 1, bytes = stride * (size_t)p->height;
  p->rows = ln_alloc(mem, stride + bytes + LN_PNG_PAD);
  p->inflater = libdeflate_alloc_decompressor();
  if (p->rows == NULL || p->inflater == NULL) return no_memory(p);
  memset(p->rows, 0, stride);
  memset(p->rows + stride + bytes, 0, LN_PNG_PAD);
  if (!inflate(p, p->rows + stride, bytes)) return LN_OK;
  ln_code code = ln_decode_begin(p->d, p->height, p->width);
  if (code == LN_OK) *done = make_rows(p, p->rows + stride, stride);
  return code;
}

ln_code ln_decode_png_plain(ln_decode *d, bool *done) {
  *done = false;
  struct stat info;
  if (fstat(fileno(d->file), &info) != 0 || info.st_size <= SIGNATURE || info.st_size > MEMORY_MOST) return LN_OK;
  plain p = {.d = d, .size = (size_t)info.st_size};
  ln_code code = decode(&p, done);
  libdeflate_free_decompressor(p.inflater);
  ln_free(d->mem, p.rows);
  ln_free(d->mem, p.file);
  if (code == LN_OK && !*done) {
    ln_image_free(d->mem, d->out);
    rewind(d->file);
  }
  return code;
}
