/* amqp_connect.c - one connection to one host: TCP, TLS, login. */
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "../base/cleanup.h"
#include "../base/err.h"
#include "../base/utf8.h"
#include "amqp_parts.h"

enum {
    /* Small enough that a frame fits into a send buffer that poll() calls writable. */
    FRAME_MAX = 64 << 10,
    SEND_BUFFER = 512 << 10,
    CHANNELS = CH_LANE + LANES_MAX,
    CLOSE_WAIT_MS = 1000,
};

void amqp_printable(char *buf, size_t size, amqp_bytes_t text)
{
    size_t n = text.len < size - 1 ? text.len : size - 1;

    if (n > 0)
        memcpy(buf, text.bytes, n);
    buf[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)buf[i] < ' ' || buf[i] == 0x7f)
            buf[i] = '?';
    utf8_mend(buf);
    buf[utf8_cut(buf, size - 1)] = '\0';
}

/* What OpenSSL knows of a failure that the library has no more words for. With TLS 1.3 a broker
 * refuses its client only after that thinks it is connected, by an alert. NULL: nothing. */
static const char *tls_words(void)
{
    unsigned long e = ERR_peek_last_error();

    switch (e && ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0) {
    case 0:
        return NULL;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "the broker wants a certificate of its client, and there is none "
               "(--broker-cert, --broker-key)";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "the broker refuses its client's certificate (--broker-cert)";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the broker refuses the handshake: it may want a certificate of its client "
               "(--broker-cert, --broker-key)";
    default:
        return ERR_reason_error_string(e);
    }
}

int amqp_lost(struct err *err, int status, const char *doing)
{
    const char *words = status == AMQP_STATUS_SSL_ERROR ? tls_words() : NULL;

    if (words)
        return err_set(err, -ECONNRESET, ERR_STORAGE, "%s: %s", doing, words);
    return err_set(err, -ECONNRESET, ERR_STORAGE, "%s: %s", doing, amqp_error_string2(status));
}

/* Why a call that waited for an answer failed. */
static int reply_error(struct err *err, amqp_rpc_reply_t reply, const char *doing)
{
    char text[300];
    unsigned code = 0;

    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION)
        return amqp_lost(err,
                         reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION
                             ? reply.library_error
                             : AMQP_STATUS_CONNECTION_CLOSED,
                         doing);
    text[0] = '\0';
    if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *m = reply.reply.decoded;
        code = m->reply_code;
        amqp_printable(text, sizeof(text), m->reply_text);
    } else if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = reply.reply.decoded;
        code = m->reply_code;
        amqp_printable(text, sizeof(text), m->reply_text);
    }
    return err_set(err, code == AMQP_ACCESS_REFUSED ? -EACCES : -EPROTO, ERR_STORAGE, "%s: %u %s",
                   doing, code, text);
}

/* OpenSSL tells nobody else why it doesn't trust a certificate. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    long *why = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    if (!ok && why)
        *why = X509_STORE_CTX_get_error(store);
    return ok;
}

/* Certificates are verified by OpenSSL in the handshake: the library's own
 * look at the host's name knows no addresses. */
static int tls_verify(amqp_socket_t *s, const struct amqp_host *host, long *why)
{
    SSL_CTX *ctx = amqp_ssl_socket_get_context(s);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

    amqp_ssl_socket_set_verify_peer(s, 1);
    amqp_ssl_socket_set_verify_hostname(s, 0);
    SSL_CTX_set_app_data(ctx, why);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host->name) == 1)
        return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 ? 0 : -EINVAL;
    ERR_clear_error();
    if (X509_VERIFY_PARAM_set1_host(param, host->name, 0) != 1)
        return -EINVAL;
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 ? 0 : -EINVAL;
}

static int tls_socket(struct amqp_queue *q, const struct amqp_host *host, long *why,
                      amqp_socket_t **ret, struct err *err)
{
    amqp_socket_t *s = amqp_ssl_socket_new(q->conn);

    if (!s)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a TLS connection");
    if (q->ca_file && amqp_ssl_socket_set_cacert(s, q->ca_file) != AMQP_STATUS_OK)
        return err_set(err, -EINVAL, ERR_STORAGE, "the certificates of %s can't be read",
                       q->ca_file);
    if (!q->ca_file && SSL_CTX_set_default_verify_paths(amqp_ssl_socket_get_context(s)) != 1)
        return err_set(err, -EINVAL, ERR_STORAGE, "the system's certificates can't be read");
    if (q->cert_file && amqp_ssl_socket_set_key(s, q->cert_file, q->key_file) != AMQP_STATUS_OK)
        return err_set(err, -EINVAL, ERR_STORAGE, "the certificate %s and its key can't be used",
                       q->cert_file);
    if (tls_verify(s, host, why) < 0)
        return err_set(err, -EINVAL, ERR_INTERNAL, "OpenSSL refuses to verify %s", host->name);
    *ret = s;
    return 0;
}

