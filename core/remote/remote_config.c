/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of a remote_write: Prometheus' keys and defaults, in the order in
 * which it prints them. What only version 2 of the protocol could carry is
 * said to have no effect instead of being dropped in silence.
 */
#include <string.h>

#include "remote/remote.h"
#include "util/str.h"

#define V1_MESSAGE "prometheus.WriteRequest"
#define V2_MESSAGE "io.prometheus.write.v2.Request"

/* ---- queue and metadata ------------------------------------------------ */

#define AT_LEAST(n) .min = (n), .max = INT64_MAX

static const struct config_key queue_rows[] = {
    CONFIG_ROW_INT(struct remote_queue_config, capacity, AT_LEAST(1),
                   .fallback = "10000", .help = "Samples in memory per shard"),
    CONFIG_ROW_INT(struct remote_queue_config, max_shards, .min = 1,
                   .max = 1000, .fallback = "50",
                   .help = "Most requests under way at once"),
    CONFIG_ROW_INT(struct remote_queue_config, min_shards, .min = 1,
                   .max = 1000, .fallback = "1",
                   .help = "Shards to start with"),
    CONFIG_ROW_INT(struct remote_queue_config, max_samples_per_send,
                   AT_LEAST(1), .fallback = "2000",
                   .help = "Most samples of a request"),
    CONFIG_ROW_DURATION(struct remote_queue_config, batch_send_deadline,
                        AT_LEAST(1), .fallback = "5s",
                        .help = "Longest wait for a request to fill up"),
    CONFIG_ROW_DURATION(struct remote_queue_config, min_backoff, AT_LEAST(1),
                        .fallback = "30ms",
                        .help = "First wait after a "
                                "failure; doubles"),
    CONFIG_ROW_DURATION(struct remote_queue_config, max_backoff, AT_LEAST(1),
                        .fallback = "5s", .help = "Longest wait"),
    CONFIG_ROW_BOOL(struct remote_queue_config, retry_on_http_429,
                    .help = "Taken for true: what was answered with 429 is "
                            "always sent again"),
    CONFIG_ROW_DURATION(struct remote_queue_config, sample_age_limit,
                        .help = "Drop samples older than this; 0: send all"),
};

static sonde_code check_queue(struct config_ctx *ctx, void *block,
                              struct sonde_err *err)
{
    const struct remote_queue_config *q = block;

    (void)ctx;
    if (q->min_shards > q->max_shards)
        return yaml_error(q->head.node, err,
                          "queue_config: min_shards (%lld) is above "
                          "max_shards (%lld)",
                          (long long)q->min_shards, (long long)q->max_shards);
    if (q->min_backoff > q->max_backoff)
        return yaml_error(q->head.node, err,
                          "queue_config: min_backoff is above max_backoff");
    return SONDE_OK;
}

static const struct config_block_def queue_block =
    CONFIG_BLOCK_DEF("queue_config", struct remote_queue_config, queue_rows,
                     check_queue, "How samples wait and are sent");

static const struct config_key metadata_rows[] = {
    CONFIG_ROW_BOOL(struct remote_metadata_config, send, .fallback = "true",
                    .help = "Send type, help and unit of metric families"),
    CONFIG_ROW_DURATION(struct remote_metadata_config, send_interval,
                        AT_LEAST(1), .fallback = "1m", .help = "How often"),
    CONFIG_ROW_INT(struct remote_metadata_config, max_samples_per_send,
                   AT_LEAST(1), .fallback = "2000",
                   .help = "Most families of a request"),
};
static const struct config_block_def metadata_block =
    CONFIG_BLOCK_DEF("metadata_config", struct remote_metadata_config,
                     metadata_rows, NULL, "Metadata of metric families");

/* ---- ways to sign requests that are not there yet ---------------------- */

static const struct config_key sigv4_rows[] = {
    CONFIG_ROW_CHECKED("region", CONFIG_STR),
    CONFIG_ROW_CHECKED("access_key", CONFIG_STR),
    CONFIG_ROW_CHECKED("secret_key", CONFIG_SECRET),
    CONFIG_ROW_CHECKED("profile", CONFIG_STR),
    CONFIG_ROW_CHECKED("role_arn", CONFIG_STR),
    CONFIG_ROW_CHECKED("external_id", CONFIG_STR),
    CONFIG_ROW_CHECKED("use_fips_sts_endpoint", CONFIG_BOOL),
    CONFIG_ROW_CHECKED("service_name", CONFIG_STR),
};
const struct config_block_def remote_sigv4_block =
    CONFIG_BLOCK_DEF("sigv4", struct config_head, sigv4_rows, NULL,
                     "Signatures of Amazon Web Services");

static const struct config_key google_iam_rows[] = {
    CONFIG_ROW_CHECKED("credentials_file", CONFIG_PATH),
};
static const struct config_block_def google_iam_block =
    CONFIG_BLOCK_DEF("google_iam", struct config_head, google_iam_rows, NULL,
                     "Tokens of Google Cloud");

/* ---- the block --------------------------------------------------------- */

