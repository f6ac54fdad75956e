/* file.h: files that are either there in full or not at all.
 *
 * A file is written under a temporary name in its own folder, flushed to the disk and
 * renamed over the old one, so that a run may be killed at any moment. Through a symbolic
 * link the file it points to is replaced, not the link. A target that exists and is no
 * regular file (/dev/stdout, a pipe) cannot be renamed over and is written directly.
 * Every failure names the file and gives the system's reason; the temporary name is gone.
 */
#ifndef LN_SAVE_FILE_H
#define LN_SAVE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/mem.h"
#include "../base/status.h"

typedef struct ln_file {
  ln_mem *mem;
  char *path;      /* as the caller said it, for messages */
  char *target;    /* what the rename replaces */
  char *temporary; /* what is written; equal text to target when direct */
  int fd;
  bool direct;
  uint64_t written;
} ln_file;

/* Opens the temporary file. On failure *file is empty and may be abandoned. */
ln_code ln_file_begin(ln_mem *mem, const char *path, ln_file *file, ln_error *err);
/* On failure the file is abandoned already. */
ln_code ln_file_write(ln_file *file, const void *data, size_t size, ln_error *err);
/* Flushes, renames and closes; frees *file whether it worked or not. */
ln_code ln_file_commit(ln_file *file, ln_error *err);
/* Removes the temporary file and frees; harmless on an empty or finished one. */
void ln_file_abandon(ln_file *file);

/* All of the above for content that is at hand. */
ln_code ln_file_store(ln_mem *mem, const char *path, const void *data, size_t size,
                      ln_error *err);
/* Adds text to the end of a file in one write, made if need be: whole lines of a log are
 * never interleaved. What is there stays as it is. On failure (disk full) the file is cut
 * back to what it was. */
ln_code ln_file_append(const char *path, const void *data, size_t size, ln_error *err);
/* The whole content, from ln_alloc, with a zero byte after it. More than limit bytes is
 * LN_EFORMAT. */
ln_code ln_file_read(ln_mem *mem, const char *path, size_t limit, char **data, size_t *size,
                     ln_error *err);
/* The folder and those above it; fine when it is there already. */
ln_code ln_folder_make(ln_mem *mem, const char *path, ln_error *err);
bool ln_file_exists(const char *path);

#endif
