#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks that every folder of core/ includes only what core/LAYERS allows,
# that the layers have no cycle, and that plugins include only the SDK.
cd "${SONDE_SRC_DIR:-.}" || exit 99
bad=$(mktemp)
trap 'rm -f "$bad"' EXIT

grep -v '^#' core/LAYERS | grep . | while IFS=: read -r room allowed; do
  for f in core/"$room"/*.[ch]; do
    [ -f "$f" ] || continue
    sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u |
      while read -r used; do
        case " $room $allowed " in
          *" $used "*) ;;
          *) echo "$f includes $used/, core/LAYERS does not allow it" ;;
        esac
      done
  done
done >"$bad"

echo 1..3
report() { # NUMBER NAME: not ok with the lines of $bad if there are any
  if [ -s "$bad" ]; then
    sed 's/^/# /' "$bad"; echo "not ok $1 - $2"
  else echo "ok $1 - $2"; fi
}
report 1 "includes follow core/LAYERS"

grep -v '^#' core/LAYERS | grep . | while IFS=: read -r room allowed; do
  for a in $allowed; do echo "$a $room"; done
done | tsort >/dev/null 2>"$bad"
report 2 "the layers have no cycle"

grep -n '#include "' plugins/*/*.[ch] 2>/dev/null |
  grep -vE '#include "((python|shared)/)?[a-z_]+\.(h|def)"' >"$bad"
report 3 "plugins include only the SDK, their own and their shared headers"
! [ -s "$bad" ]
