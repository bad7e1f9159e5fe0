/*@ operand: row_at */
/* A row of one side of an elementwise operator, a tensor or a table; steps: rows a batch, rows a row, bytes a row. */
static const int8_t *operand(const int8_t *table, int8_t *work, const place_t *place, const int32_t *steps, int32_t row,
                             int32_t height) {
    const int32_t at = row / height * steps[0] + row % height * steps[1];
    return table != NULL ? table + at * steps[2] : row_at(work, place, at, steps[2]);
}

/*@ add_row: operand fraction scaled lanes limited */
#ifdef WITH_MVE
/* Four sums at a time of values that lie together; gives how many are done. */
static int32_t add_by_4(const add_row_t *k, const int8_t *a, const int8_t *b, int8_t *out) {
    const int32x4_t multiplier = vdupq_n_s32(k->multiplier), shift = vdupq_n_s32(k->shift);
    const int32x4_t a_multiplier = vdupq_n_s32(k->a_multiplier), a_shift = vdupq_n_s32(k->a_shift);
    const int32x4_t b_multiplier = vdupq_n_s32(k->b_multiplier), b_shift = vdupq_n_s32(k->b_shift);
    int32_t c;
    for (c = 0; c + 3 < k->depth; c += 4) {
        int32x4_t p = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(a + c), k->a_zero), 20);
        int32x4_t q = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(b + c), k->b_zero), 20);
        p = scaled_lanes(p, a_multiplier, a_shift, 0);
        q = vmulq_n_s32(scaled_lanes(q, b_multiplier, b_shift, 0), k->sign);
        p = vmaxq_s32(scaled_lanes(vaddq_s32(p, q), multiplier, shift, k->out_zero), vdupq_n_s32(k->low));
        vstrbq_s32(out + c, vminq_s32(p, vdupq_n_s32(k->high)));
    }
    return c;
}
#endif

static void add_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const add_row_t *k = (const add_row_t *)layer;
    const int8_t *a = operand(k->a, work, place, k->a_steps, row, k->height);
    const int8_t *b = operand(k->b, work, &place[k->b_place], k->b_steps, row, k->height);
    const int32_t a_next = k->a_steps[4], b_next = k->b_steps[4], a_zero = k->a_zero, b_zero = k->b_zero, shift = k->shift;
    const int32_t a_multiplier = k->a_multiplier, b_multiplier = k->b_multiplier, a_shift = k->a_shift;
    const int32_t b_shift = k->b_shift, sign = k->sign, depth = k->depth;
    int8_t *out = row_at(work, &place[k->out_place], row, k->width * depth);
    int32_t x, c;
    for (x = 0; x < k->width; x++, out += depth) {
        const int8_t *left = a + x * k->a_steps[3], *right = b + x * k->b_steps[3];
        c = 0;
#ifdef WITH_MVE
        if (a_next == 1 && b_next == 1 && shift <= 0) c = add_by_4(k, left, right, out);
#endif
        for (; c < depth; c++) {
            const uint32_t p = (uint32_t)(left[c * a_next] - a_zero) << 20, q = (uint32_t)(right[c * b_next] - b_zero) << 20;
            const int32_t first = (fraction(p, a_multiplier, a_shift) + 1) >> 1;
            const int32_t second = (fraction(q, b_multiplier, b_shift) + 1) >> 1;
            const uint32_t sum = (uint32_t)(first + sign * second);
            const int32_t made = shift > 0 ? scaled(sum, k->multiplier, shift) : (fraction(sum, k->multiplier, shift) + 1) >> 1;
            out[c] = limited(made + k->out_zero, k->low, k->high);
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
