/*@ nearest_row: row_at */
/* Rows and columns by tables of those that they are copied from. */
static void nearest_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const nearest_row_t *k = (const nearest_row_t *)layer;
    const int32_t from = row / k->height * k->in_height + k->rows[row % k->height];
    const int8_t *in = row_at(work, place, from, k->in_width * k->depth);
    int8_t *out = row_at(work, &place[1], row, k->width * k->depth);
    int32_t x;
    for (x = 0; x < k->width; x++, out += k->depth) memcpy(out, in + k->columns[x] * k->depth, (size_t)k->depth);
}

/*@ bilinear_row: row_at */
/* Each row and column by the two that it lies between, and how far behind the first in 1/1024. */
static void bilinear_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const bilinear_row_t *k = (const bilinear_row_t *)layer;
    const int16_t *y = k->rows + row % k->height * 3, *x = k->columns;
    const int32_t base = row / k->height * k->in_height, bytes = k->in_width * k->depth;
    const int8_t *upper = row_at(work, place, base + y[0], bytes), *lower = row_at(work, place, base + y[1], bytes);
    int8_t *out = row_at(work, &place[1], row, k->width * k->depth);
    int32_t n, c;
    for (n = 0; n < k->width; n++, x += 3) {
        for (c = 0; c < k->depth; c++) {
            const int32_t left = x[0] * k->depth + c, right = x[1] * k->depth + c;
            const int32_t above = upper[left] * (1024 - x[2]) + upper[right] * x[2];
            const int32_t below = lower[left] * (1024 - x[2]) + lower[right] * x[2];
            const int32_t sum = above * (1024 - y[2]) + below * y[2];
            *out++ = (int8_t)((sum + (sum > 0 ? 524288 : -524288)) / 1048576);
        }
    }
}
