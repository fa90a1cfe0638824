# `make lint`: form, static analysis, layers. The layer and header checks are
# quick and part of `make check`.
TESTS += tests/lint/layers.sh tests/lint/headers.sh tests/lint/switches.sh
EXTRA_DIST += tests/lint/layers.sh tests/lint/headers.sh \
	tests/lint/switches.sh \
	tests/lint/cppcheck.txt .clang-tidy

FILES_LINT = $(srcdir)/core/*.c $(srcdir)/core/*/*.c \
	$(srcdir)/plugins/*/*.c
FILES_FORMAT = $(FILES_LINT) $(srcdir)/core/*/*.h \
	$(srcdir)/include/sonde/*.h $(srcdir)/tests/unit/*.h \
	$(srcdir)/plugins/*/*.h $(srcdir)/tests/*/*.c
FLAGS_LINT = -D_GNU_SOURCE -I$(srcdir)/core -I$(srcdir)/include \
	-I$(srcdir)/plugins $(POSTGRES_PLUGIN_CFLAGS) \
	-I$(builddir)

.PHONY: lint lint-format lint-tidy lint-cppcheck lint-layers
lint: lint-format lint-layers lint-cppcheck lint-tidy

lint-format:
	clang-format --dry-run --Werror $(FILES_FORMAT)

lint-layers:
	SONDE_SRC_DIR=$(srcdir) sh $(srcdir)/tests/lint/layers.sh
	SONDE_SRC_DIR=$(srcdir) SONDE_BUILD_DIR=$(builddir) \
		sh $(srcdir)/tests/lint/headers.sh >/dev/null

lint-cppcheck:
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
		--enable=warning,performance,portability -j2 \
		--suppressions-list=$(srcdir)/tests/lint/cppcheck.txt \
		-DPACKAGE_VERSION='"0"' -DPLUGINDIR='""' \
		$(FLAGS_LINT) $(srcdir)/core $(srcdir)/plugins

lint-tidy:
	printf '%s\n' $(FILES_LINT) | xargs -P2 -n8 \
		sh -c 'clang-tidy --quiet "$$@" -- -std=gnu17 \
		-DPACKAGE_VERSION="\"0\"" -DPLUGINDIR="\"\"" $(FLAGS_LINT)' sh
