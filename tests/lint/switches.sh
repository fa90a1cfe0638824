#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The switches of configure turn off what they say, and what is left builds:
# no optional library, no plugin that has one.
src=$(cd "${SONDE_SRC_DIR:-.}" && pwd)
if [ -e "$src/config.status" ]; then
  echo "1..0 # SKIP the source folder is configured itself"; exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99

echo 1..3
if "$src/configure" CFLAGS=-O0 --enable-werror --without-zstd \
  --disable-plugin-redis >configure.out 2>&1 &&
  grep -q 'zstd=no' configure.out && grep -q 'redis=no' configure.out; then
  echo "ok 1 - configure says what is off"
else
  tail -5 configure.out | sed 's/^/# /'; echo "not ok 1 - configure says what is off"
fi
if make -j2 >make.out 2>&1; then echo "ok 2 - the rest builds"
else
  grep -m5 -E 'error|Error' make.out | sed 's/^/# /'; echo "not ok 2 - the rest builds"
fi
if ./sonde plugins list 2>/dev/null | grep -q '^prometheus ' &&
  ! ./sonde plugins list | grep -q '^redis '; then
  echo "ok 3 - and runs without the plugin"
else echo "not ok 3 - and runs without the plugin"; fi
