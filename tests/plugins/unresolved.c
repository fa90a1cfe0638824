/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that needs a symbol which nobody has. */
#include <sonde/plugin.h>

extern int symbol_that_nobody_has(void);

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    (void)host;
    return symbol_that_nobody_has() ? NULL : NULL;
}
