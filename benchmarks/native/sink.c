/* Just enough S3 over TLS to measure clients against: sink CERTIFICATE KEY BYTES_PER_SECOND
   (of each request body; 0 is unlimited). Requests are path-style, with any signature. Nothing is kept but lengths and
   CRC32s. The first line on stdout is {"port": …}; each object that is whole adds {"key", "size", "crc32", "parts",
   "open_uploads"}, and each request that S3 would refuse {"error"}. */
#include "http.h"
#include "crc32.h"

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#define MAX_PARTS 10000
#define SMALLEST_PART_BYTES (5 << 20)
#define TEXT_BYTES (4 << 20)

struct part {
    bool present;
    uint64_t size;
    uint32_t crc;
};

struct upload {
    struct upload *next;
    char id[32], *key, *headers;
    struct part parts[MAX_PARTS + 1];
};

struct object {
    struct object *next;
    char *key, *headers;
    uint64_t size;
    uint32_t crc;
    int parts;
};

/* Both chunked transfer encoding and aws-chunked: SIZE[;extension] CRLF data CRLF … 0 CRLF trailers CRLF */
struct chunks {
    enum { SIZE, DATA, DATA_END, TRAILER, DONE, BROKEN } state;
    uint64_t left;
    size_t length;
    char line[512], trailer[512];
};

struct body {
    bool chunked, aws_chunked, is_text;
    uint64_t left, size;
    uint32_t crc;
    struct chunks outer, inner;
    char *text;
};

struct request {
    struct connection *connection;
    char method[16], key[2048], query[4096];
    struct body body;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct upload *uploads;
static struct object *objects;
static uint64_t bytes_per_second, upload_count;
static SSL_CTX *context;

static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    fflush(stdout);
}

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) die("out of memory");
    return memory;
}

/* --- bodies ------------------------------------------------------------------------------------------------------ */

typedef void taker(struct body *, const unsigned char *, size_t);

static void take_payload(struct body *body, const unsigned char *data, size_t size) {
    if (body->is_text && body->size + size < TEXT_BYTES) {
        if (!body->text) body->text = allocate(TEXT_BYTES);
        memcpy(body->text + body->size, data, size);
    }
    body->crc = crc32_fast(body->crc, data, size);
    body->size += size;
}

static void end_of_line(struct chunks *chunks) {
    char *end;
    chunks->line[chunks->length] = 0;
    switch (chunks->state) {
    case SIZE:
        chunks->left = strtoull(chunks->line, &end, 16);
        chunks->state = end == chunks->line ? BROKEN : chunks->left ? DATA : TRAILER;
        break;
    case DATA_END:
        chunks->state = chunks->length ? BROKEN : SIZE;
        break;
    default: /* the last trailer wins, there is never more than the checksum */
        if (chunks->length) strcpy(chunks->trailer, chunks->line);
        else chunks->state = DONE;
    }
    chunks->length = 0;
}

static size_t take_chunks(struct body *body, struct chunks *chunks, const unsigned char *data, size_t size, taker *take) {
    size_t at = 0;
    while (at < size && chunks->state < DONE) {
        if (chunks->state == DATA) {
            size_t here = size - at < chunks->left ? size - at : chunks->left;
            take(body, data + at, here);
            at += here;
            if (!(chunks->left -= here)) chunks->state = DATA_END;
            continue;
        }
        char character = (char)data[at++];
        if (character == '\n') end_of_line(chunks);
        else if (character != '\r' && chunks->length < sizeof chunks->line - 1) chunks->line[chunks->length++] = character;
    }
    return at;
}

static void take_content(struct body *body, const unsigned char *data, size_t size) {
    if (!body->aws_chunked) take_payload(body, data, size);
    else if (take_chunks(body, &body->inner, data, size, take_payload) < size) body->inner.state = BROKEN;
}

