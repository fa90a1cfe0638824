/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flags and environment of nginx-prometheus-exporter, those that older
 * versions had included. Addresses are URLs here (http://, https://,
 * unix:SOCKET:PATH), which the agent takes apart.
 */
#include <sonde/exporter.h>

#include "nginx.h"

#define FLAG(n, e, k, r, h, ...)                                               \
    {                                                                          \
        .name = (n), .env = (e), .kind = SONDE_OPT_KIND_##k,                   \
        .role = SONDE_FLAG_##r, .help = (h), __VA_ARGS__                       \
    }
#define HIDDEN .flags = SONDE_FLAG_HIDDEN

/* clang-format off */
static const struct sonde_flag flags[] = {
    FLAG("nginx.scrape-uri", "SCRAPE_URI", STR, ADDRESS,
         "Where the stub_status page is, or with --nginx.plus the API: "
         "http://, https:// or unix:SOCKET:PATH",
         .flags = SONDE_FLAG_REPEATED,
         .fallback = "http://127.0.0.1:8080/stub_status"),
    FLAG("nginx.plus", "NGINX_PLUS", BOOL, VALUE,
         "The targets are NGINX Plus"),
    FLAG("nginx.ssl-verify", "SSL_VERIFY", BOOL, TLS_VERIFY,
         "Verify the targets' certificates", .fallback = "false"),
    FLAG("nginx.ssl-ca-cert", "SSL_CA_CERT", FILE, TLS_CA,
         "Certificates of the authorities that the targets' are verified "
         "with"),
    FLAG("nginx.ssl-client-cert", "SSL_CLIENT_CERT", FILE, TLS_CERT,
         "Certificate that is shown to the targets"),
    FLAG("nginx.ssl-client-key", "SSL_CLIENT_KEY", FILE, TLS_KEY,
         "Key of that certificate"),
    FLAG("nginx.proxy-protocol", "PROXY_PROTOCOL", BOOL, VALUE,
         "Not supported: true is refused"),
    FLAG("nginx.timeout", "TIMEOUT", DURATION, TIMEOUT,
         "Time for one collection", .fallback = "5s"),
    FLAG("prometheus.const-label", "CONST_LABELS", STR, LABEL,
         "name=value, on all series", .flags = SONDE_FLAG_REPEATED),
    FLAG("web.listen-address", "LISTEN_ADDRESS", STR, LISTEN,
         "Where the metrics are served",
         .flags = SONDE_FLAG_REPEATED, .fallback = ":9113"),
    FLAG("web.telemetry-path", "TELEMETRY_PATH", STR, METRICS_PATH,
         "Path of the metrics", .fallback = "/metrics"),
    FLAG("web.config.file", "CONFIG_FILE", FILE, WEB_CONFIG,
         "Prometheus' web config file: TLS and users of the page"),
    FLAG("web.nginx-metrics-only", "NGINX_METRICS_ONLY", BOOL, NO_SELF,
         "No metrics of the process itself"),
    FLAG("web.systemd-socket", "SYSTEMD_SOCKET", BOOL, UNUSED,
         "Not supported: listens on --web.listen-address"),
    FLAG("log.level", NULL, STR, LOG_LEVEL,
         "debug, info, warn or error", .fallback = "info"),
    FLAG("log.format", NULL, STR, LOG_FORMAT,
         "logfmt or json", .fallback = "logfmt"),

    /* Until 0.11 */
    FLAG("prometheus.const-labels", NULL, STR, LABEL,
         "name=value,name=value on all series",
         .flags = SONDE_FLAG_HIDDEN | SONDE_FLAG_COMMAS),
    FLAG("web.ssl-server-cert", "SSL_SERVER_CERT", FILE, SERVER_CERT,
         "Certificate of the page", HIDDEN),
    FLAG("web.ssl-server-key", "SSL_SERVER_KEY", FILE, SERVER_KEY,
         "Key of the page's certificate", HIDDEN),
    FLAG("web.secured-metrics", "SECURED_METRICS", BOOL, UNUSED,
         "TLS of the page, which is on when it has a certificate", HIDDEN),
    FLAG("nginx.retries", "NGINX_RETRIES", INT, UNUSED,
         "Each collection is a new try", HIDDEN),
    FLAG("nginx.retry-interval", "NGINX_RETRY_INTERVAL", DURATION, UNUSED,
         "Each collection is a new try", HIDDEN),
};
/* clang-format on */

static bool is_true(const struct sonde_flag_values *v, const char *flag)
{
    sonde_str value;

    return v->get(v, flag, 0, &value) &&
           (sonde_str_eq(value, SONDE_STR("true")) ||
            sonde_str_eq(value, SONDE_STR("1")) ||
            sonde_str_eq(value, SONDE_STR("t")));
}

static sonde_code complete(const struct sonde_flag_values *v,
                           struct sonde_err *err)
{
    if (is_true(v, "nginx.proxy-protocol"))
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "--nginx.proxy-protocol: the PROXY protocol is "
                             "not supported; give the status page a listener "
                             "without proxy_protocol");
    if (is_true(v, "nginx.plus"))
        v->option(v, "mode", SONDE_STR("plus"));
    return SONDE_OK;
}

const struct sonde_exporter nginx_exporter = {
    .struct_size = sizeof(struct sonde_exporter),
    .name = "nginx_exporter",
    .prefix = "nginx_",
    SONDE_EXPORTER_FLAGS(flags),
    .target_label = "addr",
    .targets = complete,
};
