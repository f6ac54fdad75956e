/* options.c: settings given as text, by the command line or by sys.configure. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

static bool refuse(char *text, size_t size, const char *name, const char *wants, const char *value) {
  snprintf(text, size, "%s wants %s, got '%s'", name, wants, value);
  return false;
}

static bool parse_whole(const char *value, unsigned long long lo, unsigned long long hi, unsigned long long *out) {
  if (*value < '0' || *value > '9') return false; /* strtoull takes signs and blanks */
  char *end;
  errno = 0;
  *out = strtoull(value, &end, 10);
  return errno == 0 && *end == '\0' && *out >= lo && *out <= hi;
}

static bool set_device(ln_options *options, const char *value, char *text, size_t size) {
  /* "auto" is the best there is: no CUDA plug-in exists yet. */
  ln_device device = strcmp(value, "auto") == 0 ? LN_CPU : ln_device_named(value);
  if (device == LN_DEVICE_COUNT) return refuse(text, size, "device", "cpu, cuda, reference or auto", value);
  options->device = device;
  return true;
}

static bool set_precision(ln_options *options, const char *value, char *text, size_t size) {
  options->kernel.strict = strcmp(value, "strict") == 0;
  options->kernel.low = strcmp(value, "bf16") == 0;
  if (!options->kernel.strict && !options->kernel.low && strcmp(value, "f32") != 0)
    return refuse(text, size, "precision", "strict, f32 or bf16", value);
  return true;
}

static bool set_memory(ln_options *options, const char *value, char *text, size_t size) {
  char *end;
  double gb = strtod(value, &end);
  if (end == value || *end != '\0' || !isfinite(gb) || gb < 0 || gb > 1e6)
    return refuse(text, size, "memory", "a number of gigabytes (0: no limit)", value);
  options->memory_limit = (size_t)(gb * 1e9);
  return true;
}

static bool set_flag(bool *flag, const char *name, const char *value, char *text, size_t size) {
  *flag = strcmp(value, "true") == 0;
  return *flag || strcmp(value, "false") == 0 || refuse(text, size, name, "true or false", value);
}

bool vm_option_set(ln_options *options, const char *name, const char *value, char *text, size_t size) {
  unsigned long long whole;
  if (strcmp(name, "device") == 0) return set_device(options, value, text, size);
  if (strcmp(name, "precision") == 0) return set_precision(options, value, text, size);
  if (strcmp(name, "memory") == 0) return set_memory(options, value, text, size);
  if (strcmp(name, "eager") == 0) return set_flag(&options->eager, name, value, text, size);
  if (strcmp(name, "deterministic") == 0)
    return set_flag(&options->kernel.deterministic, name, value, text, size);
  if (strcmp(name, "threads") == 0) {
    if (!parse_whole(value, 1, 1024, &whole)) return refuse(text, size, name, "a whole number from 1 to 1024", value);
    options->kernel.threads = (int)whole;
    return true;
  }
  if (strcmp(name, "seed") == 0) {
    if (!parse_whole(value, 0, UINT64_MAX, &whole)) return refuse(text, size, name, "a whole number, not negative", value);
    options->seed = whole;
    return true;
  }
  snprintf(text, size, "there is no setting '%s'", name);
  return false;
}
