/* SPDX-License-Identifier: Apache-2.0 */
/* The password file, plain or a map; its bytes never show in an error. */
#include <stdlib.h>

#include "redis/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const users[] = { "", "u" };

    for (size_t i = 0; i < 2; i++) {
        struct sonde_err err = { 0 };
        char *password = NULL;
        sonde_code rc = auth_from_file((sonde_str){ (const char *)data, size },
                                       SONDE_STR("redis://localhost:6379"),
                                       sonde_cstr(users[i]), &password, &err);

        if (rc != SONDE_OK && (password || !err.text[0]))
            abort();
        free(password);
    }
    return 0;
}
