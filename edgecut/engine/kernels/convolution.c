/*@ dot */
static uint32_t dot(uint32_t sum, const int8_t *a, const int8_t *b, int32_t count) {
    for (; count > 0; count--) sum += (uint32_t)(*a++ * *b++);
    return sum;
}

/*@ dot4 */
/* Four filters, `step` apart, on the same values. */
static void dot4(uint32_t *sums, const int8_t *filters, int32_t step, const int8_t *values, int32_t count) {
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *w0 = filters, *w1 = w0 + step, *w2 = w1 + step, *w3 = w2 + step;
    for (; count > 0; count--) {
        const int32_t x = *values++;
        s0 += (uint32_t)(x * *w0++);
        s1 += (uint32_t)(x * *w1++);
        s2 += (uint32_t)(x * *w2++);
        s3 += (uint32_t)(x * *w3++);
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

/*@ dot22 */
/* Two filters, `step` apart, on the values of two pixels, `next` apart: sums by pixel, then by filter. */
static void dot22(uint32_t *sums, const int8_t *filters, int32_t step, const int8_t *values, int32_t next, int32_t count) {
    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    const int8_t *w = filters, *v = w + step, *x = values, *y = x + next;
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

/*@ conv_row: row_at scaled limited taps dot dot22 total */
/* The rows of an input under a window, and the part of each line of taps that lies inside the picture. */
typedef struct {
    const int8_t *rows[16];
    int32_t top, bottom, left, right;
} under_t;

static int8_t conv_made(const conv_row_t *k, uint32_t sum, int32_t f) {
    return limited(scaled(sum, k->multipliers[f], k->shifts[f]) + k->out_zero, k->low, k->high);
}

/* A filter's bias, and what its taps outside the picture add, which see the input's zero point. */
static uint32_t conv_start(const conv_row_t *k, const under_t *u, int32_t f) {
    const int32_t line = k->taps_x * k->depth;
    const int8_t *taps = k->weights + f * k->taps_y * line;
    uint32_t outside = 0;
    int32_t i;
    if (k->in_zero == 0 || (u->bottom - u->top == k->taps_y && u->right - u->left == line)) return (uint32_t)k->bias[f];
    for (i = 0; i < k->taps_y; i++, taps += line) {
        if (i < u->top || i >= u->bottom)
            outside += total(taps, line);
        else
            outside += total(taps, u->left) + total(taps + u->right, line - u->right);
    }
    return (uint32_t)k->bias[f] + outside * (uint32_t)k->in_zero;
}

static void conv_pixel(const conv_row_t *k, const under_t *u, int32_t at, int32_t f, int8_t *out) {
    const int32_t line = k->taps_x * k->depth;
    for (; f < k->filters; f++) {
        const int8_t *taps = k->weights + f * k->taps_y * line + u->left;
        uint32_t sum = conv_start(k, u, f);
        int32_t i;
        for (i = u->top; i < u->bottom; i++)
            sum = dot(sum, taps + i * line, u->rows[i] + (at + u->left), u->right - u->left);
        out[f] = conv_made(k, sum, f);
    }
}

/* Two pixels whose lines of taps are whole, by two filters at a time. */
static void conv_pair(const conv_row_t *k, const under_t *u, int32_t at, int8_t *out) {
    const int32_t line = k->taps_x * k->depth, next = k->stride_x * k->depth;
    int32_t f, i;
    for (f = 0; f + 1 < k->filters; f += 2) {
        const int8_t *taps = k->weights + f * k->taps_y * line;
        uint32_t sums[4];
        sums[0] = sums[2] = conv_start(k, u, f);
        sums[1] = sums[3] = conv_start(k, u, f + 1);
        for (i = u->top; i < u->bottom; i++)
            dot22(sums, taps + i * line, k->taps_y * line, u->rows[i] + at, next, line);
        out[f] = conv_made(k, sums[0], f);
        out[f + 1] = conv_made(k, sums[1], f + 1);
        out[f + k->filters] = conv_made(k, sums[2], f);
        out[f + 1 + k->filters] = conv_made(k, sums[3], f + 1);
    }
    conv_pixel(k, u, at, f, out);
    conv_pixel(k, u, at + next, f, out + k->filters);
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
        pixels = at >= 0 && x + 1 < k->out_width && at + k->stride_x + k->taps_x <= k->in_width ? 2 : 1;
        if (pixels == 2)
            conv_pair(k, &u, at * k->depth, out);
        else
            conv_pixel(k, &u, at * k->depth, 0, out);
    }
}

/*@ conv_taps_row: row_at scaled limited dot total */
/* The same tap by tap: for dilated columns and for groups of channels. */
static void conv_taps_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_taps_row_t *k = (const conv_taps_row_t *)layer;
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
            *out++ = limited(scaled(sum, k->multipliers[f], k->shifts[f]) + k->out_zero, k->low, k->high);
        }
    }
}

/*@ depthwise_row: row_at scaled limited taps */
/* A row of a depthwise convolution with one filter a channel, four channels at a time. */
static void depthwise_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const depthwise_row_t *k = (const depthwise_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, k->dilation_y), bottom = stop_tap(y, k->dilation_y, k->in_height, k->taps_y);
    const int32_t step = k->dilation_x * k->depth, line = k->taps_x * k->depth;
    const int8_t *rows[16];
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->depth);
    int32_t x, c, i, j, m, n;
    for (i = top; i < bottom; i++) rows[i] = row_at(work, place, base + y + i * k->dilation_y, k->in_width * k->depth);
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        const int32_t left = first_tap(at, k->dilation_x), right = stop_tap(at, k->dilation_x, k->in_width, k->taps_x);
        const int whole = k->in_zero == 0 || (bottom - top == k->taps_y && right - left == k->taps_x);
        for (c = 0; c < k->depth; c += n) {
            uint32_t sums[4];
            n = k->depth - c < 4 ? 1 : 4;
            for (j = 0; j < n; j++) sums[j] = (uint32_t)k->bias[c + j];
            for (i = 0; i < k->taps_y && !whole; i++) {
                for (j = 0; j < k->taps_x; j++) {
                    const int8_t *tap = k->weights + i * line + j * k->depth + c;
                    if (i >= top && i < bottom && j >= left && j < right) continue;
                    for (m = 0; m < n; m++) sums[m] += (uint32_t)(tap[m] * k->in_zero);
                }
            }
            for (i = top; i < bottom && left < right; i++) {
                const int8_t *tap = k->weights + i * line + left * k->depth + c;
                const int8_t *in = rows[i] + (at * k->depth + left * step + c);
                if (n == 4) {
                    uint32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
                    for (j = left; j < right; j++, tap += k->depth, in += step) {
                        s0 += (uint32_t)(tap[0] * in[0]);
                        s1 += (uint32_t)(tap[1] * in[1]);
                        s2 += (uint32_t)(tap[2] * in[2]);
                        s3 += (uint32_t)(tap[3] * in[3]);
                    }
                    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
                } else {
                    for (j = left; j < right; j++, tap += k->depth, in += step) sums[0] += (uint32_t)(*tap * *in);
                }
            }
            for (j = 0; j < n; j++)
                *out++ = limited(scaled(sums[j], k->multipliers[c + j], k->shifts[c + j]) + k->out_zero, k->low, k->high);
        }
    }
}

/*@ depthwise_taps_row: row_at scaled limited */
static void depthwise_taps_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const depthwise_taps_row_t *k = (const depthwise_taps_row_t *)layer;
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
                *out++ = limited(scaled(sum, k->multipliers[f], k->shifts[f]) + k->out_zero, k->low, k->high);
            }
        }
    }
}
