/*@ value_at */
/* 16-bit numbers on any boundary. */
static int32_t value_at(const int8_t *at) {
    int16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static int8_t *put_value(int8_t *at, int32_t x, int32_t low, int32_t high) {
    const int16_t value = (int16_t)(x < low ? low : x > high ? high : x);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

/*@ scaled16: scaled */
/* A sum's product with its factor: of a bias of 64 bits, rounded once by 16 bits of the multiplier, as those kernels do;
   of one of 32 bits, rounded twice. */
static int32_t scaled16(int64_t sum, int32_t multiplier, int32_t shift, int32_t wide) {
    const int64_t short_multiplier = multiplier < 0x7FFF0000 ? (multiplier + 32768) >> 16 : 0x7FFF;
    if (!wide) return scaled((uint32_t)sum, multiplier, shift);
    return (int32_t)((sum * short_multiplier + ((int64_t)1 << (14 - shift))) >> (15 - shift));
}

/*@ conv16_row: row_at value_at scaled16 */
/* A convolution, or with `times` a depthwise one, of 16-bit values by 8-bit weights. */
static void conv16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const conv16_row_t *k = (const conv16_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    int8_t *out = row_at(work, &place[1], row, 2 * k->out_width * k->filters);
    int32_t x, f, i, j, c;
    for (x = 0; x < k->out_width; x++) {
        for (f = 0; f < k->filters; f++) {
            const int32_t from = f / k->group_filters * k->depth;
            int64_t sum = k->bias[f];
            for (i = 0; i < k->taps_y; i++) {
                const int32_t in_y = y + i * k->dilation_y;
                const int8_t *in;
                if (in_y < 0 || in_y >= k->in_height) continue;
                in = row_at(work, place, base + in_y, 2 * k->in_width * k->in_depth);
                for (j = 0; j < k->taps_x; j++) {
                    const int32_t in_x = x * k->stride_x - k->pad_x + j * k->dilation_x;
                    const int8_t *taps = k->weights + f * k->filter_step + (i * k->taps_x + j) * k->tap_step;
                    if (in_x < 0 || in_x >= k->in_width) continue;
                    for (c = 0; c < k->depth; c++)
                        sum += (int64_t)taps[c] * value_at(in + 2 * (in_x * k->in_depth + from + c));
                }
            }
            out = put_value(out, scaled16(sum, k->multipliers[f], k->shifts[f], k->wide), k->low, k->high);
        }
    }
}

/*@ dense16_row: row_at value_at scaled16 */
static void dense16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const dense16_row_t *k = (const dense16_row_t *)layer;
    const int8_t *in = row_at(work, place, row, 2 * k->groups * k->depth);
    int8_t *out = row_at(work, &place[1], row, 2 * k->groups * k->units);
    int32_t g, u, c;
    for (g = 0; g < k->groups; g++, in += 2 * k->depth) {
        for (u = 0; u < k->units; u++) {
            int64_t sum = k->bias[u];
            for (c = 0; c < k->depth; c++) sum += (int64_t)k->weights[u * k->depth + c] * value_at(in + 2 * c);
            out = put_value(out, scaled16(sum, k->multipliers[0], k->shifts[0], k->wide), k->low, k->high);
        }
    }
}

/*@ pool16_row: row_at value_at taps */
static void pool16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const pool16_row_t *k = (const pool16_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, 1), bottom = stop_tap(y, 1, k->in_height, k->taps_y);
    int8_t *out = row_at(work, &place[1], row, 2 * k->out_width * k->depth);
    int32_t x, c, i, j;
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        const int32_t left = first_tap(at, 1), right = stop_tap(at, 1, k->in_width, k->taps_x);
        const int32_t count = (bottom - top) * (right - left);
        for (c = 0; c < k->depth; c++) {
            int32_t sum = 0, most = -32768;
            for (i = top; i < bottom; i++) {
                const int8_t *in = row_at(work, place, base + y + i, 2 * k->in_width * k->depth);
                for (j = left; j < right; j++) {
                    const int32_t value = value_at(in + 2 * ((at + j) * k->depth + c));
                    sum += value;
                    if (value > most) most = value;
                }
            }
            sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
            out = put_value(out, k->mean ? sum : most, k->low, k->high);
        }
    }
}
