/* file.c: atomic files, appending, reading. See file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ln_code failed(ln_error *err, const char *doing, const char *path, int reason) {
  char why[128];
  if (strerror_r(reason, why, sizeof why) != 0) snprintf(why, sizeof why, "error %d", reason);
  return ln_fail(err, LN_EIO, "cannot %s '%s': %s", doing, path, why);
}

static ln_code write_all(int fd, const void *data, size_t size, const char *path,
                         ln_error *err) {
  const char *next = data;
  while (size > 0) {
    ssize_t n = write(fd, next, size < 1u << 30 ? size : 1u << 30);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(err, "write", path, errno);
    if (n == 0) return failed(err, "write", path, ENOSPC);
    next += n;
    size -= (size_t)n;
  }
  return LN_OK;
}

/* Where the bytes of `path` really live: through links, so that a link stays a link. A
 * path that does not exist yet stands for itself. */
static char *resolve(ln_mem *mem, const char *path) {
  char *real = realpath(path, NULL);
  char *copy = ln_strdup(mem, real != NULL ? real : path);
  free(real);
  return copy;
}

/* "folder/.name.PID-N.tmp": in the same folder, since a rename cannot cross disks. */
static ln_code open_temporary(ln_file *f, ln_error *err) {
  const char *slash = strrchr(f->target, '/');
  size_t folder = slash == NULL ? 0 : (size_t)(slash - f->target) + 1;
  size_t size = strlen(f->target) + 48;
  f->temporary = ln_alloc(f->mem, size);
  if (f->temporary == NULL) {
    return ln_fail(err, LN_ENOMEM, "no memory for the name of '%s'", f->path);
  }
  for (unsigned attempt = 0; attempt < 10000; attempt++) {
    snprintf(f->temporary, size, "%.*s.%s.%ld-%u.tmp", (int)folder, f->target,
             f->target + folder, (long)getpid(), attempt);
    f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f->fd >= 0) return LN_OK;
    if (errno != EEXIST) break;
  }
  int reason = errno;
  ln_free(f->mem, f->temporary); /* so that abandoning does not remove another's file */
  f->temporary = NULL;
  return failed(err, "write", f->path, reason);
}

static ln_code open_target(ln_file *f, ln_error *err) {
  struct stat st;
  if (f->target[0] == '\0') return failed(err, "write", f->path, ENOENT);
  bool there = stat(f->target, &st) == 0;
  if (there && S_ISDIR(st.st_mode)) return failed(err, "write", f->path, EISDIR);
  f->direct = there && !S_ISREG(st.st_mode);
  if (f->direct) {
    f->fd = open(f->target, O_WRONLY | O_CLOEXEC);
    if (f->fd < 0) return failed(err, "write", f->path, errno);
    f->temporary = ln_strdup(f->mem, f->target);
    return f->temporary != NULL ? LN_OK : ln_fail(err, LN_ENOMEM, "no memory");
  }
  ln_code code = open_temporary(f, err);
  /* The new file takes over the old one's permissions, as far as the system lets it. */
  if (code == LN_OK && there) (void)!fchmod(f->fd, st.st_mode & 07777);
  return code;
}

ln_code ln_file_begin(ln_mem *mem, const char *path, ln_file *file, ln_error *err) {
  *file = (ln_file){.mem = mem, .fd = -1};
  file->path = ln_strdup(mem, path);
  file->target = resolve(mem, path);
  ln_code code = LN_OK;
  if (file->path == NULL || file->target == NULL) {
    code = ln_fail(err, LN_ENOMEM, "no memory for the name of '%s'", path);
  } else {
    code = open_target(file, err);
  }
  if (code != LN_OK) ln_file_abandon(file);
  return code;
}

void ln_file_abandon(ln_file *file) {
  if (file->fd >= 0) close(file->fd);
  if (file->temporary != NULL && !file->direct) unlink(file->temporary);
  ln_free(file->mem, file->temporary);
  ln_free(file->mem, file->target);
  ln_free(file->mem, file->path);
  *file = (ln_file){.mem = file->mem, .fd = -1};
}

ln_code ln_file_write(ln_file *file, const void *data, size_t size, ln_error *err) {
  ln_code code = write_all(file->fd, data, size, file->path, err);
  if (code != LN_OK) {
    ln_file_abandon(file);
    return code;
  }
  file->written += size;
  return LN_OK;
}

