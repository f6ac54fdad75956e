/* image.c: opening an image file and finding out what it is.
 *
 * The content decides, not the extension: data sets are full of JPEGs called .png. A
 * file is opened without blocking, so that a FIFO in a folder cannot hang a loader.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decode.h"

static ln_code no_memory(int64_t height, int64_t width, ln_error *err) {
  return ln_fail(err, LN_ENOMEM, "no memory for an image of %lldx%lld pixels",
                 (long long)width, (long long)height);
}

ln_code ln_image_new(ln_mem *mem, int64_t height, int64_t width, ln_image *out, ln_error *err) {
  memset(out, 0, sizeof *out);
  out->meta = (ln_meta){.dtype = LN_U8, .rank = 2, .dim = {height, width}};
  out->data = ln_alloc(mem, ln_mul((size_t)height, (size_t)width));
  return out->data != NULL ? LN_OK : no_memory(height, width, err);
}

void ln_image_free(ln_mem *mem, ln_image *image) {
  ln_free(mem, image->data);
  memset(image, 0, sizeof *image);
}

ln_code ln_decode_begin(ln_decode *d, int64_t height, int64_t width) {
  if (height < 1 || width < 1)
    return ln_fail(d->err, LN_EFORMAT, "%s: the image has no pixels (%lldx%lld)", d->path,
                   (long long)width, (long long)height);
  if (height > LN_IMAGE_MAX_PIXELS / width)
    return ln_fail(d->err, LN_EFORMAT, "%s: %lldx%lld pixels are more than the limit of %d (decompression bomb?)",
                   d->path, (long long)width, (long long)height, LN_IMAGE_MAX_PIXELS);
  d->out->meta = (ln_meta){.dtype = LN_U8, .rank = 2, .dim = {height, width}};
  if (d->header_only) return LN_OK;
  d->out->data = ln_alloc(d->mem, (size_t)height * (size_t)width);
  if (d->out->data != NULL) return LN_OK;
  return ln_fail(d->err, LN_ENOMEM, "%s: no memory for an image of %lldx%lld pixels", d->path,
                 (long long)width, (long long)height);
}

/* A regular file, or NULL with the reason in err. */
static FILE *open_regular(const char *path, ln_error *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    ln_fail(err, LN_EIO, "%s: %s", path, strerror(errno));
    return NULL;
  }
  struct stat info;
  const char *why = NULL;
  if (fstat(fd, &info) != 0) why = strerror(errno);
  else if (S_ISDIR(info.st_mode)) why = "is a directory, not an image";
  else if (!S_ISREG(info.st_mode)) why = "is not a regular file";
  FILE *file = why == NULL ? fdopen(fd, "rb") : NULL;
  if (file != NULL) return file;
  ln_fail(err, LN_EIO, "%s: %s", path, why != NULL ? why : strerror(errno));
  close(fd);
  return NULL;
}

static ln_code decode_png(ln_decode *d) {
  bool done = false;
  ln_code code = d->header_only ? LN_OK : ln_decode_png_plain(d, &done);
  return code != LN_OK || done ? code : ln_decode_png(d);
}

static ln_code decode(ln_decode *d) {
  static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  static const uint8_t jpeg[3] = {0xff, 0xd8, 0xff};
  uint8_t head[8];
  size_t got = fread(head, 1, sizeof head, d->file);
  if (got < sizeof head && ferror(d->file))
    return ln_fail(d->err, LN_EIO, "%s: cannot be read: %s", d->path, strerror(errno));
  if (got == 0) return ln_fail(d->err, LN_EFORMAT, "%s: the file is empty", d->path);
  rewind(d->file);
  if (got >= sizeof png && memcmp(head, png, sizeof png) == 0) return decode_png(d);
  if (got >= sizeof jpeg && memcmp(head, jpeg, sizeof jpeg) == 0) return ln_decode_jpeg(d);
  return ln_fail(d->err, LN_EFORMAT, "%s: neither a PNG nor a JPEG file by its content", d->path);
}

static ln_code read_file(ln_mem *mem, const char *path, bool header_only, ln_image *out, ln_error *err) {
  memset(out, 0, sizeof *out);
  FILE *file = open_regular(path, err);
  if (file == NULL) return LN_EIO;
  ln_decode d = {.mem = mem, .file = file, .path = path, .out = out, .err = err, .header_only = header_only};
  ln_code code = decode(&d);
  fclose(file);
  if (code != LN_OK) ln_image_free(mem, out);
  return code;
}

ln_code ln_image_read(ln_mem *mem, const char *path, ln_image *out, ln_error *err) {
  return read_file(mem, path, false, out, err);
}

ln_code ln_image_read_header(ln_mem *mem, const char *path, ln_image *out, ln_error *err) {
  return read_file(mem, path, true, out, err);
}
