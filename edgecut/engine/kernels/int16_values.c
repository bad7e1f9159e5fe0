/*@ add16_row: sides value_at scaled */
static void add16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const add16_row_t *k = (const add16_row_t *)layer;
    sides_t s = sides(k->a, k->b, k->steps, work, place, row);
    int32_t c;
    for (; s.columns > 0; next_column(&s)) {
        int8_t *out = s.out;
        for (c = 0; c < s.values / 2; c++) {
            const int32_t p = value_at(s.a + c * s.a_next) - k->a_zero, q = value_at(s.b + c * s.b_next) - k->b_zero;
            const int32_t first = scaled((uint32_t)p << 15, k->a_multiplier, k->a_shift);
            const int32_t sum = first + k->sign * scaled((uint32_t)q << 15, k->b_multiplier, k->b_shift);
            out = put_value(out, scaled((uint32_t)sum, k->multiplier, k->shift) + k->out_zero, k->low, k->high);
        }
    }
}

/*@ mul16_row: sides value_at scaled */
static void mul16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const mul16_row_t *k = (const mul16_row_t *)layer;
    sides_t s = sides(k->a, k->b, k->steps, work, place, row);
    int32_t c;
    for (; s.columns > 0; next_column(&s)) {
        int8_t *out = s.out;
        for (c = 0; c < s.values / 2; c++) {
            const int32_t p = value_at(s.a + c * s.a_next) - k->a_zero, q = value_at(s.b + c * s.b_next) - k->b_zero;
            const int32_t made = scaled((uint32_t)(p * q), k->multiplier, k->shift) + k->out_zero;
            out = put_value(out, made, k->low, k->high);
        }
    }
}

/*@ softmax16_row: row_at value_at scaled leading_zeros */
/* A value between two of a table's entries, which are 128 apart. */
static int32_t interpolated(const int16_t *table, int32_t x) {
    const int32_t at = x < -32768 ? 0 : x > 32767 ? 65535 : x + 32768, base = table[at >> 7];
    return base + (((table[(at >> 7) + 1] - base) * (at & 127) + 64) >> 7);
}

static void softmax16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const softmax16_row_t *k = (const softmax16_row_t *)layer;
    const int8_t *in = row_at(work, place, row, 2 * k->groups * k->depth);
    int8_t *out = row_at(work, &place[1], row, 2 * k->groups * k->depth);
    int32_t g, c;
    for (g = 0; g < k->groups; g++, in += 2 * k->depth) {
        const int8_t *exps = out;
        int32_t most = -32768, sum = 0, headroom, factor, right;
        for (c = 0; c < k->depth; c++)
            if (value_at(in + 2 * c) > most) most = value_at(in + 2 * c);
        for (c = 0; c < k->depth; c++) {
            const int32_t less = scaled((uint32_t)(value_at(in + 2 * c) - most), k->multiplier, k->shift);
            const int32_t part = interpolated(k->exps, less + 32767);
            put_value(out + 2 * c, part, -32768, 32767);
            sum += part;
        }
        headroom = leading_zeros((uint32_t)sum);
        factor = (int32_t)((((int64_t)sum << (headroom - 1)) + 8192) >> 14);
        factor = interpolated(k->inverses, factor - 98304);
        right = 31 - headroom;
        for (c = 0; c < k->depth; c++, exps += 2) {
            const int64_t part = (int64_t)value_at(exps) * factor + ((int64_t)1 << (right - 1));
            out = put_value(out, (int32_t)(part >> right), 0, 32767);
        }
    }
}

/*@ mean16: row_at value_at scaled */
static void mean16(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const mean16_t *k = (const mean16_t *)layer;
    const int8_t *in = row_at(work, place, 0, 0);
    int8_t *out = row_at(work, &place[1], row, 0);
    int32_t a, b, i, j;
    for (a = 0; a < k->kept_0; a++) {
        for (b = 0; b < k->kept_1; b++) {
            const int8_t *from = in + 2 * (a * k->kept_step_0 + b * k->kept_step_1);
            uint32_t sum = (uint32_t)k->start;
            for (i = 0; i < k->over_0; i++)
                for (j = 0; j < k->over_1; j++)
                    sum += (uint32_t)value_at(from + 2 * (i * k->over_step_0 + j * k->over_step_1));
            out = put_value(out, scaled(sum, k->multiplier, k->shift) + k->out_zero, -32768, 32767);
        }
    }
}

/*@ sum16_row: row_at sum_at value_at */
static void sum16_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const sum16_row_t *k = (const sum16_row_t *)layer;
    const int8_t *in = row_at(work, place, row, k->row_bytes);
    const int32_t kept = k->kept_x * k->kept_c, begins = row % k->rows == 0;
    int8_t *sums = row_at(work, &place[1], row / k->rows, 4 * kept);
    int32_t x, c, i, j;
    for (x = 0; x < k->kept_x; x++) {
        for (c = 0; c < k->kept_c; c++, sums += 4) {
            const int8_t *from = in + 2 * (x * k->depth + c);
            uint32_t sum = (uint32_t)(begins ? k->start : sum_at(sums));
            for (i = 0; i < k->over_x; i++)
                for (j = 0; j < k->over_c; j++) sum += (uint32_t)value_at(from + 2 * (i * k->depth + j));
            memcpy(sums, &sum, sizeof sum);
        }
    }
}

/*@ sum16_end: row_at sum_at value_at scaled */
static void sum16_end(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const sum16_end_t *k = (const sum16_end_t *)layer;
    const int8_t *sums = row_at(work, place, row, 4 * k->count);
    int8_t *out = row_at(work, &place[1], row, 2 * k->count);
    int32_t c;
    for (c = 0; c < k->count; c++, sums += 4) {
        int32_t made = sum_at(sums);
        if (k->divisor > 0)
            made = (made > 0 ? made + k->divisor / 2 : made - k->divisor / 2) / k->divisor;
        else
            made = scaled((uint32_t)made, k->multiplier, k->shift) + k->out_zero;
        out = put_value(out, made, k->low, k->high);
    }
}