static sonde_code check_url(const struct remote_write_config *c,
                            struct sonde_err *err)
{
    if (str_starts(c->url, SONDE_STR("http://")) ||
        str_starts(c->url, SONDE_STR("https://")))
        return SONDE_OK;
    return yaml_error(yaml_get(c->head.node, "url"), err,
                      "url: expected http:// or https://");
}

static sonde_code check_headers(const struct remote_write_config *c,
                                struct sonde_err *err)
{
    const struct yaml_node *n = yaml_get(c->head.node, "headers");

    for (size_t i = 0; n && i < n->count; i++) {
        sonde_code rc = http_header_check(n->keys[i], n->keys[i]->scalar, err);

        if (rc != SONDE_OK)
            return rc;
        if (n->items[i]->scalar.len && strpbrk(n->items[i]->scalar.ptr, "\r\n"))
            return yaml_error(n->items[i], err,
                              "headers: a value with a line break");
    }
    return SONDE_OK;
}

static sonde_code check_message(struct config_ctx *ctx,
                                const struct remote_write_config *c,
                                struct sonde_err *err)
{
    const struct yaml_node *at = yaml_get(c->head.node, "protobuf_message");

    if (str_eq_cstr(c->protobuf_message, V2_MESSAGE))
        config_warn(
            ctx, at,
            "protobuf_message: version 2 can not be sent yet, " V1_MESSAGE
            " is");
    else if (!str_eq_cstr(c->protobuf_message, V1_MESSAGE))
        return yaml_error(at, err,
                          "protobuf_message: expected " V1_MESSAGE
                          " or " V2_MESSAGE ", got \"%.*s\"",
                          SONDE_ARG(str_sub(c->protobuf_message, 0, 64)));
    if (c->send_exemplars)
        config_warn(ctx, yaml_get(c->head.node, "send_exemplars"),
                    "\"send_exemplars\" in remote_write has no effect yet");
    if (c->send_native_histograms)
        config_warn(ctx, yaml_get(c->head.node, "send_native_histograms"),
                    "\"send_native_histograms\" in remote_write has no effect "
                    "yet");
    if (c->round_robin_dns)
        config_warn(ctx, yaml_get(c->head.node, "round_robin_dns"),
                    "\"round_robin_dns\" in remote_write has no effect yet");
    return SONDE_OK;
}

static sonde_code check_remote(struct config_ctx *ctx, void *block,
                               struct sonde_err *err)
{
    struct remote_write_config *c = block;
    sonde_code rc = check_url(c, err);

    if (rc == SONDE_OK)
        rc = check_headers(c, err);
    if (rc == SONDE_OK)
        rc = check_message(ctx, c, err);
    if (rc == SONDE_OK)
        rc = http_client_check(ctx, &c->http, c->head.node, err);
    return rc;
}

static const struct config_key rows[] = {
    CONFIG_ROW_URL(struct remote_write_config, url, .flags = CONFIG_REQUIRED,
                   .help = "Where to send"),
    CONFIG_ROW_DURATION(struct remote_write_config, remote_timeout, AT_LEAST(1),
                        .fallback = "30s",
                        .help = "How long a request may take"),
    CONFIG_ROW_STR_MAP(struct remote_write_config, headers,
                       .help = "Headers added to each request; shown as they "
                               "are by status/config"),
    CONFIG_ROW_BLOCK_LIST(struct remote_write_config, write_relabel_configs,
                          &relabel_block,
                          .help = "Relabeling of what is sent, after external "
                                  "labels"),
    CONFIG_ROW_STR(struct remote_write_config, name,
                   .help = "Name in metrics and logs, unique"),
    CONFIG_ROW_BOOL(struct remote_write_config, send_exemplars,
                    .help = "Send exemplars. **No effect yet.**"),
    CONFIG_ROW_BOOL(struct remote_write_config, send_native_histograms,
                    .help = "Send native histograms. **No effect yet.**"),
    CONFIG_ROW_BOOL(struct remote_write_config, round_robin_dns,
                    .help = "Spread connections over all addresses of the "
                            "name. **No effect yet.**"),
    CONFIG_ROW_STR(struct remote_write_config, protobuf_message,
                   .fallback = V1_MESSAGE,
                   .help = "Version of the protocol; only this one yet"),
    HTTP_CLIENT_ROWS_HTTP2(struct remote_write_config, http, "false"),
    CONFIG_ROW_UNUSED_AS("sigv4", CONFIG_BLOCK, .block = &remote_sigv4_block,
                         .help = "Sign requests for Amazon Web Services"),
    CONFIG_ROW_UNUSED("azuread", .help = "Tokens of Azure AD"),
    CONFIG_ROW_UNUSED_AS("google_iam", CONFIG_BLOCK, .block = &google_iam_block,
                         .help = "Tokens of Google Cloud"),
    CONFIG_ROW_INLINE(struct remote_write_config, queue_config,
                      struct remote_queue_config, &queue_block,
                      .help = "How samples wait and are sent"),
    CONFIG_ROW_INLINE(struct remote_write_config, metadata_config,
                      struct remote_metadata_config, &metadata_block,
                      .help = "Metadata of metric families"),
};
const struct config_block_def remote_write_block =
    CONFIG_BLOCK_DEF("remote_write", struct remote_write_config, rows,
                     check_remote, "A server that gets all samples");
