/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One collection from PROMETHEUS_MULTIPROC_DIR.
 *
 * The folder is listed, then its files are read one after the other into one
 * merge. Workers come and go meanwhile: a file that is gone when its turn
 * comes is passed over, one that was just made has nothing in it yet, one
 * that breaks off in the middle (a copy, a full disk) gives what comes before
 * the break. All of these are counted in python_multiproc_files.
 *
 * What would make a wrong sum fails the collection instead: a folder or file
 * that can not be read, more files or bytes than the options allow. Half a
 * sum looks like a restart when it is whole again.
 *
 * Files of processes that are gone stay in the sums, as in the library: that
 * is what keeps counters from falling when workers are replaced. When
 * somebody removes files, counters fall once, which is a counter reset to
 * Prometheus. Live gauges of such processes are left out; see pids.c.
 */
#include "multiproc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "merge.h"
#include "pids.h"

#define RULES_MAX      128
#define EVIDENCE_TRIES 64
#define KEEP_BYTES     (1 << 20)

enum state {
    STATE_READ,
    STATE_EMPTY,
    STATE_DAMAGED,
    STATE_DEAD,
    STATE_IGNORED,
    STATE_COUNT,
};

enum pids_policy {
    PIDS_AUTO,
    PIDS_CHECK,
    PIDS_IGNORE,
};

const char *const python_pids_choices[] = { "auto", "check", "ignore", NULL };

struct multiproc {
    const struct sonde_host *host;
    const struct sonde_target *target;
    struct python_settings settings;
    size_t base; /* of our families in the plugin's table */
    const char **refused;
    size_t refused_count;
    struct merge_rule rules[RULES_MAX];
    size_t rule_count;
    struct merge *merge;
    enum pids_policy pids;
    bool pids_ours; /* they were seen once */
    bool warned;    /* of damaged files    */
    /* of one collection: */
    int dir;
    char *names; /* NUL-terminated, one after the other */
    size_t names_len, names_cap, name_count;
    struct db_buffer buffer;
    size_t bytes;
    size_t states[STATE_COUNT];
};

/* ---- options ------------------------------------------------------------- */

sonde_code python_check(const struct python_settings *s, struct sonde_err *err)
{
    struct merge_rule rule;

    if (s->gauge_modes.count > RULES_MAX - PRESET_RULES_MAX)
        return sonde_err_set(err, SONDE_EINVAL,
                             "gauge_modes: at most %d are taken",
                             RULES_MAX - PRESET_RULES_MAX);
    for (size_t i = 0; i < s->gauge_modes.count; i++) {
        if (!merge_rule_parse(s->gauge_modes.items[i], &rule))
            return sonde_err_set(
                err, SONDE_EINVAL,
                "gauge_modes: expected NAME=MODE with a mode of all, min, "
                "max, sum, mostrecent, or one of these after \"live\", got "
                "\"%.100s\"",
                s->gauge_modes.items[i].ptr);
    }
    return SONDE_OK;
}

/* The job's own rules come first. */
static void take_rules(struct multiproc *p)
{
    const struct python_settings *s = &p->settings;

    for (size_t i = 0; i < s->gauge_modes.count; i++) {
        if (p->rule_count < RULES_MAX &&
            merge_rule_parse(s->gauge_modes.items[i], &p->rules[p->rule_count]))
            p->rule_count++;
    }
    for (size_t i = 0; i < PRESET_RULES_MAX && s->preset->gauge_modes[i]; i++) {
        if (p->rule_count < RULES_MAX &&
            merge_rule_parse(sonde_cstr(s->preset->gauge_modes[i]),
                             &p->rules[p->rule_count]))
            p->rule_count++;
    }
}

/* ---- the folder ---------------------------------------------------------- */

static sonde_code no_memory(struct sonde_err *err)
{
    return sonde_err_set(err, SONDE_ENOMEM, "out of memory");
}

static bool add_name(struct multiproc *p, const char *name)
{
    size_t n = strlen(name) + 1;

    if (p->names_len + n > p->names_cap) {
        size_t cap = (p->names_cap + n) * 2;
        char *grown = realloc(p->names, cap);

        if (!grown)
            return false;
        p->names = grown;
        p->names_cap = cap;
    }
    memcpy(p->names + p->names_len, name, n);
    p->names_len += n;
    p->name_count++;
    return true;
}

static sonde_code list_dir(struct multiproc *p, DIR *d, struct sonde_err *err)
{
    const struct dirent *e;

    while ((e = readdir(d))) {
        size_t len = strlen(e->d_name);

        if (e->d_name[0] == '.' || len < 3 ||
            strcmp(e->d_name + len - 3, ".db") != 0)
            continue;
        if (p->name_count >= (size_t)p->settings.files)
            return sonde_err_set(
                err, SONDE_ELIMIT,
                "%s holds more than %lld files (multiproc_files): empty it "
                "before the application starts, or let workers live longer",
                p->settings.dir.ptr, (long long)p->settings.files);
        if (!add_name(p, e->d_name))
            return no_memory(err);
    }
    return SONDE_OK;
}