static size_t take_body(struct body *body, const unsigned char *data, size_t size) {
    if (body->chunked) return take_chunks(body, &body->outer, data, size, take_content);
    if (size > body->left) size = body->left;
    take_content(body, data, size);
    body->left -= size;
    return size;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The reason why S3 would refuse the body, or NULL. */
static const char *read_body(struct request *request) {
    struct connection *c = request->connection;
    struct body *body = &request->body;
    char value[256];
    uint64_t received = 0;
    double start = seconds();
    body->chunked = header(c->head, "transfer-encoding", value, sizeof value) && strcasestr(value, "chunked");
    body->aws_chunked = (header(c->head, "content-encoding", value, sizeof value) && strcasestr(value, "aws-chunked")) ||
                        (header(c->head, "x-amz-content-sha256", value, sizeof value) && !strncmp(value, "STREAMING-", 10));
    if (header(c->head, "content-length", value, sizeof value)) body->left = strtoull(value, NULL, 10);
    else if (!strcmp(request->method, "PUT") && !(body->chunked && body->aws_chunked)) return "MissingContentLength";
    if (header(c->head, "expect", value, sizeof value) && !send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return "Gone";
    while (body->chunked ? body->outer.state < DONE : body->left > 0) {
        if (c->start == c->end && !read_more(c)) return "IncompleteBody";
        size_t taken = take_body(body, c->data + c->start, c->end - c->start);
        c->start += taken;
        received += taken;
        if (!bytes_per_second) continue;
        double ahead = (double)received / (double)bytes_per_second - (seconds() - start);
        if (ahead > 0.005) usleep((useconds_t)(ahead * 1e6));
    }
    if (body->chunked && body->outer.state != DONE) return "InvalidChunk";
    if (body->aws_chunked && body->inner.state != DONE) return "InvalidChunk";
    if (body->aws_chunked && (!header(c->head, "x-amz-decoded-content-length", value, sizeof value) ||
                              strtoull(value, NULL, 10) != body->size))
        return "IncompleteBody";
    return NULL;
}

static void crc_text(uint32_t crc, char text[16]) {
    unsigned char bytes[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8), (unsigned char)crc};
    EVP_EncodeBlock((unsigned char *)text, bytes, 4);
}

/* Whether the CRC32 that the client gave, if it gave one, is that of the bytes. */
static bool checksum_holds(struct request *request, uint32_t crc) {
    char given[64], right[16];
    const char *trailer = request->body.inner.trailer, *name = "x-amz-checksum-crc32";
    crc_text(crc, right);
    if (!strncasecmp(trailer, name, strlen(name)) && trailer[strlen(name)] == ':')
        return !strcmp(trailer + strlen(name) + 1 + strspn(trailer + strlen(name) + 1, " "), right);
    return !header(request->connection->head, name, given, sizeof given) || !strcmp(given, right);
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static bool answer(struct request *request, const char *status, const char *headers, const char *text) {
    size_t size = strlen(headers) + strlen(text) + 512;
    char *message = allocate(size);
    bool bare = !strncmp(status, "204", 3) || strstr(headers, "Content-Length:");
    int length = snprintf(message, size, "HTTP/1.1 %s\r\nServer: sink\r\nx-amz-request-id: 1\r\n%s", status, headers);
    if (!bare) length += snprintf(message + length, size - (size_t)length, "Content-Length: %zu\r\nContent-Type: application/xml\r\n", strlen(text));
    length += snprintf(message + length, size - (size_t)length, "\r\n%s", !strcmp(request->method, "HEAD") ? "" : text);
    bool sent = send_all(request->connection, message, (size_t)length);
    free(message);
    return sent;
}

static bool refuse(struct request *request, const char *status, const char *code) {
    char text[512];
    if (!strncmp(status, "400", 3)) say("{\"error\": \"%s %s: %s\"}\n", request->method, request->key, code);
    snprintf(text, sizeof text, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message></Error>", code, code);
    return answer(request, status, "", text);
}

/* The value of a query parameter ("" without one); false if it is not there. */
static bool query(struct request *request, const char *name, char *value, size_t size) {
    size_t length = strlen(name);
    for (const char *at = request->query; *at; at += strcspn(at, "&"), at += *at == '&') {
        if (strncmp(at, name, length) || !strchr("=&", at[length])) continue;
        at += length + (at[length] == '=');
        snprintf(value, size, "%.*s", (int)strcspn(at, "&"), at);
        return true;
    }
    return false;
}

/* What HEAD tells again: content type and metadata. */
static char *kept_headers(const char *head) {
    const char *default_type = "Content-Type: binary/octet-stream\r\n";
    char value[64], *kept = allocate(strlen(head) + strlen(default_type) + 1);
    if (!header(head, "content-type", value, sizeof value)) strcpy(kept, default_type);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, "x-amz-meta-", 11) || !strncasecmp(line + 2, "content-type:", 13))
            strncat(kept, line + 2, strcspn(line + 2, "\r") + 2);
    return kept;
}

static struct object *find_object(const char *key) {
    for (struct object *object = objects; object; object = object->next)
        if (!strcmp(object->key, key)) return object;
    return NULL;
}

static struct upload **find_upload(struct request *request) {
    char id[64];
    query(request, "uploadId", id, sizeof id);
    struct upload **at = &uploads;
    while (*at && (strcmp((*at)->id, id) || strcmp((*at)->key, request->key))) at = &(*at)->next;
    return at;
}

static void forget(struct upload **at) {
    struct upload *upload = *at;
    *at = upload->next;
    free(upload->key);
    free(upload->headers);
    free(upload);
}

static bool key_taken(struct request *request) {
    char value[64];
    return header(request->connection->head, "if-none-match", value, sizeof value) && find_object(request->key);
}

static void store(const char *key, const char *headers, uint64_t size, uint32_t crc, int parts) {
    struct object *object = find_object(key);
    int open = 0;
    if (!object) {
        object = allocate(sizeof *object);
        object->next = objects;
        object->key = strdup(key);
        objects = object;
    }
    free(object->headers);
    object->headers = strdup(headers);
    object->size = size, object->crc = crc, object->parts = parts;
    for (struct upload *upload = uploads; upload; upload = upload->next) open++;
    say("{\"key\": \"%s\", \"size\": %" PRIu64 ", \"crc32\": %u, \"parts\": %d, \"open_uploads\": %d}\n", key, size, crc, parts, open);
}

/* --- operations; each is called with the lock held --------------------------------------------------------------- */

static bool create_upload(struct request *request) {
    struct upload *upload = allocate(sizeof *upload);
    char text[4096];
    snprintf(upload->id, sizeof upload->id, "upload-%" PRIu64, ++upload_count);
    upload->key = strdup(request->key);
    upload->headers = kept_headers(request->connection->head);
    upload->next = uploads;
    uploads = upload;
    snprintf(text, sizeof text,
             "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><Bucket>%.*s</Bucket><Key>%s</Key><UploadId>%s</UploadId>"
             "</InitiateMultipartUploadResult>",
             (int)strcspn(request->key, "/"), request->key, strchr(request->key, '/') + 1, upload->id);
    return answer(request, "200 OK", "", text);
}

static bool put_part(struct request *request, const char *number_text) {
    struct upload *upload = *find_upload(request);
    int number = atoi(number_text);
    char headers[256], checksum[16];
    if (!upload) return refuse(request, "404 Not Found", "NoSuchUpload");
    if (number < 1 || number > MAX_PARTS) return refuse(request, "400 Bad Request", "InvalidArgument");
    if (!checksum_holds(request, request->body.crc)) return refuse(request, "400 Bad Request", "BadDigest");
    upload->parts[number] = (struct part){true, request->body.size, request->body.crc};
    crc_text(request->body.crc, checksum);
    snprintf(headers, sizeof headers, "ETag: \"%08x-%d\"\r\nx-amz-checksum-crc32: %s\r\n", request->body.crc, number, checksum);
    return answer(request, "200 OK", headers, "");
}

static bool put_object(struct request *request) {
    char headers[256], checksum[16];
    if (key_taken(request)) return refuse(request, "412 Precondition Failed", "PreconditionFailed");
    if (!checksum_holds(request, request->body.crc)) return refuse(request, "400 Bad Request", "BadDigest");
    crc_text(request->body.crc, checksum);
    snprintf(headers, sizeof headers, "ETag: \"%08x-0\"\r\nx-amz-checksum-crc32: %s\r\n", request->body.crc, checksum);
    char *kept = kept_headers(request->connection->head);
    store(request->key, kept, request->body.size, request->body.crc, 0);
    free(kept);
    return answer(request, "200 OK", headers, "");
}

static bool list_parts(struct request *request) {
    struct upload *upload = *find_upload(request);
    char value[64], checksum[16], etag[64];
    int after = query(request, "part-number-marker", value, sizeof value) ? atoi(value) : 0;
    int most = query(request, "max-parts", value, sizeof value) ? atoi(value) : 1000, listed = 0, last = after;
    if (!upload) return refuse(request, "404 Not Found", "NoSuchUpload");
    if (most < 1 || most > 1000) most = 1000;
    char *text = allocate(256 * 1000 + 4096), *at = text;
    bool truncated = false;
    at += sprintf(at, "<?xml version=\"1.0\"?><ListPartsResult><UploadId>%s</UploadId>", upload->id);
    for (int number = after + 1; number <= MAX_PARTS; number++) {
        struct part *part = &upload->parts[number];
        if (!part->present) continue;
        if (listed == most) {
            truncated = true;
            break;
        }
        crc_text(part->crc, checksum);
        snprintf(etag, sizeof etag, "&quot;%08x-%d&quot;", part->crc, number);
        at += sprintf(at, "<Part><PartNumber>%d</PartNumber><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>%s</ETag>"
                      "<Size>%" PRIu64 "</Size><ChecksumCRC32>%s</ChecksumCRC32></Part>", number, etag, part->size, checksum);
        listed++, last = number;
    }
    sprintf(at, "<NextPartNumberMarker>%d</NextPartNumberMarker><MaxParts>%d</MaxParts><IsTruncated>%s</IsTruncated></ListPartsResult>",
            last, most, truncated ? "true" : "false");
    bool sent = answer(request, "200 OK", "", text);
    free(text);
    return sent;
}

static bool complete_upload(struct request *request) {
    struct upload **found = find_upload(request), *upload = *found;
    char value[64], etag[32], text[4096], checksum[16];
    uint64_t size = 0, last_size = SMALLEST_PART_BYTES;
    uint32_t crc = 0;
    int parts = 0, last = 0;
    if (!upload) return refuse(request, "404 Not Found", "NoSuchUpload");
    if (key_taken(request)) return refuse(request, "412 Precondition Failed", "PreconditionFailed");
    char *at = request->body.text;
    while (at && (at = strstr(at, "<Part>"))) {
        char *end = strstr(at, "</Part>"), *tag = strstr(at, "<PartNumber>");
        if (!end || !tag || tag > end) return refuse(request, "400 Bad Request", "MalformedXML");
        int number = atoi(tag + 12);
        if (number <= last || number > MAX_PARTS) return refuse(request, "400 Bad Request", "InvalidPartOrder");
        struct part *part = &upload->parts[number];
        snprintf(etag, sizeof etag, "%08x-%d", part->crc, number);
        if (!part->present || !memmem(at, (size_t)(end - at), etag, strlen(etag))) return refuse(request, "400 Bad Request", "InvalidPart");
        if (last_size < SMALLEST_PART_BYTES) return refuse(request, "400 Bad Request", "EntityTooSmall");
        crc = (uint32_t)crc32_combine(crc, part->crc, (z_off_t)part->size);
        size += last_size = part->size;
        last = number, parts++, at = end;
    }
    if (!parts) return refuse(request, "400 Bad Request", "MalformedXML");
    if (!checksum_holds(request, crc)) return refuse(request, "400 Bad Request", "BadDigest");
    if (header(request->connection->head, "x-amz-mp-object-size", value, sizeof value) && strtoull(value, NULL, 10) != size)
        return refuse(request, "400 Bad Request", "InvalidRequest");
    char *headers = strdup(upload->headers);
    forget(found);
    store(request->key, headers, size, crc, parts);
    free(headers);
    crc_text(crc, checksum);
    snprintf(text, sizeof text,
             "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETag>&quot;%08x-%d&quot;</ETag><ChecksumCRC32>%s</ChecksumCRC32>"
             "<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>", crc, parts, checksum);
    return answer(request, "200 OK", "", text);
}

static bool abort_upload(struct request *request) {
    struct upload **found = find_upload(request);
    if (!*found) return refuse(request, "404 Not Found", "NoSuchUpload");
    forget(found);
    return answer(request, "204 No Content", "", "");
}

static bool head_object(struct request *request) {
    struct object *object = find_object(request->key);
    char checksum[16];
    if (!object) return refuse(request, "404 Not Found", "NotFound");
    char *headers = allocate(strlen(object->headers) + 512);
    crc_text(object->crc, checksum);
    sprintf(headers, "%sContent-Length: %" PRIu64 "\r\nETag: \"%08x-%d\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            "x-amz-checksum-crc32: %s\r\nx-amz-checksum-type: FULL_OBJECT\r\n", object->headers, object->size, object->crc, object->parts, checksum);
    bool sent = answer(request, "200 OK", headers, "");
    free(headers);
    return sent;
}

static bool dispatch(struct request *request) {
    const char *method = request->method;
    char value[64];
    bool on_object = strchr(request->key, '/') && strchr(request->key, '/')[1];
    if (!strcmp(method, "PUT") && !on_object) return answer(request, "200 OK", "", "");
    if (!strcmp(method, "HEAD") && !on_object) return answer(request, "200 OK", "", "");
    if (!strcmp(method, "GET") && !on_object)
        return answer(request, "200 OK", "", "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
    if (!strcmp(method, "POST") && query(request, "uploads", value, sizeof value)) return create_upload(request);
    if (!strcmp(method, "POST") && query(request, "uploadId", value, sizeof value)) return complete_upload(request);
    if (!strcmp(method, "PUT") && query(request, "partNumber", value, sizeof value)) return put_part(request, value);
    if (!strcmp(method, "PUT")) return put_object(request);
    if (!strcmp(method, "GET") && query(request, "uploadId", value, sizeof value)) return list_parts(request);
    if (!strcmp(method, "DELETE") && query(request, "uploadId", value, sizeof value)) return abort_upload(request);
    if (!strcmp(method, "HEAD")) return head_object(request);
    return refuse(request, "501 Not Implemented", "NotImplemented");
}

/* --- connections ------------------------------------------------------------------------------------------------- */

static void percent_decode(char *text) {
    char *to = text, digits[3] = "";
    for (; *text; text++) {
        if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
            memcpy(digits, text + 1, 2);
            *to++ = (char)strtol(digits, NULL, 16);
            text += 2;
        } else *to++ = *text;
    }
    *to = 0;
}

static bool serve_one(struct connection *connection) {
    struct request request = {.connection = connection};
    char target[sizeof request.key + sizeof request.query];
    if (!read_head(connection) || sscanf(connection->head, "%15s /%6143s", request.method, target) < 2) return false;
    snprintf(request.key, sizeof request.key, "%.*s", (int)strcspn(target, "?"), target);
    if (strchr(target, '?')) snprintf(request.query, sizeof request.query, "%s", strchr(target, '?') + 1);
    percent_decode(request.key);
    request.body.is_text = !strcmp(request.method, "POST");
    const char *reason = read_body(&request);
    pthread_mutex_lock(&lock);
    bool goes_on = reason ? (refuse(&request, "400 Bad Request", reason), false) : dispatch(&request);
    pthread_mutex_unlock(&lock);
    free(request.body.text);
    return goes_on;
}

static void *serve(void *argument) {
    struct connection *connection = argument;
    if (SSL_accept(connection->ssl) == 1) {
        while (serve_one(connection)) {}
        SSL_shutdown(connection->ssl);
    }
    close(SSL_get_fd(connection->ssl));
    SSL_free(connection->ssl);
    free(connection);
    return NULL;
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, small = 256 << 10;
    if (count != 4) die("usage: sink CERTIFICATE KEY BYTES_PER_SECOND");
    if (!crc32_works()) die("the fast CRC32 is wrong on this processor");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    bytes_per_second = strtoull(arguments[3], NULL, 10);
    context = new_context(TLS_server_method());
    /* The suite that S3 takes with everyone, so that no client is measured with another one. */
    if (SSL_CTX_use_certificate_chain_file(context, arguments[1]) != 1 || SSL_CTX_use_PrivateKey_file(context, arguments[2], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1)
        die("certificate or key");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bytes_per_second) setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small); /* else the kernel takes megabytes at once */
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128) || getsockname(listener, (struct sockaddr *)&address, &length))
        die("cannot listen");
    say("{\"port\": %d}\n", ntohs(address.sin_port));
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) continue;
        no_delay(client);
        struct connection *connection = allocate(sizeof *connection);
        connection->ssl = SSL_new(context);
        SSL_set_fd(connection->ssl, client);
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, connection)) die("no thread");
        pthread_detach(thread);
    }
}
