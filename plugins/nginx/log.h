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
#define LOG_TAILS_MAX   16 /* files that one name has stood for             */
#define LOG_BETWEEN_MAX                                                        \
    14 /* of these, ones that it stood for between looks                       \
        */
#define LOG_DOC_MAX (1 << 20) /* what the host keeps                    */

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
unsigned log_method_count(void);

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

/* ---- log_doc.c: bytes that outlive the process ----------------------------
 */

#define LOG_CHECKSUM_SEED UINT64_C(0xcbf29ce484222325)
/* Goes on from `h`, at first the seed. */
uint64_t log_checksum(uint64_t h, const void *data, size_t n);

/* Begins as zeroes; at most LOG_DOC_MAX bytes. */
struct log_doc {
    unsigned char *bytes;
    size_t len, cap;
    bool failed; /* it does not fit */
};

void log_doc_begin(struct log_doc *d);
void log_doc_put(struct log_doc *d, uint64_t v);
void log_doc_put_fixed(struct log_doc *d, uint64_t v);
void log_doc_put_double(struct log_doc *d, double v);
void log_doc_put_bytes(struct log_doc *d, const void *data, size_t n);
void log_doc_put_text(struct log_doc *d, sonde_str s);
/* Of what was put so far. */
uint64_t log_doc_checksum(const struct log_doc *d);
void log_doc_seal(struct log_doc *d);
void log_doc_fini(struct log_doc *d);

struct log_cursor {
    const unsigned char *at;
    size_t left;
    bool failed; /* all that is taken then is 0 or empty */
};

/* False: it is damaged or no document of this version. */
bool log_doc_open(struct log_cursor *c, sonde_str doc);
uint64_t log_doc_take(struct log_cursor *c);
uint64_t log_doc_take_fixed(struct log_cursor *c);
double log_doc_take_double(struct log_cursor *c);
/* A view of the document. */
sonde_str log_doc_take_text(struct log_cursor *c);

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
    uint64_t folded, parse_errors;
    uint64_t fingerprint; /* of the options that give series their shape */
};

sonde_code log_counts_init(struct log_counts *c, const struct log_format *f,
                           const struct log_routes *r,
                           const struct nginx_options *o,
                           struct sonde_err *err);
void log_counts_fini(struct log_counts *c);
void log_counts_add(struct log_counts *c, const struct log_record *r);
void log_counts_emit(struct log_counts *c, struct nginx_emit *e);
void log_counts_put(const struct log_counts *c, struct log_doc *d);
/* Goes on from what was put, into counters that are 0; not if the options were
 * others. False: it can not have been put; the counters are 0. */
bool log_counts_take(struct log_counts *c, struct log_cursor *from);
/* Bounds of the histograms from option time_buckets. */
sonde_code log_bounds_parse(const struct sonde_list *list, double *out,
                            size_t *count, struct sonde_err *err);

/* ---- log_folder.c: files beside the path ----------------------------------
 */

/* ns since the epoch; `born` is 0 where the file system does not say. */
struct log_age {
    int64_t born, written;
};
struct log_tail;
struct stat;

/* A plain file, or -1 with errno; EINVAL: it is something else. */
int log_open(int folder, const char *name, struct stat *st);
/* Zeroes: not known. */
struct log_age log_age_of(int fd);
/* Marks what has been read, which does not change any more. */
void log_mark_renew(struct log_tail *t);
bool log_mark_fits(int fd, const struct log_tail *t);
/* The file that was read up to an offset, by its inode or else by its first
 * bytes (a copy of it); a descriptor, or -1. */
int log_find_tail(sonde_str path, const struct log_tail *t, bool by_inode,
                  struct stat *st);

/* A file that stood under the path between two looks. */
struct log_between {
    char name[256];
    struct log_age age;
    int fd;
    int error; /* when there is no fd: why; 0: it is compressed */
};

/* Those written after `last`, the oldest first, opened; how many. The newest
 * if there are more than LOG_BETWEEN_MAX. */
size_t log_find_between(sonde_str path, const struct log_age *last,
                        struct log_between *out);

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
    struct log_age last; /* of the file under the path, at the last look   */
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

/* ---- log_state.c: what outlives the process -------------------------------
 */

struct log_state {
    const struct sonde_host *host;
    const struct sonde_target *target;
    struct log_file *files;
    size_t file_count;
    struct log_counts *counts;
    struct log_doc doc;   /* as it was made last                            */
    uint64_t saved_files; /* checksum of its part about files               */
    bool saved;           /* the host has it                                */
    bool off;             /* there is nowhere to save it                    */
    bool too_big;         /* for the counters                               */
    bool told;            /* that it can not be saved                       */
};

/* Makes the document; false: it would be as it was. */
bool log_state_put(struct log_state *s);
/* Goes on from a document; false: not all of it was good. */
bool log_state_take(struct log_state *s, sonde_str doc, struct log_reader *r);
/* The same from and to the host, telling what fails. */
void log_state_load(struct log_state *s, struct log_reader *r);
void log_state_save(struct log_state *s);
void log_state_fini(struct log_state *s);

#endif
