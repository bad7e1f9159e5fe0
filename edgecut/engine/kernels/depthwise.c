/*@ depthwise_row: row_at requantize4 taps */
/* A row of a depthwise convolution with one filter a channel. edge: not all taps are inside, and those that are see
   values less the input's zero point; otherwise it is taken into the biases. */
typedef struct {
    const int8_t *rows[16];
    int32_t top, bottom, left, right, edge;
} beneath_t;

#ifdef WITH_MVE
/* Eight channels at a time, the even ones apart from the odd ones; gives the number of channels that are done. */
static int32_t depthwise_by_8(const depthwise_row_t *k, const beneath_t *u, int32_t at, int8_t *out) {
    const int32_t depth = k->depth, step = k->dilation_x * depth, taps_x = k->taps_x;
    const int32_t *bias = u->edge ? k->edge_bias : k->bias, *multipliers = k->multipliers;
    const int16x8_t zero = vdupq_n_s16((int16_t)(u->edge ? k->in_zero : 0));
    int32_t c = 0, i, j;
    if (!ALL_SMALL && !k->small) return 0;
    for (; c + 7 < depth; c += 8) {
        int32x4x2_t sums = vld2q_s32(bias + c), factors;
        int32x4_t even = sums.val[0], odd = sums.val[1];
        int16x8_t y, shifts;
        for (i = u->top; i < u->bottom; i++) {
            const int8_t *tap = k->weights + (i * taps_x + u->left) * depth + c;
            const int8_t *in = u->rows[i] + (at * depth + u->left * step + c);
            for (j = u->left; j < u->right; j++, tap += depth, in += step) {
                const int16x8_t w = vldrbq_s16(tap), v = vsubq_s16(vldrbq_s16(in), zero);
                even = vaddq_s32(even, vmullbq_int_s16(w, v));
                odd = vaddq_s32(odd, vmulltq_int_s16(w, v));
            }
        }
        factors = vld2q_s32(multipliers + c);
        shifts = vldrbq_s16(k->shifts + c);
        even = scaled_lanes(even, factors.val[0], vmovlbq_s16(shifts), k->out_zero);
        odd = scaled_lanes(odd, factors.val[1], vmovltq_s16(shifts), k->out_zero);
        y = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
        y = vmaxq_s16(y, vdupq_n_s16((int16_t)(ALL_FULL ? -128 : k->low)));
        vstrbq_s16(out + c, vminq_s16(y, vdupq_n_s16((int16_t)(ALL_FULL ? 127 : k->high))));
    }
    return c;
}
#endif

/* Four channels of one tap. */
static inline void tap4(uint32_t *sums, const int8_t *tap, const int8_t *in, int32_t edge, int32_t zero) {
#ifdef WITH_DSP
    const uint32_t zeros = edge ? (uint32_t)zero << 16 | ((uint32_t)zero & 0xFFFFu) : 0u;
    const uint32_t w = word_at(tap), v = word_at(in);
    uint32_t a, b;
    if (edge) {
        b = less_halves(even_bytes(v), zeros);
        a = even_bytes(w);
        sums[0] = lower_product(a, b, sums[0]);
        sums[2] = upper_product(a, b, sums[2]);
        b = less_halves(odd_bytes(v), zeros);
        a = odd_bytes(w);
        sums[1] = lower_product(a, b, sums[1]);
        sums[3] = upper_product(a, b, sums[3]);
    } else {
        /* In one piece, which two registers beside the sums are enough for. */
        __asm__("sxtb16 %4, %6\n\tsxtb16 %5, %7\n\tsmlabb %0, %4, %5, %0\n\tsmlatt %2, %4, %5, %2\n\t"
                "sxtb16 %4, %6, ror #8\n\tsxtb16 %5, %7, ror #8\n\tsmlabb %1, %4, %5, %1\n\tsmlatt %3, %4, %5, %3"
                : "+&r"(sums[0]), "+&r"(sums[1]), "+&r"(sums[2]), "+&r"(sums[3]), "=&r"(a), "=&r"(b)
                : "r"(w), "r"(v));
    }
#else
    const int32_t less = edge ? zero : 0;
    sums[0] += (uint32_t)(tap[0] * (in[0] - less));
    sums[1] += (uint32_t)(tap[1] * (in[1] - less));
    sums[2] += (uint32_t)(tap[2] * (in[2] - less));
    sums[3] += (uint32_t)(tap[3] * (in[3] - less));
#endif
}

