/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that wants another host than ours. */
#include <sonde/plugin.h>

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    (void)host;
    return NULL;
}
