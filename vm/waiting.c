/* waiting.c: how long a thread of a kernel that has nothing left to do looks for work before it sleeps.
 *
 * GNU's OpenMP lets it look for milliseconds, which nobody else can use: neither another process nor, where there are
 * more of those than cores, the very thread that it waits for. A shorter look still bridges what lies between two kernels.
 *
 * OpenMP reads its setting from the environment when it is loaded, long before main, and has no call for it. But a program's
 * .preinit_array runs before its libraries' constructors, so there the setting takes the place of a variable that none of
 * them asks for; main gives that one back. Scripts, and what they start, see the environment as it was.
 */
#define _GNU_SOURCE /* environ */
#include <string.h>
#include <unistd.h>

#include "host.h"

static char setting[] = "GOMP_SPINCOUNT=10000";
static char *lent;      /* the variable whose place it has */

static char **find(char **environment, const char *name) {
  const size_t length = strlen(name);
  for (char **entry = environment; *entry != NULL; entry++)
    if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return entry;
  return NULL;
}

/* The C library is not set up yet: nothing here needs more of it than strings. */
static void look_briefly(int argc, char **argv, char **environment) {
  static const char *const unasked[] = {"_", "SHLVL", "OLDPWD", "PWD", "TERM", "HOME", "PATH"};
  (void)argc, (void)argv;
  if (find(environment, "GOMP_SPINCOUNT") != NULL || find(environment, "OMP_WAIT_POLICY") != NULL) return; /* whoever set that knows better */
  for (size_t i = 0; i < sizeof unasked / sizeof *unasked; i++) {
    char **place = find(environment, unasked[i]);
    if (place == NULL) continue;
    lent = *place;
    *place = setting;
    return;
  }
}

__attribute__((section(".preinit_array"), used)) static void (*const before_constructors)(int, char **, char **) = look_briefly;

void vm_restore_environment(void) {
  for (char **entry = environ; lent != NULL && *entry != NULL; entry++)
    if (*entry == setting) *entry = lent;
}
