/*@ operand: row_at */
/* A row of one side of an elementwise operator, a tensor or a table; steps: rows a batch, rows a row, bytes a row. */
static const int8_t *operand(const int8_t *table, int8_t *work, const place_t *place, const int32_t *steps, int32_t row,
                             int32_t height) {
    const int32_t at = row / height * steps[0] + row % height * steps[1];
    return table != NULL ? table + at * steps[2] : row_at(work, place, at, steps[2]);
}

/*@ add_row: operand scaled limited */
static void add_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const add_row_t *k = (const add_row_t *)layer;
    const int8_t *a = operand(k->a, work, place, k->a_steps, row, k->height);
    const int8_t *b = operand(k->b, work, &place[k->b_place], k->b_steps, row, k->height);
    int8_t *out = row_at(work, &place[k->out_place], row, k->width * k->depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++) {
        for (c = 0; c < k->depth; c++) {
            const int32_t p = (a[x * k->a_steps[3] + c * k->a_steps[4]] - k->a_zero) * 1048576;
            const int32_t q = (b[x * k->b_steps[3] + c * k->b_steps[4]] - k->b_zero) * 1048576;
            const int32_t sum = scaled((uint32_t)p, k->a_multiplier, k->a_shift) +
                                k->sign * scaled((uint32_t)q, k->b_multiplier, k->b_shift);
            *out++ = limited(scaled((uint32_t)sum, k->multiplier, k->shift) + k->out_zero, k->low, k->high);
        }
    }
}

/*@ mul_row: operand scaled limited */
static void mul_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const mul_row_t *k = (const mul_row_t *)layer;
    const int8_t *a = operand(k->a, work, place, k->a_steps, row, k->height);
    const int8_t *b = operand(k->b, work, &place[k->b_place], k->b_steps, row, k->height);
    int8_t *out = row_at(work, &place[k->out_place], row, k->width * k->depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++) {
        for (c = 0; c < k->depth; c++) {
            const int32_t product = (a[x * k->a_steps[3] + c * k->a_steps[4]] - k->a_zero) *
                                    (b[x * k->b_steps[3] + c * k->b_steps[4]] - k->b_zero);
            *out++ = limited(scaled((uint32_t)product, k->multiplier, k->shift) + k->out_zero, k->low, k->high);
        }
    }
}

/*@ larger_row: operand limited */
static void larger_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const larger_row_t *k = (const larger_row_t *)layer;
    const int8_t *a = operand(k->a, work, place, k->a_steps, row, k->height);
    const int8_t *b = operand(k->b, work, &place[k->b_place], k->b_steps, row, k->height);
    int8_t *out = row_at(work, &place[k->out_place], row, k->width * k->depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++) {
        for (c = 0; c < k->depth; c++) {
            const int32_t p = a[x * k->a_steps[3] + c * k->a_steps[4]], q = b[x * k->b_steps[3] + c * k->b_steps[4]];
            *out++ = limited((p - q) * k->sign > 0 ? p : q, k->low, k->high);
        }
    }
}

/*@ prelu_row: operand scaled limited */
static void prelu_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const prelu_row_t *k = (const prelu_row_t *)layer;
    const int8_t *a = operand(k->a, work, place, k->a_steps, row, k->height);
    const int8_t *b = operand(k->b, work, &place[k->b_place], k->b_steps, row, k->height);
    int8_t *out = row_at(work, &place[k->out_place], row, k->width * k->depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++) {
        for (c = 0; c < k->depth; c++) {
            const int32_t p = a[x * k->a_steps[3] + c * k->a_steps[4]] - k->a_zero;
            const int32_t q = b[x * k->b_steps[3] + c * k->b_steps[4]] - k->b_zero;
            const int32_t made = p >= 0 ? scaled((uint32_t)p, k->above_multiplier, k->above_shift)
                                        : scaled((uint32_t)(p * q), k->multiplier, k->shift);
            *out++ = limited(made + k->out_zero, k->low, k->high);
        }
    }
}
