/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library keeps the gauges of a process that died without saying so (a
 * kill, the kernel out of memory) until its master calls mark_process_dead,
 * which many forget. We can look into /proc instead, but only if the numbers
 * in the files' names are process ids of ours: an application in another
 * container counts its own, and uWSGI users number their workers. To take
 * such a worker for dead would lose what is alive.
 *
 * So a number is trusted only when one of the files' processes is really
 * there: of the file's user, no kernel thread, known by that number in our
 * namespace alone, older than the last change of the file, and by its name
 * one that runs Python. (And never when there is a process 0 or 1 among them:
 * that is how numbered workers begin; multiproc.c looks for it.)
 */
#include "pids.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct proc {
    char name[32];
    char state;
    double started; /* seconds since the epoch */
};

/* The whole of a small file below /proc/PID, with a NUL; 0 if there is none. */
static size_t slurp(sonde_str pid, const char *file, char *buf, size_t cap)
{
    char path[64];
    size_t n;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%.*s/%s", SONDE_ARG(pid), file);
    f = fopen(path, "re");
    if (!f)
        return 0;
    n = fread(buf, 1, cap - 1, f);
    (void)fclose(f);
    buf[n] = '\0';
    return n;
}

static bool is_number(sonde_str pid)
{
    for (size_t i = 0; i < pid.len; i++) {
        if (pid.ptr[i] < '0' || pid.ptr[i] > '9')
            return false;
    }
    return pid.len > 0 && pid.len < 10 && pid.ptr[0] != '0';
}

static double clock_seconds(clockid_t clock)
{
    struct timespec t = { 0 };

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* "PID (name) S ...", the 22nd field is the start in ticks since the boot. */
static bool proc_read(sonde_str pid, struct proc *out)
{
    char buf[1024], *open, *close, *at, *rest = NULL;
    double ticks = 0;

    if (slurp(pid, "stat", buf, sizeof(buf)) == 0)
        return false;
    open = strchr(buf, '(');
    close = strrchr(buf, ')');
    if (!open || !close || close < open || close[1] != ' ')
        return false;
    *close = '\0';
    (void)snprintf(out->name, sizeof(out->name), "%s", open + 1);
    out->state = close[2];
    at = strtok_r(close + 2, " ", &rest); /* the third field */
    for (int i = 3; at && i < 22; i++)
        at = strtok_r(NULL, " ", &rest);
    if (at)
        ticks = strtod(at, NULL);
    out->started = clock_seconds(CLOCK_REALTIME) -
                   clock_seconds(CLOCK_BOOTTIME) +
                   ticks / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* Kernel threads have other names, and so has nearly all else. */
static bool runs_python(const char *name)
{
    static const char *const names[] = { "python",   "pypy",      "gunicorn",
                                         "uvicorn",  "uwsgi",     "hypercorn",
                                         "daphne",   "granian",   "celery",
                                         "waitress", "manage.py", "flask" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strstr(name, names[i]))
            return true;
    }
    return false;
}

/* "NSpid:\t123" has one number, its own, for a process of our namespace. */
static bool is_of_ours(sonde_str pid)
{
    char buf[4096], *line;

    if (slurp(pid, "status", buf, sizeof(buf)) == 0)
        return false;
    line = strstr(buf, "\nNSpid:\t");
    return line && strncmp(line + 8, pid.ptr, pid.len) == 0 &&
           line[8 + pid.len] == '\n';
}

bool pids_known(sonde_str pid, unsigned uid, double changed)
{
    struct proc p;
    struct stat st;
    char path[64];

    if (!is_number(pid) || !proc_read(pid, &p))
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%.*s", SONDE_ARG(pid));
    return p.state != 'Z' && p.state != 'X' && runs_python(p.name) &&
           p.started <= changed + 1 && is_of_ours(pid) &&
           stat(path, &st) == 0 && st.st_uid == uid;
}

/* A signal that is none asks the kernel itself, also where /proc shows only
 * one's own processes (hidepid). A zombie is gone, but still there to ask. */
bool pids_gone(sonde_str pid)
{
    struct proc p;
    char text[16];

    if (!is_number(pid))
        return false;
    (void)snprintf(text, sizeof(text), "%.*s", SONDE_ARG(pid));
    if (kill((pid_t)strtol(text, NULL, 10), 0) != 0 && errno == ESRCH)
        return true;
    return proc_read(pid, &p) && (p.state == 'Z' || p.state == 'X');
}
