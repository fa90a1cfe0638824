/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the access log share; log.c says how they fit. */
#ifndef PLUGINS_NGINX_LOG_H
#define PLUGINS_NGINX_LOG_H

#include <sys/types.h>

#include "nginx.h"

#define LOG_PIECES_MAX  128 /* variables of a log_format                    */
#define LOG_ROUTES_MAX  255
#define LOG_SERVERS_MAX 100
#define LOG_BUCKETS_MAX 32
#define LOG_FILES_MAX   64
#define LOG_TAILS_MAX   4 /* files that one name has stood for              */

/* ---- log_format.c: a log_format ------------------------------------------ */

/* The times of a request, in the order of their families. */
enum log_time {
    TIME_REQUEST,
    TIME_UPSTREAM,
    TIME_CONNECT,
    TIME_HEADER,
    LOG_TIMES,
};

/* What is taken from a line. */
enum log_field {
    FIELD_NONE,
    FIELD_REQUEST,
    FIELD_METHOD,
    FIELD_URI,
    FIELD_STATUS,
    FIELD_BODY_BYTES,
    FIELD_BYTES,
    FIELD_REQUEST_LENGTH,
    FIELD_TIME, /* and the other times behind it */
    FIELD_SERVER = FIELD_TIME + LOG_TIMES,
    LOG_FIELDS,
};

/* A variable, and the text before it. */
struct log_piece {
    sonde_str before;
    enum log_field field;
    bool list; /* of upstreams: "a, b : c" */
};

struct log_format {
    struct log_piece pieces[LOG_PIECES_MAX];
    size_t count; /* up to the last one that is of use */
    sonde_str after;
    bool json; /* values have JSON's escapes */
    bool has[LOG_FIELDS];
    char *text; /* what the views above look at */
};

/* `text` as in nginx.conf; `server_variable` without its $, or empty. */
sonde_code log_format_parse(struct log_format *f, sonde_str text,
                            sonde_str server_variable, struct sonde_err *err);
void log_format_fini(struct log_format *f);

/* ---- log_line.c: lines in a format --------------------------------------- */

enum log_method {
    METHOD_NONE, /* the format has none */
    METHOD_OTHER,
    METHOD_FIRST,
};
/* The label of a method; empty for METHOD_NONE. */
sonde_str log_method_name(unsigned method);

struct log_record {
    unsigned method, status;
    sonde_str path; /* without the query; empty: not known */
    sonde_str server;
    uint64_t bytes, request_bytes;
    double times[LOG_TIMES]; /* below 0: none */
};

/* Reads a line without its end; false: it is not in this format. The record's
 * views are the line's. */
bool log_line_parse(const struct log_format *f, sonde_str line,
                    struct log_record *out);

/* ---- log_route.c: patterns of paths -------------------------------------- */

struct log_route {
    sonde_str pattern;
    size_t literal; /* bytes at its beginning that stand for themselves */
};

struct log_routes {
    struct log_route *items;
    size_t count;
};

sonde_code log_routes_parse(struct log_routes *r, const struct sonde_list *list,
                            struct sonde_err *err);
void log_routes_fini(struct log_routes *r);
/* 1 + index of the first that fits, or 0. */
unsigned log_route_of(const struct log_routes *r, sonde_str path);

/* ---- log_series.c: what was counted -------------------------------------- */

struct log_series;

struct log_counts {
    const struct log_format *format;
    const struct log_routes *routes;
    double bounds[LOG_BUCKETS_MAX];
    size_t bound_count;
    size_t series_max;
    struct log_series **series;
    size_t count;
    uint32_t *slots; /* 1 + index by hash */
    size_t slot_count;
    char *servers[LOG_SERVERS_MAX];
    uint8_t server_slots[256]; /* 1 + index by hash */
    size_t server_count;
    uint64_t folded;
};

sonde_code log_counts_init(struct log_counts *c, const struct log_format *f,
                           const struct log_routes *r,
                           const struct nginx_options *o,
                           struct sonde_err *err);
void log_counts_fini(struct log_counts *c);
void log_counts_add(struct log_counts *c, const struct log_record *r);
void log_counts_emit(struct log_counts *c, struct nginx_emit *e);
/* Bounds of the histograms from option time_buckets. */
sonde_code log_bounds_parse(const struct sonde_list *list, double *out,
                            size_t *count, struct sonde_err *err);

/* ---- log_file.c: files that grow, are renamed and cut ---------------------
 */

/* One file, by what it is, not by its name. */
struct log_tail {
    int fd;
    uint64_t device, inode;
    uint64_t offset; /* of the first byte not yet used: a line's beginning  */
    uint32_t mark_len;
    uint64_t mark; /* of its first bytes: tells it from another            */
    bool skipping; /* in the middle of a line that is too long              */
    bool at_end;   /* all there was has been read                           */
    sonde_msec quiet_since;
};

struct log_file {
    sonde_str path;
    struct log_tail tails[LOG_TAILS_MAX]; /* [0]: under the path now        */
    size_t count;
    bool seen; /* it was looked for before */
    bool readable, told;
    uint64_t lines, rotations, truncations, lag;
};

struct log_reader {
    const struct sonde_host *host;
    const struct sonde_target *target;
    char *buffer;
    size_t buffer_size;
    uint64_t budget; /* bytes left in this collection */
    sonde_msec until;
    bool from_beginning;
    void (*line)(void *arg, sonde_str line);
    void (*too_long)(void *arg); /* or without an end */
    void *arg;
};

/* Finds out what is under the path now, and reads what is new, within the
 * reader's bounds. */
void log_file_poll(struct log_file *f, struct log_reader *r);
void log_file_close(struct log_file *f);
/* Goes on where another process stopped: the file that was at `saved`. Also
 * when it has another name by now. */
void log_file_resume(struct log_file *f, struct log_reader *r,
                     const struct log_tail *saved);

#endif
