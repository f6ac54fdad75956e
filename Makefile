# Lunette's build. Targets:
#
#   make            build/lunette
#   make deps       install the missing Debian packages (as root or with sudo)
#   make demo       deps if need be, build, run and compare the eight pipelines on drawn data
#   make test       deps if need be, build, all quick tests; test-long adds the slow ones
#   make test-asan  the tests under AddressSanitizer and UBSan (build/asan)
#   make bench      Lunette beside its peers (bench/README.md); BENCH="--only gpt4" gives it options
#   make lint       luacheck and shellcheck, where installed
#   make install    into PREFIX (default /usr/local), DESTDIR is honoured
#   make clean
#
# Variables: V=1 (show commands), CC, CFLAGS (added at the end), JOBS, BUILD, PREFIX, DESTDIR, DEMO_OPTIONS, BENCH.
# Headers are tracked by the compiler (-MMD); new .c and .lua files are picked up by
# themselves. Nothing is written outside BUILD, except by install and demo (runs/).

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
PKG_CONFIG ?= pkg-config
export PKG_CONFIG

# Small images, few steps and one learning rate for all: it shows the way, not the ranking.
DEMO_OPTIONS ?= --out runs/demo --phantom brain:80 --size 64 --batch 4 --epochs 4 --lr 1e-3 --budget 150

MAKEFLAGS += --no-builtin-rules --no-print-directory
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(JOBS)
endif
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# -- What is there -----------------------------------------------------------------

# Lines "piece version package purpose"; a version of "-" is a missing piece.
detect := CC='$(CC)' tools/detect '$(CC)'
found_libraries := luajit openblas onednn libpng libdeflate libjpeg jansson xlsxwriter
missing := $(shell $(detect) | awk '$$2 == "-" { print $$1 }')
missing_libraries := $(filter pkg-config $(found_libraries),$(missing))

