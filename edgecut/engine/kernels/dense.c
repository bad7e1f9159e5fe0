/*@ dense_part: row_at dot dot4 */
/* The products of a row of an image with its part of each unit's weights, added to what those before it left. */
static void dense_part(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const dense_part_t *k = (const dense_part_t *)layer;
    const int32_t units = k->units, depth = k->depth, part = k->part;
    const int8_t *in = row_at(work, place, row, part), *weights = k->weights + row * part;
    int8_t *sums = row_at(work, &place[1], 0, 4 * units);
    int32_t u;
    if (row == 0) memcpy(sums, k->bias, 4 * (size_t)units);
    for (u = 0; u + 3 < units; u += 4, sums += 16, weights += 4 * depth) {
        uint32_t four[4];
        memcpy(four, sums, sizeof four);
        dot4(four, weights, depth, in, part);
        memcpy(sums, four, sizeof four);
    }
    for (; u < units; u++, sums += 4, weights += depth) {
        uint32_t sum;
        memcpy(&sum, sums, sizeof sum);
        sum = dot(sum, weights, in, part);
        memcpy(sums, &sum, sizeof sum);
    }
}

/*@ dense_end: row_at requantized */
static void dense_end(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const dense_end_t *k = (const dense_end_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int8_t *sums = row_at(work, place, row, 4 * k->units);
    int8_t *out = row_at(work, &place[1], row, k->units);
    int32_t u;
    for (u = 0; u < k->units; u++, sums += 4) {
        uint32_t sum;
        memcpy(&sum, sums, sizeof sum);
        out[u] = requantized(sum, k->multipliers[k->per_unit * u], k->shifts[k->per_unit * u], grid);
    }
}

/*@ dense_row: row_at requantize4 dot dot4 */
static void dense_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const dense_row_t *k = (const dense_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int32_t units = k->units, depth = k->depth, per_unit = k->per_unit, factor = k->multipliers[0];
    const int8_t shift = k->shifts[0], shifts_4[4] = {shift, shift, shift, shift};
    const int32_t factors_4[4] = {factor, factor, factor, factor};
    const int8_t *in = row_at(work, place, row, k->groups * depth);
    int8_t *out = row_at(work, &place[1], row, k->groups * units);
    int32_t g, u;
    for (g = 0; g < k->groups; g++, in += depth, out += units) {
        for (u = 0; u + 3 < units; u += 4) {
            uint32_t sums[4];
            memcpy(sums, k->bias + u, sizeof sums);
            dot4(sums, k->weights + u * depth, depth, in, depth);
            requantize4(out + u, sums, per_unit ? k->multipliers + u : factors_4, per_unit ? k->shifts + u : shifts_4, grid);
        }
        for (; u < units; u++) {
            const uint32_t sum = dot((uint32_t)k->bias[u], k->weights + u * depth, in, depth);
            out[u] = requantized(sum, k->multipliers[per_unit * u], k->shifts[per_unit * u], grid);
        }
    }
}
