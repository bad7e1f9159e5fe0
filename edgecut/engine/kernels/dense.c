/*@ dense_row: row_at requantized dot dot4 */
static void dense_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const dense_row_t *k = (const dense_row_t *)layer;
    const grid_t grid = {k->small, 2 * k->out_zero + 1, k->low, k->high};
    const int8_t *in = row_at(work, place, row, k->groups * k->depth);
    int8_t *out = row_at(work, &place[1], row, k->groups * k->units);
    int32_t g, u, i, n;
    for (g = 0; g < k->groups; g++, in += k->depth) {
        for (u = 0; u < k->units; u += n) {
            uint32_t sums[4];
            n = k->units - u < 4 ? 1 : 4;
            for (i = 0; i < n; i++) sums[i] = (uint32_t)k->bias[u + i];
            if (n == 4)
                dot4(sums, k->weights + u * k->depth, k->depth, in, k->depth);
            else
                sums[0] = dot(sums[0], k->weights + u * k->depth, in, k->depth);
            for (i = 0; i < n; i++) {
                const int32_t c = (u + i) * k->per_unit;
                *out++ = requantized(sums[i], k->multipliers[c], k->shifts[c], grid);
            }
        }
    }
}
