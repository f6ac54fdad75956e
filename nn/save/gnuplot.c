/* gnuplot.c: gnuplot as a child process. The script goes in through a socket (so that a
 * child that died gives an error, not SIGPIPE), the picture comes out of its stdout
 * straight into the temporary file, its complaints go to a file in memory: no pipe can
 * fill up and block both sides. The child has its own process group, so that Ctrl-C at
 * the prompt does not reach it, and a deadline.
 */
#define _GNU_SOURCE /* memfd_create */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "file.h"

enum { DEADLINE_MS = 60000, COMPLAINT = 400 };

extern char **environ;

static const char *extension(const char *path) {
  const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
  return dot == NULL || (slash != NULL && slash > dot) ? "" : dot;
}

ln_code ln_gnuplot_terminal(ln_text *script, const char *path, int width, int height,
                            ln_error *err) {
  const char *end = extension(path);
  if (width < 50 || height < 50 || width > 10000 || height > 10000) {
    return ln_fail(err, LN_EINVAL, "figure '%s': size %dx%d is outside 50..10000 a side", path,
                   width, height);
  }
  if (strcmp(end, ".png") == 0) {
    ln_text_add(script, "set terminal pngcairo noenhanced size %d,%d font 'DejaVu Sans,10'\n", width,
                height);
  } else if (strcmp(end, ".svg") == 0) {
    ln_text_add(script, "set terminal svg noenhanced size %d,%d font 'DejaVu Sans,13' background 'white'\n",
                width, height);
  } else if (strcmp(end, ".pdf") == 0) {
    ln_text_add(script, "set terminal pdfcairo noenhanced size %.2fin,%.2fin font 'DejaVu Sans,10'\n",
                width / 100.0, height / 100.0);
  } else {
    return ln_fail(err, LN_EINVAL, "figure '%s': the name must end in .png, .svg or .pdf", path);
  }
  return LN_OK;
}

/* Doubles each character of `doubled`. */
static void quote(ln_text *script, const char *text, const char *doubled) {
  ln_text_bytes(script, "'", 1);
  for (const char *c = text; *c != '\0'; c++) {
    if (strchr(doubled, *c) != NULL) ln_text_bytes(script, c, 1);
    ln_text_bytes(script, (unsigned char)*c < 32 || *c == 127 ? " " : c, 1);
  }
  ln_text_bytes(script, "'", 1);
}

void ln_gnuplot_quote(ln_text *script, const char *text) { quote(script, text, "'"); }

void ln_gnuplot_quote_tick(ln_text *script, const char *text) { quote(script, text, "'%"); }

