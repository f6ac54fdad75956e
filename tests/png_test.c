/* png_test.c: the fast way through a PNG (image_png_plain.c) beside libpng's. Whatever the
 * fast way takes, libpng must take too, with the same pixels; what is plain it must take;
 * and after it has left a file to libpng nothing may have happened. Files of every kind are
 * made here and then damaged in every way, with and without the checksums put right.
 *   png_test [ROUNDS [SEED]]
 */
#define _GNU_SOURCE
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "../nn/data/decode.h"

static int passed, failed;

static void report(const char *name, const char *why) {
  if (why == NULL) passed++, printf("ok %s\n", name);
  else failed++, printf("FAILED %s: %s\n", name, why);
}

static uint64_t random_state = 1;

static unsigned any(unsigned below) { /* xorshift64*; of nothing, 0 */
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (unsigned)((random_state * 0x2545f4914f6cdd1dull) >> 33) % (below > 0 ? below : 1);
}

/* -- a file in memory */

enum { ROOM = 1 << 16 };

typedef struct text {
  uint8_t byte[ROOM];
  size_t size;
} text;

static void put(text *t, const void *data, size_t size) {
  if (size > ROOM - t->size) size = ROOM - t->size;
  memcpy(t->byte + t->size, data, size);
  t->size += size;
}

static void put_u32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static void put_chunk(text *t, const char *name, const void *body, size_t size) {
  uint8_t number[4];
  put_u32(number, (uint32_t)size);
  put(t, number, 4);
  put(t, name, 4);
  put(t, body, size);
  uLong crc = crc32(crc32(0, (const Bytef *)name, 4), body, (uInt)size);
  put_u32(number, (uint32_t)(size == 0 ? crc32(0, (const Bytef *)name, 4) : crc));
  put(t, number, 4);
}

/* Where chunk k begins, or SIZE_MAX. */
static size_t chunk_at(const text *t, unsigned k) {
  size_t at = 8;
  for (; at + 12 <= t->size; at += 12 + get_u32(t->byte + at)) {
    if (get_u32(t->byte + at) > t->size - at - 12) break;
    if (k-- == 0) return at;
  }
  return SIZE_MAX;
}

static unsigned chunk_count(const text *t) {
  unsigned n = 0;
  while (chunk_at(t, n) != SIZE_MAX) n++;
  return n;
}

static void fix_crc(text *t, size_t at) {
  uint32_t size = get_u32(t->byte + at);
  put_u32(t->byte + at + 8 + size, (uint32_t)crc32(0, t->byte + at + 4, size + 4));
}

/* -- making one */

typedef struct kind {
  int color, depth, interlace;
  unsigned width, height;
  int level, window;       /* of deflate */
  int filter;              /* 0 to 4, -1: any in each row */
  unsigned piece;          /* the largest IDAT */
  bool transparent, words; /* with tRNS; with chunks to skip */
  unsigned entries;        /* of the palette */
} kind;

static size_t pixel_bits(const kind *k) {
  static const int channels[] = {1, 0, 3, 1, 2, 0, 4};
  return (size_t)(channels[k->color] * k->depth);
}

/* What deflate gets: rows as filtered, interlaced ones in seven passes. The bytes mean
 * whatever they mean; smooth and noisy stretches take turns. */
static size_t filtered(const kind *k, uint8_t *out) {
  size_t n = 0;
  for (int pass = 0; pass < (k->interlace ? 7 : 1); pass++) {
    size_t width = k->interlace ? (size_t)PNG_PASS_COLS((int)k->width, pass) : k->width;
    size_t height = k->interlace ? (size_t)PNG_PASS_ROWS((int)k->height, pass) : k->height;
    if (width == 0) continue;
    for (size_t y = 0; y < height; y++) {
      out[n++] = (uint8_t)(k->filter >= 0 ? (unsigned)k->filter : any(5));
      unsigned noise = any(3) == 0 ? 256 : 4;
      for (size_t i = 0; i < (width * pixel_bits(k) + 7) / 8; i++) out[n++] = (uint8_t)any(noise);
    }
  }
  return n;
}

