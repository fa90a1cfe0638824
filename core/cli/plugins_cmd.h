/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde plugins list | show NAME | sample NAME`. */
#ifndef CLI_PLUGINS_CMD_H
#define CLI_PLUGINS_CMD_H

#include <stddef.h>

/* argv[0] is "plugins". Prints to stdout, errors to stderr; returns the exit
 * code: 0, 1 (no such plugin, or it was refused), 2 (usage). */
int cli_plugins(int argc, char *const *argv, const char *const *plugin_dirs,
                size_t n);

#endif
