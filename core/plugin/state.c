/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents that plugins keep over restarts: STATEDIR/PLUGIN/HASH.NAME, where
 * the hash is of what makes the target itself (job, address, path, options
 * from labels). Replaced as a whole and on the disk when the call returns.
 *
 * When a job's configuration changes, the last collection of the old instance
 * may overlap with the first of the new one; a lock per slice of hashes keeps
 * their writing apart. A target that is gone leaves its documents behind;
 * what nobody has written for a long time is swept away at a start.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "plugin/plugin_int.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/log.h"

#define STATE_MODE     0600
#define STATE_DIR_MODE 0700
#define SWEEP_AGE_MS   ((sonde_msec)90 * 24 * 3600 * 1000)
#define LOCKS          8

static pthread_mutex_t locks[LOCKS] = {
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
    PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
};

static void hash_add(XXH3_state_t *h, sonde_str s)
{
    (void)XXH3_128bits_update(h, s.ptr, s.len);
    (void)XXH3_128bits_update(h, "", 1);
}

void plugin_state_id(const struct plugin_target *t, char *out)
{
    XXH3_state_t *h = XXH3_createState();
    XXH128_hash_t sum;

    if (!h)
        abort();
    (void)XXH3_128bits_reset(h);
    hash_add(h, t->job);
    hash_add(h, t->address);
    hash_add(h, t->metrics_path);
    for (size_t i = 0; t->overrides && i < t->overrides->count; i++) {
        hash_add(h, t->overrides->items[i].key);
        if (t->overrides->items[i].values.count)
            hash_add(h, t->overrides->items[i].values.items[0]);
    }
    sum = XXH3_128bits_digest(h);
    XXH3_freeState(h);
    (void)snprintf(out, PLUGIN_STATE_ID, "%016llx%016llx",
                   (unsigned long long)sum.high64,
                   (unsigned long long)sum.low64);
}

static pthread_mutex_t *lock_of(const struct sonde_target *t)
{
    unsigned char c = (unsigned char)t->state_id[0];

    return &locks[c % LOCKS];
}

/* Where the document is; NULL and an error if there is no place for it. */
static char *path_of(struct arena *a, const struct sonde_target *t,
                     const char *name, struct sonde_err *err)
{
    size_t n = strlen(name);

    if (!t->state_dir) {
        (void)sonde_err_set(err, SONDE_EUNSUPPORTED,
                            "state \"%s\": there is no data directory to keep "
                            "it in",
                            name);
        return NULL;
    }
    if (n == 0 || n > PLUGIN_NAME_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n) {
        (void)sonde_err_set(err, SONDE_EINVAL,
                            "state \"%.80s\": expected a name of [a-z0-9_], "
                            "up to %d bytes",
                            name, PLUGIN_NAME_MAX);
        return NULL;
    }
    return arena_cstr(a, arena_printf(a, "%s/%s/%s.%s", t->state_dir, t->plugin,
                                      t->state_id, name));
}

static sonde_code failed(struct sonde_err *err)
{
    return err ? err->code : SONDE_EIO;
}

sonde_code plugin_state_load(const struct sonde_target *target,
                             const char *name, sonde_str *out,
                             struct sonde_err *err)
{
    /* The handle is const for the plugin, not for us who made it. */
    struct sonde_target *t = (struct sonde_target *)(uintptr_t)target;
    struct sonde_err local = { 0 };
    struct arena a;
    const char *path;
    sonde_code rc;

    if (!err)
        err = &local;
    arena_init(&a);
    path = path_of(&a, t, name, err);
    buf_reset(&t->state);
    rc = path ? fs_read(path, PLUGIN_STATE_MAX, &t->state, err) : failed(err);
    arena_fini(&a);
    if (rc == SONDE_OK)
        *out = buf_str(&t->state);
    return rc;
}

static sonde_code save(const struct sonde_target *t, const char *path,
                       sonde_str data, struct sonde_err *err)
{
    sonde_str folder = fs_dirname(sonde_cstr(path));
    struct arena a;
    sonde_code rc;

    arena_init(&a);
    (void)pthread_mutex_lock(lock_of(t));
    rc = fs_mkdirs(arena_cstr(&a, folder), STATE_DIR_MODE, err);
    if (rc == SONDE_OK)
        rc = fs_write_atomic(path, data, STATE_MODE, err);
    (void)pthread_mutex_unlock(lock_of(t));
    arena_fini(&a);
    return rc;
}

sonde_code plugin_state_save(const struct sonde_target *target,
                             const char *name, const void *data, size_t len,
                             struct sonde_err *err)
{
    struct sonde_err local = { 0 };
    struct arena a;
    const char *path;
    sonde_code rc;

    if (!err)
        err = &local;
    if (len > PLUGIN_STATE_MAX)
        return sonde_err_set(err, SONDE_ELIMIT,
                             "state \"%.80s\": %zu bytes, at most %zu are kept",
                             name, len, PLUGIN_STATE_MAX);
    arena_init(&a);
    path = path_of(&a, target, name, err);
    rc = path ? save(target, path, (sonde_str){ data, len }, err) : failed(err);
    arena_fini(&a);
    return rc;
}

/* ---- what nobody needs any more ------------------------------------------ */

static void sweep_folder(struct arena *a, const char *folder, sonde_msec now)
{
    struct fs_names names = { 0 };

    if (fs_list(folder, &names, NULL) != SONDE_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        const char *path =
            fs_join(a, sonde_cstr(folder), sonde_cstr(names.items[i]));
        struct stat st;

        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
            now - (sonde_msec)st.st_mtime * 1000 > SWEEP_AGE_MS &&
            unlink(path) == 0)
            log_info("plugin", "removed the state of a target that is gone",
                     LOG_CSTR("file", path));
    }
    fs_names_fini(&names);
}

void plugin_state_sweep(const char *state_dir)
{
    struct fs_names plugins = { 0 };
    struct arena a;

    if (!fs_exists(state_dir) || fs_list(state_dir, &plugins, NULL) != SONDE_OK)
        return;
    arena_init(&a);
    for (size_t i = 0; i < plugins.count; i++)
        sweep_folder(
            &a,
            fs_join(&a, sonde_cstr(state_dir), sonde_cstr(plugins.items[i])),
            clock_now(&clock_system));
    arena_fini(&a);
    fs_names_fini(&plugins);
}
