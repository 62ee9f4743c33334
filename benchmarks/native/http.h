/* What sink and relay share: blocking HTTP/1.1 over TLS. */
#define _GNU_SOURCE
#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (256 << 10)
#define HEAD_BYTES (16 << 10)
#define RECORD_BYTES (16 << 10) /* what one TLS record can hold */

struct connection {
    SSL *ssl;
    size_t start, end; /* what was read and not yet taken */
    unsigned char data[BUFFER_BYTES];
    char head[HEAD_BYTES + 1];
};

static void die(const char *what) {
    fprintf(stderr, "%s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* A context that reads ahead, several records with one system call. */
static SSL_CTX *new_context(const SSL_METHOD *method) {
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context) die("no TLS context");
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, BUFFER_BYTES);
    return context;
}

static void no_delay(int socket) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Read at least a byte behind what is there already; false at the end. */
static bool read_more(struct connection *c) {
    if (c->start == c->end) c->start = c->end = 0;
    if (c->end == sizeof c->data) return false;
    int size = SSL_read(c->ssl, c->data + c->end, (int)(sizeof c->data - c->end));
    if (size <= 0) return false;
    c->end += (size_t)size;
    return true;
}

static bool send_all(struct connection *c, const void *data, size_t size) {
    return size == 0 || SSL_write(c->ssl, data, (int)size) > 0;
}

/* Take a message's head into c->head; false if the connection ends first. */
static bool read_head(struct connection *c) {
    for (;;) {
        unsigned char *end = memmem(c->data + c->start, c->end - c->start, "\r\n\r\n", 4);
        if (end) {
            size_t size = (size_t)(end - c->data) - c->start + 2;
            if (size > HEAD_BYTES) return false;
            memcpy(c->head, c->data + c->start, size);
            c->head[size] = 0;
            c->start += size + 2;
            return true;
        }
        if (!read_more(c)) return false;
    }
}

/* A header's value, cut to the buffer; false if it is not there. */
static bool header(const char *head, const char *name, char *value, size_t size) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) || line[2 + length] != ':') continue;
        const char *from = line + 3 + length;
        from += strspn(from, " \t");
        snprintf(value, size, "%.*s", (int)strcspn(from, "\r"), from);
        return true;
    }
    return false;
}