# The OpenMP build of OpenBLAS shares its threads with ours; the rpath makes sure that
# it is the one loaded, whichever Debian's alternatives prefer.
openblas_openmp := $(firstword $(wildcard /usr/lib/*/openblas-openmp/pkgconfig))
export PKG_CONFIG_PATH := $(openblas_openmp)$(addprefix :,$(PKG_CONFIG_PATH))

ifeq ($(missing_libraries),)
packages := luajit openblas libpng libdeflate libjpeg jansson
package_cflags := $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(packages)))
# OpenBLAS is loaded at run time (nn/cpu/blas.c), after its kernels were chosen.
package_libs := $(shell $(PKG_CONFIG) --libs $(filter-out openblas,$(packages))) -ldnnl -lxlsxwriter
package_libs += -Wl,-rpath,$(shell $(PKG_CONFIG) --variable=libdir openblas)
endif

# -- Flags ---------------------------------------------------------------------------

# Never -Ofast or -ffast-math: they break NaN tests and the bits of every sum.
# No contraction either, but in most of nn/cpu's kern_*.c: a*b+c gives the same bits with and without FMA.
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wpointer-arith -Wmissing-prototypes -Wold-style-definition -Werror
STANDARD := -std=gnu11 -O3 -ffp-contract=off -fopenmp -g
LINK     := -fopenmp -Wl,-z,relro,-z,now
ifdef SANITIZE
STANDARD := -std=gnu11 -O1 -ffp-contract=off -fopenmp -g -fno-omit-frame-pointer \
            -fsanitize=address,undefined -fno-sanitize-recover=undefined
LINK     += -fsanitize=address,undefined
endif
compile = $(say)$(CC) $(STANDARD) $(WARNINGS) $(package_cflags) $(FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# One short line a file; V=1 shows the whole command.
silent := $(findstring s,$(firstword -$(MAKEFLAGS)))
say = $(if $(V),,@$(if $(silent),,echo "  $(@:$(BUILD)/%=%)"; ))

# -- Sources -------------------------------------------------------------------------

nn_sources := $(sort $(wildcard nn/*.c nn/*/*.c nn/*/*/*.c))
vm_sources := $(sort $(wildcard vm/*.c))
lua_files  := $(sort $(shell find lib/lua -name '*.lua' 2>/dev/null))

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# nn/cpu's span_*.c and kern_*.c are compiled once an instruction set; run time picks one (nn/cpu/cpu.h).
# The two -fno- flags change errno and exception flags only, never a result.
isas := generic $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),avx2 avx512)
isa_flags_generic :=
isa_flags_avx2   := -mavx2 -mfma -mf16c
avx512_flags     := -mavx512f -mavx512bw -mavx512dq -mavx512vl $(isa_flags_avx2) -mprefer-vector-width=512
isa_flags_avx512 := $(avx512_flags)
isa_lanes_generic := 8
isa_lanes_avx2    := 8
isa_lanes_avx512  := 16
# WIDE=1: the AVX-512 shape of everything, in AVX2's instructions, for testing where there is no AVX-512.
ifdef WIDE
isa_flags_avx512 := $(isa_flags_avx2)
STANDARD += -DLN_WIDE
endif
spans := $(wildcard nn/cpu/span_*.c nn/cpu/kern_*.c nn/cpu/*/kern_*.c)
span_objects := $(foreach isa,$(isas),$(patsubst %.c,$(BUILD)/obj/%.$(isa).o,$(spans)))

nn_objects := $(call object,$(filter-out $(spans),$(nn_sources))) $(span_objects)
vm_objects := $(call object,$(vm_sources)) $(BUILD)/obj/embedded.o
objects := $(nn_objects) $(vm_objects)

# C tests: tests/<name>_test.c is a program of its own over nn/, without Lua.
c_tests := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/*_test.c))
# So is bench/<name>.c: make build/bench/<name>.
c_benches := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

$(shell mkdir -p $(sort $(dir $(objects)) $(BUILD)/tests $(BUILD)/bench))

.PHONY: all deps demo test test-long test-asan bench lint install clean config run-demo run-tests help FORCE
all: $(BUILD)/lunette

ifneq ($(missing_libraries),)
# Nothing can be compiled yet: say what is missing and how to get it.
$(BUILD)/lunette: config
	@echo "missing: $(missing_libraries). Run: make deps" >&2; exit 1
else
$(BUILD)/lunette: $(objects) | $(BUILD)/config
	$(say)$(CC) $(LINK) -o $@ $(objects) $(package_libs) -ldl -lm
endif

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	$(compile)

# Without contraction in kern_layer*.c: memory is their limit, and their bits are those of the plain kernels.
$(BUILD)/obj/nn/cpu/kern_%.o $(BUILD)/obj/nn/cpu/conv/kern_%.o: FLAGS += -ffp-contract=fast -Wno-psabi
$(BUILD)/obj/nn/cpu/kern_layer%.o: FLAGS += -ffp-contract=off
# One more instruction than AVX-512's level has; run time asks for it (nn/cpu/conv/pairs.c).
$(BUILD)/obj/nn/cpu/conv/pairs_dot.o: FLAGS += -ffp-contract=fast -Wno-psabi $(avx512_flags) -mavx512bf16
define span_rule
$(BUILD)/obj/%.$(1).o: FLAGS += -DLN_ISA=$(1) -DLN_LANES=$(isa_lanes_$(1)) -fno-math-errno -fno-trapping-math $(isa_flags_$(1))
$(BUILD)/obj/%.$(1).o: %.c $(BUILD)/flags
	$$(compile)
endef
$(foreach isa,$(isas),$(eval $(call span_rule,$(isa))))

$(BUILD)/obj/vm/main.o: FLAGS += -DLN_VERSION='"$(VERSION)"'

# Programs of their own over nn/: tests, and bench/*.c. tests/png_test.c makes its files with zlib, which
# libpng-dev brings.
program = $(say)$(CC) $(STANDARD) $(WARNINGS) $(package_cflags) $(CFLAGS) -MMD -MP $(LINK) -o $@ $< $(nn_objects) $(package_libs) -lz -lm
$(BUILD)/tests/%: tests/%.c $(nn_objects) $(BUILD)/flags
	$(program)
$(BUILD)/bench/%: bench/%.c $(nn_objects) $(BUILD)/flags
	$(program)

# A change of compiler or flags rebuilds everything.
flags := $(CC) $(STANDARD) $(WARNINGS) $(package_cflags) $(CFLAGS) $(VERSION)
$(BUILD)/flags: FORCE
	@echo '$(subst ','\'',$(flags))' | cmp -s - $@ || echo '$(subst ','\'',$(flags))' > $@

# lib/lua travels inside the binary; the table of files changes when one comes or goes.
$(BUILD)/embedded.c: FORCE
	@tools/embed $(lua_files) > $@.new && { cmp -s $@.new $@ && rm $@.new || mv $@.new $@; }
$(BUILD)/obj/embedded.o: $(BUILD)/embedded.c $(lua_files) $(BUILD)/flags
	$(compile) -I.

-include $(patsubst %.o,%.d,$(objects)) $(addsuffix .d,$(c_tests) $(c_benches))

# -- What was found ------------------------------------------------------------------

config:
	@tools/detect '$(CC)' | tools/found
$(BUILD)/config: FORCE
	@tools/detect '$(CC)' | tools/found > $@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; cat $@ >&2; fi

deps:
	@tools/deps '$(CC)'

# -- Running -------------------------------------------------------------------------

# The check above is made when make starts, so after deps make has to start anew.
fresh = $(if $(missing),$(MAKE) deps &&) $(MAKE)

demo:
	+@$(fresh) run-demo
run-demo: $(BUILD)/lunette
	$(BUILD)/lunette scripts/run_all.lua $(DEMO_OPTIONS)

test:
	+@$(fresh) run-tests
run-tests: $(BUILD)/lunette $(c_tests)
	@LUNETTE=$(BUILD)/lunette tests/run $(TESTS)

test-long:
	+@LUNETTE_TEST_LONG=1 LUNETTE_TEST_SECONDS=3600 $(fresh) run-tests

# Leaks are counted by Lunette's own allocator; LeakSanitizer would report the libraries'.
test-asan:
	+@ASAN_OPTIONS=detect_leaks=0 $(fresh) BUILD=build/asan SANITIZE=1 run-tests

bench: all
	@bench/peers
	@$(BUILD)/lunette bench/main.lua $(BENCH)

lint:
	@tools/lint

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(BUILD)/lunette $(DESTDIR)$(PREFIX)/bin/lunette

clean:
	rm -rf $(BUILD)

help:
	@sed -n '/^# Lunette/,/^$$/s/^# \{0,1\}//p' Makefile
