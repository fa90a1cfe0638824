/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars as values, and the names of kinds; private to config/. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <sonde/base.h>

#include "config/schema.h"

/* As YAML 1.1 readers of Prometheus take them: y, yes, true, on... */
bool value_bool(sonde_str s, bool *out);
/* Decimal, 0x, 0b, 0o and 0 prefixes, '_' between digits, and whole floats. */
bool value_int(sonde_str s, int64_t *out);
bool value_float(sonde_str s, double *out);
bool value_is_null(sonde_str s);

/* "scheme://..." with a host, no blanks. */
bool value_is_url(sonde_str s);
/* `s` with the password of user:password@ replaced by xxxxx; a view of `s`
 * if there is none. */
sonde_str value_mask_url(struct arena *a, sonde_str s);

/* ${NAME} replaced by the environment, $$ by $; SONDE_ENOTFOUND names the
 * variable that is not set. */
SONDE_NODISCARD sonde_code value_expand(struct arena *a, sonde_str s,
                                        sonde_str *out, struct sonde_err *err);

/* Whether a key of this name holds what must not be shown; a net below the
 * tables, for what no table describes. */
bool value_name_is_secret(sonde_str name);

/* A scalar as YAML, quoted where it must be. `typed`: a text that reads as a
 * number, bool or null stays plain. `flow`: inside [ ]. */
void value_print(struct buf *b, sonde_str s, bool typed, bool flow);

/* "a duration such as 30s", for errors. */
const char *value_kind_text(enum config_kind kind);
/* What stands at the node, in a few words. */
sonde_str value_describe(struct arena *a, const struct yaml_node *node);

#endif
