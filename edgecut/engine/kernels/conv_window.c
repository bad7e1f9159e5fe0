/*@ gathered: row_at taps */
static inline void copy_bytes(int8_t *to, const int8_t *from, int32_t count) {
#ifdef WITH_MVE
    for (; count > 0; count -= 16, to += 16, from += 16) {
        const mve_pred16_t rest = vctp8q((uint32_t)count);
        vstrbq_p_s8(to, vldrbq_z_s8(from, rest), rest);
    }
#else
    for (; count >= 4; count -= 4, to += 4, from += 4) memcpy(to, from, 4);
    for (; count > 0; count--) *to++ = *from++;
#endif
}

/* The values under the window at a column, one line behind the other; a row that is NULL lies outside. */
static void gathered(const conv_window_row_t *k, const int8_t *const *rows, int32_t column, int8_t *values) {
    const int32_t depth = k->depth, line = k->taps_x * depth, at = column * k->stride_x - k->pad_x;
    const int32_t start = first_tap(at, 1), stop = stop_tap(at, 1, k->in_width, k->taps_x);
    const int32_t left = start * depth, count = stop > start ? (stop - start) * depth : 0;
    int32_t i;
    for (i = 0; i < k->taps_y; i++, values += line) {
        if (rows[i] == NULL || count < line) memset(values, k->in_zero, (size_t)line);
        if (rows[i] != NULL) copy_bytes(values + left, rows[i] + (at * depth + left), count);
    }
}

/*@ conv_window_row: gathered requantize_lanes requantize_pair four_of_two four_dots */
/* A convolution whose window has few values, gathered so that each filter is one loop over them. step: the values of a
   filter, in fours; those behind the window's last are 0. */
#define MOST_VALUES 80

typedef struct {
    int8_t values[2][MOST_VALUES];
#if defined(WITH_DSP) && !defined(WITH_MVE)
    uint32_t halves[MOST_VALUES]; /* of four values of each of two pixels: even and odd bytes of one, then of the other */
#endif
} window_t;

#ifdef WITH_MVE
static void window_outputs(const conv_window_row_t *k, const int8_t *values, int8_t *out) {
    const int32_t step = k->step, filters = k->filters;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    const int8_t *shifts = k->shifts, *w = k->weights;
    int32_t f, n;
    for (f = 0; f + 3 < filters; f += 4, w += 4 * step) {
        const int32x4_t sums = vaddq_s32(four_dots(values, w, step, step), vld1q_s32(bias + f));
        requantize_lanes(out + f, sums, multipliers + f, shifts + f, grid);
    }
    for (; f < filters; f++, w += step) {
        int32_t sum = bias[f];
        for (n = 0; n < step; n += 16) sum = vmladavaq_s8(sum, vldrbq_s8(values + n), vldrbq_s8(w + n));
        out[f] = requantized((uint32_t)sum, multipliers[f], shifts[f], grid);
    }
}
#else
/* Two filters on two pixels: sums by pixel, then by filter. */
static inline void window_sums(uint32_t *sums, const int8_t *w, const int8_t *v, const window_t *window, int32_t step) {
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
#ifdef WITH_DSP
    const uint32_t *x = window->halves, *const stop = x + step;
    for (; x != stop; x += 4, w += 4, v += 4) {
        const uint32_t p0 = x[0], p1 = x[1], q0 = x[2], q1 = x[3];
        four_of_two(&s0, &s2, word_at(w), p0, p1, q0, q1);
        four_of_two(&s1, &s3, word_at(v), p0, p1, q0, q1);
    }
#else
    const int8_t *x = window->values[0], *y = window->values[1];
    for (; step > 0; step--) {
        const int32_t a = *w++, b = *v++, p = *x++, q = *y++;
        s0 += (uint32_t)(a * p);
        s1 += (uint32_t)(b * p);
        s2 += (uint32_t)(a * q);
        s3 += (uint32_t)(b * q);
    }
#endif
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static void window_outputs(const conv_window_row_t *k, window_t *window, int8_t *out, int8_t *behind) {
    const int32_t step = k->step, filters = k->filters;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    const int8_t *shifts = k->shifts, *w = k->weights;
    int32_t f;
#ifdef WITH_DSP
    uint32_t *half = window->halves;
    for (f = 0; f < step; f += 4, half += 4) {
        const uint32_t p = word_at(window->values[0] + f), q = word_at(window->values[1] + f);
        half[0] = even_bytes(p), half[1] = odd_bytes(p), half[2] = even_bytes(q), half[3] = odd_bytes(q);
    }
#endif
    for (f = 0; f < filters; f += 2, w += 2 * step) {
        const int32_t next = f + (f + 1 < filters); /* the last of an odd number is done twice */
        uint32_t sums[4];
        sums[2] = sums[0] = (uint32_t)bias[f];
        sums[3] = sums[1] = (uint32_t)bias[next];
        window_sums(sums, w, w + (next - f) * step, window, step);
        requantize_pair(out + f, behind + f, sums[0], sums[2], multipliers[f], shifts[f], grid);
        requantize_pair(out + next, behind + next, sums[1], sums[3], multipliers[next], shifts[next], grid);
    }
}
#endif

static void conv_window_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_window_row_t *k = (const conv_window_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t filters = k->filters, last = k->out_width - 1;
    int8_t *out = row_at(work, &place[1], row, k->out_width * filters);
    const int8_t *rows[16];
    window_t window;
    int32_t x, i;
    for (i = 0; i < k->taps_y; i++) {
        const int32_t at = y + i * k->dilation_y;
        rows[i] = at < 0 || at >= k->in_height ? NULL : row_at(work, place, base + at, k->in_width * k->depth);
    }
    memset(window.values, 0, sizeof window.values);
#ifdef WITH_MVE
    for (x = 0; x <= last; x++, out += filters) {
        gathered(k, rows, x, window.values[0]);
        window_outputs(k, window.values[0], out);
    }
#else
    /* The last of an odd number of pixels is done twice. */
    for (x = 0; x <= last; x += 2, out += 2 * filters) {
        const int32_t next = x < last;
        gathered(k, rows, x, window.values[0]);
        gathered(k, rows, x + next, window.values[1]);
        window_outputs(k, &window, out, out + next * filters);
    }
#endif
}
