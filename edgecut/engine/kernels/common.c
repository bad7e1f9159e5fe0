/*@ types */
/* Row y of a tensor lies at `at` + y % `rows` times the bytes of a row. */
typedef struct {
    uint32_t at, rows;
} place_t;

/*@ row_at: types */
static int8_t *row_at(int8_t *work, const place_t *place, int32_t row, int32_t bytes) {
    return work + place->at + (uint32_t)row % place->rows * (uint32_t)bytes;
}

/*@ scaled */
/* x * multiplier * 2^(shift - 31), rounded twice. */
static int32_t scaled(uint32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0, right = left - shift;
    const int32_t y = (int32_t)(((int64_t)(int32_t)(x << left) * multiplier + ((int64_t)1 << 30)) >> 31);
    const int32_t mask = (int32_t)((1u << right) - 1u);
    return (y >> right) + ((y & mask) > (mask >> 1) + (y < 0));
}

/*@ limited */
static int8_t limited(int32_t x, int32_t low, int32_t high) {
    return (int8_t)(x < low ? low : x > high ? high : x);
}

/*@ taps */
/* The taps of a window from `at` on that lie inside `size`: first and behind the last. */
static int32_t first_tap(int32_t at, int32_t dilation) { return at < 0 ? (dilation - 1 - at) / dilation : 0; }
static int32_t stop_tap(int32_t at, int32_t dilation, int32_t size, int32_t taps) {
    const int32_t stop = at < size ? (size - 1 - at) / dilation + 1 : 0;
    return stop < taps ? stop : taps;
}
