/* @TITLE@: checks the model's bytes and the golden vectors. Written by edgecut; do not edit.

   @NAME@_test [FOLDER]     FOLDER: the bundle's vectors, default ../vectors
   Exit code 0: all is as it was when the bundle was made.

   With -D@PREFIX@_RUNTIME it also runs each vector by a function of yours, which calls the board's runtime:
       int @SYMBOL@_run(const void *input, void *output);
   input: the bytes of the input tensors, one behind the other; output: room for all output tensors, one behind the other.
   It returns 0 if it could run. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "@NAME@_io.h"
#include "@NAME@_model.h"

#define VECTORS @VECTORS@
#define HAS_TABLE @HAS_TABLE@
#define RUNS @RUNS@

/* SHA-256, FIPS 180-4. */
typedef struct {
    uint32_t state[8];
    uint64_t length;
    unsigned char block[64];
    size_t used;
} sha256_t;

static const uint32_t sha256_k[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u};

static uint32_t rotated(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

static void sha256_block(sha256_t *s) {
    uint32_t w[64], v[8], a, b;
    int i;
    for (i = 0; i < 16; i++)
        w[i] = (uint32_t)s->block[4 * i] << 24 | (uint32_t)s->block[4 * i + 1] << 16 |
               (uint32_t)s->block[4 * i + 2] << 8 | (uint32_t)s->block[4 * i + 3];
    for (i = 16; i < 64; i++) {
        a = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ (w[i - 15] >> 3);
        b = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + a + w[i - 7] + b;
    }
    memcpy(v, s->state, sizeof v);
    for (i = 0; i < 64; i++) {
        a = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
            sha256_k[i] + w[i];
        b = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) +
            ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += a;
        v[0] = a + b;
    }
    for (i = 0; i < 8; i++) s->state[i] += v[i];
    s->used = 0;
}

static void sha256_add(sha256_t *s, const unsigned char *bytes, size_t count) {
    s->length += (uint64_t)count * 8;
    while (count--) {
        s->block[s->used++] = *bytes++;
        if (s->used == 64) sha256_block(s);
    }
}

static int has_sha256(const unsigned char *bytes, size_t count, const char *wanted) {
    static const uint32_t first[8] = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
                                      0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u};
    static const unsigned char one = 0x80, zero = 0;
    sha256_t s;
    unsigned char tail[8];
    char text[65];
    uint64_t length;
    int i;
    memset(&s, 0, sizeof s);
    memcpy(s.state, first, sizeof first);
    sha256_add(&s, bytes, count);
    length = s.length;
    sha256_add(&s, &one, 1);
    while (s.used != 56) sha256_add(&s, &zero, 1);
    for (i = 0; i < 8; i++) tail[i] = (unsigned char)(length >> (56 - 8 * i));
    sha256_add(&s, tail, 8);
    for (i = 0; i < 8; i++) sprintf(text + 8 * i, "%08lx", (unsigned long)s.state[i]);
    return strcmp(text, wanted) == 0;
}

static int model_is_whole(void) {
    if (@SYMBOL@_model_len != sizeof @SYMBOL@_model) {
        printf("@NAME@_model.c: the length and the array differ\n");
        return 0;
    }
    if ((uintptr_t)@SYMBOL@_model % 16 != 0) {
        printf("@NAME@_model.c: the array isn't on a 16-byte boundary\n");
        return 0;
    }
    if (!has_sha256(@SYMBOL@_model, @SYMBOL@_model_len, @SYMBOL@_model_sha256)) {
        printf("@NAME@_model.c: the array's SHA-256 isn't the one that is written beside it\n");
        return 0;
    }
    return 1;
}

#if VECTORS > 0
typedef struct {
    const char *camera, *camera_sha256, *input, *input_sha256, *expected, *expected_sha256;
    size_t camera_bytes;
} vector_t;

static const vector_t vectors[VECTORS] = {
@ROWS@};