static void put_data(text *t, const kind *k) {
  static uint8_t rows[ROOM], packed[ROOM];
  z_stream z = {0};
  deflateInit2(&z, k->level, Z_DEFLATED, k->window, 8, Z_DEFAULT_STRATEGY);
  z.next_in = rows;
  z.avail_in = (uInt)filtered(k, rows);
  z.next_out = packed;
  z.avail_out = ROOM;
  deflate(&z, Z_FINISH);
  size_t size = z.total_out;
  deflateEnd(&z);
  for (size_t at = 0; at < size; at += k->piece)
    put_chunk(t, "IDAT", packed + at, size - at < k->piece ? size - at : k->piece);
}

static void make(text *t, const kind *k) {
  uint8_t header[13] = {[8] = (uint8_t)k->depth, (uint8_t)k->color, 0, 0, (uint8_t)k->interlace}, colors[768];
  put_u32(header, k->width);
  put_u32(header + 4, k->height);
  for (int i = 0; i < 768; i++) colors[i] = (uint8_t)any(256);
  t->size = 0;
  put(t, "\x89PNG\r\n\x1a\n", 8);
  put_chunk(t, "IHDR", header, 13);
  if (k->words) put_chunk(t, "gAMA", "\0\0\xb1\x8f", 4);
  if (k->color == PNG_COLOR_TYPE_PALETTE) put_chunk(t, "PLTE", colors, 3 * k->entries);
  if (k->transparent) put_chunk(t, "tRNS", colors, k->color == PNG_COLOR_TYPE_PALETTE ? 1 : k->color == PNG_COLOR_TYPE_RGB ? 6 : 2);
  if (k->words) put_chunk(t, "tEXt", "Title\0what", 10);
  put_data(t, k);
  if (k->words) put_chunk(t, "tIME", "\x07\xe6\1\1\1\1\1", 7);
  put_chunk(t, "IEND", "", 0);
}

static bool is_plain(const kind *k) { return k->depth == 8 && !k->interlace && !k->transparent; }

static kind any_kind(void) {
  static const int colors[] = {0, 0, 2, 2, 3, 4, 6}, small[] = {1, 2, 4, 8, 16};
  kind k = {.color = colors[any(7)], .depth = 8, .interlace = any(5) == 0, .width = 1 + any(40), .height = 1 + any(40),
            .level = (int)any(10), .window = any(3) == 0 ? 9 + (int)any(7) : 15, .filter = (int)any(6) - 1,
            .piece = any(3) == 0 ? 1 + any(50) : ROOM, .words = any(3) == 0, .entries = 256};
  if (any(4) == 0) k.depth = k.color == 0 ? small[any(5)] : k.color == 3 ? small[any(4)] : 16;
  k.transparent = any(6) == 0 && k.color != 4 && k.color != 6;
  if (k.color == 3) k.entries = 1 + any(1u << k.depth);
  return k;
}

/* -- both ways */

typedef struct outcome {
  ln_mem mem;
  ln_image image;
  ln_error err;
  ln_code code;
  bool done;
} outcome;

static void decode_by(const text *t, bool plain, outcome *o) {
  memset(o, 0, sizeof *o);
  int fd = memfd_create("png", 0);
  if (write(fd, t->byte, t->size) != (ssize_t)t->size || lseek(fd, 0, SEEK_SET) != 0) abort();
  FILE *file = fdopen(fd, "rb");
  ln_decode d = {.mem = &o->mem, .file = file, .path = "it", .out = &o->image, .err = &o->err};
  o->code = plain ? ln_decode_png_plain(&d, &o->done) : ln_decode_png(&d);
  if (plain && !o->done && ftell(file) != 0) o->code = LN_EIO; /* libpng would not find the beginning */
  fclose(file);
}

static bool same_image(const ln_image *a, const ln_image *b) {
  return memcmp(&a->meta, &b->meta, sizeof a->meta) == 0 && a->flags == b->flags &&
         memcmp(a->data, b->data, (size_t)(a->meta.dim[0] * a->meta.dim[1])) == 0;
}