static long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Starts the child; gives posix_spawn's error number. */
static int start(pid_t *child, int in, int out, int complaints) {
  char *const argv[] = {(char[]){"gnuplot"}, (char[]){"--default-settings"}, NULL};
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int failed = posix_spawn_file_actions_init(&files);
  if (failed != 0) return failed;
  failed = posix_spawnattr_init(&attributes);
  if (failed != 0) {
    posix_spawn_file_actions_destroy(&files);
    return failed;
  }
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                            POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  failed = posix_spawn_file_actions_adddup2(&files, in, 0);
  if (failed == 0) failed = posix_spawn_file_actions_adddup2(&files, out, 1);
  if (failed == 0) failed = posix_spawn_file_actions_adddup2(&files, complaints, 2);
  if (failed == 0) failed = posix_spawnp(child, argv[0], &files, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return failed;
}

/* Sends the script; false when the child went away or the deadline passed. */
static bool feed(int to, const ln_text *script, long deadline) {
  size_t sent = 0;
  while (sent < script->size) {
    ssize_t n = send(to, script->data + sent, script->size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      sent += (size_t)n;
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
    long left = deadline - now_ms();
    struct pollfd wait = {.fd = to, .events = POLLOUT};
    if (left <= 0 || (poll(&wait, 1, (int)left) < 0 && errno != EINTR)) return false;
  }
  return true;
}

/* Waits for the child to end; kills it at the deadline. True when it left with status 0. */
static bool reap(pid_t child, long deadline, bool *late) {
  int status = 0;
  *late = false;
  for (;;) {
    pid_t got = waitpid(child, &status, WNOHANG);
    if (got == child) return !*late && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (got < 0 && errno != EINTR) return false;
    if (!*late && now_ms() > deadline) {
      *late = true;
      kill(-child, SIGKILL);
    }
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
  }
}

/* The last line of what gnuplot said: "line 26: undefined variable: x". */
static const char *complaint(int fd, char text[COMPLAINT]) {
  off_t size = lseek(fd, 0, SEEK_END);
  off_t from = size >= COMPLAINT ? size - COMPLAINT + 1 : 0;
  ssize_t n = size <= 0 ? 0 : pread(fd, text, COMPLAINT - 1, from);
  if (n < 0) n = 0;
  while (n > 0 && (unsigned char)text[n - 1] <= 32) n--;
  text[n] = '\0';
  const char *line = strrchr(text, '\n');
  line = line != NULL ? line + 1 : text;
  return n > 0 ? line + strspn(line, " \t") : "it gave no reason";
}

/* A full disk may cut a picture short without gnuplot noticing: each kind of file has an
 * end of its own. */
static bool complete(int fd, const char *path) {
  char tail[64];
  const char *end = extension(path);
  const char *mark = strcmp(end, ".png") == 0 ? "IEND" : strcmp(end, ".svg") == 0 ? "</svg>" : "%%EOF";
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < (off_t)sizeof tail) return false;
  if (pread(fd, tail, sizeof tail, size - (off_t)sizeof tail) != (ssize_t)sizeof tail) return false;
  return memmem(tail, sizeof tail, mark, strlen(mark)) != NULL;
}

/* Runs the child with its output in `out`; the script's end of the socket is in[1]. */
static ln_code draw(const ln_text *script, const char *path, int out, int in[2], int complaints,
                    ln_error *err) {
  pid_t child;
  int failed = start(&child, in[0], out, complaints);
  close(in[0]);
  in[0] = -1;
  if (failed == ENOENT) {
    return ln_fail(err, LN_ENODEV,
                   "figure '%s': gnuplot is not installed (Debian and Ubuntu: apt-get install "
                   "gnuplot-nox)", path);
  }
  if (failed != 0) return ln_fail(err, LN_EIO, "figure '%s': cannot run gnuplot: %s", path, strerror(failed));
  char text[COMPLAINT];
  bool late;
  long deadline = now_ms() + DEADLINE_MS;
  bool fed = feed(in[1], script, deadline);
  close(in[1]); /* the end of the script */
  in[1] = -1;
  bool good = reap(child, deadline, &late);
  if (late) {
    return ln_fail(err, LN_EIO, "figure '%s': gnuplot did not end within %d s", path,
                   DEADLINE_MS / 1000);
  }
  if (!good || !fed) {
    return ln_fail(err, LN_EIO, "figure '%s': gnuplot failed: %s", path, complaint(complaints, text));
  }
  return LN_OK;
}

ln_code ln_gnuplot_run(const ln_text *script, const char *path, ln_error *err) {
  if (script->failed) return ln_fail(err, LN_ENOMEM, "figure '%s': no memory", path);
  ln_file file;
  ln_code code = ln_file_begin(script->mem, path, &file, err);
  if (code != LN_OK) return code;
  int in[2] = {-1, -1}, complaints = memfd_create("gnuplot", MFD_CLOEXEC);
  /* complete() reads the picture back, and the file is open for writing only */
  int check = open(file.temporary, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (complaints < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0) {
    code = ln_fail(err, LN_EIO, "figure '%s': cannot run gnuplot: %s", path, strerror(errno));
  } else {
    code = draw(script, path, file.fd, in, complaints, err);
  }
  if (code == LN_OK && !file.direct && (check < 0 || !complete(check, path))) {
    code = ln_fail(err, LN_EIO, "cannot write '%s': the picture was cut short (disk full?)", path);
  }
  for (int i = 0; i < 2; i++) {
    if (in[i] >= 0) close(in[i]);
  }
  if (complaints >= 0) close(complaints);
  if (check >= 0) close(check);
  if (code == LN_OK) return ln_file_commit(&file, err);
  ln_file_abandon(&file);
  return code;
}