/* The file's bytes, to be freed; NULL, and a sentence, if it isn't what it was. */
static unsigned char *read_whole(const char *folder, const char *name, size_t count, const char *sha256) {
    size_t got = 0, length = strlen(folder);
    char *path = malloc(length + strlen(name) + 2);
    unsigned char *bytes = malloc(count + 1), *whole = NULL;
    FILE *file;
    if (bytes == NULL || path == NULL) {
        printf("%s: no room to read it\n", name);
        free(path);
        free(bytes);
        return NULL;
    }
    memcpy(path, folder, length);
    path[length] = '/';
    strcpy(path + length + 1, name);
    file = fopen(path, "rb");
    if (file != NULL) {
        got = fread(bytes, 1, count + 1, file);
        fclose(file);
    }
    if (file == NULL)
        printf("%s: can't be opened\n", path);
    else if (got != count)
        printf("%s: has another size than the tensor's %lu bytes\n", path, (unsigned long)count);
    else if (has_sha256(bytes, count, sha256))
        whole = bytes;
    else
        printf("%s: isn't the file that this test was written for (its SHA-256 differs)\n", path);
    free(path);
    if (whole == NULL) free(bytes);
    return whole;
}

#if HAS_TABLE
/* Whether the camera's bytes, looked up in the table, are the input. */
static int camera_becomes_input(const unsigned char *camera, const unsigned char *input, size_t count) {
    size_t i, width = sizeof @SYMBOL@_from_byte[0][0];
    for (i = 0; i < count; i++) {
        size_t channel = i % @PREFIX@_INPUT_DIM_3;
        size_t source = i - channel + (size_t)@PREFIX@_CAMERA_CHANNEL((int)channel);
        if (memcmp(&@SYMBOL@_from_byte[channel % @PREFIX@_FROM_BYTE_ROWS][camera[source]], input + i * width, width))
            return 0;
    }
    return 1;
}
#endif

#if defined(@PREFIX@_RUNTIME) && RUNS
int @SYMBOL@_run(const void *input, void *output);

static int output_is_wrong(unsigned k, const unsigned char *input, const unsigned char *expected) {
    static union {
        double aligned;
        unsigned char bytes[@OUTPUT_BYTES@];
    } room;
    const unsigned char *found = room.bytes;
    size_t i, at = 0;
    if (@SYMBOL@_run(input, room.bytes) != 0) {
        printf("vector %u: @SYMBOL@_run failed\n", k);
        return 1;
    }
@OUTPUT_CHECKS@    return 0;
}
#endif

static int vector_is_whole(unsigned k, const char *folder) {
    const vector_t *v = &vectors[k];
    unsigned char *input = read_whole(folder, v->input, @INPUT_BYTES@, v->input_sha256);
    unsigned char *expected = read_whole(folder, v->expected, @OUTPUT_BYTES@, v->expected_sha256);
    unsigned char *camera = NULL;
    int whole = input != NULL && expected != NULL;
    if (v->camera[0] != '\0') {
        camera = read_whole(folder, v->camera, v->camera_bytes, v->camera_sha256);
        whole = whole && camera != NULL;
#if HAS_TABLE
        if (whole && !camera_becomes_input(camera, input, @PREFIX@_INPUT_COUNT)) {
            printf("vector %u: the table @SYMBOL@_from_byte doesn't turn the camera's bytes into the input\n", k);
            whole = 0;
        }
#endif
    }
#if defined(@PREFIX@_RUNTIME) && RUNS
    whole = whole && !output_is_wrong(k, input, expected);
#endif
    free(camera);
    free(input);
    free(expected);
    return whole;
}
#endif

int main(int count, char **words) {
    const char *folder = count > 1 ? words[1] : "../vectors";
    int whole = model_is_whole();
#if VECTORS > 0
    unsigned k;
    for (k = 0; k < VECTORS; k++)
        if (!vector_is_whole(k, folder)) whole = 0;
#endif
    (void)folder;
    if (!whole) return EXIT_FAILURE;
    printf("@NAME@: the model (%lu bytes) and %d golden vectors are whole", (unsigned long)@SYMBOL@_model_len, VECTORS);
#if defined(@PREFIX@_RUNTIME) && RUNS
    printf(", and the runtime gives what they expect\n");
#else
    printf("; no runtime is linked, so they weren't run\n");
#endif
    return EXIT_SUCCESS;
}
