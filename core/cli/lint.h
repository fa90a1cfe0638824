/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for metrics that others will have to use: lint.c. */
#ifndef CLI_LINT_H
#define CLI_LINT_H

#include <sonde/base.h>

#include "util/arena.h"

struct lint_problem {
    sonde_str family, text;
};
struct lint_family {
    sonde_str name;
    size_t series;
};
/* All of it is the arena's. */
struct lint {
    struct arena *arena;
    struct lint_problem *problems; /* by family, then text                */
    size_t count, cap;
    struct lint_family *families; /* those with most series first         */
    size_t family_count;
    size_t series;
};

/* Reads a page in the text format. SONDE_EPARSE: it is not one; the message
 * has the line. */
SONDE_NODISCARD sonde_code lint_text(struct arena *a, sonde_str text,
                                     struct lint *out, struct sonde_err *err);

#endif