/* NULL when the two agree; *taken: the fast way took it. */
static const char *compare(const text *t, bool *taken) {
  static outcome fast, slow;
  decode_by(t, true, &fast);
  decode_by(t, false, &slow);
  const char *why = NULL;
  *taken = fast.done;
  if (fast.code != LN_OK) why = "the fast way has an error of its own, or has moved the file";
  else if (fast.done && slow.code != LN_OK) why = slow.err.text;
  else if (fast.done && !same_image(&fast.image, &slow.image)) why = "the pixels differ";
  else if (!fast.done && (fast.image.data != NULL || fast.image.flags != 0)) why = "a trace was left for libpng";
  ln_image_free(&fast.mem, &fast.image);
  if (slow.code == LN_OK) ln_image_free(&slow.mem, &slow.image);
  else if (slow.image.data != NULL) ln_free(&slow.mem, slow.image.data);
  if (atomic_load(&fast.mem.live) != 0 || atomic_load(&slow.mem.live) != 0) return "memory is left";
  return why;
}

/* -- damage */

static void splice(text *t, size_t at, size_t cut, const uint8_t *in, size_t size) {
  if (at > t->size || cut > t->size - at || t->size - cut + size > ROOM) return;
  memmove(t->byte + at + size, t->byte + at + cut, t->size - at - cut);
  if (size > 0) memcpy(t->byte + at, in, size);
  t->size = t->size - cut + size;
}

static void change_byte(uint8_t *byte) { *byte = (uint8_t)(any(2) ? *byte ^ 1u << any(8) : any(256)); }

/* A byte of a body, and mostly the checksum put right. */
static void change_body(text *t) {
  size_t at = chunk_at(t, any(chunk_count(t)));
  if (at == SIZE_MAX || get_u32(t->byte + at) == 0) return;
  uint32_t size = get_u32(t->byte + at), first = any(3) == 0 ? any(size) : any(size < 14 ? size : 14);
  change_byte(t->byte + at + 8 + first);
  if (any(8) != 0) fix_crc(t, at);
}

static void move_chunk(text *t) {
  static uint8_t held[ROOM];
  size_t from = chunk_at(t, any(chunk_count(t)));
  if (from == SIZE_MAX) return;
  size_t size = 12 + get_u32(t->byte + from);
  memcpy(held, t->byte + from, size);
  if (any(2)) splice(t, from, size, NULL, 0); /* else it comes twice */
  size_t to = chunk_at(t, any(chunk_count(t) + 1));
  if (any(3) != 0) splice(t, to == SIZE_MAX ? t->size : to, 0, held, size);
}

static void change_name(text *t) {
  size_t at = chunk_at(t, any(chunk_count(t)));
  if (at == SIZE_MAX) return;
  static const char *const names[] = {"tRNS", "PLTE", "IDAT", "IEND", "teSt", "TeSt", "sBIT", "te1t", "IHDR"};
  memcpy(t->byte + at + 4, names[any(9)], 4);
  fix_crc(t, at);
}

/* The stream's own bytes: Adler's checksum is put right when zlib can still read it. */
static void change_stream(text *t) {
  static uint8_t out[1 << 20];
  unsigned k = 0;
  while (chunk_at(t, k) != SIZE_MAX && memcmp(t->byte + chunk_at(t, k) + 4, "IDAT", 4) != 0) k++;
  size_t at = chunk_at(t, k);
  if (at == SIZE_MAX || get_u32(t->byte + at) < 7) return;
  uint32_t size = get_u32(t->byte + at);
  uint8_t *body = t->byte + at + 8;
  change_byte(body + 2 + any(size - 6));
  z_stream z = {.next_in = body + 2, .avail_in = size - 6, .next_out = out, .avail_out = sizeof out};
  inflateInit2(&z, -15);
  if (inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0)
    put_u32(body + size - 4, (uint32_t)adler32(1, out, (uInt)z.total_out));
  inflateEnd(&z);
  fix_crc(t, at);
}