/* The channels of a pixel from c on; edge is a constant where this is called. */
static inline void depthwise_pixel(const depthwise_row_t *k, const beneath_t *u, int32_t at, int32_t c, int32_t edge,
                                   int8_t *out) {
    const int32_t depth = k->depth, step = k->dilation_x * depth, taps_x = k->taps_x, zero = k->in_zero;
    const int32_t top = u->top, bottom = u->bottom, left = u->left, right = u->right;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t *bias = edge ? k->edge_bias : k->bias, *multipliers = k->multipliers;
    const int8_t *shifts = k->shifts, *weights = k->weights + (top * taps_x + left) * depth;
    int32_t i, j;
    for (at = at * depth + left * step; c + 3 < depth; c += 4) {
        const int8_t *line = weights + c;
        uint32_t sums[4];
        memcpy(sums, bias + c, sizeof sums);
        for (i = top; i < bottom; i++, line += taps_x * depth) {
            const int8_t *tap = line, *in = u->rows[i] + (at + c);
            if (!edge && taps_x == 3) {
                tap4(sums, tap, in, edge, zero);
                tap4(sums, tap + depth, in + step, edge, zero);
                tap4(sums, tap + 2 * depth, in + 2 * step, edge, zero);
            } else {
                for (j = left; j < right; j++, tap += depth, in += step) tap4(sums, tap, in, edge, zero);
            }
        }
        requantize4(out + c, sums, multipliers + c, shifts + c, grid);
    }
    for (; c < depth; c++) {
        const int8_t *line = weights + c;
        uint32_t sum = (uint32_t)bias[c];
        for (i = top; i < bottom; i++, line += taps_x * depth) {
            const int8_t *tap = line, *in = u->rows[i] + (at + c);
            for (j = left; j < right; j++, tap += depth, in += step) sum += (uint32_t)(*tap * (edge ? *in - zero : *in));
        }
        out[c] = requantized(sum, multipliers[c], shifts[c], grid);
    }
}

static void depthwise_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const depthwise_row_t *k = (const depthwise_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->depth);
    const int32_t reach = (k->taps_x - 1) * k->dilation_x;
    int32_t x, i, c = 0;
    beneath_t u;
    u.top = first_tap(y, k->dilation_y);
    u.bottom = stop_tap(y, k->dilation_y, k->in_height, k->taps_y);
    for (i = u.top; i < u.bottom; i++)
        u.rows[i] = row_at(work, place, base + y + i * k->dilation_y, k->in_width * k->depth);
    for (x = 0; x < k->out_width; x++, out += k->depth) {
        const int32_t at = x * k->stride_x - k->pad_x;
        u.left = at < 0 ? first_tap(at, k->dilation_x) : 0;
        u.right = at + reach < k->in_width ? k->taps_x : stop_tap(at, k->dilation_x, k->in_width, k->taps_x);
        u.edge = u.bottom - u.top != k->taps_y || u.right - u.left != k->taps_x;
#ifdef WITH_MVE
        c = depthwise_by_8(k, &u, at, out);
        if (c == k->depth) continue;
#endif
        if (u.edge)
            depthwise_pixel(k, &u, at, c, 1, out);
        else
            depthwise_pixel(k, &u, at, c, 0, out);
    }
}

/*@ depthwise_taps_row: row_at requantized */
static void depthwise_taps_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const depthwise_taps_row_t *k = (const depthwise_taps_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->depth * k->times);
    int32_t x, c, m, i, j;
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        for (c = 0; c < k->depth; c++) {
            for (m = 0; m < k->times; m++) {
                const int32_t f = c * k->times + m;
                const int8_t *tap = k->weights + f;
                uint32_t sum = (uint32_t)k->bias[f];
                for (i = 0; i < k->taps_y; i++) {
                    const int32_t in_y = y + i * k->dilation_y;
                    const int8_t *in = work;
                    const int inside = in_y >= 0 && in_y < k->in_height;
                    if (inside) in = row_at(work, place, base + in_y, k->in_width * k->depth) + c;
                    for (j = 0; j < k->taps_x; j++, tap += k->depth * k->times) {
                        const int32_t in_x = at + j * k->dilation_x;
                        const int32_t value = inside && in_x >= 0 && in_x < k->in_width ? in[in_x * k->depth] : k->in_zero;
                        sum += (uint32_t)(*tap * value);
                    }
                }
                *out++ = requantized(sum, k->multipliers[f], k->shifts[f], grid);
            }
        }
    }
}
