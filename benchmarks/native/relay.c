/* The floor: what a copy costs when nothing but system calls and TLS is left: relay LINK BUCKET KEY
   Four connections to the source and four to S3, each part streamed from a ranged GET into an UploadPart; no retries, no
   resuming, no checks, no signatures. S3's address comes from AWS_ENDPOINT_URL_S3, the CA from SSL_CERT_FILE. */
#include "http.h"

#include <netdb.h>

#define WORKERS 4
#define PART_BYTES ((uint64_t)32 << 20)
#define MAX_PARTS 10000

struct address {
    char host[256], port[8], path[2048];
};

static SSL_CTX *context;
static struct address source, store;
static uint64_t size;
static int parts, next_part;
static char upload_id[256], etags[MAX_PARTS + 1][64];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct address parse(const char *url) {
    struct address address = {.port = "443"};
    if (sscanf(url, "https://%255[^:/]:%7[0-9]%2047s", address.host, address.port, address.path) < 2 &&
        sscanf(url, "https://%255[^/]%2047s", address.host, address.path) < 1)
        die("not an https URL");
    return address;
}

static struct connection *dial(const struct address *address) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    struct connection *c = calloc(1, sizeof *c);
    if (!c || getaddrinfo(address->host, address->port, &hints, &found)) die("no such host");
    int socket_ = socket(found->ai_family, SOCK_STREAM, 0);
    if (connect(socket_, found->ai_addr, found->ai_addrlen)) die("cannot connect");
    freeaddrinfo(found);
    no_delay(socket_);
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, socket_);
    if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), address->host)) SSL_set1_host(c->ssl, address->host);
    if (SSL_connect(c->ssl) != 1) die("no TLS");
    return c;
}

/* Send a head, and a text if there is one. */
static void ask(struct connection *c, const char *text, const char *format, ...) {
    char head[4096];
    va_list values;
    va_start(values, format);
    vsnprintf(head, sizeof head, format, values);
    va_end(values);
    if (!send_all(c, head, strlen(head)) || !send_all(c, text, strlen(text))) die("could not send");
}

/* Read the answer's head, which must say 2xx; returns its length. */
static uint64_t heard(struct connection *c) {
    char value[64];
    if (!read_head(c)) die("no answer");
    if (strncmp(c->head, "HTTP/1.1 2", 10)) die(c->head);
    return header(c->head, "content-length", value, sizeof value) ? strtoull(value, NULL, 10) : 0;
}

static void read_text(struct connection *c, char *text, size_t limit) {
    uint64_t length = heard(c);
    if (length >= limit) die("a long answer");
    while (c->end - c->start < length)
        if (!read_more(c)) die("cut off");
    memcpy(text, c->data + c->start, length);
    text[length] = 0;
    c->start += length;
}

static void pump(struct connection *from, struct connection *to, uint64_t left) {
    while (left) {
        if (from->start == from->end && !read_more(from)) die("the source broke off");
        while (from->end < sizeof from->data && from->end - from->start < left && SSL_has_pending(from->ssl) && read_more(from)) {}
        size_t here = from->end - from->start < left ? from->end - from->start : left;
        if (!send_all(to, from->data + from->start, here)) die("S3 broke off");
        from->start += here;
        left -= here;
    }
}

static void *work(void *unused) {
    struct connection *from = NULL, *to = NULL;
    char empty[4096];
    for (;;) {
        pthread_mutex_lock(&lock);
        int number = ++next_part;
        pthread_mutex_unlock(&lock);
        if (number > parts) return unused;
        if (!from) from = dial(&source), to = dial(&store);
        uint64_t start = (uint64_t)(number - 1) * PART_BYTES, length = size - start < PART_BYTES ? size - start : PART_BYTES;
        ask(from, "", "GET %s HTTP/1.1\r\nHost: %s\r\nRange: bytes=%" PRIu64 "-%" PRIu64 "\r\n\r\n", source.path, source.host, start, start + length - 1);
        if (heard(from) != length) die("not the range");
        ask(to, "", "PUT %s?partNumber=%d&uploadId=%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %" PRIu64 "\r\n\r\n", store.path, number, upload_id, store.host, length);
        pump(from, to, length);
        read_text(to, empty, sizeof empty);
        header(to->head, "etag", etags[number], sizeof etags[number]);
    }
}

static void copy_parts(struct connection *to) {
    pthread_t threads[WORKERS];
    char text[4096], *list = malloc(MAX_PARTS * 128), *at = list;
    ask(to, "", "POST %s?uploads HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", store.path, store.host);
    read_text(to, text, sizeof text);
    char *id = strstr(text, "<UploadId>");
    if (!id || !list || sscanf(id, "<UploadId>%255[^<]", upload_id) != 1) die("no upload");
    for (int i = 0; i < WORKERS; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    at += sprintf(at, "<CompleteMultipartUpload>");
    for (int number = 1; number <= parts; number++)
        at += sprintf(at, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number, etags[number]);
    sprintf(at, "</CompleteMultipartUpload>");
    ask(to, list, "POST %s?uploadId=%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n\r\n", store.path, upload_id, store.host, strlen(list));
    read_text(to, text, sizeof text);
}

int main(int count, char **arguments) {
    if (count != 4 || !getenv("AWS_ENDPOINT_URL_S3") || !getenv("SSL_CERT_FILE")) die("usage: relay LINK BUCKET KEY");
    context = new_context(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_locations(context, getenv("SSL_CERT_FILE"), NULL) != 1) die("no CA");
    source = parse(arguments[1]);
    store = parse(getenv("AWS_ENDPOINT_URL_S3"));
    snprintf(store.path, sizeof store.path, "/%s/%s", arguments[2], arguments[3]);
    struct connection *from = dial(&source), *to = dial(&store);
    ask(from, "", "HEAD %s HTTP/1.1\r\nHost: %s\r\n\r\n", source.path, source.host);
    size = heard(from);
    parts = (int)((size + PART_BYTES - 1) / PART_BYTES);
    if (parts > MAX_PARTS) die("too large for this");
    if (parts > 1) return copy_parts(to), 0;
    char text[4096];
    ask(from, "", "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", source.path, source.host);
    ask(to, "", "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %" PRIu64 "\r\n\r\n", store.path, store.host, heard(from));
    pump(from, to, size);
    read_text(to, text, sizeof text);
    return 0;
}