static sonde_code open_dir(struct multiproc *p, struct sonde_err *err)
{
    DIR *d = opendir(p->settings.dir.ptr);
    sonde_code rc;

    if (!d)
        return sonde_err_set(
            err, errno == ENOENT ? SONDE_ENOTFOUND : SONDE_EACCESS,
            "open multiproc_dir %s: %s; expected the folder that "
            "PROMETHEUS_MULTIPROC_DIR names for the application, readable "
            "for this process",
            p->settings.dir.ptr, strerror(errno));
    p->names_len = p->name_count = 0;
    rc = list_dir(p, d, err);
    p->dir = rc == SONDE_OK ? fcntl(dirfd(d), F_DUPFD_CLOEXEC, 0) : -1;
    if (rc == SONDE_OK && p->dir < 0)
        rc = sonde_err_set(err, SONDE_EIO, "open multiproc_dir %s: %s",
                           p->settings.dir.ptr, strerror(errno));
    (void)closedir(d);
    return rc;
}

/* Steps through the names of the list. */
static const char *next_name(const struct multiproc *p, const char *last)
{
    const char *next = last ? last + strlen(last) + 1 : p->names;

    return p->names_len && next < p->names + p->names_len ? next : NULL;
}

/* ---- processes ----------------------------------------------------------- */

static bool is_evidence(const struct multiproc *p, const char *name)
{
    struct db_name n;
    struct stat st;

    return db_name_parse(sonde_cstr(name), &n) &&
           fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           pids_known(n.pid, st.st_uid, (double)st.st_mtime);
}

/* Workers that are numbered begin with 0 or 1. */
static bool is_numbered(const char *name)
{
    struct db_name n;

    return db_name_parse(sonde_cstr(name), &n) && n.pid.len == 1 &&
           (*n.pid.ptr == '0' || *n.pid.ptr == '1');
}

static bool see_pids(const struct multiproc *p)
{
    size_t tries = 0;
    bool seen = false;

    for (const char *z = next_name(p, NULL); z; z = next_name(p, z)) {
        if (is_numbered(z))
            return false;
        if (!seen && tries++ < EVIDENCE_TRIES)
            seen = is_evidence(p, z);
    }
    return seen;
}

/* Whether numbers in names are process ids that we can look up. */
static bool pids_are_ours(struct multiproc *p)
{
    if (p->pids == PIDS_AUTO && !p->pids_ours)
        p->pids_ours = see_pids(p);
    return p->pids == PIDS_CHECK || (p->pids == PIDS_AUTO && p->pids_ours);
}

/* ---- files --------------------------------------------------------------- */

static void merge_bytes(struct multiproc *p, size_t len)
{
    struct db_entry e;
    struct db_walk w;
    bool any = false;

    for (db_walk_begin(&w, p->buffer.data, len); db_walk_next(&w, &e);
         any = true)
        merge_add(p->merge, &e);
    p->states[w.damaged ? STATE_DAMAGED : any ? STATE_READ : STATE_EMPTY]++;
}

static sonde_code read_one(struct multiproc *p, const char *file, bool ours,
                           struct sonde_err *err)
{
    size_t limit = (size_t)p->settings.bytes - p->bytes, len = 0;
    struct db_name name;
    bool dead;
    sonde_code rc;

    if (!db_name_parse(sonde_cstr(file), &name)) {
        p->states[STATE_IGNORED]++;
        return SONDE_OK;
    }
    dead = ours && name.kind == DB_GAUGE && pids_gone(name.pid);
    if (dead && name.live) {
        p->states[STATE_DEAD]++;
        return SONDE_OK;
    }
    rc = db_file_read(p->dir, file, limit, &p->buffer, &len, err);
    if (rc == SONDE_ENOTFOUND) /* its process has ended meanwhile */
        return SONDE_OK;
    if (rc == SONDE_ELIMIT)
        return sonde_err_set(err, rc,
                             "the files in %s have more than %lld bytes in use "
                             "(multiproc_bytes); %zu of %zu files were read",
                             p->settings.dir.ptr, (long long)p->settings.bytes,
                             p->states[STATE_READ], p->name_count);
    if (rc != SONDE_OK)
        return sonde_err_prefix(err, "multiproc_dir %.200s",
                                p->settings.dir.ptr);
    p->bytes += len;
    merge_file(p->merge, &name, dead);
    merge_bytes(p, len);
    return SONDE_OK;
}

static sonde_code read_all(struct multiproc *p, sonde_msec deadline,
                           struct sonde_err *err)
{
    bool ours = pids_are_ours(p);
    sonde_code rc = SONDE_OK;

