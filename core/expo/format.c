/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parser reads an answer: by the media type of its Content-Type alone;
 * what parameters say is ignored, as Prometheus ignores it. A blank or
 * foreign type is an error unless the job names a fallback. The error texts
 * are Prometheus', since people look for them.
 */
#include "expo/expo_int.h"
#include "util/str.h"

static const struct {
    const char *type;
    const char *protocols[3]; /* of scrape_protocols */
    int format;               /* enum expo_format, or -1: not read yet */
} types[] = {
    { "application/openmetrics-text",
      { "OpenMetricsText1.0.0", "OpenMetricsText0.0.1" },
      EXPO_OPENMETRICS },
    { "text/plain",
      { "PrometheusText1.0.0", "PrometheusText0.0.4" },
      EXPO_TEXT },
    { "application/vnd.google.protobuf", { "PrometheusProto" }, -1 },
};
#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

/* Index in `types`, or TYPE_COUNT. */
static size_t type_find(sonde_str media_type)
{
    size_t i = 0;

    while (i < TYPE_COUNT &&
           !str_eq_nocase(media_type, sonde_cstr(types[i].type)))
        i++;
    return i;
}

static size_t protocol_find(sonde_str protocol)
{
    for (size_t i = 0; i < TYPE_COUNT; i++)
        for (size_t k = 0; k < 3 && types[i].protocols[k]; k++)
            if (str_eq_cstr(protocol, types[i].protocols[k]))
                return i;
    return TYPE_COUNT;
}

static sonde_code no_type(sonde_str content_type, struct sonde_err *err)
{
    if (content_type.len == 0)
        return sonde_err_set(err, SONDE_EPARSE,
                             "non-compliant scrape target sending blank "
                             "Content-Type and no fallback_scrape_protocol "
                             "specified for target");
    return sonde_err_set(err, SONDE_EPARSE,
                         "received unsupported Content-Type \"%s\" and no "
                         "fallback_scrape_protocol specified for target",
                         show_str(content_type).text);
}

sonde_code expo_format_of(sonde_str content_type, sonde_str fallback,
                          enum expo_format *out, struct sonde_err *err)
{
    size_t semicolon = str_index(content_type, ';');
    size_t i = type_find(str_trim(str_sub(content_type, 0, semicolon)));

    if (i == TYPE_COUNT)
        i = protocol_find(fallback);
    if (i == TYPE_COUNT)
        return no_type(content_type, err);
    if (types[i].format < 0)
        return sonde_err_set(err, SONDE_EUNSUPPORTED,
                             "read the answer as %s: only text and "
                             "OpenMetrics are read",
                             types[i].type);
    *out = (enum expo_format)types[i].format;
    return SONDE_OK;
}
