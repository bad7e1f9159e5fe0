/*@ transpose_conv_row: row_at requantized dot total */
/* The taps of each output pixel that fall on a pixel of the input. */
static void transpose_conv_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const transpose_conv_row_t *k = (const transpose_conv_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t base = row / k->out_height * k->in_height, y = row % k->out_height + k->pad_y;
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->filters);
    int32_t x, f, i, j;
    for (x = 0; x < k->out_width; x++) {
        for (f = 0; f < k->filters; f++) {
            uint32_t sum = (uint32_t)k->bias[f];
            for (i = 0; i < k->taps_y; i++) {
                const int8_t *taps = k->weights + (f * k->taps_y + i) * k->taps_x * k->depth, *in;
                const int32_t in_y = (y - i) / k->stride_y;
                if (y < i || (y - i) % k->stride_y != 0 || in_y >= k->in_height) continue;
                in = row_at(work, place, base + in_y, k->in_width * k->depth);
                for (j = 0; j < k->taps_x; j++, taps += k->depth) {
                    const int32_t at = x + k->pad_x - j, in_x = at / k->stride_x;
                    if (at < 0 || at % k->stride_x != 0 || in_x >= k->in_width) continue;
                    sum = dot(sum, taps, in + in_x * k->depth, k->depth);
                    if (k->in_zero != 0) sum -= total(taps, k->depth) * (uint32_t)k->in_zero;
                }
            }
            *out++ = requantized(sum, k->multipliers[f], k->shifts[f], grid);
        }
    }
}
