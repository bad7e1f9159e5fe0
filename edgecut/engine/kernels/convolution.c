/*@ dot */
static uint32_t dot(uint32_t sum, const int8_t *a, const int8_t *b, int32_t count) {
    for (; count > 0; count--) sum += (uint32_t)(*a++ * *b++);
    return sum;
}

/*@ dot4: dsp */
/* Four filters, `step` apart, on the same values. */
static void dot4(uint32_t *sums, const int8_t *filters, int32_t step, const int8_t *values, int32_t count) {
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *w0 = filters, *w1 = w0 + step, *w2 = w1 + step, *w3 = w2 + step;
#if defined(WITH_MVE)
    for (; count > 0; count -= 16, values += 16, w0 += 16, w1 += 16, w2 += 16, w3 += 16) {
        const mve_pred16_t rest = vctp8q((uint32_t)count);
        const int8x16_t x = vldrbq_z_s8(values, rest);
        s0 = (uint32_t)vmladavaq_p_s8((int32_t)s0, vldrbq_z_s8(w0, rest), x, rest);
        s1 = (uint32_t)vmladavaq_p_s8((int32_t)s1, vldrbq_z_s8(w1, rest), x, rest);
        s2 = (uint32_t)vmladavaq_p_s8((int32_t)s2, vldrbq_z_s8(w2, rest), x, rest);
        s3 = (uint32_t)vmladavaq_p_s8((int32_t)s3, vldrbq_z_s8(w3, rest), x, rest);
    }
#elif defined(WITH_DSP)
    for (; count >= 4; count -= 4, values += 4, w0 += 4, w1 += 4, w2 += 4, w3 += 4) {
        const uint32_t x = word_at(values), even = even_bytes(x), odd = odd_bytes(x);
        const uint32_t a = word_at(w0), b = word_at(w1), c = word_at(w2), d = word_at(w3);
        s0 = two_products(odd_bytes(a), odd, two_products(even_bytes(a), even, s0));
        s1 = two_products(odd_bytes(b), odd, two_products(even_bytes(b), even, s1));
        s2 = two_products(odd_bytes(c), odd, two_products(even_bytes(c), even, s2));
        s3 = two_products(odd_bytes(d), odd, two_products(even_bytes(d), even, s3));
    }
#endif
    for (; count > 0; count--) {
        const int32_t x = *values++;
        s0 += (uint32_t)(x * *w0++);
        s1 += (uint32_t)(x * *w1++);
        s2 += (uint32_t)(x * *w2++);
        s3 += (uint32_t)(x * *w3++);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/*@ dot22: dsp */
/* Two filters, `step` apart, on the values of two pixels, `next` apart: sums by pixel, then by filter. */
static void dot22(uint32_t *sums, const int8_t *filters, int32_t step, const int8_t *values, int32_t next, int32_t count) {
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *w = filters, *v = w + step, *x = values, *y = x + next;
#if defined(WITH_MVE)
    for (; count > 0; count -= 16, w += 16, v += 16, x += 16, y += 16) {
        const mve_pred16_t rest = vctp8q((uint32_t)count);
        const int8x16_t a = vldrbq_z_s8(w, rest), b = vldrbq_z_s8(v, rest);
        const int8x16_t p = vldrbq_z_s8(x, rest), q = vldrbq_z_s8(y, rest);
        s0 = (uint32_t)vmladavaq_p_s8((int32_t)s0, a, p, rest);
        s1 = (uint32_t)vmladavaq_p_s8((int32_t)s1, b, p, rest);
        s2 = (uint32_t)vmladavaq_p_s8((int32_t)s2, a, q, rest);
        s3 = (uint32_t)vmladavaq_p_s8((int32_t)s3, b, q, rest);
    }
#elif defined(WITH_DSP)
    for (; count >= 4; count -= 4, w += 4, v += 4, x += 4, y += 4) {
        const uint32_t a = word_at(w), b = word_at(v), p = word_at(x), q = word_at(y);
        const uint32_t a0 = even_bytes(a), a1 = odd_bytes(a), b0 = even_bytes(b), b1 = odd_bytes(b);
        const uint32_t p0 = even_bytes(p), p1 = odd_bytes(p), q0 = even_bytes(q), q1 = odd_bytes(q);
        s0 = two_products(a1, p1, two_products(a0, p0, s0));
        s1 = two_products(b1, p1, two_products(b0, p0, s1));
        s2 = two_products(a1, q1, two_products(a0, q0, s2));
        s3 = two_products(b1, q1, two_products(b0, q0, s3));
    }
#endif
    for (; count > 0; count--) {
        const int32_t a = *w++, b = *v++, p = *x++, q = *y++;
        s0 += (uint32_t)(a * p);
        s1 += (uint32_t)(b * p);
        s2 += (uint32_t)(a * q);
        s3 += (uint32_t)(b * q);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/*@ total */
static uint32_t total(const int8_t *a, int32_t count) {
    int32_t sum = 0;
    for (; count > 0; count--) sum += *a++;
    return (uint32_t)sum;
}

/*@ conv_row: row_at requantized taps dot dot4 dot22 total */
/* The rows of an input under a window, and the part of each line of taps that lies inside the picture. */
typedef struct {
    const int8_t *rows[16];
    int32_t top, bottom, left, right, whole;
} under_t;

/* What a filter's taps outside the picture add, which see the input's zero point. */
static uint32_t conv_outside(const conv_row_t *k, const under_t *u, const int8_t *taps) {
    const int32_t line = k->taps_x * k->depth;
    uint32_t outside = 0;
    int32_t i;
    for (i = 0; i < k->taps_y; i++, taps += line) {
        if (i < u->top || i >= u->bottom)
            outside += total(taps, line);
        else
            outside += total(taps, u->left) + total(taps + u->right, line - u->right);
    }
    return outside * (uint32_t)k->in_zero;
}

static void conv_pixel(const conv_row_t *k, const under_t *u, int32_t at, int32_t f, int8_t *out) {
    const int32_t line = k->taps_x * k->depth, filter = k->taps_y * line, inside = u->right - u->left;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    int32_t i, j, n;
    for (; f < k->filters; f += n) {
        const int8_t *taps = k->weights + f * filter;
        uint32_t sums[4];
        n = k->filters - f < 4 ? 1 : 4;
        for (j = 0; j < n; j++) {
            sums[j] = (uint32_t)k->bias[f + j];
            if (!u->whole) sums[j] += conv_outside(k, u, taps + j * filter);
        }
        for (i = u->top; i < u->bottom; i++) {
            const int8_t *in = u->rows[i] + (at + u->left);
            if (n == 4)
                dot4(sums, taps + i * line + u->left, filter, in, inside);
            else
                sums[0] = dot(sums[0], taps + i * line + u->left, in, inside);
        }
        for (j = 0; j < n; j++) out[f + j] = requantized(sums[j], k->multipliers[f + j], k->shifts[f + j], grid);
    }
}

/* Two pixels whose lines of taps are whole, by two filters at a time. */
static void conv_pair(const conv_row_t *k, const under_t *u, int32_t at, int8_t *out) {
    const int32_t line = k->taps_x * k->depth, filter = k->taps_y * line, next = k->stride_x * k->depth;
    const int32_t filters = k->filters, top = u->top, bottom = u->bottom, whole = u->whole;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    const int8_t *shifts = k->shifts, *taps = k->weights;
    int8_t *behind = out + filters;
    int32_t f, i;
    for (f = 0; f + 1 < filters; f += 2, taps += 2 * filter) {
        uint32_t sums[4];
        sums[0] = (uint32_t)bias[f];
        sums[1] = (uint32_t)bias[f + 1];
        if (!whole) {
            sums[0] += conv_outside(k, u, taps);
            sums[1] += conv_outside(k, u, taps + filter);
        }
        sums[2] = sums[0];
        sums[3] = sums[1];
        for (i = top; i < bottom; i++) dot22(sums, taps + i * line, filter, u->rows[i] + at, next, line);
        out[f] = requantized(sums[0], multipliers[f], shifts[f], grid);
        behind[f] = requantized(sums[2], multipliers[f], shifts[f], grid);
        out[f + 1] = requantized(sums[1], multipliers[f + 1], shifts[f + 1], grid);
        behind[f + 1] = requantized(sums[3], multipliers[f + 1], shifts[f + 1], grid);
    }
    if (f < filters) {
        conv_pixel(k, u, at, f, out);
        conv_pixel(k, u, at + next, f, behind);
    }
}

/* A row of a convolution: each filter's taps of one kernel row lie together, as the input's values do. */
static void conv_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_row_t *k = (const conv_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->filters);
    int32_t x, i, pixels;
    under_t u;
    u.top = first_tap(y, k->dilation_y);
    u.bottom = stop_tap(y, k->dilation_y, k->in_height, k->taps_y);
    for (i = u.top; i < u.bottom; i++)
        u.rows[i] = row_at(work, place, base + y + i * k->dilation_y, k->in_width * k->depth);
    for (x = 0; x < k->out_width; x += pixels, out += pixels * k->filters) {
        const int32_t at = x * k->stride_x - k->pad_x;
        u.left = first_tap(at, 1) * k->depth;
        u.right = stop_tap(at, 1, k->in_width, k->taps_x) * k->depth;
        if (u.right < u.left) u.right = u.left;
        u.whole = k->in_zero == 0 || (u.bottom - u.top == k->taps_y && u.right - u.left == k->taps_x * k->depth);
        pixels = at >= 0 && x + 1 < k->out_width && at + k->stride_x + k->taps_x <= k->in_width ? 2 : 1;
        if (pixels == 2)
            conv_pair(k, &u, at * k->depth, out);
        else
            conv_pixel(k, &u, at * k->depth, 0, out);
    }
}

/*@ conv_taps_row: row_at requantized dot total */
/* The same tap by tap: for dilated columns and for groups of channels. */
static void conv_taps_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_taps_row_t *k = (const conv_taps_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->filters);
    int32_t x, f, i, j;
    for (x = 0; x < k->out_width; x++) {
        for (f = 0; f < k->filters; f++) {
            const int8_t *taps = k->weights + f * k->taps_y * k->taps_x * k->depth;
            const int32_t from = f / k->group_filters * k->depth;
            uint32_t sum = (uint32_t)k->bias[f];
            for (i = 0; i < k->taps_y; i++) {
                const int32_t in_y = y + i * k->dilation_y;
                for (j = 0; j < k->taps_x; j++, taps += k->depth) {
                    const int32_t in_x = x * k->stride_x - k->pad_x + j * k->dilation_x;
                    if (in_y < 0 || in_y >= k->in_height || in_x < 0 || in_x >= k->in_width)
                        sum += total(taps, k->depth) * (uint32_t)k->in_zero;
                    else
                        sum = dot(sum, taps,
                                  row_at(work, place, base + in_y, k->in_width * k->in_depth) + in_x * k->in_depth + from,
                                  k->depth);
                }
            }
            *out++ = requantized(sum, k->multipliers[f], k->shifts[f], grid);
        }
    }
}

/*@ depthwise_row: row_at requantized taps */
/* A row of a depthwise convolution with one filter a channel, four channels at a time. */
typedef struct {
    const int8_t *rows[16];
    int32_t top, bottom, left, right;
} beneath_t;

/* Four channels of one tap. */
static inline void tap4(uint32_t *s0, uint32_t *s1, uint32_t *s2, uint32_t *s3, const int8_t *tap, const int8_t *in) {
#ifdef WITH_DSP
    const uint32_t w = word_at(tap), v = word_at(in);
    const uint32_t w0 = even_bytes(w), w1 = odd_bytes(w), v0 = even_bytes(v), v1 = odd_bytes(v);
    *s0 = lower_product(w0, v0, *s0);
    *s1 = lower_product(w1, v1, *s1);
    *s2 = upper_product(w0, v0, *s2);
    *s3 = upper_product(w1, v1, *s3);
#else
    *s0 += (uint32_t)(tap[0] * in[0]);
    *s1 += (uint32_t)(tap[1] * in[1]);
    *s2 += (uint32_t)(tap[2] * in[2]);
    *s3 += (uint32_t)(tap[3] * in[3]);
#endif
}

/* The same with `zero` taken off the values. */
static inline void edge4(uint32_t *sums, const int8_t *tap, const int8_t *in, int32_t zero) {
#ifdef WITH_DSP
    const uint32_t w = word_at(tap), v = word_at(in), zeros = (uint32_t)zero << 16 | ((uint32_t)zero & 0xFFFFu);
    const uint32_t w0 = even_bytes(w), w1 = odd_bytes(w);
    const uint32_t v0 = less_halves(even_bytes(v), zeros), v1 = less_halves(odd_bytes(v), zeros);
    sums[0] = lower_product(w0, v0, sums[0]);
    sums[1] = lower_product(w1, v1, sums[1]);
    sums[2] = upper_product(w0, v0, sums[2]);
    sums[3] = upper_product(w1, v1, sums[3]);
#else
    int32_t i;
    for (i = 0; i < 4; i++) sums[i] += (uint32_t)(tap[i] * (in[i] - zero));
#endif
}

/* A pixel whose taps aren't all inside: those that are see values less the input's zero point. */
static void depthwise_edge(const depthwise_row_t *k, const beneath_t *u, int32_t at, int8_t *out) {
    const int32_t depth = k->depth, zero = k->in_zero, step = k->dilation_x * depth;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    int32_t c, i, j, n;
    for (c = 0; c < depth; c += n) {
        uint32_t sums[4];
        n = depth - c < 4 ? 1 : 4;
        for (j = 0; j < n; j++) sums[j] = (uint32_t)k->edge_bias[c + j];
        for (i = u->top; i < u->bottom; i++) {
            const int8_t *tap = k->weights + (i * k->taps_x + u->left) * depth + c;
            const int8_t *in = u->rows[i] + (at * depth + u->left * step + c);
            for (j = u->left; j < u->right; j++, tap += depth, in += step) {
                if (n == 4)
                    edge4(sums, tap, in, zero);
                else
                    sums[0] += (uint32_t)(*tap * (*in - zero));
            }
        }
        for (j = 0; j < n; j++) out[c + j] = requantized(sums[j], k->multipliers[c + j], k->shifts[c + j], grid);
    }
}

static void depthwise_pixel(const depthwise_row_t *k, const beneath_t *u, int32_t at, int8_t *out) {
    const int32_t depth = k->depth, step = k->dilation_x * depth, taps_x = k->taps_x, taps_y = k->taps_y;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t *bias = k->bias, *multipliers = k->multipliers;
    const int8_t *shifts = k->shifts, *weights = k->weights;
    int32_t c, i, j;
    for (c = 0; c + 3 < depth; c += 4, weights += 4) {
        const int8_t *tap = weights;
        uint32_t s0 = (uint32_t)bias[c], s1 = (uint32_t)bias[c + 1], s2 = (uint32_t)bias[c + 2], s3 = (uint32_t)bias[c + 3];
        for (i = 0; i < taps_y; i++) {
            const int8_t *in = u->rows[i] + (at * depth + c);
            if (taps_x == 3) {
                tap4(&s0, &s1, &s2, &s3, tap, in);
                tap4(&s0, &s1, &s2, &s3, tap + depth, in + step);
                tap4(&s0, &s1, &s2, &s3, tap + 2 * depth, in + 2 * step);
                tap += 3 * depth;
            } else {
                for (j = 0; j < taps_x; j++, tap += depth, in += step) tap4(&s0, &s1, &s2, &s3, tap, in);
            }
        }
        out[c] = requantized(s0, multipliers[c], shifts[c], grid);
        out[c + 1] = requantized(s1, multipliers[c + 1], shifts[c + 1], grid);
        out[c + 2] = requantized(s2, multipliers[c + 2], shifts[c + 2], grid);
        out[c + 3] = requantized(s3, multipliers[c + 3], shifts[c + 3], grid);
    }
    for (; c < depth; c++, weights++) {
        const int8_t *tap = weights;
        uint32_t sum = (uint32_t)bias[c];
        for (i = 0; i < taps_y; i++) {
            const int8_t *in = u->rows[i] + (at * depth + c);
            for (j = 0; j < taps_x; j++, tap += depth, in += step) sum += (uint32_t)(*tap * *in);
        }
        out[c] = requantized(sum, multipliers[c], shifts[c], grid);
    }
}

static void depthwise_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const depthwise_row_t *k = (const depthwise_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->depth);
    int32_t x, i;
    beneath_t u;
    u.top = first_tap(y, k->dilation_y);
    u.bottom = stop_tap(y, k->dilation_y, k->in_height, k->taps_y);
    for (i = u.top; i < u.bottom; i++)
        u.rows[i] = row_at(work, place, base + y + i * k->dilation_y, k->in_width * k->depth);
    for (x = 0; x < k->out_width; x++, out += k->depth) {
        const int32_t at = x * k->stride_x - k->pad_x;
        u.left = first_tap(at, k->dilation_x);
        u.right = stop_tap(at, k->dilation_x, k->in_width, k->taps_x);
        if (u.bottom - u.top == k->taps_y && u.right - u.left == k->taps_x)
            depthwise_pixel(k, &u, at, out);
        else
            depthwise_edge(k, &u, at, out);
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
