/* interrupt.c: Ctrl-C stops the work and keeps the session.
 *
 * The handler sets ctx->interrupt, which bindings and plans poll between steps, and a debug
 * hook, which stops interpreted Lua. A loop compiled by LuaJIT looks at neither. What it
 * does look at is the profiler, when that runs in line mode: a profiler's tick leads out of
 * compiled code, and there the hook is waiting. (A hook set by the profiler's callback
 * would be lost: LuaJIT restores the mask after the call.)
 *
 * The profiler's own timer is switched off: LuaJIT's signal handler must never run on
 * another thread than Lua's. Instead the SIGINT handler arms a timer that sends SIGPROF
 * to the main thread alone, until the interrupt has been served.
 *
 * The state below is the one mutable global of the host: signals belong to the process.
 */
#define _GNU_SOURCE /* pipe2, SIGEV_THREAD_ID */
#include <errno.h>
#include <fcntl.h>
#include <luajit.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static struct {
  ln_ctx *ctx; /* NULL: closed */
  lua_State *L;
  pthread_t thread;
  timer_t timer;
  int pipe[2];
  bool handles_sigint;
  struct sigaction before;
  struct timespec last; /* of the previous press; only the handler touches it */
} self = { .pipe = { -1, -1 } };

static void set_timer(long nanoseconds) {
  struct itimerspec period = { .it_interval = { 0, nanoseconds }, .it_value = { 0, nanoseconds } };
  timer_settime(self.timer, 0, &period, NULL);
}

/* From a signal handler: no stdio, and a failing write has nobody to tell. */
static void say(const char *text) {
  ssize_t written = write(STDERR_FILENO, text, strlen(text));
  (void)written;
}

static void on_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  if (!vm_interrupt_pending()) return; /* somebody who polls was faster */
  vm_interrupt_clear();
  ln_error err;
  ln_fail(&err, LN_EINTR, "interrupted");
  vm_raise(L, &err);
}

static void on_sigint(int signal_number) {
  int saved = errno;
  if (!pthread_equal(pthread_self(), self.thread)) { /* lua_sethook is safe on Lua's thread only */
    pthread_kill(self.thread, signal_number);
    errno = saved;
    return;
  }
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double since = (double)(now.tv_sec - self.last.tv_sec) + 1e-9 * (double)(now.tv_nsec - self.last.tv_nsec);
  self.last = now;
  if (atomic_exchange(&self.ctx->interrupt, 1) != 0) { /* the last press has not been served yet */
    if (since < 0.05) {
      /* No second press: timeout(1), for one, signals a process and then its group. */
    } else if (since < 1.0) {
      say("\nlunette: killed\n");
      signal(signal_number, SIG_DFL);
      raise(signal_number);
    } else {
      say("\nlunette: still busy; press Ctrl-C twice within a second to kill it\n");
    }
  }
  ssize_t written = write(self.pipe[1], "", 1); /* non-blocking; a full pipe is awake anyway */
  (void)written;
  lua_sethook(self.L, on_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  set_timer(20 * 1000 * 1000);
  errno = saved;
}

/* The tick itself is what matters; when nothing is pending any more, it was the last. */
static void on_profile(void *data, lua_State *L, int samples, int state) {
  (void)data;
  (void)L;
  (void)samples;
  (void)state;
  if (!vm_interrupt_pending()) set_timer(0);
}

/* The profiler without its timer. */
static void start_profiler(lua_State *L) {
  luaJIT_profile_start(L, "li100", on_profile, NULL);
  struct itimerval off = { 0 };
  setitimer(ITIMER_PROF, &off, NULL);
}

bool vm_interrupt_open(lua_State *L) {
  struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
  event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  if (pipe2(self.pipe, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  if (timer_create(CLOCK_MONOTONIC, &event, &self.timer) != 0) {
    close(self.pipe[0]);
    close(self.pipe[1]);
    return false;
  }
  self.L = L;
  self.ctx = vm_ctx(L);
  self.thread = pthread_self();
  start_profiler(L);
  struct sigaction action = { .sa_handler = on_sigint };
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, NULL, &self.before);
  /* Started in the background by a shell, SIGINT is ignored: then it stays so. */
  self.handles_sigint = self.before.sa_handler != SIG_IGN;
  if (self.handles_sigint) sigaction(SIGINT, &action, NULL);
  return true;
}

void vm_interrupt_close(void) {
  if (self.ctx == NULL) return;
  if (self.handles_sigint) sigaction(SIGINT, &self.before, NULL);
  timer_delete(self.timer);
  luaJIT_profile_stop(self.L);
  close(self.pipe[0]);
  close(self.pipe[1]);
  self.ctx = NULL;
}

bool vm_interrupt_pending(void) {
  return self.ctx != NULL && atomic_load(&self.ctx->interrupt) != 0;
}

void vm_interrupt_clear(void) {
  if (self.ctx == NULL) return;
  char bytes[64];
  while (read(self.pipe[0], bytes, sizeof bytes) > 0) {
  }
  set_timer(0);
  atomic_store(&self.ctx->interrupt, 0);
}

int vm_interrupt_fd(void) { return self.pipe[0]; }
