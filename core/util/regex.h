/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions with RE2's language, anchored at both ends, dot
 * matching newline, as everywhere in Prometheus. PCRE2 (JIT) runs them, with
 * a match limit; what RE2 does not have (backreferences, look-around,
 * recursion, possessive and atomic groups, callouts) is refused when
 * compiling, so that a configuration means the same here and there. Plain
 * literals, alternations of literals, "PREFIX.*" and ".*" never reach PCRE2.
 * A compiled expression is immutable and thread-safe.
 */
#ifndef UTIL_REGEX_H
#define UTIL_REGEX_H

#include <sonde/base.h>

#include "util/buf.h"

struct regex;

/* Errors read as Prometheus' do: "error parsing regexp: ...". */
SONDE_NODISCARD sonde_code regex_new(sonde_str pattern, struct regex **out,
                                     struct sonde_err *err);
struct regex *regex_ref(struct regex *re);
void regex_unref(struct regex *re); /* NULL is fine */
sonde_str regex_pattern(const struct regex *re);

/* Whether the whole of `s` matches. A match that would cost too much counts
 * as no match. */
bool regex_match(const struct regex *re, sonde_str s);

/* On a match, appends `replacement` expanded by Go's rules ($1, ${1},
 * ${name}, $$; unknown groups are empty) and returns true. */
bool regex_expand(const struct regex *re, sonde_str s, sonde_str replacement,
                  struct buf *out);

/* False for an expression that can only be matched: an alternation so large
 * that no program of the engine holds it. regex_expand finds no match then; a
 * configuration should refuse it. */
bool regex_can_expand(const struct regex *re);

/* If the expression matches a few strings only ("a|b|c", "a", "a(b)?"), the
 * sorted list of them (valid as long as `re`), else false. */
bool regex_literals(const struct regex *re, const sonde_str **items,
                    size_t *count);
/* A literal every match begins with; empty if there is none. */
sonde_str regex_prefix(const struct regex *re);

#endif
