/*@ max_pool_row: row_at limited taps */
static void max_pool_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const max_pool_row_t *k = (const max_pool_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, 1), bottom = stop_tap(y, 1, k->in_height, k->taps_y);
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->depth);
    int32_t x, c, i, j;
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        const int32_t left = first_tap(at, 1), right = stop_tap(at, 1, k->in_width, k->taps_x);
        for (c = 0; c < k->depth; c++) {
            int32_t most = -128;
            for (i = top; i < bottom; i++) {
                const int8_t *in = row_at(work, place, base + y + i, k->in_width * k->depth) + c;
                for (j = left; j < right; j++)
                    if (in[(at + j) * k->depth] > most) most = in[(at + j) * k->depth];
            }
            *out++ = limited(most, k->low, k->high);
        }
    }
}

/*@ average_pool_row: row_at limited taps */
static void average_pool_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const average_pool_row_t *k = (const average_pool_row_t *)layer;
    const int32_t y = row % k->out_height * k->stride_y - k->pad_y, base = row / k->out_height * k->in_height;
    const int32_t top = first_tap(y, 1), bottom = stop_tap(y, 1, k->in_height, k->taps_y);
    int8_t *out = row_at(work, &place[1], row, k->out_width * k->depth);
    int32_t x, c, i, j;
    for (x = 0; x < k->out_width; x++) {
        const int32_t at = x * k->stride_x - k->pad_x;
        const int32_t left = first_tap(at, 1), right = stop_tap(at, 1, k->in_width, k->taps_x);
        const int32_t count = (bottom - top) * (right - left);
        for (c = 0; c < k->depth; c++) {
            int32_t sum = 0;
            for (i = top; i < bottom; i++) {
                const int8_t *in = row_at(work, place, base + y + i, k->in_width * k->depth) + c;
                for (j = left; j < right; j++) sum += in[(at + j) * k->depth];
            }
            sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
            *out++ = limited(sum, k->low, k->high);
        }
    }
}