static int open_socket(struct amqp_queue *q, const struct amqp_host *host, struct err *err)
{
    const struct timeval limit = { .tv_sec = q->connect_timeout_ms / 1000,
                                   .tv_usec = (q->connect_timeout_ms % 1000) * 1000L };
    amqp_socket_t *s = NULL;
    long why = X509_V_OK;
    int r = 0;

    if (q->url.tls)
        r = tls_socket(q, host, &why, &s, err);
    else if (!(s = amqp_tcp_socket_new(q->conn)))
        r = err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a connection");
    if (r < 0)
        return r;
    r = amqp_socket_open_noblock(s, host->name, host->port, &limit);
    if (q->url.tls) /* it looks at `why` no more */
        SSL_CTX_set_app_data((SSL_CTX *)amqp_ssl_socket_get_context(s), NULL);
    if (r == AMQP_STATUS_OK)
        return 0;
    if (why != X509_V_OK)
        return err_set(err, -EACCES, ERR_STORAGE, "its certificate isn't trusted: %s",
                       X509_verify_cert_error_string(why));
    if (r == AMQP_STATUS_SOCKET_ERROR)
        return err_set(err, -ECONNREFUSED, ERR_STORAGE, "can't connect: refused or out of reach");
    return amqp_lost(err, r, "can't connect");
}

static amqp_table_entry_t flag(const char *name)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(name),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}
    };
}

static int login(struct amqp_queue *q, struct err *err)
{
    amqp_table_entry_t can[] = { flag("consumer_cancel_notify"), flag("connection.blocked"),
                                 flag("authentication_failure_close"), flag("publisher_confirms"),
                                 flag("basic.nack") };
    amqp_table_entry_t entries[2] = {
        {.key = amqp_cstring_bytes("capabilities"),     .value.kind = AMQP_FIELD_KIND_TABLE},
        { .key = amqp_cstring_bytes("connection_name"), .value.kind = AMQP_FIELD_KIND_UTF8 },
    };
    const amqp_table_t properties = { 2, entries };
    amqp_rpc_reply_t reply;

    entries[0].value.value.table = (amqp_table_t){ (int)(sizeof(can) / sizeof(*can)), can };
    entries[1].value.value.bytes = amqp_cstring_bytes(q->name);
    reply = amqp_login_with_properties(q->conn, q->url.vhost, CHANNELS, FRAME_MAX,
                                       (int)q->heartbeat_s, &properties, AMQP_SASL_METHOD_PLAIN,
                                       q->url.user, q->url.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        return reply_error(err, reply, "login");
    if (amqp_get_channel_max(q->conn) != 0 && amqp_get_channel_max(q->conn) < CHANNELS)
        return err_set(err, -EPROTO, ERR_STORAGE, "the broker allows %d channels, %d are needed",
                       amqp_get_channel_max(q->conn), CHANNELS);
    return 0;
}

/* The socket is known to others from here on: free() may have to end it. */
static void socket_share(struct amqp_queue *q, int fd)
{
    (void)pthread_mutex_lock(&q->lock);
    q->fd = fd;
    (void)pthread_mutex_unlock(&q->lock);
}

static int open_and_login(struct amqp_queue *q, const struct amqp_host *host, struct err *err)
{
    const struct timeval limit = { .tv_sec = q->connect_timeout_ms / 1000,
                                   .tv_usec = (q->connect_timeout_ms % 1000) * 1000L };
    const int size = SEND_BUFFER;
    int r = open_socket(q, host, err);

    if (r < 0)
        return r;
    int fd = amqp_get_sockfd(q->conn);
    /* As much as the system gives; frames block a little more often with less. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    socket_share(q, fd);
    if (amqp_set_handshake_timeout(q->conn, &limit) != AMQP_STATUS_OK ||
        amqp_set_rpc_timeout(q->conn, &limit) != AMQP_STATUS_OK)
        return err_set(err, -EINVAL, ERR_INTERNAL, "librabbitmq takes no time limit");
    r = login(q, err);
    return r < 0 ? r : topology_declare(q, err);
}

int amqp_connect(struct amqp_queue *q, const struct amqp_host *host, struct err *err)
{
    int r;

    q->conn = amqp_new_connection();
    if (!q->conn)
        return err_set(err, -ENOMEM, ERR_RESOURCE, "out of memory for a connection");
    r = open_and_login(q, host, err);
    ERR_clear_error();
    if (r < 0) {
        amqp_disconnect(q, 0);
        return err_prefix(err, r, "%s port %d", host->name, host->port);
    }
    return 0;
}

void amqp_disconnect(struct amqp_queue *q, int politely)
{
    const struct timeval limit = { .tv_sec = CLOSE_WAIT_MS / 1000 };

    if (!q->conn)
        return;
    /* Once the broker says close-ok, it has seen every ack. */
    if (politely) {
        (void)amqp_set_rpc_timeout(q->conn, &limit);
        (void)amqp_connection_close(q->conn, AMQP_REPLY_SUCCESS);
    }
    socket_share(q, -1);
    (void)amqp_destroy_connection(q->conn);
    q->conn = NULL;
}

int amqp_rpc_ok(struct amqp_queue *q, const char *doing, struct err *err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(q->conn);

    return reply.reply_type == AMQP_RESPONSE_NORMAL ? 0 : reply_error(err, reply, doing);
}
