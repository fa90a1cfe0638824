/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin from another time: its interface has another major. */
#include <sonde/plugin.h>

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        .struct_size = sizeof(struct sonde_plugin),
        .abi_major = SONDE_ABI_MAJOR + 6,
        .abi_minor = 3,
        .name = "wrong_abi",
    };

    (void)host;
    return &plugin;
}
