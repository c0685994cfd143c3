/* amqp_url.h - the URL of a broker, taken apart.
 *
 *   amqp[s]://[user[:password]@]host[:port][,host[:port]…][/vhost]
 *
 * User, password, and vhost may be percent-encoded; IPv6 addresses stand in
 * brackets. Missing parts are guest, guest, 5672 or 5671 (amqps), and "/".
 */
#ifndef GOPMILL_QUEUE_AMQP_URL_H
#define GOPMILL_QUEUE_AMQP_URL_H

#include <stddef.h>

struct err;

enum { AMQP_HOSTS_MAX = 16 };

struct amqp_host {
    char *name; /* without brackets */
    int port;
};

struct amqp_url {
    int tls;
    char *user, *password, *vhost;
    struct amqp_host hosts[AMQP_HOSTS_MAX];
    size_t n_hosts;
};

/* 0, or -EINVAL (ERR_USAGE) or -ENOMEM with *ret untouched. Texts never hold
 * a part of the URL that may be secret. Release with amqp_url_release(). */
int amqp_url_parse(const char *text, struct amqp_url *ret, struct err *err);

void amqp_url_release(struct amqp_url *u); /* all zero is fine */

#endif
