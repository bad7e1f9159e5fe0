/*@ sum_at */
/* 32-bit numbers on any boundary. */
static int32_t sum_at(const int8_t *at) {
    int32_t sum;
    memcpy(&sum, at, sizeof sum);
    return sum;
}

/*@ sum_row: row_at sum_at add4 */
/* A row of values added to the sums that those before it left; the first row begins them. */
static void sum_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const sum_row_t *k = (const sum_row_t *)layer;
    const int8_t *in = row_at(work, place, row, k->row_bytes);
    const int32_t kept = k->kept_x * k->kept_c, begins = row % k->rows == 0;
    int8_t *sums = row_at(work, &place[1], row / k->rows, 4 * kept);
    int32_t x, i, j;
    for (x = 0; x < k->kept_x; x++) {
        int32_t c = 0;
        for (; k->over_c == 1 && c + 3 < k->kept_c; c += 4, sums += 16) {
            int32_t four[4] = {k->start, k->start, k->start, k->start};
            if (!begins) memcpy(four, sums, sizeof four);
            add4(four, in + x * k->depth + c, k->depth, k->over_x);
            memcpy(sums, four, sizeof four);
        }
        for (; c < k->kept_c; c++, sums += 4) {
            const int8_t *from = in + x * k->depth + c;
            int32_t sum = begins ? k->start : sum_at(sums);
            for (i = 0; i < k->over_x; i++)
                for (j = 0; j < k->over_c; j++) sum += from[i * k->depth + j];
            memcpy(sums, &sum, sizeof sum);
        }
    }
}

/*@ sum_end: row_at sum_at scaled limited */
/* What becomes of sums: rescaled, or divided by their count with halves away from zero. */
static void sum_end(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const sum_end_t *k = (const sum_end_t *)layer;
    const int8_t *sums = row_at(work, place, row, 4 * k->count);
    int8_t *out = row_at(work, &place[1], row, k->count);
    int32_t c;
    for (c = 0; c < k->count; c++, sums += 4) {
        int32_t made = sum_at(sums);
        if (k->divisor > 0)
            made = (made > 0 ? made + k->divisor / 2 : made - k->divisor / 2) / k->divisor;
        else
            made = scaled((uint32_t)made, k->multiplier, k->shift) + k->out_zero;
        *out++ = limited(made, k->low, k->high);
    }
}
