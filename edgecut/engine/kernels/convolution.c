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

/*@ total */
static uint32_t total(const int8_t *a, int32_t count) {
    int32_t sum = 0;
    for (; count > 0; count--) sum += *a++;
    return (uint32_t)sum;
}

/*@ conv_row: row_at scaled limited taps dot dot4 total */
/* A row of a convolution: each filter's taps of one kernel row lie together, as the input's values do. */
static void conv_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv_row_t *k = (const conv_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, k->dilation_y), bottom = stop_tap(y, k->dilation_y, k->in_height, k->taps_y);
    const int32_t line = k->taps_x * k->depth, filter = k->taps_y * line;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->filters);
    int32_t x, f, j, i, many;
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        const int32_t left = first_tap(at, 1) * k->depth, right = stop_tap(at, 1, k->in_width, k->taps_x) * k->depth;
        const int32_t inside = right > left ? right - left : 0;
        for (f = 0; f < k->filters; f += many) {
            uint32_t sums[4];
            many = k->filters - f < 4 ? 1 : 4;
            for (j = 0; j < many; j++) sums[j] = (uint32_t)k->bias[f + j];
            for (i = top; i < bottom; i++) {
                const int8_t *in = row_at(work, place, base + y + i * k->dilation_y, k->in_width * k->depth);
                const int8_t *taps = k->weights + f * filter + i * line + left;
                if (many == 4)
                    dot4(sums, taps, filter, in + at * k->depth + left, inside);
                else
                    sums[0] = dot(sums[0], taps, in + at * k->depth + left, inside);
            }
            for (j = 0; j < many; j++) {
                const int8_t *taps = k->weights + (f + j) * filter;
                if (k->in_zero != 0 && (inside != line || bottom - top != k->taps_y)) {
                    uint32_t outside = total(taps, filter);
                    for (i = top; i < bottom; i++) outside -= total(taps + i * line + left, inside);
                    sums[j] += outside * (uint32_t)k->in_zero;
                }
                *out++ = limited(scaled(sums[j], k->multipliers[f + j], k->shifts[f + j]) + k->out_zero, k->low, k->high);
            }
        }
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

/*@ depthwise_row: row_at scaled limited */
static void depthwise_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const depthwise_row_t *k = (const depthwise_row_t *)layer;
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
