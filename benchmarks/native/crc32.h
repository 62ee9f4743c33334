/* CRC32 (the one of zlib and of S3) with what the processor has for it, so that checking costs next to nothing.
   x86: folding by carry-less multiplication, after Gopal et al., "Fast CRC Computation for Generic Polynomials Using
   PCLMULQDQ Instruction", Intel 2009, with that paper's constants. ARM: its CRC32 instructions. Otherwise zlib. */
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#if defined(__PCLMUL__) && defined(__SSE4_1__)
#include <immintrin.h>

#define LOW(a, k) _mm_clmulepi64_si128(a, k, 0x00)
#define HIGH(a, k) _mm_clmulepi64_si128(a, k, 0x11)
#define XOR(a, b) _mm_xor_si128(a, b)
#define LOAD(p) _mm_loadu_si128((const __m128i *)(p))

/* At least 64 bytes, a multiple of 16; the state is the inverted CRC. */
static uint32_t fold(const unsigned char *data, size_t size, uint32_t state) {
    const __m128i by_64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), by_16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_8 = _mm_set_epi64x(0, 0x0163cd6124), barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i words = _mm_setr_epi32(~0, 0, ~0, 0);
    __m128i lane[4], x;
    for (int i = 0; i < 4; i++) lane[i] = LOAD(data + 16 * i);
    lane[0] = XOR(lane[0], _mm_cvtsi32_si128((int)state));
    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64)
        for (int i = 0; i < 4; i++)
            lane[i] = XOR(XOR(LOW(lane[i], by_64), HIGH(lane[i], by_64)), LOAD(data + 16 * i));
    x = lane[0];
    for (int i = 1; i < 4; i++) x = XOR(XOR(LOW(x, by_16), HIGH(x, by_16)), lane[i]);
    for (; size >= 16; data += 16, size -= 16) x = XOR(XOR(LOW(x, by_16), HIGH(x, by_16)), LOAD(data));
    x = XOR(_mm_srli_si128(x, 8), _mm_clmulepi64_si128(x, by_16, 0x10));
    x = XOR(_mm_srli_si128(x, 4), LOW(_mm_and_si128(x, words), by_8));
    __m128i q = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(x, words), barrett, 0x10), words);
    return (uint32_t)_mm_extract_epi32(XOR(x, LOW(q, barrett)), 1);
}

static uint32_t crc32_fast(uint32_t crc, const unsigned char *data, size_t size) {
    size_t folded = size & ~(size_t)15;
    if (folded >= 64) {
        crc = ~fold(data, folded, ~crc);
        data += folded, size -= folded;
    }
    return (uint32_t)crc32_z(crc, data, size);
}
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

static uint32_t crc32_fast(uint32_t crc, const unsigned char *data, size_t size) {
    uint64_t word;
    for (crc = ~crc; size >= 8; data += 8, size -= 8) {
        memcpy(&word, data, 8);
        crc = __crc32d(crc, word);
    }
    while (size--) crc = __crc32b(crc, *data++);
    return ~crc;
}
#else
static uint32_t crc32_fast(uint32_t crc, const unsigned char *data, size_t size) {
    return (uint32_t)crc32_z(crc, data, size);
}
#endif

/* Whether crc32_fast does what zlib does, here and now. */
static int crc32_works(void) {
    unsigned char data[1000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 131 + i / 7);
    for (size_t size = 0; size + 13 < sizeof data; size += 37)
        if (crc32_fast(crc32_fast(0, data, 13), data + 13, size) != crc32_z(crc32_z(0, data, 13), data + 13, size)) return 0;
    return 1;
}