    for (const char *z = next_name(p, NULL); z && rc == SONDE_OK;
         z = next_name(p, z)) {
        if (p->host->monotonic() >= deadline)
            rc = sonde_err_set(err, SONDE_ETIMEOUT,
                               "%zu files in %s: the deadline passed after "
                               "%zu bytes",
                               p->name_count, p->settings.dir.ptr, p->bytes);
        else
            rc = read_one(p, z, ours, err);
    }
    return rc;
}

/* ---- a collection -------------------------------------------------------- */

static void emit_own(struct multiproc *p, struct sonde_sink *sink)
{
    static const char *const states[] = {
        [STATE_READ] = "read",       [STATE_EMPTY] = "empty",
        [STATE_DAMAGED] = "damaged", [STATE_DEAD] = "dead",
        [STATE_IGNORED] = "ignored",
    };
    static const char *const reasons[] = {
        [MERGE_DROP_INVALID] = "invalid",
        [MERGE_DROP_CONFLICT] = "conflict",
        [MERGE_DROP_LIMIT] = "limit",
    };

    for (size_t i = 0; i < STATE_COUNT; i++)
        (void)p->host->sample(sink, p->base + MULTIPROC_FILES,
                              SONDE_LABELS(sonde_cstr(states[i])),
                              (double)p->states[i]);
    for (size_t i = 0; i < MERGE_DROP_COUNT; i++)
        (void)p->host->sample(sink, p->base + MULTIPROC_DROPPED,
                              SONDE_LABELS(sonde_cstr(reasons[i])),
                              (double)merge_dropped(p->merge, i));
}

static void tell_damage(struct multiproc *p)
{
    bool damaged = p->states[STATE_DAMAGED] > 0;

    if (damaged && !p->warned)
        p->host->log(p->target, SONDE_LOG_WARN,
                     "%zu files in %s break off: their values after the "
                     "break are missing",
                     p->states[STATE_DAMAGED], p->settings.dir.ptr);
    p->warned = damaged;
}

/* What is remembered of processes that are no more goes with the rest. */
static sonde_code fresh_merge(struct multiproc *p, struct sonde_err *err)
{
    if (p->merge && merge_stale(p->merge)) {
        merge_free(p->merge);
        p->merge = NULL;
    }
    if (!p->merge)
        p->merge =
            merge_new(p->rules, p->rule_count, p->refused, p->refused_count);
    if (!p->merge)
        return no_memory(err);
    merge_begin(p->merge);
    p->bytes = 0;
    memset(p->states, 0, sizeof(p->states));
    return SONDE_OK;
}

sonde_code multiproc_collect(struct multiproc *p, struct sonde_sink *sink,
                             sonde_msec deadline, struct sonde_err *err)
{
    sonde_code rc = fresh_merge(p, err);

    if (rc == SONDE_OK)
        rc = open_dir(p, err);
    if (rc != SONDE_OK)
        return rc;
    rc = read_all(p, deadline, err);
    (void)close(p->dir);
    if (p->buffer.cap > KEEP_BYTES)
        db_buffer_fini(&p->buffer);
    if (rc != SONDE_OK)
        return rc;
    merge_emit(p->merge, p->host, sink);
    emit_own(p, sink);
    tell_damage(p);
    return SONDE_OK;
}

/* ---- life ---------------------------------------------------------------- */

sonde_code multiproc_open(const struct sonde_host *host,
                          const struct sonde_target *target,
                          const struct python_settings *settings,
                          const struct sonde_family *families,
                          size_t family_count, size_t base,
                          struct multiproc **out, struct sonde_err *err)
{
    struct multiproc *p;

    if (!SONDE_HAS(struct sonde_host, host, dynamic_summary))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "multiproc_dir needs a newer agent than %s",
                             host->version);
    *out = p = calloc(1, sizeof(*p));
    if (!p)
        return no_memory(err);
    p->host = host;
    p->target = target;
    p->settings = *settings;
    p->base = base;
    p->pids = sonde_str_eq(settings->pids, SONDE_STR("check"))    ? PIDS_CHECK
              : sonde_str_eq(settings->pids, SONDE_STR("ignore")) ? PIDS_IGNORE
                                                                  : PIDS_AUTO;
    take_rules(p);
    p->refused = calloc(family_count, sizeof(*p->refused));
    if (!p->refused)
        return no_memory(err);
    for (size_t i = 0; i < family_count; i++)
        p->refused[p->refused_count++] = families[i].name;
    return SONDE_OK;
}

void multiproc_close(struct multiproc *p)
{
    if (!p)
        return;
    merge_free(p->merge);
    db_buffer_fini(&p->buffer);
    free(p->names);
    free(p->refused);
    free(p);
}
