/*@ types */
/* Row y of a tensor lies at `at` + y % `rows` times the bytes of a row. */
typedef struct {
    uint32_t at, rows;
} place_t;

/*@ row_at: types */
static int8_t *row_at(int8_t *work, const place_t *place, int32_t row, int32_t bytes) {
    return work + place->at + (uint32_t)row % place->rows * (uint32_t)bytes;
}

/*@ apart */
/* What is seldom run isn't copied into the loops that call it. */
#ifdef __GNUC__
#define APART __attribute__((noinline))
#else
#define APART
#endif

/*@ dsp */
#ifdef WITH_DSP
/* Clang warns of functions of this file that are of no use to the kernels that are here. */
#define UNUSED __attribute__((unused))
/* Two of the four bytes of a word as 16-bit numbers: 0 and 2, or 1 and 3. */
static inline UNUSED uint32_t even_bytes(uint32_t x) {
    __asm__("sxtb16 %0, %1" : "=r"(x) : "r"(x));
    return x;
}
static inline UNUSED uint32_t odd_bytes(uint32_t x) {
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(x) : "r"(x));
    return x;
}
/* sum + both products of 16-bit halves; of the lower halves; of the upper halves. */
static inline UNUSED uint32_t two_products(uint32_t a, uint32_t b, uint32_t sum) {
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
static inline UNUSED uint32_t lower_product(uint32_t a, uint32_t b, uint32_t sum) {
    __asm__("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
static inline UNUSED uint32_t upper_product(uint32_t a, uint32_t b, uint32_t sum) {
    __asm__("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
static inline UNUSED uint32_t less_halves(uint32_t a, uint32_t b) {
    __asm__("ssub16 %0, %0, %1" : "+r"(a) : "r"(b));
    return a;
}
static inline UNUSED uint32_t word_at(const int8_t *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}
#endif

/*@ scaled: apart */
/* x * multiplier * 2^(shift - 31), rounded twice, halves away from zero the second time. */
static APART int32_t scaled(uint32_t x, int32_t multiplier, int32_t shift) {
    const int32_t moved = (int32_t)(x << (shift > 0 ? shift : 0));
    int32_t y = (int32_t)(((int64_t)moved * multiplier + ((int64_t)1 << 30)) >> 31);
    if (shift >= 0) return y;
    y -= y < 0;
    return ((y >> (-shift - 1)) + 1) >> 1;
}

/*@ limited */
static inline int8_t limited(int32_t x, int32_t low, int32_t high) {
    return (int8_t)(x < low ? low : x > high ? high : x);
}

/*@ fraction: dsp */
/* 2 * x * multiplier * 2^(shift - 31), rounded as scaled() does but for the last bit, for x below 2^30 and factors below
   one: with an odd number added and halved, it is. */
static inline int32_t fraction(uint32_t x, int32_t multiplier, int32_t shift) {
    int32_t y;
#ifdef WITH_DSP
    y = (int32_t)(x << 1);
    __asm__("smmulr %0, %0, %1" : "+r"(y) : "r"(multiplier));
#else
    y = (int32_t)(((int64_t)(int32_t)x * multiplier + 1073741824) >> 31);
#endif
    return (2 * y - (y < 0)) >> -shift;
}

/*@ requantized: fraction scaled limited */
/* How a layer's sums become its outputs. small: no sum reaches 2^30 and all factors are below one, so that one rounded
   product is exact. twice: 2 * the zero point + 1, which rounds the last bit and moves the result at once. */
typedef struct {
    int32_t small, twice, low, high;
} grid_t;
static inline int8_t requantized(uint32_t sum, int32_t multiplier, int32_t shift, const grid_t grid) {
    int32_t y;
    if (ALL_SMALL || grid.small) {
        y = fraction(sum, multiplier, shift) + grid.twice;
#ifdef WITH_DSP
        __asm__("ssat %0, #8, %0, asr #1" : "+r"(y));
        if (ALL_FULL) return (int8_t)y;
#else
        y >>= 1;
#endif
    } else {
        y = scaled(sum, multiplier, shift) + (grid.twice >> 1);
    }
    return limited(y, ALL_FULL ? -128 : grid.low, ALL_FULL ? 127 : grid.high);
}

/*@ requantize_pair: requantized */
#ifndef WITH_MVE
/* One filter's sums of two pixels. */
static inline void requantize_pair(int8_t *out, int8_t *behind, uint32_t sum, uint32_t next, int32_t multiplier,
                                   int32_t shift, const grid_t grid) {
    *out = requantized(sum, multiplier, shift, grid);
    *behind = requantized(next, multiplier, shift, grid);
}
#endif

/*@ lanes */
#ifdef WITH_MVE
/* Four numbers below 2^30 by factors below one, as scaled() rounds, and a zero point. */
static inline int32x4_t scaled_lanes(int32x4_t x, int32x4_t multipliers, int32x4_t shifts, int32_t zero) {
    const int32x4_t y = vqrdmulhq_s32(x, multipliers);
    /* -1 for a negative number that is to be shifted */
    const int32x4_t less = vshrq_n_s32(vandq_s32(y, shifts), 31);
    return vaddq_n_s32(vrshlq_s32(vaddq_s32(y, less), shifts), zero);
}
#endif

/*@ requantize_lanes: requantized lanes */
#ifdef WITH_MVE
static inline void requantize_lanes(int8_t *out, int32x4_t y, const int32_t *multipliers, const int8_t *shifts,
                                    const grid_t grid) {
    if (ALL_SMALL || grid.small) {
        y = scaled_lanes(y, vld1q_s32(multipliers), vldrbq_s32(shifts), grid.twice >> 1);
        y = vmaxq_s32(y, vdupq_n_s32(ALL_FULL ? -128 : grid.low));
        vstrbq_s32(out, vminq_s32(y, vdupq_n_s32(ALL_FULL ? 127 : grid.high)));
    } else {
        uint32_t sums[4];
        int32_t i;
        vst1q_u32(sums, vreinterpretq_u32_s32(y));
        for (i = 0; i < 4; i++) out[i] = requantized(sums[i], multipliers[i], shifts[i], grid);
    }
}
#endif

/*@ requantize4: requantize_lanes */
/* Four sums by four factors. */
static inline void requantize4(int8_t *out, const uint32_t *sums, const int32_t *multipliers, const int8_t *shifts,
                               const grid_t grid) {
#ifdef WITH_MVE
    requantize_lanes(out, vreinterpretq_s32_u32(vld1q_u32(sums)), multipliers, shifts, grid);
#else
    out[0] = requantized(sums[0], multipliers[0], shifts[0], grid);
    out[1] = requantized(sums[1], multipliers[1], shifts[1], grid);
    out[2] = requantized(sums[2], multipliers[2], shifts[2], grid);
    out[3] = requantized(sums[3], multipliers[3], shifts[3], grid);
#endif
}

/*@ four_dots */
#ifdef WITH_MVE
/* Four filters, `step` apart, on the same values. What is read behind few values, of the next filter or behind the last,
   is multiplied by zeros. */
static inline int32x4_t four_dots(const int8_t *values, const int8_t *filters, int32_t step, int32_t count) {
    const int8_t *w0 = filters, *w1 = w0 + step, *w2 = w1 + step, *w3 = w2 + step;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    if (count <= 16) {
        const int8x16_t x = vldrbq_z_s8(values, vctp8q((uint32_t)count));
        s0 = vmladavq_s8(x, vldrbq_s8(w0)), s1 = vmladavq_s8(x, vldrbq_s8(w1));
        s2 = vmladavq_s8(x, vldrbq_s8(w2)), s3 = vmladavq_s8(x, vldrbq_s8(w3));
    } else {
        __asm__ volatile(
            "wlstp.8 lr, %[count], 2f\n"
            "1: vldrb.8 q0, [%[x]], #16\n"
            "vldrb.8 q1, [%[w0]], #16\n"
            "vldrb.8 q2, [%[w1]], #16\n"
            "vmladava.s8 %[s0], q0, q1\n"
            "vldrb.8 q1, [%[w2]], #16\n"
            "vmladava.s8 %[s1], q0, q2\n"
            "vldrb.8 q2, [%[w3]], #16\n"
            "vmladava.s8 %[s2], q0, q1\n"
            "vmladava.s8 %[s3], q0, q2\n"
            "letp lr, 1b\n"
            "2:\n"
            : [s0] "+Te"(s0), [s1] "+Te"(s1), [s2] "+Te"(s2), [s3] "+Te"(s3), [x] "+r"(values), [w0] "+r"(w0),
              [w1] "+r"(w1), [w2] "+r"(w2), [w3] "+r"(w3)
            : [count] "r"(count)
            : "lr", "q0", "q1", "q2", "memory");
    }
    return vsetq_lane_s32(s3, vsetq_lane_s32(s2, vsetq_lane_s32(s1, vdupq_n_s32(s0), 1), 2), 3);
}
#endif

/*@ taps */
/* The taps of a window from `at` on that lie inside `size`: first and behind the last. */
static int32_t first_tap(int32_t at, int32_t dilation) { return at < 0 ? (dilation - 1 - at) / dilation : 0; }
static int32_t stop_tap(int32_t at, int32_t dilation, int32_t size, int32_t taps) {
    const int32_t stop = at < size ? (size - 1 - at) / dilation + 1 : 0;
    return stop < taps ? stop : taps;
}
