/* SPDX-License-Identifier: Apache-2.0 */
/* A fetch plugin that has the name of another file's plugin: "good". */
#include <sonde/plugin.h>

static sonde_code twin_plan(struct sonde_instance *i, struct sonde_plan *plan,
                            struct sonde_err *err)
{
    (void)i;
    (void)err;
    plan->requests[0] = (struct sonde_request){ .body = SONDE_BODY_EXPOSITION };
    plan->count = 1;
    return SONDE_OK;
}

const struct sonde_plugin *sonde_plugin_entry(const struct sonde_host *host)
{
    static const struct sonde_plugin plugin = {
        SONDE_PLUGIN_HEAD, .name = "good",
        .version = "2",    .summary = "The other good one",
        .plan = twin_plan,
    };

    (void)host;
    return &plugin;
}
