/* isas.h: which instruction sets a test runs on: LUNETTE_ISA's alone where it is set, else each of them. */
#ifndef LUNETTE_TESTS_ISAS_H
#define LUNETTE_TESTS_ISAS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ISAS = 4 };
static const char *const isas[ISAS] = {"generic", "avx2", "avx512", "amx"};

/* Ask before the first setenv of LUNETTE_ISA: wanted[i] says that isas[i] shall run. */
static inline void isas_wanted(bool wanted[ISAS]) {
  const char *name = getenv("LUNETTE_ISA");
  for (int i = 0; i < ISAS; i++) wanted[i] = name == NULL || *name == '\0' || strcmp(name, isas[i]) == 0;
}

#endif