static void pad_stream(text *t) { /* bytes behind the stream, or its end cut off */
  for (unsigned k = 0; chunk_at(t, k) != SIZE_MAX; k++) {
    size_t at = chunk_at(t, k);
    uint32_t size = get_u32(t->byte + at);
    if (memcmp(t->byte + at + 4, "IDAT", 4) != 0 || size < 8) continue;
    bool more = any(2);
    uint32_t by = 1 + any(7);
    uint8_t zeros[8] = {0};
    if (more) splice(t, at + 8 + size, 0, zeros, by);
    else splice(t, at + 8 + size - by, by, NULL, 0);
    put_u32(t->byte + at, more ? size + by : size - by);
    fix_crc(t, at);
    return;
  }
}

static void damage(text *t) {
  switch (any(8)) {
  case 0: change_byte(t->byte + 8 + any((unsigned)t->size - 8)); return;
  case 1: change_body(t); return;
  case 2: move_chunk(t); return;
  case 3: change_name(t); return;
  case 4: change_stream(t); return;
  case 5: pad_stream(t); return;
  case 6: t->size = 8 + any((unsigned)t->size - 8); return;
  case 7: splice(t, 8 + any((unsigned)t->size - 8), any(3), (const uint8_t *)"abc", any(4)); return;
  }
}

static const char *test_whole(void) {
  static text t;
  static char why[256];
  for (int round = 0; round < 3000; round++) {
    kind k = any_kind();
    bool taken;
    make(&t, &k);
    const char *wrong = compare(&t, &taken);
    /* a window that is too small for the picture is left to zlib */
    if (wrong == NULL && is_plain(&k) && k.window == 15 && !taken) wrong = "a plain file was left to libpng";
    if (wrong == NULL && !is_plain(&k) && taken) wrong = "a file that is not plain was taken";
    if (wrong == NULL) continue;
    snprintf(why, sizeof why, "%.150s (%ux%u, color %d, depth %d, filter %d)", wrong, k.width, k.height, k.color, k.depth, k.filter);
    return why;
  }
  return NULL;
}

static const char *test_damaged(int rounds) {
  static text t;
  static char why[256];
  int taken_count = 0, left = 0;
  for (int round = 0; round < rounds; round++) {
    kind k = any_kind();
    bool taken;
    make(&t, &k);
    for (unsigned n = 1 + any(3); n > 0 && t.size > 20; n--) damage(&t);
    const char *wrong = compare(&t, &taken);
    if (taken) taken_count++;
    else left++;
    if (wrong == NULL) continue;
    snprintf(why, sizeof why, "%.150s (round %d, %ux%u, color %d, depth %d)", wrong, round, k.width, k.height, k.color, k.depth);
    return why;
  }
  printf("# %d damaged files: the fast way took %d and left %d\n", rounds, taken_count, left);
  return taken_count > rounds / 50 && left > rounds / 2 ? NULL : "the damage is too light or too heavy to prove anything";
}

/* A stream whose distances reach beyond the window that its header promises. */
static const char *test_window(void) {
  static text t;
  kind k = {.color = 2, .depth = 8, .width = 40, .height = 40, .level = 9, .window = 15, .filter = 0, .piece = ROOM};
  make(&t, &k);
  uint8_t *stream = t.byte + chunk_at(&t, 1) + 8;
  stream[0] = 0x18; /* 512 bytes for 4,840 */
  stream[1] = (uint8_t)(31 - stream[0] * 256 % 31);
  fix_crc(&t, chunk_at(&t, 1));
  bool taken;
  const char *why = compare(&t, &taken);
  return why != NULL ? why : taken ? "it was taken" : NULL;
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 20000;
  if (argc > 2) random_state = strtoull(argv[2], NULL, 10) * 2 + 1;
  report("whole files: plain ones are taken, all are equal", test_whole());
  report("damaged files: never taken where libpng refuses, equal pixels", test_damaged(rounds));
  report("a window smaller than the distances is zlib's to judge", test_window());
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}
