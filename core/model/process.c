/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process costs, by the names that every client library gives it;
 * from /proc. What can not be read is left out.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "model/selfmetrics.h"
#include "util/fs.h"
#include "util/str.h"

#define PROC_MAX_BYTES (1u << 20)

/* What /proc/self/stat says, in its own units. */
struct proc_stat {
    uint64_t utime, stime, start, vsize, rss, threads;
};

static bool read_proc(const char *path, struct buf *b)
{
    buf_init(b);
    return fs_read(path, PROC_MAX_BYTES, b, NULL) == SONDE_OK;
}

/* The fields after the command, which may hold anything but ends with the
 * last parenthesis; numbers as in proc(5). */
static void stat_fields(sonde_str text, struct proc_stat *out)
{
    size_t end = text.len;
    sonde_str rest, field;
    int n = 3;

    while (end > 0 && text.ptr[end - 1] != ')')
        end--;
    rest = str_sub(text, end + 1, text.len);
    for (; str_split(&rest, ' ', &field); n++) {
        uint64_t v;

        if (!str_to_u64(str_trim(field), &v))
            continue;
        if (n == 14)
            out->utime = v;
        else if (n == 15)
            out->stime = v;
        else if (n == 20)
            out->threads = v;
        else if (n == 22)
            out->start = v;
        else if (n == 23)
            out->vsize = v;
        else if (n == 24)
            out->rss = v;
    }
}

/* When the machine was started, s since the epoch: what /proc/stat calls
 * btime, which is a page for all processors to be written. */
static int64_t boot_seconds(void)
{
    struct timespec now, up;
    int64_t ns;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)clock_gettime(CLOCK_BOOTTIME, &up);
    ns = (now.tv_sec - up.tv_sec) * 1000000000LL + now.tv_nsec - up.tv_nsec;
    return ns / 1000000000LL;
}

/* For kernels that do not say it as the folder's size (before 6.2). */
static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *e;
    size_t n = 0;

    if (!dir)
        return 0;
    while ((e = readdir(dir)))
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n > 0 ? n - 1 : 0; /* without the folder itself */
}

static size_t open_fds(void)
{
    struct stat st;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (size_t)st.st_size;
    return count_fds();
}

static void emit_limits(struct selfmetrics_page *page)
{
    /* As Go's client library has it: what no limit is, is 2^64. */
    size_t fds = open_fds();
    struct rlimit r;

    if (getrlimit(RLIMIT_AS, &r) == 0)
        selfmetrics_emit(page, "process_virtual_memory_max_bytes", METRIC_GAUGE,
                         "Maximum amount of virtual memory available in "
                         "bytes.",
                         NULL, (double)r.rlim_cur);
    if (getrlimit(RLIMIT_NOFILE, &r) == 0)
        selfmetrics_emit(page, "process_max_fds", METRIC_GAUGE,
                         "Maximum number of open file descriptors.", NULL,
                         (double)r.rlim_cur);
    if (fds > 0)
        selfmetrics_emit(page, "process_open_fds", METRIC_GAUGE,
                         "Number of open file descriptors.", NULL, (double)fds);
}

void selfmetrics_process(struct selfmetrics_page *page, void *arg)
{
    double tick = (double)sysconf(_SC_CLK_TCK);
    double size = (double)sysconf(_SC_PAGESIZE);
    struct proc_stat st = { 0 };
    int64_t boot = boot_seconds();
    struct buf b;
    bool ok = read_proc("/proc/self/stat", &b);

    (void)arg;
    if (ok)
        stat_fields(buf_str(&b), &st);
    buf_fini(&b);
    emit_limits(page);
    if (!ok)
        return;
    selfmetrics_emit(page, "process_cpu_seconds_total", METRIC_COUNTER,
                     "Total user and system CPU time spent in seconds.", NULL,
                     (double)(st.utime + st.stime) / tick);
    selfmetrics_emit(page, "process_resident_memory_bytes", METRIC_GAUGE,
                     "Resident memory size in bytes.", NULL,
                     (double)st.rss * size);
    selfmetrics_emit(page, "process_virtual_memory_bytes", METRIC_GAUGE,
                     "Virtual memory size in bytes.", NULL, (double)st.vsize);
    selfmetrics_emit(page, "process_threads", METRIC_GAUGE,
                     "Number of threads.", NULL, (double)st.threads);
    if (boot > 0)
        selfmetrics_emit(page, "process_start_time_seconds", METRIC_GAUGE,
                         "Start time of the process since unix epoch in "
                         "seconds.",
                         NULL, (double)boot + (double)st.start / tick);
}
