#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone.
src=${SONDE_SRC_DIR:-.}
build=${SONDE_BUILD_DIR:-.}
n=0 failed=0
set -- "$src"/core/*/*.h "$src"/include/sonde/*.h
echo "1..$#"
for h in "$@"; do
  n=$((n + 1))
  if out=$(${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -fsyntax-only -Wall -Wextra \
    -Werror -I"$src/core" -I"$src/include" -I"$build" \
    -include "$h" -x c /dev/null 2>&1); then
    echo "ok $n - ${h#"$src"/}"
  else
    echo "$out" | head -5 | sed 's/^/# /'
    echo "not ok $n - ${h#"$src"/}"
    failed=1
  fi
done
exit $failed
