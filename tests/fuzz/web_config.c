/* SPDX-License-Identifier: Apache-2.0 */
/* The web config file's text, without the files that it names. */
#include "net/web_config.h"

#include <stdlib.h>

#include "util/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct web_snapshot *s = NULL;
    struct web_tls_block *tls = NULL;
    struct sonde_err err = { 0 };

    log_setup(LOG_ERROR, LOG_LOGFMT);
    if (web_config_parse("web.yml", (sonde_str){ (const char *)data, size }, &s,
                         &tls, &err) != SONDE_OK) {
        if (err.text[0] == '\0')
            abort();
        return 0;
    }
    if (!s)
        abort();
    web_snapshot_unref(s);
    return 0;
}