/* The rename itself must reach the disk; a folder that cannot be synced is no failure. */
static void sync_folder(const char *target) {
  char folder[4096];
  const char *slash = strrchr(target, '/');
  size_t length = slash == NULL ? 0 : (size_t)(slash - target) + 1;
  if (length >= sizeof folder) return;
  memcpy(folder, target, length);
  folder[length] = '\0';
  int fd = open(length == 0 ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!fsync(fd);
  close(fd);
}

ln_code ln_file_commit(ln_file *file, ln_error *err) {
  ln_code code = LN_OK;
  if (!file->direct && fsync(file->fd) != 0) code = failed(err, "write", file->path, errno);
  int closed = close(file->fd); /* NFS reports a full disk here */
  file->fd = -1;
  if (code == LN_OK && closed != 0) code = failed(err, "write", file->path, errno);
  if (code == LN_OK && !file->direct) {
    if (rename(file->temporary, file->target) != 0) {
      code = failed(err, "write", file->path, errno);
    } else {
      sync_folder(file->target);
      ln_free(file->mem, file->temporary); /* it has another name now */
      file->temporary = NULL;
    }
  }
  ln_file_abandon(file);
  return code;
}

ln_code ln_file_store(ln_mem *mem, const char *path, const void *data, size_t size,
                      ln_error *err) {
  ln_file file;
  ln_code code = ln_file_begin(mem, path, &file, err);
  if (code == LN_OK) code = ln_file_write(&file, data, size, err);
  if (code == LN_OK) code = ln_file_commit(&file, err);
  return code;
}

ln_code ln_file_append(const char *path, const void *data, size_t size, ln_error *err) {
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) return failed(err, "append to", path, errno);
  struct stat st;
  bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
  ln_code code = write_all(fd, data, size, path, err);
  if (code != LN_OK && regular) (void)!ftruncate(fd, st.st_size);
  if (close(fd) != 0 && code == LN_OK) code = failed(err, "append to", path, errno);
  return code;
}

/* Reads to the end: a size from stat is only a first guess (a pipe, /proc). */
static ln_code read_all(ln_mem *mem, int fd, const char *path, size_t limit, char **data,
                        size_t *size, ln_error *err) {
  struct stat st;
  size_t room = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 4096;
  if (room > limit) room = limit;
  char *text = ln_alloc(mem, room + 2);
  size_t have = 0;
  for (;;) {
    if (text == NULL) return ln_fail(err, LN_ENOMEM, "no memory to read '%s'", path);
    ssize_t n = read(fd, text + have, room + 1 - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      int reason = errno;
      ln_free(mem, text);
      return failed(err, "read", path, reason);
    }
    if (n == 0) break;
    have += (size_t)n;
    if (have > limit) {
      ln_free(mem, text);
      return ln_fail(err, LN_EFORMAT, "'%s' is larger than %zu bytes", path, limit);
    }
    if (have > room) {
      room = room * 2 < limit ? room * 2 : limit;
      char *grown = ln_realloc(mem, text, room + 2);
      if (grown == NULL) ln_free(mem, text);
      text = grown;
    }
  }
  text[have] = '\0';
  *data = text;
  *size = have;
  return LN_OK;
}

ln_code ln_file_read(ln_mem *mem, const char *path, size_t limit, char **data, size_t *size,
                     ln_error *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(err, "read", path, errno);
  ln_code code = read_all(mem, fd, path, limit, data, size, err);
  close(fd);
  return code;
}

ln_code ln_folder_make(ln_mem *mem, const char *path, ln_error *err) {
  char *part = ln_strdup(mem, path);
  if (part == NULL) return ln_fail(err, LN_ENOMEM, "no memory for the name of '%s'", path);
  ln_code code = LN_OK;
  size_t length = strlen(part);
  for (size_t i = 1; i <= length && code == LN_OK; i++) {
    if (part[i] != '/' && part[i] != '\0') continue;
    char kept = part[i];
    part[i] = '\0';
    struct stat st;
    if (mkdir(part, 0777) != 0) {
      int reason = errno; /* "exists" is fine for a folder, also one we may not write */
      bool folder = stat(part, &st) == 0 && S_ISDIR(st.st_mode);
      if (!folder) code = failed(err, "make the folder", path, reason == EEXIST ? ENOTDIR : reason);
    }
    part[i] = kept;
  }
  ln_free(mem, part);
  return code;
}

bool ln_file_exists(const char *path) {
  return access(path, F_OK) == 0;
}
