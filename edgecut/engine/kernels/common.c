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
/* Two of the four bytes of a word as 16-bit numbers: 0 and 2, or 1 and 3. */
static inline uint32_t even_bytes(uint32_t x) {
    __asm__("sxtb16 %0, %1" : "=r"(x) : "r"(x));
    return x;
}
static inline uint32_t odd_bytes(uint32_t x) {
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(x) : "r"(x));
    return x;
}
/* sum + both products of 16-bit halves; of the lower halves; of the upper halves. */
static inline uint32_t two_products(uint32_t a, uint32_t b, uint32_t sum) {
    __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
static inline uint32_t lower_product(uint32_t a, uint32_t b, uint32_t sum) {
    __asm__("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
static inline uint32_t upper_product(uint32_t a, uint32_t b, uint32_t sum) {
    __asm__("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}
static inline uint32_t less_halves(uint32_t a, uint32_t b) {
    __asm__("ssub16 %0, %0, %1" : "+r"(a) : "r"(b));
    return a;
}
static inline uint32_t word_at(const int8_t *bytes) {
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

/*@ requantized: dsp scaled limited */
/* How a layer's sums become its outputs. small: no sum reaches 2^30 and all factors are below a half, so that one
   rounded product is exact. twice: 2 * the zero point + 1, which rounds the last bit and moves the result at once. */
typedef struct {
    int32_t small, twice, low, high;
} grid_t;
static inline int8_t requantized(uint32_t sum, int32_t multiplier, int32_t shift, const grid_t grid) {
    int32_t y;
    if (ALL_SMALL || grid.small) {
#ifdef WITH_DSP
        y = (int32_t)(sum << 1);
        __asm__("smmulr %0, %0, %1" : "+r"(y) : "r"(multiplier));
#else
        y = (int32_t)(((int64_t)(int32_t)sum * multiplier + 1073741824) >> 31);
#endif
        y -= y < 0;
        y = ((y >> ~shift) + grid.twice) >> 1;
    } else {
        y = scaled(sum, multiplier, shift) + (grid.twice >> 1);
    }
    return limited(y, ALL_FULL ? -128 : grid.low, ALL_FULL ? 127 : grid.high);
}

/*@ taps */
/* The taps of a window from `at` on that lie inside `size`: first and behind the last. */
static int32_t first_tap(int32_t at, int32_t dilation) { return at < 0 ? (dilation - 1 - at) / dilation : 0; }
static int32_t stop_tap(int32_t at, int32_t dilation, int32_t size, int32_t taps) {
    const int32_t stop = at < size ? (size - 1 - at) / dilation + 1 : 0;
    return stop < taps ? stop : taps;
}
