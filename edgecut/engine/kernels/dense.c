/*@ dense_row: row_at scaled limited dot */
static void dense_row(const void *layer, int8_t *work, const place_t *place, int32_t row) {
    const dense_row_t *k = (const dense_row_t *)layer;
    const int8_t *in = row_at(work, place, row, k->groups * k->depth);
    int8_t *out = row_at(work, &place[1], row, k->groups * k->units);
    int32_t g, u;
    for (g = 0; g < k->groups; g++, in += k->depth) {
        for (u = 0; u < k->units; u++) {
            const uint32_t sum = dot((uint32_t)k->bias[u], k->weights + u * k->depth, in, k->depth);
            const int32_t c = u * k->per_unit;
            *out++ = limited(scaled(sum, k->multipliers[c], k->shifts[c]) + k->out_zero, k->low, k->high);
        }
    }
}
